//! PartiQL for DynamoDB: statements, made into the forms that expressions are made into.
//!
//! [`lexer`] and [`parser`] read a statement with its parameters, [`values`] its literals, [`conditions`] its WHERE,
//! [`assignments`] its SET; [`keys`] finds the key in a WHERE.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ql-reference.html>

mod assignments;
mod conditions;
mod keys;
mod lexer;
mod parser;
mod values;

use thiserror::Error;

use crate::check::ValueError;
use crate::expression::{Attributes, Bound, Condition, Problem, Projection, Update};
use crate::number::NumberError;
use crate::value::{Item, Value};

pub use keys::{Reads, WriteKey, equalities, reads, write_key};

// Texts marked "unconfirmed" are in the manner of the others; no answer of AWS with them was at hand.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PartiqlError {
    #[error("Statement wasn't well formed, can't be processed: {0}")]
    NotWellFormed(&'static str),
    #[error("Aliasing is not supported")]
    Aliasing,
    #[error("{error} under {path}")]
    Literal { error: NumberError, path: String },
    #[error("Unrecognized function: {name} at {at}")]
    UnknownFunction { name: String, at: String },
    #[error("Unexpected path component at {at}")]
    FunctionInList { at: String },
    #[error("Unsupported data type: {name} under key root at {at}")]
    FunctionInItem { name: String, at: String },
    #[error("The first argument to {function} must equal the assignment value at {at}")]
    OtherTarget { function: &'static str, at: String },
    #[error("The second argument to {function} must be a value with type SET at {at}")]
    NoSet { function: &'static str, at: String },
    #[error("{function} must have exactly two arguments at {at}")]
    ArgumentCount { function: &'static str, at: String },
    #[error("Empty bags are not supported")]
    EmptyBag,
    // Unconfirmed.
    #[error("Bags must hold values of one type: strings, numbers or binary values")]
    MixedBag,
    #[error("Number of parameters in request and statement don't match.")]
    ParameterCount,
    #[error("Where clause does not contain a mandatory equality on all key attributes")]
    NoKey,
    #[error(transparent)]
    Problem(Problem),
    #[error("{}", .0.in_older_words())]
    Value(ValueError),
}

/// What UPDATE and DELETE give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returning {
    AllOld,
    AllNew,
    ModifiedOld,
    ModifiedNew,
}

#[derive(Debug, Clone)]
pub struct Select {
    pub index: Option<String>,
    /// Nothing for `*`.
    pub projection: Option<Bound<Projection>>,
    pub condition: Option<Condition>,
    /// Attributes to order by, and whether descending.
    pub order: Vec<(String, bool)>,
}

#[derive(Debug, Clone)]
pub enum Action {
    Select(Select),
    /// In a transaction: the items that the SELECT would find must be there.
    Exists(Select),
    Insert(Item),
    Update {
        update: Bound<Update>,
        condition: Option<Condition>,
        returning: Option<Returning>,
    },
    Delete {
        condition: Option<Condition>,
        returning: Option<Returning>,
    },
}

/// A statement; its forms are evaluated with its attributes.
#[derive(Debug, Clone)]
pub struct Statement {
    pub table: String,
    pub action: Action,
    pub attributes: Attributes,
    /// How many values there are, literals and parameters: what [`Bound::direct`] wants to know for its conditions.
    pub value_count: usize,
}

impl Statement {
    pub fn parse(text: &str, parameters: Vec<Value>) -> Result<Self, PartiqlError> {
        parser::statement(text, parameters)
    }

    /// A condition of the statement, ready to be evaluated.
    pub fn bound(&self, condition: Condition) -> Bound<Condition> {
        Bound::direct(crate::expression::ExpressionKind::Condition, condition, self.value_count)
    }
}
