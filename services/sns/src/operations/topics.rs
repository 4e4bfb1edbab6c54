//! Topics: made, shown, changed, listed, deleted.

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_sns_api as api;
use fractus_store::{Order, Range, Scope, Transaction};
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::model::{names, protection, topic as rules};
use crate::operations::{page, tags};
use crate::quotas;
use crate::service::{Sns, put_topic, topic, topic_to_change};
use crate::store::{Attributes, DISCARDED, Discarded, PENDING, Place, TOPICS, Topic};

/// Pending subscriptions are counted no further.
const MAX_COUNTED: usize = 10_000;

/// CreateTopic: a topic that is there already with the same attributes and tags is answered again.
pub async fn create(sns: &Sns, cx: &Context, input: api::CreateTopicInput) -> Result<api::CreateTopicOutput> {
    let attributes: Attributes = input.attributes.unwrap_or_default().into_iter().collect();
    let fifo = fifo_of(&attributes)?;
    names::check_topic_name(&input.name, fifo)?;
    check_attributes(&attributes, fifo)?;
    let given_tags = input.tags.map(tags::read).transpose()?;
    if let Some(policy) = input.data_protection_policy.as_deref().filter(|policy| !policy.is_empty()) {
        protection::Policy::parse(policy).map_err(|reason| Error::invalid_because("DataProtectionPolicy", reason))?;
    }
    let place = Place { world: cx.world.clone(), region: cx.region.clone(), name: input.name };
    let made = Topic {
        name: place.name.clone(),
        id: cx.random().u64(),
        created_at: cx.now(),
        fifo,
        attributes: Attributes::new(),
        policy: rules::default_policy(&place),
        data_protection: input.data_protection_policy.filter(|policy| !policy.is_empty()),
        tags: given_tags.clone().unwrap_or_default(),
        revision: 0,
        confirmed: 0,
        deleted: 0,
        filtered: 0,
        archived_since: None,
    };
    let now = cx.now();
    sns.store
        .write(|tx| match tx.get(&TOPICS, &place.scope(), &(place.name.as_str(),))? {
            Some(known) => check_same(&known, &attributes, given_tags.as_ref()),
            None => {
                quotas::topic_comes(tx, &place.scope(), &sns.config, made.fifo)?;
                let mut made = made.clone();
                for (name, value) in attributes.iter().filter(|(name, _)| *name != "FifoTopic") {
                    set(&mut made, name, value, now);
                }
                put_topic(tx, &place, &made)
            }
        })
        .await?;
    Ok(api::CreateTopicOutput { topic_arn: Some(place.arn().to_string()) })
}

fn fifo_of(attributes: &Attributes) -> Result<bool> {
    match attributes.get("FifoTopic").map(|value| value.to_ascii_lowercase()).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(attributes_reason(format!("FifoTopic: Invalid value [{other}]. Must be true or false."))),
    }
}

fn attributes_reason(reason: impl std::fmt::Display) -> Error {
    Error::invalid_because("Attributes", reason)
}

fn check_attributes(attributes: &Attributes, fifo: bool) -> Result<()> {
    for (name, value) in attributes.iter().filter(|(name, _)| *name != "FifoTopic") {
        match rules::check_attribute(name, value, fifo) {
            Some(checked) => checked.map_err(attributes_reason)?,
            None => return Err(attributes_reason(format!("Unknown attribute: {name}"))),
        }
    }
    Ok(())
}

fn check_same(known: &Topic, attributes: &Attributes, given_tags: Option<&IndexMap<String, String>>) -> Result<()> {
    if rules::differs(known, attributes) {
        return Err(attributes_reason("Topic already exists with different attributes"));
    }
    let same_tags = given_tags.is_none_or(|given| {
        given.len() == known.tags.len() && given.iter().all(|(key, value)| known.tags.get(key) == Some(value))
    });
    if same_tags { Ok(()) } else { Err(Error::invalid_because("Tags", "Topic already exists with different tags")) }
}

/// Sets an attribute and what follows from it.
fn set(topic: &mut Topic, name: &str, value: &str, now: Timestamp) {
    rules::set(topic, name, value);
    if name == "ArchivePolicy" {
        let archives = rules::archive_period(topic).is_some();
        topic.archived_since = if archives { topic.archived_since.or(Some(now)) } else { None };
    }
}

