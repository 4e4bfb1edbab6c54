//! How an object is encrypted, as far as a caller can tell: what was asked, what it is returned with, and the key that a
//! customer's own encryption demands of every read.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingEncryption.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_s3_api as api;
use fractus_wire::Failure;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::sealing::Secret;

const HEADER: &str = "x-amz-server-side-encryption";

/// Anything but S3's own keys, which every object is encrypted with where nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encryption {
    Kms {
        /// `aws:kms` or `aws:kms:dsse`.
        algorithm: String,
        /// The ARN of the key.
        key: String,
        bucket_key: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<String>,
        /// Absent where no KMS was asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data_key: Option<KeptKey>,
    },
    /// The caller's own key: kept is only what is needed to know it again.
    Customer {
        key_md5: String,
        salt: u64,
        digest: [u8; 32],
        /// Whether the bytes lie sealed by it, as all do that were written since there is sealing.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        sealed: bool,
    },
}

impl Encryption {
    /// Whether bytes under it are sealed at rest: wherever there is a key that can be had again.
    pub fn is_sealed(&self) -> bool {
        match self {
            Encryption::Kms { data_key, .. } => data_key.as_ref().is_some_and(|kept| kept.sealed),
            Encryption::Customer { sealed, .. } => *sealed,
        }
    }
}

/// A data key as an object keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptKey {
    /// KMS alone can open it.
    pub wrapped: Bytes,
    /// The object or the bucket that it was made for, whatever that is called now.
    pub arn: String,
    /// Whether the bytes lie sealed by it, as all do that were written since there is sealing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// S3's own key of the second layer, of what is sealed in two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Bytes>,
}

/// A customer's key as a request gives it.
#[derive(Clone, Copy, Debug, Default)]
pub struct GivenKey<'a> {
    pub algorithm: Option<&'a str>,
    pub key: Option<&'a str>,
    pub key_md5: Option<&'a str>,
}

/// A customer's key whose form is right.
#[derive(Clone, Debug)]
pub struct CustomerKey {
    secret: Secret,
    md5: String,
}

fn invalid_argument(message: &str) -> Error {
    Error::Other(Box::new(Failure::new("InvalidArgument", 400, message)))
}

impl GivenKey<'_> {
    /// The key, if one is given; all three headers belong together.
    pub fn check(self) -> Result<Option<CustomerKey>> {
        if self.algorithm.is_none() && self.key.is_none() && self.key_md5.is_none() {
            return Ok(None);
        }
        let Some(algorithm) = self.algorithm else {
            return Err(invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.",
            ));
        };
        if algorithm != "AES256" {
            let message = "The encryption request that you specified is not valid. The valid value is AES256.";
            return Err(Error::Other(Box::new(Failure::new("InvalidEncryptionAlgorithmError", 400, message))));
        }
        let Some(key) = self.key else {
            return Err(invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.",
            ));
        };
        let bytes = STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 32);
        let bytes = bytes.ok_or_else(|| invalid_argument("The secret key was invalid for the specified algorithm."))?;
        let Some(given) = self.key_md5 else {
            return Err(invalid_argument(
                "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.",
            ));
        };
        let md5 = STANDARD.encode(Md5::digest(&bytes));
        if md5 != given {
            let message = "The calculated MD5 hash of the key did not match the hash that was provided.";
            return Err(invalid_argument(message));
        }
        Ok(Some(CustomerKey { secret: Secret::new(bytes.into()), md5 }))
    }
}

impl CustomerKey {
    fn digest(&self, salt: u64) -> [u8; 32] {
        Sha256::new().chain_update(salt.to_be_bytes()).chain_update(self.secret.bytes()).finalize().into()
    }

    pub fn remembered(&self, salt: u64) -> Encryption {
        Encryption::Customer { key_md5: self.md5.clone(), salt, digest: self.digest(salt), sealed: true }
    }

    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// Whether a request may read what is encrypted so: with exactly the key it was written with, and none where none was.
/// Gives the key where it is what opens the bytes.
pub fn check_read(encryption: Option<&Encryption>, given: GivenKey<'_>) -> Result<Option<Secret>> {
    match (encryption, given.check()?) {
        (Some(Encryption::Customer { .. }), None) => Err(Error::invalid_request(
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        )),
        (Some(Encryption::Customer { salt, digest, .. }), Some(key)) if key.digest(*salt) != *digest => {
            let message = "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.";
            Err(Error::Other(Box::new(Failure::new("AccessDenied", 403, message))))
        }
        (Some(Encryption::Customer { sealed, .. }), Some(key)) => Ok(sealed.then_some(key.secret)),
        (_, Some(_)) => Err(Error::invalid_request("The encryption parameters are not applicable to this object.")),
        (_, None) => Ok(None),
    }
}

/// What a request to write asks for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub algorithm: Option<String>,
    pub kms_key: Option<String>,
    pub bucket_key: Option<bool>,
    pub context: Option<String>,
    pub customer: Option<CustomerKey>,
}

