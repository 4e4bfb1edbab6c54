//! From a started service to a served one, and to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use fractus_bus::Announced;
use fractus_bus::contracts::{Presence, Status};
use fractus_clock::{Clock, Stopwatch};

use crate::background;
use crate::control;
use crate::credentials;
use crate::host::Host;
use crate::operations::TableError;
use crate::permissions;
use crate::requests::{RequestLog, Requests};
use crate::serve::Server;
use crate::server::{Connections, ListenError, Sockets};
use crate::service::App;

/// Why a started service cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("this host serves a service already")]
    Taken,
}

/// A service that is served. [`Running::stop`] ends it cleanly; dropping it cuts it off.
pub struct Running {
    /// `http://127.0.0.1:41234`.
    pub url: String,
    pub address: SocketAddr,
    host: Host,
    connections: Connections,
    announced: Option<Announced>,
    _log: Option<RequestLog>,
}

/// Serves `app` in `host`: listens, hears what the stack says, announces itself.
pub async fn launch(host: &Host, app: App) -> Result<Running, LaunchError> {
    let table = app.table?;
    let signing_names = table.apis.iter().map(|api| api.signing_name).collect();
    if host.inner.service.set(Arc::downgrade(&app.service)).is_err()
        || host.inner.signing_names.set(signing_names).is_err()
    {
        return Err(LaunchError::Taken);
    }
    let config = host.config();
    let sockets = Sockets::bind(config).await?;
    let address = sockets.tcp.local_addr().map_err(|source| ListenError { address: config.listen.clone(), source })?;
    let requests = Requests::new(config.remembered_requests, table.entries.len());
    let log = host.inner.logs_requests().then(|| requests.log(host.name(), config.log_format));
    let server = Arc::new(Server {
        host: host.clone(),
        service: app.service,
        table,
        requests,
        started: Stopwatch::start(),
        connections: AtomicUsize::new(0),
        body_timeout: Duration::from_secs(config.body_timeout_secs),
        real_clock: Clock::real(),
    });
    credentials::follow_changes(host);
    permissions::follow_changes(host);
    control::follow(host);
    background::sweep_store(host);
    let connections = Connections::new(config);
    sockets.serve(&server, &connections);
    let url = format!("http://{}", reachable(address, config.nats_url.as_deref()));
    let announced = host.bus().announce(presence(host, &url));
    if !host.inner.readiness.is_ready() {
        // Whoever watches may send requests already; they wait no shorter elsewhere.
        tracing::info!(pending = ?host.inner.readiness.pending(), "listening, not ready yet");
    }
    Ok(Running { url, address, host: host.clone(), connections, announced: Some(announced), _log: log })
}

/// An address that clients can use. One that listens everywhere is reached at the address from which this machine talks
/// to the bus: in a container that is its own in the stack's network, beside a NATS on this machine it is the loopback.
fn reachable(address: SocketAddr, nats_url: Option<&str>) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => {
            nats_url.and_then(address_towards).unwrap_or_else(|| std::net::Ipv4Addr::LOCALHOST.into())
        }
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// The IPv4 address that the system would send from to the URL's host; connecting a UDP socket sends nothing.
fn address_towards(url: &str) -> Option<std::net::IpAddr> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next()?;
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = host_and_port.rsplit_once(':').unwrap_or((host_and_port, "4222"));
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((host, port.parse().ok()?)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

fn presence(host: &Host, url: &str) -> Presence {
    let config = host.config();
    let mut metadata = std::collections::BTreeMap::new();
    metadata.extend(config.handoff_socket.clone().map(|path| ("handoff".to_owned(), path)));
    Presence {
        service: host.name().to_owned(),
        replica: host.bus().instance().to_owned(),
        version: host.version().to_owned(),
        status: if host.inner.readiness.is_ready() { Status::Ready } else { Status::Starting },
        url: url.to_owned(),
        socket: config.listen_unix.clone(),
        health: Some("/_fractus/ready".to_owned()),
        pid: Some(std::process::id()),
        metadata,
    }
}

impl Running {
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Completes when the service is ready, and tells the stack so.
    pub async fn ready(&self) {
        self.host.inner.readiness.reached().await;
        if let Some(announced) = &self.announced {
            announced.set_status(Status::Ready);
        }
    }

    /// Not ready; running requests and tasks end within the grace; then everything is closed. The names of what had to
    /// be cut off.
    pub async fn stop(mut self) -> Vec<String> {
        let grace = Duration::from_secs(self.host.config().drain_grace_secs);
        self.host.inner.readiness.drain();
        if let Some(announced) = &self.announced {
            announced.set_status(Status::Draining);
        }
        let begun = Stopwatch::start();
        self.connections.tracker.close();
        self.connections.draining.cancel();
        // Tasks that answer requests (long polls) hear of the end at once, so that requests end soon.
        let draining = self.host.inner.tasks.draining();
        draining.cancel();
        let mut late = Vec::new();
        if tokio::time::timeout(grace, self.connections.tracker.wait()).await.is_err() {
            late.push(format!("{} connections", self.connections.tracker.len()));
        }
        let left = grace.saturating_sub(begun.elapsed()).max(Duration::from_millis(100));
        late.extend(self.host.inner.tasks.end(left).await);
        let left = grace.saturating_sub(begun.elapsed()).max(Duration::from_millis(100));
        if tokio::time::timeout(left, self.host.bus().shutdown()).await.is_err() {
            late.push("bus".to_owned());
        }
        if let Some(announced) = self.announced.take() {
            let _ = tokio::time::timeout(Duration::from_millis(200), announced.leave()).await;
        }
        self.host.let_go();
        late
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.connections.draining.cancel();
        self.host.inner.tasks.draining().cancel();
        self.host.let_go();
    }
}
