//! What makes a value one that can be kept: numbers, sets, NULL, depth and size, in AWS's words.
//!
//! A reader of requests builds values through the functions here; [`depth`] and [`item_size`] look at whole values. AWS
//! has two layers of these checks with different words, by operation; the words here are those of the newer layer, and
//! the older ones ([`ValueError::in_older_words`]) those that the batch and transaction operations and Scan use.

use std::fmt::Write as _;

use thiserror::Error;

use crate::json::base64;
use crate::number::{Number, NumberError};
use crate::size::{MAX_DEPTH, MAX_ITEM_BYTES, item_bytes};
use crate::value::{Item, Value};

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    #[error("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")]
    NoType,
    #[error(
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
    )]
    SeveralTypes,
    #[error(transparent)]
    Number(#[from] NumberError),
    #[error("One or more parameter values were invalid: Null attribute value types must have the value of true")]
    FalseNull,
    // Two spaces and "An number": AWS's own words.
    #[error("One or more parameter values were invalid: An string set  may not be empty")]
    EmptyStringSet,
    #[error("One or more parameter values were invalid: An number set  may not be empty")]
    EmptyNumberSet,
    #[error("One or more parameter values were invalid: Binary sets should not be empty")]
    EmptyBinarySet,
    #[error("One or more parameter values were invalid: Input collection [{current}] contains duplicates.")]
    DuplicateStrings { current: String, older: String },
    #[error("One or more parameter values were invalid: Input collection contains duplicates.")]
    DuplicateNumbers,
    #[error("One or more parameter values were invalid: Input collection [{current}]of type BS contains duplicates.")]
    DuplicateBinaries { current: String, older: String },
    #[error(
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
    )]
    TooDeep,
    #[error("Empty attribute name")]
    EmptyName,
    #[error("Item size has exceeded the maximum allowed size")]
    ItemTooLarge,
}

impl ValueError {
    /// The words of the operations whose checks are older: BatchWriteItem, TransactWriteItems, TransactGetItems, Scan.
    pub fn in_older_words(&self) -> String {
        const INVALID: &str = "One or more parameter values were invalid: ";
        match self {
            ValueError::Number(NumberError::NotNumeric(text)) if text.is_empty() => {
                "The parameter cannot be converted to a numeric value".to_owned()
            }
            ValueError::DuplicateStrings { older, .. } => {
                format!("{INVALID}Input collection [{older}] contains duplicates.")
            }
            ValueError::DuplicateNumbers => "Input collection contains duplicates".to_owned(),
            ValueError::DuplicateBinaries { older, .. } => {
                format!("{INVALID}Input collection [{older}]of type BS contains duplicates.")
            }
            other => other.to_string(),
        }
    }
}

pub fn number(text: &str) -> Result<Value, ValueError> {
    Ok(Value::N(Number::parse(text)?))
}

pub fn null(value: bool) -> Result<Value, ValueError> {
    if value { Ok(Value::Null) } else { Err(ValueError::FalseNull) }
}

/// Sorts the members; if one repeats, gives back the members as AWS lists them: sorted up to the first that repeats,
/// it again, and the rest as they were sent.
fn sorted<T: Ord + Clone>(members: Vec<T>) -> Result<Vec<T>, Vec<T>> {
    let mut set = members.clone();
    set.sort();
    let is_distinct = set.windows(2).all(|pair| pair[0] != pair[1]);
    if is_distinct {
        return Ok(set);
    }
    let mut seen: Vec<T> = Vec::new();
    for (index, member) in members.iter().enumerate() {
        match seen.binary_search(member) {
            Ok(_) => {
                seen.extend_from_slice(&members[index..]);
                return Err(seen);
            }
            Err(at) => seen.insert(at, member.clone()),
        }
    }
    Ok(set)
}

/// A list of a caller's members, cut where an error would become a document.
fn listed<T>(members: &[T], separator: &str, mut write: impl FnMut(&mut String, &T)) -> String {
    const MAX_LISTED_BYTES: usize = 4_096;
    let mut text = String::new();
    for (index, member) in members.iter().enumerate() {
        if text.len() > MAX_LISTED_BYTES {
            break;
        }
        if index > 0 {
            text.push_str(separator);
        }
        write(&mut text, member);
    }
    text
}

pub fn string_set(members: Vec<String>) -> Result<Value, ValueError> {
    if members.is_empty() {
        return Err(ValueError::EmptyStringSet);
    }
    let as_sent = members.clone();
    sorted(members).map(Value::SS).map_err(|mixed| ValueError::DuplicateStrings {
        current: listed(&mixed, ", ", |text, member| {
            let _ = write!(text, "\"{member}\"");
        }),
        older: listed(&as_sent, ", ", |text, member| text.push_str(member)),
    })
}

pub fn number_set(members: &[String]) -> Result<Value, ValueError> {
    if members.is_empty() {
        return Err(ValueError::EmptyNumberSet);
    }
    let numbers: Vec<Number> = members.iter().map(|text| Number::parse(text)).collect::<Result<_, _>>()?;
    numbers_as_set(numbers)
}

pub fn numbers_as_set(numbers: Vec<Number>) -> Result<Value, ValueError> {
    sorted(numbers).map(Value::NS).map_err(|_| ValueError::DuplicateNumbers)
}

pub fn binary_set(members: Vec<Vec<u8>>) -> Result<Value, ValueError> {
    if members.is_empty() {
        return Err(ValueError::EmptyBinarySet);
    }
    let as_sent = members.clone();
    sorted(members).map(Value::BS).map_err(|mixed| ValueError::DuplicateBinaries {
        // No space after the comma here: AWS's own form.
        current: listed(&mixed, ",", |text, member| {
            let _ = write!(text, "\"{}\"", base64(member));
        }),
        older: listed(&as_sent, ", ", |text, member| text.push_str(&base64(member))),
    })
}

pub fn depth(value: &Value) -> Result<(), ValueError> {
    if value.depth() > MAX_DEPTH { Err(ValueError::TooDeep) } else { Ok(()) }
}

fn has_empty_name(value: &Value) -> bool {
    match value {
        Value::M(map) => map.iter().any(|(name, value)| name.is_empty() || has_empty_name(value)),
        Value::L(list) => list.iter().any(has_empty_name),
        _ => false,
    }
}

/// Everything about an item that does not depend on its table, in AWS's order: empty names at the top, then depth, then
/// empty names within documents, then size.
pub fn item(item: &Item) -> Result<(), ValueError> {
    if item.contains("") {
        return Err(ValueError::EmptyName);
    }
    item.iter().try_for_each(|(_, value)| depth(value))?;
    if item.iter().any(|(_, value)| has_empty_name(value)) {
        return Err(ValueError::EmptyName);
    }
    item_size(item)
}

pub fn item_size(item: &Item) -> Result<(), ValueError> {
    if item_bytes(item) > MAX_ITEM_BYTES { Err(ValueError::ItemTooLarge) } else { Ok(()) }
}
