//! What no request waits for: publishing to many subscriptions, replays of archives, clearing what deleted topics left.

use std::sync::Arc;

use fractus_aws::{Lane, Region, World};
use fractus_bus::contracts::Cause;
use fractus_clock::Timestamp;
use fractus_host::Waker;
use fractus_store::{Collection, Key, KeyOf, Order, PrefixOf, Range, Scope, Transaction};

use crate::error::{Error, Result};
use crate::jobs;
use crate::model::subscription::{dialect, filter};
use crate::routes::passes;
use crate::sending::{Put, Sending};
use crate::service::{Sns, Wakers, topic};
use crate::store::{
    ARCHIVE, BY_ENDPOINT, CHANGES, DISCARDED, FANOUTS, Fanout, Message, OWNED, PENDING, REPLAYS, Replay, SEQUENCES,
    SUBSCRIPTIONS, Subscription, TOKENS, lane_scope,
};

/// The most records one transaction clears, so that it never holds up a request for long.
const CLEARED_AT_ONCE: usize = 300;
/// Messages replayed in one transaction.
const REPLAYED_AT_ONCE: usize = 100;
/// Deliveries that may wait in the outbox before the fan-out holds back.
const MOST_WAITING: usize = 50_000;

/// Starts it all.
pub fn start(sns: &Arc<Sns>) {
    let fanning = Arc::clone(sns);
    let fanouts = sns.host.background("fan-out", move |lane| {
        let sns = Arc::clone(&fanning);
        async move { log("a fan-out", fan_out(&sns, &lane).await).flatten() }
    });
    let replaying = Arc::clone(sns);
    let replays = sns.host.background("replays", move |lane| {
        let sns = Arc::clone(&replaying);
        async move {
            log("a replay", replay_all(&sns, &lane).await);
            None
        }
    });
    let _ = sns.wakers.set(Wakers { jobs: jobs::waker(sns), fanouts, replays });
    let clearing = Arc::clone(sns);
    sns.host.janitor(&Waker::default(), move || {
        let sns = Arc::clone(&clearing);
        async move { clean_up(&sns).await }
    });
}

fn log<T>(what: &str, result: Result<T>) -> Option<T> {
    result.map_err(|error| tracing::warn!(%error, "{what} failed; it is tried again")).ok()
}

/// Sends the parts of large publishes, one after the other.
async fn fan_out(sns: &Sns, lane: &Lane) -> Result<Option<Timestamp>> {
    let scope = lane_scope(lane);
    loop {
        let clock = sns.host.clocks().lane(lane.as_str());
        if sns.outbox.waiting() > MOST_WAITING {
            // Real time would do as well: the queue is drained by other processes.
            return Ok(Some(clock.now().plus(std::time::Duration::from_secs(1))));
        }
        let first = sns
            .store
            .read(|snapshot| Ok::<_, Error>(snapshot.first(&FANOUTS, &scope, Range::all(), Order::Ascending)?));
        let Some((key, fanout)) = first.await? else { return Ok(None) };
        send_part(sns, &scope, &key, &fanout, clock.now()).await?;
        tokio::task::yield_now().await;
    }
}

