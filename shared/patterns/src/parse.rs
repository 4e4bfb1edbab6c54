//! Reading patterns: the tree of fields and `$or`. What stands in a field's array is read by `operators.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::dialect::Dialect;
use crate::error::{Located, PatternError};
use crate::json::{Token, Tokens};
use crate::operators;
use crate::pattern::{Branch, Field, Pattern};
use crate::{policy, wildcard};

/// What `$or` may multiply a pattern to:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-complex-example-or>
pub const MAX_COMBINATIONS: usize = 1_000;
/// Deeper patterns are refused.
pub const MAX_PATTERN_DEPTH: usize = 128;
/// A reader of the worst text may stand in this many places of a field's wildcards at once. AWS does not publish its
/// limit; four of `*/folder/*.ending` in one field are known to be too complex, and two of them, or four of `*.ending`,
/// not.
pub const MAX_WILDCARD_COMPLEXITY: usize = 15;

/// Field names that may not stand inside `$or`, where they would rather be a misplaced operator.
const RESERVED_IN_OR: [&str; 24] = [
    "exactly",
    "equals-ignore-case",
    "prefix",
    "suffix",
    "anything-but",
    "exists",
    "wildcard",
    "numeric",
    "cidr",
    "html",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
];

impl Pattern {
    /// Reads a pattern. The cost is bounded by the text's length, [`MAX_PATTERN_DEPTH`] and [`MAX_COMBINATIONS`];
    /// how long the text may be is the caller's rule (4,096 characters everywhere but in SNS).
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, PatternError> {
        policy::check_size(text, dialect)?;
        let mut reader = Reader {
            tokens: Tokens::new(text),
            dialect,
            path: String::new(),
            branches: Vec::new(),
            measure: Measure::default(),
        };
        if reader.next()? != Token::StartObject {
            return Err(reader.refuse("Filter is not an object"));
        }
        reader.object(false)?;
        let Reader { branches, measure, .. } = reader;
        let pattern = Pattern { branches };
        policy::check(&pattern, &measure, dialect)?;
        if dialect == Dialect::EventBridge {
            pattern.check_wildcards()?;
        }
        Ok(pattern)
    }

    fn check_wildcards(&self) -> Result<(), PatternError> {
        let fields = self.branches.iter().flat_map(|branch| &branch.fields);
        for field in fields {
            let wildcards = field.conditions.iter().flat_map(operators::wildcards_of);
            if wildcards.map(wildcard::Wildcard::complexity).sum::<usize>() > MAX_WILDCARD_COMPLEXITY {
                return Err(PatternError::WildcardsTooComplex);
            }
        }
        Ok(())
    }
}

/// What SNS counts in a policy.
#[derive(Default)]
pub(crate) struct Measure {
    pub top_level_keys: BTreeSet<String>,
    pub is_nested: bool,
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    dialect: Dialect,
    /// The path of the object that is read, joined by dots.
    path: String,
    /// The pattern so far, multiplied out. Empty means nothing has been asked yet.
    branches: Vec<Branch>,
    measure: Measure,
}

impl Reader<'_> {
    fn next(&mut self) -> Result<Token, PatternError> {
        self.tokens.next().map_err(PatternError::NotJson)
    }

    fn refuse(&self, message: impl Into<String>) -> PatternError {
        PatternError::NotAllowed(self.tokens.fail(message))
    }

    /// Reads the members of the object whose bracket has just been read.
    fn object(&mut self, is_in_or: bool) -> Result<(), PatternError> {
        if self.tokens.depth() > MAX_PATTERN_DEPTH {
            return Err(self.refuse(format!(
                "Document nesting depth ({}) exceeds the maximum allowed ({MAX_PATTERN_DEPTH})",
                self.tokens.depth()
            )));
        }
        let mut is_empty = true;
        while self.next()? == Token::Name {
            is_empty = false;
            let name = self.tokens.name().to_string();
            if name == "$or" {
                self.or()?;
                continue;
            }
            if is_in_or && RESERVED_IN_OR.contains(&name.as_str()) {
                return Err(self.refuse(format!("{name} is Ruler reserved fieldName which cannot be used inside $or.")));
            }
            self.member(&name, is_in_or)?;
        }
        if is_empty {
            return Err(self.refuse("Empty objects are not allowed"));
        }
        Ok(())
    }

    fn member(&mut self, name: &str, is_in_or: bool) -> Result<(), PatternError> {
        let kept = self.path.len();
        if kept > 0 {
            self.path.push('.');
        } else {
            self.measure.top_level_keys.insert(name.to_owned());
        }
        self.path.push_str(name);
        match self.next()? {
            Token::StartObject => {
                self.measure.is_nested = true;
                self.object(is_in_or)?;
            }
            Token::StartArray => self.field()?,
            _ => return Err(self.refuse(format!("\"{name}\" must be an object or an array"))),
        }
        self.path.truncate(kept);
        Ok(())
    }

    fn field(&mut self) -> Result<(), PatternError> {
        let conditions = operators::read(&mut self.tokens, self.dialect)?;
        let field = Field { path: Arc::from(self.path.as_str()), conditions };
        if self.branches.is_empty() {
            self.branches.push(Branch::default());
        }
        for branch in &mut self.branches {
            branch.put(field.clone());
        }
        Ok(())
    }

    /// Multiplies what has been read so far with each of the objects in the array that follows.
    fn or(&mut self) -> Result<(), PatternError> {
        let before = std::mem::take(&mut self.branches);
        if self.next()? != Token::StartArray {
            return Err(self.refuse("It must be an Array followed with $or."));
        }
        let mut multiplied = Vec::new();
        let mut alternatives = 0;
        loop {
            match self.next()? {
                Token::EndArray => break,
                Token::StartObject => {}
                _ => return Err(self.refuse("Only JSON object is allowed in array of $or relationship.")),
            }
            alternatives += 1;
            self.branches.clone_from(&before);
            if self.branches.is_empty() {
                self.branches.push(Branch::default());
            }
            self.object(true)?;
            multiplied.append(&mut self.branches);
            if multiplied.len() > MAX_COMBINATIONS {
                return Err(PatternError::TooManyCombinations(MAX_COMBINATIONS));
            }
        }
        if alternatives < 2 {
            return Err(self.refuse("There must have at least 2 Objects in $or relationship."));
        }
        self.branches = multiplied;
        Ok(())
    }
}

impl From<Located> for PatternError {
    fn from(located: Located) -> Self {
        PatternError::NotJson(located)
    }
}
