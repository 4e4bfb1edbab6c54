//! One replica of a service: its address, its open connections, and its hand-off socket where it offers one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fractus_handoff::Sender;
use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

use super::body::{BoxError, RouterBody};
use super::connect::{Address, InvalidUrl};
use super::heard::Heard;

/// Idle connections kept for a replica. More than that in use at once is fine; the rest are closed after use.
const MAX_IDLE_CONNECTIONS: usize = 64;

/// How long a pooled connection may take to finish what it did before; a new one is opened instead.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct Endpoint {
    /// As announced or configured.
    pub url: String,
    address: Address,
    idle: Mutex<Vec<SendRequest<RouterBody>>>,
    in_flight: AtomicUsize,
    unreachable: AtomicBool,
    handoff: Option<Handoff>,
}

#[derive(Debug)]
struct Handoff {
    path: PathBuf,
    sender: Mutex<Option<Arc<Sender>>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No byte of it was sent: another replica may have it.
    #[error("it cannot be reached")]
    NotSent(Box<Request<RouterBody>>, #[source] io::Error),
    /// It may have been acted on. A request that changes nothing comes back, to be sent again.
    #[error("the connection broke before the answer")]
    Broken(Option<Box<Request<RouterBody>>>, #[source] hyper::Error),
}

impl Endpoint {
    pub fn new(url: &str, handoff: Option<PathBuf>) -> Result<Self, InvalidUrl> {
        Ok(Endpoint {
            url: url.to_owned(),
            address: Address::parse(url)?,
            idle: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            unreachable: AtomicBool::new(false),
            handoff: handoff.map(|path| Handoff { path, sender: Mutex::default() }),
        })
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether the last attempt to open a connection failed.
    pub fn is_unreachable(&self) -> bool {
        self.unreachable.load(Ordering::Relaxed)
    }

    pub fn handoff_path(&self) -> Option<&std::path::Path> {
        self.handoff.as_ref().map(|handoff| handoff.path.as_path())
    }

    /// The way to hand connections over, if the replica offers one; an error if it is not there.
    pub fn handoff(&self) -> io::Result<Option<Arc<Sender>>> {
        let Some(handoff) = &self.handoff else { return Ok(None) };
        let mut sender = handoff.sender.lock();
        if sender.is_none() {
            *sender = Some(Arc::new(Sender::connect(&handoff.path)?));
        }
        Ok(sender.clone())
    }

    /// After a failed hand-off: the next one connects anew.
    pub fn forget_handoff(&self) {
        if let Some(handoff) = &self.handoff {
            *handoff.sender.lock() = None;
        }
    }

    /// Sends a request in origin form with its Host set, over a pooled connection or a new one.
    pub async fn send(self: &Arc<Self>, mut request: Request<RouterBody>) -> Result<Response<RouterBody>, SendError> {
        let in_flight = InFlight::new(self);
        while let Some(sender) = self.pop_idle().await {
            let again = replay_of(&request);
            match self.exchange(sender, request, &in_flight).await {
                Ok(response) => return Ok(response),
                Err((Some(unsent), _)) => request = unsent,
                // The replica may have closed the idle connection as we wrote: only what changes nothing is repeated.
                Err((None, error)) => match again {
                    Some(again) => request = again,
                    None => return Err(SendError::Broken(None, error)),
                },
            }
        }
        let opened = self.open().await;
        self.unreachable.store(opened.is_err(), Ordering::Relaxed);
        let sender = match opened {
            Ok(sender) => sender,
            Err(error) => return Err(SendError::NotSent(Box::new(request), error)),
        };
        let again = replay_of(&request).map(Box::new);
        match self.exchange(sender, request, &in_flight).await {
            Ok(response) => Ok(response),
            Err((Some(unsent), error)) => Err(SendError::NotSent(Box::new(unsent), io::Error::other(error))),
            Err((None, error)) => Err(SendError::Broken(again, error)),
        }
    }

    /// [`Endpoint::send`] for requests of the router's own, which are not sent elsewhere.
    pub async fn ask(self: &Arc<Self>, request: Request<RouterBody>) -> Result<Response<RouterBody>, BoxError> {
        self.send(request).await.map_err(|error| match error {
            SendError::NotSent(_, source) => format!("{} cannot be reached: {source}", self.url).into(),
            SendError::Broken(_, source) => format!("{} broke off: {source}", self.url).into(),
        })
    }

    async fn exchange(
        self: &Arc<Self>,
        mut sender: SendRequest<RouterBody>,
        request: Request<RouterBody>,
        in_flight: &InFlight,
    ) -> Result<Response<RouterBody>, (Option<Request<RouterBody>>, hyper::Error)> {
        match sender.try_send_request(request).await {
            Ok(response) => Ok(self.lease(sender, response, in_flight)),
            Err(mut error) => Err((error.take_message(), error.into_error())),
        }
    }

    fn lease(
        self: &Arc<Self>,
        sender: SendRequest<RouterBody>,
        response: Response<Incoming>,
        in_flight: &InFlight,
    ) -> Response<RouterBody> {
        let lease = Lease { sender, in_flight: in_flight.clone() };
        response.map(|body| {
            if body.is_end_stream() {
                lease.give_back();
                RouterBody::Leased(body, None)
            } else {
                RouterBody::Leased(body, Some(lease))
            }
        })
    }

    async fn pop_idle(&self) -> Option<SendRequest<RouterBody>> {
        loop {
            let mut sender = self.idle.lock().pop()?;
            if sender.is_ready() {
                return Some(sender);
            }
            if !sender.is_closed() && matches!(tokio::time::timeout(SETTLE_TIMEOUT, sender.ready()).await, Ok(Ok(()))) {
                return Some(sender);
            }
        }
    }

    async fn open(&self) -> io::Result<SendRequest<RouterBody>> {
        let stream = self.address.connect().await?;
        let (sender, connection) = handshake(TokioIo::new(Heard::new(stream))).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            // The request that it carries sees the error as well.
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to a service failed");
            }
        });
        Ok(sender)
    }
}

/// A copy to repeat, for requests that change nothing and have no body that is gone once sent.
fn replay_of(request: &Request<RouterBody>) -> Option<Request<RouterBody>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(RouterBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Counts a request from its sending to the end of its answer's body.
struct InFlight(Arc<Endpoint>);

impl InFlight {
    fn new(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(endpoint.clone())
    }
}

impl Clone for InFlight {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is in use until its answer's body has ended. Dropped before that, it is closed.
pub struct Lease {
    sender: SendRequest<RouterBody>,
    in_flight: InFlight,
}

impl Lease {
    pub fn give_back(self) {
        let mut idle = self.in_flight.0.idle.lock();
        if idle.len() < MAX_IDLE_CONNECTIONS && !self.sender.is_closed() {
            idle.push(self.sender);
        }
    }
}
