//! Calls over real connections, against the server side of the wire.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Seen, Server, serve};
use fractus_aws::{AccountId, Lane, Region, World};
use fractus_client::{CallError, Calls, Client, Credentials, Endpoints, Limits, RetryRules};
use fractus_clock::Random;
use fractus_sqs_api::{Error, QueueDoesNotExist, SendMessage, SendMessageInput};
use fractus_wire::document_io::{from_document, to_document};
use fractus_wire::{Document, DynamicShape, Failure};

fn world() -> World {
    World { lane: Lane::new("pr-7").unwrap(), ..World::default_world() }
        .with_account(AccountId::new("123456789012").unwrap())
}

fn quick() -> RetryRules {
    RetryRules { attempts: 3, base: Duration::from_millis(1), cap: Duration::from_millis(2) }
}

fn calls(server: &Server) -> Calls {
    let endpoints = Endpoints::at(server.url.parse().unwrap());
    let client = Client::with(endpoints, Limits::default(), quick(), Random::seeded(1));
    client.on_behalf(world(), Region::new("eu-west-1").unwrap())
}

fn text(text: &str) -> Document {
    Document::String(text.to_owned())
}

fn map<const N: usize>(entries: [(&str, Document); N]) -> Document {
    Document::Map(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn output(seen: &Seen, schema: &'static fractus_wire::ServiceSchema, members: Document) -> DynamicShape {
    let Document::Map(members) = members else { panic!("not a map") };
    DynamicShape::from_members(schema.operation(seen.operation).unwrap().output, members)
}

/// SQS, as far as SendMessage answers with what it was given.
async fn sqs() -> Server {
    serve(&fractus_sqs_api::MODEL, "test", |seen, input| {
        let input: SendMessageInput = from_document(&to_document(&input).unwrap()).unwrap();
        if input.queue_url.ends_with("/gone") {
            return Err(QueueDoesNotExist::new("The specified queue does not exist.").into());
        }
        let members = map([("MessageId", text(&input.queue_url)), ("MD5OfMessageBody", text(&input.message_body))]);
        Ok(output(seen, &fractus_sqs_api::MODEL, members))
    })
    .await
}

fn message(queue_url: &str) -> SendMessageInput {
    SendMessageInput { queue_url: queue_url.to_owned(), message_body: "grüße ✓".to_owned(), ..Default::default() }
}

#[tokio::test]
async fn a_typed_call_is_signed_for_its_world_and_region() {
    let server = sqs().await;
    let sent = calls(&server).call::<SendMessage>(message("http://q/1")).await.unwrap();
    assert_eq!(
        (sent.message_id.as_deref(), sent.md5_of_message_body.as_deref()),
        (Some("http://q/1"), Some("grüße ✓"))
    );
    let seen = server.seen.lock().remove(0);
    assert_eq!((seen.access_key.as_deref(), seen.region.as_deref()), (Some("123456789012"), Some("eu-west-1")));
    assert_eq!(seen.head.headers["x-fractus-lane"], "pr-7");
    assert_eq!(seen.token, None);
}

#[tokio::test]
async fn a_modelled_error_comes_back_typed_and_is_not_tried_again() {
    let server = sqs().await;
    let error = calls(&server).call::<SendMessage>(message("http://q/gone")).await.unwrap_err();
    assert!(
        matches!(&error, Error::QueueDoesNotExist(gone) if gone.message.as_deref() == Some("The specified queue does not exist.")),
        "{error:?}"
    );
    assert_eq!(server.seen.lock().len(), 1);
}

#[tokio::test]
async fn a_call_by_name_takes_and_gives_documents() {
    let server = sqs().await;
    let input =
        map([("QueueUrl", text("http://q/2")), ("MessageBody", text("b")), ("DelaySeconds", Document::Double(3.0))]);
    let answer = calls(&server).call_dynamic("sqs", "SendMessage", input).await.unwrap();
    assert_eq!(answer, map([("MD5OfMessageBody", text("b")), ("MessageId", text("http://q/2"))]));
    let calls = calls(&server);
    let refused = calls.call_dynamic("sqs", "SendMessage", map([("QueueURL", text("q"))])).await;
    assert_eq!(refused.unwrap_err().to_string(), "SendMessageRequest has no member QueueURL");
    assert!(matches!(calls.call_dynamic("sqs", "Send", Document::Null).await, Err(CallError::UnknownOperation { .. })));
    assert!(matches!(calls.call_dynamic("sdb", "Send", Document::Null).await, Err(CallError::UnknownApi(_))));
    assert_eq!(server.seen.lock().len(), 1);
}

#[tokio::test]
async fn a_session_is_its_principal() {
    let server =
        serve(&fractus_sqs_api::MODEL, "session secret", |seen, _| Ok(output(seen, &fractus_sqs_api::MODEL, map([]))))
            .await;
    let credentials = Credentials {
        access_key_id: "ASIAEXAMPLE".to_owned(),
        secret: "session secret".to_owned(),
        session_token: Some("token/+=".to_owned()),
    };
    calls(&server).with_credentials(credentials.clone()).call::<SendMessage>(message("q")).await.unwrap();
    let seen = server.seen.lock().remove(0);
    assert_eq!((seen.access_key.as_deref(), seen.token.as_deref()), (Some("ASIAEXAMPLE"), Some("token/+=")));
    assert_eq!(format!("{credentials:?}"), "Credentials(ASIAEXAMPLE)");
    let wrong = Credentials { secret: "another".to_owned(), ..credentials };
    let error = calls(&server).with_credentials(wrong).call::<SendMessage>(message("q")).await.unwrap_err();
    assert_eq!(error.code(), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn throttles_are_tried_again_within_bounds() {
    let failing = Arc::new(AtomicU32::new(2));
    let remaining = failing.clone();
    let server = serve(&fractus_sqs_api::MODEL, "test", move |seen, _| {
        let fails = remaining.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails {
            Err(Failure::new("ThrottlingException", 400, "slow down"))
        } else {
            Ok(output(seen, &fractus_sqs_api::MODEL, map([])))
        }
    })
    .await;
    calls(&server).call::<SendMessage>(message("q")).await.unwrap();
    assert_eq!(server.seen.lock().len(), 3);
    failing.store(10, Ordering::SeqCst);
    let error = calls(&server).call::<SendMessage>(message("q")).await.unwrap_err();
    assert_eq!((error.code(), server.seen.lock().len()), ("ThrottlingException", 6));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_said_plainly() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server { url: format!("http://{}", listener.local_addr().unwrap()), seen: Arc::default() };
    drop(listener);
    let error = calls(&server).try_call::<SendMessage>(message("q")).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable { service: "SQS", .. }), "{error:?}");
    let typed = calls(&server).call::<SendMessage>(message("q")).await.unwrap_err();
    assert_eq!(typed.code(), "ServiceUnavailable");
    let nowhere = Client::new(Endpoints::default()).on_behalf(world(), Region::us_east_1());
    assert!(matches!(nowhere.try_call::<SendMessage>(message("q")).await, Err(CallError::NoEndpoint("SQS"))));
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let behind = sqs().await;
    let target = behind.url.strip_prefix("http://").unwrap().to_owned();
    tokio::spawn(async move {
        // The first connection is cut before an answer; the second leads to the service.
        drop(listener.accept().await.unwrap());
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut service = tokio::net::TcpStream::connect(target).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut connection, &mut service).await;
    });
    let cut = Server { url, seen: Arc::default() };
    calls(&cut).call::<SendMessage>(message("q")).await.unwrap();
    assert_eq!(behind.seen.lock().len(), 1);
}

#[tokio::test]
async fn an_answer_beyond_its_bound_is_refused() {
    let server = sqs().await;
    let limits = Limits { answer_bytes: 20, ..Limits::default() };
    let client = Client::with(Endpoints::at(server.url.parse().unwrap()), limits, RetryRules::ONCE, Random::seeded(1));
    let calls = client.on_behalf(world(), Region::us_east_1());
    let error = calls.try_call::<SendMessage>(message("q")).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreadable(why) if why.contains("20 bytes")), "{error:?}");
}

#[tokio::test]
async fn a_silent_service_is_not_waited_for_without_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let limits = Limits { answer_within: Duration::from_millis(50), ..Limits::default() };
    let client = Client::with(Endpoints::at(url.parse().unwrap()), limits, RetryRules::ONCE, Random::seeded(1));
    let error = client.on_behalf(world(), Region::us_east_1()).try_call::<SendMessage>(message("q")).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut { service: "SQS", .. }), "{error:?}");
}

#[test]
fn clients_are_shared_between_threads() {
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<Client>();
    is_shared::<Calls>();
}
