//! Work that no request waits for: rules on schedules, replays, authorizations, and clearing what archives no longer have.
//! Each is done by one replica, follows the lane's clock, and takes what it has to do in pieces.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{AccountId, Lane, Partition, Region, World};
use fractus_bus::contracts::Cause;
use fractus_bus::outbox::Handoff;
use fractus_clock::{Clock, Timestamp};
use fractus_host::Waker;
use fractus_patterns::Event;
use fractus_store::{Order, Range, Scope, Transaction};

use crate::error::{Error, Result};
use crate::index::BusSettings;
use crate::invoke;
use crate::model::deliver::CompiledRule;
use crate::model::event::{self, Parts};
use crate::model::names::{BusRef, Place};
use crate::model::retention;
use crate::operations::connections::{self, AUTHORIZED, DEAUTHORIZED, STATE_AUTHORIZING};
use crate::operations::replays::{CANCELLED, CANCELLING, COMPLETED, FAILED, RUNNING};
use crate::operations::rules::{self, lane_scope};
use crate::operations::{archives, buses};
use crate::route::{self, Arrival, Plan};
use crate::service::Events;
use crate::store::{
    ARCHIVE_DAYS, ARCHIVED, ARCHIVES, AUTHORIZING, DISCARDED_ARCHIVES, REPLAYS, RULES, RUNNING_REPLAYS, Replay,
    SCHEDULED,
};

/// Rules fired in one transaction.
const FIRED_AT_ONCE: usize = 50;
/// How often one rule fires for the time that a clock has jumped over. What it missed beyond that is left out, as AWS
/// makes up for nothing at all.
const CATCH_UP: usize = 100;
/// Events replayed in one transaction.
const REPLAYED_AT_ONCE: usize = 100;
/// The pause between two minutes of a replay's events, in real time: what was sent first has arrived first, and a replay
/// can be cancelled.
const REPLAY_PAUSE: Duration = Duration::from_millis(5);
/// Connections authorized, or replays moved on, in one round of a lane.
const AT_ONCE: usize = 100;
/// The most records one transaction clears, so that it never holds up a request for long.
const CLEARED_AT_ONCE: usize = 500;

/// Starts all of it.
pub fn start(events: &Arc<Events>) {
    let working = Arc::clone(events);
    let waker = events.host.background("rule schedules", move |lane| {
        let events = Arc::clone(&working);
        async move { reported("rules on schedules", fire_due(&events, &lane).await).flatten() }
    });
    *events.wakers.schedules.lock() = Some(waker);
    let working = Arc::clone(events);
    let waker = events.host.background("replays", move |lane| {
        let events = Arc::clone(&working);
        async move {
            reported("replays", replay_all(&events, &lane).await);
            None
        }
    });
    *events.wakers.replays.lock() = Some(waker);
    let working = Arc::clone(events);
    let waker = events.host.background("authorizations", move |lane| {
        let events = Arc::clone(&working);
        async move {
            reported("authorizations", authorize_all(&events, &lane).await);
            None
        }
    });
    *events.wakers.authorizations.lock() = Some(waker);
    let clearing = Arc::clone(events);
    events.host.janitor(&Waker::default(), move || {
        let events = Arc::clone(&clearing);
        async move { clear_archives(&events).await }
    });
}

fn reported<T>(what: &str, result: Result<T>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(%error, "{what}: it is tried again")).ok()
}

/// Fires every rule of a lane that is due, and says when the next one is.
pub async fn fire_due(events: &Events, lane: &Lane) -> Result<Option<Timestamp>> {
    loop {
        let now = events.host.clocks().lane(lane.as_str()).now();
        let write = events.store.write(|tx| fire_some(tx, events, lane, now));
        let (handoffs, next) = write.await?;
        drop(handoffs);
        match next {
            Some(due) if due <= now => tokio::task::yield_now().await,
            next => return Ok(next),
        }
    }
}

