//! SendMessage and SendMessageBatch.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_sqs_api as api;
use fractus_store::Transaction;
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::model::fifo;
use crate::model::message::{
    check_attributes, check_body, check_fifo_id, check_size, hex_md5, md5_of_attributes, size_bytes,
};
use crate::model::messages::{self, NewMessage};
use crate::operations::batch;
use crate::service::{Sqs, Target};
use crate::store::{Accepted, AttributeValue, Queue};

/// The most bytes of a batch, bodies and attributes together.
const MAX_BATCH_BYTES: usize = 1_048_576;

/// A message as the caller sent it, checked as far as that needs no queue.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub body: String,
    pub delay_secs: Option<i32>,
    pub attributes: IndexMap<String, AttributeValue>,
    pub trace_header: Option<AttributeValue>,
    pub group_id: Option<String>,
    pub deduplication_id: Option<String>,
    pub size_bytes: usize,
}

impl Outgoing {
    /// Checks body, attributes and system attributes.
    pub fn checked(
        body: String,
        delay_secs: Option<i32>,
        attributes: IndexMap<String, AttributeValue>,
        system_attributes: IndexMap<String, AttributeValue>,
        group_id: Option<String>,
        deduplication_id: Option<String>,
    ) -> Result<Self> {
        check_body(&body)?;
        check_attributes(&attributes)?;
        let trace_header = trace_header(system_attributes)?;
        let size_bytes = size_bytes(&body, &attributes);
        Ok(Outgoing { body, delay_secs, attributes, trace_header, group_id, deduplication_id, size_bytes })
    }
}

/// The one system attribute that a sender may set; it does not count against the size.
fn trace_header(mut system_attributes: IndexMap<String, AttributeValue>) -> Result<Option<AttributeValue>> {
    let header = system_attributes.shift_remove("AWSTraceHeader");
    if let Some((name, _)) = system_attributes.first() {
        return Err(Error::invalid_parameter(format!("Message system attribute name '{name}' is invalid.")));
    }
    match header {
        Some(value) if value.data_type != "String" || value.string.as_deref().is_none_or(str::is_empty) => {
            Err(Error::invalid_parameter(
                "The message system attribute 'AWSTraceHeader' must be of type 'String' and not empty.",
            ))
        }
        header => Ok(header),
    }
}

/// What the sender is told.
#[derive(Clone, Debug)]
pub struct Sent {
    pub message_id: String,
    pub md5_of_body: String,
    pub md5_of_attributes: Option<String>,
    pub md5_of_system_attributes: Option<String>,
    pub sequence_number: Option<String>,
    /// Whether it may be received at once, and so wakes a waiting receiver.
    pub wakes: bool,
}

/// Who sends, and when.
#[derive(Clone, Copy, Debug)]
pub struct Sending<'a> {
    pub sender_id: &'a str,
    pub now: Timestamp,
}

/// Puts one message into a queue, by the queue's own rules.
pub fn put(
    tx: &mut Transaction<'_>,
    target: &Target,
    queue: &Queue,
    outgoing: &Outgoing,
    message_id: &str,
    sending: Sending<'_>,
) -> Result<Sent> {
    check_size(outgoing.size_bytes, queue.attributes.max_message_bytes)?;
    let delay_secs = delay_secs(queue, outgoing.delay_secs)?;
    let deduplication_id = fifo_ids(queue, outgoing)?;
    let md5_of_attributes = md5_of_attributes(outgoing.attributes.iter().map(|(name, value)| (name.as_str(), value)));
    let mut sent = Sent {
        message_id: message_id.to_owned(),
        md5_of_body: hex_md5(outgoing.body.as_bytes()),
        md5_of_attributes,
        md5_of_system_attributes: outgoing
            .trace_header
            .as_ref()
            .and_then(|value| crate::model::message::md5_of_attributes([("AWSTraceHeader", value)])),
        sequence_number: None,
        wakes: delay_secs == 0,
    };
    let group = outgoing.group_id.as_deref().unwrap_or_default();
    if let Some(id) = &deduplication_id
        && let Some(before) = fifo::accepted_before(tx, &target.scope, queue, group, id)?
    {
        sent.message_id = before.message_id;
        sent.sequence_number = Some(before.sequence_number);
        sent.wakes = false;
        return Ok(sent);
    }
    let new = NewMessage {
        id: sent.message_id.clone(),
        body: outgoing.body.clone(),
        md5_of_body: sent.md5_of_body.clone(),
        attributes: outgoing.attributes.clone(),
        md5_of_attributes: sent.md5_of_attributes.clone(),
        trace_header: outgoing.trace_header.as_ref().and_then(|value| value.string.clone()),
        sender_id: sending.sender_id.to_owned(),
        group_id: outgoing.group_id.clone(),
        deduplication_id: deduplication_id.clone(),
        dead_letter_source_arn: None,
        receive_count: 0,
        first_received_at: None,
    };
    let delay = Duration::from_secs(u64::from(delay_secs));
    let (_, sequence_number) = messages::insert(tx, &target.scope, queue, new, sending.now, sending.now, delay)?;
    if let (Some(id), Some(sequence_number)) = (&deduplication_id, &sequence_number) {
        let accepted = Accepted { message_id: sent.message_id.clone(), sequence_number: sequence_number.clone() };
        fifo::remember_accepted(tx, &target.scope, queue, group, id, &accepted, sending.now)?;
    }
    sent.sequence_number = sequence_number;
    Ok(sent)
}

