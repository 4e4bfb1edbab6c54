//! Buckets: made, found, listed, deleted.

use std::sync::Arc;

use fractus_aws::Region;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Order, Range, Scope, Transaction};
use fractus_wire::Failure;

use crate::configurations::{self, Kind, Versioning};
use crate::control::routing::Through;
use crate::control::store::ATTACHED;
use crate::directory::{self, is_directory};
use crate::error::{Error, Result};
use crate::model::acl::{Given, On};
use crate::model::names;
use crate::notify::bucket_arn;
use crate::objects::{self, scope};
use crate::operations::directory::express_arn;
use crate::operations::policy::blocked;
use crate::operations::public_access::check_acl_allowed;
use crate::operations::tagging;
use crate::permissions::canonical_user;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, OBJECTS, OWNED_BUCKETS, UPLOADS};
use crate::versions;

/// The most buckets of one page.
const MAX_BUCKETS: i32 = 10_000;

/// CreateBucket. In us-east-1 making one's own bucket again succeeds and gives it a new list, elsewhere it is a conflict.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>
pub async fn create(s3: &S3, cx: &Context, input: api::CreateBucketInput) -> Result<api::CreateBucketOutput> {
    let configuration = input.create_bucket_configuration.unwrap_or_default();
    let region = if directory::check_new(&input.bucket, &configuration)? {
        cx.region.to_string()
    } else {
        names::check_bucket_name(&input.bucket)?;
        let constraint = configuration.location_constraint.as_ref().map(api::BucketLocationConstraint::as_str);
        let region = region_of(cx, constraint)?;
        check_namespace(input.bucket_namespace.as_ref(), &input.bucket, cx.world.account.as_str(), &region)?;
        region
    };
    let tags = tagging::checked(configuration.tags.unwrap_or_default())?;
    let wanted = WantedBucket {
        acl: Given {
            canned: input.acl.as_ref().map(api::BucketCannedACL::as_str),
            full_control: input.grant_full_control.as_deref(),
            read: input.grant_read.as_deref(),
            read_acp: input.grant_read_acp.as_deref(),
            write: input.grant_write.as_deref(),
            write_acp: input.grant_write_acp.as_deref(),
        },
        ownership: input.object_ownership.as_ref(),
        locks: input.object_lock_enabled_for_bucket == Some(true),
    };
    let (scope, now, id) = (scope(cx), cx.now(), cx.random().u64());
    let account = cx.world.account.as_str();
    s3.store
        .write(|tx| {
            if let Some(mut existing) = tx.get(&BUCKETS, &scope, &(input.bucket.as_str(),))? {
                let bucket = input.bucket.clone();
                return match (existing.account == account, cx.region.as_str()) {
                    (false, _) => Err(Error::BucketAlreadyExists { bucket }),
                    (true, "us-east-1") if existing.region == region => {
                        configurations::remove(tx, &scope, &existing, Kind::Acl, "")?;
                        keep_list(tx, &scope, &mut existing, &wanted, cx)?;
                        Ok(tx.put(&BUCKETS, &scope, &(input.bucket.as_str(),), &existing)?)
                    }
                    (true, _) => Err(Error::BucketAlreadyOwnedByYou { bucket }),
                };
            }
            let mut bucket = Bucket {
                name: input.bucket.clone(),
                id,
                account: account.to_owned(),
                region: region.clone(),
                created_at: now,
                tags: tags.clone(),
                notifications: Default::default(),
                settings: Default::default(),
            };
            configure_new(tx, &scope, &mut bucket, &wanted, cx)?;
            tx.put(&OWNED_BUCKETS, &scope, &(account, input.bucket.as_str()), &())?;
            Ok(tx.put(&BUCKETS, &scope, &(input.bucket.as_str(),), &bucket)?)
        })
        .await?;
    let arn = shown_arn(cx, &input.bucket, &region, account);
    Ok(api::CreateBucketOutput { location: Some(format!("/{}", input.bucket)), bucket_arn: Some(arn) })
}

/// A bucket's ARN; those of directory buckets say where they are.
fn shown_arn(cx: &Context, name: &str, region: &str, account: &str) -> String {
    if is_directory(name) { express_arn(cx, name, region, account) } else { bucket_arn(cx, name).to_string() }
}

/// What a bucket is to have from its beginning.
struct WantedBucket<'a> {
    acl: Given<'a>,
    ownership: Option<&'a api::ObjectOwnership>,
    locks: bool,
}

fn configure_new(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &mut Bucket,
    wanted: &WantedBucket<'_>,
    cx: &Context,
) -> Result<()> {
    if let Some(ownership) = wanted.ownership {
        if matches!(ownership, api::ObjectOwnership::Unknown(_)) {
            let message = "Invalid x-amz-object-ownership header: ";
            return Err(Error::invalid_argument("x-amz-object-ownership", ownership.as_str(), message));
        }
        let rules = vec![api::OwnershipControlsRule { object_ownership: ownership.clone() }];
        let controls = api::OwnershipControls { rules };
        configurations::set(tx, scope, bucket, Kind::OwnershipControls, "", &controls)?;
    }
    keep_list(tx, scope, bucket, wanted, cx)?;
    if wanted.locks {
        bucket.settings.versioning = Some(Versioning::Enabled);
        let enabled = Some(api::ObjectLockEnabled::Enabled);
        let configuration = api::ObjectLockConfiguration { object_lock_enabled: enabled, rule: None };
        configurations::set(tx, scope, bucket, Kind::ObjectLock, "", &configuration)?;
    }
    Ok(())
}

