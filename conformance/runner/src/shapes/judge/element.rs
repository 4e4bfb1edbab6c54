//! Bodies in XML as a tree of elements.

use quick_xml::events::{BytesStart, Event};

/// Answers are not deeper.
const MAX_DEPTH: usize = 128;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    /// Without its prefix.
    pub name: String,
    /// As written: `xmlns`, `xsi:type`.
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub fn parse(body: &[u8]) -> Result<Element, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    // The outermost is the document, whose only child is the root.
    let mut open = vec![Element::default()];
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        let Some(innermost) = open.last_mut() else { return Err("too many ends".to_owned()) };
        match event {
            Event::Start(start) => {
                if open.len() > MAX_DEPTH {
                    return Err("too deep".to_owned());
                }
                open.push(begun(&start)?);
            }
            Event::End(_) => {
                let element = open.pop().unwrap_or_default();
                open.last_mut().ok_or("too many ends")?.children.push(element);
            }
            Event::Text(piece) => innermost.text.push_str(&piece.into_inner()),
            Event::CData(piece) => innermost.text.push_str(&piece.into_inner()),
            Event::GeneralRef(reference) => {
                let name = reference.into_inner();
                innermost.text.push(entity(&name).ok_or_else(|| format!("unknown entity {name}"))?);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match open.pop() {
        Some(mut document) if open.is_empty() && document.children.len() == 1 => Ok(document.children.remove(0)),
        _ => Err("not one element with all that was opened closed".to_owned()),
    }
}

fn begun(start: &BytesStart<'_>) -> Result<Element, String> {
    let name = start.name();
    let name = name.as_ref();
    let mut element = Element { name: name.rsplit(':').next().unwrap_or(name).to_owned(), ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        element.attributes.push((attribute.key.as_ref().to_owned(), unescape(&attribute.value)?));
    }
    Ok(element)
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').ok_or("an ampersand that begins nothing")?;
        out.push_str(before);
        out.push(entity(name).ok_or_else(|| format!("unknown entity {name}"))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_becomes_a_tree() {
        let root =
            parse(b"<?xml version=\"1.0\"?>\n<A xmlns=\"u\"><n:B x=\"1&amp;2\">a&lt;&#x41;</n:B><C/></A>").unwrap();
        assert_eq!((root.name.as_str(), root.attribute("xmlns")), ("A", Some("u")));
        assert_eq!(root.text_of("B"), Some("a<A"));
        assert_eq!(root.child("B").unwrap().attribute("x"), Some("1&2"));
        assert_eq!(root.text_of("C"), Some(""));
        for broken in ["<A>", "", "<A/><B/>", "<A>&nope;</A>"] {
            assert!(parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
