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
use fractus_s3_api as s3_api;
use fractus_store::{Scope, Snapshot};
use fractus_wire::{Failure, protocol};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::configurations::PublicAccessBlock;
use crate::control::access_points;
use crate::control::errors::{no_access_point, refused};
use crate::control::mrap;
use crate::control::store::{ACCOUNT_BLOCKS, ALIASES, Alias, Reach, is_directory_name};
use crate::error::{Error, Result};
use crate::object_lambda::points::{self, Point, SIGNING_NAME};
use crate::operations::copy::{self, CopySource};
use crate::permissions::{document, without_public};
use crate::service::S3;
use crate::store::BUCKETS;

/// Between account and name in a path that came from a host of access points; no bucket's name has a colon.
const MARK: &str = "accesspoint:";
/// The same of Object Lambda.
const LAMBDA_MARK: &str = "object-lambda:";

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

/// What a name in a bucket's place may be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Point {
        account: String,
        region: Option<String>,
        name: String,
    },
    Alias(String),
    /// By its alias, and, of an ARN, its account.
    MultiRegion(String),
    ObjectLambda {
        account: String,
        /// None: the request's.
        region: Option<String>,
        name: String,
    },
    /// A bucket may have this name; if none has, it is an access point's before an endpoint of one's own.
    BucketOr {
        account: String,
        name: String,
    },
}

/// The path segment for a host of access points: `NAME-ACCOUNT.s3-accesspoint.REGION.…`, and of multi-region ones,
/// `ALIAS.mrap.accesspoint.s3-global.amazonaws.com`.
pub fn of_host(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if let Some((alias, _)) = host.split_once(".accesspoint.s3-global.") {
        return Some(alias.to_owned());
    }
    let (first, rest) = host.split_once('.')?;
    let (family, rest) = rest.split_once('.')?;
    if !matches!(family, "s3-accesspoint" | "s3-accesspoint-fips" | "s3-object-lambda") {
        return None;
    }
    let region = rest.strip_prefix("dualstack.").unwrap_or(rest).split('.').next()?;
    let (name, account) = split_account(first)?;
    let mark = if family == SIGNING_NAME { LAMBDA_MARK } else { MARK };
    let region = if region == "localhost" { "" } else { region };
    Some(format!("{mark}{account}:{region}:{name}"))
}

/// `NAME-123456789012`.
fn split_account(text: &str) -> Option<(&str, &str)> {
    let (name, account) = text.rsplit_once('-')?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_account && !name.is_empty()).then_some((name, account))
}

/// An access point's ARN, and what stands behind it: `arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME[/REST]`.
fn of_arn(text: &str) -> Option<(Named, &str)> {
    let mut parts = text.splitn(6, ':');
    let (_, _, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let rest = resource.strip_prefix("accesspoint/").or_else(|| resource.strip_prefix("accesspoint:"))?;
    let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if name.ends_with(".mrap") {
        return Some((Named::MultiRegion(name.to_owned()), rest));
    }
    let (account, region, name) = (account.to_owned(), Some(region.to_owned()), name.to_owned());
    let named = match service {
        SIGNING_NAME => Named::ObjectLambda { account, region, name },
        _ => Named::Point { account, region, name },
    };
    Some((named, rest))
}

/// What a name in the place of a bucket's is, if it is not just a bucket's.
fn named(bucket: &str) -> Option<Named> {
    let marked = |rest: &str| {
        let mut parts = rest.splitn(3, ':');
        let (account, region, name) = (parts.next()?, parts.next()?, parts.next()?);
        let region = Some(region.to_owned()).filter(|region| !region.is_empty());
        Some((account.to_owned(), region, name.to_owned()))
    };
    if let Some(rest) = bucket.strip_prefix(MARK) {
        return marked(rest).map(|(account, region, name)| Named::Point { account, region, name });
    }
    if let Some(rest) = bucket.strip_prefix(LAMBDA_MARK) {
        return marked(rest).map(|(account, region, name)| Named::ObjectLambda { account, region, name });
    }
    if ["-s3alias", "--ol-s3"].iter().any(|end| bucket.ends_with(end)) || is_directory_name(bucket) {
        return Some(Named::Alias(bucket.to_owned()));
    }
    if bucket.ends_with(".mrap") {
        return Some(Named::MultiRegion(bucket.to_owned()));
    }
    let (name, account) = split_account(bucket)?;
    Some(Named::BucketOr { account: account.to_owned(), name: name.to_owned() })
}

/// What stands in a path in the place of a bucket, and the rest of the path with its slash.
fn of_path(path: &str) -> Option<(Named, String)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.get(..4).is_some_and(|start| start == "arn:" || start.eq_ignore_ascii_case("arn%")) {
        // The ARN's own slash may come as it is or encoded.
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let arn = percent_decode_str(first).decode_utf8().ok()?;
        if arn.contains("accesspoint/") || !first.ends_with("accesspoint") {
            return Some((of_arn(&arn)?.0, format!("/{rest}")));
        }
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        return Some((of_arn(&format!("{arn}/{name}"))?.0, format!("/{rest}")));
    }
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let first = percent_decode_str(first).decode_utf8().ok()?;
    Some((named(&first)?, format!("/{rest}")))
}

