//! Taking the steps.

use std::ops::Range;

use crate::program::{Inner, Program, Step};

/// What a match may take, in steps, before it is given up.
const MAX_STEPS: usize = 2_000_000;
/// The most places and steps that are remembered as tried; beyond, only the bound on steps holds.
const MAX_TRIED_BITS: usize = 32 * 1024 * 1024;

/// Too long to decide.
struct Undecided;

type Groups = Vec<Option<Range<usize>>>;

/// The whole text; `None`: undecided.
pub fn whole(program: &Program, text: &str) -> Option<Option<usize>> {
    let mut run = Run::new(program, text);
    run.attempt(0, 0, Ends::AtEnd, true).ok()
}

/// The first match anywhere; `None`: undecided.
pub fn first(program: &Program, text: &str) -> Option<Option<Groups>> {
    let mut run = Run::new(program, text);
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    for start in starts {
        run.saved.fill(None);
        match run.attempt(0, start, Ends::Anywhere, true) {
            Err(Undecided) => return None,
            Ok(None) => {}
            Ok(Some(end)) => {
                let groups = run.saved.chunks_exact(2).map(|pair| Some(pair[0]?..pair[1]?));
                let mut groups: Groups = groups.collect();
                groups[0] = Some(start..end);
                return Some(Some(groups));
            }
        }
    }
    Some(None)
}

/// Where a match must end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Anywhere,
    AtEnd,
    At(usize),
}

/// Another way, to be taken when the first one has failed.
enum Other {
    Step {
        step: usize,
        at: usize,
    },
    /// The step behind a run that ends anywhere from `least` to `most`; the longest first.
    Shorter {
        step: usize,
        least: usize,
        most: usize,
        mark: usize,
    },
    Restore {
        slot: usize,
        place: Option<usize>,
    },
}

struct Run<'p, 't> {
    program: &'p Program,
    text: &'t str,
    saved: Vec<Option<usize>>,
    /// A bit for each mark and place; empty until one is set.
    tried: Vec<u64>,
    remembers: bool,
    steps_left: usize,
}

impl<'p, 't> Run<'p, 't> {
    fn new(program: &'p Program, text: &'t str) -> Self {
        let bits = program.marks.saturating_mul(text.len() + 1);
        Run {
            program,
            text,
            saved: vec![None; if program.groups > 0 { (program.groups + 1) * 2 } else { 2 }],
            tried: Vec::new(),
            remembers: !program.refers_back && bits <= MAX_TRIED_BITS,
            steps_left: MAX_STEPS,
        }
    }

    /// Remembers that a way is tried from a place; whether it had been.
    fn is_tried(&mut self, mark: usize, at: usize) -> bool {
        if self.tried.is_empty() {
            self.tried.resize((self.program.marks * (self.text.len() + 1)).div_ceil(64), 0);
        }
        let bit = mark * (self.text.len() + 1) + at;
        let word = &mut self.tried[bit / 64];
        let was = *word >> (bit % 64) & 1 == 1;
        *word |= 1 << (bit % 64);
        was
    }

    /// Where the steps from `step` on, at `at`, end. What is tried in vain is remembered in the outermost attempt alone: inner
    /// ones may succeed, and be asked again.
    fn attempt(
        &mut self,
        mut step: usize,
        mut at: usize,
        ends: Ends,
        outermost: bool,
    ) -> Result<Option<usize>, Undecided> {
        let (program, remembers) = (self.program, outermost && self.remembers);
        let mut others: Vec<Other> = Vec::new();
        loop {
            self.spend(1)?;
            let next = match &program.steps[step] {
                Step::Done => match ends {
                    Ends::AtEnd if at != self.text.len() => None,
                    Ends::At(end) if at != end => None,
                    _ => return Ok(Some(at)),
                },
                Step::Character(character) => {
                    let rest = self.text.get(at..).unwrap_or_default();
                    rest.starts_with(*character).then(|| (step + 1, at + character.len_utf8()))
                }
                Step::Set(set) => program.sets[*set].length_at(self.text, at).map(|length| (step + 1, at + length)),
                Step::Run { set, least, most, mark } => match self.run(step, at, (*set, *least, *most), ends)? {
                    None => None,
                    Some((shortest, longest)) if shortest == longest => Some((step + 1, longest)),
                    Some((least, most)) => {
                        others.push(Other::Shorter { step: step + 1, least, most, mark: *mark });
                        None
                    }
                },
                Step::Split { mark, .. } if remembers && self.is_tried(*mark, at) => None,
                Step::Split { first, second, .. } => {
                    others.push(Other::Step { step: *second, at });
                    Some((*first, at))
                }
                Step::Jump(to) => Some((*to, at)),
                Step::Save(slot) => {
                    others.push(Other::Restore { slot: *slot, place: self.saved[*slot] });
                    self.saved[*slot] = Some(at);
                    Some((step + 1, at))
                }
                Step::Inner { after, kind } => self.inner(step + 1, at, *kind)?.map(|at| (*after, at)),
                Step::Again(group) => self.again(*group, at).map(|at| (step + 1, at)),
                Step::Start => (at == 0).then_some((step + 1, at)),
                Step::End => (at == self.text.len()).then_some((step + 1, at)),
                Step::WordBoundary { negative } => (self.is_boundary(at) != *negative).then_some((step + 1, at)),
            };
            match next.or_else(|| self.another(&mut others, remembers)) {
                Some(next) => (step, at) = next,
                None => return Ok(None),
            }
        }
    }

