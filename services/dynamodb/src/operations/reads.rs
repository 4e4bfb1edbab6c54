//! Query and Scan.

use std::sync::Arc;

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::expression::{Attributes, Condition, ExpressionKind, Projection};
use fractus_dynamodb_rules::key::{KeyRange, KeySchema};
use fractus_dynamodb_rules::key_condition::{self, KeyCondition, KeyTerm};
use fractus_dynamodb_rules::legacy;
use fractus_host::Context;

use super::items::projection;
use super::read_page::{Read, answer};
use crate::answers::PageAnswer;
use crate::error::{Error, Result};
use crate::forms::{Forms, With, conditional_operator, present, tests};
use crate::service::DynamoDb;
use crate::values::item_from_api;

fn check_filter(filter: &With<Condition>, schema: &KeySchema, parameter: &str) -> Result<()> {
    let (condition, attributes) = filter;
    let mut key = None;
    condition.each_attribute(attributes, |name| {
        if schema.names(name) {
            key.get_or_insert_with(|| name.to_owned());
        }
    });
    match key {
        Some(name) => Err(Error::validation(format!(
            "{parameter} can only contain non-primary key attributes: Primary key attribute: {name}"
        ))),
        None => Ok(()),
    }
}

pub async fn query(dynamodb: &DynamoDb, cx: &Context, input: api::QueryInput) -> Result<PageAnswer> {
    let legacy_parameters = present(&[
        ("AttributesToGet", input.attributes_to_get.is_some()),
        ("QueryFilter", input.query_filter.is_some()),
        ("ConditionalOperator", input.conditional_operator.is_some()),
        ("KeyConditions", input.key_conditions.is_some()),
    ]);
    let expressions = present(&[
        ("ProjectionExpression", input.projection_expression.is_some()),
        ("FilterExpression", input.filter_expression.is_some()),
        ("KeyConditionExpression", input.key_condition_expression.is_some()),
    ]);
    legacy::check_mixing(&legacy_parameters, &expressions)?;
    let start = input.exclusive_start_key.map(item_from_api).transpose()?;
    let mut forms = Forms::new(&dynamodb.cache, input.expression_attribute_names, input.expression_attribute_values)?;
    let filter = forms.condition(ExpressionKind::Filter, input.filter_expression.as_deref())?;
    let key = forms.condition(ExpressionKind::KeyCondition, input.key_condition_expression.as_deref())?;
    let paths = forms.projection(input.projection_expression.as_deref())?;
    let key_terms: Vec<KeyTerm> = match (&key, input.key_conditions) {
        (Some(key), _) => key_condition::terms(key, forms.attributes())?,
        (None, Some(conditions)) => legacy::key_terms(tests(conditions)?)?,
        (None, None) => {
            return Err(Error::validation(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
            ));
        }
    };
    let operator = conditional_operator(input.conditional_operator);
    let (attributes, projection) = with_attributes(
        (forms, "FilterExpression and KeyConditionExpression are null"),
        paths,
        input.attributes_to_get,
    )?;
    let (filter, parameter) = match (filter, input.query_filter) {
        (Some(filter), _) => (Some((filter, attributes)), "Filter Expression"),
        (None, Some(filter)) => {
            let (bound, own) = legacy::filter(tests(filter)?, operator)?;
            (Some((bound, Arc::new(own))), "QueryFilter")
        }
        (None, None) => (None, ""),
    };
    let read = Read {
        table_name: input.table_name,
        index_name: input.index_name,
        start,
        limit: input.limit,
        is_consistent: input.consistent_read == Some(true),
        select: input.select,
        filter,
        projection,
        operation: "Query",
        is_statement: false,
    };
    let range = |schema: &KeySchema| {
        let condition = KeyCondition::new(&key_terms, schema)?;
        if let Some(filter) = &read.filter {
            check_filter(filter, schema, parameter)?;
        }
        Ok((condition.range(), input.scan_index_forward != Some(false)))
    };
    answer(dynamodb, cx, &read, &input.return_consumed_capacity, range).await
}

type Projected = Option<With<Projection>>;

/// The names and values of the expressions, and the projection with its own.
fn with_attributes(
    (forms, missing): (Forms<'_>, &'static str),
    paths: Option<fractus_dynamodb_rules::expression::Bound<Projection>>,
    names: Option<Vec<String>>,
) -> Result<(Arc<Attributes>, Projected)> {
    let attributes = forms.finish(missing)?;
    if let Some(paths) = paths {
        return Ok((Arc::clone(&attributes), Some((paths, attributes))));
    }
    let Some(names) = names else { return Ok((attributes, None)) };
    let (bound, own) = legacy::attributes_to_get(&names)?;
    Ok((attributes, Some((bound, Arc::new(own)))))
}

fn segment(input: &api::ScanInput) -> Result<KeyRange> {
    match (input.segment, input.total_segments) {
        (None, None) => Ok(KeyRange::everything()),
        (Some(_), None) => Err(Error::validation(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        )),
        (None, Some(_)) => Err(Error::validation(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        )),
        (Some(segment), Some(total)) if segment >= total => Err(Error::validation(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not less than TotalSegments: {total}"
        ))),
        (Some(segment), Some(total)) => {
            Ok(KeyRange::segment(u32::try_from(segment).unwrap_or(0), u32::try_from(total).unwrap_or(1)))
        }
    }
}

pub async fn scan(dynamodb: &DynamoDb, cx: &Context, input: api::ScanInput) -> Result<PageAnswer> {
    let legacy_parameters = present(&[
        ("AttributesToGet", input.attributes_to_get.is_some()),
        ("ScanFilter", input.scan_filter.is_some()),
        ("ConditionalOperator", input.conditional_operator.is_some()),
    ]);
    let expressions = present(&[
        ("ProjectionExpression", input.projection_expression.is_some()),
        ("FilterExpression", input.filter_expression.is_some()),
    ]);
    legacy::check_mixing(&legacy_parameters, &expressions)?;
    let segment = segment(&input)?;
    let start = input.exclusive_start_key.map(item_from_api).transpose()?;
    let mut forms = Forms::new(&dynamodb.cache, input.expression_attribute_names, input.expression_attribute_values)?;
    let filter = forms.condition(ExpressionKind::Filter, input.filter_expression.as_deref())?;
    let paths = forms.projection(input.projection_expression.as_deref())?;
    let operator = conditional_operator(input.conditional_operator);
    let (attributes, projection) =
        with_attributes((forms, "FilterExpression is null"), paths, input.attributes_to_get)?;
    let filter = match (filter, input.scan_filter) {
        (Some(filter), _) => Some((filter, attributes)),
        (None, Some(filter)) => {
            let (bound, own) = legacy::filter(tests(filter)?, operator)?;
            Some((bound, Arc::new(own)))
        }
        (None, None) => None,
    };
    let read = Read {
        table_name: input.table_name,
        index_name: input.index_name,
        start,
        limit: input.limit,
        is_consistent: input.consistent_read == Some(true),
        select: input.select,
        filter,
        projection,
        operation: "Scan",
        is_statement: false,
    };
    answer(dynamodb, cx, &read, &input.return_consumed_capacity, |_| Ok((segment.clone(), true))).await
}

/// What BatchGetItem wants of one table.
pub(super) fn batch_projection(forms: Forms<'_>, keys: &mut api::KeysAndAttributes) -> Result<Projected> {
    let mut forms = forms;
    let bound = forms.projection(keys.projection_expression.as_deref())?;
    projection(forms, bound, keys.attributes_to_get.take())
}
