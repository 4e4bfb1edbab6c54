//! Work that no request waits for: clearing what deleted tables leave, filling new indexes, deleting items whose time has come.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::Lane;
use fractus_clock::{Clock, Timestamp};
use fractus_store::{Collection, Key, Order, PrefixOf, Range, Scope, Transaction};

use crate::backups;
use crate::error::{Error, Result};
use crate::expiries;
use crate::features;
use crate::fillings::{self, Step};
use crate::places::{self, Place};
use crate::service::DynamoDb;
use crate::store::{
    COUNTERS, DISCARDED, DISCARDED_INDEXES, EXPIRIES, EXPIRING_TABLES, FILLINGS, INDEX_ITEMS, ITEMS, Raw, TABLES,
};
use crate::streams;
use crate::vectors;

/// How often the janitor looks round, in real time: it frees memory, it changes nothing that a caller sees.
const ROUND_EVERY: Duration = Duration::from_secs(5);
/// The most records one transaction clears, so that it never holds up a request for long.
const CLEARED_AT_ONCE: usize = 500;

pub fn start(dynamodb: &Arc<DynamoDb>) {
    let janitor = Arc::clone(dynamodb);
    dynamodb.host.spawn("janitor", async move {
        let draining = janitor.host.draining();
        loop {
            tokio::select! {
                () = draining.cancelled() => return,
                () = Clock::real().sleep(ROUND_EVERY) => {}
                () = janitor.discarded.notified() => {}
            }
            if let Err(error) = clean_up(&janitor).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cleaning up failed; it is tried again");
            }
        }
    });
    let service = Arc::clone(dynamodb);
    let waker = dynamodb.host.background("fillings and expiries", move |lane| {
        let service = Arc::clone(&service);
        async move { due_work(&service, &lane).await }
    });
    dynamodb.expiries.wake_by(waker);
}

/// Everything of a lane that is due; gives when the next of it is.
async fn due_work(dynamodb: &DynamoDb, lane: &Lane) -> Option<Timestamp> {
    dynamodb.expiries.forget(lane.as_str());
    let filled = fill(dynamodb, lane).await;
    let expired = expire(dynamodb, lane).await;
    if let Ok(Some(next)) = &expired {
        dynamodb.expiries.wait_for(lane.as_str(), *next);
    }
    let mut next = None;
    for outcome in [filled, expired] {
        match outcome {
            Ok(None) => {}
            Ok(Some(at)) => next = Some(next.map_or(at, |next: Timestamp| next.min(at))),
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "work on tables is tried again"),
        }
    }
    next
}

async fn fill(dynamodb: &DynamoDb, lane: &Lane) -> Result<Option<Timestamp>> {
    let mut next: Option<Timestamp> = None;
    for scope in places::places(dynamodb, lane, FILLINGS.name()).await?.iter().map(Place::scope) {
        for (name, number) in keys(dynamodb, &scope, &FILLINGS).await? {
            loop {
                match dynamodb.store.write(|tx| fillings::step(tx, &scope, &name, number)).await? {
                    Step::Over => break,
                    Step::More => tokio::task::yield_now().await,
                    Step::Later(at) => {
                        next = Some(next.map_or(at, |next| next.min(at)));
                        break;
                    }
                }
            }
        }
    }
    Ok(next)
}

async fn expire(dynamodb: &DynamoDb, lane: &Lane) -> Result<Option<Timestamp>> {
    let clock = dynamodb.host.clocks().lane(lane.as_str());
    let mut next: Option<Timestamp> = None;
    for scope in places::places(dynamodb, lane, EXPIRING_TABLES.name()).await?.iter().map(Place::scope) {
        for (name,) in keys(dynamodb, &scope, &EXPIRING_TABLES).await? {
            loop {
                let step = |tx: &mut Transaction<'_>| match tx.get(&EXPIRING_TABLES, &scope, &(name.as_str(),))? {
                    Some(id) => expiries::delete_due(tx, &scope, &name, id),
                    None => Ok(None),
                };
                match dynamodb.store.write(step).await? {
                    Some(at) if at <= clock.now() => tokio::task::yield_now().await,
                    at => {
                        next = [next, at].into_iter().flatten().min();
                        break;
                    }
                }
            }
        }
    }
    Ok(next)
}

