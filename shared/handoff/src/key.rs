//! What decided the service of a connection's first request, and whether a later request was decided alike.

use http::request::Parts;

use crate::facts::RouteFacts;

/// How far the router had to look to decide. A later request has the same service for sure when it agrees with the
/// first in everything that was consulted up to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Depth {
    /// The signature's scope alone.
    Scope = 0,
    /// The target header, after a scope that did not decide.
    Target = 1,
    /// The host name.
    Host = 2,
    /// The first segment of the path, on this host.
    FirstSegment = 3,
    /// The whole path.
    Path = 4,
    /// The body, or something else that the next request does not share: every later request is routed anew.
    Once = 5,
}

impl Depth {
    fn from_byte(byte: u8) -> Option<Self> {
        [Depth::Scope, Depth::Target, Depth::Host, Depth::FirstSegment, Depth::Path, Depth::Once]
            .into_iter()
            .find(|depth| *depth as u8 == byte)
    }
}

/// What decided a connection's service: the facts of its first request, and how many of them were needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteKey {
    depth: Depth,
    reserved: bool,
    form: bool,
    scope: Option<Box<str>>,
    target: Option<Box<str>>,
    host: Box<str>,
    path: Box<str>,
}

impl RouteKey {
    pub fn new(facts: &RouteFacts<'_>, depth: Depth) -> Self {
        let path = match depth {
            Depth::FirstSegment => facts.first_segment(),
            Depth::Path | Depth::Once => facts.path,
            Depth::Scope | Depth::Target | Depth::Host => "",
        };
        RouteKey {
            depth,
            reserved: facts.reserved,
            form: facts.form,
            scope: facts.scope.map(Into::into),
            target: facts.target.map(Into::into),
            host: if depth >= Depth::Host { facts.host.into() } else { "".into() },
            path: path.into(),
        }
    }

    /// The narrowest key of a request, for callers that do not know what the router consulted.
    pub fn of_request(parts: &Parts) -> Self {
        let facts = RouteFacts::of_parts(parts);
        let depth = if facts.scope.is_some() {
            Depth::Scope
        } else if facts.target.is_some() {
            Depth::Target
        } else if facts.form {
            Depth::Once
        } else {
            Depth::Path
        };
        Self::new(&facts, depth)
    }

    pub fn depth(&self) -> Depth {
        self.depth
    }

    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Whether a later request on the connection, with these facts, surely belongs to the same service.
    pub fn covers(&self, later: &RouteFacts<'_>) -> bool {
        if self.reserved || later.reserved || self.depth == Depth::Once {
            return false;
        }
        if self.scope.as_deref() != later.scope {
            return false;
        }
        if self.depth == Depth::Scope {
            return true;
        }
        if self.target.as_deref() != later.target {
            return false;
        }
        if self.depth == Depth::Target {
            return true;
        }
        // A form may carry an Action of another service, and Actions are consulted before hosts.
        if later.form || later.query.contains("Action=") || !self.host.eq_ignore_ascii_case(later.host) {
            return false;
        }
        match self.depth {
            Depth::FirstSegment => *self.path == *later.first_segment(),
            Depth::Path => *self.path == *later.path,
            Depth::Scope | Depth::Target | Depth::Host | Depth::Once => true,
        }
    }

    /// [`RouteKey::covers`] for a request that hyper has parsed.
    pub fn covers_request(&self, later: &Parts) -> bool {
        self.covers(&RouteFacts::of_parts(later))
    }

    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        into.push(self.depth as u8);
        into.push(u8::from(self.reserved) | (u8::from(self.form) << 1));
        encode_text(self.scope.as_deref(), into);
        encode_text(self.target.as_deref(), into);
        encode_text(Some(&self.host), into);
        encode_text(Some(&self.path), into);
    }

    pub(crate) fn decode(from: &mut &[u8]) -> Option<Self> {
        let (&[depth, flags], rest) = from.split_first_chunk::<2>()?;
        *from = rest;
        Some(RouteKey {
            depth: Depth::from_byte(depth)?,
            reserved: flags & 1 != 0,
            form: flags & 2 != 0,
            scope: decode_text(from)?,
            target: decode_text(from)?,
            host: decode_text(from)??,
            path: decode_text(from)??,
        })
    }
}

/// Whether two requests surely belong to the same service; `first` decides how closely is looked.
pub fn same_service(first: &RouteKey, later: &RouteKey) -> bool {
    let path = &*later.path;
    first.covers(&RouteFacts {
        reserved: later.reserved,
        scope: later.scope.as_deref(),
        target: later.target.as_deref(),
        form: later.form,
        host: &later.host,
        path,
        query: "",
        method: "",
    })
}

/// An absent text is a length of `u16::MAX`; a present one is cut off below that, which only makes a key narrower.
fn encode_text(text: Option<&str>, into: &mut Vec<u8>) {
    const ABSENT: u16 = u16::MAX;
    let Some(text) = text else {
        into.extend_from_slice(&ABSENT.to_be_bytes());
        return;
    };
    let cut = text.floor_char_boundary(usize::from(ABSENT - 1));
    let length = u16::try_from(cut).unwrap_or(ABSENT - 1);
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(&text.as_bytes()[..cut]);
}

