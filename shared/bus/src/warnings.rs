//! Warnings that are said once.

use std::collections::HashSet;

use parking_lot::Mutex;

/// Remembers what has been said. Bounded: past the bound nothing new is said, which is better than a flood.
#[derive(Default)]
pub struct Warnings {
    said: Mutex<HashSet<String>>,
}

const BOUND: usize = 4_096;

impl Warnings {
    /// True the first time it is asked about `what`.
    pub fn first(&self, what: &str) -> bool {
        let mut said = self.said.lock();
        !said.contains(what) && said.len() < BOUND && said.insert(what.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_and_the_memory_is_bounded() {
        let warnings = Warnings::default();
        assert!(warnings.first("a"));
        assert!(!warnings.first("a"));
        let said = (0..10_000).filter(|number| warnings.first(&number.to_string())).count();
        assert_eq!(said, BOUND - 1);
    }
}
