//! What is checked of a request's head before anybody asks what the request is for, and how values in it are told of that
//! cannot be read.

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_wire::{Failure, HeaderMarks};
use http::request::Parts;
use http::{HeaderName, Method, Version, header};

use crate::addressing;
use crate::error::{Error, told_of};
use crate::model::names;

/// The query's parameters that may stand in a read and change headers of its answer.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_RequestSyntax>
const OVERRIDES: [&str; 6] = [
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];

/// Conditions whose dates no one can read hold for nothing, as HTTP has it.
/// <https://www.rfc-editor.org/rfc/rfc9110#name-if-modified-since>
const CONDITIONS: [HeaderName; 2] = [header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE];

/// Parameters and headers that are whole numbers, and are told of by their names.
const NUMBERS: [&str; 9] = [
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "partNumber",
    "x-amz-max-parts",
    "x-amz-part-number-marker",
    "x-amz-mp-object-size",
    "x-amz-write-offset-bytes",
];

const RETAIN_UNTIL: &str = "x-amz-object-lock-retain-until-date";

/// What a write asks to be encrypted by.
const ENCRYPTION: &str = "x-amz-server-side-encryption";

/// Looks at the head of a request whose bucket and key stand in the path.
pub fn check(head: &mut Parts, sent: &HeaderMarks) -> Result<(), Failure> {
    check_path(head.uri.path())?;
    if let Some(asked) = sent.find(&head.headers, ENCRYPTION).filter(|_| !may_ask_for_encryption(head)) {
        let failure =
            Failure::new("InvalidArgument", 400, format!("{ENCRYPTION} header is not supported for this operation."));
        return Err(told_of(failure, ENCRYPTION, asked.to_str().unwrap_or_default()));
    }
    match head.method {
        Method::GET | Method::HEAD => {
            drop_unreadable_dates(head, sent);
            check_overrides(head)
        }
        Method::PUT => {
            check_part(head)?;
            check_length(head, sent)
        }
        _ => Ok(()),
    }
}

/// Whether what is written, copied or begun by a request can be encrypted as it asks, or a session of a directory bucket.
fn may_ask_for_encryption(head: &Parts) -> bool {
    let query = head.uri.query().unwrap_or_default();
    let names = |wanted: &str| addressing::names_parameter(query, wanted);
    match (&head.method, of_object(head.uri.path())) {
        (&Method::PUT, Some(_)) => !names("uploadId") && !names_part_of_object(query),
        (&Method::POST, Some(_)) => names("uploads"),
        (&Method::GET, None) => names("session"),
        _ => false,
    }
}

fn of_object(path: &str) -> Option<&str> {
    Some(addressing::split(path).1).filter(|key| !key.is_empty())
}

/// Most paths are short and plain.
fn check_path(path: &str) -> Result<(), Failure> {
    if path.len() <= names::MAX_KEY_BYTES {
        return Ok(());
    }
    let key = of_object(path).map(|key| percent_encoding::percent_decode_str(key).count());
    match key.filter(|size| *size > names::MAX_KEY_BYTES) {
        Some(size) => Err(Error::KeyTooLong { size, max: names::MAX_KEY_BYTES }.into()),
        None => Ok(()),
    }
}

fn drop_unreadable_dates(head: &mut Parts, sent: &HeaderMarks) {
    for name in CONDITIONS {
        let Some(value) = sent.find(&head.headers, name.as_str()) else { continue };
        if value.to_str().ok().is_none_or(|text| Timestamp::parse_http_date(text).is_err()) {
            head.headers.remove(&name);
        }
    }
}

fn check_overrides(head: &Parts) -> Result<(), Failure> {
    let Some(query) = head.uri.query().filter(|query| query.contains("response-")) else { return Ok(()) };
    for pair in query.split('&').filter(|pair| pair.starts_with("response-")) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !OVERRIDES.contains(&name) {
            let message = format!(
                "{name} is not in the set of overridable response headers. Please refer to the S3 API documentation for a complete list of overridable response headers."
            );
            return Err(told_of(Failure::new("InvalidArgument", 400, message), name, decoded(value)));
        }
    }
    Ok(())
}

