//! Operations that only directory buckets have: their list, sessions, and renaming.

use std::sync::Arc;
use std::time::Duration;

use fractus_bus::contracts::{Credential, CredentialKind};
use fractus_host::access_key::issue_access_key_id;
use fractus_host::{CallerKind, Context};
use fractus_s3_api as api;
use fractus_store::{Order, Range};
use serde_json::json;

use crate::configurations::{self, Kind, Of};
use crate::control::routing::Through;
use crate::directory::{SESSIONS, is_directory, session_scope};
use crate::error::{Error, Result};
use crate::model::conditions::ReadConditions;
use crate::model::encryption::{self, Asked, KeyHome};
use crate::model::names;
use crate::notify::{Happening, announce, bucket_arn};
use crate::objects::{self, scope};
use crate::operations::buckets::{decode_token, encode_token};
use crate::service::S3;
use crate::store::{BUCKETS, OBJECTS, OWNED_BUCKETS};

/// The most directory buckets of one page.
const MAX_BUCKETS: i32 = 1_000;
/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(300);

/// The caller's directory buckets in the region.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListDirectoryBuckets.html>
pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListDirectoryBucketsInput,
) -> Result<api::ListDirectoryBucketsOutput> {
    let max = input.max_directory_buckets.unwrap_or(MAX_BUCKETS);
    if !(0..=MAX_BUCKETS).contains(&max) {
        let message = format!("Argument max-directory-buckets must be an integer between 0 and {MAX_BUCKETS}");
        return Err(Error::invalid_argument("max-directory-buckets", max.to_string(), message));
    }
    let after = input.continuation_token.as_deref().filter(|token| !token.is_empty()).map(decode_token).transpose()?;
    let (scope, account) = (scope(cx), cx.world.account.as_str());
    let look = s3.store.read(|snapshot| {
        let mut range = Range::prefix(&(account,));
        if let Some(after) = &after {
            range = range.after(&(account, after.as_str()));
        }
        let mut found = Vec::new();
        for key in snapshot.keys(&OWNED_BUCKETS, &scope, range, Order::Ascending)? {
            let (_, name) = key?;
            if !is_directory(&name) {
                continue;
            }
            let Some(bucket) = snapshot.get(&BUCKETS, &scope, &(name.as_str(),))? else { continue };
            if bucket.region != cx.region.as_str() {
                continue;
            }
            if found.len() == max as usize {
                return Ok::<_, Error>((found, true));
            }
            found.push(bucket);
        }
        Ok((found, false))
    });
    let (found, more) = look.await?;
    let next = found.last().filter(|_| more).map(|bucket| encode_token(&bucket.name));
    let shown = found.into_iter().map(|bucket| api::Bucket {
        bucket_arn: Some(express_arn(cx, &bucket.name, &bucket.region, &bucket.account)),
        name: Some(bucket.name),
        creation_date: Some(bucket.created_at.to_secs_precision()),
        bucket_region: Some(bucket.region),
    });
    Ok(api::ListDirectoryBucketsOutput { buckets: Some(shown.collect()), continuation_token: next })
}

pub fn express_arn(cx: &Context, bucket: &str, region: &str, account: &str) -> String {
    format!("arn:{}:s3express:{region}:{account}:bucket/{bucket}", cx.world.partition)
}

/// Five minutes of access to one bucket, by a key of its own.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateSession.html>
pub async fn create_session(s3: &S3, cx: &Context, input: api::CreateSessionInput) -> Result<api::CreateSessionOutput> {
    if !is_directory(&input.bucket) {
        return Err(Error::MethodNotAllowed { method: "GET".into(), resource: "BUCKET" });
    }
    let asked = Asked {
        algorithm: input.server_side_encryption.as_ref().map(|name| name.as_str().to_owned()),
        kms_key: input.ssekms_key_id.clone(),
        bucket_key: input.bucket_key_enabled,
        context: input.ssekms_encryption_context.clone(),
        customer: None,
    };
    asked.check()?;
    let of = Of { bucket: &input.bucket, owner: None };
    let encrypted = configurations::look(s3, cx, of, |snapshot, scope, bucket| {
        let kind = Kind::Encryption;
        let default = configurations::read::<api::ServerSideEncryptionConfiguration>(snapshot, scope, bucket, kind)?;
        let default = default.into_set();
        let rule = default.as_ref().and_then(|configuration| configuration.rules.first());
        let partition = cx.world.partition.as_str();
        let home = KeyHome { partition, region: &bucket.region, account: &bucket.account };
        encryption::resolve(&asked, rule, home, 0)
    })
    .await?;
    let credential = session(cx, &input);
    let scope = session_scope(&cx.world.lane, &credential.account);
    let expires = cx.now().plus(SESSION);
    s3.store
        .write(|tx| {
            let at = (credential.access_key_id.as_str(),);
            Ok::<_, Error>(tx.put_until(&SESSIONS, &scope, &at, &credential, expires.plus(SESSION))?)
        })
        .await?;
    let mut output = api::CreateSessionOutput {
        credentials: api::SessionCredentials {
            access_key_id: credential.access_key_id,
            secret_access_key: credential.secret_access_key,
            session_token: credential.session_token.unwrap_or_default(),
            expiration: expires.to_secs_precision(),
        },
        ..Default::default()
    };
    match encrypted {
        Some(encryption::Encryption::Kms { algorithm, key, .. }) => {
            output.server_side_encryption = Some(algorithm.as_str().into());
            output.ssekms_key_id = Some(key);
            // In directory buckets every object is encrypted with the bucket's key.
            output.bucket_key_enabled = Some(true);
        }
        _ => output.server_side_encryption = Some(api::ServerSideEncryption::Aes256),
    }
    Ok(output)
}

