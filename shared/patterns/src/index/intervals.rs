//! Which of many intervals hold a point.
//!
//! An interval tree over the whole domain of `W` bits, of which only the nodes in use exist. An interval lies at the
//! node whose middle it contains: where its ends' bits first differ. A point meets one node on each level in use, and
//! looks at nothing there that does not hold it, but for one interval.

use std::collections::{BTreeMap, HashMap};

use super::Target;

/// Intervals of numbers of up to 128 bits.
#[derive(Clone, Debug, Default)]
pub(super) struct Intervals {
    nodes: HashMap<(u8, u128), Node>,
    /// How many nodes there are on each level in use.
    levels: BTreeMap<u8, usize>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    by_first: BTreeMap<u128, Vec<Target>>,
    by_last: BTreeMap<u128, Vec<Target>>,
}

/// The level and the prefix of the node where an interval lies. Level 128 is for intervals of one point.
fn place(first: u128, last: u128) -> (u8, u128) {
    at_level((first ^ last).leading_zeros() as u8, first)
}

fn at_level(level: u8, point: u128) -> (u8, u128) {
    (level, point.checked_shr(128 - u32::from(level)).unwrap_or(0))
}

impl Intervals {
    /// Empty intervals are left out: nothing lies in them.
    pub fn insert(&mut self, first: u128, last: u128, target: Target) {
        if first > last {
            return;
        }
        let place = place(first, last);
        let node = self.nodes.entry(place).or_insert_with(|| {
            *self.levels.entry(place.0).or_default() += 1;
            Node::default()
        });
        node.by_first.entry(first).or_default().push(target);
        node.by_last.entry(last).or_default().push(target);
    }

    pub fn remove(&mut self, first: u128, last: u128, target: Target) {
        let place = place(first, last);
        let Some(node) = self.nodes.get_mut(&place).filter(|_| first <= last) else { return };
        take(&mut node.by_first, first, target);
        take(&mut node.by_last, last, target);
        if node.by_first.is_empty() {
            self.nodes.remove(&place);
            if let Some(count) = self.levels.get_mut(&place.0) {
                *count -= 1;
                if *count == 0 {
                    self.levels.remove(&place.0);
                }
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn find(&self, point: u128, found: &mut Vec<Target>) {
        for level in self.levels.keys() {
            let Some(node) = self.nodes.get(&at_level(*level, point)) else { continue };
            let is_in_right_half = *level < 128 && (point >> (127 - level)) & 1 == 1;
            if is_in_right_half {
                node.by_last.range(point..).for_each(|(_, targets)| found.extend(targets));
            } else {
                node.by_first.range(..=point).for_each(|(_, targets)| found.extend(targets));
            }
        }
    }
}

fn take(targets: &mut BTreeMap<u128, Vec<Target>>, key: u128, target: Target) {
    if let Some(list) = targets.get_mut(&key) {
        super::take_one(list, target);
        if list.is_empty() {
            targets.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound() -> impl Strategy<Value = u128> {
        prop_oneof![
            0u128..20,
            Just(u128::MAX),
            Just(u128::MAX - 1),
            Just(1 << 127),
            Just((1 << 127) - 1),
            any::<u128>()
        ]
    }

    proptest! {
        #[test]
        fn finds_what_holds_the_point(
            intervals in prop::collection::vec((bound(), bound(), any::<bool>()), 0..20),
            point in bound(),
        ) {
            let mut tree = Intervals::default();
            for (target, (first, last, _)) in intervals.iter().enumerate() {
                tree.insert(*first, *last, target as Target);
            }
            for (target, (first, last, is_removed)) in intervals.iter().enumerate() {
                if *is_removed {
                    tree.remove(*first, *last, target as Target);
                }
            }
            let mut found = Vec::new();
            tree.find(point, &mut found);
            found.sort_unstable();
            let holds = |(_, (first, last, is_removed)): &(usize, &(u128, u128, bool))| {
                !is_removed && *first <= point && point <= *last
            };
            let expected: Vec<Target> =
                intervals.iter().enumerate().filter(holds).map(|(target, _)| target as Target).collect();
            prop_assert_eq!(found, expected);
            for (target, (first, last, is_removed)) in intervals.iter().enumerate() {
                if !is_removed {
                    tree.remove(*first, *last, target as Target);
                }
            }
            prop_assert!(tree.is_empty() && tree.levels.is_empty());
        }
    }
}
