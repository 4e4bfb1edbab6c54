//! Buckets on Outposts: made, found, listed, deleted.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsWorkingBuckets.html>

use fractus_host::Context;
use fractus_s3_api as s3_api;
use fractus_s3control_api as api;
use fractus_store::{Order, Range};

use crate::control::errors::refused;
use crate::control::outposts::place::{Place, check_outpost, kept_prefix, no_outpost_named};
use crate::control::pages::Page;
use crate::error::{Error, Result};
use crate::model::names::check_bucket_name;
use crate::objects::{self, scope};
use crate::operations::buckets;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};

/// How many of one account there may be on all its Outposts of a region.
const MAX_BUCKETS: usize = 100;
/// The most of one page.
const MAX_LISTED: usize = 1_000;

/// Headers of CreateBucket that say what buckets on Outposts have not.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateBucket.html>
fn check_new(input: &api::CreateBucketInput) -> Result<()> {
    let asked = [
        ("x-amz-acl", input.acl.is_some()),
        ("x-amz-grant-full-control", input.grant_full_control.is_some()),
        ("x-amz-grant-read", input.grant_read.is_some()),
        ("x-amz-grant-read-acp", input.grant_read_acp.is_some()),
        ("x-amz-grant-write", input.grant_write.is_some()),
        ("x-amz-grant-write-acp", input.grant_write_acp.is_some()),
        ("x-amz-bucket-object-lock-enabled", input.object_lock_enabled_for_bucket == Some(true)),
    ];
    if let Some((header, _)) = asked.into_iter().find(|(_, asked)| *asked) {
        return Err(Error::NotImplemented { header: header.to_owned() });
    }
    let constraint = input.create_bucket_configuration.as_ref().and_then(|new| new.location_constraint.as_ref());
    match constraint {
        Some(constraint) => Err(Error::InvalidLocationConstraint { location: constraint.as_str().to_owned() }),
        None => check_bucket_name(&input.bucket),
    }
}

pub async fn create(s3: &S3, cx: &Context, input: api::CreateBucketInput) -> Result<api::CreateBucketOutput> {
    check_outpost(input.outpost_id.as_deref().ok_or_else(no_outpost_named)?)?;
    check_new(&input)?;
    let place = Place::asked(cx, &input.bucket)?;
    let (scope, name) = (scope(cx), place.kept_name());
    let bucket = Bucket {
        name: name.clone(),
        id: cx.random().u64(),
        account: place.account.clone(),
        region: place.region.clone(),
        created_at: cx.now(),
        tags: Vec::new(),
        notifications: Default::default(),
        settings: Default::default(),
    };
    s3.store
        .write(|tx| {
            if tx.contains(&BUCKETS, &scope, &(name.as_str(),))? {
                return Err(Error::BucketAlreadyOwnedByYou { bucket: input.bucket.clone() });
            }
            let prefix = kept_prefix(&place.region, &place.account, None);
            let there = tx.keys(&BUCKETS, &scope, Range::all().after(&(prefix.as_str(),)), Order::Ascending)?;
            let own = there.take_while(|key| key.as_ref().is_ok_and(|(name,)| name.starts_with(&prefix)));
            if own.take(MAX_BUCKETS).count() == MAX_BUCKETS {
                let message = "You have attempted to create more buckets than allowed";
                return Err(refused("TooManyBuckets", 400, message));
            }
            Ok(tx.put(&BUCKETS, &scope, &(name.as_str(),), &bucket)?)
        })
        .await?;
    let arn = place.arn(cx.world.partition).to_string();
    Ok(api::CreateBucketOutput { location: Some(format!("/{}", input.bucket)), bucket_arn: Some(arn) })
}

pub async fn get(s3: &S3, cx: &Context, input: api::GetBucketInput) -> Result<api::GetBucketOutput> {
    let (scope, place) = (scope(cx), Place::asked(cx, &input.bucket)?);
    let bucket = s3.store.read(|snapshot| objects::own(cx, snapshot, &scope, &place.kept_name(), None)).await?;
    Ok(api::GetBucketOutput {
        bucket: Some(place.bucket),
        public_access_block_enabled: Some(true),
        creation_date: Some(bucket.created_at),
    })
}

pub async fn delete(s3: &S3, cx: &Context, input: api::DeleteBucketInput) -> Result<api::DeleteBucketOutput> {
    let bucket = Place::asked(cx, &input.bucket)?.kept_name();
    buckets::delete(s3, cx, s3_api::DeleteBucketInput { bucket, ..Default::default() }).await?;
    Ok(api::DeleteBucketOutput::default())
}

/// The account's buckets on an Outpost, or on all of its Outposts in the region.
pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListRegionalBucketsInput,
) -> Result<api::ListRegionalBucketsOutput> {
    let outpost = input.outpost_id.as_deref();
    outpost.map_or(Ok(()), check_outpost)?;
    let page = Page::read(input.next_token.as_deref(), input.max_results, MAX_LISTED)?;
    let (scope, prefix) = (scope(cx), kept_prefix(cx.region.as_str(), cx.world.account.as_str(), outpost));
    let after = format!("{prefix}{}", page.after.as_deref().unwrap_or_default());
    let mut found: Vec<Bucket> = s3
        .store
        .read(|snapshot| {
            let range = Range::all().after(&(after.as_str(),));
            let buckets = snapshot.range(&BUCKETS, &scope, range, Order::Ascending)?;
            let own = buckets.take_while(|entry| entry.as_ref().map_or(true, |((name,), _)| name.starts_with(&prefix)));
            own.take(page.max + 1).map(|entry| Ok(entry?.1)).collect::<Result<_>>()
        })
        .await?;
    let next_token = page.cut(&mut found, |bucket| bucket.name[prefix.len()..].to_owned());
    let shown = found.into_iter().filter_map(|bucket| {
        let place = Place::of_kept(&bucket.name)?;
        Some(api::RegionalBucket {
            bucket_arn: Some(place.arn(cx.world.partition).to_string()),
            bucket: place.bucket,
            public_access_block_enabled: true,
            creation_date: bucket.created_at,
            outpost_id: Some(place.outpost),
        })
    });
    Ok(api::ListRegionalBucketsOutput { regional_bucket_list: Some(shown.collect()), next_token })
}
