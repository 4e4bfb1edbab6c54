//! What can be wrong with an expression, in AWS's words.

use std::fmt;

use thiserror::Error;

use crate::check::ValueError;
use crate::value::{Kind, Value};

/// Which parameter an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpressionKind {
    Condition,
    Filter,
    KeyCondition,
    SearchCondition,
    Projection,
    Update,
}

impl ExpressionKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            ExpressionKind::Condition => "ConditionExpression",
            ExpressionKind::Filter => "FilterExpression",
            ExpressionKind::KeyCondition => "KeyConditionExpression",
            ExpressionKind::SearchCondition => "SearchConditionExpression",
            ExpressionKind::Projection => "ProjectionExpression",
            ExpressionKind::Update => "UpdateExpression",
        }
    }

    /// How the error about a function in the wrong place calls such an expression.
    pub(crate) const fn family(self) -> &'static str {
        match self {
            ExpressionKind::Update => "an update",
            _ => "a condition",
        }
    }
}

impl fmt::Display for ExpressionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Invalid {kind}: {problem}")]
pub struct ExpressionError {
    pub kind: ExpressionKind,
    pub problem: Problem,
}

// Texts marked "unconfirmed" follow the pattern of the others; no answer of AWS with them was at hand.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    #[error("The expression can not be empty;")]
    Empty,
    #[error("Expression size has exceeded the maximum allowed size; expression size: {0}")]
    TooLong(usize),
    // An UpdateExpression's size is not told.
    #[error("Expression size has exceeded the maximum allowed size;")]
    UpdateTooLong,
    #[error("Syntax error; token: \"{token}\", near: \"{near}\"")]
    Syntax { token: String, near: String },
    #[error("Attribute name is a reserved keyword; reserved keyword: {0}")]
    Reserved(String),
    #[error("An expression attribute name used in the document path is not defined; attribute name: {0}")]
    UndefinedName(String),
    #[error("An expression attribute value used in expression is not defined; attribute value: {0}")]
    UndefinedValue(String),
    #[error("Invalid function name; function: {0}")]
    UnknownFunction(String),
    #[error("The function is not allowed in {family} expression; function: {function}")]
    FunctionElsewhere { family: &'static str, function: String },
    #[error("The function is not allowed to be used this way in an expression; function: {0}")]
    MisusedFunction(String),
    #[error(
        "Incorrect number of operands for operator or function; operator or function: {operator}, number of operands: {count}"
    )]
    OperandCount { operator: &'static str, count: usize },
    #[error("Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}")]
    OperandType { operator: &'static str, kind: Kind },
    #[error(
        "Incorrect operand type for operator or function; operator: {operator}, operand type: {kind}, typeSet: ALLOWED_FOR_{operator}_OPERAND"
    )]
    SetOperandType { operator: &'static str, kind: &'static str },
    #[error("Operator or function requires a document path; operator or function: {0}")]
    RequiresPath(&'static str),
    #[error(
        "The first operand must be distinct from the remaining operands for this operator or function; operator: {operator}, first operand: {operand}"
    )]
    SameOperands { operator: &'static str, operand: String },
    // The list of types is AWS's; its order unconfirmed.
    #[error("Invalid attribute type name found; type: {0}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}")]
    TypeName(String),
    #[error(
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {lower}, upper bound operand: AttributeValue: {upper}"
    )]
    BoundsInverted { lower: Box<Value>, upper: Box<Value> },
    #[error(
        "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {lower}, upper bound operand: AttributeValue: {upper}"
    )]
    BoundsOfTwoTypes { lower: Box<Value>, upper: Box<Value> },
    #[error("The expression has redundant parentheses;")]
    RedundantParentheses,
    #[error("The expression contains too many operators; operator count: {0}")]
    TooManyOperators(usize),
    // Unconfirmed.
    #[error("The IN operator is provided with too many operands; number of operands: {0}")]
    TooManyInOperands(usize),
    #[error("The document path has too many nesting elements; nesting levels: {0}")]
    PathTooLong(usize),
    // Unconfirmed.
    #[error("List index is not within the allowable range; index: [{0}]")]
    IndexTooLarge(String),
    #[error("The \"{0}\" section can only be used once in an update expression;")]
    SectionTwice(&'static str),
    #[error(
        "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: {one}, path two: {two}"
    )]
    Overlap { one: String, two: String },
    #[error(
        "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: {one}, path two: {two}"
    )]
    Conflict { one: String, two: String },
    #[error("KeyConditionExpressions must only contain one condition per key")]
    TwoKeyConditions,
    // The following three unconfirmed.
    #[error("KeyConditionExpressions cannot have conditions on nested attributes")]
    NestedKeyCondition,
    #[error("KeyConditionExpressions cannot contain nested operations")]
    NestedKeyOperation,
    #[error(
        "Invalid condition in KeyConditionExpression: {0} operator must have the key attribute as its first operand"
    )]
    KeyNotFirst(&'static str),
}

/// What is wrong with ExpressionAttributeNames and ExpressionAttributeValues.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttributesError {
    #[error("ExpressionAttributeNames must not be empty")]
    NoNames,
    #[error("ExpressionAttributeValues must not be empty")]
    NoValues,
    #[error("ExpressionAttributeNames contains invalid key: Syntax error; key: \"{0}\"")]
    NameKey(String),
    #[error("ExpressionAttributeValues contains invalid key: Syntax error; key: \"{0}\"")]
    ValueKey(String),
    #[error("ExpressionAttributeNames can only be specified when using expressions")]
    NamesWithoutExpression,
    /// Which parameters might have named them, and are not there.
    #[error("ExpressionAttributeValues can only be specified when using expressions: {0}")]
    ValuesWithoutExpression(&'static str),
    #[error("Value provided in ExpressionAttributeNames unused in expressions: keys: {{{0}}}")]
    UnusedNames(String),
    #[error("Value provided in ExpressionAttributeValues unused in expressions: keys: {{{0}}}")]
    UnusedValues(String),
    /// The form of the operations with the older layer of checks.
    #[error("ExpressionAttributeValues contains invalid value: {} for key {key}", .error.in_older_words())]
    Value { error: ValueError, key: String },
}
