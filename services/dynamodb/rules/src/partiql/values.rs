//! Literals: texts, numbers, lists, maps, bags (sets), and parameters among them.

use super::PartiqlError;
use super::lexer::Token;
use super::parser::{Parsed, Parser, UNEXPECTED};
use crate::check;
use crate::number::Number;
use crate::value::Value;

/// A number literal whose exponent, or the scale it leaves, does not fit 32 bits cannot be read at all.
fn fits(text: &str) -> bool {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let Ok(exponent) = exponent.trim_start_matches('+').parse::<i32>() else { return false };
    i32::try_from(fraction).ok().and_then(|fraction| fraction.checked_sub(exponent)).is_some()
}

fn number(text: &str, path: &str) -> Parsed<Value> {
    if !fits(text) {
        return Err(PartiqlError::NotWellFormed(""));
    }
    let literal = |error| PartiqlError::Literal { error, path: path.to_owned() };
    Number::parse(text).map(Value::N).map_err(literal)
}

/// A bag is a set: its members have one type, and there is one at least.
fn set(members: Vec<Value>) -> Parsed<Value> {
    let (mut texts, mut numbers, mut binaries) = (Vec::new(), Vec::new(), Vec::new());
    let count = members.len();
    for member in members {
        match member {
            Value::S(text) => texts.push(text),
            Value::N(number) => numbers.push(number),
            Value::B(bytes) => binaries.push(bytes),
            _ => return Err(PartiqlError::MixedBag),
        }
    }
    match count {
        0 => return Err(PartiqlError::EmptyBag),
        count if texts.len() == count => check::string_set(texts),
        count if numbers.len() == count => check::numbers_as_set(numbers),
        count if binaries.len() == count => check::binary_set(binaries),
        _ => return Err(PartiqlError::MixedBag),
    }
    .map_err(PartiqlError::Value)
}

impl Parser {
    pub fn is_literal(&self) -> bool {
        match self.token() {
            Token::Text(_) | Token::Number(_) | Token::Parameter => true,
            Token::Symbol(symbol) => matches!(*symbol, "[" | "{" | "<<" | "-" | "+"),
            Token::Word(word) => ["true", "false", "null"].iter().any(|known| word.eq_ignore_ascii_case(known)),
            Token::Quoted(_) | Token::End => false,
        }
    }

    /// A value; `path` says where in it errors are.
    pub fn literal(&mut self, path: &str) -> Parsed<Value> {
        let token = self.token().clone();
        let place = self.place();
        self.advance();
        match token {
            Token::Text(text) => Ok(Value::S(text)),
            Token::Number(text) => number(&text, path),
            Token::Parameter => self.parameter(),
            Token::Symbol(sign @ ("-" | "+")) => {
                let Token::Number(text) = self.token() else { return Err(UNEXPECTED) };
                let text = format!("{sign}{text}");
                self.advance();
                number(&text, path)
            }
            Token::Symbol("[") => {
                self.deeper(|parser| parser.members("]", |index| format!("{path}[{index}]"))).map(Value::L)
            }
            Token::Symbol("<<") => {
                self.deeper(|parser| parser.members(">>", |index| format!("{path}[{index}]"))).and_then(set)
            }
            Token::Symbol("{") => self.deeper(|parser| parser.map(path)),
            Token::Word(name) if self.is_symbol("(") => Err(PartiqlError::FunctionInItem { name, at: place }),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Ok(Value::Null),
            _ => Err(UNEXPECTED),
        }
    }

    pub fn members(&mut self, end: &str, path: impl Fn(usize) -> String) -> Parsed<Vec<Value>> {
        let mut members = Vec::new();
        if self.take_symbol(end) {
            return Ok(members);
        }
        loop {
            members.push(self.literal(&path(members.len()))?);
            if self.take_symbol(end) {
                return Ok(members);
            }
            self.expect_symbol(",")?;
        }
    }

    fn map(&mut self, path: &str) -> Parsed<Value> {
        let mut entries = Vec::new();
        if self.take_symbol("}") {
            return Ok(Value::M(entries.into_iter().collect()));
        }
        // The names at the top of an item are not part of where AWS says an error is.
        let is_item = path == "root" && self.is_top();
        loop {
            let Token::Text(name) = self.token().clone() else { return Err(UNEXPECTED) };
            self.advance();
            self.expect_symbol(":")?;
            let inner = if is_item { path.to_owned() } else { format!("{path}.{name}") };
            entries.push((name, self.literal(&inner)?));
            if self.take_symbol("}") {
                return Ok(Value::M(entries.into_iter().collect()));
            }
            self.expect_symbol(",")?;
        }
    }
}
