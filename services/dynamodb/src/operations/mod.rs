//! The handlers, a file an operation family.

pub mod batch;
pub mod capacity;
pub mod described;
pub mod items;
pub mod limits;
pub mod read_page;
pub mod reads;
mod request_digest;
pub mod statement_batch;
pub mod statements;
pub mod streams;
pub mod table_shape;
pub mod tables;
pub mod tags;
pub mod time_to_live;
pub mod transact;
pub mod update_table;
