//! SearchVectors: the items whose vectors are nearest to another.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_SearchVectors.html>

use std::sync::Arc;

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::expression::{Attributes, Bound, Condition, ExpressionKind, Projection};
use fractus_dynamodb_rules::size::item_bytes;
use fractus_dynamodb_rules::vector::condition::{SearchSchema, partition_of};
use fractus_dynamodb_rules::vector::{self, MAX_TOP_K};
use fractus_dynamodb_rules::{Item, Kind};
use fractus_host::Context;
use fractus_store::{Scope, Snapshot};

use crate::error::{Error, Result};
use crate::forms::Forms;
use crate::service::{DynamoDb, active_table, owned_scope};
use crate::table::{State, Table, VectorIndex};
use crate::values::{item_to_api, value_from_api};
use crate::{vectors, writes};

/// The least that a search, and a write, is charged with.
pub(super) const LEAST_CHARGED_BYTES: u64 = 1_024;
/// The largest answer.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What a request asks for, before the table is known.
struct Asked {
    index: String,
    vector: Vec<f32>,
    limit: usize,
    condition: Option<Bound<Condition>>,
    projection: Option<Bound<Projection>>,
    attributes: Arc<Attributes>,
}

/// The table's index, if it can be searched.
fn searchable<'t>(table: &'t Table, name: &str, snapshot: &Snapshot<'_>, scope: &Scope) -> Result<&'t VectorIndex> {
    let no_index = || Error::validation(format!("The table does not have the specified index: {name}"));
    if table.index(name).is_some() {
        // Unconfirmed words, after those of Query and Scan.
        return Err(Error::validation("SearchVectors operation not supported on this index type."));
    }
    let index = table.vector_index(name).ok_or_else(no_index)?;
    match index.state(snapshot.now(scope)) {
        State::Creating => Err(Error::validation(format!("Cannot search backfilling vector index: {name}"))),
        State::Deleting => Err(no_index()),
        State::Active | State::Updating => Ok(index),
    }
}

fn schema_of<R>(table: &Table, index: &VectorIndex, with: impl FnOnce(SearchSchema<'_>) -> R) -> R {
    let kind = |name: &String| table.kind_of(name).unwrap_or(Kind::S);
    let filters: Vec<_> = index.filters.iter().map(|name| (name.as_str(), kind(name))).collect();
    let partition = index.partition.as_ref().map(|name| (name.as_str(), kind(name)));
    with(SearchSchema { partition, filters: &filters })
}

/// An item as a result: what the index has of it. The vector itself is in it only if it is asked for, as the index has it.
fn result(table: &Table, index: &VectorIndex, asked: &Asked, item: Item, own: &[f32]) -> Item {
    let mut item: Item =
        item.into_entries().into_iter().filter(|(name, _)| table.projects_beside(index, name)).collect();
    match &asked.projection {
        None => {
            item.remove(&index.attribute);
            item
        }
        Some(projection) => {
            let mut wants_vector = false;
            projection.each_attribute(&asked.attributes, |name| wants_vector |= name == index.attribute);
            if wants_vector {
                item.insert(index.attribute.clone(), vector::to_value(own));
            }
            projection.apply(&asked.attributes, &item)
        }
    }
}

/// What a search gives: the results, and the bytes it has looked at.
type Answer = (Vec<api::SearchResultItem>, u64);

fn run(snapshot: &Snapshot<'_>, scope: &Scope, table_name: &str, asked: &Asked) -> Result<Answer> {
    let table = active_table(snapshot, scope, table_name)?;
    let index = searchable(&table, &asked.index, snapshot, scope)?;
    let partition =
        schema_of(&table, index, |schema| partition_of(asked.condition.as_ref(), &asked.attributes, schema))?;
    if asked.vector.len() != index.dimensions {
        return Err(Error::validation(format!(
            "Input search vector dimension {} does not match vector index dimension {}",
            asked.vector.len(),
            index.dimensions
        )));
    }
    let query = vectors::Query {
        vector: &asked.vector,
        partition: vectors::partition_of(partition.as_ref()),
        condition: asked.condition.as_ref().map(|condition| (condition, &*asked.attributes)),
        limit: asked.limit,
    };
    let found = vectors::search(snapshot, scope, (&table, index), &query)?;
    let (mut results, mut bytes) = (Vec::with_capacity(found.nearest.len()), 0);
    for (key, score, own) in found.nearest {
        let Some(item) = writes::read(snapshot, scope, &table, &key)? else { continue };
        let item = result(&table, index, asked, item, &own);
        bytes += item_bytes(&item);
        if bytes > MAX_ANSWER_BYTES {
            // Unconfirmed words.
            return Err(Error::validation("The response exceeds the limit of 16 MB. Reduce TopK or the projection"));
        }
        results.push(api::SearchResultItem { item: Some(item_to_api(item)), score: Some(f64::from(score)) });
    }
    Ok((results, found.looked_at_bytes))
}

/// The vector that is searched with.
fn query_vector(list: Vec<api::AttributeValue>) -> Result<Vec<f32>> {
    let values = list.into_iter().map(value_from_api).collect::<std::result::Result<Vec<_>, _>>()?;
    vector::numbers(&values).map_err(|(at, actual)| {
        // Unconfirmed words.
        Error::validation(format!(
            "One or more parameter values were invalid: Invalid type for parameter SearchVector[{at}], Expected: 32-bit floating point N, Actual: {actual}"
        ))
    })
}

pub async fn search(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::SearchVectorsInput,
) -> Result<api::SearchVectorsOutput> {
    if !(1..=MAX_TOP_K).contains(&input.top_k) {
        return Err(Error::validation(format!(
            "Provided TopK value '{}' is out of valid range. The value must be between 1 and {MAX_TOP_K} inclusive",
            input.top_k
        )));
    }
    let mut forms = Forms::new(&dynamodb.cache, input.expression_attribute_names, input.expression_attribute_values)?;
    let condition = forms.condition(ExpressionKind::SearchCondition, input.search_condition_expression.as_deref())?;
    let projection = forms.projection(input.projection_expression.as_deref())?;
    let asked = Asked {
        index: input.index_name,
        vector: query_vector(input.search_vector)?,
        limit: usize::try_from(input.top_k).unwrap_or(1),
        condition,
        projection,
        attributes: forms.finish("SearchConditionExpression is null")?,
    };
    let (scope, name) = (owned_scope(cx, &input.table_name), &input.table_name);
    let (results, bytes) = dynamodb.store.read(|snapshot| run(snapshot, &scope, name, &asked)).await?;
    let is_told = matches!(
        input.return_consumed_capacity,
        Some(api::ReturnConsumedCapacity::Total | api::ReturnConsumedCapacity::Indexes)
    );
    Ok(api::SearchVectorsOutput {
        consumed_capacity: is_told.then(|| api::VectorCapacity {
            vector_search_request_bytes: Some(bytes.max(LEAST_CHARGED_BYTES) as f64),
            vector_write_request_bytes: None,
        }),
        search_results: Some(results),
    })
}
