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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub bucket: String,
    pub region: String,
    pub bucket_account: String,
    /// Whether requests go there: a dial of 100 or 0.
    pub active: bool,
}

impl MultiRegion {
    pub fn arn(&self, partition: &str) -> String {
        format!("arn:{partition}:s3::{}:accesspoint/{}", self.account, self.alias)
    }

    fn status(&self, now: Timestamp) -> api::MultiRegionAccessPointStatus {
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

fn find(snapshot: &Snapshot<'_>, scope: &Scope, account: &str, name: &str) -> Result<MultiRegion> {
    snapshot.get(&MULTI_REGION, scope, &(account, name))?.ok_or_else(not_found)
}

/// Of active routes the nearest: the caller's region, else one of its part of the world, else the first.
pub fn nearest<'a>(routes: &'a [Route], region: &str) -> Option<&'a Route> {
    let area = |region: &str| region.split('-').next().unwrap_or_default().to_owned();
    let active = || routes.iter().filter(|route| route.active);
    active()
        .find(|route| route.region == region)
        .or_else(|| active().find(|route| area(&route.region) == area(region)))
        .or_else(|| active().next())
}

/// Where a request from a region goes: the access point with the policy that holds, and the bucket.
pub fn route(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    account: &str,
    name: &str,
    region: &str,
) -> Result<(MultiRegion, String)> {
    let mut point = find(snapshot, scope, account, name)?;
    let now = snapshot.now(scope);
    if point.status(now) != api::MultiRegionAccessPointStatus::Ready {
        return Err(not_found());
    }
    point.policy = point.established(now).map(str::to_owned);
    let bucket = nearest(&point.routes, region).map(|route| route.bucket.clone());
    Ok((point, bucket.ok_or_else(not_found)?))
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

/// The alias in an ARN (`arn:aws:s3::ACCOUNT:accesspoint/ALIAS`, or with a colon in the place of the slash), or by itself.
fn alias_in(given: &str) -> &str {
    given.rsplit([':', '/']).next().unwrap_or(given)
}

fn by_alias(snapshot: &Snapshot<'_>, scope: &Scope, account: &str, given: &str) -> Result<MultiRegion> {
    match snapshot.get(&ALIASES, scope, &(alias_in(given),))? {
        Some(Alias::MultiRegion { account: owner, name }) if owner == account => find(snapshot, scope, account, &name),
        _ => Err(not_found()),
    }
}

pub async fn get_routes(
    s3: &S3,
    cx: &Context,
    input: api::GetMultiRegionAccessPointRoutesInput,
) -> Result<api::GetMultiRegionAccessPointRoutesOutput> {
    let scope = scope(cx);
    let account = cx.world.account.as_str();
    let point = s3.store.read(|snapshot| by_alias(snapshot, &scope, account, &input.mrap)).await?;
    let mrap = point.arn(cx.world.partition.as_str());
    let routes = point.routes.into_iter().map(|route| api::MultiRegionAccessPointRoute {
        bucket: Some(route.bucket),
        region: Some(route.region),
        traffic_dial_percentage: if route.active { 100 } else { 0 },
    });
    Ok(api::GetMultiRegionAccessPointRoutesOutput { mrap: Some(mrap), routes: Some(routes.collect()) })
}

/// Turns dials; at least one region stays active.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapFailover.html>
pub fn turn(routes: &mut [Route], updates: &[api::MultiRegionAccessPointRoute]) -> Result<()> {
    if updates.is_empty() {
        return Err(Error::MalformedXml);
    }
    for update in updates {
        let active = match update.traffic_dial_percentage {
            100 => true,
            0 => false,
            _ => return Err(invalid("The traffic dial percentage of a route is 0 or 100")),
        };
        if update.bucket.is_none() && update.region.is_none() {
            return Err(invalid("A route names its bucket or its Region"));
        }
        let is_it = |route: &&mut Route| {
            update.bucket.as_ref().is_none_or(|bucket| *bucket == route.bucket)
                && update.region.as_ref().is_none_or(|region| *region == route.region)
        };
        let route = routes.iter_mut().find(is_it);
        route.ok_or_else(|| invalid("The Multi-Region Access Point has no such route"))?.active = active;
    }
    if routes.iter().any(|route| route.active) {
        return Ok(());
    }
    Err(invalid("At least one Region must have a traffic dial percentage of 100"))
}

pub async fn submit_routes(
    s3: &S3,
    cx: &Context,
    input: api::SubmitMultiRegionAccessPointRoutesInput,
) -> Result<api::SubmitMultiRegionAccessPointRoutesOutput> {
    let scope = scope(cx);
    let account = cx.world.account.as_str();
    s3.store
        .write(|tx| {
            let mut point = by_alias(tx, &scope, account, &input.mrap)?;
            turn(&mut point.routes, &input.route_updates)?;
            Ok::<_, Error>(tx.put(&MULTI_REGION, &scope, &(account, point.name.as_str()), &point)?)
        })
        .await?;
    Ok(api::SubmitMultiRegionAccessPointRoutesOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Vec<Route> {
        let route = |region: &str| Route {
            bucket: format!("b-{region}"),
            region: region.into(),
            bucket_account: "123456789012".into(),
            active: true,
        };
        ["us-east-1", "eu-west-1", "eu-central-1"].map(route).into()
    }

    fn update(region: &str, dial: i32) -> api::MultiRegionAccessPointRoute {
        api::MultiRegionAccessPointRoute { bucket: None, region: Some(region.into()), traffic_dial_percentage: dial }
    }

    #[test]
    fn requests_go_to_the_nearest_active_region() {
        let mut routes = routes();
        let at = |routes: &[Route], region: &str| nearest(routes, region).map(|route| route.region.clone());
        assert_eq!(at(&routes, "eu-central-1").as_deref(), Some("eu-central-1"));
        assert_eq!(at(&routes, "eu-north-1").as_deref(), Some("eu-west-1"));
        assert_eq!(at(&routes, "ap-south-1").as_deref(), Some("us-east-1"));
        turn(&mut routes, &[update("us-east-1", 0)]).unwrap();
        assert_eq!(at(&routes, "us-east-1").as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn one_region_stays_active() {
        let mut routes = routes();
        assert!(turn(&mut routes, &[update("us-east-1", 50)]).is_err());
        assert!(turn(&mut routes, &[update("sa-east-1", 0)]).is_err());
        assert!(turn(&mut routes, &[]).is_err());
        let all = ["us-east-1", "eu-west-1", "eu-central-1"].map(|region| update(region, 0));
        assert!(turn(&mut routes, &all).is_err());
    }

    #[test]
    fn aliases_in_arns() {
        assert_eq!(alias_in("arn:aws:s3::123456789012:accesspoint:abc.mrap"), "abc.mrap");
        assert_eq!(alias_in("arn:aws:s3::123456789012:accesspoint/abc.mrap"), "abc.mrap");
        assert_eq!(alias_in("abc.mrap"), "abc.mrap");
    }
}
