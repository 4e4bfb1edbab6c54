//! Calling functions, as the AWS operation that does so: by who asked for the object, whose permission it needs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_bus::Directory;
use fractus_client::{CallError, Calls, Client, Credentials, Limits, RetryRules};
use fractus_host::{Context, Host};
use fractus_s3_api as s3_api;
use fractus_wire::ServiceSchema;
use http::Uri;
use invoke as api;

use crate::error::{Error, Result};

/// Lambda's operation, generated from its model.
pub mod invoke {
    include!(concat!(env!("OUT_DIR"), "/lambda.rs"));
}

/// A function has a minute to answer; what it does after that is of no interest.
const INVOKED_WITHIN: Duration = Duration::from_secs(65);
/// The longest that Lambda lets a function run, and a little more.
const RUNS_WITHIN: Duration = Duration::from_secs(905);
/// Lambda's own limit of an answer is 6 MB.
const MAX_ANSWER_BYTES: u64 = 8 << 20;

/// Calls functions, and passes answers on to other replicas of S3.
#[derive(Clone)]
pub struct Functions {
    client: Arc<Client>,
    /// For functions that nobody waits for.
    patient: Arc<Client>,
    directory: Arc<Directory>,
    host: Host,
}

impl Functions {
    pub fn new(host: &Host) -> Self {
        let client = |limits| Arc::new(Client::with(host.resolver(), limits, RetryRules::ONCE, host.random().clone()));
        Functions {
            client: client(limits()),
            patient: client(Limits { answer_within: RUNS_WITHIN, ..limits() }),
            directory: Arc::new(host.bus().directory()),
            host: host.clone(),
        }
    }

    fn calls(&self, cx: &Context, client: &Client) -> Calls {
        let calls = client.on_behalf(cx.world.clone(), cx.region.clone());
        // A service's own session of a role has no keys: its account calls.
        if cx.caller.access_key_id.starts_with("arn:") {
            let key = Credentials::of_account(&cx.world.account);
            return match &self.host.config().root_secret {
                Some(secret) => calls.with_credentials(Credentials { secret: secret.clone(), ..key }),
                None => calls,
            };
        }
        let root_secret = self.host.config().root_secret.clone();
        let secret = cx.caller.credential.as_deref().map(|credential| credential.secret_access_key.clone());
        match secret.or(root_secret) {
            None => calls,
            Some(secret) => calls.with_credentials(Credentials {
                access_key_id: cx.caller.access_key_id.clone(),
                secret,
                session_token: cx.caller.credential.as_deref().and_then(|credential| credential.session_token.clone()),
            }),
        }
    }

    /// Calls a function, waits until it has ended, and gives its answer (of a GetObject it says nothing: there the function
    /// answers S3).
    pub fn invoke(
        &self,
        cx: &Context,
        function: &str,
        event: &serde_json::Value,
    ) -> impl Future<Output = Result<Bytes>> + Send + 'static {
        let calls = self.calls(cx, &self.client);
        let input = invocation(function, event);
        async move {
            match calls.try_call::<api::Invoke>(input).await {
                Ok(output) if output.function_error.is_some() => {
                    Err(Error::other("LambdaRuntimeError", 500, "The Lambda function failed during execution."))
                }
                Ok(output) => Ok(output.payload.unwrap_or_default()),
                Err(error) => Err(refused(error)),
            }
        }
    }

    /// Calls a function that may take as long as Lambda lets it, and gives what came of it.
    pub fn call(
        &self,
        cx: &Context,
        function: &str,
        event: &serde_json::Value,
    ) -> impl Future<Output = Result<api::InvokeOutput, CallError>> + Send + 'static {
        let calls = self.calls(cx, &self.patient);
        let input = invocation(function, event);
        async move { calls.try_call::<api::Invoke>(input).await }
    }

    /// Passes an answer on to the replica in which its request waits; nothing if there is none of that name.
    pub async fn pass_on(
        &self,
        cx: &Context,
        replica: &str,
        input: s3_api::WriteGetObjectResponseInput,
    ) -> Option<Result<s3_api::WriteGetObjectResponseOutput>> {
        let there = self.directory.ready(self.host.name()).into_iter().find(|presence| presence.replica == replica)?;
        let url: Uri = there.url.parse().ok()?;
        let resolver = move |_: &'static ServiceSchema, _: &_| Some(url.clone());
        let client = Client::with(resolver, limits(), RetryRules::ONCE, self.host.random().clone());
        let answer = self.calls(cx, &client).try_call::<s3_api::WriteGetObjectResponse>(input).await;
        Some(answer.map_err(|error| Error::Other(Box::new(error.into()))))
    }
}

fn invocation(function: &str, event: &serde_json::Value) -> api::InvokeInput {
    api::InvokeInput {
        function_name: function.to_owned(),
        invocation_type: Some(api::InvocationType::RequestResponse),
        payload: Some(Bytes::from(event.to_string())),
        ..Default::default()
    }
}

fn limits() -> Limits {
    Limits { answer_within: INVOKED_WITHIN, answer_bytes: MAX_ANSWER_BYTES }
}

/// What who asked for the object is told of a call that failed.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#S3ObjectLambdaErrorCodeList>
fn refused(error: CallError) -> Error {
    let failure = match error {
        CallError::Failure(failure) => failure,
        CallError::TimedOut { .. } => return timed_out(),
        other => {
            let message = format!("Lambda function invocation failed. {other}");
            return Error::other("LambdaInvocationFailed", 400, message);
        }
    };
    let said = format!("{}: {} (Status Code: {})", failure.code, failure.message, failure.status);
    let (code, status, message) = match failure.code.as_ref() {
        "ResourceNotFoundException" => ("LambdaNotFound", 404, "The AWS Lambda function was not found."),
        "AccessDeniedException" => {
            ("LambdaPermissionError", 403, "The caller is not authorized to invoke the Lambda function.")
        }
        "TooManyRequestsException" => {
            ("SlowDown", 503, "Reduce your request rate for operations involving AWS Lambda.")
        }
        _ => ("LambdaInvocationFailed", 400, "Lambda function invocation failed."),
    };
    Error::other(code, status, format!("{message} {said}"))
}

pub fn timed_out() -> Error {
    Error::other("LambdaTimeout", 500, "The Lambda function did not respond in the allowed time.")
}

pub fn unanswered() -> Error {
    let message = "The Lambda exited without successfully calling WriteGetObjectResponse.";
    Error::other("LambdaResponseNotReceived", 500, message)
}

/// A function's answer that is none of its operation.
pub fn unusable(why: impl std::fmt::Display) -> Error {
    Error::other("LambdaInvalidResponse", 400, format!("The response of the Lambda function is not valid: {why}"))
}

#[cfg(test)]
mod tests {
    use fractus_wire::Failure;

    use super::*;

    #[test]
    fn lambdas_words_become_those_of_object_lambda() {
        for (said, code, status) in [
            ("ResourceNotFoundException", "LambdaNotFound", 404),
            ("AccessDeniedException", "LambdaPermissionError", 403),
            ("TooManyRequestsException", "SlowDown", 503),
            ("InvalidRuntimeException", "LambdaInvocationFailed", 400),
        ] {
            let failure: Failure = refused(CallError::Failure(Failure::new(said, 400, "m"))).into();
            assert_eq!((failure.code.as_ref(), failure.status), (code, status));
        }
    }
}
