//! Indexes of vectors as requests define them and answers describe them.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/VectorSearchWorkingWith.html>

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::vector::MAX_DIMENSIONS;

use super::described::index_status_of;
use super::table_shape::{invalid, projection};
use crate::error::{Error, Result};
use crate::store::Counters;
use crate::table::{Filling, KeyNames, Projected, State, Table, VectorIndex};

/// How many a table may have.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html#limits-vector-indexes>
const MAX_VECTOR_INDEXES: usize = 5;
const MAX_FILTERS: usize = 18;

/// The attributes that a search may speak of: the partition's, and the others.
fn searched(schema: Option<&[api::SearchSchemaElement]>) -> Result<(Option<String>, Vec<String>)> {
    let (mut partition, mut filters) = (None, Vec::new());
    for element in schema.unwrap_or_default() {
        let name = element.attribute_name.clone();
        // Unconfirmed words, all three.
        if partition.as_ref() == Some(&name) || filters.contains(&name) {
            return Err(invalid(format!("SearchSchema has two elements of one attribute: {name}")));
        }
        match &element.search_schema_element_type {
            api::SearchSchemaElementType::Hash if partition.is_some() => {
                return Err(invalid("SearchSchema has more than one HASH element"));
            }
            api::SearchSchemaElementType::Hash => partition = Some(name),
            _ => filters.push(name),
        }
    }
    match filters.len() > MAX_FILTERS {
        true => Err(invalid(format!("SearchSchema exceeds the limit of {MAX_FILTERS} INLINE_FILTER elements"))),
        false => Ok((partition, filters)),
    }
}

/// The index that a request defines, of a table with these other ones.
fn defined(number: u64, wanted: &api::VectorIndex, others: &[VectorIndex]) -> Result<VectorIndex> {
    let (projected, included) = projection(&wanted.projection)?;
    let (partition, filters) = searched(wanted.search_schema.as_deref())?;
    let attribute = wanted.vector_attribute.attribute_name.clone();
    let dimensions = usize::try_from(wanted.dimensions).unwrap_or(usize::MAX);
    // Unconfirmed words, all three.
    if dimensions > MAX_DIMENSIONS {
        return Err(invalid(format!("Dimensions must be between 1 and {MAX_DIMENSIONS} inclusive")));
    }
    if partition.as_ref() == Some(&attribute) || filters.contains(&attribute) {
        return Err(invalid(format!("VectorAttribute cannot be an attribute of SearchSchema: {attribute}")));
    }
    if let Some(other) = others.iter().find(|other| other.attribute == attribute && other.dimensions != dimensions) {
        return Err(invalid(format!(
            "Vector indexes of one attribute must have the same number of dimensions: {attribute} has {} in index {}",
            other.dimensions, other.name
        )));
    }
    Ok(VectorIndex {
        number,
        name: wanted.index_name.clone(),
        attribute,
        partition,
        filters,
        projected,
        included,
        dimensions,
        distance: wanted.distance_function.as_str().to_owned(),
        filling: None,
        deleted_at: None,
    })
}

/// Every attribute that searches may speak of is defined; a vector is none of the table's key.
fn check(index: &VectorIndex, attributes: &[(String, String)], key: &KeyNames) -> Result<()> {
    if index.searched().any(|name| !attributes.iter().any(|(own, _)| own == name)) {
        return Err(invalid("One element in SearchSchema is not defined in attribute definitions"));
    }
    // Unconfirmed words.
    match key.0.iter().chain(&key.1).any(|name| *name == index.attribute) {
        true => Err(invalid(format!("VectorAttribute cannot be a key attribute: {}", index.attribute))),
        false => Ok(()),
    }
}

/// An index of vectors is on demand, and so is its table.
pub(super) fn check_on_demand(on_demand: bool, count: usize) -> Result<()> {
    // Unconfirmed words.
    match on_demand || count == 0 {
        true => Ok(()),
        false => Err(invalid("Vector indexes are only supported when BillingMode is PAY_PER_REQUEST")),
    }
}

/// The indexes of vectors that a new table has, numbered from `first` on.
pub(super) fn of_new_table(
    input: &api::CreateTableInput,
    first: u64,
    attributes: &[(String, String)],
    key: &KeyNames,
) -> Result<Vec<VectorIndex>> {
    let wanted = input.vector_indexes.as_deref().unwrap_or_default();
    if wanted.len() > MAX_VECTOR_INDEXES {
        return Err(invalid(format!("VectorIndex count exceeds the per-table limit of {MAX_VECTOR_INDEXES}")));
    }
    let mut indexes: Vec<VectorIndex> = Vec::with_capacity(wanted.len());
    for (number, wanted) in (first..).zip(wanted) {
        let index = defined(number, wanted, &indexes)?;
        check(&index, attributes, key)?;
        indexes.push(index);
    }
    Ok(indexes)
}

/// Adds an index to a table that is there; gives its number.
pub(super) fn create(table: &mut Table, wanted: &api::CreateVectorIndexAction, begins_at: Timestamp) -> Result<u64> {
    if table.index(&wanted.index_name).is_some() || table.vector_index(&wanted.index_name).is_some() {
        return Err(Error::validation("Attempting to create an index which already exists"));
    }
    if table.vectors.len() >= MAX_VECTOR_INDEXES {
        return Err(invalid(format!("VectorIndex count exceeds the per-table limit of {MAX_VECTOR_INDEXES}")));
    }
    check_on_demand(table.on_demand, 1)?;
    let wanted = api::VectorIndex {
        index_name: wanted.index_name.clone(),
        vector_attribute: wanted.vector_attribute.clone(),
        search_schema: wanted.search_schema.clone(),
        projection: wanted.projection.clone(),
        dimensions: wanted.dimensions,
        distance_function: wanted.distance_function.clone(),
    };
    let number = table.next_index;
    let index = defined(number, &wanted, &table.vectors)?;
    check(&index, &table.attributes, &table.key)?;
    table.vectors.push(VectorIndex { filling: Some(Filling { begins_at, is_over: false }), ..index });
    table.next_index += 1;
    Ok(number)
}

