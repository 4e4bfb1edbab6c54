//! The rules, as plain functions of the input, the time and what is known.

pub mod authorization_message;
pub mod jwt;
pub mod names;
pub mod policies;
pub mod tags;
pub mod tokens;
