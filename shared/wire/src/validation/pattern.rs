//! The model's patterns, read once each.
//!
//! AWS matches a pattern against the whole value, as Java's `matches` does: `[a-z]+` refuses `a b` without anchors.

use std::collections::HashMap;
use std::sync::OnceLock;

use fractus_expressions::Expression;
use parking_lot::RwLock;

/// Whether the whole of `text` matches the model's pattern. A pattern that cannot be read or decided does not refuse
/// anything.
pub fn matches(pattern: &'static str, text: &str) -> bool {
    read(pattern).is_none_or(|expression| expression.matches(text).unwrap_or(true))
}

/// Whether the pattern can be enforced here.
pub fn compiles(pattern: &'static str) -> bool {
    read(pattern).is_some()
}

/// By the address of the pattern's text, which a model holds once.
type Cache = RwLock<HashMap<(usize, usize), Option<&'static Expression>>>;

fn read(pattern: &'static str) -> Option<&'static Expression> {
    static CACHE: OnceLock<Cache> = OnceLock::new();
    let cache = CACHE.get_or_init(RwLock::default);
    let key = (pattern.as_ptr().addr(), pattern.len());
    if let Some(known) = cache.read().get(&key) {
        return *known;
    }
    // Outside the lock: a long pattern holds up nobody else. Two threads may do it at once; one result stays.
    let expression = Expression::new(pattern).ok();
    *cache.write().entry(key).or_insert_with(|| expression.map(|expression| &*Box::leak(Box::new(expression))))
}
