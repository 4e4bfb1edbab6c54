//! Reading what stands in a field's array: plain values and operators.
//!
//! [Comparison operators](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html).
//! The order in which mistakes are noticed is AWS's, because it decides which message and column the caller sees.

use std::sync::Arc;

use crate::address;
use crate::condition::Condition;
use crate::dialect::Dialect;
use crate::error::PatternError;
use crate::json::{Token, Tokens};
use crate::number::{self, Millionths, NotComparable};
use crate::value::{Literal, fold};
use crate::wildcard::Wildcard;

/// Reads to the end of the array whose bracket has just been read. Gives the conditions, sorted.
pub(crate) fn read(tokens: &mut Tokens<'_>, dialect: Dialect) -> Result<Arc<[Condition]>, PatternError> {
    let mut operators = Operators { tokens, dialect };
    let mut conditions = Vec::new();
    loop {
        let condition = match operators.next()? {
            Token::EndArray => break,
            Token::StartObject => operators.expression()?,
            Token::Text => operators.plain_text()?,
            Token::Number => {
                let text = operators.tokens.number();
                Condition::Number { text: text.into(), value: number::parse(text).ok() }
            }
            Token::Null => Condition::Literal(Literal::Null),
            Token::True => Condition::Literal(Literal::True),
            Token::False => Condition::Literal(Literal::False),
            _ => return Err(operators.refuse("Match value must be String, number, true, false, or null")),
        };
        conditions.push(condition);
    }
    if conditions.is_empty() {
        return Err(operators.refuse("Empty arrays are not allowed"));
    }
    conditions.sort_unstable();
    conditions.dedup();
    Ok(conditions.into())
}

/// The wildcards in a condition.
pub(crate) fn wildcards_of(condition: &Condition) -> impl Iterator<Item = &Wildcard> {
    let inner = match condition {
        Condition::AnythingBut(excluded) => &**excluded,
        single => std::slice::from_ref(single),
    };
    inner.iter().filter_map(|condition| match condition {
        Condition::Wildcard(wildcard) => Some(wildcard),
        _ => None,
    })
}

struct Operators<'t, 'a> {
    tokens: &'t mut Tokens<'a>,
    dialect: Dialect,
}

const ONE_KEY: &str = "Only one key allowed in match expression";
const TOO_MANY_ELEMENTS: &str = "Too many elements in numeric expression";

impl Operators<'_, '_> {
    fn next(&mut self) -> Result<Token, PatternError> {
        Ok(self.tokens.next()?)
    }

    fn refuse(&self, message: impl Into<String>) -> PatternError {
        PatternError::NotAllowed(self.tokens.fail(message))
    }

    fn text(&mut self) -> Result<String, PatternError> {
        Ok(self.tokens.text()?.into_owned())
    }

    fn end_object(&mut self, complaint: &str) -> Result<(), PatternError> {
        match self.next()? {
            Token::EndObject => Ok(()),
            _ => Err(self.refuse(complaint)),
        }
    }

    fn plain_text(&mut self) -> Result<Condition, PatternError> {
        let text = self.text()?;
        Ok(match address::parse(&text) {
            Some(address) => Condition::Address(address),
            None => Condition::Text(text.into()),
        })
    }

    /// An object in the array: one operator.
    fn expression(&mut self) -> Result<Condition, PatternError> {
        if self.next()? != Token::Name {
            return Err(self.refuse("Match expression name not found"));
        }
        let operator = self.tokens.name().to_string();
        match operator.as_str() {
            "exactly" => self.string(|text| Condition::Text(text.into()), "exact match pattern must be a string"),
            "prefix" => self.affix("prefix"),
            "suffix" => self.affix("suffix"),
            "equals-ignore-case" => self.string(
                |text| Condition::EqualIgnoringCase(fold(&text).into()),
                "equals-ignore-case match pattern must be a string",
            ),
            "numeric" => self.numeric(),
            "anything-but" => self.anything_but(),
            "exists" => self.exists(),
            "cidr" => self.cidr(),
            "wildcard" if self.dialect.has_wildcard() => self.wildcard(),
            unknown => Err(self.refuse(format!("Unrecognized match type {unknown}"))),
        }
    }

    fn string(&mut self, make: impl FnOnce(String) -> Condition, complaint: &str) -> Result<Condition, PatternError> {
        if self.next()? != Token::Text {
            return Err(self.refuse(complaint));
        }
        let condition = make(self.text()?);
        self.end_object(ONE_KEY)?;
        Ok(condition)
    }

