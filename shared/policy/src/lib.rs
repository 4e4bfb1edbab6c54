//! The IAM policy language: documents parsed and compiled once, requests evaluated against every layer of policies that
//! bears on them, and the verdict explained.
//!
//! In reading order: [`Policy`] is a document, [`PolicyKind`] says what its place demands of it; [`Principal`],
//! [`Context`] and [`Request`] are the question; [`Policies`] holds the layers and gives the [`Verdict`], or with
//! [`Policies::explain`] the [`Explanation`]. Evaluating allocates nothing but the text of policy variables.
//!
//! Left out on purpose: where policies are kept and which of them bear on a request (the services' to say), which
//! actions a service has and which condition keys each of them knows, and S3's access control lists.

mod condition;
mod context;
mod document;
mod error;
mod evaluate;
mod explain;
mod matching;
mod pattern;
mod principal;
mod public;
mod validate;

pub use condition::Condition;
pub use context::Context;
pub use document::{Effect, Policy, Statement, Version};
pub use error::{MalformedPolicy, SyntaxFlaw};
pub use evaluate::{Attached, Layer, Policies, ResourcePolicy, StatementRef, Verdict};
pub use explain::{Considered, Explanation, Outcome};
pub use matching::Request;
pub use principal::{Principal, PrincipalElement, PrincipalEntry, PrincipalKind};
pub use validate::PolicyKind;
