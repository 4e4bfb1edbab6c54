//! Which of many prefixes and wildcards a text satisfies: one reading of the text for all of them.
//!
//! A trie of bytes in which a star is an edge to a node that stays. Patterns that begin alike share nodes, so the cost
//! for each byte is how many different beginnings of patterns fit at that byte, not how many patterns there are.

use std::collections::HashSet;

use super::Target;
use crate::wildcard::Wildcard;

const ROOT: usize = 0;

#[derive(Clone, Debug, Default)]
pub(super) struct Automaton {
    nodes: Vec<Node>,
    free: Vec<u32>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Sorted by byte.
    next: Vec<(u8, u32)>,
    /// Where a star leads, which then stays for the rest of the text.
    star: Option<u32>,
    /// What is found as soon as the reader is here.
    here: Vec<Target>,
    /// What is found if the text ends here.
    at_end: Vec<Target>,
}

impl Node {
    fn step(&self, byte: u8) -> Option<u32> {
        self.next.binary_search_by_key(&byte, |(known, _)| *known).ok().map(|at| self.next[at].1)
    }

    fn is_idle(&self) -> bool {
        self.next.is_empty() && self.star.is_none() && self.here.is_empty() && self.at_end.is_empty()
    }
}

/// A byte, or a star.
type Step = Option<u8>;

/// A prefix is a path; what it finds waits at its end.
fn prefix_steps(bytes: impl Iterator<Item = u8>) -> (Vec<Step>, bool) {
    (bytes.map(Some).collect(), true)
}

/// A wildcard is a path with stars; a star at the very end makes it a prefix.
fn wildcard_steps(wildcard: &Wildcard) -> (Vec<Step>, bool) {
    let mut steps = Vec::new();
    for (position, piece) in wildcard.pieces.iter().enumerate() {
        if position > 0 {
            steps.push(None);
        }
        steps.extend(piece.bytes().map(Some));
    }
    let is_open = steps.last() == Some(&None);
    if is_open {
        steps.pop();
    }
    (steps, is_open)
}

impl Automaton {
    /// The bytes of a suffix are given from its end, and so are those of the text.
    pub fn insert_prefix(&mut self, bytes: impl Iterator<Item = u8>, target: Target) {
        let (steps, is_open) = prefix_steps(bytes);
        self.insert(&steps, is_open, target);
    }

    pub fn remove_prefix(&mut self, bytes: impl Iterator<Item = u8>, target: Target) {
        let (steps, is_open) = prefix_steps(bytes);
        self.remove(&steps, is_open, target);
    }

    pub fn insert_wildcard(&mut self, wildcard: &Wildcard, target: Target) {
        let (steps, is_open) = wildcard_steps(wildcard);
        self.insert(&steps, is_open, target);
    }

    pub fn remove_wildcard(&mut self, wildcard: &Wildcard, target: Target) {
        let (steps, is_open) = wildcard_steps(wildcard);
        self.remove(&steps, is_open, target);
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.get(ROOT).is_none_or(Node::is_idle)
    }

    fn insert(&mut self, steps: &[Step], is_open: bool, target: Target) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = ROOT;
        for step in steps {
            at = self.step_or_add(at, *step);
        }
        let list = if is_open { &mut self.nodes[at].here } else { &mut self.nodes[at].at_end };
        list.push(target);
    }

    fn step_or_add(&mut self, at: usize, step: Step) -> usize {
        if let Some(next) = self.follow(at, step) {
            return next as usize;
        }
        let added = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            (self.nodes.len() - 1) as u32
        });
        match step {
            None => self.nodes[at].star = Some(added),
            Some(byte) => {
                let next = &mut self.nodes[at].next;
                let position = next.partition_point(|(known, _)| *known < byte);
                next.insert(position, (byte, added));
            }
        }
        added as usize
    }

    fn follow(&self, at: usize, step: Step) -> Option<u32> {
        match step {
            None => self.nodes[at].star,
            Some(byte) => self.nodes[at].step(byte),
        }
    }

    fn remove(&mut self, steps: &[Step], is_open: bool, target: Target) {
        let mut path = vec![ROOT];
        for step in steps {
            let Some(next) = path.last().and_then(|at| self.follow(*at, *step)) else { return };
            path.push(next as usize);
        }
        let Some(at) = path.last().copied().filter(|at| *at < self.nodes.len()) else { return };
        let list = if is_open { &mut self.nodes[at].here } else { &mut self.nodes[at].at_end };
        super::take_one(list, target);
        // Nodes that nothing needs any more are given back from the end of the path on.
        for (parent, step) in path.iter().zip(steps).rev() {
            let Some(child) = self.follow(*parent, *step) else { return };
            if !self.nodes[child as usize].is_idle() {
                return;
            }
            match step {
                None => self.nodes[*parent].star = None,
                Some(byte) => self.nodes[*parent].next.retain(|(known, _)| known != byte),
            }
            self.nodes[child as usize] = Node::default();
            self.free.push(child);
        }
    }

    /// Adds what the text satisfies. A target may be found more than once.
    pub fn find(&self, text: impl Iterator<Item = u8>, found: &mut Vec<Target>) {
        if self.nodes.is_empty() {
            return;
        }
        let mut reader =
            Reader { automaton: self, moving: Vec::new(), staying: Vec::new(), known: HashSet::new(), found };
        reader.arrive(ROOT as u32);
        let mut moving = Vec::new();
        for byte in text {
            std::mem::swap(&mut moving, &mut reader.moving);
            if moving.is_empty() && reader.staying.is_empty() {
                return;
            }
            // Stars that this byte adds are not to read it themselves.
            let staying = reader.staying.len();
            for at in moving.drain(..) {
                reader.step(at, byte);
            }
            for position in 0..staying {
                reader.step(reader.staying[position], byte);
            }
        }
        reader.end();
    }
}

