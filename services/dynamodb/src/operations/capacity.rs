//! ConsumedCapacity, as much of it as was asked for.

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::capacity::Units;
use indexmap::IndexMap;

use crate::writes::Cost;

pub type Wanted = Option<api::ReturnConsumedCapacity>;

fn capacity(units: Units) -> api::Capacity {
    api::Capacity { capacity_units: Some(units.as_f64()), ..Default::default() }
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
        consumed.global_secondary_indexes = of(true);
        consumed.local_secondary_indexes = of(false);
    }
    Some(consumed)
}
