//! The parameters from before expressions: AttributesToGet, AttributeUpdates, Expected, KeyConditions, QueryFilter, ScanFilter and
//! ConditionalOperator, made into the forms that expressions are made into.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/LegacyConditionalParameters.html>

mod conditions;
mod updates;

use thiserror::Error;

use crate::expression::{Attributes, Bound, DocumentPath, ExpressionKind, Projection};
use crate::value::Kind;

pub use conditions::{ComparisonOperator, ConditionalOperator, Expected, Test, expected, filter, key_terms};
pub use updates::{AttributeUpdate, UpdateAction, updates};

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LegacyError {
    #[error(
        "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {{{non_expression}}} Expression parameters: {{{expression}}}"
    )]
    Mixed { non_expression: String, expression: String },
    #[error("ConditionalOperator cannot be used without Filter or Expected")]
    OperatorAlone,
    #[error("ConditionalOperator can only be used when Filter or Expected has two or more elements")]
    OperatorOfOne,
    #[error("One or more parameter values were invalid: Value must be provided when Exists is true for Attribute: {0}")]
    ValueOfExisting(String),
    #[error("One or more parameter values were invalid: Value must be provided when Exists is null for Attribute: {0}")]
    ValueMissing(String),
    #[error("One or more parameter values were invalid: Value cannot be used when Exists is false for Attribute: {0}")]
    ValueOfMissing(String),
    #[error(
        "One or more parameter values were invalid: Value or AttributeValueList must be used with ComparisonOperator: {operator} for Attribute: {attribute}"
    )]
    NoValues { operator: &'static str, attribute: String },
    #[error(
        "One or more parameter values were invalid: Value and AttributeValueList cannot be used together for Attribute: {0}"
    )]
    ValueAndList(String),
    #[error(
        "One or more parameter values were invalid: Exists and ComparisonOperator cannot be used together for Attribute: {0}"
    )]
    ExistsAndOperator(String),
    #[error(
        "One or more parameter values were invalid: AttributeValueList can only be used with a ComparisonOperator for Attribute: {0}"
    )]
    ListAlone(String),
    #[error("One or more parameter values were invalid: Invalid number of argument(s) for the {0} ComparisonOperator")]
    ArgumentCount(&'static str),
    #[error(
        "One or more parameter values were invalid: ComparisonOperator {operator} is not valid for {kind} AttributeValue type"
    )]
    ArgumentType { operator: &'static str, kind: Kind },
    #[error(
        "One or more parameter values were invalid: AttributeValues inside AttributeValueList must be of same type"
    )]
    ArgumentTypesDiffer,
    #[error("The BETWEEN condition was provided a range where the lower bound is greater than the upper bound")]
    BoundsInverted,
    #[error("Conditions can be of length 1 or 2 only")]
    KeyConditionCount,
    #[error("Attempted conditional constraint is not an indexable operation")]
    NotIndexable,
    #[error(
        "One or more parameter values were invalid: Only DELETE action is allowed when no attribute value is specified"
    )]
    NoUpdateValue,
    #[error("One or more parameter values were invalid: ADD action is not supported for the type {0}")]
    AddType(Kind),
    #[error("One or more parameter values were invalid: DELETE action with value is not supported for the type {0}")]
    DeleteType(Kind),
    #[error("One or more parameter values were invalid: Duplicate value in attribute name: {0}")]
    DuplicateName(String),
}

/// Refuses a request that has parameters of both kinds; each list holds the names of those present.
pub fn check_mixing(non_expression: &[&str], expression: &[&str]) -> Result<(), LegacyError> {
    if non_expression.is_empty() || expression.is_empty() {
        return Ok(());
    }
    let (non_expression, expression) = (non_expression.join(", "), expression.join(", "));
    Err(LegacyError::Mixed { non_expression, expression })
}

/// AttributesToGet as a projection. Its names are names, dots included.
pub fn attributes_to_get(names: &[String]) -> Result<(Bound<Projection>, Attributes), LegacyError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name.as_str()) {
            return Err(LegacyError::DuplicateName(name.clone()));
        }
    }
    let paths = names.iter().map(|name| DocumentPath::of_name(name)).collect();
    Ok((Bound::direct(ExpressionKind::Projection, Projection { paths }, 0), Attributes::default()))
}
