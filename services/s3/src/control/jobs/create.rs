//! CreateJob.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateJob.html>

use fractus_host::Context;
use fractus_s3control_api as api;

use super::job::{self, JOBS, Job, Status, TOKENS, WAITING};
use crate::control::errors::{invalid, refused};
use crate::control::kept::to_json;
use crate::control::tags;
use crate::error::Result;
use crate::objects::scope;
use crate::service::S3;

const MAX_TAGS: usize = 50;

/// Which operation a job does; exactly one must be named.
pub fn operation(operation: &api::JobOperation) -> Result<api::OperationName> {
    use api::OperationName as Name;
    let named = [
        (operation.lambda_invoke.is_some(), Name::LambdaInvoke),
        (operation.s3_put_object_copy.is_some(), Name::S3PutObjectCopy),
        (operation.s3_put_object_acl.is_some(), Name::S3PutObjectAcl),
        (operation.s3_put_object_tagging.is_some(), Name::S3PutObjectTagging),
        (operation.s3_delete_object_tagging.is_some(), Name::S3DeleteObjectTagging),
        (operation.s3_initiate_restore_object.is_some(), Name::S3InitiateRestoreObject),
        (operation.s3_put_object_legal_hold.is_some(), Name::S3PutObjectLegalHold),
        (operation.s3_put_object_retention.is_some(), Name::S3PutObjectRetention),
        (operation.s3_replicate_object.is_some(), Name::S3ReplicateObject),
        (operation.s3_compute_object_checksum.is_some(), Name::S3ComputeObjectChecksum),
        (operation.s3_update_object_encryption.is_some(), Name::S3UpdateObjectEncryption),
    ];
    let mut given = named.into_iter().filter(|(is_given, _)| *is_given).map(|(_, name)| name);
    match (given.next(), given.next()) {
        (Some(name), None) => Ok(name),
        _ => Err(invalid("A job has exactly one operation")),
    }
}

/// What a job's parts say of each other.
fn check(input: &api::CreateJobInput) -> Result<()> {
    operation(&input.operation)?;
    if input.manifest.is_some() == input.manifest_generator.is_some() {
        return Err(invalid("A job has either a Manifest or a ManifestGenerator"));
    }
    if let Some(manifest) = &input.manifest {
        let names =
            |wanted: &api::JobManifestFieldName| manifest.spec.fields.iter().flatten().any(|field| field == wanted);
        let is_list = manifest.spec.format == api::JobManifestFormat::S3BatchOperationsCsv20180820;
        let named = names(&api::JobManifestFieldName::Bucket) && names(&api::JobManifestFieldName::Key);
        if is_list != named {
            return Err(invalid("The fields of a CSV manifest name Bucket and Key; those of an inventory are its own"));
        }
    }
    if matches!(input.manifest_generator, Some(api::JobManifestGenerator::Unknown)) {
        return Err(crate::error::Error::MalformedXml);
    }
    let report = &input.report;
    if report.enabled && (report.bucket.is_none() || report.format.is_none() || report.report_scope.is_none()) {
        return Err(invalid("A report that is enabled needs a Bucket, a Format and a ReportScope"));
    }
    if !report.enabled && (report.bucket.is_some() || report.format.is_some() || report.report_scope.is_some()) {
        return Err(invalid("A report that is not enabled has neither Bucket nor Format nor ReportScope"));
    }
    let names_no_versions = |manifest: &api::JobManifest| {
        let mut fields = manifest.spec.fields.iter().flatten();
        manifest.spec.format == api::JobManifestFormat::S3BatchOperationsCsv20180820
            && !fields.any(|field| *field == api::JobManifestFieldName::VersionId)
    };
    if input.operation.s3_replicate_object.is_some() && input.manifest.as_ref().is_some_and(names_no_versions) {
        return Err(invalid("A manifest for S3ReplicateObject must name the versions of its objects"));
    }
    Ok(())
}

pub async fn create(s3: &S3, cx: &Context, input: api::CreateJobInput) -> Result<api::CreateJobOutput> {
    check(&input)?;
    let given = input.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
    let tags = tags::check(given, MAX_TAGS)?;
    let asked = api::JobDescriptor {
        confirmation_required: Some(input.confirmation_required.unwrap_or(false)),
        description: input.description,
        manifest: input.manifest,
        operation: Some(input.operation),
        report: Some(input.report),
        role_arn: Some(input.role_arn),
        manifest_generator: input.manifest_generator,
        ..api::JobDescriptor::default()
    };
    let job = Job {
        id: cx.random().uuid(),
        account: cx.world.account.to_string(),
        region: cx.region.to_string(),
        priority: u32::try_from(input.priority).unwrap_or(0),
        asked: to_json(&asked)?,
        status: Status::New,
        status_reason: None,
        created_at: cx.now().to_millis_precision(),
        suspended_at: None,
        active_at: None,
        ended_at: None,
        total: 0,
        succeeded: 0,
        failed: 0,
        failures: Vec::new(),
        generated: None,
        tags,
    };
    let scope = scope(cx);
    let token = (job.account.as_str(), job.region.as_str(), input.client_request_token.as_str());
    let id = s3
        .store
        .write(|tx| {
            if let Some(id) = tx.get(&TOKENS, &scope, &token)? {
                let known = tx.get(&JOBS, &scope, &(token.0, token.1, id.as_str()))?;
                if known.is_some_and(|known| known.asked == job.asked) {
                    return Ok(id);
                }
                let message = "The client request token was used by another request";
                return Err(refused("IdempotencyException", 400, message));
            }
            tx.put(&TOKENS, &scope, &token, &job.id)?;
            tx.put(&WAITING, &scope, &job.waiting(), &job.at())?;
            job::keep(tx, &scope, &job)?;
            Ok(job.id.clone())
        })
        .await?;
    s3.jobs.wake();
    Ok(api::CreateJobOutput { job_id: Some(id) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_does_one_thing() {
        let mut asked = api::JobOperation::default();
        assert!(operation(&asked).is_err());
        asked.s3_delete_object_tagging = Some(api::S3DeleteObjectTaggingOperation::default());
        assert_eq!(operation(&asked).unwrap(), api::OperationName::S3DeleteObjectTagging);
        asked.s3_replicate_object = Some(api::S3ReplicateObjectOperation::default());
        assert!(operation(&asked).is_err());
    }
}
