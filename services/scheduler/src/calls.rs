//! Universal targets: any operation of any service, called by its model.

use std::time::Duration;

use fractus_aws::{Region, World};
use fractus_bus::Directory;
use fractus_client::retry::is_worth_retrying;
use fractus_client::{CallError, Client, Credentials, Limits, RetryRules};
use fractus_clock::{Clock, Stopwatch};
use fractus_host::Host;
use fractus_wire::{OperationSchema, ServiceSchema};
use http::Uri;
use serde_json::Value;

use crate::error::Result;
use crate::model::invocation::Failed;
use crate::model::service_names::Known;
use crate::model::universal::{self, Universal};

/// How long a call waits for a service that is about to announce itself, in real time: that a process has just started is
/// no failure of the target, and a clock that stands still would never bring the next attempt.
const STARTS_WITHIN: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Calls services; clones share connections and models.
#[derive(Clone)]
pub struct Calls {
    client: Client,
    root_secret: Option<String>,
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
    pub fn new(host: &Host) -> Self {
        let (directory, router) = (host.bus().directory(), host.config().router_url.clone());
        let resolver =
            move |service: &'static ServiceSchema, _: &Region| resolve(&directory, router.as_deref(), service);
        // One attempt: the schedule's own policy says when there is another.
        let client = Client::with(resolver, Limits::default(), RetryRules::ONCE, host.random().clone());
        Calls { client, root_secret: host.config().root_secret.clone() }
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

    /// Calls the operation as the schedule's account.
    pub async fn call(
        &self,
        universal: &Universal,
        world: World,
        region: Region,
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
        let mut calls = self.client.on_behalf(world.clone(), region);
        if let Some(secret) = &self.root_secret {
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
                Err(error) => return Err(unanswered(error)),
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

fn resolve(directory: &Directory, router: Option<&str>, service: &'static ServiceSchema) -> Option<Uri> {
    let announced = directory.ready(service.api).into_iter().find_map(|replica| replica.url.parse().ok());
    announced.or_else(|| router?.parse().ok())
}
