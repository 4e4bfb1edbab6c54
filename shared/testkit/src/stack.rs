//! A set of services and what they share.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tempfile::TempDir;

use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusConfig};
use fractus_clock::{Clock, Clocks, Random, Timestamp};
use fractus_host::config::AuthMode;
use fractus_host::{App, Host, HostConfig, HostParts, Running, launch};
use fractus_store::Store;

use crate::{Client, http};

type Start = Arc<dyn Fn(Host) -> BoxFuture<'static, Result<App, String>> + Send + Sync>;

/// Describes a stack; [`StackBuilder::start`] makes it.
pub struct StackBuilder {
    services: Vec<(&'static str, Start)>,
    config: HostConfig,
    seed: u64,
    clock: Option<Clock>,
    with_nats: bool,
    on_disk: bool,
}

/// Running services. Dropping it cuts them off and removes their folder.
pub struct Stack {
    services: BTreeMap<&'static str, Running>,
    starts: BTreeMap<&'static str, Start>,
    config: HostConfig,
    clocks: Clocks,
    seed: u64,
    nats: Option<NatsServer>,
    folder: TempDir,
}

impl Stack {
    /// In memory, without NATS, on real time, with a fixed seed. (The builder; the name reads well in tests.)
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> StackBuilder {
        let config = HostConfig { log_requests: false, drain_grace_secs: 5, ..HostConfig::default() };
        StackBuilder { services: Vec::new(), config, seed: 1, clock: None, with_nats: false, on_disk: false }
    }

    /// `http://127.0.0.1:41234`.
    ///
    /// # Panics
    /// When the stack has no such service.
    pub fn url(&self, service: &str) -> &str {
        &self.running(service).url
    }

    /// A client of a service.
    pub fn client(&self, service: &str) -> Client {
        Client::new(self.url(service))
    }

    /// From now on an operation of a service fails so, in calls and deliveries; with nothing it works again.
    ///
    /// # Panics
    /// When the service does not take the rule.
    pub async fn fail(&self, service: &str, operation: &str, error: Option<Value>) {
        let rules: Vec<Value> =
            error.map(|error| json!({ "operation": operation, "error": error })).into_iter().collect();
        let (status, told) = http::post_json(&format!("{}/_fractus/faults", self.url(service)), &json!(rules)).await;
        assert_eq!(status, 200, "{told}");
    }

    /// How many records a collection of a service has.
    pub async fn count(&self, service: &str, collection: &str) -> usize {
        let url = format!("{}/_fractus/state/records?collection={collection}", self.url(service));
        http::get_json(&url).await.1["records"].as_array().map_or(0, Vec::len)
    }

    pub fn host(&self, service: &str) -> &Host {
        self.running(service).host()
    }

    /// The clock of lane `main`, which all services of the stack share.
    pub fn clock(&self) -> Clock {
        self.clocks.lane("main")
    }

    pub fn clock_of(&self, lane: &str) -> Clock {
        self.clocks.lane(lane)
    }

    /// The stack's nats-server.
    ///
    /// # Panics
    /// When the stack was built without one.
    pub fn nats(&mut self) -> &mut NatsServer {
        self.nats.as_mut().expect("the stack was built with_nats")
    }

    /// Ends a service cleanly.
    pub async fn stop(&mut self, service: &str) -> Vec<String> {
        let (_, running) = self.services.remove_entry(service).unwrap_or_else(|| panic!("no service {service:?}"));
        running.stop().await
    }

    /// Ends a service if it runs, and starts it anew on the same folder: on disk, its state is there again.
    pub async fn restart(&mut self, service: &str) {
        if self.services.contains_key(service) {
            self.stop(service).await;
        }
        let (name, start) =
            self.starts.iter().find(|(name, _)| **name == service).map(|(name, start)| (*name, start.clone())).unwrap();
        let running = self.start_one(name, &start).await;
        self.services.insert(name, running);
    }

    fn running(&self, service: &str) -> &Running {
        self.services.get(service).unwrap_or_else(|| panic!("the stack has no service {service:?}"))
    }

    async fn start_one(&self, name: &'static str, start: &Start) -> Running {
        let random = Random::seeded(self.seed.wrapping_add(name.len() as u64));
        let config = HostConfig { seed: Some(self.seed), ..self.config.clone() };
        let store = Store::open(config.store_config(), name, self.clocks.clone()).await.expect("the store opens");
        // Unique, not repeatable: replicas and restarts must not be taken for one another.
        let instance = Random::system().uuid();
        let bus = Bus::connect(BusConfig::new(config.nats_url.clone(), name, instance));
        let parts = HostParts {
            name,
            version: env!("CARGO_PKG_VERSION"),
            config,
            clocks: self.clocks.clone(),
            random,
            store,
            bus,
        };
        let host = Host::new(parts);
        let app = start(host.clone()).await.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let running = launch(&host, app).await.unwrap_or_else(|error| panic!("{name} cannot be served: {error}"));
        running.ready().await;
        running
    }
}

impl StackBuilder {
    /// Adds a service by its start function, with whatever settings the test gives it.
    #[must_use]
    pub fn with<F, Fut, E>(mut self, name: &'static str, start: F) -> Self
    where
        F: Fn(Host) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<App, E>> + Send + 'static,
        E: Display,
    {
        let start: Start = Arc::new(move |host| {
            let starting = start(host);
            Box::pin(async move { starting.await.map_err(|error| error.to_string()) })
        });
        self.services.push((name, start));
        self
    }

    /// Lane `main`'s clock stands still at this RFC 3339 time, until the test moves it.
    ///
    /// # Panics
    /// When the text is no time.
    #[must_use]
    pub fn frozen_at(mut self, time: &str) -> Self {
        self.clock = Some(Clock::frozen_at(Timestamp::parse_date_time(time).expect("an RFC 3339 time")));
        self
    }

    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    #[must_use]
    pub fn auth(mut self, auth: AuthMode) -> Self {
        self.config.auth = auth;
        self
    }

    /// State on disk, in the stack's own folder.
    #[must_use]
    pub fn on_disk(mut self) -> Self {
        self.on_disk = true;
        self
    }

    /// State in PostgreSQL.
    #[must_use]
    pub fn on_postgres(mut self, url: &str) -> Self {
        self.config.store = Some(url.to_owned());
        self
    }

    /// A nats-server for this stack alone.
    #[must_use]
    pub fn with_nats(mut self) -> Self {
        self.with_nats = true;
        self
    }

    /// Any other setting.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut HostConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts everything and waits until all are ready.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn start(self) -> Stack {
        let StackBuilder { services, mut config, seed, clock, with_nats, on_disk } = self;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let nats = if with_nats { Some(NatsServer::start().await) } else { None };
        config.nats_url = nats.as_ref().map(|nats| nats.url.clone());
        if on_disk {
            config.data_dir = Some(folder.path().join("data").to_string_lossy().into_owned());
        }
        let clocks = Clocks::default();
        if let Some(clock) = clock {
            clocks.insert("main", clock);
        }
        let starts = services.iter().cloned().collect();
        let mut stack = Stack { services: BTreeMap::new(), starts, config, clocks, seed, nats, folder };
        for (name, start) in &services {
            let running = stack.start_one(name, start).await;
            stack.services.insert(name, running);
        }
        stack
    }
}

impl Stack {
    /// The stack's own folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}
