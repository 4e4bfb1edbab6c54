//! One task of a job: the same operation that a caller could ask for, on one object.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-operations.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_host::Context;
use fractus_s3_api as s3_api;
use fractus_s3control_api as api;
use fractus_wire::Failure;
use serde_json::json;

use super::functions;
use super::job::Task;
use super::manifest::bucket_of_arn;
use crate::access;
use crate::error::{Error, Result};
use crate::ingest::digest_stored;
use crate::model::checksum::Algorithm;
use crate::model::encoding::form_encode;
use crate::model::encryption::GivenKey;
use crate::operations::{acls, archive, copy, get, locks, tagging};
use crate::replication::{self, Status};
use crate::service::S3;

/// How a task went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub failed: bool,
    /// It is worth another try.
    pub again: bool,
    pub code: String,
    pub http_status: u16,
    pub message: String,
}

impl Outcome {
    pub fn done(message: impl Into<String>) -> Outcome {
        Outcome { failed: false, again: false, code: String::new(), http_status: 200, message: message.into() }
    }

    pub fn of(failure: Failure) -> Outcome {
        Outcome {
            failed: true,
            again: false,
            code: failure.code.to_string(),
            http_status: failure.status,
            message: failure.message.clone(),
        }
    }
}

/// How often a task is tried.
pub const TRIES: u32 = 3;

/// Does one task. What fails for a moment is worth another try.
pub async fn run(s3: &S3, cx: &Context, job: &str, operation: &api::JobOperation, task: &Task) -> Outcome {
    if let Some(asked) = &operation.lambda_invoke {
        return functions::run(s3, cx, job, asked, task).await;
    }
    match once(s3, cx, operation, task).await {
        Ok(message) => Outcome::done(message),
        Err(error) => {
            let again = matches!(error, Error::ConditionalRequestConflict { .. } | Error::Store(_));
            Outcome { again, ..Outcome::of(error.into()) }
        }
    }
}

const SUCCESSFUL: &str = "Successful";

async fn once(s3: &S3, cx: &Context, operation: &api::JobOperation, task: &Task) -> Result<String> {
    let one = One { s3, cx, task };
    if let Some(asked) = &operation.s3_put_object_copy {
        one.copy(asked).await?;
    } else if let Some(asked) = &operation.s3_put_object_tagging {
        one.tag(asked.tag_set.clone().unwrap_or_default()).await?;
    } else if operation.s3_delete_object_tagging.is_some() {
        one.untag().await?;
    } else if let Some(asked) = &operation.s3_put_object_acl {
        one.set_acl(asked).await?;
    } else if let Some(asked) = &operation.s3_put_object_legal_hold {
        one.hold(asked).await?;
    } else if let Some(asked) = &operation.s3_put_object_retention {
        one.retain(asked).await?;
    } else if let Some(asked) = &operation.s3_initiate_restore_object {
        one.restore(asked).await?;
    } else if operation.s3_replicate_object.is_some() {
        one.replicate().await?;
    } else if let Some(asked) = &operation.s3_compute_object_checksum {
        return one.checksum(asked).await;
    } else if let Some(asked) = &operation.s3_update_object_encryption {
        one.encrypt(asked).await?;
    } else {
        return Err(Error::MalformedXml);
    }
    Ok(SUCCESSFUL.to_owned())
}

/// The member of a list that S3 writes as S3 Control does.
fn canned<T: for<'a> From<&'a str>>(list: Option<&api::S3CannedAccessControlList>) -> Option<T> {
    list.map(|list| list.as_str().into())
}

/// Grants of one permission as a header has them.
fn grants(grants: &[api::S3Grant], wanted: &api::S3Permission) -> Option<String> {
    let named = grants.iter().filter(|grant| grant.permission.as_ref() == Some(wanted));
    let texts: Vec<String> = named
        .filter_map(|grant| grant.grantee.as_ref())
        .filter_map(|grantee| {
            let kind = grantee.type_identifier.as_ref()?.as_str();
            Some(format!("{kind}=\"{}\"", grantee.identifier.as_deref()?))
        })
        .collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

struct One<'a> {
    s3: &'a S3,
    cx: &'a Context,
    task: &'a Task,
}

