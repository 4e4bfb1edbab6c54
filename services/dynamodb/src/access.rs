//! What requests reach for, as policies name it: tables, indexes and streams, and DynamoDB's own condition keys.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html>
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>
//!
//! Which attribute leads a key is known only with the table. So a rule names every value that could be one under
//! [`CANDIDATE`], and [`leading_keys`] picks those of the table's partition key.

use std::collections::BTreeSet;

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::expression::{Cache, ExpressionKind};
use fractus_dynamodb_rules::key_condition::{self, KeyTest};
use fractus_dynamodb_rules::partiql::{self, Action, Statement};
use fractus_dynamodb_rules::{Value, expression::Comparator};
use fractus_host::{Access, Context};
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::forms::Forms;
use crate::operations::statements::parsed;
use crate::operations::table_shape::table_arn;
use crate::service::table_name;
use crate::table::Table;
use crate::values::{ApiItem, value_from_api};

const CANDIDATE: &str = "fractus:LeadingKeyCandidate/";

/// The accesses of an operation; empty means that there are none to judge here.
pub type Wanted = Result<Vec<Access>>;

/// The leading keys of a request among its candidates, now that the table is known.
pub fn leading_keys(table: &Table, access: &Access) -> Vec<(String, Vec<String>)> {
    let partition = table.schema().partition.iter();
    let of = |name: &str| access.conditions.iter().find(|(key, _)| key.strip_prefix(CANDIDATE) == Some(name));
    let values: Vec<String> =
        partition.filter_map(|own| of(&own.name)).flat_map(|(_, values)| values.clone()).collect();
    if values.is_empty() { Vec::new() } else { vec![("dynamodb:LeadingKeys".to_owned(), values)] }
}

/// A table, its name or its ARN given; an ARN is taken as it stands.
pub fn table(cx: &Context, name: &str) -> Access {
    let resource = if name.starts_with("arn:") { name.to_owned() } else { table_arn(cx, name) };
    Access { resource, ..Access::to_all() }
}

/// The tags that a request brings.
fn tagged(access: Access, tags: &[api::Tag]) -> Access {
    if tags.is_empty() {
        return access;
    }
    let keys = tags.iter().map(|tag| tag.key.clone()).collect();
    let one =
        |access: Access, tag: &api::Tag| access.when(format!("aws:RequestTag/{}", tag.key), vec![tag.value.clone()]);
    tags.iter().fold(access.when("aws:TagKeys", keys), one)
}

pub fn create_table(cx: &Context, input: &api::CreateTableInput) -> Wanted {
    let own = tagged(table(cx, &input.table_name), input.tags.as_deref().unwrap_or_default());
    let source = input.global_table_source_arn.as_deref();
    Ok([own].into_iter().chain(source.map(|source| arn(source).by("dynamodb:AssociateTableReplica"))).collect())
}

pub fn tag_resource(_: &Context, input: &api::TagResourceInput) -> Wanted {
    Ok(vec![tagged(arn(&input.resource_arn), &input.tags)])
}

pub fn untag_resource(_: &Context, input: &api::UntagResourceInput) -> Wanted {
    Ok(vec![arn(&input.resource_arn).when("aws:TagKeys", input.tag_keys.clone())])
}

/// Anything with an ARN of its own.
pub fn arn(arn: &str) -> Access {
    Access { resource: arn.to_owned(), ..Access::to_all() }
}

fn index(cx: &Context, name: &str, index: Option<&str>) -> Access {
    let table = table(cx, name);
    match index {
        Some(index) => Access { resource: format!("{}/index/{index}", table.resource), ..table },
        None => table,
    }
}

/// DynamoDB's own condition keys do not hold for searches of vectors.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/VectorSearch.Requirements.html>
pub fn search_vectors(cx: &Context, input: &api::SearchVectorsInput) -> Wanted {
    Ok(vec![index(cx, &input.table_name, Some(&input.index_name))])
}

/// What is gathered of a request for its conditions.
#[derive(Default)]
struct Gathered {
    attributes: BTreeSet<String>,
    candidates: IndexMap<String, Vec<String>>,
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::S(text) => Some(text.clone()),
        Value::N(number) => Some(number.to_string()),
        Value::B(bytes) => Some(fractus_dynamodb_rules::json::base64(bytes)),
        _ => None,
    }
}

