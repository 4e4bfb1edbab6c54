//! How a request names its bucket: in the path, or as part of the host.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>

use std::collections::HashMap;
use std::sync::OnceLock;

use fractus_s3_api as api;
use fractus_wire::Failure;
use http::{Method, Uri};

/// Base names that stand for S3 itself; what stands before them is a bucket. `*` stands for a region.
const BASES: [&[&str]; 14] = [
    &["s3-object-lambda", "*", "amazonaws", "com"],
    &["s3-object-lambda", "*", "localhost"],
    &["s3-object-lambda", "localhost"],
    &["s3", "*", "localhost", "localstack", "cloud"],
    &["s3", "localhost", "localstack", "cloud"],
    &["s3", "dualstack", "*", "amazonaws", "com"],
    &["s3", "*", "amazonaws", "com"],
    &["s3", "amazonaws", "com"],
    &["s3-accelerate", "dualstack", "amazonaws", "com"],
    &["s3-accelerate", "amazonaws", "com"],
    &["s3-accelerate", "localhost"],
    &["s3", "*", "localhost"],
    &["s3", "localhost"],
    &["localhost"],
];

/// What the bases end with.
const LAST_LABELS: [&str; 3] = ["localhost", "com", "cloud"];

fn ends_with_ignore_case(host: &str, end: &str) -> bool {
    let at = host.len().checked_sub(end.len());
    at.is_some_and(|at| host.as_bytes()[at..].eq_ignore_ascii_case(end.as_bytes()))
}

/// The bucket that a host name carries: `b.s3.localhost`, `b.s3.eu-west-1.localhost`, `b.localhost`,
/// `b.s3.amazonaws.com` ... `None` where the bucket stands in the path. `host` is without its port.
pub fn bucket_of_host(host: &str) -> Option<&str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    // Directory buckets have hosts of their zone: `b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com`.
    // Their names have no dots.
    if let Some((bucket, rest)) = host.split_once('.')
        && rest.starts_with("s3express-")
    {
        return Some(bucket);
    }
    // Of an address, or of any other name, no base is the end.
    if !LAST_LABELS.iter().any(|last| ends_with_ignore_case(host, last)) {
        return None;
    }
    BASES.iter().find_map(|base| {
        let rest = strip_base(host, base)?;
        // A path-style host is the base alone; a bare `s3.localhost` must not become bucket `s3` of `localhost`.
        let is_base = matches!(rest, "s3" | "s3-accelerate" | "s3-object-lambda")
            || rest.starts_with("s3.")
            || rest.starts_with("s3-object-lambda.")
            || rest.starts_with("s3express-");
        Some((!rest.is_empty() && !is_base).then_some(rest))
    })?
}

/// The region that a host of S3's own names, whatever stands before it: `s3.eu-west-1.localhost`.
pub fn region_of_host(host: &str) -> Option<&str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    BASES.iter().find_map(|base| {
        let behind = base.iter().rev().position(|label| *label == "*")?;
        strip_base(host, base)?;
        host.rsplit('.').nth(behind)
    })
}

/// The bucket of a website's host: `b.s3-website-us-east-1.amazonaws.com`, `b.s3-website.eu-central-1.amazonaws.com`,
/// `b.s3-website.localhost` ... `host` is without its port.
///
/// <https://docs.aws.amazon.com/general/latest/gr/s3.html#s3_website_region_endpoints>
pub fn website_bucket(host: &str) -> Option<&str> {
    const SUFFIXES: [&str; 3] = [".localhost.localstack.cloud", ".amazonaws.com", ".localhost"];
    let host = host.strip_suffix('.').unwrap_or(host);
    let before = SUFFIXES.iter().find_map(|suffix| host.strip_suffix(suffix))?;
    let (labels, last) = before.rsplit_once('.')?;
    if last == "s3-website" || last.strip_prefix("s3-website-").is_some_and(is_region) {
        return Some(labels);
    }
    labels.strip_suffix(".s3-website").filter(|bucket| !bucket.is_empty() && is_region(last))
}

/// What stands before `base` at the end of `host`; empty if nothing does.
fn strip_base<'h>(host: &'h str, base: &[&str]) -> Option<&'h str> {
    let mut rest = Some(host);
    for label in base.iter().rev() {
        let current = rest?;
        let (before, last) = match current.rsplit_once('.') {
            Some((before, last)) => (Some(before), last),
            None => (None, current),
        };
        let matches = match *label {
            "*" => is_region(last),
            label => last.eq_ignore_ascii_case(label),
        };
        if !matches {
            return None;
        }
        rest = before;
    }
    Some(rest.unwrap_or_default())
}

