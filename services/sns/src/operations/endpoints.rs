//! Platform endpoints: devices, each by the token that its push service gave it.

use fractus_aws::Arn;
use fractus_bus::outbox::Handoff;
use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_sns_api as api;
use fractus_store::{Order, Range, Snapshot, Transaction};
use indexmap::IndexMap;
use md5::{Digest, Md5};

use crate::error::{Error, Result};
use crate::ledger;
use crate::model::message::{self, Parts};
use crate::model::{names, push};
use crate::operations::page;
use crate::operations::platform_applications::{missing as application_missing, scope};
use crate::publishing::Published;
use crate::sending::{Sending, sent_by_topic, text_attributes};
use crate::service::Sns;
use crate::status_logs::{Entry, Wish};
use crate::store::{APPLICATIONS, Attributes, BY_DEVICE, ENDPOINTS, Endpoint, Place, Sent, Subscription};

type Key = (String, String, String);

fn missing() -> Error {
    Error::NotFound("Endpoint does not exist".to_owned())
}

fn arn(cx: &Context, (platform, name, id): &Key) -> String {
    let resource = format!("endpoint/{platform}/{name}/{id}");
    Arn::new(cx.world.partition, "sns", cx.region.as_str(), cx.world.account.as_str(), resource).to_string()
}

/// CreatePlatformEndpoint: a token that is known with the same attributes gives its endpoint again.
pub async fn create(
    sns: &Sns,
    cx: &Context,
    input: api::CreatePlatformEndpointInput,
) -> Result<api::CreatePlatformEndpointOutput> {
    let (platform, name) = push::application_of(cx, "PlatformApplicationArn", &input.platform_application_arn)?;
    if input.token.is_empty() {
        return Err(Error::invalid("Token"));
    }
    let mut given: Attributes = input.attributes.unwrap_or_default().into_iter().collect();
    given.extend(input.custom_user_data.map(|data| ("CustomUserData".to_owned(), data)));
    push::check_endpoint_attributes(&given)?;
    given.insert("Token".to_owned(), input.token.clone());
    let mut made = Endpoint { id: cx.random().uuid(), attributes: given.clone(), created_at: cx.now() };
    made.attributes.entry("Enabled".to_owned()).or_insert_with(|| "true".to_owned());
    let scope = scope(cx);
    let device = (platform.clone(), name.clone(), names::digest(&input.token));
    let id = sns
        .store
        .write(|tx| {
            if !tx.contains(&APPLICATIONS, &scope, &(platform.as_str(), name.as_str()))? {
                return Err(application_missing());
            }
            if let Some(id) = tx.get(&BY_DEVICE, &scope, &device)? {
                let key = (platform.clone(), name.clone(), id);
                let known = tx.get(&ENDPOINTS, &scope, &key)?.ok_or_else(missing)?;
                let differs = |(attribute, value): (&String, &String)| {
                    known.attributes.get(attribute).map_or("", String::as_str) != value
                };
                if given.iter().any(differs) {
                    let reason = format!(
                        "Endpoint {} already exists with the same Token, but different attributes.",
                        arn(cx, &key)
                    );
                    return Err(Error::invalid_because("Token", reason));
                }
                return Ok(key.2);
            }
            let key = (platform.as_str(), name.as_str(), made.id.as_str());
            tx.put(&ENDPOINTS, &scope, &key, &made)?;
            tx.put(&BY_DEVICE, &scope, &device, &made.id)?;
            Ok(made.id.clone())
        })
        .await?;
    Ok(api::CreatePlatformEndpointOutput { endpoint_arn: Some(arn(cx, &(platform, name, id))) })
}

