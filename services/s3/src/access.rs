//! What each operation reaches for, as policies name it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use fractus_aws::Arn;
use fractus_clock::Timestamp;
use fractus_host::{Access, CallerKind, Context};
use fractus_s3_api as api;

use crate::control::outposts::place::{self, Place};
use crate::error::{Error, Result};
use crate::operations::copy;

fn access(cx: &Context, bucket: &str, key: Option<&str>, action: &str) -> Access {
    if let Some(place) = Place::of_kept(bucket) {
        return place::access(cx, &place, key, action);
    }
    let resource = key.map_or_else(|| bucket.to_owned(), |key| format!("{bucket}/{key}"));
    Access::to(&Arn::new(cx.world.partition, "s3", "", "", resource)).by(action)
}

/// Headers of an answer are for who signs to choose.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>: "You must sign the request"
pub fn check_overrides(cx: &Context, input: &api::GetObjectInput) -> Result<()> {
    let chosen = [
        input.response_cache_control.is_some(),
        input.response_content_disposition.is_some(),
        input.response_content_encoding.is_some(),
        input.response_content_language.is_some(),
        input.response_content_type.is_some(),
        input.response_expires.is_some(),
    ];
    if cx.caller.kind == CallerKind::Anonymous && chosen.contains(&true) {
        let message = "Request specific response headers cannot be used for anonymous GET requests.";
        return Err(Error::invalid_request(message));
    }
    Ok(())
}

/// An action on a bucket.
pub fn to_bucket(cx: &Context, bucket: &str, action: &str) -> Vec<Access> {
    vec![access(cx, bucket, None, action)]
}

/// An action on an object.
pub fn to_object(cx: &Context, bucket: &str, key: &str, action: &str) -> Vec<Access> {
    vec![access(cx, bucket, Some(key), action)]
}

/// What a listing lists, so that a policy can allow one prefix alone.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    pub action: &'static str,
    pub prefix: Option<&'a str>,
    pub delimiter: Option<&'a str>,
    pub max_keys: Option<i32>,
}

impl Listing<'_> {
    /// A listing that leaves nothing out.
    pub const fn whole() -> Self {
        Listing { action: "s3:ListBucket", prefix: None, delimiter: None, max_keys: None }
    }
}

pub fn to_list(cx: &Context, bucket: &str, of: Listing<'_>) -> Vec<Access> {
    let mut access = access(cx, bucket, None, of.action);
    for (key, value) in [("s3:prefix", of.prefix), ("s3:delimiter", of.delimiter)] {
        if let Some(value) = value {
            access = access.when(key, vec![value.to_owned()]);
        }
    }
    if let Some(max_keys) = of.max_keys {
        access = access.when("s3:max-keys", vec![max_keys.to_string()]);
    }
    if place::is_kept(bucket) {
        place::rename_keys(&mut access.conditions);
    }
    vec![access]
}

/// A bucket is made somewhere.
pub fn to_create(cx: &Context, input: &api::CreateBucketInput) -> Vec<Access> {
    let access = access(cx, &input.bucket, None, "s3:CreateBucket");
    let said = input.create_bucket_configuration.as_ref().and_then(|said| said.location_constraint.as_ref());
    vec![match said {
        Some(region) => access.when("s3:locationconstraint", vec![region.as_str().to_owned()]),
        None => access,
    }]
}

/// New tags of an object, which conditions may ask about.
pub fn to_tag(cx: &Context, input: &api::PutObjectTaggingInput) -> Vec<Access> {
    let action = if input.version_id.is_some() { "s3:PutObjectVersionTagging" } else { "s3:PutObjectTagging" };
    let tags = &input.tagging.tag_set;
    let mut access = access(cx, &input.bucket, Some(&input.key), action);
    if !tags.is_empty() {
        access = access.when("s3:RequestObjectTagKeys", tags.iter().map(|tag| tag.key.clone()).collect());
    }
    for tag in tags {
        access = access.when(format!("s3:RequestObjectTag/{}", tag.key), vec![tag.value.clone()]);
    }
    if place::is_kept(&input.bucket) {
        place::rename_keys(&mut access.conditions);
    }
    vec![access]
}

/// What conditions may ask of a retention.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html>
pub fn lock_conditions(mode: Option<&str>, until: Option<Timestamp>, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut conditions = Vec::new();
    conditions.extend(mode.map(|mode| ("s3:object-lock-mode", mode.to_owned())));
    if let Some(until) = until {
        let days = (until.secs() - now.secs()).div_euclid(86_400);
        conditions.push(("s3:object-lock-retain-until-date", until.date_time()));
        conditions.push(("s3:object-lock-remaining-retention-days", days.to_string()));
    }
    conditions
}

pub fn to_retain(cx: &Context, input: &api::PutObjectRetentionInput) -> Vec<Access> {
    let retention = input.retention.as_ref();
    let mode = retention.and_then(|retention| retention.mode.as_ref()).map(api::ObjectLockRetentionMode::as_str);
    let until = retention.and_then(|retention| retention.retain_until_date);
    let mut conditions = lock_conditions(mode, until, cx.now());
    if let Some(hold) = retention.and_then(|retention| retention.event_hold.as_ref()) {
        conditions.push(("s3:object-lock-event-hold", hold.as_str().to_owned()));
    }
    let duration = retention.and_then(|retention| retention.event_hold_duration.as_ref());
    if let Some(days) = duration.and_then(|duration| duration.days) {
        conditions.push(("s3:object-lock-event-hold-duration-days", days.to_string()));
    }
    with(to_object(cx, &input.bucket, &input.key, "s3:PutObjectRetention"), conditions)
}

pub fn to_hold(cx: &Context, input: &api::PutObjectLegalHoldInput) -> Vec<Access> {
    let status = input.legal_hold.as_ref().and_then(|hold| hold.status.as_ref());
    let conditions = status.map(|status| ("s3:object-lock-legal-hold", status.as_str().to_owned()));
    with(to_object(cx, &input.bucket, &input.key, "s3:PutObjectLegalHold"), conditions)
}

fn with(wanted: Vec<Access>, conditions: impl IntoIterator<Item = (&'static str, String)>) -> Vec<Access> {
    let conditions: Vec<_> = conditions.into_iter().collect();
    let add =
        |access| conditions.iter().fold(access, |access: Access, (key, value)| access.when(*key, vec![value.clone()]));
    wanted.into_iter().map(add).collect()
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
