//! An XML document as a tree, with its namespaces, within bounds.
//!
//! Document types and processing instructions are refused. Comments are dropped, and the text around them is one text:
//! a comment must not cut a name short.

use quick_xml::events::{BytesStart, Event};

/// No response is deeper or holds more; both bound the work that a hostile one causes.
const MAX_DEPTH: usize = 64;
const MAX_ELEMENTS: usize = 10_000;
const MAX_ATTRIBUTES: usize = 64;

const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

/// Why a text is no document that is taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    #[error("not well-formed: {0}")]
    Malformed(String),
    #[error("a {0} is not allowed")]
    NotAllowed(&'static str),
    #[error("it is too deep, or holds too much")]
    TooLarge,
    #[error("the prefix {0:?} is bound to no namespace")]
    UnboundPrefix(String),
}

/// An element's place in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ElementId(usize);

impl ElementId {
    /// The root of every tree.
    pub const ROOT: Self = ElementId(0);
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Child {
    Element(ElementId),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub prefix: String,
    pub local: String,
    /// Empty for an attribute without a prefix.
    pub namespace: String,
    pub value: String,
}

#[derive(Debug)]
pub struct Element {
    pub parent: Option<ElementId>,
    pub prefix: String,
    pub local: String,
    pub namespace: String,
    pub attributes: Vec<Attribute>,
    /// The namespaces declared here: prefix (empty for the default) and URI.
    pub declared: Vec<(String, String)>,
    pub children: Vec<Child>,
}

impl Element {
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.namespace == namespace && self.local == local
    }
}

/// A document.
#[derive(Debug)]
pub struct Tree {
    elements: Vec<Element>,
}

impl Tree {
    pub fn parse(text: &str) -> Result<Self, TreeError> {
        let mut reader = quick_xml::Reader::from_str(text.trim_start_matches('\u{feff}'));
        reader.config_mut().expand_empty_elements = true;
        let mut tree = Tree { elements: Vec::new() };
        let mut open: Vec<ElementId> = Vec::new();
        loop {
            let event = reader.read_event().map_err(|error| TreeError::Malformed(error.to_string()))?;
            match event {
                Event::Start(start) => {
                    if open.is_empty() && !tree.elements.is_empty() {
                        return Err(TreeError::Malformed("a second root".to_owned()));
                    }
                    if open.len() >= MAX_DEPTH || tree.elements.len() >= MAX_ELEMENTS {
                        return Err(TreeError::TooLarge);
                    }
                    let id = tree.add(&start, open.last().copied())?;
                    open.push(id);
                }
                Event::End(_) => {
                    open.pop();
                }
                Event::Text(text) => tree.append(&open, &decode_text(&text.into_inner())?)?,
                Event::CData(text) => tree.append(&open, &lines(&text.into_inner()))?,
                Event::GeneralRef(reference) => {
                    let character = resolve(&reference.into_inner())?;
                    tree.append(&open, character.encode_utf8(&mut [0; 4]))?;
                }
                Event::Comment(_) | Event::Decl(_) => {}
                Event::DocType(_) => return Err(TreeError::NotAllowed("document type")),
                Event::PI(_) => return Err(TreeError::NotAllowed("processing instruction")),
                Event::Empty(_) => return Err(TreeError::Malformed("an empty tag".to_owned())),
                Event::Eof if open.is_empty() && !tree.elements.is_empty() => return Ok(tree),
                Event::Eof => return Err(TreeError::Malformed("it ends early".to_owned())),
            }
        }
    }

    pub fn root(&self) -> ElementId {
        ElementId(0)
    }

    pub fn get(&self, id: ElementId) -> &Element {
        &self.elements[id.0]
    }

    pub fn ids(&self) -> impl Iterator<Item = ElementId> {
        (0..self.elements.len()).map(ElementId)
    }

