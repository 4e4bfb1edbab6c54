//! Requests that name an access point in the place of a bucket: which bucket that is, and what is evaluated on the way.
//!
//! An access point comes as part of the host (`NAME-ACCOUNT.s3-accesspoint.REGION.amazonaws.com`, or `NAME-ACCOUNT.` before
//! an endpoint of one's own), by its alias, or by its ARN in the path. Before the operation is looked for, the
//! bucket's name takes its place, and the head remembers the way ([`Through`]). An Object Lambda access point
//! (`NAME-ACCOUNT.s3-object-lambda.REGION.amazonaws.com`, its alias, its ARN) leads through its supporting access point.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-service-api-support.html>

use std::sync::Arc;

use fractus_aws::{AccountId, Partition, Region, World};
use fractus_host::{Access, Context, ResourceFacts};
use fractus_store::{Scope, Snapshot};
use fractus_wire::Failure;
use http::request::Parts;
use serde_json::{Value, json};

use crate::configurations::PublicAccessBlock;
use crate::control::access_points;
use crate::control::errors::{no_access_point, refused};
use crate::control::mrap_routes;
use crate::control::names::{Named, is_signed_for_lambda, of_path, of_source};
use crate::control::outposts::place;
use crate::control::store::{ACCOUNT_BLOCKS, ALIASES, Alias, Reach};
use crate::control::supported::{check_supported, method_not_allowed};
use crate::error::{Error, Result};
use crate::object_lambda::points::{self, Point, SIGNING_NAME};
use crate::operations::copy::CopySource;
use crate::permissions::{document, without_public};
use crate::service::S3;
use crate::store::BUCKETS;

/// The way of a request to its bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Through {
    /// The access point's.
    pub arn: String,
    pub account: String,
    pub bucket: String,
    pub is_multi_region: bool,
    /// What stands for it in the place of a bucket.
    pub label: String,
    /// The Object Lambda access point before it.
    pub lambda: Option<Arc<Point>>,
    network_origin: &'static str,
    policy: Option<String>,
    block: PublicAccessBlock,
    reach: Option<Reach>,
}

/// The same for the source of a copy.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceThrough(pub Through, pub CopySource);

/// Marks a head whose bucket came as part of the host: only there may account and name of an access point stand together.
#[derive(Clone, Copy, Debug)]
pub struct InHost;

/// The names of a request that may stand for buckets; nothing for nearly every request.
pub struct Names {
    path: Option<(Named, String)>,
    source: Option<(Named, CopySource)>,
}

impl Names {
    pub fn of(head: &Parts) -> Option<Names> {
        let source = match head.method {
            http::Method::PUT => fractus_wire::header(&head.headers, "x-amz-copy-source"),
            _ => None,
        };
        let source = source.and_then(|header| header.to_str().ok());
        let in_host = head.extensions.get::<InHost>().is_some();
        let is_whole = |named: &Named| in_host || !matches!(named, Named::BucketOr { .. });
        let of_lambda = |named| match named {
            Named::BucketOr { account, name } if is_signed_for_lambda(head) => {
                Named::ObjectLambda { account, region: None, name }
            }
            named => named,
        };
        let path = of_path(head.uri.path()).map(|(named, rest)| (of_lambda(named), rest));
        // A bucket cannot be made with the name of a point; its making says so.
        let makes_bucket = head.method == http::Method::PUT && head.uri.query().is_none() && !in_host;
        let is_made = |rest: &str| makes_bucket && rest.trim_start_matches('/').is_empty();
        let path = path.filter(|(named, rest)| is_whole(named) && !is_made(rest));
        let source = source.and_then(of_source).filter(|(named, _)| !matches!(named, Named::BucketOr { .. }));
        let names = Names { path, source };
        (names.path.is_some() || names.source.is_some()).then_some(names)
    }

    /// Puts the buckets in the place of the names.
    pub async fn resolve(self, s3: &S3, world: &World, region: &Region, head: &mut Parts) -> Result<(), Failure> {
        let scope = Scope::partition(world);
        let near = Near { scope: &scope, partition: world.partition, region: region.as_str() };
        if let Some((named, rest)) = self.path {
            let found = s3.store.read(|snapshot| near.find(snapshot, &named)).await?;
            if let Some(through) = found {
                let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
                let path = format!("/{}{rest}{query}", through.bucket);
                head.uri =
                    path.parse().map_err(|_| Failure::new("InvalidURI", 400, "Couldn't parse the specified URI."))?;
                check_supported(head, &through)?;
                head.extensions.insert(Arc::new(through));
            }
        }
        if let Some((named, source)) = self.source {
            let found = s3.store.read(|snapshot| near.find(snapshot, &named)).await?;
            if let Some(through) = found {
                if through.is_multi_region || through.lambda.is_some() {
                    return Err(method_not_allowed("PUT").into());
                }
                let source = CopySource { bucket: through.bucket.clone(), ..source };
                head.extensions.insert(Arc::new(SourceThrough(through, source)));
            }
        }
        Ok(())
    }
}

