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
        // Hardly two headers of a request agree in both.
        sent.len() == length && sent.as_bytes()[length - 1] == last && sent.eq_ignore_ascii_case(name)
    };
    headers.iter().find(|(sent, _)| is_meant(sent.as_str())).map(|(_, value)| value)
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
            let name: http::HeaderName = format!("x-other-{number}").parse().unwrap();
            headers.append(name, HeaderValue::from_static("other"));
        }
    }
}
