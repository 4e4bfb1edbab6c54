//! What a service is given at its start.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use http::Uri;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use fractus_aws::{Lane, Region};
use fractus_bus::Bus;
use fractus_clock::{Clocks, Random, Timestamp};
use fractus_store::Store;
use fractus_wire::ServiceSchema;

use crate::background::Waker;
use crate::config::HostConfig;
use crate::credentials::Credentials;
use crate::faults::Faults;
use crate::permissions::Permissions;
use crate::readiness::{Hold, Readiness};
use crate::roles::Roles;
use crate::service::{RequestUuid, Service};
use crate::tasks::Tasks;

/// How long the news of a changed clock is waited for.
const NEWS_OF_A_CLOCK: Duration = Duration::from_secs(3);

/// The process that a service lives in: clocks, randomness, store, bus, settings, tasks. Clones are the same host.
#[derive(Clone)]
pub struct Host {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub name: &'static str,
    pub version: &'static str,
    pub config: HostConfig,
    pub clocks: Clocks,
    pub random: Random,
    pub store: Store,
    pub bus: Bus,
    pub tasks: Tasks,
    pub readiness: Readiness,
    pub credentials: Credentials,
    pub permissions: Permissions,
    pub roles: Roles,
    pub faults: Faults,
    /// Weak, because services hold their host: the running server alone keeps the service.
    pub service: OnceLock<Weak<dyn Service>>,
    pub signing_names: OnceLock<Vec<&'static str>>,
    /// Those of all background work.
    pub wakers: Mutex<Vec<Waker>>,
    request_ids: RequestIds,
    kept: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl Inner {
    /// Whether requests are written to the log at all.
    pub fn logs_requests(&self) -> bool {
        let filter = self.config.log.parse::<tracing_subscriber::filter::Targets>().unwrap_or_default();
        self.config.log_requests && filter.would_enable("request", &tracing::Level::INFO)
    }
}

/// What a host is made of; the process makes it from the settings, tests as they like.
pub struct HostParts {
    pub name: &'static str,
    pub version: &'static str,
    pub config: HostConfig,
    pub clocks: Clocks,
    pub random: Random,
    pub store: Store,
    pub bus: Bus,
}

impl Host {
    pub fn new(parts: HostParts) -> Self {
        let HostParts { name, version, config, clocks, random, store, bus } = parts;
        bus.follow(clocks.clone());
        let request_ids = RequestIds { key: [random.u64(), random.u64()], count: AtomicU64::new(0) };
        let inner = Inner {
            name,
            version,
            config,
            tasks: Tasks::default(),
            readiness: Readiness::default(),
            credentials: Credentials::default(),
            permissions: Permissions::default(),
            roles: Roles::default(),
            faults: Faults::new(random.u64()),
            service: OnceLock::new(),
            signing_names: OnceLock::new(),
            clocks,
            random,
            store,
            bus,
            wakers: Mutex::default(),
            request_ids,
            kept: Mutex::default(),
        };
        Host { inner: Arc::new(inner) }
    }

    /// The service's name, as the AWS CLI calls it.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    pub fn version(&self) -> &'static str {
        self.inner.version
    }

    pub fn config(&self) -> &HostConfig {
        &self.inner.config
    }

    pub fn clocks(&self) -> &Clocks {
        &self.inner.clocks
    }

    /// Waits until a lane's clock here has come to a moment that another service's has. A change of a clock is told to all at
    /// once, and what one of them does by it can be here before it is; taken by the clock of before, a message would be older by
    /// the whole jump as soon as that is heard. Not for long: the clock may have been set back since.
    pub async fn caught_up(&self, lane: &Lane, moment: Timestamp) {
        let clock = self.inner.clocks.lane(lane.as_str());
        if tokio::time::timeout(NEWS_OF_A_CLOCK, clock.sleep_until(moment)).await.is_err() {
            tracing::debug!(%lane, "what is ahead of the lane's clock is taken by the clock as it is");
        }
    }

    pub fn random(&self) -> &Random {
        &self.inner.random
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    /// Where calls to services of the stack go: to a replica that has announced itself, else to the router, which starts an
    /// idle one.
    pub fn resolver(&self) -> impl Fn(&'static ServiceSchema, &Region) -> Option<Uri> + Send + Sync + 'static {
        let (directory, router) = (self.bus().directory(), self.config().router_url.clone());
        move |service, _| {
            let announced = directory.ready(service.api).into_iter().find_map(|replica| replica.url.parse().ok());
            announced.or_else(|| router.as_deref()?.parse().ok())
        }
    }

    /// Runs `task` in the background under a name. On drain it is told by [`Host::draining`] and waited for.
    ///
    /// Tasks are spawned in boxes, here and everywhere: tokio's code for a task is compiled for each type of them, and twice,
    /// since it has two kinds of schedulers.
    pub fn spawn(&self, name: impl Into<String>, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.tasks.spawn(name.into(), Box::pin(task));
    }

    /// Cancelled when the process is to end: finish what you have, take nothing new.
    pub fn draining(&self) -> CancellationToken {
        self.inner.tasks.draining()
    }

    /// Keeps the service from being ready until the hold is dropped (seeding, a first poll, a container).
    pub fn hold_ready(&self, why: impl Into<String>) -> Hold {
        self.inner.readiness.hold(why.into())
    }

    /// Keeps a value as long as the host lives: a served call, a subscription.
    pub fn keep(&self, value: impl Any + Send) {
        self.inner.kept.lock().push(Box::new(value));
    }

    pub(crate) fn next_request_id(&self) -> RequestUuid {
        self.inner.request_ids.next()
    }

    /// The names that requests to this service are signed for.
    pub(crate) fn signing_names(&self) -> Vec<&'static str> {
        self.inner.signing_names.get().cloned().unwrap_or_default()
    }

    pub(crate) fn service(&self) -> Option<Arc<dyn Service>> {
        self.inner.service.get()?.upgrade()
    }

    /// Lets go of what the service asked to be kept; it may hold the service, and with it this host.
    pub(crate) fn let_go(&self) {
        self.inner.kept.lock().clear();
    }
}

/// Unpredictable-looking, never repeated, and made without a lock: a keyed mix of a counter.
struct RequestIds {
    key: [u64; 2],
    count: AtomicU64,
}

impl RequestIds {
    fn next(&self) -> RequestUuid {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let high = mix(count.wrapping_add(self.key[0]));
        let low = mix(high ^ count.wrapping_add(self.key[1]));
        let bits = (u128::from(high) << 64) | u128::from(low);
        // The marks of a version 4 UUID.
        RequestUuid((bits & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62))
    }
}

/// The finaliser of SplitMix64: a permutation of the 64-bit numbers.
pub(crate) fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_version_4_uuids_and_differ() {
        let ids = RequestIds { key: [1, 2], count: AtomicU64::new(0) };
        let texts: std::collections::HashSet<String> = (0..1_000).map(|_| ids.next().hyphenated()).collect();
        assert_eq!(texts.len(), 1_000);
        for text in texts {
            assert_eq!(text.len(), 36);
            assert_eq!(&text[14..15], "4", "{text}");
            assert!("89ab".contains(&text[19..20]), "{text}");
        }
    }
}
