//! What is wrong with a pattern, in AWS's words.

use std::fmt::Write as _;

/// A complaint with the place in the source where it arose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}\n at {place}", place = self.place())]
pub struct Located {
    /// What is wrong.
    pub message: String,
    /// From 1.
    pub line: usize,
    /// From 1, in UTF-16 code units.
    pub column: usize,
    snippet: String,
    /// How many code units of the source the snippet leaves out.
    truncated: usize,
}

/// How much of the source a complaint quotes.
const MAX_SNIPPET: usize = 500;

impl Located {
    pub(crate) fn new(message: String, source: &str, at: usize) -> Self {
        let before = &source[..at.min(source.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().encode_utf16().count() + 1;
        let mut snippet = String::new();
        let mut units = 0;
        let mut truncated = 0;
        for c in source.chars() {
            units += c.len_utf16();
            if units > MAX_SNIPPET {
                truncated += c.len_utf16();
            } else if c.is_control() && c != '\n' && c != '\r' {
                let _ = write!(snippet, "\\u{:04X}", u32::from(c));
            } else {
                snippet.push(c);
            }
        }
        Located { message, line, column, snippet, truncated }
    }

    /// `[Source: (String)"{}"; line: 1, column: 3]`.
    pub(crate) fn place(&self) -> String {
        let mut place = format!("[Source: (String)\"{}\"", self.snippet);
        if self.truncated > 0 {
            let _ = write!(place, "[truncated {} chars]", self.truncated);
        }
        let _ = write!(place, "; line: {}, column: {}]", self.line, self.column);
        place
    }
}

/// Why a pattern is refused. Its text is the reason that AWS gives, without the sentence each service puts before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The text is not JSON.
    #[error(transparent)]
    NotJson(Located),
    /// It is JSON, and breaks a rule of the pattern language.
    #[error(transparent)]
    NotAllowed(Located),
    #[error(
        "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a \
         wildcard character"
    )]
    WildcardsTooComplex,
    /// `$or` may not multiply a pattern beyond a thousand.
    #[error("Rule is too complex - the $or conditions create more than {0} rule combinations")]
    TooManyCombinations(usize),
    #[error("Filter policy is too complex")]
    PolicyTooComplex,
    #[error("Filter policy can not have more than 5 keys")]
    PolicyTooManyKeys,
    #[error("Filter policy scope MessageAttributes does not support nested filter policy")]
    PolicyNested,
    #[error("Filter policy is larger than {0} bytes")]
    PolicyTooLarge(usize),
}

impl PatternError {
    /// The message of EventBridge's `InvalidEventPatternException`.
    pub fn event_bridge_message(&self) -> String {
        format!("Event pattern is not valid. Reason: {self}")
    }

    /// The message of SNS's `InvalidParameter` when the attribute is set by itself; `Subscribe` puts
    /// `Attributes Reason: ` behind the first colon.
    pub fn sns_message(&self) -> String {
        format!("Invalid parameter: {}", self.sns_reason())
    }

    /// What SNS says after `Invalid parameter: ` or `Invalid parameter: Attributes Reason: `.
    pub fn sns_reason(&self) -> String {
        match self {
            PatternError::NotJson(_) => "FilterPolicy: failed to parse JSON.".to_owned(),
            other => format!("FilterPolicy: {other}"),
        }
    }

    /// The message of Lambda's `InvalidParameterValueException`, which tells no reason.
    pub fn lambda_message(&self) -> String {
        "Invalid filter pattern definition.".to_owned()
    }
}
