//! Passing requests on where a connection cannot be handed over: TLS, HTTP/2, services on other machines, real AWS.
//!
//! Read in this order: [`body`] (what is streamed), [`endpoint`] (one replica and its open connections), [`targets`]
//! (which replicas a service has, and which is next), [`forward`] (one request), [`hold`] (waiting for a service that comes
//! back), `heard` (answers that come before a body has gone), [`hybrid`] (one request to AWS itself).

pub mod body;
pub mod connect;
pub mod credentials;
pub mod endpoint;
pub mod forward;
mod heard;
pub mod hold;
pub mod hybrid;
pub mod targets;
