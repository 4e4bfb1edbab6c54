//! How a subscription begins and ends: Subscribe, confirmations, the links in messages.
//!
//! <https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html>,
//! <https://docs.aws.amazon.com/sns/latest/api/API_Unsubscribe.html>

use std::time::Duration;

use fractus_aws::{AccountId, Arn};
use fractus_bus::outbox::Handoff;
use fractus_clock::Timestamp;
use fractus_host::{CallerKind, Context};
use fractus_sns_api as api;
use fractus_store::{Scope, Transaction};

use crate::error::{Error, Result};
use crate::links;
use crate::model::delivery_policy::{self, TopicPolicy};
use crate::model::envelope::{Confirmation, ConfirmationMessage};
use crate::model::{names, subscription as rules};
use crate::operations::endpoints;
use crate::quotas;
use crate::sending::{self, confirmation_delivery, put_job, request_headers};
use crate::service::{Sns, put_topic, subscription, topic, topic_to_change};
use crate::store::{
    Attributes, BY_ENDPOINT, CHANGES, ENDED, HttpRequest, Mail, OWNED, Outgoing, PENDING, Place, REPLAYS, Replay,
    SEQUENCES, SUBSCRIPTIONS, Subscription, TOKENS, Topic, lane_scope,
};

/// A token confirms for so long; then the subscription that waits is gone.
const CONFIRMABLE: Duration = Duration::from_secs(2 * 86_400);
/// Lines of changes are kept so long for processes to catch up by.
const CHANGES_KEPT: Duration = Duration::from_secs(3_600);

/// Subscribe: an endpoint that is subscribed already with the same attributes is answered again.
pub async fn subscribe(sns: &Sns, cx: &Context, input: api::SubscribeInput) -> Result<api::SubscribeOutput> {
    let place = names::place_of(cx, "TopicArn", &input.topic_arn)?;
    let attributes: Attributes = input.attributes.unwrap_or_default().into_iter().collect();
    let made = Subscription {
        id: cx.random().uuid(),
        topic: place.name.clone(),
        endpoint: input.endpoint.clone().unwrap_or_default(),
        protocol: input.protocol,
        owner: cx.caller.account.clone(),
        principal: cx.caller.arn.clone(),
        attributes: attributes
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        pending: false,
        confirmed_by_signature: cx.caller.kind != CallerKind::Anonymous,
        authenticate_on_unsubscribe: false,
        token: new_token(cx),
        created_at: cx.now(),
        origin: links::origin(cx),
    };
    let known = sns.store.read(|snapshot| topic(snapshot, &place)).await?;
    check(&made, &attributes, input.endpoint.is_some(), &place, &known)?;
    if made.protocol == "application" {
        endpoints::check_exists(sns, cx, &made.endpoint).await?;
    }
    let made = normal(made, cx);
    if !known.fifo && !made.is_raw() && !matches!(made.protocol.as_str(), "sms" | "application") {
        sns.signers.prepare();
    }
    let confirmation = sns.confirmation(&known, &place, &made, Confirmation::Subscribe, cx.now()).await?;
    let (pending, id, handoff) =
        sns.store.write(|tx| begin(sns, tx, &place, &made, &attributes, &confirmation, cx.now())).await?;
    drop(handoff);
    if let Some(wakers) = sns.wakers.get() {
        wakers.jobs.wake_in(&place.world.lane);
        wakers.replays.wake_in(&place.world.lane);
    }
    let arn = if pending && !input.return_subscription_arn.unwrap_or(false) {
        "pending confirmation".to_owned()
    } else {
        place.subscription_arn(&id)
    };
    Ok(api::SubscribeOutput { subscription_arn: Some(arn) })
}

/// 224 hexadecimal digits that begin as AWS's do.
fn new_token(cx: &Context) -> String {
    format!("2336412f37{}", hex::encode(cx.random().bytes::<107>()))
}

