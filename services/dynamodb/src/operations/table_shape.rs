//! A table as requests define it and as answers describe it.

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;

use crate::error::{Error, Result};
use crate::store::{Counters, Index, Projected, Table};

const INVALID: &str = "One or more parameter values were invalid: ";

type Key = (Vec<String>, Vec<String>);

fn invalid(what: impl std::fmt::Display) -> Error {
    Error::validation(format!("{INVALID}{what}"))
}

/// The attributes of a key schema: the partition's, then the sort key's.
fn key_of(elements: &[api::KeySchemaElement], max_each: (usize, usize)) -> Result<Key> {
    let names = |kind: &api::KeyType| -> Vec<String> {
        elements
            .iter()
            .filter(|element| element.key_type == *kind)
            .map(|element| element.attribute_name.clone())
            .collect()
    };
    let key = (names(&api::KeyType::Hash), names(&api::KeyType::Range));
    if elements.first().is_none_or(|first| first.key_type != api::KeyType::Hash) {
        return Err(Error::validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type"));
    }
    if key.0.len() > max_each.0 || key.1.len() > max_each.1 {
        return Err(Error::validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"));
    }
    let all: Vec<&String> = key.0.iter().chain(&key.1).collect();
    if all.iter().enumerate().any(|(index, name)| all[..index].contains(name)) {
        return Err(Error::validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ));
    }
    Ok(key)
}

fn projection(projection: &api::Projection) -> Result<(Projected, Vec<String>)> {
    let included = projection.non_key_attributes.clone().unwrap_or_default();
    match (&projection.projection_type, included.is_empty()) {
        (None, _) => Err(invalid("Unknown ProjectionType: null")),
        (Some(api::ProjectionType::Include), true) => {
            Err(invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"))
        }
        (Some(api::ProjectionType::Include), false) => Ok((Projected::Include, included)),
        (Some(kind), false) => {
            Err(invalid(format!("ProjectionType is {}, but NonKeyAttributes is specified", kind.as_str())))
        }
        (Some(api::ProjectionType::KeysOnly), true) => Ok((Projected::KeysOnly, included)),
        (Some(_), true) => Ok((Projected::All, included)),
    }
}

fn units(throughput: Option<&api::ProvisionedThroughput>) -> (i64, i64) {
    throughput.map_or((0, 0), |units| (units.read_capacity_units, units.write_capacity_units))
}

fn indexes(input: &api::CreateTableInput, key: &Key) -> Result<Vec<Index>> {
    const MAX_LOCAL: usize = 5;
    let mut indexes: Vec<Index> = Vec::new();
    let locals = input.local_secondary_indexes.iter().flatten();
    let globals = input.global_secondary_indexes.iter().flatten();
    for local in locals {
        let own = key_of(&local.key_schema, (1, 1))?;
        if own.0 != key.0 {
            return Err(invalid(format!(
                "Table KeySchema does not have the same leading hash key as the index KeySchema for index: {}",
                local.index_name
            )));
        }
        if own.1.is_empty() || key.1.is_empty() {
            return Err(invalid(format!("Index KeySchema does not have a range key for index: {}", local.index_name)));
        }
        let (projected, included) = projection(&local.projection)?;
        let (number, name) = (indexes.len() as u64, local.index_name.clone());
        indexes.push(Index { number, name, is_global: false, key: own, projected, included, throughput: (0, 0) });
    }
    if indexes.len() > MAX_LOCAL {
        return Err(invalid("Number of LocalSecondaryIndexes exceeds per-table limit of 5"));
    }
    for global in globals {
        let (projected, included) = projection(&global.projection)?;
        let (number, name) = (indexes.len() as u64, global.index_name.clone());
        let throughput = units(global.provisioned_throughput.as_ref());
        let key = key_of(&global.key_schema, (4, 4))?;
        indexes.push(Index { number, name, is_global: true, key, projected, included, throughput });
    }
    for (at, index) in indexes.iter().enumerate() {
        if indexes[..at].iter().any(|other| other.name == index.name) {
            return Err(invalid(format!("Duplicate index name: {}", index.name)));
        }
    }
    Ok(indexes)
}

/// Every attribute of a key is defined, and nothing else is.
fn check_definitions(defined: &[(String, String)], key: &Key, indexes: &[Index]) -> Result<()> {
    let keys = || std::iter::once(key).chain(indexes.iter().map(|index| &index.key));
    let is_defined = |name: &String| defined.iter().any(|(own, _)| own == name);
    let undefined: Vec<String> =
        keys().flat_map(|key| key.0.iter().chain(&key.1)).filter(|name| !is_defined(name)).cloned().collect();
    let names = || defined.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    if !undefined.is_empty() {
        return Err(invalid(format!(
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
            undefined.join(", "),
            names()
        )));
    }
    let is_used = |name: &String| keys().any(|key| key.0.contains(name) || key.1.contains(name));
    if defined.iter().all(|(name, _)| is_used(name)) {
        return Ok(());
    }
    if indexes.is_empty() {
        return Err(invalid(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
        ));
    }
    Err(invalid(format!("Some AttributeDefinitions are not used. AttributeDefinitions: [{}]", names())))
}

fn check_billing(input: &api::CreateTableInput, on_demand: bool) -> Result<()> {
    match (on_demand, input.provisioned_throughput.is_some()) {
        (true, true) => Err(invalid(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        )),
        (false, false) => Err(invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        )),
        _ => Ok(()),
    }
}

/// What is asked for and cannot be given is refused, not forgotten.
fn check_built(input: &api::CreateTableInput) -> Result<()> {
    let asks = |is_asked: bool, what: &'static str| if is_asked { Err(Error::NotBuilt(what)) } else { Ok(()) };
    let streams = input.stream_specification.as_ref().is_some_and(|stream| stream.stream_enabled);
    asks(streams, "StreamSpecification")?;
    asks(input.vector_indexes.as_ref().is_some_and(|indexes| !indexes.is_empty()), "VectorIndexes")?;
    asks(input.resource_policy.is_some(), "ResourcePolicy")?;
    asks(input.global_table_source_arn.is_some(), "GlobalTableSourceArn")?;
    asks(input.tags.as_ref().is_some_and(|tags| !tags.is_empty()), "Tags")?;
    asks(input.sse_specification.is_some(), "SSESpecification")?;
    asks(input.warm_throughput.is_some() || input.on_demand_throughput.is_some(), "throughput beyond BillingMode")
}

/// The table that a request defines; what is only known later is left for the caller.
pub fn defined(input: &api::CreateTableInput) -> Result<Table> {
    check_built(input)?;
    let elements = input.key_schema.as_deref().unwrap_or_default();
    let key = key_of(elements, (1, 1))?;
    let attributes: Vec<(String, String)> = input
        .attribute_definitions
        .iter()
        .flatten()
        .map(|definition| (definition.attribute_name.clone(), definition.attribute_type.as_str().to_owned()))
        .collect();
    let indexes = indexes(input, &key)?;
    check_definitions(&attributes, &key, &indexes)?;
    let on_demand = input.billing_mode == Some(api::BillingMode::PayPerRequest);
    check_billing(input, on_demand)?;
    Ok(Table {
        name: input.table_name.clone(),
        id: 0,
        uuid: String::new(),
        created_at: Timestamp::from_micros(0),
        active_at: Timestamp::from_micros(0),
        deleted_at: None,
        attributes,
        key,
        indexes,
        on_demand,
        throughput: units(input.provisioned_throughput.as_ref()),
        deletion_protection: input.deletion_protection_enabled == Some(true),
        class: input.table_class.as_ref().map(|class| class.as_str().to_owned()),
    })
}

fn elements(key: &Key) -> Vec<api::KeySchemaElement> {
    let of = |names: &[String], kind: api::KeyType| -> Vec<api::KeySchemaElement> {
        let element = |name: &String| api::KeySchemaElement { attribute_name: name.clone(), key_type: kind.clone() };
        names.iter().map(element).collect()
    };
    let mut elements = of(&key.0, api::KeyType::Hash);
    elements.extend(of(&key.1, api::KeyType::Range));
    elements
}

fn projection_of(index: &Index) -> api::Projection {
    let kind = match index.projected {
        Projected::All => api::ProjectionType::All,
        Projected::KeysOnly => api::ProjectionType::KeysOnly,
        Projected::Include => api::ProjectionType::Include,
    };
    let included = (!index.included.is_empty()).then(|| index.included.clone());
    api::Projection { projection_type: Some(kind), non_key_attributes: included }
}

fn throughput((read, write): (i64, i64)) -> api::ProvisionedThroughputDescription {
    api::ProvisionedThroughputDescription {
        number_of_decreases_today: Some(0),
        read_capacity_units: Some(read),
        write_capacity_units: Some(write),
        ..Default::default()
    }
}

pub fn table_arn(cx: &Context, name: &str) -> String {
    let partition = cx.world.partition.as_str();
    format!("arn:{partition}:dynamodb:{}:{}:table/{name}", cx.region.as_str(), cx.world.account.as_str())
}

/// The status of a table at a time; nothing if it is gone.
pub fn status(table: &Table, now: Timestamp) -> Option<api::TableStatus> {
    match table.deleted_at {
        Some(deleted_at) if deleted_at <= now => None,
        Some(_) => Some(api::TableStatus::Deleting),
        None if table.active_at > now => Some(api::TableStatus::Creating),
        None => Some(api::TableStatus::Active),
    }
}

pub fn described(cx: &Context, table: &Table, status: api::TableStatus, counters: Counters) -> api::TableDescription {
    let arn = table_arn(cx, &table.name);
    let index_status = match status {
        api::TableStatus::Creating => api::IndexStatus::Creating,
        api::TableStatus::Deleting => api::IndexStatus::Deleting,
        _ => api::IndexStatus::Active,
    };
    let index_arn = |index: &Index| Some(format!("{arn}/index/{}", index.name));
    let local = |index: &Index| api::LocalSecondaryIndexDescription {
        index_name: Some(index.name.clone()),
        key_schema: Some(elements(&index.key)),
        projection: Some(projection_of(index)),
        index_arn: index_arn(index),
        ..Default::default()
    };
    let global = |index: &Index| api::GlobalSecondaryIndexDescription {
        index_name: Some(index.name.clone()),
        key_schema: Some(elements(&index.key)),
        projection: Some(projection_of(index)),
        index_status: Some(index_status.clone()),
        provisioned_throughput: Some(throughput(index.throughput)),
        index_arn: index_arn(index),
        ..Default::default()
    };
    let of = |is_global: bool| table.indexes.iter().filter(move |index| index.is_global == is_global);
    let locals: Vec<_> = of(false).map(local).collect();
    let globals: Vec<_> = of(true).map(global).collect();
    let definition = |(name, kind): &(String, String)| api::AttributeDefinition {
        attribute_name: name.clone(),
        attribute_type: match kind.as_str() {
            "N" => api::ScalarAttributeType::N,
            "B" => api::ScalarAttributeType::B,
            _ => api::ScalarAttributeType::S,
        },
    };
    let billing = api::BillingModeSummary {
        billing_mode: Some(api::BillingMode::PayPerRequest),
        last_update_to_pay_per_request_date_time: Some(table.created_at),
    };
    let class = table.class.as_deref().map(|class| api::TableClassSummary {
        table_class: Some(match class {
            "STANDARD_INFREQUENT_ACCESS" => api::TableClass::StandardInfrequentAccess,
            _ => api::TableClass::Standard,
        }),
        ..Default::default()
    });
    api::TableDescription {
        attribute_definitions: Some(table.attributes.iter().map(definition).collect()),
        table_name: Some(table.name.clone()),
        key_schema: Some(elements(&table.key)),
        table_status: Some(status),
        creation_date_time: Some(table.created_at),
        provisioned_throughput: Some(throughput(table.throughput)),
        table_size_bytes: i64::try_from(counters.bytes).ok(),
        item_count: i64::try_from(counters.items).ok(),
        table_arn: Some(arn),
        table_id: Some(table.uuid.clone()),
        billing_mode_summary: table.on_demand.then_some(billing),
        local_secondary_indexes: (!locals.is_empty()).then_some(locals),
        global_secondary_indexes: (!globals.is_empty()).then_some(globals),
        table_class_summary: class,
        deletion_protection_enabled: Some(table.deletion_protection),
        ..Default::default()
    }
}
