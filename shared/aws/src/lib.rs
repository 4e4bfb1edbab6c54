//! AWS's small vocabulary as newtypes: who and where a call is ([`World`], [`Region`]), and how things are named
//! ([`Arn`]).
//!
//! Left out on purpose: anything that only one service says.

mod arn;
mod world;

pub use arn::{Arn, ParseArnError};
pub use world::{AccountId, InvalidName, Lane, Partition, Region, World};