fn check(made: &Subscription, given: &Attributes, has_endpoint: bool, place: &Place, topic: &Topic) -> Result<()> {
    if !names::PROTOCOLS.contains(&made.protocol.as_str()) || has_endpoint {
        names::check_endpoint(&made.protocol, &made.endpoint, topic.fifo)?;
    } else {
        return Err(Error::invalid("Endpoint"));
    }
    let reason = |reason: String| Error::invalid_because("Attributes", reason);
    for (name, value) in given {
        if !rules::SETTABLE.contains(&name.as_str()) {
            return Err(reason(format!("Unknown attribute: {name}")));
        }
        rules::check_attribute(name, value, &made.protocol, place, topic).map_err(reason)?;
    }
    rules::filter(&made.attributes).map_err(reason)?;
    if made.protocol == "firehose" && !given.contains_key("SubscriptionRoleArn") {
        return Err(reason("Delivery protocol [firehose] must specify a SubscriptionRoleArn attribute.".to_owned()));
    }
    Ok(())
}

/// Whether it waits for a confirmation: unless the caller is the owner of what is subscribed.
fn normal(mut made: Subscription, cx: &Context) -> Subscription {
    made.pending = match made.protocol.as_str() {
        "http" | "https" | "email" | "email-json" => true,
        "sqs" | "lambda" | "firehose" => {
            let owner = made.endpoint.parse::<Arn>().map(|arn| arn.account).unwrap_or_default();
            owner != cx.caller.account.as_str()
        }
        _ => false,
    };
    made.confirmed_by_signature &= !made.pending;
    if made.protocol == "sms" {
        made.endpoint = names::plain_number(&made.endpoint);
    }
    made
}

/// Begins a subscription, or finds the one of the same endpoint: whether it is pending, its id, and what goes out.
fn begin(
    sns: &Sns,
    tx: &mut Transaction<'_>,
    place: &Place,
    made: &Subscription,
    given: &Attributes,
    confirmation: &Prepared,
    now: Timestamp,
) -> Result<(bool, String, Option<Handoff>)> {
    let topic = topic_to_change(tx, place)?;
    let scope = place.scope();
    let by_endpoint = (topic.id, made.protocol.clone(), names::digest(&made.endpoint));
    let known = match tx.get(&BY_ENDPOINT, &scope, &by_endpoint)? {
        Some(id) => tx.get(&SUBSCRIPTIONS, &scope, &(topic.id, id.as_str()))?,
        None => None,
    };
    if let Some(known) = known {
        if rules::differs(&known, given) {
            return Err(Error::invalid_because("Attributes", "Subscription already exists with different attributes"));
        }
        if !known.pending {
            return Ok((false, known.id, None));
        }
        // It is asked again; the older request to confirm holds as well.
        let again = Subscription { id: known.id.clone(), created_at: known.created_at, ..made.clone() };
        put_pending(tx, place, &topic, &again, now)?;
        let handoff = confirmation.put(sns, tx, place, &again, now)?;
        return Ok((true, known.id, handoff));
    }
    quotas::check_subscription(&sns.config, &topic)?;
    if quotas::has_filter(made) {
        quotas::check_filter(tx, &scope, &sns.config, &topic)?;
    }
    if made.pending {
        put_pending(tx, place, &topic, made, now)?;
        let handoff = confirmation.put(sns, tx, place, made, now)?;
        return Ok((true, made.id.clone(), handoff));
    }
    put_confirmed(tx, place, made, now)?;
    start_replay(tx, place, &topic, made, now)?;
    Ok((false, made.id.clone(), None))
}

fn put_pending(
    tx: &mut Transaction<'_>,
    place: &Place,
    topic: &Topic,
    one: &Subscription,
    now: Timestamp,
) -> Result<()> {
    let (scope, until) = (place.scope(), now.plus(CONFIRMABLE));
    let id = one.id.as_str();
    tx.put_until(&SUBSCRIPTIONS, &scope, &(topic.id, id), one, until)?;
    let by_endpoint = (topic.id, one.protocol.clone(), names::digest(&one.endpoint));
    tx.put_until(&BY_ENDPOINT, &scope, &by_endpoint, &one.id, until)?;
    tx.put_until(&PENDING, &scope, &(topic.id, id), &(), until)?;
    tx.put_until(&OWNED, &owner_scope(place, one), &owned_key(place, one), &(), until)?;
    Ok(tx.put_until(&TOKENS, &scope, &(one.token.as_str(),), &(place.name.clone(), one.id.clone()), until)?)
}