fn is_region(label: &str) -> bool {
    label.matches('-').count() >= 2
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && label.ends_with(|last: char| last.is_ascii_digit())
}

/// What a request may ask for beside the bucket or the object itself: the parameters without a value (`?policy`) in
/// the model's paths, with method and whether it is of an object.
type Subresources = HashMap<&'static str, Vec<(&'static str, bool)>>;

fn subresources() -> &'static Subresources {
    static KNOWN: OnceLock<Subresources> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known = Subresources::new();
        for operation in api::MODEL.operations {
            let (path, query) = operation.http.uri.split_once('?').unwrap_or((operation.http.uri, ""));
            for name in query.split('&').filter(|name| !name.is_empty() && !name.contains('=')) {
                known.entry(name).or_default().push((operation.http.method, path.contains("{Key+}")));
            }
        }
        known
    })
}

/// Whether a parameter asks for a part of a bucket or object.
pub fn is_subresource(name: &str) -> bool {
    subresources().contains_key(name)
}

/// Parameters without a value that are none of the model's; signers and browsers add none of the kind.
fn is_stray(name: &str, value: Option<&str>) -> bool {
    value.is_none() && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
}

/// A request for a part of a bucket or object that there is not, or not by this method. It must never be taken for one
/// for the whole: `DELETE /bucket?location` does not delete the bucket.
pub fn unknown_subresource(method: &Method, uri: &Uri) -> Option<Failure> {
    let query = uri.query().unwrap_or_default();
    if query.is_empty() && method != Method::POST {
        return None;
    }
    let of_object = !split(uri.path()).1.is_empty();
    let changes = method == Method::PUT || method == Method::DELETE || method == Method::POST;
    let refuse = || {
        let resource = if of_object { "OBJECT" } else { "BUCKET" };
        let message = "The specified method is not allowed against this resource.";
        let failure = Failure::new("MethodNotAllowed", 405, message);
        failure.with_detail("Method", method.to_string()).with_detail("ResourceType", resource)
    };
    // What is posted to an object is of an upload, or about a part of it.
    let is_of_upload =
        |pair: &str| pair.starts_with("uploadId=") || is_subresource(pair.split('=').next().unwrap_or(pair));
    if method == Method::POST && of_object && !query.split('&').any(is_of_upload) {
        return Some(refuse());
    }
    query.split('&').find_map(|pair| {
        let (name, value) = match pair.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        };
        let bare = value.is_none_or(str::is_empty);
        match subresources().get(name) {
            Some(known) if bare => {
                let is_known =
                    known.iter().any(|(by, object)| *object == of_object && method.as_str().eq_ignore_ascii_case(by));
                (!is_known).then(refuse)
            }
            Some(_) => None,
            None => (changes && is_stray(name, value)).then(refuse),
        }
    })
}

/// An ARN of a point in the place of a bucket, whose slashes belong to it: `/arn:...:accesspoint/name/key`,
/// `/arn:...:outpost/id/accesspoint/name/key`.
pub fn arn_in_path(path_and_query: &str) -> Option<String> {
    const POINTS: [(&str, usize); 4] =
        [(":accesspoint/", 1), ("%3Aaccesspoint/", 1), (":outpost/", 3), ("%3Aoutpost/", 3)];
    let rest = path_and_query.strip_prefix("/arn")?;
    let (at, mark, slashes) = POINTS.iter().find_map(|(mark, slashes)| Some((rest.find(mark)?, mark, *slashes)))?;
    // Not in a key.
    if rest[..at].contains('/') {
        return None;
    }
    let (before, after) = rest.split_at(at + mark.len() - 1);
    Some(format!("/arn{before}{}", after.replacen('/', "%2F", slashes)))
}

/// Parameters of presigned URLs that are no headers: those of the signature, and digests of a body that was not there when
/// the URL was signed, which S3 passes over.
const NO_HEADERS: [&str; 12] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "x-amz-s3session-token",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer",
    "x-amz-decoded-content-length",
];

/// What a presigned URL says in place of headers becomes headers: `x-amz-tagging=a%3Db`. Signers put every `x-amz-` header
/// that they are given among the parameters.
pub fn take_in_headers(head: &mut http::request::Parts) {
    let Some(query) = head.uri.query() else { return };
    if !query.contains("X-Amz-Signature=") && !query.contains("AWSAccessKeyId=") {
        return;
    }
    let decode =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).ok();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let name = name.to_ascii_lowercase();
        if !name.starts_with("x-amz-") || name.starts_with("x-amz-checksum-") || NO_HEADERS.contains(&name.as_str()) {
            continue;
        }
        let value = decode(value).and_then(|value| http::HeaderValue::from_str(&value).ok());
        if let (Some(value), Ok(name)) = (value, http::HeaderName::try_from(name)) {
            head.headers.entry(name).or_insert(value);
        }
    }
}