/// The source of a copy that is named by an access point: `ARN/object/KEY`, or an alias in the bucket's place.
fn of_source(header: &str) -> Option<(Named, CopySource)> {
    let (path, query) = header.split_once('?').unwrap_or((header, ""));
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let decoded = decoded.strip_prefix('/').unwrap_or(&decoded);
    if decoded.starts_with("arn:") {
        let (named, rest) = of_arn(decoded)?;
        let version_id = query.strip_prefix("versionId=").filter(|id| !id.is_empty()).map(str::to_owned);
        let key = rest.strip_prefix("object/").filter(|key| !key.is_empty())?.to_owned();
        return Some((named, CopySource { bucket: String::new(), key, version_id }));
    }
    let source = copy::parse_source(header).ok()?;
    Some((named(&source.bucket)?, source))
}

/// The names of a request that may stand for buckets; nothing for nearly every request.
pub struct Names {
    path: Option<(Named, String)>,
    source: Option<(Named, CopySource)>,
}

impl Names {
    pub fn of(head: &Parts) -> Option<Names> {
        let source = head.headers.get("x-amz-copy-source").and_then(|header| header.to_str().ok());
        let in_host = head.extensions.get::<InHost>().is_some();
        let is_whole = |named: &Named| in_host || !matches!(named, Named::BucketOr { .. });
        let of_lambda = |named| match named {
            Named::BucketOr { account, name } if is_signed_for_lambda(head) => {
                Named::ObjectLambda { account, region: None, name }
            }
            named => named,
        };
        let path = of_path(head.uri.path()).map(|(named, rest)| (of_lambda(named), rest));
        let path = path.filter(|(named, _)| is_whole(named));
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
                    let (point, bucket) = mrap::route(snapshot, self.scope, &account, &name, self.region)?;
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

/// The operations that go through an access point.
const SUPPORTED: [&str; 36] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "CreateSession",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjects",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketLocation",
    "GetBucketNotificationConfiguration",
    "GetBucketPolicy",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutObject",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
    "RestoreObject",
    "SelectObjectContent",
    "UploadPart",
    "UploadPartCopy",
    "WriteGetObjectResponse",
];

/// Those that do not go through a multi-region one.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapOperations.html>
const NOT_MULTI_REGION: [&str; 12] = [
    "CreateSession",
    "DeleteObjects",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketLocation",
    "GetBucketNotificationConfiguration",
    "GetBucketPolicy",
    "GetObjectAttributes",
    "ListObjectVersions",
    "ListObjects",
    "SelectObjectContent",
    "WriteGetObjectResponse",
];

/// Those for which Object Lambda has no action.
///
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3objectlambda.html>
const NOT_OBJECT_LAMBDA: [&str; 10] = [
    "CopyObject",
    "CreateSession",
    "GetBucketAcl",
    "GetBucketCors",
    "GetBucketLocation",
    "GetBucketNotificationConfiguration",
    "GetBucketPolicy",
    "GetObjectAttributes",
    "SelectObjectContent",
    "UploadPartCopy",
];

pub fn is_supported(operation: &str, is_multi_region: bool) -> bool {
    SUPPORTED.contains(&operation) && !(is_multi_region && NOT_MULTI_REGION.contains(&operation))
}

fn method_not_allowed(method: &str) -> Error {
    Error::MethodNotAllowed { method: method.to_owned(), resource: "ACCESSPOINT" }
}

/// Refuses what does not go through access points. What is no operation at all is told later.
fn check_supported(head: &Parts, through: &Through) -> Result<(), Failure> {
    let Ok(identified) = protocol::identify(&s3_api::MODEL, head, None) else { return Ok(()) };
    let operation = identified.operation.name;
    let through_lambda = through.lambda.is_none() || !NOT_OBJECT_LAMBDA.contains(&operation);
    if !is_supported(operation, through.is_multi_region) || !through_lambda {
        return Err(method_not_allowed(head.method.as_str()).into());
    }
    match &through.lambda {
        Some(point) if operation != "GetObject" && point.configuration.transformation(operation).is_some() => {
            let message = format!("Functions before {operation} are not called; only those before GetObject are.");
            Err(Failure::new("NotImplemented", 501, message))
        }
        _ => Ok(()),
    }
}

/// Whether a request is signed for Object Lambda.
fn is_signed_for_lambda(head: &Parts) -> bool {
    let header = head.headers.get("authorization").and_then(|header| header.to_str().ok());
    header.is_some_and(|header| header.contains("/s3-object-lambda/aws4_request"))
        || head.uri.query().is_some_and(|query| query.contains("%2Fs3-object-lambda%2Faws4_request"))
}

/// The Object Lambda access point that a request came to.
pub fn object_lambda(cx: &Context) -> Option<&Point> {
    cx.extensions().get::<Arc<Through>>()?.lambda.as_deref()
}

/// Who reads the supporting access point, as policies on it and on its bucket say.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-policies.html>
const LAMBDA_PRINCIPAL: &str = "s3-object-lambda.amazonaws.com";
const POINT_ARN: &str = "s3:DataAccessPointArn";

/// The way that an access of this request takes; none for one that goes to its bucket itself.
pub fn way<'a>(cx: &'a Context, access: &Access, bucket: &str) -> Option<&'a Through> {
    if access.conditions.iter().any(|(key, _)| key == POINT_ARN) {
        return None;
    }
    let source = cx.extensions().get::<Arc<SourceThrough>>().map(|found| &found.0);
    let reads = access.action == "s3:GetObject" || access.action == "s3:GetObjectVersion";
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

