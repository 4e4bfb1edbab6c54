//! Pages of lists. A token is the last name of the page before, so that a page is right whatever came or went meanwhile.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fractus_store::{Collection, Key, OpenPrefixOf, Order, PrefixOf, Range, Scope, Snapshot};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// What a page holds where the caller does not say.
const USUAL: usize = 100;
/// Records that one page looks at: with a filter that nothing passes, a page may be short and still not the last.
const MOST_LOOKED_AT: usize = 10_000;

pub fn size(limit: Option<i32>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(USUAL)
}

pub fn encode(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

pub fn decode(token: Option<&str>) -> Result<Option<String>> {
    let Some(token) = token else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let name = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    name.map(Some).ok_or_else(|| Error::parameter("NextToken", "The token is not valid."))
}

/// What a page is cut from.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub prefix: Option<&'a str>,
    pub token: Option<&'a str>,
    pub limit: Option<i32>,
}

/// A page of a collection whose keys are names.
pub fn page<V: DeserializeOwned, T>(
    snapshot: &Snapshot<'_>,
    collection: &Collection<(String,), V>,
    scope: &Scope,
    asked: &Asked<'_>,
    mut make: impl FnMut(V) -> Result<Option<T>>,
) -> Result<(Vec<T>, Option<String>)> {
    let prefix = asked.prefix.unwrap_or_default();
    let after = decode(asked.token)?;
    let mut range = Range::starts_with(&(prefix,));
    if let Some(after) = &after {
        range = range.after(&(after.as_str(),));
    }
    collect(snapshot, collection, scope, range, asked.limit, |(name,)| name.clone(), |_, value| make(value))
}

/// A page of a range. `name_of` gives what a token says of a key.
pub fn collect<K: Key, V: DeserializeOwned, T>(
    snapshot: &Snapshot<'_>,
    collection: &Collection<K, V>,
    scope: &Scope,
    range: Range<K>,
    limit: Option<i32>,
    name_of: impl Fn(&K) -> String,
    mut make: impl FnMut(&K, V) -> Result<Option<T>>,
) -> Result<(Vec<T>, Option<String>)> {
    let size = size(limit);
    let mut found = Vec::new();
    let mut last = None;
    for (looked_at, record) in snapshot.range(collection, scope, range, Order::Ascending)?.enumerate() {
        let (key, value) = record?;
        if found.len() >= size || looked_at >= MOST_LOOKED_AT {
            return Ok((found, last.map(|name: String| encode(&name))));
        }
        last = Some(name_of(&key));
        found.extend(make(&key, value)?);
    }
    Ok((found, None))
}

/// The range of what begins with these parts, behind a token's name.
pub fn behind<K, P, A>(prefix: &P, after: Option<A>) -> Range<K>
where
    P: OpenPrefixOf<K>,
    A: PrefixOf<K>,
{
    let range = Range::starts_with(prefix);
    match after {
        Some(after) => range.after(&after),
        None => range,
    }
}
