//! Transactions that are under way, and the items they hold: what conflicts with them is refused.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling>
//!
//! The store carries out one transaction after the other, and in no time. So a transaction is under way only where the setting
//! `transaction_ms` gives it a time by the lane's clock, from its request to its end: then it holds the items it names, another transaction
//! on one of them is cancelled, and a write or a transactional read of one is refused.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fractus_dynamodb_rules::key::KeyBytes;
use fractus_store::Scope;
use parking_lot::Mutex;

use crate::error::{Error, Reason, Result};

/// An item: where its table lies, the table's id, the item's stored key.
pub type ItemId = (Scope, u64, KeyBytes);

#[derive(Default)]
struct Held {
    items: HashSet<ItemId>,
    /// The tokens of the transactions under way, and whose they are.
    tokens: HashSet<(Scope, String)>,
}

#[derive(Default)]
pub struct Ongoing {
    /// How many items are held, so that nearly every request need not look for its own among them.
    count: AtomicUsize,
    held: Mutex<Held>,
}

impl Ongoing {
    /// Whether a transaction under way holds an item.
    pub fn holds(&self, scope: &Scope, table: u64, key: &[u8]) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.held.lock().items.contains(&(scope.clone(), table, KeyBytes::from_slice(key)))
    }

    /// Refuses a write of an item that a transaction holds.
    pub fn check(&self, scope: &Scope, table: u64, key: &[u8]) -> Result<()> {
        if self.holds(scope, table, key) { Err(Error::TransactionConflict) } else { Ok(()) }
    }

    /// Begins a transaction, unless one with its token is under way.
    pub fn begin(self: &Arc<Self>, token: Option<(Scope, String)>) -> Result<Underway> {
        if let Some(token) = &token
            && !self.held.lock().tokens.insert(token.clone())
        {
            return Err(Error::TransactionInProgress);
        }
        Ok(Underway { ongoing: Arc::clone(self), token, items: Vec::new() })
    }
}

/// A transaction under way. What it holds is free when it is dropped.
pub struct Underway {
    ongoing: Arc<Ongoing>,
    token: Option<(Scope, String)>,
    items: Vec<ItemId>,
}

impl Underway {
    /// Holds the items of the transaction's actions, in their order: all of them, or none and the transaction is cancelled for those
    /// that another one holds. An action without an item has something else against it, which its own check tells.
    pub fn hold(&mut self, items: Vec<Option<ItemId>>) -> Result<()> {
        let mut held = self.ongoing.held.lock();
        let is_held = |item: &Option<ItemId>| item.as_ref().is_some_and(|item| held.items.contains(item));
        if items.iter().any(is_held) {
            let reason = |item| if is_held(item) { Reason::Conflict } else { Reason::None };
            return Err(Error::Cancelled(items.iter().map(reason).collect()));
        }
        for item in items.into_iter().flatten() {
            // An item that is named twice is held once; that is refused later.
            if held.items.insert(item.clone()) {
                self.items.push(item);
            }
        }
        self.ongoing.count.store(held.items.len(), Ordering::Release);
        Ok(())
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut held = self.ongoing.held.lock();
        for item in &self.items {
            held.items.remove(item);
        }
        if let Some(token) = &self.token {
            held.tokens.remove(token);
        }
        self.ongoing.count.store(held.items.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use fractus_aws::{Region, World};

    use super::*;

    fn item(key: u8) -> ItemId {
        (Scope::regional(&World::default_world(), &Region::new("us-east-1").unwrap()), 1, KeyBytes::from_slice(&[key]))
    }

    #[test]
    fn what_is_held_conflicts_until_it_is_free() {
        let ongoing = Arc::new(Ongoing::default());
        let (scope, ..) = item(0);
        let mut first = ongoing.begin(None).unwrap();
        first.hold(vec![Some(item(1)), None, Some(item(2)), Some(item(2))]).unwrap();
        assert!(ongoing.holds(&scope, 1, &[1]) && !ongoing.holds(&scope, 1, &[3]) && !ongoing.holds(&scope, 2, &[1]));
        let mut second = ongoing.begin(None).unwrap();
        let cancelled = second.hold(vec![Some(item(3)), Some(item(2))]).unwrap_err().to_string();
        assert!(cancelled.ends_with("[None, TransactionConflict]"), "{cancelled}");
        assert!(!ongoing.holds(&scope, 1, &[3]), "none of them is held");
        drop(first);
        second.hold(vec![Some(item(3)), Some(item(2))]).unwrap();
        drop(second);
        assert!(!ongoing.holds(&scope, 1, &[2]));
    }

    #[test]
    fn a_token_is_under_way_once() {
        let ongoing = Arc::new(Ongoing::default());
        let token = || Some((item(0).0, "token".to_owned()));
        let first = ongoing.begin(token()).unwrap();
        assert!(matches!(ongoing.begin(token()), Err(Error::TransactionInProgress)));
        drop(first);
        assert!(ongoing.begin(token()).is_ok());
    }
}
