//! The rules against a reference that is too simple to be wrong: random sends, receives, deletes and waits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fractus_aws::{Region, World};
use fractus_clock::{Clock, Clocks, Timestamp};
use fractus_sqs::error::Error;
use fractus_sqs::model::attributes::Attributes;
use fractus_sqs::model::dead_letter::{self, DeadLetter};
use fractus_sqs::model::fifo::{self, Receive};
use fractus_sqs::model::messages::{self, NewMessage};
use fractus_sqs::model::receipt::Receipt;
use fractus_sqs::model::standard;
use fractus_sqs::store::{Counters, MESSAGES, Message, QUEUES, Queue, State};
use fractus_store::{Order, Range, Scope, Store};
use indexmap::IndexMap;
use proptest::prelude::*;

struct World1 {
    store: Store,
    scope: Scope,
    queue: Queue,
    now: Timestamp,
    sent: u32,
}

impl World1 {
    fn new(name: &str) -> Self {
        let clocks = Clocks::default();
        let now = Timestamp::from_secs(1_700_000_000);
        clocks.insert("main", Clock::frozen_at(now));
        World1 {
            store: Store::memory(clocks),
            scope: Scope::regional(&World::default_world(), &Region::us_east_1()),
            queue: queue(name, 1),
            now,
            sent: 0,
        }
    }

    fn send(&mut self, group: Option<&str>, delay_secs: u64) -> String {
        self.sent += 1;
        let id = format!("m{}", self.sent);
        let new = NewMessage {
            id: id.clone(),
            body: id.clone(),
            md5_of_body: String::new(),
            attributes: IndexMap::new(),
            md5_of_attributes: None,
            trace_header: None,
            sender_id: String::new(),
            group_id: group.map(str::to_owned),
            deduplication_id: None,
            dead_letter_source_arn: None,
            receive_count: 0,
            first_received_at: None,
        };
        let (scope, queue, now) = (self.scope.clone(), self.queue.clone(), self.now);
        self.write(move |tx| {
            messages::insert(tx, &scope, &queue, new.clone(), now, now, Duration::from_secs(delay_secs)).map(|_| ())
        })
        .unwrap();
        id
    }

