//! Requests whose items are read as the rules have them, at once: those of PutItem, and of TransactWriteItems' puts.
//!
//! The generated inputs hold an item as a map of values of the API, which are hashed by name, walked once more to be judged by the
//! model's constraints, and then made into the rules' values. These hold all but the item in the generated input, and the item beside it.

use std::sync::LazyLock;

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::check::{self, ValueError};
use fractus_dynamodb_rules::{Item, Kind, Value};
use fractus_wire::generated::Value as _;
use fractus_wire::{
    Member, Operation, OperationSchema, ReadError, Reader, Schema, ServiceSchema, Shape, WriteError, Writer,
};

use crate::values::{ApiItem, item_to_api};

/// The longest name of an attribute in the model; longer ones are refused with all that the constraints have to say.
const MAX_NAME_CHARACTERS: usize = 65_535;

/// What each member of the union of all kinds of values is.
static KINDS: LazyLock<Vec<Option<Kind>>> = LazyLock::new(|| {
    let members = api::AttributeValue::default().schema().members.as_slice();
    members.iter().map(|member| Kind::named(member.wire_name)).collect()
});

/// An item as it is read. What is wrong with a value is told when the item is asked for, since other things come first.
#[derive(Debug, Default)]
pub struct ReadItem {
    entries: Vec<(String, Value)>,
    error: Option<ValueError>,
    has_long_name: bool,
}

impl ReadItem {
    fn read(&mut self, member: &'static Member, reader: &mut dyn Reader) -> Result<(), ReadError> {
        if !reader.collections_come_in_pieces() {
            *self = Self::default();
        }
        read_entries(member, reader, &mut |name, value| {
            let value = value.and_then(|value| check::depth(&value).map(|()| value));
            self.has_long_name |= is_long(&name) || value.as_ref().is_ok_and(has_long_name);
            match value {
                Ok(value) => self.entries.push((name, value)),
                Err(error) => self.error = self.error.take().or(Some(error)),
            }
        })
    }

    pub fn into_item(self) -> Result<Item, ValueError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.entries.into_iter().collect()),
        }
    }

    /// What could be read, in the order of the request.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value)> + Clone {
        self.entries.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The item as the generated input has it, for those who want that: what could not be read is not in it.
    fn to_api(&self) -> ApiItem {
        item_to_api(self.entries.iter().cloned().collect())
    }
}

/// Whether a name may be too long; in bytes, of which it has no fewer than characters.
const fn is_long(name: &str) -> bool {
    name.len() > MAX_NAME_CHARACTERS
}

fn has_long_name(value: &Value) -> bool {
    match value {
        Value::M(map) => map.iter().any(|(name, value)| is_long(name) || has_long_name(value)),
        Value::L(list) => list.iter().any(has_long_name),
        _ => false,
    }
}

fn read_entries(
    member: &'static Member,
    reader: &mut dyn Reader,
    each: &mut dyn FnMut(String, Result<Value, ValueError>),
) -> Result<(), ReadError> {
    let Some(element) = member.target.element() else {
        return Err(ReadError::malformed(format!("{} has no element", member.target.name)));
    };
    reader.read_map(member, &mut |name, reader| {
        if !reader.read_null() {
            each(name, read_value(element, reader)?);
        }
        Ok(())
    })
}

fn read_value(member: &'static Member, reader: &mut dyn Reader) -> Result<Result<Value, ValueError>, ReadError> {
    let mut read = ReadValue::default();
    reader.read_structure(member, &mut read)?;
    Ok(read.0.unwrap_or(Err(ValueError::NoType)))
}

/// A value as it is read; none until its one member comes.
#[derive(Default)]
struct ReadValue(Option<Result<Value, ValueError>>);