/// One that is not there is deleted already.
pub async fn delete(sns: &Sns, cx: &Context, input: api::DeleteEndpointInput) -> Result<api::DeleteEndpointOutput> {
    let key = push::endpoint_of(cx, "EndpointArn", &input.endpoint_arn)?;
    let scope = scope(cx);
    sns.store
        .write(|tx| {
            if let Some(known) = tx.take(&ENDPOINTS, &scope, &key)? {
                let token = known.attributes.get("Token").map_or("", String::as_str);
                tx.delete(&BY_DEVICE, &scope, &(key.0.as_str(), key.1.as_str(), names::digest(token).as_str()))?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    Ok(api::DeleteEndpointOutput::default())
}

fn shown(endpoint: &Endpoint) -> IndexMap<String, String> {
    endpoint.attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

pub async fn list(
    sns: &Sns,
    cx: &Context,
    input: api::ListEndpointsByPlatformApplicationInput,
) -> Result<api::ListEndpointsByPlatformApplicationOutput> {
    let (platform, name) = push::application_of(cx, "PlatformApplicationArn", &input.platform_application_arn)?;
    let after: Option<(String,)> = page::after(input.next_token.as_deref())?;
    let scope = scope(cx);
    let mut found: Vec<Endpoint> = sns
        .store
        .read(|snapshot| {
            let key = (platform.as_str(), name.as_str());
            if !snapshot.contains(&APPLICATIONS, &scope, &key)? {
                return Err(application_missing());
            }
            let range =
                after.iter().fold(Range::prefix(&key), |range, after| range.after(&(key.0, key.1, after.0.as_str())));
            let entries = snapshot.range(&ENDPOINTS, &scope, range, Order::Ascending)?;
            entries.take(page::SIZE + 1).map(|entry| Ok(entry?.1)).collect::<Result<_>>()
        })
        .await?;
    let next_token = page::cut(&mut found, page::SIZE, |one| (one.id.clone(),));
    let endpoints = found.iter().map(|one| api::Endpoint {
        endpoint_arn: Some(arn(cx, &(platform.clone(), name.clone(), one.id.clone()))),
        attributes: Some(shown(one)),
    });
    Ok(api::ListEndpointsByPlatformApplicationOutput { endpoints: Some(endpoints.collect()), next_token })
}

pub async fn attributes(
    sns: &Sns,
    cx: &Context,
    input: api::GetEndpointAttributesInput,
) -> Result<api::GetEndpointAttributesOutput> {
    let key = push::endpoint_of(cx, "EndpointArn", &input.endpoint_arn)?;
    let scope = scope(cx);
    let found = sns.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&ENDPOINTS, &scope, &key)?)).await?;
    Ok(api::GetEndpointAttributesOutput { attributes: Some(shown(&found.ok_or_else(missing)?)) })
}

pub async fn set_attributes(
    sns: &Sns,
    cx: &Context,
    input: api::SetEndpointAttributesInput,
) -> Result<api::SetEndpointAttributesOutput> {
    let key = push::endpoint_of(cx, "EndpointArn", &input.endpoint_arn)?;
    let given: Attributes = input.attributes.into_iter().collect();
    push::check_endpoint_attributes(&given)?;
    let scope = scope(cx);
    sns.store
        .write(|tx| {
            let mut one = tx.get(&ENDPOINTS, &scope, &key)?.ok_or_else(missing)?;
            let before = one.attributes.get("Token").cloned().unwrap_or_default();
            one.attributes.extend(given.clone());
            let after = one.attributes.get("Token").cloned().unwrap_or_default();
            if before != after {
                let device = |token: &str| (key.0.clone(), key.1.clone(), names::digest(token));
                tx.delete(&BY_DEVICE, &scope, &device(&before))?;
                tx.put(&BY_DEVICE, &scope, &device(&after), &one.id)?;
            }
            Ok::<_, Error>(tx.put(&ENDPOINTS, &scope, &key, &one)?)
        })
        .await?;
    Ok(api::SetEndpointAttributesOutput::default())
}

/// Whether an endpoint and its application take messages.
fn check_enabled(snapshot: &Snapshot<'_>, scope: &fractus_store::Scope, key: &Key) -> Result<()> {
    let is_off =
        |attributes: &Attributes| attributes.get("Enabled").is_some_and(|value| value.eq_ignore_ascii_case("false"));
    let endpoint = snapshot.get(&ENDPOINTS, scope, key)?.ok_or_else(missing)?;
    let application =
        snapshot.get(&APPLICATIONS, scope, &(key.0.as_str(), key.1.as_str()))?.ok_or_else(application_missing)?;
    if is_off(&application.attributes) {
        return Err(Error::PlatformApplicationDisabled);
    }
    if is_off(&endpoint.attributes) { Err(Error::EndpointDisabled) } else { Ok(()) }
}

/// Subscribe needs an endpoint that is there.
pub async fn check_exists(sns: &Sns, cx: &Context, endpoint: &str) -> Result<()> {
    let key = push::endpoint_of(cx, "Endpoint", endpoint)?;
    let scope = scope(cx);
    let exists = sns.store.read(|snapshot| Ok::<_, Error>(snapshot.contains(&ENDPOINTS, &scope, &key)?)).await?;
    if exists { Ok(()) } else { Err(Error::invalid_because("Endpoint", "Endpoint does not exist")) }
}

/// Publish to one device: into the ledger.
pub async fn publish(sns: &Sns, cx: &Context, target: &str, parts: Parts) -> Result<Published> {
    let key = push::endpoint_of(cx, "TargetArn", target)?;
    let (scope, now) = (scope(cx), cx.now());
    let (message, _) = message::checked_for_device(parts, &key.0)?;
    let sent = Sent {
        protocol: "application".to_owned(),
        endpoint: target.to_owned(),
        message_id: cx.random().uuid(),
        topic_arn: None,
        subject: message.subject.clone(),
        message: message.text.clone(),
        attributes: text_attributes(&message),
        sent_at: now,
    };
    let place = Place { world: cx.world.clone(), region: cx.region.clone(), name: String::new() };
    let push = Push {
        key: &key,
        scope: &scope,
        place: &place,
        endpoint: target,
        message_id: &sent.message_id,
        text: &sent.message,
        published_at: now,
        now,
    };
    let handoffs = sns
        .store
        .write(|tx| {
            check_enabled(tx, &scope, &key)?;
            ledger::put(tx, &cx.world, &cx.region, &sent)?;
            push.log(sns, tx, None, &Ok(()))
        })
        .await?;
    drop(handoffs);
    Ok(Published { message_id: sent.message_id, sequence_number: None })
}

/// A topic's message to a subscribed device; one that is gone or disabled gets nothing.
pub fn send(sns: &Sns, tx: &mut Transaction<'_>, sending: &Sending<'_>, to: &Subscription) -> Result<Vec<Handoff>> {
    let Ok(arn) = to.endpoint.parse::<Arn>() else { return Ok(Vec::new()) };
    let parts: Vec<&str> = arn.resource.split('/').collect();
    let [_, platform, name, id] = parts[..] else { return Ok(Vec::new()) };
    let Ok(account) = fractus_aws::AccountId::new(&arn.account) else { return Ok(Vec::new()) };
    let world = sending.place.world.with_account(account);
    let scope = fractus_store::Scope::regional(&world, &sending.place.region);
    let key = (platform.to_owned(), name.to_owned(), id.to_owned());
    let taken = match check_enabled(tx, &scope, &key) {
        Ok(()) => Ok(()),
        Err(Error::Store(error)) => return Err(error.into()),
        Err(error) => Err(error.to_string()),
    };
    // A platform's own text goes before that of all devices.
    let texts = &sending.message.texts;
    let text = texts.get(platform).or_else(|| texts.get("application")).unwrap_or(&sending.message.text);
    if taken.is_ok() {
        ledger::put(tx, &world, &sending.place.region, &sent_by_topic(sending, to, &to.endpoint, text))?;
    }
    let place = Place { world, region: sending.place.region.clone(), name: String::new() };
    let push = Push {
        key: &key,
        scope: &scope,
        place: &place,
        endpoint: &to.endpoint,
        message_id: &sending.message.id,
        text,
        published_at: sending.message.published_at,
        now: sending.now,
    };
    push.log(sns, tx, Some(sending), &taken)
}

/// A message to a device, as delivery status logs tell of it.
struct Push<'a> {
    key: &'a Key,
    scope: &'a fractus_store::Scope,
    /// Where the application lies.
    place: &'a Place,
    endpoint: &'a str,
    message_id: &'a str,
    text: &'a str,
    published_at: Timestamp,
    now: Timestamp,
}