    fn write<T>(&self, work: impl FnMut(&mut fractus_store::Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        // The memory engine completes at once; a current-thread runtime is enough to drive it.
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(self.store.write(work))
    }

    fn receive(&mut self, max: usize, dead_letter: Option<&DeadLetter>) -> Vec<(Receipt, Message)> {
        let visibility = Duration::from_secs(30);
        self.write(|tx| {
            messages::promote_due(tx, &self.scope, &self.queue, self.now)?;
            if self.queue.is_fifo() {
                let how = Receive { max, visibility, now: self.now, attempt_id: None };
                fifo::receive(tx, &self.scope, &self.queue, dead_letter, how)
            } else {
                standard::receive(tx, &self.scope, &self.queue, dead_letter, max, visibility, self.now)
            }
        })
        .unwrap()
    }

    fn delete(&self, receipt: &Receipt) -> Result<(), Error> {
        self.write(|tx| messages::delete(tx, &self.scope, &self.queue, &receipt.encode(), self.now))
    }

    fn give_back(&self, receipt: &Receipt) -> Result<(), Error> {
        let handle = receipt.encode();
        self.write(|tx| messages::change_visibility(tx, &self.scope, &self.queue, &handle, Duration::ZERO, self.now))
    }

    /// The counts as kept, and as counted.
    fn counts(&self) -> (Counters, Counters) {
        self.write(|tx| {
            messages::promote_due(tx, &self.scope, &self.queue, self.now)?;
            let kept = messages::counters(tx, &self.scope, &self.queue)?;
            let mut counted = Counters { next_number: kept.next_number, ..Counters::default() };
            for entry in tx.range(&MESSAGES, &self.scope, Range::prefix(&(self.queue.space,)), Order::Ascending)? {
                match entry?.1.state {
                    State::Visible => counted.visible += 1,
                    State::Delayed => counted.delayed += 1,
                    State::InFlight => counted.in_flight += 1,
                }
            }
            Ok((kept, counted))
        })
        .unwrap()
    }
}

fn queue(name: &str, id: u64) -> Queue {
    Queue {
        name: name.into(),
        id,
        space: id * 100,
        created_at: Timestamp::EPOCH,
        modified_at: Timestamp::EPOCH,
        attributes: Attributes::defaults(name.ends_with(".fifo")),
        tags: BTreeMap::new(),
        purged_at: None,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send { group: u8, delay_secs: u8 },
    Receive { max: usize },
    Delete { which: usize },
    GiveBack { which: usize },
    Wait { secs: u8 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..3, prop_oneof![3 => Just(0u8), 1 => 1u8..20]).prop_map(|(group, delay_secs)| Step::Send { group, delay_secs }),
        3 => (1usize..=10).prop_map(|max| Step::Receive { max }),
        3 => (0usize..100).prop_map(|which| Step::Delete { which }),
        1 => (0usize..100).prop_map(|which| Step::GiveBack { which }),
        1 => (0u8..40).prop_map(|secs| Step::Wait { secs }),
    ];
    proptest::collection::vec(step, 1..80)
}

/// A message as the reference sees it.
#[derive(Clone, Debug)]
struct Expected {
    id: String,
    group: u8,
    visible_at: Timestamp,
    in_flight: bool,
}

/// The FIFO rule on a plain list: groups in order of their first message, each given while nothing of it is in flight
/// and its head is visible.
fn fifo_reference(list: &mut [Expected], max: usize, now: Timestamp) -> Vec<String> {
    let mut received = Vec::new();
    let mut seen = BTreeSet::new();
    for at in 0..list.len() {
        let group = list[at].group;
        if !seen.insert(group) {
            continue;
        }
        let blocked =
            list.iter().any(|message| message.group == group && message.in_flight && message.visible_at > now);
        if blocked {
            continue;
        }
        for message in list.iter_mut().filter(|message| message.group == group) {
            if received.len() == max || message.visible_at > now {
                break;
            }
            message.in_flight = true;
            message.visible_at = now.plus(Duration::from_secs(30));
            received.push(message.id.clone());
        }
    }
    received
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn fifo_queues_give_what_the_plain_list_gives(steps in steps()) {
        let mut world = World1::new("q.fifo");
        let mut list: Vec<Expected> = Vec::new();
        let mut receipts: Vec<(String, Receipt)> = Vec::new();
        for step in steps {
            match step {
                Step::Send { group, delay_secs } => {
                    let id = world.send(Some(&format!("g{group}")), u64::from(delay_secs));
                    let visible_at = world.now.plus(Duration::from_secs(u64::from(delay_secs)));
                    list.push(Expected { id, group, visible_at, in_flight: false });
                }
                Step::Receive { max } => {
                    let received = world.receive(max, None);
                    let ids: Vec<String> = received.iter().map(|(_, message)| message.id.clone()).collect();
                    prop_assert_eq!(ids, fifo_reference(&mut list, max, world.now));
                    receipts.extend(received.into_iter().map(|(receipt, message)| (message.id, receipt)));
                }
                Step::Delete { which } if !receipts.is_empty() => {
                    let (id, receipt) = receipts.swap_remove(which % receipts.len());
                    let newer = receipts.iter().any(|(other, _)| *other == id);
                    let at = list.iter().position(|message| message.id == id);
                    let current = at.is_some_and(|at| list[at].in_flight && list[at].visible_at > world.now);
                    match world.delete(&receipt) {
                        Ok(()) => {
                            if let Some(at) = at {
                                prop_assert!(current);
                                list.remove(at);
                            }
                        }
                        Err(Error::ReceiptHandleExpired { .. }) => prop_assert!(!current || newer),
                        Err(other) => return Err(TestCaseError::fail(other.to_string())),
                    }
                }
                Step::GiveBack { which } if !receipts.is_empty() => {
                    let (id, receipt) = receipts.swap_remove(which % receipts.len());
                    if world.give_back(&receipt).is_ok() {
                        let message = list.iter_mut().find(|message| message.id == id).unwrap();
                        message.in_flight = false;
                        message.visible_at = world.now;
                    }
                }
                Step::Wait { secs } => world.now = world.now.plus(Duration::from_secs(u64::from(secs))),
                _ => {}
            }
            let (kept, counted) = world.counts();
            prop_assert_eq!(kept, counted);
            prop_assert_eq!((kept.visible + kept.delayed + kept.in_flight) as usize, list.len());
        }
    }

    #[test]
    fn standard_queues_lose_nothing_and_count_right(steps in steps()) {
        let mut world = World1::new("q");
        let mut alive: BTreeSet<String> = BTreeSet::new();
        let mut invisible: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut receipts: Vec<(String, Receipt)> = Vec::new();
        for step in steps {
            match step {
                Step::Send { delay_secs, .. } => {
                    let id = world.send(None, u64::from(delay_secs));
                    invisible.insert(id.clone(), world.now.plus(Duration::from_secs(u64::from(delay_secs))));
                    alive.insert(id);
                }
                Step::Receive { max } => {
                    let visible = alive.iter().filter(|id| invisible[*id] <= world.now).count();
                    let received = world.receive(max, None);
                    prop_assert_eq!(received.len(), visible.min(max));
                    for (receipt, message) in received {
                        prop_assert!(alive.contains(&message.id) && invisible[&message.id] <= world.now);
                        invisible.insert(message.id.clone(), world.now.plus(Duration::from_secs(30)));
                        receipts.push((message.id, receipt));
                    }
                }
                Step::Delete { which } if !receipts.is_empty() => {
                    let (id, receipt) = receipts.swap_remove(which % receipts.len());
                    world.delete(&receipt).unwrap();
                    alive.remove(&id);
                }
                Step::GiveBack { which } if !receipts.is_empty() => {
                    let (id, receipt) = receipts.swap_remove(which % receipts.len());
                    match world.give_back(&receipt) {
                        Ok(()) => {
                            invisible.insert(id, world.now);
                        }
                        Err(Error::MessageNotAvailable { .. }) => prop_assert!(!alive.contains(&id)),
                        Err(Error::MessageNotInflight) => prop_assert!(invisible[&id] <= world.now),
                        Err(other) => return Err(TestCaseError::fail(other.to_string())),
                    }
                }
                Step::Wait { secs } => world.now = world.now.plus(Duration::from_secs(u64::from(secs))),
                _ => {}
            }
            let (kept, counted) = world.counts();
            prop_assert_eq!(kept, counted);
            prop_assert_eq!((kept.visible + kept.delayed + kept.in_flight) as usize, alive.len());
        }
    }
}

#[test]
fn a_message_received_too_often_goes_to_the_dead_letter_queue_with_its_history() {
    for (name, dead_name, group) in [("q", "d", None), ("q.fifo", "d.fifo", Some("g"))] {
        let mut world = World1::new(name);
        let dead = queue(dead_name, 2);
        world.write(|tx| Ok(tx.put(&QUEUES, &world.scope, &(dead_name,), &dead)?)).unwrap();
        let text = format!(
            r#"{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:{dead_name}","maxReceiveCount":2}}"#
        );
        world.queue.attributes = world.queue.attributes.changed([("RedrivePolicy", text.as_str())]).unwrap();
        let target = world
            .write(|tx| dead_letter::of_queue(tx, &world.scope, &world.queue, || "arn:source".into()))
            .unwrap()
            .unwrap();
        world.send(group, 0);
        for _ in 0..2 {
            assert_eq!(world.receive(10, Some(&target)).len(), 1);
            world.now = world.now.plus(Duration::from_secs(31));
        }
        assert_eq!(world.receive(10, Some(&target)).len(), 0);
        assert_eq!(world.counts().0.visible, 0);
        world.queue = dead;
        let received = world.receive(10, None);
        let message = &received[0].1;
        assert_eq!((message.id.as_str(), message.receive_count), ("m1", 3));
        assert_eq!(message.dead_letter_source_arn.as_deref(), Some("arn:source"));
    }
}

#[test]
fn retention_ends_messages_also_when_it_is_shortened() {
    let mut world = World1::new("q");
    world.send(None, 0);
    world.now = world.now.plus(Duration::from_secs(120));
    world.send(None, 0);
    world.queue.attributes.retention_secs = 60;
    let gone = world.write(|tx| messages::expire(tx, &world.scope, &world.queue, world.now, 100)).unwrap();
    assert_eq!(gone, 1);
    assert_eq!(world.receive(10, None).len(), 1);
    let (kept, counted) = world.counts();
    assert_eq!(kept, counted);
}

#[test]
fn a_receive_attempt_repeats_until_its_messages_are_touched() {
    let mut world = World1::new("q.fifo");
    world.send(Some("g"), 0);
    world.send(Some("g"), 0);
    let attempt = |world: &World1| {
        world.write(|tx| {
            let how = Receive { max: 10, visibility: Duration::from_secs(30), now: world.now, attempt_id: Some("a") };
            fifo::receive(tx, &world.scope, &world.queue, None, how)
        })
    };
    let first = attempt(&world).unwrap();
    let again = attempt(&world).unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(
        first.iter().map(|(receipt, _)| *receipt).collect::<Vec<_>>(),
        again.iter().map(|(receipt, _)| *receipt).collect::<Vec<_>>()
    );
    world.delete(&first[0].0).unwrap();
    assert!(matches!(attempt(&world), Err(Error::InvalidParameterValue { .. })));
}
