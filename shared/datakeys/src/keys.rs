//! The KMS of the stack, as a service asks it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_aws::{Region, World};
use fractus_bus::Directory;
use fractus_client::{Calls, Client, Credentials, Limits, RetryRules};
use fractus_clock::Timestamp;
use fractus_host::{Context, Host};
use serde::{Deserialize, Serialize};

use crate::{Context as Binding, DataKey, Error, Remembered, SERVICE, generate, open};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
/// What a key is remembered for where nobody says otherwise.
const USUALLY_LASTS: Duration = Duration::from_secs(300);

/// What is kept beside a thing under a customer's key: the wrapped data key, and what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub wrapped: Bytes,
    /// The key's name as it was asked by.
    pub key: String,
    pub context: Binding,
}

/// Asks KMS for data keys, and to open them. Clones share what they remember.
#[derive(Clone)]
pub struct Keys {
    client: Client,
    directory: Arc<Directory>,
    remembered: Arc<Remembered>,
    root_secret: Option<String>,
}

impl Keys {
    pub fn new(host: &Host) -> Self {
        let limits = Limits { answer_within: ANSWER_WITHIN, answer_bytes: MAX_ANSWER_BYTES };
        Keys {
            client: Client::with(host.resolver(), limits, RetryRules::ONCE, host.random().clone()),
            directory: Arc::new(host.bus().directory()),
            remembered: Arc::new(Remembered::for_a_while(USUALLY_LASTS)),
            root_secret: host.config().root_secret.clone(),
        }
    }

    /// Whether there is a KMS. Without one nobody is asked, and nobody judges.
    pub fn is_there(&self) -> bool {
        !self.directory.ready(SERVICE).is_empty()
    }

    /// Forgets every key: what a reset has taken, a new KMS does not open.
    pub fn forget_all(&self) {
        self.remembered.forget_all();
    }

    /// By who asks the service, whose permission for the key it takes; a service's own work is its account's.
    pub fn of_caller(&self, cx: &Context) -> Asker<'_> {
        let asker = self.of_account(&cx.world, &cx.region, cx.now());
        let Some(credential) = cx.caller.credential.as_deref() else { return asker };
        let credentials = Credentials {
            access_key_id: cx.caller.access_key_id.clone(),
            secret: credential.secret_access_key.clone(),
            session_token: credential.session_token.clone(),
        };
        // A service tells sessions of one role apart by their policies alone, and here by nothing.
        // <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html>
        Asker {
            calls: asker.calls.with_credentials(credentials),
            who: format!("{}\n{}", cx.world.lane, cx.caller.arn),
            ..asker
        }
    }

    /// By an account itself.
    pub fn of_account(&self, world: &World, region: &Region, now: Timestamp) -> Asker<'_> {
        let calls = self.client.on_behalf(world.clone(), region.clone());
        let calls = match &self.root_secret {
            Some(secret) => calls
                .with_credentials(Credentials { secret: secret.clone(), ..Credentials::of_account(&world.account) }),
            None => calls,
        };
        Asker { keys: self, calls, who: format!("{}\n{}", world.lane, world.account), now }
    }
}

/// Somebody who asks KMS, at a time.
pub struct Asker<'k> {
    keys: &'k Keys,
    calls: Calls,
    who: String,
    now: Timestamp,
}

impl Asker<'_> {
    /// With a session's credentials in place of its own.
    #[must_use]
    pub fn with_credentials(self, who: &str, credentials: Credentials) -> Self {
        Asker { who: format!("{}\n{who}", self.who), calls: self.calls.with_credentials(credentials), ..self }
    }

    /// A data key under `key`, which serves for all that is bound alike as long as it `lasts`, and else for this alone.
    /// None: there is no KMS.
    pub async fn data_key(
        &self,
        key: &str,
        context: &Binding,
        lasts: Option<Duration>,
    ) -> Result<Option<DataKey>, Error> {
        if !self.keys.is_there() {
            return Ok(None);
        }
        let purpose = self.purpose(key, context);
        let known = lasts.and_then(|lasts| self.keys.remembered.find_younger(&purpose, lasts, self.now));
        if known.is_some() {
            return Ok(known);
        }
        let made = generate(self.calls.clone(), key, context).await?;
        if lasts.is_some() {
            self.keys.remembered.keep(purpose, made.clone(), self.now);
        }
        Ok(Some(made))
    }

    /// The same, as it is kept.
    pub async fn key_for(&self, key: &str, context: &Binding, lasts: Duration) -> Result<Option<Kept>, Error> {
        let made = self.data_key(key, context, Some(lasts)).await?;
        Ok(made.map(|made| Kept { wrapped: made.wrapped, key: key.to_owned(), context: context.clone() }))
    }

    /// Whether KMS opens a data key for who asks; what was opened stays so as long as `lasts`.
    pub async fn open(&self, kept: &Kept, lasts: Duration) -> Result<(), Error> {
        if !self.keys.is_there() {
            return Ok(());
        }
        self.secret(kept, Some(lasts)).await.map(drop)
    }

    /// The data key, opened, which is not to be had without a KMS; what was opened stays so as long as it `lasts`.
    pub async fn secret(&self, kept: &Kept, lasts: Option<Duration>) -> Result<Bytes, Error> {
        let Kept { wrapped, key, context } = kept;
        let remembered = &self.keys.remembered;
        let made_for = self.purpose(key, context);
        let purpose = format!("{made_for}\nopen {}", fingerprint(wrapped));
        let known = lasts.and_then(|lasts| {
            let mut known = [&made_for, &purpose].into_iter();
            known.find_map(|at| remembered.find_younger(at, lasts, self.now).filter(|found| found.wrapped == *wrapped))
        });
        if let Some(known) = known {
            return Ok(known.secret);
        }
        let secret = open(self.calls.clone(), wrapped, context).await?;
        if lasts.is_some() {
            let data_key = DataKey { secret: secret.clone(), wrapped: wrapped.clone(), key_arn: key.clone() };
            remembered.keep(purpose, data_key, self.now);
        }
        Ok(secret)
    }

    /// What a key is remembered for: who asks, and what it is bound to.
    fn purpose(&self, key: &str, context: &Binding) -> String {
        format!("{}\n{key}\n{context:?}", self.who)
    }
}

/// Tells wrapped keys apart in names; whether one is the very key is compared besides.
fn fingerprint(wrapped: &Bytes) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    wrapped.hash(&mut hasher);
    hasher.finish()
}
