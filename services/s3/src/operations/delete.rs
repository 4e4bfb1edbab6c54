//! DeleteObject and DeleteObjects.

use std::borrow::Cow;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::Transaction;
use fractus_wire::Failure;

use crate::access;
use crate::directory::is_directory;
use crate::error::{Error, Result};
use crate::logging::{self, Deleted};
use crate::mfa;
use crate::model::names;
use crate::notify::Happening;
use crate::objects::{self, Target, scope};
use crate::operations::locks;
use crate::service::S3;
use crate::store::Bucket;
use crate::versions;

/// The most keys of one DeleteObjects.
const MAX_KEYS: usize = 1_000;

/// What must be true of an object for it to be deleted.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html>
#[derive(Debug, Default)]
struct Conditions<'a> {
    etag: Option<&'a str>,
    last_modified: Option<Timestamp>,
    size: Option<i64>,
}

impl Conditions<'_> {
    /// The header of a condition that a general purpose bucket does without: sizes and times are directory buckets', and
    /// an entity tag is the current version's.
    fn unsupported(&self, bucket: &str, version_id: Option<&str>) -> Option<&'static str> {
        if is_directory(bucket) {
            None
        } else if self.size.is_some() {
            Some("x-amz-if-match-size")
        } else if self.last_modified.is_some() {
            Some("x-amz-if-match-last-modified-time")
        } else {
            self.etag.and(version_id).map(|_| "If-Match")
        }
    }

    fn check(
        &self,
        tx: &Transaction<'_>,
        scope: &fractus_store::Scope,
        bucket: &Bucket,
        key: &str,
        version_id: Option<&str>,
    ) -> Result<()> {
        if self.etag.is_none() && self.last_modified.is_none() && self.size.is_none() {
            return Ok(());
        }
        if let Some(header) = self.unsupported(&bucket.name, version_id) {
            return Err(Error::NotImplemented { header: header.to_owned() });
        }
        let failed = |condition| Err(Error::PreconditionFailed { condition });
        let object = match versions::object(tx, scope, bucket, key, version_id) {
            // What is not there at all meets a size and a time.
            Err(Error::NoSuchKey { .. }) if self.etag.is_none() => return Ok(()),
            // A delete marker is no object.
            Err(Error::Deleted { key, .. }) => return Err(Error::NoSuchKey { key }),
            found => found?,
        };
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
    let bypass = locks::bypasses(cx, &input.bucket, &input.key, input.bypass_governance_retention).await?;
    let target = Target { key: &input.key, version_id: input.version_id.as_deref(), bypass };
    let (scope, now) = (scope(cx), cx.now());
    let conditions = Conditions {
        etag: input.if_match.as_deref(),
        last_modified: input.if_match_last_modified_time,
        size: input.if_match_size,
    };
    let happening = Happening::new(cx, "s3:ObjectRemoved:Delete", now);
    let deleted = s3
        .store
        .write(|tx| {
            let bucket = objects::open(cx, tx, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            mfa::check_deletion(cx, &bucket, target.version_id, input.mfa.as_deref())?;
            conditions.check(tx, &scope, &bucket, &input.key, target.version_id)?;
            objects::delete(tx, s3, &scope, &bucket, target, &happening)
        })
        .await?;
    if deleted.marker {
        s3.replication.wake();
    }
    s3.free(deleted.changed.freed);
    Ok(api::DeleteObjectOutput {
        delete_marker: deleted.marker.then_some(true),
        version_id: deleted.version_id,
        ..Default::default()
    })
}

/// The code and the message that one key of a batch is refused with.
type Refusal = (Cow<'static, str>, String);

/// Whom policies forbid to delete a key, or to pass its retention over, is refused that key and no other.
async fn refusals(
    cx: &Context,
    bucket: &str,
    identifiers: &[api::ObjectIdentifier],
    bypass: bool,
) -> Vec<Option<Refusal>> {
    if !cx.evaluates_policies() {
        return vec![None; identifiers.len()];
    }
    let mut refused = Vec::with_capacity(identifiers.len());
    for identifier in identifiers {
        let mut wanted = access::to_delete(cx, bucket, identifier);
        if bypass {
            wanted.extend(access::to_object(cx, bucket, &identifier.key, "s3:BypassGovernanceRetention"));
        }
        refused.push(cx.authorize(&wanted).await.err().map(|failure| (failure.code, failure.message)));
    }
    refused
}

/// How a batch tells of one key. An id that is none (the empty one, too) is a version that there is not, and not an argument that
/// is invalid as for a single delete: <https://github.com/wal-g/wal-g/pull/2549>. Those of directory buckets say the status
/// with a condition's code, as seen of AWS.
fn told(error: Error, bucket: &str, of: &api::ObjectIdentifier) -> Refusal {
    let failure = Failure::from(match (error, &of.version_id) {
        (Error::InvalidArgument { name, .. }, Some(id)) if name == "versionId" => {
            Error::NoSuchVersion { key: of.key.clone(), version_id: id.clone() }
        }
        (error, _) => error,
    });
    let is_condition = failure.code == "PreconditionFailed" && is_directory(bucket);
    (if is_condition { "412 Precondition Failed".into() } else { failure.code }, failure.message)
}

/// Each key stands or falls alone; a quiet request is told of failures only.
pub async fn many(s3: &S3, cx: &Context, input: api::DeleteObjectsInput) -> Result<api::DeleteObjectsOutput> {
    let identifiers = input.delete.objects;
    if identifiers.is_empty() || identifiers.len() > MAX_KEYS {
        return Err(Error::MalformedXml);
    }
    // The schema of a general purpose bucket's batches has neither.
    let is_sized = |one: &api::ObjectIdentifier| one.size.is_some() || one.last_modified_time.is_some();
    if !is_directory(&input.bucket) && identifiers.iter().any(is_sized) {
        return Err(Error::MalformedXml);
    }
    let bypass = input.bypass_governance_retention == Some(true);
    let refused = refusals(cx, &input.bucket, &identifiers, bypass).await;
    let (scope, now) = (scope(cx), cx.now());
    let happening = Happening::new(cx, "s3:ObjectRemoved:Delete", now);
    let outcomes = s3
        .store
        .write(|tx| {
            let bucket = objects::open(cx, tx, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let mut outcomes = Vec::with_capacity(identifiers.len());
            for identifier in identifiers.iter().zip(&refused).filter_map(|(wanted, no)| no.is_none().then_some(wanted))
            {
                let conditions = Conditions {
                    etag: identifier.e_tag.as_deref(),
                    last_modified: identifier.last_modified_time,
                    size: identifier.size,
                };
                let version_id = identifier.version_id.as_deref();
                let target = Target { key: &identifier.key, version_id, bypass };
                let outcome = names::check_key(&identifier.key)
                    .and_then(|()| mfa::check_deletion(cx, &bucket, version_id, input.mfa.as_deref()))
                    .and_then(|()| conditions.check(tx, &scope, &bucket, &identifier.key, version_id))
                    .and_then(|()| objects::delete(tx, s3, &scope, &bucket, target, &happening));
                match outcome {
                    Err(Error::Store(error)) => return Err(Error::Store(error)),
                    outcome => outcomes.push(outcome),
                }
            }
            Ok(outcomes)
        })
        .await?;
    if outcomes.iter().flatten().any(|done| done.marker) {
        s3.replication.wake();
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    let mut outcomes = outcomes.into_iter();
    let mut logged = Vec::new();
    for (identifier, refusal) in identifiers.into_iter().zip(refused) {
        let outcome = match refusal {
            Some(refusal) => Err(refusal),
            // There is one for each that was not refused.
            None => outcomes
                .next()
                .unwrap_or(Err(Error::AccessDenied))
                .map_err(|error| told(error, &input.bucket, &identifier)),
        };
        if s3.schedule.may_watch() {
            let code = outcome.as_ref().err().map(|(code, _)| code.clone().into_owned());
            logged.push(Deleted {
                key: identifier.key.clone(),
                version_id: identifier.version_id.clone(),
                error: code,
            });
        }
        match outcome {
            Ok(done) => {
                s3.free(done.changed.freed);
                if !quiet {
                    deleted.push(api::DeletedObject {
                        key: Some(identifier.key),
                        version_id: identifier.version_id,
                        delete_marker: done.marker.then_some(true),
                        delete_marker_version_id: done.version_id.filter(|_| done.marker),
                    });
                }
            }
            Err((code, message)) => errors.push(api::ErrorShape {
                key: Some(identifier.key),
                version_id: identifier.version_id,
                code: Some(code.into_owned()),
                message: Some(message),
            }),
        }
    }
    if !logged.is_empty() {
        Box::pin(logging::deleted(s3, cx, &input.bucket, &logged)).await;
    }
    Ok(api::DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() })
}
