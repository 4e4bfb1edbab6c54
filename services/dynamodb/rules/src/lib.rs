//! The rules of DynamoDB, and nothing else: given items, requests and schemas they say what happens, in AWS's words.
//! No store, no wire, no clock, no async; the service brings those.
//!
//! In reading order: [`number`] and [`value`] (what an attribute is), [`check`] and [`size`] (what makes one fit to be
//! kept), [`key`] (schemas, and the bytes that sort like keys), [`expression`] (text to a compiled form, bound to a
//! request's names and values), [`condition`], [`projection`], [`update`] (what the forms do with an item),
//! [`key_condition`] and [`plan`] (what a Query or Scan reads), [`legacy`] (the parameters from before expressions, turned into
//! the same forms), [`partiql`] (statements, turned into the same forms too), [`vector`] (which vectors are the
//! nearest), [`capacity`] (what it all costs),
//! [`json`], [`ion`] and [`codec`] (values as DynamoDB JSON, as Ion text and as stored).
//!
//! A form is compiled once ([`expression::Cache`]) and evaluated without allocating.
//!
//! Left out on purpose: tables' life, throttling, streams and back-ups (they are the service's), and the modelled
//! constraints of requests (they are the wire's).

pub mod capacity;
pub mod check;
pub mod codec;
mod condition;
mod error;
pub mod expression;
pub mod ion;
pub mod json;
pub mod key;
pub mod key_condition;
pub mod legacy;
pub mod number;
pub mod partiql;
pub mod plan;
mod projection;
pub mod size;
pub mod update;
pub mod value;
pub mod vector;

pub use check::ValueError;
pub use error::RuleError;
pub use number::{Number, NumberError};
pub use value::{Item, Kind, Map, Value};
