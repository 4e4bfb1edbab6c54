//! What SNS hears: deliveries from other services, each a message for a topic; and what has become of its own.

use std::sync::Arc;

use fractus_aws::{Partition, World};
use fractus_bus::Outcome;
use fractus_bus::contracts::{Attribute, Delivery};
use fractus_host::Destination;
use fractus_host::config::AuthMode;
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::model::message::{self, Parts};
use crate::publishing::Publisher;
use crate::service::{Sns, topic};
use crate::status_logs;
use crate::store::{AttributeValue, Place};

/// Begins to consume; the consumption lives as long as the host.
pub fn start(sns: &Arc<Sns>) {
    let (handler, books) = (Arc::clone(sns), Arc::clone(sns));
    let resending = sns.host.resend(&sns.outbox, move |tx, attempted| status_logs::of_delivery(&books, tx, attempted));
    sns.host.consume(Some(resending), move |delivery| {
        let sns = Arc::clone(&handler);
        async move { outcome(deliver(&sns, delivery).await) }
    });
}

/// Only a failing store is worth another try; what SNS refuses once it refuses always.
fn outcome(result: Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(Error::Kms(refusal, reason)) if refusal.passes() => {
            Outcome::Failed { code: refusal.code().to_owned(), reason, after: None }
        }
        Err(error @ (Error::Store(_) | Error::Internal(_))) => Outcome::Retry { reason: error.to_string() },
        Err(error) => Outcome::Refused { code: error.code(), message: error.to_string() },
    }
}

/// Publishes a delivery, unless it was taken before. A subject comes among the parameters, as Publish has it.
pub async fn deliver(sns: &Sns, delivery: Delivery) -> Result<()> {
    let partition = Partition::parse(&delivery.target.partition).unwrap_or(Partition::Aws);
    let world = World { lane: delivery.lane.clone(), partition, account: delivery.account.clone() };
    let place = Place { world, region: delivery.region.clone(), name: delivery.target.resource.clone() };
    let now = sns.host.clocks().lane(place.world.lane.as_str()).now();
    check_access(sns, &delivery, &place).await?;
    let text = delivery.body.as_text().ok_or_else(|| Error::invalid("Message"))?.to_owned();
    let parameter = |name: &str| delivery.parameters.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let parts = Parts {
        message: text,
        subject: parameter("Subject"),
        structure: parameter("MessageStructure"),
        attributes: attributes(delivery.attributes.clone()),
        group_id: delivery.group_id.clone(),
        deduplication_id: delivery.deduplication_id.clone(),
    };
    let (message, _) = message::checked(parts)?;
    let publisher = Publisher {
        place: &place,
        caller: None,
        principal: &delivery.source.principal,
        cause: delivery.cause.child(&delivery.id),
        now,
        delivery: Some(&delivery.id),
    };
    sns.publish(&publisher, message).await.map(drop)
}

/// Asks the topic's policy, where policies are enforced.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html>
async fn check_access(sns: &Sns, delivery: &Delivery, place: &Place) -> Result<()> {
    if sns.host.config().auth != AuthMode::Enforced {
        return Ok(());
    }
    let known = sns.store.read(|snapshot| topic(snapshot, place)).await?;
    let now = sns.host.clocks().lane(place.world.lane.as_str()).now();
    let to = Destination {
        arn: &place.arn().to_string(),
        account: &place.world.account,
        region: &place.region,
        policy: Some(&known.policy),
        action: "sns:Publish",
    };
    sns.host.check_delivery(&delivery.source, &to, now).map_err(Error::Authorization)
}

fn attributes(given: impl IntoIterator<Item = (String, Attribute)>) -> IndexMap<String, AttributeValue> {
    let converted = given.into_iter().map(|(name, attribute)| {
        let (data_type, string, binary) = attribute.into_members();
        (name, AttributeValue { data_type, string, binary })
    });
    converted.collect()
}
