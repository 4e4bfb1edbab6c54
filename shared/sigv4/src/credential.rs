//! Reading who signed, for which region and service, without verifying: what the hot path needs to find its way.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::canonical::RequestView;

/// A signature scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `AWS4-HMAC-SHA256`.
    V4,
    /// `AWS4-ECDSA-P256-SHA256`.
    V4a,
    /// S3's first scheme, HMAC-SHA1.
    V2,
}

impl Scheme {
    /// The algorithm's name as requests carry it.
    pub const fn algorithm(self) -> &'static str {
        match self {
            Scheme::V4 => "AWS4-HMAC-SHA256",
            Scheme::V4a => "AWS4-ECDSA-P256-SHA256",
            Scheme::V2 => "AWS",
        }
    }

    pub(crate) fn of_algorithm(algorithm: &str) -> Option<Self> {
        [Scheme::V4, Scheme::V4a].into_iter().find(|scheme| scheme.algorithm() == algorithm)
    }
}

/// Where a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The `Authorization` header.
    Header,
    /// The query of a presigned URL.
    Query,
    /// The fields of a browser form.
    Form,
}

/// What a request says of its signer, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialScope<'a> {
    pub scheme: Scheme,
    pub place: Place,
    pub access_key: Cow<'a, str>,
    /// `YYYYMMDD`; empty for [`Scheme::V2`].
    pub date: &'a str,
    /// Empty for [`Scheme::V2`] and for a [`Scheme::V4a`] signature over several regions.
    pub region: &'a str,
    /// The signing name; `s3` for [`Scheme::V2`].
    pub service: &'a str,
    /// `aws4_request`; empty for [`Scheme::V2`].
    pub terminator: &'a str,
}

impl<'a> CredentialScope<'a> {
    /// Finds the signer in the `Authorization` header, else in the query. `None` where there is no readable one.
    pub fn of(request: &RequestView<'a>) -> Option<Self> {
        match request.header("authorization") {
            Some(authorization) => Self::of_authorization(authorization, request.header("x-amz-region-set")),
            None => Self::of_query(request.query),
        }
    }

    /// From the text of an `Authorization` header (and, for SigV4A, of `X-Amz-Region-Set`).
    pub fn of_authorization(authorization: &'a str, region_set: Option<&'a str>) -> Option<Self> {
        let (algorithm, rest) = authorization.trim_start().split_once(' ')?;
        if algorithm == Scheme::V2.algorithm() {
            let (access_key, _signature) = rest.trim().rsplit_once(':')?;
            return Some(Self::v2(Place::Header, access_key.into()));
        }
        let scheme = Scheme::of_algorithm(algorithm)?;
        let credential = rest.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
        Self::parse(scheme, Place::Header, credential, region_set)
    }

    /// From the query of a presigned URL.
    pub fn of_query(query: &'a str) -> Option<Self> {
        let value = |name| query_value(query, name);
        if let Some(credential) = value("X-Amz-Credential") {
            let scheme = value("X-Amz-Algorithm").and_then(Scheme::of_algorithm).unwrap_or(Scheme::V4);
            return Self::parse(scheme, Place::Query, credential, value("X-Amz-Region-Set"));
        }
        let access_key = value("AWSAccessKeyId").filter(|_| value("Signature").is_some())?;
        Some(Self::v2(Place::Query, percent_decode_str(access_key).decode_utf8_lossy()))
    }

    /// From `AKID/YYYYMMDD/region/service/aws4_request` (SigV4A's has no region); slashes may be percent-encoded.
    pub fn parse(scheme: Scheme, place: Place, credential: &'a str, region_set: Option<&'a str>) -> Option<Self> {
        let (rest, terminator) = rsplit_slash(credential)?;
        let (rest, service) = rsplit_slash(rest)?;
        let (rest, region) = match scheme {
            Scheme::V4a => (rest, region_set.filter(|set| !set.contains(['*', ',', '%'])).unwrap_or_default()),
            _ => rsplit_slash(rest)?,
        };
        let (access_key, date) = rsplit_slash(rest)?;
        let access_key = match place {
            Place::Query => percent_decode_str(access_key).decode_utf8_lossy(),
            _ => Cow::Borrowed(access_key),
        };
        Some(CredentialScope { scheme, place, access_key, date, region, service, terminator })
    }

    pub(crate) fn v2(place: Place, access_key: Cow<'a, str>) -> Self {
        CredentialScope { scheme: Scheme::V2, place, access_key, date: "", region: "", service: "s3", terminator: "" }
    }

    /// The scope as the string to sign holds it: everything but the access key.
    pub(crate) fn scope_text(&self) -> String {
        match self.scheme {
            Scheme::V4a => [self.date, self.service, self.terminator].join("/"),
            _ => [self.date, self.region, self.service, self.terminator].join("/"),
        }
    }
}

/// The raw (still encoded) value of a query parameter.
pub(crate) fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// At the last slash, bare or percent-encoded.
fn rsplit_slash(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    for at in (0..bytes.len()).rev() {
        match bytes[at..] {
            [b'/', ..] => return Some((&text[..at], &text[at + 1..])),
            [b'%', b'2', b'F' | b'f', ..] => return Some((&text[..at], &text[at + 3..])),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_form() {
        let header =
            "AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
        let scope = CredentialScope::of_authorization(header, None).unwrap();
        assert_eq!((scope.scheme, &*scope.access_key, scope.date), (Scheme::V4, "AK", "20130524"));
        assert_eq!((scope.region, scope.service, scope.terminator), ("us-east-1", "s3", "aws4_request"));
        assert!(matches!(scope.access_key, Cow::Borrowed(_)));

        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb%2F20130524%2feu-west-1/sqs%2Faws4_request";
        let scope = CredentialScope::of_query(query).unwrap();
        assert_eq!((&*scope.access_key, scope.region, scope.service), ("a/b", "eu-west-1", "sqs"));

        let header = "AWS4-ECDSA-P256-SHA256 Credential=AK/20130524/s3/aws4_request, SignedHeaders=host, Signature=x";
        let scope = CredentialScope::of_authorization(header, Some("us-west-2")).unwrap();
        assert_eq!((scope.scheme, scope.region, scope.service), (Scheme::V4a, "us-west-2", "s3"));
        assert_eq!(CredentialScope::of_authorization(header, Some("*")).unwrap().region, "");

        let scope = CredentialScope::of_authorization("AWS AK:c2ln", None).unwrap();
        assert_eq!((scope.scheme, &*scope.access_key, scope.service), (Scheme::V2, "AK", "s3"));
        let scope = CredentialScope::of_query("AWSAccessKeyId=AK&Signature=x&Expires=1").unwrap();
        assert_eq!((scope.scheme, scope.place), (Scheme::V2, Place::Query));

        for nothing in ["", "Bearer x", "AWS4-HMAC-SHA256 Signature=x", "AWS4-HMAC-SHA256 Credential=a/b/c"] {
            assert_eq!(CredentialScope::of_authorization(nothing, None), None, "{nothing}");
        }
        assert_eq!(CredentialScope::of_query("a=b"), None);
    }
}
