//! ReceiveMessage, short and long polling.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>

use std::time::Duration;

use fractus_clock::{Clock, Timestamp};
use fractus_host::Context;
use fractus_sqs_api as api;
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::keys::Opened;
use crate::model::message::md5_of_attributes;
use crate::model::messages::{self, Received};
use crate::model::quota::Kind;
use crate::model::{dead_letter, fifo, standard};
use crate::service::{Sqs, Target};
use crate::store::AttributeValue;

/// The checked parameters of a receive.
struct Asked {
    max: usize,
    visibility_secs: Option<u32>,
    wait_secs: Option<u32>,
    attempt_id: Option<String>,
}

impl Asked {
    fn checked(input: &api::ReceiveMessageInput) -> Result<Self> {
        let within = |value: Option<i32>, name: &str, least: i32, greatest: i32, reason: &str| match value {
            Some(value) if !(least..=greatest).contains(&value) => Err(Error::invalid_value(value, name, reason)),
            value => Ok(value.map(|value| value as u32)),
        };
        let max = within(
            input.max_number_of_messages,
            "MaxNumberOfMessages",
            1,
            10,
            "Must be between 1 and 10, if provided.",
        )?;
        let visibility_secs = within(
            input.visibility_timeout,
            "VisibilityTimeout",
            0,
            43_200,
            "Must be >= 0 and <= 43200, if provided.",
        )?;
        let wait_secs =
            within(input.wait_time_seconds, "WaitTimeSeconds", 0, 20, "Must be >= 0 and <= 20, if provided.")?;
        Ok(Asked {
            max: max.unwrap_or(1) as usize,
            visibility_secs,
            wait_secs,
            attempt_id: input.receive_request_attempt_id.clone(),
        })
    }
}

/// One look at the queue.
struct Look {
    received: Vec<Received>,
    /// How many messages became visible in this look beyond those received.
    left_visible: usize,
    next_due: Option<Timestamp>,
    queue_wait_secs: u32,
}

pub async fn receive(sqs: &Sqs, cx: &Context, input: api::ReceiveMessageInput) -> Result<api::ReceiveMessageOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let asked = Asked::checked(&input)?;
    let wanted = Wanted::new(&input);
    let first = look(sqs, cx, &target, &asked).await?;
    let wait_secs = asked.wait_secs.unwrap_or(first.queue_wait_secs);
    let received = if first.received.is_empty() && wait_secs > 0 {
        wait(sqs, cx, &target, &asked, Duration::from_secs(u64::from(wait_secs))).await?
    } else {
        sqs.waiters.wake(&target.scope, &target.name, first.left_visible);
        first.received
    };
    let messages: Vec<api::Message> = received.into_iter().map(|received| wanted.shown(received)).collect();
    Ok(api::ReceiveMessageOutput { messages: (!messages.is_empty()).then_some(messages) })
}

/// Waits for messages until the time is up: by the lane's clock, but never longer than that in real time, so that a
/// frozen clock does not hold connections for ever.
async fn wait(sqs: &Sqs, cx: &Context, target: &Target, asked: &Asked, wait: Duration) -> Result<Vec<Received>> {
    let deadline = cx.now().plus(wait);
    let real_deadline = Clock::real().sleep(wait);
    let draining = sqs.host.draining();
    let waiting = sqs.waiters.join(&target.scope, &target.name);
    tokio::pin!(real_deadline);
    loop {
        let notified = waiting.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let look = look(sqs, cx, target, asked).await?;
        if !look.received.is_empty() {
            sqs.waiters.wake(&target.scope, &target.name, look.left_visible);
            return Ok(look.received);
        }
        if cx.now() >= deadline {
            return Ok(Vec::new());
        }
        let wake_at = look.next_due.map_or(deadline, |due| due.min(deadline));
        tokio::select! {
            () = &mut notified => {}
            () = cx.clock().sleep_until(wake_at) => {}
            () = &mut real_deadline => return Ok(Vec::new()),
            () = draining.cancelled() => return Ok(Vec::new()),
        }
    }
}

/// Takes what can be had now. What KMS does not open for the receiver stays where it is.
async fn look(sqs: &Sqs, cx: &Context, target: &Target, asked: &Asked) -> Result<Look> {
    let mut opened = Opened::default();
    loop {
        match take(sqs, cx, target, asked, &opened).await {
            Err(Error::NeedsOpening { closed, reuse_secs }) => {
                opened.open(&sqs.keys.of_caller(cx), closed, reuse_secs).await?;
            }
            look => return look,
        }
    }
}

