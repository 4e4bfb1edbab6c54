//! What evaluation must know of a bucket or an object: its policy together with its access control lists, whose it is,
//! and what conditions may ask of it.

use fractus_aws::{AccountId, Arn};
use fractus_host::{Access, CallerKind, Context, ResourceFacts};
use fractus_policy::Policy;
use fractus_s3_api as api;
use fractus_store::{Scope, Snapshot};
use serde_json::{Value, json};

use crate::configurations::{self, Kind, PublicAccessBlock};
use crate::control::outposts::place::{self, Place};
use crate::control::{data_access, routing};
use crate::error::Result;
use crate::model::acl::{Acl, AclCaller, On};
use crate::objects::scope;
use crate::operations::buckets::owner;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket, Object};
use crate::versions;

/// Actions by which a bucket's owner can always take a policy back that locks everybody out.
const NEVER_LOCKED: [&str; 3] = ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"];

/// The canonical user id of an account.
pub fn canonical_user(account: &str) -> String {
    owner(account).id.unwrap_or_default()
}

/// An action without its service.
fn tail(action: &str) -> &str {
    action.rsplit(':').next().unwrap_or_default()
}

/// Facts of the resource that an access is about.
pub async fn facts(s3: &S3, cx: &Context, access: &Access, resource: &Arn) -> ResourceFacts {
    let mut facts = of_resource(s3, cx, access, resource).await;
    if resource.service == place::SERVICE {
        place::rename_keys(&mut facts.conditions);
    }
    facts
}

async fn of_resource(s3: &S3, cx: &Context, access: &Access, resource: &Arn) -> ResourceFacts {
    if let Some(point) = routing::object_lambda(cx).filter(|point| point.arn(cx.world.partition) == *resource) {
        return ResourceFacts { policy: point.policy.clone(), ..ResourceFacts::default() };
    }
    let on_outpost = Place::of_arn(resource).map(|(place, key)| (place.kept_name(), key));
    if on_outpost.is_none() && !resource.account.is_empty() {
        // Something of S3 Control: its ARN says whose it is.
        return ResourceFacts { policy: data_access::policy(s3, cx, resource).await, ..ResourceFacts::default() };
    }
    let (name, key) = match (&on_outpost, resource.resource.split_once('/')) {
        (Some((kept, key)), _) => (kept.as_str(), *key),
        (None, Some((name, key))) => (name, Some(key)),
        (None, None) => (resource.resource.as_str(), None),
    };
    if let Some(through) = routing::way(cx, access, name) {
        return through.facts(cx, access, key, request_conditions(cx));
    }
    let scope = scope(cx);
    let found = s3.store.read(|snapshot| {
        let Some(bucket) = snapshot.get(&BUCKETS, &scope, &(name,))? else { return Ok(None) };
        of_bucket(snapshot, &scope, cx, access, &bucket, key).map(Some)
    });
    match found.await {
        Ok(Some(facts)) => facts,
        // Whether a bucket exists is no secret on AWS: the handler says that there is none.
        Ok(None) if tail(&access.action) != "CreateBucket" => {
            ResourceFacts { policy: Some(document(Vec::from([allow_all(access)]), None)), ..Default::default() }
        }
        Ok(None) => ResourceFacts::default(),
        Err(error) => {
            tracing::error!(%error, bucket = name, "what protects a bucket cannot be read; it is refused");
            ResourceFacts::default()
        }
    }
}

fn allow_all(access: &Access) -> Value {
    json!({"Effect": "Allow", "Principal": "*", "Action": access.action, "Resource": access.resource})
}

/// A policy, unless it opens its resource to everybody: what restricting public buckets leaves for others.
pub fn without_public(policy: Option<String>) -> Option<String> {
    policy.filter(|policy| !Policy::parse(policy).is_ok_and(|policy| policy.is_public()))
}

/// A policy with further statements.
pub fn document(statements: Vec<Value>, policy: Option<&str>) -> String {
    let parsed = policy.and_then(|policy| serde_json::from_str::<Value>(policy).ok());
    let mut whole = parsed.unwrap_or_else(|| json!({"Version": "2012-10-17", "Statement": []}));
    if let Some(own) = whole.get_mut("Statement") {
        let mut all = match own.take() {
            Value::Array(all) => all,
            one => vec![one],
        };
        all.extend(statements);
        *own = Value::Array(all);
    }
    whole.to_string()
}

