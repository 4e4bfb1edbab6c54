//! SendMessage and SendMessageBatch.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_sqs_api as api;
use fractus_store::{Scope, Transaction};
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::keys::Granted;
use crate::model::fifo;
use crate::model::message::{
    check_attributes, check_body, check_fifo_id, check_size, hex_md5, md5_of_attributes, size_bytes,
};
use crate::model::messages::{self, History};
use crate::model::quota::Kind;
use crate::operations::batch;
use crate::service::{Sqs, Target};
use crate::store::{Accepted, AttributeValue, Counters, Message, Queue};

/// The most bytes of a batch, bodies and attributes together.
const MAX_BATCH_BYTES: usize = 1_048_576;

/// A message as the caller sent it, checked and digested as far as that needs no queue.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub message: Message,
    pub delay_secs: Option<i32>,
    /// The deduplication id that the sender chose.
    pub deduplication_id: Option<String>,
    pub md5_of_system_attributes: Option<String>,
    pub size_bytes: usize,
}

/// A message's parts as they come over the wire or with a delivery.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    pub body: String,
    pub delay_secs: Option<i32>,
    pub attributes: IndexMap<String, AttributeValue>,
    pub system_attributes: IndexMap<String, AttributeValue>,
    pub group_id: Option<String>,
    pub deduplication_id: Option<String>,
}

impl Outgoing {
    /// Checks body, attributes and system attributes.
    pub fn checked(parts: Parts, message_id: String, sender_id: &str) -> Result<Self> {
        check_body(&parts.body)?;
        check_attributes(&parts.attributes)?;
        let trace_header = trace_header(parts.system_attributes)?;
        let md5_of_system_attributes =
            trace_header.as_ref().and_then(|value| md5_of_attributes([("AWSTraceHeader", value)]));
        let size_bytes = size_bytes(&parts.body, &parts.attributes);
        let pairs = parts.attributes.iter().map(|(name, value)| (name.as_str(), value));
        let message = Message {
            id: message_id,
            md5_of_body: hex_md5(parts.body.as_bytes()),
            md5_of_attributes: md5_of_attributes(pairs),
            body: parts.body,
            attributes: parts.attributes,
            trace_header: trace_header.and_then(|value| value.string),
            sender_id: sender_id.to_owned(),
            group_id: parts.group_id,
            ..Message::default()
        };
        Ok(Outgoing {
            message,
            delay_secs: parts.delay_secs,
            deduplication_id: parts.deduplication_id,
            md5_of_system_attributes,
            size_bytes,
        })
    }

