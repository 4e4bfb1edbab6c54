use bytes::Bytes;
use fractus_clock::Timestamp;
use futures::executor::block_on;
use futures::{StreamExt, stream};
use proptest::prelude::*;

use super::frame::FrameError;
use super::*;
use crate::body::{BodyError, ByteStream, EventStream, Payload};
use crate::document::{Document, DynamicShape};
use crate::failure::Failure;
use crate::schema::{ErrorTrait, Kind, Member, Protocol, Schema};
use crate::shape::{ReadError, Reader, Shape, WriteError, Writer};
use crate::test_shapes::*;

const fn header(mut member: Member) -> Member {
    member.event_header = true;
    member
}

const fn payload(mut member: Member) -> Member {
    member.event_payload = true;
    member
}

static RECORDS: Schema = Schema::new("RecordsEvent", Kind::Structure)
    .with_members(&[payload(Member::new("Payload", 0, &BLOB)), header(Member::new("When", 1, &TIMESTAMP))], &[]);
static DETAILS: Schema = Schema::new("Stats", Kind::Structure).with_members(&[Member::new("Bytes", 0, &INTEGER)], &[]);
static STATS: Schema =
    Schema::new("StatsEvent", Kind::Structure).with_members(&[payload(Member::new("Details", 0, &DETAILS))], &[]);
static MIXED: Schema = Schema::new("MixedEvent", Kind::Structure).with_members(
    &[
        header(Member::new("Flag", 0, &BOOLEAN)),
        header(Member::new("Count", 1, &INTEGER)),
        Member::new("Text", 2, &STRING),
        Member::new("Words", 3, &STRINGS),
    ],
    &[],
);
static END: Schema = Schema::new("EndEvent", Kind::Structure);
static GONE: Schema = {
    let mut schema =
        Schema::new("GoneException", Kind::Structure).with_members(&[Member::new("message", 0, &STRING)], &[]);
    schema.error = Some(&ErrorTrait { code: "GoneException", status: Some(410), sender_fault: true });
    schema
};
static UNION: Schema = Schema::new("Events", Kind::Union).with_members(
    &[
        Member::new("Records", 0, &RECORDS),
        Member::new("Stats", 1, &STATS),
        Member::new("Mixed", 2, &MIXED),
        Member::new("End", 3, &END),
        Member::new("Gone", 4, &GONE),
    ],
    &[],
);

#[derive(Debug)]
struct Event(DynamicShape);

impl Default for Event {
    fn default() -> Self {
        Event(DynamicShape::new(&UNION))
    }
}

impl Shape for Event {
    fn schema(&self) -> &'static Schema {
        &UNION
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        self.0.read_member(index, reader)
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        self.0.write_members(writer)
    }
}

fn event(name: &str, members_of: &[(&str, Document)]) -> Event {
    Event(DynamicShape::from_members(&UNION, members(&[(name, map(members_of))])))
}

fn events() -> Vec<Event> {
    let when = Document::Timestamp(Timestamp::from_millis(1_398_796_238_500));
    vec![
        event("Records", &[("Payload", Document::Blob("a,b\n".into())), ("When", when)]),
        event("Stats", &[("Details", map(&[("Bytes", Document::Integer(7))]))]),
        event(
            "Mixed",
            &[
                ("Flag", Document::Boolean(true)),
                ("Count", Document::Integer(-3)),
                ("Text", text("t")),
                ("Words", texts(&["x"])),
            ],
        ),
        event("End", &[]),
    ]
}

fn body_of(protocol: Protocol, events: Vec<Result<Event, Failure>>) -> ByteStream {
    let Payload::Events(events) = EventStream::new(stream::iter(events)).into_payload() else { panic!("no events") };
    let initial = initial_message(protocol, "initial-response", b"{}".to_vec());
    body_of_events(protocol, Some(&UNION), Some(initial), events)
}

