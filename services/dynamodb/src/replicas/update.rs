//! What UpdateTable's ReplicaUpdates do: replicas come, go, are changed and leave.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ReplicationGroupUpdate.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::{Context, RequestUuid};
use fractus_store::{Scope, Transaction};

use super::feed::{LAG, LEAVING};
use super::group::{Replica, ReplicaTable, Version, check_is_no_source, join, leave, members};
use super::settings::{Settings, Wanted, change_settings, set, settings_of};
use super::strong::{self, Asked, Present, Step, Strong, Witness};
use super::{elsewhere, is_region};
use crate::background::discard;
use crate::bulk;
use crate::error::{Error, Result};
use crate::features::{self, Features};
use crate::history;
use crate::jobs::{self, Job, Work};
use crate::operations::described::status;
use crate::service::DynamoDb;
use crate::store::{EXPIRING_TABLES, TABLES, Table};
use crate::streams;
use crate::table::{TimeToLive, View};

fn invalid(message: impl Into<String>) -> Error {
    Error::validation(message)
}

const NO_ACTION: &str = "There are no actions specified in the Replica Update Action of the request.";
const LOCAL: &str = "Cannot add or delete the local region through ReplicaUpdates. Use CreateTable, DeleteTable, or UpdateTable as required.";

/// The actions of a request, one in each update.
#[derive(Default)]
struct Actions<'a> {
    creates: Vec<&'a api::CreateReplicationGroupMemberAction>,
    changes: Vec<&'a api::UpdateReplicationGroupMemberAction>,
    deletes: Vec<&'a str>,
    leaves: Option<&'a api::DisassociateReplicationGroupMemberAction>,
}

fn actions(updates: &[api::ReplicationGroupUpdate]) -> Result<Actions<'_>> {
    let mut all = Actions::default();
    for update in updates {
        match (&update.create, &update.update, &update.delete, &update.disassociate) {
            // The same once more is the same.
            (Some(create), None, None, None) => {
                if !all.creates.iter().any(|known| known.region_name == create.region_name) {
                    all.creates.push(create);
                }
            }
            (None, Some(change), None, None) => all.changes.push(change),
            (None, None, Some(delete), None) => {
                if !all.deletes.contains(&delete.region_name.as_str()) {
                    all.deletes.push(&delete.region_name);
                }
            }
            (None, None, None, Some(leaves)) if updates.len() == 1 => all.leaves = Some(leaves),
            // Unconfirmed words.
            (None, None, None, Some(_)) => {
                return Err(invalid("The Disassociate action must be the only replica update in the request"));
            }
            (None, None, None, None) => return Err(invalid(NO_ACTION)),
            _ => {
                return Err(invalid("Update table operation with more than one type of replica actions not allowed"));
            }
        }
    }
    Ok(all)
}

/// What a request does to a table's replicas, in its transaction. Gives the copies that have to be begun.
pub fn update(
    tx: &mut Transaction<'_>,
    (dynamodb, cx, scope): (&DynamoDb, &Context, &Scope),
    table: &mut Table,
    input: &api::UpdateTableInput,
) -> Result<Vec<String>> {
    let Some(updates) = &input.replica_updates else { return Ok(Vec::new()) };
    let now = tx.now(scope);
    let actions = actions(updates)?;
    let witnesses = input.global_table_witness_updates.as_deref().unwrap_or_default();
    let replicas = table.features.replicas.clone();
    let strong = replicas.as_ref().and_then(|replicas| replicas.strong(now));
    let step = strong::step(
        &Asked {
            own: cx.region.as_str(),
            strong: input.multi_region_consistency.as_ref().map(|own| *own == api::MultiRegionConsistency::Strong),
            creates: &actions.creates.iter().map(|create| create.region_name.as_str()).collect::<Vec<_>>(),
            deletes: &actions.deletes,
            others: actions.changes.len() + usize::from(actions.leaves.is_some()),
            new_witness: witnesses.iter().find_map(|own| own.create.as_ref()).map(|own| own.region_name.as_str()),
            old_witness: witnesses.iter().find_map(|own| own.delete.as_ref()).map(|own| own.region_name.as_str()),
        },
        &Present {
            replicas: &replicas
                .iter()
                .flat_map(|own| own.present(now))
                .map(|own| own.region.as_str())
                .collect::<Vec<_>>(),
            is_strong: strong.is_some(),
            witness: strong.and_then(|strong| strong.witness.as_ref()).map(|witness| witness.region.as_str()),
        },
    )?;
    let named = actions.creates.iter().map(|create| create.region_name.as_str()).chain(actions.deletes.iter().copied());
    if named.into_iter().any(|region| region == cx.region.as_str()) {
        return Err(invalid(LOCAL));
    }
    check_is_free(replicas.iter().flat_map(|own| own.present(now)), now)?;
    let mut copies = Vec::new();
    if step == Step::Make {
        let witness = witnesses.iter().find_map(|own| own.create.as_ref()).map(|own| own.region_name.clone());
        make_strong(tx, (dynamodb, cx, scope), table, (&actions.creates, witness))?;
    } else {
        for create in &actions.creates {
            copies.push(add(tx, (dynamodb, cx, scope), table, create)?);
        }
    }
    for change in &actions.changes {
        change_settings(tx, (cx, scope), table, change)?;
    }
    for region in &actions.deletes {
        remove(tx, (dynamodb, scope), table, region)?;
    }
    if let Some(wanted) = actions.leaves {
        disassociate(tx, (cx, scope), table, wanted)?;
    }
    if step == Step::Dissolve {
        let until = now.plus(Duration::from_secs(dynamodb.config.table_transition_secs));
        end_witness(table, until);
    }
    Ok(copies)
}

