//! The path of a message: its topic and the subscriptions that want it are read, what is signed is signed outside of any
//! transaction, and one transaction holds all that is sent. A topic that nobody listens to costs no transaction at all.

use std::sync::Arc;
use std::time::Duration;

use fractus_bus::contracts::Cause;
use fractus_clock::Timestamp;
use fractus_host::{Context, taken};
use fractus_store::Transaction;

use crate::error::{Error, Result};
use crate::model::message::{check_for_topic, sequence_number};
use crate::model::{protection, topic};
use crate::sending::{Put, Sending, Signatures};
use crate::service::{Sns, topic as read_topic};
use crate::store::{
    ARCHIVE, Accepted, DEDUPLICATION, FANOUTS, Fanout, Message, Place, SEQUENCES, Subscription, Topic, lane_scope,
};

/// How long a deduplication id is remembered.
/// <https://docs.aws.amazon.com/sns/latest/dg/fifo-message-dedup.html>
pub const REMEMBERED: Duration = Duration::from_secs(300);
/// How long a publisher's data key serves for a topic.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html>
const DATA_KEY_LASTS: Duration = Duration::from_secs(300);
/// What a topic's data keys are bound to.
const CONTEXT_ARN: &str = "aws:sns:topicArn";
/// Subscriptions that the publishing transaction serves itself; more are served in parts of this size, one after the other.
pub const AT_ONCE: usize = 250;

/// Who publishes where.
pub struct Publisher<'a> {
    pub place: &'a Place,
    /// Whoever calls; none for a delivery from another service, for which the topic's account asks KMS.
    pub caller: Option<&'a Context>,
    /// The principal, as data protection policies name it.
    pub principal: &'a str,
    pub cause: Cause,
    pub now: Timestamp,
    /// The delivery that the message came with.
    pub delivery: Option<&'a str>,
}

impl<'a> Publisher<'a> {
    /// Whoever calls.
    pub fn of_caller(cx: &'a Context, place: &'a Place) -> Self {
        Publisher {
            place,
            caller: Some(cx),
            principal: &cx.caller.arn,
            cause: cx.cause(),
            now: cx.now(),
            delivery: None,
        }
    }
}

/// What the publisher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub message_id: String,
    pub sequence_number: Option<String>,
}

/// A message and those who get it in this form.
struct Group {
    message: Message,
    subscriptions: Vec<Arc<Subscription>>,
    signatures: Signatures,
}

impl Sns {
    /// Publishes a message that was checked as far as that needs no topic.
    pub async fn publish(&self, publisher: &Publisher<'_>, mut message: Message) -> Result<Published> {
        let (place, scope) = (publisher.place, publisher.place.scope());
        message.id = self.host.random().uuid();
        message.published_at = publisher.now.to_millis_precision();
        let (topic, subscriptions) = self
            .store
            .read(|snapshot| {
                let topic = read_topic(snapshot, place)?;
                check_for_topic(&mut message, &topic)?;
                Ok::<_, Error>((topic.clone(), self.routes.matching(snapshot, &scope, &topic, &message)?))
            })
            .await?;
        self.judge_key(publisher, &topic).await?;
        let mut groups = vec![Group { message, subscriptions, signatures: Signatures::new() }];
        if let Some(policy) = &topic.data_protection {
            self.protect(publisher, &topic, policy, &mut groups).await?;
        }
        let published = |message: &Message| Published {
            message_id: message.id.clone(),
            sequence_number: message.sequence_number.clone(),
        };
        if !topic.fifo && groups.iter().all(|group| group.subscriptions.is_empty()) {
            return groups.first().map(|group| published(&group.message)).ok_or_else(|| Error::Internal(String::new()));
        }
        let topic_arn = place.arn().to_string();
        for group in &mut groups {
            group.signatures = self.signatures(&topic, &topic_arn, &group.message, &group.subscriptions).await?;
        }
        let (put, told) = self
            .store
            .write(|tx| {
                if let Some(delivery) = publisher.delivery
                    && !taken::take(tx, delivery)?
                {
                    return Ok((Put::default(), groups.first().map(|group| published(&group.message))));
                }
                if topic.fifo {
                    let messages = groups.iter_mut().map(|group| &mut group.message);
                    if let Some(before) = accept(tx, publisher, &topic, messages)? {
                        let Accepted { message_id, sequence_number } = before;
                        return Ok((
                            Put::default(),
                            Some(Published { message_id, sequence_number: Some(sequence_number) }),
                        ));
                    }
                }
                let mut put = Put::default();
                for group in &groups {
                    self.put_group(tx, publisher, &topic, &topic_arn, group, &mut put)?;
                }
                Ok::<_, Error>((put, groups.first().map(|group| published(&group.message))))
            })
            .await?;
        put.go(self, &place.world.lane);
        told.ok_or_else(|| Error::Internal("a message without a group".to_owned()))
    }

