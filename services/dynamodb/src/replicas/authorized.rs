//! Replicas of several accounts: replication goes from one to another only as long as the policy of each lets DynamoDB read, write and
//! set what is replicated, on behalf of both. It is looked at where policies are evaluated, when a replica comes and before
//! changes are told.
//!
//! What a replica may not be told is held for it, the last change of each item. If it stays so for twenty hours, the table is one of
//! its region alone from then on.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables_MA_security.html>
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables-security.html>

use std::time::Duration;

use bytes::Bytes;
use fractus_aws::Partition;
use fractus_host::config::AuthMode;
use fractus_policy::{Attached, Context, Policies, Policy, Principal, Request, ResourcePolicy};
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use super::{Replica, Stamp, apply, leave};
use crate::error::{Error, Result};
use crate::operations::policies::POLICIES;
use crate::places::Place;
use crate::service::DynamoDb;
use crate::store::{Raw, StoredKey, TABLES, Table};

/// Tables whose replicas are of other accounts.
pub(super) const ACROSS: Collection<(String,), ()> = Collection::new("replicas-of-accounts");
/// What replicas may not be told, by (table, the replica's region, stored key).
const HELD: Collection<(u64, String, StoredKey), Held> = Collection::new("held-changes");

/// How long replication may be denied before it ends.
const DENIED_AT_MOST: Duration = Duration::from_secs(20 * 3_600);
/// How many held changes one transaction tells.
const AT_ONCE: usize = 50;

const SERVICE: &str = "replication.dynamodb.amazonaws.com";
const ACTIONS: [&str; 3] =
    ["dynamodb:ReadDataForReplication", "dynamodb:WriteDataForReplication", "dynamodb:ReplicateSettings"];

/// An item as it was last written, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    after: Option<Bytes>,
    stamp: Stamp,
}

/// A replica as policies know it.
#[derive(Clone, Debug)]
pub struct Party {
    account: String,
    arn: String,
    policy: Option<String>,
}

impl Party {
    pub fn new(partition: Partition, (region, account): (&str, &str), name: &str, policy: Option<String>) -> Self {
        let arn = format!("arn:{}:dynamodb:{region}:{account}:table/{name}", partition.as_str());
        Party { account: account.to_owned(), arn, policy }
    }

    /// One whose table is there, with the policy that it has.
    pub fn of(
        snapshot: &Snapshot<'_>,
        (scope, table): (&Scope, &Table),
        partition: Partition,
        whose: (&str, &str),
    ) -> Result<Self> {
        let policy = snapshot.get(&POLICIES, scope, &(table.id, ""))?.map(|stored| stored.text);
        Ok(Party::new(partition, whose, &table.name, policy))
    }

    /// Whether its policy lets replication have all that it needs, on behalf of another one.
    fn lets(&self, policy: &Policy, source: &Party) -> bool {
        let principal = Principal::service(SERVICE);
        let mut context = Context::new();
        principal.describe(&mut context);
        context.insert("aws:SourceAccount", source.account.as_str());
        context.insert("aws:SourceArn", source.arn.as_str());
        let is_allowed = |action: &str| {
            let request = Request {
                principal: &principal,
                action,
                resource: &self.arn,
                resource_account: Some(&self.account),
                context: &context,
            };
            let resource = ResourcePolicy::Policy(Attached::new(&self.arn, policy));
            Policies { resource, ..Policies::default() }.evaluate(&request).is_allowed()
        };
        ACTIONS.into_iter().all(is_allowed)
    }
}

/// The first of some replicas whose policy does not let all of them replicate, itself among them.
pub fn first_refusing(parties: &[Party]) -> Option<&str> {
    let lets_all = |party: &&Party| {
        let policy = party.policy.as_deref().and_then(|text| Policy::parse(text).ok());
        policy.is_some_and(|policy| parties.iter().all(|source| party.lets(&policy, source)))
    };
    parties.iter().find(|party| !lets_all(party)).map(|party| party.arn.as_str())
}

fn is_enforced(dynamodb: &DynamoDb) -> bool {
    dynamodb.host.config().auth == AuthMode::Enforced
}

/// Refuses a replica that the others, or itself, do not let replicate.
pub fn check_new(dynamodb: &DynamoDb, parties: &[Party]) -> Result<()> {
    match first_refusing(parties).filter(|_| is_enforced(dynamodb)) {
        // Unconfirmed words.
        Some(arn) => Err(Error::validation(format!(
            "The resource policy of {arn} does not grant {SERVICE} the permissions that are required for replication"
        ))),
        None => Ok(()),
    }
}

/// A table's replicas are of other accounts from now on.
pub fn mark(tx: &mut Transaction<'_>, scope: &Scope, name: &str) -> Result<()> {
    Ok(tx.put(&ACROSS, scope, &(name,), &())?)
}

/// Looks at what the tables of a place allow their replicas, and are allowed by them.
pub(super) fn review(tx: &mut Transaction<'_>, dynamodb: &DynamoDb, place: &Place) -> Result<()> {
    let scope = place.scope();
    let names = tx.keys(&ACROSS, &scope, Range::all(), Order::Ascending)?;
    for (name,) in names.collect::<std::result::Result<Vec<_>, _>>()? {
        let table = tx.get(&TABLES, &scope, &(name.as_str(),))?;
        let account = table.as_ref().and_then(|table| table.features.replicas.as_ref()?.account.clone());
        match table.zip(account) {
            Some((table, account)) => review_one(tx, is_enforced(dynamodb), place, (table, &account))?,
            None => tx.delete(&ACROSS, &scope, &(name.as_str(),))?,
        }
    }
    Ok(())
}

