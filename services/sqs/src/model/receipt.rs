//! Receipt handles: which receive of which message a caller speaks of.
//!
//! A handle is opaque to callers. Ours holds the queue's id and space, the message's key and the receive it came from,
//! so that it is understood without a look-up table and a handle of an earlier receive is told from the latest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;

use crate::error::{Error, Result};

/// The marks a handle begins with, so that foreign texts are refused.
const MARK: [u8; 3] = *b"FQ1";
const LENGTH: usize = 3 + 8 * 4 + 4 + 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub queue_id: u64,
    pub space: u64,
    pub sent: Timestamp,
    pub number: u64,
    /// The message's receive count when the handle was given out.
    pub receive_count: u32,
}

impl Receipt {
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(&MARK);
        bytes.extend_from_slice(&self.queue_id.to_be_bytes());
        bytes.extend_from_slice(&self.space.to_be_bytes());
        bytes.extend_from_slice(&self.sent.micros().to_be_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.receive_count.to_be_bytes());
        let check = check_of(&bytes);
        bytes.extend_from_slice(&check.to_be_bytes());
        STANDARD.encode(bytes)
    }

    pub fn decode(handle: &str) -> Result<Self> {
        Self::take_apart(handle).ok_or_else(|| Error::ReceiptHandleIsInvalid { handle: handle.to_owned() })
    }

    fn take_apart(handle: &str) -> Option<Self> {
        if handle.len() > 1024 {
            return None;
        }
        let bytes = STANDARD.decode(handle).ok().filter(|bytes| bytes.len() == LENGTH && bytes.starts_with(&MARK))?;
        let eight = |at: usize| bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map(u64::from_be_bytes);
        let four = |at: usize| bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map(u32::from_be_bytes);
        if four(39)? != check_of(&bytes[..39]) {
            return None;
        }
        Some(Receipt {
            queue_id: eight(3)?,
            space: eight(11)?,
            sent: Timestamp::from_micros(eight(19)? as i64),
            number: eight(27)?,
            receive_count: four(35)?,
        })
    }
}

/// FNV-1a: enough to tell a damaged handle; a forged one gives no more than its queue's owner has.
fn check_of(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(queue_id: u64, space: u64, sent: i64, number: u64, receive_count: u32) {
            let receipt = Receipt { queue_id, space, sent: Timestamp::from_micros(sent), number, receive_count };
            prop_assert_eq!(Receipt::decode(&receipt.encode()).unwrap(), receipt);
        }

        #[test]
        fn a_damaged_handle_is_refused(at in 0usize..LENGTH, flip in 1u8..=255) {
            let receipt = Receipt { queue_id: 1, space: 2, sent: Timestamp::from_secs(3), number: 4, receive_count: 5 };
            let mut bytes = STANDARD.decode(receipt.encode()).unwrap();
            bytes[at] ^= flip;
            prop_assert!(Receipt::decode(&STANDARD.encode(bytes)).is_err());
        }

        #[test]
        fn any_text_is_decoded_or_refused(text in ".*") {
            let _ = Receipt::decode(&text);
        }
    }
}
