//! Backups: copies of tables that stay what they were.
//!
//! A backup's items lie under an id of their own, as a table's do; they are copied in pieces, all as they were at the moment of
//! the request. The backup that a deleted table with point-in-time recovery leaves is the table's own data under its own id.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Backup.Tutorial.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_store::{Collection, Order, Range, Scope, Transaction};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::features;
use crate::jobs;
use crate::store::{DISCARDED, Table};

/// Backups by (table's name, id). Ids begin with the moment, so that a table's backups are in their order.
pub const BACKUPS: Collection<(String, String), Backup> = Collection::new("backups");
/// When backups of deleted tables expire: (moment, table's name, id).
pub const EXPIRIES: Collection<(Timestamp, String, String), ()> = Collection::new("backup-expiries");

/// How long the backup of a deleted table stays.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery_Howitworks.html>
const KEPT_AFTER_DELETION: Duration = Duration::from_secs(35 * 86_400);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    pub name: String,
    /// Made because its table was deleted.
    pub is_system: bool,
    /// The table as it was.
    pub table: Table,
    pub items: u64,
    pub bytes: u64,
    pub created_at: Timestamp,
    /// CREATING until then, and until everything is copied.
    pub available_at: Timestamp,
    pub is_copied: bool,
    pub expires_at: Option<Timestamp>,
    /// The id that its items lie under.
    pub data: u64,
}

impl Backup {
    pub fn status(&self, now: Timestamp) -> api::BackupStatus {
        match self.is_copied && self.available_at <= now {
            true => api::BackupStatus::Available,
            false => api::BackupStatus::Creating,
        }
    }

    pub fn is_there(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| expires_at > now)
    }
}

/// An id as AWS makes them for backups, exports and imports: fourteen digits of milliseconds, eight of chance.
pub fn timed_id(now: Timestamp, random: u64) -> String {
    format!("{:014}-{:08x}", now.millis().max(0), random as u32)
}

/// Everything of a backup has been copied.
pub fn copied(tx: &mut Transaction<'_>, scope: &Scope, table: &str, id: &str) -> Result<()> {
    if let Some(mut backup) = tx.get(&BACKUPS, scope, &(table, id))? {
        backup.is_copied = true;
        tx.put(&BACKUPS, scope, &(table, id), &backup)?;
    }
    Ok(())
}

/// The backup that a deleted table leaves.
pub fn keep_deleted(tx: &mut Transaction<'_>, scope: &Scope, table: &Table) -> Result<()> {
    let now = tx.now(scope);
    let (items, bytes) = features::counted(tx, scope, table.id)?;
    let backup = Backup {
        name: format!("{}$DeletedTableBackup", table.name),
        is_system: true,
        table: table.clone(),
        items,
        bytes,
        created_at: now,
        available_at: now,
        is_copied: true,
        expires_at: Some(now.plus(KEPT_AFTER_DELETION)),
        data: table.id,
    };
    let id = timed_id(now, table.id);
    tx.put(&EXPIRIES, scope, &(now.plus(KEPT_AFTER_DELETION), table.name.as_str(), id.as_str()), &())?;
    Ok(tx.put(&BACKUPS, scope, &(table.name.as_str(), id.as_str()), &backup)?)
}

/// Takes a backup away; its items are cleared in the background.
pub fn remove(tx: &mut Transaction<'_>, scope: &Scope, table: &str, id: &str, backup: &Backup) -> Result<()> {
    if jobs::is_pinned(tx, scope, backup.data)? || !backup.is_copied {
        return Err(Error::answer(api::BackupInUseException::new(
            "There is another ongoing conflicting backup control plane operation on the table. The backup is either being created, deleted or restored to a table.",
        )));
    }
    tx.delete(&BACKUPS, scope, &(table, id))?;
    if let Some(expires_at) = backup.expires_at {
        tx.delete(&EXPIRIES, scope, &(expires_at, table, id))?;
    }
    Ok(tx.put(&DISCARDED, scope, &(backup.data,), &())?)
}

/// Takes some of the backups away whose time is over; says whether any was.
pub fn remove_expired(tx: &mut Transaction<'_>, scope: &Scope, at_most: usize) -> Result<bool> {
    let due = tx.keys(&EXPIRIES, scope, Range::all().through(&(tx.now(scope),)), Order::Ascending)?.take(at_most);
    let due: Vec<_> = due.collect::<std::result::Result<_, _>>()?;
    for (at, table, id) in &due {
        tx.delete(&EXPIRIES, scope, &(*at, table.as_str(), id.as_str()))?;
        if let Some(backup) = tx.take(&BACKUPS, scope, &(table.as_str(), id.as_str()))? {
            tx.put(&DISCARDED, scope, &(backup.data,), &())?;
        }
    }
    Ok(!due.is_empty())
}
