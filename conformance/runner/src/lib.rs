//! Runs that judge an AWS endpoint from outside, by HTTP alone: ours, a peer's, or AWS itself.
//!
//! - [`shapes`]: variants of every operation, made from the models, and a strict judgement of each answer's form.
//! - [`effects`]: scenarios that show through another call that an operation did something.
//! - [`clients`]: stock AWS clients, whose suites are written in their own languages.
//! - [`functions`]: functions that scenarios play, in Lambda's place.
//!
//! The first two send through [`endpoint`] (signed HTTP) and read the facts through [`models`].
//!
//! Left out on purpose: the crates that the services are made of. The shapes are written and read by code of this crate's
//! own, so that a mistake in the services' reader or writer cannot hide behind the same mistake here; only the model's
//! facts and the signature are shared. Effects, which are about what operations do, go through `fractus-wire`.

pub mod clients;
pub mod effects;
pub mod endpoint;
pub mod functions;
pub mod models;
pub mod shapes;
