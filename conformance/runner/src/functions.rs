//! Functions that scenarios play: a stand-in for what other services call of Lambda.
//!
//! A function hands its event on, as a message, to the queue of its own name, and answers with what is sent to the queue
//! `<name>-answers`, at once with nothing where there is no such queue. So a scenario that makes these queues sees what a
//! function is told, does its work, and says what it answers. A message with the attribute `FunctionError` makes it an
//! error of the function.
//!
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use fractus_sigv4::{CredentialScope, RequestView};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::endpoint::{Caller, Endpoint, Outgoing, SendError};

/// Lambda's own limit of an event.
const MAX_EVENT_BYTES: usize = 6 << 20;
/// Longer than the longest wait for a message.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);
/// An answer is waited for so many times 20 seconds.
const WAITS: u32 = 3;

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// The stack whose queues the functions work with.
    #[arg(long)]
    pub endpoint: String,
    /// Where they are called.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

/// Serves until the process is ended.
pub async fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let endpoint = Arc::new(Endpoint::new(&arguments.endpoint, ANSWER_WITHIN)?);
    let listener = TcpListener::bind(arguments.listen).await?;
    axum::serve(listener, Router::new().fallback(answer).with_state(endpoint)).await?;
    Ok(ExitCode::SUCCESS)
}

/// A call of Lambda's, refused in its words or answered.
async fn answer(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(event) = to_bytes(body, MAX_EVENT_BYTES).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", "The event is too large");
    };
    let Some(invocation) = Invocation::of(&parts) else {
        return refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", "Of Lambda there is Invoke alone");
    };
    invocation.run(&endpoint, &event).await.unwrap_or_else(|error| {
        refused(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", &format!("the queue cannot be used: {error}"))
    })
}

struct Invocation {
    name: String,
    caller: Caller,
    is_event: bool,
}

impl Invocation {
    fn of(parts: &Parts) -> Option<Self> {
        let path = parts.uri.path().strip_prefix("/2015-03-31/functions/")?.strip_suffix("/invocations")?;
        let function = percent_decode_str(path).decode_utf8().ok()?;
        let view = RequestView::from(parts);
        let scope = CredentialScope::of(&view)?;
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        // arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER], or the name alone.
        let arn: Vec<&str> = function.split(':').collect();
        let (name, region, account) = match arn[..] {
            ["arn", _, "lambda", region, account, "function", name, ..] => (name, region, account),
            _ => (function.split(':').next()?, scope.region, &*scope.access_key),
        };
        let caller = Caller {
            access_key: account.to_owned(),
            region: region.to_owned(),
            lane: header("x-fractus-lane").map(str::to_owned),
            ..Caller::default()
        };
        Some(Invocation { name: name.to_owned(), caller, is_event: header("x-amz-invocation-type") == Some("Event") })
    }

    async fn run(&self, endpoint: &Endpoint, event: &Bytes) -> Result<Response, SendError> {
        let Some(events) = self.queue(endpoint, &self.name).await? else {
            let message = format!("Function not found: {}", self.name);
            return Ok(refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message));
        };
        let text = String::from_utf8_lossy(event);
        self.sqs(endpoint, "SendMessage", &json!({ "QueueUrl": events, "MessageBody": text })).await?;
        if self.is_event {
            return Ok(answered(StatusCode::ACCEPTED, String::new(), false));
        }
        let Some(answers) = self.queue(endpoint, &format!("{}-answers", self.name)).await? else {
            return Ok(answered(StatusCode::OK, "null".to_owned(), false));
        };
        for _ in 0..WAITS {
            let wanted = json!({ "QueueUrl": answers, "WaitTimeSeconds": 20, "MessageAttributeNames": ["All"] });
            let Some(said) = self.sqs(endpoint, "ReceiveMessage", &wanted).await? else { break };
            let message = &said["Messages"][0];
            if let Some(payload) = message["Body"].as_str() {
                let handled = json!({ "QueueUrl": answers, "ReceiptHandle": message["ReceiptHandle"] });
                self.sqs(endpoint, "DeleteMessage", &handled).await?;
                let is_error = message["MessageAttributes"]["FunctionError"].is_object();
                return Ok(answered(StatusCode::OK, payload.to_owned(), is_error));
            }
        }
        let message = r#"{"errorMessage":"Task timed out after 60.00 seconds"}"#;
        Ok(answered(StatusCode::OK, message.to_owned(), true))
    }

    /// The URL of a queue of the function's account, where there is one.
    async fn queue(&self, endpoint: &Endpoint, name: &str) -> Result<Option<Value>, SendError> {
        let found = self.sqs(endpoint, "GetQueueUrl", &json!({ "QueueName": name })).await?;
        Ok(found.map(|mut found| found["QueueUrl"].take()))
    }

    /// What SQS answers; nothing where it refuses.
    async fn sqs(&self, endpoint: &Endpoint, action: &str, input: &Value) -> Result<Option<Value>, SendError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        if let Ok(target) = HeaderValue::from_str(&format!("AmazonSQS.{action}")) {
            headers.insert("x-amz-target", target);
        }
        let outgoing = Outgoing {
            method: Method::POST,
            target: "/".to_owned(),
            headers,
            body: Bytes::from(input.to_string()),
            signing_name: Some("sqs".to_owned()),
            unsigned_payload: false,
            host_prefix: None,
        };
        let answer = endpoint.send(&self.caller, outgoing).await?;
        Ok(answer.status.is_success().then(|| serde_json::from_slice(&answer.body).unwrap_or_default()))
    }
}

fn answered(status: StatusCode, payload: String, is_error: bool) -> Response {
    let mut response = Response::new(Body::from(payload));
    *response.status_mut() = status;
    response.headers_mut().insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
    if is_error {
        response.headers_mut().insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    }
    response
}

fn refused(status: StatusCode, code: &'static str, message: &str) -> Response {
    let mut response = Response::new(Body::from(json!({ "Type": "User", "Message": message }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(code));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(function: &str) -> Option<Invocation> {
        let authorization = "AWS4-HMAC-SHA256 Credential=111122223333/20260101/eu-west-1/lambda/aws4_request, \
                             SignedHeaders=host, Signature=00";
        let (parts, ()) = http::Request::post(format!("/2015-03-31/functions/{function}/invocations"))
            .header("authorization", authorization)
            .header("x-fractus-lane", "a-lane")
            .header("x-amz-invocation-type", "Event")
            .body(())
            .unwrap()
            .into_parts();
        Invocation::of(&parts)
    }

    #[test]
    fn a_function_is_of_its_arns_account_or_the_callers() {
        let whole = invocation("arn%3Aaws%3Alambda%3Aus-west-2%3A444455556666%3Afunction%3Af%3Alive").unwrap();
        assert_eq!((whole.name.as_str(), whole.caller.access_key.as_str()), ("f", "444455556666"));
        assert_eq!(whole.caller.region, "us-west-2");
        assert_eq!(whole.caller.lane.as_deref(), Some("a-lane"));
        assert!(whole.is_event);
        let named = invocation("g").unwrap();
        assert_eq!((named.name.as_str(), named.caller.access_key.as_str()), ("g", "111122223333"));
        assert_eq!(named.caller.region, "eu-west-1");
    }
}
