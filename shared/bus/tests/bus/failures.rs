//! Deliveries that cannot be made at once, or at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fractus_bus::contracts::{Attribute, DeadLetter, DeadLetterForm, Delivery, Fate, RetryPolicy, Returns};
use fractus_bus::testing::NatsServer;
use fractus_bus::{ConsumeConfig, Outcome};
use fractus_clock::{Clock, Clocks, Stopwatch, Timestamp};
use tokio::sync::mpsc;

use crate::support::{bus, collector, delivery, nothing, soon};

fn with_dead_letter(mut delivery: Delivery) -> Delivery {
    delivery.dead_letter = Some(DeadLetter {
        target: "arn:aws:sqs:us-east-1:000000000000:dead".parse().unwrap(),
        service: "letters".to_owned(),
        form: DeadLetterForm::Events,
        attributes: [("RULE_ARN".to_owned(), Attribute::string("arn:aws:events:::rule/r"))].into(),
    });
    delivery
}

#[tokio::test]
async fn what_is_refused_goes_to_the_dead_letter_queue_at_once() {
    let server = NatsServer::start().await;
    let (bus, letters) = (bus(&server, "sqs").await, bus(&server, "letters").await);
    let _consumption = bus.consume_deliveries(ConsumeConfig::default(), |_| async {
        Outcome::Refused { code: "NO_PERMISSIONS".to_owned(), message: "the queue's policy denies it".to_owned() }
    });
    let (handler, mut dead) = collector();
    let _letters = letters.consume_deliveries(ConsumeConfig::default(), handler);
    soon(bus.deliver(&with_dead_letter(delivery("d-1", "hello")))).await.unwrap();
    let letter = soon(dead.recv()).await.unwrap();
    assert_eq!(letter.target.resource, "dead");
    assert_eq!(letter.body.as_text(), Some("hello"));
    assert_eq!(letter.cause.parent, "d-1");
    assert_eq!(letter.attributes["ERROR_CODE"], Attribute::string("NO_PERMISSIONS"));
    assert_eq!(letter.attributes["RETRY_ATTEMPTS"], Attribute::string("0"));
    assert_eq!(letter.attributes["RULE_ARN"], Attribute::string("arn:aws:events:::rule/r"));
}

#[tokio::test]
async fn what_fails_is_tried_again_with_growing_pauses_until_the_policy_ends() {
    let server = NatsServer::start().await;
    let (bus, letters) = (bus(&server, "sqs").await, bus(&server, "letters").await);
    let (tried, mut attempts) = mpsc::unbounded_channel();
    let _consumption = bus.consume_deliveries(ConsumeConfig::default(), move |delivery| {
        tried.send((delivery.attempt, Stopwatch::start())).unwrap();
        async { Outcome::Retry { reason: "throttled".to_owned() } }
    });
    let (handler, mut dead) = collector();
    let _letters = letters.consume_deliveries(ConsumeConfig::default(), handler);
    let mut sent = with_dead_letter(delivery("d-1", "hello"));
    sent.retry = RetryPolicy { maximum_retries: 3, maximum_age_secs: 60, ..RetryPolicy::default() };
    soon(bus.deliver(&sent)).await.unwrap();
    let mut previous: Option<Stopwatch> = None;
    for expected in 1..=4 {
        let (attempt, at) = soon(attempts.recv()).await.unwrap();
        assert_eq!(attempt, expected);
        if let Some(previous) = previous.replace(at) {
            let pause = previous.elapsed().saturating_sub(at.elapsed());
            assert!(pause >= Duration::from_millis(100 << (expected - 2)).mul_f64(0.9), "{attempt}: {pause:?}");
        }
    }
    let letter = soon(dead.recv()).await.unwrap();
    assert_eq!(letter.attributes["EXHAUSTED_RETRY_CONDITION"], Attribute::string("MaximumRetryAttempts"));
    assert_eq!(letter.attributes["RETRY_ATTEMPTS"], Attribute::string("3"));
    nothing(attempts.recv()).await;
}

#[tokio::test]
async fn without_a_dead_letter_queue_it_is_dropped_and_the_others_flow() {
    let server = NatsServer::start().await;
    let bus = bus(&server, "sqs").await;
    let (tried, mut attempts) = mpsc::unbounded_channel();
    let _consumption = bus.consume_deliveries(ConsumeConfig::default(), move |delivery| {
        tried.send(delivery.id.clone()).unwrap();
        let refused = Outcome::Refused { code: "GONE".to_owned(), message: "no such queue".to_owned() };
        std::future::ready(if delivery.id == "bad" { refused } else { Outcome::Done })
    });
    soon(bus.deliver(&delivery("bad", "x"))).await.unwrap();
    soon(bus.deliver(&delivery("good", "x"))).await.unwrap();
    let mut ids = [soon(attempts.recv()).await.unwrap(), soon(attempts.recv()).await.unwrap()];
    ids.sort();
    assert_eq!(ids, ["bad", "good"]);
    nothing(attempts.recv()).await;
}

#[tokio::test]
async fn those_that_wait_for_their_retry_do_not_stand_in_the_way() {
    let server = NatsServer::start().await;
    let bus = bus(&server, "sqs").await;
    let config = ConsumeConfig { in_flight: 4, ..ConsumeConfig::default() };
    let (done, mut through) = mpsc::unbounded_channel();
    let _consumption = bus.consume_deliveries(config, move |delivery| {
        let stuck = delivery.id.starts_with("stuck");
        if !stuck {
            done.send(delivery.id).unwrap();
        }
        let later = Outcome::RetryIn { delay: Duration::from_secs(3_600), reason: "later".to_owned() };
        std::future::ready(if stuck { later } else { Outcome::Done })
    });
    let stuck: Vec<Delivery> = (0..2_000).map(|number| delivery(format!("stuck-{number}"), "x")).collect();
    assert!(soon(bus.deliver_all(&stuck)).await.iter().all(Result::is_ok));
    soon(bus.deliver(&delivery("free", "x"))).await.unwrap();
    assert_eq!(soon(through.recv()).await.unwrap(), "free");
}

