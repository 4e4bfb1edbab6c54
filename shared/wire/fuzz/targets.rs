//! Every reader, with inputs to begin from.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use bytes::Bytes;
use fractus_wire::event_stream::{Decoder, FrameLimits, body_of_events, events_of_body, initial_message};
use fractus_wire::gzip::{self, InflateLimits};
use fractus_wire::protocol::{self, Answer};
use fractus_wire::{
    ByteStream, DynamicShape, Failure, OperationSchema, Protocol, ReadError, Reader, Schema, ServiceSchema, Shape,
    WriteError, Writer, dynamic,
};
use futures::StreamExt;
use futures::executor::block_on;
use http::{Request, Response};

use crate::sample::{self, Dice};

pub struct Target {
    pub name: &'static str,
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads the input; the number stands for what happened, so that inputs which lead somewhere new are kept.
    pub read: fn(&[u8]) -> u64,
}

pub const TARGETS: &[Target] = &[
    Target { name: "json", seeds: || requests(Protocol::AwsJson10), read: |input| request(Protocol::AwsJson10, input) },
    Target { name: "cbor", seeds: || requests(Protocol::RpcV2Cbor), read: |input| request(Protocol::RpcV2Cbor, input) },
    Target { name: "query", seeds: || requests(Protocol::AwsQuery), read: |input| request(Protocol::AwsQuery, input) },
    Target { name: "ec2", seeds: || requests(Protocol::Ec2Query), read: |input| request(Protocol::Ec2Query, input) },
    Target { name: "xml", seeds: || requests(Protocol::RestXml), read: |input| request(Protocol::RestXml, input) },
    Target {
        name: "rest-json",
        seeds: || requests(Protocol::RestJson1),
        read: |input| request(Protocol::RestJson1, input),
    },
    Target { name: "answers", seeds: answers, read: answer },
    Target { name: "events", seeds: frames, read: events },
    Target { name: "gzip", seeds: packed, read: unpack },
];

/// The APIs that have the odd shapes: recursion, unions, documents, maps, attributes, events.
fn services(protocol: Protocol) -> &'static [&'static ServiceSchema] {
    static ALL: OnceLock<Vec<(Protocol, Vec<&'static ServiceSchema>)>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let load = |name: &&str| {
            let api = fractus_models::Api::read(&fractus_models::folder(), name).expect("the model is read");
            dynamic::leak(&api).expect("the model is a schema")
        };
        [
            (Protocol::AwsJson10, &["dynamodb", "sqs", "stepfunctions"][..]),
            (Protocol::RpcV2Cbor, &["cloudwatch"]),
            (Protocol::AwsQuery, &["sns", "sqs", "cloudwatch", "cloudformation"]),
            (Protocol::Ec2Query, &["ec2"]),
            (Protocol::RestXml, &["s3", "route53", "cloudfront"]),
            (Protocol::RestJson1, &["lambda", "bedrock-runtime", "apigateway"]),
        ]
        .into_iter()
        .map(|(protocol, names)| (protocol, names.iter().map(load).collect()))
        .collect()
    });
    all.iter().find(|(known, _)| *known == protocol).map_or(&[], |(_, services)| services)
}

const SEEDS: u64 = 300;

/// One operation of one of the protocol's services.
fn pick(protocol: Protocol, dice: &mut Dice) -> (u8, &'static ServiceSchema, &'static OperationSchema) {
    let services = services(protocol);
    let index = dice.below(services.len());
    let service = services[index];
    (index as u8, service, service.operations[dice.below(service.operations.len())])
}

/// Requests as text: the service's number, the request line, headers, a blank line, the body.
fn requests(protocol: Protocol) -> Vec<Vec<u8>> {
    let mut dice = Dice::new(1);
    let mut made = Vec::new();
    for _ in 0..SEEDS {
        let (index, service, operation) = pick(protocol, &mut dice);
        let mut input = sample::shape(operation.input, &mut dice);
        let Ok(outgoing) = protocol::write_request(protocol, service, operation, &mut input) else { continue };
        let (parts, body) = outgoing.request.into_parts();
        let mut text = vec![index];
        text.extend_from_slice(format!("{} {}\n", parts.method, parts.uri).as_bytes());
        for (name, value) in &parts.headers {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
            text.push(b'\n');
        }
        text.push(b'\n');
        if let ByteStream::Whole(body) = body {
            text.extend_from_slice(&body);
        }
        made.push(text);
    }
    made
}

fn parse_request(text: &[u8]) -> Option<Request<Bytes>> {
    let end = text.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, body) = (&text[..end], &text[end + 2..]);
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines.next()?;
    let blank = line.iter().position(|byte| *byte == b' ')?;
    let uri = http::Uri::try_from(&line[blank + 1..]).ok()?;
    let mut request = Request::builder().method(&line[..blank]).uri(uri);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

