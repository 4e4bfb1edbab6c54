//! Multi-Region Access Points: one name for buckets in several regions. They are made, changed and deleted in the
//! background on AWS; here the lane's clock says how far a request is, so nothing has to run for it.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPoints.html>

use std::time::Duration;

use fractus_clock::{Random, Timestamp};
use fractus_host::Context;
use fractus_policy::Policy;
use fractus_s3control_api as api;
use fractus_store::{Collection, Order, Range, Scope, Snapshot};
use serde::{Deserialize, Serialize};

use crate::configurations::PublicAccessBlock;
use crate::control::access_point_policy::checked;
use crate::control::errors::{invalid, refused};
use crate::control::mrap_routes::Route;
use crate::control::outposts::place::is_kept;
use crate::control::pages::Page;
use crate::control::store::{ACCOUNT_BLOCKS, ALIASES, Alias};
use crate::control::{access_point_policy, account_block, mrap_requests};
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;
use crate::store::BUCKETS;

/// Multi-region access points: (account, name).
pub const MULTI_REGION: Collection<(String, String), MultiRegion> = Collection::new("control.multi-region");

/// How long AWS is modelled to work at what it does in the background.
pub const WORKS: Duration = Duration::from_secs(10);
/// The most regions of one.
const MAX_REGIONS: usize = 20;
const MAX_POINTS: usize = 100;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MultiRegion {
    pub name: String,
    pub account: String,
    /// With its `.mrap`.
    pub alias: String,
    pub created_at: Timestamp,
    pub ready_at: Timestamp,
    /// It is on its way out, and gone when its record expires.
    #[serde(default)]
    pub deleting: bool,
    pub block: PublicAccessBlock,
    pub routes: Vec<Route>,
    #[serde(default)]
    pub policy: Option<String>,
    /// A policy that takes the other's place when its time has come.
    #[serde(default)]
    pub proposed: Option<(String, Timestamp)>,
}

impl MultiRegion {
    pub fn arn(&self, partition: &str) -> String {
        format!("arn:{partition}:s3::{}:accesspoint/{}", self.account, self.alias)
    }

    pub fn status(&self, now: Timestamp) -> api::MultiRegionAccessPointStatus {
        match self {
            _ if self.deleting => api::MultiRegionAccessPointStatus::Deleting,
            _ if now < self.ready_at => api::MultiRegionAccessPointStatus::Creating,
            _ => api::MultiRegionAccessPointStatus::Ready,
        }
    }

    /// The policy that holds.
    pub fn established(&self, now: Timestamp) -> Option<&str> {
        match &self.proposed {
            Some((policy, at)) if *at <= now => Some(policy),
            _ => self.policy.as_deref(),
        }
    }
}

pub fn not_found() -> Error {
    refused("NoSuchMultiRegionAccessPoint", 404, "The specified multi-region access point does not exist")
}

pub fn find(snapshot: &Snapshot<'_>, scope: &Scope, account: &str, name: &str) -> Result<MultiRegion> {
    snapshot.get(&MULTI_REGION, scope, &(account, name))?.ok_or_else(not_found)
}

fn new_alias(random: &Random) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let letters = random.bytes::<13>();
    let letters: String = letters.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    format!("m{}.mrap", &letters[1..])
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/multi-region-access-point-naming.html>
fn check_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let valid =
        (3..=50).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('-') && !name.ends_with('-');
    if valid { Ok(()) } else { Err(invalid("The Multi-Region Access Point name is not valid")) }
}

