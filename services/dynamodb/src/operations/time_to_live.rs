//! The time to live of a table's items: switched on and off, and told.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Scope, Transaction};

use crate::error::{Error, Result};
use crate::fillings::{self, Step, TIME_TO_LIVE};
use crate::replicas;
use crate::service::{DynamoDb, scope, table_name};
use crate::store::{DISCARDED, EXPIRING_TABLES, Filled, TABLES, Table};
use crate::table::{State, TimeToLive};

pub async fn update(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::UpdateTimeToLiveInput,
) -> Result<api::UpdateTimeToLiveOutput> {
    let (scope, name) = (scope(cx), table_name(&input.table_name));
    let wanted = &input.time_to_live_specification;
    let id = cx.random().u64();
    let transition = Duration::from_secs(dynamodb.config.table_transition_secs);
    dynamodb
        .store
        .write(|tx| {
            let now = tx.now(&scope);
            let mut table = tx.get(&TABLES, &scope, &(name,))?.ok_or_else(|| Error::NoTable(name.to_owned()))?;
            match table.state(now) {
                None => return Err(Error::NoTable(name.to_owned())),
                Some(State::Active | State::Updating) => {}
                Some(_) => return Err(super::tables::in_use(&table, now)),
            }
            check_change(table.time_to_live.as_ref(), wanted, now)?;
            replicas::strong::check_time_to_live(&table, now)?;
            let others = match table.features.replicas.as_ref().map(|replicas| replicas.version) {
                Some(replicas::Version::V2019) => replicas::members(tx, &scope, &table)?,
                _ => Vec::new(),
            };
            switch(tx, &scope, &mut table, (wanted, id, now.plus(transition)))?;
            // All replicas have the same time to live.
            for (at, mut other) in (1..).zip(others) {
                switch(tx, &other.scope, &mut other.table, (wanted, id.wrapping_add(at), now.plus(transition)))?;
            }
            Ok(())
        })
        .await?;
    dynamodb.discarded.notify_one();
    dynamodb.expiries.wake();
    Ok(api::UpdateTimeToLiveOutput { time_to_live_specification: Some(input.time_to_live_specification) })
}

/// Gives a table a time to live, or takes it away. It lies under an id of its own.
fn switch(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    table: &mut Table,
    (wanted, id, settled_at): (&api::TimeToLiveSpecification, u64, Timestamp),
) -> Result<()> {
    let (name, now) = (table.name.clone(), tx.now(scope));
    if let Some(before) = &table.time_to_live {
        tx.put(&DISCARDED, scope, &(before.id,), &())?;
    }
    let attribute = wanted.attribute_name.clone();
    table.time_to_live = Some(TimeToLive { id, attribute, is_enabled: wanted.enabled, settled_at });
    tx.put(&TABLES, scope, &(name.as_str(),), table)?;
    if !wanted.enabled {
        return Ok(tx.delete(&EXPIRING_TABLES, scope, &(name.as_str(),))?);
    }
    tx.put(&EXPIRING_TABLES, scope, &(name.as_str(),), &id)?;
    fillings::begin(tx, scope, table, Filled::TimeToLive(id), now)?;
    // A small table is looked through at once.
    let _: Step = fillings::step(tx, scope, &name, TIME_TO_LIVE)?;
    Ok(())
}

fn check_change(before: Option<&TimeToLive>, wanted: &api::TimeToLiveSpecification, now: Timestamp) -> Result<()> {
    if before.is_some_and(|before| before.settled_at > now) {
        return Err(Error::validation("Time to live has been modified multiple times within a fixed interval"));
    }
    let enabled = before.filter(|before| before.is_enabled);
    match (enabled, wanted.enabled) {
        (Some(_), true) => Err(Error::validation("TimeToLive is already enabled")),
        (None, false) => Err(Error::validation("TimeToLive is already disabled")),
        (Some(before), false) if before.attribute != wanted.attribute_name => Err(Error::validation(format!(
            "TimeToLive is active on a different AttributeName: current AttributeName is {}",
            before.attribute
        ))),
        _ => Ok(()),
    }
}

pub async fn describe(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::DescribeTimeToLiveInput,
) -> Result<api::DescribeTimeToLiveOutput> {
    let (scope, name) = (scope(cx), table_name(&input.table_name));
    let no_table = || Error::NoTable(name.to_owned());
    let found = dynamodb.store.read(|snapshot| {
        let now = snapshot.now(&scope);
        let table = snapshot.get_shared(&TABLES, &scope, &(name,))?.ok_or_else(no_table)?;
        table.state(now).ok_or_else(no_table)?;
        Ok::<_, Error>((table.time_to_live.clone(), now))
    });
    let (settings, now) = found.await?;
    let status = settings.as_ref().map(|settings| match (settings.is_enabled, settings.settled_at > now) {
        (true, true) => api::TimeToLiveStatus::Enabling,
        (true, false) => api::TimeToLiveStatus::Enabled,
        (false, true) => api::TimeToLiveStatus::Disabling,
        (false, false) => api::TimeToLiveStatus::Disabled,
    });
    let status = status.unwrap_or(api::TimeToLiveStatus::Disabled);
    let attribute = settings.filter(|_| status != api::TimeToLiveStatus::Disabled).map(|settings| settings.attribute);
    let description = api::TimeToLiveDescription { time_to_live_status: Some(status), attribute_name: attribute };
    Ok(api::DescribeTimeToLiveOutput { time_to_live_description: Some(description) })
}