impl Shape for ReadValue {
    fn schema(&self) -> &'static Schema {
        api::AttributeValue::default().schema()
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        let schema = self.schema();
        let (Some(member), Some(Some(kind))) = (schema.members.as_slice().get(index), KINDS.get(index)) else {
            return Ok(());
        };
        // A second one is read all the same, so that it can be refused in the words of values.
        let has_one = self.0.is_some();
        let value = match kind {
            Kind::S => Ok(Value::S(reader.read_string(member)?)),
            Kind::N => check::number(&reader.read_string(member)?),
            Kind::B => Ok(Value::B(reader.read_blob(member)?.into())),
            Kind::SS => check::string_set(Vec::read_value(member, reader)?),
            Kind::NS => check::number_set(&Vec::<String>::read_value(member, reader)?),
            Kind::BS => {
                let set: Vec<bytes::Bytes> = Vec::read_value(member, reader)?;
                check::binary_set(set.into_iter().map(Into::into).collect())
            }
            Kind::M => {
                let (mut entries, mut error) = (Vec::new(), None);
                read_entries(member, reader, &mut |name, value| match value {
                    Ok(value) => entries.push((name, value)),
                    Err(wrong) => error = error.take().or(Some(wrong)),
                })?;
                error.map_or_else(|| Ok(Value::M(entries.into_iter().collect())), Err)
            }
            Kind::L => {
                let Some(element) = member.target.element() else { return Ok(()) };
                let (mut list, mut error) = (Vec::new(), None);
                reader.read_list(member, &mut |reader| {
                    if !reader.read_null() {
                        match read_value(element, reader)? {
                            Ok(value) => list.push(value),
                            Err(wrong) => error = error.take().or(Some(wrong)),
                        }
                    }
                    Ok(())
                })?;
                error.map_or(Ok(Value::L(list)), Err)
            }
            Kind::Bool => Ok(Value::Bool(reader.read_boolean(member)?)),
            Kind::Null => check::null(reader.read_boolean(member)?),
        };
        self.0 = Some(if has_one { Err(ValueError::SeveralTypes) } else { value });
        Ok(())
    }

    fn write_members(&self, _: &mut dyn Writer) -> Result<(), WriteError> {
        Ok(())
    }
}

macro_rules! with_item {
    ($(#[$doc:meta])* $name:ident: $of:ty) => {
        $(#[$doc])*
        #[derive(Default)]
        pub struct $name {
            /// All but the item.
            pub rest: $of,
            pub item: ReadItem,
        }

        impl $name {
            /// As the generated input has it.
            pub fn to_api(&self) -> $of {
                let mut whole = self.rest.clone();
                whole.item = self.item.to_api();
                whole
            }
        }

        impl Shape for $name {
            fn schema(&self) -> &'static Schema {
                self.rest.schema()
            }

            fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
                match self.schema().members.as_slice().get(index) {
                    Some(member) if member.name == "Item" => self.item.read(member, reader),
                    _ => self.rest.read_member(index, reader),
                }
            }

            /// Constraints are held against what is written. The model has none on an item but the length of names, so that
            /// nearly all need not be walked.
            fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
                if self.item.has_long_name { self.to_api().write_members(writer) } else { self.rest.write_members(writer) }
            }
        }
    };
}

with_item! {
    /// What PutItem is asked with.
    PutItemInput: api::PutItemInput
}

with_item! {
    /// A put of a transaction.
    Put: api::Put
}

/// An action of a transaction.
#[derive(Default)]
pub struct TransactWriteItem {
    /// All but the put.
    pub rest: api::TransactWriteItem,
    pub put: Option<Put>,
}

impl TransactWriteItem {
    /// As the generated input has it.
    pub fn to_api(&self) -> api::TransactWriteItem {
        api::TransactWriteItem { put: self.put.as_ref().map(Put::to_api), ..self.rest.clone() }
    }
}

impl Shape for TransactWriteItem {
    fn schema(&self) -> &'static Schema {
        self.rest.schema()
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        match self.schema().members.as_slice().get(index) {
            Some(member) if member.name == "Put" => self.put.read_into(member, reader),
            _ => self.rest.read_member(index, reader),
        }
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        match &self.put {
            // Nobody sets more than one of the members; where somebody does, the order of complaints is not AWS's.
            Some(put) => {
                let members = self.schema().members.as_slice();
                let of_put = members.iter().find(|member| member.name == "Put");
                of_put.map_or(Ok(()), |member| put.write_value(member, writer))?;
                self.rest.write_members(writer)
            }
            None => self.rest.write_members(writer),
        }
    }
}

