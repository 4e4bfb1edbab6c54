//! Which replicas a table has: what each of them knows of the others, and how they become and cease to be a group.

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_store::{Scope, Transaction};
use serde::{Deserialize, Serialize};

use super::feed::FEED_HEADS;
use super::settings::Settings;
use super::{place, strong::Strong};
use crate::error::{Error, Result};
use crate::store::{TABLES, Table};

/// The two kinds of global tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    V2017,
    V2019,
}

impl Version {
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::V2017 => "2017.11.29",
            Version::V2019 => "2019.11.21",
        }
    }
}

/// What a table knows of its replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    pub version: Version,
    /// The table's own region.
    pub own: String,
    /// When it was asked to leave.
    #[serde(default)]
    pub leaves_at: Option<Timestamp>,
    pub others: Vec<Replica>,
    /// The table's own account, where each replica is of another one.
    #[serde(default)]
    pub account: Option<String>,
    /// Multi-Region strong consistency, where the group has it.
    #[serde(default)]
    pub strong: Option<Strong>,
}

/// A replica as the others know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    pub region: String,
    /// CREATING until then, and until everything is copied.
    pub not_before: Timestamp,
    pub is_filled: bool,
    /// DELETING until then.
    pub deleted_at: Option<Timestamp>,
    pub settings: Settings,
    /// Whose it is, where each replica is of another account.
    #[serde(default)]
    pub account: Option<String>,
    /// When the table that knows this was what it was made from.
    #[serde(default)]
    pub sourced_at: Option<Timestamp>,
    /// Since when the policies of the two accounts do not let changes be told.
    #[serde(default)]
    pub denied_since: Option<Timestamp>,
}

impl Replica {
    /// One that has all that there is.
    pub fn settled(region: &str, not_before: Timestamp) -> Self {
        Replica {
            region: region.to_owned(),
            not_before,
            is_filled: true,
            deleted_at: None,
            settings: Settings::default(),
            account: None,
            sourced_at: None,
            denied_since: None,
        }
    }

    /// Where its table lies, seen from another replica.
    pub fn scope(&self, scope: &Scope) -> Option<Scope> {
        place(scope, &self.region, self.account.as_deref())
    }

    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.deleted_at.is_some_and(|deleted_at| deleted_at <= now)
    }

    pub fn status(&self, now: Timestamp) -> api::ReplicaStatus {
        match self.deleted_at {
            Some(_) => api::ReplicaStatus::Deleting,
            None if self.denied_since.is_some() => api::ReplicaStatus::ReplicationNotAuthorized,
            None if self.is_filled && self.not_before <= now => api::ReplicaStatus::Active,
            None => api::ReplicaStatus::Creating,
        }
    }
}

impl Replicas {
    pub fn has_others(&self, now: Timestamp) -> bool {
        self.present(now).next().is_some()
    }

    /// The group's strong consistency, for as long as there is a group.
    pub fn strong(&self, now: Timestamp) -> Option<&Strong> {
        self.strong.as_ref().filter(|_| self.has_others(now))
    }

    /// The others that are still there.
    pub fn present(&self, now: Timestamp) -> impl Iterator<Item = &Replica> {
        self.others.iter().filter(move |other| !other.is_gone(now))
    }

    pub fn find_mut(&mut self, region: &str) -> Option<&mut Replica> {
        self.others.iter_mut().find(|other| other.region == region)
    }

    pub fn has(&self, region: &str, now: Timestamp) -> bool {
        self.present(now).any(|other| other.region == region)
    }
}

/// A table of this name in a region, and where it lies.
pub struct ReplicaTable {
    pub scope: Scope,
    pub table: Table,
    /// Whose it is, where each replica is of another account.
    pub account: Option<String>,
}