impl Asked {
    pub fn is_nothing(&self) -> bool {
        self.algorithm.is_none() && self.kms_key.is_none() && self.customer.is_none()
    }

    pub fn check(&self) -> Result<()> {
        let is_kms = matches!(self.algorithm.as_deref(), Some("aws:kms" | "aws:kms:dsse"));
        match self.algorithm.as_deref() {
            None | Some("AES256" | "aws:kms" | "aws:kms:dsse") => {}
            Some(other) => {
                return Err(Error::invalid_argument(HEADER, other, "The encryption method specified is not supported"));
            }
        }
        if let (Some(_), Some(algorithm)) = (&self.customer, &self.algorithm) {
            let message = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified";
            return Err(Error::invalid_argument(HEADER, algorithm.as_str(), message));
        }
        if self.kms_key.is_some() && !is_kms {
            return Err(invalid_argument(
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms or aws:kms:dsse",
            ));
        }
        Ok(())
    }
}

/// Where a key that is not named by its ARN is.
#[derive(Clone, Copy, Debug)]
pub struct KeyHome<'a> {
    pub partition: &'a str,
    pub region: &'a str,
    pub account: &'a str,
}

impl KeyHome<'_> {
    /// The ARN of a key: of the account's own for S3 where none is named.
    pub fn arn(&self, key: Option<&str>) -> String {
        let KeyHome { partition, region, account } = self;
        let resource = match key {
            Some(arn) if arn.starts_with("arn:") => return arn.to_owned(),
            Some(alias) if alias.starts_with("alias/") => alias.to_owned(),
            Some(id) => format!("key/{id}"),
            None => {
                let hex = hex::encode(Sha256::digest(format!("aws/s3 {account} {region}")));
                format!("key/{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
            }
        };
        format!("arn:{partition}:kms:{region}:{account}:{resource}")
    }
}

/// Whether a general purpose bucket takes nothing under a caller's own key: since April 2026, unless it says otherwise.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/blocking-unblocking-s3-c-encryption-gpb.html>
pub fn blocks_customer_keys(rule: Option<&api::ServerSideEncryptionRule>) -> bool {
    blocked_types(rule).is_none_or(|types| types.contains(&api::EncryptionType::SseC))
}

/// The kinds of encryption that a rule says are blocked, if it says so.
pub fn blocked_types(rule: Option<&api::ServerSideEncryptionRule>) -> Option<&[api::EncryptionType]> {
    let said = rule?.blocked_encryption_types.as_ref()?.encryption_type.as_deref();
    said.filter(|types| !types.is_empty())
}

/// What becomes of a write: what it asks for, else the bucket's default; `None` is S3's own keys.
pub fn resolve(
    asked: &Asked,
    default: Option<&api::ServerSideEncryptionRule>,
    home: KeyHome<'_>,
    salt: u64,
) -> Result<Option<Encryption>> {
    if let Some(customer) = &asked.customer {
        return Ok(Some(customer.remembered(salt)));
    }
    let by_default = default.and_then(|rule| rule.apply_server_side_encryption_by_default.as_ref());
    let (algorithm, key) = match (asked.algorithm.as_deref(), by_default) {
        (Some(algorithm), default) => {
            let same = default.filter(|default| default.sse_algorithm.as_str() == algorithm);
            let default_key = same.and_then(|default| default.kms_master_key_id.as_deref());
            (algorithm, asked.kms_key.as_deref().or(default_key))
        }
        (None, Some(default)) => (default.sse_algorithm.as_str(), default.kms_master_key_id.as_deref()),
        (None, None) => return Ok(None),
    };
    if algorithm == "AES256" {
        return Ok(None);
    }
    let default_bucket_key = default.and_then(|rule| rule.bucket_key_enabled).unwrap_or(false);
    Ok(Some(Encryption::Kms {
        algorithm: algorithm.to_owned(),
        key: home.arn(key),
        bucket_key: algorithm == "aws:kms" && asked.bucket_key.unwrap_or(default_bucket_key),
        context: asked.context.clone(),
        data_key: None,
    }))
}

/// Whether what is encrypted so lies in two layers.
pub fn is_twice(algorithm: &str) -> bool {
    algorithm == "aws:kms:dsse"
}