fn of_bucket(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    cx: &Context,
    access: &Access,
    bucket: &Bucket,
    key: Option<&str>,
) -> Result<ResourceFacts> {
    let anonymous = cx.caller.kind == CallerKind::Anonymous;
    let own = !anonymous && cx.caller.account.as_str() == bucket.account;
    let block = configurations::public_access_block(snapshot, scope, bucket)?;
    let mut policy = configurations::text(snapshot, scope, bucket, Kind::Policy, "")?;
    if own && cx.caller.kind == CallerKind::Root && NEVER_LOCKED.contains(&tail(&access.action)) {
        policy = None;
    }
    if !own && block.restrict_public_buckets {
        policy = without_public(policy);
    }
    let owner = AccountId::new(&bucket.account).ok();
    let mut facts = ResourceFacts { owner, conditions: request_conditions(cx), ..ResourceFacts::default() };
    let object = match key {
        Some(key) if !key.is_empty() => {
            let version_id = parameter(cx, "versionId");
            versions::object(snapshot, scope, bucket, key, version_id.as_deref()).ok()
        }
        _ => None,
    };
    for (tag, value) in object.iter().flat_map(|object| &object.tags) {
        facts.conditions.push((format!("s3:ExistingObjectTag/{tag}"), vec![value.clone()]));
    }
    if abac_enabled(snapshot, scope, bucket)? {
        for (tag, value) in &bucket.tags {
            facts.conditions.push((format!("aws:ResourceTag/{tag}"), vec![value.clone()]));
            facts.conditions.push((format!("s3:BucketTag/{tag}"), vec![value.clone()]));
        }
    }
    let statements =
        if own { Vec::new() } else { by_lists(snapshot, scope, cx, bucket, object.as_ref(), block, access)? };
    facts.policy = match policy {
        None if statements.is_empty() => None,
        policy => Some(document(statements, policy.as_deref())),
    };
    Ok(facts)
}

/// Whether the bucket's tags count in evaluation.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html>
pub fn abac_enabled(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<bool> {
    let found = configurations::read::<api::AbacStatus>(snapshot, scope, bucket, Kind::Abac)?;
    Ok(found.into_set().is_some_and(|found| found.status == Some(api::BucketAbacStatus::Enabled)))
}

/// What access control lists give to one of another account, or to nobody in particular.
fn by_lists(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    cx: &Context,
    bucket: &Bucket,
    object: Option<&Object>,
    block: PublicAccessBlock,
    access: &Access,
) -> Result<Vec<Value>> {
    if configurations::ownership(snapshot, scope, bucket)? == api::ObjectOwnership::BucketOwnerEnforced {
        return Ok(Vec::new());
    }
    let canonical = (cx.caller.kind != CallerKind::Anonymous).then(|| canonical_user(cx.caller.account.as_str()));
    let caller = AclCaller { canonical_user: canonical.as_deref(), ignores_public: block.ignore_public_acls };
    let acl = bucket_acl(snapshot, scope, bucket)?;
    let mut statements = acl.statements(On::Bucket, &access.resource, &caller);
    if let Some(acl) = object.and_then(|object| object.extras.as_ref()?.acl.as_ref()) {
        statements.extend(acl.statements(On::Object, &access.resource, &caller));
    }
    Ok(statements)
}

/// The bucket's list: what was said, or its owner alone.
pub fn bucket_acl(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<Acl> {
    let said = configurations::text(snapshot, scope, bucket, Kind::Acl, "")?;
    let acl = said.and_then(|text| serde_json::from_str(&text).ok());
    Ok(acl.unwrap_or_else(|| Acl::private(&canonical_user(&bucket.account))))
}

/// Headers that conditions may ask about.
///
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys>
const HEADER_KEYS: [&str; 15] = [
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

/// A parameter of the request, decoded.
fn parameter(cx: &Context, name: &str) -> Option<String> {
    let query = cx.uri().query().unwrap_or_default();
    let value = query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))?.1;
    Some(percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
}

fn request_conditions(cx: &Context) -> Vec<(String, Vec<String>)> {
    let header = |name: &&str| Some((format!("s3:{name}"), vec![cx.header(name)?.to_owned()]));
    let mut conditions: Vec<_> = HEADER_KEYS.iter().filter_map(header).collect();
    if let Some(version) = parameter(cx, "versionId") {
        conditions.push(("s3:VersionId".to_owned(), vec![version]));
    }
    if cx.caller.kind != CallerKind::Anonymous {
        let presigned = parameter(cx, "X-Amz-Signature").is_some() || parameter(cx, "Signature").is_some();
        let kind = if presigned { "REST-QUERY-STRING" } else { "REST-HEADER" };
        conditions.push(("s3:authType".to_owned(), vec![kind.to_owned()]));
        conditions.push(("s3:signatureversion".to_owned(), vec!["AWS4-HMAC-SHA256".to_owned()]));
    }
    let tags = cx.header("x-amz-tagging").and_then(|header| crate::operations::tagging::of_header(Some(header)).ok());
    let tags = tags.unwrap_or_default();
    if !tags.is_empty() {
        let keys = tags.iter().map(|(key, _)| key.clone()).collect();
        conditions.push(("s3:RequestObjectTagKeys".to_owned(), keys));
    }
    for (key, value) in tags {
        conditions.push((format!("s3:RequestObjectTag/{key}"), vec![value]));
    }
    conditions
}