/// While a replica comes or goes, nothing else is changed.
pub fn check_is_free<'a>(mut others: impl Iterator<Item = &'a Replica>, now: Timestamp) -> Result<()> {
    if others.any(|other| other.status(now) != api::ReplicaStatus::Active) {
        return Err(Error::InUse("The resource which you are attempting to change is in use.".to_owned()));
    }
    Ok(())
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
    // Unconfirmed words, all of them.
    if region != cx.region.as_str() {
        return Err(invalid(format!("Only the replica of the request's own region can be disassociated: {region}")));
    }
    let replicas = table.features.replicas.as_mut();
    let replicas = replicas.filter(|replicas| replicas.version == Version::V2019 && replicas.has_others(now));
    let replicas = replicas.ok_or_else(|| no_replica(region))?;
    if replicas.strong(now).is_some() {
        return Err(invalid("Only replicas with eventual MultiRegionConsistency can be disassociated"));
    }
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

fn existing(name: &str) -> Error {
    invalid(format!(
        "Failed to create a the new replica of table with name: ‘{name}’ because one or more replicas already existed as tables."
    ))
}

fn wanted_of(create: &api::CreateReplicationGroupMemberAction) -> Settings {
    settings_of(&Wanted {
        throughput: create.provisioned_throughput_override.as_ref(),
        on_demand: create.on_demand_throughput_override.as_ref(),
        class: create.table_class_override.as_ref(),
        indexes: create.global_secondary_indexes.as_ref(),
        key: create.kms_master_key_id.as_ref(),
    })
}

/// Where a new replica lies: its region, its account where that is another one, the scope of both.
pub struct Spot<'a> {
    pub region: &'a str,
    pub account: Option<&'a str>,
    pub scope: Scope,
}

/// The table of a new replica, made of another one: everything that all replicas have alike, and none of what is a table's own.
pub fn born(
    tx: &mut Transaction<'_>,
    (dynamodb, cx): (&DynamoDb, &Context),
    source: &Table,
    spot: &Spot<'_>,
    settings: &Settings,
) -> Result<Table> {
    let now = tx.now(&spot.scope);
    if let Some(mut before) = tx.get(&TABLES, &spot.scope, &(source.name.as_str(),))? {
        if status(&before, now).is_some() {
            return Err(existing(&source.name));
        }
        discard(tx, &spot.scope, &mut before)?;
    }
    let not_before = now.plus(Duration::from_secs(dynamodb.config.table_transition_secs));
    let uuid = u128::from(cx.random().u64()) << 64 | u128::from(cx.random().u64());
    let uuid = RequestUuid(uuid).hyphenated();
    let mut replica = Table { id: cx.random().u64(), uuid, features: Features::default(), ..source.clone() };
    (replica.created_at, replica.active_at, replica.deleted_at) = (now, Timestamp::MAX, None);
    features::forget_settings(&mut replica);
    replica.features.not_before = Some(not_before);
    replica.features.settings_mode.clone_from(&source.features.settings_mode);
    set(cx, (spot.account, spot.region), &mut replica, settings);
    // Items expire in all replicas alike; they come into the index of expiries as they are copied.
    if let Some(settings) = source.time_to_live.as_ref().filter(|settings| settings.is_enabled) {
        let id = cx.random().u64();
        replica.time_to_live = Some(TimeToLive { id, settled_at: not_before, ..settings.clone() });
        tx.put(&EXPIRING_TABLES, &spot.scope, &(replica.name.as_str(),), &id)?;
    }
    Ok(replica)
}

