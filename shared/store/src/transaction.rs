//! What a closure given to `read` or `write` works with.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use fractus_clock::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;

use crate::collection::Collection;
use crate::engine::{NEVER, RawItem, RawRange, RawScan, Source};
use crate::error::StoreError;
use crate::key::{Key, KeyOf};
use crate::range::{Order, Range};
use crate::scope::{RawKey, Scope};
use crate::store::Inner;

/// A lane's name and its time in microseconds.
type Moment = (SmallVec<[u8; 24]>, i64);

/// One moment of the store, as a `read` sees it; a `write` sees its own changes besides (a [`Transaction`] is a
/// `Snapshot` too, so a function that only reads takes a `&Snapshot` and serves both).
///
/// A record whose time has come by its lane's clock is absent, whether it is swept yet or not.
pub struct Snapshot<'a> {
    pub(crate) source: Source<'a>,
    store: &'a Inner,
    /// The moment of each lane, fixed when it is first asked for, so that one closure sees one time.
    moments: RefCell<SmallVec<[Moment; 1]>>,
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new(source: Source<'a>, store: &'a Inner) -> Self {
        Snapshot { source, store, moments: RefCell::default() }
    }

    /// The time of a scope's lane, the same for the whole closure.
    pub fn now(&self, scope: &Scope) -> Timestamp {
        Timestamp::from_micros(self.moment(scope.lane()))
    }

    fn moment(&self, lane: &str) -> i64 {
        let mut moments = self.moments.borrow_mut();
        if let Some((_, moment)) = moments.iter().find(|(name, _)| name[..] == *lane.as_bytes()) {
            return *moment;
        }
        let moment = self.store.clocks.lane(lane).now().micros();
        moments.push((SmallVec::from_slice(lane.as_bytes()), moment));
        moment
    }

    fn is_present(&self, scope: &Scope, expires_at: i64) -> bool {
        expires_at == NEVER || expires_at > self.moment(scope.lane())
    }

    /// The same for a key that is not of a typed scope.
    pub(crate) fn is_raw_present(&self, key: &RawKey, expires_at: i64) -> bool {
        expires_at == NEVER || expires_at > self.moment(key.lane_name())
    }

    /// The record at `key`.
    pub fn get<K: Key, V: DeserializeOwned>(
        &self,
        collection: &Collection<K, V>,
        scope: &Scope,
        key: &(impl KeyOf<K> + ?Sized),
    ) -> Result<Option<V>, StoreError> {
        match self.source.get(&collection.raw_key(scope, key)?)? {
            Some(record) if self.is_present(scope, record.expires_at) => collection.read_value(&record.value).map(Some),
            _ => Ok(None),
        }
    }

    /// The record at `key`, shared with everyone who reads it so. For records that nearly every request reads and few
    /// write: it is decoded once for each time it is written, not once for each read.
    pub fn get_shared<K: Key, V: DeserializeOwned + Send + Sync + 'static>(
        &self,
        collection: &Collection<K, V>,
        scope: &Scope,
        key: &(impl KeyOf<K> + ?Sized),
    ) -> Result<Option<Arc<V>>, StoreError> {
        let key = collection.raw_key(scope, key)?;
        match self.source.get(&key)? {
            Some(record) if self.is_present(scope, record.expires_at) => {
                let decode = |bytes: &[u8]| collection.read_value(bytes);
                self.store.decoded.get(&key.bytes, &record.value, decode).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Whether there is a record at `key`; it is not decoded.
    pub fn contains<K: Key, V>(
        &self,
        collection: &Collection<K, V>,
        scope: &Scope,
        key: &(impl KeyOf<K> + ?Sized),
    ) -> Result<bool, StoreError> {
        let record = self.source.get(&collection.raw_key(scope, key)?)?;
        Ok(record.is_some_and(|record| self.is_present(scope, record.expires_at)))
    }

    /// The records of a range in order, read as the iterator is asked for them.
    pub fn range<'s, K: Key, V: DeserializeOwned>(
        &'s self,
        collection: &Collection<K, V>,
        scope: &'s Scope,
        range: Range<K>,
        order: Order,
    ) -> Result<Scan<'s, 'a, K, V>, StoreError> {
        let scan = self.scan(collection, scope, &range, order)?;
        Ok(Scan { snapshot: self, scope, scan, collection: *collection })
    }

    /// The keys of a range in order; the records are not decoded.
    pub fn keys<'s, K: Key, V>(
        &'s self,
        collection: &Collection<K, V>,
        scope: &'s Scope,
        range: Range<K>,
        order: Order,
    ) -> Result<Keys<'s, 'a, K, V>, StoreError> {
        let scan = self.scan(collection, scope, &range, order)?;
        Ok(Keys { snapshot: self, scope, scan, collection: *collection, values: PhantomData })
    }

    /// The first record of a range in its order.
    pub fn first<K: Key, V: DeserializeOwned>(
        &self,
        collection: &Collection<K, V>,
        scope: &Scope,
        range: Range<K>,
        order: Order,
    ) -> Result<Option<(K, V)>, StoreError> {
        self.range(collection, scope, range, order)?.next().transpose()
    }

    fn scan<'s, K: Key, V>(
        &'s self,
        collection: &Collection<K, V>,
        scope: &Scope,
        range: &Range<K>,
        order: Order,
    ) -> Result<RawScan<'s>, StoreError> {
        if range.is_empty() {
            return Ok(RawScan::Empty);
        }
        let space = scope.space(collection.name());
        self.source.scan(&RawRange { space: &space, lower: &range.lower, upper: range.upper.as_deref(), order })
    }
}

