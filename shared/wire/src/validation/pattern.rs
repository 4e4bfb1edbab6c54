//! The model's patterns, compiled once each.
//!
//! AWS matches a pattern against the whole value, as Java's `matches` does: `[a-z]+` refuses `a b` without anchors.

use std::collections::HashMap;
use std::sync::OnceLock;

use fancy_regex::{Regex, RegexBuilder};
use parking_lot::RwLock;

use crate::validation::pattern_syntax::translate;

/// Steps that a pattern with look-around or back-references may take on one value before it is given up.
const BACKTRACK_LIMIT: usize = 100_000;

/// Memory for one compiled pattern: some count up to thousands of characters of many scripts.
const SIZE_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Whether the whole of `text` matches the model's pattern. A pattern that cannot be compiled or decided does not
/// refuse anything.
pub fn matches(pattern: &'static str, text: &str) -> bool {
    match compiled(pattern) {
        Some(regex) => regex.is_match(text).unwrap_or(true),
        None => true,
    }
}

/// Whether the pattern can be enforced here.
pub fn compiles(pattern: &'static str) -> bool {
    compiled(pattern).is_some()
}

/// By the address of the pattern's text, which a model holds once.
type Cache = RwLock<HashMap<(usize, usize), Option<&'static Regex>>>;

fn compiled(pattern: &'static str) -> Option<&'static Regex> {
    static CACHE: OnceLock<Cache> = OnceLock::new();
    let cache = CACHE.get_or_init(RwLock::default);
    let key = (pattern.as_ptr().addr(), pattern.len());
    if let Some(known) = cache.read().get(&key) {
        return *known;
    }
    // Compiled outside the lock: a slow pattern holds up nobody else. Two threads may do it at once; one result stays.
    let regex = compile(pattern);
    *cache.write().entry(key).or_insert_with(|| regex.map(|regex| &*Box::leak(Box::new(regex))))
}

fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("\\A(?:{})\\z", translate(pattern)))
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(SIZE_LIMIT_BYTES)
        .build()
        .ok()
}
