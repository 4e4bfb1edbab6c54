//! Policies of tables and streams: put, got, deleted, and asked by whoever evaluates an access.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-considerations.html>

use fractus_aws::{AccountId, Arn, Region};
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_policy::{Policy, PolicyKind};
use fractus_store::{Collection, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use super::table_shape::status;
use crate::error::{Error, Result};
use crate::service::DynamoDb;
use crate::store::{TABLES, Table};

/// Policies by (table, what of it: nothing for the table itself, else `stream/LABEL`).
pub const POLICIES: Collection<(u64, String), Stored> = Collection::new("resource-policies");

/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html#limits-resource-based-policies>
const MAX_POLICY_BYTES: usize = 20 * 1024;
/// An expected revision that says that there is no policy yet.
const NO_POLICY: &str = "NO_POLICY";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    pub text: String,
    pub revision: i64,
}

/// A resource that may have a policy.
struct Resource {
    scope: Scope,
    table: String,
    /// Nothing for the table itself, else `stream/LABEL`.
    part: String,
}

fn resource(cx: &Context, arn: &str) -> Result<Resource> {
    let wrong = || Error::validation(format!("Invalid ResourceArn: {arn}"));
    let parsed: Arn = arn.parse().map_err(|_| wrong())?;
    let own = parsed.resource.strip_prefix("table/").ok_or_else(wrong)?;
    let (table, part) = own.split_once('/').unwrap_or((own, ""));
    if parsed.service != "dynamodb" || !(part.is_empty() || part.starts_with("stream/")) {
        return Err(wrong());
    }
    let account = AccountId::new(&parsed.account).map_err(|_| wrong())?;
    let region = Region::new(&parsed.region).map_err(|_| wrong())?;
    let scope = Scope::regional(&cx.world.with_account(account), &region);
    Ok(Resource { scope, table: table.to_owned(), part: part.to_owned() })
}

fn existing(snapshot: &Snapshot<'_>, at: &Resource, arn: &str) -> Result<Table> {
    let table = snapshot.get(&TABLES, &at.scope, &(at.table.as_str(),))?;
    let table = table.filter(|table| status(table, snapshot.now(&at.scope)).is_some());
    table.ok_or_else(|| {
        let message = format!("Requested resource not found: ResourceArn: {arn} not found");
        Error::answer(api::ResourceNotFoundException { message: Some(message) })
    })
}

fn no_policy(arn: &str) -> Error {
    Error::answer(api::PolicyNotFoundException::new(format!(
        "Resource-based policy not found for the provided ResourceArn: {arn}"
    )))
}

fn other_revision(arn: &str) -> Error {
    Error::answer(api::PolicyNotFoundException::new(format!(
        "Resource-based policy with the expected revision was not found for the provided ResourceArn: {arn}"
    )))
}

/// Refuses what is no policy of a resource.
pub fn check(text: &str) -> Result<()> {
    if text.len() > MAX_POLICY_BYTES {
        return Err(Error::validation(format!(
            "Resource-based policy size exceeds the maximum allowed size of {MAX_POLICY_BYTES} bytes"
        )));
    }
    let invalid = |flaw: fractus_policy::MalformedPolicy| Error::validation(format!("Invalid policy document: {flaw}"));
    let policy = Policy::parse(text).map_err(invalid)?;
    policy.validate(PolicyKind::Resource).map_err(invalid)
}

/// Gives a new table its policy, in the transaction that makes it.
pub fn put_new(tx: &mut Transaction<'_>, scope: &Scope, table: u64, text: &str) -> Result<()> {
    let stored = Stored { text: text.to_owned(), revision: tx.now(scope).millis() };
    Ok(tx.put(&POLICIES, scope, &(table, ""), &stored)?)
}

fn is_expected(before: Option<&Stored>, expected: Option<&str>) -> bool {
    match (expected, before) {
        (None, _) | (Some(NO_POLICY), None) => true,
        (Some(expected), Some(stored)) => stored.revision.to_string() == expected,
        (Some(_), None) => false,
    }
}

/// Revisions grow, also within one moment.
fn next_revision(before: Option<&Stored>, now: Timestamp) -> i64 {
    before.map_or(now.millis(), |stored| now.millis().max(stored.revision + 1))
}