/// The list that a bucket is made with, as far as its ownership and its block of public access let it.
fn keep_list(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &mut Bucket,
    wanted: &WantedBucket<'_>,
    cx: &Context,
) -> Result<()> {
    let owner = canonical_user(&bucket.account);
    let Some(acl) = wanted.acl.list(On::Bucket, &owner, &owner)? else { return Ok(()) };
    if configurations::ownership(tx, scope, bucket)? == api::ObjectOwnership::BucketOwnerEnforced {
        check_acl_allowed(&acl)?;
    }
    if acl.is_public() && configurations::public_access_block(tx, scope, bucket)?.block_public_acls {
        let what = "public access control lists (ACLs)";
        return Err(blocked(cx, &bucket.name, "s3:CreateBucket", what, "BlockPublicAcls"));
    }
    let text = serde_json::to_string(&acl).map_err(|_| Error::MalformedXml)?;
    configurations::set_text(tx, scope, bucket, Kind::Acl, "", &text)
}

/// A bucket of its account's own namespace says so in its name, and no other does.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html>
fn check_namespace(asked: Option<&api::BucketNamespace>, name: &str, account: &str, region: &str) -> Result<()> {
    let is_own = || name.strip_suffix(&format!("-{account}-{region}-an")).is_some_and(|prefix| !prefix.is_empty());
    let fits = match asked {
        Some(api::BucketNamespace::AccountRegional) => is_own(),
        _ => !name.ends_with("-an"),
    };
    if fits { Ok(()) } else { Err(Error::InvalidBucketName { bucket: name.to_owned() }) }
}

/// The region a bucket is made in: what the body says, if the endpoint that was called allows it.
fn region_of(cx: &Context, constraint: Option<&str>) -> Result<String> {
    let endpoint = cx.region.as_str();
    match constraint {
        None | Some("") if endpoint == "us-east-1" => Ok(endpoint.to_owned()),
        None | Some("") => Err(Error::IllegalLocationConstraint { location: "unspecified".to_owned() }),
        // The location of us-east-1 is said by saying nothing.
        Some("us-east-1") => Err(Error::InvalidLocationConstraint { location: "us-east-1".into() }),
        // The model knows the locations of all partitions.
        Some(constraint) if !is_location(cx, constraint) => {
            Err(Error::InvalidLocationConstraint { location: constraint.to_owned() })
        }
        Some("EU") if matches!(endpoint, "us-east-1" | "eu-west-1") => Ok("eu-west-1".to_owned()),
        Some(constraint) if endpoint == "us-east-1" || endpoint == constraint => Ok(constraint.to_owned()),
        Some(other) => Err(Error::IllegalLocationConstraint { location: other.to_owned() }),
    }
}

fn is_region(cx: &Context, name: &str) -> bool {
    name == "us-east-1" || (name != "EU" && is_location(cx, name))
}

fn is_location(cx: &Context, constraint: &str) -> bool {
    let is_known =
        !matches!(api::BucketLocationConstraint::from(constraint), api::BucketLocationConstraint::Unknown(_));
    // An older name of a region of AWS's own.
    let name = if constraint == "EU" { "eu-west-1" } else { constraint };
    is_known && Region::new(name).is_ok_and(|region| region.partition() == cx.world.partition)
}

pub async fn head(s3: &S3, cx: &Context, input: api::HeadBucketInput) -> Result<api::HeadBucketOutput> {
    let scope = scope(cx);
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = s3.store.read(|snapshot| objects::own(cx, snapshot, &scope, &input.bucket, owner)).await?;
    let zone = directory::zone_of(&bucket.name).map(str::to_owned);
    Ok(api::HeadBucketOutput {
        bucket_arn: Some(shown_arn(cx, &bucket.name, &bucket.region, &bucket.account)),
        bucket_location_type: zone.is_some().then_some(api::LocationType::AvailabilityZone),
        bucket_location_name: zone,
        bucket_region: Some(bucket.region),
        access_point_alias: Some(cx.extensions().get::<Arc<Through>>().is_some()),
    })
}

pub async fn location(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketLocationInput,
) -> Result<api::GetBucketLocationOutput> {
    let scope = scope(cx);
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = s3.store.read(|snapshot| objects::own(cx, snapshot, &scope, &input.bucket, owner)).await?;
    let constraint = (bucket.region != "us-east-1").then(|| bucket.region.as_str().into());
    Ok(api::GetBucketLocationOutput { location_constraint: constraint })
}

