//! The front door of a Fractus stack: one port that finds the service for a request, and the launcher that starts
//! services when they are first needed.
//!
//! Read in this order: [`route`] (which service), [`edge`] (the port), [`proxy`] (passing on), [`admin`] (the stack's
//! own paths), [`launcher`] (`fractus up`), [`bridge`] (deliveries to services elsewhere), [`discovery`], [`config`], [`cli`].
//!
//! Left out on purpose: what requests mean. The router reads of a request what tells its service and no more; it checks
//! no signature and parses no body, but for the Action of an unsigned form.

pub mod admin;
pub mod answer;
pub mod bridge;
pub mod certificates;
pub mod cli;
pub mod config;
pub mod discovery;
pub mod edge;
pub mod launcher;
pub mod proxy;
pub mod route;
pub mod router;

pub use router::Router;
