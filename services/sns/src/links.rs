//! What is reached without a signature: the links in messages, the certificate, and the views for tests.
//!
//! - `GET /?Action=ConfirmSubscription&TopicArn=...&Token=...`, `GET /?Action=Unsubscribe&SubscriptionArn=...`
//! - `GET /_aws/sns/SimpleNotificationService-<id>.pem`, also at the top as AWS has it
//! - `GET /_aws/sns/sent`: the ledger; `POST /_aws/sns/inbound-sms` with `{"from": "+1...", "message": "STOP"}`: an answer to an SMS

use bytes::Bytes;
use fractus_aws::{AccountId, Arn, Lane, Partition, Region};
use fractus_host::Context;
use fractus_sns_api as api;
use fractus_wire::protocol::{self, Answer};
use fractus_wire::{ByteStream, Operation, Protocol};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::ledger::{self, Wanted};
use crate::model::signing::{CERTIFICATE_FOLDER, CERTIFICATE_PREFIX};
use crate::operations::{sms, subscribing};
use crate::service::Sns;
use crate::store::Place;

/// Bodies of the views' requests.
const MAX_BODY_BYTES: u64 = 64 * 1024;

/// Whether a request is answered here: it carries no signature and follows a link, or asks for a page of ours.
pub fn is_link(head: &Parts) -> bool {
    let path = head.uri.path();
    if path.starts_with(CERTIFICATE_FOLDER) || path.starts_with("/SimpleNotificationService-") {
        return true;
    }
    let query = head.uri.query().unwrap_or_default();
    let signed = head.headers.contains_key(header::AUTHORIZATION) || query.contains("X-Amz-");
    !signed && head.method == Method::GET && action(query).is_some()
}

fn action(query: &str) -> Option<&'static str> {
    let given = value(query, "Action")?;
    ["ConfirmSubscription", "Unsubscribe"].into_iter().find(|known| *known == given)
}

/// A parameter of a query, decoded.
fn value(query: &str, name: &str) -> Option<String> {
    let pair = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    let spaced = pair.1.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned).filter(|value| !value.is_empty())
}

/// The origin that links in a subscription's messages begin with: the one through which it was made. A lane that was named
/// by a header is named by the host here, since whoever follows a link sends no headers.
pub fn origin(cx: &Context) -> String {
    let endpoint = cx.endpoint();
    if cx.world.lane == Lane::main() || endpoint.contains(".lane.") {
        return endpoint;
    }
    let (scheme, authority) = endpoint.split_once("://").unwrap_or(("http", &endpoint));
    let port =
        authority.rsplit_once(':').map(|(_, port)| port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}.lane.localhost{port}", cx.world.lane)
}

pub async fn answer(sns: &Sns, cx: &Context, request: Request<ByteStream>) -> Response<ByteStream> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let path = head.uri.path();
    if let Some(name) = path.rsplit('/').next().filter(|name| name.starts_with(CERTIFICATE_PREFIX)) {
        return certificate(sns, name).await;
    }
    match (&head.method, path.strip_prefix(CERTIFICATE_FOLDER)) {
        (&Method::GET, Some("sent")) => view(sent(sns, cx, &query).await),
        (&Method::POST, Some("inbound-sms")) => view(inbound(sns, cx, body).await),
        (_, Some(_)) => json_answer(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" })),
        _ => follow(sns, cx, &query).await,
    }
}

async fn certificate(sns: &Sns, name: &str) -> Response<ByteStream> {
    let id = name.strip_prefix(CERTIFICATE_PREFIX).and_then(|rest| rest.strip_suffix(".pem")).unwrap_or_default();
    match sns.certificate(id).await {
        Ok(Some(pem)) => with_body(StatusCode::OK, "application/x-pem-file", pem),
        Ok(None) => json_answer(StatusCode::NOT_FOUND, &json!({ "message": "Not Found" })),
        Err(error) => view(Err(error)),
    }
}

fn view(result: Result<Value>) -> Response<ByteStream> {
    match result {
        Ok(value) => json_answer(StatusCode::OK, &value),
        Err(error) => {
            let failure = error.to_failure();
            let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json_answer(status, &json!({ "message": failure.message }))
        }
    }
}

fn json_answer(status: StatusCode, value: &Value) -> Response<ByteStream> {
    with_body(status, "application/json", value.to_string())
}

