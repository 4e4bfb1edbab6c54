//! Answers that items go into as they are stored: GetItem's, Query's and Scan's.
//!
//! The generated outputs hold every attribute as a value of its own, which takes a dozen allocations an item to make and to take
//! apart again. These have the same schemas, and write what is stored to whichever protocol the answer is in.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::codec::{CodecError, Cursor, Tag};
use fractus_dynamodb_rules::{Kind, Number};
use fractus_wire::generated::put;
use fractus_wire::{
    Member, Operation, OperationSchema, ReadError, Reader, Schema, ServiceSchema, Shape, WriteError, Writer,
};

use crate::stored_json::push_item;
use crate::values::ApiItem;

/// An item of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// All of it, in the rules' stored form.
    Stored(Bytes),
    /// What a projection made of it.
    Made(ApiItem),
}

impl Told {
    /// `member` is the place of a map of attributes.
    fn write(&self, member: &'static Member, writer: &mut dyn Writer) -> Result<(), WriteError> {
        match self {
            Told::Stored(item) => {
                // Nearly every answer is JSON, which needs no members looked up.
                let is_written = writer.write_json(member, &mut |out| push_item(item, out).map_err(damaged))?;
                if is_written { Ok(()) } else { write_stored(item, member, writer) }
            }
            Told::Made(item) => put(item, member, writer),
        }
    }
}

/// The members of the union of all kinds of values.
static VALUES: LazyLock<[Option<&'static Member>; Kind::ALL.len()]> = LazyLock::new(|| {
    let union = api::AttributeValue::default().schema();
    Kind::ALL.map(|kind| union.member_by_wire_name(kind.as_str()))
});

fn damaged(error: CodecError) -> WriteError {
    WriteError::new("a stored item", error.to_string())
}

fn value_member(kind: Kind) -> Result<&'static Member, WriteError> {
    let unknown = || WriteError::new(kind.to_string(), "the model has no such value");
    // Kinds are declared in the order of their list.
    VALUES.get(kind as usize).copied().flatten().ok_or_else(unknown)
}

