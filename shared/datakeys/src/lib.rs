//! Data keys: what KMS gives a service that keeps things under a customer's key, and opens again for it.
//!
//! [`Keys`] finds the KMS of the stack, asks it on somebody's behalf, and remembers its answers for a while; without a KMS
//! nobody is asked.
//!
//! A service asks for a data key when it writes, keeps it wrapped beside what it wrote, and has it opened when it reads. KMS
//! judges both, by the policy and the state of the key that the customer named: what was written under a key that is
//! disabled cannot be read. A key that serves many things (a bucket's, a queue's) is remembered for a while, so that KMS is
//! not asked for each of them.
//!
//! <https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#data-keys>

mod keys;
mod refusal;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use fractus_client::{CallError, Calls};
use fractus_clock::Timestamp;
use fractus_wire::Failure;
use parking_lot::Mutex;

pub use keys::{Asker, Kept, Keys};
pub use refusal::Refusal;

/// The two operations of KMS, generated from its model.
pub mod kms {
    include!(concat!(env!("OUT_DIR"), "/kms.rs"));
}

/// The name that services announce themselves by.
pub const SERVICE: &str = "kms";

/// Beyond it everything is forgotten at once.
const MAX_REMEMBERED: usize = 1_024;

/// What a data key is bound to: KMS opens it under the same alone.
pub type Context = BTreeMap<String, String>;

/// A key of 256 bits, and the form in which KMS alone can open it.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    pub secret: Bytes,
    pub wrapped: Bytes,
    /// The ARN of the key of KMS, whatever name it was asked by.
    pub key_arn: String,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DataKey").field("key_arn", &self.key_arn).finish_non_exhaustive()
    }
}

/// Why there is no data key.
#[derive(Debug)]
pub enum Error {
    /// KMS answered, and this is why not.
    Refused(Failure),
    /// KMS could not be asked, or its answer could not be read.
    Unanswered(CallError),
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Error {
        match error {
            CallError::Failure(failure) => Error::Refused(failure),
            other => Error::Unanswered(other),
        }
    }
}

/// A new data key under a key of KMS: by its id, ARN or alias.
pub async fn generate(calls: Calls, key: &str, context: &Context) -> Result<DataKey, Error> {
    let input = kms::GenerateDataKeyInput {
        key_id: key.to_owned(),
        key_spec: Some(kms::DataKeySpec::Aes256),
        encryption_context: (!context.is_empty()).then(|| context.clone().into_iter().collect()),
        ..Default::default()
    };
    let output = calls.try_call::<kms::GenerateDataKey>(input).await?;
    match (output.plaintext, output.ciphertext_blob, output.key_id) {
        (Some(secret), Some(wrapped), Some(key_arn)) => Ok(DataKey { secret, wrapped, key_arn }),
        _ => Err(Error::Unanswered(CallError::Unreadable("KMS gave no data key".to_owned()))),
    }
}

/// Opens a wrapped data key, under the context that it was made with.
pub async fn open(calls: Calls, wrapped: &Bytes, context: &Context) -> Result<Bytes, Error> {
    let input = kms::DecryptInput {
        ciphertext_blob: Some(wrapped.clone()),
        encryption_context: (!context.is_empty()).then(|| context.clone().into_iter().collect()),
        ..Default::default()
    };
    let output = calls.try_call::<kms::Decrypt>(input).await?;
    output.plaintext.ok_or_else(|| Error::Unanswered(CallError::Unreadable("KMS opened no data key".to_owned())))
}

/// Data keys that serve more than one thing, each until its time is over. What a key is remembered for is the service's
/// own: it names who asks, for what, and under which key.
pub struct Remembered {
    keys: Mutex<HashMap<String, (Timestamp, DataKey)>>,
    lasts: Duration,
}

impl Remembered {
    pub fn for_a_while(lasts: Duration) -> Self {
        Remembered { keys: Mutex::default(), lasts }
    }

    pub fn find(&self, purpose: &str, now: Timestamp) -> Option<DataKey> {
        self.find_younger(purpose, self.lasts, now)
    }

    /// A key that is younger than this, whatever others last.
    pub fn find_younger(&self, purpose: &str, than: Duration, now: Timestamp) -> Option<DataKey> {
        let keys = self.keys.lock();
        let (since, key) = keys.get(purpose)?;
        // A clock that has been set back is before what it gave.
        (*since <= now && now < since.plus(than)).then(|| key.clone())
    }

    pub fn forget_all(&self) {
        self.keys.lock().clear();
    }

    pub fn keep(&self, purpose: String, key: DataKey, now: Timestamp) {
        let mut keys = self.keys.lock();
        if keys.len() >= MAX_REMEMBERED {
            keys.clear();
        }
        keys.insert(purpose, (now, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(wrapped: &'static str) -> DataKey {
        DataKey {
            secret: Bytes::from_static(&[7; 32]),
            wrapped: Bytes::from_static(wrapped.as_bytes()),
            key_arn: "arn:aws:kms:us-east-1:000000000000:key/a".into(),
        }
    }

    #[test]
    fn a_key_is_remembered_for_its_purpose_and_its_time() {
        let remembered = Remembered::for_a_while(Duration::from_secs(60));
        let now = Timestamp::from_millis(1_000_000);
        remembered.keep("bucket".into(), key("one"), now);
        assert_eq!(remembered.find("bucket", now), Some(key("one")));
        assert_eq!(remembered.find("other", now), None);
        assert_eq!(remembered.find("bucket", now.plus(Duration::from_secs(59))), Some(key("one")));
        assert_eq!(remembered.find("bucket", now.plus(Duration::from_secs(60))), None);
        assert_eq!(remembered.find("bucket", Timestamp::from_millis(0)), None);
        let young =
            |secs| remembered.find_younger("bucket", Duration::from_secs(10), now.plus(Duration::from_secs(secs)));
        assert_eq!((young(9), young(10)), (Some(key("one")), None));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let remembered = Remembered::for_a_while(Duration::from_secs(60));
        let now = Timestamp::from_millis(0);
        for number in 0..=MAX_REMEMBERED {
            remembered.keep(number.to_string(), key("k"), now);
        }
        assert!(remembered.keys.lock().len() <= MAX_REMEMBERED);
        assert!(remembered.find(&MAX_REMEMBERED.to_string(), now).is_some());
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert!(!format!("{:?}", key("one")).contains("secret"));
    }
}
