//! The feed of a table: its changes in their order, on their way to replicas and to Kinesis streams.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use fractus_aws::Lane;
use fractus_clock::Timestamp;
use fractus_dynamodb_rules::{Item, Value, check, codec};
use fractus_host::Waker;
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use serde::{Deserialize, Serialize};

use super::group::{Replicas, Version, leave};
use super::{Stamp, apply, authorized, overwrite, put_stamp, stamp_of};
use crate::error::Result;
use crate::features::{Change, encoded};
use crate::kinesis;
use crate::places::{Place, places};
use crate::service::DynamoDb;
use crate::store::{TABLES, Table};

/// Changes by (table, number).
const FEED: Collection<(u64, u64), Fed> = Collection::new("feed");
/// The number of the next change, for tables whose changes have ever been told.
pub const FEED_HEADS: Collection<(u64,), u64> = Collection::new("feed-heads");

/// Tables that were asked to leave their global tables, and when.
pub(super) const LEAVING: Collection<(String,), Timestamp> = Collection::new("leaving-replicas");

/// How long after its making a change is told; about what AWS takes.
pub(super) const LAG: Duration = Duration::from_secs(1);
/// How many changes one transaction tells.
const AT_ONCE: usize = 50;

/// A change of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fed {
    pub table: String,
    pub at: Timestamp,
    pub key: Bytes,
    pub before: Option<Bytes>,
    pub after: Option<Bytes>,
    /// What replicas are told with; what came from a replica is not told to them again.
    pub stamp: Option<Stamp>,
}

/// Puts a change into its table's feed, and stamps the item where it is replicated. Where the replicas are strongly consistent it
/// comes to them at once.
pub fn feed(tx: &mut Transaction<'_>, scope: &Scope, table: &Table, change: Change<'_>) -> Result<()> {
    let now = tx.now(scope);
    let replicas = table.features.replicas.as_ref().filter(|replicas| replicas.has_others(now));
    let mut stamp = replicas.map(|replicas| new_stamp(tx, scope, table, replicas, change)).transpose()?;
    if let Some(replicas) = replicas.filter(|replicas| replicas.strong(now).is_some())
        && let Some(stamp) = stamp.take()
    {
        replicate(tx, scope, table, replicas, (change.key, change.after.map(encoded), &stamp))?;
    }
    if stamp.is_none() && table.features.destinations.iter().all(|destination| destination.is_over(now)) {
        return Ok(());
    }
    let number = tx.get(&FEED_HEADS, scope, &(table.id,))?.unwrap_or(1);
    let fed = Fed {
        table: table.name.clone(),
        at: now,
        key: Bytes::copy_from_slice(change.key),
        before: change.before.map(encoded),
        after: change.after.map(encoded),
        stamp,
    };
    tx.put(&FEED, scope, &(table.id, number), &fed)?;
    Ok(tx.put(&FEED_HEADS, scope, &(table.id,), &(number + 1))?)
}

/// Stamps an item that is written here. Of two writes of one moment the second one is the later.
fn new_stamp(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &Table,
    replicas: &Replicas,
    change: Change<'_>,
) -> Result<Stamp> {
    let now = tx.now(scope);
    let last = stamp_of(tx, scope, table.id, change.key)?.map(|stamp| stamp.at);
    let at = last.filter(|last| *last >= now).map_or(now, |last| last.plus(Duration::from_micros(1)));
    let stamp = Stamp { at, region: replicas.own.clone() };
    put_stamp(tx, scope, (table.id, change.key), &stamp, change.after.is_some())?;
    Ok(stamp)
}

/// Wakes the task that tells changes.
#[derive(Clone, Default)]
pub struct Feeds {
    waker: Arc<OnceLock<Waker>>,
}

impl Feeds {
    pub fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }
}

/// Starts the task that tells changes.
pub fn start(dynamodb: &Arc<DynamoDb>) {
    let service = Arc::clone(dynamodb);
    let waker = dynamodb.host.background("feeds", move |lane| {
        let dynamodb = Arc::clone(&service);
        async move {
            match round(&dynamodb, &lane).await {
                Ok(next) => next,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "changes were not told on; they are told again");
                    None
                }
            }
        }
    });
    // Set once: a service starts once.
    let _ = dynamodb.feeds.waker.set(waker);
}

/// Tells what is due; where any table is followed, it is looked at again a moment later by the lane's clock.
async fn round(dynamodb: &DynamoDb, lane: &Lane) -> Result<Option<Timestamp>> {
    for place in places(dynamodb, lane, authorized::ACROSS.name()).await? {
        dynamodb.store.write(|tx| authorized::review(tx, dynamodb, &place)).await?;
    }
    let places = places(dynamodb, lane, FEED_HEADS.name()).await?;
    for place in &places {
        while dynamodb.store.write(|tx| tell(tx, dynamodb, place)).await? {
            tokio::task::yield_now().await;
        }
    }
    for place in crate::places::places(dynamodb, lane, LEAVING.name()).await? {
        dynamodb.store.write(|tx| end_leaving(tx, &place.scope())).await?;
    }
    let now = dynamodb.host.clocks().lane(lane.as_str()).now();
    Ok((!places.is_empty()).then(|| now.plus(LAG / 2)))
}