fn element(member: &'static Member) -> Result<&'static Member, WriteError> {
    let no_element = || WriteError::new(member.name.to_owned(), "its shape has no element");
    member.target.element().ok_or_else(no_element)
}

fn write_stored(item: &Bytes, member: &'static Member, writer: &mut dyn Writer) -> Result<(), WriteError> {
    let cursor = Cursor::new(item).map_err(damaged)?;
    let value = StoredValue { item: item.clone(), left: Cell::new(cursor.left()), digits: RefCell::default() };
    value.write_map(member, writer)
}

/// The value that comes next in a stored item; what was written is behind it.
struct StoredValue {
    item: Bytes,
    left: Cell<usize>,
    /// The digits of numbers, so that each need not have a text of its own.
    digits: RefCell<String>,
}

impl StoredValue {
    fn take<'s, T>(&'s self, read: impl FnOnce(&mut Cursor<'s>) -> Result<T, CodecError>) -> Result<T, WriteError> {
        let mut cursor = Cursor::with_left(&self.item, self.left.get());
        let taken = read(&mut cursor).map_err(damaged)?;
        self.left.set(cursor.left());
        Ok(taken)
    }

    fn bytes(&self) -> Result<&[u8], WriteError> {
        self.take(Cursor::bytes)
    }

    fn text(&self) -> Result<&str, WriteError> {
        self.take(Cursor::text)
    }

    fn write_number(&self, member: &'static Member, writer: &mut dyn Writer) -> Result<(), WriteError> {
        let number: Number = self.take(Cursor::number)?;
        let mut digits = self.digits.borrow_mut();
        digits.clear();
        let _ = write!(digits, "{number}");
        writer.write_string(member, &digits)
    }

    /// A count, and so many names and values.
    fn write_map(&self, member: &'static Member, writer: &mut dyn Writer) -> Result<(), WriteError> {
        let value = element(member)?;
        let count = self.take(Cursor::count)?;
        writer.write_map(member, count, &mut |writer| {
            (0..count).try_for_each(|_| {
                writer.write_key(self.text()?)?;
                writer.write_structure(value, self)
            })
        })
    }

    fn write_list(
        &self,
        member: &'static Member,
        writer: &mut dyn Writer,
        one: impl Fn(&'static Member, &mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let element = element(member)?;
        let count = self.take(Cursor::count)?;
        writer.write_list(member, count, &mut |writer| (0..count).try_for_each(|_| one(element, writer)))
    }
}

impl Shape for StoredValue {
    fn schema(&self) -> &'static Schema {
        api::AttributeValue::default().schema()
    }

    fn read_member(&mut self, _: usize, _: &mut dyn Reader) -> Result<(), ReadError> {
        Ok(())
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        match self.take(Cursor::tag)? {
            Tag::S => writer.write_string(value_member(Kind::S)?, self.text()?),
            Tag::N => self.write_number(value_member(Kind::N)?, writer),
            Tag::B => writer.write_blob(value_member(Kind::B)?, self.bytes()?),
            Tag::SS => self.write_list(value_member(Kind::SS)?, writer, |member, writer| {
                writer.write_string(member, self.text()?)
            }),
            Tag::NS => {
                self.write_list(value_member(Kind::NS)?, writer, |member, writer| self.write_number(member, writer))
            }
            Tag::BS => self
                .write_list(value_member(Kind::BS)?, writer, |member, writer| writer.write_blob(member, self.bytes()?)),
            Tag::M => self.write_map(value_member(Kind::M)?, writer),
            Tag::L => {
                self.write_list(value_member(Kind::L)?, writer, |member, writer| writer.write_structure(member, self))
            }
            Tag::Bool(value) => writer.write_boolean(value_member(Kind::Bool)?, value),
            Tag::Null => writer.write_boolean(value_member(Kind::Null)?, true),
        }
    }
}

/// What GetItem answers.
#[derive(Default)]
pub struct ItemAnswer {
    pub item: Option<Told>,
    pub consumed_capacity: Option<api::ConsumedCapacity>,
}

impl Shape for ItemAnswer {
    fn schema(&self) -> &'static Schema {
        api::GetItem::SCHEMA.output
    }

    fn read_member(&mut self, _: usize, _: &mut dyn Reader) -> Result<(), ReadError> {
        Ok(())
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        self.schema().members.as_slice().iter().try_for_each(|member| match (member.name, &self.item) {
            ("Item", Some(item)) => item.write(member, writer),
            ("ConsumedCapacity", _) => put(&self.consumed_capacity, member, writer),
            _ => Ok(()),
        })
    }
}

/// What Query and Scan answer.
#[derive(Default)]
pub struct PageAnswer {
    pub items: Option<Vec<Told>>,
    pub count: Option<i32>,
    pub scanned_count: Option<i32>,
    pub last_evaluated_key: Option<ApiItem>,
    pub consumed_capacity: Option<api::ConsumedCapacity>,
}

impl Shape for PageAnswer {
    /// Scan's output has the same members.
    fn schema(&self) -> &'static Schema {
        api::Query::SCHEMA.output
    }

    fn read_member(&mut self, _: usize, _: &mut dyn Reader) -> Result<(), ReadError> {
        Ok(())
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        self.schema().members.as_slice().iter().try_for_each(|member| match (member.name, &self.items) {
            ("Items", Some(items)) => {
                let element = element(member)?;
                writer.write_list(member, items.len(), &mut |writer| {
                    items.iter().try_for_each(|item| item.write(element, writer))
                })
            }
            ("Count", _) => put(&self.count, member, writer),
            ("ScannedCount", _) => put(&self.scanned_count, member, writer),
            ("LastEvaluatedKey", _) => put(&self.last_evaluated_key, member, writer),
            ("ConsumedCapacity", _) => put(&self.consumed_capacity, member, writer),
            _ => Ok(()),
        })
    }
}

macro_rules! answered_as {
    ($($operation:ident: $input:ident -> $output:ty),+ $(,)?) => {$(
        /// The operation with an answer of stored items.
        #[derive(Clone, Copy, Debug)]
        pub struct $operation;

        impl Operation for $operation {
            type Input = api::$input;
            type Output = $output;
            type Error = api::Error;
            const SCHEMA: &'static OperationSchema = api::$operation::SCHEMA;
            const SERVICE: &'static ServiceSchema = api::$operation::SERVICE;
        }
    )+};
}