    /// The child elements with this name.
    pub fn children<'t>(
        &'t self,
        of: ElementId,
        namespace: &'t str,
        local: &'t str,
    ) -> impl Iterator<Item = ElementId> + 't {
        self.get(of).children.iter().filter_map(move |child| match child {
            Child::Element(id) if self.get(*id).is(namespace, local) => Some(*id),
            _ => None,
        })
    }

    pub fn child(&self, of: ElementId, namespace: &str, local: &str) -> Option<ElementId> {
        self.get(of).children.iter().find_map(|child| match child {
            Child::Element(id) if self.get(*id).is(namespace, local) => Some(*id),
            _ => None,
        })
    }

    pub fn attribute(&self, of: ElementId, local: &str) -> Option<&str> {
        let attributes = &self.get(of).attributes;
        let found = attributes.iter().find(|attribute| attribute.namespace.is_empty() && attribute.local == local);
        found.map(|attribute| attribute.value.as_str())
    }

    /// The element's own text, without blanks around it.
    pub fn text(&self, of: ElementId) -> String {
        let texts = self.get(of).children.iter().filter_map(|child| match child {
            Child::Text(text) => Some(text.as_str()),
            Child::Element(_) => None,
        });
        texts.collect::<String>().trim().to_owned()
    }

    /// What a prefix stands for at an element.
    pub fn namespace_of(&self, at: ElementId, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML_NAMESPACE);
        }
        let mut next = Some(at);
        while let Some(id) = next {
            let element = self.get(id);
            if let Some((_, uri)) = element.declared.iter().find(|(declared, _)| declared == prefix) {
                return Some(uri).filter(|uri| !uri.is_empty()).map(String::as_str);
            }
            next = element.parent;
        }
        None
    }

    fn add(&mut self, start: &BytesStart<'_>, parent: Option<ElementId>) -> Result<ElementId, TreeError> {
        let id = ElementId(self.elements.len());
        let (prefix, local) = split(start.name().into_inner())?;
        let (declared, attributes) = read_attributes(start)?;
        let element = Element {
            parent,
            prefix: prefix.to_owned(),
            local: local.to_owned(),
            namespace: String::new(),
            attributes,
            declared,
            children: Vec::new(),
        };
        self.elements.push(element);
        if let Some(parent) = parent {
            self.elements[parent.0].children.push(Child::Element(id));
        }
        let bound = |prefix: &str| {
            let namespace = self.namespace_of(id, prefix).map(str::to_owned);
            match namespace {
                None if !prefix.is_empty() => Err(TreeError::UnboundPrefix(prefix.to_owned())),
                namespace => Ok(namespace.unwrap_or_default()),
            }
        };
        let namespace = bound(prefix)?;
        let prefixes = self.elements[id.0].attributes.iter().map(|attribute| attribute.prefix.as_str());
        // The default namespace is not that of attributes.
        let resolved = prefixes.map(|prefix| if prefix.is_empty() { Ok(String::new()) } else { bound(prefix) });
        let resolved = resolved.collect::<Result<Vec<String>, TreeError>>()?;
        let element = &mut self.elements[id.0];
        element.namespace = namespace;
        for (attribute, namespace) in element.attributes.iter_mut().zip(resolved) {
            attribute.namespace = namespace;
        }
        let twice = element.attributes.iter().enumerate().any(|(index, one)| {
            element.attributes[..index].iter().any(|other| one.namespace == other.namespace && one.local == other.local)
        });
        if twice { Err(TreeError::Malformed("an attribute stands twice".to_owned())) } else { Ok(id) }
    }

    fn append(&mut self, open: &[ElementId], text: &str) -> Result<(), TreeError> {
        let Some(current) = open.last() else {
            let blank = text.bytes().all(|byte| byte.is_ascii_whitespace());
            return if blank { Ok(()) } else { Err(TreeError::Malformed("text outside the root".to_owned())) };
        };
        let children = &mut self.elements[current.0].children;
        match children.last_mut() {
            Some(Child::Text(last)) => last.push_str(text),
            _ => children.push(Child::Text(text.to_owned())),
        }
        Ok(())
    }
}

fn split(name: &str) -> Result<(&str, &str), TreeError> {
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    if local.is_empty() || local.contains(':') || (prefix.is_empty() && name.contains(':')) || prefix == "xmlns" {
        return Err(TreeError::Malformed(format!("the name {name:?}")));
    }
    Ok((prefix, local))
}

type Read = (Vec<(String, String)>, Vec<Attribute>);

