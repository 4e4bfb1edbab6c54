//! Object Lambda access points: which function changes what is read through them. They are kept; nothing is read through
//! them yet, for the functions have nowhere to run.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-create.html>

use fractus_host::Context;
use fractus_policy::Policy;
use fractus_s3control_api as api;
use fractus_store::{Collection, Scope, Snapshot};
use serde::{Deserialize, Serialize};

use crate::configurations::PublicAccessBlock;
use crate::control::access_point_policy::{blocked, checked};
use crate::control::access_points::{self, new_alias};
use crate::control::errors::{invalid, no_access_point, no_access_point_policy, refused};
use crate::control::pages::Page;
use crate::control::store::{ALIASES, Alias};
use crate::control::{account_block, kept};
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;

/// (account, region, name).
const POINTS: Collection<(String, String, String), Point> = Collection::new("control.object-lambda");

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Point {
    created_at: fractus_clock::Timestamp,
    alias: String,
    configuration: String,
    policy: Option<String>,
}

fn arn(cx: &Context, name: &str) -> String {
    let (partition, account) = (cx.world.partition, &cx.world.account);
    format!("arn:{partition}:s3-object-lambda:{}:{account}:accesspoint/{name}", cx.region)
}

fn find(snapshot: &Snapshot<'_>, scope: &Scope, cx: &Context, name: &str) -> Result<Point> {
    let at = (cx.world.account.as_str(), cx.region.as_str(), name);
    snapshot.get(&POINTS, scope, &at)?.ok_or_else(|| no_access_point(name))
}

async fn look(s3: &S3, cx: &Context, name: &str) -> Result<Point> {
    let scope = scope(cx);
    s3.store.read(|snapshot| find(snapshot, &scope, cx, name)).await
}

async fn change(s3: &S3, cx: &Context, name: &str, work: impl Fn(&mut Point) + Send + Sync) -> Result<()> {
    let scope = scope(cx);
    s3.store
        .write(|tx| {
            let mut point = find(tx, &scope, cx, name)?;
            work(&mut point);
            let at = (cx.world.account.as_str(), cx.region.as_str(), name);
            Ok(tx.put(&POINTS, &scope, &at, &point)?)
        })
        .await
}

/// Name rules, and a supporting access point that is there in this account.
fn check(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    cx: &Context,
    configuration: &api::ObjectLambdaConfiguration,
) -> Result<()> {
    let supporting = &configuration.supporting_access_point;
    let own = format!(":{}:accesspoint/", cx.world.account);
    if !supporting.starts_with("arn:") || !supporting.contains(&own) {
        return Err(invalid("The supporting access point must be the ARN of an access point of this account"));
    }
    if configuration.transformation_configurations.is_empty() {
        return Err(Error::MalformedXml);
    }
    access_points::find(snapshot, scope, cx.world.account.as_str(), cx.region.as_str(), supporting).map(drop)
}

fn shown_alias(alias: String) -> api::ObjectLambdaAccessPointAlias {
    api::ObjectLambdaAccessPointAlias {
        value: Some(alias),
        status: Some(api::ObjectLambdaAccessPointAliasStatus::Ready),
    }
}

pub async fn create(
    s3: &S3,
    cx: &Context,
    input: api::CreateAccessPointForObjectLambdaInput,
) -> Result<api::CreateAccessPointForObjectLambdaOutput> {
    access_points::check_name(&input.name, "")?;
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    let point = Point {
        created_at: cx.now().to_millis_precision(),
        alias: new_alias(&input.name, "--ol-s3", cx.random()),
        configuration: kept::to_json(&input.configuration)?,
        policy: None,
    };
    s3.store
        .write(|tx| {
            check(tx, &scope, cx, &input.configuration)?;
            let at = (account, region, input.name.as_str());
            if tx.contains(&POINTS, &scope, &at)? {
                let message = "Your previous request to create the named accesspoint succeeded and you already own it.";
                return Err(refused("AccessPointAlreadyOwnedByYou", 409, message));
            }
            let (account, region, name) = (account.to_owned(), region.to_owned(), input.name.clone());
            tx.put(&ALIASES, &scope, &(point.alias.as_str(),), &Alias::ObjectLambda { account, region, name })?;
            Ok(tx.put(&POINTS, &scope, &at, &point)?)
        })
        .await?;
    Ok(api::CreateAccessPointForObjectLambdaOutput {
        object_lambda_access_point_arn: Some(arn(cx, &input.name)),
        alias: Some(shown_alias(point.alias)),
    })
}

pub async fn get(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessPointForObjectLambdaInput,
) -> Result<api::GetAccessPointForObjectLambdaOutput> {
    let point = look(s3, cx, &input.name).await?;
    Ok(api::GetAccessPointForObjectLambdaOutput {
        name: Some(input.name),
        public_access_block_configuration: Some(account_block::show(PublicAccessBlock::all(true))),
        creation_date: Some(point.created_at),
        alias: Some(shown_alias(point.alias)),
    })
}

