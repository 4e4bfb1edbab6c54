//! What each operation reaches for, as policies name it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use fractus_aws::Arn;
use fractus_host::{Access, CallerKind, Context};
use fractus_s3_api as api;

use crate::error::{Error, Result};
use crate::operations::copy;

fn arn(cx: &Context, resource: String) -> Arn {
    Arn::new(cx.world.partition, "s3", "", "", resource)
}

/// An action on a bucket.
pub fn to_bucket(cx: &Context, bucket: &str, action: &str) -> Vec<Access> {
    vec![Access::to(&arn(cx, bucket.to_owned())).by(action)]
}

/// An action on an object.
pub fn to_object(cx: &Context, bucket: &str, key: &str, action: &str) -> Vec<Access> {
    vec![Access::to(&arn(cx, format!("{bucket}/{key}"))).by(action)]
}

/// A listing names what it lists, so that a policy can allow one prefix alone.
pub fn to_list(
    cx: &Context,
    bucket: &str,
    prefix: Option<&str>,
    delimiter: Option<&str>,
    max_keys: Option<i32>,
) -> Vec<Access> {
    let mut access = Access::to(&arn(cx, bucket.to_owned())).by("s3:ListBucket");
    let texts = [("s3:prefix", prefix), ("s3:delimiter", delimiter)];
    for (key, value) in texts {
        if let Some(value) = value {
            access = access.when(key, vec![value.to_owned()]);
        }
    }
    if let Some(max_keys) = max_keys {
        access = access.when("s3:max-keys", vec![max_keys.to_string()]);
    }
    vec![access]
}

/// A copy reads its source and writes its target.
pub fn to_copy(cx: &Context, source: &str, bucket: &str, key: &str, sets: Sets) -> Result<Vec<Access>> {
    let from = copy::source_of(cx, source)?;
    let action = if from.version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    let mut both = to_object(cx, &from.bucket, &from.key, action);
    both.extend(to_put(cx, bucket, key, sets));
    Ok(both)
}

/// One key of a batch: each is allowed or forbidden by itself.
pub fn to_delete(cx: &Context, bucket: &str, object: &api::ObjectIdentifier) -> Vec<Access> {
    let action = if object.version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
    to_object(cx, bucket, &object.key, action)
}

/// What an upload sets besides bytes and headers has permissions of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sets {
    pub tags: bool,
    pub list: bool,
    pub retention: bool,
    pub legal_hold: bool,
}

/// The [`Sets`] of an input that writes an object.
macro_rules! sets {
    ($input:expr) => {
        $crate::access::Sets {
            tags: $input.tagging.is_some(),
            list: $input.acl.is_some()
                || $input.grant_full_control.is_some()
                || $input.grant_read.is_some()
                || $input.grant_read_acp.is_some()
                || $input.grant_write_acp.is_some(),
            retention: $input.object_lock_mode.is_some() || $input.object_lock_event_hold.is_some(),
            legal_hold: $input.object_lock_legal_hold_status.is_some(),
        }
    };
}
pub(crate) use sets;

/// A write of an object, and of what it sets with it.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html#API_PutObject_RequestSyntax>
pub fn to_put(cx: &Context, bucket: &str, key: &str, sets: Sets) -> Vec<Access> {
    let Sets { tags, list, retention, legal_hold } = sets;
    let besides = [
        (tags, "s3:PutObjectTagging"),
        (list, "s3:PutObjectAcl"),
        (retention, "s3:PutObjectRetention"),
        (legal_hold, "s3:PutObjectLegalHold"),
    ];
    let mut wanted = to_object(cx, bucket, key, "s3:PutObject");
    for (_, action) in besides.into_iter().filter(|(is_set, _)| *is_set) {
        wanted.extend(to_object(cx, bucket, key, action));
    }
    wanted
}

/// Some operations are for callers who have signed, whatever is open to everybody.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpu-process>
pub fn check_known(cx: &Context, what: &'static str) -> Result<()> {
    if cx.caller.kind == CallerKind::Anonymous { Err(Error::AnonymousForbidden { what }) } else { Ok(()) }
}
