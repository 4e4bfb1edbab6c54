//! Finding headers by names that are at hand as text alone.

use http::{HeaderMap, HeaderValue};

/// With more headers than so many, hashing the name is cheaper than looking through them.
const FEW: usize = 24;

/// The first header of this name. A request has few headers, and most names that are asked for are not among them: looking
/// at each costs a fraction of what it takes to check, shorten and hash a name that `http` does not know by itself.
pub fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h HeaderValue> {
    if headers.len() > FEW {
        return headers.get(name);
    }
    let (length, last) = (name.len(), name.as_bytes().last()?.to_ascii_lowercase());
    let is_meant = |sent: &str| {
        // Hardly two headers of a request agree in both. Those that were sent are in small letters, most that are asked for too.
        sent.len() == length && sent.as_bytes()[length - 1] == last && (sent == name || sent.eq_ignore_ascii_case(name))
    };
    headers.iter().find(|(sent, _)| is_meant(sent.as_str())).map(|(_, value)| value)
}

/// A mark for each header that was sent. Shapes bind dozens of headers, and a request's are asked for by many names: one look
/// at the marks passes over most that it does not have.
#[derive(Clone, Copy, Debug)]
pub struct HeaderMarks([u64; 4]);

impl HeaderMarks {
    /// Any header may be there.
    pub const ALL: HeaderMarks = HeaderMarks([u64::MAX; 4]);

    pub fn of(headers: &HeaderMap) -> Self {
        let mut marks = [0; 4];
        for name in headers.keys() {
            let place = mark_of(name.as_str());
            marks[usize::from(place >> 6)] |= 1 << (place & 63);
        }
        HeaderMarks(marks)
    }

    /// The first header of this name.
    pub fn find<'h>(&self, headers: &'h HeaderMap, name: &str) -> Option<&'h HeaderValue> {
        if self.may_have(mark_of(name)) { header(headers, name) } else { None }
    }

    pub(crate) fn may_have(&self, mark: u8) -> bool {
        self.0[usize::from(mark >> 6)] & 1 << (mark & 63) != 0
    }
}

/// Made of the length and the last letter, in which hardly two headers of a request or a shape agree.
pub(crate) const fn mark_of(name: &str) -> u8 {
    match name.as_bytes() {
        [.., last] => (name.len() as u8).wrapping_mul(5).wrapping_add(last.to_ascii_lowercase()),
        [] => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_headers_give_the_same() {
        let mut headers = HeaderMap::new();
        headers.append("x-amz-meta-a", HeaderValue::from_static("first"));
        headers.append("x-amz-meta-a", HeaderValue::from_static("second"));
        for number in 0..2 * FEW {
            assert_eq!(header(&headers, "X-Amz-Meta-A"), Some(&HeaderValue::from_static("first")));
            assert_eq!(header(&headers, "x-amz-meta-b"), None);
            assert_eq!(header(&headers, "no header"), None);
            for marks in [HeaderMarks::of(&headers), HeaderMarks::ALL] {
                assert_eq!(marks.find(&headers, "X-Amz-Meta-A"), Some(&HeaderValue::from_static("first")));
                assert_eq!(marks.find(&headers, "x-amz-meta-b"), None);
                assert_eq!(marks.find(&headers, ""), None);
            }
            let name: http::HeaderName = format!("x-other-{number}").parse().unwrap();
            headers.append(name, HeaderValue::from_static("other"));
        }
    }
}
