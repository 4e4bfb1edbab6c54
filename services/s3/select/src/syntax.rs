//! A query as it is evaluated.

use super::value::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub wanted: Wanted,
    /// The way from a record to the rows: `[*].a.b[*]` without its first step.
    pub from: Vec<Step>,
    /// What the rows are called.
    pub alias: Option<String>,
    pub condition: Option<Expression>,
    pub limit: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// `SELECT *`
    Everything,
    Items(Vec<Item>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub expression: Expression,
    /// What it is called in a document: as the query says, else by its path, else `_1`, `_2` ...
    pub name: String,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Name { name: String, exact: bool },
    Index(usize),
    AnyElement,
    AnyMember,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concatenate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Count,
    Sum,
    Avg,
    Min,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int,
    Text,
    Float,
    Time,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Literal(Value),
    Path(Vec<Step>),
    Not(Box<Expression>),
    Negate(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Between {
        value: Box<Expression>,
        low: Box<Expression>,
        high: Box<Expression>,
        negated: bool,
    },
    In {
        value: Box<Expression>,
        list: Vec<Expression>,
        negated: bool,
    },
    Like {
        value: Box<Expression>,
        pattern: Box<Expression>,
        escape: Option<Box<Expression>>,
        negated: bool,
    },
    IsNull {
        value: Box<Expression>,
        negated: bool,
    },
    IsMissing {
        value: Box<Expression>,
        negated: bool,
    },
    /// `CASE` with or without an operand.
    Case {
        operand: Option<Box<Expression>>,
        branches: Vec<(Expression, Expression)>,
        otherwise: Option<Box<Expression>>,
    },
    Cast(Box<Expression>, Type),
    Call {
        name: String,
        arguments: Vec<Expression>,
    },
    /// The place of an aggregate's value among those of the query.
    Aggregate {
        kind: Aggregate,
        of: Option<Box<Expression>>,
        place: usize,
    },
}

impl Expression {
    /// Calls `visit` for this expression and all in it.
    pub fn walk<'e>(&'e self, visit: &mut dyn FnMut(&'e Expression)) {
        visit(self);
        let mut each = |inner: &'e Expression| inner.walk(visit);
        match self {
            Expression::Literal(_) | Expression::Path(_) => {}
            Expression::Not(inner) | Expression::Negate(inner) | Expression::Cast(inner, _) => each(inner),
            Expression::IsNull { value, .. } | Expression::IsMissing { value, .. } => each(value),
            Expression::Binary(_, left, right) => [left, right].into_iter().for_each(|inner| each(inner)),
            Expression::Between { value, low, high, .. } => {
                [value, low, high].into_iter().for_each(|inner| each(inner))
            }
            Expression::In { value, list, .. } => {
                each(value);
                list.iter().for_each(each);
            }
            Expression::Like { value, pattern, escape, .. } => {
                [value, pattern].into_iter().chain(escape).for_each(|inner| each(inner));
            }
            Expression::Case { operand, branches, otherwise } => {
                operand.iter().chain(otherwise).for_each(|inner| each(inner));
                branches.iter().for_each(|(when, then)| [when, then].into_iter().for_each(&mut each));
            }
            Expression::Call { arguments, .. } => arguments.iter().for_each(each),
            Expression::Aggregate { of, .. } => of.iter().for_each(|inner| each(inner)),
        }
    }
}
