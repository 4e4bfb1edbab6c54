//! All that the rules refuse with, as one type: every one of them is a ValidationException.

use thiserror::Error;

use crate::check::ValueError;
use crate::expression::{AttributesError, ExpressionError};
use crate::key::KeyError;
use crate::key_condition::KeyConditionError;
use crate::legacy::LegacyError;
use crate::partiql::PartiqlError;
use crate::update::UpdateError;
use crate::vector::VectorError;
use crate::vector::condition::SearchError;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Expression(#[from] ExpressionError),
    #[error(transparent)]
    Attributes(#[from] AttributesError),
    #[error(transparent)]
    Legacy(#[from] LegacyError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    KeyCondition(#[from] KeyConditionError),
    #[error(transparent)]
    Update(#[from] UpdateError),
    #[error(transparent)]
    Partiql(#[from] PartiqlError),
    #[error(transparent)]
    Vector(#[from] VectorError),
    #[error(transparent)]
    Search(#[from] SearchError),
}

impl RuleError {
    /// Whether it is found by looking at the request alone. PutItem, UpdateItem and DeleteItem put "1 validation error
    /// detected: " before such a text, other operations do not.
    pub const fn is_of_request(&self) -> bool {
        matches!(self, RuleError::Value(_) | RuleError::Expression(_) | RuleError::Attributes(_) | RuleError::Legacy(_))
    }

    /// The text as those three operations answer it.
    pub fn in_envelope(&self) -> String {
        if self.is_of_request() { format!("1 validation error detected: {self}") } else { self.to_string() }
    }
}
