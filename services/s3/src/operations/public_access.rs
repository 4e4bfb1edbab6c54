//! Block public access, and who owns objects.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>

use fractus_host::Context;
use fractus_s3_api as api;

use crate::configurations::{self, Configured, Kind, of};
use crate::error::{Error, Result};
use crate::model::acl::Acl;
use crate::operations::missing;
use crate::permissions::bucket_acl;
use crate::service::S3;

pub async fn put_block(
    s3: &S3,
    cx: &Context,
    input: api::PutPublicAccessBlockInput,
) -> Result<api::PutPublicAccessBlockOutput> {
    let set = &input.public_access_block_configuration;
    let set = api::PublicAccessBlockConfiguration {
        block_public_acls: Some(set.block_public_acls.unwrap_or(false)),
        ignore_public_acls: Some(set.ignore_public_acls.unwrap_or(false)),
        block_public_policy: Some(set.block_public_policy.unwrap_or(false)),
        restrict_public_buckets: Some(set.restrict_public_buckets.unwrap_or(false)),
    };
    configurations::put(s3, cx, of!(input), Kind::PublicAccessBlock, "", &set).await?;
    Ok(api::PutPublicAccessBlockOutput::default())
}

/// A new bucket blocks everything, and says so.
pub async fn get_block(
    s3: &S3,
    cx: &Context,
    input: api::GetPublicAccessBlockInput,
) -> Result<api::GetPublicAccessBlockOutput> {
    let block = configurations::look(s3, cx, of!(input), |snapshot, scope, bucket| {
        match configurations::read::<api::PublicAccessBlockConfiguration>(
            snapshot,
            scope,
            bucket,
            Kind::PublicAccessBlock,
        )? {
            Configured::Deleted => Err(missing(
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
                &bucket.name,
            )),
            _ => configurations::own_public_access_block(snapshot, scope, bucket),
        }
    })
    .await?;
    Ok(api::GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(api::PublicAccessBlockConfiguration {
            block_public_acls: Some(block.block_public_acls),
            ignore_public_acls: Some(block.ignore_public_acls),
            block_public_policy: Some(block.block_public_policy),
            restrict_public_buckets: Some(block.restrict_public_buckets),
        }),
    })
}

pub async fn delete_block(
    s3: &S3,
    cx: &Context,
    input: api::DeletePublicAccessBlockInput,
) -> Result<api::DeletePublicAccessBlockOutput> {
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        configurations::set_deleted(tx, scope, bucket, Kind::PublicAccessBlock)
    })
    .await?;
    Ok(api::DeletePublicAccessBlockOutput::default())
}

/// The one rule of ownership controls.
fn one_rule(controls: &api::OwnershipControls) -> Result<&api::ObjectOwnership> {
    match controls.rules.as_slice() {
        [rule] if !matches!(rule.object_ownership, api::ObjectOwnership::Unknown(_)) => Ok(&rule.object_ownership),
        _ => Err(Error::MalformedXml),
    }
}

/// A bucket whose owner owns everything can have no list that gives anything to others.
pub fn check_acl_allowed(acl: &Acl) -> Result<()> {
    if acl.grants == Acl::private(&acl.owner).grants {
        return Ok(());
    }
    let message = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
    let failure = fractus_wire::Failure::new("InvalidBucketAclWithObjectOwnership", 400, message);
    Err(Error::Other(Box::new(failure)))
}

pub async fn put_ownership(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketOwnershipControlsInput,
) -> Result<api::PutBucketOwnershipControlsOutput> {
    let ownership = one_rule(&input.ownership_controls)?.clone();
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        if ownership == api::ObjectOwnership::BucketOwnerEnforced {
            check_acl_allowed(&bucket_acl(tx, scope, bucket)?)?;
        }
        configurations::set(tx, scope, bucket, Kind::OwnershipControls, "", &input.ownership_controls)
    })
    .await?;
    Ok(api::PutBucketOwnershipControlsOutput::default())
}

pub async fn get_ownership(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketOwnershipControlsInput,
) -> Result<api::GetBucketOwnershipControlsOutput> {
    let ownership = configurations::look(s3, cx, of!(input), |snapshot, scope, bucket| {
        let kind = Kind::OwnershipControls;
        match configurations::read::<api::OwnershipControls>(snapshot, scope, bucket, kind)? {
            Configured::Deleted => Err(missing(
                "OwnershipControlsNotFoundError",
                "The bucket ownership controls were not found",
                &bucket.name,
            )),
            _ => configurations::ownership(snapshot, scope, bucket),
        }
    })
    .await?;
    let rules = vec![api::OwnershipControlsRule { object_ownership: ownership }];
    Ok(api::GetBucketOwnershipControlsOutput { ownership_controls: Some(api::OwnershipControls { rules }) })
}

pub async fn delete_ownership(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketOwnershipControlsInput,
) -> Result<api::DeleteBucketOwnershipControlsOutput> {
    configurations::change(s3, cx, of!(input), |tx, scope, bucket| {
        configurations::set_deleted(tx, scope, bucket, Kind::OwnershipControls)
    })
    .await?;
    Ok(api::DeleteBucketOwnershipControlsOutput::default())
}
