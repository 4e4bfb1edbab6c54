//! What clients' tokens have begun: asking again with a token begins nothing, for eight hours.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ExportTableToPointInTime.html>

use std::time::Duration;

use fractus_store::{Collection, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const KEPT: Duration = Duration::from_secs(8 * 3_600);

/// Something that goes on after its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The table's name, where the id alone does not find it.
    #[serde(default)]
    pub table: String,
    pub id: String,
    /// The whole request, as JSON.
    pub request: String,
}

/// What tokens have begun, by token.
pub type Tokens = Collection<(String,), Begun>;

/// What a token has begun with the same request; with another one it is a conflict. No token begins anything again.
pub fn before(
    snapshot: &Snapshot<'_>,
    (tokens, scope): (&Tokens, &Scope),
    (token, request): (&str, &str),
    conflict: impl FnOnce(&str) -> Error,
) -> Result<Option<Begun>> {
    if token.is_empty() {
        return Ok(None);
    }
    match snapshot.get(tokens, scope, &(token,))? {
        Some(begun) if begun.request != request => Err(conflict("the client token was used with other parameters")),
        found => Ok(found),
    }
}

/// Remembers what a token has begun.
pub fn remember(
    tx: &mut Transaction<'_>,
    (tokens, scope): (&Tokens, &Scope),
    token: &str,
    begun: &Begun,
) -> Result<()> {
    if token.is_empty() {
        return Ok(());
    }
    let until = tx.now(scope).plus(KEPT);
    Ok(tx.put_until(tokens, scope, &(token,), begun, until)?)
}
