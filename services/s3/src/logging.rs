//! Server access logs: a line for each request to a bucket that is logged, gathered and put as objects into the target
//! bucket by the lane's clock.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html>

mod operations;

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::World;
use fractus_clock::Timestamp;
use fractus_host::{CallerKind, Context};
use fractus_s3_api as api;
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use fractus_wire::ByteStream;
use http::Response;

use crate::configurations::{self, Kind};
use crate::control::routing::{SourceThrough, Through};
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::metrics;
use crate::model::encoding::form_encode;
use crate::objects::scope;
use crate::operations::copy;
use crate::permissions::canonical_user;
use crate::report_access::{self, Writer};
use crate::schedule::{self, Job, Parcel};
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};
use crate::versions;

/// Buckets whose requests are logged, by id.
pub const LOGGED: Collection<(u64,), ()> = Collection::new("logged-buckets");
/// Lines that have not gone out: (bucket id, microseconds, something of its own).
pub const LINES: Collection<(u64, u64, String), String> = Collection::new("log-lines");

/// Lines are gathered so long, by the lane's clock. AWS promises no time; most come within hours.
const GATHERED_FOR: Duration = Duration::from_secs(300);
/// The most lines of one object.
const LINES_AT_ONCE: usize = 10_000;

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
    bucket: Bucket,
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
    fn text(&self, request: &metrics::Request) -> String {
        let sent = (self.sends && request.sent_bytes > 0).then(|| request.sent_bytes.to_string());
        let turn_around = self.turn_around.map(|span| span.as_millis().to_string());
        let (sent, size) = (or_dash(sent.as_deref()), or_dash(self.object_size.as_deref()));
        let (total, turn_around) = (request.total.as_millis(), or_dash(turn_around.as_deref()));
        format!("{} {sent} {size} {total} {turn_around} {}", self.head, self.tail)
    }
}

/// Writes down the lines of a request.
pub async fn record(s3: &S3, scope: &Scope, lines: Vec<Line>, request: &metrics::Request, now: Timestamp) {
    if lines.is_empty() {
        return;
    }
    let lines = lines.into_iter().map(|line| {
        let text = line.text(request);
        (line.bucket, text)
    });
    write(s3, scope, &lines.collect::<Vec<_>>(), now).await;
}

async fn write(s3: &S3, scope: &Scope, lines: &[(Bucket, String)], now: Timestamp) {
    let at = u64::try_from(now.micros()).unwrap_or(0);
    // In the order in which they come, while the clock stands too.
    let ids: Vec<String> = lines.iter().map(|_| s3.schedule.line_id(s3.host.random())).collect();
    let written = s3.store.write(|tx| {
        let mut any = false;
        for ((bucket, line), id) in lines.iter().zip(&ids) {
            any |= keep(tx, scope, bucket, (at, id), line, now)?;
        }
        Ok::<_, Error>(any)
    });
    match written.await {
        Ok(true) => s3.schedule.wake(),
        Ok(false) => {}
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a request could not be logged"),
    }
}

/// Keeps a line until it is delivered; says whether its bucket is still logged.
fn keep(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    (at, id): (u64, &str),
    line: &String,
    now: Timestamp,
) -> Result<bool> {
    if !tx.contains(&LOGGED, scope, &(bucket.id,))? {
        return Ok(false);
    }
    tx.put(&LINES, scope, &(bucket.id, at, id), line)?;
    schedule::set(tx, scope, bucket, Job::Logging, "", now.plus(GATHERED_FOR))?;
    Ok(true)
}

/// A text as the format has it: `-` where there is none.
fn or_dash(text: Option<&str>) -> &str {
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
        ..of(cx, bucket, about, answer)
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
    Some(Line { sends: false, object_size, ..of(cx, &bucket, about, answer) })
}

fn of(cx: &Context, bucket: &Bucket, about: About<'_>, answer: &Answer<'_>) -> Line {
    let uri = cx.original_uri();
    let request = format!("{} {} HTTP/1.1", cx.method(), uri.path_and_query().map_or("/", |path| path.as_str()));
    let received = cx.now().minus(cx.timing().total(cx.clock()));
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
        // The cipher: whoever takes TLS off says that it was there, and not how it was made.
        "-".to_owned(),
        authentication(cx).to_owned(),
        cx.authority().to_owned(),
        // TLS's version.
        "-".to_owned(),
        or_dash(about.access_point).to_owned(),
        // Whether it took an ACL to let the request through.
        "-".to_owned(),
        // The region that the request came from, which AWS knows of its own addresses alone.
        "-".to_owned(),
    ];
    let (head, tail) = (head.join(" "), tail.join(" "));
    Line { bucket: bucket.clone(), head, sends: true, object_size: None, turn_around: None, tail }
}

