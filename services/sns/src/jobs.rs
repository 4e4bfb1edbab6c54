//! Requests and mails on their way: read from the store when they are due by their lane's clock, some at a time, tried
//! again by their policies, and in the end brought to their dead-letter queues.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use fractus_aws::Lane;
use fractus_bus::contracts::Delivery;
use fractus_clock::Timestamp;
use fractus_store::{Order, Range};
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::model::delivery_policy::Retry;
use crate::sending::dead_letter_delivery;
use crate::service::Sns;
use crate::status_logs::{Entry, Wish};
use crate::store::{HttpRequest, JOBS, Job, Outgoing, TOPICS, lane_scope};

/// Jobs under way at once.
const AT_ONCE: usize = 64;

type Key = (Timestamp, String);

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Attempt {
    Done {
        status: u16,
    },
    /// Worth another try.
    Failed {
        reason: String,
        status: Option<u16>,
    },
    /// The endpoint does not want it: SNS does not try again where a client is to blame.
    Refused {
        reason: String,
        status: Option<u16>,
    },
}

/// What one process knows of its jobs.
#[derive(Default)]
struct Desk {
    under_way: Mutex<HashSet<(Lane, Key)>>,
    /// The last turn that was given to a subscription whose endpoint takes only so many a second.
    turns: Mutex<HashMap<(Lane, String), Timestamp>>,
}

/// Subscriptions whose turns are remembered; beyond it all are forgotten at once.
const MAX_TURNS: usize = 10_000;

impl Desk {
    /// When a job may be sent, where it has to wait for its turn.
    fn turn(&self, lane: &Lane, job: &Job, now: Timestamp) -> Option<Timestamp> {
        let Outgoing::Request(request) = &job.what else { return None };
        let rate = request.max_per_second.filter(|_| !job.has_turn)?;
        let mut turns = self.turns.lock();
        if turns.len() >= MAX_TURNS {
            turns.clear();
        }
        let last = turns.entry((lane.clone(), job.subscription.clone())).or_insert(Timestamp::EPOCH);
        *last = now.max(last.plus(Duration::from_secs(1) / rate));
        Some(*last).filter(|turn| *turn > now)
    }
}

/// Begins to send; [`Sns::wakers`] wakes it.
pub fn waker(sns: &Arc<Sns>) -> fractus_host::Waker {
    let (sns, desk) = (Arc::clone(sns), Arc::<Desk>::default());
    let host = sns.host.clone();
    host.background("requests and mails", move |lane| {
        let (sns, desk) = (Arc::clone(&sns), Arc::clone(&desk));
        async move {
            round(&sns, &lane, &desk).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "requests and mails cannot be sent; it is tried again");
                None
            })
        }
    })
}

/// Starts what is due; when the next one is.
async fn round(sns: &Arc<Sns>, lane: &Lane, desk: &Arc<Desk>) -> Result<Option<Timestamp>> {
    let (scope, now) = (lane_scope(lane), sns.host.clocks().lane(lane.as_str()).now());
    // What is under way now may be settled while the store is read, and then looks as if it had not begun.
    let busy = desk.under_way.lock().clone();
    let (due, next) = sns
        .store
        .read(|snapshot| {
            let (mut due, mut next) = (Vec::new(), None);
            for entry in snapshot.range(&JOBS, &scope, Range::all(), Order::Ascending)?.take(4 * AT_ONCE) {
                let (key, job) = entry?;
                if key.0 > now {
                    next = Some(key.0);
                    break;
                }
                due.push((key, job));
            }
            Ok::<_, Error>((due, next))
        })
        .await?;
    let mut next = next;
    for (key, job) in due {
        let claim = (lane.clone(), key.clone());
        if busy.contains(&claim) {
            continue;
        }
        {
            let mut under_way = desk.under_way.lock();
            if under_way.len() >= AT_ONCE {
                break;
            }
            under_way.insert(claim);
        }
        if let Some(turn) = desk.turn(lane, &job, now) {
            let moved = Job { has_turn: true, ..job };
            move_to(sns, lane, &key, turn, &moved).await?;
            desk.under_way.lock().remove(&(lane.clone(), key));
            next = Some(next.map_or(turn, |next: Timestamp| next.min(turn)));
            continue;
        }
        begin(sns, lane, desk, key, job);
    }
    Ok(next)
}