impl Gathered {
    fn candidate(&mut self, name: &str, value: &Value) {
        if let Some(text) = text_of(value) {
            let known = self.candidates.entry(name.to_owned()).or_default();
            if !known.contains(&text) {
                known.push(text);
            }
        }
    }

    /// A key, or an item to be put.
    fn item(&mut self, item: &ApiItem) {
        for (name, value) in item {
            self.attributes.insert(name.clone());
            if let Ok(value) = value_from_api(value.clone()) {
                self.candidate(name, &value);
            }
        }
    }

    fn names(&mut self, names: impl IntoIterator<Item = String>) {
        self.attributes.extend(names);
    }

    /// The attributes that expressions speak of. One that cannot be read is the handler's to refuse.
    fn expressions(&mut self, given: Expressions<'_>) {
        let cache = Cache::default();
        let Ok(mut forms) = Forms::new(&cache, given.names.clone(), given.values.cloned()) else { return };
        for (kind, text) in given.conditions.iter().copied() {
            if let Ok(Some(condition)) = forms.condition(kind, text) {
                condition.each_attribute(forms.attributes(), |name| {
                    self.attributes.insert(name.to_owned());
                });
                if kind == ExpressionKind::KeyCondition {
                    for term in key_condition::terms(&condition, forms.attributes()).unwrap_or_default() {
                        if let KeyTest::Compare(Comparator::Equal, value) = &term.test {
                            self.candidate(&term.attribute, value);
                        }
                    }
                }
            }
        }
        if let Ok(Some(projection)) = forms.projection(given.projection) {
            projection.each_attribute(forms.attributes(), |name| {
                self.attributes.insert(name.to_owned());
            });
        }
        if let Ok(Some(update)) = forms.update(given.update) {
            update.each_attribute(forms.attributes(), |name| {
                self.attributes.insert(name.to_owned());
            });
        }
    }

    fn onto(self, mut access: Access) -> Access {
        if !self.attributes.is_empty() {
            access = access.when("dynamodb:Attributes", self.attributes.into_iter().collect());
        }
        for (name, values) in self.candidates {
            access = access.when(format!("{CANDIDATE}{name}"), values);
        }
        access
    }
}

#[derive(Default)]
struct Expressions<'a> {
    names: Option<IndexMap<String, String>>,
    values: Option<&'a ApiItem>,
    conditions: &'a [(ExpressionKind, Option<&'a str>)],
    projection: Option<&'a str>,
    update: Option<&'a str>,
}

fn told(access: Access, key: &str, value: Option<&str>) -> Access {
    match value {
        Some(value) => access.when(key, vec![value.to_owned()]),
        None => access,
    }
}

fn capacity(access: Access, wanted: &Option<api::ReturnConsumedCapacity>) -> Access {
    told(access, "dynamodb:ReturnConsumedCapacity", wanted.as_ref().map(api::ReturnConsumedCapacity::as_str))
}

fn returned(access: Access, wanted: &Option<api::ReturnValue>) -> Access {
    let wanted = wanted.as_ref().map_or("NONE", api::ReturnValue::as_str);
    access.when("dynamodb:ReturnValues", vec![wanted.to_owned()])
}

/// SPECIFIC_ATTRIBUTES where some are named.
fn selected(access: Access, select: Option<&api::Select>, is_specific: bool) -> Access {
    let default = if is_specific { "SPECIFIC_ATTRIBUTES" } else { "ALL_ATTRIBUTES" };
    access.when("dynamodb:Select", vec![select.map_or(default, api::Select::as_str).to_owned()])
}

macro_rules! expressions {
    ($input:expr, $($field:ident: $value:expr),* $(,)?) => {
        Expressions {
            names: $input.expression_attribute_names.clone(),
            $($field: $value,)*
            ..Expressions::default()
        }
    };
}

pub fn get_item(cx: &Context, input: &api::GetItemInput) -> Wanted {
    let mut gathered = Gathered::default();
    gathered.item(&input.key);
    gathered.expressions(expressions!(input, projection: input.projection_expression.as_deref()));
    gathered.names(input.attributes_to_get.iter().flatten().cloned());
    let is_specific = input.projection_expression.is_some() || input.attributes_to_get.is_some();
    let access = selected(table(cx, &input.table_name), None, is_specific);
    Ok(vec![gathered.onto(capacity(access, &input.return_consumed_capacity))])
}