fn owner_scope(place: &Place, one: &Subscription) -> Scope {
    Scope::regional(&place.world.with_account(one.owner.clone()), &place.region)
}

fn owned_key(place: &Place, one: &Subscription) -> (String, String, String) {
    (place.world.account.to_string(), place.name.clone(), one.id.clone())
}

/// Puts a subscription in force.
fn put_confirmed(tx: &mut Transaction<'_>, place: &Place, one: &Subscription, now: Timestamp) -> Result<()> {
    let scope = place.scope();
    let mut topic = topic_to_change(tx, place)?;
    topic.confirmed += 1;
    quotas::filter_changes(tx, &scope, &mut topic, false, quotas::has_filter(one))?;
    let by_endpoint = (topic.id, one.protocol.clone(), names::digest(&one.endpoint));
    tx.put(&BY_ENDPOINT, &scope, &by_endpoint, &one.id)?;
    tx.put(&OWNED, &owner_scope(place, one), &owned_key(place, one), &())?;
    tx.delete(&PENDING, &scope, &(topic.id, one.id.as_str()))?;
    tx.put(&SUBSCRIPTIONS, &scope, &(topic.id, one.id.as_str()), one)?;
    changed(tx, place, &mut topic, &one.id, now)
}

/// Puts a subscription whose attributes were changed.
pub fn put_changed(tx: &mut Transaction<'_>, place: &Place, one: &Subscription, now: Timestamp) -> Result<()> {
    let (mut topic, scope) = (topic_to_change(tx, place)?, place.scope());
    if one.pending {
        return put_pending(tx, place, &topic, one, one.created_at);
    }
    let key = (topic.id, one.id.as_str());
    let had = tx.get(&SUBSCRIPTIONS, &scope, &key)?.is_some_and(|before| quotas::has_filter(&before));
    quotas::filter_changes(tx, &scope, &mut topic, had, quotas::has_filter(one))?;
    tx.put(&SUBSCRIPTIONS, &scope, &key, one)?;
    changed(tx, place, &mut topic, &one.id, now)
}

/// Tells publishers that a subscription changed.
fn changed(tx: &mut Transaction<'_>, place: &Place, topic: &mut Topic, id: &str, now: Timestamp) -> Result<()> {
    topic.revision += 1;
    let line = (topic.id, topic.revision);
    tx.put_until(&CHANGES, &place.scope(), &line, &id.to_owned(), now.plus(CHANGES_KEPT))?;
    put_topic(tx, place, topic)
}

/// Confirms the subscription of a token: its ARN. One that is confirmed already is confirmed again.
pub async fn confirm_token(
    sns: &Sns,
    place: &Place,
    token: &str,
    signed: bool,
    authenticate: bool,
    now: Timestamp,
) -> Result<String> {
    let scope = place.scope();
    sns.store
        .write(|tx| {
            let topic = topic(tx, place)?;
            let wrong = || Error::invalid("Token");
            if let Some(mut ended) = tx.take(&ENDED, &scope, &(token,))? {
                if ended.topic != place.name {
                    return Err(wrong());
                }
                ended.pending = false;
                put_confirmed(tx, place, &ended, now)?;
                return Ok(place.subscription_arn(&ended.id));
            }
            let (name, id) = tx.get(&TOKENS, &scope, &(token,))?.ok_or_else(wrong)?;
            if name != place.name {
                return Err(wrong());
            }
            let mut one = tx.get(&SUBSCRIPTIONS, &scope, &(topic.id, id.as_str()))?.ok_or_else(wrong)?;
            if one.pending {
                one.pending = false;
                one.confirmed_by_signature = signed;
                one.authenticate_on_unsubscribe = authenticate && signed;
                put_confirmed(tx, place, &one, now)?;
                start_replay(tx, place, &topic, &one, now)?;
            }
            Ok(place.subscription_arn(&id))
        })
        .await
}

