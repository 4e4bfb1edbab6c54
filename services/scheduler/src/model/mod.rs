//! The rules, plain and synchronous.

pub mod documents;
pub mod groups;
pub mod input;
pub mod invocation;
pub mod retry;
pub mod schedules;
pub mod service_names;
pub mod target;
pub mod timing;
pub mod universal;
