//! SET and REMOVE.

use super::PartiqlError;
use super::lexer::Token;
use super::parser::{Parsed, Parser, UNEXPECTED};
use crate::expression::{Action, DocumentPath, Problem, SetOperand, SetTerm};
use crate::value::{Kind, Value};

impl Parser {
    /// Any number of SET and REMOVE, one at least.
    pub fn assignments(&mut self) -> Parsed<Vec<Action>> {
        let mut actions = Vec::new();
        loop {
            if self.take_word("SET") {
                actions.push(self.assignment()?);
                while self.take_symbol(",") {
                    actions.push(self.assignment()?);
                }
            } else if self.take_word("REMOVE") {
                actions.push(Action::Remove(self.path()?));
                while self.take_symbol(",") {
                    actions.push(Action::Remove(self.path()?));
                }
            } else if actions.is_empty() {
                return Err(UNEXPECTED);
            } else {
                return Ok(actions);
            }
        }
    }

    fn assignment(&mut self) -> Parsed<Action> {
        let target = self.path()?;
        self.expect_symbol("=")?;
        if self.is_call("set_add") {
            return self.set_function("SET_ADD", target);
        }
        if self.is_call("set_delete") {
            return self.set_function("SET_DELETE", target);
        }
        let first = self.set_operand()?;
        let term = if self.take_symbol("+") {
            SetTerm::Plus(first, self.set_operand()?)
        } else if self.take_symbol("-") {
            SetTerm::Minus(first, self.set_operand()?)
        } else {
            SetTerm::Operand(first)
        };
        self.check_arithmetic(&term)?;
        Ok(Action::Set(target, term))
    }

    fn check_arithmetic(&self, term: &SetTerm) -> Parsed<()> {
        let (operator, operands) = match term {
            SetTerm::Operand(_) => return Ok(()),
            SetTerm::Plus(left, right) => ("+", [left, right]),
            SetTerm::Minus(left, right) => ("-", [left, right]),
        };
        let kinds = operands.into_iter().filter_map(|operand| match operand {
            SetOperand::Value(slot) => self.value(*slot).map(Value::kind),
            _ => None,
        });
        match kinds.into_iter().find(|kind| *kind != Kind::N) {
            Some(kind) => Err(PartiqlError::Problem(Problem::OperandType { operator, kind })),
            None => Ok(()),
        }
    }

    fn is_call(&self, name: &str) -> bool {
        self.is_word(name) && matches!(self.ahead(1), Token::Symbol("("))
    }

    fn set_operand(&mut self) -> Parsed<SetOperand> {
        for (name, is_append) in [("list_append", true), ("if_not_exists", false)] {
            if self.is_call(name) {
                return self.deeper(|parser| parser.set_call(is_append));
            }
        }
        if matches!(self.token(), Token::Word(_)) && matches!(self.ahead(1), Token::Symbol("(")) {
            let Token::Word(name) = self.token() else { return Err(UNEXPECTED) };
            return Err(PartiqlError::UnknownFunction { name: name.to_ascii_lowercase(), at: self.place() });
        }
        if self.is_literal() {
            let value = self.literal("root")?;
            return Ok(SetOperand::Value(self.slot(value)));
        }
        self.path().map(SetOperand::Path)
    }

    fn set_call(&mut self, is_append: bool) -> Parsed<SetOperand> {
        self.advance();
        self.expect_symbol("(")?;
        let first = self.set_operand()?;
        self.expect_symbol(",")?;
        let second = self.set_operand()?;
        self.expect_symbol(")")?;
        if is_append {
            return Ok(SetOperand::ListAppend(Box::new(first), Box::new(second)));
        }
        match first {
            SetOperand::Path(path) => Ok(SetOperand::IfNotExists(path, Box::new(second))),
            _ => Err(PartiqlError::Problem(Problem::RequiresPath("if_not_exists"))),
        }
    }

    /// `a = set_add(a, <<...>>)`: ADD under another name.
    fn set_function(&mut self, function: &'static str, target: DocumentPath) -> Parsed<Action> {
        let place = self.place();
        self.advance();
        self.expect_symbol("(")?;
        let first_place = self.place();
        let mut operands = Vec::new();
        if !self.is_symbol(")") {
            operands.push(self.set_operand()?);
            while self.take_symbol(",") {
                operands.push(self.set_operand()?);
            }
        }
        self.expect_symbol(")")?;
        let [first, second]: [SetOperand; 2] =
            operands.try_into().map_err(|_| PartiqlError::ArgumentCount { function, at: place.clone() })?;
        if first != SetOperand::Path(target.clone()) {
            return Err(PartiqlError::OtherTarget { function, at: place });
        }
        match second {
            SetOperand::Value(slot) if self.value(slot).is_some_and(|value| value.kind().is_set()) => {
                Ok(if function == "SET_ADD" { Action::Add(target, slot) } else { Action::Delete(target, slot) })
            }
            _ => Err(PartiqlError::NoSet { function, at: first_place }),
        }
    }
}
