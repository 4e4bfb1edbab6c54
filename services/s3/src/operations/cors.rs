//! The cross-origin rules of a bucket.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html>

use fractus_host::Context;
use fractus_s3_api as api;

use crate::configurations::{self, Kind, of};
use crate::error::Result;
use crate::model::cors::check;
use crate::operations::missing;
use crate::service::S3;

pub async fn put(s3: &S3, cx: &Context, input: api::PutBucketCorsInput) -> Result<api::PutBucketCorsOutput> {
    check(&input.cors_configuration.cors_rules)?;
    configurations::put(s3, cx, of!(input), Kind::Cors, "", &input.cors_configuration).await?;
    Ok(api::PutBucketCorsOutput::default())
}

pub async fn get(s3: &S3, cx: &Context, input: api::GetBucketCorsInput) -> Result<api::GetBucketCorsOutput> {
    let found: Option<api::CORSConfiguration> = configurations::get(s3, cx, of!(input), Kind::Cors, "").await?;
    let found = found
        .ok_or_else(|| missing("NoSuchCORSConfiguration", "The CORS configuration does not exist", &input.bucket))?;
    Ok(api::GetBucketCorsOutput { cors_rules: Some(found.cors_rules) })
}

pub async fn delete(s3: &S3, cx: &Context, input: api::DeleteBucketCorsInput) -> Result<api::DeleteBucketCorsOutput> {
    configurations::delete(s3, cx, of!(input), Kind::Cors, "").await?;
    Ok(api::DeleteBucketCorsOutput::default())
}