#[tokio::test]
async fn a_panicking_handler_counts_as_failed() {
    let server = NatsServer::start().await;
    let bus = bus(&server, "sqs").await;
    let tries = Arc::new(AtomicU32::new(0));
    let (done, mut through) = mpsc::unbounded_channel();
    let _consumption = bus.consume_deliveries(ConsumeConfig::default(), move |delivery| {
        let (first, done) = (tries.fetch_add(1, Ordering::Relaxed) == 0, done.clone());
        async move {
            assert!(!first, "a bug in a handler (this panic is part of the test)");
            done.send(delivery.attempt).unwrap();
            Outcome::Done
        }
    });
    soon(bus.deliver(&delivery("d-1", "x"))).await.unwrap();
    assert_eq!(soon(through.recv()).await, Some(2));
}

/// A delivery that comes back to `sender`.
fn returned_to(id: &str, all: bool) -> Delivery {
    Delivery { returns: Some(Returns { all, ..Returns::failures("sender") }), ..delivery(id, "hello") }
}

#[tokio::test]
async fn what_its_sender_waits_for_comes_back_once_with_what_became_of_it() {
    let server = NatsServer::start().await;
    let (target, sender) = (bus(&server, "sqs").await, bus(&server, "sender").await);
    let tried = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&tried);
    let _consumption = target.consume_deliveries(ConsumeConfig::default(), move |delivery| {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::ready(match delivery.id.as_str() {
            "done" | "told" => Outcome::Answered { answer: serde_json::json!({"MessageId": "m"}) },
            "refused" => Outcome::Refused { code: "E".to_owned(), message: "no".to_owned() },
            _ => Outcome::Failed { code: "BUSY".into(), reason: "later".into(), after: Some(Duration::from_secs(7)) },
        })
    });
    let (handler, mut back) = collector();
    let _back = sender.consume_deliveries(ConsumeConfig::default(), handler);
    for (id, all) in [("done", false), ("told", true), ("refused", false), ("busy", false)] {
        soon(target.deliver(&returned_to(id, all))).await.unwrap();
    }
    let mut fates = BTreeMap::new();
    for _ in 0..3 {
        let (original, fate) = soon(back.recv()).await.unwrap().into_returned().unwrap();
        assert_eq!((original.service.as_str(), original.body.as_text()), ("sqs", Some("hello")));
        fates.insert(original.id, fate);
    }
    assert_eq!(fates["told"], Fate::Done { answer: serde_json::json!({"MessageId": "m"}) });
    assert_eq!(fates["refused"].reason(), Some(("E", "no")));
    assert_eq!(fates["busy"].reason(), Some(("BUSY", "later")));
    assert_eq!(fates["busy"].after(), Some(Duration::from_secs(7)));
    nothing(back.recv()).await;
    assert_eq!(tried.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn what_is_in_order_is_tried_again_in_its_place_by_the_lane_s_clock() {
    let server = NatsServer::start().await;
    let (target, sender) = (bus(&server, "sqs").await, bus(&server, "sender").await);
    let clock = Clock::frozen_at(Timestamp::from_secs(1_000));
    let clocks = Clocks::default();
    clocks.insert("main", clock.clone());
    target.follow(clocks);
    let (told, mut tries) = mpsc::unbounded_channel();
    let _consumption = target.consume_deliveries(ConsumeConfig::default(), move |delivery| {
        told.send((delivery.id.clone(), delivery.attempt)).unwrap();
        let takes = delivery.id == "second" || delivery.attempt >= 3;
        std::future::ready(if takes { Outcome::Done } else { Outcome::Retry { reason: "busy".into() } })
    });
    let (handler, mut back) = collector();
    let _back = sender.consume_deliveries(ConsumeConfig::default(), handler);
    let in_order = |id: &str, retries: u32| Delivery {
        group_id: Some("g".to_owned()),
        created_at: clock.now(),
        retry: RetryPolicy { maximum_retries: retries, ..RetryPolicy::default() },
        ..returned_to(id, false)
    };
    for sent in [in_order("first", 5), in_order("second", 5)] {
        soon(target.deliver(&sent)).await.unwrap();
    }
    // Moves the clock on until somebody tries.
    let mut next = async || loop {
        match tokio::time::timeout(Duration::from_millis(50), tries.recv()).await {
            Ok(tried) => return tried.unwrap(),
            Err(_) => clock.advance(Duration::from_secs(1)),
        }
    };
    for expected in [("first", 1), ("first", 2), ("first", 3), ("second", 1)] {
        assert_eq!(next().await, (expected.0.to_owned(), expected.1));
    }
    assert!(clock.now() >= Timestamp::from_secs(1_003));
    soon(target.deliver(&in_order("short", 0))).await.unwrap();
    assert_eq!(next().await, ("short".to_owned(), 1));
    let (original, fate) = soon(back.recv()).await.unwrap().into_returned().unwrap();
    assert_eq!(original.id, "short");
    assert!(matches!(fate, Fate::Exhausted { condition, .. } if condition == "MaximumRetryAttempts"));
}