/// The keys of a collection that has an entry for a few tables.
async fn keys<K: Key + Send, V: Send>(
    dynamodb: &DynamoDb,
    scope: &Scope,
    collection: &Collection<K, V>,
) -> Result<Vec<K>> {
    let found = dynamodb.store.read(|snapshot| {
        let keys = snapshot.keys(collection, scope, Range::all(), Order::Ascending)?;
        Ok::<_, Error>(keys.collect::<std::result::Result<Vec<_>, _>>()?)
    });
    found.await
}

/// The places in which a collection holds anything.
async fn places(dynamodb: &DynamoDb, collection: &str) -> Result<Vec<Scope>> {
    let found = dynamodb.host.places(collection).await?;
    Ok(found.iter().map(|(world, region)| Scope::regional(world, region)).collect())
}

/// One round: tables whose deletion is over go, and what lies under discarded ids is cleared.
pub async fn clean_up(dynamodb: &DynamoDb) -> Result<()> {
    for scope in places(dynamodb, TABLES.name()).await? {
        dynamodb.store.write(|tx| end_deletions(tx, &scope)).await?;
    }
    for scope in places(dynamodb, backups::BACKUPS.name()).await? {
        while dynamodb.store.write(|tx| backups::remove_expired(tx, &scope, CLEARED_AT_ONCE)).await? {}
    }
    for scope in places(dynamodb, DISCARDED.name()).await? {
        while dynamodb.store.write(|tx| clear_discarded(tx, &scope)).await? {
            tokio::task::yield_now().await;
        }
    }
    for scope in places(dynamodb, DISCARDED_INDEXES.name()).await? {
        while dynamodb.store.write(|tx| clear_discarded_index(tx, &scope)).await? {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn end_deletions(tx: &mut Transaction<'_>, scope: &Scope) -> Result<()> {
    let now = tx.now(scope);
    let mut changed = Vec::new();
    for record in tx.range(&TABLES, scope, Range::all(), Order::Ascending)? {
        let table = record?.1;
        let is_over = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let has_gone = table.indexes.iter().any(|index| is_over(index.deleted_at))
            || table.vectors.iter().any(|index| is_over(index.deleted_at));
        if is_over(table.deleted_at) || has_gone {
            changed.push(table);
        }
    }
    for mut table in changed {
        if table.state(now).is_none() {
            discard(tx, scope, &mut table)?;
        } else {
            discard_indexes(tx, scope, &mut table)?;
            tx.put(&TABLES, scope, &(table.name.as_str(),), &table)?;
        }
    }
    Ok(())
}

/// Takes a table away; what lies under it is cleared later.
pub fn discard(tx: &mut Transaction<'_>, scope: &Scope, table: &mut crate::store::Table) -> Result<()> {
    let now = tx.now(scope);
    streams::disable(tx, scope, table, now)?;
    tx.delete(&TABLES, scope, &(table.name.as_str(),))?;
    features::retire(tx, scope, table)?;
    if let Some(settings) = &table.time_to_live {
        tx.put(&DISCARDED, scope, &(settings.id,), &())?;
        tx.delete(&EXPIRING_TABLES, scope, &(table.name.as_str(),))?;
    }
    Ok(())
}

/// Takes the indexes away whose deletion is over.
pub fn discard_indexes(tx: &mut Transaction<'_>, scope: &Scope, table: &mut crate::store::Table) -> Result<()> {
    let now = tx.now(scope);
    let is_over = |index: &crate::store::Index| index.deleted_at.is_some_and(|at| at <= now);
    for index in table.indexes.iter().filter(|index| is_over(index)) {
        tx.put(&DISCARDED_INDEXES, scope, &(table.id, index.number), &())?;
    }
    table.indexes.retain(|index| !is_over(index));
    let is_over = |index: &crate::table::VectorIndex| index.deleted_at.is_some_and(|at| at <= now);
    for index in table.vectors.iter().filter(|index| is_over(index)) {
        tx.put(&DISCARDED_INDEXES, scope, &(table.id, index.number), &())?;
    }
    table.vectors.retain(|index| !is_over(index));
    Ok(())
}

/// Clears a piece of a discarded table; says whether there is more to do.
fn clear_discarded(tx: &mut Transaction<'_>, scope: &Scope) -> Result<bool> {
    let Some(id) = features::next_discarded(tx, scope)? else { return Ok(false) };
    if features::clear(tx, scope, id, CLEARED_AT_ONCE)? {
        return Ok(true);
    }
    let mut left = CLEARED_AT_ONCE;
    clear(tx, scope, &ITEMS, &(id,), &mut left, |tx, (_, key)| tx.delete(&ITEMS, scope, &(id, Raw(&key.0))))?;
    clear(tx, scope, &INDEX_ITEMS, &(id,), &mut left, |tx, (_, index, key)| {
        tx.delete(&INDEX_ITEMS, scope, &(id, index, Raw(&key.0)))
    })?;
    vectors::clear(tx, scope, &(id,), &mut left)?;
    clear(tx, scope, &EXPIRIES, &(id,), &mut left, |tx, (_, at, key)| {
        tx.delete(&EXPIRIES, scope, &(id, at, Raw(&key.0)))
    })?;
    clear(tx, scope, &COUNTERS, &(id,), &mut left, |tx, (_, share)| tx.delete(&COUNTERS, scope, &(id, share)))?;
    if left > 0 {
        tx.delete(&DISCARDED, scope, &(id,))?;
    }
    Ok(true)
}

/// The same of a discarded index.
fn clear_discarded_index(tx: &mut Transaction<'_>, scope: &Scope) -> Result<bool> {
    let first = tx.keys(&DISCARDED_INDEXES, scope, Range::all(), Order::Ascending)?.next().transpose()?;
    let Some((id, number)) = first else { return Ok(false) };
    let mut left = CLEARED_AT_ONCE;
    clear(tx, scope, &INDEX_ITEMS, &(id, number), &mut left, |tx, (_, _, key)| {
        tx.delete(&INDEX_ITEMS, scope, &(id, number, Raw(&key.0)))
    })?;
    vectors::clear(tx, scope, &(id, number), &mut left)?;
    if left > 0 {
        let shares = tx.keys(&COUNTERS, scope, Range::prefix(&(id,)), Order::Ascending)?;
        let shares = shares.collect::<std::result::Result<Vec<_>, _>>()?;
        for at in shares {
            if let Some(mut counters) = tx.get(&COUNTERS, scope, &at)? {
                counters.indexes.retain(|(own, ..)| *own != number);
                tx.put(&COUNTERS, scope, &at, &counters)?;
            }
        }
        tx.delete(&DISCARDED_INDEXES, scope, &(id, number))?;
    }
    Ok(true)
}

fn clear<K: Key, V>(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    collection: &Collection<K, V>,
    prefix: &impl PrefixOf<K>,
    left: &mut usize,
    delete: impl Fn(&mut Transaction<'_>, K) -> std::result::Result<(), fractus_store::StoreError>,
) -> Result<()> {
    let keys: Vec<K> = tx
        .keys(collection, scope, Range::prefix(prefix), Order::Ascending)?
        .take(*left)
        .collect::<std::result::Result<_, _>>()?;
    *left -= keys.len();
    keys.into_iter().try_for_each(|key| delete(tx, key))?;
    Ok(())
}
