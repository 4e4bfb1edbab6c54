//! Universal targets: any operation of any service, called by its model.

use std::time::Duration;

use fractus_aws::{Region, World};
use fractus_bus::contracts::Cause;
use fractus_client::retry::is_worth_retrying;
use fractus_client::{CallError, Client, Credentials, Limits, RetryRules};
use fractus_clock::{Clock, Stopwatch, Timestamp};
use fractus_datakeys::{Kept, Keys};
use fractus_host::config::AuthMode;
use fractus_host::{AssumeServiceRole, Host, NoSession};
use fractus_wire::{OperationSchema, ServiceSchema};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::model::invocation::Failed;
use crate::model::service_names::Known;
use crate::model::universal::{self, Universal};

/// How long a call waits for a service that is about to announce itself, in real time: that a process has just started is
/// no failure of the target, and a clock that stands still would never bring the next attempt.
const STARTS_WITHIN: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long what KMS has opened for a role stays open.
pub const OPEN_FOR: Duration = Duration::from_secs(300);
/// Refusals of a session that nobody knows any more.
const UNKNOWN_SESSION: [&str; 5] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "ExpiredToken",
    "ExpiredTokenException",
];

/// Calls services; clones share connections and models.
#[derive(Clone)]
pub struct Calls {
    client: Client,
    host: Host,
    keys: Keys,
}

/// As whom something is called: with a session of the role, or as the account where nobody issues sessions.
pub struct Acting {
    wish: AssumeServiceRole,
    session: Option<Credentials>,
}

/// A call that failed, and whether the reason passes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub failed: Failed,
    pub passes: bool,
}

impl Calls {
    /// Services are called where they are: at a replica that has announced itself, else through the router, which starts
    /// an idle one.
    pub fn new(host: &Host, keys: &Keys) -> Self {
        // One attempt: the schedule's own policy says when there is another.
        let client = Client::with(host.resolver(), Limits::default(), RetryRules::ONCE, host.random().clone());
        Calls { client, host: host.clone(), keys: keys.clone() }
    }

    /// Whether the scheduler may act as a role that is handed to it.
    pub async fn check_role(&self, wish: Option<AssumeServiceRole>, cause: &Cause) -> Result<()> {
        let Some(wish) = wish else { return Err(Error::RoleNotAssumed) };
        match self.host.assume_role(&wish, cause).await {
            Ok(_) => Ok(()),
            Err(NoSession::Denied { .. }) => Err(Error::RoleNotAssumed),
            Err(NoSession::Unanswered(reason)) => {
                tracing::warn!(reason, "a role could not be asked about");
                Err(Error::Unanswered)
            }
        }
    }

    /// Begins to act as a role. Where nobody issues sessions the account itself acts, unless policies are enforced: it may do
    /// more than the role.
    pub async fn act_as(&self, wish: AssumeServiceRole, cause: &Cause) -> Result<Acting, Unanswered> {
        let failed = |code: &str, message: String, passes| Unanswered {
            failed: Failed { code: code.to_owned(), message },
            passes,
        };
        match self.host.assume_role(&wish, cause).await {
            Ok(Some(session)) => {
                let session = Credentials {
                    access_key_id: session.access_key_id.clone(),
                    secret: session.secret_access_key.clone(),
                    session_token: session.session_token.clone(),
                };
                Ok(Acting { wish, session: Some(session) })
            }
            Ok(None) if self.host.config().auth == AuthMode::Enforced => {
                Err(failed("ServiceUnavailable", "STS is not there to assume the role.".to_owned(), true))
            }
            Ok(None) => Ok(Acting { wish, session: None }),
            Err(NoSession::Denied { code, message }) => Err(failed(&code, message, false)),
            Err(NoSession::Unanswered(reason)) => Err(failed("ServiceUnavailable", reason, true)),
        }
    }

