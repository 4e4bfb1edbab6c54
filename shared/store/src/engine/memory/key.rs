//! A key inside the maps and trees.

use std::borrow::Borrow;
use std::sync::Arc;

/// The bytes that fit into a node itself; longer keys are shared on the heap.
const INLINE_BYTES: usize = 46;

/// A key. Comparing keys that lie in the node itself touches no other memory.
#[derive(Clone)]
pub(super) enum MemoryKey {
    Inline(u8, [u8; INLINE_BYTES]),
    Shared(Arc<[u8]>),
}

impl MemoryKey {
    pub(super) fn new(bytes: &[u8]) -> Self {
        match u8::try_from(bytes.len()) {
            Ok(length) if bytes.len() <= INLINE_BYTES => {
                let mut inline = [0; INLINE_BYTES];
                inline[..bytes.len()].copy_from_slice(bytes);
                MemoryKey::Inline(length, inline)
            }
            _ => MemoryKey::Shared(bytes.into()),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            MemoryKey::Inline(length, bytes) => &bytes[..usize::from(*length)],
            MemoryKey::Shared(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for MemoryKey {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq for MemoryKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for MemoryKey {}

impl PartialOrd for MemoryKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MemoryKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes().cmp(other.bytes())
    }
}