    /// `prefix` or `suffix`, of a string or of `{"equals-ignore-case": …}`.
    fn affix(&mut self, operator: &str) -> Result<Condition, PatternError> {
        match self.next()? {
            Token::StartObject => self.affix_ignoring_case(operator),
            Token::Text => {
                let text = self.text()?.into_boxed_str();
                self.end_object(ONE_KEY)?;
                Ok(if operator == "prefix" { Condition::Prefix(text) } else { Condition::Suffix(text) })
            }
            _ => Err(self.refuse(format!("{operator} match pattern must be a string"))),
        }
    }

    fn affix_ignoring_case(&mut self, operator: &str) -> Result<Condition, PatternError> {
        if self.next()? != Token::Name {
            let subject = if operator == "prefix" { "Prefix" } else { "Suffix" };
            return Err(self.refuse(format!("{subject} expression name not found")));
        }
        let inner = self.tokens.name().to_string();
        if inner != "equals-ignore-case" {
            return Err(self.refuse(format!("Unsupported {operator} pattern: {inner}")));
        }
        let make = |text: String| {
            let folded = fold(&text).into_boxed_str();
            if operator == "prefix" {
                Condition::PrefixIgnoringCase(folded)
            } else {
                Condition::SuffixIgnoringCase(folded)
            }
        };
        let condition = self.string(make, "equals-ignore-case match pattern must be a string")?;
        self.end_object(ONE_KEY)?;
        Ok(condition)
    }

    fn wildcard(&mut self) -> Result<Condition, PatternError> {
        if self.next()? != Token::Text {
            return Err(self.refuse("wildcard match pattern must be a string"));
        }
        let text = self.text()?;
        let wildcard = Wildcard::parse(&text).map_err(|mistake| self.refuse(mistake))?;
        self.end_object(ONE_KEY)?;
        Ok(Condition::Wildcard(wildcard))
    }

    fn exists(&mut self) -> Result<Condition, PatternError> {
        let condition = match self.next()? {
            Token::True => Condition::Exists,
            Token::False => Condition::Absent,
            _ => return Err(self.refuse("exists match pattern must be either true or false.")),
        };
        self.end_object(ONE_KEY)?;
        Ok(condition)
    }

    fn cidr(&mut self) -> Result<Condition, PatternError> {
        if self.next()? != Token::Text {
            return Err(self.refuse("prefix match pattern must be a string"));
        }
        let text = self.text()?;
        let (first, last) = address::parse_block(&text).map_err(|mistake| self.refuse(mistake))?;
        self.end_object(ONE_KEY)?;
        Ok(Condition::Block(first, last))
    }

    fn anything_but(&mut self) -> Result<Condition, PatternError> {
        let mut token = self.next()?;
        let mut operator = None;
        if token == Token::StartObject {
            if self.next()? != Token::Name {
                return Err(self.refuse("Anything-But expression name not found"));
            }
            let name = self.tokens.name().to_string();
            if !self.dialect.has_anything_but(&name) {
                return Err(self.refuse(format!("Unsupported anything-but pattern: {name}")));
            }
            operator = Some(name);
            token = self.next()?;
        }
        let mut excluded = match token {
            Token::StartArray => self.excluded_list(operator.as_deref())?,
            Token::Text | Token::Number => vec![self.excluded(token, operator.as_deref())?],
            _ => return Err(self.refuse("Value of anything-but must be an array or single string/number value.")),
        };
        self.end_object(TOO_MANY_ELEMENTS)?;
        if operator.is_some() {
            self.end_object(TOO_MANY_ELEMENTS)?;
        }
        excluded.sort_unstable();
        excluded.dedup();
        Ok(Condition::AnythingBut(excluded.into()))
    }

    fn excluded_list(&mut self, operator: Option<&str>) -> Result<Vec<Condition>, PatternError> {
        let mut excluded = Vec::new();
        loop {
            let token = self.next()?;
            if token == Token::EndArray {
                break;
            }
            excluded.push(self.excluded(token, operator)?);
        }
        let numbers = excluded.iter().filter(|condition| matches!(condition, Condition::Range(..))).count();
        if operator.is_none() && (excluded.is_empty() || (numbers > 0 && numbers < excluded.len())) {
            return Err(self.refuse(
                "Inside anything but list, either all values are number or string, mixed type is not supported",
            ));
        }
        Ok(excluded)
    }

