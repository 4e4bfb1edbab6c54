//! A digest of what a transaction asks for: whether a token comes with the same request again.

use bytes::Bytes;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::key::partition_hash;
use fractus_dynamodb_rules::{Value, codec};

use crate::inputs::{Put, ReadItem, TransactWriteItem};
use crate::values::ApiItem;

/// Everything of a request, each part with its length before it.
#[derive(Default)]
pub(super) struct Digest(Vec<u8>);

impl Digest {
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    pub fn text(&mut self, text: Option<&str>) {
        self.0.push(u8::from(text.is_some()));
        self.bytes(text.unwrap_or_default().as_bytes());
    }

    fn item(&mut self, item: &ApiItem) {
        self.0.extend_from_slice(&(item.len() as u64).to_be_bytes());
        for (name, value) in item {
            self.bytes(name.as_bytes());
            self.value(value);
        }
    }

    fn list<T>(&mut self, list: &[T], each: impl Fn(&mut Self, &T)) {
        self.0.extend_from_slice(&(list.len() as u64).to_be_bytes());
        list.iter().for_each(|one| each(self, one));
    }

    pub fn value(&mut self, value: &api::AttributeValue) {
        use api::AttributeValue;
        let (tag, simple): (u8, &[u8]) = match value {
            AttributeValue::S(text) => (b'S', text.as_bytes()),
            AttributeValue::N(text) => (b'N', text.as_bytes()),
            AttributeValue::B(bytes) => (b'B', bytes),
            AttributeValue::Ss(_) => (b's', &[]),
            AttributeValue::Ns(_) => (b'n', &[]),
            AttributeValue::Bs(_) => (b'b', &[]),
            AttributeValue::M(_) => (b'M', &[]),
            AttributeValue::L(_) => (b'L', &[]),
            AttributeValue::Bool(value) => (b'T', if *value { b"1" } else { b"0" }),
            AttributeValue::Null(_) => (b'0', &[]),
            AttributeValue::Unknown => (b'?', &[]),
        };
        self.0.push(tag);
        match value {
            AttributeValue::Ss(set) | AttributeValue::Ns(set) => {
                self.list(set, |digest, text| digest.bytes(text.as_bytes()));
            }
            AttributeValue::Bs(set) => self.list(set, |digest, bytes| digest.bytes(bytes)),
            AttributeValue::M(map) => self.item(map),
            AttributeValue::L(list) => self.list(list, Self::value),
            _ => self.bytes(simple),
        }
    }

    pub fn finish(self) -> Bytes {
        let whole = Value::B(self.0);
        Bytes::copy_from_slice(&partition_hash(std::iter::once(&whole)))
    }
}

type Names = Option<indexmap::IndexMap<String, String>>;

/// An item or a key, by whichever way it was read.
enum Named<'a> {
    Key(&'a ApiItem),
    Item(&'a ReadItem),
}

/// What the four kinds of actions have in common.
struct Parts<'a> {
    kind: u8,
    table: &'a str,
    item: Named<'a>,
    update: Option<&'a str>,
    condition: Option<&'a str>,
    names: &'a Names,
    values: &'a Option<ApiItem>,
    on_failure: &'a Option<api::ReturnValuesOnConditionCheckFailure>,
}

fn parts(asked: &TransactWriteItem) -> [Option<Parts<'_>>; 4] {
    let item = &asked.rest;
    let put = asked.put.as_ref().map(|Put { rest: put, item }| Parts {
        kind: b'P',
        table: &put.table_name,
        item: Named::Item(item),
        update: None,
        condition: put.condition_expression.as_deref(),
        names: &put.expression_attribute_names,
        values: &put.expression_attribute_values,
        on_failure: &put.return_values_on_condition_check_failure,
    });
    let delete = item.delete.as_ref().map(|delete| Parts {
        kind: b'D',
        table: &delete.table_name,
        item: Named::Key(&delete.key),
        update: None,
        condition: delete.condition_expression.as_deref(),
        names: &delete.expression_attribute_names,
        values: &delete.expression_attribute_values,
        on_failure: &delete.return_values_on_condition_check_failure,
    });
    let update = item.update.as_ref().map(|update| Parts {
        kind: b'U',
        table: &update.table_name,
        item: Named::Key(&update.key),
        update: Some(&update.update_expression),
        condition: update.condition_expression.as_deref(),
        names: &update.expression_attribute_names,
        values: &update.expression_attribute_values,
        on_failure: &update.return_values_on_condition_check_failure,
    });
    let check = item.condition_check.as_ref().map(|check| Parts {
        kind: b'C',
        table: &check.table_name,
        item: Named::Key(&check.key),
        update: None,
        condition: Some(&check.condition_expression),
        names: &check.expression_attribute_names,
        values: &check.expression_attribute_values,
        on_failure: &check.return_values_on_condition_check_failure,
    });
    [put, delete, update, check]
}

/// The digest of a TransactWriteItems.
pub(super) fn of(items: &[TransactWriteItem]) -> Bytes {
    let mut digest = Digest::default();
    for part in items.iter().flat_map(parts).flatten() {
        digest.0.push(part.kind);
        digest.bytes(part.table.as_bytes());
        match part.item {
            Named::Key(key) => digest.item(key),
            Named::Item(item) => {
                let mut bytes = Vec::new();
                codec::encode_entries(item.entries(), &mut bytes);
                digest.bytes(&bytes);
            }
        }
        digest.text(part.update);
        digest.text(part.condition);
        for (name, of) in part.names.iter().flatten() {
            digest.bytes(name.as_bytes());
            digest.bytes(of.as_bytes());
        }
        part.values.iter().for_each(|values| digest.item(values));
        digest.text(part.on_failure.as_ref().map(api::ReturnValuesOnConditionCheckFailure::as_str));
    }
    digest.finish()
}
