//! What each subscription gets of a message, put into the publishing transaction: a delivery for queues, functions and
//! streams, a job for HTTP endpoints and mail, an entry of the ledger for people and devices.

use std::collections::HashMap;
use std::sync::Arc;

use fractus_aws::{Arn, Lane};
use fractus_bus::BusState;
use fractus_bus::contracts::{Attribute, Body, Cause, DeadLetter, Delivery, Pace, RetryPolicy, Returns, Source};
use fractus_bus::outbox::Handoff;
use fractus_clock::Timestamp;
use fractus_store::Transaction;
use serde_json::json;

use crate::error::Result;
use crate::ledger;
use crate::model::delivery_policy::TopicPolicy;
use crate::model::envelope::{self, Notification};
use crate::model::signing::Signature;
use crate::model::{names, subscription};
use crate::operations::{endpoints, sms};
use crate::service::Sns;
use crate::status_logs::{Note, Wish};
use crate::store::{
    AttributeValue, HttpRequest, JOBS, Job, Mail, Message, Outgoing, Place, Sent, Subscription, Topic, lane_scope,
};

/// How deliveries to AWS's own services are tried: 100,015 attempts over 23 days.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
const RETRY: RetryPolicy = RetryPolicy { maximum_retries: 100_014, maximum_age_secs: 24 * 86_400, pace: Pace::Phases };
const PRINCIPAL: &str = "sns.amazonaws.com";
const USER_AGENT: &str = "Amazon Simple Notification Service Agent";

/// Signatures by the protocol that has a text of its own; the default text's under the empty name.
pub type Signatures = HashMap<String, Signature>;

/// A message on its way from a topic.
pub struct Sending<'a> {
    pub place: &'a Place,
    pub topic: &'a Topic,
    pub topic_arn: String,
    pub message: &'a Message,
    pub signatures: &'a Signatures,
    pub cause: &'a Cause,
    pub now: Timestamp,
    /// The replay that it is sent for, which makes it another delivery than the first one.
    pub replay: Option<&'a str>,
}

/// What has been put into the transaction; drop it after the end.
#[derive(Default)]
pub struct Put {
    pub handoffs: Vec<Handoff>,
    pub jobs: bool,
    /// Parts of a large publish wait to be sent.
    pub fanouts: bool,
}

impl Put {
    /// Lets deliveries go and wakes who sends the rest.
    pub fn go(self, sns: &Sns, lane: &Lane) {
        if let Some(wakers) = sns.wakers.get() {
            for waker in [(self.jobs, &wakers.jobs), (self.fanouts, &wakers.fanouts)] {
                if waker.0 {
                    waker.1.wake_in(lane);
                }
            }
        }
        drop(self.handoffs);
    }
}

impl Sns {
    /// Makes the signatures that subscriptions need: one for each text that some envelope has.
    pub async fn signatures(
        &self,
        topic: &Topic,
        topic_arn: &str,
        message: &Message,
        subscriptions: &[Arc<Subscription>],
    ) -> Result<Signatures> {
        let mut signatures = Signatures::new();
        // FIFO topics sign nothing.
        if topic.fifo {
            return Ok(signatures);
        }
        for one in subscriptions {
            let enveloped = !one.is_raw() && !matches!(one.protocol.as_str(), "sms" | "application" | "email");
            if !enveloped || !self.is_sent(&one.protocol) {
                continue;
            }
            let key = text_key(message, &one.protocol);
            if !signatures.contains_key(key) {
                let signer = self.signer().await?;
                let text = envelope::notification_to_sign(message, message.text_for(&one.protocol), topic_arn);
                signatures.insert(key.to_owned(), signer.sign(topic.attribute("SignatureVersion"), &text)?);
            }
        }
        Ok(signatures)
    }

    /// Whether deliveries of this protocol go anywhere: without a bus those to other services do not.
    fn is_sent(&self, protocol: &str) -> bool {
        !matches!(protocol, "sqs" | "lambda" | "firehose") || *self.host.bus().state().borrow() != BusState::Off
    }
}

fn text_key<'m>(message: &'m Message, protocol: &'m str) -> &'m str {
    if message.texts.contains_key(protocol) { protocol } else { "" }
}

