//! The API's handlers, a file for each family.

pub mod batch;
pub mod data_protection;
pub mod endpoints;
pub mod page;
pub mod permissions;
pub mod platform_applications;
pub mod publish;
pub mod sandbox;
pub mod sms;
pub mod subscribing;
pub mod subscriptions;
pub mod tags;
pub mod topics;
