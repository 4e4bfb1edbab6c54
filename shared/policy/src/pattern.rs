//! Texts of a policy that are matched against a request: wildcards and policy variables, compiled once.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>

use smallvec::SmallVec;

use crate::context::Context;

/// A byte of text, or one of the two wildcards.
type Unit = u16;
const ANY_RUN: Unit = 256;
const ANY_ONE: Unit = 257;

type Units = SmallVec<[Unit; 96]>;

/// How letters compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Sensitive,
    Insensitive,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Units(Vec<Unit>),
    /// `${key}` or `${key, 'default'}`; the key in lower case.
    Variable {
        key: String,
        default: Option<String>,
    },
}

/// A compiled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    pieces: Vec<Piece>,
}

/// Which of a text's special forms are special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// `*` and `?`.
    pub wildcards: bool,
    /// `${...}`: in documents of version 2012-10-17.
    pub variables: bool,
}

impl Pattern {
    pub fn compile(text: &str, syntax: Syntax) -> Self {
        let mut pieces = Vec::new();
        let mut units = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if syntax.variables
                && let Some((variable, tail)) = variable(rest)
            {
                rest = tail;
                match variable {
                    Variable::Literal(byte) => units.push(Unit::from(byte)),
                    Variable::Key(key, default) => {
                        if !units.is_empty() {
                            pieces.push(Piece::Units(std::mem::take(&mut units)));
                        }
                        pieces.push(Piece::Variable { key, default });
                    }
                }
                continue;
            }
            rest = &rest[character.len_utf8()..];
            match character {
                '*' if syntax.wildcards => units.push(ANY_RUN),
                '?' if syntax.wildcards => units.push(ANY_ONE),
                _ => units.extend(character.encode_utf8(&mut [0; 4]).bytes().map(Unit::from)),
            }
        }
        if !units.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Units(units));
        }
        Pattern { text: text.to_owned(), pieces }
    }

    /// The text as the document has it.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, text: &str, context: &Context, case: Case) -> bool {
        match self.pieces.as_slice() {
            [Piece::Units(units)] => wildcard_match(units, text.as_bytes(), case),
            _ => self.units(context).is_some_and(|units| wildcard_match(&units, text.as_bytes(), case)),
        }
    }

    /// With the variables filled in; `None` if one has no value, which matches nothing.
    fn units(&self, context: &Context) -> Option<Units> {
        let mut all = Units::new();
        for piece in &self.pieces {
            match piece {
                Piece::Units(units) => all.extend_from_slice(units),
                // A value's own wildcards stand for themselves.
                Piece::Variable { key, default } => {
                    let value = context.single(key).or(default.as_deref())?;
                    all.extend(value.bytes().map(Unit::from));
                }
            }
        }
        Some(all)
    }

    /// The same as [`Self::matches`] with each of the colon-separated parts of an ARN matched for itself.
    pub fn matches_arn(&self, arn: &str, context: &Context) -> bool {
        match self.pieces.as_slice() {
            [Piece::Units(units)] => arn_match(units, arn),
            _ => self.units(context).is_some_and(|units| arn_match(&units, arn)),
        }
    }

    /// The text with its variables filled in, for comparisons that are not by letters.
    pub fn value(&self, context: &Context) -> Option<String> {
        let units = self.units(context)?;
        let bytes: Vec<u8> = units
            .iter()
            .map(|unit| match *unit {
                ANY_RUN => b'*',
                ANY_ONE => b'?',
                unit => u8::try_from(unit).unwrap_or(b'?'),
            })
            .collect();
        String::from_utf8(bytes).ok()
    }
}

enum Variable {
    Literal(u8),
    Key(String, Option<String>),
}

/// Reads `${...}` at the beginning of a text. What is no well-formed variable is plain text.
fn variable(text: &str) -> Option<(Variable, &str)> {
    let (body, rest) = text.strip_prefix("${")?.split_once('}')?;
    match body {
        "*" | "?" | "$" => return Some((Variable::Literal(body.as_bytes()[0]), rest)),
        _ => {}
    }
    let (key, default) = match body.split_once(',') {
        None => (body, None),
        Some((key, default)) => {
            let default = default.trim().strip_prefix('\'')?.strip_suffix('\'')?;
            (key, Some(default.to_owned()))
        }
    };
    let key = key.trim();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-+=@".contains(&byte);
    let well_formed = !key.is_empty() && key.bytes().all(known);
    well_formed.then(|| (Variable::Key(key.to_ascii_lowercase(), default), rest))
}

/// Matches with a step back to the last `*` only: time grows with the product of the lengths at worst, never beyond.
fn wildcard_match(pattern: &[Unit], text: &[u8], case: Case) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(&ANY_RUN) => {
                at += 1;
                if at == pattern.len() {
                    return true;
                }
                retry = Some((at, position));
            }
            Some(&ANY_ONE) => {
                at += 1;
                position += character_length(text, position);
            }
            Some(&unit) if same(unit, text[position], case) => {
                at += 1;
                position += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    let from = from + character_length(text, from);
                    retry = Some((after, from));
                    (at, position) = (after, from);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|unit| *unit == ANY_RUN)
}

