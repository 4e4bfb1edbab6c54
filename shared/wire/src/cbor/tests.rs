use crate::cbor::{CborReader, CborWriter};
use crate::document::{Document, DynamicShape};
use crate::reading::MAX_DEPTH;
use crate::schema::{Kind, Member, Schema};
use crate::shape::{ReadErrorKind, Reader, Shape};

static TEXT: Schema = Schema::new("Text", Kind::String);
static LONG: Schema = Schema::new("Long", Kind::Long);
static TIME: Schema = Schema::new("Time", Kind::Timestamp);
static TEXTS: Schema = Schema::new("Texts", Kind::List).with_members(&[Member::new("member", 0, &TEXT)], &[]);
static ANY: Schema = Schema::new("Any", Kind::Document);
static ANY_MEMBER: Member = Member::new("any", 0, &ANY);
static ROOT: Schema = Schema::new("Root", Kind::Structure).with_members(
    &[
        Member::new("text", 0, &TEXT).required(),
        Member::new("long", 1, &LONG),
        Member::new("time", 2, &TIME),
        Member::new("texts", 3, &TEXTS),
    ],
    &[],
);

fn read(bytes: &[u8]) -> Result<DynamicShape, ReadErrorKind> {
    let mut shape = DynamicShape::new(&ROOT);
    CborReader::new(bytes).read_root(&ROOT, &mut shape).map_err(|error| error.kind)?;
    Ok(shape)
}

#[test]
fn pieces_and_counted_forms_mean_the_same() {
    // {_ "text": (_ "a", "b"), "texts": ["x"], "zzz": {_ "q": [_ 1]}}
    let bytes = b"\xbf\x64text\x7f\x61a\x61b\xff\x65texts\x81\x61x\x63zzz\xbf\x61q\x9f\x01\xff\xff\xff";
    let shape = read(bytes).unwrap();
    assert_eq!(shape.members["text"], Document::String("ab".to_owned()));
    assert_eq!(shape.members["texts"], Document::List(vec![Document::String("x".to_owned())]));
}

#[test]
fn what_is_written_is_read() {
    let mut shape = DynamicShape::new(&ROOT);
    shape.members.insert("text".to_owned(), Document::String("€".to_owned()));
    shape.members.insert("long".to_owned(), Document::Integer(i64::MIN));
    shape.members.insert("time".to_owned(), Document::Timestamp(fractus_clock::Timestamp::from_millis(1_500)));
    let mut out = Vec::new();
    CborWriter::write_root(&mut out, &shape).unwrap();
    assert_eq!(read(&out).unwrap().members, shape.members);
}

#[test]
fn wrong_types_ranges_and_endings_are_refused() {
    assert_eq!(read(b"\xa1\x64text\x01").unwrap_err(), ReadErrorKind::WrongType);
    assert_eq!(read(b"\xa1\x64long\x1b\xff\xff\xff\xff\xff\xff\xff\xff").unwrap_err(), ReadErrorKind::OutOfRange);
    assert_eq!(read(b"\xa1\x64time\x01").unwrap_err(), ReadErrorKind::WrongType);
    assert_eq!(read(b"\xa1\x64text\x61").unwrap_err(), ReadErrorKind::Malformed);
    assert_eq!(read(b"\xa1\x64text\x61\xff").unwrap_err(), ReadErrorKind::Malformed);
    assert_eq!(read(b"\xa0\x00").unwrap_err(), ReadErrorKind::Malformed);
    // A list that claims more elements than there are bytes reserves nothing and ends.
    assert_eq!(read(b"\xa1\x65texts\x9b\xff\xff\xff\xff\xff\xff\xff\xff").unwrap_err(), ReadErrorKind::Malformed);
}

#[test]
fn a_repeated_list_is_replaced() {
    let shape = read(b"\xa2\x65texts\x81\x61x\x65texts\x81\x61y").unwrap();
    assert_eq!(shape.members["texts"], Document::List(vec![Document::String("y".to_owned())]));
}

#[test]
fn depth_is_bounded() {
    let mut bytes = vec![0x81; MAX_DEPTH + 10];
    bytes.push(0x01);
    let error = CborReader::new(&bytes).read_document(&ANY_MEMBER).unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::TooDeep);
}

#[test]
fn missing_members_are_noted() {
    let mut shape = DynamicShape::new(&ROOT);
    let mut reader = CborReader::new(b"\xa1\x64text\xf6");
    reader.read_root(&ROOT, &mut shape).unwrap();
    assert_eq!(reader.progress.missing[0].path, "text");
    assert_eq!(shape.schema().name, "Root");
}