pub async fn put(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::PutResourcePolicyInput,
) -> Result<api::PutResourcePolicyOutput> {
    check(&input.policy)?;
    let (arn, at) = (&input.resource_arn, resource(cx, &input.resource_arn)?);
    let revision = dynamodb.store.write(|tx| {
        let table = existing(tx, &at, arn)?;
        let key = (table.id, at.part.as_str());
        let before = tx.get(&POLICIES, &at.scope, &key)?;
        if !is_expected(before.as_ref(), input.expected_revision_id.as_deref()) {
            return Err(other_revision(arn));
        }
        // The same policy once more changes nothing.
        if let Some(same) = before.as_ref().filter(|stored| stored.text == input.policy) {
            return Ok(same.revision);
        }
        let revision = next_revision(before.as_ref(), tx.now(&at.scope));
        tx.put(&POLICIES, &at.scope, &key, &Stored { text: input.policy.clone(), revision })?;
        Ok(revision)
    });
    Ok(api::PutResourcePolicyOutput { revision_id: Some(revision.await?.to_string()) })
}

pub async fn get(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::GetResourcePolicyInput,
) -> Result<api::GetResourcePolicyOutput> {
    let (arn, at) = (&input.resource_arn, resource(cx, &input.resource_arn)?);
    let stored = dynamodb.store.read(|snapshot| {
        let table = existing(snapshot, &at, arn)?;
        snapshot.get(&POLICIES, &at.scope, &(table.id, at.part.as_str()))?.ok_or_else(|| no_policy(arn))
    });
    let stored = stored.await?;
    Ok(api::GetResourcePolicyOutput { policy: Some(stored.text), revision_id: Some(stored.revision.to_string()) })
}

pub async fn delete(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DeleteResourcePolicyInput,
) -> Result<api::DeleteResourcePolicyOutput> {
    let (arn, at) = (&input.resource_arn, resource(cx, &input.resource_arn)?);
    let expected = input.expected_revision_id.as_deref();
    let gone = dynamodb.store.write(|tx| {
        let table = existing(tx, &at, arn)?;
        let key = (table.id, at.part.as_str());
        let before = tx.get(&POLICIES, &at.scope, &key)?;
        if !is_expected(before.as_ref(), expected) {
            return Err(other_revision(arn));
        }
        tx.delete(&POLICIES, &at.scope, &key)?;
        Ok(before)
    });
    // Without an expected revision, deleting what is not there is no error.
    Ok(api::DeleteResourcePolicyOutput { revision_id: gone.await?.map(|stored| stored.revision.to_string()) })
}

/// The policy that an access to a resource is held against; an index has its table's.
pub async fn of(dynamodb: &DynamoDb, cx: &Context, arn: &Arn) -> Option<String> {
    let own = arn.resource.strip_prefix("table/")?;
    let (table, rest) = own.split_once('/').unwrap_or((own, ""));
    let part = if rest.starts_with("stream/") { rest } else { "" };
    let (account, region) = (AccountId::new(&arn.account).ok()?, Region::new(&arn.region).ok()?);
    let scope = Scope::regional(&cx.world.with_account(account), &region);
    let found = dynamodb.store.read(|snapshot| {
        let Some(table) = snapshot.get_shared(&TABLES, &scope, &(table,))? else { return Ok(None) };
        Ok::<_, Error>(snapshot.get(&POLICIES, &scope, &(table.id, part))?)
    });
    match found.await {
        Ok(stored) => stored.map(|stored| stored.text),
        Err(error) => {
            tracing::error!(%error, %arn, "what protects a table cannot be read; nothing is allowed by it");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_expected_or_not() {
        let stored = Stored { text: String::new(), revision: 7 };
        assert!(is_expected(None, None) && is_expected(Some(&stored), None));
        assert!(is_expected(None, Some("NO_POLICY")) && !is_expected(Some(&stored), Some("NO_POLICY")));
        assert!(is_expected(Some(&stored), Some("7")) && !is_expected(Some(&stored), Some("8")));
        assert!(!is_expected(None, Some("7")));
        assert_eq!(next_revision(Some(&stored), Timestamp::from_millis(3)), 8);
        assert_eq!(next_revision(None, Timestamp::from_millis(3)), 3);
    }
}
