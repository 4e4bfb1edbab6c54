//! The operations, a file a family.

pub mod attributes;
pub mod batch;
pub mod delete;
pub mod move_tasks;
pub mod permissions;
pub mod purge;
pub mod queues;
pub mod receive;
pub mod send;
pub mod tags;
pub mod visibility;
