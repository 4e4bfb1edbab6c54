//! What KMS has to say about objects that are kept under its keys: whoever writes one needs a data key, and whoever reads it
//! needs that opened, by their own permission. A bucket key is one data key for many objects of a bucket.
//!
//! Only a KMS that is in the stack is asked; without one the key's name is kept, and nobody judges.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html>

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_bus::Directory;
use fractus_client::{CallError, Calls, Client, Credentials, Limits, RetryRules};
use fractus_datakeys::{self as datakeys, DataKey, Remembered};
use fractus_host::{CallerKind, Context, Host};
use fractus_wire::Failure;

use crate::error::{Error, Result};
use crate::model::encryption::{Encryption, KeptKey};
use crate::notify;
use crate::sealing::Secret;

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
/// AWS says of a bucket key that it is used for a time, and not for how long.
const BUCKET_KEY_LASTS: Duration = Duration::from_secs(300);
/// What a data key is bound to besides what the caller says.
const CONTEXT_ARN: &str = "aws:s3:arn";

/// What something is to be kept under, and nobody has been asked about yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The ARN of the key.
    pub key: String,
    pub bucket_key: bool,
    /// As the caller gave it: JSON in base64.
    pub context: Option<String>,
}

/// What KMS said of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Granted {
    #[default]
    NotAsked,
    /// There is no KMS.
    Unasked,
    Key(Box<Grant>),
}

/// A data key that KMS gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The key of KMS that it was asked for.
    pub under: String,
    pub kept: KeptKey,
    pub secret: Secret,
}

impl Granted {
    /// The data key of what is written under `need`; an error says that KMS has to be asked first.
    pub fn of(&self, need: Need) -> Result<Option<KeptKey>> {
        match self {
            Granted::Unasked => Ok(None),
            Granted::Key(grant) if grant.under == need.key => Ok(Some(grant.kept.clone())),
            Granted::NotAsked | Granted::Key(_) => Err(Error::NeedsDataKey(Box::new(need))),
        }
    }

    /// What is written under it is sealed with it.
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Granted::Key(grant) => Some(&grant.secret),
            Granted::NotAsked | Granted::Unasked => None,
        }
    }
}

/// Asks KMS.
#[derive(Clone)]
pub struct Keys {
    client: Arc<Client>,
    directory: Arc<Directory>,
    bucket_keys: Arc<Remembered>,
}

impl Keys {
    pub fn new(host: &Host) -> Self {
        let limits = Limits { answer_within: ANSWER_WITHIN, answer_bytes: MAX_ANSWER_BYTES };
        Keys {
            client: Arc::new(Client::with(host.resolver(), limits, RetryRules::ONCE, host.random().clone())),
            directory: Arc::new(host.bus().directory()),
            bucket_keys: Arc::new(Remembered::for_a_while(BUCKET_KEY_LASTS)),
        }
    }

    /// By who asks S3, whose permission for the key it takes; a service's own work is its account's.
    fn calls(&self, cx: &Context) -> Calls {
        let calls = self.client.on_behalf(cx.world.clone(), cx.region.clone());
        if let Some(credential) = cx.caller.credential.as_deref() {
            return calls.with_credentials(Credentials {
                access_key_id: cx.caller.access_key_id.clone(),
                secret: credential.secret_access_key.clone(),
                session_token: credential.session_token.clone(),
            });
        }
        let of_account = Credentials::of_account(&cx.world.account);
        match &cx.host().config().root_secret {
            Some(secret) => calls.with_credentials(Credentials { secret: secret.clone(), ..of_account }),
            None => calls,
        }
    }

    /// Asks for the data key of an object, or of its bucket.
    pub async fn grant(&self, cx: &Context, need: &Need, bucket: &str, key: &str) -> Result<Granted> {
        if self.directory.ready(datakeys::SERVICE).is_empty() {
            return Ok(Granted::Unasked);
        }
        if cx.caller.kind == CallerKind::Anonymous {
            return Err(unsigned());
        }
        let bucket_arn = notify::bucket_arn(cx, bucket).to_string();
        let arn = if need.bucket_key { bucket_arn } else { format!("{bucket_arn}/{key}") };
        let context = context(&arn, need.context.as_deref())?;
        // One caller's permission is not another's.
        let purpose = format!("{}\n{}\n{}\n{context:?}", cx.world.lane.as_str(), cx.caller.arn, need.key);
        let remembered = if need.bucket_key { self.bucket_keys.find(&purpose, cx.now()) } else { None };
        let data_key = match remembered {
            Some(data_key) => data_key,
            None => {
                // In a box, as below: no object that needs no KMS makes room for a call.
                let asked = Box::pin(datakeys::generate(self.calls(cx), &need.key, &context));
                let data_key = asked.await.map_err(told)?;
                if need.bucket_key {
                    self.bucket_keys.keep(purpose, data_key.clone(), cx.now());
                }
                data_key
            }
        };
        let DataKey { wrapped, secret, .. } = data_key;
        let kept = KeptKey { wrapped, arn, sealed: true };
        Ok(Granted::Key(Box::new(Grant { under: need.key.clone(), kept, secret: Secret::new(secret) })))
    }

    /// Has KMS open the data key of an object or an upload for who reads or adds to it; gives it where it is what the
    /// bytes are sealed with.
    pub async fn open(&self, cx: &Context, encryption: Option<&Encryption>) -> Result<Option<Secret>> {
        match encryption {
            Some(Encryption::Kms { data_key: Some(kept), key, context, bucket_key, .. }) => {
                let secret = self.open_kept(cx, kept, key, context.as_deref(), *bucket_key).await?;
                Ok(secret.filter(|_| kept.sealed).map(Secret::new))
            }
            _ => Ok(None),
        }
    }

