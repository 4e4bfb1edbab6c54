//! STS as an identity provider: the keys of an account's issuer, and the documents by which its tokens are verified.
//!
//! On AWS each account has an issuer under `tokens.sts.global.api.aws`. Here it is
//! `<endpoint>/_aws/sts/issuers/<lane>/<account>`, with `/.well-known/openid-configuration` and
//! `/.well-known/jwks.json` below it, for anybody to read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use fractus_aws::{AccountId, Lane};
use fractus_clock::{Random, Timestamp};
use fractus_host::Context;
use fractus_wire::ByteStream;
use http::{HeaderValue, Method, Response, StatusCode, header};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256};
use rsa::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::service::Sts;
use crate::store::{SIGNING_KEYS, SigningKey, scope};

/// Where the issuers' documents are.
pub const PATH: &str = "/_aws/sts/issuers/";
const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEY_SET: &str = "/.well-known/jwks.json";
const RSA_BITS: usize = 2_048;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Es384,
    Rs256,
}

impl Algorithm {
    const ALL: [Self; 2] = [Algorithm::Es384, Algorithm::Rs256];

    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Es384 => "ES384",
            Algorithm::Rs256 => "RS256",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// The issuer of an account, as the caller reaches it.
pub fn issuer_url(cx: &Context) -> String {
    format!("{}{PATH}{}/{}", cx.endpoint(), cx.world.lane, cx.world.account)
}

impl Sts {
    /// The account's key for this algorithm; the first one who asks has it made.
    pub async fn signing_key(&self, cx: &Context, algorithm: Algorithm) -> Result<SigningKey> {
        let scope = scope(&cx.world.lane, &cx.world.account);
        let at = (algorithm.name(),);
        let known = self.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&SIGNING_KEYS, &scope, &at)?)).await?;
        if let Some(key) = known {
            return Ok(key);
        }
        let (random, now) = (cx.random().clone(), cx.now());
        // Making an RSA key takes a second of computing; requests go on meanwhile.
        let made = tokio::task::spawn_blocking(move || make(algorithm, &random, now)).await;
        let made = made.map_err(|error| Error::Internal(error.to_string()))??;
        self.store
            .write(|tx| match tx.get(&SIGNING_KEYS, &scope, &at)? {
                Some(first) => Ok(first),
                None => {
                    tx.put(&SIGNING_KEYS, &scope, &at, &made)?;
                    Ok(made.clone())
                }
            })
            .await
    }

    /// The answer to a GET below [`PATH`].
    pub async fn issuer_document(&self, cx: &Context) -> Response<ByteStream> {
        let document = match (cx.method(), cx.uri().path().strip_prefix(PATH)) {
            (&Method::GET, Some(path)) => self.document(cx, path).await,
            _ => Ok(None),
        };
        match document {
            Ok(Some(document)) => answer(StatusCode::OK, &document),
            Ok(None) => answer(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" })),
            Err(error) => {
                tracing::error!(%error, "an issuer's document could not be made");
                answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "message": "Internal Server Error" }))
            }
        }
    }

    async fn document(&self, cx: &Context, path: &str) -> Result<Option<Value>> {
        let (issuer, is_discovery) = match (path.strip_suffix(DISCOVERY), path.strip_suffix(KEY_SET)) {
            (Some(issuer), _) => (issuer, true),
            (_, Some(issuer)) => (issuer, false),
            _ => return Ok(None),
        };
        let Some((lane, account)) = issuer.split_once('/') else { return Ok(None) };
        let (Ok(lane), Ok(account)) = (Lane::new(lane), AccountId::new(account)) else { return Ok(None) };
        if is_discovery {
            return Ok(Some(discovery(&format!("{}{PATH}{lane}/{account}", cx.endpoint()))));
        }
        let scope = scope(&lane, &account);
        let mut keys = Vec::new();
        for algorithm in Algorithm::ALL {
            let at = (algorithm.name(),);
            let key = self.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&SIGNING_KEYS, &scope, &at)?)).await?;
            if let Some(key) = key {
                keys.push(public_key(algorithm, &key)?);
            }
        }
        Ok(Some(json!({ "keys": keys })))
    }
}

fn discovery(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}{KEY_SET}"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::name),
        "claims_supported": ["iss", "aud", "sub", "iat", "exp", "jti", "https://sts.amazonaws.com/"],
    })
}

fn answer(status: StatusCode, document: &Value) -> Response<ByteStream> {
    let mut response = Response::new(ByteStream::from(Bytes::from(document.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn unusable(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("a signing key: {error}"))
}

fn make(algorithm: Algorithm, random: &Random, now: Timestamp) -> Result<SigningKey> {
    let pkcs8 = match algorithm {
        Algorithm::Es384 => {
            let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new());
            Bytes::copy_from_slice(made.map_err(unusable)?.as_ref())
        }
        Algorithm::Rs256 => {
            let key = rsa::PrivateKey::new(&mut StdRng::from_seed(random.bytes()), RSA_BITS).map_err(unusable)?;
            Bytes::copy_from_slice(key.to_pkcs8_der().map_err(unusable)?.as_bytes())
        }
    };
    Ok(SigningKey { key_id: random.uuid(), pkcs8, created_at: now })
}

/// Signs with a key of [`Sts::signing_key`].
pub fn sign(algorithm: Algorithm, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>> {
    match algorithm {
        Algorithm::Es384 => {
            let signature = ecdsa(key)?.sign(&SystemRandom::new(), message).map_err(unusable)?;
            Ok(signature.as_ref().to_vec())
        }
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::from_pkcs8(&key.pkcs8).map_err(unusable)?;
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(unusable)?;
            Ok(signature)
        }
    }
}

fn ecdsa(key: &SigningKey) -> Result<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &key.pkcs8, &SystemRandom::new()).map_err(unusable)
}

/// The public half as a JSON Web Key.
fn public_key(algorithm: Algorithm, key: &SigningKey) -> Result<Value> {
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    Ok(match algorithm {
        Algorithm::Es384 => {
            let pair = ecdsa(key)?;
            // An uncompressed point: 4, x, y.
            let (x, y) = pair.public_key().as_ref()[1..].split_at(48);
            json!({
                "kty": "EC", "crv": "P-384", "use": "sig", "alg": "ES384", "kid": key.key_id,
                "x": encode(x), "y": encode(y),
            })
        }
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::from_pkcs8(&key.pkcs8).map_err(unusable)?;
            let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
            json!({
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.key_id,
                "n": encode(&public.n), "e": encode(&public.e),
            })
        }
    })
}
