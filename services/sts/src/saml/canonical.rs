//! Exclusive XML Canonicalization 1.0, without comments: <https://www.w3.org/TR/xml-exc-c14n/>.

use super::tree::{Child, Element, ElementId, Tree};

/// What of a document is written.
pub struct Canonical<'t> {
    pub tree: &'t Tree,
    /// Left out with all that is in it: the signature that lies within what it signs.
    pub without: Option<ElementId>,
    /// The `PrefixList`: prefixes that are written where they are in scope, used or not. `#default` is the empty one.
    pub inclusive_prefixes: Vec<String>,
}

/// The namespaces that output ancestors have written already: prefix and URI.
type Rendered<'t> = Vec<(&'t str, &'t str)>;

impl<'t> Canonical<'t> {
    pub fn of(tree: &'t Tree) -> Self {
        Canonical { tree, without: None, inclusive_prefixes: Vec::new() }
    }

    /// The canonical form of an element and all that is in it.
    pub fn write(&self, apex: ElementId) -> String {
        let mut out = String::new();
        self.element(apex, &mut Vec::new(), &mut out);
        out
    }

    /// Recursion is as deep as the tree, whose depth is bounded.
    fn element(&self, id: ElementId, rendered: &mut Rendered<'t>, out: &mut String) {
        let element = self.tree.get(id);
        let before = rendered.len();
        out.push('<');
        name(element, out);
        for (prefix, uri) in self.namespaces(id, element, rendered) {
            match prefix {
                "" => out.push_str(" xmlns=\""),
                prefix => {
                    out.push_str(" xmlns:");
                    out.push_str(prefix);
                    out.push_str("=\"");
                }
            }
            escape_attribute(uri, out);
            out.push('"');
            rendered.push((prefix, uri));
        }
        let mut attributes: Vec<_> = element.attributes.iter().collect();
        attributes.sort_by(|one, other| (&one.namespace, &one.local).cmp(&(&other.namespace, &other.local)));
        for attribute in attributes {
            out.push(' ');
            if !attribute.prefix.is_empty() {
                out.push_str(&attribute.prefix);
                out.push(':');
            }
            out.push_str(&attribute.local);
            out.push_str("=\"");
            escape_attribute(&attribute.value, out);
            out.push('"');
        }
        out.push('>');
        for child in &element.children {
            match child {
                Child::Text(text) => escape_text(text, out),
                Child::Element(child) if Some(*child) == self.without => {}
                Child::Element(child) => self.element(*child, rendered, out),
            }
        }
        out.push_str("</");
        name(element, out);
        out.push('>');
        rendered.truncate(before);
    }

    /// The namespaces to be written here, sorted by prefix: those visibly used and those of the list, as far as no
    /// ancestor has written the same.
    fn namespaces(&self, id: ElementId, element: &'t Element, rendered: &Rendered<'t>) -> Vec<(&'t str, &'t str)> {
        let used = std::iter::once(element.prefix.as_str()).chain(
            element.attributes.iter().map(|attribute| attribute.prefix.as_str()).filter(|prefix| !prefix.is_empty()),
        );
        let mut wanted: Vec<(&str, &str)> =
            used.map(|prefix| (prefix, self.tree.namespace_of(id, prefix).unwrap_or_default())).collect();
        for prefix in &self.inclusive_prefixes {
            let prefix = if prefix == "#default" { "" } else { prefix.as_str() };
            if let Some((prefix, uri)) = self.in_scope(id, prefix) {
                wanted.push((prefix, uri));
            }
        }
        wanted.retain(|(prefix, uri)| {
            let last = rendered.iter().rev().find(|(known, _)| known == prefix).map(|(_, uri)| *uri);
            // Without a default namespace nothing is written, unless an ancestor has written one.
            let unchanged = last.unwrap_or("") == *uri && (last.is_some() || prefix.is_empty());
            *prefix != "xml" && !unchanged
        });
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// A prefix as the document writes it, and what it stands for here.
    fn in_scope(&self, at: ElementId, prefix: &str) -> Option<(&'t str, &'t str)> {
        let mut next = Some(at);
        while let Some(id) = next {
            let element = self.tree.get(id);
            if let Some((prefix, uri)) = element.declared.iter().find(|(declared, _)| declared == prefix) {
                return Some((prefix, uri));
            }
            next = element.parent;
        }
        None
    }
}

fn name(element: &Element, out: &mut String) {
    if !element.prefix.is_empty() {
        out.push_str(&element.prefix);
        out.push(':');
    }
    out.push_str(&element.local);
}

fn escape_text(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}

fn escape_attribute(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str, path: &[&str], prefixes: &[&str]) -> String {
        let tree = Tree::parse(text).unwrap();
        let mut at = tree.root();
        for local in path {
            at = tree.ids().find(|id| tree.get(*id).parent == Some(at) && tree.get(*id).local == *local).unwrap();
        }
        let inclusive_prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        Canonical { tree: &tree, without: None, inclusive_prefixes }.write(at)
    }