/// Who holds the session is who asked for it, and may do with it what its mode says, in its bucket.
fn session(cx: &Context, input: &api::CreateSessionInput) -> Credential {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let random = cx.random();
    let arn = bucket_arn(cx, &input.bucket).to_string();
    let actions = match input.session_mode {
        Some(api::SessionMode::ReadOnly) => vec!["s3:Get*", "s3:List*"],
        _ => vec!["s3:*"],
    };
    let mut within = vec![arn.clone(), format!("{arn}/*")];
    if let Some(through) = cx.extensions().get::<Arc<Through>>() {
        within.extend([through.arn.clone(), format!("{}/object/*", through.arn)]);
    }
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": within}],
    });
    let account = cx.caller.account.clone();
    let is_root = matches!(cx.caller.kind, CallerKind::Root | CallerKind::Known(CredentialKind::Root));
    let root = fractus_aws::Arn::new(cx.world.partition, "iam", "", account.as_str(), "root");
    Credential {
        access_key_id: issue_access_key_id("ASIA", &account, random),
        secret_access_key: STANDARD.encode(random.bytes::<30>()),
        session_token: Some(STANDARD.encode(random.bytes::<96>())),
        // A root has no policies to be held against: the session's own decide.
        kind: if is_root { CredentialKind::FederatedUser } else { CredentialKind::Session },
        principal: cx.caller.arn.parse().unwrap_or(root),
        principal_id: cx.caller.principal_id.clone(),
        account,
        role: None,
        active: true,
        expiration: Some(cx.now().plus(SESSION)),
        session_policies: vec![policy.to_string()],
        session_policy_arns: Vec::new(),
        session_tags: Vec::new(),
        session_context: Vec::new(),
    }
}

/// The source's key: `/bucket/key`, percent-encoded, or the key alone; of the same bucket.
fn rename_source(header: &str, bucket: &str) -> Result<String> {
    let invalid = || Error::invalid_argument("x-amz-rename-source", header, "Invalid rename source object key");
    let path = header.strip_prefix('/').unwrap_or(header);
    let path = path.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
    let key = percent_encoding::percent_decode_str(path).decode_utf8().map_err(|_| invalid())?;
    if key.is_empty() || key.ends_with('/') { Err(invalid()) } else { Ok(key.into_owned()) }
}

/// An object gets another name in one step: no byte moves, and nobody sees both names or neither.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_RenameObject.html>
pub async fn rename(s3: &S3, cx: &Context, input: api::RenameObjectInput) -> Result<api::RenameObjectOutput> {
    if !is_directory(&input.bucket) {
        return Err(Error::MethodNotAllowed { method: "PUT".into(), resource: "OBJECT" });
    }
    names::check_key(&input.key)?;
    let from = rename_source(&input.rename_source, &input.bucket)?;
    if input.key.ends_with('/') || input.key == from {
        let message = "The destination of a rename is another key of the same bucket, and no directory";
        return Err(Error::invalid_argument("Key", input.key, message));
    }
    let of_source = ReadConditions {
        if_match: input.source_if_match.clone(),
        if_none_match: input.source_if_none_match.clone(),
        if_modified_since: input.source_if_modified_since,
        if_unmodified_since: input.source_if_unmodified_since,
    };
    let of_target = ReadConditions {
        if_match: input.destination_if_match.clone(),
        if_none_match: input.destination_if_none_match.clone(),
        if_modified_since: input.destination_if_modified_since,
        if_unmodified_since: input.destination_if_unmodified_since,
    };
    let (scope, now) = (scope(cx), cx.now());
    let (freed, _sent) = s3
        .store
        .write(|tx| {
            let bucket = objects::open(cx, tx, &scope, &input.bucket, None)?;
            let mut object = objects::object(tx, &scope, &bucket, &from)?;
            of_source.check_copy_source(&object.etag, object.last_modified)?;
            let before = tx.get(&OBJECTS, &scope, &(bucket.id, input.key.as_str()))?;
            match &before {
                Some(before) => of_target.check_copy_source(&before.etag, before.last_modified)?,
                None if of_target.if_match.is_some() => return Err(Error::NoSuchKey { key: input.key.clone() }),
                None => {}
            }
            let freed = match &before {
                Some(before) => objects::release(tx, &scope, &before.content)?,
                None => None,
            };
            object.sequencer = objects::sequencer_of_change(&object, now);
            tx.delete(&OBJECTS, &scope, &(bucket.id, from.as_str()))?;
            tx.put(&OBJECTS, &scope, &(bucket.id, input.key.as_str()), &object)?;
            let happening = Happening::new(cx, "s3:ObjectCreated:Copy", now);
            let sent = announce(tx, s3, &bucket, &input.key, Some(&object), object.sequencer, &happening)?;
            Ok::<_, Error>((freed, sent))
        })
        .await?;
    s3.free(freed);
    Ok(api::RenameObjectOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_renames() {
        let key = |header: &str| rename_source(header, "b--use1-az4--x-s3").ok();
        assert_eq!(key("/b--use1-az4--x-s3/a%20b").as_deref(), Some("a b"));
        assert_eq!(key("b--use1-az4--x-s3/a").as_deref(), Some("a"));
        assert_eq!(key("dir/a").as_deref(), Some("dir/a"));
        assert_eq!(key("/dir/"), None);
        assert_eq!(key(""), None);
    }
}
