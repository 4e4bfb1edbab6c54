//! Subscriptions: made, confirmed, changed, listed, ended.

use fractus_host::{CallerKind, Context};
use fractus_sns_api as api;
use fractus_store::{Order, Range, Scope};

use crate::error::{Error, Result};
use crate::model::{names, subscription as rules};
use crate::operations::{page, subscribing};
use crate::quotas;
use crate::service::{Sns, subscription, topic};
use crate::store::{Attributes, OWNED, Place, REPLAYS, SUBSCRIPTIONS, Subscription, lane_scope};

pub use crate::operations::subscribing::subscribe;

/// ConfirmSubscription, by a signed request.
pub async fn confirm(
    sns: &Sns,
    cx: &Context,
    input: api::ConfirmSubscriptionInput,
) -> Result<api::ConfirmSubscriptionOutput> {
    let place = names::place_of(cx, "TopicArn", &input.topic_arn)?;
    let authenticate = input.authenticate_on_unsubscribe.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let signed = cx.caller.kind != CallerKind::Anonymous;
    let arn = subscribing::confirm_token(sns, &place, &input.token, signed, authenticate, cx.now()).await?;
    Ok(api::ConfirmSubscriptionOutput { subscription_arn: Some(arn) })
}

/// Unsubscribe, by a signed request. A subscription that is not there has ended already.
pub async fn unsubscribe(sns: &Sns, cx: &Context, input: api::UnsubscribeInput) -> Result<api::UnsubscribeOutput> {
    let (place, id) = names::subscription_of(cx, &input.subscription_arn)?;
    let caller = (cx.caller.kind != CallerKind::Anonymous).then_some(&cx.caller.account);
    subscribing::end(sns, &place, &id, caller, cx.now()).await?;
    Ok(api::UnsubscribeOutput::default())
}

/// How a subscription stands in a list.
fn listed(place: &Place, subscription: &Subscription) -> api::Subscription {
    let arn =
        if subscription.pending { "PendingConfirmation".to_owned() } else { place.subscription_arn(&subscription.id) };
    api::Subscription {
        subscription_arn: Some(arn),
        owner: Some(subscription.owner.to_string()),
        protocol: Some(subscription.protocol.clone()),
        endpoint: Some(subscription.endpoint.clone()),
        topic_arn: Some(place.arn().to_string()),
    }
}

/// ListSubscriptions: the caller's, of whichever topics.
pub async fn list(sns: &Sns, cx: &Context, input: api::ListSubscriptionsInput) -> Result<api::ListSubscriptionsOutput> {
    let after: Option<(String, String, String)> = page::after(input.next_token.as_deref())?;
    let scope = Scope::regional(&cx.world, &cx.region);
    type Key = (String, String, String);
    let mut found: Vec<(Key, Option<api::Subscription>)> = sns
        .store
        .read(|snapshot| {
            let range = after.iter().fold(Range::all(), |range, (account, topic, id)| {
                range.after(&(account.as_str(), topic.as_str(), id.as_str()))
            });
            let keys = snapshot.keys(&OWNED, &scope, range, Order::Ascending)?.take(page::SIZE + 1);
            let mut found = Vec::new();
            for key in keys {
                let key: Key = key?;
                let Ok(account) = fractus_aws::AccountId::new(&key.0) else { continue };
                let world = cx.world.with_account(account);
                let place = Place { world, region: cx.region.clone(), name: key.1.clone() };
                // The topic may be gone, and what it leaves is cleared later.
                let one = subscription(snapshot, &place, &key.2).ok().map(|(_, one)| listed(&place, &one));
                found.push((key, one));
            }
            Ok::<_, Error>(found)
        })
        .await?;
    let next_token = page::cut(&mut found, page::SIZE, |(key, _)| key.clone());
    let subscriptions = found.into_iter().filter_map(|(_, one)| one).collect();
    Ok(api::ListSubscriptionsOutput { subscriptions: Some(subscriptions), next_token })
}

pub async fn list_by_topic(
    sns: &Sns,
    cx: &Context,
    input: api::ListSubscriptionsByTopicInput,
) -> Result<api::ListSubscriptionsByTopicOutput> {
    let place = names::place_of(cx, "TopicArn", &input.topic_arn)?;
    let after: Option<(String,)> = page::after(input.next_token.as_deref())?;
    let scope = place.scope();
    let mut found: Vec<Subscription> = sns
        .store
        .read(|snapshot| {
            let topic = topic(snapshot, &place)?;
            let range = Range::prefix(&(topic.id,));
            let range = after.iter().fold(range, |range, after| range.after(&(topic.id, after.0.as_str())));
            let entries = snapshot.range(&SUBSCRIPTIONS, &scope, range, Order::Ascending)?;
            entries.take(page::SIZE + 1).map(|entry| Ok(entry?.1)).collect::<Result<_>>()
        })
        .await?;
    let next_token = page::cut(&mut found, page::SIZE, |one| (one.id.clone(),));
    let subscriptions = found.iter().map(|one| listed(&place, one)).collect();
    Ok(api::ListSubscriptionsByTopicOutput { subscriptions: Some(subscriptions), next_token })
}

pub async fn attributes(
    sns: &Sns,
    cx: &Context,
    input: api::GetSubscriptionAttributesInput,
) -> Result<api::GetSubscriptionAttributesOutput> {
    let (place, id) = names::subscription_of(cx, &input.subscription_arn)?;
    let lane = lane_scope(&place.world.lane);
    let shown = sns
        .store
        .read(|snapshot| {
            let (topic, one) = subscription(snapshot, &place, &id)?;
            let replay = match one.attribute("ReplayPolicy") {
                Some(_) if snapshot.contains(&REPLAYS, &lane, &(id.as_str(),))? => Some("In progress"),
                Some(_) => Some("Completed"),
                None => None,
            };
            Ok::<_, Error>(rules::shown(&one, &place, &topic, replay))
        })
        .await?;
    Ok(api::GetSubscriptionAttributesOutput { attributes: Some(shown) })
}

pub async fn set_attribute(
    sns: &Sns,
    cx: &Context,
    input: api::SetSubscriptionAttributesInput,
) -> Result<api::SetSubscriptionAttributesOutput> {
    let (place, id) = names::subscription_of(cx, &input.subscription_arn)?;
    let (name, value) = (input.attribute_name, input.attribute_value.unwrap_or_default());
    if !rules::SETTABLE.contains(&name.as_str()) {
        return Err(Error::invalid("AttributeName"));
    }
    let now = cx.now();
    sns.store
        .write(|tx| {
            let (topic, mut one) = subscription(tx, &place, &id)?;
            rules::check_attribute(&name, &value, &one.protocol, &place, &topic).map_err(Error::invalid)?;
            let mut attributes: Attributes = one.attributes.clone();
            rules::set(&mut attributes, &name, &value);
            rules::filter(&attributes).map_err(Error::invalid)?;
            let had = quotas::has_filter(&one);
            one.attributes = attributes;
            if !had && quotas::has_filter(&one) {
                quotas::check_filter(tx, &place.scope(), &sns.config, &topic)?;
            }
            if name == "ReplayPolicy" {
                subscribing::start_replay(tx, &place, &topic, &one, now)?;
            }
            subscribing::put_changed(tx, &place, &one, now)
        })
        .await?;
    if let (Some(wakers), "ReplayPolicy") = (sns.wakers.get(), name.as_str()) {
        wakers.replays.wake_in(&place.world.lane);
    }
    Ok(api::SetSubscriptionAttributesOutput::default())
}
