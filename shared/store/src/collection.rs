//! Typed collections: a name, the type of its keys, the type of its records.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;
use crate::key::{Key, KeyOf};
use crate::scope::{RawKey, Scope};
use crate::{pack, unpack};

/// The longest key, its scope and collection included: what the disk engine's pages hold, and the same for every
/// engine, so that none takes what another refuses. AWS's longest names fit (an S3 key has 1,024 bytes).
pub const MAX_KEY_BYTES: usize = 1_900;

/// A collection of records `V` by keys `K` (a tuple). Declare it once, as a constant:
/// `pub const QUEUES: Collection<(String,), Queue> = Collection::new("queues");`
///
/// Records are stored with their fields' names, so a field that is added later needs `#[serde(default)]` and nothing
/// else. Byte contents belong in `bytes::Bytes`: serde writes a `Vec<u8>` number by number.
pub struct Collection<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Collection<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Collection<K, V> {}

impl<K, V> Collection<K, V> {
    /// # Panics
    /// At compile time, if the name is empty, longer than 64 bytes, or holds other than letters, digits, `_`, `-`, `.`.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= 64, "a collection's name has 1 to 64 characters");
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            assert!(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'), "a plain ASCII name");
            at += 1;
        }
        Collection { name, types: PhantomData }
    }

    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<K: Key, V> Collection<K, V> {
    pub(crate) fn raw_key<Q: KeyOf<K> + ?Sized>(&self, scope: &Scope, key: &Q) -> Result<RawKey, StoreError> {
        let mut raw = scope.space(self.name);
        key.encode(&mut raw.bytes);
        match raw.bytes.len() {
            ..=MAX_KEY_BYTES => Ok(raw),
            length => Err(StoreError::KeyTooLong { collection: self.name, length }),
        }
    }

    pub(crate) fn read_key(&self, mut tuple: &[u8]) -> Result<K, StoreError> {
        let broken = |reason| StoreError::Key { collection: self.name, reason };
        let key = K::decode(&mut tuple).map_err(broken)?;
        if tuple.is_empty() { Ok(key) } else { Err(broken("more parts than expected")) }
    }
}

impl<K, V: DeserializeOwned> Collection<K, V> {
    pub(crate) fn read_value(&self, bytes: &[u8]) -> Result<V, StoreError> {
        unpack::from_slice(bytes).map_err(|source| StoreError::Decode { collection: self.name, source })
    }
}

impl<K, V: Serialize> Collection<K, V> {
    pub(crate) fn write_value(&self, value: &V, out: &mut Vec<u8>) -> Result<(), StoreError> {
        pack::append(value, out).map_err(|source| StoreError::Encode { collection: self.name, source })
    }
}
