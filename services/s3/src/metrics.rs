//! Request metrics: what buckets' metrics configurations count, by the minute of the lane's clock.
//!
//! They are what CloudWatch shows of a bucket; `GET /_aws/s3/metrics?bucket=NAME` lists them, `&filter=ID` those of one
//! configuration. The latest day is kept.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html#s3-request-cloudwatch-metrics>

use std::collections::BTreeMap;
use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use fractus_wire::ByteStream;
use http::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::configurations::{self, Kind};
use crate::control::lens_export::activity::{Activity, Count};
use crate::control::lens_export::requests;
use crate::error::{Error, Result};
use crate::model::filter::{Filter, Subject};
use crate::objects;
use crate::service::S3;
use crate::store::{Bucket, Object};

/// Values: (bucket id, filter id, minute since 1970, metric).
pub const METRICS: Collection<(u64, String, u64, String), Sum> = Collection::new("request-metrics");

/// Path of the page.
pub const PAGE: &str = "/_aws/s3/metrics";

const MINUTES_KEPT: u64 = 24 * 60;
/// So many old values go with each request that is counted.
const FORGOTTEN_AT_ONCE: usize = 32;

/// A statistic set, as CloudWatch takes them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    pub sum: f64,
    pub samples: u64,
    pub minimum: f64,
    pub maximum: f64,
}

impl Sum {
    fn one(value: f64) -> Sum {
        Sum { sum: value, samples: 1, minimum: value, maximum: value }
    }

    fn and(self, other: Sum) -> Sum {
        Sum {
            sum: self.sum + other.sum,
            samples: self.samples + other.samples,
            minimum: self.minimum.min(other.minimum),
            maximum: self.maximum.max(other.maximum),
        }
    }
}

/// A metric's name and a value of it.
pub type Measure = (&'static str, f64);

/// An answered request as everything that measures sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The operation's name; empty for what is none, such as a browser's form.
    pub operation: &'static str,
    pub method: http::Method,
    pub of_object: bool,
    pub status: u16,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// From the last byte of the request to the first one of the answer.
    pub first_byte: Duration,
    /// From the first byte of the request to the last one of the answer.
    pub total: Duration,
    /// Whether it is signed by version 2.
    pub is_old_signature: bool,
    /// Whether it asks for SSE-KMS.
    pub names_kms: bool,
}

/// Which metric counts a request beside `AllRequests`.
pub fn kind(request: &Request) -> Option<&'static str> {
    match request.operation {
        "ListObjects" | "ListObjectsV2" | "ListObjectVersions" => Some("ListRequests"),
        "SelectObjectContent" => Some("SelectRequests"),
        "DeleteObjects" => Some("DeleteRequests"),
        "ListParts" | "ListMultipartUploads" => None,
        _ => match request.method.as_str() {
            "GET" if request.of_object => Some("GetRequests"),
            "PUT" if request.of_object => Some("PutRequests"),
            "DELETE" if request.of_object => Some("DeleteRequests"),
            "HEAD" => Some("HeadRequests"),
            "POST" => Some("PostRequests"),
            _ => None,
        },
    }
}

