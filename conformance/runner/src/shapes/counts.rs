//! The four levels, counted.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::judge::Judgement;

/// How many variants there were, and how far they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub variants: u32,
    /// Those that should succeed.
    pub positive: u32,
    /// The service has the operation, and answered.
    pub answered: u32,
    /// Of the positive ones: it answered with success.
    pub succeeded: u32,
    /// The answer, success or error, has the model's form.
    pub shape_true: u32,
    /// And it is the right answer: success where that was due, else the refusal that the service has for it.
    pub strict: u32,
}

impl Counts {
    pub fn of(judgement: &Judgement, is_negative: bool) -> Self {
        Counts {
            variants: 1,
            positive: u32::from(!is_negative),
            answered: u32::from(judgement.answered),
            succeeded: u32::from(judgement.succeeded && !is_negative),
            shape_true: u32::from(judgement.is_shape_true()),
            strict: u32::from(judgement.is_strict()),
        }
    }

    /// The levels by name, lowest first.
    pub fn levels(&self) -> [(&'static str, u32); 4] {
        [
            ("answered", self.answered),
            ("succeeded", self.succeeded),
            ("shape-true", self.shape_true),
            ("strict", self.strict),
        ]
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.variants += other.variants;
        self.positive += other.positive;
        self.answered += other.answered;
        self.succeeded += other.succeeded;
        self.shape_true += other.shape_true;
        self.strict += other.strict;
    }
}
