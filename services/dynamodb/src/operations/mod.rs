//! The handlers, a file an operation family.

pub mod batch;
pub mod capacity;
pub mod items;
pub mod reads;
pub mod statements;
pub mod table_shape;
pub mod tables;
pub mod transact;