fn decode_text(from: &mut &[u8]) -> Option<Option<Box<str>>> {
    let (length, rest) = from.split_first_chunk::<2>()?;
    *from = rest;
    let length = u16::from_be_bytes(*length);
    if length == u16::MAX {
        return Some(None);
    }
    let (text, rest) = from.split_at_checked(usize::from(length))?;
    *from = rest;
    Some(Some(std::str::from_utf8(text).ok()?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: (&str, &[(&str, &str)]), depth: Depth, later: (&str, &[(&str, &str)]), same: bool) {
        let facts = |(target, headers): (&'static str, &'static [(&'static str, &'static str)])| {
            RouteFacts::of("GET", None, target, headers.iter().map(|(name, value)| (*name, value.as_bytes())))
        };
        // The tests' texts are literals; leaking keeps the helper's signature short.
        let leak = |(target, headers): (&str, &[(&str, &str)])| {
            let headers: Vec<(&'static str, &'static str)> =
                headers.iter().map(|(n, v)| (&*n.to_string().leak(), &*v.to_string().leak())).collect();
            (&*target.to_string().leak(), &*headers.leak())
        };
        let key = RouteKey::new(&facts(leak(first)), depth);
        assert_eq!(key.covers(&facts(leak(later))), same, "{first:?} {depth:?} {later:?}");
    }

    const SQS: (&str, &str) = ("authorization", "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/sqs/aws4_request, x");
    const S3: (&str, &str) = ("authorization", "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/s3/aws4_request, x");
    const HOST: (&str, &str) = ("host", "localhost:4566");

    #[test]
    fn a_scope_covers_every_path_and_host_of_its_own() {
        check(("/a", &[SQS, HOST]), Depth::Scope, ("/b", &[SQS, ("host", "x")]), true);
        check(("/a", &[SQS, HOST]), Depth::Scope, ("/a", &[S3, HOST]), false);
        check(("/a", &[SQS, HOST]), Depth::Scope, ("/a", &[HOST]), false);
        check(("/a", &[SQS, HOST]), Depth::Scope, ("/_fractus/health", &[SQS, HOST]), false);
    }

    #[test]
    fn a_host_covers_every_path_but_no_signature_and_no_form() {
        const BUCKET: (&str, &str) = ("host", "b.s3.localhost:4566");
        check(("/a", &[BUCKET]), Depth::Host, ("/b/c", &[BUCKET]), true);
        check(("/a", &[BUCKET]), Depth::Host, ("/b/c", &[HOST]), false);
        check(("/a", &[BUCKET]), Depth::Host, ("/b/c", &[BUCKET, SQS]), false);
        check(
            ("/a", &[BUCKET]),
            Depth::Host,
            ("/", &[BUCKET, ("content-type", "application/x-www-form-urlencoded")]),
            false,
        );
        check(("/a", &[BUCKET]), Depth::Host, ("/?Action=GetCallerIdentity", &[BUCKET]), false);
    }

    #[test]
    fn paths_and_bodies_cover_less() {
        check(("/bucket/a", &[HOST]), Depth::FirstSegment, ("/bucket/b", &[HOST]), true);
        check(("/bucket/a", &[HOST]), Depth::FirstSegment, ("/other/a", &[HOST]), false);
        check(("/model/x", &[HOST]), Depth::Path, ("/model/y", &[HOST]), false);
        check(("/", &[HOST]), Depth::Once, ("/", &[HOST]), false);
    }

    #[test]
    fn two_narrow_keys_compare_alike() {
        let parts = |path: &str, scope: (&str, &str)| {
            http::Request::builder().uri(path).header(scope.0, scope.1).body(()).unwrap().into_parts().0
        };
        let (first, second, foreign) = (parts("/1", SQS), parts("/2", SQS), parts("/1", S3));
        let key = RouteKey::of_request(&first);
        assert!(same_service(&key, &RouteKey::of_request(&second)) && key.covers_request(&second));
        assert!(!same_service(&key, &RouteKey::of_request(&foreign)) && !key.covers_request(&foreign));
    }

    proptest::proptest! {
        #[test]
        fn keys_survive_the_wire(scope in proptest::option::of(".{0,20}"), host in ".{0,40}", path in ".{0,300}", depth in 0u8..=5) {
            let facts = RouteFacts { reserved: false, scope: scope.as_deref(), target: None, form: true, host: &host, path: &path, query: "", method: "GET" };
            let key = RouteKey::new(&facts, Depth::from_byte(depth).unwrap());
            let mut bytes = Vec::new();
            key.encode(&mut bytes);
            let mut rest = bytes.as_slice();
            proptest::prop_assert_eq!(RouteKey::decode(&mut rest), Some(key));
            proptest::prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = RouteKey::decode(&mut bytes.as_slice());
        }
    }
}