/// Ends a subscription; one that is not there has ended. `caller`: whose account has signed, none for a link.
pub async fn end(sns: &Sns, place: &Place, id: &str, caller: Option<&AccountId>, now: Timestamp) -> Result<()> {
    let found = sns.store.read(|snapshot| subscription(snapshot, place, id)).await;
    let (topic, one) = match found {
        Err(Error::NotFound(_)) => return Ok(()),
        found => found?,
    };
    let is_owner = caller.is_some_and(|caller| *caller == one.owner || *caller == place.world.account);
    if one.authenticate_on_unsubscribe && !is_owner {
        return Err(Error::Authorization(
            "Only the owner of the topic or the subscription may end a subscription that asks for it".to_owned(),
        ));
    }
    // Who did not mean it can go back.
    let farewell = if is_owner || one.pending {
        None
    } else {
        Some(sns.confirmation(&topic, place, &one, Confirmation::Unsubscribe, now).await?)
    };
    let handoff = sns.store.write(|tx| end_in(sns, tx, place, id, farewell.as_ref(), now)).await?;
    drop(handoff);
    if let Some(wakers) = sns.wakers.get() {
        wakers.jobs.wake_in(&place.world.lane);
    }
    Ok(())
}

fn end_in(
    sns: &Sns,
    tx: &mut Transaction<'_>,
    place: &Place,
    id: &str,
    farewell: Option<&Prepared>,
    now: Timestamp,
) -> Result<Option<Handoff>> {
    let scope = place.scope();
    let mut topic = topic_to_change(tx, place)?;
    let Some(one) = tx.take(&SUBSCRIPTIONS, &scope, &(topic.id, id))? else { return Ok(None) };
    tx.delete(&BY_ENDPOINT, &scope, &(topic.id, one.protocol.as_str(), names::digest(&one.endpoint).as_str()))?;
    tx.delete(&OWNED, &owner_scope(place, &one), &owned_key(place, &one))?;
    tx.delete(&PENDING, &scope, &(topic.id, id))?;
    tx.delete(&TOKENS, &scope, &(one.token.as_str(),))?;
    tx.delete(&REPLAYS, &lane_scope(&place.world.lane), &(id,))?;
    if one.pending {
        return Ok(None);
    }
    topic.confirmed = topic.confirmed.saturating_sub(1);
    topic.deleted += 1;
    quotas::filter_changes(tx, &scope, &mut topic, quotas::has_filter(&one), false)?;
    changed(tx, place, &mut topic, id, now)?;
    let Some(farewell) = farewell else { return Ok(None) };
    tx.put_until(&ENDED, &scope, &(one.token.as_str(),), &one, now.plus(CONFIRMABLE))?;
    farewell.put(sns, tx, place, &one, now)
}

/// Begins the replay that a subscription's policy asks for, or ends the one under way.
pub fn start_replay(
    tx: &mut Transaction<'_>,
    place: &Place,
    topic: &Topic,
    one: &Subscription,
    now: Timestamp,
) -> Result<()> {
    let scope = lane_scope(&place.world.lane);
    let policy = one.attribute("ReplayPolicy").unwrap_or("{}");
    match rules::replay_window(policy).map_err(Error::invalid)? {
        Some(window) if !one.pending => {
            // What was archived before the archive was last begun is out of reach.
            let start = topic.archived_since.map_or(window.start, |since| window.start.max(since));
            let replay = Replay {
                place: place.clone(),
                topic_id: topic.id,
                subscription: one.id.clone(),
                // Before every message of that moment.
                after: (start, 0),
                end: window.end.unwrap_or(Timestamp::MAX),
                // What comes from now on is sent as it comes.
                last: tx.get(&SEQUENCES, &place.scope(), &(topic.id,))?.unwrap_or(0),
                policy: format!("{:x}", now.micros()),
            };
            Ok(tx.put(&REPLAYS, &scope, &(one.id.as_str(),), &replay)?)
        }
        _ => Ok(tx.delete(&REPLAYS, &scope, &(one.id.as_str(),))?),
    }
}