/// A FIFO queue delays all its messages alike, so a message cannot ask for a delay of its own.
fn delay_secs(queue: &Queue, asked: Option<i32>) -> Result<u32> {
    match asked {
        None => Ok(queue.attributes.delay_secs),
        Some(0) if queue.is_fifo() => Ok(queue.attributes.delay_secs),
        Some(asked) if queue.is_fifo() => Err(Error::invalid_value(
            asked,
            "DelaySeconds",
            "The request include parameter that is not valid for this queue type.",
        )),
        Some(asked) => u32::try_from(asked)
            .ok()
            .filter(|secs| *secs <= 900)
            .ok_or_else(|| Error::invalid_value(asked, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")),
    }
}

/// Checks group and deduplication ids against the kind of queue; gives the id a FIFO message is known by.
fn fifo_ids(queue: &Queue, outgoing: &Outgoing) -> Result<Option<String>> {
    if let Some(group) = &outgoing.group_id {
        check_fifo_id("MessageGroupId", group)?;
    }
    if let Some(id) = &outgoing.deduplication_id {
        check_fifo_id("MessageDeduplicationId", id)?;
    }
    if !queue.is_fifo() {
        // A group id on a standard queue is a tenant for fair queues; a deduplication id has no meaning there.
        return match &outgoing.deduplication_id {
            Some(id) => Err(Error::invalid_value(
                id,
                "MessageDeduplicationId",
                "The request include parameter that is not valid for this queue type.",
            )),
            None => Ok(None),
        };
    }
    if outgoing.group_id.is_none() {
        return Err(Error::MissingParameter { name: "MessageGroupId".into() });
    }
    match &outgoing.deduplication_id {
        Some(id) => Ok(Some(id.clone())),
        None if queue.attributes.content_based_deduplication => {
            Ok(Some(fifo::content_deduplication_id(&outgoing.body)))
        }
        None => Err(Error::invalid_parameter(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        )),
    }
}

/// SendMessage.
pub async fn one(sqs: &Sqs, cx: &Context, input: api::SendMessageInput) -> Result<api::SendMessageOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let outgoing = Outgoing::checked(
        input.message_body,
        input.delay_seconds,
        attributes(input.message_attributes)?,
        system_attributes(input.message_system_attributes)?,
        input.message_group_id,
        input.message_deduplication_id,
    )?;
    let message_id = cx.random().uuid();
    let sending = Sending { sender_id: &cx.caller.principal_id, now: cx.now() };
    let sent = sqs
        .store
        .write(|tx| {
            let queue = target.queue(tx)?;
            put(tx, &target, &queue, &outgoing, &message_id, sending)
        })
        .await?;
    if sent.wakes {
        sqs.waiters.wake(&target.scope, &target.name, 1);
    }
    Ok(api::SendMessageOutput {
        md5_of_message_body: Some(sent.md5_of_body),
        md5_of_message_attributes: sent.md5_of_attributes,
        md5_of_message_system_attributes: sent.md5_of_system_attributes,
        message_id: Some(sent.message_id),
        sequence_number: sent.sequence_number,
    })
}

/// SendMessageBatch: each entry stands or falls alone, all in one transaction.
pub async fn batch(sqs: &Sqs, cx: &Context, input: api::SendMessageBatchInput) -> Result<api::SendMessageBatchOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    batch::check_ids(input.entries.iter().map(|entry| entry.id.as_str()), "SendMessageBatchRequestEntry")?;
    let entries: Vec<(String, String, Result<Outgoing>)> = input
        .entries
        .into_iter()
        .map(|entry| {
            let outgoing = outgoing_of_entry(entry.clone());
            (entry.id, cx.random().uuid(), outgoing)
        })
        .collect();
    let bytes: usize = entries.iter().filter_map(|(_, _, outgoing)| Some(outgoing.as_ref().ok()?.size_bytes)).sum();
    if bytes > MAX_BATCH_BYTES {
        return Err(Error::BatchRequestTooLong { bytes });
    }
    let sending = Sending { sender_id: &cx.caller.principal_id, now: cx.now() };
    let outcomes: Vec<Result<Sent>> = sqs
        .store
        .write(|tx| {
            let queue = target.queue(tx)?;
            let mut outcomes = Vec::with_capacity(entries.len());
            for (_, message_id, outgoing) in &entries {
                let Ok(outgoing) = outgoing else {
                    outcomes.push(Err(Error::InvalidBatchEntryId));
                    continue;
                };
                match put(tx, &target, &queue, outgoing, message_id, sending) {
                    // A refused entry changed nothing; a failing store fails the whole batch.
                    Err(Error::Store(error)) => return Err(Error::Store(error)),
                    outcome => outcomes.push(outcome),
                }
            }
            Ok(outcomes)
        })
        .await?;
    let mut output = api::SendMessageBatchOutput::default();
    let mut wakes = 0;
    for ((id, _, outgoing), outcome) in entries.into_iter().zip(outcomes) {
        match (outgoing, outcome) {
            (Err(error), _) | (Ok(_), Err(error)) => output.failed.push(batch::failed(id, &error)),
            (Ok(_), Ok(sent)) => {
                wakes += usize::from(sent.wakes);
                output.successful.push(api::SendMessageBatchResultEntry {
                    id,
                    message_id: sent.message_id,
                    md5_of_message_body: sent.md5_of_body,
                    md5_of_message_attributes: sent.md5_of_attributes,
                    md5_of_message_system_attributes: sent.md5_of_system_attributes,
                    sequence_number: sent.sequence_number,
                });
            }
        }
    }
    sqs.waiters.wake(&target.scope, &target.name, wakes);
    Ok(output)
}