pub async fn delete(
    s3: &S3,
    cx: &Context,
    input: api::DeleteAccessPointForObjectLambdaInput,
) -> Result<api::DeleteAccessPointForObjectLambdaOutput> {
    let scope = scope(cx);
    s3.store
        .write(|tx| {
            let point = find(tx, &scope, cx, &input.name)?;
            tx.delete(&ALIASES, &scope, &(point.alias.as_str(),))?;
            let at = (cx.world.account.as_str(), cx.region.as_str(), input.name.as_str());
            Ok::<_, Error>(tx.delete(&POINTS, &scope, &at)?)
        })
        .await?;
    Ok(api::DeleteAccessPointForObjectLambdaOutput::default())
}

pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListAccessPointsForObjectLambdaInput,
) -> Result<api::ListAccessPointsForObjectLambdaOutput> {
    use fractus_store::{Order, Range};
    let page = Page::read(input.next_token.as_deref(), input.max_results, 1_000)?;
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    let mut found = s3
        .store
        .read(|snapshot| {
            let mut range = Range::prefix(&(account, region));
            if let Some(after) = &page.after {
                range = range.after(&(account, region, after.as_str()));
            }
            let found = snapshot.range(&POINTS, &scope, range, Order::Ascending)?.take(page.max + 1);
            let named = found.map(|entry| entry.map(|((_, _, name), point)| (name, point)).map_err(Error::from));
            named.collect::<Result<Vec<_>>>()
        })
        .await?;
    let next_token = page.cut(&mut found, |(name, _)| name.clone());
    let shown = found.into_iter().map(|(name, point)| api::ObjectLambdaAccessPoint {
        object_lambda_access_point_arn: Some(arn(cx, &name)),
        name,
        alias: Some(shown_alias(point.alias)),
    });
    Ok(api::ListAccessPointsForObjectLambdaOutput {
        object_lambda_access_point_list: Some(shown.collect()),
        next_token,
    })
}

pub async fn put_configuration(
    s3: &S3,
    cx: &Context,
    input: api::PutAccessPointConfigurationForObjectLambdaInput,
) -> Result<api::PutAccessPointConfigurationForObjectLambdaOutput> {
    let text = kept::to_json(&input.configuration)?;
    let at = scope(cx);
    s3.store.read(|snapshot| check(snapshot, &at, cx, &input.configuration)).await?;
    change(s3, cx, &input.name, |point| point.configuration.clone_from(&text)).await?;
    Ok(api::PutAccessPointConfigurationForObjectLambdaOutput::default())
}

pub async fn get_configuration(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessPointConfigurationForObjectLambdaInput,
) -> Result<api::GetAccessPointConfigurationForObjectLambdaOutput> {
    let point = look(s3, cx, &input.name).await?;
    let configuration = Some(kept::from_json(&point.configuration)?);
    Ok(api::GetAccessPointConfigurationForObjectLambdaOutput { configuration })
}

pub async fn put_policy(
    s3: &S3,
    cx: &Context,
    input: api::PutAccessPointPolicyForObjectLambdaInput,
) -> Result<api::PutAccessPointPolicyForObjectLambdaOutput> {
    let own = arn(cx, &input.name);
    look(s3, cx, &input.name).await?;
    // Object Lambda access points block public access, always.
    if checked(&input.policy, &own)?.is_public() {
        return Err(blocked(cx, &own, "s3-object-lambda:PutAccessPointPolicy"));
    }
    change(s3, cx, &input.name, |point| point.policy = Some(input.policy.clone())).await?;
    Ok(api::PutAccessPointPolicyForObjectLambdaOutput::default())
}

pub async fn get_policy(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessPointPolicyForObjectLambdaInput,
) -> Result<api::GetAccessPointPolicyForObjectLambdaOutput> {
    let policy = look(s3, cx, &input.name).await?.policy;
    let policy = Some(policy.ok_or_else(|| no_access_point_policy(&input.name))?);
    Ok(api::GetAccessPointPolicyForObjectLambdaOutput { policy })
}

pub async fn delete_policy(
    s3: &S3,
    cx: &Context,
    input: api::DeleteAccessPointPolicyForObjectLambdaInput,
) -> Result<api::DeleteAccessPointPolicyForObjectLambdaOutput> {
    change(s3, cx, &input.name, |point| point.policy = None).await?;
    Ok(api::DeleteAccessPointPolicyForObjectLambdaOutput::default())
}

pub async fn policy_status(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessPointPolicyStatusForObjectLambdaInput,
) -> Result<api::GetAccessPointPolicyStatusForObjectLambdaOutput> {
    let policy = look(s3, cx, &input.name).await?.policy.ok_or_else(|| no_access_point_policy(&input.name))?;
    let is_public = Policy::parse(&policy).is_ok_and(|policy| policy.is_public());
    let policy_status = Some(api::PolicyStatus { is_public: Some(is_public) });
    Ok(api::GetAccessPointPolicyStatusForObjectLambdaOutput { policy_status })
}