fn request(protocol: Protocol, input: &[u8]) -> u64 {
    let Some((index, text)) = input.split_first() else { return 0 };
    let services = services(protocol);
    let service = services[usize::from(*index) % services.len()];
    let Some(request) = parse_request(text) else { return 1 };
    let (parts, body) = request.into_parts();
    let identified = match protocol::identify(service, &parts, Some(&body)) {
        Ok(identified) => identified,
        Err((_, failure)) => return outcome_of_failure(2, &failure),
    };
    let mut input = DynamicShape::new(identified.operation.input);
    match protocol::read_request(&identified, service, &parts, ByteStream::Whole(body), &mut input) {
        Ok(read) => {
            let known =
                (identified.operation.name, input.members.keys().collect::<Vec<_>>(), read.missing.len().min(4));
            hash(&known)
        }
        Err(failure) => outcome_of_failure(3, &failure),
    }
}

const PROTOCOLS: [Protocol; 6] = [
    Protocol::AwsJson10,
    Protocol::RpcV2Cbor,
    Protocol::AwsQuery,
    Protocol::Ec2Query,
    Protocol::RestXml,
    Protocol::RestJson1,
];

/// Answers: the protocol's, service's and operation's numbers, the status (a success or not), the body.
fn answers() -> Vec<Vec<u8>> {
    let mut dice = Dice::new(2);
    let mut made = Vec::new();
    for round in 0..SEEDS * 2 {
        let which = dice.below(PROTOCOLS.len());
        let protocol = PROTOCOLS[which];
        let services = services(protocol);
        let index = dice.below(services.len());
        let service = services[index];
        let number = dice.below(service.operations.len());
        let operation = service.operations[number];
        let answer = Answer { request_id: "id", ..Answer::default() };
        let failed = round % 4 == 0;
        let response = if failed {
            let failure = match operation.errors.first() {
                Some(schema) => Failure::new(schema.name, 400, "m").with_shape(sample::shape(schema, &mut dice)),
                None => Failure::internal("m"),
            };
            protocol::write_failure(protocol, service, Some(operation), &failure, &answer)
        } else {
            let mut output = sample::shape(operation.output, &mut dice);
            let Ok(response) = protocol::write_response(protocol, service, operation, &mut output, &answer) else {
                continue;
            };
            response
        };
        let ByteStream::Whole(body) = response.into_body() else { continue };
        let mut text = vec![which as u8, index as u8, (number >> 8) as u8, number as u8, u8::from(failed)];
        text.extend_from_slice(&body);
        made.push(text);
    }
    made
}

fn answer(input: &[u8]) -> u64 {
    let Some(([which, index, high, low, failed], body)) = input.split_first_chunk::<5>() else { return 0 };
    let protocol = PROTOCOLS[usize::from(*which) % PROTOCOLS.len()];
    let services = services(protocol);
    let service = services[usize::from(*index) % services.len()];
    let number = usize::from(*high) << 8 | usize::from(*low);
    let operation = service.operations[number % service.operations.len()];
    let mut response = Response::new(ByteStream::Whole(Bytes::copy_from_slice(body)));
    if failed % 2 == 1 {
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
    }
    let mut output = DynamicShape::new(operation.output);
    match protocol::read_response(protocol, service, operation, response, &mut output) {
        Ok(()) => hash(&(which, operation.name, output.members.keys().collect::<Vec<_>>())),
        Err(protocol::ResponseError::Failure(failure)) => outcome_of_failure(4, &failure),
        Err(protocol::ResponseError::Unreadable(error)) => hash(&(5, which, shortened(&error.message))),
    }
}

/// S3's and Lambda's unions of events.
fn unions() -> [&'static Schema; 2] {
    static UNIONS: OnceLock<[&'static Schema; 2]> = OnceLock::new();
    *UNIONS.get_or_init(|| {
        let union = |protocol, service: usize, operation| {
            let operation = services(protocol)[service].operation(operation).expect("the operation is there");
            let stream = operation.output.members.into_iter().find(|member| member.target.event_stream);
            stream.expect("it streams").target
        };
        [union(Protocol::RestXml, 0, "SelectObjectContent"), union(Protocol::RestJson1, 1, "ConverseStream")]
    })
}

/// A union that is known when the program runs; the streams want one that is known when it is built.
struct Event<const UNION: usize>(DynamicShape);

impl<const UNION: usize> Default for Event<UNION> {
    fn default() -> Self {
        Event(DynamicShape::new(unions()[UNION]))
    }
}

impl<const UNION: usize> Shape for Event<UNION> {
    fn schema(&self) -> &'static Schema {
        unions()[UNION]
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn Reader) -> Result<(), ReadError> {
        self.0.read_member(index, reader)
    }

    fn write_members(&self, writer: &mut dyn Writer) -> Result<(), WriteError> {
        self.0.write_members(writer)
    }
}

