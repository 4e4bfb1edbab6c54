//! ConsumedCapacity, as much of it as was asked for.

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::Item;
use fractus_dynamodb_rules::capacity::Units;
use indexmap::IndexMap;

use super::search_vectors::LEAST_CHARGED_BYTES;
use crate::service::table_name;
use crate::store::Table;
use crate::throttle::Kind;
use crate::values::item_to_api;
use crate::writes::Cost;

pub type Wanted = Option<api::ReturnConsumedCapacity>;

fn capacity(units: Units) -> api::Capacity {
    api::Capacity { capacity_units: Some(units.as_f64()), ..Default::default() }
}

/// What a transaction consumed, which is told once more by its kind.
pub fn consumed_by(kind: Kind, wanted: &Wanted, table: &str, cost: &Cost) -> Option<api::ConsumedCapacity> {
    let mut consumed = consumed(wanted, table, cost)?;
    let by_kind = |capacity: &mut api::Capacity| match kind {
        Kind::Read => capacity.read_capacity_units = capacity.capacity_units,
        Kind::Write => capacity.write_capacity_units = capacity.capacity_units,
    };
    match kind {
        Kind::Read => consumed.read_capacity_units = consumed.capacity_units,
        Kind::Write => consumed.write_capacity_units = consumed.capacity_units,
    }
    consumed.table.iter_mut().for_each(by_kind);
    let indexes = consumed.global_secondary_indexes.iter_mut().chain(consumed.local_secondary_indexes.iter_mut());
    indexes.flat_map(IndexMap::values_mut).for_each(by_kind);
    Some(consumed)
}

/// Tables that were named by their ARNs are told by them.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ConsumedCapacity.html>
pub fn as_named<'n>(
    mut told: Vec<api::ConsumedCapacity>,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Vec<api::ConsumedCapacity> {
    for consumed in &mut told {
        let is_same =
            |name: &&str| name.starts_with("arn:") && consumed.table_name.as_deref() == Some(table_name(name));
        if let Some(arn) = names.clone().find(is_same) {
            consumed.table_name = Some(arn.to_owned());
        }
    }
    told
}

/// Below which, and up to which, an item collection's size in GB is told.
const COLLECTION_RANGE: [f64; 2] = [0.0, 1.0];

/// The item collection of an item, for tables that have local indexes. Its size is not measured.
pub fn collection_metrics(
    wanted: &Option<api::ReturnItemCollectionMetrics>,
    table: &Table,
    item: &Item,
) -> Option<api::ItemCollectionMetrics> {
    if !matches!(wanted, Some(api::ReturnItemCollectionMetrics::Size)) || !table.has_local_indexes() {
        return None;
    }
    let partition = table.schema().partition.iter();
    let key: Item = partition.filter_map(|own| Some((own.name.clone(), item.get(&own.name)?.clone()))).collect();
    Some(api::ItemCollectionMetrics {
        item_collection_key: Some(item_to_api(key)),
        size_estimate_range_gb: Some(COLLECTION_RANGE.to_vec()),
    })
}

/// What was written to indexes of vectors. A request is charged with a kilobyte at least, whichever of them it wrote to.
fn written_to_vectors(cost: &Cost) -> Option<IndexMap<String, api::VectorCapacity>> {
    let lacking = LEAST_CHARGED_BYTES.saturating_sub(cost.vectors.iter().map(|(_, bytes)| bytes).sum());
    let one = |(at, (name, bytes)): (usize, &(String, u64))| {
        let charged = if at == 0 { bytes + lacking } else { *bytes };
        let capacity = api::VectorCapacity { vector_write_request_bytes: Some(charged as f64), ..Default::default() };
        (name.clone(), capacity)
    };
    (!cost.vectors.is_empty()).then(|| cost.vectors.iter().enumerate().map(one).collect())
}

/// The capacity that operations on one table consumed.
pub fn consumed(wanted: &Wanted, table: &str, cost: &Cost) -> Option<api::ConsumedCapacity> {
    let with_indexes = match wanted {
        Some(api::ReturnConsumedCapacity::Total) => false,
        Some(api::ReturnConsumedCapacity::Indexes) => true,
        _ => return None,
    };
    let total: Units = std::iter::once(cost.table).chain(cost.indexes.iter().map(|(_, _, units)| *units)).sum();
    let mut consumed = api::ConsumedCapacity {
        table_name: Some(table.to_owned()),
        capacity_units: Some(total.as_f64()),
        ..Default::default()
    };
    if with_indexes {
        consumed.table = Some(capacity(cost.table));
        let of = |wants_global: bool| {
            let indexes: IndexMap<String, api::Capacity> = cost
                .indexes
                .iter()
                .filter(|(_, is_global, _)| *is_global == wants_global)
                .map(|(name, _, units)| (name.clone(), capacity(*units)))
                .collect();
            (!indexes.is_empty()).then_some(indexes)
        };
        consumed.vector_indexes = written_to_vectors(cost);
        consumed.global_secondary_indexes = of(true);
        consumed.local_secondary_indexes = of(false);
    }
    Some(consumed)
}
