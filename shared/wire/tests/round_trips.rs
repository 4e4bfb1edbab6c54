//! Every operation of every API, in every protocol its model lists: what a client writes a service reads, and what the
//! service answers the client reads, to the same values.
#![allow(clippy::expect_used)]

#[path = "support/sample.rs"]
mod sample;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fractus_wire::protocol::{self, Answer};
use fractus_wire::{
    ByteStream, Document, DynamicShape, Kind, Location, OperationSchema, Protocol, ServiceSchema, dynamic,
};
use indexmap::IndexMap;
use sample::Dice;

const SAMPLES: u64 = 3;

/// Superseded operations in whose model a member and a flattened list have the same element name, `Event`.
const AMBIGUOUS: [&str; 2] = ["GetBucketNotification", "PutBucketNotification"];

#[test]
fn requests_and_answers_come_back_for_every_operation() {
    let folder = fractus_models::folder();
    let names = fractus_models::names(&folder).expect("the models are listed");
    let (next, trips) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let api = fractus_models::Api::read(&folder, name).expect("the model is read");
                    let service = dynamic::leak(&api).expect("the model is a schema");
                    trips.fetch_add(round_trips_of(service, &failures), Ordering::Relaxed);
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no test thread panicked");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures[..failures.len().min(20)].join("\n"));
    assert!(trips.into_inner() > 10_000);
}

fn round_trips_of(service: &'static ServiceSchema, failures: &Mutex<Vec<String>>) -> usize {
    let mut trips = 0;
    for protocol in service.protocols {
        for operation in service.operations.iter().filter(|operation| !AMBIGUOUS.contains(&operation.name)) {
            for seed in 0..SAMPLES {
                let mut dice = Dice::new(seed * 7_919 + operation.name.len() as u64);
                let outcomes = [
                    ("request", request_comes_back(*protocol, service, operation, &mut dice)),
                    ("answer", answer_comes_back(*protocol, service, operation, &mut dice)),
                ];
                for (what, outcome) in outcomes {
                    if let Err(why) = outcome {
                        let of = format!("{} {} {protocol:?}, sample {seed}", service.api, operation.name);
                        failures.lock().expect("no test thread panicked").push(format!("the {what} of {of}: {why}"));
                    }
                }
                trips += 2;
            }
        }
    }
    trips
}

fn request_comes_back(
    protocol: Protocol,
    service: &'static ServiceSchema,
    operation: &'static OperationSchema,
    dice: &mut Dice,
) -> Result<(), String> {
    let mut sent = sample::shape(operation.input, dice);
    let expected = sent.members.clone();
    let outgoing = protocol::write_request(protocol, service, operation, &mut sent).map_err(|e| e.to_string())?;
    let (parts, body) = outgoing.request.into_parts();
    let form = match &body {
        ByteStream::Whole(form) => form.clone(),
        ByteStream::Streaming { .. } => bytes::Bytes::new(),
    };
    let identified =
        protocol::identify(service, &parts, Some(&form)).map_err(|(_, failure)| format!("{failure:?}: {parts:?}"))?;
    if identified.operation.name != operation.name {
        // Two operations of one method and path: the newer stands for both.
        return Ok(());
    }
    let mut read = DynamicShape::new(operation.input);
    protocol::read_request(&identified, service, &parts, body, &mut read)
        .map_err(|failure| format!("{failure:?}: {parts:?} {form:?}"))?;
    drop_named_parameters(operation, &expected, &mut read.members);
    same(&expected, &read.members).map_err(|why| format!("{why}\n{parts:?} {}", String::from_utf8_lossy(&form)))
}

/// A map of query parameters is given those too that other members name.
fn drop_named_parameters(
    operation: &'static OperationSchema,
    sent: &IndexMap<String, Document>,
    read: &mut IndexMap<String, Document>,
) {
    for member in operation.input.members {
        let is_map = member.location == Location::QueryString && member.target.kind == Kind::Map;
        if let (true, Some(Document::Map(found))) = (is_map, read.get_mut(member.name)) {
            found.retain(|key, _| sent.get(member.name).is_some_and(|sent| sent.get(key).is_some()));
        }
    }
}

fn answer_comes_back(
    protocol: Protocol,
    service: &'static ServiceSchema,
    operation: &'static OperationSchema,
    dice: &mut Dice,
) -> Result<(), String> {
    if protocol::streams_output(operation) {
        return Ok(());
    }
    let mut sent = sample::shape(operation.output, dice);
    // The status is the answer's own, and must be a success to be read as one.
    for member in operation.output.members {
        if member.location == Location::StatusCode {
            sent.members.insert(member.name.to_owned(), Document::Integer(202));
        }
    }
    let expected = sent.members.clone();
    let answer = Answer { request_id: "id", ..Answer::default() };
    let response = protocol::write_response(protocol, service, operation, &mut sent, &answer)
        .map_err(|error| error.to_string())?;
    let shown = match response.body() {
        ByteStream::Whole(body) => String::from_utf8_lossy(body).into_owned(),
        ByteStream::Streaming { .. } => String::new(),
    };
    let mut read = DynamicShape::new(operation.output);
    protocol::read_response(protocol, service, operation, response, &mut read)
        .map_err(|error| format!("{error}: {shown}"))?;
    same(&expected, &read.members).map_err(|why| format!("{why}\n{shown}"))
}

fn same(expected: &IndexMap<String, Document>, found: &IndexMap<String, Document>) -> Result<(), String> {
    let (expected, found) = (pruned(&Document::Map(expected.clone())), pruned(&Document::Map(found.clone())));
    if expected == found { Ok(()) } else { Err(format!("sent {expected:?}\nread {found:?}")) }
}

/// Without empty structures, lists and maps, which some protocols have no form for.
fn pruned(value: &Document) -> Document {
    let is_empty = |value: &Document| match value {
        Document::Map(entries) => entries.is_empty(),
        Document::List(elements) => elements.is_empty(),
        _ => false,
    };
    match value {
        Document::Map(entries) => {
            let mut entries: IndexMap<_, _> = entries
                .iter()
                .map(|(key, value)| (key.clone(), pruned(value)))
                .filter(|(_, value)| !is_empty(value))
                .collect();
            entries.sort_keys();
            Document::Map(entries)
        }
        Document::List(elements) => {
            Document::List(elements.iter().map(pruned).filter(|value| !is_empty(value)).collect())
        }
        other => other.clone(),
    }
}
