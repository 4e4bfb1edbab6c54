//! What evaluation must know of a bucket or an object: its policy together with its access control lists, whose it is,
//! and what conditions may ask of it.

use fractus_aws::{AccountId, Arn};
use fractus_host::{Access, CallerKind, Context, ResourceFacts};
use fractus_policy::Policy;
use fractus_s3_api as api;
use fractus_store::{Scope, Snapshot};
use serde_json::{Value, json};

use crate::condition_keys::{self, parameter};
use crate::configurations::{self, Kind, PublicAccessBlock};
use crate::control::outposts::place::{self, Place};
use crate::control::{data_access, routing};
use crate::error::Result;
use crate::logging::lists;
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
    // Whose bucket has the name already is no matter of policies.
    if tail(&access.action) == "CreateBucket" {
        return ResourceFacts::default();
    }
    let (name, key) = match (&on_outpost, resource.resource.split_once('/')) {
        (Some((kept, key)), _) => (kept.as_str(), *key),
        (None, Some((name, key))) => (name, Some(key)),
        (None, None) => (resource.resource.as_str(), None),
    };
    if let Some(through) = routing::way(cx, access, name) {
        return through.facts(cx, access, key, condition_keys::of_request(cx));
    }
    let scope = scope(cx);
    let found = s3.store.read(|snapshot| {
        let Some(bucket) = snapshot.get(&BUCKETS, &scope, &(name,))? else { return Ok(None) };
        of_bucket(snapshot, &scope, cx, access, &bucket, key).map(Some)
    });
    match found.await {
        Ok(Some((facts, None))) => facts,
        Ok(Some((facts, Some(logged)))) => {
            // Who writes the log asks whether it would have been allowed without; where nothing is refused, nobody needs a list.
            if !cx.host().config().auth_soft
                && cx.authorize(&[access.clone().when(WITHOUT_LISTS, Vec::new())]).await.is_err()
            {
                lists::note(cx, logged, key.unwrap_or_default());
            }
            facts
        }
        // Whether a bucket exists is no secret on AWS: the handler says that there is none.
        Ok(None) => {
            ResourceFacts { policy: Some(document(Vec::from([allow_all(access)]), None)), ..Default::default() }
        }
        Err(error) => {
            tracing::error!(%error, bucket = name, "what protects a bucket cannot be read; it is refused");
            ResourceFacts::default()
        }
    }
}

/// Among the conditions of an access: lists are not to count.
const WITHOUT_LISTS: &str = "fractus:WithoutLists";

/// Whether an access is to be evaluated as if there were no lists.
fn is_without_lists(access: &Access) -> bool {
    access.conditions.iter().any(|(key, _)| key == WITHOUT_LISTS)
}

/// The bucket's id, if it is logged and lists let this request through where nothing else does.
fn logged(bucket: &Bucket, statements: &[Value], access: &Access) -> Option<u64> {
    (bucket.settings.has(Kind::Logging) && gives(statements, &access.action)).then_some(bucket.id)
}

fn gives(statements: &[Value], wanted: &str) -> bool {
    statements.iter().map(|statement| &statement["Action"]).any(|action| match action {
        Value::Array(all) => all.iter().any(|one| one == wanted),
        one => one == wanted,
    })
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
) -> Result<(ResourceFacts, Option<u64>)> {
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
    let policy = policy.map(|policy| with_user_named(policy, cx));
    let owner = AccountId::new(&bucket.account).ok();
    let mut facts = ResourceFacts { owner, conditions: condition_keys::of_request(cx), ..ResourceFacts::default() };
    for key in ["s3:ResourceAccount", "aws:ResourceAccount"] {
        facts.conditions.push((key.to_owned(), vec![bucket.account.clone()]));
    }
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
    let others = configurations::ownership(snapshot, scope, bucket)? != api::ObjectOwnership::BucketOwnerEnforced;
    let acl = object.as_ref().filter(|_| others).and_then(|object| object.extras.as_ref()?.acl.as_ref());
    let is_others = acl.is_some_and(|acl| acl.owner != canonical_user(&bucket.account));
    if is_others && !is_of_bucket(cx, &access.action) {
        let account = object.as_ref().and_then(|object| object.extras.as_ref()?.owner_account.clone());
        facts.owner = account.and_then(|account| AccountId::new(&account).ok());
        let owns = !anonymous && acl.is_some_and(|acl| acl.owner == canonical_user(cx.caller.account.as_str()));
        let statements = match acl {
            Some(acl) if !owns && !is_without_lists(access) => {
                acl.statements(On::Object, &access.resource, &acl_caller(cx, block).as_ref())
            }
            _ => Vec::new(),
        };
        let logged = logged(bucket, &statements, access);
        facts.policy = Some(document(statements, policy.as_deref().map(denials).as_deref()));
        return Ok((facts, logged));
    }
    let statements = if own || is_without_lists(access) {
        Vec::new()
    } else {
        by_lists(snapshot, scope, cx, bucket, object.as_ref(), block, access)?
    };
    let logged = logged(bucket, &statements, access);
    facts.policy = match policy {
        None if statements.is_empty() => None,
        policy => Some(document(statements, policy.as_deref())),
    };
    Ok((facts, logged))
}