/// What a request adds.
pub fn measures(request: &Request) -> Vec<Measure> {
    let mut all = vec![("AllRequests", 1.0)];
    all.extend(kind(request).map(|kind| (kind, 1.0)));
    all.push(("4xxErrors", f64::from(u8::from((400..500).contains(&request.status)))));
    all.push(("5xxErrors", f64::from(u8::from(request.status >= 500))));
    let bytes = [("BytesUploaded", request.received_bytes), ("BytesDownloaded", request.sent_bytes)];
    all.extend(bytes.into_iter().filter(|(_, bytes)| *bytes > 0).map(|(name, bytes)| (name, bytes as f64)));
    all.push(("FirstByteLatency", milliseconds(request.first_byte)));
    all.push(("TotalRequestLatency", milliseconds(request.total)));
    all
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

/// The ids of a bucket's metrics configurations that take a request.
pub fn filters(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket, subject: &Subject<'_>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let range = Range::prefix(&(bucket.id, Kind::Metrics.name()));
    for entry in snapshot.range(&configurations::CONFIGURATIONS, scope, range, Order::Ascending)? {
        let ((_, _, id), text) = entry?;
        let metrics: api::MetricsConfiguration = configurations::from_json(&text, Kind::Metrics)?;
        if Filter::of_metrics(&metrics).takes(subject) {
            found.push(id);
        }
    }
    Ok(found)
}

/// Adds values to the minute of `now`.
pub fn add(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket_id: u64,
    filters: &[String],
    measures: &[Measure],
    now: Timestamp,
) -> Result<()> {
    let minute = u64::try_from(now.secs() / 60).unwrap_or(0);
    for filter in filters {
        for (metric, value) in measures {
            let place = (bucket_id, filter.as_str(), minute, *metric);
            let before = tx.get(&METRICS, scope, &place)?;
            let sum = before.map_or_else(|| Sum::one(*value), |before| before.and(Sum::one(*value)));
            tx.put(&METRICS, scope, &place, &sum)?;
        }
        forget_old(tx, scope, bucket_id, filter, minute)?;
    }
    Ok(())
}

fn forget_old(tx: &mut Transaction<'_>, scope: &Scope, bucket_id: u64, filter: &str, minute: u64) -> Result<()> {
    let range = Range::prefix(&(bucket_id, filter));
    let mut old = Vec::new();
    for key in tx.keys(&METRICS, scope, range, Order::Ascending)?.take(FORGOTTEN_AT_ONCE) {
        let key = key?;
        if key.2.saturating_add(MINUTES_KEPT) > minute {
            break;
        }
        old.push(key);
    }
    for key in old {
        tx.delete(&METRICS, scope, &key)?;
    }
    Ok(())
}

/// Who counts a query, to add what it has read when it has ended.
#[derive(Clone)]
pub struct Tally {
    s3: S3,
    scope: Scope,
    bucket_id: u64,
    /// Metrics configurations.
    filters: Vec<String>,
    lens: Option<requests::Places>,
    now: Timestamp,
}

impl Tally {
    /// Nothing where nobody counts.
    pub async fn of(s3: &S3, cx: &Context, bucket: &str, key: &str, object: &Object) -> Option<Tally> {
        if !s3.schedule.may_watch() {
            return None;
        }
        let scope = objects::scope(cx);
        let subject = Subject { key: Some(key), tags: &object.tags, access_point: None };
        let found = s3.store.read(|snapshot| {
            let bucket = objects::bucket(snapshot, &scope, bucket, None)?;
            let has = bucket.settings.has(Kind::Metrics);
            let filters = if has { filters(snapshot, &scope, &bucket, &subject)? } else { Vec::new() };
            let lens = requests::Wanted::of(snapshot, &scope, &bucket)?;
            Ok::<_, Error>((bucket.id, filters, lens))
        });
        let (bucket_id, filters, lens) = found.await.ok()?;
        let about = requests::About { bucket: bucket_id, key, object: Some(object) };
        let lens = lens.map(|lens| lens.places(&about, cx.now()));
        (!filters.is_empty() || lens.is_some()).then(|| Tally {
            s3: s3.clone(),
            scope,
            bucket_id,
            filters,
            lens,
            now: cx.now(),
        })
    }

    pub async fn add(self, scanned_bytes: u64, returned_bytes: u64) {
        let measures = [("SelectBytesScanned", scanned_bytes as f64), ("SelectBytesReturned", returned_bytes as f64)];
        let added = self.s3.store.write(|tx| {
            add(tx, &self.scope, self.bucket_id, &self.filters, &measures, self.now)?;
            if let Some(places) = &self.lens {
                let mut activity = Activity::default();
                activity.add(Count::SelectScannedBytes, scanned_bytes);
                activity.add(Count::SelectReturnedBytes, returned_bytes);
                places.add(tx, &self.scope, &activity)?;
            }
            Ok::<_, Error>(())
        });
        if let Err(error) = added.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a query could not be counted");
        }
    }
}

