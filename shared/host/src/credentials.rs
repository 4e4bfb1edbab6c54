//! Access keys and their secrets: asked of their issuer, remembered for a time, forgotten when they change.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use fractus_aws::Lane;
use fractus_bus::contracts::{Cause, Credential, CredentialIssued, CredentialRevoked, LookUpCredential};
use fractus_bus::{CallError, Heard, Hears, Publishers};
use fractus_clock::Stopwatch;

use crate::host::Host;

/// The services that issue keys, by the prefix of the keys' ids
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes>). Long-term keys
/// of other forms (imported ones) are IAM's, too.
pub(crate) const ISSUER_OF_TEMPORARY_KEYS: (&str, &str) = ("ASIA", "sts");
pub(crate) const ISSUER_OF_LONG_TERM_KEYS: &str = "iam";

const SHARDS: usize = 16;
/// Beyond it a shard begins anew: a flood of made-up keys must not fill the memory.
const MAX_PER_SHARD: usize = 1_024;
/// Events tell of changes; the limits are for events that were not heard.
const KNOWN_FOR: Duration = Duration::from_secs(60);
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);

/// Nobody could be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unanswered;

pub(crate) struct Credentials {
    shards: [Mutex<HashMap<(Lane, String), Remembered>>; SHARDS],
    hasher: RandomState,
    /// Grows whenever anything is forgotten, so that connections forget, too.
    generation: AtomicU64,
}

struct Remembered {
    credential: Option<Arc<Credential>>,
    since: Stopwatch,
}

impl Default for Credentials {
    fn default() -> Self {
        Credentials {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            generation: AtomicU64::new(0),
        }
    }
}

impl Credentials {
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The credential of a key, if its issuer knows one.
    pub async fn find(&self, host: &Host, lane: &Lane, key: &str) -> Result<Option<Arc<Credential>>, Unanswered> {
        let at = (lane.clone(), key.to_owned());
        let shard = &self.shards[self.hasher.hash_one(&at) as usize % SHARDS];
        if let Some(remembered) = shard.lock().get(&at) {
            let limit = if remembered.credential.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
            if remembered.since.elapsed() < limit {
                return Ok(remembered.credential.clone());
            }
        }
        let credential = ask(host, lane, key).await?.map(Arc::new);
        let mut shard = shard.lock();
        if shard.len() >= MAX_PER_SHARD {
            shard.clear();
        }
        shard.insert(at, Remembered { credential: credential.clone(), since: Stopwatch::start() });
        Ok(credential)
    }

    pub fn forget(&self, lane: &Lane, key: &str) {
        let at = (lane.clone(), key.to_owned());
        self.shards[self.hasher.hash_one(&at) as usize % SHARDS].lock().remove(&at);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub fn forget_all(&self) {
        self.shards.iter().for_each(|shard| shard.lock().clear());
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}

async fn ask(host: &Host, lane: &Lane, key: &str) -> Result<Option<Credential>, Unanswered> {
    // The issuer itself needs no bus to know its own keys.
    if let Some(service) = host.service()
        && let Some(own) = service.look_up_credential(lane, key)
        && let Some(credential) = own.await
    {
        return Ok(Some(credential));
    }
    let (prefix, issuer) = ISSUER_OF_TEMPORARY_KEYS;
    let issuer = if key.starts_with(prefix) { issuer } else { ISSUER_OF_LONG_TERM_KEYS };
    if issuer == host.name() {
        return Ok(None);
    }
    let question = LookUpCredential { lane: lane.clone(), access_key_id: key.to_owned() };
    match host.bus().call_within(issuer, &question, &Cause::default(), TIMEOUT).await {
        Ok(credential) => Ok(credential),
        Err(CallError::NotRunning { .. }) => Err(Unanswered),
        Err(error) => {
            tracing::debug!(%error, issuer, "the issuer of an access key could not be asked");
            Err(Unanswered)
        }
    }
}

/// Forgets what events say has changed, until the host drains.
pub(crate) fn follow_changes(host: &Host) {
    let mut issued = host.bus().subscribe::<CredentialIssued>(Publishers::Any, Hears::EveryReplica);
    let mut revoked = host.bus().subscribe::<CredentialRevoked>(Publishers::Any, Hears::EveryReplica);
    let (following, draining) = (host.clone(), host.draining());
    host.spawn("credential changes", async move {
        let credentials = &following.inner.credentials;
        loop {
            tokio::select! {
                () = draining.cancelled() => return,
                heard = issued.next() => match heard {
                    Some(Heard::Event { event, .. }) => credentials.forget(&event.lane, &event.access_key_id),
                    Some(Heard::Missed) => credentials.forget_all(),
                    None => return,
                },
                heard = revoked.next() => match heard {
                    Some(Heard::Event { event, .. }) => credentials.forget(&event.lane, &event.access_key_id),
                    Some(Heard::Missed) => credentials.forget_all(),
                    None => return,
                },
            }
        }
    });
}
