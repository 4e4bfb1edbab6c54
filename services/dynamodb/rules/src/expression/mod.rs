//! Expressions: their text, what it means, and the names and values a request gives to its placeholders.
//!
//! [`lexer`] and [`parser`] read the text, [`lower`] and [`lower_update`] make typed forms of it and refuse what has no
//! meaning, [`bind`] resolves placeholders and checks the types of the values. A form does not depend on a request's names and
//! values, so the [`Cache`] keeps it; a [`Bound`] form is it and where its placeholders are found in [`Attributes`].
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html>

mod ast;
mod attributes;
mod bind;
mod cache;
mod error;
mod lexer;
mod lower;
mod lower_update;
mod parser;
mod reserved;

pub use ast::{Action, Comparator, Condition, DocumentPath, Element, Operand, Projection, SetOperand, SetTerm, Update};
pub use attributes::{Attributes, Used};
pub use bind::{Bound, Context, Form};
pub(crate) use bind::{check_condition, check_paths};
pub use cache::Cache;
pub use error::{AttributesError, ExpressionError, ExpressionKind, Problem};
pub use lower::Expression;

/// The longest expression, in bytes as sent.
pub const MAX_EXPRESSION_BYTES: usize = 4_096;
/// Operators and functions of one expression.
pub const MAX_OPERATORS: usize = 300;
/// What IN may compare with.
pub const MAX_IN_OPERANDS: usize = 100;
/// Names and indexes of one document path.
pub const MAX_PATH_ELEMENTS: usize = 32;

impl Expression<Condition> {
    pub fn condition(kind: ExpressionKind, text: &str) -> Result<Self, ExpressionError> {
        lower::condition(kind, text).map_err(|problem| ExpressionError { kind, problem })
    }
}

impl Expression<Projection> {
    pub fn projection(text: &str) -> Result<Self, ExpressionError> {
        let kind = ExpressionKind::Projection;
        lower::projection(text).map_err(|problem| ExpressionError { kind, problem })
    }
}

impl Expression<Update> {
    pub fn update(text: &str) -> Result<Self, ExpressionError> {
        let kind = ExpressionKind::Update;
        lower_update::update(text).map_err(|problem| ExpressionError { kind, problem })
    }
}
