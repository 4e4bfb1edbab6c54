//! Global tables of the first version: tables of one name in several regions that are made replicas of each other.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables.V1.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use super::refusals::table_not_found;
use super::table_shape::status;
use crate::error::{Error, Result};
use crate::features;
use crate::replicas::{self, Replica, ReplicaTable, Version, elsewhere, is_region};
use crate::service::{DynamoDb, scope};
use crate::store::TABLES;

/// Global tables of the first version, by name, in an account's own scope.
const GLOBAL_TABLES: Collection<(String,), GlobalTable> = Collection::new("global-tables");

const MAX_GLOBAL_TABLES: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalTable {
    pub created_at: Timestamp,
    /// CREATING or UPDATING until then.
    pub settled_at: Timestamp,
    pub is_updated: bool,
    pub regions: Vec<String>,
}

fn not_found(name: &str) -> Error {
    Error::answer(api::GlobalTableNotFoundException::new(format!("Global table with name: '{name}' does not exist.")))
}

pub(super) fn find(snapshot: &Snapshot<'_>, cx: &Context, name: &str) -> Result<GlobalTable> {
    snapshot.get(&GLOBAL_TABLES, &Scope::account(&cx.world), &(name,))?.ok_or_else(|| not_found(name))
}

/// The regional part of the caller's account.
pub(super) fn in_region(cx: &Context, region: &str) -> Result<Scope> {
    let there = elsewhere(&scope(cx), region).filter(|_| is_region(cx.world.partition, region));
    there.ok_or_else(|| Error::validation(format!("Unsupported region: {region}")))
}

fn described(cx: &Context, name: &str, global: &GlobalTable) -> api::GlobalTableDescription {
    let now = cx.now();
    let (partition, account) = (cx.world.partition.as_str(), cx.world.account.as_str());
    let is_settled = global.settled_at <= now;
    let replica = |region: &String| api::ReplicaDescription {
        replica_arn: Some(format!("arn:{partition}:dynamodb:{region}:{account}:table/{name}")),
        ..replicas::described_replica(&Replica::settled(region, global.settled_at), now)
    };
    api::GlobalTableDescription {
        replication_group: Some(global.regions.iter().map(replica).collect()),
        global_table_arn: Some(format!("arn:{partition}:dynamodb::{account}:global-table/{name}")),
        creation_date_time: Some(global.created_at),
        global_table_status: Some(match (is_settled, global.is_updated) {
            (true, _) => api::GlobalTableStatus::Active,
            (false, false) => api::GlobalTableStatus::Creating,
            (false, true) => api::GlobalTableStatus::Updating,
        }),
        global_table_name: Some(name.to_owned()),
    }
}

/// The tables of these regions, each fit to be a replica.
fn fit_tables(
    tx: &Transaction<'_>,
    cx: &Context,
    name: &str,
    regions: &[String],
    must_be_empty: impl Fn(&str) -> bool,
) -> Result<Vec<(String, ReplicaTable)>> {
    let mut members: Vec<(String, ReplicaTable)> = Vec::new();
    for region in regions {
        let scope = in_region(cx, region)?;
        let table = tx.get(&TABLES, &scope, &(name,))?;
        let table = table.filter(|table| status(table, tx.now(&scope)) == Some(api::TableStatus::Active));
        let table = table.ok_or_else(|| table_not_found(name))?;
        if !features::streams_both_images(&table) {
            return Err(Error::validation(format!(
                "StreamEnabled: true and StreamViewType: NEW_AND_OLD_IMAGES are required for table '{name}' in region {region}"
            )));
        }
        if must_be_empty(region) && features::counted(tx, &scope, table.id)?.0 > 0 {
            return Err(Error::validation(format!("Table '{name}' in region {region} is not empty")));
        }
        if members.first().is_some_and(|(_, first)| first.table.key != table.key) {
            return Err(Error::validation(format!(
                "The key schema of table '{name}' in region {region} is another one"
            )));
        }
        members.push((region.clone(), ReplicaTable { scope, table, account: None }));
    }
    Ok(members)
}

pub async fn create(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::CreateGlobalTableInput,
) -> Result<api::CreateGlobalTableOutput> {
    let name = input.global_table_name.as_str();
    let regions: Vec<String> = input.replication_group.iter().filter_map(|own| own.region_name.clone()).collect();
    if regions.is_empty() || regions.len() != input.replication_group.len() {
        return Err(Error::validation("ReplicationGroup must name the regions of the replicas"));
    }
    if !regions.iter().any(|region| region == cx.region.as_str()) {
        return Err(Error::validation("The region of the request must be one of the replication group's"));
    }
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let account = Scope::account(&cx.world);
    let written = dynamodb.store.write(|tx| {
        if tx.contains(&GLOBAL_TABLES, &account, &(name,))? {
            return Err(Error::answer(api::GlobalTableAlreadyExistsException::new(format!(
                "Global table with name: '{name}' already exists."
            ))));
        }
        let now = tx.now(&account);
        let mut members = fit_tables(tx, cx, name, &regions, |_| true)?;
        if members.iter().any(|(_, member)| member.table.features.replicas.is_some()) {
            return Err(Error::answer(api::GlobalTableAlreadyExistsException::new(format!(
                "Global table with name: '{name}' already exists."
            ))));
        }
        let settled_at = now.plus(transition);
        let new: Vec<_> = regions.iter().map(|region| Replica::settled(region, settled_at)).collect();
        replicas::join(tx, &mut members, Version::V2017, &new)?;
        let global = GlobalTable { created_at: now, settled_at, is_updated: false, regions: regions.clone() };
        tx.put(&GLOBAL_TABLES, &account, &(name,), &global)?;
        Ok::<_, Error>(global)
    });
    let mut description = described(cx, name, &written.await?);
    description.global_table_status = Some(api::GlobalTableStatus::Creating);
    dynamodb.feeds.wake();
    Ok(api::CreateGlobalTableOutput { global_table_description: Some(description) })
}

