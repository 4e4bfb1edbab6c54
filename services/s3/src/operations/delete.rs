//! DeleteObject and DeleteObjects.

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::Transaction;

use crate::error::{Error, Result};
use crate::notify::Happening;
use crate::objects::{self, check_version, scope};
use crate::service::S3;
use crate::store::{Bucket, OBJECTS};

/// The most keys of one DeleteObjects.
const MAX_KEYS: usize = 1_000;

/// What must be true of an object for it to be deleted.
#[derive(Debug, Default)]
struct Conditions<'a> {
    etag: Option<&'a str>,
    last_modified: Option<Timestamp>,
    size: Option<i64>,
}

impl Conditions<'_> {
    fn check(&self, tx: &Transaction<'_>, scope: &fractus_store::Scope, bucket: &Bucket, key: &str) -> Result<()> {
        if self.etag.is_none() && self.last_modified.is_none() && self.size.is_none() {
            return Ok(());
        }
        let Some(object) = tx.get(&OBJECTS, scope, &(bucket.id, key))? else {
            return Err(Error::NoSuchKey { key: key.to_owned() });
        };
        let failed = |condition| Err(Error::PreconditionFailed { condition });
        let etag_differs = |wanted: &str| wanted != "*" && wanted.trim_matches('"') != object.etag.trim_matches('"');
        if self.etag.is_some_and(etag_differs) {
            return failed("If-Match");
        }
        let modified = object.last_modified.to_secs_precision();
        if self.last_modified.is_some_and(|wanted| wanted.to_secs_precision() != modified) {
            return failed("x-amz-if-match-last-modified-time");
        }
        if self.size.is_some_and(|wanted| u64::try_from(wanted) != Ok(object.size)) {
            return failed("x-amz-if-match-size");
        }
        Ok(())
    }
}

pub async fn one(s3: &S3, cx: &Context, input: api::DeleteObjectInput) -> Result<api::DeleteObjectOutput> {
    check_version(input.version_id.as_deref(), &input.key)?;
    let (scope, now) = (scope(cx), cx.now());
    let conditions = Conditions {
        etag: input.if_match.as_deref(),
        last_modified: input.if_match_last_modified_time,
        size: input.if_match_size,
    };
    let happening = Happening { cx, event: "s3:ObjectRemoved:Delete", now };
    let removed = s3
        .store
        .write(|tx| {
            let bucket = objects::bucket(tx, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            conditions.check(tx, &scope, &bucket, &input.key)?;
            objects::remove(tx, s3, &scope, &bucket, &input.key, now, &happening)
        })
        .await?;
    s3.free(removed.freed);
    Ok(api::DeleteObjectOutput::default())
}

/// Each key stands or falls alone; a quiet request is told of failures only.
pub async fn many(s3: &S3, cx: &Context, input: api::DeleteObjectsInput) -> Result<api::DeleteObjectsOutput> {
    let identifiers = input.delete.objects;
    if identifiers.is_empty() || identifiers.len() > MAX_KEYS {
        return Err(Error::MalformedXml);
    }
    let (scope, now) = (scope(cx), cx.now());
    let happening = Happening { cx, event: "s3:ObjectRemoved:Delete", now };
    let outcomes = s3
        .store
        .write(|tx| {
            let bucket = objects::bucket(tx, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let mut outcomes = Vec::with_capacity(identifiers.len());
            for identifier in &identifiers {
                let conditions = Conditions {
                    etag: identifier.e_tag.as_deref(),
                    last_modified: identifier.last_modified_time,
                    size: identifier.size,
                };
                let outcome = check_version(identifier.version_id.as_deref(), &identifier.key)
                    .and_then(|()| conditions.check(tx, &scope, &bucket, &identifier.key))
                    .and_then(|()| objects::remove(tx, s3, &scope, &bucket, &identifier.key, now, &happening));
                match outcome {
                    Err(Error::Store(error)) => return Err(Error::Store(error)),
                    outcome => outcomes.push(outcome),
                }
            }
            Ok(outcomes)
        })
        .await?;
    let quiet = input.delete.quiet.unwrap_or(false);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (identifier, outcome) in identifiers.into_iter().zip(outcomes) {
        match outcome {
            Ok(removed) => {
                s3.free(removed.freed);
                if !quiet {
                    deleted.push(api::DeletedObject {
                        key: Some(identifier.key),
                        version_id: identifier.version_id,
                        ..Default::default()
                    });
                }
            }
            Err(error) => {
                let failure: fractus_wire::Failure = error.into();
                errors.push(api::ErrorShape {
                    key: Some(identifier.key),
                    version_id: identifier.version_id,
                    code: Some(failure.code.into_owned()),
                    message: Some(failure.message),
                });
            }
        }
    }
    Ok(api::DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() })
}
