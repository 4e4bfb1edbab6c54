//! The lines of requests.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html>

use std::sync::Arc;
use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_host::{CallerKind, Context};
use fractus_store::Scope;
use fractus_wire::ByteStream;
use http::Response;

use super::{lists, operations};
use crate::configurations::Kind;
use crate::control::routing::{SourceThrough, Through};
use crate::error::Error;
use crate::metrics;
use crate::model::encoding::form_encode;
use crate::operations::copy;
use crate::permissions::canonical_user;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};
use crate::versions;

/// What a line says of an answer.
pub struct Answer<'a> {
    pub status: http::StatusCode,
    headers: &'a http::HeaderMap,
    error: Option<String>,
}

impl<'a> Answer<'a> {
    pub fn of(response: &'a Response<ByteStream>) -> Answer<'a> {
        let status = response.status();
        let is_good = status.is_success() || status.is_redirection();
        let error = if is_good { None } else { error_code(response.body()) };
        Answer { status, headers: response.headers(), error }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A line of a request, but for what is known when its answer has gone out.
pub struct Line {
    pub(super) bucket: Bucket,
    /// Up to the error code.
    head: String,
    /// Of the bytes that are sent, the size of the object, and the times: what is known.
    sends: bool,
    object_size: Option<String>,
    turn_around: Option<Duration>,
    /// From the referrer on.
    tail: String,
}

impl Line {
    pub(super) fn text(&self, request: &metrics::Request) -> String {
        let sent = (self.sends && request.sent_bytes > 0).then(|| request.sent_bytes.to_string());
        let turn_around = self.turn_around.map(|span| span.as_millis().to_string());
        let (sent, size) = (or_dash(sent.as_deref()), or_dash(self.object_size.as_deref()));
        let (total, turn_around) = (request.total.as_millis(), or_dash(turn_around.as_deref()));
        format!("{} {sent} {size} {total} {turn_around} {}", self.head, self.tail)
    }
}

/// A text as the format has it: `-` where there is none.
pub(super) fn or_dash(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("-")
}

fn quoted(text: Option<&str>) -> String {
    format!("\"{}\"", or_dash(text).replace('"', "%22"))
}

/// What a line says of an object or a bucket: the key as it came in the path, the version that the request names, ...
#[derive(Clone, Copy)]
struct About<'a> {
    operation: &'a str,
    key: &'a str,
    version_id: Option<&'a str>,
    access_point: Option<&'a str>,
}

/// The line of a request to a bucket. `turn_around`: from the request's last byte to the first one of the answer.
pub fn line(cx: &Context, bucket: &Bucket, raw_key: &str, answer: &Answer<'_>, turn_around: Duration) -> Line {
    let through = cx.extensions().get::<Arc<Through>>();
    let (operation, version_id) = (operations::of_request(cx), parameter(cx, "versionId"));
    let about = About {
        operation: &operation,
        key: raw_key,
        version_id: version_id.as_deref(),
        access_point: through.map(|through| through.arn.as_str()),
    };
    Line {
        object_size: if raw_key.is_empty() { None } else { object_size(cx, answer) },
        // AWS's own examples tell of a bucket's requests no turn-around.
        turn_around: (!raw_key.is_empty()).then_some(turn_around),
        ..of(cx, bucket, about, answer, lists::any(cx, bucket.id))
    }
}

/// The second line of a copy, for the bucket that it reads from.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html#AdditionalLoggingforCopyOperations>
pub async fn copied(s3: &S3, cx: &Context, scope: &Scope, answer: &Answer<'_>) -> Option<Line> {
    let operation = match cx.operation()?.schema.name {
        "CopyObject" => "REST.COPY.OBJECT_GET",
        "UploadPartCopy" => "REST.COPY.PART_GET",
        _ => return None,
    };
    let source = copy::source_of(cx, cx.header("x-amz-copy-source")?).ok()?;
    let found = s3.store.read(|snapshot| {
        let Some(bucket) = snapshot.get(&BUCKETS, scope, &(source.bucket.as_str(),))? else { return Ok(None) };
        if !bucket.settings.has(Kind::Logging) {
            return Ok::<_, Error>(None);
        }
        let object = versions::object(snapshot, scope, &bucket, &source.key, source.version_id.as_deref());
        Ok(Some((bucket, object.ok().map(|object| object.size.to_string()))))
    });
    let (bucket, object_size) = found.await.ok()??;
    let through = cx.extensions().get::<Arc<SourceThrough>>();
    let key = form_encode(&source.key);
    let about = About {
        operation,
        key: &key,
        version_id: source.version_id.as_deref(),
        access_point: through.map(|through| through.0.arn.as_str()),
    };
    let needed_list = lists::take_source(cx, bucket.id, &source.key);
    Some(Line { sends: false, object_size, ..of(cx, &bucket, about, answer, needed_list) })
}

fn of(cx: &Context, bucket: &Bucket, about: About<'_>, answer: &Answer<'_>, needed_list: bool) -> Line {
    let uri = cx.original_uri();
    let request = format!("{} {} HTTP/1.1", cx.method(), uri.path_and_query().map_or("/", |path| path.as_str()));
    let received = cx.now().minus(cx.timing().total(cx.clock()));
    // What the router says of the TLS that it took off.
    let tls = cx.header("x-forwarded-tls").filter(|_| cx.scheme() == "https");
    // Where it was refused, no list helped.
    let needed_list = needed_list && answer.status != http::StatusCode::FORBIDDEN;
    let (version, cipher) = tls.and_then(|tls| tls.split_once(' ')).unwrap_or(("-", "-"));
    let head = [
        canonical_user(&bucket.account),
        bucket.name.clone(),
        format!("[{}]", log_time(received)),
        cx.source_ip().to_string(),
        requester(cx),
        cx.request_id.clone(),
        about.operation.to_owned(),
        or_dash(Some(about.key)).to_owned(),
        quoted(Some(&request)),
        answer.status.as_u16().to_string(),
        or_dash(answer.error.as_deref()).to_owned(),
    ];
    let tail = [
        quoted(cx.header("referer")),
        quoted(cx.user_agent()),
        or_dash(about.version_id).to_owned(),
        or_dash(answer.header("x-amz-id-2")).to_owned(),
        signature_version(cx).to_owned(),
        cipher.to_owned(),
        authentication(cx).to_owned(),
        cx.authority().to_owned(),
        version.to_owned(),
        or_dash(about.access_point).to_owned(),
        lists::shown(needed_list).to_owned(),
        // The region that the request came from, which AWS knows of its own addresses alone.
        "-".to_owned(),
    ];
    let (head, tail) = (head.join(" "), tail.join(" "));
    Line { bucket: bucket.clone(), head, sends: true, object_size: None, turn_around: None, tail }
}

pub(super) fn requester(cx: &Context) -> String {
    match cx.caller.kind {
        CallerKind::Anonymous => "-".to_owned(),
        CallerKind::Known(_) => cx.caller.arn.clone(),
        CallerKind::Root | CallerKind::Service => canonical_user(cx.caller.account.as_str()),
    }
}

/// Of reads the size of the whole object, of writes what came.
fn object_size(cx: &Context, answer: &Answer<'_>) -> Option<String> {
    if !answer.status.is_success() {
        return None;
    }
    let operation = cx.operation().map_or("", |called| called.schema.name);
    let size = match operation {
        "PutObject" | "UploadPart" => cx.header("x-amz-decoded-content-length").or(cx.header("content-length")),
        "GetObject" | "HeadObject" | "" if cx.method() != http::Method::POST => {
            let total = answer.header("content-range").and_then(|range| range.rsplit('/').next());
            total.or(answer.header("content-length"))
        }
        _ => None,
    };
    size.map(str::to_owned)
}

fn is_old_query(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("AWSAccessKeyId="))
}

/// `SigV2`, `SigV4`, or `-` where nobody has signed.
pub fn signature_version(cx: &Context) -> &'static str {
    let is_old = cx.header("authorization").is_some_and(|value| value.starts_with("AWS "))
        || cx.original_uri().query().is_some_and(is_old_query);
    match cx.caller.kind {
        CallerKind::Anonymous => "-",
        _ if is_old => "SigV2",
        _ => "SigV4",
    }
}

fn authentication(cx: &Context) -> &'static str {
    let presigned = cx.original_uri().query().is_some_and(|query| query.contains("Signature="));
    match cx.caller.kind {
        CallerKind::Anonymous => "-",
        _ if presigned => "QueryString",
        _ => "AuthHeader",
    }
}

fn parameter(cx: &Context, name: &str) -> Option<String> {
    let pairs = cx.uri().query()?.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn error_code(body: &ByteStream) -> Option<String> {
    let ByteStream::Whole(bytes) = body else { return None };
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, rest) = text.split_once("<Code>")?;
    Some(rest.split_once("</Code>")?.0.to_owned())
}

/// `06/Feb/2019:00:00:38 +0000`
pub(super) fn log_time(now: Timestamp) -> String {
    // Wed, 06 Feb 2019 00:00:38 GMT
    let date = now.http_date();
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default().to_owned();
    format!("{}/{}/{}:{} +0000", part(5..7), part(8..11), part(12..16), part(17..25))
}