impl One<'_> {
    async fn allowed(&self, action: &str, of_version: &str) -> Result<()> {
        let action = if self.task.version_id.is_some() { of_version } else { action };
        let wanted = access::to_object(self.cx, &self.task.bucket, &self.task.key, action);
        self.cx.authorize(&wanted).await.map_err(|failure| Error::Other(Box::new(failure)))
    }

    async fn copy(&self, asked: &api::S3CopyObjectOperation) -> Result<()> {
        self.allowed("s3:GetObject", "s3:GetObjectVersion").await?;
        let target = asked.target_resource.as_deref().map_or(self.task.bucket.as_str(), bucket_of_arn);
        let key = match asked.target_key_prefix.as_deref() {
            Some(prefix) => format!("{}/{}", prefix.trim_end_matches('/'), self.task.key),
            None => self.task.key.clone(),
        };
        let wanted = access::to_object(self.cx, target, &key, "s3:PutObject");
        self.cx.authorize(&wanted).await.map_err(|failure| Error::Other(Box::new(failure)))?;
        let version = self.task.version_id.as_ref().map(|id| format!("?versionId={id}")).unwrap_or_default();
        let path = percent_encoding::utf8_percent_encode(&self.task.key, percent_encoding::NON_ALPHANUMERIC);
        let metadata = asked.new_object_metadata.clone().unwrap_or_default();
        let given = asked.access_control_grants.clone().unwrap_or_default();
        let tags = asked.new_object_tagging.as_ref();
        let tagged = |tags: &Vec<api::S3Tag>| {
            let pairs: Vec<String> =
                tags.iter().map(|tag| format!("{}={}", form_encode(&tag.key), form_encode(&tag.value))).collect();
            pairs.join("&")
        };
        let by_kms = asked.sse_aws_kms_key_id.is_some()
            || metadata.sse_algorithm.as_ref().is_some_and(|name| name.as_str() == "KMS");
        let encryption = match (by_kms, &metadata.sse_algorithm) {
            (true, _) => Some("aws:kms".into()),
            (false, Some(name)) => Some(name.as_str().into()),
            (false, None) => None,
        };
        let input = s3_api::CopyObjectInput {
            bucket: target.to_owned(),
            key,
            copy_source: format!("{}/{path}{version}", self.task.bucket),
            acl: canned(asked.canned_access_control_list.as_ref()),
            grant_full_control: grants(&given, &api::S3Permission::FullControl),
            grant_read: grants(&given, &api::S3Permission::Read),
            grant_read_acp: grants(&given, &api::S3Permission::ReadAcp),
            grant_write_acp: grants(&given, &api::S3Permission::WriteAcp),
            metadata_directive: asked.metadata_directive.as_ref().map(|directive| directive.as_str().into()),
            annotation_directive: asked.annotation_directive.as_ref().map(|directive| directive.as_str().into()),
            copy_source_if_modified_since: asked.modified_since_constraint,
            copy_source_if_unmodified_since: asked.un_modified_since_constraint,
            cache_control: metadata.cache_control,
            content_disposition: metadata.content_disposition,
            content_encoding: metadata.content_encoding,
            content_language: metadata.content_language,
            content_type: metadata.content_type,
            expires: metadata.http_expires_date.map(fractus_clock::Timestamp::http_date),
            metadata: metadata.user_metadata,
            tagging_directive: tags.map(|_| s3_api::TaggingDirective::Replace),
            tagging: tags.map(tagged),
            website_redirect_location: asked.redirect_location.clone(),
            storage_class: asked.storage_class.as_ref().map(|class| class.as_str().into()),
            server_side_encryption: encryption,
            ssekms_key_id: asked.sse_aws_kms_key_id.clone(),
            bucket_key_enabled: asked.bucket_key_enabled,
            object_lock_legal_hold_status: asked
                .object_lock_legal_hold_status
                .as_ref()
                .map(|status| status.as_str().into()),
            object_lock_mode: asked.object_lock_mode.as_ref().map(|mode| mode.as_str().into()),
            object_lock_retain_until_date: asked.object_lock_retain_until_date,
            checksum_algorithm: asked.checksum_algorithm.as_ref().map(|name| name.as_str().into()),
            ..Default::default()
        };
        copy::copy(self.s3, self.cx, input).await.map(drop)
    }

    async fn tag(&self, tags: Vec<api::S3Tag>) -> Result<()> {
        self.allowed("s3:PutObjectTagging", "s3:PutObjectVersionTagging").await?;
        let tag_set = tags.into_iter().map(|tag| s3_api::Tag { key: tag.key, value: tag.value }).collect();
        let input = s3_api::PutObjectTaggingInput {
            bucket: self.task.bucket.clone(),
            key: self.task.key.clone(),
            version_id: self.task.version_id.clone(),
            tagging: s3_api::Tagging { tag_set },
            ..Default::default()
        };
        tagging::put_object(self.s3, self.cx, input).await.map(drop)
    }

    async fn untag(&self) -> Result<()> {
        self.allowed("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging").await?;
        let input = s3_api::DeleteObjectTaggingInput {
            bucket: self.task.bucket.clone(),
            key: self.task.key.clone(),
            version_id: self.task.version_id.clone(),
            ..Default::default()
        };
        tagging::delete_object(self.s3, self.cx, input).await.map(drop)
    }

    async fn set_acl(&self, asked: &api::S3SetObjectAclOperation) -> Result<()> {
        self.allowed("s3:PutObjectAcl", "s3:PutObjectVersionAcl").await?;
        let policy = asked.access_control_policy.clone().unwrap_or_default();
        let listed = policy.access_control_list.and_then(|list| list.grants).unwrap_or_default();
        let input = s3_api::PutObjectAclInput {
            bucket: self.task.bucket.clone(),
            key: self.task.key.clone(),
            version_id: self.task.version_id.clone(),
            acl: canned(policy.canned_access_control_list.as_ref()),
            grant_full_control: grants(&listed, &api::S3Permission::FullControl),
            grant_read: grants(&listed, &api::S3Permission::Read),
            grant_read_acp: grants(&listed, &api::S3Permission::ReadAcp),
            grant_write: grants(&listed, &api::S3Permission::Write),
            grant_write_acp: grants(&listed, &api::S3Permission::WriteAcp),
            ..Default::default()
        };
        acls::put_object(self.s3, self.cx, input).await.map(drop)
    }

    async fn hold(&self, asked: &api::S3SetObjectLegalHoldOperation) -> Result<()> {
        self.allowed("s3:PutObjectLegalHold", "s3:PutObjectLegalHold").await?;
        let status = Some(asked.legal_hold.status.as_str().into());
        let input = s3_api::PutObjectLegalHoldInput {
            bucket: self.task.bucket.clone(),
            key: self.task.key.clone(),
            version_id: self.task.version_id.clone(),
            legal_hold: Some(s3_api::ObjectLockLegalHold { status }),
            ..Default::default()
        };
        locks::put_hold(self.s3, self.cx, input).await.map(drop)
    }

    async fn retain(&self, asked: &api::S3SetObjectRetentionOperation) -> Result<()> {
        self.allowed("s3:PutObjectRetention", "s3:PutObjectRetention").await?;
        let duration = asked.retention.event_hold_duration.as_ref();
        let input = s3_api::PutObjectRetentionInput {
            bucket: self.task.bucket.clone(),
            key: self.task.key.clone(),
            version_id: self.task.version_id.clone(),
            bypass_governance_retention: asked.bypass_governance_retention,
            retention: Some(s3_api::ObjectLockRetention {
                mode: asked.retention.mode.as_ref().map(|mode| mode.as_str().into()),
                retain_until_date: asked.retention.retain_until_date,
                event_hold: asked.retention.event_hold.as_ref().map(|status| status.as_str().into()),
                event_hold_duration: duration
                    .map(|given| s3_api::EventHoldDuration { days: given.days, years: given.years }),
            }),
            ..Default::default()
        };
        locks::put_retention(self.s3, self.cx, input).await.map(drop)
    }

    async fn restore(&self, asked: &api::S3InitiateRestoreObjectOperation) -> Result<()> {
        self.allowed("s3:RestoreObject", "s3:RestoreObject").await?;
        let tier = match asked.glacier_job_tier {
            Some(api::S3GlacierJobTier::Bulk) => s3_api::Tier::Bulk,
            _ => s3_api::Tier::Standard,
        };
        let input = s3_api::RestoreObjectInput {
            bucket: self.task.bucket.clone(),
            key: self.task.key.clone(),
            version_id: self.task.version_id.clone(),
            restore_request: Some(s3_api::RestoreRequest {
                days: asked.expiration_in_days,
                glacier_job_parameters: Some(s3_api::GlacierJobParameters { tier }),
                ..Default::default()
            }),
            ..Default::default()
        };
        archive::restore(self.s3, self.cx, input).await.map(drop)
    }

    /// Existing objects go the way of new ones; the task has succeeded when the copy is there.
    async fn replicate(&self) -> Result<()> {
        self.allowed("s3:InitiateReplication", "s3:InitiateReplication").await?;
        let Task { bucket, key, version_id, .. } = self.task;
        let status = replication::replicate(self.s3, self.cx, bucket, key, version_id.as_deref()).await?;
        if status == Status::Completed {
            return Ok(());
        }
        let message = "The object could not be replicated to every destination";
        Err(Error::Other(Box::new(Failure::new("ReplicationFailed", 400, message))))
    }

    async fn checksum(&self, asked: &api::S3ComputeObjectChecksumOperation) -> Result<String> {
        self.allowed("s3:GetObject", "s3:GetObjectVersion").await?;
        let name = asked.checksum_algorithm.as_ref().map_or("CRC64NVME", |name| name.as_str());
        let algorithm = Algorithm::parse(name).ok_or(Error::MalformedXml)?;
        if asked.checksum_type == Some(api::ComputeObjectChecksumType::Composite) {
            return Err(Error::invalid_request(
                "A composite checksum is that of an object's parts as they were uploaded",
            ));
        }
        let Task { bucket, key, version_id, .. } = self.task;
        let target = get::Target { bucket, key, version_id: version_id.as_deref(), owner: None };
        let (object, readable) = get::source(self.s3, self.cx, target, GivenKey::default()).await?;
        let (_, checksum) = digest_stored(self.s3, &readable, 0..object.size, algorithm).await?;
        let bytes = STANDARD.decode(&checksum.value).unwrap_or_default();
        let told = json!({
            "checksum_base64": checksum.value,
            "etag": object.etag.trim_matches('"'),
            "checksumAlgorithm": name,
            "checksumType": "FULL_OBJECT",
            "checksum_hex": hex::encode_upper(bytes),
        });
        Ok(told.to_string())
    }

    async fn encrypt(&self, asked: &api::S3UpdateObjectEncryptionOperation) -> Result<()> {
        self.allowed("s3:UpdateObjectEncryption", "s3:UpdateObjectEncryption").await?;
        let wanted = asked.object_encryption.as_ref().and_then(|wanted| wanted.ssekms.as_ref());
        let wanted = wanted.ok_or(Error::MalformedXml)?;
        let input = s3_api::UpdateObjectEncryptionInput {
            bucket: self.task.bucket.clone(),
            key: self.task.key.clone(),
            version_id: self.task.version_id.clone(),
            object_encryption: s3_api::ObjectEncryption::Ssekms(s3_api::SSEKMSEncryption {
                kms_key_arn: wanted.kms_key_arn.clone(),
                bucket_key_enabled: wanted.bucket_key_enabled,
            }),
            ..Default::default()
        };
        archive::update_encryption(self.s3, self.cx, input).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_become_headers() {
        let grant = |id: &str, permission| api::S3Grant {
            grantee: Some(api::S3Grantee {
                type_identifier: Some(api::S3GranteeTypeIdentifier::Id),
                identifier: Some(id.into()),
                display_name: None,
            }),
            permission: Some(permission),
        };
        let given = [grant("a", api::S3Permission::Read), grant("b", api::S3Permission::Read)];
        assert_eq!(grants(&given, &api::S3Permission::Read).as_deref(), Some("id=\"a\",id=\"b\""));
        assert_eq!(grants(&given, &api::S3Permission::WriteAcp), None);
    }
}