/// Takes tables out of their global tables, now that all that was written before has been told.
fn end_leaving(tx: &mut Transaction<'_>, scope: &Scope) -> Result<()> {
    let now = tx.now(scope);
    let due = tx.range(&LEAVING, scope, Range::all(), Order::Ascending)?;
    let due: Vec<_> = due.collect::<std::result::Result<_, _>>()?;
    for ((name,), at) in due.into_iter().filter(|(_, at)| at.plus(LAG * 2) <= now) {
        let table = tx.get(&TABLES, scope, &(name.as_str(),))?;
        let is_leaving =
            |table: &Table| table.features.replicas.as_ref().is_some_and(|replicas| replicas.leaves_at == Some(at));
        if let Some(mut table) = table.filter(|table| is_leaving(table)) {
            if has_untold(tx, scope, &table, at)? {
                continue;
            }
            leave(tx, scope, &mut table, now)?;
        }
        tx.delete(&LEAVING, scope, &(name.as_str(),))?;
    }
    Ok(())
}

/// Whether a table, or one of its replicas, has a change of that time or before that is not told yet.
fn has_untold(tx: &Transaction<'_>, scope: &Scope, table: &Table, at: Timestamp) -> Result<bool> {
    let first = |scope: &Scope, id: u64| -> Result<bool> {
        let first = tx.range(&FEED, scope, Range::prefix(&(id,)), Order::Ascending)?.next().transpose()?;
        Ok(first.is_some_and(|(_, fed)| fed.at <= at))
    };
    if first(scope, table.id)? {
        return Ok(true);
    }
    for other in table.features.replicas.iter().flat_map(|replicas| &replicas.others) {
        let Some(there) = other.scope(scope) else { continue };
        if let Some(own) = tx.get(&TABLES, &there, &(table.name.as_str(),))?
            && first(&there, own.id)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells some changes of a place; says whether there may be more.
fn tell(tx: &mut Transaction<'_>, dynamodb: &DynamoDb, place: &Place) -> Result<bool> {
    let scope = place.scope();
    let due = tx.now(&scope).minus(LAG);
    let mut told = 0;
    let heads: Vec<u64> =
        tx.keys(&FEED_HEADS, &scope, Range::all(), Order::Ascending)?.map(|key| Ok(key?.0)).collect::<Result<_>>()?;
    for id in heads {
        let page = tx.range(&FEED, &scope, Range::prefix(&(id,)), Order::Ascending)?.take(AT_ONCE - told);
        let page: Vec<_> = page.collect::<std::result::Result<_, _>>()?;
        for ((_, number), fed) in page.into_iter().take_while(|(_, fed)| fed.at <= due) {
            let table = tx.get(&TABLES, &scope, &(fed.table.as_str(),))?.filter(|table| table.id == id);
            if let Some(table) = table {
                tell_one(tx, dynamodb, place, &table, number, fed)?;
            }
            tx.delete(&FEED, &scope, &(id, number))?;
            told += 1;
        }
        if told == AT_ONCE {
            return Ok(true);
        }
    }
    Ok(false)
}

fn tell_one(
    tx: &mut Transaction<'_>,
    dynamodb: &DynamoDb,
    place: &Place,
    table: &Table,
    number: u64,
    fed: Fed,
) -> Result<()> {
    for destination in &table.features.destinations {
        if destination.takes(fed.at) {
            let change =
                kinesis::Told { table, number, at: fed.at, key: &fed.key, before: &fed.before, after: &fed.after };
            kinesis::deliver(tx, dynamodb, place, destination, &change)?;
        }
    }
    match (&table.features.replicas, &fed.stamp) {
        (Some(replicas), Some(stamp)) => replicate(tx, &place.scope(), table, replicas, (&fed.key, fed.after, stamp)),
        _ => Ok(()),
    }
}

/// Gives a change to the other replicas. Tables of the first version of global tables also say in the item who wrote it.
fn replicate(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &Table,
    replicas: &Replicas,
    (key, after, stamp): (&[u8], Option<Bytes>, &Stamp),
) -> Result<()> {
    let now = tx.now(scope);
    let mut after = after;
    if replicas.version == Version::V2017 {
        after = after.map(|item| marked(&item, stamp)).transpose()?;
        if stamp_of(tx, scope, table.id, key)?.as_ref() == Some(stamp) {
            overwrite(tx, scope, table, key, after.as_ref())?;
        }
    }
    for other in replicas.present(now) {
        if authorized::is_denied(other) {
            authorized::hold(tx, scope, (table, &other.region), (key, after.as_ref(), stamp))?;
            continue;
        }
        let Some(there) = other.scope(scope) else { continue };
        if let Some(replica) = tx.get(&TABLES, &there, &(table.name.as_str(),))? {
            apply(tx, &there, &replica, key, after.as_ref(), stamp)?;
        }
    }
    Ok(())
}

/// An item with the attributes of the first version of global tables.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables_HowItWorks.html>
fn marked(item: &Bytes, stamp: &Stamp) -> Result<Bytes> {
    let item: Item = codec::decode(item)?;
    let own = |name: &str| name.starts_with("aws:rep:");
    let mut entries: Vec<(String, Value)> =
        item.iter().filter(|(name, _)| !own(name)).map(|(name, value)| (name.to_owned(), value.clone())).collect();
    let (secs, micros) = (stamp.at.micros().div_euclid(1_000_000), stamp.at.micros().rem_euclid(1_000_000));
    let time = check::number(&format!("{secs}.{micros:06}"))?;
    entries.push(("aws:rep:deleting".to_owned(), Value::Bool(false)));
    entries.push(("aws:rep:updatetime".to_owned(), time));
    entries.push(("aws:rep:updateregion".to_owned(), Value::S(stamp.region.clone())));
    Ok(encoded(&entries.into_iter().collect()))
}