/// What TransactWriteItems is asked with.
#[derive(Default)]
pub struct TransactWriteItemsInput {
    /// All but the actions.
    pub rest: api::TransactWriteItemsInput,
    pub transact_items: Vec<TransactWriteItem>,
}

impl TransactWriteItemsInput {
    /// As the generated input has it.
    pub fn to_api(&self) -> api::TransactWriteItemsInput {
        let transact_items = self.transact_items.iter().map(TransactWriteItem::to_api).collect();
        api::TransactWriteItemsInput { transact_items, ..self.rest.clone() }
    }
}

impl Shape for TransactWriteItemsInput {
    fn schema(&self) -> &'static Schema {
        self.rest.schema()
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        match self.schema().members.as_slice().get(index) {
            Some(member) if member.name == "TransactItems" => self.transact_items.read_into(member, reader),
            _ => self.rest.read_member(index, reader),
        }
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        let members = self.schema().members.as_slice();
        members.iter().try_for_each(|member| match member.name {
            "TransactItems" => self.transact_items.write_value(member, writer),
            "ReturnConsumedCapacity" => self.rest.return_consumed_capacity.write_value(member, writer),
            "ReturnItemCollectionMetrics" => self.rest.return_item_collection_metrics.write_value(member, writer),
            "ClientRequestToken" => self.rest.client_request_token.write_value(member, writer),
            _ => Ok(()),
        })
    }
}

macro_rules! asked_with {
    ($($operation:ident: $input:ident -> $output:ident),+ $(,)?) => {$(
        /// The operation with a request whose items are the rules'.
        #[derive(Clone, Copy, Debug)]
        pub struct $operation;

        impl Operation for $operation {
            type Input = $input;
            type Output = api::$output;
            type Error = api::Error;
            const SCHEMA: &'static OperationSchema = api::$operation::SCHEMA;
            const SERVICE: &'static ServiceSchema = api::$operation::SERVICE;
        }
    )+};
}

asked_with! {
    PutItem: PutItemInput -> PutItemOutput,
    TransactWriteItems: TransactWriteItemsInput -> TransactWriteItemsOutput,
}

#[cfg(test)]
mod tests {
    use fractus_wire::json::JsonReader;
    use fractus_wire::validation;

    use super::*;
    use crate::values::item_from_api;

    fn read<T: Shape + Default>(schema: &'static Schema, text: &str) -> Result<T, ReadError> {
        let mut shape = T::default();
        JsonReader::new(text.as_bytes()).read_root(schema, &mut shape)?;
        Ok(shape)
    }

    /// An item, or what is wrong with it; or why it could not be read.
    type Found = Result<Result<Item, ValueError>, String>;

