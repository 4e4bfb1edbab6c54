//! The key that messages are signed with, and its certificate.
//!
//! One key pair serves the whole store: it is made when it is first needed, and kept. Version 1 signs a SHA-1, version 2 a
//! SHA-256 digest, both as PKCS #1 v1.5.
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_clock::Random;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rcgen::{CertificateParams, DnType};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use sha1::{Digest, Sha1};

use crate::error::{Error, Result};
use crate::store::SigningKey;

const RSA_BITS: usize = 2_048;
/// What certificates are called: this, an id, `.pem`.
pub const CERTIFICATE_PREFIX: &str = "SimpleNotificationService-";
/// Where the certificate is, at every origin by which this service is reached.
pub const CERTIFICATE_FOLDER: &str = "/_aws/sns/";
/// DigestInfo of SHA-1, up to the digest: RFC 8017, section 9.2.
const SHA1_PREFIX: [u8; 15] =
    [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];

/// A signature as a message carries it.
#[derive(Clone, Debug)]
pub struct Signature {
    /// `1` or `2`.
    pub version: &'static str,
    pub value: String,
    pub certificate_id: String,
    /// What the certificate's URL begins with, where it is not the subscription's origin.
    pub base: Option<String>,
}

impl Signature {
    /// Below `/_aws/sns/`, a path that the router knows to be this service's; a base of one's own has it at the top, as
    /// AWS does.
    pub fn certificate_url(&self, origin: &str) -> String {
        let name = format!("{CERTIFICATE_PREFIX}{}.pem", self.certificate_id);
        match &self.base {
            Some(base) => format!("{}/{name}", base.trim_end_matches('/')),
            None => format!("{origin}{CERTIFICATE_FOLDER}{name}"),
        }
    }
}

/// The key, ready for use.
pub struct Signer {
    pub record: SigningKey,
    sha1: rsa::PrivateKey,
    sha256: KeyPair,
    base: Option<String>,
}

fn unusable(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("the signing key: {error}"))
}

/// Makes a key and its certificate. It takes up to a second of computing.
pub fn make(random: &Random) -> Result<SigningKey> {
    let key = rsa::PrivateKey::new(&mut StdRng::from_seed(random.bytes()), RSA_BITS).map_err(unusable)?;
    let pkcs8 = Bytes::copy_from_slice(key.to_pkcs8_der().map_err(unusable)?.as_bytes());
    let pair = rcgen::KeyPair::try_from(pkcs8.as_ref()).map_err(unusable)?;
    let mut params = CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).map_err(unusable)?;
    params.distinguished_name.push(DnType::CommonName, "sns.amazonaws.com");
    // It outlives every virtual clock that a test may set.
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2199, 1, 1);
    let certificate = params.self_signed(&pair).map_err(unusable)?;
    Ok(SigningKey { id: hex::encode(random.bytes::<16>()), pkcs8, certificate_pem: certificate.pem() })
}

impl Signer {
    pub fn new(record: SigningKey, base: Option<String>) -> Result<Self> {
        let sha1 = rsa::PrivateKey::from_pkcs8_der(&record.pkcs8).map_err(unusable)?;
        let sha256 = KeyPair::from_pkcs8(&record.pkcs8).map_err(unusable)?;
        Ok(Signer { record, sha1, sha256, base })
    }

    /// Signs a text; `version` as the topic's attribute has it, and 1 where it has none.
    pub fn sign(&self, version: Option<&str>, text: &str) -> Result<Signature> {
        let (version, bytes) = match version {
            Some("2") => ("2", self.sign_sha256(text)?),
            _ => ("1", self.sign_sha1(text)?),
        };
        Ok(Signature {
            version,
            value: STANDARD.encode(bytes),
            certificate_id: self.record.id.clone(),
            base: self.base.clone(),
        })
    }

    fn sign_sha1(&self, text: &str) -> Result<Vec<u8>> {
        let scheme = Pkcs1v15Sign { hash_len: Some(20), prefix: SHA1_PREFIX.into() };
        self.sha1.sign(scheme, &Sha1::digest(text.as_bytes())).map_err(unusable)
    }

    fn sign_sha256(&self, text: &str) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.sha256.public().modulus_len()];
        self.sha256.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).map_err(unusable)?;
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{
        RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    };

    use super::*;

    #[test]
    fn both_versions_can_be_verified() {
        let signer = Signer::new(make(&Random::seeded(1)).unwrap(), None).unwrap();
        let public = ring::signature::KeyPair::public_key(&signer.sha256).as_ref().to_vec();
        let verify = |version: &str, algorithm| {
            let signature = signer.sign(Some(version), "text").unwrap();
            assert_eq!(signature.version, version);
            let bytes = STANDARD.decode(signature.value).unwrap();
            UnparsedPublicKey::new(algorithm, &public).verify(b"text", &bytes).unwrap();
        };
        verify("1", &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY);
        verify("2", &RSA_PKCS1_2048_8192_SHA256);
        assert!(signer.record.certificate_pem.starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
