//! Work that no request waits for: clearing what deleted tables leave.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{AccountId, Lane, Partition, Region, World};
use fractus_clock::Clock;
use fractus_store::{Order, Range, Scope, Transaction};

use crate::error::Result;
use crate::operations::table_shape::status;
use crate::service::DynamoDb;
use crate::store::{COUNTERS, DISCARDED, INDEX_ITEMS, ITEMS, Raw, TABLES};

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
}

/// The places in which a collection holds anything.
async fn places(dynamodb: &DynamoDb, collection: &str) -> Result<Vec<Scope>> {
    let spaces = dynamodb.store.collections(0).await?;
    let found = spaces.into_iter().filter(|space| space.collection == collection).filter_map(|space| {
        let world = World {
            lane: Lane::new(&space.lane).ok()?,
            partition: Partition::parse(&space.partition)?,
            account: AccountId::new(&space.account).ok()?,
        };
        Some(Scope::regional(&world, &Region::new(&space.region).ok()?))
    });
    Ok(found.collect())
}

/// One round: tables whose deletion is over go, and what lies under discarded ids is cleared.
pub async fn clean_up(dynamodb: &DynamoDb) -> Result<()> {
    for scope in places(dynamodb, TABLES.name()).await? {
        dynamodb.store.write(|tx| end_deletions(tx, &scope)).await?;
    }
    for scope in places(dynamodb, DISCARDED.name()).await? {
        while dynamodb.store.write(|tx| clear_discarded(tx, &scope)).await? {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn end_deletions(tx: &mut Transaction<'_>, scope: &Scope) -> Result<()> {
    let now = tx.now(scope);
    let mut gone = Vec::new();
    for record in tx.range(&TABLES, scope, Range::all(), Order::Ascending)? {
        let ((name,), table) = record?;
        if status(&table, now).is_none() {
            gone.push((name, table.id));
        }
    }
    for (name, id) in gone {
        tx.delete(&TABLES, scope, &(name.as_str(),))?;
        tx.put(&DISCARDED, scope, &(id,), &())?;
    }
    Ok(())
}

/// Clears a piece of a discarded table; says whether there is more to do.
fn clear_discarded(tx: &mut Transaction<'_>, scope: &Scope) -> Result<bool> {
    let first = tx.keys(&DISCARDED, scope, Range::all(), Order::Ascending)?.next().transpose()?;
    let Some((id,)) = first else { return Ok(false) };
    let items: Vec<_> = tx
        .keys(&ITEMS, scope, Range::prefix(&(id,)), Order::Ascending)?
        .take(CLEARED_AT_ONCE)
        .collect::<std::result::Result<_, _>>()?;
    let entries: Vec<_> = tx
        .keys(&INDEX_ITEMS, scope, Range::prefix(&(id,)), Order::Ascending)?
        .take(CLEARED_AT_ONCE)
        .collect::<std::result::Result<_, _>>()?;
    if items.is_empty() && entries.is_empty() {
        tx.delete(&COUNTERS, scope, &(id,))?;
        tx.delete(&DISCARDED, scope, &(id,))?;
        return Ok(true);
    }
    for (_, key) in items {
        tx.delete(&ITEMS, scope, &(id, Raw(&key.0)))?;
    }
    for (_, index, key) in entries {
        tx.delete(&INDEX_ITEMS, scope, &(id, index, Raw(&key.0)))?;
    }
    Ok(true)
}