async fn send_part(sns: &Sns, scope: &Scope, key: &(u64, u64), fanout: &Fanout, now: Timestamp) -> Result<()> {
    let Fanout { place, topic_id, message, .. } = fanout;
    let found = sns
        .store
        .read(|snapshot| {
            let known = match topic(snapshot, place) {
                Ok(known) if known.id == *topic_id => known,
                Ok(_) | Err(Error::NotFound(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            let mut subscriptions = Vec::new();
            for id in &fanout.subscriptions {
                subscriptions
                    .extend(snapshot.get(&SUBSCRIPTIONS, &place.scope(), &(*topic_id, id.as_str()))?.map(Arc::new));
            }
            Ok::<_, Error>(Some((known, subscriptions)))
        })
        .await?;
    let Some((known, subscriptions)) = found else {
        return sns.store.write(|tx| Ok::<_, Error>(tx.delete(&FANOUTS, scope, key)?)).await;
    };
    let topic_arn = place.arn().to_string();
    let signatures = sns.signatures(&known, &topic_arn, message, &subscriptions).await?;
    let cause = Cause::root(message.id.clone(), topic_arn.clone());
    let sending =
        Sending { place, topic: &known, topic_arn, message, signatures: &signatures, cause: &cause, now, replay: None };
    let put = sns
        .store
        .write(|tx| {
            let mut put = Put::default();
            subscriptions.iter().try_for_each(|one| sending.put(sns, tx, one, &mut put))?;
            tx.delete(&FANOUTS, scope, key)?;
            Ok::<_, Error>(put)
        })
        .await?;
    put.go(sns, &place.world.lane);
    Ok(())
}

/// Takes every replay of a lane to its end.
async fn replay_all(sns: &Sns, lane: &Lane) -> Result<()> {
    let scope = lane_scope(lane);
    let mut after = String::new();
    loop {
        let next = sns
            .store
            .read(|snapshot| {
                let range = Range::all().after(&(after.as_str(),));
                Ok::<_, Error>(snapshot.first(&REPLAYS, &scope, range, Order::Ascending)?)
            })
            .await?;
        let Some(((id,), _)) = next else { return Ok(()) };
        while sns.outbox.waiting() <= MOST_WAITING && replay_some(sns, lane, &id).await? {
            tokio::task::yield_now().await;
        }
        after = id;
    }
}

/// Sends the next messages of a replay; false when it has ended.
async fn replay_some(sns: &Sns, lane: &Lane, id: &str) -> Result<bool> {
    let scope = &lane_scope(lane);
    let (put, more) = sns
        .store
        .write(|tx| {
            let mut put = Put::default();
            let Some(replay) = tx.get(&REPLAYS, scope, &(id,))? else { return Ok((put, false)) };
            let more = replay_in(sns, tx, &replay, &mut put)?;
            match &more {
                Some(after) => tx.put(&REPLAYS, scope, &(id,), &Replay { after: *after, ..replay })?,
                None => tx.delete(&REPLAYS, scope, &(id,))?,
            }
            Ok::<_, Error>((put, more.is_some()))
        })
        .await?;
    put.go(sns, lane);
    Ok(more)
}

/// Puts what is next; where it stands after that, none at the end.
fn replay_in(sns: &Sns, tx: &mut Transaction<'_>, replay: &Replay, put: &mut Put) -> Result<Option<(Timestamp, u64)>> {
    let place = &replay.place;
    let scope = place.scope();
    let known = match topic(tx, place) {
        Ok(known) if known.id == replay.topic_id => known,
        Ok(_) | Err(Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(to) = tx.get(&SUBSCRIPTIONS, &scope, &(known.id, replay.subscription.as_str()))? else { return Ok(None) };
    let range =
        Range::prefix(&(known.id,)).after(&(known.id, replay.after.0, replay.after.1)).to(&(known.id, replay.end));
    let entries = tx.range(&ARCHIVE, &scope, range, Order::Ascending)?.take(REPLAYED_AT_ONCE);
    let messages: Vec<((u64, Timestamp, u64), Message)> = entries.collect::<Result<_, _>>()?;
    let pattern = filter(&to.attributes).map_err(Error::Internal)?;
    let now = tx.now(&scope);
    for ((_, _, number), message) in &messages {
        if *number > replay.last {
            return Ok(None);
        }
        if pattern.as_ref().is_none_or(|pattern| passes(pattern, dialect(&to.attributes), message)) {
            replay_one(sns, tx, replay, &known, &to, message, now, put)?;
        }
    }
    let last = messages.last().map(|((_, at, number), _)| (*at, *number));
    Ok(last.filter(|_| messages.len() == REPLAYED_AT_ONCE))
}

#[allow(clippy::too_many_arguments)]
fn replay_one(
    sns: &Sns,
    tx: &mut Transaction<'_>,
    replay: &Replay,
    known: &crate::store::Topic,
    to: &Subscription,
    message: &Message,
    now: Timestamp,
    put: &mut Put,
) -> Result<()> {
    let topic_arn = replay.place.arn().to_string();
    let sending = Sending {
        place: &replay.place,
        topic: known,
        cause: &Cause::root(message.id.clone(), topic_arn.clone()),
        topic_arn,
        message,
        signatures: &Default::default(),
        now,
        replay: Some(&replay.policy),
    };
    sending.put(sns, tx, to, put)
}

/// One round: what lies under deleted topics is cleared.
pub async fn clean_up(sns: &Sns) -> Result<()> {
    for (world, region) in sns.host.places(DISCARDED.name()).await? {
        while sns.store.write(|tx| clear_discarded(tx, &world, &region)).await? {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Clears a piece of what the first deleted topic left; says whether there is more to do.
fn clear_discarded(tx: &mut Transaction<'_>, world: &World, region: &Region) -> Result<bool> {
    let scope = Scope::regional(world, region);
    let first = tx.first(&DISCARDED, &scope, Range::all(), Order::Ascending)?;
    let Some(((id,), discarded)) = first else { return Ok(false) };
    let prefix = (id,);
    let entries = tx.range(&SUBSCRIPTIONS, &scope, Range::prefix(&prefix), Order::Ascending)?.take(CLEARED_AT_ONCE);
    let subscriptions = entries.collect::<Result<Vec<_>, _>>()?;
    for (key, one) in &subscriptions {
        let owner = Scope::regional(&world.with_account(one.owner.clone()), region);
        let owned = (world.account.as_str(), discarded.name.as_str(), one.id.as_str());
        tx.delete(&OWNED, &owner, &owned)?;
        tx.delete(&TOKENS, &scope, &(one.token.as_str(),))?;
        tx.delete(&SUBSCRIPTIONS, &scope, key)?;
    }
    let mut left = CLEARED_AT_ONCE - subscriptions.len();
    clear(tx, &scope, &BY_ENDPOINT, &prefix, &mut left)?;
    clear(tx, &scope, &PENDING, &prefix, &mut left)?;
    clear(tx, &scope, &CHANGES, &prefix, &mut left)?;
    clear(tx, &scope, &ARCHIVE, &prefix, &mut left)?;
    if left > 0 {
        tx.delete(&SEQUENCES, &scope, &prefix)?;
        tx.delete(&DISCARDED, &scope, &prefix)?;
    }
    Ok(true)
}

fn clear<K, V>(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    collection: &Collection<K, V>,
    prefix: &impl PrefixOf<K>,
    left: &mut usize,
) -> Result<()>
where
    K: Key + KeyOf<K>,
{
    let keys = tx.keys(collection, scope, Range::prefix(prefix), Order::Ascending)?.take(*left);
    let keys = keys.collect::<Result<Vec<K>, _>>()?;
    *left -= keys.len();
    for key in keys {
        tx.delete(collection, scope, &key)?;
    }
    Ok(())
}
