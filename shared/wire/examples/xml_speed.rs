//! How long the hot answers in XML take: `cargo run --release -p fractus-wire --example xml_speed`.
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::hint::black_box;

use bytes::Bytes;
use fractus_clock::{Stopwatch, Timestamp};
use fractus_wire::protocol::{self, Answer, Identified, Labels};
use fractus_wire::{
    ByteStream, Document, DynamicShape, Member, Protocol, ReadError, Reader, Schema, ServiceSchema, Shape, WriteError,
    Writer, dynamic,
};
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

/// A page of a listing as generated code would write it: the members' facts are found once, nothing is copied.
struct Page {
    schema: &'static Schema,
    objects: Vec<Object>,
}

struct Object {
    schema: &'static Schema,
    key: String,
    modified: Timestamp,
    size: i64,
}

fn member(schema: &'static Schema, name: &str) -> &'static Member {
    schema.members.into_iter().find(|member| member.name == name).expect("the member is there")
}

impl Shape for Page {
    fn schema(&self) -> &'static Schema {
        self.schema
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        let member = &self.schema.members[index];
        if member.name != "Contents" {
            return reader.read_string(member).map(|_| ());
        }
        let schema = member.target.element().expect("a list").target;
        reader.read_list(member, &mut |reader| {
            let mut object = Object { schema, key: String::new(), modified: Timestamp::EPOCH, size: 0 };
            reader.read_structure(member.target.element().expect("a list"), &mut object)?;
            self.objects.push(object);
            Ok(())
        })
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        writer.write_boolean(&self.schema.members[0], true)?;
        let contents = member(self.schema, "Contents");
        let element = contents.target.element().expect("a list");
        writer.write_list(contents, self.objects.len(), &mut |writer| {
            self.objects.iter().try_for_each(|object| writer.write_structure(element, object))
        })?;
        writer.write_integer(member(self.schema, "KeyCount"), 1_000)
    }
}

impl Shape for Object {
    fn schema(&self) -> &'static Schema {
        self.schema
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        let member = &self.schema.members[index];
        match index {
            0 => self.key = reader.read_string(member)?,
            1 => self.modified = reader.read_timestamp(member)?,
            5 => self.size = reader.read_long(member)?,
            _ => drop(reader.read_string(member)?),
        }
        Ok(())
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        let members = self.schema.members.as_slice();
        writer.write_string(&members[0], &self.key)?;
        writer.write_timestamp(&members[1], self.modified)?;
        writer.write_string(&members[2], "\"9b2cf535f27731c974343645a3985328\"")?;
        writer.write_long(&members[5], self.size)?;
        writer.write_string(&members[6], "STANDARD")
    }
}

fn object_page() {
    let s3 = service("s3");
    let operation = s3.operation("ListObjectsV2").expect("the operation is there");
    let schema = member(operation.output, "Contents").target.element().expect("a list").target;
    let object = |index: i64| Object {
        schema,
        key: format!("photos/2026/11/{index:08}.jpg"),
        modified: Timestamp::from_millis(1_763_900_000_000 + index),
        size: index * 1_024,
    };
    let mut page = Page { schema: operation.output, objects: (0..1_000).map(object).collect() };
    let answer = Answer { request_id: "R", host_id: Some("H"), ..Answer::default() };
    let mut written = Bytes::new();
    measure("ListObjectsV2 of 1,000 objects, answer written", 500, || {
        let response = protocol::write_response(Protocol::RestXml, s3, operation, &mut page, &answer);
        if let Ok(ByteStream::Whole(body)) = response.map(http::Response::into_body) {
            written = body;
        }
    });
    println!("  ({} bytes)", written.len());
    measure("ListObjectsV2 of 1,000 objects, answer read", 200, || {
        let mut read = Page { schema: operation.output, objects: Vec::new() };
        let response = http::Response::new(ByteStream::Whole(written.clone()));
        let outcome = protocol::read_response(Protocol::RestXml, s3, operation, response, &mut read);
        black_box(outcome.is_ok() && read.objects.len() == 1_000);
    });
}
