//! Calls by name: any operation of any API, with documents.

use std::collections::HashMap;

use fractus_models::{ModelError, embedded};
use fractus_wire::document_io::{DocumentReader, to_document};
use fractus_wire::event_stream::{FrameLimits, events_made_by};
use fractus_wire::{
    Document, DynamicShape, Failure, Member, OperationSchema, Payload, Schema, ServiceSchema, Shape, dynamic,
};
use futures::StreamExt;
use parking_lot::Mutex;

use crate::{CallError, Calls};

/// Events of an answer that are kept; a stream without end must not fill the memory.
const MAX_EVENTS: usize = 10_000;

/// The schemas made so far. A model is unpacked on the first call of its API and kept.
#[derive(Default)]
pub(crate) struct Models(Mutex<HashMap<String, &'static ServiceSchema>>);

impl Models {
    /// The schema of an API. The lock is held while one is made: two would be one leaked for nothing.
    fn get(&self, api: &str) -> Result<&'static ServiceSchema, CallError> {
        let mut made = self.0.lock();
        if let Some(schema) = made.get(api) {
            return Ok(schema);
        }
        let facts = embedded::load(api).map_err(|error| match error {
            ModelError::Unknown(name) => CallError::UnknownApi(name),
            other => CallError::Unreadable(other.to_string()),
        })?;
        let schema = dynamic::leak(&facts).map_err(|error| CallError::Unreadable(error.to_string()))?;
        made.insert(api.to_owned(), schema);
        Ok(schema)
    }
}

impl Calls {
    /// The schemas of an operation, by the model's names: `("sqs", "SendMessage")`.
    pub fn find(
        &self,
        api: &str,
        operation: &str,
    ) -> Result<(&'static ServiceSchema, &'static OperationSchema), CallError> {
        let service = self.client.inner.models.get(api)?;
        let unknown = || CallError::UnknownOperation { api: api.to_owned(), operation: operation.to_owned() };
        Ok((service, service.operation(operation).ok_or_else(unknown)?))
    }

    /// Calls an operation by name with a map of the model's member names; the answer is one too. A streamed body is a
    /// blob both ways (bounded as any answer), an event stream a list of its events.
    pub async fn call_dynamic(&self, api: &str, operation: &str, input: Document) -> Result<Document, CallError> {
        let (service, operation) = self.find(api, operation)?;
        let mut shape = DynamicShape::new(operation.input);
        let input = if input == Document::Null { Document::Map(Default::default()) } else { input };
        DocumentReader::new(&input).read_shape(&mut shape).map_err(CallError::Input)?;
        let mut output = self.call_shape(service, operation, shape).await?;
        let payload = output.take_payload();
        let mut document = to_document(&output)?;
        let flows = |member: &&'static Member| member.target.streaming || member.target.event_stream;
        if let Some(member) = operation.output.members.into_iter().find(flows)
            && let Document::Map(members) = &mut document
        {
            members.insert(member.name.to_owned(), self.collected(member.target, payload).await?);
        }
        Ok(document)
    }

    async fn collected(&self, schema: &'static Schema, payload: Payload) -> Result<Document, CallError> {
        let events = match payload {
            Payload::None => return Ok(Document::Null),
            Payload::Bytes(bytes) => {
                let whole = bytes.collect(self.client.inner.limits.answer_bytes).await;
                return Ok(Document::Blob(whole.map_err(|error| CallError::Unreadable(error.to_string()))?));
            }
            Payload::Events(events) => events,
            Payload::IncomingEvents(body, protocol) => {
                let make = move || DynamicShape::new(schema);
                match events_made_by(make, body, protocol, FrameLimits::default()).into_payload() {
                    Payload::Events(events) => events,
                    _ => return Ok(Document::Null),
                }
            }
        };
        let kept: Vec<_> = events.take(MAX_EVENTS + 1).collect().await;
        if kept.len() > MAX_EVENTS {
            return Err(CallError::Unreadable(format!("the answer has more than {MAX_EVENTS} events")));
        }
        let event = |event: Result<Box<dyn Shape>, Failure>| Ok::<_, CallError>(to_document(event?.as_ref())?);
        Ok(Document::List(kept.into_iter().map(event).collect::<Result<_, _>>()?))
    }
}