/// The tables of a group with the one that the request is for.
fn group_with(
    tx: &Transaction<'_>,
    (region, account, scope): (&str, Option<&str>, &Scope),
    table: &Table,
) -> Result<Vec<(String, ReplicaTable)>> {
    let account = account.map(str::to_owned);
    let own = ReplicaTable { scope: scope.clone(), table: table.clone(), account };
    let mut group = vec![(region.to_owned(), own)];
    for member in members(tx, scope, table)? {
        let region = member.table.features.replicas.as_ref().map(|replicas| replicas.own.clone()).unwrap_or_default();
        group.push((region, member));
    }
    Ok(group)
}

/// Puts a new replica into the group of a table, and begins to copy into it. Gives the copy's job.
pub fn copy_to(
    tx: &mut Transaction<'_>,
    (dynamodb, cx): (&DynamoDb, &Context),
    (own, table): (&Spot<'_>, &mut Table),
    (spot, settings): (Spot<'_>, Settings),
) -> Result<String> {
    let now = tx.now(&own.scope);
    forget_gone(table, now);
    let mut replica = born(tx, (dynamodb, cx), table, &spot, &settings)?;
    // Changes of a replicated table are told as its stream would tell them: it has one, and the new one the same.
    let shards = dynamodb.config.stream_shards;
    features::give_stream(tx, &own.scope, table, cx.random().u64(), (View::NewAndOld, shards))?;
    let view = table.stream.as_ref().map_or(View::NewAndOld, |stream| stream.view);
    features::give_stream(tx, &spot.scope, &mut replica, cx.random().u64(), (view, shards))?;

    let mut group = group_with(tx, (own.region, own.account, &own.scope), table)?;
    let not_before = replica.features.not_before.unwrap_or(now);
    let account = spot.account.map(str::to_owned);
    group.push((spot.region.to_owned(), ReplicaTable { scope: spot.scope, table: replica, account }));
    let known = Replica { is_filled: false, settings, ..Replica::settled(spot.region, not_before) };
    join(tx, &mut group, Version::V2019, &[known])?;
    table.clone_from(&group[0].1.table);
    if let Some(known) = table.features.replicas.as_mut().and_then(|replicas| replicas.find_mut(spot.region)) {
        known.sourced_at = Some(now);
    }

    let cut = history::head(tx, &own.scope, table.id)?;
    let source = jobs::pin(tx, &own.scope, table, cut)?;
    let job = format!("replica/{}/{}", spot.region, table.uuid);
    let account = spot.account.map(str::to_owned);
    let work = Work::Replica { table: table.name.clone(), region: spot.region.to_owned(), account };
    jobs::begin(tx, &own.scope, &job, &Job { source: Some(source), work, from: None, files: 0 })?;
    Ok(job)
}

/// A group whose replicas have all gone is none.
fn forget_gone(table: &mut Table, now: Timestamp) {
    if table.features.replicas.as_ref().is_some_and(|replicas| !replicas.has_others(now)) {
        table.features.replicas = None;
    }
}

fn check_add(tx: &Transaction<'_>, (cx, scope): (&Context, &Scope), table: &Table, region: &str) -> Result<Scope> {
    let there = elsewhere(scope, region).filter(|_| is_region(cx.world.partition, region));
    let there = there.ok_or_else(|| {
        invalid(format!(
            "Region {region} is not supported. The latest version of global tables are only supported in the following regions: AWS's own of this partition"
        ))
    })?;
    if bulk::is_under_way(tx, scope, table.id)? {
        // Unconfirmed words.
        return Err(Error::InUse(format!(
            "Attempt to change a resource which is still in use: Table has a bulk operation in progress: {}",
            table.name
        )));
    }
    let replicas = table.features.replicas.as_ref();
    if replicas.is_some_and(|replicas| replicas.has(region, tx.now(scope))) {
        return Err(existing(&table.name));
    }
    if replicas.is_some_and(|replicas| replicas.account.is_some() && replicas.has_others(tx.now(scope))) {
        // Unconfirmed words.
        return Err(invalid(
            "Replicas of a multi-account global table are created with CreateTable and GlobalTableSourceArn",
        ));
    }
    Ok(there)
}

fn add(
    tx: &mut Transaction<'_>,
    (dynamodb, cx, scope): (&DynamoDb, &Context, &Scope),
    table: &mut Table,
    create: &api::CreateReplicationGroupMemberAction,
) -> Result<String> {
    let region = create.region_name.as_str();
    let there = check_add(tx, (cx, scope), table, region)?;
    let own = Spot { region: cx.region.as_str(), account: None, scope: scope.clone() };
    let spot = Spot { region, account: None, scope: there };
    copy_to(tx, (dynamodb, cx), (&own, table), (spot, wanted_of(create)))
}

/// Makes a group with strong consistency of an empty table. Nothing is to be copied, and no stream is needed.
fn make_strong(
    tx: &mut Transaction<'_>,
    (dynamodb, cx, scope): (&DynamoDb, &Context, &Scope),
    table: &mut Table,
    (creates, witness): (&[&api::CreateReplicationGroupMemberAction], Option<String>),
) -> Result<()> {
    strong::check_table(tx, scope, table)?;
    let now = tx.now(scope);
    forget_gone(table, now);
    let not_before = now.plus(Duration::from_secs(dynamodb.config.table_transition_secs));
    let mut group = group_with(tx, (cx.region.as_str(), None, scope), table)?;
    let mut known = Vec::new();
    for create in creates {
        let region = create.region_name.as_str();
        let there = check_add(tx, (cx, scope), table, region)?;
        let settings = wanted_of(create);
        let spot = Spot { region, account: None, scope: there };
        let mut replica = born(tx, (dynamodb, cx), table, &spot, &settings)?;
        replica.active_at = not_before;
        group.push((region.to_owned(), ReplicaTable { scope: spot.scope, table: replica, account: None }));
        known.push(Replica { settings, ..Replica::settled(region, not_before) });
    }
    join(tx, &mut group, Version::V2019, &known)?;
    let witness = witness.map(|region| Witness { region, not_before, deleted_at: None });
    let strong = Strong { witness };
    for (_, member) in &mut group {
        if let Some(replicas) = &mut member.table.features.replicas {
            replicas.strong = Some(strong.clone());
        }
        tx.put(&TABLES, &member.scope, &(member.table.name.as_str(),), &member.table)?;
    }
    table.clone_from(&group[0].1.table);
    Ok(())
}

fn end_witness(table: &mut Table, until: Timestamp) {
    let replicas = table.features.replicas.as_mut();
    if let Some(witness) = replicas.and_then(|own| own.strong.as_mut()).and_then(|own| own.witness.as_mut()) {
        witness.deleted_at = Some(until);
    }
}

pub(super) fn no_replica(region: &str) -> Error {
    invalid(format!(
        "Update global table operation failed because one or more replicas were not part of the global table. Please retry the request without these replicas: [{region}]."
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
    let known = table.features.replicas.as_ref().and_then(|own| own.present(now).find(|own| own.region == region));
    let there = known.and_then(|known| known.scope(scope)).ok_or_else(|| no_replica(region))?;
    // What the caller has changed so far is seen by the others of the group.
    tx.put(&TABLES, scope, &(table.name.as_str(),), table)?;
    if let Some(mut replica) = tx.get(&TABLES, &there, &(table.name.as_str(),))? {
        check_is_no_source(&replica, now)?;
        if replica.deletion_protection {
            return Err(invalid(PROTECTED));
        }
        leave(tx, &there, &mut replica, until)?;
        replica.deleted_at = Some(until);
        if until <= now {
            discard(tx, &there, &mut replica)?;
        } else {
            streams::disable(tx, &there, &mut replica, now)?;
            tx.put(&TABLES, &there, &(replica.name.as_str(),), &replica)?;
        }
    }
    if let Some(own) = tx.get(&TABLES, scope, &(table.name.as_str(),))? {
        *table = own;
    }
    Ok(())
}

/// What is said of a table that is protected.
pub const PROTECTED: &str =
    "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.";
