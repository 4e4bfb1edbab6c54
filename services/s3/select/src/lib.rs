//! S3 Select: a query over the records of one object.
//!
//! [`parse`] reads the language into a [`syntax::Query`], [`records`] takes an object's bytes apart into records as they
//! arrive, [`evaluate`] says what a query makes of one, [`write`] puts results into bytes; [`run`] joins them.
//!
//! The language has no more than one table, and paths into documents behind its name (`FROM S3Object[*].a.b[*]`), which
//! readers of standard SQL do not take: so it is read here.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference.html>

mod calls;
pub mod evaluate;
pub mod functions;
pub mod inflate;
pub mod lex;
pub mod parse;
pub mod records;
pub mod run;
pub mod syntax;
pub mod times;
pub mod value;
pub mod write;

use fractus_wire::Failure;

/// Why a query is refused, or ends in the middle: one of S3 Select's own codes.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#SelectObjectContentErrorCodeList>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectError {
    pub code: &'static str,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, SelectError>;

pub fn error(code: &'static str, message: impl Into<String>) -> SelectError {
    SelectError { code, message: message.into() }
}

impl From<SelectError> for Failure {
    fn from(error: SelectError) -> Failure {
        Failure::new(error.code, 400, error.message)
    }
}