/// Tables that have a feed are looked at by the task that tells changes.
pub fn open_feed(tx: &mut Transaction<'_>, scope: &Scope, table: u64) -> Result<()> {
    if tx.get(&FEED_HEADS, scope, &(table,))?.is_none() {
        tx.put(&FEED_HEADS, scope, &(table,), &1)?;
    }
    Ok(())
}

/// The tables of a group: this one and those of the other regions.
pub fn members(tx: &Transaction<'_>, scope: &Scope, table: &Table) -> Result<Vec<ReplicaTable>> {
    let now = tx.now(scope);
    let mut members = Vec::new();
    for other in table.features.replicas.iter().flat_map(|replicas| replicas.present(now)) {
        let Some(scope) = other.scope(scope) else { continue };
        if let Some(table) = tx.get(&TABLES, &scope, &(table.name.as_str(),))? {
            members.push(ReplicaTable { scope, table, account: other.account.clone() });
        }
    }
    Ok(members)
}

/// Makes the tables know each other as replicas. `new` are the regions that come in with this.
pub fn join(
    tx: &mut Transaction<'_>,
    members: &mut [(String, ReplicaTable)],
    version: Version,
    new: &[Replica],
) -> Result<()> {
    let known: Vec<(String, Option<String>)> =
        members.iter().map(|(region, member)| (region.clone(), member.account.clone())).collect();
    for (own, member) in members {
        let replicas = member.table.features.replicas.get_or_insert_with(|| Replicas {
            version,
            own: own.clone(),
            leaves_at: None,
            others: Vec::new(),
            account: None,
            strong: None,
        });
        replicas.version = version;
        replicas.account.clone_from(&member.account);
        for (region, account) in known.iter().filter(|(region, _)| region != own) {
            let fresh = new.iter().find(|replica| replica.region == *region).cloned();
            match (replicas.find_mut(region), fresh) {
                (Some(known), Some(fresh)) => *known = Replica { account: account.clone(), ..fresh },
                (Some(_), None) => {}
                (None, fresh) => {
                    let other = fresh.unwrap_or_else(|| Replica::settled(region, Timestamp::EPOCH));
                    replicas.others.push(Replica { account: account.clone(), ..other });
                }
            }
        }
        open_feed(tx, &member.scope, member.table.id)?;
        tx.put(&TABLES, &member.scope, &(member.table.name.as_str(),), &member.table)?;
    }
    Ok(())
}

/// Takes a region's table out of its group; the others know it as going until `until`.
pub fn leave(tx: &mut Transaction<'_>, scope: &Scope, table: &mut Table, until: Timestamp) -> Result<()> {
    let Some(replicas) = table.features.replicas.clone() else { return Ok(()) };
    let now = tx.now(scope);
    for mut member in members(tx, scope, table)? {
        if let Some(others) = member.table.features.replicas.as_mut() {
            if until <= now {
                others.others.retain(|other| other.region != replicas.own);
            } else if let Some(own) = others.find_mut(&replicas.own) {
                own.deleted_at = Some(until);
            }
            if others.others.is_empty() {
                member.table.features.replicas = None;
            }
            tx.put(&TABLES, &member.scope, &(member.table.name.as_str(),), &member.table)?;
        }
    }
    table.features.replicas = None;
    Ok(tx.put(&TABLES, scope, &(table.name.as_str(),), table)?)
}

/// A table is what its replicas were made from for a day: it stays while they are there.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html#V2globaltables_HowItWorks.considerations>
pub fn check_is_no_source(table: &Table, now: Timestamp) -> Result<()> {
    const SOURCE_FOR: std::time::Duration = std::time::Duration::from_secs(86_400);
    let is_young = |other: &Replica| other.sourced_at.is_some_and(|at| at.plus(SOURCE_FOR) > now);
    let mut sourced = table.features.replicas.iter().flat_map(|replicas| replicas.present(now));
    if sourced.any(|other| is_young(other) && other.deleted_at.is_none()) {
        return Err(Error::validation(
            "Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the table in the last 24 hours.",
        ));
    }
    Ok(())
}
