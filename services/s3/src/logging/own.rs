//! Lines of what S3 does itself: to each key of a batch, and to what a lifecycle is about.

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_store::{Scope, Transaction};

use super::lines::{log_time, or_dash, requester};
use super::{keep, lists, write};
use crate::configurations::Kind;
use crate::error::{Error, Result};
use crate::model::encoding::form_encode;
use crate::objects::scope;
use crate::permissions::canonical_user;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};

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
            needed_list: deleted.error.is_none() && lists::needed(cx, bucket.id, &deleted.key),
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
    needed_list: bool,
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
             - - - - - - - {} -",
            lists::shown(self.needed_list)
        )
    }
}

/// Writes down what a lifecycle did to an object: `S3.EXPIRE.OBJECT`, `S3.TRANSITION_SIA.OBJECT` ...
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-and-other-bucket-config.html>
pub fn of_lifecycle(
    tx: &mut Transaction<'_>,
    s3: &S3,
    scope: &Scope,
    bucket: &Bucket,
    (operation, key, version_id, size): (&str, &str, Option<&str>, Option<u64>),
    now: Timestamp,
) -> Result<()> {
    if !bucket.settings.has(Kind::Logging) {
        return Ok(());
    }
    let id = s3.schedule.line_id(s3.host.random());
    let request_id = format!("{:016X}", s3.host.random().u64());
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
        needed_list: false,
    };
    let at = u64::try_from(now.micros()).unwrap_or(0);
    keep(tx, scope, bucket, (at, &id), &own.line(bucket, now), now).map(drop)
}
