//! Every type that crosses between services.
//!
//! On the wire each is JSON with `snake_case` names; a reader ignores members it does not know and takes a default for
//! those that are missing where one is sensible, so that services of neighbouring versions understand each other. The
//! lane and the cause also travel as headers, so that a subscriber can filter and trace without reading bodies.

mod calls;
mod cause;
mod delivery;
mod events;
mod presence;
mod retry;
mod returns;

pub use calls::{Call, Credential, CredentialKind, LookUpClocks, LookUpCredential};
pub use cause::Cause;
pub use delivery::{Attribute, Body, DeadLetter, DeadLetterForm, Delivery, Source};
pub use events::{
    ApiCallRecorded, ClockChanged, CredentialIssued, CredentialRevoked, Event, FaultsChanged, PolicyChanged, Reset,
    ResetScope, StateChange,
};
pub use presence::{Gone, Presence, Status};
pub use retry::{Pace, RetryPolicy};
pub use returns::{Fate, Returned, Returns};