fn parameter(cx: &Context, name: &str) -> Option<String> {
    let pairs = cx.uri().query().unwrap_or_default().split('&');
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// The page: every value of a bucket.
pub async fn page(s3: &S3, cx: &Context) -> Response<ByteStream> {
    let name = parameter(cx, "bucket").unwrap_or_default();
    let (status, value) = match list(s3, cx, &name, parameter(cx, "filter").as_deref()).await {
        Ok(metrics) => (http::StatusCode::OK, json!({ "bucket": name, "metrics": metrics })),
        Err(Error::NoSuchBucket { .. }) => {
            (http::StatusCode::NOT_FOUND, json!({ "message": format!("there is no bucket {name:?}") }))
        }
        Err(error) => (http::StatusCode::INTERNAL_SERVER_ERROR, json!({ "message": error.to_string() })),
    };
    let mut response = Response::new(ByteStream::from(bytes::Bytes::from(value.to_string())));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

async fn list(s3: &S3, cx: &Context, bucket: &str, filter: Option<&str>) -> Result<Vec<Value>> {
    let scope = objects::scope(cx);
    let found = s3.store.read(|snapshot| {
        let bucket = objects::bucket(snapshot, &scope, bucket, None)?;
        let range = match filter {
            Some(filter) => Range::prefix(&(bucket.id, filter)),
            None => Range::prefix(&(bucket.id,)),
        };
        let mut series: BTreeMap<(String, String), Vec<(u64, Sum)>> = BTreeMap::new();
        for entry in snapshot.range(&METRICS, &scope, range, Order::Ascending)? {
            let ((_, filter, minute, metric), sum) = entry?;
            series.entry((filter, metric)).or_default().push((minute, sum));
        }
        Ok::<_, Error>(series)
    });
    Ok(found.await?.into_iter().map(|((filter, metric), points)| shown(&filter, &metric, &points)).collect())
}

fn shown(filter: &str, metric: &str, points: &[(u64, Sum)]) -> Value {
    let unit = match metric {
        _ if metric.ends_with("Latency") => "Milliseconds",
        _ if metric.contains("Bytes") => "Bytes",
        _ => "Count",
    };
    let total = points.iter().map(|(_, sum)| *sum).reduce(Sum::and);
    let points = points.iter().map(|(minute, sum)| {
        let secs = i64::try_from(minute * 60).unwrap_or(0);
        let at = Timestamp::from_millis(secs * 1_000).date_time();
        json!({
            "timestamp": at, "sum": sum.sum, "samples": sum.samples, "minimum": sum.minimum, "maximum": sum.maximum,
        })
    });
    json!({
        "filter": filter,
        "metric": metric,
        "unit": unit,
        "sum": total.map_or(0.0, |total| total.sum),
        "samples": total.map_or(0, |total| total.samples),
        "points": points.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(operation: &'static str, method: &'static str, of_object: bool) -> Request {
        Request {
            operation,
            method: method.parse().unwrap(),
            of_object,
            status: 200,
            received_bytes: 0,
            sent_bytes: 0,
            first_byte: Duration::from_micros(1_500),
            total: Duration::from_millis(2),
            is_old_signature: false,
            names_kms: false,
        }
    }

    #[test]
    fn requests_are_of_one_kind() {
        for (operation, method, of_object, kind) in [
            ("GetObject", "GET", true, Some("GetRequests")),
            ("GetObjectTagging", "GET", true, Some("GetRequests")),
            ("ListParts", "GET", true, None),
            ("ListObjectsV2", "GET", false, Some("ListRequests")),
            ("GetBucketAcl", "GET", false, None),
            ("UploadPart", "PUT", true, Some("PutRequests")),
            ("PutBucketAcl", "PUT", false, None),
            ("DeleteObject", "DELETE", true, Some("DeleteRequests")),
            ("DeleteObjects", "POST", false, Some("DeleteRequests")),
            ("CreateMultipartUpload", "POST", true, Some("PostRequests")),
            ("SelectObjectContent", "POST", true, Some("SelectRequests")),
            ("HeadBucket", "HEAD", false, Some("HeadRequests")),
        ] {
            assert_eq!(super::kind(&request(operation, method, of_object)), kind, "{operation}");
        }
    }

    #[test]
    fn errors_have_a_value_for_every_request_and_bytes_only_where_there_are_some() {
        let good = measures(&Request { sent_bytes: 5, ..request("GetObject", "GET", true) });
        let expected = [
            ("AllRequests", 1.0),
            ("GetRequests", 1.0),
            ("4xxErrors", 0.0),
            ("5xxErrors", 0.0),
            ("BytesDownloaded", 5.0),
            ("FirstByteLatency", 1.5),
            ("TotalRequestLatency", 2.0),
        ];
        assert_eq!(good, expected);
        let bad = measures(&Request { status: 404, ..request("GetObject", "GET", true) });
        assert!(bad.contains(&("4xxErrors", 1.0)) && bad.contains(&("5xxErrors", 0.0)));
        let sum = Sum::one(2.0).and(Sum::one(4.0));
        assert_eq!(sum, Sum { sum: 6.0, samples: 2, minimum: 2.0, maximum: 4.0 });
    }
}
