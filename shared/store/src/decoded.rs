//! Records kept decoded: what is read with every request and seldom written (a queue, a bucket) need not be decoded anew
//! each time.
//!
//! A kept value stands for the very bytes it was decoded from. Every read still reads the record and compares it, so
//! nothing is ever stale, whatever wrote the record, and whichever engine, lane or snapshot it is read from.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::StoreError;

/// How many records are kept; when there are more, all are forgotten and the ones in use come back by themselves.
const KEPT_RECORDS: usize = 4_096;
/// Longer records are decoded each time.
const KEPT_BYTES: usize = 16 * 1024;

struct Kept {
    bytes: Box<[u8]>,
    value: Arc<dyn Any + Send + Sync>,
}

#[derive(Default)]
pub(crate) struct Decoded {
    kept: Mutex<HashMap<Box<[u8]>, Kept>>,
}

impl Decoded {
    /// The value of the record `bytes` at `key`, decoded now or before.
    pub(crate) fn get<V: Send + Sync + 'static>(
        &self,
        key: &[u8],
        bytes: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<V, StoreError>,
    ) -> Result<Arc<V>, StoreError> {
        let found = self.kept.lock().get(key).filter(|kept| *kept.bytes == *bytes).map(|kept| Arc::clone(&kept.value));
        if let Some(value) = found.and_then(|value| value.downcast::<V>().ok()) {
            return Ok(value);
        }
        let value = Arc::new(decode(bytes)?);
        if bytes.len() <= KEPT_BYTES {
            let mut kept = self.kept.lock();
            if kept.len() >= KEPT_RECORDS {
                kept.clear();
            }
            kept.insert(
                key.into(),
                Kept { bytes: bytes.into(), value: Arc::clone(&value) as Arc<dyn Any + Send + Sync> },
            );
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_for_its_bytes_alone() {
        let decoded = Decoded::default();
        let mut times = 0;
        let mut get = |key: &[u8], bytes: &[u8]| {
            let decode = |bytes: &[u8]| {
                times += 1;
                Ok(bytes.to_vec())
            };
            let value = decoded.get(key, bytes, decode).unwrap();
            (value.to_vec(), times)
        };
        assert_eq!(get(b"k", b"one"), (b"one".to_vec(), 1));
        assert_eq!(get(b"k", b"one"), (b"one".to_vec(), 1));
        assert_eq!(get(b"k", b"two"), (b"two".to_vec(), 2));
        assert_eq!(get(b"k", b"one"), (b"one".to_vec(), 3));
        assert_eq!(get(b"other", b"one"), (b"one".to_vec(), 4));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let decoded = Decoded::default();
        for number in 0..3 * KEPT_RECORDS {
            decoded.get(&number.to_be_bytes(), b"v", |bytes| Ok(bytes.to_vec())).unwrap();
        }
        decoded.get(b"long", &vec![0; KEPT_BYTES + 1], |bytes| Ok(bytes.len())).unwrap();
        let kept = decoded.kept.lock();
        assert!(kept.len() <= KEPT_RECORDS && !kept.contains_key(&b"long"[..]));
    }
}