async fn take(sqs: &Sqs, cx: &Context, target: &Target, asked: &Asked, opened: &Opened) -> Result<Look> {
    let now = cx.now();
    sqs.store
        .write(|tx| {
            let queue = target.queue(tx)?;
            if asked.attempt_id.is_some() && !queue.is_fifo() {
                return Err(Error::invalid_value(
                    asked.attempt_id.as_deref().unwrap_or_default(),
                    "ReceiveRequestAttemptId",
                    "The request include parameter that is not valid for this queue type.",
                ));
            }
            if opened.is_empty() {
                sqs.quotas.take(&queue, Kind::Receive, None, now)?;
            }
            let dead_letter = dead_letter::of_queue(tx, &target.scope, &queue, || target.arn(cx))?;
            let dead_letter = dead_letter.as_ref();
            let visibility_secs = asked.visibility_secs.unwrap_or(queue.attributes.visibility_timeout_secs);
            let visibility = Duration::from_secs(u64::from(visibility_secs));
            messages::with_counters(tx, &target.scope, &queue, |tx, counts| {
                let promoted = messages::promote_due(tx, &target.scope, &queue, counts, now)?;
                let max = asked.max;
                let received = if queue.is_fifo() {
                    let how = fifo::Receive { max, visibility, now, attempt_id: asked.attempt_id.as_deref() };
                    fifo::receive(tx, &target.scope, &queue, counts, dead_letter, how)?
                } else {
                    let how = standard::Receive { max, visibility, now };
                    standard::receive(tx, &target.scope, &queue, counts, dead_letter, how)?
                };
                opened.check(&received, &queue)?;
                // A standard queue that gave nothing of what it has is still putting messages aside.
                let next_due = match received.is_empty() && counts.visible > 0 && !queue.is_fifo() {
                    true => Some(now),
                    false => promoted.next_due,
                };
                let left_visible = match visibility.is_zero() {
                    true => received.len(),
                    false => promoted.count.saturating_sub(received.len()),
                };
                Ok(Look { left_visible, next_due, queue_wait_secs: queue.attributes.receive_wait_secs, received })
            })
        })
        .await
}

/// Which attributes the caller wants to see.
struct Wanted {
    system: Vec<String>,
    all_system: bool,
    /// Names, or beginnings that end with `.*` (without it here).
    attributes: Vec<String>,
    beginnings: Vec<String>,
    all_attributes: bool,
}

impl Wanted {
    fn new(input: &api::ReceiveMessageInput) -> Self {
        let older = input.attribute_names.iter().flatten().map(|name| name.as_str().to_owned());
        let newer = input.message_system_attribute_names.iter().flatten().map(|name| name.as_str().to_owned());
        let system: Vec<String> = older.chain(newer).collect();
        let mut wanted = Wanted {
            all_system: system.iter().any(|name| name == "All"),
            system,
            attributes: Vec::new(),
            beginnings: Vec::new(),
            all_attributes: false,
        };
        for name in input.message_attribute_names.iter().flatten() {
            match name.as_str() {
                "All" | ".*" => wanted.all_attributes = true,
                name => match name.strip_suffix(".*") {
                    Some(beginning) => wanted.beginnings.push(beginning.to_owned()),
                    None => wanted.attributes.push(name.to_owned()),
                },
            }
        }
        wanted
    }

    fn wants(&self, name: &str) -> bool {
        self.all_attributes
            || self.attributes.iter().any(|wanted| wanted == name)
            || self.beginnings.iter().any(|beginning| name.starts_with(beginning.as_str()))
    }

    /// A message as this caller sees it. The digest is over the attributes that are shown.
    fn shown(&self, received: Received) -> api::Message {
        let system = self.system_attributes(&received);
        let Received { receipt, message, .. } = received;
        if message.attributes.is_empty() {
            return api::Message {
                message_id: Some(message.id),
                receipt_handle: Some(receipt.encode()),
                md5_of_body: Some(message.md5_of_body),
                body: Some(message.body),
                attributes: (!system.is_empty()).then_some(system),
                md5_of_message_attributes: None,
                message_attributes: None,
            };
        }
        let complete = self.all_attributes;
        let attributes: IndexMap<String, AttributeValue> =
            message.attributes.into_iter().filter(|(name, _)| self.wants(name)).collect();
        let digest = if complete {
            message.md5_of_attributes
        } else {
            md5_of_attributes(attributes.iter().map(|(name, value)| (name.as_str(), value)))
        };
        let attributes: IndexMap<String, api::MessageAttributeValue> = attributes
            .into_iter()
            .map(|(name, value)| {
                let value = api::MessageAttributeValue {
                    string_value: value.string,
                    binary_value: value.binary,
                    data_type: value.data_type,
                    ..Default::default()
                };
                (name, value)
            })
            .collect();
        api::Message {
            message_id: Some(message.id),
            receipt_handle: Some(receipt.encode()),
            md5_of_body: Some(message.md5_of_body),
            body: Some(message.body),
            attributes: (!system.is_empty()).then_some(system),
            md5_of_message_attributes: digest,
            message_attributes: (!attributes.is_empty()).then_some(attributes),
        }
    }

    fn system_attributes(&self, received: &Received) -> IndexMap<String, String> {
        if self.system.is_empty() {
            return IndexMap::new();
        }
        let Received { receipt, message, standing } = received;
        let first_received = standing.first_received_at.unwrap_or(receipt.sent);
        let all = [
            ("SenderId", Some(message.sender_id.clone())),
            ("SentTimestamp", Some(receipt.sent.millis().to_string())),
            ("ApproximateReceiveCount", Some(standing.receive_count.to_string())),
            ("ApproximateFirstReceiveTimestamp", Some(first_received.millis().to_string())),
            ("SequenceNumber", message.sequence_number.clone()),
            ("MessageDeduplicationId", message.deduplication_id.clone()),
            ("MessageGroupId", message.group_id.clone()),
            ("AWSTraceHeader", message.trace_header.clone()),
            ("DeadLetterQueueSourceArn", message.dead_letter_source_arn.clone()),
        ];
        all.into_iter()
            .filter(|(name, _)| self.all_system || self.system.iter().any(|wanted| wanted == name))
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}
