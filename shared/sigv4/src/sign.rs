//! Signing requests: by header, or presigned in the query.

use std::time::Duration;

use fractus_clock::Timestamp;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::request::Parts;

use crate::canonical::{PathStyle, Reading, RequestView, canonical_request};
use crate::chunk_key::{ChunkKey, ChunkSeed};
use crate::credential::Scheme;
use crate::crypto::uri_encode;
use crate::key::{KeyCache, SigningKey};
use crate::payload::Payload;
use crate::sigv4a;
use crate::verify::string_to_sign;

/// Headers that proxies may change, so that they are never signed; botocore leaves out the same.
const NEVER_SIGNED: [&str; 15] = [
    "authorization",
    "baggage",
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
];

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("the request names no host")]
    NoHost,
    #[error("{name} cannot be a header: {value:?}")]
    InvalidHeader { name: &'static str, value: String },
    #[error("the signed URL is not valid: {0}")]
    InvalidUri(#[from] http::uri::InvalidUri),
    #[error("the signed URL is not valid: {0}")]
    InvalidUriParts(#[from] http::uri::InvalidUriParts),
    #[error("no key can be derived from the secret")]
    NoKey,
}

/// Who signs, for what, when.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    pub access_key: &'a str,
    pub secret: &'a str,
    pub token: Option<&'a str>,
    pub service: &'a str,
    /// For [`Scheme::V4a`] the set of regions, comma-separated, `*` for any.
    pub region: &'a str,
    pub time: Timestamp,
    /// [`Scheme::V4`] or [`Scheme::V4a`].
    pub scheme: Scheme,
}

enum Key {
    Hmac(SigningKey),
    Ecdsa(Box<p256::ecdsa::SigningKey>),
}

/// A signature and the texts it was made of.
#[derive(Clone, Debug)]
pub struct Signed {
    pub signature: String,
    pub canonical_request: String,
    pub string_to_sign: String,
    /// What the signatures of an `aws-chunked` body build upon.
    pub chunk_seed: ChunkSeed,
}

impl Signer<'_> {
    /// `YYYYMMDD/region/service/aws4_request`, without the region for SigV4A.
    pub fn scope(&self) -> String {
        let date = &self.time.amz_date()[..8];
        match self.scheme {
            Scheme::V4a => [date, self.service, "aws4_request"].join("/"),
            _ => [date, self.region, self.service, "aws4_request"].join("/"),
        }
    }

    /// The signature over the named headers (sorted, lower case, joined by semicolons) of a request as it is.
    pub fn signature(
        &self,
        request: &RequestView<'_>,
        signed_headers: &str,
        payload: &Payload,
        keys: &KeyCache,
    ) -> Result<Signed, SignError> {
        let style = PathStyle::of(self.service);
        let canonical = canonical_request(request, style, Reading::PLAIN, signed_headers, &payload.text());
        let (date, scope) = (self.time.amz_date(), self.scope());
        let text = string_to_sign(self.scheme, &date, &scope, &canonical);
        let key = self.key(&date, keys)?;
        let signature = match &key {
            Key::Hmac(key) => String::from_utf8_lossy(&key.sign(text.as_bytes())).into_owned(),
            Key::Ecdsa(key) => sigv4a::sign(key, text.as_bytes()),
        };
        let key = match key {
            Key::Hmac(key) => ChunkKey::Hmac(key),
            Key::Ecdsa(key) => ChunkKey::Sign(key),
        };
        Ok(Signed {
            chunk_seed: ChunkSeed::new(Some(key), &date, scope, &signature),
            signature,
            canonical_request: String::from_utf8_lossy(&canonical).into_owned(),
            string_to_sign: text,
        })
    }

    fn key(&self, date: &str, keys: &KeyCache) -> Result<Key, SignError> {
        match self.scheme {
            Scheme::V4a => {
                let key = sigv4a::signing_key(self.access_key, self.secret).ok_or(SignError::NoKey)?;
                Ok(Key::Ecdsa(Box::new(key)))
            }
            _ => Ok(Key::Hmac(keys.get(self.secret, &date[..8], self.region, self.service))),
        }
    }

    /// Signs by header: sets the date, the token, for S3 and all unhashed bodies the payload's hash, and `Authorization`.
    pub fn sign(&self, parts: &mut Parts, payload: &Payload, keys: &KeyCache) -> Result<Signed, SignError> {
        ensure_host(parts)?;
        parts.headers.remove(AUTHORIZATION);
        set(parts, "x-amz-date", &self.time.amz_date())?;
        if let Some(token) = self.token {
            set(parts, "x-amz-security-token", token)?;
        }
        if self.scheme == Scheme::V4a {
            set(parts, "x-amz-region-set", self.region)?;
        }
        if PathStyle::of(self.service) == PathStyle::S3 || !matches!(payload, Payload::Sha256(_)) {
            set(parts, "x-amz-content-sha256", &payload.text())?;
        }
        let signed_headers = signable_headers(parts);
        let signed = self.signature(&RequestView::from(&*parts), &signed_headers, payload, keys)?;
        let (algorithm, access_key, scope) = (self.scheme.algorithm(), self.access_key, self.scope());
        let authorization = format!(
            "{algorithm} Credential={access_key}/{scope}, SignedHeaders={signed_headers}, Signature={}",
            signed.signature
        );
        set(parts, "authorization", &authorization)?;
        Ok(signed)
    }

    /// Presigns: puts everything into the query of `parts.uri`, valid for `expires` from [`Self::time`].
    pub fn presign(
        &self,
        parts: &mut Parts,
        payload: &Payload,
        expires: Duration,
        keys: &KeyCache,
    ) -> Result<Signed, SignError> {
        ensure_host(parts)?;
        parts.headers.remove(AUTHORIZATION);
        let signed_headers = signable_headers(parts);
        let (date, credential) = (self.time.amz_date(), format!("{}/{}", self.access_key, self.scope()));
        let expires = expires.as_secs().to_string();
        let mut query = parts.uri.query().unwrap_or_default().to_owned();
        let mut push = |name: &str, value: &str| {
            let separator = if query.is_empty() { "" } else { "&" };
            query.push_str(&format!("{separator}{name}={}", uri_encode(value)));
        };
        push("X-Amz-Algorithm", self.scheme.algorithm());
        push("X-Amz-Credential", &credential);
        push("X-Amz-Date", &date);
        push("X-Amz-Expires", &expires);
        push("X-Amz-SignedHeaders", &signed_headers);
        if self.scheme == Scheme::V4a {
            push("X-Amz-Region-Set", self.region);
        }
        if let Some(token) = self.token {
            push("X-Amz-Security-Token", token);
        }
        let view = RequestView { query: &query, ..RequestView::from(&*parts) };
        let signed = self.signature(&view, &signed_headers, payload, keys)?;
        query.push_str("&X-Amz-Signature=");
        query.push_str(&signed.signature);
        let mut uri = parts.uri.clone().into_parts();
        uri.path_and_query = Some(format!("{}?{query}", parts.uri.path()).parse()?);
        parts.uri = http::Uri::from_parts(uri)?;
        Ok(signed)
    }
}

fn ensure_host(parts: &mut Parts) -> Result<(), SignError> {
    if parts.headers.contains_key(HOST) {
        return Ok(());
    }
    let authority = parts.uri.authority().ok_or(SignError::NoHost)?;
    // Clients send the port only where it is not the scheme's own.
    let default_port = match parts.uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    let host = match authority.port_u16() {
        Some(port) if Some(port) != default_port => format!("{}:{port}", authority.host()),
        _ => authority.host().to_owned(),
    };
    set(parts, "host", &host)
}

fn set(parts: &mut Parts, name: &'static str, value: &str) -> Result<(), SignError> {
    let invalid = || SignError::InvalidHeader { name, value: value.to_owned() };
    let header_value = HeaderValue::from_str(value).map_err(|_| invalid())?;
    parts.headers.insert(HeaderName::from_static(name), header_value);
    Ok(())
}

fn signable_headers(parts: &Parts) -> String {
    let mut names: Vec<&str> =
        parts.headers.keys().map(HeaderName::as_str).filter(|name| !NEVER_SIGNED.contains(name)).collect();
    names.sort_unstable();
    names.join(";")
}
