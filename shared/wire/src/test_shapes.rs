//! A few shapes by hand, for the tests of the codecs.

use indexmap::IndexMap;

use crate::document::{Document, DynamicShape};
use crate::schema::{
    HttpTrait, Kind, Location, Member, OperationSchema, Protocol, Schema, ServiceSchema, XmlNamespace,
};

pub static STRING: Schema = Schema::new("String", Kind::String);
pub static INTEGER: Schema = Schema::new("Integer", Kind::Integer);
pub static DOUBLE: Schema = Schema::new("Double", Kind::Double);
pub static BOOLEAN: Schema = Schema::new("Boolean", Kind::Boolean);
pub static BLOB: Schema = Schema::new("Blob", Kind::Blob);
pub static TIMESTAMP: Schema = Schema::new("Timestamp", Kind::Timestamp);

pub static STRINGS: Schema = Schema::new("Strings", Kind::List).with_members(&[Member::new("member", 0, &STRING)], &[]);
pub static NAMES: Schema =
    Schema::new("Names", Kind::List).with_members(&[Member::new("member", 0, &STRING).wire("item")], &[]);
pub static FLAT_NAMES: Schema = {
    let mut schema = Schema::new("FlatNames", Kind::List).with_members(&[NAMED], &[]);
    schema.flattened = true;
    schema
};
const NAMED: Member = Member::new("member", 0, &STRING).wire("FlatName");

pub static TAGS: Schema = Schema::new("Tags", Kind::Map)
    .with_members(&[Member::new("key", 0, &STRING), Member::new("value", 1, &STRING)], &[]);

/// SQS's attributes: other names in the Query protocol than the model's own.
pub static ATTRIBUTES: Schema = {
    let mut schema = Schema::new("Attributes", Kind::Map).with_members(&[ATTRIBUTE_KEY, ATTRIBUTE_VALUE], &[]);
    schema.flattened = true;
    schema
};
const ATTRIBUTE_KEY: Member = query(Member::new("key", 0, &STRING), "Name");
const ATTRIBUTE_VALUE: Member = query(Member::new("value", 1, &STRING), "Value");

const fn query(mut member: Member, name: &'static str) -> Member {
    member.query_name = Some(name);
    member
}

const fn attribute(mut member: Member) -> Member {
    member.xml_attribute = true;
    member
}

const fn flattened(mut member: Member) -> Member {
    member.flattened = true;
    member
}

pub static ENTRY: Schema = {
    let mut schema = Schema::new("Entry", Kind::Structure).with_members(
        &[
            Member::new("Id", 0, &STRING).required(),
            Member::new("Body", 1, &STRING),
            attribute(Member::new("Type", 2, &STRING).wire("xsi:type")),
            Member::new("Inner", 3, &ENTRY),
        ],
        &[],
    );
    schema.xml_namespace =
        Some(&XmlNamespace { uri: "http://www.w3.org/2001/XMLSchema-instance", prefix: Some("xsi") });
    schema
};
pub static ENTRIES: Schema = Schema::new("Entries", Kind::List).with_members(&[Member::new("member", 0, &ENTRY)], &[]);

pub static EVERYTHING: Schema = Schema::new("Everything", Kind::Structure).with_members(
    &[
        Member::new("Text", 0, &STRING),
        Member::new("Count", 1, &INTEGER),
        Member::new("Ratio", 2, &DOUBLE),
        Member::new("Flag", 3, &BOOLEAN),
        Member::new("Data", 4, &BLOB),
        Member::new("When", 5, &TIMESTAMP),
        Member::new("Words", 6, &STRINGS),
        Member::new("Renamed", 7, &NAMES).wire("renamed"),
        flattened(Member::new("Flat", 8, &STRINGS)),
        Member::new("FlatNames", 9, &FLAT_NAMES),
        Member::new("Tags", 10, &TAGS),
        flattened(Member::new("FlatTags", 11, &TAGS)),
        query(Member::new("Attributes", 12, &ATTRIBUTES), "Attribute"),
        Member::new("Entries", 13, &ENTRIES),
        Member::new("Entry", 14, &ENTRY),
        Member::new("Header", 15, &STRING).at(Location::Header),
    ],
    &[],
);

pub static OPERATION: OperationSchema = operation("DoEverything", &EVERYTHING, &EVERYTHING);

pub const fn operation(name: &'static str, input: &'static Schema, output: &'static Schema) -> OperationSchema {
    OperationSchema {
        name,
        http: HttpTrait { method: "POST", uri: "/", code: 200 },
        input,
        output,
        errors: &[],
        input_xml_name: None,
        input_xml_namespace: None,
        result_wrapper: None,
        host_prefix: None,
        unsigned: false,
        unsigned_payload: false,
        checksum_required: false,
        checksum_algorithm_member: None,
        checksum_mode_member: None,
        request_compression: false,
        idempotent: false,
        deprecated: false,
    }
}

pub static SERVICE: ServiceSchema = ServiceSchema {
    api: "everything",
    api_version: "2020-01-08",
    service_id: "Everything",
    full_name: "Everything",
    endpoint_prefix: "everything",
    signing_name: "everything",
    target_prefix: None,
    protocols: &[Protocol::AwsQuery],
    query_compatible: false,
    xml_namespace: Some("https://example.com/"),
    global_endpoint: false,
    bare_errors: false,
    operations: &[&OPERATION],
};

pub fn text(value: &str) -> Document {
    Document::String(value.to_owned())
}

pub fn texts(values: &[&str]) -> Document {
    Document::List(values.iter().map(|value| text(value)).collect())
}

pub fn map(entries: &[(&str, Document)]) -> Document {
    Document::Map(members(entries))
}

pub fn members(entries: &[(&str, Document)]) -> IndexMap<String, Document> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

pub fn everything(entries: &[(&str, Document)]) -> DynamicShape {
    DynamicShape::from_members(&EVERYTHING, members(entries))
}