/// DeleteTopic: with its subscriptions; a topic that is not there is deleted already. One whose archive is active has to be
/// told to stop first.
pub async fn delete(sns: &Sns, cx: &Context, input: api::DeleteTopicInput) -> Result<api::DeleteTopicOutput> {
    let place = names::place_of(cx, "TopicArn", &input.topic_arn)?;
    let scope = place.scope();
    sns.store
        .write(|tx| {
            let Some(topic) = tx.get(&TOPICS, &scope, &(place.name.as_str(),))? else { return Ok(()) };
            if topic.archived_since.is_some() {
                return Err(Error::InvalidState(
                    "Cannot delete a topic with an active archive policy. Deactivate the archive policy first."
                        .to_owned(),
                ));
            }
            tx.delete(&TOPICS, &scope, &(place.name.as_str(),))?;
            quotas::topic_goes(tx, &scope, &topic)?;
            // What lay under its id is out of use with it.
            tx.put(&DISCARDED, &scope, &(topic.id,), &Discarded { name: topic.name.clone() })?;
            Ok::<_, Error>(())
        })
        .await?;
    Ok(api::DeleteTopicOutput::default())
}

pub async fn list(sns: &Sns, cx: &Context, input: api::ListTopicsInput) -> Result<api::ListTopicsOutput> {
    let after: Option<(String,)> = page::after(input.next_token.as_deref())?;
    let scope = Scope::regional(&cx.world, &cx.region);
    let mut names: Vec<String> = sns
        .store
        .read(|snapshot| {
            let range = after.iter().fold(Range::all(), |range, after| range.after(&(after.0.as_str(),)));
            let keys = snapshot.keys(&TOPICS, &scope, range, Order::Ascending)?;
            keys.take(page::SIZE + 1).map(|key| Ok(key?.0)).collect::<Result<_>>()
        })
        .await?;
    let next_token = page::cut(&mut names, page::SIZE, |name| (name.clone(),));
    let topics = names.into_iter().map(|name| {
        let place = Place { world: cx.world.clone(), region: cx.region.clone(), name };
        api::Topic { topic_arn: Some(place.arn().to_string()) }
    });
    Ok(api::ListTopicsOutput { topics: Some(topics.collect()), next_token })
}

pub async fn attributes(
    sns: &Sns,
    cx: &Context,
    input: api::GetTopicAttributesInput,
) -> Result<api::GetTopicAttributesOutput> {
    let place = names::place_of(cx, "TopicArn", &input.topic_arn)?;
    let scope = place.scope();
    let (topic, pending) = sns
        .store
        .read(|snapshot| {
            let topic = topic(snapshot, &place)?;
            let range = Range::prefix(&(topic.id,));
            let pending = snapshot.keys(&PENDING, &scope, range, Order::Ascending)?.take(MAX_COUNTED).count();
            Ok::<_, Error>((topic, pending))
        })
        .await?;
    Ok(api::GetTopicAttributesOutput { attributes: Some(rules::shown(&topic, &place, pending as u64)) })
}

pub async fn set_attribute(
    sns: &Sns,
    cx: &Context,
    input: api::SetTopicAttributesInput,
) -> Result<api::SetTopicAttributesOutput> {
    let place = names::place_of(cx, "TopicArn", &input.topic_arn)?;
    let (name, value) = (input.attribute_name, input.attribute_value.unwrap_or_default());
    let now = cx.now();
    change(sns, &place, |topic| {
        match rules::check_attribute(&name, &value, topic.fifo) {
            Some(checked) => checked.map_err(Error::invalid)?,
            None => return Err(Error::invalid("AttributeName")),
        }
        set(topic, &name, &value, now);
        Ok(())
    })
    .await?;
    Ok(api::SetTopicAttributesOutput::default())
}

/// Changes a topic in one transaction.
pub async fn change(sns: &Sns, place: &Place, change: impl Fn(&mut Topic) -> Result<()>) -> Result<()> {
    sns.store
        .write(|tx: &mut Transaction<'_>| {
            let mut topic = topic_to_change(tx, place)?;
            change(&mut topic)?;
            put_topic(tx, place, &topic)
        })
        .await
}
