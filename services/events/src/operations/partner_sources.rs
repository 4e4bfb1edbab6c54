//! Partner event sources as the partner sees them. On AWS only partners may do this; here every account may.

use fractus_aws::{AccountId, World};
use fractus_clock::Timestamp;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_patterns::Event;
use fractus_store::{Order, Range, Snapshot};

use crate::error::{Error, Result};
use crate::index::BusSettings;
use crate::keys::Refused;
use crate::model::event::{self, Parts};
use crate::model::names::{BusRef, Place};
use crate::operations::event_sources::{self, ACTIVE, DELETED};
use crate::operations::put_events::{Refusal, malformed, refusal};
use crate::pages;
use crate::route::{self, Arrival, Plan};
use crate::service::Events;
use crate::store::{BUSES, EVENT_SOURCES, PARTNER_SOURCES, PartnerSource};

/// Accounts that may have one source.
const MAX_ACCOUNTS: usize = 10_000;

fn customer(cx: &Context, account: &str) -> Result<Place> {
    let account = AccountId::new(account).map_err(|_| Error::parameter("Account", "It is not an account id."))?;
    Ok(Place::new(World { account, ..cx.world.clone() }, cx.region.clone()))
}

pub async fn create(
    events: &Events,
    cx: &Context,
    input: api::CreatePartnerEventSourceInput,
) -> Result<api::CreatePartnerEventSourceOutput> {
    let (place, customer) = (Place::of(cx), customer(cx, &input.account)?);
    let now = cx.now();
    let write = events.store.write(|tx| {
        let key = (input.name.as_str(), input.account.as_str());
        let is_there = event_sources::load(tx, &customer, &input.name).is_ok_and(|source| source.state != DELETED);
        if is_there {
            return Err(Error::AlreadyExists(format!("Event source {} already exists.", input.name)));
        }
        tx.put(&PARTNER_SOURCES, &place.scope, &key, &PartnerSource { created_at: now })?;
        event_sources::save(tx, &customer, &input.name, &event_sources::new(cx.world.account.as_str(), now))
    });
    write.await?;
    Ok(api::CreatePartnerEventSourceOutput { event_source_arn: Some(event_sources::arn(&place, &input.name)) })
}

/// A source that is not there is gone already. The customer keeps the bus, and sees that its source is deleted.
pub async fn delete(
    events: &Events,
    cx: &Context,
    input: api::DeletePartnerEventSourceInput,
) -> Result<api::DeletePartnerEventSourceOutput> {
    let (place, customer) = (Place::of(cx), customer(cx, &input.account)?);
    let write = events.store.write(|tx| {
        let key = (input.name.as_str(), input.account.as_str());
        if tx.take(&PARTNER_SOURCES, &place.scope, &key)?.is_none() {
            return Ok(());
        }
        let Ok(mut source) = event_sources::load(tx, &customer, &input.name) else { return Ok(()) };
        if tx.contains(&BUSES, &customer.scope, &(input.name.as_str(),))? {
            DELETED.clone_into(&mut source.state);
            return event_sources::save(tx, &customer, &input.name, &source);
        }
        Ok(tx.delete(&EVENT_SOURCES, &customer.scope, &(input.name.as_str(),))?)
    });
    write.await?;
    Ok(api::DeletePartnerEventSourceOutput::default())
}

/// The accounts that have a source.
fn accounts(snapshot: &Snapshot<'_>, place: &Place, name: &str) -> Result<Vec<String>> {
    let range = Range::prefix(&(name,));
    let keys = snapshot.keys(&PARTNER_SOURCES, &place.scope, range, Order::Ascending)?.take(MAX_ACCOUNTS);
    keys.map(|key| Ok(key?.1)).collect()
}

pub async fn describe(
    events: &Events,
    cx: &Context,
    input: api::DescribePartnerEventSourceInput,
) -> Result<api::DescribePartnerEventSourceOutput> {
    let place = Place::of(cx);
    let accounts = events.store.read(|snapshot| accounts(snapshot, &place, &input.name)).await?;
    if accounts.is_empty() {
        return Err(event_sources::missing(&input.name));
    }
    Ok(api::DescribePartnerEventSourceOutput {
        arn: Some(event_sources::arn(&place, &input.name)),
        name: Some(input.name),
    })
}

pub async fn list(
    events: &Events,
    cx: &Context,
    input: api::ListPartnerEventSourcesInput,
) -> Result<api::ListPartnerEventSourcesOutput> {
    let place = Place::of(cx);
    let after = pages::decode(input.next_token.as_deref())?;
    let read = events.store.read(|snapshot| {
        let range = Range::starts_with(&(input.name_prefix.as_str(),));
        let range = match &after {
            Some(after) => range.after(&(after.as_str(),)),
            None => range,
        };
        let mut last = String::new();
        pages::collect(
            snapshot,
            &PARTNER_SOURCES,
            &place.scope,
            range,
            input.limit,
            |key| key.0.clone(),
            |key, _| {
                // One source of several accounts is one source.
                if last == key.0 {
                    return Ok(None);
                }
                last.clone_from(&key.0);
                Ok(Some(api::PartnerEventSource {
                    arn: Some(event_sources::arn(&place, &key.0)),
                    name: Some(key.0.clone()),
                }))
            },
        )
    });
    let (sources, next_token) = read.await?;
    Ok(api::ListPartnerEventSourcesOutput { partner_event_sources: Some(sources), next_token })
}