/// The next raw item that has not expired.
fn next_present<'s>(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    scan: &mut RawScan<'s>,
) -> Option<Result<RawItem<'s>, StoreError>> {
    loop {
        match scan.next()? {
            Ok(item) if !snapshot.is_present(scope, item.record.expires_at) => {}
            other => return Some(other),
        }
    }
}

/// The records of a range; see [`Snapshot::range`].
pub struct Scan<'s, 'a, K, V> {
    snapshot: &'s Snapshot<'a>,
    scope: &'s Scope,
    scan: RawScan<'s>,
    collection: Collection<K, V>,
}

impl<K: Key, V: DeserializeOwned> Iterator for Scan<'_, '_, K, V> {
    type Item = Result<(K, V), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = next_present(self.snapshot, self.scope, &mut self.scan)?;
        Some(item.and_then(|item| {
            Ok((self.collection.read_key(&item.tuple)?, self.collection.read_value(&item.record.value)?))
        }))
    }
}

/// The keys of a range; see [`Snapshot::keys`].
pub struct Keys<'s, 'a, K, V> {
    snapshot: &'s Snapshot<'a>,
    scope: &'s Scope,
    scan: RawScan<'s>,
    collection: Collection<K, V>,
    values: PhantomData<fn() -> V>,
}

impl<K: Key, V> Iterator for Keys<'_, '_, K, V> {
    type Item = Result<K, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = next_present(self.snapshot, self.scope, &mut self.scan)?;
        Some(item.and_then(|item| self.collection.read_key(&item.tuple)))
    }
}

/// A write under way: all of it is kept when the closure answers `Ok`, none of it otherwise.
pub struct Transaction<'a> {
    snapshot: Snapshot<'a>,
    /// Records are encoded here before an engine copies them to where they stay.
    scratch: Vec<u8>,
}

impl<'a> Deref for Transaction<'a> {
    type Target = Snapshot<'a>;

    fn deref(&self) -> &Snapshot<'a> {
        &self.snapshot
    }
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(source: Source<'a>, store: &'a Inner) -> Self {
        Transaction { snapshot: Snapshot::new(source, store), scratch: Vec::new() }
    }

    pub(crate) fn into_source(self) -> Source<'a> {
        self.snapshot.source
    }

    pub(crate) fn source_mut(&mut self) -> &mut Source<'a> {
        &mut self.snapshot.source
    }

    /// Writes the record at `key`; it stays until it is replaced or deleted.
    pub fn put<K: Key, V: Serialize>(
        &mut self,
        collection: &Collection<K, V>,
        scope: &Scope,
        key: &(impl KeyOf<K> + ?Sized),
        value: &V,
    ) -> Result<(), StoreError> {
        self.put_raw(collection, scope, key, value, NEVER)
    }

    /// Writes the record at `key`; from `expires_at` on, by the lane's clock, it is absent.
    pub fn put_until<K: Key, V: Serialize>(
        &mut self,
        collection: &Collection<K, V>,
        scope: &Scope,
        key: &(impl KeyOf<K> + ?Sized),
        value: &V,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.put_raw(collection, scope, key, value, expires_at.micros())
    }

    fn put_raw<K: Key, V: Serialize>(
        &mut self,
        collection: &Collection<K, V>,
        scope: &Scope,
        key: &(impl KeyOf<K> + ?Sized),
        value: &V,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        self.scratch.clear();
        collection.write_value(value, &mut self.scratch)?;
        self.snapshot.source.put(&collection.raw_key(scope, key)?, &self.scratch, expires_at)
    }

    /// Removes the record at `key`, if there is one.
    pub fn delete<K: Key, V>(
        &mut self,
        collection: &Collection<K, V>,
        scope: &Scope,
        key: &(impl KeyOf<K> + ?Sized),
    ) -> Result<(), StoreError> {
        self.snapshot.source.delete(&collection.raw_key(scope, key)?)
    }

    /// Removes the record at `key` and gives it.
    pub fn take<K: Key, V: DeserializeOwned>(
        &mut self,
        collection: &Collection<K, V>,
        scope: &Scope,
        key: &(impl KeyOf<K> + ?Sized),
    ) -> Result<Option<V>, StoreError> {
        let value = self.get(collection, scope, key)?;
        if value.is_some() {
            self.delete(collection, scope, key)?;
        }
        Ok(value)
    }
}