fn same(unit: Unit, byte: u8, case: Case) -> bool {
    let Ok(unit) = u8::try_from(unit) else { return false };
    match case {
        Case::Sensitive => unit == byte,
        Case::Insensitive => unit.eq_ignore_ascii_case(&byte),
    }
}

/// `?` stands for a character, however many bytes it has.
fn character_length(text: &[u8], position: usize) -> usize {
    let continued = text[position + 1..].iter().take_while(|byte| **byte & 0xC0 == 0x80).count();
    1 + continued
}

const COLON: Unit = b':' as Unit;

/// Part by part, so that a wildcard stays within its part; only a pattern that ends early, in `*`, covers all the rest.
fn arn_match(pattern: &[Unit], arn: &str) -> bool {
    if pattern.iter().all(|unit| *unit == ANY_RUN) && !pattern.is_empty() {
        return true;
    }
    let mut pattern = pattern;
    let mut text = arn.as_bytes();
    for part in 0..6 {
        let last = part == 5;
        let pattern_end = if last { None } else { pattern.iter().position(|unit| *unit == COLON) };
        let text_end = if last { None } else { text.iter().position(|byte| *byte == b':') };
        match (pattern_end, text_end) {
            (Some(pattern_end), Some(text_end)) => {
                if !wildcard_match(&pattern[..pattern_end], &text[..text_end], Case::Sensitive) {
                    return false;
                }
                pattern = &pattern[pattern_end + 1..];
                text = &text[text_end + 1..];
            }
            (None, None) => return wildcard_match(pattern, text, Case::Sensitive),
            (None, Some(_)) => {
                return pattern.last() == Some(&ANY_RUN) && wildcard_match(pattern, text, Case::Sensitive);
            }
            (Some(_), None) => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: Syntax = Syntax { wildcards: true, variables: true };

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::compile(pattern, ALL).matches(text, &Context::new(), Case::Sensitive)
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("a?c", "abc", true),
            ("a?c", "aüc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("${*}", "*", true),
            ("${*}", "x", false),
            ("a${?}${$}", "a?$", true),
            ("${}", "${}", true),
            ("${a", "${a", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn variables() {
        let context = Context::new().with("aws:username", "ann*").with_many("aws:TagKeys", ["a", "b"]);
        let matches =
            |pattern: &str, text: &str| Pattern::compile(pattern, ALL).matches(text, &context, Case::Sensitive);
        assert!(matches("home/${aws:UserName}/*", "home/ann*/x"));
        assert!(!matches("home/${aws:username}/*", "home/anna/x"));
        assert!(!matches("${aws:unknown}", ""));
        assert!(matches("${aws:unknown, 'team'}/*", "team/x"));
        // A variable must have one value.
        assert!(!matches("${aws:TagKeys}", "a"));
        let plain = Pattern::compile("${aws:username}", Syntax { wildcards: true, variables: false });
        assert!(plain.matches("${aws:username}", &context, Case::Sensitive));
    }

    #[test]
    fn arns_part_by_part() {
        for (pattern, arn, expected) in [
            ("*", "arn:aws:s3:::b", true),
            ("arn:aws:s3:::b/*", "arn:aws:s3:::b/k:1", true),
            ("arn:aws:s3:::b*", "arn:aws:s3:::bucket/k", true),
            ("arn:aws:sqs:*:123456789012:q", "arn:aws:sqs:us-east-1:123456789012:q", true),
            ("arn:aws:sqs:*:q", "arn:aws:sqs:us-east-1:123456789012:q", false),
            ("arn:aws:sqs:us-*-1:*:*", "arn:aws:sqs:us-east-1:123456789012:q", true),
            ("arn:*:sqs:us-east-1:1*", "arn:aws:sqs:us-east-1:123456789012:q", true),
            ("arn:aws:s3:*", "arn:aws:s3:::b/k", true),
            ("arn:aws:logs:*:*:log-group:*", "arn:aws:logs:us-east-1:1:log-group:g:stream:s", true),
            ("arn:aws:s3:::b", "*", false),
            ("*", "*", true),
        ] {
            let matched = Pattern::compile(pattern, ALL).matches_arn(arn, &Context::new());
            assert_eq!(matched, expected, "{pattern} {arn}");
        }
    }

    /// The definition, which may take exponential time.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => naive(rest, text) || (!text.is_empty() && naive(pattern, &text[1..])),
            (['?', rest @ ..], [_, tail @ ..]) => naive(rest, tail),
            ([p, rest @ ..], [t, tail @ ..]) => p == t && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?ü]{0,10}", text in "[abü]{0,10}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(matches(&pattern, &text), naive(&p, &t));
        }
    }

    #[test]
    fn hostile_patterns_take_no_exponential_time() {
        let pattern = format!("{}b", "*a".repeat(500));
        assert!(!matches(&pattern, &"a".repeat(5000)));
    }
}
