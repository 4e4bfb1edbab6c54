//! What a replica has of its own, and what is the same in all replicas.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html>

use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Scope, Transaction};
use serde::{Deserialize, Serialize};

use super::elsewhere;
use super::group::{Version, members};
use super::update::no_replica;
use crate::error::{Error, Result};
use crate::operations::table_shape::managed_key;
use crate::store::{Index, TABLES, Table};

/// What a replica has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub read_units: Option<i64>,
    pub class: Option<String>,
    /// Read units of indexes, by name.
    pub indexes: Vec<(String, Option<i64>)>,
    /// The most read units a second on demand.
    pub read_limit: Option<i64>,
    /// The same of indexes, by name.
    pub index_limits: Vec<(String, i64)>,
    /// The KMS key, as it was given.
    pub key: Option<String>,
}

/// How settings are brought to the other replicas: an account's own global tables may have some of them otherwise, those of several
/// accounts may not.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html#V2globaltables_HowItWorks.setting-synchronization>
pub fn settings_mode(table: &Table) -> &str {
    match table.features.replicas.as_ref().is_some_and(|replicas| replicas.account.is_some()) {
        true => "ENABLED",
        false => "ENABLED_WITH_OVERRIDES",
    }
}

/// What has been set anew in a table.
struct Changed<'a> {
    before: &'a Table,
    table: &'a Table,
}

impl Changed<'_> {
    fn index(&self, name: &str) -> Option<(&Index, &Index)> {
        Some((self.before.index(name)?, self.table.index(name)?))
    }

    /// What a replica has otherwise holds only until it is set in another one.
    fn overrides(&self, settings: &mut Settings) {
        let (before, table) = (self.before, self.table);
        if before.throughput.0 != table.throughput.0 {
            settings.read_units = None;
        }
        if before.limits.read != table.limits.read {
            settings.read_limit = None;
        }
        if before.class != table.class {
            settings.class = None;
        }
        let is_same = |name: &str, same: fn(&Index, &Index) -> bool| {
            self.index(name).is_none_or(|(before, after)| same(before, after))
        };
        settings.indexes.retain(|(name, _)| is_same(name, |before, after| before.throughput.0 == after.throughput.0));
        settings
            .index_limits
            .retain(|(name, _)| is_same(name, |before, after| before.limits.read == after.limits.read));
    }

    /// Brings to a replica what all of them have alike.
    fn to(&self, cx: &Context, (account, region): (Option<&str>, &str), own: &mut Table) {
        let (before, table) = (self.before, self.table);
        let is_new_mode = own.on_demand != table.on_demand;
        if is_new_mode {
            (own.on_demand, own.on_demand_since) = (table.on_demand, table.on_demand_since);
        }
        own.attributes.clone_from(&table.attributes);
        own.warm = table.warm;
        own.limits.write = table.limits.write;
        own.throughput.1 = table.throughput.1;
        if is_new_mode || before.throughput.0 != table.throughput.0 {
            own.throughput.0 = table.throughput.0;
        }
        if before.limits.read != table.limits.read {
            own.limits.read = table.limits.read;
        }
        if before.class != table.class {
            own.class.clone_from(&table.class);
            own.class_changed_at = table.class_changed_at;
        }
        // The key is the region's own; that there is one, all have alike.
        if before.encryption_key != table.encryption_key {
            let key = own.encryption_key.take().unwrap_or_else(|| managed_key_arn(cx, (account, region)));
            own.encryption_key = table.encryption_key.is_some().then_some(key);
        }
        for index in own.indexes.iter_mut().filter(|index| index.is_global) {
            let Some(source) = table.index(&index.name) else { continue };
            index.throughput.1 = source.throughput.1;
            index.limits.write = source.limits.write;
            index.warm = source.warm;
            let before = self.before.index(&index.name);
            if is_new_mode || before.is_some_and(|before| before.throughput.0 != source.throughput.0) {
                index.throughput.0 = source.throughput.0;
            }
            if before.is_some_and(|before| before.limits.read != source.limits.read) {
                index.limits.read = source.limits.read;
            }
        }
    }
}

/// Brings the settings to the other replicas that are the same in all of them, and those that have been set anew. `also` is what comes
/// after that to each of them.
pub fn share_settings(
    tx: &mut Transaction<'_>,
    (cx, scope): (&Context, &Scope),
    (before, table): (&Table, &mut Table),
    mut also: impl FnMut(&mut Transaction<'_>, &Scope, &mut Table) -> Result<()>,
) -> Result<()> {
    if table.features.replicas.as_ref().is_none_or(|replicas| replicas.version != Version::V2019) {
        return Ok(());
    }
    for mut member in members(tx, scope, table)? {
        let changed = Changed { before, table };
        let Some(replicas) = member.table.features.replicas.as_mut() else { continue };
        replicas.others.iter_mut().for_each(|other| changed.overrides(&mut other.settings));
        let region = replicas.own.clone();
        changed.to(cx, (member.account.as_deref(), &region), &mut member.table);
        tx.put(&TABLES, &member.scope, &(table.name.as_str(),), &member.table)?;
        also(tx, &member.scope, &mut member.table)?;
    }
    let mut known = table.features.replicas.take();
    let changed = Changed { before, table };
    for other in known.iter_mut().flat_map(|replicas| &mut replicas.others) {
        changed.overrides(&mut other.settings);
    }
    table.features.replicas = known;
    Ok(())
}

/// What a request says of a replica.
pub struct Wanted<'a> {
    pub throughput: Option<&'a api::ProvisionedThroughputOverride>,
    pub on_demand: Option<&'a api::OnDemandThroughputOverride>,
    pub class: Option<&'a api::TableClass>,
    pub indexes: Option<&'a Vec<api::ReplicaGlobalSecondaryIndex>>,
    pub key: Option<&'a String>,
}