/// Fires some rules; the second value is when the next one is due.
fn fire_some(
    tx: &mut Transaction<'_>,
    events: &Events,
    lane: &Lane,
    now: Timestamp,
) -> Result<(Vec<Handoff>, Option<Timestamp>)> {
    let scope = lane_scope(lane);
    let due = Range::all().through(&(now,));
    let entries = tx.range(&SCHEDULED, &scope, due, Order::Ascending)?.take(FIRED_AT_ONCE);
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let mut handoffs = Vec::new();
    for (key, entry) in entries {
        tx.delete(&SCHEDULED, &scope, &key)?;
        let (due, account, region, name) = &key;
        let place = (Partition::parse(&entry.partition), AccountId::new(account), Region::new(region));
        let (Some(partition), Ok(account), Ok(region)) = place else { continue };
        let world = World { lane: lane.clone(), partition, account };
        let bus = BusRef { place: Place::new(world, region), name: entry.bus };
        handoffs.append(&mut fire(tx, events, &bus, name, *due, now)?);
    }
    let next = tx.keys(&SCHEDULED, &scope, Range::all(), Order::Ascending)?.next().transpose()?;
    Ok((handoffs, next.map(|key| key.0)))
}

/// Fires one rule for every time that it was due until now.
fn fire(
    tx: &mut Transaction<'_>,
    events: &Events,
    bus: &BusRef,
    name: &str,
    due: Timestamp,
    now: Timestamp,
) -> Result<Vec<Handoff>> {
    let found = tx.get(&RULES, &bus.place.scope, &(bus.name.as_str(), name))?;
    // An entry of a rule that a reset has taken, or that was changed since, says nothing.
    let Some(mut rule) = found.filter(|rule| rule.due_at == Some(due) && rule.is_enabled()) else {
        return Ok(Vec::new());
    };
    let Some(schedule) = rules::schedule(&rule) else { return Ok(Vec::new()) };
    let compiled = CompiledRule::new(bus, &rule);
    let cause = Cause::spontaneous("events", events.host.random());
    let mut plan = Plan::default();
    let mut sent = Vec::new();
    for at in schedule.due(due.minus(Duration::from_micros(1)), now, CATCH_UP).at {
        let id = events.host.random().uuid();
        let parts = Parts {
            id: &id,
            detail_type: "Scheduled Event",
            source: "aws.events",
            account: &bus.place.world.account,
            region: &bus.place.region,
            time: at,
            resources: &[bus.rule_arn(name).to_string()],
            detail: "{}",
        };
        if let Ok(json) = event::envelope(&parts) {
            sent.push((id, json, at));
        }
    }
    let settings = BusSettings::read(tx, bus)?;
    for (id, json, at) in &sent {
        let arrival = Arrival { time: Some(*at), ..Arrival::new(&bus.place.world.lane, json, id, now, &cause) };
        route::plan_scheduled(bus, &settings, &compiled, &arrival, &mut plan);
    }
    let handoffs = route::write(tx, events, &bus.place.scope, &plan)?;
    rule.due_at = None;
    rules::save_scheduled(tx, bus, &mut rule, now)?;
    Ok(handoffs)
}