fn read_attributes(start: &BytesStart<'_>) -> Result<Read, TreeError> {
    let (mut declared, mut attributes) = (Vec::new(), Vec::new());
    let mut written = start.attributes();
    // The look for doubles here is by written names and quadratic; ours, by namespaces, is bounded.
    written.with_checks(false);
    for attribute in written {
        let attribute = attribute.map_err(|error| TreeError::Malformed(error.to_string()))?;
        if declared.len() + attributes.len() >= MAX_ATTRIBUTES {
            return Err(TreeError::TooLarge);
        }
        let key = attribute.key.into_inner();
        let value = decode_attribute(&attribute.value)?;
        let prefix = if key == "xmlns" { Some("") } else { key.strip_prefix("xmlns:") };
        match prefix {
            Some(prefix) => declare(prefix, value, &mut declared)?,
            None => {
                let (prefix, local) = split(key)?;
                let (prefix, local) = (prefix.to_owned(), local.to_owned());
                attributes.push(Attribute { prefix, local, namespace: String::new(), value });
            }
        }
    }
    Ok((declared, attributes))
}

fn declare(prefix: &str, uri: String, declared: &mut Vec<(String, String)>) -> Result<(), TreeError> {
    let reserved = prefix == "xml" || prefix == "xmlns" || uri == XML_NAMESPACE || uri == XMLNS_NAMESPACE;
    let unbinds = !prefix.is_empty() && uri.is_empty();
    if reserved || unbinds || prefix.contains(':') || declared.iter().any(|(known, _)| known == prefix) {
        return Err(TreeError::Malformed(format!("the declaration of {prefix:?}")));
    }
    declared.push((prefix.to_owned(), uri));
    Ok(())
}

/// Line ends as XML has them.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The five entities of XML, and characters by number. No others exist without a document type.
fn resolve(name: &str) -> Result<char, TreeError> {
    let number = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        },
        None => match name {
            "amp" => Some('&'.into()),
            "lt" => Some('<'.into()),
            "gt" => Some('>'.into()),
            "quot" => Some('"'.into()),
            "apos" => Some('\''.into()),
            _ => None,
        },
    };
    let allowed = |character: &char| matches!(character, '\t' | '\n' | '\r' | ' '..);
    let character = number.and_then(char::from_u32).filter(allowed);
    character.ok_or_else(|| TreeError::Malformed(format!("the reference &{name};")))
}

fn decode_text(raw: &str) -> Result<String, TreeError> {
    decode(&lines(raw), |character| character)
}

/// Blanks that are written as such become spaces; those written by number stay what they are.
fn decode_attribute(raw: &str) -> Result<String, TreeError> {
    if raw.contains('<') {
        return Err(TreeError::Malformed("a < in an attribute".to_owned()));
    }
    decode(&lines(raw), |character| if matches!(character, '\t' | '\n') { ' ' } else { character })
}

fn decode(raw: &str, normalize: impl Fn(char) -> char) -> Result<String, TreeError> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        text.extend(rest[..at].chars().map(&normalize));
        let end = rest[at..].find(';').ok_or_else(|| TreeError::Malformed("a lone &".to_owned()))?;
        text.push(resolve(&rest[at + 1..at + end])?);
        rest = &rest[at + end + 1..];
    }
    text.extend(rest.chars().map(&normalize));
    if text.chars().any(|character| character < ' ' && !matches!(character, '\t' | '\n' | '\r')) {
        return Err(TreeError::Malformed("a control character".to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dangerous_is_refused() {
        for (text, why) in [
            ("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "document type"),
            ("<a><?php echo ?></a>", "processing instruction"),
            ("<a>&unknown;</a>", "reference"),
            ("<a><b></a></b>", "well-formed"),
            ("<a/><b/>", "second root"),
            ("<p:a/>", "bound to no namespace"),
            ("<a x='1' x='2'/>", "twice"),
            ("<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>", "twice"),
            ("<a>&#0;</a>", "reference"),
            ("<a", "well-formed"),
            ("", "early"),
        ] {
            let error = Tree::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert_eq!(Tree::parse(&"<a>".repeat(10_000)).unwrap_err(), TreeError::TooLarge);
        assert_eq!(Tree::parse(&format!("<a>{}</a>", "<b/>".repeat(20_000))).unwrap_err(), TreeError::TooLarge);
    }

    #[test]
    fn a_comment_does_not_cut_a_text_short() {
        let tree = Tree::parse("<a>ann@example.com<!-- -->.evil.org</a>").unwrap();
        assert_eq!(tree.text(tree.root()), "ann@example.com.evil.org");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[<>/a-c='\" &;:x!\\[\\]?-]{0,120}") {
            let _ = Tree::parse(&text);
        }
    }
}