    /// Whether KMS gives the publisher a data key for a topic that is kept under one.
    ///
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-server-side-encryption.html>
    pub async fn judge_key(&self, publisher: &Publisher<'_>, topic: &Topic) -> Result<()> {
        let Some(key) = topic.attribute("KmsMasterKeyId") else { return Ok(()) };
        let place = publisher.place;
        let asker = match publisher.caller {
            Some(cx) => self.keys.of_caller(cx),
            None => self.keys.of_account(&place.world, &place.region, publisher.now),
        };
        let context = [(CONTEXT_ARN.to_owned(), place.arn().to_string())].into();
        asker.key_for(key, &context, DATA_KEY_LASTS).await.map(drop).map_err(Error::kms)
    }

    /// Puts what a group of subscriptions gets: at once, or in parts where they are many.
    fn put_group(
        &self,
        tx: &mut Transaction<'_>,
        publisher: &Publisher<'_>,
        topic: &Topic,
        topic_arn: &str,
        group: &Group,
        put: &mut Put,
    ) -> Result<()> {
        let place = publisher.place;
        if group.subscriptions.len() > AT_ONCE {
            let publish = self.host.random().u64();
            for (number, part) in group.subscriptions.chunks(AT_ONCE).enumerate() {
                let fanout = Fanout {
                    place: place.clone(),
                    topic_id: topic.id,
                    message: group.message.clone(),
                    subscriptions: part.iter().map(|one| one.id.clone()).collect(),
                };
                tx.put(&FANOUTS, &lane_scope(&place.world.lane), &(publish, number as u64), &fanout)?;
            }
            put.fanouts = true;
            return Ok(());
        }
        let sending = Sending {
            place,
            topic,
            topic_arn: topic_arn.to_owned(),
            message: &group.message,
            signatures: &group.signatures,
            cause: &publisher.cause,
            now: publisher.now,
            replay: None,
        };
        group.subscriptions.iter().try_for_each(|one| sending.put(self, tx, one, put))
    }

    /// Applies the topic's data protection policy: to the message as it comes in, and to what goes out to each subscriber.
    async fn protect(
        &self,
        publisher: &Publisher<'_>,
        topic: &Topic,
        policy: &str,
        groups: &mut Vec<Group>,
    ) -> Result<()> {
        let policy = protection::Policy::parse(policy).map_err(Error::Internal)?;
        let Some(Group { mut message, subscriptions, .. }) = groups.pop() else { return Ok(()) };
        let audits = policy.audit(publisher.principal, &message, self.host.random());
        policy.inbound(publisher.principal, &mut message)?;
        if let Some(audit) = audits {
            self.send_findings(publisher, topic, &audit).await?;
        }
        if !policy.has_outbound() {
            groups.push(Group { message, subscriptions, signatures: Signatures::new() });
            return Ok(());
        }
        // Subscribers whose message comes out the same share it.
        groups.push(Group { message: message.clone(), subscriptions: Vec::new(), signatures: Signatures::new() });
        for one in subscriptions {
            let Some(outgoing) = policy.outbound(&one.principal, &message) else { continue };
            match groups.iter_mut().find(|group| group.message == outgoing) {
                Some(group) => group.subscriptions.push(one),
                None => {
                    groups.push(Group { message: outgoing, subscriptions: vec![one], signatures: Signatures::new() })
                }
            }
        }
        Ok(())
    }

    /// Sends what an audit found to its destinations.
    async fn send_findings(&self, publisher: &Publisher<'_>, topic: &Topic, audit: &protection::Audit) -> Result<()> {
        let deliveries = audit.deliveries(publisher, topic, self.host.random());
        let handoffs = self
            .store
            .write(|tx| {
                deliveries.iter().map(|delivery| Ok(self.outbox.put(tx, delivery)?)).collect::<Result<Vec<_>>>()
            })
            .await?;
        drop(handoffs);
        Ok(())
    }
}

/// Gives a FIFO topic's message its number, remembers and archives it; or tells what was accepted before with the same
/// deduplication id.
fn accept<'m>(
    tx: &mut Transaction<'_>,
    publisher: &Publisher<'_>,
    topic: &Topic,
    messages: impl Iterator<Item = &'m mut Message>,
) -> Result<Option<Accepted>> {
    let scope = publisher.place.scope();
    let mut number = None;
    for message in messages {
        let number = match number {
            Some(number) => number,
            None => {
                let group = match topic.attribute("FifoThroughputScope") {
                    Some("MessageGroup") => message.group_id.clone().unwrap_or_default(),
                    _ => String::new(),
                };
                let key = (topic.id, group, message.deduplication_id.clone().unwrap_or_default());
                if let Some(before) = tx.get(&DEDUPLICATION, &scope, &key)? {
                    return Ok(Some(before));
                }
                let next = tx.get(&SEQUENCES, &scope, &(topic.id,))?.unwrap_or(0) + 1;
                tx.put(&SEQUENCES, &scope, &(topic.id,), &next)?;
                number = Some(next);
                message.sequence_number = Some(sequence_number(next));
                let accepted = Accepted { message_id: message.id.clone(), sequence_number: sequence_number(next) };
                tx.put_until(&DEDUPLICATION, &scope, &key, &accepted, publisher.now.plus(REMEMBERED))?;
                if let Some(period) = topic::archive_period(topic) {
                    let key = (topic.id, message.published_at, next);
                    tx.put_until(&ARCHIVE, &scope, &key, message, publisher.now.plus(period))?;
                }
                next
            }
        };
        message.sequence_number = Some(sequence_number(number));
    }
    Ok(None)
}