pub fn settings_of(wanted: &Wanted<'_>) -> Settings {
    let limit = |own: Option<&api::OnDemandThroughputOverride>| own.and_then(|own| own.max_read_request_units);
    let index_limit = |index: &api::ReplicaGlobalSecondaryIndex| {
        Some((index.index_name.clone(), limit(index.on_demand_throughput_override.as_ref())?))
    };
    let index = |index: &api::ReplicaGlobalSecondaryIndex| {
        let units = index.provisioned_throughput_override.as_ref().and_then(|own| own.read_capacity_units);
        (index.index_name.clone(), units)
    };
    Settings {
        read_units: wanted.throughput.and_then(|own| own.read_capacity_units),
        class: wanted.class.map(|class| class.as_str().to_owned()),
        indexes: wanted.indexes.into_iter().flatten().map(index).collect(),
        read_limit: limit(wanted.on_demand),
        index_limits: wanted.indexes.into_iter().flatten().filter_map(index_limit).collect(),
        key: wanted.key.cloned(),
    }
}

/// The ARN of the key that AWS manages in a replica's region and account.
fn managed_key_arn(cx: &Context, (account, region): (Option<&str>, &str)) -> String {
    let account = account.unwrap_or(cx.world.account.as_str());
    key_arn(cx, (Some(account), region), &managed_key(account, region))
}

/// The ARN of a key in a replica's region.
fn key_arn(cx: &Context, (account, region): (Option<&str>, &str), key: &str) -> String {
    let (partition, account) = (cx.world.partition.as_str(), account.unwrap_or(cx.world.account.as_str()));
    match key {
        arn if arn.starts_with("arn:") => arn.to_owned(),
        alias if alias.starts_with("alias/") => format!("arn:{partition}:kms:{region}:{account}:{alias}"),
        id => format!("arn:{partition}:kms:{region}:{account}:key/{id}"),
    }
}

/// Gives a replica's table what is its own.
pub fn set(cx: &Context, place: (Option<&str>, &str), table: &mut Table, settings: &Settings) {
    if let Some(key) = &settings.key {
        table.encryption_key = Some(key_arn(cx, place, key));
    }
    // -1 takes a bound away.
    let bound = |units: i64| Some(units).filter(|units| *units > 0);
    if let Some(units) = settings.read_limit {
        table.limits.read = bound(units);
    }
    for (name, units) in &settings.index_limits {
        if let Some(index) = table.indexes.iter_mut().find(|index| index.name == *name) {
            index.limits.read = bound(*units);
        }
    }
    if let Some(units) = settings.read_units {
        table.throughput.0 = units;
    }
    if settings.class.is_some() {
        table.class.clone_from(&settings.class);
    }
    for (name, units) in &settings.indexes {
        if let (Some(index), Some(units)) = (table.indexes.iter_mut().find(|index| index.name == *name), units) {
            index.throughput.0 = *units;
        }
    }
}

/// What UpdateTable says of a replica, which is told to it.
pub fn change_settings(
    tx: &mut Transaction<'_>,
    (cx, scope): (&Context, &Scope),
    table: &mut Table,
    change: &api::UpdateReplicationGroupMemberAction,
) -> Result<()> {
    let (region, now) = (change.region_name.as_str(), tx.now(scope));
    let settings = settings_of(&Wanted {
        throughput: change.provisioned_throughput_override.as_ref(),
        on_demand: change.on_demand_throughput_override.as_ref(),
        class: change.table_class_override.as_ref(),
        indexes: change.global_secondary_indexes.as_ref(),
        key: change.kms_master_key_id.as_ref(),
    });
    let on_demand = table.on_demand;
    let replica = table.features.replicas.as_mut().and_then(|replicas| replicas.find_mut(region));
    let replica = replica.filter(|replica| !replica.is_gone(now)).ok_or_else(|| no_replica(region))?;
    if replica.account.is_some() {
        // Unconfirmed words.
        return Err(Error::validation("Settings of a replica of a multi-account global table cannot be overridden"));
    }
    if on_demand && settings.read_units.is_some() {
        return Err(Error::validation(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ));
    }
    replica.settings.read_units = settings.read_units.or(replica.settings.read_units);
    replica.settings.read_limit = settings.read_limit.or(replica.settings.read_limit);
    if settings.key.is_some() {
        replica.settings.key.clone_from(&settings.key);
    }
    for limit in &settings.index_limits {
        replica.settings.index_limits.retain(|own| own.0 != limit.0);
        replica.settings.index_limits.push(limit.clone());
    }
    if settings.class.is_some() {
        replica.settings.class.clone_from(&settings.class);
    }
    for index in &settings.indexes {
        replica.settings.indexes.retain(|own| own.0 != index.0);
        replica.settings.indexes.push(index.clone());
    }
    let there = elsewhere(scope, region).ok_or_else(|| no_replica(region))?;
    if let Some(mut own) = tx.get(&TABLES, &there, &(table.name.as_str(),))? {
        set(cx, (None, region), &mut own, &settings);
        tx.put(&TABLES, &there, &(table.name.as_str(),), &own)?;
    }
    Ok(tx.put(&TABLES, scope, &(table.name.as_str(),), table)?)
}
