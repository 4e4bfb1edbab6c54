//! Client tokens: a request that comes again does nothing and is answered as the first time.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_store::{Scope, Transaction};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::store::{TOKENS, UsedToken};

/// How long a token is remembered. AWS does not say.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// A request with its token.
#[derive(Clone, Debug)]
pub struct Token {
    operation: &'static str,
    token: Option<String>,
    digest: String,
}

impl Token {
    /// `parameters` is all that the request says beside its token.
    pub fn new(operation: &'static str, token: Option<String>, parameters: &impl Serialize) -> Self {
        let parameters = serde_json::to_vec(parameters).unwrap_or_default();
        let digest = Sha256::digest(&parameters).iter().map(|byte| format!("{byte:02x}")).collect();
        Token { operation, token, digest }
    }

    /// The ARN that the request was answered with, if it came before; refused where the token came with something else.
    pub fn answered(&self, tx: &Transaction<'_>, scope: &Scope) -> Result<Option<String>> {
        let Some(token) = &self.token else { return Ok(None) };
        match tx.get(&TOKENS, scope, &(self.operation, token.as_str()))? {
            Some(used) if used.digest == self.digest => Ok(Some(used.arn)),
            Some(_) => Err(Error::TokenUsed(token.clone())),
            None => Ok(None),
        }
    }

    /// Remembers what the request was answered with.
    pub fn keep(&self, tx: &mut Transaction<'_>, scope: &Scope, arn: &str, now: Timestamp) -> Result<()> {
        let Some(token) = &self.token else { return Ok(()) };
        let used = UsedToken { digest: self.digest.clone(), arn: arn.to_owned() };
        Ok(tx.put_until(&TOKENS, scope, &(self.operation, token.as_str()), &used, now.plus(REMEMBERED))?)
    }
}
