//! Where requests to a Multi-Region Access Point go: the nearest of the regions whose dials are turned on.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapFailover.html>

use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Scope, Snapshot};
use serde::{Deserialize, Serialize};

use crate::control::errors::invalid;
use crate::control::mrap::{MULTI_REGION, MultiRegion, find, not_found};
use crate::control::store::{ALIASES, Alias};
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub bucket: String,
    pub region: String,
    pub bucket_account: String,
    /// Whether requests go there: a dial of 100 or 0.
    pub active: bool,
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