impl Sending<'_> {
    /// Puts what one subscription gets into the transaction.
    pub fn put(&self, sns: &Sns, tx: &mut Transaction<'_>, to: &Subscription, put: &mut Put) -> Result<()> {
        if !sns.is_sent(&to.protocol) {
            warn_of_no_bus();
            return Ok(());
        }
        let subscription_arn = self.place.subscription_arn(&to.id);
        let notification = Notification {
            message: self.message,
            text: self.message.text_for(&to.protocol),
            topic_arn: &self.topic_arn,
            subscription: to,
            subscription_arn: &subscription_arn,
            signature: self.signatures.get(text_key(self.message, &to.protocol)),
            replayed: self.replay.is_some(),
        };
        match to.protocol.as_str() {
            "sqs" | "lambda" | "firehose" => {
                if let Some(delivery) = self.delivery(sns, to, &notification) {
                    put.handoffs.push(sns.outbox.put(tx, &delivery)?);
                }
            }
            "http" | "https" => {
                self.put_job(tx, to, Outgoing::Request(self.request(to, &notification)))?;
                put.jobs = true;
            }
            "email" | "email-json" => put.jobs |= self.put_mail(sns, tx, to, &notification)?,
            "sms" => sms::send(sns, tx, self, to)?,
            _ => put.handoffs.append(&mut endpoints::send(sns, tx, self, to)?),
        }
        Ok(())
    }

    /// The delivery to a queue, a function or a stream.
    fn delivery(&self, sns: &Sns, to: &Subscription, notification: &Notification<'_>) -> Option<Delivery> {
        // Endpoints are checked when they subscribe.
        let target: Arn = to.endpoint.parse().ok()?;
        let raw = to.is_raw();
        let body = match to.protocol.as_str() {
            "lambda" => notification.lambda_event(),
            "firehose" if raw => format!("{}\n", notification.text),
            "firehose" => format!("{}\n", notification.json()),
            _ if raw => notification.text.to_owned(),
            _ => notification.json(),
        };
        let id = match self.replay {
            Some(replay) => format!("{}/{}/{replay}", self.message.id, to.id),
            None => format!("{}/{}", self.message.id, to.id),
        };
        let source = Source {
            principal: PRINCIPAL.to_owned(),
            arn: Some(self.place.arn()),
            account: self.place.world.account.clone(),
            role: to.attribute("SubscriptionRoleArn").and_then(|role| role.parse().ok()),
        };
        let lane = self.place.world.lane.clone();
        let mut delivery = Delivery::new(id, lane, target, Body::text(body), source, self.now);
        delivery.retry = RETRY;
        delivery.returns = Some(self.returns(sns, to));
        delivery.cause = self.cause.clone();
        delivery.dead_letter = self.dead_letter(to);
        match to.protocol.as_str() {
            "lambda" => {
                delivery.action = "lambda:InvokeFunction".to_owned();
                delivery.parameters = json!({ "InvocationType": "Event" });
            }
            "firehose" => delivery.action = "firehose:PutRecord".to_owned(),
            _ => {
                delivery.action = "sqs:SendMessage".to_owned();
                if raw {
                    delivery.attributes = self.raw_attributes();
                }
                self.address_queue(&mut delivery);
            }
        }
        Some(delivery)
    }

    /// What failed comes back, to be tried again by the lane's clock; what arrived only where the topic wants a log of it.
    fn returns(&self, sns: &Sns, to: &Subscription) -> Returns {
        let wish = Wish::of(&self.topic.attributes, &to.protocol);
        let all = wish.success.is_some() && wish.is_sampled(sns.host.random());
        let note = if all || wish.failure.is_some() {
            Note::of(self.message, &to.protocol).to_json()
        } else {
            serde_json::Value::Null
        };
        Returns { all, note, ..Returns::failures("sns") }
    }

    /// Groups reach FIFO queues from FIFO topics, and standard queues from standard topics, for which they are tenants.
    fn address_queue(&self, delivery: &mut Delivery) {
        let fifo_queue = delivery.target.resource.ends_with(".fifo");
        if fifo_queue == self.topic.fifo {
            delivery.group_id = self.message.group_id.clone();
        }
        if fifo_queue {
            delivery.deduplication_id = self.message.deduplication_id.clone();
        }
    }

    fn raw_attributes(&self) -> std::collections::BTreeMap<String, Attribute> {
        let mut attributes: std::collections::BTreeMap<String, Attribute> =
            self.message.attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
        if self.replay.is_some() {
            attributes.insert("Replayed".to_owned(), Attribute::string("true"));
        }
        attributes
    }

    fn dead_letter(&self, to: &Subscription) -> Option<DeadLetter> {
        let target = dead_letter_queue(to, self.place, self.topic.fifo)?;
        Some(DeadLetter { target, service: "sqs".to_owned(), form: Default::default(), attributes: Default::default() })
    }

    fn request(&self, to: &Subscription, notification: &Notification<'_>) -> HttpRequest {
        let policy = self.topic.attribute("DeliveryPolicy").and_then(|text| TopicPolicy::parse(text).ok());
        let effective = policy.unwrap_or_default().for_subscription(to.attribute("DeliveryPolicy"));
        let mut headers = request_headers("Notification", &self.message.id, &self.topic_arn, &effective.content_type);
        headers.push(("x-amz-sns-subscription-arn".to_owned(), notification.subscription_arn.to_owned()));
        let raw = to.is_raw();
        if raw {
            headers.push(("x-amz-sns-rawdelivery".to_owned(), "true".to_owned()));
        }
        HttpRequest {
            url: to.endpoint.clone(),
            headers,
            body: if raw { notification.text.to_owned() } else { notification.json() },
            message_id: self.message.id.clone(),
            is_confirmation: false,
            retry: serde_json::to_string(&effective.retry).unwrap_or_default(),
            max_per_second: effective.max_receives_per_second,
            dead_letter: dead_letter_queue(to, self.place, self.topic.fifo).map(|arn| arn.to_string()),
            attributes: if raw { self.message.attributes.clone() } else { Default::default() },
            md5: Wish::of(&self.topic.attributes, &to.protocol)
                .is_any()
                .then(|| Note::of(self.message, &to.protocol).md5),
        }
    }

    fn put_mail(
        &self,
        sns: &Sns,
        tx: &mut Transaction<'_>,
        to: &Subscription,
        notification: &Notification<'_>,
    ) -> Result<bool> {
        let is_json = to.protocol == "email-json";
        let subject = self.message.subject.clone().unwrap_or_else(|| "AWS Notification Message".to_owned());
        let mail = Mail {
            to: to.endpoint.clone(),
            subject,
            body: if is_json { notification.json() } else { notification.mail_body() },
            message_id: self.message.id.clone(),
            sender_name: self.topic.attribute("DisplayName").unwrap_or("AWS Notifications").to_owned(),
            is_json,
            dead_letter: dead_letter_queue(to, self.place, self.topic.fifo).map(|arn| arn.to_string()),
        };
        send_mail(sns, tx, self.place, to, mail, self.now)
    }

    fn put_job(&self, tx: &mut Transaction<'_>, to: &Subscription, what: Outgoing) -> Result<()> {
        put_job(tx, self.place, &to.id, &self.message.id, what, self.now)
    }
}

