//! CreateTable with a source: a replica of another account's table, in another region.
//!
//! Each replica of such a global table is of another account; they have all of their settings alike.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_MA_HowItWorks.html>

use fractus_aws::{AccountId, Arn, Region};
use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Scope, Transaction};

use super::table_shape::{check_name, described, tagged};
use super::{policies, tables};
use crate::error::{Error, Result};
use crate::jobs;
use crate::replicas::authorized::{self, Party};
use crate::replicas::members;
use crate::replicas::update::{Spot, copy_to};
use crate::service::{DynamoDb, table_name};
use crate::store::{Counters, TABLES, Table};
use crate::table::State;

/// The table that a replica is made from.
struct Source {
    account: AccountId,
    region: Region,
    scope: Scope,
    arn: String,
}

// Unconfirmed words, all that are refused here.

fn source(cx: &Context, (name, arn): (&str, &str)) -> Result<Source> {
    let wrong = || Error::validation(format!("Invalid GlobalTableSourceArn: {arn}"));
    let parsed: Arn = arn.parse().map_err(|_| wrong())?;
    let table = parsed.resource.strip_prefix("table/").filter(|_| parsed.service == "dynamodb").ok_or_else(wrong)?;
    let account = AccountId::new(&parsed.account).map_err(|_| wrong())?;
    let region = Region::new(&parsed.region).map_err(|_| wrong())?;
    if table != name {
        return Err(Error::validation("The replica must have the name of the table of GlobalTableSourceArn"));
    }
    if account == cx.world.account || region == cx.region {
        return Err(Error::validation(
            "A replica created with GlobalTableSourceArn must be in another account and another region than its source",
        ));
    }
    let scope = Scope::regional(&cx.world.with_account(account.clone()), &region);
    Ok(Source { account, region, scope, arn: arn.to_owned() })
}

/// What a replica has from its source is not said again, and its settings follow the others'.
fn check_input(input: &api::CreateTableInput) -> Result<()> {
    if input.global_table_settings_replication_mode != Some(api::GlobalTableSettingsReplicationMode::Enabled) {
        return Err(Error::validation(
            "GlobalTableSettingsReplicationMode must be ENABLED when GlobalTableSourceArn is specified",
        ));
    }
    let is_said = input.key_schema.is_some()
        || input.attribute_definitions.is_some()
        || input.local_secondary_indexes.is_some()
        || input.global_secondary_indexes.is_some()
        || input.vector_indexes.is_some()
        || input.billing_mode.is_some()
        || input.provisioned_throughput.is_some()
        || input.on_demand_throughput.is_some()
        || input.warm_throughput.is_some()
        || input.stream_specification.is_some()
        || input.sse_specification.is_some()
        || input.table_class.is_some();
    if is_said {
        return Err(Error::validation(
            "Settings that are replicated from the source table cannot be specified with GlobalTableSourceArn",
        ));
    }
    input.resource_policy.as_deref().map_or(Ok(()), policies::check)
}

/// A table that replicas of other accounts may be made from.
fn check_source(table: &Table, arn: &str, now: fractus_clock::Timestamp) -> Result<()> {
    match table.state(now) {
        None => return Err(Error::NoResourceArn(arn.to_owned())),
        Some(State::Active) => {}
        Some(_) => return Err(tables::in_use(table, now)),
    }
    if table.features.settings_mode.as_deref() != Some("ENABLED") {
        return Err(Error::validation("The source table must have GlobalTableSettingsReplicationMode set to ENABLED"));
    }
    let replicas = table.features.replicas.as_ref().filter(|replicas| replicas.has_others(now));
    if replicas.is_some_and(|replicas| replicas.account.is_none()) {
        return Err(Error::validation("The source table is a replica of a same-account global table"));
    }
    Ok(())
}

/// The policies of all replicas, the new one among them, let all of them replicate.
fn check_policies(
    tx: &Transaction<'_>,
    (dynamodb, cx): (&DynamoDb, &Context),
    (source, from): (&Source, &Table),
    (name, policy): (&str, Option<&str>),
) -> Result<()> {
    let partition = cx.world.partition;
    let whose = (source.region.as_str(), source.account.as_str());
    let mut parties = vec![Party::of(tx, (&source.scope, from), partition, whose)?];
    for member in members(tx, &source.scope, from)? {
        let replicas = member.table.features.replicas.as_ref();
        if let Some((replicas, account)) = replicas.zip(member.account.as_deref()) {
            let whose = (replicas.own.as_str(), account);
            parties.push(Party::of(tx, (&member.scope, &member.table), partition, whose)?);
        }
    }
    let own = (cx.region.as_str(), cx.world.account.as_str());
    parties.push(Party::new(partition, own, name, policy.map(str::to_owned)));
    authorized::check_new(dynamodb, &parties)
}

pub async fn create(
    dynamodb: &DynamoDb,
    cx: &Context,
    (input, arn): (api::CreateTableInput, &str),
) -> Result<api::CreateTableOutput> {
    let name = table_name(&input.table_name);
    check_name(name)?;
    let source = source(cx, (name, arn))?;
    check_input(&input)?;
    let tags = tagged(&[], input.tags.as_deref().unwrap_or_default())?;
    let scope = crate::service::scope(cx);
    let (table, copy) = dynamodb
        .store
        .write(|tx| {
            let now = tx.now(&source.scope);
            let no_source = || Error::NoResourceArn(source.arn.clone());
            let mut from = tx.get(&TABLES, &source.scope, &(name,))?.ok_or_else(no_source)?;
            check_source(&from, &source.arn, now)?;
            let replicas = from.features.replicas.as_ref();
            let is_taken = replicas.is_some_and(|replicas| {
                replicas.present(now).any(|other| {
                    other.region == cx.region.as_str() || other.account.as_deref() == Some(cx.world.account.as_str())
                })
            });
            if is_taken {
                return Err(Error::validation("The global table has a replica in this region or account"));
            }
            if let Some(before) = tx.get(&TABLES, &scope, &(name,))?.filter(|before| before.state(now).is_some()) {
                return Err(Error::TableExists(before.name));
            }
            check_policies(tx, (dynamodb, cx), (&source, &from), (name, input.resource_policy.as_deref()))?;
            let own = Spot {
                region: source.region.as_str(),
                account: Some(source.account.as_str()),
                scope: source.scope.clone(),
            };
            let account = Some(cx.world.account.as_str());
            let spot = Spot { region: cx.region.as_str(), account, scope: scope.clone() };
            let copy = copy_to(tx, (dynamodb, cx), (&own, &mut from), (spot, Default::default()))?;
            let mut table = tx.get(&TABLES, &scope, &(name,))?.ok_or(Error::NoResource)?;
            authorized::mark(tx, &source.scope, name)?;
            authorized::mark(tx, &scope, name)?;
            table.tags.clone_from(&tags);
            table.deletion_protection = input.deletion_protection_enabled == Some(true);
            tx.put(&TABLES, &scope, &(name,), &table)?;
            if let Some(policy) = &input.resource_policy {
                policies::put_new(tx, &scope, table.id, policy)?;
            }
            Ok((table, copy))
        })
        .await?;
    jobs::start_now(dynamodb, &source.scope, &copy).await?;
    dynamodb.feeds.wake();
    let description = described(cx, &table, api::TableStatus::Creating, Counters::default());
    Ok(api::CreateTableOutput { table_description: Some(description) })
}
