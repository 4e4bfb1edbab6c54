//! Texts that match a model's pattern, at a length asked for.
//!
//! The models' patterns are Java's. [`parse`] reads them into a [`Node`], from which a text is generated
//! ([`generate`]) and the same pattern is written for the engine here ([`render`]), which checks what was generated:
//! look-around is not generated for, but tried for.

mod generate;
mod parse;
mod render;

use std::collections::HashMap;
use std::sync::Arc;

use fancy_regex::Regex;
use parking_lot::Mutex;

use super::chance::Chance;
pub use parse::Node;

/// Attempts at a text that the checks take.
const ATTEMPTS: usize = 24;
/// Lengths tried above the least, when the least is not one that the pattern can have.
const LENGTHS_TRIED: usize = 40;

/// A pattern in the three forms that are needed.
pub struct Pattern {
    node: Node,
    /// The whole text.
    whole: Regex,
    /// Anywhere in the text.
    anywhere: Regex,
}

impl Pattern {
    /// `None` for what is no regular expression here.
    pub fn new(pattern: &str) -> Option<Self> {
        let node = parse::parse(pattern)?;
        let rendered = render::render(&node);
        let whole = Regex::new(&format!("\\A(?:{rendered})\\z")).ok()?;
        let anywhere = Regex::new(&rendered).ok()?;
        Some(Pattern { node, whole, anywhere })
    }

    pub fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text).unwrap_or(false)
    }

    /// A text of `least..=most` characters, as near to the least as can be had.
    pub fn sample(&self, least: usize, most: usize, chance: &mut Chance) -> Option<String> {
        let (shortest, longest) = generate::lengths(&self.node);
        let first = least.max(shortest);
        let last = most.min(longest.unwrap_or(usize::MAX));
        for length in (first..=last).take(LENGTHS_TRIED) {
            if let Some(text) = self.of_length(length, chance) {
                return Some(text);
            }
        }
        None
    }

    /// A text of exactly this many characters.
    pub fn of_length(&self, length: usize, chance: &mut Chance) -> Option<String> {
        let (shortest, longest) = generate::lengths(&self.node);
        if length < shortest || longest.is_some_and(|longest| length > longest) {
            return None;
        }
        for _ in 0..ATTEMPTS {
            let text = generate::generate(&self.node, length, chance);
            if text.chars().count() == length && self.matches(&text) {
                return Some(text);
            }
        }
        None
    }

    /// A text of `least..=most` characters that does not match: best one in no part of which the pattern is found, so
    /// that it is refused whether a service looks for the pattern or demands it of the whole text. Only characters that
    /// fit into a header.
    pub fn mismatch(&self, least: usize, most: usize) -> Option<String> {
        let length = least.max(1).min(most.max(1));
        let texts = ["!", "~", "é", "^", "<", "A", "a", "0", "-", "|"].map(|text| text.repeat(length));
        let is_no_match = |text: &&String| !self.matches(text);
        let is_nowhere = |text: &&String| !self.anywhere.is_match(text).unwrap_or(true);
        let fits = || texts.iter().filter(|text| text.chars().count() <= most).filter(is_no_match);
        fits().find(is_nowhere).or_else(|| fits().next()).cloned()
    }
}

/// Patterns that were needed before; parsing and compiling one takes longer than using it.
#[derive(Default)]
pub struct Patterns(Mutex<HashMap<String, Option<Arc<Pattern>>>>);

impl Patterns {
    pub fn get(&self, pattern: &str) -> Option<Arc<Pattern>> {
        if let Some(known) = self.0.lock().get(pattern) {
            return known.clone();
        }
        let made = Pattern::new(pattern).map(Arc::new);
        self.0.lock().insert(pattern.to_owned(), made.clone());
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pattern: &str, least: usize, most: usize) -> Option<String> {
        Pattern::new(pattern).unwrap().sample(least, most, &mut Chance::of(1, pattern))
    }

    #[test]
    fn a_sample_has_the_length_asked_for() {
        assert_eq!(sample("[a-z]{2,10}", 10, 10).unwrap().len(), 10);
        assert_eq!(sample("[a-z]{2,10}", 1, 1), None);
        assert_eq!(sample(r"arn:aws:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+", 64, 64).unwrap().len(), 64);
        assert!(sample("^(?!aws:)[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@%]*$", 5, 128).unwrap().len() >= 5);
    }

    #[test]
    fn a_mismatch_matches_nowhere() {
        let pattern = Pattern::new("[a-zA-Z0-9-]+").unwrap();
        let text = pattern.mismatch(3, 10).unwrap();
        assert!(text.chars().count() >= 3 && !pattern.anywhere.is_match(&text).unwrap(), "{text}");
        assert_eq!(Pattern::new(".*").unwrap().mismatch(1, 10), None);
    }

    /// Every pattern of every model gives a text, but for those that contradict themselves or are none.
    #[test]
    fn the_models_patterns_give_texts() {
        let patterns = Patterns::default();
        let mut without = Vec::new();
        for name in crate::models::names() {
            let api = crate::models::load(name).unwrap();
            for (shape_name, shape) in &api.shapes {
                let Some(pattern) = shape.pattern.as_deref() else { continue };
                let (least, most) = (shape.min.unwrap_or(0.0) as usize, shape.max.unwrap_or(1e4) as usize);
                let mut chance = Chance::of(1, pattern);
                let text = patterns.get(pattern).and_then(|pattern| pattern.sample(least, most, &mut chance));
                if text.is_none() {
                    without.push(format!("{name} {shape_name} {least}..{most} {pattern}"));
                }
            }
        }
        assert!(without.len() <= 4, "{}", without.join("\n"));
    }
}