pub async fn list_accounts(
    events: &Events,
    cx: &Context,
    input: api::ListPartnerEventSourceAccountsInput,
) -> Result<api::ListPartnerEventSourceAccountsOutput> {
    let place = Place::of(cx);
    let name = input.event_source_name.as_str();
    let after = pages::decode(input.next_token.as_deref())?;
    let read = events.store.read(|snapshot| {
        if accounts(snapshot, &place, name)?.is_empty() {
            return Err(event_sources::missing(name));
        }
        let after = after.as_ref().map(|after| (name, after.as_str()));
        let range = pages::behind(&(name, ""), after);
        pages::collect(
            snapshot,
            &PARTNER_SOURCES,
            &place.scope,
            range,
            input.limit,
            |key| key.1.clone(),
            |key, own| {
                let source =
                    customer(cx, &key.1).and_then(|customer| event_sources::load(snapshot, &customer, name)).ok();
                Ok(Some(api::PartnerEventSourceAccount {
                    account: Some(key.1.clone()),
                    creation_time: Some(own.created_at),
                    expiration_time: source.as_ref().and_then(|source| source.expires_at),
                    state: source.map(|source| source.state.as_str().into()),
                }))
            },
        )
    });
    let (accounts, next_token) = read.await?;
    Ok(api::ListPartnerEventSourceAccountsOutput { partner_event_source_accounts: Some(accounts), next_token })
}

/// The buses of a source whose keys KMS does not give.
async fn refused_buses(
    events: &Events,
    cx: &Context,
    place: &Place,
    source: &str,
    now: Timestamp,
) -> Result<Vec<(BusRef, Refused)>> {
    let read = events.store.read(|snapshot| {
        let mut buses = Vec::new();
        for account in accounts(snapshot, place, source)? {
            let bus = BusRef { place: customer(cx, &account)?, name: source.to_owned() };
            let settings = BusSettings::read(snapshot, &bus)?;
            if settings.kms_key.is_some() {
                buses.push((bus, settings));
            }
        }
        Ok::<_, Error>(buses)
    });
    let mut refused = Vec::new();
    for (bus, settings) in read.await? {
        if let Some(why) = events.judge(&bus, &settings, now).await {
            refused.push((bus, why));
        }
    }
    Ok(refused)
}

/// One entry goes to the bus of each account whose source is active.
async fn put_one(
    events: &Events,
    cx: &Context,
    entry: &api::PutPartnerEventsRequestEntry,
) -> Result<Result<String, Refusal>> {
    let missing = |name: &str| {
        let message = format!("Parameter {name} is not valid. Reason: {name} is a required argument.");
        Ok(Err(refusal("InvalidArgument", message)))
    };
    let Some(source) = &entry.source else { return missing("Source") };
    let Some(detail_type) = entry.detail_type.as_ref().filter(|text| !text.is_empty()) else {
        return missing("DetailType");
    };
    let Some(detail) = entry.detail.as_ref().filter(|text| !text.is_empty()) else { return missing("Detail") };
    let (place, now, id) = (Place::of(cx), cx.now(), cx.random().uuid());
    let cause = cx.cause();
    let refused = refused_buses(events, cx, &place, source, now).await?;
    let write = events.store.write(|tx| {
        let accounts = accounts(tx, &place, source)?;
        if accounts.is_empty() {
            return Ok(Err(refusal("NotAuthorizedForSourceException", "Not authorized for the source.")));
        }
        let mut handoffs = Vec::new();
        for (number, account) in accounts.iter().enumerate() {
            let customer = customer(cx, account)?;
            if !event_sources::load(tx, &customer, source).is_ok_and(|known| known.state == ACTIVE) {
                continue;
            }
            let parts = Parts {
                id: &id,
                detail_type,
                source,
                account: &customer.world.account,
                region: &cx.region,
                time: entry.time.unwrap_or(now),
                resources: entry.resources.as_deref().unwrap_or_default(),
                detail,
            };
            let Ok(json) = event::envelope(&parts) else { return Ok(Err(malformed())) };
            let Ok(parsed) = Event::parse(&json) else { return Ok(Err(malformed())) };
            let bus = BusRef { place: customer, name: source.clone() };
            let Some(index) = events.indexes.of(tx, &bus)? else { continue };
            let passage = format!("{id}-{number}");
            let arrival = Arrival::new(&cx.world.lane, &json, &passage, now, &cause);
            let mut plan = Plan::default();
            match refused.iter().find(|(of, _)| *of == bus) {
                Some((_, refused)) => plan = Plan::of_refused(&bus, &index.settings, &arrival, refused),
                None => route::plan(&bus, &index, &parsed, &arrival, &mut plan),
            }
            handoffs.append(&mut route::write(tx, events, &bus.place.scope, &plan)?);
        }
        Ok::<_, Error>(Ok(handoffs))
    });
    Ok(write.await?.map(|handoffs| {
        drop(handoffs);
        id
    }))
}

pub async fn put_events(
    events: &Events,
    cx: &Context,
    input: api::PutPartnerEventsInput,
) -> Result<api::PutPartnerEventsOutput> {
    let mut results = Vec::with_capacity(input.entries.len());
    let mut failed = 0;
    for entry in &input.entries {
        results.push(match put_one(events, cx, entry).await? {
            Ok(id) => api::PutPartnerEventsResultEntry { event_id: Some(id), ..Default::default() },
            Err(refusal) => {
                failed += 1;
                api::PutPartnerEventsResultEntry {
                    event_id: None,
                    error_code: Some(refusal.code.to_owned()),
                    error_message: Some(refusal.message),
                }
            }
        });
    }
    Ok(api::PutPartnerEventsOutput { failed_entry_count: Some(failed), entries: Some(results) })
}