impl Push<'_> {
    /// The lines that the application wants of it, and the topic that it came from.
    fn log(
        &self,
        sns: &Sns,
        tx: &mut Transaction<'_>,
        topic: Option<&Sending<'_>>,
        taken: &std::result::Result<(), String>,
    ) -> Result<Vec<Handoff>> {
        let random = sns.host.random();
        let application = tx.get(&APPLICATIONS, self.scope, &(self.key.0.as_str(), self.key.1.as_str()))?;
        let of_application = application.as_ref().map(|one| Wish::of_application(&one.attributes));
        let of_topic = topic.map(|sending| Wish::of(&sending.topic.attributes, "application"));
        let name = format!("app/{}/{}", self.key.0, self.key.1);
        let logs = [
            of_application.and_then(|wish| Some((self.place, name.as_str(), wish.role(taken.is_ok(), random)?))),
            topic.zip(of_topic).and_then(|(sending, wish)| {
                Some((sending.place, sending.place.name.as_str(), wish.role(taken.is_ok(), random)?))
            }),
        ];
        let md5 = hex::encode(Md5::digest(self.text.as_bytes()));
        let lines = logs.into_iter().flatten().map(|(place, log, role)| {
            let entry = Entry {
                place,
                log,
                role,
                message_id: self.message_id,
                md5: Some(&md5),
                published_at: self.published_at,
                destination: self.endpoint,
                response: taken.as_ref().err().cloned().unwrap_or_else(|| "Success".to_owned()),
                attempts: 1,
                status: Some(if taken.is_ok() { 200 } else { 400 }),
                succeeded: taken.is_ok(),
                now: self.now,
            };
            Ok(sns.outbox.put(tx, &entry.delivery(random))?)
        });
        lines.collect()
    }
}
