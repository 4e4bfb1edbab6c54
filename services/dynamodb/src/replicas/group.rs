//! Which replicas a table has, and how they come and go.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::{Context, RequestUuid};
use fractus_store::{Scope, Transaction};
use serde::{Deserialize, Serialize};

use super::feed::{FEED_HEADS, LAG, LEAVING};
use super::settings::{Settings, Wanted, change_settings, set, settings_mode, settings_of};
use super::{elsewhere, is_region};
use crate::bulk;
use crate::error::{Error, Result};
use crate::features::{self, Features};
use crate::history;
use crate::jobs::{self, Job, Work};
use crate::operations::described::status;
use crate::service::DynamoDb;
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
}

impl Replica {
    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.deleted_at.is_some_and(|deleted_at| deleted_at <= now)
    }

    pub fn status(&self, now: Timestamp) -> api::ReplicaStatus {
        match self.deleted_at {
            Some(_) => api::ReplicaStatus::Deleting,
            None if self.is_filled && self.not_before <= now => api::ReplicaStatus::Active,
            None => api::ReplicaStatus::Creating,
        }
    }
}

impl Replicas {
    pub fn has_others(&self, now: Timestamp) -> bool {
        self.others.iter().any(|other| !other.is_gone(now))
    }

    pub fn find_mut(&mut self, region: &str) -> Option<&mut Replica> {
        self.others.iter_mut().find(|other| other.region == region)
    }

    fn has(&self, region: &str, now: Timestamp) -> bool {
        self.others.iter().any(|other| other.region == region && !other.is_gone(now))
    }
}

/// A table of this name in a region, and where it lies.
pub struct ReplicaTable {
    pub scope: Scope,
    pub table: Table,
}

