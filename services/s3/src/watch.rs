//! Who looks at requests after they are answered: access logs, request metrics, storage class analysis, Storage Lens. A
//! request of a bucket that nobody watches costs nothing.
//!
//! An answer that lies in memory is told of before it goes out, one that flows when its last byte does ([`follow`]).

mod follow;

use std::sync::Arc;
use std::time::Duration;

use fractus_clock::{Clock, Timestamp};
use fractus_host::{Context, Timing};
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use fractus_wire::ByteStream;
use http::{Method, Response};

use crate::addressing;
use crate::analytics::{self, Activity};
use crate::configurations::{self, Kind};
use crate::control::lens_export::requests;
use crate::control::routing::Through;
use crate::error::{Error, Result};
use crate::logging::{self, Answer, Line};
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

impl S3 {
    /// Notes that the body of a request has come, where anybody may want to know how long its answer took.
    pub fn body_has_come(&self, cx: &Context) {
        if self.schedule.may_watch() {
            cx.timing().body_has_come();
        }
    }
}

/// Tells all who watch the bucket of a request, now or when its answer has gone out.
pub async fn tell(s3: &S3, cx: &Context, response: &mut Response<ByteStream>) {
    let turn_around = cx.timing().since_body(cx.clock());
    let Some(mut seen) = Seen::of(s3, cx, &Answer::of(response), turn_around).await else { return };
    let sends_body = cx.method() != Method::HEAD;
    if sends_body && matches!(response.body(), ByteStream::Streaming { .. }) {
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = follow::follow(body, seen);
    } else {
        seen.request.sent_bytes = response.body().length_bytes().filter(|_| sends_body).unwrap_or(0);
        seen.tell().await;
    }
}

/// An answered request, and who wants to know of it.
pub(crate) struct Seen {
    s3: S3,
    scope: Scope,
    bucket: Bucket,
    /// Empty where the request is about the bucket.
    key: String,
    access_point: Option<String>,
    request: metrics::Request,
    lines: Vec<Line>,
    /// How Storage Lens counts, where it does.
    lens: Option<requests::Wanted>,
    clock: Clock,
    timing: Timing,
    now: Timestamp,
}

fn number(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Seen {
    /// Nothing where nobody watches.
    async fn of(s3: &S3, cx: &Context, answer: &Answer<'_>, turn_around: Duration) -> Option<Seen> {
        let (name, raw_key) = addressing::split(cx.uri().path());
        let scope = scope(cx);
        let found = s3.store.read(|snapshot| {
            let Some(bucket) = snapshot.get(&BUCKETS, &scope, &(name,))? else { return Ok::<_, Error>(None) };
            let lens = requests::Wanted::of(snapshot, &scope, &bucket)?;
            Ok(Some((bucket, lens)))
        });
        // Where only the source of a copy is logged, the request is still one that somebody wants to know of.
        let mut lines: Vec<Line> = logging::copied(s3, cx, &scope, answer).await.into_iter().collect();
        let Ok(Some((bucket, lens))) = found.await else { return None };
        if bucket.settings.has(Kind::Logging) {
            lines.push(logging::line(cx, &bucket, raw_key, answer, turn_around));
        }
        let measured = bucket.settings.has(Kind::Metrics) || bucket.settings.has(Kind::Analytics);
        if lines.is_empty() && lens.is_none() && !measured {
            return None;
        }
        let through = cx.extensions().get::<Arc<Through>>();
        let request = metrics::Request {
            operation: cx.operation().map_or("", |called| called.schema.name),
            method: cx.method().clone(),
            of_object: !raw_key.is_empty(),
            status: answer.status.as_u16(),
            received_bytes: number(cx.header("x-amz-decoded-content-length").or(cx.header("content-length"))),
            sent_bytes: 0,
            first_byte: turn_around,
            total: Duration::ZERO,
            is_old_signature: logging::signature_version(cx) == "SigV2",
            names_kms: cx.header("x-amz-server-side-encryption").is_some_and(|value| value.starts_with("aws:kms")),
        };
        Some(Seen {
            key: percent_encoding::percent_decode_str(raw_key).decode_utf8_lossy().into_owned(),
            access_point: through.map(|through| through.arn.clone()),
            s3: s3.clone(),
            scope,
            bucket,
            request,
            lines,
            lens,
            clock: cx.clock().clone(),
            timing: cx.timing().clone(),
            now: cx.now(),
        })
    }

    /// Tells everybody; the last byte of the answer goes out now.
    async fn tell(mut self) {
        self.request.total = self.timing.total(&self.clock);
        logging::record(&self.s3, &self.scope, std::mem::take(&mut self.lines), &self.request, self.now).await;
        let measured = self.bucket.settings.has(Kind::Metrics) || self.bucket.settings.has(Kind::Analytics);
        if (measured || self.lens.is_some())
            && let Err(error) = self.measure().await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "a request could not be measured");
        }
    }

    async fn measure(&self) -> Result<()> {
        let measures = metrics::measures(&self.request);
        let counted = Counted::of(&self.request);
        self.s3
            .store
            .write(|tx| {
                let object: Option<Object> = match self.key.as_str() {
                    "" => None,
                    key => tx.get(&OBJECTS, &self.scope, &(self.bucket.id, key))?,
                };
                if self.bucket.settings.has(Kind::Metrics) {
                    let tags = object.as_ref().map(|object| object.tags.as_slice()).unwrap_or_default();
                    let key = (!self.key.is_empty()).then_some(self.key.as_str());
                    let subject = Subject { key, tags, access_point: self.access_point.as_deref() };
                    let filters = metrics::filters(tx, &self.scope, &self.bucket, &subject)?;
                    metrics::add(tx, &self.scope, self.bucket.id, &filters, &measures, self.now)?;
                }
                if let Some(lens) = &self.lens {
                    let about = requests::About { bucket: self.bucket.id, key: &self.key, object: object.as_ref() };
                    requests::count(tx, &self.scope, lens, &about, &self.request, self.now)?;
                }
                if let (Some(object), Some(counted)) = (&object, counted)
                    && self.bucket.settings.has(Kind::Analytics)
                {
                    let activity = counted.activity(object);
                    analytics::count(tx, &self.scope, &self.bucket, &self.key, object, activity, self.now)?;
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
    fn of(request: &metrics::Request) -> Option<Counted> {
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
