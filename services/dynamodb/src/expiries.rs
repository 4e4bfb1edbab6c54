//! Items whose time has come, found by an index of when they expire and deleted by the lane's clock.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>

use std::collections::HashMap;

use fractus_clock::Timestamp;
use fractus_host::Waker;
use fractus_store::{Order, Range, Scope, Transaction};
use parking_lot::Mutex;

use crate::error::Result;
use crate::store::{EXPIRIES, EXPIRING_TABLES, Raw, TABLES};
use crate::writes::{self, By, Writer};

/// The most items one transaction deletes.
pub const DELETED_AT_ONCE: usize = 100;

/// The last second that a time can be.
const MAX_SECS: i64 = i64::MAX / 1_000_000;

/// Knows when the next item of each lane expires, so that a write wakes the work only for one that expires sooner.
#[derive(Default)]
pub struct Expiries {
    waker: Mutex<Option<Waker>>,
    next: Mutex<HashMap<String, u64>>,
}

impl Expiries {
    pub fn wake_by(&self, waker: Waker) {
        *self.waker.lock() = Some(waker);
    }

    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }

    /// An item was written that expires at this second.
    pub fn expect(&self, lane: &str, second: u64) {
        let mut next = self.next.lock();
        if next.get(lane).is_some_and(|known| *known <= second) {
            return;
        }
        next.insert(lane.to_owned(), second);
        drop(next);
        self.wake();
    }

    /// The store is another one.
    pub fn forget_all(&self) {
        self.next.lock().clear();
    }

    /// After a lane was looked at: what expires later than what it waits for need not wake it.
    pub fn wait_for(&self, lane: &str, next: Timestamp) {
        let Ok(second) = u64::try_from(next.secs()) else { return };
        let mut known = self.next.lock();
        let own = known.entry(lane.to_owned()).or_insert(second);
        *own = second.min(*own);
    }

    /// Before a lane is looked at: whatever is written from now on wakes the work again.
    pub fn forget(&self, lane: &str) {
        self.next.lock().remove(lane);
    }
}

/// Deletes some of a table's items whose time has come. Gives when the next one's does, and whether that is already.
pub fn delete_due(tx: &mut Transaction<'_>, scope: &Scope, name: &str, id: u64) -> Result<Option<Timestamp>> {
    let table = tx.get_shared(&TABLES, scope, &(name,))?;
    let settings = |table: &crate::store::Table| {
        table.time_to_live.clone().filter(|settings| settings.id == id && settings.is_enabled)
    };
    let Some((table, settings)) = table.and_then(|table| settings(&table).map(|settings| (table, settings))) else {
        tx.delete(&EXPIRING_TABLES, scope, &(name,))?;
        return Ok(None);
    };
    let now = tx.now(scope);
    let second = |second: u64| Timestamp::from_secs(i64::try_from(second).unwrap_or(MAX_SECS).min(MAX_SECS));
    if settings.settled_at > now || table.state(now).is_none() {
        return Ok(Some(settings.settled_at).filter(|at| *at > now));
    }
    let (mut due, mut next) = (Vec::new(), None);
    for key in tx.keys(&EXPIRIES, scope, Range::prefix(&(id,)), Order::Ascending)? {
        let (_, at, key) = key?;
        if second(at) > now || due.len() >= DELETED_AT_ONCE {
            next = Some(second(at));
            break;
        }
        due.push((at, key));
    }
    let mut writer = Writer::by(By::TimeToLive);
    for (at, key) in due {
        let item = writes::read(tx, scope, &table, &key.0)?.filter(|item| settings.any_expiry(item) == Some(at));
        match item {
            Some(item) => {
                writer.change(tx, scope, (&table, table.schema()), &key.0, (Some(&item), None))?;
            }
            None => tx.delete(&EXPIRIES, scope, &(id, at, Raw(&key.0)))?,
        }
    }
    writer.finish(tx, scope)?;
    Ok(next)
}