/// A bucket can go when nothing is in it.
pub async fn delete(s3: &S3, cx: &Context, input: api::DeleteBucketInput) -> Result<api::DeleteBucketOutput> {
    let scope = scope(cx);
    s3.store
        .write(|tx| {
            let bucket = objects::own(cx, tx, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let in_it = Range::prefix(&(bucket.id,));
            if tx.keys(&OBJECTS, &scope, in_it, Order::Ascending)?.next().transpose()?.is_some()
                || versions::has_any(tx, &scope, &bucket)?
            {
                let bucket_name = input.bucket.clone();
                return Err(match bucket.settings.versioning {
                    Some(_) => Error::VersionsLeft { bucket: bucket_name },
                    None => Error::BucketNotEmpty { bucket: bucket_name },
                });
            }
            let uploading = Range::prefix(&(bucket.id,));
            if tx.keys(&UPLOADS, &scope, uploading, Order::Ascending)?.next().transpose()?.is_some() {
                return Err(Error::BucketNotEmpty { bucket: input.bucket.clone() });
            }
            let attached = Range::prefix(&(bucket.name.as_str(),));
            if tx.keys(&ATTACHED, &scope, attached, Order::Ascending)?.next().transpose()?.is_some() {
                return Err(Error::AccessPointsAttached { bucket: input.bucket.clone() });
            }
            configurations::clear(tx, &scope, &bucket)?;
            tx.delete(&OWNED_BUCKETS, &scope, &(bucket.account.as_str(), bucket.name.as_str()))?;
            tx.delete(&BUCKETS, &scope, &(bucket.name.as_str(),))?;
            Ok(())
        })
        .await?;
    Ok(api::DeleteBucketOutput::default())
}

/// The caller's buckets by name. Pages only where the caller asks for them, or there are more than 10,000.
pub async fn list(s3: &S3, cx: &Context, input: api::ListBucketsInput) -> Result<api::ListBucketsOutput> {
    let max = input.max_buckets.unwrap_or(MAX_BUCKETS);
    if !(1..=MAX_BUCKETS).contains(&max) {
        return Err(Error::invalid_argument(
            "max-buckets",
            max.to_string(),
            format!("Argument max-buckets must be an integer between 1 and {MAX_BUCKETS}"),
        ));
    }
    if let Some(region) = input.bucket_region.as_deref().filter(|region| !is_region(cx, region)) {
        let message = format!("Argument value {region} is not a valid AWS Region");
        let failure = Failure::new("InvalidArgument", 400, message).with_detail("ArgumentName", "bucket-region");
        return Err(Error::Other(Box::new(failure)));
    }
    let scope = scope(cx);
    let account = cx.world.account.as_str();
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.continuation_token.as_deref().map(decode_token).transpose()?;
    let wanted_region = input.bucket_region.as_deref();
    let (buckets, more) = s3
        .store
        .read(|snapshot| {
            let mut range = Range::starts_with(&(account, prefix.as_str()));
            if let Some(after) = &after {
                range = range.after(&(account, after.as_str()));
            }
            let mut buckets = Vec::new();
            for key in snapshot.keys(&OWNED_BUCKETS, &scope, range, Order::Ascending)? {
                let (_, name) = key?;
                if is_directory(&name) {
                    continue;
                }
                let Some(bucket) = snapshot.get(&BUCKETS, &scope, &(name.as_str(),))? else { continue };
                if wanted_region.is_some_and(|wanted| wanted != bucket.region) {
                    continue;
                }
                if buckets.len() == max as usize {
                    return Ok::<_, Error>((buckets, true));
                }
                buckets.push(bucket);
            }
            Ok((buckets, false))
        })
        .await?;
    let continuation_token = if more { buckets.last().map(|bucket| encode_token(&bucket.name)) } else { None };
    let shown = buckets.into_iter().map(|bucket| api::Bucket {
        bucket_arn: Some(bucket_arn(cx, &bucket.name).to_string()),
        name: Some(bucket.name),
        creation_date: Some(bucket.created_at.to_secs_precision()),
        bucket_region: Some(bucket.region),
    });
    Ok(api::ListBucketsOutput {
        buckets: Some(shown.collect()),
        owner: Some(owner(account)),
        continuation_token,
        prefix: input.prefix,
    })
}

/// An account as an owner. The canonical id is 64 hexadecimal characters that the account always has.
pub fn owner(account: &str) -> api::Owner {
    use sha2::Digest;
    let id = hex::encode(sha2::Sha256::digest(format!("canonical user of {account}")));
    api::Owner { display_name: None, id: Some(id) }
}

/// Page tokens hide the name they go on after.
pub fn encode_token(name: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE.encode(name)
}

pub fn decode_token(token: &str) -> Result<String> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE.decode(token).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|name| !name.is_empty()).ok_or_else(|| {
        let failure = Failure::new("InvalidArgument", 400, "The continuation token provided is incorrect");
        Error::Other(Box::new(failure.with_detail("ArgumentName", "continuation-token")))
    })
}
