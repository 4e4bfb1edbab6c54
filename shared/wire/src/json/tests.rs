use proptest::prelude::*;

use crate::document::{Document, DynamicShape};
use crate::json::{JsonReader, JsonWriter};
use crate::reading::MAX_DEPTH;
use crate::schema::{Kind, Member, Schema};
use crate::shape::{ReadErrorKind, Reader, Writer};

static ANY: Schema = Schema::new("Any", Kind::Document);
static ANY_MEMBER: Member = Member::new("any", 0, &ANY);
static TEXT: Schema = Schema::new("Text", Kind::String);
static BLOB: Schema = Schema::new("Blob", Kind::Blob);
static INTEGER: Schema = Schema::new("Integer", Kind::Integer);
static DOUBLE: Schema = Schema::new("Double", Kind::Double);
static TIME: Schema = Schema::new("Time", Kind::Timestamp);
static TEXTS: Schema = Schema::new("Texts", Kind::List).with_members(&[Member::new("member", 0, &TEXT)], &[]);
static ROOT: Schema = Schema::new("Root", Kind::Structure).with_members(
    &[
        Member::new("text", 0, &TEXT),
        Member::new("blob", 1, &BLOB),
        Member::new("integer", 2, &INTEGER),
        Member::new("double", 3, &DOUBLE),
        Member::new("time", 4, &TIME),
        Member::new("texts", 5, &TEXTS),
    ],
    &[],
);

fn read(text: &str) -> Result<DynamicShape, ReadErrorKind> {
    let mut shape = DynamicShape::new(&ROOT);
    JsonReader::new(text.as_bytes()).read_root(&ROOT, &mut shape).map_err(|error| error.kind)?;
    Ok(shape)
}

#[test]
fn a_repeated_key_counts_the_last_time() {
    let shape = read(r#"{"text":"a","texts":["a","b"],"text":"b","texts":["c"]}"#).unwrap();
    assert_eq!(shape.members["text"], Document::String("b".to_owned()));
    assert_eq!(shape.members["texts"], Document::List(vec![Document::String("c".to_owned())]));
}

#[test]
fn numbers_keep_their_bounds() {
    assert_eq!(read(r#"{"integer":2147483648}"#).unwrap_err(), ReadErrorKind::OutOfRange);
    assert_eq!(read(r#"{"integer":1.5}"#).unwrap_err(), ReadErrorKind::WrongType);
    assert_eq!(read(r#"{"integer":3.0}"#).unwrap().members["integer"], Document::Integer(3));
    assert_eq!(read(r#"{"double":"Infinity"}"#).unwrap().members["double"], Document::Double(f64::INFINITY));
    assert_eq!(read(r#"{"double":"1.5"}"#).unwrap_err(), ReadErrorKind::WrongType);
    assert_eq!(read(r#"{"double":NaN}"#).unwrap_err(), ReadErrorKind::Malformed);
    assert_eq!(read(r#"{"time":1e300}"#).unwrap_err(), ReadErrorKind::OutOfRange);
}

#[test]
fn text_that_is_no_json_is_refused() {
    for text in
        ["", "[]", "{", "{\"text\":\"a\"}x", "{\"text\":\"\u{1}\"}", r#"{"text":"\ud800"}"#, "{\"text\":}", "{,}"]
    {
        assert!(read(text).is_err(), "{text:?}");
    }
    let mut shape = DynamicShape::new(&ROOT);
    assert!(JsonReader::new(b"{\"text\":\"\xff\"}").read_root(&ROOT, &mut shape).is_err());
    assert_eq!(read(r#"{"blob":"YQ"}"#).unwrap_err(), ReadErrorKind::Malformed);
    assert_eq!(read(r#"{"blob":"Y Q=="}"#).unwrap_err(), ReadErrorKind::Malformed);
}

#[test]
fn depth_is_bounded_in_documents_and_in_what_is_skipped() {
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 2), "]".repeat(MAX_DEPTH + 2));
    let error = JsonReader::new(deep.as_bytes()).read_document(&ANY_MEMBER).unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::TooDeep);
    let skipped = format!("{{\"unknown\":{}", "[".repeat(100_000));
    assert_eq!(read(&skipped).unwrap_err(), ReadErrorKind::TooDeep);
}

fn any_document() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        Just(Document::Null),
        any::<bool>().prop_map(Document::Boolean),
        any::<i64>().prop_map(Document::Integer),
        (-1e300..1e300f64).prop_map(|value| Document::Double(value + 0.5)),
        ".*".prop_map(Document::String),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Document::List),
            prop::collection::vec((".*", inner), 0..6).prop_map(|map| Document::Map(map.into_iter().collect())),
        ]
    })
}

/// Numbers beyond 2^53 lose their fraction, so that they come back as whole ones: compare as a number.
fn same(one: &Document, two: &Document) -> bool {
    match (one, two) {
        (Document::Double(one), Document::Integer(two)) => *one == *two as f64,
        (Document::List(one), Document::List(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Document::Map(one), Document::Map(two)) => {
            one.len() == two.len() && one.iter().all(|(key, one)| two.get(key).is_some_and(|two| same(one, two)))
        }
        (one, two) => one == two,
    }
}

proptest! {
    #[test]
    fn a_document_comes_back_as_it_was(document in any_document()) {
        let mut out = Vec::new();
        JsonWriter::value(&mut out).write_document(&ANY_MEMBER, &document).unwrap();
        serde_json::from_slice::<serde_json::Value>(&out).unwrap();
        let mut reader = JsonReader::new(&out);
        let read = reader.read_document(&ANY_MEMBER).unwrap();
        reader.finish().unwrap();
        prop_assert!(same(&document, &read), "{document:?} {read:?}");
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut shape = DynamicShape::new(&ROOT);
        let _ = JsonReader::new(&bytes).read_root(&ROOT, &mut shape);
        let _ = JsonReader::new(&bytes).read_document(&ANY_MEMBER);
    }
}

#[test]
fn what_is_escaped_is_found_wherever_it_stands() {
    for length in [0, 1, 15, 16, 17, 40] {
        for at in 0..length {
            for character in ['\u{0}', '\u{1f}', '"', '\\', '\n', ' ', '\u{7f}', 'é'] {
                let text: String = (0..length).map(|place| if place == at { character } else { 'x' }).collect();
                let mut out = Vec::new();
                super::push_string(&mut out, &text);
                assert!(out.iter().all(|byte| *byte >= 0x20), "{text:?}");
                let read = JsonReader::new(&out).read_document(&ANY_MEMBER).unwrap();
                assert_eq!(read, crate::document::Document::String(text));
            }
        }
    }
}
