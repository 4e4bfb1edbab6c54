//! The steps that an expression becomes.

use crate::Unreadable;
use crate::set::Set;
use crate::syntax::{Node, Parsed, RepeatKind, bounded};

/// The most steps of one expression.
const MAX_STEPS: usize = 100_000;

#[derive(Clone, Debug)]
pub enum Step {
    Character(char),
    Set(usize),
    /// As many characters of a set as there are; then fewer.
    Run {
        set: usize,
        least: u32,
        most: Option<u32>,
        mark: usize,
    },
    /// One way, then the other; `mark` is its own number among the steps that are not taken twice at one place.
    Split {
        first: usize,
        second: usize,
        mark: usize,
    },
    Jump(usize),
    /// Remembers the place: the start of group `n` is `2 n`, its end one more.
    Save(usize),
    /// Matches what follows up to its own `Done`, and goes on at `after`: behind it where it is `takes`, else at the same place.
    Inner {
        after: usize,
        kind: Inner,
    },
    Again(usize),
    Start,
    End,
    WordBoundary {
        negative: bool,
    },
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    Ahead {
        negative: bool,
    },
    /// What stands before is looked for so many characters back at most.
    Behind {
        negative: bool,
        most: usize,
    },
    /// Taken as it is, and not tried shorter.
    Whole,
}

#[derive(Clone, Debug)]
pub struct Program {
    pub steps: Vec<Step>,
    pub sets: Vec<Set>,
    pub groups: usize,
    /// How many marks there are; none where a step may go another way the second time.
    pub marks: usize,
    pub refers_back: bool,
}

impl Program {
    pub fn new(parsed: &Parsed) -> Result<Self, Unreadable> {
        let mut program = Program {
            steps: Vec::new(),
            sets: Vec::new(),
            groups: parsed.groups,
            marks: 0,
            refers_back: parsed.refers_back,
        };
        program.add(&parsed.node)?;
        program.push(Step::Done)?;
        Ok(program)
    }

    fn push(&mut self, step: Step) -> Result<usize, Unreadable> {
        if self.steps.len() >= MAX_STEPS {
            return Err(Unreadable("it has too many repetitions"));
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn mark(&mut self) -> usize {
        self.marks += 1;
        self.marks - 1
    }

    fn set(&mut self, set: &Set) -> usize {
        let known = self.sets.iter().position(|known| known == set);
        known.unwrap_or_else(|| {
            self.sets.push(set.clone());
            self.sets.len() - 1
        })
    }

    fn add(&mut self, node: &Node) -> Result<(), Unreadable> {
        match node {
            Node::Empty => {}
            Node::Character(character) => {
                self.push(Step::Character(*character))?;
            }
            Node::Set(set) => {
                let set = self.set(set);
                self.push(Step::Set(set))?;
            }
            Node::Concat(all) => all.iter().try_for_each(|one| self.add(one))?,
            Node::Either(all) => self.either(all)?,
            Node::Repeat { what, least, most, kind } => self.repeat(what, *least, *most, *kind)?,
            Node::Group(number, inside) => {
                self.push(Step::Save(number * 2))?;
                self.add(inside)?;
                self.push(Step::Save(number * 2 + 1))?;
            }
            Node::Look { ahead: true, negative, what } => self.inner(what, Inner::Ahead { negative: *negative })?,
            Node::Look { ahead: false, negative, what } => {
                let most = longest(what).ok_or(Unreadable("what stands before may be of any length"))?;
                self.inner(what, Inner::Behind { negative: *negative, most })?;
            }
            Node::Again(number) => {
                self.push(Step::Again(*number))?;
            }
            Node::Start => {
                self.push(Step::Start)?;
            }
            Node::End => {
                self.push(Step::End)?;
            }
            Node::WordBoundary { negative } => {
                self.push(Step::WordBoundary { negative: *negative })?;
            }
        }
        Ok(())
    }

    fn inner(&mut self, what: &Node, kind: Inner) -> Result<(), Unreadable> {
        let at = self.push(Step::Done)?;
        self.add(what)?;
        self.push(Step::Done)?;
        self.steps[at] = Step::Inner { after: self.steps.len(), kind };
        Ok(())
    }

    fn either(&mut self, all: &[Node]) -> Result<(), Unreadable> {
        let mut ends = Vec::new();
        for (at, one) in all.iter().enumerate() {
            if at + 1 == all.len() {
                self.add(one)?;
                break;
            }
            let split = self.split()?;
            self.add(one)?;
            ends.push(self.push(Step::Jump(0))?);
            self.close(split, self.steps.len(), false);
        }
        let end = self.steps.len();
        for jump in ends {
            self.steps[jump] = Step::Jump(end);
        }
        Ok(())
    }

    /// A split whose first way is the next step.
    fn split(&mut self) -> Result<usize, Unreadable> {
        let mark = self.mark();
        let first = self.steps.len() + 1;
        self.push(Step::Split { first, second: first, mark })
    }

    /// Says where a split's other way goes; a lazy one goes there first.
    fn close(&mut self, split: usize, to: usize, lazy: bool) {
        if let Step::Split { first, second, .. } = &mut self.steps[split] {
            *second = to;
            if lazy {
                std::mem::swap(first, second);
            }
        }
    }

    fn repeat(&mut self, what: &Node, least: u32, most: Option<u32>, kind: RepeatKind) -> Result<(), Unreadable> {
        if kind == RepeatKind::Possessive {
            let greedy = Node::Repeat { what: Box::new(what.clone()), least, most, kind: RepeatKind::Greedy };
            return self.inner(&greedy, Inner::Whole);
        }
        let lazy = kind == RepeatKind::Lazy;
        let single = match what {
            Node::Set(set) => Some(set.clone()),
            Node::Character(character) => Some(Set::of(*character)),
            _ => None,
        };
        if let (Some(set), false) = (single, lazy) {
            let (set, mark) = (self.set(&set), self.mark());
            self.push(Step::Run { set, least, most, mark })?;
            return Ok(());
        }
        let (least, most) = bounded(least, most);
        for _ in 0..least {
            self.add(what)?;
        }
        let Some(most) = most else {
            let split = self.split()?;
            self.add(what)?;
            self.push(Step::Jump(split))?;
            self.close(split, self.steps.len(), lazy);
            return Ok(());
        };
        let mut splits = Vec::new();
        for _ in least..most {
            splits.push(self.split()?);
            self.add(what)?;
        }
        let end = self.steps.len();
        for split in splits {
            self.close(split, end, lazy);
        }
        Ok(())
    }
}

/// The most characters that a part takes; `None` where there is no most.
fn longest(node: &Node) -> Option<usize> {
    match node {
        Node::Empty | Node::Start | Node::End | Node::WordBoundary { .. } | Node::Look { .. } => Some(0),
        Node::Character(_) | Node::Set(_) => Some(1),
        Node::Concat(all) => all.iter().map(longest).sum(),
        Node::Either(all) => all.iter().map(longest).try_fold(0, |most, one| one.map(|one| most.max(one))),
        Node::Repeat { what, most, .. } => longest(what)?.checked_mul(usize::try_from((*most)?).ok()?),
        Node::Group(_, inside) => longest(inside),
        Node::Again(_) => None,
    }
}
