//! Calls of functions, some of which have words among their arguments.

use super::lex::Token;
use super::parse::Parser;
use super::syntax::{Aggregate, Expression, Type};
use super::value::Value;
use super::{Result, error};

impl Parser {
    /// A function's arguments; some have words among them.
    pub(super) fn call(&mut self, name: String) -> Result<Expression> {
        let kind = match name.as_str() {
            "COUNT" => Aggregate::Count,
            "SUM" => Aggregate::Sum,
            "AVG" => Aggregate::Avg,
            "MIN" => Aggregate::Min,
            "MAX" => Aggregate::Max,
            _ => return self.function(name),
        };
        let place = self.aggregates;
        self.aggregates += 1;
        if kind == Aggregate::Count && self.take_mark("*") {
            self.expect_mark(")")?;
            return Ok(Expression::Aggregate { kind, of: None, place });
        }
        let mut arguments = self.arguments(")")?;
        match (arguments.pop(), arguments.is_empty()) {
            (Some(of), true) => Ok(Expression::Aggregate { kind, of: Some(Box::new(of)), place }),
            _ => Err(error("ParseNonUnaryAgregateFunctionCall", "An aggregate function takes one argument")),
        }
    }

    fn function(&mut self, name: String) -> Result<Expression> {
        match name.as_str() {
            "CAST" => {
                let value = self.expression()?;
                self.expect_word("AS")?;
                let cast = Expression::Cast(Box::new(value), self.type_name()?);
                self.expect_mark(")")?;
                Ok(cast)
            }
            "EXTRACT" => {
                let part = self.unit()?;
                self.expect_word("FROM")?;
                let value = self.expression()?;
                self.expect_mark(")")?;
                Ok(Expression::Call { name, arguments: vec![part, value] })
            }
            "DATE_ADD" | "DATE_DIFF" => {
                let mut arguments = vec![self.unit()?];
                self.expect_mark(",")?;
                arguments.extend(self.arguments(")")?);
                super::functions::check(&name, arguments.len())?;
                Ok(Expression::Call { name, arguments })
            }
            "TRIM" => self.trim(name),
            "SUBSTRING" => {
                let mut arguments = vec![self.expression()?];
                if self.take_word("FROM") {
                    arguments.push(self.expression()?);
                    if self.take_word("FOR") {
                        arguments.push(self.expression()?);
                    }
                    self.expect_mark(")")?;
                } else {
                    self.expect_mark(",")?;
                    arguments.extend(self.arguments(")")?);
                }
                super::functions::check(&name, arguments.len())?;
                Ok(Expression::Call { name, arguments })
            }
            _ => {
                let arguments = self.arguments(")")?;
                super::functions::check(&name, arguments.len())?;
                Ok(Expression::Call { name, arguments })
            }
        }
    }

    /// `TRIM([[LEADING | TRAILING | BOTH] [characters] FROM] text)`, as side, characters, text.
    fn trim(&mut self, name: String) -> Result<Expression> {
        let text = |text: &str| Expression::Literal(Value::Text(text.to_owned()));
        let sides = ["LEADING", "TRAILING", "BOTH"];
        let side = sides.into_iter().find(|side| self.take_word(side));
        let characters = if self.is_word("FROM") { None } else { Some(self.expression()?) };
        let arguments = match (self.take_word("FROM"), characters) {
            (true, characters) => {
                vec![text(side.unwrap_or("BOTH")), characters.unwrap_or_else(|| text(" ")), self.expression()?]
            }
            (false, Some(value)) if side.is_none() => vec![text("BOTH"), text(" "), value],
            (false, _) => return Err(self.unexpected("FROM")),
        };
        self.expect_mark(")")?;
        Ok(Expression::Call { name, arguments })
    }

    fn unit(&mut self) -> Result<Expression> {
        match self.next() {
            Some(Token::Word(unit)) if super::times::Unit::parse(&unit).is_some() => {
                Ok(Expression::Literal(Value::Text(unit.to_ascii_lowercase())))
            }
            _ => {
                self.at -= 1;
                Err(error("ParseExpectedDatePart", "Did not find the expected date part in the SQL expression"))
            }
        }
    }

    fn type_name(&mut self) -> Result<Type> {
        let Some(Token::Word(name)) = self.next() else {
            self.at -= 1;
            return Err(error("ParseExpectedTypeName", "A type is expected after AS"));
        };
        let parsed = match name.to_ascii_uppercase().as_str() {
            "BOOL" | "BOOLEAN" => Type::Bool,
            "INT" | "INTEGER" => Type::Int,
            "STRING" | "VARCHAR" | "CHAR" => Type::Text,
            "FLOAT" | "DECIMAL" | "NUMERIC" | "DOUBLE" => Type::Float,
            "TIMESTAMP" => Type::Time,
            _ => {
                return Err(error(
                    "InvalidDataType",
                    format!("The SQL expression contains an invalid data type: {name}"),
                ));
            }
        };
        // DECIMAL(10, 2), VARCHAR(20)
        if self.take_mark("(") {
            self.arguments(")")?;
        }
        Ok(parsed)
    }
}