/// A write of one item: what is gathered of its expressions and of the parameters from before them.
macro_rules! write_of_item {
    ($cx:expr, $input:expr, $item:expr, $update:expr) => {{
        let mut gathered = Gathered::default();
        gathered.item($item);
        gathered.names($input.expected.iter().flat_map(IndexMap::keys).cloned());
        gathered.expressions(expressions!($input,
            values: $input.expression_attribute_values.as_ref(),
            conditions: &[(ExpressionKind::Condition, $input.condition_expression.as_deref())],
            update: $update,
        ));
        let access = returned(table($cx, &$input.table_name), &$input.return_values);
        (gathered, capacity(access, &$input.return_consumed_capacity))
    }};
}

pub fn put_item(cx: &Context, input: &api::PutItemInput) -> Wanted {
    let (gathered, access) = write_of_item!(cx, input, &input.item, None);
    Ok(vec![gathered.onto(access)])
}

pub fn delete_item(cx: &Context, input: &api::DeleteItemInput) -> Wanted {
    let (gathered, access) = write_of_item!(cx, input, &input.key, None);
    Ok(vec![gathered.onto(access)])
}

pub fn update_item(cx: &Context, input: &api::UpdateItemInput) -> Wanted {
    let (mut gathered, access) = write_of_item!(cx, input, &input.key, input.update_expression.as_deref());
    gathered.names(input.attribute_updates.iter().flat_map(IndexMap::keys).cloned());
    Ok(vec![gathered.onto(access)])
}

pub fn query(cx: &Context, input: &api::QueryInput) -> Wanted {
    let mut gathered = Gathered::default();
    for (name, condition) in input.key_conditions.iter().flatten() {
        gathered.attributes.insert(name.clone());
        let values = condition.attribute_value_list.as_deref().unwrap_or_default();
        if let (api::ComparisonOperator::Eq, [value]) = (&condition.comparison_operator, values)
            && let Ok(value) = value_from_api(value.clone())
        {
            gathered.candidate(name, &value);
        }
    }
    gathered.names(input.query_filter.iter().flat_map(IndexMap::keys).cloned());
    gathered.names(input.attributes_to_get.iter().flatten().cloned());
    gathered.expressions(expressions!(input,
        values: input.expression_attribute_values.as_ref(),
        conditions: &[
            (ExpressionKind::KeyCondition, input.key_condition_expression.as_deref()),
            (ExpressionKind::Filter, input.filter_expression.as_deref()),
        ],
        projection: input.projection_expression.as_deref(),
    ));
    let is_specific = input.projection_expression.is_some() || input.attributes_to_get.is_some();
    let access = index(cx, &input.table_name, input.index_name.as_deref());
    let access = selected(access, input.select.as_ref(), is_specific);
    Ok(vec![gathered.onto(capacity(access, &input.return_consumed_capacity))])
}

pub fn scan(cx: &Context, input: &api::ScanInput) -> Wanted {
    let mut gathered = Gathered::default();
    gathered.names(input.scan_filter.iter().flat_map(IndexMap::keys).cloned());
    gathered.names(input.attributes_to_get.iter().flatten().cloned());
    gathered.expressions(expressions!(input,
        values: input.expression_attribute_values.as_ref(),
        conditions: &[(ExpressionKind::Filter, input.filter_expression.as_deref())],
        projection: input.projection_expression.as_deref(),
    ));
    let is_specific = input.projection_expression.is_some() || input.attributes_to_get.is_some();
    let access = index(cx, &input.table_name, input.index_name.as_deref());
    let access = selected(access, input.select.as_ref(), is_specific);
    Ok(vec![gathered.onto(capacity(access, &input.return_consumed_capacity))])
}

pub fn batch_get(cx: &Context, input: &api::BatchGetItemInput) -> Wanted {
    let one = |(name, wanted): (&String, &api::KeysAndAttributes)| {
        let mut gathered = Gathered::default();
        wanted.keys.iter().for_each(|key| gathered.item(key));
        gathered.expressions(expressions!(wanted, projection: wanted.projection_expression.as_deref()));
        gathered.names(wanted.attributes_to_get.iter().flatten().cloned());
        let is_specific = wanted.projection_expression.is_some() || wanted.attributes_to_get.is_some();
        let access = selected(table(cx, name), None, is_specific);
        gathered.onto(capacity(access, &input.return_consumed_capacity))
    };
    Ok(input.request_items.iter().map(one).collect())
}

