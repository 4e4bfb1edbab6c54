//! Object Lambda access points: which function changes what is read through them. Requests that name one are told apart in
//! [`crate::control::routing`] and answered in [`crate::operations::object_lambda`].
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-create.html>

use fractus_host::Context;
use fractus_policy::Policy;
use fractus_s3control_api as api;
use fractus_store::{Order, Range, Scope, Snapshot};

use crate::configurations::PublicAccessBlock;
use crate::control::access_point_policy::{blocked, checked};
use crate::control::access_points::{self, new_alias};
use crate::control::account_block;
use crate::control::errors::{invalid, no_access_point_policy, refused};
use crate::control::pages::Page;
use crate::error::{Error, Result};
use crate::object_lambda::points::{self, Configuration, POINTS, Point, SIGNING_NAME};
use crate::objects::scope;
use crate::service::S3;

/// Names are shorter than those of other access points.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateAccessPointForObjectLambda.html>
const MAX_NAME_BYTES: usize = 45;

fn arn(cx: &Context, name: &str) -> String {
    let (partition, account) = (cx.world.partition, &cx.world.account);
    format!("arn:{partition}:{SIGNING_NAME}:{}:{account}:accesspoint/{name}", cx.region)
}

fn find(snapshot: &Snapshot<'_>, scope: &Scope, cx: &Context, name: &str) -> Result<Point> {
    points::find(snapshot, scope, cx.world.account.as_str(), cx.region.as_str(), name)
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
            points::put(tx, &scope, &point)
        })
        .await
}

/// A supporting access point that is there, in this account and region.
fn check(snapshot: &Snapshot<'_>, scope: &Scope, cx: &Context, configuration: &Configuration) -> Result<()> {
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    let own = format!("arn:{}:s3:{region}:{account}:accesspoint/", cx.world.partition);
    let Some(name) = configuration.supporting.strip_prefix(&own) else {
        let message = "The supporting access point must be the ARN of an access point of this account and Region";
        return Err(invalid(message));
    };
    access_points::find(snapshot, scope, account, region, name).map(drop)
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
    if input.name.len() > MAX_NAME_BYTES {
        return Err(access_points::invalid_name(&input.name));
    }
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    let point = Point {
        created_at: cx.now().to_millis_precision(),
        alias: new_alias(&input.name, "--ol-s3", cx.random()),
        configuration: Configuration::of(input.configuration)?,
        policy: None,
        name: input.name,
        account: account.to_owned(),
        region: region.to_owned(),
    };
    s3.store
        .write(|tx| {
            check(tx, &scope, cx, &point.configuration)?;
            if tx.contains(&POINTS, &scope, &(account, region, point.name.as_str()))? {
                let message = "Your previous request to create the named accesspoint succeeded and you already own it.";
                return Err(refused("AccessPointAlreadyOwnedByYou", 409, message));
            }
            points::put(tx, &scope, &point)
        })
        .await?;
    Ok(api::CreateAccessPointForObjectLambdaOutput {
        object_lambda_access_point_arn: Some(arn(cx, &point.name)),
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
            points::remove(tx, &scope, &point)
        })
        .await?;
    Ok(api::DeleteAccessPointForObjectLambdaOutput::default())
}

pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListAccessPointsForObjectLambdaInput,
) -> Result<api::ListAccessPointsForObjectLambdaOutput> {
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
    let configuration = Configuration::of(input.configuration)?;
    let scope = scope(cx);
    s3.store
        .write(|tx| {
            let mut point = find(tx, &scope, cx, &input.name)?;
            check(tx, &scope, cx, &configuration)?;
            point.configuration.clone_from(&configuration);
            points::put(tx, &scope, &point)
        })
        .await?;
    Ok(api::PutAccessPointConfigurationForObjectLambdaOutput::default())
}

pub async fn get_configuration(
    s3: &S3,
    cx: &Context,
    input: api::GetAccessPointConfigurationForObjectLambdaInput,
) -> Result<api::GetAccessPointConfigurationForObjectLambdaOutput> {
    let point = look(s3, cx, &input.name).await?;
    let configuration = Some(point.configuration.shown());
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
