//! The parts of a request's head that can decide its service.

use http::request::Parts;
use memchr::memmem;

/// What of a request's head can decide its service, borrowed from the head; reading it allocates nothing.
///
/// The parts stand in the order in which they are consulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteFacts<'a> {
    /// The stack's own paths (`/_fractus/…`, `/_localstack/…`), which the router answers for all services.
    pub reserved: bool,
    /// The service in the signature's scope: header or presigned.
    pub scope: Option<&'a str>,
    /// `X-Amz-Target` up to its last dot.
    pub target: Option<&'a str>,
    /// A form body, in which an Action may stand that the head does not show.
    pub form: bool,
    /// The host as the caller wrote it, without the port.
    pub host: &'a str,
    /// The path as the caller wrote it, without the query.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: &'a str,
    pub method: &'a str,
}

impl<'a> RouteFacts<'a> {
    /// Reads the facts of a head. `path_and_query` is the request target in origin form; `authority` is that of an
    /// absolute target (HTTP/2, or a client that takes us for a proxy) and wins over the Host header, as RFC 9112 has it.
    pub fn of(
        method: &'a str,
        authority: Option<&'a str>,
        path_and_query: &'a str,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let mut facts = RouteFacts {
            reserved: is_reserved(path),
            scope: None,
            target: None,
            form: false,
            host: authority.map_or("", without_port),
            path,
            query,
            method,
        };
        for (name, value) in headers {
            facts.read_header(name, value, authority.is_some());
        }
        if facts.scope.is_none() {
            facts.scope = scope_of_query(query);
        }
        facts
    }

    /// The facts of a request that hyper has parsed.
    pub fn of_parts(parts: &'a Parts) -> Self {
        let path_and_query = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        Self::of(
            parts.method.as_str(),
            parts.uri.authority().map(|authority| authority.as_str()),
            path_and_query,
            headers,
        )
    }

    /// The first segment of the path: the bucket of a path-style request, an account, a stage.
    pub fn first_segment(&self) -> &'a str {
        self.path.trim_start_matches('/').split('/').next().unwrap_or("")
    }

    fn read_header(&mut self, name: &str, value: &'a [u8], host_known: bool) {
        // The length sorts out nearly every header before a byte of it is compared.
        match name.len() {
            4 if !host_known && name.eq_ignore_ascii_case("host") => {
                self.host = std::str::from_utf8(value).map_or("", without_port);
            }
            12 if name.eq_ignore_ascii_case("x-amz-target") => {
                let text = std::str::from_utf8(value).unwrap_or("").trim();
                self.target = text.rsplit_once('.').map(|(prefix, _)| prefix);
            }
            12 if name.eq_ignore_ascii_case("content-type") => {
                self.form = starts_with_ignore_case(value, b"application/x-www-form-urlencoded");
            }
            13 if name.eq_ignore_ascii_case("authorization") => {
                self.scope = scope_of_authorization(value);
            }
            _ => {}
        }
    }
}