fn requester(cx: &Context) -> String {
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

/// A key of a batch delete, and the code that it was refused with.
pub struct Deleted {
    pub key: String,
    pub version_id: Option<String>,
    pub error: Option<String>,
}

/// Writes down a line for each key of a batch delete, beside the one of the request.
pub async fn deleted(s3: &S3, cx: &Context, bucket: &str, keys: &[Deleted]) {
    if !s3.schedule.may_watch() {
        return;
    }
    let scope = scope(cx);
    let found = s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&BUCKETS, &scope, &(bucket,))?));
    let Ok(Some(bucket)) = found.await else { return };
    if !bucket.settings.has(Kind::Logging) {
        return;
    }
    let now = cx.now();
    let lines = keys.iter().map(|deleted| {
        let own = Own {
            by: &requester(cx),
            from: &cx.source_ip().to_string(),
            request_id: &cx.request_id,
            operation: "BATCH.DELETE.OBJECT",
            key: &deleted.key,
            version_id: deleted.version_id.as_deref(),
            status: if deleted.error.is_some() { "-" } else { "204" },
            error: deleted.error.as_deref(),
            object_size: None,
        };
        (bucket.clone(), own.line(&bucket, now))
    });
    write(s3, &scope, &lines.collect::<Vec<_>>(), now).await;
}

/// A line of what S3 does itself, which no request names alone.
struct Own<'a> {
    by: &'a str,
    from: &'a str,
    request_id: &'a str,
    operation: &'a str,
    key: &'a str,
    version_id: Option<&'a str>,
    status: &'a str,
    error: Option<&'a str>,
    object_size: Option<u64>,
}

impl Own<'_> {
    fn line(&self, bucket: &Bucket, now: Timestamp) -> String {
        let (owner, name, time) = (canonical_user(&bucket.account), &bucket.name, log_time(now));
        let (by, from, id, operation) = (self.by, self.from, self.request_id, self.operation);
        let (key, version) = (form_encode(self.key), or_dash(self.version_id));
        let size = self.object_size.map(|size| size.to_string());
        let (status, error, size) = (self.status, or_dash(self.error), or_dash(size.as_deref()));
        format!(
            "{owner} {name} [{time}] {from} {by} {id} {operation} {key} - {status} {error} - {size} - - - - {version} \
             - - - - - - - - -"
        )
    }
}

/// Writes down what a lifecycle did to an object: `S3.EXPIRE.OBJECT`, `S3.TRANSITION_SIA.OBJECT` ...
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-and-other-bucket-config.html>
pub fn of_lifecycle(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    (operation, key, version_id, size): (&str, &str, Option<&str>, Option<u64>),
    (now, random): (Timestamp, u64),
) -> Result<()> {
    if !bucket.settings.has(Kind::Logging) {
        return Ok(());
    }
    let request_id = format!("{random:016X}");
    let own = Own {
        by: "AmazonS3",
        from: "-",
        request_id: &request_id,
        operation,
        key,
        version_id,
        status: "-",
        error: None,
        object_size: size,
    };
    let at = u64::try_from(now.micros()).unwrap_or(0);
    keep(tx, scope, bucket, (at, &request_id), &own.line(bucket, now), now).map(drop)
}

/// `06/Feb/2019:00:00:38 +0000`
fn log_time(now: Timestamp) -> String {
    // Wed, 06 Feb 2019 00:00:38 GMT
    let date = now.http_date();
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default().to_owned();
    format!("{}/{}/{}:{} +0000", part(5..7), part(8..11), part(12..16), part(17..25))
}

/// Where a log object goes, by the prefix's form.
fn log_key(enabled: &api::LoggingEnabled, bucket: &Bucket, now: Timestamp, unique: &str) -> String {
    let date = now.date_time();
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let time = format!("{}-{}-{}", part(11..13), part(14..16), part(17..19));
    let prefix = &enabled.target_prefix;
    let partitioned = enabled.target_object_key_format.as_ref().and_then(|format| format.partitioned_prefix.as_ref());
    let Some(partitioned) = partitioned else {
        return format!("{prefix}{year}-{month}-{day}-{time}-{unique}");
    };
    // By the time of events, all lines of an object are of one day, and the time of day says nothing.
    let by_event = partitioned.partition_date_source == Some(api::PartitionDateSource::EventTime);
    let time = if by_event { "00-00-00".to_owned() } else { time };
    let (account, region, name) = (&bucket.account, &bucket.region, &bucket.name);
    format!("{prefix}{account}/{region}/{name}/{year}/{month}/{day}/{year}-{month}-{day}-{time}-{unique}")
}