pub async fn update(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::UpdateGlobalTableInput,
) -> Result<api::UpdateGlobalTableOutput> {
    let name = input.global_table_name.as_str();
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    let account = Scope::account(&cx.world);
    let written = dynamodb.store.write(|tx| {
        let (mut global, now) = (find(tx, cx, name)?, tx.now(&account));
        let settled_at = now.plus(transition);
        for update in &input.replica_updates {
            match (&update.create, &update.delete) {
                (Some(create), None) => add(tx, cx, (name, &mut global), &create.region_name, settled_at)?,
                (None, Some(delete)) => remove(tx, cx, (name, &mut global), &delete.region_name, settled_at)?,
                _ => {
                    return Err(Error::validation(
                        "Exactly one of Create or Delete must be given for each replica update",
                    ));
                }
            }
        }
        (global.settled_at, global.is_updated) = (settled_at, true);
        match global.regions.is_empty() {
            true => tx.delete(&GLOBAL_TABLES, &account, &(name,))?,
            false => tx.put(&GLOBAL_TABLES, &account, &(name,), &global)?,
        }
        Ok::<_, Error>(global)
    });
    let mut description = described(cx, name, &written.await?);
    description.global_table_status = Some(api::GlobalTableStatus::Updating);
    dynamodb.feeds.wake();
    Ok(api::UpdateGlobalTableOutput { global_table_description: Some(description) })
}

fn add(
    tx: &mut Transaction<'_>,
    cx: &Context,
    (name, global): (&str, &mut GlobalTable),
    region: &str,
    settled_at: Timestamp,
) -> Result<()> {
    if global.regions.iter().any(|own| own == region) {
        return Err(Error::answer(api::ReplicaAlreadyExistsException::new(format!(
            "Global table: '{name}' already contains a replica in region: {region}"
        ))));
    }
    global.regions.push(region.to_owned());
    let mut members = fit_tables(tx, cx, name, &global.regions, |own| own == region)?;
    replicas::join(tx, &mut members, Version::V2017, &[Replica::settled(region, settled_at)])
}

fn remove(
    tx: &mut Transaction<'_>,
    cx: &Context,
    (name, global): (&str, &mut GlobalTable),
    region: &str,
    until: Timestamp,
) -> Result<()> {
    if !global.regions.iter().any(|own| own == region) {
        return Err(Error::answer(api::ReplicaNotFoundException::new(format!(
            "Global table: '{name}' does not contain a replica in region: {region}"
        ))));
    }
    global.regions.retain(|own| own != region);
    let scope = in_region(cx, region)?;
    match tx.get(&TABLES, &scope, &(name,))? {
        Some(mut table) => replicas::leave(tx, &scope, &mut table, until),
        None => Ok(()),
    }
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeGlobalTableInput,
) -> Result<api::DescribeGlobalTableOutput> {
    let name = input.global_table_name.as_str();
    let global = dynamodb.store.read(|snapshot| find(snapshot, cx, name)).await?;
    Ok(api::DescribeGlobalTableOutput { global_table_description: Some(described(cx, name, &global)) })
}

pub async fn list(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::ListGlobalTablesInput,
) -> Result<api::ListGlobalTablesOutput> {
    let account = Scope::account(&cx.world);
    let limit = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_GLOBAL_TABLES);
    let limit = limit.min(MAX_GLOBAL_TABLES);
    let range = match &input.exclusive_start_global_table_name {
        Some(after) => Range::all().after(&(after.as_str(),)),
        None => Range::all(),
    };
    let found = dynamodb.store.read(|snapshot| {
        let mut found = Vec::new();
        for record in snapshot.range(&GLOBAL_TABLES, &account, range, Order::Ascending)? {
            let ((name,), global) = record?;
            if input.region_name.as_ref().is_none_or(|region| global.regions.contains(region)) {
                found.push((name, global));
            }
            if found.len() > limit {
                break;
            }
        }
        Ok::<_, Error>(found)
    });
    let mut found = found.await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|(name, _)| name.clone());
    let table = |(name, global): (String, GlobalTable)| api::GlobalTable {
        global_table_name: Some(name),
        replication_group: Some(
            global.regions.into_iter().map(|region| api::Replica { region_name: Some(region) }).collect(),
        ),
    };
    Ok(api::ListGlobalTablesOutput {
        global_tables: Some(found.into_iter().map(table).collect()),
        last_evaluated_global_table_name: last,
    })
}
