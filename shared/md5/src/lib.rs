//! MD5 of many bodies at once.
//!
//! MD5 cannot be made faster for one body: each block waits for the one before. Several bodies can be hashed side by
//! side, one in each lane of a vector register, which takes no longer than one of them alone. A [`BodyMd5`] takes a body
//! as it comes; long ones share a [`Pool`], whose workers hash what has arrived of all of them together, outside the
//! tasks that read. A body that is alone is hashed in one lane, while the next part of it is being read.
//!
//! In reading order: [`state`] one MD5 under way, [`lanes`] several of them over the same number of blocks (`vectors` how),
//! [`group`] over whatever has arrived of each, `backlog` what is to be hashed when, [`pool`] who does it.
//!
//! Left out: vectors wider than eight lanes and other processors than x86-64 with AVX2 (they hash body by body): eight
//! lanes are faster than the network of one machine, and everything else of a request costs more by then.

mod backlog;
pub mod body;
pub mod group;
pub mod lanes;
pub mod pool;
pub mod state;

#[cfg(target_arch = "x86_64")]
mod vectors;

pub use body::BodyMd5;
pub use pool::{Pool, Stopped};
pub use state::{Digest, Md5State};