pub async fn create(
    s3: &S3,
    cx: &Context,
    input: api::CreateMultiRegionAccessPointRequest,
) -> Result<api::CreateMultiRegionAccessPointOutput> {
    let details = &input.details;
    check_name(&details.name)?;
    if !(1..=MAX_REGIONS).contains(&details.regions.len()) {
        return Err(invalid(format!("A Multi-Region Access Point has between 1 and {MAX_REGIONS} Regions")));
    }
    let (scope, now) = (scope(cx), cx.now().to_millis_precision());
    let account = cx.world.account.as_str();
    let request = mrap_requests::Request::new(cx, "create", &input.client_token, details)?;
    let alias = new_alias(cx.random());
    let block = details.public_access_block.as_ref().map_or(PublicAccessBlock::all(true), account_block::read);
    let token = request
        .once(s3, &scope, |tx| {
            if tx.contains(&MULTI_REGION, &scope, &(account, details.name.as_str()))? {
                let message = "Your previous request to create the named multi-region access point succeeded and you already own it.";
                return Err(refused("MultiRegionAccessPointAlreadyOwnedByYou", 409, message));
            }
            let there = tx.keys(&MULTI_REGION, &scope, Range::prefix(&(account,)), Order::Ascending)?;
            if there.take(MAX_POINTS).count() == MAX_POINTS {
                let message = "You have attempted to create more multi-region access points than are allowed for an account";
                return Err(refused("TooManyMultiRegionAccessPoints", 400, message));
            }
            let mut routes: Vec<Route> = Vec::new();
            for given in &details.regions {
                let bucket = tx.get(&BUCKETS, &scope, &(given.bucket.as_str(),))?;
                let bucket = bucket.filter(|bucket| !is_kept(&bucket.name));
                let bucket = bucket.ok_or_else(|| Error::NoSuchBucket { bucket: given.bucket.clone() })?;
                if given.bucket_account_id.as_deref().unwrap_or(account) != bucket.account {
                    return Err(Error::AccessDenied);
                }
                if routes.iter().any(|route| route.region == bucket.region) {
                    return Err(invalid("A Multi-Region Access Point can have one bucket in a Region"));
                }
                routes.push(Route {
                    bucket: bucket.name,
                    region: bucket.region,
                    bucket_account: bucket.account,
                    active: true,
                });
            }
            let point = MultiRegion {
                name: details.name.clone(),
                account: account.to_owned(),
                alias: alias.clone(),
                created_at: now,
                ready_at: now.plus(WORKS),
                deleting: false,
                block,
                routes,
                policy: None,
                proposed: None,
            };
            let stands_for = Alias::MultiRegion { account: account.to_owned(), name: details.name.clone() };
            tx.put(&ALIASES, &scope, &(alias.as_str(),), &stands_for)?;
            tx.put(&MULTI_REGION, &scope, &(account, details.name.as_str()), &point)?;
            Ok(point.routes.iter().map(|route| route.region.clone()).collect())
        })
        .await?;
    Ok(api::CreateMultiRegionAccessPointOutput { request_token_arn: Some(token) })
}

pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteMultiRegionAccessPointRequest,
) -> Result<api::DeleteMultiRegionAccessPointOutput> {
    let (scope, now) = (scope(cx), cx.now());
    let account = cx.world.account.as_str();
    let name = input.details.name.as_str();
    let request = mrap_requests::Request::new(cx, "delete", &input.client_token, &input.details)?;
    let token = request
        .once(s3, &scope, |tx| {
            let mut point = find(tx, &scope, account, name)?;
            point.deleting = true;
            let gone_at = now.plus(WORKS);
            tx.put_until(&MULTI_REGION, &scope, &(account, name), &point, gone_at)?;
            let alias = Alias::MultiRegion { account: account.to_owned(), name: name.to_owned() };
            tx.put_until(&ALIASES, &scope, &(point.alias.as_str(),), &alias, gone_at)?;
            Ok(point.routes.into_iter().map(|route| route.region).collect())
        })
        .await?;
    Ok(api::DeleteMultiRegionAccessPointOutput { request_token_arn: Some(token) })
}

pub async fn put_policy(
    s3: &S3,
    cx: &Context,
    input: api::PutMultiRegionAccessPointPolicyRequest,
) -> Result<api::PutMultiRegionAccessPointPolicyOutput> {
    let (scope, now) = (scope(cx), cx.now());
    let account = cx.world.account.as_str();
    let name = input.details.name.as_str();
    let request = mrap_requests::Request::new(cx, "put-policy", &input.client_token, &input.details)?;
    let token = request
        .once(s3, &scope, |tx| {
            let mut point = find(tx, &scope, account, name)?;
            if point.status(now) != api::MultiRegionAccessPointStatus::Ready {
                return Err(refused("OperationAborted", 409, "The Multi-Region Access Point is not ready"));
            }
            let arn = point.arn(cx.world.partition.as_str());
            let is_public = checked(&input.details.policy, &arn)?.is_public();
            let account_block = tx.get(&ACCOUNT_BLOCKS, &scope, &(account,))?;
            let block = account_block.map_or(point.block, |account| point.block.and(account));
            if is_public && block.block_public_policy {
                return Err(access_point_policy::blocked(cx, &arn, "s3:PutMultiRegionAccessPointPolicy"));
            }
            point.policy = point.established(now).map(str::to_owned);
            point.proposed = Some((input.details.policy.clone(), now.plus(WORKS)));
            tx.put(&MULTI_REGION, &scope, &(account, name), &point)?;
            Ok(point.routes.into_iter().map(|route| route.region).collect())
        })
        .await?;
    Ok(api::PutMultiRegionAccessPointPolicyOutput { request_token_arn: Some(token) })
}