/// Keeps a mail in the ledger, and where there is a relay has it sent; whether it is to be sent.
pub fn send_mail(
    sns: &Sns,
    tx: &mut Transaction<'_>,
    place: &Place,
    to: &Subscription,
    mail: Mail,
    now: Timestamp,
) -> Result<bool> {
    let sent = Sent {
        protocol: to.protocol.clone(),
        endpoint: mail.to.clone(),
        message_id: mail.message_id.clone(),
        topic_arn: Some(place.arn().to_string()),
        subject: Some(mail.subject.clone()),
        message: mail.body.clone(),
        attributes: Default::default(),
        sent_at: now,
    };
    ledger::put(tx, &place.world, &place.region, &sent)?;
    if sns.relay.is_none() {
        return Ok(false);
    }
    let message_id = mail.message_id.clone();
    put_job(tx, place, &to.id, &message_id, Outgoing::Mail(mail), now)?;
    Ok(true)
}

/// Has a request or a mail sent at once.
pub fn put_job(
    tx: &mut Transaction<'_>,
    place: &Place,
    subscription: &str,
    message_id: &str,
    what: Outgoing,
    now: Timestamp,
) -> Result<()> {
    let job = Job {
        place: place.clone(),
        subscription: subscription.to_owned(),
        what,
        retries: 0,
        has_turn: false,
        begun_at: now,
    };
    let key = (now, format!("{message_id}/{subscription}"));
    Ok(tx.put(&JOBS, &lane_scope(&place.world.lane), &key, &job)?)
}