pub fn batch_write(cx: &Context, input: &api::BatchWriteItemInput) -> Wanted {
    let one = |(name, requests): (&String, &Vec<api::WriteRequest>)| {
        let mut gathered = Gathered::default();
        for request in requests {
            request.put_request.iter().for_each(|put| gathered.item(&put.item));
            request.delete_request.iter().for_each(|delete| gathered.item(&delete.key));
        }
        gathered.onto(capacity(table(cx, name), &input.return_consumed_capacity))
    };
    Ok(input.request_items.iter().map(one).collect())
}

/// Each action of a transaction is judged as the operation of its kind.
fn within(accesses: Wanted, action: &str, operation: &str) -> Wanted {
    let enclosed = |access: Access| access.by(action).when("dynamodb:EnclosingOperation", vec![operation.to_owned()]);
    Ok(accesses?.into_iter().map(enclosed).collect())
}

pub fn transact_write(cx: &Context, input: &api::TransactWriteItemsInput) -> Wanted {
    const OPERATION: &str = "TransactWriteItems";
    let mut all = Vec::new();
    for item in &input.transact_items {
        if let Some(put) = item.put.clone() {
            let input = crate::operations::transact::put_of(put);
            all.extend(within(put_item(cx, &input), "dynamodb:PutItem", OPERATION)?);
        }
        if let Some(delete) = item.delete.clone() {
            let input = crate::operations::transact::delete_of(delete);
            all.extend(within(delete_item(cx, &input), "dynamodb:DeleteItem", OPERATION)?);
        }
        if let Some(update) = item.update.clone() {
            let input = crate::operations::transact::update_of(update);
            all.extend(within(update_item(cx, &input), "dynamodb:UpdateItem", OPERATION)?);
        }
        if let Some(check) = item.condition_check.clone() {
            let input = crate::operations::transact::check_of(check);
            all.extend(within(delete_item(cx, &input), "dynamodb:ConditionCheckItem", OPERATION)?);
        }
    }
    Ok(all)
}

pub fn transact_get(cx: &Context, input: &api::TransactGetItemsInput) -> Wanted {
    let mut all = Vec::new();
    for item in &input.transact_items {
        let get = item.get.clone();
        let input = api::GetItemInput {
            table_name: get.table_name,
            key: get.key,
            projection_expression: get.projection_expression,
            expression_attribute_names: get.expression_attribute_names,
            ..Default::default()
        };
        all.extend(within(get_item(cx, &input), "dynamodb:GetItem", "TransactGetItems")?);
    }
    Ok(all)
}

/// A statement is judged by an action of its own kind; one that cannot be read is refused by the handler.
fn statement(cx: &Context, text: &str, parameters: &Option<Vec<api::AttributeValue>>) -> Option<Access> {
    let statement: Statement = parsed(text, parameters.clone()).ok()?;
    let (action, of) = match &statement.action {
        Action::Select(select) | Action::Exists(select) => ("dynamodb:PartiQLSelect", select.index.as_deref()),
        Action::Insert(_) => ("dynamodb:PartiQLInsert", None),
        Action::Update { .. } => ("dynamodb:PartiQLUpdate", None),
        Action::Delete { .. } => ("dynamodb:PartiQLDelete", None),
    };
    let mut gathered = Gathered::default();
    if let Action::Insert(item) = &statement.action {
        for (name, value) in item.iter() {
            gathered.attributes.insert(name.to_owned());
            gathered.candidate(name, value);
        }
    }
    for (name, value) in partiql::equalities(&statement) {
        gathered.candidate(&name, &value);
    }
    let is_scan = matches!(statement.action, Action::Select(_)) && gathered.candidates.is_empty();
    let access = index(cx, &statement.table, of).by(action);
    let access = if matches!(statement.action, Action::Select(_)) {
        access.when("dynamodb:FullTableScan", vec![is_scan.to_string()])
    } else {
        access
    };
    Some(gathered.onto(access))
}

pub fn execute_statement(cx: &Context, input: &api::ExecuteStatementInput) -> Wanted {
    // Nothing to judge would be judged as everything; so a statement that cannot be read is refused here.
    match statement(cx, &input.statement, &input.parameters) {
        Some(access) => Ok(vec![access]),
        None => parsed(&input.statement, input.parameters.clone()).map(|_| Vec::new()),
    }
}