    async fn open_kept(
        &self,
        cx: &Context,
        kept: &KeptKey,
        key: &str,
        given: Option<&str>,
        bucket_key: bool,
    ) -> Result<Option<bytes::Bytes>> {
        // What is sealed cannot be had without KMS, so that one that is asleep is asked all the same.
        if !kept.sealed && self.directory.ready(datakeys::SERVICE).is_empty() {
            return Ok(None);
        }
        if cx.caller.kind == CallerKind::Anonymous {
            return Err(unsigned());
        }
        let context = context(&kept.arn, given)?;
        let purpose = format!("{}\n{}\n{key}\n{context:?}", cx.world.lane.as_str(), cx.caller.arn);
        let remembered = if bucket_key { self.bucket_keys.find(&purpose, cx.now()) } else { None };
        if let Some(own) = remembered.filter(|own| own.wrapped == kept.wrapped) {
            return Ok(Some(own.secret));
        }
        let secret = Box::pin(datakeys::open(self.calls(cx), &kept.wrapped, &context)).await.map_err(told)?;
        if bucket_key {
            let data_key = DataKey { secret: secret.clone(), wrapped: kept.wrapped.clone(), key_arn: key.to_owned() };
            self.bucket_keys.keep(purpose, data_key, cx.now());
        }
        Ok(Some(secret))
    }
}

/// The encryption context of an object's data key: S3's own entry, and what the caller adds.
fn context(arn: &str, given: Option<&str>) -> Result<datakeys::Context> {
    let mut context = match given {
        None => datakeys::Context::new(),
        Some(given) => {
            let decoded = STANDARD.decode(given).ok();
            decoded.and_then(|json| serde_json::from_slice(&json).ok()).ok_or_else(|| {
                let name = "x-amz-server-side-encryption-context";
                let message = "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map";
                Error::invalid_argument(name, given, message)
            })?
        }
    };
    context.entry(CONTEXT_ARN.to_owned()).or_insert_with(|| arn.to_owned());
    Ok(context)
}

fn unsigned() -> Error {
    let message =
        "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.";
    Error::other("InvalidArgument", 400, message)
}

/// How S3 tells of what KMS said: under KMS's own name, except where it is a matter of permission.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#KMSErrorCodeList>
fn told(error: datakeys::Error) -> Error {
    match error {
        datakeys::Error::Refused(failure) if is_permission(&failure) => {
            Error::other("AccessDenied", 403, failure.message)
        }
        datakeys::Error::Refused(failure) if failure.status < 500 => {
            Error::Other(Box::new(Failure::new(format!("KMS.{}", failure.code), 400, failure.message)))
        }
        datakeys::Error::Refused(failure) => unanswered(CallError::Failure(failure)),
        datakeys::Error::Unanswered(error) => unanswered(error),
    }
}

fn is_permission(failure: &Failure) -> bool {
    failure.code.starts_with("AccessDenied") || failure.status == 403
}

fn unanswered(error: CallError) -> Error {
    tracing::warn!(error = &error as &dyn std::error::Error, "KMS could not be asked");
    unavailable()
}

/// There is no KMS for what cannot be done without one.
pub fn unavailable() -> Error {
    Error::other("ServiceUnavailable", 503, "Please reduce your request rate.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_has_s3s_entry_and_the_callers() {
        let given = STANDARD.encode(r#"{"team":"red"}"#);
        let context = context("arn:aws:s3:::b/k", Some(&given)).unwrap();
        let entries: Vec<_> = context.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(entries, [(CONTEXT_ARN, "arn:aws:s3:::b/k"), ("team", "red")]);
        assert!(super::context("arn:aws:s3:::b/k", Some("nonsense")).is_err());
        assert!(super::context("arn:aws:s3:::b/k", Some(&STANDARD.encode("[1]"))).is_err());
    }

    #[test]
    fn kms_is_told_of_by_its_own_names() {
        let said = |code: &'static str, status| {
            let failure: Failure = told(datakeys::Error::Refused(Failure::new(code, status, "m"))).into();
            (failure.code.into_owned(), failure.status)
        };
        assert_eq!(said("DisabledException", 400), ("KMS.DisabledException".to_owned(), 400));
        assert_eq!(said("NotFoundException", 400), ("KMS.NotFoundException".to_owned(), 400));
        assert_eq!(said("AccessDeniedException", 400), ("AccessDenied".to_owned(), 403));
        assert_eq!(said("KMSInternalException", 500).1, 503);
    }

    #[test]
    fn a_key_is_for_what_it_was_asked_for() {
        let need = |key: &str| Need { key: key.into(), bucket_key: false, context: None };
        assert!(matches!(Granted::NotAsked.of(need("a")), Err(Error::NeedsDataKey(_))));
        assert_eq!(Granted::Unasked.of(need("a")).unwrap(), None);
        let kept = KeptKey { wrapped: "w".into(), arn: "r".into(), sealed: true };
        let grant = Grant { under: "a".into(), kept: kept.clone(), secret: Secret::new(vec![7; 32].into()) };
        let granted = Granted::Key(Box::new(grant));
        assert_eq!(granted.of(need("a")).unwrap(), Some(kept));
        assert!(granted.of(need("b")).is_err());
    }
}
