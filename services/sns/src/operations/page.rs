//! Pages: how many, and what a token says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// What most lists give at once.
pub const SIZE: usize = 100;

/// A token that stands for the last key of a page.
pub fn token(key: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

/// The key that a token stands for; an empty one is none.
pub fn after<K: DeserializeOwned>(token: Option<&str>) -> Result<Option<K>> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let wrong = || Error::invalid("NextToken");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    serde_json::from_slice(&bytes).map(Some).map_err(|_| wrong())
}

/// Cuts what was read, one more than fits, to a page; with the token of the next one.
pub fn cut<T, K: Serialize>(items: &mut Vec<T>, size: usize, key: impl Fn(&T) -> K) -> Option<String> {
    if items.len() <= size {
        return None;
    }
    items.truncate(size);
    items.last().map(|last| token(&key(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_on_behind_its_page() {
        let mut items = vec![1, 2, 3];
        let token = cut(&mut items, 2, |item| (*item,)).unwrap();
        assert_eq!((items, after::<(i32,)>(Some(&token)).unwrap()), (vec![1, 2], Some((2,))));
        assert_eq!(cut(&mut vec![1, 2], 2, |item| *item), None);
        assert_eq!(after::<(i32,)>(Some("")).unwrap(), None);
        assert!(after::<(i32,)>(Some("nonsense")).is_err());
    }
}
