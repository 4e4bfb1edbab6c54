//! CreateJob.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateJob.html>

use fractus_host::{Access, Context};
use fractus_s3control_api as api;

use super::job::{self, JOBS, Job, TOKENS, WAITING};
use super::{functions, told};
use crate::control::errors::{invalid, refused};
use crate::control::kept::to_json;
use crate::control::{roles, tags};
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
    if let Some(asked) = &input.operation.lambda_invoke {
        functions::check(asked)?;
    }
    if input.operation.s3_replicate_object.is_some() && input.manifest.as_ref().is_some_and(names_no_versions) {
        return Err(invalid("A manifest for S3ReplicateObject must name the versions of its objects"));
    }
    Ok(())
}

/// Who creates a job hands its role over.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-iam-role-policies.html>
pub fn access(input: &api::CreateJobInput) -> Vec<Access> {
    let mut wanted = vec![Access::to_all()];
    wanted.extend(roles::to_pass(&input.role_arn, roles::BATCH));
    wanted
}

pub async fn create(s3: &S3, cx: &Context, input: api::CreateJobInput) -> Result<api::CreateJobOutput> {
    check(&input)?;
    if roles::of_account(&input.role_arn, cx.world.partition, &cx.world.account).is_none() {
        return Err(invalid("The RoleArn must be that of an IAM role of this account"));
    }
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
        priority: u32::try_from(input.priority).unwrap_or(0),
        tags,
        ..Job::new(cx.random().uuid(), cx, to_json(&asked)?)
    };
    let scope = scope(cx);
    let token = (job.account.as_str(), job.region.as_str(), input.client_request_token.as_str());
    let (id, _sent) = s3
        .store
        .write(|tx| {
            if let Some(id) = tx.get(&TOKENS, &scope, &token)? {
                let known = tx.get(&JOBS, &scope, &(token.0, token.1, id.as_str()))?;
                if known.is_some_and(|known| known.asked == job.asked) {
                    return Ok((id, None));
                }
                let message = "The client request token was used by another request";
                return Err(refused("IdempotencyException", 400, message));
            }
            tx.put(&TOKENS, &scope, &token, &job.id)?;
            tx.put(&WAITING, &scope, &job.waiting(), &job.at())?;
            job::keep(tx, &scope, &job)?;
            Ok((job.id.clone(), Some(told::created(tx, s3, cx, &job)?)))
        })
        .await?;
    s3.jobs.wake();
    Ok(api::CreateJobOutput { job_id: Some(id) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_creates_a_job_hands_its_role_over() {
        let role = "arn:aws:iam::000000000000:role/batch";
        let wanted = access(&api::CreateJobInput { role_arn: role.into(), ..Default::default() });
        assert_eq!((wanted[1].action.as_str(), wanted[1].resource.as_str()), ("iam:PassRole", role));
        let service = vec!["batchoperations.s3.amazonaws.com".to_owned()];
        assert_eq!(wanted[1].conditions, [("iam:PassedToService".to_owned(), service)]);
    }

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