pub(super) fn delete(table: &mut Table, name: &str, now: Timestamp, done_at: Timestamp) -> Result<()> {
    let index = table.vectors.iter_mut().find(|index| index.name == name).ok_or(Error::NoResource)?;
    let is_begun = index.filling.as_ref().is_none_or(|filling| filling.begins_at <= now);
    if is_begun && index.deleted_at.is_none() {
        index.deleted_at = Some(done_at);
        return Ok(());
    }
    let state = if index.deleted_at.is_some() { "deleted" } else { "created" };
    // Unconfirmed words.
    Err(Error::InUse(format!("Attempt to change a resource which is still in use: Index is being {state}: {name}")))
}

fn projection_of(index: &VectorIndex) -> api::Projection {
    let kind = match index.projected {
        Projected::All => api::ProjectionType::All,
        Projected::KeysOnly => api::ProjectionType::KeysOnly,
        Projected::Include => api::ProjectionType::Include,
    };
    let included = (!index.included.is_empty()).then(|| index.included.clone());
    api::Projection { projection_type: Some(kind), non_key_attributes: included }
}

fn schema_of(index: &VectorIndex) -> Option<Vec<api::SearchSchemaElement>> {
    let element = |name: &String, kind: api::SearchSchemaElementType| api::SearchSchemaElement {
        attribute_name: name.clone(),
        search_schema_element_type: kind,
    };
    let partition = index.partition.iter().map(|name| element(name, api::SearchSchemaElementType::Hash));
    let filters = index.filters.iter().map(|name| element(name, api::SearchSchemaElementType::InlineFilter));
    let all: Vec<_> = partition.chain(filters).collect();
    (!all.is_empty()).then_some(all)
}

fn dimensions_of(index: &VectorIndex) -> i64 {
    i64::try_from(index.dimensions).unwrap_or(i64::MAX)
}

fn attribute_of(index: &VectorIndex) -> api::VectorAttributeDefinition {
    api::VectorAttributeDefinition { attribute_name: index.attribute.clone() }
}

/// The indexes of a table at a time; nothing where it has none.
pub(super) fn described(
    table: &Table,
    (status, counters, arn): (&api::TableStatus, &Counters, &str),
    now: Timestamp,
) -> Option<Vec<api::VectorIndexDescription>> {
    let one = |index: &VectorIndex| {
        let (items, bytes) = counters.index(index.number);
        let index_status = index_status_of(index.state(now), status);
        let is_creating = index_status == api::IndexStatus::Creating;
        // One that CreateTable made is never said to be back-filled.
        let filling = index.filling.as_ref().filter(|_| is_creating);
        api::VectorIndexDescription {
            index_name: Some(index.name.clone()),
            search_schema: schema_of(index),
            projection: Some(projection_of(index)),
            vector_attribute: Some(attribute_of(index)),
            dimensions: Some(dimensions_of(index)),
            distance_function: Some(api::VectorDistanceFunction::from(index.distance.as_str())),
            index_status: Some(index_status),
            backfilling: filling.map(|filling| filling.begins_at <= now && *status != api::TableStatus::Updating),
            index_size_bytes: i64::try_from(bytes).ok(),
            item_count: i64::try_from(items).ok(),
            index_arn: Some(format!("{arn}/index/{}", index.name)),
        }
    };
    (!table.vectors.is_empty()).then(|| table.vectors.iter().map(one).collect())
}

/// As a backup tells them.
pub(super) fn infos(table: &Table) -> Option<Vec<api::VectorIndexInfo>> {
    let one = |index: &VectorIndex| api::VectorIndexInfo {
        index_name: Some(index.name.clone()),
        vector_attribute: Some(attribute_of(index)),
        search_schema: schema_of(index),
        projection: Some(projection_of(index)),
        dimensions: Some(dimensions_of(index)),
        distance_function: Some(api::VectorDistanceFunction::from(index.distance.as_str())),
    };
    (!table.vectors.is_empty()).then(|| table.vectors.iter().map(one).collect())
}

/// The indexes of a source that a restored table has: those that are wanted, or all. None can be added or changed, as with the
/// other kinds of indexes. Unconfirmed words.
pub(super) fn chosen(all: &[VectorIndex], wanted: Option<&[api::VectorIndex]>) -> Result<Vec<VectorIndex>> {
    let Some(wanted) = wanted else { return Ok(all.to_vec()) };
    let refused = |why: String| Error::validation(format!("The vector index override is not valid: {why}"));
    let mut indexes = Vec::with_capacity(wanted.len());
    for one in wanted {
        let own = all.iter().find(|index| index.name == one.index_name);
        let own = own.ok_or_else(|| refused(format!("the source table has no index {}", one.index_name)))?;
        let mut same = defined(own.number, one, &[])?;
        (same.filling, same.deleted_at) = (own.filling.clone(), own.deleted_at);
        if same != *own {
            return Err(refused(format!("the source table's index {} is another one", one.index_name)));
        }
        indexes.push(own.clone());
    }
    Ok(indexes)
}

/// Whether an index comes or goes.
pub(super) fn is_under_way(table: &Table, now: Timestamp) -> bool {
    table.vectors.iter().any(|index| matches!(index.state(now), State::Creating | State::Deleting))
}
