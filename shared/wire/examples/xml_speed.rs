//! How long the hot answers in XML take: `cargo run --release -p fractus-wire --example xml_speed`.
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::hint::black_box;

use bytes::Bytes;
use fractus_clock::{Stopwatch, Timestamp};
use fractus_wire::protocol::{self, Answer, Identified, Labels};
use fractus_wire::{ByteStream, Document, DynamicShape, Protocol, ServiceSchema, dynamic};
use http::Request;
use indexmap::IndexMap;

fn service(name: &str) -> &'static ServiceSchema {
    let api = fractus_models::Api::read(&fractus_models::folder(), name).expect("the model is read");
    dynamic::leak(&api).expect("the model is a schema")
}

fn map(entries: &[(&str, Document)]) -> IndexMap<String, Document> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn text(text: &str) -> Document {
    Document::String(text.to_owned())
}

fn measure(what: &str, rounds: u32, mut work: impl FnMut()) {
    for _ in 0..rounds / 10 {
        work();
    }
    let stopwatch = Stopwatch::start();
    for _ in 0..rounds {
        work();
    }
    println!("{what}: {:.0} ns", stopwatch.elapsed().as_nanos() as f64 / f64::from(rounds));
}

fn main() {
    caller_identity();
    object_page();
}

fn caller_identity() {
    let sts = service("sts");
    let operation = sts.operation("GetCallerIdentity").expect("the operation is there");
    let form: Bytes = Bytes::from_static(b"Action=GetCallerIdentity&Version=2011-06-15");
    let (parts, ()) = Request::post("/").body(()).expect("a request").into_parts();
    let identified = Identified { protocol: Protocol::AwsQuery, operation, labels: Labels::default() };
    measure("GetCallerIdentity, request read", 500_000, || {
        let mut input = DynamicShape::new(operation.input);
        let body = ByteStream::Whole(form.clone());
        let read = protocol::read_request(&identified, sts, &parts, body, &mut input);
        black_box(read.is_ok());
    });
    let mut output = DynamicShape::from_members(
        operation.output,
        map(&[
            ("UserId", text("AKIAIOSFODNN7EXAMPLE")),
            ("Account", text("123456789012")),
            ("Arn", text("arn:aws:iam::123456789012:user/Alice")),
        ]),
    );
    let answer = Answer { request_id: "01234567-89ab-cdef-0123-456789abcdef", ..Answer::default() };
    measure("GetCallerIdentity, answer written", 500_000, || {
        let response = protocol::write_response(Protocol::AwsQuery, sts, operation, &mut output, &answer);
        black_box(response.is_ok());
    });
}

fn object_page() {
    let s3 = service("s3");
    let operation = s3.operation("ListObjectsV2").expect("the operation is there");
    let object = |index: i64| {
        Document::Map(map(&[
            ("Key", Document::String(format!("photos/2026/11/{index:08}.jpg"))),
            ("LastModified", Document::Timestamp(Timestamp::from_millis(1_763_900_000_000 + index))),
            ("ETag", text("\"9b2cf535f27731c974343645a3985328\"")),
            ("Size", Document::Integer(index * 1_024)),
            ("StorageClass", text("STANDARD")),
        ]))
    };
    let contents = Document::List((0..1_000).map(object).collect());
    let mut output = DynamicShape::from_members(
        operation.output,
        map(&[
            ("IsTruncated", Document::Boolean(true)),
            ("Contents", contents),
            ("KeyCount", Document::Integer(1_000)),
        ]),
    );
    let answer = Answer { request_id: "R", host_id: Some("H"), ..Answer::default() };
    let mut written = Bytes::new();
    measure("ListObjectsV2 of 1,000 objects, answer written", 500, || {
        let response = protocol::write_response(Protocol::RestXml, s3, operation, &mut output, &answer);
        if let Ok(ByteStream::Whole(body)) = response.map(http::Response::into_body) {
            written = body;
        }
    });
    println!("  ({} bytes)", written.len());
    measure("ListObjectsV2 of 1,000 objects, answer read", 200, || {
        let mut read = DynamicShape::new(operation.output);
        let response = http::Response::new(ByteStream::Whole(written.clone()));
        let outcome = protocol::read_response(Protocol::RestXml, s3, operation, response, &mut read);
        black_box(outcome.is_ok());
    });
}