fn frames() -> Vec<Vec<u8>> {
    let mut dice = Dice::new(3);
    let mut made = Vec::new();
    for _ in 0..SEEDS {
        let which = dice.below(2);
        let protocol = [Protocol::RestXml, Protocol::RestJson1][which];
        let sent: Vec<Result<Box<dyn Shape>, Failure>> = (0..1 + dice.below(3))
            .map(|_| Ok(Box::new(sample::shape(unions()[which], &mut dice)) as Box<dyn Shape>))
            .collect();
        let initial = dice.one_in(3).then(|| initial_message(protocol, "initial-response", b"{}".to_vec()));
        let body = body_of_events(protocol, None, initial, Box::pin(futures::stream::iter(sent)));
        let Ok(body) = block_on(body.collect(1 << 20)) else { continue };
        let mut text = vec![which as u8];
        text.extend_from_slice(&body);
        made.push(text);
    }
    made
}

fn events(input: &[u8]) -> u64 {
    let Some((which, frames)) = input.split_first() else { return 0 };
    let mut decoder = Decoder::default();
    decoder.push(frames);
    let whole = loop {
        match decoder.next_message() {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    // Checksums stop nearly every change: so they are made to fit, and the frames behind them are read.
    let repaired = ByteStream::Whole(Bytes::from(with_checksums(frames)));
    let seen = if which % 2 == 0 {
        read_events::<0>(repaired, Protocol::RestXml)
    } else {
        read_events::<1>(repaired, Protocol::RestJson1)
    };
    hash(&(whole, seen))
}

fn read_events<const UNION: usize>(body: ByteStream, protocol: Protocol) -> u64 {
    let limits = FrameLimits { message_bytes: 1 << 20, ..FrameLimits::default() };
    let events = block_on(events_of_body::<Event<UNION>>(body, protocol, limits).0.collect::<Vec<_>>());
    let seen: Vec<String> = events
        .into_iter()
        .take(4)
        .map(|event| match event {
            Ok(event) => event.0.members.keys().next().cloned().unwrap_or_default(),
            Err(failure) => shortened(&failure.message),
        })
        .collect();
    hash(&seen)
}

fn with_checksums(frames: &[u8]) -> Vec<u8> {
    let crc = |bytes: &[u8]| crc32fast::hash(bytes);
    let mut repaired = frames.to_vec();
    let mut at = 0;
    while repaired.len() - at >= 16 {
        let total = u32::from_be_bytes([repaired[at], repaired[at + 1], repaired[at + 2], repaired[at + 3]]) as usize;
        let total = if total < 16 || total > repaired.len() - at { repaired.len() - at } else { total };
        repaired[at..at + 4].copy_from_slice(&(total as u32).to_be_bytes());
        let prelude = crc(&repaired[at..at + 8]);
        repaired[at + 8..at + 12].copy_from_slice(&prelude.to_be_bytes());
        let end = at + total;
        let whole = crc(&repaired[at..end - 4]);
        repaired[end - 4..end].copy_from_slice(&whole.to_be_bytes());
        at = end;
    }
    repaired
}

fn packed() -> Vec<Vec<u8>> {
    let mut dice = Dice::new(4);
    let mut headers = http::HeaderMap::new();
    let operation = services(Protocol::RpcV2Cbor)[0].operation("PutMetricData").expect("the operation is there");
    let mut made: Vec<Vec<u8>> = (0..50)
        .map(|_| {
            let body: Vec<u8> = (0..dice.below(400)).map(|_| b'a' + dice.below(8) as u8).collect();
            gzip::pack(operation, &mut headers, Bytes::from(body), 0).to_vec()
        })
        .collect();
    made.push(gzip::pack(operation, &mut headers, Bytes::from(vec![0; 1 << 16]), 0).to_vec());
    made
}

fn unpack(input: &[u8]) -> u64 {
    // Small bounds reach the same code as large ones, and ten million inputs end in time.
    let limits = InflateLimits { bytes: 1 << 16, ratio: 100, free_bytes: 4 * 1024 };
    match gzip::inflate(input, &limits) {
        Ok(bytes) => bytes.len().min(64) as u64,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            hash(&(error.to_string(), cause))
        }
    }
}

fn outcome_of_failure(stage: u8, failure: &Failure) -> u64 {
    let shape = failure.shape.as_ref().map(|shape| shape.schema().name);
    hash(&(stage, failure.code.as_ref().chars().take(20).collect::<String>(), shortened(&failure.message), shape))
}

/// A message without what it quotes.
fn shortened(message: &str) -> String {
    message.chars().filter(|character| character.is_ascii_alphabetic() || *character == ' ').take(40).collect()
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