struct Reader<'r> {
    automaton: &'r Automaton,
    moving: Vec<u32>,
    staying: Vec<u32>,
    /// The staying ones, once they are many.
    known: HashSet<u32>,
    found: &'r mut Vec<Target>,
}

/// So many stars are searched one by one.
const FEW_STARS: usize = 32;

impl Reader<'_> {
    fn step(&mut self, at: u32, byte: u8) {
        if let Some(next) = self.automaton.nodes[at as usize].step(byte) {
            self.arrive(next);
        }
    }

    fn arrive(&mut self, at: u32) {
        let node = &self.automaton.nodes[at as usize];
        self.found.extend(&node.here);
        if let Some(star) = node.star {
            self.stay(star);
        }
        if !node.next.is_empty() || !node.at_end.is_empty() {
            self.moving.push(at);
        }
    }

    fn stay(&mut self, star: u32) {
        if self.staying.len() < FEW_STARS {
            if self.staying.contains(&star) {
                return;
            }
        } else {
            if self.known.is_empty() {
                self.known.extend(&self.staying);
            }
            if !self.known.insert(star) {
                return;
            }
        }
        self.staying.push(star);
        self.found.extend(&self.automaton.nodes[star as usize].here);
    }

    fn end(self) {
        for at in self.moving.iter().chain(&self.staying) {
            self.found.extend(&self.automaton.nodes[*at as usize].at_end);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_each_pattern_by_itself(
            patterns in prop::collection::vec(("(a|b|ab|\\*a|\\*b){0,5}\\*?", any::<bool>(), any::<bool>()), 0..12),
            text in "[ab]{0,10}",
        ) {
            let mut automaton = Automaton::default();
            let parsed: Vec<(Wildcard, bool, bool)> =
                patterns.iter().map(|(text, open, removed)| (Wildcard::parse(text).unwrap(), *open, *removed)).collect();
            let literal = |wildcard: &Wildcard| wildcard.pieces.concat();
            for (target, (wildcard, is_prefix, _)) in parsed.iter().enumerate() {
                match is_prefix {
                    true => automaton.insert_prefix(literal(wildcard).bytes(), target as Target),
                    false => automaton.insert_wildcard(wildcard, target as Target),
                }
            }
            let remove = |automaton: &mut Automaton, wanted: bool| {
                for (target, (wildcard, is_prefix, _)) in
                    parsed.iter().enumerate().filter(|(_, (_, _, removed))| *removed == wanted)
                {
                    match is_prefix {
                        true => automaton.remove_prefix(literal(wildcard).bytes(), target as Target),
                        false => automaton.remove_wildcard(wildcard, target as Target),
                    }
                }
            };
            remove(&mut automaton, true);
            let mut found = Vec::new();
            automaton.find(text.bytes(), &mut found);
            found.sort_unstable();
            found.dedup();
            let expected: Vec<Target> = parsed
                .iter()
                .enumerate()
                .filter(|(_, (wildcard, is_prefix, removed))| {
                    !removed && if *is_prefix { text.starts_with(&literal(wildcard)) } else { wildcard.accepts(&text) }
                })
                .map(|(target, _)| target as Target)
                .collect();
            prop_assert_eq!(found, expected);
            remove(&mut automaton, false);
            prop_assert!(automaton.is_empty());
            prop_assert_eq!(automaton.free.len() + 1, automaton.nodes.len().max(1));
        }
    }
}
