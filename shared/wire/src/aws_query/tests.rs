use fractus_clock::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::document::{Document, DynamicShape};
use crate::failure::Failure;
use crate::shape::{ReadError, ReadErrorKind};
use crate::test_shapes::*;

fn read(body: &str) -> Result<DynamicShape, ReadError> {
    let mut shape = everything(&[]);
    read_request(b"", body.as_bytes(), &mut shape)?;
    Ok(shape)
}

fn entries() -> Vec<(&'static str, Document)> {
    vec![
        ("Text", text("a b&c=d+é")),
        ("Count", Document::Integer(-7)),
        ("Ratio", Document::Double(1.5e300)),
        ("Flag", Document::Boolean(false)),
        ("Data", Document::Blob("any".into())),
        ("When", Document::Timestamp(Timestamp::from_secs(1_398_796_238))),
        ("Words", texts(&["x", "y"])),
        ("Renamed", texts(&["z"])),
        ("Flat", texts(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"])),
        ("FlatNames", texts(&["n"])),
        ("Tags", map(&[("k", text("v")), ("k2", text("v2"))])),
        ("FlatTags", map(&[("k", text("v"))])),
        ("Attributes", map(&[("All", text("1"))])),
        ("Entries", Document::List(vec![map(&[("Id", text("1"))]), map(&[("Id", text("2")), ("Body", text(""))])])),
        ("Entry", map(&[("Id", text("2")), ("Inner", map(&[("Id", text("3"))]))])),
    ]
}

#[test]
fn a_request_is_written_and_read_back() {
    let written = write_request(&SERVICE, &OPERATION, &everything(&entries())).unwrap();
    let written = String::from_utf8(written).unwrap();
    for part in [
        "Action=DoEverything&Version=2020-01-08&Text=a%20b%26c%3Dd%2B%C3%A9&Count=-7&",
        "&Words.member.1=x&Words.member.2=y&renamed.item.1=z&Flat.1=1&",
        "&FlatName.1=n&",
        "&Tags.entry.1.key=k&Tags.entry.1.value=v&Tags.entry.2.key=k2&",
        "&FlatTags.1.key=k&FlatTags.1.value=v&Attribute.1.Name=All&Attribute.1.Value=1&",
        "&Entries.member.1.Id=1&Entries.member.2.Id=2&Entries.member.2.Body=&Entry.Id=2&Entry.Inner.Id=3",
    ] {
        assert!(written.contains(part), "{part} in {written}");
    }
    let mut shape = read(&written).unwrap();
    shape.members.sort_keys();
    let mut expected = members(&entries());
    expected.sort_keys();
    assert_eq!(shape.members, expected);
}

#[test]
fn members_come_in_any_order_and_with_gaps() {
    let shape = read(
        "Words.member.10=c&Entries.member.7.Body=b&Words.member.2=b&Wordsworth=1&Entries.member.7.Id=i&Words.member.1=a",
    )
    .unwrap();
    assert_eq!(shape.members.get("Words"), Some(&texts(&["a", "b", "c"])));
    let Some(Document::List(entries)) = shape.members.get("Entries") else { panic!("no entries") };
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].get("Id"), Some(&text("i")));
    assert_eq!(entries[0].get("Body"), Some(&text("b")));
}

#[test]
fn lists_are_understood_in_the_other_form_too() {
    assert_eq!(read("Words.1=a&Words.2=b").unwrap().members.get("Words"), Some(&texts(&["a", "b"])));
    assert_eq!(read("Flat.member.1=a").unwrap().members.get("Flat"), Some(&texts(&["a"])));
    assert_eq!(read("renamed.member.1=a").unwrap().members.get("Renamed"), Some(&texts(&["a"])));
    assert_eq!(read("Words=").unwrap().members.get("Words"), Some(&texts(&[])));
    assert_eq!(read("Entry=").unwrap().members.get("Entry"), Some(&map(&[])));
}

#[test]
fn the_query_string_and_the_body_are_one_form() {
    let mut shape = everything(&[]);
    read_request(b"Action=DoEverything&Text=a", b"Words.member.1=x", &mut shape).unwrap();
    assert_eq!(shape.members, members(&[("Text", text("a")), ("Words", texts(&["x"]))]));
    assert_eq!(parameter(b"Action=Do%45&Version=1", "Action").as_deref(), Some("DoE"));
    assert_eq!(parameter(b"XAction=Do&Action", "Action"), None);
}

