//! WHERE: comparisons, functions, IS, IN and BETWEEN.

use super::PartiqlError;
use super::lexer::Token;
use super::parser::{Parsed, Parser, UNEXPECTED};
use crate::expression::{Comparator, Condition, DocumentPath, MAX_IN_OPERANDS, Operand, Problem};
use crate::value::{Kind, Value};

/// What stands between operators: something to compare, or something that is true or false already.
enum Term {
    Operand(Operand),
    Condition(Condition),
}

fn negated(condition: Condition, is_negated: bool) -> Condition {
    if is_negated { Condition::Not(Box::new(condition)) } else { condition }
}

/// The types that IS knows by name.
fn kind_named(name: &str) -> Option<Kind> {
    const NAMES: [(&str, Kind); 17] = [
        ("NULL", Kind::Null),
        ("BOOL", Kind::Bool),
        ("BOOLEAN", Kind::Bool),
        ("STRING", Kind::S),
        ("S", Kind::S),
        ("NUMBER", Kind::N),
        ("N", Kind::N),
        ("BINARY", Kind::B),
        ("B", Kind::B),
        ("LIST", Kind::L),
        ("L", Kind::L),
        ("MAP", Kind::M),
        ("M", Kind::M),
        ("STRUCT", Kind::M),
        ("SS", Kind::SS),
        ("NS", Kind::NS),
        ("BS", Kind::BS),
    ];
    NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, kind)| *kind)
}

fn count_error(operator: &'static str, count: usize) -> PartiqlError {
    PartiqlError::Problem(Problem::OperandCount { operator, count })
}

fn path_of(operator: &'static str, operand: Operand) -> Parsed<DocumentPath> {
    match operand {
        Operand::Path(path) => Ok(path),
        _ => Err(PartiqlError::Problem(Problem::RequiresPath(operator))),
    }
}

fn one(operator: &'static str, operands: Vec<Operand>) -> Parsed<Operand> {
    let count = operands.len();
    let [operand]: [Operand; 1] = operands.try_into().map_err(|_| count_error(operator, count))?;
    Ok(operand)
}

fn two(operator: &'static str, operands: Vec<Operand>) -> Parsed<(Operand, Operand)> {
    let count = operands.len();
    let [first, second]: [Operand; 2] = operands.try_into().map_err(|_| count_error(operator, count))?;
    Ok((first, second))
}

impl Parser {
    pub fn condition(&mut self) -> Parsed<Condition> {
        let mut any = vec![self.all()?];
        while self.take_word("OR") {
            any.push(self.all()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Condition::Or(any.into_boxed_slice()) })
    }

    fn all(&mut self) -> Parsed<Condition> {
        let mut all = vec![self.negation()?];
        while self.take_word("AND") {
            all.push(self.negation()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::And(all.into_boxed_slice()) })
    }

    fn negation(&mut self) -> Parsed<Condition> {
        if self.take_word("NOT") {
            return self.deeper(Self::negation).map(|inner| negated(inner, true));
        }
        self.comparison()
    }

    fn comparator(&mut self) -> Option<Comparator> {
        let Token::Symbol(symbol) = self.token() else { return None };
        let comparator = match *symbol {
            "=" => Comparator::Equal,
            "<>" | "!=" => Comparator::NotEqual,
            "<" => Comparator::Less,
            "<=" => Comparator::LessOrEqual,
            ">" => Comparator::Greater,
            ">=" => Comparator::GreaterOrEqual,
            _ => return None,
        };
        self.advance();
        Some(comparator)
    }

    fn comparison(&mut self) -> Parsed<Condition> {
        let left = match self.term()? {
            Term::Operand(operand) => operand,
            Term::Condition(condition) => return self.compared_with_truth(condition),
        };
        if let Some(comparator) = self.comparator() {
            return Ok(Condition::Compare(comparator, left, self.operand()?));
        }
        if self.take_word("IS") {
            return self.is_test(left);
        }
        let is_negated = self.take_word("NOT");
        let condition = if self.take_word("BETWEEN") {
            let lower = self.operand()?;
            if !self.take_word("AND") {
                return Err(UNEXPECTED);
            }
            Condition::Between(left, lower, self.operand()?)
        } else if self.take_word("IN") {
            Condition::In(left, self.in_list()?)
        } else {
            return Err(UNEXPECTED);
        };
        Ok(negated(condition, is_negated))
    }

