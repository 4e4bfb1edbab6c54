//! How large things are, by the developer guide's rules, and the limits on them.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>

use crate::value::{Item, Map, Value};

pub const MAX_ITEM_BYTES: usize = 400 * 1_024;
/// Levels of an attribute, the attribute's own value being the first.
pub const MAX_DEPTH: usize = 32;
pub const MAX_PARTITION_KEY_BYTES: usize = 2_048;
pub const MAX_SORT_KEY_BYTES: usize = 1_024;

/// What a map or a list costs besides its contents, and what each of its elements costs besides itself.
pub(crate) const DOCUMENT_BYTES: usize = 3;
pub(crate) const ELEMENT_BYTES: usize = 1;

fn map_bytes(map: &Map) -> usize {
    map.iter().map(|(name, value)| name.len() + value_bytes(value) + ELEMENT_BYTES).sum()
}

/// The size of a value without its attribute's name.
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::S(text) => text.len(),
        Value::N(number) => number.size_bytes(),
        Value::B(bytes) => bytes.len(),
        Value::SS(set) => set.iter().map(String::len).sum(),
        Value::NS(set) => set.iter().map(|number| number.size_bytes()).sum(),
        Value::BS(set) => set.iter().map(Vec::len).sum(),
        Value::M(map) => DOCUMENT_BYTES + map_bytes(map),
        Value::L(list) => DOCUMENT_BYTES + list.iter().map(|value| value_bytes(value) + ELEMENT_BYTES).sum::<usize>(),
        Value::Bool(_) | Value::Null => 1,
    }
}

/// The size of an item: its names and its values.
pub fn item_bytes(item: &Item) -> usize {
    entries_bytes(item.iter())
}

/// The size of some attributes of an item.
pub fn entries_bytes<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>) -> usize {
    entries.map(|(name, value)| name.len() + value_bytes(value)).sum()
}
