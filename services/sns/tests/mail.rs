//! E-mail through a relay, which here is a few lines of SMTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::*;
use fractus_testkit::{Stack, http, wait_for};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A relay that refuses the first mails it is given, as many as it is told, and keeps the others.
#[derive(Clone, Default)]
struct Relay {
    mails: Arc<Mutex<Vec<String>>>,
    refusals: Arc<Mutex<usize>>,
}

impl Relay {
    /// Its URL.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let relay = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let relay = relay.clone();
                tokio::spawn(async move { relay.talk(stream).await });
            }
        });
        url
    }

    async fn talk(&self, stream: TcpStream) -> Option<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        writer.write_all(b"220 relay\r\n").await.ok()?;
        let mut mail: Option<String> = None;
        while let Some(line) = lines.next_line().await.ok()? {
            let answer = match (&mut mail, line.as_str()) {
                (Some(text), ".") => {
                    self.mails.lock().unwrap().push(std::mem::take(text));
                    mail = None;
                    "250 taken"
                }
                (Some(text), line) => {
                    text.push_str(line);
                    text.push('\n');
                    continue;
                }
                (None, "DATA") => {
                    mail = Some(String::new());
                    "354 go on"
                }
                (None, line) if line.starts_with("RCPT") && self.refuses() => "451 later",
                (None, "QUIT") => "221 bye",
                _ => "250 fine",
            };
            writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
        Some(())
    }

    fn refuses(&self) -> bool {
        let mut refusals = self.refusals.lock().unwrap();
        let refuses = *refusals > 0;
        *refusals = refusals.saturating_sub(1);
        refuses
    }

    async fn wait(&self, count: usize) -> Vec<String> {
        wait_for("mails arrive", || async {
            Some(self.mails.lock().unwrap().clone()).filter(|mails| mails.len() >= count)
        })
        .await
    }
}

#[tokio::test]
async fn mail_goes_through_the_relay_and_is_tried_again() {
    let relay = Relay::default();
    let url = relay.start().await;
    let stack = Stack::new()
        .with("sns", move |host| {
            let config = fractus_sns::Config { smtp_relay: Some(url.clone()), ..Default::default() };
            fractus_sns::start(config, host)
        })
        .frozen_at("2026-01-01T00:00:00Z")
        .start()
        .await;
    let client = client(&stack);
    let topic = topic(&client, "t", &[("DisplayName", "News")]).await;
    subscribe(&client, &topic, "email", "ann@example.com", &[]).await;
    let asked = relay.wait(1).await[0].replace("=\n", "");
    assert!(asked.contains("Subject: AWS Notification - Subscription Confirmation"), "{asked}");
    assert!(
        asked.contains("To: ann@example.com") && asked.contains("From: News <no-reply@sns.amazonaws.com>"),
        "{asked}"
    );
    // What is in the mail is in the ledger too.
    let (_, ledger) = http::get_json(&format!("{}/_aws/sns/sent", stack.url("sns"))).await;
    let text = ledger["sent"][0]["message"].as_str().unwrap().to_owned();
    let link = text.split_whitespace().find(|word| word.contains("Action=ConfirmSubscription")).unwrap();
    http::send(::http::Request::get(link).body(Bytes::new()).unwrap()).await;
    *relay.refusals.lock().unwrap() = 1;
    publish(&client, message(&topic, "hello")).await;
    wait_for("the relay has refused", || async { (*relay.refusals.lock().unwrap() == 0).then_some(()) }).await;
    let arrived = wait_for("it is sent again ten seconds later", || async {
        stack.clock().advance(Duration::from_secs(10));
        relay.mails.lock().unwrap().get(1).cloned()
    });
    assert!(arrived.await.contains("hello"));
}
