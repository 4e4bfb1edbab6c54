//! JSON Web Tokens: read, verified, written.
//!
//! The algorithms are those that IAM takes of OpenID Connect providers, but for ES512; keyless (`none`) and symmetric
//! ones are none of them, so a token cannot choose a weaker check than its key is for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fractus_clock::Timestamp;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// How far a provider's clock may be ahead.
const SKEW_SECS: i64 = 300;

/// A token taken apart, not verified yet.
#[derive(Debug)]
pub struct Jwt<'a> {
    pub algorithm: String,
    pub key_id: Option<String>,
    pub claims: Map<String, Value>,
    /// Header and payload as they are signed.
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none are.
    crit: Option<Value>,
}

fn not_a_jwt() -> Error {
    Error::InvalidIdentityToken(
        "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)".to_owned(),
    )
}

impl<'a> Jwt<'a> {
    pub fn parse(token: &'a str) -> Result<Self> {
        let (signed, signature) = token.rsplit_once('.').ok_or_else(not_a_jwt)?;
        let (header, payload) = signed.split_once('.').ok_or_else(not_a_jwt)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| not_a_jwt());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| not_a_jwt())?;
        let claims: Map<String, Value> = serde_json::from_slice(&decode(payload)?).map_err(|_| not_a_jwt())?;
        if header.crit.is_some() {
            return Err(not_a_jwt());
        }
        let signature = decode(signature)?;
        Ok(Jwt { algorithm: header.alg, key_id: header.kid, claims, signed, signature })
    }

    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }

    pub fn required(&self, claim: &str) -> Result<&str> {
        self.text(claim)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Error::InvalidIdentityToken(format!("Missing a required claim: {claim}")))
    }

    /// The audiences: one text or a list of them.
    pub fn audiences(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(audience)) => vec![audience],
            Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The whole seconds of a claim that is a time.
    fn time(&self, claim: &str) -> Option<i64> {
        let value = self.claims.get(claim)?;
        value.as_i64().or_else(|| value.as_f64().map(|secs| secs as i64))
    }

    /// Whether it holds now.
    pub fn check_times(&self, now: Timestamp) -> Result<()> {
        let now = now.secs();
        let expires =
            self.time("exp").ok_or_else(|| Error::InvalidIdentityToken("Missing a required claim: exp".to_owned()))?;
        if now >= expires {
            return Err(Error::ExpiredToken(format!(
                "Token expired: current date/time {now} must be before the expiration date/time{expires}"
            )));
        }
        let begins = [self.time("nbf"), self.time("iat")].into_iter().flatten().max();
        match begins {
            Some(begins) if begins > now.saturating_add(SKEW_SECS) => Err(Error::InvalidIdentityToken(format!(
                "Token is not valid yet: current date/time {now} must not be before {begins}"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether one of the keys has signed it.
    pub fn is_signed_by(&self, keys: &[Jwk]) -> bool {
        keys.iter().any(|key| self.may_use(key) && self.verify(&key.material))
    }

    /// Whether a key of this set is meant for the token.
    pub fn may_use(&self, key: &Jwk) -> bool {
        let named = match (&self.key_id, &key.key_id) {
            (Some(wanted), Some(known)) => wanted == known,
            _ => true,
        };
        named && key.algorithm.as_ref().is_none_or(|algorithm| *algorithm == self.algorithm)
    }

    fn verify(&self, key: &KeyMaterial) -> bool {
        let (message, signature) = (self.signed.as_bytes(), self.signature.as_slice());
        match (self.algorithm.as_str(), key) {
            ("RS256", KeyMaterial::Rsa(rsa)) => rsa.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature),
            ("RS384", KeyMaterial::Rsa(rsa)) => rsa.verify(&signature::RSA_PKCS1_2048_8192_SHA384, message, signature),
            ("RS512", KeyMaterial::Rsa(rsa)) => rsa.verify(&signature::RSA_PKCS1_2048_8192_SHA512, message, signature),
            ("ES256", KeyMaterial::P256(point)) => {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point);
                return key.verify(message, signature).is_ok();
            }
            ("ES384", KeyMaterial::P384(point)) => {
                let key = UnparsedPublicKey::new(&signature::ECDSA_P384_SHA384_FIXED, point);
                return key.verify(message, signature).is_ok();
            }
            _ => return false,
        }
        .is_ok()
    }
}

/// The parts of an RSA public key, big endian.
pub type RsaKey = RsaPublicKeyComponents<Vec<u8>>;

/// A public key.
#[derive(Debug)]
pub enum KeyMaterial {
    Rsa(RsaKey),
    /// Uncompressed points.
    P256(Vec<u8>),
    P384(Vec<u8>),
}

/// A key of a provider's set.
#[derive(Debug)]
pub struct Jwk {
    pub key_id: Option<String>,
    pub algorithm: Option<String>,
    pub material: KeyMaterial,
}

#[derive(Deserialize)]
struct WrittenKeySet {
    keys: Vec<WrittenKey>,
}

#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The most keys of a set that are looked at.
const MAX_KEYS: usize = 100;

/// Reads a JSON Web Key Set; keys of kinds that are not known here are left out.
pub fn read_key_set(text: &[u8]) -> Option<Vec<Jwk>> {
    let set: WrittenKeySet = serde_json::from_slice(text).ok()?;
    let signs = |key: &WrittenKey| key.usage.as_deref().is_none_or(|usage| usage == "sig");
    Some(set.keys.into_iter().filter(signs).take(MAX_KEYS).filter_map(read_key).collect())
}

fn read_key(key: WrittenKey) -> Option<Jwk> {
    let decode = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_deref()?.trim_end_matches('=')).ok();
    let point = |length: usize| {
        let (x, y) = (decode(&key.x)?, decode(&key.y)?);
        (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
    };
    let material = match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => KeyMaterial::Rsa(RsaPublicKeyComponents { n: decode(&key.n)?, e: decode(&key.e)? }),
        ("EC", Some("P-256")) => KeyMaterial::P256(point(32)?),
        ("EC", Some("P-384")) => KeyMaterial::P384(point(48)?),
        _ => return None,
    };
    Some(Jwk { key_id: key.kid, algorithm: key.alg, material })
}

/// Header and payload, ready to be signed.
pub fn signing_input(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The whole token.
pub fn compact(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    fn key_pair() -> EcdsaKeyPair {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
    }

    fn set_of(pair: &EcdsaKeyPair) -> Vec<Jwk> {
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let set = json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "x": "AA" },
            { "kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig", "x": encode(x), "y": encode(y) },
        ] });
        read_key_set(set.to_string().as_bytes()).unwrap()
    }

    fn token(pair: &EcdsaKeyPair, header: Value, claims: Value) -> String {
        let input = signing_input(&header, &claims);
        let signature = pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        compact(&input, signature.as_ref())
    }

    #[test]
    fn a_signed_token_is_told_from_a_changed_one() {
        let pair = key_pair();
        let keys = set_of(&pair);
        let signed = token(&pair, json!({ "alg": "ES256", "kid": "k" }), json!({ "sub": "ann" }));
        assert!(Jwt::parse(&signed).unwrap().is_signed_by(&keys));
        let (head, rest) = signed.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let forged = format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(r#"{"sub":"bob"}"#));
        assert!(!Jwt::parse(&forged).unwrap().is_signed_by(&keys));
        assert!(!Jwt::parse(&signed).unwrap().is_signed_by(&set_of(&key_pair())));
    }

    #[test]
    fn a_token_cannot_choose_another_check_than_its_key_s() {
        let pair = key_pair();
        let keys = set_of(&pair);
        for header in [
            json!({ "alg": "none", "kid": "k" }),
            json!({ "alg": "HS256", "kid": "k" }),
            json!({ "alg": "ES384", "kid": "k" }),
            json!({ "alg": "ES256", "kid": "other" }),
        ] {
            let signed = token(&pair, header, json!({ "sub": "ann" }));
            assert!(!Jwt::parse(&signed).unwrap().is_signed_by(&keys), "{signed}");
        }
        let unsigned = compact(&signing_input(&json!({ "alg": "none" }), &json!({})), b"");
        assert!(!Jwt::parse(&unsigned).unwrap().is_signed_by(&keys));
    }

    #[test]
    fn times_are_kept() {
        let pair = key_pair();
        let check = |claims: Value| {
            let token = token(&pair, json!({ "alg": "ES256" }), claims);
            Jwt::parse(&token).unwrap().check_times(Timestamp::from_secs(1_000)).map_err(|error| error.to_string())
        };
        assert_eq!(check(json!({ "exp": 1_001 })), Ok(()));
        assert_eq!(
            check(json!({ "exp": 1_000 })).unwrap_err(),
            "Token expired: current date/time 1000 must be before the expiration date/time1000"
        );
        assert!(check(json!({ "exp": 9_000, "nbf": 1_301 })).is_err());
        assert!(check(json!({ "exp": 9_000, "nbf": 1_300, "iat": 900 })).is_ok());
        assert!(check(json!({})).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", keys in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Jwt::parse(&text);
            let _ = read_key_set(&keys);
        }
    }
}
