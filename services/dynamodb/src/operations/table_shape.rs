//! A table as requests define it.

use fractus_dynamodb_api as api;
use fractus_host::Context;

use super::limits::TABLE_UNITS;
use super::vector_indexes;

pub use super::described::{described, status, table_arn};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::table::{Index, KeyNames as Key, OnDemandLimits, Projected, Table, Units, View};

const INVALID: &str = "One or more parameter values were invalid: ";
pub(super) const MAX_GLOBAL_INDEXES: usize = 20;
const MAX_TAGS: usize = 50;

pub(super) fn invalid(what: impl std::fmt::Display) -> Error {
    Error::validation(format!("{INVALID}{what}"))
}

/// The attributes of a key schema: the partition's, then the sort key's.
pub(super) fn key_of(elements: &[api::KeySchemaElement], max_each: (usize, usize)) -> Result<Key> {
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

pub(super) fn projection(projection: &api::Projection) -> Result<(Projected, Vec<String>)> {
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

/// A table, or an index, may not be given more than the quota of a table.
pub(super) fn check_units(throughput: Option<&api::ProvisionedThroughput>) -> Result<()> {
    let (read, write) = units(throughput);
    for (units, name) in [(read, "read"), (write, "write")] {
        if units > TABLE_UNITS {
            // Unconfirmed words.
            return Err(Error::LimitExceeded(format!(
                "Subscriber limit exceeded: {units} {name} capacity units are more than the per-table limit of {TABLE_UNITS}"
            )));
        }
    }
    Ok(())
}

pub(super) fn units(throughput: Option<&api::ProvisionedThroughput>) -> Units {
    throughput.map_or((0, 0), |units| (units.read_capacity_units, units.write_capacity_units))
}

pub(super) fn is_on_demand(mode: Option<&api::BillingMode>) -> bool {
    mode == Some(&api::BillingMode::PayPerRequest)
}

/// A global index of a table that is on demand or not.
pub(super) fn global_index(number: u64, global: &api::GlobalSecondaryIndex, on_demand: bool) -> Result<Index> {
    let (projected, included) = projection(&global.projection)?;
    let name = global.index_name.clone();
    match (&global.provisioned_throughput, on_demand) {
        (Some(_), true) => {
            return Err(invalid(format!(
                "ProvisionedThroughput should not be specified for index: {name} when BillingMode is PAY_PER_REQUEST"
            )));
        }
        (None, false) => return Err(invalid(format!("ProvisionedThroughput is not specified for index: {name}"))),
        _ => {}
    }
    check_units(global.provisioned_throughput.as_ref())?;
    Ok(Index {
        number,
        name,
        is_global: true,
        key: key_of(&global.key_schema, (4, 4))?,
        projected,
        included,
        throughput: units(global.provisioned_throughput.as_ref()),
        limits: on_demand_limits(OnDemandLimits::default(), global.on_demand_throughput.as_ref())?,
        warm: warm_units(None, global.warm_throughput.as_ref())?,
        ..Index::default()
    })
}

/// What a stream is to show; nothing where none is asked for.
pub(super) fn stream_view(specification: Option<&api::StreamSpecification>) -> Result<Option<View>> {
    let Some(specification) = specification else { return Ok(None) };
    // Unconfirmed words, both.
    match (specification.stream_enabled, &specification.stream_view_type) {
        (false, None) => Ok(None),
        (false, Some(_)) => Err(invalid("StreamViewType cannot be specified when StreamEnabled is false")),
        (true, None) => Err(invalid("StreamViewType must be specified when StreamEnabled is true")),
        (true, Some(api::StreamViewType::NewImage)) => Ok(Some(View::New)),
        (true, Some(api::StreamViewType::OldImage)) => Ok(Some(View::Old)),
        (true, Some(api::StreamViewType::KeysOnly)) => Ok(Some(View::KeysOnly)),
        (true, Some(_)) => Ok(Some(View::NewAndOld)),
    }
}

/// Maxima as they are after a request: -1 takes one away.
pub(super) fn on_demand_limits(
    before: OnDemandLimits,
    wanted: Option<&api::OnDemandThroughput>,
) -> Result<OnDemandLimits> {
    let Some(wanted) = wanted else { return Ok(before) };
    let one = |before: Option<i64>, wanted: Option<i64>, name: &str| match wanted {
        None => Ok(before),
        Some(-1) => Ok(None),
        Some(units) if units >= 1 => Ok(Some(units)),
        // Unconfirmed words.
        Some(units) => Err(invalid(format!("{name} must be -1 or at least 1, and is {units}"))),
    };
    Ok(OnDemandLimits {
        read: one(before.read, wanted.max_read_request_units, "MaxReadRequestUnits")?,
        write: one(before.write, wanted.max_write_request_units, "MaxWriteRequestUnits")?,
    })
}

/// What a table or an index is warmed up for on demand, unless it is told otherwise.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/warm-throughput.html>
pub const WARM: Units = (12_000, 4_000);

pub(super) fn warm_units(before: Option<Units>, wanted: Option<&api::WarmThroughput>) -> Result<Option<Units>> {
    let Some(wanted) = wanted else { return Ok(before) };
    let (read, write) = before.unwrap_or(WARM);
    let units = (wanted.read_units_per_second.unwrap_or(read), wanted.write_units_per_second.unwrap_or(write));
    if units.0 < 1 || units.1 < 1 {
        // Unconfirmed words.
        return Err(invalid("WarmThroughput must be at least 1"));
    }
    Ok(Some(units))
}

/// The ARN of the key that a table is encrypted with; nothing for the one that AWS owns.
pub(super) fn encryption_key(cx: &Context, wanted: Option<&api::SSESpecification>) -> Result<Option<String>> {
    let Some(wanted) = wanted else { return Ok(None) };
    if wanted.sse_type == Some(api::SSEType::Aes256) {
        // Unconfirmed words.
        return Err(invalid("SSEType AES256 is not supported"));
    }
    if wanted.enabled != Some(true) {
        return match &wanted.kms_master_key_id {
            None => Ok(None),
            // Unconfirmed words.
            Some(_) => Err(invalid("KMSMasterKeyId can only be specified when SSESpecification is enabled")),
        };
    }
    let prefix =
        format!("arn:{}:kms:{}:{}:", cx.world.partition.as_str(), cx.region.as_str(), cx.world.account.as_str());
    Ok(Some(match wanted.kms_master_key_id.as_deref() {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        Some("alias/aws/dynamodb") | None => {
            format!("{prefix}key/{}", managed_key(cx.world.account.as_str(), cx.region.as_str()))
        }
        Some(alias) if alias.starts_with("alias/") => format!("{prefix}{alias}"),
        Some(id) => format!("{prefix}key/{id}"),
    }))
}

/// The id of the key that AWS manages for DynamoDB in an account and region: always the same one.
pub fn managed_key(account: &str, region: &str) -> String {
    use fractus_dynamodb_rules::Value;
    let of = [Value::text("aws/dynamodb"), Value::text(account), Value::text(region)];
    let hash = u128::from_be_bytes(fractus_dynamodb_rules::key::partition_hash(of.iter()));
    let version_4 = (hash & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    fractus_host::RequestUuid(version_4).hyphenated()
}

/// A table's tags after some were given.
pub(super) fn tagged(before: &[(String, String)], given: &[api::Tag]) -> Result<Vec<(String, String)>> {
    let mut tags = before.to_vec();
    for (at, tag) in given.iter().enumerate() {
        // Unconfirmed words, all three.
        if given[..at].iter().any(|other| other.key == tag.key) {
            return Err(invalid("Tag keys must be unique"));
        }
        if tag.key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys starting with 'aws:' are reserved for system use"));
        }
        match tags.iter_mut().find(|(key, _)| *key == tag.key) {
            Some((_, value)) => value.clone_from(&tag.value),
            None => tags.push((tag.key.clone(), tag.value.clone())),
        }
    }
    if tags.len() > MAX_TAGS {
        return Err(invalid("Too many tags: a table has at most 50"));
    }
    Ok(tags)
}

fn indexes(input: &api::CreateTableInput, key: &Key) -> Result<Vec<Index>> {
    const MAX_LOCAL: usize = 5;
    let mut indexes: Vec<Index> = Vec::new();
    let locals = input.local_secondary_indexes.iter().flatten();
    let globals = input.global_secondary_indexes.iter().flatten();
    for local in locals {
        if key.1.is_empty() {
            return Err(invalid(
                "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
            ));
        }
        let own = key_of(&local.key_schema, (1, 1))?;
        if own.0 != key.0 {
            return Err(invalid(format!(
                "Table KeySchema does not have the same leading hash key as the index KeySchema for index: {}",
                local.index_name
            )));
        }
        if own.1.is_empty() {
            return Err(invalid(format!("Index KeySchema does not have a range key for index: {}", local.index_name)));
        }
        let (projected, included) = projection(&local.projection)?;
        let (number, name) = (indexes.len() as u64, local.index_name.clone());
        indexes.push(Index { number, name, key: own, projected, included, ..Index::default() });
    }
    if indexes.len() > MAX_LOCAL {
        return Err(invalid("Number of LocalSecondaryIndexes exceeds per-table limit of 5"));
    }
    let local_count = indexes.len();
    for global in globals {
        let number = indexes.len() as u64;
        indexes.push(global_index(number, global, is_on_demand(input.billing_mode.as_ref()))?);
    }
    if indexes.len() - local_count > MAX_GLOBAL_INDEXES {
        return Err(invalid("GlobalSecondaryIndex count exceeds the per-table limit of 20"));
    }
    Ok(indexes)
}

/// Every attribute of a key is defined, and nothing else is.
pub(super) fn check_definitions(defined: &[(String, String)], key: &Key, indexes: &[Index]) -> Result<()> {
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

pub(super) fn check_billing(on_demand: bool, has_throughput: bool) -> Result<()> {
    match (on_demand, has_throughput) {
        (true, true) => Err(invalid(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        )),
        (false, false) => Err(invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        )),
        _ => Ok(()),
    }
}

/// Names have letters, digits, `_`, `-` and `.`.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
pub(super) fn check_name(name: &str) -> Result<()> {
    const LENGTHS: std::ops::RangeInclusive<usize> = 3..=255;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if LENGTHS.contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(Error::validation(
        "Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only the characters a-z, A-Z, 0-9, '_', '-', and '.'",
    ))
}

/// The table that a request defines; what is only known later is left for the caller.
pub fn defined(cx: &Context, input: &api::CreateTableInput) -> Result<Table> {
    input.resource_policy.as_deref().map_or(Ok(()), super::policies::check)?;
    check_name(crate::service::table_name(&input.table_name))?;
    let elements = input.key_schema.as_deref().unwrap_or_default();
    let key = key_of(elements, (1, 1))?;
    let attributes = definitions(input.attribute_definitions.as_deref());
    let on_demand = is_on_demand(input.billing_mode.as_ref());
    let indexes = indexes(input, &key)?;
    let vectors = vector_indexes::of_new_table(input, indexes.len() as u64, &attributes, &key)?;
    let names: Vec<&str> = indexes
        .iter()
        .map(|index| index.name.as_str())
        .chain(vectors.iter().map(|index| index.name.as_str()))
        .collect();
    if let Some((_, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(invalid(format!("Duplicate index name: {name}")));
    }
    // What only searches of vectors ask for is defined too.
    let is_searched = |name: &String| vectors.iter().any(|index| index.searched().any(|own| own == name));
    let is_key = |name: &String| {
        let mut keys = std::iter::once(&key).chain(indexes.iter().map(|index| &index.key));
        keys.any(|key| key.0.contains(name) || key.1.contains(name))
    };
    let of_keys: Vec<_> = attributes.iter().filter(|(name, _)| is_key(name) || !is_searched(name)).cloned().collect();
    check_definitions(&of_keys, &key, &indexes)?;
    vector_indexes::check_on_demand(on_demand, vectors.len())?;
    check_billing(on_demand, input.provisioned_throughput.is_some())?;
    check_units(input.provisioned_throughput.as_ref())?;
    Ok(Table {
        name: crate::service::table_name(&input.table_name).to_owned(),
        attributes,
        key,
        next_index: (indexes.len() + vectors.len()) as u64,
        indexes,
        vectors,
        on_demand,
        throughput: units(input.provisioned_throughput.as_ref()),
        limits: on_demand_limits(OnDemandLimits::default(), input.on_demand_throughput.as_ref())?,
        warm: warm_units(None, input.warm_throughput.as_ref())?,
        deletion_protection: input.deletion_protection_enabled == Some(true),
        class: input.table_class.as_ref().map(|class| class.as_str().to_owned()),
        encryption_key: encryption_key(cx, input.sse_specification.as_ref())?,
        tags: tagged(&[], input.tags.as_deref().unwrap_or_default())?,
        features: Features {
            settings_mode: input.global_table_settings_replication_mode.as_ref().map(|mode| mode.as_str().to_owned()),
            ..Features::default()
        },
        ..Table::default()
    })
}

/// Names and types of attributes.
pub(super) fn definitions(given: Option<&[api::AttributeDefinition]>) -> Vec<(String, String)> {
    let one = |definition: &api::AttributeDefinition| {
        (definition.attribute_name.clone(), definition.attribute_type.as_str().to_owned())
    };
    given.unwrap_or_default().iter().map(one).collect()
}