    /// A function that is true or false may be compared with true or false.
    fn compared_with_truth(&mut self, condition: Condition) -> Parsed<Condition> {
        let Some(comparator) = self.comparator() else { return Ok(condition) };
        match (comparator, self.literal("root")?) {
            (Comparator::Equal, Value::Bool(truth)) => Ok(negated(condition, !truth)),
            (Comparator::NotEqual, Value::Bool(truth)) => Ok(negated(condition, truth)),
            _ => Err(UNEXPECTED),
        }
    }

    fn is_test(&mut self, of: Operand) -> Parsed<Condition> {
        let is_negated = self.take_word("NOT");
        let Token::Word(word) = self.token().clone() else { return Err(UNEXPECTED) };
        self.advance();
        let condition = if word.eq_ignore_ascii_case("MISSING") {
            Condition::NotExists(path_of("IS", of)?)
        } else {
            let kind = kind_named(&word).ok_or(UNEXPECTED)?;
            let slot = self.slot(Value::text(kind.as_str()));
            Condition::Type(of, Operand::Value(slot))
        };
        Ok(negated(condition, is_negated))
    }

    fn in_list(&mut self) -> Parsed<Box<[Operand]>> {
        let end = if self.take_symbol("[") {
            "]"
        } else {
            self.expect_symbol("(")?;
            ")"
        };
        let mut list = vec![self.operand()?];
        while self.take_symbol(",") {
            list.push(self.operand()?);
        }
        self.expect_symbol(end)?;
        if list.len() > MAX_IN_OPERANDS {
            return Err(PartiqlError::Problem(Problem::TooManyInOperands(list.len())));
        }
        Ok(list.into_boxed_slice())
    }

    fn operand(&mut self) -> Parsed<Operand> {
        match self.term()? {
            Term::Operand(operand) => Ok(operand),
            Term::Condition(_) => Err(UNEXPECTED),
        }
    }

    fn term(&mut self) -> Parsed<Term> {
        if self.take_symbol("(") {
            let condition = self.deeper(Self::condition)?;
            self.expect_symbol(")")?;
            return Ok(Term::Condition(condition));
        }
        if matches!(self.token(), Token::Word(_)) && matches!(self.ahead(1), Token::Symbol("(")) {
            return self.deeper(Self::call);
        }
        if self.is_literal() {
            let value = self.literal("root")?;
            return Ok(Term::Operand(Operand::Value(self.slot(value))));
        }
        self.path().map(|path| Term::Operand(Operand::Path(path)))
    }

    fn call(&mut self) -> Parsed<Term> {
        let place = self.place();
        let Token::Word(word) = self.token().clone() else { return Err(UNEXPECTED) };
        let name = word.to_ascii_lowercase();
        const KNOWN: [&str; 6] =
            ["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"];
        if !KNOWN.contains(&name.as_str()) {
            return Err(PartiqlError::UnknownFunction { name, at: place });
        }
        self.advance();
        self.expect_symbol("(")?;
        let mut operands = Vec::new();
        if !self.is_symbol(")") {
            operands.push(self.operand()?);
            while self.take_symbol(",") {
                operands.push(self.operand()?);
            }
        }
        self.expect_symbol(")")?;
        Ok(Term::Condition(match name.as_str() {
            "attribute_exists" => Condition::Exists(path_of("attribute_exists", one("attribute_exists", operands)?)?),
            "attribute_not_exists" => {
                Condition::NotExists(path_of("attribute_not_exists", one("attribute_not_exists", operands)?)?)
            }
            "attribute_type" => {
                let (of, kind) = two("attribute_type", operands)?;
                Condition::Type(of, kind)
            }
            "begins_with" => {
                let (of, prefix) = two("begins_with", operands)?;
                Condition::BeginsWith(of, prefix)
            }
            "contains" => {
                let (of, part) = two("contains", operands)?;
                Condition::Contains(of, part)
            }
            _ => return Ok(Term::Operand(Operand::Size(Box::new(one("size", operands)?)))),
        }))
    }
}
