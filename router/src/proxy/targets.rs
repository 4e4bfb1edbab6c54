//! Which replicas each service has, and which of them is next.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use fractus_clock::Stopwatch;
use parking_lot::{Mutex, RwLock};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::endpoint::Endpoint;
use super::hold::MOST_HELD;
use crate::launcher::ServiceStatus;

/// A service whose last replica left longer ago is not expected back.
const EXPECTED_BACK: Duration = Duration::from_secs(30);

/// Where a service's requests go.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum TargetKind {
    /// To its replicas, as they announce themselves or as the launcher starts them.
    #[default]
    Auto,
    /// To a fixed URL.
    Url(String),
    /// To AWS itself, signed with the user's own credentials.
    Aws,
}

/// Why a service cannot be started.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StartError {
    #[error("no program of its name is installed")]
    NotInstalled,
    #[error("the stack was started without it")]
    NotAsked,
    /// It goes on starting, though the request does not wait for it any longer.
    #[error("it is still starting")]
    Slow,
    #[error("{0}")]
    Failed(String),
}

/// Starts services that are idle; the launcher is one. Without it a service runs or it does not.
pub trait Starter: Send + Sync {
    /// Completes when the service has announced itself, or cannot.
    fn start<'a>(&'a self, service: &'a str) -> Pin<Box<dyn Future<Output = Result<(), StartError>> + Send + 'a>>;

    /// Every service that it can start, and where each is in its life.
    fn statuses(&self) -> Vec<(String, ServiceStatus)>;

    /// Whether an idle service may have state kept from before.
    fn has_state(&self, service: &str) -> bool;
}

#[derive(Debug)]
pub struct Target {
    pub service: String,
    pub kind: TargetKind,
    replicas: ArcSwap<Vec<Arc<Endpoint>>>,
    turn: AtomicUsize,
    /// Since there is no replica any more.
    lost: Mutex<Option<Stopwatch>>,
    changed: Notify,
}

impl Target {
    fn new(service: &str, kind: TargetKind, replicas: Vec<Arc<Endpoint>>) -> Self {
        Target {
            service: service.to_owned(),
            kind,
            replicas: ArcSwap::from_pointee(replicas),
            turn: AtomicUsize::new(0),
            lost: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Completes when the replicas change from now on.
    pub fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Whether there are replicas, or were a short while ago.
    pub fn is_expected(&self) -> bool {
        let lost_lately = || self.lost.lock().as_ref().is_some_and(|lost| lost.elapsed() < EXPECTED_BACK);
        !self.replicas.load().is_empty() || lost_lately()
    }

    pub fn replicas(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.replicas.load_full()
    }

    /// The replica with the fewest requests in flight, the next in turn among equals, one that could not be reached last
    /// time after the others; none of `tried`.
    pub fn pick(&self, tried: &[Arc<Endpoint>]) -> Option<Arc<Endpoint>> {
        let replicas = self.replicas.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = replicas.len();
        (0..count)
            .map(|step| &replicas[(turn + step) % count])
            .filter(|replica| !tried.iter().any(|tried| Arc::ptr_eq(tried, replica)))
            .min_by_key(|replica| (replica.is_unreachable(), replica.in_flight()))
            .cloned()
    }

    /// Takes over what discovery says; replicas that stay keep their connections.
    fn set(&self, wanted: Vec<(String, Option<std::path::PathBuf>)>) {
        let current = self.replicas.load();
        let replicas = wanted.into_iter().filter_map(|(url, handoff)| {
            let kept = current.iter().find(|one| one.url == url && one.handoff_path() == handoff.as_deref());
            kept.cloned().or_else(|| match Endpoint::new(&url, handoff) {
                Ok(endpoint) => Some(Arc::new(endpoint)),
                Err(error) => {
                    tracing::warn!(service = self.service, %error, "an announced replica is left out");
                    None
                }
            })
        });
        let replicas: Vec<_> = replicas.collect();
        if replicas.is_empty() && !current.is_empty() {
            *self.lost.lock() = Some(Stopwatch::start());
        }
        self.replicas.store(Arc::new(replicas));
        self.changed.notify_waiters();
    }
}

/// All services' targets.
pub struct Targets {
    by_service: RwLock<HashMap<String, Arc<Target>>>,
    starter: OnceLock<Arc<dyn Starter>>,
    waiting: Semaphore,
}

impl Default for Targets {
    fn default() -> Self {
        Targets { by_service: RwLock::default(), starter: OnceLock::new(), waiting: Semaphore::new(MOST_HELD) }
    }
}

/// There is nowhere to send a request.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unavailable {
    #[error("it is not running")]
    NotRunning,
    #[error("{0}")]
    Starting(StartError),
    #[error("it could not be started: {0}")]
    NotStarted(StartError),
}

impl From<StartError> for Unavailable {
    fn from(why: StartError) -> Self {
        if why == StartError::Slow { Unavailable::Starting(why) } else { Unavailable::NotStarted(why) }
    }
}

impl Targets {
    pub fn set_starter(&self, starter: Arc<dyn Starter>) {
        if self.starter.set(starter).is_err() {
            tracing::warn!("the starter of services is set already");
        }
    }

