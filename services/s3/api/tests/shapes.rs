//! The generated shapes of S3: streams, unions, errors without members, and what must not be printed. And that
//! generated facts are the same as those made at run time.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use fractus_models::{Api, folder};
use fractus_s3_api::{
    Error, GetObjectOutput, MODEL, NoSuchKey, PutObjectInput, SelectObjectContentEventStream,
    SelectObjectContentOutput, StatsEvent,
};
use fractus_wire::document_io::{from_document, to_document};
use fractus_wire::{ByteStream, Document, EventStream, Failure, Member, Payload, Schema, Shape, dynamic};
use futures::StreamExt;

#[tokio::test]
async fn streamed_bodies_travel_beside_the_members() {
    let mut output = GetObjectOutput {
        body: ByteStream::Whole("abc".into()),
        e_tag: Some("\"x\"".to_owned()),
        ..Default::default()
    };
    let document = to_document(&output).unwrap();
    assert_eq!((document.get("Body"), document.get("ETag").and_then(Document::as_str)), (None, Some("\"x\"")));
    let Payload::Bytes(body) = output.take_payload() else { panic!("no body") };
    assert_eq!(body.collect(10).await.unwrap(), "abc");
    assert_eq!(output.body.length_bytes(), Some(0));
    output.set_payload(Payload::Bytes(ByteStream::Whole("de".into())));
    assert_eq!(output.body.length_bytes(), Some(2));
}

#[test]
fn a_document_may_carry_a_whole_body() {
    let text = |text: &str| Document::String(text.to_owned());
    let members = [("Bucket", text("b")), ("Key", text("k")), ("Body", text("hello"))];
    let document = Document::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    let input: PutObjectInput = from_document(&document).unwrap();
    assert_eq!((input.bucket.as_str(), input.key.as_str(), input.body.length_bytes()), ("b", "k", Some(5)));
}

#[tokio::test]
async fn events_come_through_their_union() {
    let events = [Ok(SelectObjectContentEventStream::Stats(StatsEvent::default())), Err(Failure::internal("broken"))];
    let mut output = SelectObjectContentOutput { payload: EventStream::new(futures::stream::iter(events)) };
    let payload = output.take_payload();
    let mut again = SelectObjectContentOutput::default();
    again.set_payload(payload);
    let mut events = again.payload.0;
    assert!(matches!(events.next().await, Some(Ok(SelectObjectContentEventStream::Stats(_)))));
    assert_eq!(events.next().await.unwrap().unwrap_err().message, "broken");
    assert!(events.next().await.is_none());
}

#[test]
fn a_union_takes_one_member() {
    let both = ["Stats", "End"].map(|name| (name.to_owned(), Document::Map(Default::default())));
    let error =
        from_document::<SelectObjectContentEventStream>(&Document::Map(both.into_iter().collect())).unwrap_err();
    assert_eq!(error.message, "SelectObjectContentEventStream is a union: it takes exactly one member");
}

#[test]
fn errors_without_members_have_a_message_all_the_same() {
    let failure: Failure = NoSuchKey::new("The specified key does not exist.").into();
    assert_eq!(
        (failure.code.as_ref(), failure.status, failure.message.as_str()),
        ("NoSuchKey", 404, "The specified key does not exist.")
    );
    assert!(
        matches!(Error::from(failure), Error::NoSuchKey(error) if error.message.as_deref() == Some("The specified key does not exist."))
    );
}

#[test]
fn sensitive_members_are_not_printed() {
    let input = PutObjectInput {
        bucket: "b".to_owned(),
        sse_customer_key: Some("secret".to_owned()),
        ssekms_key_id: Some("also".to_owned()),
        ..Default::default()
    };
    assert_eq!(
        format!("{input:?}"),
        "PutObjectRequest { Bucket: \"b\", Key: \"\", SSECustomerKey: ***, SSEKMSKeyId: *** }"
    );
}

#[test]
fn generated_facts_are_those_made_at_run_time() {
    let made = dynamic::leak(&Api::read(&folder(), "s3").unwrap()).unwrap();
    let mut seen = HashSet::new();
    assert_eq!(made.operations.len(), MODEL.operations.len());
    for (made, generated) in made.operations.iter().zip(MODEL.operations) {
        // The two say the same but for the addresses of their shapes, which are compared below.
        assert_eq!(format!("{made:?}"), format!("{generated:?}"));
        same_schema(made.input, generated.input, &mut seen);
        same_schema(made.output, generated.output, &mut seen);
        made.errors.iter().zip(generated.errors).for_each(|(made, generated)| same_schema(made, generated, &mut seen));
    }
    assert!(seen.len() > 600, "{}", seen.len());
}

fn same_schema(made: &'static Schema, generated: &'static Schema, seen: &mut HashSet<(&'static str, bool)>) {
    if !seen.insert((generated.name, generated.streaming)) {
        return;
    }
    let facts = |schema: &Schema| {
        let names =
            (schema.name, schema.kind, schema.by_wire_name.to_vec(), schema.values.to_vec(), schema.constraints);
        let xml = (schema.error, schema.payload, schema.xml_name, schema.xml_namespace, schema.timestamp_format);
        let flags =
            [schema.flattened, schema.sparse, schema.event_stream, schema.event, schema.streaming, schema.sensitive];
        format!("{names:?} {xml:?} {flags:?} {}", schema.requires_length)
    };
    assert_eq!(facts(made), facts(generated));
    assert_eq!(made.members.len(), generated.members.len());
    for (made, generated) in made.members.iter().zip(generated.members.iter()) {
        let text = |member: &Member| format!("{member:?}");
        assert_eq!(text(made), text(generated));
    }
    for (made, generated) in made.members.into_iter().zip(generated.members) {
        same_schema(made.target, generated.target, seen);
    }
}