fn read_all(protocol: Protocol, body: ByteStream) -> Vec<Result<Event, Failure>> {
    block_on(EventStream::<Event>::from_payload(Payload::IncomingEvents(body, protocol)).0.collect())
}

/// The body again, in pieces of `size` bytes.
fn in_pieces(body: ByteStream, size: usize) -> ByteStream {
    let whole = block_on(body.collect(1 << 20)).unwrap();
    let pieces: Vec<_> =
        whole.chunks(size).map(|piece| Ok(http_body::Frame::data(Bytes::copy_from_slice(piece)))).collect();
    ByteStream::from_body(http_body_util::StreamBody::new(stream::iter(pieces)), None)
}

#[test]
fn events_travel_in_each_protocol() {
    for protocol in [Protocol::RestXml, Protocol::RestJson1, Protocol::AwsJson11, Protocol::RpcV2Cbor] {
        for size in [1, 7, 1000] {
            let body = in_pieces(body_of(protocol, events().into_iter().map(Ok).collect()), size);
            let read = read_all(protocol, body);
            assert_eq!(read.len(), 4, "{protocol:?}: {read:?}");
            for (read, sent) in read.into_iter().zip(events()) {
                assert_eq!(read.unwrap().0.members, sent.0.members, "{protocol:?}");
            }
        }
    }
}

#[test]
fn a_modelled_error_ends_the_stream_as_an_exception() {
    let gone = || Failure::new("GoneException", 410, "it is gone");
    for protocol in [Protocol::RestXml, Protocol::RestJson1, Protocol::RpcV2Cbor] {
        let shape = DynamicShape::from_members(&GONE, members(&[("message", text("it is gone"))]));
        for failure in [gone(), gone().with_shape(shape)] {
            let sent = vec![Ok(event("End", &[])), Err(failure), Ok(event("End", &[]))];
            let read = read_all(protocol, body_of(protocol, sent));
            assert_eq!(read.len(), 2, "{protocol:?}: {read:?}");
            let failure = read.into_iter().last().unwrap().unwrap_err();
            assert_eq!((&*failure.code, failure.status, &*failure.message), ("GoneException", 410, "it is gone"));
            assert!(failure.shape.is_some());
        }
    }
}

#[test]
fn any_other_error_ends_the_stream_as_an_error() {
    let sent = vec![Err(Failure::internal("boom")), Ok(event("End", &[]))];
    let read = read_all(Protocol::RestJson1, body_of(Protocol::RestJson1, sent));
    assert_eq!(read.len(), 1);
    let failure = read.into_iter().next().unwrap().unwrap_err();
    assert_eq!((&*failure.code, &*failure.message), ("InternalFailure", "boom"));
}

fn sample() -> Message {
    let mut message = Message::default();
    for (name, value) in [
        ("true", HeaderValue::Boolean(true)),
        ("false", HeaderValue::Boolean(false)),
        ("byte", HeaderValue::Byte(-1)),
        ("short", HeaderValue::Short(-2)),
        ("integer", HeaderValue::Integer(i32::MIN)),
        ("long", HeaderValue::Long(i64::MAX)),
        ("bytes", HeaderValue::Bytes(Bytes::from_static(b"\x00\xFF"))),
        ("string", HeaderValue::String("é".into())),
        ("timestamp", HeaderValue::Timestamp(Timestamp::from_millis(1))),
        ("uuid", HeaderValue::Uuid([7; 16])),
    ] {
        message.headers.push(Header { name: name.into(), value });
    }
    message.payload = Bytes::from_static(b"payload");
    message
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    message.encode(&mut frame).unwrap();
    frame
}

#[test]
fn all_ten_header_types_come_back() {
    assert_eq!(Message::decode(Bytes::from(encoded(&sample())), 10).unwrap(), sample());
    assert_eq!(Message::decode(Bytes::from(encoded(&sample())), 9), Err(FrameError::TooManyHeaders { limit: 9 }));
}

