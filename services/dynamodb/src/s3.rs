//! Calls to S3, on behalf of the account that an export or import belongs to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_client::{CallError, Calls, Client, Credentials, Limits, RetryRules};
use fractus_host::Host;
use fractus_s3_api as api;
use fractus_wire::ByteStream;

use crate::places::Place;

/// How long S3 may take to answer; its start is in it.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// What S3 said, as far as it matters to a job.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// S3 refuses, and will do so again.
    #[error("{message}")]
    Refused { code: String, message: String },
    /// An answer that broke off.
    #[error("S3's answer broke off: {0}")]
    Broken(String),
    /// No answer for now.
    #[error("S3 cannot be reached")]
    Unreachable(#[source] Box<CallError>),
}

impl From<CallError> for S3Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failure(failure) if failure.status < 500 => {
                S3Error::Refused { code: failure.code.to_string(), message: failure.message }
            }
            other => S3Error::Unreachable(Box::new(other)),
        }
    }
}

impl S3Error {
    /// The failure code of an export or an import, and what it says.
    pub fn failure(&self) -> Option<(String, String)> {
        match self {
            S3Error::Refused { code, message } => Some((format!("S3{code}"), message.clone())),
            S3Error::Broken(_) | S3Error::Unreachable(_) => None,
        }
    }
}

/// A bucket, and whose it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    pub owner: Option<String>,
}

/// How what is put is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encryption {
    pub algorithm: Option<String>,
    pub key: Option<String>,
}

/// Calls S3, at a replica that has announced itself, else through the router.
#[derive(Clone)]
pub struct S3 {
    client: Arc<Client>,
    root_secret: Option<String>,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    pub bytes: u64,
}

impl S3 {
    pub fn new(host: &Host) -> Self {
        let limits = Limits { answer_within: ANSWER_WITHIN, answer_bytes: MAX_ANSWER_BYTES };
        let client = Client::with(host.resolver(), limits, RetryRules::ONCE, host.random().clone());
        S3 { client: Arc::new(client), root_secret: host.config().root_secret.clone() }
    }

    fn calls(&self, place: &Place) -> Calls {
        let calls = self.client.on_behalf(place.world.clone(), place.region.clone());
        match &self.root_secret {
            Some(secret) => {
                let own = Credentials::of_account(&place.world.account);
                calls.with_credentials(Credentials { secret: secret.clone(), ..own })
            }
            None => calls,
        }
    }

    /// Puts an object; gives its entity tag.
    pub async fn put(
        &self,
        place: &Place,
        bucket: &Bucket,
        key: &str,
        body: Bytes,
        encryption: &Encryption,
    ) -> Result<String, S3Error> {
        let algorithm = encryption.algorithm.as_deref().map(|own| if own == "KMS" { "aws:kms" } else { own });
        let input = api::PutObjectInput {
            bucket: bucket.name.clone(),
            key: key.to_owned(),
            body: ByteStream::from(body),
            expected_bucket_owner: bucket.owner.clone(),
            server_side_encryption: algorithm.map(api::ServerSideEncryption::from),
            ssekms_key_id: encryption.key.clone(),
            ..Default::default()
        };
        let output = self.calls(place).try_call::<api::PutObject>(input).await?;
        Ok(output.e_tag.unwrap_or_default().trim_matches('"').to_owned())
    }

    /// A page of the objects under a prefix, and the token of the next one.
    pub async fn list(
        &self,
        place: &Place,
        bucket: &Bucket,
        prefix: Option<&str>,
        token: Option<String>,
    ) -> Result<(Vec<Listed>, Option<String>), S3Error> {
        let input = api::ListObjectsV2Input {
            bucket: bucket.name.clone(),
            prefix: prefix.map(str::to_owned),
            continuation_token: token,
            expected_bucket_owner: bucket.owner.clone(),
            ..Default::default()
        };
        let output = self.calls(place).try_call::<api::ListObjectsV2>(input).await?;
        let listed = output.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let bytes = object.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
            Some(Listed { key: object.key?, bytes })
        });
        Ok((listed.collect(), output.next_continuation_token.filter(|_| output.is_truncated == Some(true))))
    }

    /// An object's bytes, as they come.
    pub async fn get(&self, place: &Place, bucket: &Bucket, key: &str) -> Result<ByteStream, S3Error> {
        let input = api::GetObjectInput {
            bucket: bucket.name.clone(),
            key: key.to_owned(),
            expected_bucket_owner: bucket.owner.clone(),
            ..Default::default()
        };
        let mut output = self.calls(place).try_call::<api::GetObject>(input).await?;
        Ok(std::mem::take(&mut output.body))
    }
}
