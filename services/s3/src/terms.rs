//! What a bucket asks of requests to what is in it: that they are for its region, that the requester pays, and that
//! acceleration was turned on.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/RequesterPaysBuckets.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/transfer-acceleration.html>

use fractus_host::{CallerKind, Context};
use fractus_s3_api as api;
use fractus_store::{Scope, Snapshot};
use fractus_wire::ByteStream;
use http::{HeaderValue, Response};

use crate::addressing;
use crate::configurations::{self, Kind};
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};
use crate::{metadata, regions};

const PAYER: &str = "x-amz-request-payer";

/// Refuses a request that does not meet the bucket's terms.
pub fn check(cx: &Context, snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<()> {
    regions::check(cx, bucket)?;
    metadata::guard(cx, bucket)?;
    if bucket.settings.has(Kind::RequestPayment)
        && !is_owner(cx, bucket)
        && requester_pays(snapshot, scope, bucket)?
        && (cx.caller.kind == CallerKind::Anonymous || !agrees_to_pay(cx))
    {
        return Err(Error::AccessDenied);
    }
    if is_accelerated(cx) {
        check_acceleration(snapshot, scope, bucket)?;
    }
    Ok(())
}

fn is_owner(cx: &Context, bucket: &Bucket) -> bool {
    match cx.caller.kind {
        CallerKind::Service => true,
        CallerKind::Anonymous => false,
        CallerKind::Root | CallerKind::Known(_) => cx.caller.account.as_str() == bucket.account,
    }
}

fn requester_pays(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<bool> {
    let kind = Kind::RequestPayment;
    let found = configurations::read::<api::RequestPaymentConfiguration>(snapshot, scope, bucket, kind)?;
    Ok(found.into_set().is_some_and(|found| found.payer == api::Payer::Requester))
}

/// In a header, or among the parameters of a presigned URL.
fn agrees_to_pay(cx: &Context) -> bool {
    let by_header = cx.header(PAYER).is_some_and(|payer| payer.eq_ignore_ascii_case("requester"));
    let is_meant = |pair: &str| pair.eq_ignore_ascii_case("x-amz-request-payer=requester");
    by_header || cx.uri().query().is_some_and(|query| query.split('&').any(is_meant))
}

/// Whether the request came by the host of acceleration.
fn is_accelerated(cx: &Context) -> bool {
    let host = cx.named_host();
    !addressing::names_nothing(host) && host.contains("s3-accelerate.")
}

fn check_acceleration(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<()> {
    let found = configurations::read::<api::AccelerateConfiguration>(snapshot, scope, bucket, Kind::Accelerate)?;
    match found.into_set().and_then(|found| found.status) {
        Some(api::BucketAccelerateStatus::Enabled) => Ok(()),
        Some(_) => Err(Error::invalid_request("S3 Transfer Acceleration is disabled on this bucket")),
        None => Err(Error::invalid_request("S3 Transfer Acceleration is not configured on this bucket")),
    }
}

/// Whether the answer may have to say who was charged.
pub fn may_be_charged(cx: &Context) -> bool {
    agrees_to_pay(cx)
}

/// Says in the answer that the requester was charged, where that is so.
pub async fn add_charged(s3: &S3, cx: &Context, response: &mut Response<ByteStream>) {
    let (name, _) = addressing::split(cx.uri().path());
    let scope = scope(cx);
    let charged = s3.store.read(|snapshot| {
        let Some(bucket) = snapshot.get(&BUCKETS, &scope, &(name,))? else { return Ok::<_, Error>(false) };
        Ok(!is_owner(cx, &bucket) && requester_pays(snapshot, &scope, &bucket)?)
    });
    if response.status().is_success() && charged.await.unwrap_or(false) {
        response.headers_mut().insert("x-amz-request-charged", HeaderValue::from_static("requester"));
    }
}