    /// One value that `anything-but` leaves out.
    fn excluded(&mut self, token: Token, operator: Option<&str>) -> Result<Condition, PatternError> {
        match (operator, token) {
            (None, Token::Text) => Ok(Condition::Text(self.text()?.into())),
            (None, Token::Number) => {
                let number = self.bound(self.tokens.number())?;
                Ok(Condition::Range(number, number))
            }
            (None, _) => Err(self.refuse("Inside anything but list, start|null|boolean is not supported.")),
            (Some(operator), Token::Text) => {
                let text = self.text()?;
                self.excluded_by(operator, &text)
            }
            (Some("equals-ignore-case"), _) => {
                Err(self
                    .refuse("Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."))
            }
            (Some("wildcard"), _) => Err(self.refuse("wildcard match pattern must be a string")),
            (Some(_), _) => Err(self.refuse("prefix/suffix match pattern must be a string")),
        }
    }

    fn excluded_by(&mut self, operator: &str, text: &str) -> Result<Condition, PatternError> {
        match operator {
            "prefix" | "suffix" if text.is_empty() => Err(self.refuse("Null prefix/suffix not allowed")),
            "prefix" => Ok(Condition::Prefix(text.into())),
            "suffix" => Ok(Condition::Suffix(text.into())),
            "wildcard" => Wildcard::parse(text).map(Condition::Wildcard).map_err(|mistake| self.refuse(mistake)),
            _ => Ok(Condition::EqualIgnoringCase(fold(text).into())),
        }
    }

    /// `["=", 1]`, `[">", 1]`, `["<=", 1]`, or a lower bound followed by an upper one.
    fn numeric(&mut self) -> Result<Condition, PatternError> {
        if self.next()? != Token::StartArray {
            return Err(self.refuse("Value of numeric must be an array."));
        }
        if self.next()? != Token::Text {
            let member = self.text()?;
            return Err(self.refuse(format!("Invalid member in numeric match: {member}")));
        }
        let operator = self.text()?;
        let subject = if operator == "=" { "equals" } else { operator.as_str() };
        let token = self.next()?;
        if !matches!(operator.as_str(), "=" | "<" | "<=" | ">" | ">=") {
            return Err(self.refuse(format!("Unrecognized numeric range operator: {operator}")));
        }
        if !token.is_number() {
            return Err(self.refuse(format!("Value of {subject} must be numeric")));
        }
        // The number is judged only behind what follows it, as the column of the message shows.
        let bound = self.tokens.number().to_owned();
        let range = match operator.as_str() {
            ">" | ">=" => self.range_above(&bound, operator == ">")?,
            _ => {
                if self.next()? != Token::EndArray {
                    return Err(self.refuse(TOO_MANY_ELEMENTS));
                }
                let number = self.bound(&bound)?;
                match operator.as_str() {
                    "=" => Condition::Range(number, number),
                    "<" => Condition::Range(number::MIN, number - 1),
                    _ => Condition::Range(number::MIN, number),
                }
            }
        };
        self.end_object(TOO_MANY_ELEMENTS)?;
        Ok(range)
    }

    fn range_above(&mut self, bottom: &str, is_open: bool) -> Result<Condition, PatternError> {
        let token = self.next()?;
        if token == Token::EndArray {
            let bottom = self.bound(bottom)?;
            return Ok(Condition::Range(bottom + i64::from(is_open), number::MAX));
        }
        if token != Token::Text {
            let member = self.text()?;
            return Err(self.refuse(format!("Bad value in numeric range: {member}")));
        }
        let operator = self.text()?;
        if operator != "<" && operator != "<=" {
            return Err(self.refuse(format!("Bad numeric range operator: {operator}")));
        }
        if !self.next()?.is_number() {
            return Err(self.refuse(format!("Value of {operator} must be numeric")));
        }
        let top = self.tokens.number().to_owned();
        if self.next()? != Token::EndArray {
            return Err(self.refuse("Too many terms in numeric range expression"));
        }
        let (bottom, top) = (self.bound(bottom)?, self.bound(&top)?);
        if bottom >= top {
            return Err(self.refuse("Bottom must be less than top"));
        }
        Ok(Condition::Range(bottom + i64::from(is_open), top - i64::from(operator == "<")))
    }

    /// A number that may be compared by value.
    fn bound(&self, text: &str) -> Result<Millionths, PatternError> {
        let limit = self.dialect.max_number();
        match number::parse(text) {
            Ok(number) if number.abs() <= limit => Ok(number),
            Err(NotComparable::TooPrecise) => {
                Err(self.refuse(format!("Only values upto 6 decimals are supported {text}")))
            }
            _ => {
                let limit = self.dialect.max_number_text();
                Err(self.refuse(format!("Value must be between -{limit} and {limit}, inclusive")))
            }
        }
    }
}
