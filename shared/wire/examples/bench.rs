//! Nanoseconds a call of the hot paths takes: `cargo run --release -p fractus-wire --example bench`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use fractus_models::{Api, folder};
use fractus_wire::dynamic::leak;
use fractus_wire::generated::{get, put};
use fractus_wire::protocol::{Answer, identify, read_request, write_failure, write_response};
use fractus_wire::validation::validate;
use fractus_wire::{
    ByteStream, Failure, Protocol, ReadError, Reader, Schema, ServiceSchema, Shape, WriteError, Writer,
};
use http::Request;
use http::request::Parts;

fn service(name: &str) -> &'static ServiceSchema {
    leak(&Api::read(&folder(), name).unwrap()).unwrap()
}

/// A typed shape as the generator makes it, with those members of SendMessage that a usual call has.
struct Message {
    schema: &'static Schema,
    queue_url: String,
    message_body: String,
    delay_seconds: Option<i32>,
}

impl Shape for Message {
    fn schema(&self) -> &'static Schema {
        self.schema
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        let member = &self.schema.members.as_slice()[index];
        match member.name {
            "QueueUrl" => get(&mut self.queue_url, member, reader),
            "MessageBody" => get(&mut self.message_body, member, reader),
            "DelaySeconds" => get(&mut self.delay_seconds, member, reader),
            _ => Ok(()),
        }
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        let members = self.schema.members.as_slice();
        put(&self.queue_url, &members[0], writer)?;
        put(&self.message_body, &members[1], writer)?;
        put(&self.delay_seconds, &members[2], writer)
    }
}

struct Sent {
    schema: &'static Schema,
    texts: [String; 3],
}

impl Shape for Sent {
    fn schema(&self) -> &'static Schema {
        self.schema
    }

    fn read_member(&mut self, _index: usize, _reader: &mut dyn Reader) -> Result<(), ReadError> {
        Ok(())
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        let members = self.schema.members.as_slice();
        put(&self.texts[0], &members[0], writer)?;
        put(&self.texts[1], &members[1], writer)?;
        put(&self.texts[2], &members[3], writer)
    }
}

fn measure(name: &str, mut call: impl FnMut()) {
    const CALLS: u32 = 200_000;
    for _ in 0..CALLS / 10 {
        call();
    }
    // The best of a few rounds: what the machine does beside is not ours.
    let best = (0..7)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..CALLS {
                call();
            }
            start.elapsed().as_nanos() / u128::from(CALLS)
        })
        .min()
        .unwrap();
    println!("{name:<44} {best:>6} ns");
}

fn parts(request: http::request::Builder) -> Parts {
    request.body(()).unwrap().into_parts().0
}

fn main() {
    let sqs = service("sqs");
    let operation = sqs.operation("SendMessage").unwrap();
    let body = Bytes::from_static(
        br#"{"QueueUrl": "http://localhost:4566/000000000000/orders", "MessageBody": "{\"order\": 17, \"items\": [1, 2, 3]}", "DelaySeconds": 5}"#,
    );
    let target = Request::post("/").header("x-amz-target", "AmazonSQS.SendMessage");
    let request = parts(target.header("content-type", "application/x-amz-json-1.0").header("content-length", "131"));
    let read = || {
        let identified = identify(sqs, &request, None).unwrap();
        let mut input = Message {
            schema: identified.operation.input,
            queue_url: String::new(),
            message_body: String::new(),
            delay_seconds: None,
        };
        let body = ByteStream::Whole(body.clone());
        let read = read_request(&identified, sqs, &request, body, &mut input).unwrap();
        (input, read)
    };
    measure("SQS SendMessage awsJson: identify and read", || drop(black_box(read())));
    let (input, missing) = read();
    measure("SQS SendMessage: validate", || drop(black_box(validate(&input, &missing.missing))));
    let mut sent = Sent {
        schema: operation.output,
        texts: [
            "fafb00f5732ab283681e124bf8747ed1".to_owned(),
            "1f3a2b64-5717-4562-b3fc-2c963f66afa6".to_owned(),
            "1f3a2b64-5717-4562-b3fc-2c963f66afa6".to_owned(),
        ],
    };
    let answer = Answer { request_id: "1f3a2b64-5717-4562-b3fc-2c963f66afa6", ..Answer::default() };
    let mut write = |protocol| drop(black_box(write_response(protocol, sqs, operation, &mut sent, &answer).unwrap()));
    measure("SQS SendMessage awsJson: write", || write(Protocol::AwsJson10));
    measure("SQS SendMessage awsQuery: write", || write(Protocol::AwsQuery));
    let failure = Failure::new("InvalidParameterValue", 400, "Value for parameter DelaySeconds is invalid.");
    measure("SQS failure awsJson: write", || {
        black_box(write_failure(Protocol::AwsJson10, sqs, Some(operation), &failure, &answer));
    });

    let s3 = service("s3");
    let get = parts(Request::get("/bucket/some/longer/key.txt?x-id=GetObject"));
    measure("S3 GetObject: identify", || drop(black_box(identify(s3, &get, None).unwrap())));
    let upload = parts(Request::put("/bucket/some/longer/key.txt?partNumber=1&uploadId=abc"));
    measure("S3 UploadPart: identify", || drop(black_box(identify(s3, &upload, None).unwrap())));
    let lambda = service("lambda");
    let invoke = parts(Request::post("/2015-03-31/functions/my-function/invocations"));
    measure("Lambda Invoke: identify", || drop(black_box(identify(lambda, &invoke, None).unwrap())));
}
