//! Whether the destinations of a notification configuration are there.
//!
//! Queues and topics are asked for where SQS and SNS are: at a replica that has announced itself, else through the router,
//! which starts an idle one. Where nobody answers, a configuration is taken as it is; its events wait in the outbox.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{AccountId, Arn, Region, World};
use fractus_bus::contracts::Source;
use fractus_client::{CallError, Calls, Client, Credentials, Limits, RetryRules};
use fractus_host::{Context, Destination, Host};
use fractus_sns_api as sns_api;
use fractus_sqs_api as sqs_api;

use crate::error::{Error, Result};
use crate::model::notification::{DestinationKind, NotificationTarget};
use crate::notify;

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
        let limits = Limits { answer_within: ANSWER_WITHIN, answer_bytes: MAX_ANSWER_BYTES };
        let client = Client::with(host.resolver(), limits, RetryRules::ONCE, host.random().clone());
        Destinations { client: Arc::new(client) }
    }

    /// Refuses a configuration with a destination that its service does not know, or whose policy does not let S3 send for
    /// this bucket.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html>
    pub async fn check(&self, cx: &Context, bucket: &str, targets: &[NotificationTarget]) -> Result<()> {
        for target in targets {
            match target.kind {
                DestinationKind::Queue => self.check_queue(cx, bucket, &target.arn).await?,
                DestinationKind::Topic => self.check_topic(cx, bucket, &target.arn).await?,
                // Nobody is there yet who could be asked.
                DestinationKind::Function => {
                    tracing::warn!(arn = target.arn, "a notification destination is taken without a look at it");
                }
            }
        }
        Ok(())
    }

    async fn check_queue(&self, cx: &Context, bucket: &str, text: &str) -> Result<()> {
        let Ok(arn) = text.parse::<Arn>() else { return Ok(()) };
        let input = sqs_api::GetQueueUrlInput { queue_name: arn.resource.clone(), ..Default::default() };
        let calls = self.calls(cx, &arn).ok_or_else(|| missing(text, "queue"))?;
        let found = calls.try_call::<sqs_api::GetQueueUrl>(input).await;
        let queue_url = found.as_ref().ok().and_then(|found| found.queue_url.clone());
        judge(found.err(), text, "queue")?;
        let Some(queue_url) = queue_url.filter(|_| cx.evaluates_policies()) else { return Ok(()) };
        let name = sqs_api::QueueAttributeName::Policy;
        let input = sqs_api::GetQueueAttributesInput { queue_url, attribute_names: Some(vec![name.clone()]) };
        match calls.try_call::<sqs_api::GetQueueAttributes>(input).await {
            Ok(found) => {
                let policy = found.attributes.and_then(|attributes| attributes.get(name.as_str()).cloned());
                may_send(cx, bucket, &arn, policy.as_deref(), "sqs:SendMessage", "queue")
            }
            Err(error) => judge(Some(error), text, "queue"),
        }
    }

    async fn check_topic(&self, cx: &Context, bucket: &str, text: &str) -> Result<()> {
        let Ok(arn) = text.parse::<Arn>() else { return Ok(()) };
        let input = sns_api::GetTopicAttributesInput { topic_arn: text.to_owned() };
        let calls = self.calls(cx, &arn).ok_or_else(|| missing(text, "topic"))?;
        match calls.try_call::<sns_api::GetTopicAttributes>(input).await {
            Ok(found) => {
                let policy = found.attributes.and_then(|attributes| attributes.get("Policy").cloned());
                may_send(cx, bucket, &arn, policy.as_deref(), "sns:Publish", "topic")
            }
            Err(error) => judge(Some(error), text, "topic"),
        }
    }

    /// Calls as the destination's own account, in its region; none for an ARN that says neither.
    fn calls(&self, cx: &Context, arn: &Arn) -> Option<Calls> {
        let (account, region) = (AccountId::new(&*arn.account).ok()?, Region::new(&*arn.region).ok()?);
        let world = World { lane: cx.world.lane.clone(), partition: cx.world.partition, account: account.clone() };
        let calls = self.client.on_behalf(world, region);
        Some(match &cx.host().config().root_secret {
            Some(secret) => {
                let key = Credentials::of_account(&account);
                calls.with_credentials(Credentials { secret: secret.clone(), ..key })
            }
            None => calls,
        })
    }
}

/// Whether the destination's policy lets S3 send to it for this bucket; asked where policies are enforced.
fn may_send(cx: &Context, bucket: &str, to: &Arn, policy: Option<&str>, action: &str, what: &str) -> Result<()> {
    let text = to.to_string();
    // Whoever has come so far has found calls for them.
    let (Ok(account), Ok(region)) = (AccountId::new(&*to.account), Region::new(&*to.region)) else { return Ok(()) };
    let source = Source {
        principal: "s3.amazonaws.com".to_owned(),
        arn: Some(notify::bucket_arn(cx, bucket)),
        account: cx.caller.account.clone(),
        role: None,
    };
    let destination = Destination { arn: &text, account: &account, region: &region, policy, action };
    cx.host().check_delivery(&source, &destination, cx.now()).map_err(|reason| {
        tracing::debug!(arn = text, reason, "a notification destination does not take what S3 sends");
        let reason =
            format!("Permissions on the destination {what} do not allow S3 to publish notifications from this bucket");
        Error::UnableToValidateDestinations { arn: text.clone(), reason }
    })
}

/// What a destination's service says of it when it is not there.
const MISSING: [&str; 3] = ["QueueDoesNotExist", "NonExistentQueue", "NotFound"];

fn judge(error: Option<CallError>, arn: &str, what: &str) -> Result<()> {
    match error {
        None => Ok(()),
        Some(CallError::Failure(failure)) if MISSING.iter().any(|code| failure.code.ends_with(code)) => {
            Err(missing(arn, what))
        }
        Some(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, arn, "a notification destination could not be looked for; it is taken");
            Ok(())
        }
    }
}

fn missing(arn: &str, what: &str) -> Error {
    let reason = format!("The destination {what} does not exist");
    Error::UnableToValidateDestinations { arn: arn.to_owned(), reason }
}
