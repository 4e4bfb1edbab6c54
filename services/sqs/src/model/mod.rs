//! The rules of SQS: plain, synchronous, given the time and the state.

pub mod attributes;
pub mod dead_letter;
pub mod fair;
pub mod fifo;
pub mod message;
pub mod messages;
pub mod move_task;
pub mod names;
pub mod quota;
pub mod receipt;
pub mod redrive;
pub mod standard;