pub fn batch_statements(cx: &Context, input: &api::BatchExecuteStatementInput) -> Wanted {
    let all = input.statements.iter().filter_map(|one| statement(cx, &one.statement, &one.parameters));
    Ok(all.collect())
}

pub fn transaction(cx: &Context, input: &api::ExecuteTransactionInput) -> Wanted {
    let all = input.transact_statements.iter().map(|one| {
        let access = statement(cx, &one.statement, &one.parameters);
        let unread = || parsed(&one.statement, one.parameters.clone()).err();
        access.ok_or_else(|| unread().unwrap_or_else(|| Error::validation("a statement cannot be read")))
    });
    let enclosed = |access: Access| access.when("dynamodb:EnclosingOperation", vec!["ExecuteTransaction".to_owned()]);
    Ok(all.collect::<Result<Vec<_>>>()?.into_iter().map(enclosed).collect())
}

/// The stream of an iterator.
pub fn of_iterator(iterator: &str) -> Access {
    arn(iterator.split('|').next().unwrap_or_default())
}

/// The table of an ARN of it or of something of it, by name.
pub fn table_of(resource: &str) -> &str {
    let name = table_name(resource);
    name.split('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(entries: &[(&str, api::AttributeValue)]) -> ApiItem {
        entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn the_keys_that_lead_are_those_of_the_partition() {
        let mut gathered = Gathered::default();
        gathered.item(&item(&[
            ("user", api::AttributeValue::S("ann".into())),
            ("at", api::AttributeValue::N("1.0".into())),
        ]));
        gathered
            .item(&item(&[("user", api::AttributeValue::S("bob".into())), ("list", api::AttributeValue::L(vec![]))]));
        let access = gathered.onto(Access::to_all());
        let table = Table { key: (vec!["user".into()], vec!["at".into()]), ..Table::default() };
        assert_eq!(
            leading_keys(&table, &access),
            [("dynamodb:LeadingKeys".to_owned(), vec!["ann".to_owned(), "bob".to_owned()])]
        );
        let attributes = access.conditions.iter().find(|(key, _)| key == "dynamodb:Attributes");
        assert_eq!(attributes.map(|(_, names)| names.join(" ")), Some("at list user".into()));
    }

    #[test]
    fn expressions_name_their_attributes_and_keys() {
        let mut gathered = Gathered::default();
        let names = [("#u".to_owned(), "user".to_owned())].into_iter().collect();
        let values = item(&[(":u", api::AttributeValue::S("ann".into())), (":n", api::AttributeValue::N("3".into()))]);
        gathered.expressions(Expressions {
            names: Some(names),
            values: Some(&values),
            conditions: &[
                (ExpressionKind::KeyCondition, Some("#u = :u AND made_at > :n")),
                (ExpressionKind::Filter, Some("size(heading) > :n")),
            ],
            projection: Some("content.first_line"),
            update: None,
        });
        let names: Vec<&str> = gathered.attributes.iter().map(String::as_str).collect();
        assert_eq!(names, ["content", "heading", "made_at", "user"]);
        assert_eq!(gathered.candidates["user"], ["ann"]);
        assert!(!gathered.candidates.contains_key("made_at"));
    }

    #[test]
    fn the_tags_that_come_are_told() {
        let tags = [api::Tag { key: "team".into(), value: "blue".into() }];
        let access = tagged(Access::to_all(), &tags);
        assert_eq!(
            access.conditions,
            [
                ("aws:TagKeys".to_owned(), vec!["team".to_owned()]),
                ("aws:RequestTag/team".to_owned(), vec!["blue".to_owned()])
            ]
        );
        assert_eq!(tagged(Access::to_all(), &[]).conditions, []);
    }

    #[test]
    fn an_index_and_a_stream_are_of_their_table() {
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/t";
        for of in ["", "/index/i", "/stream/2026-01-01T00:00:00.000"] {
            assert_eq!(table_of(&format!("{arn}{of}")), "t");
        }
        let iterator = format!("{arn}/stream/2026-01-01T00:00:00.000|1|00");
        assert!(of_iterator(&iterator).resource.ends_with("/stream/2026-01-01T00:00:00.000"));
    }
}