#[test]
fn missing_required_members_are_told_by_path() {
    let mut shape = everything(&[]);
    let progress =
        read_request(b"", b"Entries.member.2.Body=b&Entries.member.1.Id=1&Entry.Inner.Body=x", &mut shape).unwrap();
    let paths: Vec<&str> = progress.missing.iter().map(|missing| missing.path.as_str()).collect();
    assert_eq!(paths, ["entries.2.member.id", "entry.inner.id", "entry.id"]);
}

#[test]
fn broken_and_hostile_forms_are_refused() {
    let kind = |body: &str| read(body).map(|shape| shape.members).unwrap_err().kind;
    assert_eq!(kind("Text=%zz"), ReadErrorKind::Malformed);
    assert_eq!(kind("Text=%F"), ReadErrorKind::Malformed);
    assert_eq!(kind("Text=%FF"), ReadErrorKind::Malformed);
    assert_eq!(kind("Count=1.5"), ReadErrorKind::WrongType);
    assert_eq!(kind("Text.x=1"), ReadErrorKind::WrongType);
    assert_eq!(kind("Tags.entry.1.value=1"), ReadErrorKind::Malformed);
    assert_eq!(kind(&"a&".repeat(100_001)), ReadErrorKind::TooLarge);
    assert_eq!(kind(&format!("Entry{}=1", ".Inner".repeat(10_000))), ReadErrorKind::TooDeep);
    let error = read("Entries.member.3.Id.x=1").unwrap_err();
    assert_eq!(error.path, "entries.1.member.id");
}

#[test]
fn odd_names_are_passed_over() {
    let shape = read("=&&=x&.=1&..=2&.Text=3&Text.=4&Words.member.=5&Words.member.x=6&Words.member.-1=7").unwrap_err();
    assert_eq!(shape.path, "text");
    let shape = read("=&&=x&.=1&..=2&.Text=3&Words.member.=5&Words.member.x=6&Words.member.-1=7").unwrap();
    assert_eq!(shape.members, members(&[("Words", texts(&[]))]));
}

#[test]
fn an_answer_is_written_and_read_back() {
    let written = write_response(&SERVICE, &OPERATION, &everything(&entries()), "req-1").unwrap();
    let text = String::from_utf8(written.clone()).unwrap();
    assert!(
        text.starts_with("<DoEverythingResponse xmlns=\"https://example.com/\"><DoEverythingResult><Text>"),
        "{text}"
    );
    assert!(text.contains("<Attribute><Name>All</Name><Value>1</Value></Attribute>"), "{text}");
    let end =
        "</DoEverythingResult><ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata></DoEverythingResponse>";
    assert!(text.ends_with(end), "{text}");
    let mut shape = everything(&[]);
    read_response(&OPERATION, &written, &mut shape).unwrap();
    assert_eq!(shape.members, members(&entries()));
}

#[test]
fn a_failure_is_written_and_read_back() {
    let failure =
        Failure::new("QueueDoesNotExist", 400, "no <queue>").with_query_code("AWS.SimpleQueueService.NonExistentQueue");
    let written = write_failure(&SERVICE, &failure, "req-2");
    assert_eq!(
        String::from_utf8(written.clone()).unwrap(),
        "<ErrorResponse xmlns=\"https://example.com/\"><Error><Type>Sender</Type>\
         <Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>no &lt;queue&gt;</Message></Error>\
         <RequestId>req-2</RequestId></ErrorResponse>"
    );
    let read = crate::xml::read_failure(&written, 400, &[]).unwrap();
    assert_eq!((&*read.code, &*read.message), ("AWS.SimpleQueueService.NonExistentQueue", "no <queue>"));
}

proptest! {
    #[test]
    fn any_text_comes_back(value in ".*", keys in proptest::collection::hash_set(".*", 0..5)) {
        let tags: Vec<(&str, Document)> = keys.iter().map(|key| (key.as_str(), text(&value))).collect();
        let shape = everything(&[("Tags", map(&tags)), ("Text", text(&value))]);
        let written = write_request(&SERVICE, &OPERATION, &shape).unwrap();
        let mut again = everything(&[]);
        read_request(b"", &written, &mut again).unwrap();
        if keys.is_empty() {
            prop_assert_eq!(again.members, members(&[("Text", text(&value))]));
        } else {
            prop_assert_eq!(again.members, shape.members);
        }
    }

    #[test]
    fn any_form_is_read_or_refused(form in "([A-Za-z.]{0,3}|Words|Entries|Entry|Tags|Flat|member|entry|key|value|[0-9.]{1,3}|[.=&%+])*") {
        let _ = read(&form);
    }
}