/// A part is of an upload and has a number: a request with one of the two is not for an object.
fn check_part(head: &Parts) -> Result<(), Failure> {
    let Some(query) = head.uri.query().filter(|_| of_object(head.uri.path()).is_some()) else { return Ok(()) };
    let names = |wanted: &str| addressing::names_parameter(query, wanted);
    match (names("uploadId"), names("partNumber")) {
        (false, true) => {
            let message = "This operation does not accept partNumber without uploadId";
            Err(told_of(Failure::new("InvalidArgument", 400, message), "partNumber", "partNumber"))
        }
        (true, false) => {
            let error = Error::MethodNotAllowed { method: head.method.to_string(), resource: "UPLOAD" };
            let mut failure = Failure::from(error);
            failure.headers.push(("allow", "DELETE, POST, GET".to_owned()));
            Err(failure)
        }
        _ => Ok(()),
    }
}

/// The length of an upload has to be known before its bytes: by its header or, of what comes in chunks of AWS's own, by
/// another. Later versions of HTTP frame bodies themselves.
fn check_length(head: &Parts, sent: &HeaderMarks) -> Result<(), Failure> {
    let find = |name: &str| sent.find(&head.headers, name);
    let is_framed =
        head.version > Version::HTTP_11 || find("content-length").is_some() || find("transfer-encoding").is_some();
    let comes_in_chunks =
        find("x-amz-content-sha256").is_some_and(|payload| payload.as_bytes().starts_with(b"STREAMING-"));
    let decoded = || find("x-amz-decoded-content-length")?.to_str().ok()?.parse::<u64>().ok();
    if is_framed && (!comes_in_chunks || decoded().is_some()) {
        return Ok(());
    }
    let is_upload = of_object(head.uri.path()).is_some() && !names_part_of_object(head.uri.query().unwrap_or_default());
    if is_upload && find("x-amz-copy-source").is_none() {
        return Err(Error::MissingContentLength.into());
    }
    Ok(())
}

fn names_part_of_object(query: &str) -> bool {
    query.split('&').any(|pair| addressing::is_subresource(pair.split('=').next().unwrap_or_default()))
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What S3 says of a value that could not be read, where the protocol knows no more than that it could not.
pub fn tell(cx: &Context, mut failure: Failure) -> Failure {
    if failure.code == "MethodNotAllowed" && !failure.details.iter().any(|(name, _)| *name == "Method") {
        failure.details.insert(0, ("Method", cx.method().to_string()));
    }
    match failure.code.as_ref() {
        "MethodNotAllowed" if failure.details.len() == 1 => {
            failure.with_detail("ResourceType", resource(cx.uri().path()))
        }
        "InvalidArgument" if failure.details.is_empty() => unreadable(cx).unwrap_or(failure),
        "MalformedXML" if is_no_text(cx.uri().path()) => {
            Failure::new("InvalidURI", 400, "Couldn't parse the specified URI.").with_detail("URI", cx.uri().path())
        }
        _ => failure,
    }
}

fn resource(path: &str) -> &'static str {
    match addressing::split(path) {
        ("", _) => "SERVICE",
        (_, "") => "BUCKET",
        _ => "OBJECT",
    }
}

fn is_no_text(path: &str) -> bool {
    percent_encoding::percent_decode_str(path).decode_utf8().is_err()
}

