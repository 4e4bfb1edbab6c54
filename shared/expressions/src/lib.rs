//! Regular expressions as AWS's models write them, which is Java's way: <https://docs.oracle.com/javase/8/docs/api/java/util/regex/Pattern.html>.
//!
//! One small engine for a whole program. The usual ones are made for searching through much text: they compile automata of
//! several kinds, with the tables of every Unicode property, and were a twentieth of a service's program. Here are short texts,
//! mostly `[a-z]+` of them, matched from end to end.
//!
//! [`syntax`] reads an expression, [`set`] says which characters a class holds, [`program`] are the steps that an expression
//! becomes, [`run`] takes them: with backtracking that visits no step twice at one place, so that time grows with the text. What
//! that cannot hold for (back-references, look-around) has a bound, beyond which nothing is decided.
//!
//! `\w`, `\d`, `\s` and POSIX classes mean ASCII; a character beyond 16 bits may be two `\u` escapes.

mod program;
mod run;
mod set;
mod syntax;
#[cfg(test)]
mod tests;

use std::ops::Range;

use program::Program;

/// An expression that is no expression, or is none that is understood here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the expression is not understood: {0}")]
pub struct Unreadable(pub(crate) &'static str);

/// An expression, ready to be matched.
#[derive(Clone, Debug)]
pub struct Expression {
    program: Program,
}

impl Expression {
    pub fn new(text: &str) -> Result<Self, Unreadable> {
        Ok(Expression { program: Program::new(&syntax::read(text)?)? })
    }

    /// Whether the expression takes the whole of `text`; `None` where that would take too long to decide.
    pub fn matches(&self, text: &str) -> Option<bool> {
        run::whole(&self.program, text).map(|found| found.is_some())
    }

    /// Where the first match in `text` is, and its groups are, in bytes; `None` where there is none, or it would take too long
    /// to find.
    pub fn find(&self, text: &str) -> Option<Vec<Option<Range<usize>>>> {
        run::first(&self.program, text).flatten()
    }
}
