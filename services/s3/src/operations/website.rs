//! The website configuration of a bucket; the website itself is in [`crate::website`].
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html>

use fractus_host::Context;
use fractus_s3_api as api;

use crate::configurations::{self, Kind, of};
use crate::error::Result;
use crate::model::website::check;
use crate::operations::missing;
use crate::service::S3;

pub async fn put(s3: &S3, cx: &Context, input: api::PutBucketWebsiteInput) -> Result<api::PutBucketWebsiteOutput> {
    check(&input.website_configuration)?;
    configurations::put(s3, cx, of!(input), Kind::Website, "", &input.website_configuration).await?;
    Ok(api::PutBucketWebsiteOutput::default())
}

pub async fn get(s3: &S3, cx: &Context, input: api::GetBucketWebsiteInput) -> Result<api::GetBucketWebsiteOutput> {
    let found: Option<api::WebsiteConfiguration> = configurations::get(s3, cx, of!(input), Kind::Website, "").await?;
    let found = found.ok_or_else(|| {
        let message = "The specified bucket does not have a website configuration";
        missing("NoSuchWebsiteConfiguration", message, &input.bucket)
    })?;
    Ok(api::GetBucketWebsiteOutput {
        redirect_all_requests_to: found.redirect_all_requests_to,
        index_document: found.index_document,
        error_document: found.error_document,
        routing_rules: found.routing_rules,
    })
}

pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketWebsiteInput,
) -> Result<api::DeleteBucketWebsiteOutput> {
    configurations::delete(s3, cx, of!(input), Kind::Website, "").await?;
    Ok(api::DeleteBucketWebsiteOutput::default())
}
