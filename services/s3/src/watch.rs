//! Who looks at requests after they are answered: access logs, request metrics, storage class analysis. A request of a
//! bucket that nobody watches costs nothing.

use std::sync::Arc;

use fractus_host::Context;
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use fractus_wire::ByteStream;
use http::Response;

use crate::analytics::{self, Activity};
use crate::configurations::{self, Kind};
use crate::control::routing::Through;
use crate::error::{Error, Result};
use crate::logging;
use crate::metrics;
use crate::model::filter::Subject;
use crate::objects::scope;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, OBJECTS, Object};

/// Buckets whose requests are measured or analysed, by id.
pub const WATCHED: Collection<(u64,), ()> = Collection::new("watched-buckets");

/// Remembers whether a bucket has configurations for which its requests are looked at.
pub fn mark(tx: &mut Transaction<'_>, scope: &Scope, bucket: &Bucket) -> Result<()> {
    for kind in [Kind::Metrics, Kind::Analytics] {
        let range = Range::prefix(&(bucket.id, kind.name()));
        if tx.keys(&configurations::CONFIGURATIONS, scope, range, Order::Ascending)?.next().is_some() {
            return Ok(tx.put(&WATCHED, scope, &(bucket.id,), &())?);
        }
    }
    Ok(tx.delete(&WATCHED, scope, &(bucket.id,))?)
}

/// Tells all who watch the bucket of a request.
pub async fn tell(s3: &S3, cx: &Context, response: &mut Response<ByteStream>) {
    let path = cx.uri().path().trim_start_matches('/');
    let (name, key) = path.split_once('/').unwrap_or((path, ""));
    let scope = scope(cx);
    let found = s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&BUCKETS, &scope, &(name,))?)).await;
    let Ok(Some(bucket)) = found else { return };
    if bucket.settings.has(Kind::Logging) {
        logging::record(s3, cx, &bucket, key, response).await;
    }
    if bucket.settings.has(Kind::Metrics) || bucket.settings.has(Kind::Analytics) {
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
        let seen = Seen { s3, cx, scope: &scope, bucket: &bucket, key: &key };
        if let Err(error) = seen.measure(response).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a request could not be measured");
        }
    }
}

struct Seen<'a> {
    s3: &'a S3,
    cx: &'a Context,
    scope: &'a Scope,
    bucket: &'a Bucket,
    /// Empty where the request is about the bucket.
    key: &'a str,
}

fn length(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Seen<'_> {
    async fn measure(&self, response: &mut Response<ByteStream>) -> Result<()> {
        let cx = self.cx;
        let operation = cx.operation().map_or("", |called| called.schema.name);
        let sent = length(response.headers().get("content-length").and_then(|value| value.to_str().ok()));
        let received = length(cx.header("x-amz-decoded-content-length").or(cx.header("content-length")));
        let request = metrics::Request {
            operation,
            method: cx.method().as_str(),
            of_object: !self.key.is_empty(),
            status: response.status().as_u16(),
            received_bytes: received,
            sent_bytes: if cx.method() == http::Method::HEAD { 0 } else { sent },
        };
        let measures = metrics::measures(&request);
        let counted = Counted::of(&request);
        let now = cx.now();
        self.s3
            .store
            .write(|tx| {
                let object: Option<Object> = match self.key {
                    "" => None,
                    key => tx.get(&OBJECTS, self.scope, &(self.bucket.id, key))?,
                };
                if self.bucket.settings.has(Kind::Metrics) {
                    let tags = object.as_ref().map(|object| object.tags.as_slice()).unwrap_or_default();
                    let key = (!self.key.is_empty()).then_some(self.key);
                    let through = cx.extensions().get::<Arc<Through>>();
                    let access_point = through.map(|through| through.arn.as_str());
                    let subject = Subject { key, tags, access_point };
                    let filters = metrics::filters(tx, self.scope, self.bucket, &subject)?;
                    metrics::add(tx, self.scope, self.bucket.id, &filters, &measures, now)?;
                }
                if let (Some(object), Some(counted)) = (&object, counted)
                    && self.bucket.settings.has(Kind::Analytics)
                {
                    analytics::count(tx, self.scope, self.bucket, self.key, object, counted.activity(object), now)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

/// What storage class analysis counts of a request: successful reads and writes of whole objects, and not uploads in
/// parts.
#[derive(Clone, Copy)]
enum Counted {
    Read { bytes: u64 },
    Write,
}

impl Counted {
    fn of(request: &metrics::Request<'_>) -> Option<Counted> {
        match request.operation {
            _ if !(200..300).contains(&request.status) => None,
            "GetObject" => Some(Counted::Read { bytes: request.sent_bytes }),
            "PutObject" | "CopyObject" => Some(Counted::Write),
            _ => None,
        }
    }

    fn activity(self, object: &Object) -> Activity {
        match self {
            Counted::Read { bytes } => Activity { uploaded_bytes: 0, retrieved_bytes: bytes, gets: 1 },
            Counted::Write => Activity { uploaded_bytes: object.size, ..Activity::default() },
        }
    }
}
