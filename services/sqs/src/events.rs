//! What SQS hears: deliveries from other services, each a message for a queue.

use std::sync::Arc;

use fractus_aws::{Partition, Region, World};
use fractus_bus::Outcome;
use fractus_bus::contracts::{Attribute, Delivery, Source};
use fractus_clock::Timestamp;
use fractus_host::{Destination, taken};
use fractus_store::Scope;
use indexmap::IndexMap;
use serde_json::json;

use crate::error::{Error, Result};
use crate::keys::Granted;
use crate::model::{messages, names};
use crate::operations::send::{self, Outgoing, Parts};
use crate::service::{Sqs, Target};
use crate::store::{AttributeValue, Queue};

/// Begins to consume; the consumption lives as long as the host.
pub fn start(sqs: &Arc<Sqs>) {
    let handler = Arc::clone(sqs);
    sqs.host.consume(None, move |delivery| {
        let sqs = Arc::clone(&handler);
        async move { outcome(deliver(&sqs, delivery).await) }
    });
}

/// Only a failing store is worth another try; what SQS refuses once it refuses always.
fn outcome(result: Result<Option<String>>) -> Outcome {
    match result {
        Ok(Some(id)) => Outcome::Answered { answer: json!({ "MessageId": id }) },
        Ok(None) => Outcome::Done,
        Err(Error::Kms(refusal, reason)) if refusal.passes() => {
            Outcome::Failed { code: refusal.code().to_owned(), reason, after: None }
        }
        Err(Error::Store(error)) => Outcome::Retry { reason: error.to_string() },
        Err(error) => Outcome::Refused { code: error.code(), message: error.to_string() },
    }
}

/// Makes a message of a delivery, unless it was taken before; its id.
pub async fn deliver(sqs: &Sqs, delivery: Delivery) -> Result<Option<String>> {
    let partition = Partition::parse(&delivery.target.partition).unwrap_or(Partition::Aws);
    let world = World { lane: delivery.lane, partition, account: delivery.account };
    let scope = Scope::regional(&world, &delivery.region);
    let target = Target { world, scope, name: delivery.target.resource };
    let body = delivery
        .body
        .as_text()
        .map(str::to_owned)
        .ok_or_else(|| Error::InvalidMessageContents { message: "The body is no text.".into() })?;
    let parts = Parts {
        body,
        delay_secs: None,
        attributes: attributes(delivery.attributes),
        system_attributes: attributes(delivery.system_attributes),
        group_id: delivery.group_id,
        deduplication_id: delivery.deduplication_id,
    };
    let mut outgoing = Outgoing::checked(parts, sqs.host.random().uuid(), &delivery.source.principal)?;
    sqs.host.caught_up(&target.world.lane, delivery.created_at).await;
    let now = sqs.host.clocks().lane(target.world.lane.as_str()).now();
    let mut granted = Granted::default();
    let sent = loop {
        let write = sqs.store.write(|tx| {
            if !taken::take(tx, &delivery.id)? {
                return Ok(None);
            }
            let queue = target.queue(tx)?;
            check_access(sqs, &delivery.source, &delivery.region, &target, &queue, now)?;
            outgoing.message.data_key = granted.of(&queue)?;
            let sent = messages::with_counters(tx, &target.scope, &queue, |tx, counts| {
                send::put(tx, &target.scope, &queue, counts, &mut outgoing, now)
            })?;
            Ok::<_, Error>(Some(sent))
        });
        match write.await {
            // A service's own work is its account's.
            Err(Error::NeedsDataKey(need)) => {
                let arn = names::queue_arn(&target.world, &delivery.region, &target.name);
                let asker = sqs.keys.of_account(&target.world, &delivery.region, now);
                granted = Granted::ask(&asker, &need, &arn).await?;
            }
            sent => break sent?,
        }
    };
    let Some(sent) = sent else { return Ok(None) };
    if sent.wakes {
        sqs.waiters.wake(&target.scope, &target.name, 1);
    }
    Ok(Some(sent.repeated_id.unwrap_or(outgoing.message.id)))
}

/// Asks the queue's policy, where policies are enforced.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-creating-custom-policies-access-policy-examples.html>
fn check_access(
    sqs: &Sqs,
    source: &Source,
    region: &Region,
    target: &Target,
    queue: &Queue,
    now: Timestamp,
) -> Result<()> {
    let to = Destination {
        arn: &names::queue_arn(&target.world, region, &target.name),
        account: &target.world.account,
        region,
        policy: queue.attributes.policy.as_deref(),
        action: "sqs:SendMessage",
    };
    sqs.host.check_delivery(source, &to, now).map_err(|message| Error::AccessDenied { message })
}

fn attributes(given: impl IntoIterator<Item = (String, Attribute)>) -> IndexMap<String, AttributeValue> {
    let converted = given.into_iter().map(|(name, attribute)| {
        let (data_type, string, binary) = attribute.into_members();
        (name, AttributeValue { data_type, string, binary })
    });
    converted.collect()
}