/// A confirmation, signed and ready to be put into a transaction.
pub struct Prepared {
    message_id: String,
    what: PreparedForm,
}

enum PreparedForm {
    /// Nobody is to be asked.
    Nothing,
    Request(HttpRequest),
    Mail(Mail),
    /// To a queue of another account.
    Queue(String),
}

impl Sns {
    /// Makes the message that asks an endpoint to confirm, or tells it that it was unsubscribed.
    pub async fn confirmation(
        &self,
        topic: &Topic,
        place: &Place,
        one: &Subscription,
        what: Confirmation,
        now: Timestamp,
    ) -> Result<Prepared> {
        let message_id = self.host.random().uuid();
        if what == Confirmation::Subscribe && !one.pending {
            return Ok(Prepared { message_id, what: PreparedForm::Nothing });
        }
        let (topic_arn, subscription_arn) = (place.arn().to_string(), place.subscription_arn(&one.id));
        let message = ConfirmationMessage {
            what,
            id: &message_id,
            topic_arn: &topic_arn,
            subscription_arn: &subscription_arn,
            subscription: one,
            timestamp: now.date_time_millis(),
        };
        let json = async || {
            let signature = self.signer().await?.sign(topic.attribute("SignatureVersion"), &message.to_sign())?;
            Ok::<_, Error>(message.json(&signature))
        };
        let form = match one.protocol.as_str() {
            "http" | "https" => {
                let policy = topic.attribute("DeliveryPolicy").and_then(|text| TopicPolicy::parse(text).ok());
                let effective = policy.unwrap_or_default().for_subscription(one.attribute("DeliveryPolicy"));
                let content_type = delivery_policy::DEFAULT_CONTENT_TYPE;
                let mut headers = request_headers(what.kind(), &message_id, &topic_arn, content_type);
                if what == Confirmation::Unsubscribe {
                    headers.push(("x-amz-sns-subscription-arn".to_owned(), subscription_arn.clone()));
                }
                PreparedForm::Request(HttpRequest {
                    url: one.endpoint.clone(),
                    headers,
                    body: json().await?,
                    message_id: message_id.clone(),
                    is_confirmation: true,
                    retry: serde_json::to_string(&effective.retry).unwrap_or_default(),
                    max_per_second: None,
                    dead_letter: None,
                    attributes: Default::default(),
                    md5: None,
                })
            }
            "email" | "email-json" if what == Confirmation::Subscribe => PreparedForm::Mail(Mail {
                to: one.endpoint.clone(),
                subject: "AWS Notification - Subscription Confirmation".to_owned(),
                body: if one.protocol == "email" { message.mail_body() } else { json().await? },
                message_id: message_id.clone(),
                sender_name: topic.attribute("DisplayName").unwrap_or("AWS Notifications").to_owned(),
                is_json: one.protocol == "email-json",
                dead_letter: None,
            }),
            "sqs" if what == Confirmation::Subscribe => PreparedForm::Queue(json().await?),
            _ => PreparedForm::Nothing,
        };
        Ok(Prepared { message_id, what: form })
    }
}

impl Prepared {
    fn put(
        &self,
        sns: &Sns,
        tx: &mut Transaction<'_>,
        place: &Place,
        to: &Subscription,
        now: Timestamp,
    ) -> Result<Option<Handoff>> {
        match &self.what {
            PreparedForm::Nothing => Ok(None),
            PreparedForm::Request(request) => {
                put_job(tx, place, &to.id, &self.message_id, Outgoing::Request(request.clone()), now)?;
                Ok(None)
            }
            PreparedForm::Mail(mail) => {
                sending::send_mail(sns, tx, place, to, mail.clone(), now)?;
                Ok(None)
            }
            PreparedForm::Queue(body) => match confirmation_delivery(place, to, &self.message_id, body.clone(), now) {
                Some(delivery) => Ok(Some(sns.outbox.put(tx, &delivery)?)),
                None => Ok(None),
            },
        }
    }
}