/// Puts what encrypts an object into the members of an answer.
macro_rules! show_encryption {
    ($output:expr, $encryption:expr) => {
        match $encryption {
            None => $output.server_side_encryption = Some(::fractus_s3_api::ServerSideEncryption::Aes256),
            Some($crate::model::encryption::Encryption::Kms { algorithm, key, bucket_key, .. }) => {
                $output.server_side_encryption = Some(algorithm.as_str().into());
                $output.ssekms_key_id = Some(key.clone());
                $output.bucket_key_enabled = bucket_key.then_some(true);
            }
            Some($crate::model::encryption::Encryption::Customer { key_md5, .. }) => {
                $output.server_side_encryption = None;
                $output.sse_customer_algorithm = Some("AES256".to_owned());
                $output.sse_customer_key_md5 = Some(key_md5.clone());
            }
        }
    };
}
pub(crate) use show_encryption;

/// A customer's key as an input gives it.
macro_rules! given_key {
    ($input:expr) => {
        $crate::model::encryption::GivenKey {
            algorithm: $input.sse_customer_algorithm.as_deref(),
            key: $input.sse_customer_key.as_deref(),
            key_md5: $input.sse_customer_key_md5.as_deref(),
        }
    };
}
pub(crate) use given_key;

/// The key of a copy's source as an input gives it.
macro_rules! source_key {
    ($input:expr) => {
        $crate::model::encryption::GivenKey {
            algorithm: $input.copy_source_sse_customer_algorithm.as_deref(),
            key: $input.copy_source_sse_customer_key.as_deref(),
            key_md5: $input.copy_source_sse_customer_key_md5.as_deref(),
        }
    };
}
pub(crate) use source_key;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn refusal(algorithm: &str, key: &str, md5: &str) -> String {
        let given = GivenKey { algorithm: Some(algorithm), key: Some(key), key_md5: Some(md5) };
        match given.check() {
            Ok(_) => "right".into(),
            Err(error) => Failure::from(error).message,
        }
    }

    #[test]
    fn keys_are_checked_and_known_again() {
        let (key, md5) = (STANDARD.encode(KEY), STANDARD.encode(Md5::digest(KEY)));
        assert_eq!(refusal("AES256", &key, &md5), "right");
        assert!(refusal("AES128", &key, &md5).contains("AES256"));
        assert!(refusal("AES256", "AAAA", &md5).contains("secret key was invalid"));
        assert!(refusal("AES256", &key, "AAAA").contains("did not match"));
        let given = GivenKey { algorithm: Some("AES256"), key: Some(&key), key_md5: Some(&md5) };
        let kept = given.check().unwrap().unwrap().remembered(5);
        assert!(check_read(Some(&kept), given).is_ok());
        assert!(check_read(Some(&kept), GivenKey::default()).is_err());
        assert!(check_read(None, given).is_err());
        let (other, other_md5) = (STANDARD.encode([8; 32]), STANDARD.encode(Md5::digest([8; 32])));
        let wrong = GivenKey { algorithm: Some("AES256"), key: Some(&other), key_md5: Some(&other_md5) };
        assert_eq!(Failure::from(check_read(Some(&kept), wrong).unwrap_err()).status, 403);
    }

    #[test]
    fn what_is_asked_goes_before_the_default() {
        let home = KeyHome { partition: "aws", region: "us-east-1", account: "000000000000" };
        let rule = api::ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(api::ServerSideEncryptionByDefault {
                sse_algorithm: api::ServerSideEncryption::AwsKms,
                kms_master_key_id: Some("abc".into()),
            }),
            bucket_key_enabled: Some(true),
            ..Default::default()
        };
        let by_default = resolve(&Asked::default(), Some(&rule), home, 0).unwrap().unwrap();
        let Encryption::Kms { key, bucket_key, .. } = by_default else { panic!("not by KMS") };
        assert_eq!((key.as_str(), bucket_key), ("arn:aws:kms:us-east-1:000000000000:key/abc", true));
        let asked = Asked { algorithm: Some("AES256".into()), ..Asked::default() };
        assert_eq!(resolve(&asked, Some(&rule), home, 0).unwrap(), None);
        assert_eq!(resolve(&Asked::default(), None, home, 0).unwrap(), None);
    }

    #[test]
    fn a_callers_own_key_is_blocked_unless_the_bucket_says_otherwise() {
        let saying = |types: Option<Vec<api::EncryptionType>>| api::ServerSideEncryptionRule {
            blocked_encryption_types: types.map(|types| api::BlockedEncryptionTypes { encryption_type: Some(types) }),
            ..Default::default()
        };
        let blocks = |types| blocks_customer_keys(Some(&saying(types)));
        assert!(blocks_customer_keys(None) && blocks(None) && blocks(Some(Vec::new())));
        assert!(blocks(Some(vec![api::EncryptionType::SseC])) && !blocks(Some(vec![api::EncryptionType::None])));
    }
}