/// The headers of every POST.
/// <https://docs.aws.amazon.com/sns/latest/dg/http-header.html>
pub fn request_headers(kind: &str, message_id: &str, topic_arn: &str, content_type: &str) -> Vec<(String, String)> {
    [
        ("x-amz-sns-message-type", kind),
        ("x-amz-sns-message-id", message_id),
        ("x-amz-sns-topic-arn", topic_arn),
        ("content-type", content_type),
        ("user-agent", USER_AGENT),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// The queue for what a subscription does not take.
pub fn dead_letter_queue(to: &Subscription, place: &Place, fifo: bool) -> Option<Arn> {
    to.attribute("RedrivePolicy").and_then(|policy| subscription::dead_letter_queue(policy, place, fifo).ok().flatten())
}

/// A delivery to a dead-letter queue from here, where the sending itself was ours.
pub fn dead_letter_delivery(job: &Job, queue: &str, now: Timestamp) -> Option<Delivery> {
    let target: Arn = queue.parse().ok()?;
    let (id, body, attributes) = match &job.what {
        Outgoing::Request(request) => (&request.message_id, &request.body, Some(&request.attributes)),
        Outgoing::Mail(mail) => (&mail.message_id, &mail.body, None),
    };
    let source = Source {
        principal: PRINCIPAL.to_owned(),
        arn: Some(job.place.arn()),
        account: job.place.world.account.clone(),
        role: None,
    };
    let id = format!("{id}/{}/dead", job.subscription);
    let mut delivery = Delivery::new(id, job.place.world.lane.clone(), target, Body::text(body.as_str()), source, now);
    delivery.retry = RETRY;
    delivery.attributes =
        attributes.into_iter().flatten().map(|(name, value)| (name.clone(), attribute(value))).collect();
    Some(delivery)
}

fn attribute(value: &AttributeValue) -> Attribute {
    Attribute::of_members(value.data_type.as_str(), value.string.as_deref(), value.binary.as_ref())
}

/// A confirmation to a queue of another account, which no signature of its owner has vouched for.
pub fn confirmation_delivery(
    place: &Place,
    to: &Subscription,
    message_id: &str,
    body: String,
    now: Timestamp,
) -> Option<Delivery> {
    let target: Arn = to.endpoint.parse().ok()?;
    let source = Source {
        principal: PRINCIPAL.to_owned(),
        arn: Some(place.arn()),
        account: place.world.account.clone(),
        role: None,
    };
    let id = format!("{message_id}/{}", to.id);
    let mut delivery = Delivery::new(id, place.world.lane.clone(), target, Body::text(body), source, now);
    delivery.retry = RETRY;
    delivery.returns = Some(Returns::failures("sns"));
    Some(delivery)
}

fn warn_of_no_bus() {
    static WARNED: std::sync::Once = std::sync::Once::new();
    WARNED.call_once(|| {
        tracing::warn!("no message bus is configured: subscriptions of queues, functions and streams get nothing");
    });
}

/// What is written into the ledger for a subscription of a number or a device.
pub fn sent_by_topic(sending: &Sending<'_>, to: &Subscription, endpoint: &str, message: &str) -> Sent {
    Sent {
        protocol: to.protocol.clone(),
        endpoint: if to.protocol == "sms" { names::plain_number(endpoint) } else { endpoint.to_owned() },
        message_id: sending.message.id.clone(),
        topic_arn: Some(sending.topic_arn.clone()),
        subject: sending.message.subject.clone(),
        message: message.to_owned(),
        attributes: text_attributes(sending.message),
        sent_at: sending.now,
    }
}

/// Attributes as plain texts, as the ledger shows them.
pub fn text_attributes(message: &Message) -> indexmap::IndexMap<String, String> {
    let text = |value: &AttributeValue| match (&value.string, &value.binary) {
        (Some(text), _) => text.clone(),
        (None, Some(bytes)) => hex::encode(bytes),
        (None, None) => String::new(),
    };
    message.attributes.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
