//! What all batches share: how many entries, and what their ids may be.

use std::collections::HashSet;

use fractus_sqs_api as api;

use crate::error::{Error, Result};

const MAX_ENTRIES: usize = 10;

/// Checks the ids of a batch, as every batch operation does before it looks at an entry.
pub fn check_ids<'a>(ids: impl ExactSizeIterator<Item = &'a str>, entry: &'static str) -> Result<()> {
    let count = ids.len();
    if count == 0 {
        return Err(Error::EmptyBatchRequest { entry });
    }
    if count > MAX_ENTRIES {
        return Err(Error::TooManyEntriesInBatchRequest { count });
    }
    let mut seen = HashSet::with_capacity(count);
    for id in ids {
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if id.is_empty() || id.len() > 80 || !plain {
            return Err(Error::InvalidBatchEntryId);
        }
        if !seen.insert(id) {
            return Err(Error::BatchEntryIdsNotDistinct { id: id.to_owned() });
        }
    }
    Ok(())
}

/// A failed entry.
pub fn failed(id: String, error: &Error) -> api::BatchResultErrorEntry {
    api::BatchResultErrorEntry {
        id,
        sender_fault: error.is_sender_fault(),
        code: error.code(),
        message: Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_and_distinct() {
        let check = |ids: &[&str]| check_ids(ids.iter().copied(), "SendMessageBatchRequestEntry");
        assert!(check(&["a", "b-1_C"]).is_ok());
        assert!(matches!(check(&[]), Err(Error::EmptyBatchRequest { .. })));
        assert!(matches!(check(&["a"; 11]), Err(Error::TooManyEntriesInBatchRequest { count: 11 })));
        assert!(matches!(check(&["a", "a"]), Err(Error::BatchEntryIdsNotDistinct { .. })));
        assert!(matches!(check(&["a.b"]), Err(Error::InvalidBatchEntryId)));
    }
}
