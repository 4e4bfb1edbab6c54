//! Which part of a collection a scan reads, and in which direction.

use std::marker::PhantomData;

use crate::key::{KeyBytes, OpenPrefixOf, PrefixOf};

/// The direction of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// A part of a collection whose keys are `K`: begins as everything and is narrowed by each call.
///
/// Every bound may be a whole key or its first parts: `after(&("orders",))` passes over every key that begins so.
/// Inside, a range is `lower <= key < upper` over encoded keys.
#[derive(Clone, Debug)]
pub struct Range<K> {
    pub(crate) lower: KeyBytes,
    /// `None` has no upper end.
    pub(crate) upper: Option<KeyBytes>,
    keys: PhantomData<fn() -> K>,
}

impl<K> Range<K> {
    /// The whole collection.
    pub fn all() -> Self {
        Range { lower: KeyBytes::new(), upper: None, keys: PhantomData }
    }

    /// The keys that begin with these parts.
    pub fn prefix(parts: &impl PrefixOf<K>) -> Self {
        Self::within(encoded(parts))
    }

    /// The keys that begin with these parts, of which the last (a text or byte string) is only a beginning:
    /// `starts_with(&("bucket", "photos/"))`.
    pub fn starts_with(parts: &impl OpenPrefixOf<K>) -> Self {
        let mut bytes = KeyBytes::new();
        parts.encode_open_prefix(&mut bytes);
        Self::within(bytes)
    }

    fn within(lower: KeyBytes) -> Self {
        Range { upper: successor(lower.clone()), lower, keys: PhantomData }
    }

    /// From `parts` on, which are included.
    #[must_use]
    pub fn from(self, parts: &impl PrefixOf<K>) -> Self {
        self.raise(encoded(parts))
    }

    /// Only what lies after `parts` and all that begins with them.
    #[must_use]
    pub fn after(self, parts: &impl PrefixOf<K>) -> Self {
        match successor(encoded(parts)) {
            Some(lower) => self.raise(lower),
            None => self.nothing(),
        }
    }

    /// Only what lies after everything that begins with `parts`, the last of them open (a delimiter's group of keys).
    #[must_use]
    pub fn after_starting_with(self, parts: &impl OpenPrefixOf<K>) -> Self {
        let mut bytes = KeyBytes::new();
        parts.encode_open_prefix(&mut bytes);
        match successor(bytes) {
            Some(lower) => self.raise(lower),
            None => self.nothing(),
        }
    }

    /// Up to `parts`, which are excluded.
    #[must_use]
    pub fn to(self, parts: &impl PrefixOf<K>) -> Self {
        self.cap(Some(encoded(parts)))
    }

    /// Up to `parts` and all that begins with them, included.
    #[must_use]
    pub fn through(self, parts: &impl PrefixOf<K>) -> Self {
        self.cap(successor(encoded(parts)))
    }

    fn raise(mut self, lower: KeyBytes) -> Self {
        if lower > self.lower {
            self.lower = lower;
        }
        self
    }

    fn cap(mut self, upper: Option<KeyBytes>) -> Self {
        match (&self.upper, upper) {
            (_, None) => {}
            (Some(own), Some(new)) if *own <= new => {}
            (_, new) => self.upper = new,
        }
        self
    }

    fn nothing(mut self) -> Self {
        self.upper = Some(KeyBytes::new());
        self
    }

    /// Whether no key can lie inside.
    pub(crate) fn is_empty(&self) -> bool {
        self.upper.as_ref().is_some_and(|upper| *upper <= self.lower)
    }
}

fn encoded<K>(parts: &impl PrefixOf<K>) -> KeyBytes {
    let mut bytes = KeyBytes::new();
    parts.encode_prefix(&mut bytes);
    bytes
}

/// The first byte string after all that begin with `bytes`; `None` if there is none.
pub(crate) fn successor(mut bytes: KeyBytes) -> Option<KeyBytes> {
    while let Some(last) = bytes.pop() {
        if last < 0xff {
            bytes.push(last + 1);
            return Some(bytes);
        }
    }
    None
}