    /// What the sender is told, once the queue has taken it.
    fn answer(self, sent: Sent) -> api::SendMessageOutput {
        api::SendMessageOutput {
            md5_of_message_body: Some(self.message.md5_of_body),
            md5_of_message_attributes: self.message.md5_of_attributes,
            md5_of_message_system_attributes: self.md5_of_system_attributes,
            message_id: Some(sent.repeated_id.unwrap_or(self.message.id)),
            sequence_number: sent.sequence_number,
        }
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

/// What a queue made of a message.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// The id of the message that this one repeats, by its deduplication id.
    pub repeated_id: Option<String>,
    pub sequence_number: Option<String>,
    /// Whether it may be received at once, and so wakes a waiting receiver.
    pub wakes: bool,
}

/// Puts one message into a queue, by the queue's own rules.
pub fn put(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue: &Queue,
    counts: &mut Counters,
    outgoing: &mut Outgoing,
    now: Timestamp,
) -> Result<Sent> {
    check_size(outgoing.size_bytes, queue.attributes.max_message_bytes)?;
    let delay_secs = delay_secs(queue, outgoing.delay_secs)?;
    let deduplication_id = fifo_ids(queue, outgoing)?;
    let message = &mut outgoing.message;
    if let Some(id) = &deduplication_id {
        let group = fifo::group_of(message);
        if let Some(before) = fifo::accepted_before(tx, scope, queue, group, id)? {
            let Accepted { message_id, sequence_number } = before;
            return Ok(Sent { repeated_id: Some(message_id), sequence_number: Some(sequence_number), wakes: false });
        }
    }
    message.deduplication_id = deduplication_id;
    let delay = Duration::from_secs(u64::from(delay_secs));
    messages::insert(tx, scope, queue, counts, message, History::default(), now, now, delay)?;
    if let (Some(id), Some(sequence_number)) = (&message.deduplication_id, &message.sequence_number) {
        let accepted = Accepted { message_id: message.id.clone(), sequence_number: sequence_number.clone() };
        fifo::remember_accepted(tx, scope, queue, fifo::group_of(message), id, &accepted, now)?;
    }
    Ok(Sent { repeated_id: None, sequence_number: message.sequence_number.clone(), wakes: delay_secs == 0 })
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
    if let Some(group) = &outgoing.message.group_id {
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
    if outgoing.message.group_id.is_none() {
        return Err(Error::MissingParameter { name: "MessageGroupId".into() });
    }
    match &outgoing.deduplication_id {
        Some(id) => Ok(Some(id.clone())),
        None if queue.attributes.content_based_deduplication => {
            Ok(Some(fifo::content_deduplication_id(&outgoing.message.body)))
        }
        None => Err(Error::invalid_parameter(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        )),
    }
}

/// SendMessage.
pub async fn one(sqs: &Sqs, cx: &Context, input: api::SendMessageInput) -> Result<api::SendMessageOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let parts = Parts {
        body: input.message_body,
        delay_secs: input.delay_seconds,
        attributes: attributes(input.message_attributes)?,
        system_attributes: system_attributes(input.message_system_attributes)?,
        group_id: input.message_group_id,
        deduplication_id: input.message_deduplication_id,
    };
    let mut outgoing = Outgoing::checked(parts, cx.random().uuid(), &cx.caller.principal_id)?;
    let now = cx.now();
    let mut granted = Granted::default();
    let sent = loop {
        let write = sqs.store.write(|tx| {
            let queue = target.queue(tx)?;
            outgoing.message.data_key = granted.of(&queue)?;
            sqs.quotas.take(&queue, Kind::Send, outgoing.message.group_id.as_deref(), now)?;
            messages::with_counters(tx, &target.scope, &queue, |tx, counts| {
                put(tx, &target.scope, &queue, counts, &mut outgoing, now)
            })
        });
        match write.await {
            Err(Error::NeedsDataKey(need)) => {
                granted = Granted::ask(&sqs.keys.of_caller(cx), &need, &target.arn(cx)).await?;
            }
            sent => break sent?,
        }
    };
    if sent.wakes {
        sqs.waiters.wake(&target.scope, &target.name, 1);
    }
    Ok(outgoing.answer(sent))
}

/// SendMessageBatch: each entry stands or falls alone, all in one transaction.
pub async fn batch(sqs: &Sqs, cx: &Context, input: api::SendMessageBatchInput) -> Result<api::SendMessageBatchOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    batch::check_ids(input.entries.iter().map(|entry| entry.id.as_str()), "SendMessageBatchRequestEntry")?;
    let mut entries: Vec<(String, Result<Outgoing>)> = input
        .entries
        .into_iter()
        .map(|mut entry| {
            let id = std::mem::take(&mut entry.id);
            (id, outgoing_of_entry(cx, entry))
        })
        .collect();
    let bytes: usize = entries.iter().filter_map(|(_, outgoing)| Some(outgoing.as_ref().ok()?.size_bytes)).sum();
    if bytes > MAX_BATCH_BYTES {
        return Err(Error::BatchRequestTooLong { bytes });
    }
    let now = cx.now();
    let mut granted = Granted::default();
    // An answer for each entry that was well-formed, in order.
    let outcomes: Vec<Result<Sent>> = loop {
        let write = sqs.store.write(|tx| {
            let queue = target.queue(tx)?;
            let data_key = granted.of(&queue)?;
            let well_formed = entries.iter().filter_map(|(_, outgoing)| outgoing.as_ref().ok());
            let groups = well_formed.filter_map(|outgoing| outgoing.message.group_id.as_deref());
            sqs.quotas.take(&queue, Kind::Send, groups, now)?;
            messages::with_counters(tx, &target.scope, &queue, |tx, counts| {
                let mut outcomes = Vec::with_capacity(entries.len());
                for outgoing in entries.iter_mut().filter_map(|(_, outgoing)| outgoing.as_mut().ok()) {
                    outgoing.message.data_key.clone_from(&data_key);
                    match put(tx, &target.scope, &queue, counts, outgoing, now) {
                        // A refused entry changed nothing; a failing store fails the whole batch.
                        Err(Error::Store(error)) => return Err(Error::Store(error)),
                        outcome => outcomes.push(outcome),
                    }
                }
                Ok(outcomes)
            })
        });
        match write.await {
            Err(Error::NeedsDataKey(need)) => {
                granted = Granted::ask(&sqs.keys.of_caller(cx), &need, &target.arn(cx)).await?;
            }
            outcomes => break outcomes?,
        }
    };
    let mut output = api::SendMessageBatchOutput::default();
    let mut wakes = 0;
    let mut outcomes = outcomes.into_iter();
    for (id, outgoing) in entries {
        let outcome = outgoing.and_then(|outgoing| match outcomes.next() {
            Some(outcome) => outcome.map(|sent| (outgoing, sent)),
            None => Err(Error::InvalidBatchEntryId),
        });
        match outcome {
            Err(error) => output.failed.push(batch::failed(id, &error)),
            Ok((outgoing, sent)) => {
                wakes += usize::from(sent.wakes);
                output.successful.push(successful(id, outgoing.answer(sent)));
            }
        }
    }
    sqs.waiters.wake(&target.scope, &target.name, wakes);
    Ok(output)
}

fn successful(id: String, answer: api::SendMessageOutput) -> api::SendMessageBatchResultEntry {
    api::SendMessageBatchResultEntry {
        id,
        message_id: answer.message_id.unwrap_or_default(),
        md5_of_message_body: answer.md5_of_message_body.unwrap_or_default(),
        md5_of_message_attributes: answer.md5_of_message_attributes,
        md5_of_message_system_attributes: answer.md5_of_message_system_attributes,
        sequence_number: answer.sequence_number,
    }
}

fn outgoing_of_entry(cx: &Context, entry: api::SendMessageBatchRequestEntry) -> Result<Outgoing> {
    let parts = Parts {
        body: entry.message_body,
        delay_secs: entry.delay_seconds,
        attributes: attributes(entry.message_attributes)?,
        system_attributes: system_attributes(entry.message_system_attributes)?,
        group_id: entry.message_group_id,
        deduplication_id: entry.message_deduplication_id,
    };
    Outgoing::checked(parts, cx.random().uuid(), &cx.caller.principal_id)
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