fn with_body(status: StatusCode, content_type: &'static str, body: String) -> Response<ByteStream> {
    let mut response = Response::new(ByteStream::from(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

async fn sent(sns: &Sns, cx: &Context, query: &str) -> Result<Value> {
    let account = value(query, "account").map(AccountId::new).transpose().map_err(|_| Error::invalid("account"))?;
    let region = value(query, "region").map(Region::new).transpose().map_err(|_| Error::invalid("region"))?;
    let world = account.map_or_else(|| cx.world.clone(), |account| cx.world.with_account(account));
    let wanted = Wanted {
        protocol: value(query, "protocol"),
        endpoint: value(query, "endpoint"),
        topic_arn: value(query, "topic_arn"),
    };
    ledger::list(sns, &world, region.as_ref().unwrap_or(&cx.region), &wanted).await
}

async fn inbound(sns: &Sns, cx: &Context, body: ByteStream) -> Result<Value> {
    let body = body.collect(MAX_BODY_BYTES).await.map_err(|_| Error::invalid("Body"))?;
    let message: Value = serde_json::from_slice(&body).map_err(|_| Error::invalid("Body"))?;
    let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
    let opted_out = sms::answered(sns, cx, text("from"), text("message")).await?;
    Ok(json!({ "opted_out": opted_out }))
}

/// The topic of an ARN, wherever it is: a link says its region itself.
fn place_of(cx: &Context, arn: &Arn, name: &str) -> Result<Place> {
    let wrong = || Error::invalid("TopicArn");
    let account = AccountId::new(&arn.account).map_err(|_| wrong())?;
    let partition = Partition::parse(&arn.partition).ok_or_else(wrong)?;
    let mut world = cx.world.with_account(account);
    world.partition = partition;
    Ok(Place { world, region: Region::new(&arn.region).map_err(|_| wrong())?, name: name.to_owned() })
}

/// Does what a link says, and answers as the operation would.
async fn follow(sns: &Sns, cx: &Context, query: &str) -> Response<ByteStream> {
    let answered = match action(query) {
        Some("ConfirmSubscription") => confirm(sns, cx, query)
            .await
            .and_then(|mut output| written(api::ConfirmSubscription, &mut output, &cx.request_id)),
        _ => unsubscribe(sns, cx, query)
            .await
            .and_then(|mut output| written(api::Unsubscribe, &mut output, &cx.request_id)),
    };
    answered.unwrap_or_else(|error| {
        let answer = Answer { request_id: &cx.request_id, ..Answer::default() };
        protocol::write_failure(Protocol::AwsQuery, &api::MODEL, None, &error.into(), &answer)
    })
}

fn written<Op: Operation>(_: Op, output: &mut Op::Output, request_id: &str) -> Result<Response<ByteStream>> {
    let answer = Answer { request_id, ..Answer::default() };
    protocol::write_response(Protocol::AwsQuery, &api::MODEL, Op::SCHEMA, output, &answer)
        .map_err(|error| Error::Internal(error.to_string()))
}

async fn confirm(sns: &Sns, cx: &Context, query: &str) -> Result<api::ConfirmSubscriptionOutput> {
    let arn: Arn =
        value(query, "TopicArn").and_then(|arn| arn.parse().ok()).ok_or_else(|| Error::invalid("TopicArn"))?;
    let token = value(query, "Token").ok_or_else(|| Error::invalid("Token"))?;
    let place = place_of(cx, &arn, &arn.resource)?;
    let now = cx.now();
    let subscription_arn = subscribing::confirm_token(sns, &place, &token, false, false, now).await?;
    Ok(api::ConfirmSubscriptionOutput { subscription_arn: Some(subscription_arn) })
}

async fn unsubscribe(sns: &Sns, cx: &Context, query: &str) -> Result<api::UnsubscribeOutput> {
    let wrong = || Error::invalid("SubscriptionArn");
    let arn: Arn = value(query, "SubscriptionArn").and_then(|arn| arn.parse().ok()).ok_or_else(wrong)?;
    let (topic, id) = arn.resource.split_once(':').ok_or_else(wrong)?;
    subscribing::end(sns, &place_of(cx, &arn, topic)?, id, None, cx.now()).await?;
    Ok(api::UnsubscribeOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, uri: &str) -> Parts {
        Request::builder().method(method).uri(uri).body(()).unwrap().into_parts().0
    }

    #[test]
    fn links_and_pages_are_told_from_calls() {
        for uri in ["/?Action=Unsubscribe&SubscriptionArn=x", "/_aws/sns/sent", "/SimpleNotificationService-1.pem"] {
            assert!(is_link(&head("GET", uri)), "{uri}");
        }
        for (method, uri) in [
            ("POST", "/?Action=Unsubscribe"),
            ("GET", "/?Action=Publish"),
            ("GET", "/?Action=Unsubscribe&X-Amz-Signature=x"),
        ] {
            assert!(!is_link(&head(method, uri)), "{uri}");
        }
        assert_eq!(value("a=b%3Ac&d=", "a").as_deref(), Some("b:c"));
        assert_eq!(value("a=b&d=", "d"), None);
    }
}
