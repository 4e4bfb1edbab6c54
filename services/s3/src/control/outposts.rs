//! Buckets on AWS Outposts. Nobody has an Outpost here, so these answer as AWS does to an account without one.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsErrors.html>

use fractus_host::Context;
use fractus_s3control_api as api;

use crate::control::errors::{invalid, refused};
use crate::error::{Error, Result};
use crate::service::S3;

/// The Outpost in the request (the header's, or the ARN's) does not exist; without one it is about no such bucket at all.
fn refuse(cx: &Context, bucket: &str) -> Error {
    let names_one = cx.header("x-amz-outpost-id").is_some() || bucket.contains(":outpost/");
    if names_one {
        return refused("NoSuchOutpost", 404, "The specified Outpost does not exist.");
    }
    invalid("This operation is supported for buckets on Outposts only: the request must name an Outpost")
}

macro_rules! without_outpost {
    ($($name:ident: $input:ident => $output:ident),* $(,)?) => {
        $(pub async fn $name(_: &S3, cx: &Context, input: api::$input) -> Result<api::$output> {
            Err(refuse(cx, &input.bucket))
        })*
    };
}

without_outpost! {
    create_bucket: CreateBucketInput => CreateBucketOutput,
    delete_bucket: DeleteBucketInput => DeleteBucketOutput,
    get_bucket: GetBucketInput => GetBucketOutput,
    delete_lifecycle: DeleteBucketLifecycleConfigurationInput => DeleteBucketLifecycleConfigurationOutput,
    get_lifecycle: GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput,
    put_lifecycle: PutBucketLifecycleConfigurationInput => PutBucketLifecycleConfigurationOutput,
    delete_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput,
    get_policy: GetBucketPolicyInput => GetBucketPolicyOutput,
    put_policy: PutBucketPolicyInput => PutBucketPolicyOutput,
    delete_replication: DeleteBucketReplicationInput => DeleteBucketReplicationOutput,
    get_replication: GetBucketReplicationInput => GetBucketReplicationOutput,
    put_replication: PutBucketReplicationInput => PutBucketReplicationOutput,
    delete_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput,
    get_tagging: GetBucketTaggingInput => GetBucketTaggingOutput,
    put_tagging: PutBucketTaggingInput => PutBucketTaggingOutput,
    get_versioning: GetBucketVersioningInput => GetBucketVersioningOutput,
    put_versioning: PutBucketVersioningInput => PutBucketVersioningOutput,
}

/// The account's buckets on an Outpost, or on all of its Outposts: none.
pub async fn list_buckets(
    _: &S3,
    cx: &Context,
    input: api::ListRegionalBucketsInput,
) -> Result<api::ListRegionalBucketsOutput> {
    if input.outpost_id.is_some() {
        return Err(refuse(cx, ""));
    }
    Ok(api::ListRegionalBucketsOutput { regional_bucket_list: Some(Vec::new()), next_token: None })
}