fn outgoing_of_entry(entry: api::SendMessageBatchRequestEntry) -> Result<Outgoing> {
    Outgoing::checked(
        entry.message_body,
        entry.delay_seconds,
        attributes(entry.message_attributes)?,
        system_attributes(entry.message_system_attributes)?,
        entry.message_group_id,
        entry.message_deduplication_id,
    )
}

fn attributes(given: Option<IndexMap<String, api::MessageAttributeValue>>) -> Result<IndexMap<String, AttributeValue>> {
    given
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| {
            if value.string_list_values.is_some_and(|list| !list.is_empty())
                || value.binary_list_values.is_some_and(|list| !list.is_empty())
            {
                return Err(Error::UnsupportedOperation {
                    message: format!("Message attribute list values in message attribute '{name}' are not supported."),
                });
            }
            let value =
                AttributeValue { data_type: value.data_type, string: value.string_value, binary: value.binary_value };
            Ok((name, value))
        })
        .collect()
}

fn system_attributes(
    given: Option<IndexMap<String, api::MessageSystemAttributeValue>>,
) -> Result<IndexMap<String, AttributeValue>> {
    let converted = given.unwrap_or_default().into_iter().map(|(name, value)| {
        let value =
            AttributeValue { data_type: value.data_type, string: value.string_value, binary: value.binary_value };
        (name, value)
    });
    Ok(converted.collect())
}