/// Moves every replay of a lane on to its end.
pub async fn replay_all(events: &Events, lane: &Lane) -> Result<()> {
    let scope = lane_scope(lane);
    let read = events.store.read(|snapshot| {
        let keys = snapshot.keys(&RUNNING_REPLAYS, &scope, Range::all(), Order::Ascending)?.take(AT_ONCE);
        Ok::<_, Error>(keys.collect::<Result<Vec<_>, _>>()?)
    });
    for key in read.await? {
        let Some(place) = Place::of_key(lane, &key) else { continue };
        while replay_some(events, &scope, &place, &key).await? {
            if !room_for_replay(events).await {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Waits until what was replayed is on its way; not for ever, since the message bus may be away.
async fn room_for_replay(events: &Events) -> bool {
    for _ in 0..800 {
        Clock::real().sleep(REPLAY_PAUSE).await;
        if events.outbox.waiting() == 0 {
            return true;
        }
    }
    false
}

type LaneKey = (String, String, String, String);

/// Replays some events; says whether there are more.
async fn replay_some(events: &Events, lane: &Scope, place: &Place, key: &LaneKey) -> Result<bool> {
    let now = events.host.clocks().lane(place.world.lane.as_str()).now();
    let closed = closed_archive(events, place, &key.3, now).await?;
    let write = events.store.write(|tx| {
        let Some(mut replay) = tx.get(&REPLAYS, &place.scope, &(key.3.as_str(),))? else {
            tx.delete(&RUNNING_REPLAYS, lane, key)?;
            return Ok((Vec::new(), false));
        };
        let mut handoffs = Vec::new();
        if replay.state == CANCELLING {
            CANCELLED.clone_into(&mut replay.state);
        } else if let Some(reason) = &closed {
            FAILED.clone_into(&mut replay.state);
            replay.state_reason = Some(reason.chars().take(512).collect());
        } else {
            step(tx, events, place, &mut replay, &mut handoffs, now)?;
        }
        let goes_on = replay.state == RUNNING;
        if !goes_on {
            replay.ended_at = Some(now);
            tx.delete(&RUNNING_REPLAYS, lane, key)?;
        }
        tx.put(&REPLAYS, &place.scope, &(replay.name.as_str(),), &replay)?;
        Ok::<_, Error>((handoffs, goes_on))
    });
    Ok(write.await?.1)
}

/// Why the archive of a replay cannot be opened; none where it can.
async fn closed_archive(events: &Events, place: &Place, replay: &str, now: Timestamp) -> Result<Option<String>> {
    let read = events.store.read(|snapshot| {
        let Some(replay) = snapshot.get(&REPLAYS, &place.scope, &(replay,))? else { return Ok(None) };
        Ok::<_, Error>(snapshot.get(&ARCHIVES, &place.scope, &(replay.archive.as_str(),))?)
    });
    let data_key = read.await?.and_then(|archive| archive.data_key);
    Ok(events.open(place, data_key.as_ref(), now).await.err().map(|refused| refused.message))
}

/// The next events of a replay, in the order in which they came: those of one minute, as AWS replays them.
fn step(
    tx: &mut Transaction<'_>,
    events: &Events,
    place: &Place,
    replay: &mut Replay,
    handoffs: &mut Vec<Handoff>,
    now: Timestamp,
) -> Result<()> {
    let bus = BusRef { place: place.clone(), name: replay.bus.clone() };
    let archive = tx.get(&ARCHIVES, &place.scope, &(replay.archive.as_str(),))?;
    let archive = archive.filter(|archive| archive.id == replay.archive_id);
    let (Some(archive), Ok(())) = (archive, buses::check_exists(tx, &bus)) else {
        FAILED.clone_into(&mut replay.state);
        replay.state_reason = Some("The archive or the event bus no longer exists.".to_owned());
        return Ok(());
    };
    RUNNING.clone_into(&mut replay.state);
    let id = replay.archive_id.as_str();
    let kept_from = retention::start_of(retention::first_day(archive.retention_days, now));
    let mut range = Range::prefix(&(id,)).from(&(id, replay.event_start.max(kept_from)));
    range = range.through(&(id, replay.event_end));
    if let Some((at, event)) = &replay.cursor {
        range = range.after(&(id, *at, event.as_str()));
    }
    let found = tx.range(&ARCHIVED, &place.scope, range, Order::Ascending)?.take(REPLAYED_AT_ONCE);
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    let minute = |at: Timestamp| at.secs().div_euclid(60);
    let are_last = found.len() < REPLAYED_AT_ONCE;
    let all = found.len();
    if let Some(first) = found.first().map(|((_, at, _), _)| minute(*at)) {
        found.retain(|((_, at, _), _)| minute(*at) == first);
    }
    let cause = Cause::root(format!("replay-{}", replay.name), "events");
    let index = events.indexes.of(tx, &bus)?;
    for ((_, at, event_id), archived) in &found {
        let json = event::with_member(&archived.event, "replay-name", &replay.name);
        let passage = events.host.random().uuid();
        let arrival = Arrival {
            time: Some(*at),
            only: &replay.filter_arns,
            ..Arrival::new(&place.world.lane, &json, &passage, now, &cause)
        };
        replay.last_replayed_at = Some(*at);
        replay.cursor = Some((*at, event_id.clone()));
        let (Some(index), Ok(parsed)) = (&index, Event::parse(&json)) else { continue };
        let mut plan = Plan::default();
        route::plan(&bus, index, &parsed, &arrival, &mut plan);
        handoffs.append(&mut route::write(tx, events, &place.scope, &plan)?);
    }
    if are_last && found.len() == all {
        COMPLETED.clone_into(&mut replay.state);
    }
    Ok(())
}

/// Asks the authorization endpoints of the connections that wait for it.
pub async fn authorize_all(events: &Events, lane: &Lane) -> Result<()> {
    let scope = lane_scope(lane);
    let read = events.store.read(|snapshot| {
        let keys = snapshot.keys(&AUTHORIZING, &scope, Range::all(), Order::Ascending)?.take(AT_ONCE);
        Ok::<_, Error>(keys.collect::<Result<Vec<_>, _>>()?)
    });
    let keys = read.await?;
    let asked = futures::future::join_all(keys.iter().map(|key| authorize(events, lane, &scope, key)));
    asked.await.into_iter().collect()
}

async fn authorize(events: &Events, lane: &Lane, scope: &Scope, key: &LaneKey) -> Result<()> {
    let Some(place) = Place::of_key(lane, key) else { return Ok(()) };
    let found = events.store.read(|snapshot| Ok::<_, Error>(connections::load(snapshot, &place, &key.3).ok())).await?;
    let now = events.host.clocks().lane(lane.as_str()).now();
    let answer = match &found {
        Some(connection) => invoke::ask_for_token(events, &connection.parameters, now).await,
        None => Err(String::new()),
    };
    let write = events.store.write(|tx| {
        let stored = connections::load(tx, &place, &key.3).ok();
        let Some(mut stored) = stored.filter(|stored| stored.state == STATE_AUTHORIZING) else {
            return Ok(tx.delete(&AUTHORIZING, scope, key)?);
        };
        // Changed while its endpoint was asked: it is asked again.
        if found.as_ref().is_none_or(|found| found.uuid != stored.uuid || found.modified_at != stored.modified_at) {
            return Ok(());
        }
        match &answer {
            Ok(token) => {
                AUTHORIZED.clone_into(&mut stored.state);
                stored.authorized_at = Some(now);
                stored.token = Some(token.clone());
                stored.state_reason = None;
            }
            Err(reason) => {
                DEAUTHORIZED.clone_into(&mut stored.state);
                stored.state_reason = Some(reason.chars().take(512).collect());
            }
        }
        tx.delete(&AUTHORIZING, scope, key)?;
        connections::save(tx, &place, &stored)
    });
    write.await
}

/// Clears deleted archives, and the days that are past their retention.
pub async fn clear_archives(events: &Events) -> Result<()> {
    for (world, region) in events.host.places(DISCARDED_ARCHIVES.name()).await? {
        let place = Place::new(world, region);
        while events.store.write(|tx| clear_discarded(tx, &place)).await? {
            tokio::task::yield_now().await;
        }
    }
    for (world, region) in events.host.places(ARCHIVES.name()).await? {
        let place = Place::new(world, region);
        let now = events.host.clocks().lane(place.world.lane.as_str()).now();
        let read = events.store.read(|snapshot| {
            let mut past = Vec::new();
            for record in snapshot.range(&ARCHIVES, &place.scope, Range::all(), Order::Ascending)? {
                let (_, archive) = record?;
                let first = retention::first_day(archive.retention_days, now);
                let days = Range::prefix(&(archive.id.as_str(),)).to(&(archive.id.as_str(), first));
                let has_past =
                    || snapshot.keys(&ARCHIVE_DAYS, &place.scope, days, Order::Ascending)?.next().transpose();
                if archive.retention_days > 0 && has_past()?.is_some() {
                    past.push((archive.id, first));
                }
            }
            Ok::<_, Error>(past)
        });
        for (id, first) in read.await? {
            while events.store.write(|tx| archives::clear(tx, &place, &id, Some(first), CLEARED_AT_ONCE)).await? {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(())
}

fn clear_discarded(tx: &mut Transaction<'_>, place: &Place) -> Result<bool> {
    let first = tx.keys(&DISCARDED_ARCHIVES, &place.scope, Range::all(), Order::Ascending)?.next().transpose()?;
    let Some((id,)) = first else { return Ok(false) };
    if !archives::clear(tx, place, &id, None, CLEARED_AT_ONCE)? {
        tx.delete(&DISCARDED_ARCHIVES, &place.scope, &(id.as_str(),))?;
    }
    Ok(true)
}
