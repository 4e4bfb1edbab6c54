//! STS: temporary credentials, and who their callers are.
//!
//! In reading order: [`store`] says what is kept, [`model`] holds the rules as plain functions, [`issue`] makes a
//! session, [`roles`] asks whether a role may be assumed, [`providers`] finds the keys of identity providers,
//! [`issuer`] is the identity provider that STS itself is, [`operations`] are the API's handlers, [`service`] the
//! operation table.
//!
//! Left out on purpose: roles, users and MFA devices are IAM's, and asked of it over the bus; see the README for what
//! holds where nobody answers.

pub mod config;
pub mod error;
pub mod fetch;
pub mod issue;
pub mod issuer;
pub mod model;
pub mod operations;
pub mod providers;
pub mod roles;
pub mod saml;
pub mod service;
pub mod store;

use std::convert::Infallible;
use std::sync::Arc;

use fractus_aws::World;
use fractus_bus::CallFailure;
use fractus_bus::contracts::LookUpCredential;
use fractus_host::{App, AssumeServiceRole, Context, Host};
use fractus_wire::Failure;

pub use config::Config;
pub use service::{Sts, operations};

use store::IssueTradeInToken;

/// How many questions of other services are answered at once.
const LOOKUPS_AT_ONCE: usize = 256;

/// Starts STS in a host: the process's own, or a test's.
pub async fn start(config: Config, host: Host) -> Result<App, Infallible> {
    let sts = Arc::new(Sts::new(&host, config));
    let answering = sts.clone();
    let serving = host.bus().serve(LOOKUPS_AT_ONCE, move |question: LookUpCredential, _| {
        let sts = answering.clone();
        async move { Ok(sts.find_credential(&question.lane, &question.access_key_id).await) }
    });
    host.keep(serving);
    let issuing = sts.clone();
    let serving = host.bus().serve(LOOKUPS_AT_ONCE, move |question: IssueTradeInToken, _| {
        let sts = issuing.clone();
        async move {
            let token = sts.keep_trade_in(question).await;
            token.map_err(|error| CallFailure { code: "InternalFailure".to_owned(), message: error.to_string() })
        }
    });
    host.keep(serving);
    let (assuming, asked) = (sts.clone(), host.clone());
    let serving = host.bus().serve(LOOKUPS_AT_ONCE, move |question: AssumeServiceRole, call| {
        let (sts, host) = (assuming.clone(), asked.clone());
        async move {
            let AssumeServiceRole { lane, partition, region, source_account, .. } = question.clone();
            let world = World { lane, partition, account: source_account };
            let cx = Context::internal(&host, world, region, call.cause);
            let session = sts.assume_for_service(&cx, &question).await;
            session.map_err(|error| {
                let failure = Failure::from(error);
                CallFailure { code: failure.code.into_owned(), message: failure.message }
            })
        }
    });
    host.keep(serving);
    Ok(App::new(sts, operations()))
}