fn review_one(
    tx: &mut Transaction<'_>,
    is_enforced: bool,
    place: &Place,
    (mut table, account): (Table, &str),
) -> Result<()> {
    let (scope, partition) = (place.scope(), place.world.partition);
    let now = tx.now(&scope);
    let own = Party::of(tx, (&scope, &table), partition, (place.region.as_str(), account))?;
    let others: Vec<Replica> =
        table.features.replicas.iter().flat_map(|replicas| replicas.present(now)).cloned().collect();
    let (mut has_changed, mut is_over) = (false, false);
    for other in others {
        let Some((there, whose)) = other.scope(&scope).zip(other.account.as_deref()) else { continue };
        let Some(replica) = tx.get(&TABLES, &there, &(table.name.as_str(),))? else { continue };
        let party = Party::of(tx, (&there, &replica), partition, (&other.region, whose))?;
        let parties = [own.clone(), party];
        let refusing = first_refusing(&parties).filter(|_| is_enforced);
        let is_let = refusing.is_none();
        let since = (!is_let).then(|| other.denied_since.unwrap_or(now));
        if since != other.denied_since
            && let Some(known) = table.features.replicas.as_mut().and_then(|all| all.find_mut(&other.region))
        {
            known.denied_since = since;
            has_changed = true;
        }
        // The one that refuses goes; the others stay with each other.
        is_over |= refusing == Some(&own.arn) && since.is_some_and(|since| since.plus(DENIED_AT_MOST) <= now);
        if is_let {
            release(tx, (&scope, &table), &other.region, (&there, &replica))?;
        }
    }
    if is_over {
        return leave(tx, &scope, &mut table, now);
    }
    if has_changed {
        tx.put(&TABLES, &scope, &(table.name.as_str(),), &table)?;
    }
    Ok(())
}

/// Keeps a change for a replica that may not be told it.
pub(super) fn hold(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    (table, region): (&Table, &str),
    (key, after, stamp): (&[u8], Option<&Bytes>, &Stamp),
) -> Result<()> {
    let held = Held { after: after.cloned(), stamp: stamp.clone() };
    Ok(tx.put(&HELD, scope, &(table.id, region, Raw(key)), &held)?)
}

/// Tells a replica some of what was held for it.
fn release(
    tx: &mut Transaction<'_>,
    (scope, table): (&Scope, &Table),
    region: &str,
    (there, replica): (&Scope, &Table),
) -> Result<()> {
    let held = tx.range(&HELD, scope, Range::prefix(&(table.id, region)), Order::Ascending)?.take(AT_ONCE);
    for ((_, _, key), held) in held.collect::<std::result::Result<Vec<_>, _>>()? {
        apply(tx, there, replica, &key.0, held.after.as_ref(), &held.stamp)?;
        tx.delete(&HELD, scope, &(table.id, region, Raw(&key.0)))?;
    }
    Ok(())
}

/// Clears some of what discarded data held; says whether there may be more.
pub fn clear(tx: &mut Transaction<'_>, scope: &Scope, data: u64, at_most: usize) -> Result<bool> {
    let held = tx.keys(&HELD, scope, Range::prefix(&(data,)), Order::Ascending)?.take(at_most);
    let held = held.collect::<std::result::Result<Vec<_>, _>>()?;
    let is_more = held.len() == at_most;
    for (_, region, key) in held {
        tx.delete(&HELD, scope, &(data, region.as_str(), Raw(&key.0)))?;
    }
    Ok(is_more)
}

/// Whether a replica may be told nothing for now.
pub(super) const fn is_denied(replica: &Replica) -> bool {
    replica.denied_since.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(account: &str, region: &str, policy: Option<String>) -> Party {
        Party::new(Partition::Aws, (region, account), "music", policy)
    }

    fn policy(actions: &[&str], accounts: &[&str]) -> Option<String> {
        let condition = serde_json::json!({"StringEquals": {"aws:SourceAccount": accounts}});
        let statement = serde_json::json!({
            "Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": actions, "Resource": "*", "Condition": condition,
        });
        Some(serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string())
    }

    #[test]
    fn each_lets_all_of_them_replicate_itself_among_them() {
        let both = ["111111111111", "222222222222"];
        let one = party(both[0], "us-east-1", policy(&ACTIONS, &both));
        let other = party(both[1], "us-west-2", policy(&ACTIONS, &both));
        assert_eq!(first_refusing(&[one.clone(), other.clone()]), None);
        let refusing = [
            party(both[1], "us-west-2", None),
            party(both[1], "us-west-2", policy(&ACTIONS, &both[..1])),
            party(both[1], "us-west-2", policy(&ACTIONS[..2], &both)),
            party(both[1], "us-west-2", Some("no policy".to_owned())),
        ];
        for refusing in refusing {
            assert_eq!(first_refusing(&[one.clone(), refusing]), Some(other.arn.as_str()));
        }
    }
}