answered_as! {
    GetItem: GetItemInput -> ItemAnswer,
    Query: QueryInput -> PageAnswer,
    Scan: ScanInput -> PageAnswer,
}

#[cfg(test)]
mod tests {
    use fractus_dynamodb_rules::{Item, Value, codec};
    use fractus_wire::cbor::CborWriter;
    use fractus_wire::json::JsonWriter;

    use super::*;
    use crate::values::item_to_api;

    fn number(text: &str) -> Value {
        Value::N(Number::parse(text).unwrap())
    }

    fn all_kinds() -> Item {
        let inner: Item = [("deep".to_owned(), Value::L(vec![Value::Null, number("-1.5"), Value::text("\"x\"\n")]))]
            .into_iter()
            .collect();
        let entries = [
            ("s", Value::text("té\u{1}xt")),
            ("n", number("123456789012345678901234567890.5")),
            ("b", Value::B(vec![0, 1, 255])),
            ("ss", Value::SS(vec!["a".into(), "b".into()])),
            ("ns", Value::NS(vec![Number::from_u64(1), Number::from_u64(20)])),
            ("bs", Value::BS(vec![vec![1], vec![2, 3]])),
            ("m", Value::M(inner)),
            ("empty", Value::M(Item::new())),
            ("l", Value::L(Vec::new())),
            ("t", Value::Bool(true)),
            ("f", Value::Bool(false)),
            ("0", Value::Null),
        ];
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn stored(item: &Item) -> Bytes {
        let mut bytes = Vec::new();
        codec::encode(item, &mut bytes);
        bytes.into()
    }

    fn json(shape: &dyn Shape) -> String {
        let mut out = Vec::new();
        JsonWriter::write_root(&mut out, shape).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_stored_is_written_as_its_values_are() {
        let item = all_kinds();
        let answer = ItemAnswer { item: Some(Told::Stored(stored(&item))), consumed_capacity: None };
        let generated = api::GetItemOutput { item: Some(item_to_api(item.clone())), consumed_capacity: None };
        assert_eq!(json(&answer), json(&generated));
        assert_eq!(json(&answer), json(&answer), "written again, it begins at its beginning");
        let page = PageAnswer {
            items: Some(vec![Told::Stored(stored(&item)), Told::Made(item_to_api(item.clone()))]),
            count: Some(2),
            scanned_count: Some(3),
            last_evaluated_key: Some(item_to_api(item.clone())),
            consumed_capacity: None,
        };
        let generated = api::QueryOutput {
            items: Some(vec![item_to_api(item.clone()), item_to_api(item.clone())]),
            count: Some(2),
            scanned_count: Some(3),
            last_evaluated_key: Some(item_to_api(item)),
            consumed_capacity: None,
        };
        assert_eq!(json(&page), json(&generated));
    }

    #[test]
    fn other_protocols_get_the_same_values() {
        let cbor = |shape: &dyn Shape| {
            let mut out = Vec::new();
            CborWriter::write_root(&mut out, shape).unwrap();
            out
        };
        let item = all_kinds();
        let answer = ItemAnswer { item: Some(Told::Stored(stored(&item))), consumed_capacity: None };
        let generated = api::GetItemOutput { item: Some(item_to_api(item)), consumed_capacity: None };
        assert_eq!(cbor(&answer), cbor(&generated));
    }

    #[test]
    fn a_scan_answers_with_the_members_of_a_query() {
        let names =
            |schema: &'static Schema| schema.members.as_slice().iter().map(|member| member.name).collect::<Vec<_>>();
        assert_eq!(names(api::Query::SCHEMA.output), names(api::Scan::SCHEMA.output));
    }

    #[test]
    fn a_damaged_item_is_an_error() {
        let whole = stored(&all_kinds());
        for cut in [0, 1, 5, whole.len() - 1] {
            let answer = ItemAnswer { item: Some(Told::Stored(whole.slice(..cut))), consumed_capacity: None };
            assert!(JsonWriter::write_root(&mut Vec::new(), &answer).is_err(), "cut at {cut}");
        }
    }
}
