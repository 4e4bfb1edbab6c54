//! Requests that wait for their function's answer, and how an answer finds its request.
//!
//! A request waits in the process that took it. Its token says which one that is, so that an answer which comes to another
//! replica is passed on, and nothing that has ended can be answered: the entry goes with the request.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fractus_clock::Random;
use fractus_s3_api as api;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// So many may wait in a process.
const MAX_WAITING: usize = 10_000;
/// Characters of a token that nobody can guess.
const SECRET_BYTES: usize = 48;

/// What a function has answered: the operation's input, with the body as it comes; or why its answer was refused.
pub type Answered = Result<Box<api::WriteGetObjectResponseInput>>;

/// The requests that wait in this process. Clones are the same.
#[derive(Clone)]
pub struct Waiting {
    replica: Arc<str>,
    route: Arc<str>,
    waiting: Arc<Mutex<HashMap<String, oneshot::Sender<Answered>>>>,
}

/// A request that waits; it does so no longer when this is dropped.
pub struct Place {
    pub token: String,
    pub answered: oneshot::Receiver<Answered>,
    waiting: Waiting,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.waiting.lock().remove(&self.token);
    }
}

impl Waiting {
    /// `replica` is the name of this process among its like.
    pub fn new(replica: &str) -> Self {
        let number = replica.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        Waiting {
            replica: replica.into(),
            route: format!("io-cell{:03}", number % 1_000).into(),
            waiting: Arc::default(),
        }
    }

    /// What functions put before the host's name.
    pub fn route(&self) -> &str {
        &self.route
    }

    pub fn enter(&self, random: &Random) -> Result<Place> {
        let mut secret = [0; SECRET_BYTES];
        random.fill(&mut secret);
        let token = URL_SAFE_NO_PAD.encode([self.replica.as_bytes(), b"\n", &secret].concat());
        let (sender, answered) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MAX_WAITING {
            return Err(Error::other("SlowDown", 503, "Please reduce your request rate."));
        }
        waiting.insert(token.clone(), sender);
        Ok(Place { token, answered, waiting: self.clone() })
    }

    /// The request with this token, which then waits for no other answer.
    pub fn take(&self, route: &str, token: &str) -> Option<oneshot::Sender<Answered>> {
        if route != &*self.route {
            return None;
        }
        self.waiting.lock().remove(token)
    }

    /// The other replica that a token is of.
    pub fn elsewhere(&self, token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let end = bytes.len().checked_sub(SECRET_BYTES + 1)?;
        let replica = String::from_utf8(bytes.get(..end)?.to_vec()).ok()?;
        (replica != *self.replica).then_some(replica)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_finds_its_request_once_and_only_while_it_waits() {
        let (here, there) = (Waiting::new("one"), Waiting::new("two"));
        let random = Random::seeded(1);
        let place = here.enter(&random).unwrap();
        assert_eq!(here.elsewhere(&place.token), None);
        assert_eq!(there.elsewhere(&place.token).as_deref(), Some("one"));
        assert!(here.take("io-cell", &place.token).is_none(), "the route is of the token");
        assert!(here.take(here.route(), &place.token).is_some());
        assert!(here.take(here.route(), &place.token).is_none(), "it was answered");
        let gone = here.enter(&random).unwrap().token.clone();
        assert!(here.take(here.route(), &gone).is_none(), "who asked has gone");
        assert_eq!(here.elsewhere("no token"), None);
    }
}
