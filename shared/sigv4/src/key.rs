//! Signing keys, and the bounded cache of them.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use hmac::Mac;
use p256::ecdsa::VerifyingKey;
use parking_lot::Mutex;

use crate::crypto::{HmacSha256, hmac, hmac_key};
use crate::sigv4a;

/// A secret made ready for one date, region and service. Cloning it is cheap.
#[derive(Clone)]
pub struct SigningKey(HmacSha256);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`; the date is `YYYYMMDD`.
    pub fn derive(secret: &str, date: &str, region: &str, service: &str) -> Self {
        let mut seed = Vec::with_capacity(4 + secret.len());
        seed.extend_from_slice(b"AWS4");
        seed.extend_from_slice(secret.as_bytes());
        let key = hmac(&seed, date.as_bytes());
        let key = hmac(&key, region.as_bytes());
        let key = hmac(&key, service.as_bytes());
        let key = hmac(&key, b"aws4_request");
        SigningKey(hmac_key(&key))
    }

    /// The signature of a string to sign, in hexadecimal.
    pub fn sign(&self, string_to_sign: &[u8]) -> [u8; 64] {
        let mut mac = self.0.clone();
        mac.update(string_to_sign);
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut out = [0; 64];
        // Sixty-four digits for thirty-two bytes always fit.
        hex::encode_to_slice(digest, &mut out).unwrap_or_default();
        out
    }
}

struct Entry {
    secret: String,
    date: String,
    region: String,
    service: String,
    key: SigningKey,
}

/// SigV4A's public key of an access key.
struct KeyPair {
    access_key: String,
    secret: String,
    public: VerifyingKey,
}

/// Remembers signing keys, so that a request costs one HMAC instead of five. A fixed number of slots; a new key drives
/// out the one in its slot.
pub struct KeyCache {
    slots: Box<[Mutex<Option<Entry>>]>,
    asymmetric: Box<[Mutex<Option<KeyPair>>]>,
    hasher: RandomState,
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyCache({} slots)", self.slots.len())
    }
}

impl Default for KeyCache {
    fn default() -> Self {
        KeyCache::with_capacity(256)
    }
}

impl KeyCache {
    pub fn with_capacity(slots: usize) -> Self {
        KeyCache {
            slots: (0..slots.max(1)).map(|_| Mutex::new(None)).collect(),
            asymmetric: (0..slots.div_ceil(8).max(1)).map(|_| Mutex::new(None)).collect(),
            hasher: RandomState::new(),
        }
    }

    /// SigV4A's public key of an access key.
    pub(crate) fn verifying_key(&self, access_key: &str, secret: &str) -> Option<VerifyingKey> {
        let hash = self.hasher.hash_one((access_key, secret));
        let mut slot = self.asymmetric[usize::try_from(hash).unwrap_or_default() % self.asymmetric.len()].lock();
        if let Some(pair) = slot.as_ref()
            && pair.access_key == access_key
            && pair.secret == secret
        {
            return Some(pair.public);
        }
        let public = *sigv4a::signing_key(access_key, secret)?.verifying_key();
        *slot = Some(KeyPair { access_key: access_key.to_owned(), secret: secret.to_owned(), public });
        Some(public)
    }

    /// The key for these four, derived if it is not there.
    pub fn get(&self, secret: &str, date: &str, region: &str, service: &str) -> SigningKey {
        let hash = self.hasher.hash_one((secret, date, region, service));
        let index = usize::try_from(hash).unwrap_or_default() % self.slots.len();
        let mut slot = self.slots[index].lock();
        if let Some(entry) = slot.as_ref()
            && entry.secret == secret
            && entry.date == date
            && entry.region == region
            && entry.service == service
        {
            return entry.key.clone();
        }
        let key = SigningKey::derive(secret, date, region, service);
        *slot = Some(Entry {
            secret: secret.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            key: key.clone(),
        });
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_answers_what_derivation_answers() {
        let cache = KeyCache::with_capacity(2);
        for round in 0..3 {
            for region in ["us-east-1", "eu-west-1", "ap-south-1", "sa-east-1"] {
                let cached = cache.get("secret", "20130524", region, "s3").sign(b"x");
                assert_eq!(cached, SigningKey::derive("secret", "20130524", region, "s3").sign(b"x"), "{round}");
            }
        }
    }
}
