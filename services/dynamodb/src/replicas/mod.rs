//! Replicas: a table of the same name in other regions, which all take writes and tell them to each other.
//!
//! A replica is a table in another region's part of the same store. A write of a replicated table is put into the table's *feed* in
//! its own transaction; a background task gives it to the other replicas about a second later, by the lane's clock. Of two
//! writes of one item the later one stays, of two of one moment that of the region whose name is greater: each replica keeps the
//! *stamp* of every item's last write, also of those that are gone.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html>

pub mod authorized;
mod described;
mod feed;
mod group;
mod settings;
pub mod strong;
pub mod update;

pub use described::{described, described_replica};
pub use feed::{FEED_HEADS, Feeds, feed, start};
pub use group::{Replica, ReplicaTable, Replicas, Version, check_is_no_source, join, leave, members, open_feed};
pub use settings::share_settings;

use std::time::Duration;

use bytes::Bytes;
use fractus_aws::{AccountId, Partition, Region};
use fractus_clock::Timestamp;
use fractus_dynamodb_rules::codec;
use fractus_store::{Collection, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::features;
use crate::history::{self, Piece};
use crate::jobs::{self, Source};
use crate::store::{Raw, StoredKey, TABLES, Table};
use crate::writes;

/// Who wrote an item last, by (table, stored key).
pub const STAMPS: Collection<(u64, StoredKey), Stamp> = Collection::new("item-stamps");

/// How long the stamp of an item that is gone is kept: a write that is told later than this would bring it back.
const GONE_KEPT: Duration = Duration::from_secs(86_400);

/// When and where an item was written last. The greater one stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    pub at: Timestamp,
    pub region: String,
}

fn stamp_of(snapshot: &Snapshot<'_>, scope: &Scope, table: u64, key: &[u8]) -> Result<Option<Stamp>> {
    Ok(snapshot.get(&STAMPS, scope, &(table, Raw(key)))?)
}

fn put_stamp(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    (table, key): (u64, &[u8]),
    stamp: &Stamp,
    is_there: bool,
) -> Result<()> {
    if is_there {
        return Ok(tx.put(&STAMPS, scope, &(table, Raw(key)), stamp)?);
    }
    let until = tx.now(scope).plus(GONE_KEPT);
    Ok(tx.put_until(&STAMPS, scope, &(table, Raw(key)), stamp, until)?)
}

/// Writes into a replica what another one has written, unless the item was written later here. It is told to what follows the
/// replica, but not to its replicas again.
fn apply(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &Table,
    key: &[u8],
    after: Option<&Bytes>,
    stamp: &Stamp,
) -> Result<()> {
    if stamp_of(tx, scope, table.id, key)?.is_some_and(|own| own >= *stamp) {
        return Ok(());
    }
    overwrite(tx, scope, table, key, after)?;
    put_stamp(tx, scope, (table.id, key), stamp, after.is_some())
}

/// Replaces an item without telling the replicas.
fn overwrite(tx: &mut Transaction<'_>, scope: &Scope, table: &Table, key: &[u8], after: Option<&Bytes>) -> Result<()> {
    let mut quiet = table.clone();
    quiet.features.replicas = None;
    let before = writes::read(tx, scope, &quiet, key)?;
    let after = after.map(|bytes| codec::decode(bytes)).transpose()?;
    if before.is_none() && after.is_none() {
        return Ok(());
    }
    features::change_item(tx, scope, &quiet, key, (before.as_ref(), after.as_ref()))
}

/// Whether there may be a region of this name in a partition, by the form that AWS's names of regions have.
/// <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html>
pub fn is_region(partition: Partition, name: &str) -> bool {
    const CONTINENTS: [&str; 9] = ["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"];
    const DIRECTIONS: [&str; 9] =
        ["central", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"];
    let Ok(region) = Region::new(name) else { return false };
    let mut parts = name.rsplitn(3, '-');
    let (Some(number), Some(direction), Some(continent)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_number = number.len() == 1 && number.bytes().all(|byte| (b'1'..=b'9').contains(&byte));
    let is_continent = partition != Partition::Aws || CONTINENTS.contains(&continent);
    region.partition() == partition && is_number && DIRECTIONS.contains(&direction) && is_continent
}

/// Another region's part of the same account.
pub fn elsewhere(scope: &Scope, region: &str) -> Option<Scope> {
    place(scope, region, None)
}

/// A region's part of an account, which is the same one where none is said.
pub fn place(scope: &Scope, region: &str, account: Option<&str>) -> Option<Scope> {
    let there = scope.in_region(&Region::new(region).ok()?);
    match account {
        Some(account) => Some(there.in_account(&AccountId::new(account).ok()?)),
        None => Some(there),
    }
}

/// Where a copy into a new replica goes: a table of this name in this region, of this account if it is another one.
pub type Destination<'a> = (&'a str, &'a str, Option<&'a str>);

/// Puts a piece of a table into a new replica; one that has gone meanwhile ends the copy.
pub fn fill(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    source: &Source,
    (name, region, account): Destination<'_>,
    piece: &Piece,
) -> Result<bool> {
    let Some(there) = place(scope, region, account) else { return Ok(false) };
    let Some(table) = tx.get(&TABLES, &there, &(name,))? else { return Ok(false) };
    for (key, item) in &piece.items {
        // What came by the feed meanwhile is later.
        if stamp_of(tx, &there, table.id, key)?.is_none() {
            // A change since the copy began comes by the feed, with the stamp that the item has now.
            let is_latest = !history::is_changed_since(tx, scope, (source.data, source.cut), key)?;
            let stamp = if is_latest { stamp_of(tx, scope, source.data, key)? } else { None };
            let stamp = stamp.unwrap_or_default();
            apply(tx, &there, &table, key, Some(item), &stamp)?;
        }
    }
    Ok(true)
}

/// A new replica has everything: it and the others know it.
pub fn filled(tx: &mut Transaction<'_>, scope: &Scope, (name, region, account): Destination<'_>) -> Result<()> {
    let Some(there) = place(scope, region, account) else { return Ok(()) };
    jobs::made(tx, &there, name)?;
    let Some(new) = tx.get(&TABLES, &there, &(name,))? else { return Ok(()) };
    let others = new.features.replicas.map(|replicas| replicas.others).unwrap_or_default();
    for other in others {
        let Some(scope) = other.scope(&there) else { continue };
        let Some(mut table) = tx.get(&TABLES, &scope, &(name,))? else { continue };
        if let Some(replica) = table.features.replicas.as_mut().and_then(|replicas| replicas.find_mut(region)) {
            replica.is_filled = true;
            tx.put(&TABLES, &scope, &(name,), &table)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_a_name_as_aws_gives_them() {
        for name in ["us-east-1", "eu-west-3", "ap-southeast-7", "il-central-1", "mx-central-1", "ca-west-1"] {
            assert!(is_region(Partition::Aws, name), "{name}");
        }
        for name in [
            "mars-north-1",
            "us-east",
            "us-east-0",
            "us-east-10",
            "nowhere",
            "us-up-1",
            "cn-north-1",
            "us-gov-west-1",
            "",
        ] {
            assert!(!is_region(Partition::Aws, name), "{name}");
        }
        assert!(is_region(Partition::AwsCn, "cn-northwest-1") && is_region(Partition::AwsUsGov, "us-gov-east-1"));
    }
}