/// Who beside the target's owner may read log objects, as grant headers say it.
fn wanted(enabled: &api::LoggingEnabled) -> Wanted {
    let by = |permission: &api::BucketLogsPermission| {
        let grants =
            enabled.target_grants.iter().flatten().filter(|grant| grant.permission.as_ref() == Some(permission));
        let named = grants.filter_map(|grant| grant.grantee.as_ref()).filter_map(|grantee| {
            let id = grantee.id.as_ref().map(|id| format!("id=\"{id}\""));
            id.or(grantee.uri.as_ref().map(|uri| format!("uri=\"{uri}\"")))
        });
        let text = named.collect::<Vec<_>>().join(", ");
        (!text.is_empty()).then_some(text)
    };
    Wanted {
        full_control: by(&api::BucketLogsPermission::FullControl),
        read: by(&api::BucketLogsPermission::Read),
        ..Wanted::default()
    }
}

/// Puts the lines that were gathered into the target bucket.
pub async fn deliver(s3: &S3, world: &World, scope: &Scope, bucket: &Bucket, now: Timestamp) -> Result<()> {
    loop {
        let page = s3.store.read(|snapshot| {
            let status = configurations::read::<api::BucketLoggingStatus>(snapshot, scope, bucket, Kind::Logging)?;
            let range = Range::prefix(&(bucket.id,));
            let found = snapshot.range(&LINES, scope, range, Order::Ascending)?.take(LINES_AT_ONCE);
            let lines = found.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<_>>>()?;
            Ok::<_, Error>((status.into_set().and_then(|status| status.logging_enabled), lines))
        });
        let (enabled, lines) = page.await?;
        let Some(((_, first, _), _)) = lines.first() else { return Ok(()) };
        let event_day = day_of(*first);
        let by_event = enabled.as_ref().is_some_and(is_by_event);
        let count = lines.iter().take_while(|((_, at, _), _)| !by_event || day_of(*at) == event_day).count();
        if let Some(enabled) = enabled {
            let mut content = String::new();
            for (_, line) in &lines[..count] {
                content.push_str(line);
                content.push('\n');
            }
            let at = if by_event { Timestamp::from_millis(event_day * 86_400_000) } else { now };
            let unique = format!("{:016X}", s3.host.random().u64());
            let parcel = Parcel {
                bucket: &enabled.target_bucket,
                key: log_key(&enabled, bucket, at, &unique),
                content_type: "text/plain",
                content: content.into_bytes(),
                wanted: wanted(&enabled),
            };
            let place = (parcel.bucket, parcel.key.as_str());
            match report_access::check(s3, (world, scope), Writer::AccessLogs, bucket, place, now).await {
                Ok(()) => {
                    if !schedule::put_parcel(s3, world, scope, parcel).await? {
                        let name = bucket.name.as_str();
                        tracing::warn!(
                            bucket = name,
                            "the target bucket of access logs has gone; their lines are lost"
                        );
                    }
                }
                Err(Error::Store(error)) => return Err(Error::Store(error)),
                Err(error) => {
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error = cause,
                        bucket = bucket.name,
                        "access logs are not taken; their lines are lost"
                    );
                }
            }
        }
        s3.store
            .write(|tx| {
                for ((_, at, id), _) in &lines[..count] {
                    tx.delete(&LINES, scope, &(bucket.id, *at, id.as_str()))?;
                }
                Ok::<_, Error>(())
            })
            .await?;
    }
}

fn is_by_event(enabled: &api::LoggingEnabled) -> bool {
    let partitioned = enabled.target_object_key_format.as_ref().and_then(|format| format.partitioned_prefix.as_ref());
    partitioned.is_some_and(|prefix| prefix.partition_date_source == Some(api::PartitionDateSource::EventTime))
}

fn day_of(micros: u64) -> i64 {
    i64::try_from(micros / 86_400_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_times_have_the_form_of_logs() {
        let now = Timestamp::parse_date_time("2019-02-06T00:00:38Z").unwrap();
        assert_eq!(log_time(now), "06/Feb/2019:00:00:38 +0000");
        let bucket = Bucket {
            name: "b".into(),
            id: 1,
            account: "000000000000".into(),
            region: "us-east-1".into(),
            created_at: now,
            tags: Vec::new(),
            notifications: Default::default(),
            settings: Default::default(),
        };
        let simple =
            api::LoggingEnabled { target_bucket: "t".into(), target_prefix: "logs/".into(), ..Default::default() };
        assert_eq!(log_key(&simple, &bucket, now, "U"), "logs/2019-02-06-00-00-38-U");
        let partitioned = api::LoggingEnabled {
            target_object_key_format: Some(api::TargetObjectKeyFormat {
                partitioned_prefix: Some(api::PartitionedPrefix {
                    partition_date_source: Some(api::PartitionDateSource::DeliveryTime),
                }),
                ..Default::default()
            }),
            ..simple
        };
        let key = log_key(&partitioned, &bucket, now, "U");
        assert_eq!(key, "logs/000000000000/us-east-1/b/2019/02/06/2019-02-06-00-00-38-U");
    }
}
