//! Whether the destinations of a notification configuration are there.
//!
//! Queues are asked for where SQS is: at a replica that has announced itself, else through the router, which starts an
//! idle one. Where no SQS answers, a configuration is taken as it is; its events wait in the outbox.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{AccountId, Arn, Region, World};
use fractus_bus::Directory;
use fractus_client::{CallError, Client, Credentials, Limits, RetryRules};
use fractus_host::{Context, Host};
use fractus_sqs_api as sqs_api;
use fractus_wire::ServiceSchema;
use http::Uri;

use crate::error::{Error, Result};
use crate::model::notification::{DestinationKind, NotificationTarget};

/// How long a destination's service may take to answer; one that starts for it included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Asks services whether destinations exist.
#[derive(Clone)]
pub struct Destinations {
    client: Arc<Client>,
}

impl Destinations {
    pub fn new(host: &Host) -> Self {
        let (directory, router) = (host.bus().directory(), host.config().router_url.clone());
        let resolver =
            move |service: &'static ServiceSchema, _: &Region| resolve(&directory, router.as_deref(), service);
        let limits = Limits { answer_within: ANSWER_WITHIN, answer_bytes: MAX_ANSWER_BYTES };
        Destinations { client: Arc::new(Client::with(resolver, limits, RetryRules::ONCE, host.random().clone())) }
    }

    /// Refuses a configuration with a destination that its service does not know.
    pub async fn check(&self, cx: &Context, targets: &[NotificationTarget]) -> Result<()> {
        for target in targets {
            match target.kind {
                DestinationKind::Queue => self.check_queue(cx, &target.arn).await?,
                // Nobody is there yet who could be asked.
                DestinationKind::Topic | DestinationKind::Function => {
                    tracing::warn!(arn = target.arn, "a notification destination is taken without a look at it");
                }
            }
        }
        Ok(())
    }

    async fn check_queue(&self, cx: &Context, text: &str) -> Result<()> {
        let Ok(arn) = text.parse::<Arn>() else { return Ok(()) };
        let (Ok(account), Ok(region)) = (AccountId::new(&*arn.account), Region::new(&*arn.region)) else {
            return Err(missing(text));
        };
        let world = World { lane: cx.world.lane.clone(), partition: cx.world.partition, account: account.clone() };
        let mut calls = self.client.on_behalf(world, region);
        if let Some(secret) = &cx.host().config().root_secret {
            let key = Credentials::of_account(&account);
            calls = calls.with_credentials(Credentials { secret: secret.clone(), ..key });
        }
        let input = sqs_api::GetQueueUrlInput { queue_name: arn.resource, ..Default::default() };
        match calls.try_call::<sqs_api::GetQueueUrl>(input).await {
            Ok(_) => Ok(()),
            Err(CallError::Failure(failure)) if failure.code.ends_with("QueueDoesNotExist") => Err(missing(text)),
            Err(CallError::Failure(failure)) if failure.code.ends_with("NonExistentQueue") => Err(missing(text)),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, arn = text, "a notification destination could not be looked for; it is taken");
                Ok(())
            }
        }
    }
}

fn resolve(directory: &Directory, router: Option<&str>, service: &'static ServiceSchema) -> Option<Uri> {
    let announced = directory.ready(service.api).into_iter().find_map(|replica| replica.url.parse().ok());
    announced.or_else(|| router?.parse().ok())
}

fn missing(arn: &str) -> Error {
    Error::UnableToValidateDestinations { arn: arn.to_owned(), reason: "The destination queue does not exist".into() }
}
