//! Block public access of a whole account; it holds beside each bucket's own.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/configuring-block-public-access-account.html>

use fractus_host::Context;
use fractus_s3control_api as api;

use crate::configurations::PublicAccessBlock;
use crate::control::errors::refused;
use crate::control::store::ACCOUNT_BLOCKS;
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;

/// What is not said is off.
pub fn read(given: &api::PublicAccessBlockConfiguration) -> PublicAccessBlock {
    PublicAccessBlock {
        block_public_acls: given.block_public_acls.unwrap_or(false),
        ignore_public_acls: given.ignore_public_acls.unwrap_or(false),
        block_public_policy: given.block_public_policy.unwrap_or(false),
        restrict_public_buckets: given.restrict_public_buckets.unwrap_or(false),
    }
}

pub fn show(block: PublicAccessBlock) -> api::PublicAccessBlockConfiguration {
    api::PublicAccessBlockConfiguration {
        block_public_acls: Some(block.block_public_acls),
        ignore_public_acls: Some(block.ignore_public_acls),
        block_public_policy: Some(block.block_public_policy),
        restrict_public_buckets: Some(block.restrict_public_buckets),
    }
}

pub async fn put(
    s3: &S3,
    cx: &Context,
    input: api::PutPublicAccessBlockInput,
) -> Result<api::PutPublicAccessBlockOutput> {
    let (scope, block) = (scope(cx), read(&input.public_access_block_configuration));
    let at = (input.account_id.as_str(),);
    s3.store.write(|tx| Ok::<_, Error>(tx.put(&ACCOUNT_BLOCKS, &scope, &at, &block)?)).await?;
    Ok(api::PutPublicAccessBlockOutput::default())
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetPublicAccessBlockInput,
) -> Result<api::GetPublicAccessBlockOutput> {
    let scope = scope(cx);
    let at = (input.account_id.as_str(),);
    let found = s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&ACCOUNT_BLOCKS, &scope, &at)?)).await?;
    let block = found.ok_or_else(|| {
        let message = "The public access block configuration was not found";
        refused("NoSuchPublicAccessBlockConfiguration", 404, message)
    })?;
    Ok(api::GetPublicAccessBlockOutput { public_access_block_configuration: Some(show(block)) })
}

pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeletePublicAccessBlockInput,
) -> Result<api::DeletePublicAccessBlockOutput> {
    let scope = scope(cx);
    let at = (input.account_id.as_str(),);
    s3.store.write(|tx| Ok::<_, Error>(tx.delete(&ACCOUNT_BLOCKS, &scope, &at)?)).await?;
    Ok(api::DeletePublicAccessBlockOutput::default())
}
