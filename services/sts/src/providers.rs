//! The keys of OpenID Connect providers: from a file or URL that the settings name, else by discovery.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fractus_clock::Stopwatch;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::config::{Config, OidcProvider};
use crate::error::{Error, Result};
use crate::fetch::{self, FetchError};
use crate::model::jwt::{Jwk, Jwt, read_key_set};

/// Beyond it everything is forgotten at once.
const MAX_ISSUERS: usize = 256;
/// How long keys are good without asking again.
const KNOWN_FOR: Duration = Duration::from_secs(300);
/// A token whose key is not in the set asks for a newer one, but not more often than this.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The key sets that have been fetched, by issuer.
#[derive(Default)]
pub struct Providers {
    fetched: Mutex<HashMap<String, Fetched>>,
}

type Fetched = (Stopwatch, Arc<Vec<Jwk>>);

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Providers {
    pub fn forget_all(&self) {
        self.fetched.lock().clear();
    }

    /// Whether the token's signature is its issuer's.
    pub async fn verify(&self, config: &Config, issuer: &str, token: &Jwt<'_>) -> Result<()> {
        let known = self.fetched.lock().get(issuer).cloned();
        let mut wants_newer = true;
        if let Some((since, keys)) = known {
            if since.elapsed() < KNOWN_FOR && token.is_signed_by(&keys) {
                return Ok(());
            }
            wants_newer = since.elapsed() >= ASKED_AGAIN_AFTER || since.elapsed() >= KNOWN_FOR;
        }
        if wants_newer {
            let keys = Arc::new(fetch_keys(config, issuer).await?);
            let mut fetched = self.fetched.lock();
            if fetched.len() >= MAX_ISSUERS {
                fetched.clear();
            }
            fetched.insert(issuer.to_owned(), (Stopwatch::start(), keys.clone()));
            drop(fetched);
            if token.is_signed_by(&keys) {
                return Ok(());
            }
        }
        Err(Error::InvalidIdentityToken("The signature of the web identity token is not valid".to_owned()))
    }
}

/// The provider that the settings have for an issuer, which may be written with or without its scheme.
pub fn configured<'a>(config: &'a Config, issuer: &str) -> Option<&'a OidcProvider> {
    let bare = bare_issuer(issuer);
    config.oidc_providers.iter().find(|(known, _)| bare_issuer(known) == bare).map(|(_, provider)| provider)
}

/// The issuer without scheme and trailing slash, as ARNs and condition keys have it.
pub fn bare_issuer(issuer: &str) -> &str {
    let bare = issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://")).unwrap_or(issuer);
    bare.trim_end_matches('/')
}

async fn fetch_keys(config: &Config, issuer: &str) -> Result<Vec<Jwk>> {
    let timeout = Duration::from_secs(config.provider_timeout_secs);
    let document = match configured(config, issuer).and_then(|provider| provider.jwks.as_deref()) {
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            fetch::get(url, timeout).await.map_err(unreachable)?
        }
        Some(path) => tokio::fs::read(path)
            .await
            .map_err(|error| Error::IdpCommunication(format!("The key set {path} cannot be read: {error}")))?
            .into(),
        None => fetch::get(&discover(issuer, timeout).await?, timeout).await.map_err(unreachable)?,
    };
    read_key_set(&document).ok_or_else(no_key)
}

async fn discover(issuer: &str, timeout: Duration) -> Result<String> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document = fetch::get(&url, timeout).await.map_err(unreachable)?;
    let discovery: Discovery = serde_json::from_slice(&document).map_err(|_| no_key())?;
    if discovery.issuer.trim_end_matches('/') != issuer.trim_end_matches('/') {
        return Err(no_key());
    }
    Ok(discovery.jwks_uri)
}

fn no_key() -> Error {
    Error::InvalidIdentityToken(
        "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements".to_owned(),
    )
}

fn unreachable(error: FetchError) -> Error {
    match error {
        FetchError::Url(_) | FetchError::Status(_) => no_key(),
        other => {
            tracing::info!(error = %other, "an identity provider could not be reached");
            Error::IdpCommunication(
                "Unable to communicate with the identity provider to verify the web identity token".to_owned(),
            )
        }
    }
}