    pub fn set_kind(&self, service: &str, kind: TargetKind) -> Result<(), super::connect::InvalidUrl> {
        let replicas = match &kind {
            TargetKind::Url(url) => vec![Arc::new(Endpoint::new(url, None)?)],
            TargetKind::Auto | TargetKind::Aws => Vec::new(),
        };
        self.by_service.write().insert(service.to_owned(), Arc::new(Target::new(service, kind, replicas)));
        Ok(())
    }

    /// The replicas of a service as they are now: URL and hand-off socket. A fixed target stays as it is.
    pub fn set_replicas(&self, service: &str, replicas: Vec<(String, Option<std::path::PathBuf>)>) {
        let absent = self.get(service);
        let target = self.by_service.write().entry(service.to_owned()).or_insert(absent).clone();
        if target.kind == TargetKind::Auto {
            target.set(replicas);
        }
    }

    /// The target of a service; one that nobody has mentioned is an automatic one without replicas.
    pub fn get(&self, service: &str) -> Arc<Target> {
        if let Some(target) = self.by_service.read().get(service) {
            return target.clone();
        }
        Arc::new(Target::new(service, TargetKind::Auto, Vec::new()))
    }

    /// A place among the requests that may be held at once.
    pub fn place_to_wait(&self) -> Option<SemaphorePermit<'_>> {
        self.waiting.try_acquire().ok()
    }

    /// How many more requests may be held.
    pub fn places_to_wait(&self) -> usize {
        self.waiting.available_permits()
    }

    /// The services that are known, running or not.
    pub fn services(&self) -> Vec<Arc<Target>> {
        let mut targets: Vec<_> = self.by_service.read().values().cloned().collect();
        targets.sort_by(|a, b| a.service.cmp(&b.service));
        targets
    }

    /// The services that the launcher stands in for.
    pub fn launched(&self) -> Vec<(String, ServiceStatus)> {
        self.starter.get().map(|starter| starter.statuses()).unwrap_or_default()
    }

    /// Starts the idle services that may have state kept from before: all, or only one.
    pub async fn start_those_with_state(&self, only: Option<&str>) {
        let Some(starter) = self.starter.get() else { return };
        for (service, status) in starter.statuses() {
            let wanted = only.is_none_or(|only| only == service);
            if wanted
                && !matches!(status, ServiceStatus::Ready { .. })
                && starter.has_state(&service)
                && let Err(error) = self.started(&service).await
            {
                tracing::warn!(service, %error, "a service with state is left out");
            }
        }
    }

    /// [`Targets::ready`] for what has to have the service: it waits as long as the service starts.
    pub async fn started(&self, service: &str) -> Result<Arc<Target>, Unavailable> {
        loop {
            match self.ready(service).await {
                Err(Unavailable::Starting(_)) => {}
                told => return told,
            }
        }
    }

    /// A target with at least one replica (or real AWS), started if need be. A start may take longer than this waits.
    pub async fn ready(&self, service: &str) -> Result<Arc<Target>, Unavailable> {
        let target = self.get(service);
        if target.kind != TargetKind::Auto || !target.replicas.load().is_empty() {
            return Ok(target);
        }
        let starter = self.starter.get().ok_or(Unavailable::NotRunning)?;
        starter.start(service).await?;
        let target = self.get(service);
        if target.replicas.load().is_empty() { Err(Unavailable::NotRunning) } else { Ok(target) }
    }
}
