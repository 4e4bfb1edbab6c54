//! What KMS has to say about objects that are kept under its keys: whoever writes one needs a data key, and whoever reads it
//! needs that opened, by their own permission. A bucket key is one data key for many objects of a bucket.
//!
//! Only a KMS that is in the stack is asked; without one the key's name is kept, and nobody judges.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html>

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_client::CallError;
use fractus_datakeys::{self as datakeys, DataKey};
use fractus_host::{CallerKind, Context, Host};
use fractus_wire::Failure;

use crate::error::{Error, Result};
use crate::model::encryption::{Encryption, KeptKey};
use crate::notify;
use crate::sealing::Secret;

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
    /// Whether it is to lie in two layers, the second under a key of S3's own.
    pub twice: bool,
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
pub struct Keys(datakeys::Keys);

impl Keys {
    pub fn new(host: &Host) -> Self {
        Keys(datakeys::Keys::new(host))
    }

    /// Forgets bucket keys.
    pub fn forget_all(&self) {
        self.0.forget_all();
    }

    /// Asks for the data key of an object, or of its bucket.
    pub async fn grant(&self, cx: &Context, need: &Need, bucket: &str, key: &str) -> Result<Granted> {
        if !self.0.is_there() {
            return Ok(Granted::Unasked);
        }
        check_signed(cx)?;
        let bucket_arn = notify::bucket_arn(cx, bucket).to_string();
        let arn = if need.bucket_key { bucket_arn } else { format!("{bucket_arn}/{key}") };
        let context = context(&arn, need.context.as_deref())?;
        // In a box, as below: no object that needs no KMS makes room for a call.
        let asker = self.0.of_caller(cx);
        let asked = Box::pin(asker.data_key(&need.key, &context, lasts(need.bucket_key)));
        let Some(DataKey { wrapped, secret, .. }) = asked.await.map_err(told)? else { return Ok(Granted::Unasked) };
        let own = need.twice.then(|| Bytes::copy_from_slice(&cx.random().bytes::<32>()));
        let secret = Secret::new(secret).within(own.clone());
        let kept = KeptKey { wrapped, arn, sealed: true, own };
        Ok(Granted::Key(Box::new(Grant { under: need.key.clone(), kept, secret })))
    }

    /// Has KMS open the data key of an object or an upload for who reads or adds to it; gives it where it is what the
    /// bytes are sealed with.
    pub async fn open(&self, cx: &Context, encryption: Option<&Encryption>) -> Result<Option<Secret>> {
        let Some(Encryption::Kms { data_key: Some(kept), key, context: given, bucket_key, .. }) = encryption else {
            return Ok(None);
        };
        // What is sealed cannot be had without KMS, so that one that is asleep is asked all the same.
        if !kept.sealed && !self.0.is_there() {
            return Ok(None);
        }
        check_signed(cx)?;
        let bound = datakeys::Kept {
            wrapped: kept.wrapped.clone(),
            key: key.clone(),
            context: context(&kept.arn, given.as_deref())?,
        };
        let asker = self.0.of_caller(cx);
        let secret = Box::pin(asker.secret(&bound, lasts(*bucket_key))).await.map_err(told)?;
        Ok(kept.sealed.then(|| Secret::new(secret).within(kept.own.clone())))
    }
}

/// A bucket's key serves for a time, an object's for itself.
fn lasts(bucket_key: bool) -> Option<Duration> {
    bucket_key.then_some(BUCKET_KEY_LASTS)
}

fn check_signed(cx: &Context) -> Result<()> {
    if cx.caller.kind == CallerKind::Anonymous { Err(unsigned()) } else { Ok(()) }
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
        let need = |key: &str| Need { key: key.into(), bucket_key: false, context: None, twice: false };
        assert!(matches!(Granted::NotAsked.of(need("a")), Err(Error::NeedsDataKey(_))));
        assert_eq!(Granted::Unasked.of(need("a")).unwrap(), None);
        let kept = KeptKey { wrapped: "w".into(), arn: "r".into(), sealed: true, own: None };
        let grant = Grant { under: "a".into(), kept: kept.clone(), secret: Secret::new(vec![7; 32].into()) };
        let granted = Granted::Key(Box::new(grant));
        assert_eq!(granted.of(need("a")).unwrap(), Some(kept));
        assert!(granted.of(need("b")).is_err());
    }
}
