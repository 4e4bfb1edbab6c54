//! Finding out what a job is to do: its manifest is read, or made.

use std::time::Duration;

use fractus_s3control_api as api;
use fractus_wire::Failure;
use md5::{Digest, Md5};
use serde_json::json;

use super::generate;
use super::job::{Job, Status, TASKS, Task, UNCONFIRMED};
use super::manifest::{self, Sink, Unusable, bucket_of_arn};
use super::work::Step;
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::model::encoding::form_encode;
use crate::schedule::{Parcel, put_parcel};

/// The most bytes of a generated manifest that one file holds.
const FILE_BYTES: usize = 8 * 1024 * 1024;
/// How long a job waits for its confirmation.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-job-status.html>
const CONFIRMED_WITHIN: Duration = Duration::from_secs(30 * 86_400);

impl Step<'_> {
    /// Finds out what is to be done.
    pub async fn prepare(&self, job: Job) -> Result<()> {
        // An earlier try may have been cut short.
        self.clear(&job).await?;
        let asked = job.asked()?;
        let mut sink = Found { step: self, count: 0, listed: None };
        let read = match (&asked.manifest, &asked.manifest_generator) {
            (Some(manifest), _) => manifest::read(self.s3, self.cx, manifest, &mut sink).await,
            (None, Some(api::JobManifestGenerator::S3JobManifestGenerator(generator))) => {
                sink.listed = generator.enable_manifest_output.then(String::new);
                let versions = asked.operation.as_ref().is_some_and(|asked| asked.s3_replicate_object.is_some());
                generate::read(self.s3, self.cx, generator, versions, &mut sink).await
            }
            _ => Err(manifest::content("The job has no manifest")),
        };
        let (count, listed) = (sink.count, sink.listed.take());
        let read = match (read, listed, &asked.manifest_generator) {
            (Ok(()), Some(listed), Some(api::JobManifestGenerator::S3JobManifestGenerator(generator))) => {
                self.put_generated(&job, generator, listed).await.map(Some).map_err(Unusable::from)
            }
            (read, ..) => read.map(|()| None),
        };
        let now = self.cx.now();
        let waits = asked.confirmation_required == Some(true);
        let generated = match read {
            Ok(generated) if count > 0 => generated,
            Ok(_) => return self.fail(Status::Preparing, "NoTasks", "The manifest names no objects", now).await,
            Err(Unusable::S3(Error::Store(error))) => return Err(Error::Store(error)),
            Err(Unusable::S3(error)) => {
                let failure = Failure::from(error);
                return self.fail(Status::Preparing, &failure.code, &failure.message, now).await;
            }
            Err(Unusable::Content { code, reason }) => return self.fail(Status::Preparing, code, &reason, now).await,
        };
        self.go(Status::Preparing, |tx, job| {
            if waits {
                let until = u64::try_from(now.plus(CONFIRMED_WITHIN).micros()).unwrap_or(u64::MAX);
                tx.put(&UNCONFIRMED, self.scope, &(until, job.id.as_str()), self.at)?;
            }
            job.total = count;
            job.generated.clone_from(&generated);
            job.enter(if waits { Status::Suspended } else { Status::Ready }, now);
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Keeps the list that was made, as an inventory would be kept; gives its ARN and entity tag.
    async fn put_generated(
        &self,
        job: &Job,
        generator: &api::S3JobManifestGenerator,
        listed: String,
    ) -> Result<(String, String)> {
        let location = generator.manifest_output_location.as_ref().ok_or(Error::MalformedXml)?;
        let bucket = bucket_of_arn(&location.bucket);
        let prefix = location.manifest_prefix.as_deref().map(|prefix| format!("{}/", prefix.trim_end_matches('/')));
        let folder = format!("{}job-{}", prefix.unwrap_or_default(), job.id);
        let content = listed.into_bytes();
        let key = format!("{folder}/data/{}.csv", self.s3.host.random().uuid());
        let manifest = json!({
            "sourceBucket": bucket_of_arn(&generator.source_bucket),
            "destinationBucket": location.bucket,
            "version": "2021-11-30",
            "creationTimestamp": (self.cx.now().secs() * 1_000).to_string(),
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key, VersionId",
            "files": [{"key": key, "size": content.len(), "MD5checksum": hex::encode(Md5::digest(&content))}],
        });
        let manifest = manifest.to_string().into_bytes();
        let etag = hex::encode(Md5::digest(&manifest));
        let manifest_key = format!("{folder}/manifest.json");
        let parts = [(key, "text/csv", content), (manifest_key.clone(), "application/json", manifest)];
        for (key, content_type, content) in parts {
            let parcel = Parcel { bucket, key, content_type, content, wanted: Wanted::default() };
            if !put_parcel(self.s3, self.world, self.scope, parcel).await? {
                return Err(Error::NoSuchBucket { bucket: bucket.to_owned() });
            }
        }
        Ok((format!("{}/{manifest_key}", location.bucket), etag))
    }
}

/// Tasks as they are found.
struct Found<'a> {
    step: &'a Step<'a>,
    count: u64,
    /// The list that is kept besides, where one is wanted.
    listed: Option<String>,
}

impl Sink for Found<'_> {
    async fn put(&mut self, tasks: Vec<Task>) -> Result<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        if let Some(listed) = &mut self.listed {
            for Task { bucket, key, version_id, .. } in &tasks {
                let version = version_id.as_deref().unwrap_or_default();
                listed.push_str(&format!("\"{bucket}\",\"{}\",\"{version}\"\n", form_encode(key)));
            }
            if listed.len() > FILE_BYTES {
                return Err(Error::invalid_request("The generated manifest is too long to be kept"));
            }
        }
        let (step, from) = (self.step, self.count);
        step.s3
            .store
            .write(|tx| {
                for (place, task) in tasks.iter().enumerate() {
                    tx.put(&TASKS, step.scope, &(step.at.id.as_str(), from + place as u64), task)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        self.count += tasks.len() as u64;
        Ok(())
    }
}