/// A path's bucket and its key, both empty where they are not there, and as they came.
pub fn split(path: &str) -> (&str, &str) {
    segment(&path[path.bytes().position(|byte| byte != b'/').unwrap_or(path.len())..])
}

/// What stands before a path's first slash, and what behind it. Byte by byte: every request's path is taken apart, and names
/// are too short for a search that has to be set up.
pub fn segment(path: &str) -> (&str, &str) {
    match path.bytes().position(|byte| byte == b'/') {
        Some(end) => (&path[..end], &path[end + 1..]),
        None => (path, ""),
    }
}

/// Whether a host is an address, or one label alone: no bucket's and no access point's.
pub fn names_nothing(host: &str) -> bool {
    match host.bytes().rposition(|byte| byte == b'.') {
        None => true,
        Some(dot) => dot + 1 < host.len() && host.as_bytes()[dot + 1..].iter().all(u8::is_ascii_digit),
    }
}

/// Whether a query has a parameter of this name, with or without a value.
pub fn names_parameter(query: &str, wanted: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some(wanted))
}

/// A path-style URI for a bucket that came in the host: `/key?query` becomes `/bucket/key?query`.
pub fn into_path(bucket: &str, path_and_query: &str) -> String {
    format!("/{bucket}{path_and_query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_a_bucket_and_a_key() {
        for (path, parts) in [
            ("", ("", "")),
            ("/", ("", "")),
            ("/b", ("b", "")),
            ("/b/", ("b", "")),
            ("//b/k", ("b", "k")),
            ("/b//k/é", ("b", "/k/é")),
        ] {
            assert_eq!(split(path), parts, "{path}");
        }
    }

    #[test]
    fn addresses_and_lone_labels_name_nothing() {
        for host in ["localhost", "127.0.0.1", "[::1]", "s3", ""] {
            assert!(names_nothing(host), "{host}");
        }
        for host in ["b.localhost", "localhost.", "1.b", "[::ffff:127.0.0.1]"] {
            assert!(!names_nothing(host), "{host}");
        }
    }

    #[test]
    fn hosts_may_name_a_region() {
        assert_eq!(region_of_host("s3.eu-west-1.localhost"), Some("eu-west-1"));
        assert_eq!(region_of_host("b.c.s3.dualstack.us-west-2.amazonaws.com"), Some("us-west-2"));
        assert_eq!(region_of_host("b.s3.ap-southeast-2.localhost.localstack.cloud"), Some("ap-southeast-2"));
        for none in ["localhost", "s3.localhost", "b.s3.amazonaws.com", "127.0.0.1", "eu-west-1.example.com"] {
            assert_eq!(region_of_host(none), None, "{none}");
        }
    }

    #[test]
    fn websites_in_hosts() {
        for (host, bucket) in [
            ("b.s3-website-us-east-1.amazonaws.com", Some("b")),
            ("b.s3-website.eu-central-1.amazonaws.com", Some("b")),
            ("www.example.com.s3-website.localhost", Some("www.example.com")),
            ("b.s3-website.us-east-1.localhost", Some("b")),
            ("b.s3-website.localhost.localstack.cloud", Some("b")),
            ("b.s3.localhost", None),
            ("s3-website.localhost", None),
            ("localhost", None),
        ] {
            assert_eq!(website_bucket(host), bucket, "{host}");
        }
    }

    #[test]
    fn a_part_that_there_is_not_is_not_the_whole() {
        let refused = |method: Method, uri: &str| unknown_subresource(&method, &uri.parse().unwrap()).is_some();
        for (method, uri) in [
            (Method::DELETE, "/b?location"),
            (Method::DELETE, "/b?policyStatus="),
            (Method::PUT, "/b?uploads"),
            (Method::DELETE, "/b?nothing"),
            (Method::PUT, "/b/k?nothing"),
            (Method::DELETE, "/b/k?policy"),
            (Method::POST, "/b/k"),
            (Method::POST, "/b/k?x-id=CompleteMultipartUpload"),
        ] {
            assert!(refused(method.clone(), uri), "{method} {uri}");
        }
        for (method, uri) in [
            (Method::DELETE, "/b?policy"),
            (Method::GET, "/b?location"),
            (Method::GET, "/b?anything"),
            (Method::PUT, "/b/k?x-id=PutObject"),
            (Method::POST, "/b/k?uploads="),
            (Method::POST, "/b/k?uploadId=u"),
            (Method::POST, "/b/k?select&select-type=2"),
            (Method::PUT, "/b/k?tagging&versionId=1"),
            (Method::PUT, "/b/k?partNumber=1&uploadId=x"),
            (Method::GET, "/b?list-type=2&delimiter=/"),
            (Method::GET, "/b?versions&prefix="),
        ] {
            assert!(!refused(method.clone(), uri), "{method} {uri}");
        }
    }

    #[test]
    fn presigned_urls_say_headers() {
        let taken = |uri: &str| {
            let (mut head, ()) =
                http::Request::builder().uri(uri).header("x-amz-acl", "own").body(()).unwrap().into_parts();
            take_in_headers(&mut head);
            let read = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (read("x-amz-tagging"), read("x-amz-acl"), read("x-amz-checksum-crc32"), read("x-amz-date"))
        };
        let said = "/b/k?X-Amz-Date=1&x-amz-tagging=a%3Db%26c&x-amz-acl=private&x-amz-checksum-crc32=AAAAAA%3D%3D";
        let own = Some("own".to_owned());
        assert_eq!(taken(&format!("{said}&X-Amz-Signature=0")), (Some("a=b&c".to_owned()), own.clone(), None, None));
        assert_eq!(taken(said), (None, own, None, None), "nobody has signed it");
    }

    #[test]
    fn the_slash_of_an_arn_is_no_end_of_a_bucket() {
        let path = "/arn:aws:s3-object-lambda:us-east-1:000000000000:accesspoint/p/key/more?versionId=1";
        let expected = "/arn:aws:s3-object-lambda:us-east-1:000000000000:accesspoint%2Fp/key/more?versionId=1";
        assert_eq!(arn_in_path(path).as_deref(), Some(expected));
        let path = "/arn:aws:s3-outposts:us-east-1:000000000000:outpost/op-1/accesspoint/p/key/more";
        let expected = "/arn:aws:s3-outposts:us-east-1:000000000000:outpost%2Fop-1%2Faccesspoint%2Fp/key/more";
        assert_eq!(arn_in_path(path).as_deref(), Some(expected));
        assert_eq!(arn_in_path("/arnold/x:accesspoint/p"), None);
        assert_eq!(arn_in_path("/bucket/key"), None);
    }

    #[test]
    fn buckets_in_hosts() {
        for (host, bucket) in [
            ("b.s3.localhost", Some("b")),
            ("a.b.s3.localhost", Some("a.b")),
            ("b.s3.eu-west-1.localhost", Some("b")),
            ("b.localhost", Some("b")),
            ("b.s3.amazonaws.com", Some("b")),
            ("b.s3.us-west-2.amazonaws.com", Some("b")),
            ("b.s3.dualstack.us-west-2.amazonaws.com", Some("b")),
            ("b.s3.localhost.localstack.cloud", Some("b")),
            ("b.s3-accelerate.amazonaws.com", Some("b")),
            ("b.s3-accelerate.dualstack.amazonaws.com", Some("b")),
            ("b.s3-accelerate.localhost", Some("b")),
            ("s3-accelerate.localhost", None),
            ("p-000000000000.s3-object-lambda.us-east-1.amazonaws.com", Some("p-000000000000")),
            ("p-000000000000.s3-object-lambda.localhost", Some("p-000000000000")),
            ("p-000000000000.s3-object-lambda.us-east-1.localhost", Some("p-000000000000")),
            ("s3-object-lambda.us-east-1.amazonaws.com", None),
            ("s3-object-lambda.us-east-1.localhost", None),
            ("s3-object-lambda.localhost", None),
            ("b--z--x-s3.s3express-z.us-east-1.amazonaws.com", Some("b--z--x-s3")),
            ("s3express-control.us-east-1.amazonaws.com", None),
            ("localhost", None),
            ("s3.localhost", None),
            ("s3.eu-west-1.localhost", None),
            ("s3.amazonaws.com", None),
            ("s3.us-west-2.amazonaws.com", None),
            ("s3.localhost.localstack.cloud", None),
            ("127.0.0.1", None),
            ("router", None),
        ] {
            assert_eq!(bucket_of_host(host), bucket, "{host}");
            assert!(bucket.is_none() || !names_nothing(host), "{host}");
        }
    }
}