/// Gives a job another moment.
async fn move_to(sns: &Sns, lane: &Lane, key: &Key, to: Timestamp, job: &Job) -> Result<()> {
    let scope = lane_scope(lane);
    sns.store
        .write(|tx| {
            tx.delete(&JOBS, &scope, key)?;
            Ok::<_, Error>(tx.put(&JOBS, &scope, &(to, key.1.clone()), job)?)
        })
        .await
}

/// Sends in a task of its own.
fn begin(sns: &Arc<Sns>, lane: &Lane, desk: &Arc<Desk>, key: Key, job: Job) {
    let (sns, lane, desk) = (Arc::clone(sns), lane.clone(), Arc::clone(desk));
    let host = sns.host.clone();
    host.spawn("request or mail", async move {
        let attempt = attempt(&sns, &lane, &job).await;
        if let Err(error) = settle(&sns, &lane, &key, job, attempt).await {
            tracing::warn!(%error, "the outcome of a request or mail is not kept; it is tried again");
        }
        desk.under_way.lock().remove(&(lane.clone(), key));
        if let Some(wakers) = sns.wakers.get() {
            wakers.jobs.wake_in(&lane);
        }
    });
}

async fn attempt(sns: &Sns, lane: &Lane, job: &Job) -> Attempt {
    match &job.what {
        Outgoing::Request(request) => {
            let post = match post(request) {
                Ok(post) => post,
                Err(error) => return Attempt::Failed { reason: error.to_string(), status: None },
            };
            match sns.http.status_of(post).await {
                Ok(status) => judged(status.as_u16()),
                Err(error) => Attempt::Failed { reason: error.to_string(), status: None },
            }
        }
        Outgoing::Mail(mail) => {
            let Some(relay) = &sns.relay else { return Attempt::Done { status: 250 } };
            let now = sns.host.clocks().lane(lane.as_str()).now();
            let sent_at = UNIX_EPOCH + Duration::from_micros(u64::try_from(now.micros()).unwrap_or(0));
            match relay.send(mail, sent_at).await {
                Ok(()) => Attempt::Done { status: 250 },
                Err((reason, true)) => Attempt::Failed { reason, status: None },
                Err((reason, false)) => Attempt::Refused { reason, status: None },
            }
        }
    }
}

