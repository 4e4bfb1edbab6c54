use fractus_models::{Api, folder, names};
use indexmap::IndexMap;
use proptest::prelude::*;

use crate::document::{Document, DynamicShape};
use crate::dynamic::leak;
use crate::json::JsonReader;
use crate::schema::{Constraints, Kind, Member, Schema, ServiceSchema};
use crate::validation::{compiles, matches, message, validate};

fn service(name: &str) -> &'static ServiceSchema {
    leak(&Api::read(&folder(), name).unwrap()).unwrap()
}

/// The message for a JSON input of an operation; empty when all is well.
fn told(service: &'static ServiceSchema, operation: &str, json: &str) -> String {
    let schema = service.operation(operation).unwrap().input;
    let mut input = DynamicShape::new(schema);
    let mut reader = JsonReader::new(json.as_bytes());
    reader.read_root(schema, &mut input).unwrap();
    let violations = validate(&input, &reader.progress.missing);
    if violations.is_empty() { String::new() } else { message(&violations) }
}

#[test]
fn single_values_are_told_of_by_themselves() {
    let kinesis = service("kinesis");
    assert_eq!(told(kinesis, "CreateStream", r#"{"StreamName": "fine", "ShardCount": 1}"#), "");
    assert_eq!(
        told(kinesis, "CreateStream", r#"{"StreamName": "no good", "ShardCount": 0}"#),
        "2 validation errors detected: Value 'no good' at 'streamName' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value '0' at 'shardCount' failed to satisfy constraint: \
         Member must have value greater than or equal to 1"
    );
    assert_eq!(
        told(kinesis, "CreateStream", r#"{"ShardCount": 1}"#),
        "1 validation error detected: Value null at 'streamName' failed to satisfy constraint: Member must not be null"
    );
}

#[test]
fn enums_say_their_values() {
    let text = told(
        service("dynamodb"),
        "CreateTable",
        r#"{"TableName": "abc", "KeySchema": [{"AttributeName": "id", "KeyType": "BOTH"}],
            "AttributeDefinitions": [{"AttributeName": "id"}]}"#,
    );
    assert_eq!(
        text,
        "2 validation errors detected: Value null at 'attributeDefinitions.1.member.attributeType' failed to satisfy \
         constraint: Member must not be null; Value 'BOTH' at 'keySchema.1.member.keyType' failed to satisfy \
         constraint: Member must satisfy enum value set: [HASH, RANGE]"
    );
}

#[test]
fn elements_and_entries_are_told_of_with_their_collection() {
    let lambda = service("lambda");
    let text = told(
        lambda,
        "CreateFunction",
        r#"{"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r", "Code": {},
        "Tags": {}, "Layers": ["x y"]}"#,
    );
    assert!(
        text.starts_with(
            "1 validation error detected: Value '[x y]' at 'layers' failed to satisfy constraint: Member must satisfy \
         constraint: [Member must have length less than or equal to 2048, Member must have length greater than or \
         equal to 1, Member must satisfy regular expression pattern: "
        ),
        "{text}"
    );
    assert!(text.ends_with(", Member must not be null]"), "{text}");
    let text = told(
        service("ssm"),
        "AddTagsToResource",
        r#"{"ResourceType": "Document", "ResourceId": "r",
        "Tags": [{"Key": "k", "Value": "%<>"}]}"#,
    );
    assert!(text.starts_with("1 validation error detected: Value '%<>' at 'tags.1.member.value' failed"), "{text}");
}

static NAME: Schema = {
    let mut schema = Schema::new("Name", Kind::String);
    schema.constraints = &Constraints { min: Some(1.0), max: Some(3.0), pattern: Some("[a-zé]+") };
    schema
};
static SECRET: Schema = {
    let mut schema = Schema::new("Secret", Kind::String);
    schema.constraints = &Constraints { min: Some(6.0), max: None, pattern: None };
    schema.sensitive = true;
    schema
};
static NAMES: Schema =
    Schema::new("Names", Kind::Map).with_members(&[Member::new("key", 0, &NAME), Member::new("value", 1, &NAME)], &[]);
static INNER: Schema = Schema::new("Inner", Kind::Structure).with_members(&[Member::new("Name", 0, &NAME)], &[]);
static INNERS: Schema = Schema::new("Inners", Kind::Map)
    .with_members(&[Member::new("key", 0, &NAME), Member::new("value", 1, &INNER)], &[]);
static ROOT: Schema = Schema::new("Root", Kind::Structure).with_members(
    &[
        Member::new("Name", 0, &NAME),
        Member::new("Password", 1, &SECRET),
        Member::new("Names", 2, &NAMES),
        Member::new("Inners", 3, &INNERS),
    ],
    &[],
);

fn told_of(members: &[(&str, Document)]) -> String {
    let members: IndexMap<String, Document> =
        members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    message(&validate(&DynamicShape::from_members(&ROOT, members), &[]))
}

fn text(text: &str) -> Document {
    Document::String(text.to_owned())
}

fn map(entries: &[(&str, Document)]) -> Document {
    Document::Map(entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

#[test]
fn characters_count_not_bytes() {
    assert!(validate(&DynamicShape::from_members(&ROOT, [("Name".to_owned(), text("ééé"))].into()), &[]).is_empty());
    assert!(told_of(&[("Name", text("éééé"))]).contains("length less than or equal to 3"));
}

#[test]
fn sensitive_values_are_not_shown() {
    assert_eq!(
        told_of(&[("Password", text("abc"))]),
        "1 validation error detected: Value at 'password' failed to satisfy constraint: Member must have length \
         greater than or equal to 6"
    );
}

#[test]
fn maps_tell_of_keys_and_values() {
    let all = "[Member must have length less than or equal to 3, Member must have length greater than or equal to 1, \
               Member must satisfy regular expression pattern: [a-zé]+]";
    assert_eq!(
        told_of(&[("Names", map(&[("A", text("b")), ("c", text("dddd"))]))]),
        format!(
            "2 validation errors detected: Value '{{A=b, c=dddd}}' at 'names' failed to satisfy constraint: Map keys \
             must satisfy constraint: {all}; Value '{{A=b, c=dddd}}' at 'names' failed to satisfy constraint: Map value \
             must satisfy constraint: {all}"
        )
    );
    assert!(
        told_of(&[("Inners", map(&[("k", map(&[("Name", text("X"))]))]))])
            .contains("Value 'X' at 'inners.k.member.name' failed")
    );
}

#[test]
fn patterns_match_the_whole_value_and_ascii_classes() {
    assert!(matches("[a-z]+", "abc"));
    assert!(!matches("[a-z]+", "ab c"));
    assert!(!matches("\\w+", "é"));
    assert!(matches("[\\w-.]+", "a-b.c"));
    assert!(matches("[a-zA-Z0-9-_]+", "a-_9"));
    assert!(matches("[\\w+=,.@-]*", "a+=,.@-"));
    assert!(!matches("[\\w+=,.@-]*", "a/b"));
    assert!(matches("[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\r\\n\\t]*", "x😀\n"));
    assert!(matches("^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$", "Ä b:1"));
    assert!(matches("(?!aws:).*", "mine") && !matches("(?!aws:).*", "aws:x"));
    assert!(matches("\\d{12}", "123456789012") && !matches("\\d{12}", "12345678901٣"));
    assert!(matches("\\p{Print}+", "a b~") && !matches("\\p{Print}+", "a\u{7f}"));
    assert!(matches("[^\\s]+", "a") && !matches("[^\\s]+", "a b"));
}

#[test]
fn every_pattern_of_every_model_can_be_enforced() {
    let mut seen = std::collections::HashSet::new();
    let mut refused = Vec::new();
    for name in names(&folder()).unwrap() {
        for shape in Api::read(&folder(), &name).unwrap().shapes.into_values() {
            if let Some(pattern) = shape.pattern
                && seen.insert(pattern.clone())
            {
                let pattern: &'static str = Box::leak(pattern.into_boxed_str());
                if !compiles(pattern) {
                    refused.push(pattern);
                }
            }
        }
    }
    assert!(seen.len() > 500, "{} patterns", seen.len());
    assert!(refused.is_empty(), "{refused:#?}");
}

proptest! {
    #[test]
    fn no_pattern_makes_the_translation_panic(pattern in ".{0,40}") {
        let pattern: &'static str = Box::leak(pattern.into_boxed_str());
        let _ = matches(pattern, "text");
    }
}