/// Whether the path is one of the stack's own. They belong to the router on every connection, also on one that a
/// service holds.
pub fn is_reserved(path: &str) -> bool {
    ["/_fractus", "/_localstack"]
        .iter()
        .any(|own| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn without_port(authority: &str) -> &str {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host).trim();
    match authority.rsplit_once(':') {
        // An IPv6 address has colons of its own; only what follows its bracket is a port.
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

fn starts_with_ignore_case(value: &[u8], start: &[u8]) -> bool {
    value.len() >= start.len() && value[..start.len()].eq_ignore_ascii_case(start)
}

/// `AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sqs/aws4_request, SignedHeaders=…`; SigV4A's scope has no
/// region, so the service is counted from the end.
fn scope_of_authorization(value: &[u8]) -> Option<&str> {
    if !value.starts_with(b"AWS4-") {
        return None;
    }
    let start = memmem::find(value, b"Credential=")? + "Credential=".len();
    let rest = &value[start..];
    let end = memchr::memchr2(b',', b' ', rest).unwrap_or(rest.len());
    service_of_scope(std::str::from_utf8(&rest[..end]).ok()?, "/")
}

fn scope_of_query(query: &str) -> Option<&str> {
    let parameter = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.eq_ignore_ascii_case("X-Amz-Credential").then_some(value)
    })?;
    if parameter.contains('/') {
        return service_of_scope(parameter, "/");
    }
    let separator = if memmem::find(parameter.as_bytes(), b"%2F").is_some() { "%2F" } else { "%2f" };
    service_of_scope(parameter, separator)
}

fn service_of_scope<'a>(credential: &'a str, separator: &str) -> Option<&'a str> {
    let mut parts = credential.rsplit(separator);
    let terminator = parts.next()?;
    let service = parts.next()?;
    (terminator == "aws4_request" && !service.is_empty()).then_some(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts<'a>(target: &'a str, headers: &[(&'a str, &'a str)]) -> RouteFacts<'a> {
        RouteFacts::of("GET", None, target, headers.iter().map(|(name, value)| (*name, value.as_bytes())))
    }

    #[test]
    fn the_scope_is_read_from_the_authorization_header() {
        let header =
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0";
        assert_eq!(facts("/", &[("Authorization", header)]).scope, Some("sqs"));
        let unspaced =
            "AWS4-HMAC-SHA256 Credential=a/b/20260101/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=0";
        assert_eq!(facts("/", &[("authorization", unspaced)]).scope, Some("s3"));
        let v4a = "AWS4-ECDSA-P256-SHA256 Credential=AKID/20260101/s3/aws4_request, SignedHeaders=host, Signature=0";
        assert_eq!(facts("/", &[("authorization", v4a)]).scope, Some("s3"));
    }

    #[test]
    fn the_scope_is_read_from_a_presigned_query() {
        let encoded =
            "/b/k?X-Amz-Algorithm=A&X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=1";
        assert_eq!(facts(encoded, &[]).scope, Some("s3"));
        assert_eq!(facts(&encoded.replace("%2F", "%2f"), &[]).scope, Some("s3"));
        assert_eq!(facts(&encoded.replace("%2F", "/"), &[]).scope, Some("s3"));
    }

    #[test]
    fn what_is_no_scope_is_none() {
        for header in
            ["AWS AKID:signature", "Bearer x", "AWS4-HMAC-SHA256 Credential=", "AWS4-HMAC-SHA256 Credential=a/b/c", ""]
        {
            assert_eq!(facts("/?X-Amz-Credential=", &[("Authorization", header)]).scope, None, "{header}");
        }
    }

    #[test]
    fn host_target_form_and_segment_are_read() {
        let facts = facts(
            "/000000000000/q?a=b",
            &[
                ("Host", "sqs.us-east-1.localhost:4566"),
                ("X-Amz-Target", "DynamoDB_20120810.PutItem"),
                ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ],
        );
        assert_eq!(facts.host, "sqs.us-east-1.localhost");
        assert_eq!(facts.target, Some("DynamoDB_20120810"));
        assert!(facts.form);
        assert_eq!(facts.first_segment(), "000000000000");
        assert_eq!(facts.query, "a=b");
    }

    #[test]
    fn ports_are_cut_from_every_form_of_host() {
        for (written, host) in [
            ("localhost:4566", "localhost"),
            ("[::1]:4566", "[::1]"),
            ("[::1]", "[::1]"),
            ("b.s3.localhost", "b.s3.localhost"),
        ] {
            assert_eq!(facts("/", &[("host", written)]).host, host);
        }
    }

    #[test]
    fn only_whole_segments_are_reserved() {
        assert!(is_reserved("/_fractus/health") && is_reserved("/_localstack") && is_reserved("/_localstack/init"));
        assert!(!is_reserved("/_fractusx/y") && !is_reserved("/b/_fractus/health"));
    }

    proptest::proptest! {
        #[test]
        fn no_head_panics(target in ".*", name in "(?i)authorization|x-amz-target|host|content-type", value in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = RouteFacts::of("GET", None, &target, std::iter::once((name.as_str(), value.as_slice())));
        }

        #[test]
        fn no_authorization_panics(tail in ".*") {
            let value = format!("AWS4-HMAC-SHA256 Credential={tail}");
            let _ = RouteFacts::of("GET", None, "/", std::iter::once(("authorization", value.as_bytes())));
        }
    }
}