fn report(point: MultiRegion, now: Timestamp) -> api::MultiRegionAccessPointReport {
    let status = point.status(now);
    let regions = point.routes.into_iter().map(|route| api::RegionReport {
        bucket: Some(route.bucket),
        region: Some(route.region),
        bucket_account_id: Some(route.bucket_account),
    });
    api::MultiRegionAccessPointReport {
        name: Some(point.name),
        alias: Some(point.alias),
        created_at: Some(point.created_at),
        public_access_block: Some(account_block::show(point.block)),
        status: Some(status),
        regions: Some(regions.collect()),
    }
}

async fn look(s3: &S3, cx: &Context, name: &str) -> Result<MultiRegion> {
    let scope = scope(cx);
    s3.store.read(|snapshot| find(snapshot, &scope, cx.world.account.as_str(), name)).await
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetMultiRegionAccessPointInput,
) -> Result<api::GetMultiRegionAccessPointOutput> {
    let point = look(s3, cx, &input.name).await?;
    Ok(api::GetMultiRegionAccessPointOutput { access_point: Some(report(point, cx.now())) })
}

pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListMultiRegionAccessPointsInput,
) -> Result<api::ListMultiRegionAccessPointsOutput> {
    let page = Page::read(input.next_token.as_deref(), input.max_results, 1_000)?;
    let scope = scope(cx);
    let account = cx.world.account.as_str();
    let mut found = s3
        .store
        .read(|snapshot| {
            let mut range = Range::prefix(&(account,));
            if let Some(after) = &page.after {
                range = range.after(&(account, after.as_str()));
            }
            let found = snapshot.range(&MULTI_REGION, &scope, range, Order::Ascending)?.take(page.max + 1);
            found.map(|entry| entry.map(|(_, point)| point).map_err(Error::from)).collect::<Result<Vec<_>>>()
        })
        .await?;
    let next_token = page.cut(&mut found, |point| point.name.clone());
    let access_points = Some(found.into_iter().map(|point| report(point, cx.now())).collect());
    Ok(api::ListMultiRegionAccessPointsOutput { access_points, next_token })
}

pub async fn get_policy(
    s3: &S3,
    cx: &Context,
    input: api::GetMultiRegionAccessPointPolicyInput,
) -> Result<api::GetMultiRegionAccessPointPolicyOutput> {
    let point = look(s3, cx, &input.name).await?;
    let now = cx.now();
    let established = point.established(now).map(str::to_owned);
    // What was proposed last, whether it holds already or not.
    let proposed = point.proposed.map(|(policy, _)| policy).or(point.policy);
    let policy = api::MultiRegionAccessPointPolicyDocument {
        established: Some(api::EstablishedMultiRegionAccessPointPolicy { policy: established }),
        proposed: Some(api::ProposedMultiRegionAccessPointPolicy { policy: proposed }),
    };
    Ok(api::GetMultiRegionAccessPointPolicyOutput { policy: Some(policy) })
}

pub async fn policy_status(
    s3: &S3,
    cx: &Context,
    input: api::GetMultiRegionAccessPointPolicyStatusInput,
) -> Result<api::GetMultiRegionAccessPointPolicyStatusOutput> {
    let point = look(s3, cx, &input.name).await?;
    let policy = point.established(cx.now()).and_then(|policy| Policy::parse(policy).ok());
    let is_public = policy.is_some_and(|policy| policy.is_public());
    let established = Some(api::PolicyStatus { is_public: Some(is_public) });
    Ok(api::GetMultiRegionAccessPointPolicyStatusOutput { established })
}
