//! The rules: plain functions, given the time and the state.

pub mod deliver;
pub mod event;
pub mod json;
pub mod log;
pub mod names;
pub mod path;
pub mod policy;
pub mod request;
pub mod retention;
pub mod target;
pub mod transform;
