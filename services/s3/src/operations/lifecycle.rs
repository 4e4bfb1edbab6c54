//! The lifecycle configuration of a bucket; what it does is in [`crate::lifecycle`].
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html>

use fractus_host::Context;
use fractus_s3_api as api;

use crate::configurations::{self, Kind, of};
use crate::error::{Error, Result};
use crate::lifecycle::MINIMUM;
use crate::mfa;
use crate::model::lifecycle::check;
use crate::operations::missing;
use crate::service::S3;

pub async fn put(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketLifecycleConfigurationInput,
) -> Result<api::PutBucketLifecycleConfigurationOutput> {
    let mut configuration = input.lifecycle_configuration.clone().ok_or(Error::MalformedXml)?;
    check(&configuration)?;
    for rule in &mut configuration.rules {
        if rule.id.as_deref().is_none_or(str::is_empty) {
            rule.id = Some(fresh_id(&cx.random().uuid()));
        }
    }
    let minimum = match &input.transition_default_minimum_object_size {
        None => api::TransitionDefaultMinimumObjectSize::AllStorageClasses128K,
        Some(api::TransitionDefaultMinimumObjectSize::Unknown(other)) => {
            let message = format!("Invalid TransitionDefaultMinimumObjectSize found: {other}");
            return Err(Error::invalid_request(message));
        }
        Some(known) => known.clone(),
    };
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        if bucket.settings.mfa_delete == Some(true) {
            return Err(mfa::no_lifecycle());
        }
        configurations::set(tx, scope, bucket, Kind::Lifecycle, "", &configuration)?;
        configurations::set_text(tx, scope, bucket, Kind::Lifecycle, MINIMUM, &minimum.as_str().to_owned())
    })
    .await?;
    s3.lifecycle.wake();
    Ok(api::PutBucketLifecycleConfigurationOutput { transition_default_minimum_object_size: Some(minimum) })
}

/// The id of a rule that came without one, in the form that S3's have.
fn fresh_id(uuid: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(uuid)
}

pub fn not_there(bucket: &str) -> Error {
    missing("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", bucket)
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketLifecycleConfigurationInput,
) -> Result<api::GetBucketLifecycleConfigurationOutput> {
    let of = of!(input);
    let found: Option<api::BucketLifecycleConfiguration> = configurations::get(s3, cx, of, Kind::Lifecycle, "").await?;
    let found = found.ok_or_else(|| not_there(of.bucket))?;
    let minimum = configurations::look(s3, cx, of, |snapshot, scope, bucket| {
        configurations::text(snapshot, scope, bucket, Kind::Lifecycle, MINIMUM)
    });
    Ok(api::GetBucketLifecycleConfigurationOutput {
        rules: Some(found.rules),
        transition_default_minimum_object_size: minimum.await?.as_deref().map(Into::into),
    })
}

pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketLifecycleInput,
) -> Result<api::DeleteBucketLifecycleOutput> {
    configurations::delete(s3, cx, of!(input), Kind::Lifecycle, "").await?;
    configurations::delete(s3, cx, of!(input), Kind::Lifecycle, MINIMUM).await?;
    Ok(api::DeleteBucketLifecycleOutput::default())
}