/// Operations that write an object anew, whoever has owned what was there.
const WRITES: [&str; 3] = ["PutObject", "CopyObject", "CreateMultipartUpload"];

/// Whether the bucket's owner decides over an action on an object of somebody else. Who writes it anew owns it then.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-auth-workflow-object-operation.html>
fn is_of_bucket(cx: &Context, action: &str) -> bool {
    const OF_BUCKET: [&str; 5] = [
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    ];
    OF_BUCKET.contains(&action) || (writes(cx) && action.starts_with("s3:PutObject"))
}

/// A browser's form is no operation of the model; what it does is write.
fn writes(cx: &Context) -> bool {
    cx.operation().is_none_or(|called| WRITES.contains(&called.schema.name))
}

/// What a bucket's policy says of objects that are somebody else's: what it forbids.
fn denials(policy: &str) -> String {
    let Ok(mut whole) = serde_json::from_str::<Value>(policy) else { return policy.to_owned() };
    let denies = |statement: &Value| statement["Effect"] == "Deny";
    match whole.get_mut("Statement") {
        Some(Value::Array(all)) => all.retain(denies),
        Some(one) if !denies(one) => *one = json!([]),
        _ => {}
    }
    whole.to_string()
}

/// A policy as it bears on one account: what it gives to the account by its canonical user id it gives to it by number.
fn with_user_named(policy: String, cx: &Context) -> String {
    if cx.caller.kind == CallerKind::Anonymous || !policy.contains("CanonicalUser") {
        return policy;
    }
    let Ok(mut whole) = serde_json::from_str::<Value>(&policy) else { return policy };
    let (account, user) = (cx.caller.account.as_str(), canonical_user(cx.caller.account.as_str()));
    let statements = match whole.get_mut("Statement") {
        Some(Value::Array(all)) => all.as_mut_slice(),
        Some(one) => std::slice::from_mut(one),
        None => return policy,
    };
    for statement in statements {
        for element in ["Principal", "NotPrincipal"] {
            let Some(Value::Object(principals)) = statement.get_mut(element) else { continue };
            let named = match principals.get("CanonicalUser") {
                Some(Value::Array(all)) => all.iter().any(|id| *id == user.as_str()),
                Some(one) => *one == user.as_str(),
                None => false,
            };
            if named {
                let known = match principals.remove("AWS") {
                    Some(Value::Array(all)) => all,
                    Some(one) => vec![one],
                    None => Vec::new(),
                };
                principals.insert("AWS".to_owned(), known.into_iter().chain([json!(account)]).collect());
            }
        }
    }
    whole.to_string()
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
    let caller = acl_caller(cx, block);
    let caller = caller.as_ref();
    let acl = bucket_acl(snapshot, scope, bucket)?;
    let mut statements = acl.statements(On::Bucket, &access.resource, &caller);
    let allow =
        |action: &str| json!({"Effect": "Allow", "Principal": "*", "Action": action, "Resource": access.resource});
    // Who may write may say with it whose it is to be.
    if writes(cx) && gives(&statements, "s3:PutObject") {
        statements.push(allow("s3:PutObjectAcl"));
    }
    // What there is not has no list of its own: who may list its bucket is told that it is not there.
    if object.is_none() && access.action == "s3:GetObject" && gives(&statements, "s3:ListBucket") {
        statements.push(allow("s3:GetObject"));
    }
    if let Some(acl) = object.and_then(|object| object.extras.as_ref()?.acl.as_ref()) {
        statements.extend(acl.statements(On::Object, &access.resource, &caller));
    }
    Ok(statements)
}

/// The caller as lists see it.
struct ListedCaller {
    canonical: Option<String>,
    ignores_public: bool,
}

impl ListedCaller {
    fn as_ref(&self) -> AclCaller<'_> {
        AclCaller { canonical_user: self.canonical.as_deref(), ignores_public: self.ignores_public }
    }
}

fn acl_caller(cx: &Context, block: PublicAccessBlock) -> ListedCaller {
    let canonical = (cx.caller.kind != CallerKind::Anonymous).then(|| canonical_user(cx.caller.account.as_str()));
    ListedCaller { canonical, ignores_public: block.ignore_public_acls }
}

/// The bucket's list: what was said, or its owner alone.
pub fn bucket_acl(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<Acl> {
    let said = configurations::text(snapshot, scope, bucket, Kind::Acl, "")?;
    let acl = said.and_then(|text| serde_json::from_str(&text).ok());
    Ok(acl.unwrap_or_else(|| Acl::private(&canonical_user(&bucket.account))))
}