/// Where a request is, as far as finding an access point needs it.
struct Near<'a> {
    scope: &'a Scope,
    partition: Partition,
    region: &'a str,
}

impl Near<'_> {
    fn find(&self, snapshot: &Snapshot<'_>, named: &Named) -> Result<Option<Through>> {
        match named {
            Named::Point { account, region, name } => {
                self.point(snapshot, account, region.as_deref().unwrap_or(self.region), name).map(Some)
            }
            Named::Alias(alias) => match snapshot.get(&ALIASES, self.scope, &(alias.as_str(),))? {
                Some(Alias::AccessPoint { account, region, name }) => {
                    self.point(snapshot, &account, &region, &name).map(Some)
                }
                Some(Alias::ObjectLambda { account, region, name }) => {
                    self.lambda(snapshot, &account, &region, &name).map(Some)
                }
                _ => Err(Error::NoSuchBucket { bucket: alias.clone() }),
            },
            Named::MultiRegion(alias) => match snapshot.get(&ALIASES, self.scope, &(alias.as_str(),))? {
                Some(Alias::MultiRegion { account, name }) => {
                    let (point, bucket) = mrap_routes::route(snapshot, self.scope, &account, &name, self.region)?;
                    let blocks = self.blocks(snapshot, &account, point.block)?;
                    Ok(Some(Through {
                        arn: point.arn(self.partition.as_str()),
                        account,
                        bucket,
                        is_multi_region: true,
                        label: alias.clone(),
                        lambda: None,
                        network_origin: "Internet",
                        policy: point.policy,
                        block: blocks,
                        reach: None,
                    }))
                }
                _ => Err(refused(
                    "NoSuchMultiRegionAccessPoint",
                    404,
                    "The specified multi-region access point does not exist",
                )),
            },
            Named::ObjectLambda { account, region, name } => {
                self.lambda(snapshot, account, region.as_deref().unwrap_or(self.region), name).map(Some)
            }
            Named::BucketOr { account, name } => {
                let bucket = format!("{name}-{account}");
                if snapshot.contains(&BUCKETS, self.scope, &(bucket.as_str(),))? {
                    return Ok(None);
                }
                match self.point(snapshot, account, self.region, name) {
                    Ok(through) => Ok(Some(through)),
                    // A name like any other: that there is no such bucket is for the operation to say.
                    Err(Error::Other(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }

    fn blocks(&self, snapshot: &Snapshot<'_>, account: &str, own: PublicAccessBlock) -> Result<PublicAccessBlock> {
        Ok(snapshot.get(&ACCOUNT_BLOCKS, self.scope, &(account,))?.map_or(own, |account| own.and(account)))
    }

    /// The way through an Object Lambda access point: that of the access point behind it.
    fn lambda(&self, snapshot: &Snapshot<'_>, account: &str, region: &str, name: &str) -> Result<Through> {
        let point = points::find(snapshot, self.scope, account, region, name)?;
        let supporting = access_points::name_of(&point.configuration.supporting);
        let through = self.point(snapshot, account, region, supporting)?;
        Ok(Through { lambda: Some(Arc::new(point)), ..through })
    }

    fn point(&self, snapshot: &Snapshot<'_>, account: &str, region: &str, name: &str) -> Result<Through> {
        let point = access_points::find(snapshot, self.scope, account, region, name)?;
        let bucket = snapshot.get(&BUCKETS, self.scope, &(point.bucket.as_str(),))?;
        // Another account may have made a bucket of the name since.
        if bucket.is_none_or(|bucket| bucket.account != point.bucket_account) {
            return Err(no_access_point(name));
        }
        Ok(Through {
            arn: point.arn(self.partition.as_str()),
            network_origin: point.network_origin(),
            account: point.account,
            bucket: point.bucket,
            is_multi_region: false,
            label: point.alias.unwrap_or(point.name),
            lambda: None,
            policy: point.policy,
            block: self.blocks(snapshot, account, point.block)?,
            reach: point.scope,
        })
    }
}

/// The Object Lambda access point that a request came to.
pub fn object_lambda(cx: &Context) -> Option<&Point> {
    cx.extensions().get::<Arc<Through>>()?.lambda.as_deref()
}

/// Whether an access point has led the request to a bucket, or to one as the source of a copy.
pub fn leads_to(cx: &Context, bucket: &str) -> bool {
    let extensions = cx.extensions();
    extensions.get::<Arc<Through>>().is_some_and(|through| through.bucket == bucket)
        || extensions.get::<Arc<SourceThrough>>().is_some_and(|source| source.0.bucket == bucket)
}

/// Who reads the supporting access point, as policies on it and on its bucket say.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-policies.html>
const LAMBDA_PRINCIPAL: &str = "s3-object-lambda.amazonaws.com";
const POINT_ARN: &str = "s3:DataAccessPointArn";
const POINT_ARN_ON_OUTPOSTS: &str = "s3-outposts:DataAccessPointArn";

/// The way that an access of this request takes; none for one that goes to its bucket itself.
pub fn way<'a>(cx: &'a Context, access: &Access, bucket: &str) -> Option<&'a Through> {
    if access.conditions.iter().any(|(key, _)| key == POINT_ARN || key == POINT_ARN_ON_OUTPOSTS) {
        return None;
    }
    let source = cx.extensions().get::<Arc<SourceThrough>>().map(|found| &found.0);
    let reads = access.action.ends_with(":GetObject") || access.action.ends_with(":GetObjectVersion");
    if cx.header("x-amz-copy-source").is_some() && reads {
        return source.filter(|through| through.bucket == bucket);
    }
    cx.extensions().get::<Arc<Through>>().map(|found| &**found).filter(|through| through.bucket == bucket)
}

impl Through {
    /// What is evaluated on the access point itself, and that its bucket must allow the same.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-policies.html>
    pub fn facts(
        &self,
        cx: &Context,
        access: &Access,
        key: Option<&str>,
        conditions: Vec<(String, Vec<String>)>,
    ) -> ResourceFacts {
        let resource = match key {
            Some(key) => format!("{}/object/{key}", self.arn),
            None => self.arn.clone(),
        };
        let said = [
            (POINT_ARN, self.arn.as_str()),
            ("s3:DataAccessPointAccount", self.account.as_str()),
            ("s3:AccessPointNetworkOrigin", self.network_origin),
        ];
        let mut said: Vec<_> = said.map(|(key, value)| (key.to_owned(), vec![value.to_owned()])).into();
        if place::is_kept(&self.bucket) {
            place::rename_keys(&mut said);
        }
        let own = cx.caller.kind != fractus_host::CallerKind::Anonymous && cx.caller.account.as_str() == self.account;
        let mut policy = self.policy.clone();
        if !own && self.block.restrict_public_buckets {
            policy = without_public(policy);
        }
        if !self.reaches(&access.action, key, access) {
            policy = Some(document(vec![deny_all()], policy.as_deref()));
        }
        let mut also = Vec::new();
        if let Some(point) = &self.lambda {
            let action = access.action.rsplit(':').next().unwrap_or_default();
            also.push(Access::to(&point.arn(cx.world.partition)).by(format!("{SIGNING_NAME}:{action}")));
            said.push(("aws:CalledVia".to_owned(), vec![LAMBDA_PRINCIPAL.to_owned()]));
        }
        let mut bucket = access.clone();
        bucket.conditions.extend(said.clone());
        also.push(bucket);
        ResourceFacts {
            policy,
            owner: AccountId::new(&self.account).ok(),
            conditions: conditions.into_iter().chain(said).collect(),
            resource: Some(resource),
            also,
        }
    }

    /// Whether the scope of an access point of a directory bucket covers an action.
    fn reaches(&self, action: &str, key: Option<&str>, access: &Access) -> bool {
        let Some(reach) = &self.reach else { return true };
        let named = action.rsplit(':').next().unwrap_or_default();
        if !reach.permissions.is_empty() && !reach.permissions.iter().any(|permission| permission == named) {
            return false;
        }
        let listed = access.conditions.iter().find(|(key, _)| key == "s3:prefix");
        let about = key.or_else(|| listed?.1.first().map(String::as_str)).unwrap_or_default();
        reach.prefixes.is_empty() || reach.prefixes.iter().any(|prefix| about.starts_with(prefix.trim_end_matches('*')))
    }
}

fn deny_all() -> Value {
    json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"})
}