pub fn described_replica(arn: String, replica: &Replica, now: Timestamp) -> api::ReplicaDescription {
    let read =
        |units: Option<i64>| units.map(|units| api::ProvisionedThroughputOverride { read_capacity_units: Some(units) });
    let settings = &replica.settings;
    let index = |(name, units): &(String, Option<i64>)| api::ReplicaGlobalSecondaryIndexDescription {
        index_name: Some(name.clone()),
        provisioned_throughput_override: read(*units),
        on_demand_throughput_override: settings
            .index_limits
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, units)| api::OnDemandThroughputOverride { max_read_request_units: Some(*units) }),
        ..Default::default()
    };
    let indexes: Vec<_> = settings.indexes.iter().map(index).collect();
    api::ReplicaDescription {
        region_name: Some(replica.region.clone()),
        replica_status: Some(replica.status(now)),
        replica_arn: Some(arn),
        provisioned_throughput_override: read(settings.read_units),
        on_demand_throughput_override: settings
            .read_limit
            .map(|units| api::OnDemandThroughputOverride { max_read_request_units: Some(units) }),
        kms_master_key_id: settings.key.clone(),
        global_secondary_indexes: (!indexes.is_empty()).then_some(indexes),
        replica_table_class_summary: settings.class.as_deref().map(|class| api::TableClassSummary {
            table_class: Some(api::TableClass::from(class)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What DescribeTable says of a table's replicas: the others.
pub fn described(cx: &Context, table: &Table) -> api::TableDescription {
    let now = cx.now();
    let Some(replicas) = table.features.replicas.as_ref().filter(|replicas| replicas.has_others(now)) else {
        return api::TableDescription::default();
    };
    if replicas.version == Version::V2017 {
        return api::TableDescription::default();
    }
    let (partition, account) = (cx.world.partition.as_str(), cx.world.account.as_str());
    let arn = |region: &str| format!("arn:{partition}:dynamodb:{region}:{account}:table/{}", table.name);
    let others = replicas.others.iter().filter(|other| !other.is_gone(now));
    let mode = Some(api::GlobalTableSettingsReplicationMode::from(settings_mode(table)));
    let one = |other: &Replica| api::ReplicaDescription {
        global_table_settings_replication_mode: mode.clone(),
        ..described_replica(arn(&other.region), other, now)
    };
    let described = others.map(one).collect();
    api::TableDescription {
        global_table_version: Some(replicas.version.as_str().to_owned()),
        replicas: Some(described),
        global_table_settings_replication_mode: mode.clone(),
        disassociation_protection_enabled: Some(table.features.disassociation_protection.unwrap_or(false)),
        ..Default::default()
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::validation(message)
}

/// Tables that have a feed are looked at by the task that tells changes.
pub fn open_feed(tx: &mut Transaction<'_>, scope: &Scope, table: u64) -> Result<()> {
    if tx.get(&FEED_HEADS, scope, &(table,))?.is_none() {
        tx.put(&FEED_HEADS, scope, &(table,), &1)?;
    }
    Ok(())
}

/// The tables of a group: this one and those of the other regions.
pub(super) fn members(tx: &Transaction<'_>, scope: &Scope, table: &Table) -> Result<Vec<ReplicaTable>> {
    let now = tx.now(scope);
    let mut members = Vec::new();
    let others = table.features.replicas.iter().flat_map(|replicas| &replicas.others);
    for other in others.filter(|other| !other.is_gone(now)) {
        let Some(scope) = elsewhere(scope, &other.region) else { continue };
        if let Some(table) = tx.get(&TABLES, &scope, &(table.name.as_str(),))? {
            members.push(ReplicaTable { scope, table });
        }
    }
    Ok(members)
}

/// Makes the tables know each other as replicas. `new` are the regions that come in with this.
pub fn join(
    tx: &mut Transaction<'_>,
    members: &mut [(String, ReplicaTable)],
    version: Version,
    new: &[(String, Replica)],
) -> Result<()> {
    let regions: Vec<String> = members.iter().map(|(region, _)| region.clone()).collect();
    for (own, member) in members {
        let replicas = member.table.features.replicas.get_or_insert_with(|| Replicas {
            version,
            own: own.clone(),
            leaves_at: None,
            others: Vec::new(),
        });
        replicas.version = version;
        for region in regions.iter().filter(|region| *region != own) {
            let fresh = new.iter().find(|(name, _)| name == region).map(|(_, replica)| replica.clone());
            match (replicas.find_mut(region), fresh) {
                (Some(known), Some(fresh)) => *known = fresh,
                (None, Some(fresh)) => replicas.others.push(fresh),
                (None, None) => replicas.others.push(Replica {
                    region: region.clone(),
                    not_before: Timestamp::EPOCH,
                    is_filled: true,
                    deleted_at: None,
                    settings: Settings::default(),
                }),
                (Some(_), None) => {}
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

/// What a new replica's table is made with, beside its source.
struct Newborn {
    id: u64,
    uuid: String,
}

/// What UpdateTable's ReplicaUpdates do, in its transaction. Gives the copies that have to be begun.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ReplicationGroupUpdate.html>
pub fn update(
    tx: &mut Transaction<'_>,
    (dynamodb, cx, scope): (&DynamoDb, &Context, &Scope),
    table: &mut Table,
    updates: &[api::ReplicationGroupUpdate],
) -> Result<Vec<String>> {
    let mut copies = Vec::new();
    for update in updates {
        match (&update.create, &update.update, &update.delete, &update.disassociate) {
            (Some(create), None, None, None) => copies.push(add(tx, (dynamodb, cx, scope), table, create)?),
            (None, Some(change), None, None) => change_settings(tx, (cx, scope), table, change)?,
            (None, None, Some(delete), None) => remove(tx, (dynamodb, scope), table, &delete.region_name)?,
            (None, None, None, Some(wanted)) if updates.len() == 1 => disassociate(tx, (cx, scope), table, wanted)?,
            // Unconfirmed words, both.
            (None, None, None, Some(_)) => {
                return Err(invalid("The Disassociate action must be the only replica update in the request"));
            }
            _ => {
                return Err(invalid(
                    "Exactly one of Create, Update, Delete or Disassociate must be given for each replica update",
                ));
            }
        }
    }
    Ok(copies)
}

/// Begins to take a table out of its global table: it stays as a table of its own region. What it has written, and the others have,
/// is told before; the feeds' task then ends it.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables-disassociate.html>
fn disassociate(
    tx: &mut Transaction<'_>,
    (cx, scope): (&Context, &Scope),
    table: &mut Table,
    wanted: &api::DisassociateReplicationGroupMemberAction,
) -> Result<()> {
    let now = tx.now(scope);
    let region = wanted.region_name.as_str();
    // Unconfirmed words, all three.
    if region != cx.region.as_str() {
        return Err(invalid(format!("Only the replica of the request's own region can be disassociated: {region}")));
    }
    let replicas = table.features.replicas.as_mut();
    let replicas = replicas.filter(|replicas| replicas.version == Version::V2019 && replicas.has_others(now));
    let replicas = replicas.ok_or_else(|| no_replica(region))?;
    if table.features.disassociation_protection == Some(true) {
        return Err(invalid(
            "The replica is protected against disassociation. Disable disassociation protection first",
        ));
    }
    replicas.leaves_at = Some(now);
    tx.put(&LEAVING, scope, &(table.name.as_str(),), &now)?;
    table.updated_at = table.updated_at.max(Some(now.plus(LAG * 2)));
    Ok(tx.put(&TABLES, scope, &(table.name.as_str(),), table)?)
}

fn add(
    tx: &mut Transaction<'_>,
    (dynamodb, cx, scope): (&DynamoDb, &Context, &Scope),
    table: &mut Table,
    create: &api::CreateReplicationGroupMemberAction,
) -> Result<String> {
    let (region, now) = (create.region_name.as_str(), tx.now(scope));
    let there = elsewhere(scope, region).filter(|_| is_region(cx.world.partition, region));
    let there = there.ok_or_else(|| invalid(format!("Unsupported region: {region}")))?;
    if bulk::is_under_way(tx, scope, table.id)? {
        // Unconfirmed words.
        return Err(Error::InUse(format!(
            "Attempt to change a resource which is still in use: Table has a bulk operation in progress: {}",
            table.name
        )));
    }
    let is_known = table.features.replicas.as_ref().is_some_and(|replicas| replicas.has(region, now));
    if region == cx.region.as_str() || is_known {
        return Err(invalid(format!(
            "Failed to create a the new replica of table with name: '{}' because one or more replicas already existed as tables.",
            table.name
        )));
    }
    if let Some(existing) = tx.get(&TABLES, &there, &(table.name.as_str(),))? {
        if status(&existing, now).is_some() {
            return Err(invalid(format!(
                "Failed to create a the new replica of table with name: '{}' because one or more replicas already existed as tables.",
                table.name
            )));
        }
        features::retire(tx, &there, &existing)?;
    }
    let settings = settings_of(&Wanted {
        throughput: create.provisioned_throughput_override.as_ref(),
        on_demand: create.on_demand_throughput_override.as_ref(),
        class: create.table_class_override.as_ref(),
        indexes: create.global_secondary_indexes.as_ref(),
        key: create.kms_master_key_id.as_ref(),
    });
    let not_before = now.plus(Duration::from_secs(dynamodb.config.table_transition_secs));
    let uuid = u128::from(cx.random().u64()) << 64 | u128::from(cx.random().u64());
    let newborn = Newborn { id: cx.random().u64(), uuid: RequestUuid(uuid).hyphenated() };
    let mut replica = Table { id: newborn.id, uuid: newborn.uuid, features: Features::default(), ..table.clone() };
    (replica.created_at, replica.active_at, replica.deleted_at) = (now, Timestamp::MAX, None);
    features::forget_settings(&mut replica);
    replica.features.not_before = Some(not_before);
    replica.features.settings_mode.clone_from(&table.features.settings_mode);
    set(cx, region, &mut replica, &settings);
    // Changes of a replicated table are told as its stream would tell them: it has one.
    let shards = dynamodb.config.stream_shards;
    features::give_stream(tx, scope, table, cx.random().u64(), shards)?;
    features::give_stream(tx, &there, &mut replica, cx.random().u64(), shards)?;

    let mut group = vec![(cx.region.as_str().to_owned(), ReplicaTable { scope: scope.clone(), table: table.clone() })];
    for member in members(tx, scope, table)? {
        let own = member.table.features.replicas.as_ref().map(|replicas| replicas.own.clone()).unwrap_or_default();
        group.push((own, member));
    }
    group.push((region.to_owned(), ReplicaTable { scope: there, table: replica }));
    let known = Replica { region: region.to_owned(), not_before, is_filled: false, deleted_at: None, settings };
    join(tx, &mut group, Version::V2019, &[(region.to_owned(), known)])?;
    table.clone_from(&group[0].1.table);

    let cut = history::head(tx, scope, table.id)?;
    let source = jobs::pin(tx, scope, table, cut)?;
    let job = format!("replica/{region}/{}", table.uuid);
    let work = Work::Replica { table: table.name.clone(), region: region.to_owned() };
    jobs::begin(tx, scope, &job, &Job { source: Some(source), work, from: None, files: 0 })?;
    Ok(job)
}

pub(super) fn no_replica(region: &str) -> Error {
    invalid(format!(
        "Replica specified in the Replica Update or Replica Delete action of the request was not found: {region}"
    ))
}

fn remove(
    tx: &mut Transaction<'_>,
    (dynamodb, scope): (&DynamoDb, &Scope),
    table: &mut Table,
    region: &str,
) -> Result<()> {
    let now = tx.now(scope);
    let until = now.plus(Duration::from_secs(dynamodb.config.table_transition_secs));
    let is_known = table.features.replicas.as_ref().is_some_and(|replicas| replicas.has(region, now));
    let there = elsewhere(scope, region).filter(|_| is_known).ok_or_else(|| no_replica(region))?;
    // What the caller has changed so far is seen by the others of the group.
    tx.put(&TABLES, scope, &(table.name.as_str(),), table)?;
    if let Some(mut replica) = tx.get(&TABLES, &there, &(table.name.as_str(),))? {
        leave(tx, &there, &mut replica, until)?;
        replica.deleted_at = Some(until);
        if until <= now {
            tx.delete(&TABLES, &there, &(replica.name.as_str(),))?;
            features::retire(tx, &there, &replica)?;
        } else {
            tx.put(&TABLES, &there, &(replica.name.as_str(),), &replica)?;
        }
    }
    if let Some(own) = tx.get(&TABLES, scope, &(table.name.as_str(),))? {
        *table = own;
    }
    Ok(())
}
