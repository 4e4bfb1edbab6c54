//! The front door of a Fractus stack: one port that finds the service for a request, and the launcher that starts
//! services when they are first needed.
//!
//! Read in this order: [`route`] (which service), [`edge`] (the port), [`proxy`] (passing on), [`admin`] (the stack's
//! own paths).

pub mod admin;
pub mod answer;
pub mod certificates;
pub mod edge;
pub mod proxy;
pub mod route;
pub mod router;

pub use router::Router;
