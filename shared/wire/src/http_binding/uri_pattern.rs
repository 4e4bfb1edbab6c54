//! The model's URI patterns, taken apart: `/{Bucket}/{Key+}?uploads`.

/// One piece of the path between slashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(&'static str),
    Label(&'static str),
    /// `{Key+}`: the rest of the path, slashes included.
    Greedy(&'static str),
}

/// A pattern of path and fixed query parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UriPattern {
    pub segments: Vec<Segment>,
    /// `uploads`, or `list-type` with `2`.
    pub query: Vec<(&'static str, Option<&'static str>)>,
    /// The operation's name as `x-id` gives it; a hint, never required.
    pub x_id: Option<&'static str>,
    /// The path of the pattern ends in a slash that clients send.
    pub trailing_slash: bool,
}

impl UriPattern {
    pub fn parse(uri: &'static str) -> Self {
        let uri = uri.split_once('#').map_or(uri, |(before, _)| before);
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let segments = path.split('/').filter(|segment| !segment.is_empty()).map(segment).collect();
        let mut fixed = Vec::new();
        let mut x_id = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("x-id", value)) => x_id = Some(value),
                Some((name, value)) if !value.is_empty() => fixed.push((name, Some(value))),
                Some((name, _)) => fixed.push((name, None)),
                None => fixed.push((pair, None)),
            }
        }
        UriPattern { segments, query: fixed, x_id, trailing_slash: path.len() > 1 && path.ends_with('/') }
    }
}

fn segment(text: &'static str) -> Segment {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        None => Segment::Literal(text),
        Some(label) => label.strip_suffix('+').map_or(Segment::Label(label), Segment::Greedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_patterns_apart() {
        let pattern = UriPattern::parse("/{Bucket}/{Key+}?uploadId&list-type=2&x-id=GetObject");
        assert_eq!(pattern.segments, [Segment::Label("Bucket"), Segment::Greedy("Key")]);
        assert_eq!(pattern.query, [("uploadId", None), ("list-type", Some("2"))]);
        assert_eq!(pattern.x_id, Some("GetObject"));
        assert!(!pattern.trailing_slash);
        let pattern = UriPattern::parse("/2015-03-31/functions/");
        assert_eq!(pattern.segments, [Segment::Literal("2015-03-31"), Segment::Literal("functions")]);
        assert!(pattern.trailing_slash);
        assert!(UriPattern::parse("/").segments.is_empty());
    }
}
