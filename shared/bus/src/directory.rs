//! Who is there, as announced.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_clock::Stopwatch;
use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::contracts::{Gone, Presence, Status};
use crate::{Bus, BusState, Heard, Hears, Publishers, Subscription};

/// Service name to its replicas, sorted by replica id.
pub type Replicas = Arc<BTreeMap<String, Vec<Presence>>>;

/// A view of all announced replicas that follows their starts and stops; clones share it.
#[derive(Clone)]
#[must_use = "dropping it ends the watch"]
pub struct Directory {
    replicas: watch::Receiver<Replicas>,
    _stop: Arc<DropGuard>,
}

impl Directory {
    /// All services now.
    pub fn all(&self) -> Replicas {
        Arc::clone(&self.replicas.borrow())
    }

    /// The replicas of `service` that take requests now.
    pub fn ready(&self, service: &str) -> Vec<Presence> {
        let all = self.replicas.borrow();
        let replicas = all.get(service).map(Vec::as_slice).unwrap_or_default();
        replicas.iter().filter(|replica| replica.status == Status::Ready).cloned().collect()
    }

    /// Marked changed whenever somebody comes, changes or leaves.
    pub fn changes(&self) -> watch::Receiver<Replicas> {
        self.replicas.clone()
    }

    /// Waits until a replica of `service` takes requests.
    pub async fn wait_for(&self, service: &str) -> Option<Presence> {
        let mut replicas = self.replicas.clone();
        let is_ready = |replica: &&Presence| replica.status == Status::Ready;
        let found =
            replicas.wait_for(|all| all.get(service).is_some_and(|list| list.iter().any(|r| is_ready(&r)))).await;
        found.ok()?.get(service)?.iter().find(is_ready).cloned()
    }
}

impl Bus {
    /// Starts to watch who is there.
    pub fn directory(&self) -> Directory {
        let (sender, replicas) = watch::channel(Replicas::default());
        let stop = CancellationToken::new();
        let watching = Watching {
            present: self.subscribe(Publishers::Any, Hears::EveryReplica),
            gone: self.subscribe(Publishers::Any, Hears::EveryReplica),
            bus: self.clone(),
            known: HashMap::new(),
            left: HashMap::new(),
            silence: self.inner.config.heartbeat * 3 + Duration::from_secs(1),
            sender,
        };
        let stopping = stop.clone();
        let watching = async move {
            stopping.run_until_cancelled(watching.run()).await;
        };
        tokio::spawn(watching.boxed());
        Directory { replicas, _stop: Arc::new(stop.drop_guard()) }
    }
}

struct Watching {
    present: Subscription<Presence>,
    gone: Subscription<Gone>,
    /// Held so that the connection lives as long as the watch does.
    bus: Bus,
    known: HashMap<(String, String), (Presence, Stopwatch)>,
    /// Who said goodbye lately, or had it said: an announcement of theirs that the goodbye overtook brings nobody back.
    left: HashMap<(String, String), Stopwatch>,
    silence: Duration,
    sender: watch::Sender<Replicas>,
}

/// Entries of a directory: far more than any stack has, and a bound against a flood of announcements.
const MOST_REPLICAS: usize = 10_000;

impl Watching {
    async fn run(mut self) {
        self.present.ready().await;
        self.gone.ready().await;
        self.ask();
        // Real time, as heart-beats are.
        let mut tick = tokio::time::interval(self.silence / 8);
        loop {
            tokio::select! {
                heard = self.present.next() => match heard {
                    Some(Heard::Event { event, .. }) => self.note(event),
                    Some(Heard::Missed) => self.look_again(),
                    None => return,
                },
                heard = self.gone.next() => match heard {
                    Some(Heard::Event { event, .. }) => self.let_go(event),
                    Some(Heard::Missed) => {}
                    None => return,
                },
                _ = tick.tick() => self.forget_the_silent(),
            }
        }
    }

    /// Asks all to say that they are there, by an announcement of theirs that everybody hears.
    fn ask(&self) {
        let Ok(live) = self.bus.live() else { return };
        let subject = crate::announce::WHO_IS_THERE.replace('*', self.bus.service());
        let _ = crate::events::send_now(&live, subject, async_nats::HeaderMap::new(), Bytes::new());
    }

    fn look_again(&mut self) {
        // Everybody gets the time to announce again: nobody could while NATS was away.
        for (_, heard) in self.known.values_mut() {
            *heard = Stopwatch::start();
        }
        self.ask();
    }

    /// Announcements and goodbyes come by two subscriptions, in no order between them; a replica's id is of one process's
    /// life, so that nobody who left comes back by it.
    fn let_go(&mut self, gone: Gone) {
        let key = (gone.service, gone.replica);
        if self.known.remove(&key).is_some() {
            self.tell();
        }
        if self.left.len() < MOST_REPLICAS {
            self.left.insert(key, Stopwatch::start());
        }
    }

    fn note(&mut self, presence: Presence) {
        let key = (presence.service.clone(), presence.replica.clone());
        if self.left.contains_key(&key) {
            return;
        }
        let full = self.known.len() >= MOST_REPLICAS;
        match self.known.get_mut(&key) {
            Some((known, heard)) => {
                *heard = Stopwatch::start();
                if *known == presence {
                    return;
                }
                *known = presence;
            }
            None if !full => {
                self.known.insert(key, (presence, Stopwatch::start()));
            }
            None => return,
        }
        self.tell();
    }

    fn forget_the_silent(&mut self) {
        let silence = self.silence;
        self.left.retain(|_, since| since.elapsed() < silence);
        if *self.bus.state().borrow() != BusState::Connected {
            return;
        }
        let before = self.known.len();
        self.known.retain(|_, (_, heard)| heard.elapsed() < silence);
        if self.known.len() != before {
            self.tell();
        }
    }

    fn tell(&self) {
        let mut replicas: BTreeMap<String, Vec<Presence>> = BTreeMap::new();
        for (presence, _) in self.known.values() {
            replicas.entry(presence.service.clone()).or_default().push(presence.clone());
        }
        for list in replicas.values_mut() {
            list.sort_by(|a, b| a.replica.cmp(&b.replica));
        }
        self.sender.send_replace(Arc::new(replicas));
    }
}
