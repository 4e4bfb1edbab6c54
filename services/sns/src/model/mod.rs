//! The rules: plain functions over values, and over what a transaction holds.

pub mod delivery_policy;
pub mod envelope;
pub mod identifiers;
pub mod message;
pub mod names;
pub mod protection;
pub mod push;
pub mod signing;
pub mod sms;
pub mod subscription;
pub mod topic;
