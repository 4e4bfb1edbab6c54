//! The API's handlers, a file an operation family.

pub mod groups;
pub mod lists;
pub mod schedules;
pub mod tags;
pub mod tokens;
