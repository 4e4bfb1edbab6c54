//! What each operation reaches for, as policies name it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use fractus_aws::Arn;
use fractus_host::{Access, Context};
use fractus_s3_api as api;

use crate::error::Result;
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
pub fn to_copy(cx: &Context, source: &str, bucket: &str, key: &str) -> Result<Vec<Access>> {
    let from = copy::source_of(cx, source)?;
    let action = if from.version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    let mut both = to_object(cx, &from.bucket, &from.key, action);
    both.extend(to_object(cx, bucket, key, "s3:PutObject"));
    Ok(both)
}

/// Every key of a batch is asked for.
pub fn to_delete_many(cx: &Context, input: &api::DeleteObjectsInput) -> Vec<Access> {
    let keys = input.delete.objects.iter();
    keys.flat_map(|object| {
        let action = if object.version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        to_object(cx, &input.bucket, &object.key, action)
    })
    .collect()
}