/// The empty message of the format's own test vectors: its bytes and both checksums are known.
#[test]
fn the_known_frames_are_made_to_the_byte() {
    assert_eq!(encoded(&Message::default()), [0, 0, 0, 16, 0, 0, 0, 0, 5, 194, 72, 235, 125, 152, 200, 255]);
    let mut message = Message::default().with_header("content-type", "application/json");
    message.payload = Bytes::from_static(b"{'foo':'bar'}");
    let frame = encoded(&message);
    assert_eq!(&frame[..12], [0, 0, 0, 61, 0, 0, 0, 32, 7, 253, 131, 150]);
    assert_eq!(&frame[57..], [141, 156, 8, 177]);
}

#[test]
fn broken_and_hostile_frames_are_refused() {
    let frame = encoded(&sample());
    for at in 0..frame.len() {
        let mut changed = frame.clone();
        changed[at] ^= 0x10;
        let mut decoder = Decoder::default();
        decoder.push(&changed);
        assert!(decoder.next_message().is_err(), "byte {at}");
    }
    let mut decoder = Decoder::new(FrameLimits { message_bytes: 64, ..FrameLimits::default() });
    decoder.push(&frame[..12]);
    assert_eq!(decoder.next_message(), Err(FrameError::TooLong { limit_bytes: 64 }));
    let mut decoder = Decoder::default();
    decoder.push(&frame[..frame.len() - 1]);
    assert_eq!(decoder.next_message(), Ok(None));
    assert_eq!(decoder.finish(), Err(FrameError::EndedEarly));
}

#[test]
fn a_body_that_breaks_off_says_so() {
    let whole = block_on(body_of(Protocol::RestJson1, vec![Ok(event("End", &[]))]).collect(1 << 20)).unwrap();
    let read = read_all(Protocol::RestJson1, ByteStream::Whole(whole.slice(..whole.len() - 1)));
    assert_eq!(&*read.into_iter().next_back().unwrap().unwrap_err().code, "SerializationException");
    let refused = Box::new(Failure::new("InvalidChunkSignature", 403, "no"));
    let body = stream::iter([Err::<http_body::Frame<Bytes>, _>(BodyError::Refused(refused))]);
    let read = read_all(Protocol::RestJson1, ByteStream::from_body(http_body_util::StreamBody::new(body), None));
    assert_eq!(&*read.into_iter().next_back().unwrap().unwrap_err().code, "InvalidChunkSignature");
}

#[test]
fn signed_frames_are_taken_apart() {
    let signed = |payload: Vec<u8>| {
        let mut message = Message::default();
        message.headers.push(Header { name: ":date".into(), value: HeaderValue::Timestamp(Timestamp::EPOCH) });
        let signature = HeaderValue::Bytes(Bytes::from_static(&[1; 32]));
        message.headers.push(Header { name: ":chunk-signature".into(), value: signature });
        message.payload = Bytes::from(payload);
        encoded(&message)
    };
    let inner = Message::default().with_header(":message-type", "event").with_header(":event-type", "End");
    let mut body = signed(encoded(&inner));
    body.extend_from_slice(&signed(Vec::new()));
    body.extend_from_slice(&signed(encoded(&inner)));
    let read = read_all(Protocol::RestJson1, ByteStream::Whole(Bytes::from(body)));
    assert_eq!(read.len(), 1, "{read:?}");
    assert_eq!(read.into_iter().next().unwrap().unwrap().0.members, event("End", &[]).0.members);
}

#[test]
fn unknown_events_are_passed_over() {
    let mut body = encoded(&Message::default().with_header(":message-type", "event").with_header(":event-type", "New"));
    body.extend_from_slice(&encoded(
        &Message::default().with_header(":message-type", "event").with_header(":event-type", "End"),
    ));
    assert_eq!(read_all(Protocol::RestJson1, ByteStream::Whole(Bytes::from(body))).len(), 1);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next_message() {}
    }
}