/// What an endpoint is sent. A name and a password in its URL go along as basic authorization.
/// <https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.subscribe.html>
fn post(request: &HttpRequest) -> Result<http::Request<Bytes>, http::Error> {
    let mut builder = http::Request::post(&request.url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder.body(Bytes::from(request.body.clone()))
}

/// 2xx to 4xx other than 429 end it, as they do on AWS: only a server's trouble is worth another try.
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>
fn judged(status: u16) -> Attempt {
    match status {
        200..=299 => Attempt::Done { status },
        429 | 500..=599 => Attempt::Failed { reason: format!("status {status}"), status: Some(status) },
        _ => Attempt::Refused { reason: format!("status {status}"), status: Some(status) },
    }
}

/// The pause before the next try; none when there is none.
fn pause(job: &Job) -> Option<Duration> {
    match &job.what {
        Outgoing::Request(request) => {
            let retry: Retry = serde_json::from_str(&request.retry).unwrap_or_default();
            retry.delay(job.retries + 1)
        }
        Outgoing::Mail(_) => Retry::MAIL.delay(job.retries + 1),
    }
}

async fn settle(sns: &Sns, lane: &Lane, key: &Key, job: Job, attempt: Attempt) -> Result<()> {
    let now = sns.host.clocks().lane(lane.as_str()).now();
    let scope = lane_scope(lane);
    let pause = if matches!(attempt, Attempt::Failed { .. }) { pause(&job) } else { None };
    let handoffs = sns
        .store
        .write(|tx| {
            // A reset may have forgotten it meanwhile.
            if !tx.contains(&JOBS, &scope, key)? {
                return Ok(Vec::new());
            }
            tx.delete(&JOBS, &scope, key)?;
            if let Some(pause) = pause {
                let again = Job { retries: job.retries + 1, has_turn: false, ..job.clone() };
                tx.put(&JOBS, &scope, &(now.plus(pause), key.1.clone()), &again)?;
                return Ok(Vec::new());
            }
            let mut handoffs = Vec::new();
            let queue = match &job.what {
                Outgoing::Request(request) => request.dead_letter.as_deref(),
                Outgoing::Mail(mail) => mail.dead_letter.as_deref(),
            };
            if !matches!(attempt, Attempt::Done { .. })
                && let Some(dead) = queue.and_then(|queue| dead_letter_delivery(&job, queue, now))
            {
                handoffs.push(sns.outbox.put(tx, &dead)?);
            }
            let topic = tx.get_shared(&TOPICS, &job.place.scope(), &(job.place.name.as_str(),))?;
            if let Some(log) = topic.and_then(|topic| status_log(sns, &topic, &job, &attempt, now)) {
                handoffs.push(sns.outbox.put(tx, &log)?);
            }
            Ok::<_, Error>(handoffs)
        })
        .await?;
    if let (Attempt::Failed { reason, .. } | Attempt::Refused { reason, .. }, None) = (&attempt, pause) {
        tracing::debug!(topic = %job.place.arn(), subscription = job.subscription, reason, "a message could not be delivered");
    }
    drop(handoffs);
    Ok(())
}

/// The delivery status log of an HTTP endpoint, where the topic asks for one.
fn status_log(
    sns: &Sns,
    topic: &crate::store::Topic,
    job: &Job,
    attempt: &Attempt,
    now: Timestamp,
) -> Option<Delivery> {
    let Outgoing::Request(request) = &job.what else { return None };
    let (status, succeeded, response) = match attempt {
        Attempt::Done { status } => (Some(*status), true, "OK".to_owned()),
        Attempt::Failed { reason, status } | Attempt::Refused { reason, status } => (*status, false, reason.clone()),
    };
    let wish = Wish::of(&topic.attributes, "http");
    let role = wish.role(succeeded, sns.host.random())?;
    let entry = Entry {
        place: &job.place,
        log: job.place.name.as_str(),
        role,
        message_id: &request.message_id,
        md5: request.md5.as_deref(),
        published_at: job.begun_at,
        destination: &request.url,
        response,
        attempts: job.retries + 1,
        status,
        succeeded,
        now,
    };
    Some(entry.delivery(sns.host.random()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_one_another() {
        let desk = Desk::default();
        let request = crate::store::HttpRequest {
            url: String::new(),
            headers: Vec::new(),
            body: String::new(),
            message_id: String::new(),
            is_confirmation: false,
            retry: String::new(),
            max_per_second: Some(2),
            dead_letter: None,
            attributes: Default::default(),
            md5: None,
        };
        let place = crate::store::Place {
            world: fractus_aws::World::default_world(),
            region: fractus_aws::Region::us_east_1(),
            name: "t".into(),
        };
        let now = Timestamp::from_secs(100);
        let what = Outgoing::Request(request);
        let job = Job { place, subscription: "s".into(), what, retries: 0, has_turn: false, begun_at: now };
        let turn = || desk.turn(&Lane::main(), &job, now).map(|turn| turn.since(now).as_millis());
        assert_eq!([turn(), turn(), turn()], [None, Some(500), Some(1_000)]);
        assert_eq!(desk.turn(&Lane::main(), &Job { has_turn: true, ..job.clone() }, now), None);
    }

    #[test]
    fn only_a_servers_trouble_is_worth_another_try() {
        assert_eq!(judged(204), Attempt::Done { status: 204 });
        assert!(matches!(judged(503), Attempt::Failed { .. }));
        assert!(matches!(judged(429), Attempt::Failed { .. }));
        assert!(matches!(judged(404), Attempt::Refused { .. }));
        assert!(matches!(judged(302), Attempt::Refused { .. }));
    }
}
