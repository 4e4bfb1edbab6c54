//! Which replicas each service has, and which of them is next.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::RwLock;

use super::endpoint::Endpoint;
use crate::launcher::ServiceStatus;

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
    #[error("no program of that name is installed")]
    NotInstalled,
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
}

impl Target {
    pub fn replicas(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.replicas.load_full()
    }

    /// The replica with the fewest requests in flight, the next in turn among equals; none of `tried`.
    pub fn pick(&self, tried: &[Arc<Endpoint>]) -> Option<Arc<Endpoint>> {
        let replicas = self.replicas.load();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = replicas.len();
        (0..count)
            .map(|step| &replicas[(turn + step) % count])
            .filter(|replica| !tried.iter().any(|tried| Arc::ptr_eq(tried, replica)))
            .min_by_key(|replica| replica.in_flight())
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
        self.replicas.store(Arc::new(replicas.collect()));
    }
}

/// All services' targets.
#[derive(Default)]
pub struct Targets {
    by_service: RwLock<HashMap<String, Arc<Target>>>,
    starter: OnceLock<Arc<dyn Starter>>,
}

/// There is nowhere to send a request.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unavailable {
    #[error("it is not running")]
    NotRunning,
    #[error("it could not be started: {0}")]
    NotStarted(#[from] StartError),
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
        let target = Target {
            service: service.to_owned(),
            kind,
            replicas: ArcSwap::from_pointee(replicas),
            turn: AtomicUsize::new(0),
        };
        self.by_service.write().insert(service.to_owned(), Arc::new(target));
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
        Arc::new(Target {
            service: service.to_owned(),
            kind: TargetKind::Auto,
            replicas: ArcSwap::default(),
            turn: AtomicUsize::new(0),
        })
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
                && let Err(error) = self.ready(&service).await
            {
                tracing::warn!(service, %error, "a service with state is left out");
            }
        }
    }

    /// A target with at least one replica (or real AWS), started if need be.
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