    /// What both ways of reading make of an item.
    fn both(item: &str) -> (Found, Found) {
        let text = format!(r#"{{"TableName":"t","Item":{item}}}"#);
        let schema = api::PutItem::SCHEMA.input;
        let told = |error: ReadError| format!("{} at {}", error.message, error.path);
        let own = read::<PutItemInput>(schema, &text).map(|input| input.item.into_item()).map_err(told);
        let generated = read::<api::PutItemInput>(schema, &text).map(|input| item_from_api(input.item)).map_err(told);
        (own, generated)
    }

    #[test]
    fn items_are_read_as_the_generated_input_reads_them() {
        let deep = |levels: usize| format!("{}{{\"S\":\"x\"}}{}", "{\"L\":[".repeat(levels), "]}".repeat(levels));
        let items = [
            r#"{}"#.to_owned(),
            r#"{"b":{"S":"2"},"a":{"N":"01.50"},"c":{"B":"AAEC"},"t":{"BOOL":true},"n":{"NULL":true}}"#.to_owned(),
            r#"{"a":{"SS":["x","a"]},"b":{"NS":["2","1"]},"c":{"BS":["Ag==","AQ=="]}}"#.to_owned(),
            r#"{"a":{"M":{"z":{"L":[{"S":""},null,{"N":"-7"}]},"y":null}},"e":{"M":{}},"l":{"L":[]}}"#.to_owned(),
            r#"{"a":{"S":"first"},"a":{"S":"second"}}"#.to_owned(),
            r#"{"a":{},"b":{"N":"x"}}"#.to_owned(),
            r#"{"a":{"M":{"deep":{"N":"x"}}},"b":{"SS":[]}}"#.to_owned(),
            r#"{"a":{"SS":["x","x"]}}"#.to_owned(),
            r#"{"a":{"NULL":false}}"#.to_owned(),
            r#"{"a":{"S":1}}"#.to_owned(),
            r#"{"a":{"L":[{"Q":"x"}]}}"#.to_owned(),
            r#"{"a":{"B":"!"}}"#.to_owned(),
            r#"{"a":"x"}"#.to_owned(),
            format!(r#"{{"a":{}}}"#, deep(31)),
            format!(r#"{{"a":{}}}"#, deep(32)),
            format!(r#"{{"a":{}}}"#, deep(40)),
        ];
        for item in items {
            let (own, generated) = both(&item);
            assert_eq!(own, generated, "{item}");
        }
        // What has two types is refused in the words of values, which a generated input knows nothing of.
        let (own, generated) = both(r#"{"a":{"S":"x","N":"1"}}"#);
        assert_eq!(own, Ok(Err(ValueError::SeveralTypes)));
        assert!(generated.is_err());
    }

    #[test]
    fn a_transaction_is_read_as_the_generated_input_reads_it() {
        let text = r#"{"ClientRequestToken":"t","TransactItems":[
            {"Put":{"TableName":"t","Item":{"a":{"S":"1"}},"ConditionExpression":"a = a"}}, null,
            {"Delete":{"TableName":"t","Key":{"a":{"S":"1"}}}},
            {"Put":{"TableName":"u","Item":{"b":{"M":{"c":{"N":"1"}}}}}}]}"#;
        let schema = api::TransactWriteItems::SCHEMA.input;
        let own: TransactWriteItemsInput = read(schema, text).unwrap();
        let generated: api::TransactWriteItemsInput = read(schema, text).unwrap();
        assert!(own.to_api() == generated);
    }

    #[test]
    fn constraints_hold_as_before() {
        let name = "n".repeat(MAX_NAME_CHARACTERS + 1);
        let requests = [
            r#"{"TableName":"","Item":{"a":{"S":"1"}},"ReturnValues":"x"}"#.to_owned(),
            format!(r#"{{"TableName":"t","Item":{{"{name}":{{"S":"1"}}}}}}"#),
            format!(r#"{{"TableName":"t","Item":{{"a":{{"L":[{{"M":{{"{name}":{{"S":"1"}}}}}}]}}}}}}"#),
        ];
        for text in requests {
            let schema = api::PutItem::SCHEMA.input;
            let told = |shape: &dyn Shape| format!("{:?}", validation::validate(shape, &[]));
            let own: PutItemInput = read(schema, &text).unwrap();
            let generated: api::PutItemInput = read(schema, &text).unwrap();
            assert_eq!(told(&own), told(&generated));
            assert_ne!(told(&own), "[]");
        }
        let schema = api::TransactWriteItems::SCHEMA.input;
        let text = r#"{"TransactItems":[{"Put":{"TableName":"","Item":{}}}],"ReturnConsumedCapacity":"x","ClientRequestToken":""}"#;
        let told = |shape: &dyn Shape| format!("{:?}", validation::validate(shape, &[]));
        let own: TransactWriteItemsInput = read(schema, text).unwrap();
        let generated: api::TransactWriteItemsInput = read(schema, text).unwrap();
        assert_eq!(told(&own), told(&generated));
    }
}