/// The first value that is no number where one belongs.
fn unreadable(cx: &Context) -> Option<Failure> {
    let in_query = cx.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let in_query = in_query.map(|(name, value)| (name, decoded(value)));
    let in_headers = cx.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?.into())));
    in_query.chain(in_headers).find_map(|(name, value)| {
        let message = match name {
            RETAIN_UNTIL if Timestamp::parse_date_time(&value).is_err() => {
                "The retain until date must be provided in ISO 8601 format".to_owned()
            }
            _ if !NUMBERS.contains(&name) || value.parse::<i32>().is_ok() => return None,
            "partNumber" => names::PART_NUMBER_BOUNDS.to_owned(),
            name => format!("Provided {name} not an integer or within integer range"),
        };
        Some(told_of(Failure::new("InvalidArgument", 400, message), name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(method: &str, uri: &str, headers: &[(&str, &str)]) -> (Option<String>, Parts) {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let sent = HeaderMarks::of(&head.headers);
        let refused = check(&mut head, &sent).err().map(|failure| failure.code.into_owned());
        (refused, head)
    }

    #[test]
    fn keys_have_their_length_whatever_is_done_with_them() {
        let refused = |key: &str| checked("DELETE", &format!("/bucket/{key}"), &[]).0;
        assert_eq!(refused(&"k".repeat(1_024)), None);
        assert_eq!(refused(&"%C3%BC".repeat(512)), None);
        assert_eq!(refused(&"k".repeat(1_025)).as_deref(), Some("KeyTooLongError"));
        assert_eq!(refused(&"%C3%BC".repeat(513)).as_deref(), Some("KeyTooLongError"));
    }

    #[test]
    fn uploads_say_how_long_they_are() {
        let refused = |uri: &str, headers: &[(&str, &str)]| checked("PUT", uri, headers).0;
        assert_eq!(refused("/b/k", &[]).as_deref(), Some("MissingContentLength"));
        assert_eq!(refused("/b/k?partNumber=1&uploadId=u", &[]).as_deref(), Some("MissingContentLength"));
        assert_eq!(refused("/b/k", &[("content-length", "0")]), None);
        for other in ["/b", "/b/", "/b/k?acl", "/b/k?tagging="] {
            assert_eq!(refused(other, &[]), None, "{other}");
        }
        let chunked = [("content-length", "9"), ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")];
        assert_eq!(refused("/b/k", &chunked).as_deref(), Some("MissingContentLength"));
        let told = [chunked.as_slice(), &[("x-amz-decoded-content-length", "4")]].concat();
        assert_eq!(refused("/b/k", &told), None);
        let nonsense = [chunked.as_slice(), &[("x-amz-decoded-content-length", "four")]].concat();
        assert_eq!(refused("/b/k", &nonsense).as_deref(), Some("MissingContentLength"));
    }

    #[test]
    fn encryption_is_asked_for_where_something_is_written() {
        let asked = [("x-amz-server-side-encryption", "AES256"), ("content-length", "0")];
        for (method, uri) in
            [("PUT", "/b/k"), ("POST", "/b/k?uploads"), ("GET", "/b?session"), ("PUT", "/b/k?x-id=PutObject")]
        {
            assert_eq!(checked(method, uri, &asked).0, None, "{method} {uri}");
        }
        for (method, uri) in [
            ("GET", "/b/k"),
            ("HEAD", "/b/k"),
            ("GET", "/b"),
            ("POST", "/b/k?uploadId=u"),
            ("PUT", "/b/k?uploadId=u&partNumber=1"),
            ("PUT", "/b/k?acl"),
            ("DELETE", "/b/k"),
        ] {
            assert_eq!(checked(method, uri, &asked).0.as_deref(), Some("InvalidArgument"), "{method} {uri}");
        }
    }

    #[test]
    fn dates_that_are_none_are_passed_over() {
        let (date, garbage) = ("Wed, 02 Jan 2030 03:04:05 GMT", "yesterday");
        let (_, head) = checked("GET", "/b/k", &[("if-modified-since", date), ("if-unmodified-since", garbage)]);
        assert!(head.headers.contains_key("if-modified-since") && !head.headers.contains_key("if-unmodified-since"));
    }

    #[test]
    fn only_some_headers_of_an_answer_can_be_chosen() {
        assert_eq!(checked("GET", "/b/k?response-content-type=a", &[]).0, None);
        assert_eq!(checked("HEAD", "/b/k?response-etag=a", &[]).0.as_deref(), Some("InvalidArgument"));
    }
}