#[cfg(test)]
mod tests {
    use super::*;

    fn point(account: &str, region: Option<&str>, name: &str) -> Named {
        Named::Point { account: account.into(), region: region.map(Into::into), name: name.into() }
    }

    #[test]
    fn hosts_of_access_points() {
        let marked = Some("accesspoint:123456789012:us-west-2:my-ap".to_owned());
        for host in [
            "my-ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com",
            "my-ap-123456789012.s3-accesspoint.dualstack.us-west-2.amazonaws.com",
            "my-ap-123456789012.s3-accesspoint-fips.us-west-2.amazonaws.com",
            "my-ap-123456789012.s3-accesspoint.us-west-2.localhost",
        ] {
            assert_eq!(of_host(host), marked, "{host}");
        }
        for (host, region) in [
            ("ol-123456789012.s3-object-lambda.us-west-2.amazonaws.com", "us-west-2"),
            ("ol-123456789012.s3-object-lambda.us-west-2.localhost", "us-west-2"),
            ("ol-123456789012.s3-object-lambda.localhost", ""),
        ] {
            assert_eq!(of_host(host), Some(format!("object-lambda:123456789012:{region}:ol")), "{host}");
        }
        assert_eq!(of_host("abc.mrap.accesspoint.s3-global.amazonaws.com").as_deref(), Some("abc.mrap"));
        for host in ["bucket.s3.us-west-2.amazonaws.com", "localhost", "my-ap.s3-accesspoint.us-west-2.amazonaws.com"] {
            assert_eq!(of_host(host), None, "{host}");
        }
    }

    #[test]
    fn names_in_paths() {
        let (account, region) = ("123456789012", Some("us-west-2"));
        for path in [
            "/arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint%2Fap/a/b",
            "/arn:aws:s3:us-west-2:123456789012:accesspoint/ap/a/b",
            "/accesspoint:123456789012:us-west-2:ap/a/b",
        ] {
            assert_eq!(of_path(path), Some((point(account, region, "ap"), "/a/b".into())), "{path}");
        }
        let of_lambda = |region: Option<&str>| Named::ObjectLambda {
            account: account.into(),
            region: region.map(Into::into),
            name: "ol".into(),
        };
        for (path, region) in [
            ("/arn%3Aaws%3As3-object-lambda%3Aus-west-2%3A123456789012%3Aaccesspoint%2Fol/a/b", region),
            ("/object-lambda:123456789012:us-west-2:ol/a/b", region),
            ("/object-lambda:123456789012::ol/a/b", None),
        ] {
            assert_eq!(of_path(path), Some((of_lambda(region), "/a/b".into())), "{path}");
        }
        assert_eq!(of_path("/ol-x--ol-s3/k"), Some((Named::Alias("ol-x--ol-s3".into()), "/k".into())));
        let alias = Named::Alias("ap-x-s3alias".into());
        assert_eq!(of_path("/ap-x-s3alias"), Some((alias, "/".into())));
        let before = Named::BucketOr { account: account.into(), name: "ap".into() };
        assert_eq!(of_path("/ap-123456789012/k"), Some((before, "/k".into())));
        assert_eq!(of_path("/bucket/ap-123456789012"), None);
        assert_eq!(of_path("/"), None);
        let path = "/arn%3Aaws%3As3%3A%3A123456789012%3Aaccesspoint%2Fabc.mrap/k";
        assert_eq!(of_path(path), Some((Named::MultiRegion("abc.mrap".into()), "/k".into())));
    }

    #[test]
    fn sources_of_copies() {
        let header = "arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint/ap/object/k%20k?versionId=v";
        let (named, source) = of_source(header).unwrap();
        assert_eq!(named, point("123456789012", Some("us-west-2"), "ap"));
        assert_eq!((source.key.as_str(), source.version_id.as_deref()), ("k k", Some("v")));
        assert_eq!(of_source("/bucket/key"), None);
        assert!(matches!(of_source("ap-x-s3alias/key"), Some((Named::Alias(_), _))));
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics(text in ".{0,80}") {
            let _ = (of_path(&text), of_path(&format!("/arn:{text}")), of_source(&text), of_host(&text));
        }
    }

    #[test]
    fn what_goes_through() {
        assert!(is_supported("GetObject", false) && is_supported("GetObject", true));
        assert!(is_supported("ListObjects", false) && !is_supported("ListObjects", true));
        assert!(!is_supported("DeleteBucket", false) && !is_supported("PutBucketPolicy", false));
    }
}