    /// Whether KMS opens what a target is kept under for the role.
    pub async fn open(&self, acting: &Acting, kept: &Kept, world: &World, now: Timestamp) -> Result<(), Unanswered> {
        let asker = self.keys.of_account(world, &acting.wish.region, now);
        let asker = match &acting.session {
            Some(session) => asker.with_credentials(&acting.wish.role.to_string(), session.clone()),
            None => asker,
        };
        asker.open(kept, OPEN_FOR).await.map_err(|error| {
            let (refusal, message) = error.into_refusal();
            Unanswered { failed: Failed { code: refusal.code().to_owned(), message }, passes: refusal.passes() }
        })
    }

    /// Whether there is such an operation, and whether the Input has what it requires.
    pub async fn check(&self, universal: &Universal, input: Option<&str>) -> Result<()> {
        let Known::Modelled(api) = universal.known else { return Ok(()) };
        let Some((_, operation)) = self.find(api, &universal.operation).await else {
            return Err(universal.unsupported());
        };
        let given = input.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
        universal::check_input(&given, operation.input)
    }

    /// Models are unpacked at their first use, which takes its time for the largest.
    async fn find(
        &self,
        api: &'static str,
        operation: &str,
    ) -> Option<(&'static ServiceSchema, &'static OperationSchema)> {
        let (client, operation) = (self.client.clone(), operation.to_owned());
        let finding = tokio::task::spawn_blocking(move || {
            client.on_behalf(World::default_world(), Region::us_east_1()).find(api, &operation).ok()
        });
        finding.await.ok().flatten()
    }

    /// Calls the operation as the schedule's role.
    pub async fn call(
        &self,
        universal: &Universal,
        acting: &Acting,
        world: &World,
        input: &str,
    ) -> Result<(), Unanswered> {
        let refused = |code: &str, message: String| Unanswered {
            failed: Failed { code: code.to_owned(), message },
            passes: false,
        };
        let Known::Modelled(api) = universal.known else {
            let message = format!("The operations of {} are not known here.", universal.service);
            return Err(refused("UnknownOperationException", message));
        };
        let Some((_, operation)) = self.find(api, &universal.operation).await else {
            return Err(refused("UnknownOperationException", universal.unsupported().to_string()));
        };
        let given: Value =
            serde_json::from_str(input).map_err(|error| refused("ValidationException", error.to_string()))?;
        let document = universal::input(&given, operation.input);
        let mut calls = self.client.on_behalf(world.clone(), acting.wish.region.clone());
        if let Some(session) = &acting.session {
            calls = calls.with_credentials(session.clone());
        } else if let Some(secret) = &self.host.config().root_secret {
            let key = Credentials::of_account(&world.account);
            calls = calls.with_credentials(Credentials { secret: secret.clone(), ..key });
        }
        let (real, since) = (Clock::real(), Stopwatch::start());
        loop {
            match calls.call_dynamic(api, operation.name, document.clone()).await {
                Ok(_) => return Ok(()),
                Err(CallError::NoEndpoint(_) | CallError::Unreachable { .. }) if since.elapsed() < STARTS_WITHIN => {
                    real.sleep(LOOK_EVERY).await;
                }
                Err(error) => {
                    let mut failed = unanswered(error);
                    if UNKNOWN_SESSION.contains(&failed.failed.code.as_str()) {
                        self.host.forget_role(&acting.wish);
                        failed.passes = true;
                    }
                    return Err(failed);
                }
            }
        }
    }
}

fn unanswered(error: CallError) -> Unanswered {
    let passes = match &error {
        CallError::Failure(failure) => is_worth_retrying(failure),
        CallError::NoEndpoint(_) | CallError::Unreachable { .. } | CallError::TimedOut { .. } => true,
        _ => false,
    };
    let message = error.to_string();
    let failure = fractus_wire::Failure::from(error);
    let code = failure.query_code.as_deref().unwrap_or(&failure.code).to_owned();
    let message = if failure.message.is_empty() { message } else { failure.message };
    Unanswered { failed: Failed { code, message }, passes }
}