    fn spend(&mut self, steps: usize) -> Result<(), Undecided> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or(Undecided)?;
        Ok(())
    }

    /// The next way that is left.
    fn another(&mut self, others: &mut Vec<Other>, remembers: bool) -> Option<(usize, usize)> {
        loop {
            match others.pop()? {
                Other::Step { step, at } => return Some((step, at)),
                Other::Restore { slot, place } => self.saved[slot] = place,
                Other::Shorter { step, least, most, mark } => {
                    if most > least {
                        let mut shorter = most - 1;
                        while !self.text.is_char_boundary(shorter) {
                            shorter -= 1;
                        }
                        others.push(Other::Shorter { step, least, most: shorter, mark });
                    }
                    if !(remembers && self.is_tried(mark, most)) {
                        return Some((step, most));
                    }
                }
            }
        }
    }

    /// Where a run of so many characters of a set may end, at the shortest and at the longest.
    fn run(
        &mut self,
        step: usize,
        at: usize,
        (set, least, most): (usize, u32, Option<u32>),
        ends: Ends,
    ) -> Result<Option<(usize, usize)>, Undecided> {
        let set = &self.program.sets[set];
        let (mut place, mut count, mut shortest) = (at, 0, at);
        while most.is_none_or(|most| count < most)
            && let Some(length) = set.length_at(self.text, place)
        {
            (place, count) = (place + length, count + 1);
            if count == least {
                shortest = place;
            }
        }
        self.spend((place - at) / 16)?;
        if count < least {
            return Ok(None);
        }
        // Behind which nothing but the end comes, no shorter one helps.
        let is_last = match self.program.steps[step + 1] {
            Step::End => true,
            Step::Done => ends == Ends::AtEnd,
            _ => false,
        };
        if is_last {
            return Ok((place == self.text.len()).then_some((place, place)));
        }
        Ok(Some((shortest, place)))
    }

    fn inner(&mut self, step: usize, at: usize, kind: Inner) -> Result<Option<usize>, Undecided> {
        match kind {
            Inner::Whole => self.attempt(step, at, Ends::Anywhere, false),
            Inner::Ahead { negative } => {
                let saved = if negative { self.saved.clone() } else { Vec::new() };
                let found = self.attempt(step, at, Ends::Anywhere, false)?.is_some();
                if negative && found {
                    self.saved = saved;
                }
                Ok((found != negative).then_some(at))
            }
            Inner::Behind { negative, most } => {
                let before = self.text.get(..at).unwrap_or_default();
                let starts = before.char_indices().rev().map(|(start, _)| start).take(most);
                let mut found = false;
                for start in [at].into_iter().chain(starts) {
                    found = found || self.attempt(step, start, Ends::At(at), false)?.is_some();
                }
                Ok((found != negative).then_some(at))
            }
        }
    }

    /// The end of what a group matched, where it stands here again.
    fn again(&self, group: usize, at: usize) -> Option<usize> {
        let (start, end) = (self.saved[group * 2]?, self.saved[group * 2 + 1]?);
        let matched = self.text.get(start..end)?;
        self.text.get(at..)?.starts_with(matched).then(|| at + matched.len())
    }

    fn is_boundary(&self, at: usize) -> bool {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let (before, behind) = self.text.split_at_checked(at).unwrap_or_default();
        before.chars().next_back().is_some_and(is_word) != behind.chars().next().is_some_and(is_word)
    }
}