    /// The examples of section 2.2 of the recommendation.
    #[test]
    fn only_what_is_used_is_written() {
        let first = r#"<n0:local xmlns:n0="foo:bar" xmlns:n3="ftp://example.org"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2></n0:local>"#;
        let second = r#"<n2:pdu xmlns:n1="http://example.com" xmlns:n2="http://foo.example" xml:lang="fr" xml:space="retain"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2></n2:pdu>"#;
        let expected = r#"<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>"#;
        assert_eq!(canonical(first, &["elem2"], &[]), expected);
        assert_eq!(canonical(second, &["elem2"], &[]), expected);
    }

    #[test]
    fn the_prefix_list_is_written_where_it_is_in_scope() {
        let text = r#"<a xmlns="urn:d" xmlns:xs="urn:xs" xmlns:z="urn:z"><b type="xs:string"/></a>"#;
        assert_eq!(canonical(text, &["b"], &["xs"]), r#"<b xmlns="urn:d" xmlns:xs="urn:xs" type="xs:string"></b>"#);
        assert_eq!(canonical(text, &["b"], &[]), r#"<b xmlns="urn:d" type="xs:string"></b>"#);
    }

    #[test]
    fn a_default_namespace_that_ends_is_said() {
        let text = r#"<a xmlns="urn:d"><b xmlns=""><c/></b></a>"#;
        assert_eq!(canonical(text, &[], &[]), r#"<a xmlns="urn:d"><b xmlns=""><c></c></b></a>"#);
        assert_eq!(canonical(text, &["b"], &[]), "<b><c></c></b>");
    }

    #[test]
    fn order_and_escapes_are_canonical() {
        let text = "<a z='1' xmlns:q='urn:q' q:b='2' a='x&#10;&quot;\ty' xmlns:p='urn:p' p:c='3'>&gt;&#13;<![CDATA[<&]]><!-- no -->\r\n</a>";
        let expected = "<a xmlns:p=\"urn:p\" xmlns:q=\"urn:q\" a=\"x&#xA;&quot; y\" z=\"1\" p:c=\"3\" q:b=\"2\">&gt;&#xD;&lt;&amp;\n</a>";
        assert_eq!(canonical(text, &[], &[]), expected);
    }

    proptest::proptest! {
        #[test]
        fn what_is_canonical_stays_as_it_is(text in "[<>/ab='\" x&;#0-9:\n]{0,20}", value in "[ -~\n\t]{0,20}") {
            let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;");
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace("]]>", "");
            let document = format!("<r xmlns:p='urn:p' p:v='{value}'><p:c xmlns='urn:d' w='{value}'>{text}<d/></p:c></r>");
            let once = Canonical::of(&Tree::parse(&document).unwrap()).write(ElementId::ROOT);
            let twice = Canonical::of(&Tree::parse(&once).unwrap()).write(ElementId::ROOT);
            proptest::prop_assert_eq!(once, twice);
        }
    }
}
