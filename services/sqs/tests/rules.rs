//! The rules against a reference that is too simple to be wrong: random sends, receives, deletes and waits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test that cannot go on fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fractus_aws::{Region, World};
use fractus_clock::{Clock, Clocks, Timestamp};
use fractus_sqs::error::Error;
use fractus_sqs::model::attributes::Attributes;
use fractus_sqs::model::dead_letter::{self, DeadLetter};
use fractus_sqs::model::fifo;
use fractus_sqs::model::messages::{self, History, Place, Received};
use fractus_sqs::model::receipt::Receipt;
use fractus_sqs::model::standard;
use fractus_sqs::store::{Counters, MESSAGES, Message, QUEUES, Queue, State};
use fractus_store::{Order, Range, Scope, Store, Transaction};
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
        let mut message =
            Message { id: id.clone(), body: id.clone(), group_id: group.map(str::to_owned), ..Message::default() };
        let (scope, queue, now) = (self.scope.clone(), self.queue.clone(), self.now);
        let delay = Duration::from_secs(delay_secs);
        self.write(|tx| {
            messages::with_counters(tx, &scope, &queue, |tx, counts| {
                messages::insert(tx, &scope, &queue, counts, &mut message, History::default(), now, now, delay)
            })
        })
        .unwrap();
        id
    }

    fn write<T>(&self, work: impl FnMut(&mut Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        // The memory engine completes at once; a current-thread runtime is enough to drive it.
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(self.store.write(work))
    }

    /// One look at the queue: what is due becomes visible, then something happens.
    fn look<T>(
        &self,
        mut work: impl FnMut(&mut Transaction<'_>, &mut Counters) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.write(|tx| {
            messages::with_counters(tx, &self.scope, &self.queue, |tx, counts| {
                messages::promote_due(tx, &self.scope, &self.queue, counts, self.now)?;
                work(tx, counts)
            })
        })
    }

    fn receive(&mut self, max: usize, dead_letter: Option<&DeadLetter>) -> Vec<Received> {
        let (visibility, now) = (Duration::from_secs(30), self.now);
        self.look(|tx, counts| {
            if self.queue.is_fifo() {
                let how = fifo::Receive { max, visibility, now, attempt_id: None };
                fifo::receive(tx, &self.scope, &self.queue, counts, dead_letter, how)
            } else {
                let how = standard::Receive { max, visibility, now };
                standard::receive(tx, &self.scope, &self.queue, counts, dead_letter, how)
            }
        })
        .unwrap()
    }

    fn delete(&self, receipt: &Receipt) -> Result<(), Error> {
        let handle = receipt.encode();
        self.look(|tx, counts| messages::delete(tx, &self.scope, &self.queue, counts, &handle, self.now))
    }

    fn change_visibility(&self, receipt: &Receipt, timeout: Duration) -> Result<(), Error> {
        let handle = receipt.encode();
        self.look(|tx, counts| {
            messages::change_visibility(tx, &self.scope, &self.queue, counts, &handle, timeout, self.now)
        })
    }

    fn give_back(&self, receipt: &Receipt) -> Result<(), Error> {
        self.change_visibility(receipt, Duration::ZERO)
    }

    /// The counts as kept, and as counted.
    fn counts(&self) -> (Counters, Counters) {
        self.look(|_, _| Ok(())).unwrap();
        self.write(|tx| {
            let kept = messages::counters(tx, &self.scope, &self.queue)?;
            let mut counted = Counters { next_number: kept.next_number, ..Counters::default() };
            for entry in tx.range(&MESSAGES, &self.scope, Range::prefix(&(self.queue.space,)), Order::Ascending)? {
                let ((_, sent, number), message) = entry?;
                counted.grouped += u64::from(message.group_id.is_some() && !self.queue.is_fifo());
                match messages::standing(tx, &self.scope, &self.queue, Place { sent, number })?.state {
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
                    let ids: Vec<String> = received.iter().map(|one| one.message.id.clone()).collect();
                    prop_assert_eq!(ids, fifo_reference(&mut list, max, world.now));
                    receipts.extend(received.into_iter().map(|one| (one.message.id, one.receipt)));
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
    fn standard_queues_lose_nothing_and_count_right(steps in steps(), grouped in any::<bool>()) {
        let mut world = World1::new("q");
        let mut alive: BTreeSet<String> = BTreeSet::new();
        let mut invisible: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut receipts: Vec<(String, Receipt)> = Vec::new();
        for step in steps {
            match step {
                Step::Send { group, delay_secs } => {
                    let group = (grouped && group > 0).then(|| format!("g{group}"));
                    let id = world.send(group.as_deref(), u64::from(delay_secs));
                    invisible.insert(id.clone(), world.now.plus(Duration::from_secs(u64::from(delay_secs))));
                    alive.insert(id);
                }
                Step::Receive { max } => {
                    let visible = alive.iter().filter(|id| invisible[*id] <= world.now).count();
                    let received = world.receive(max, None);
                    prop_assert_eq!(received.len(), visible.min(max));
                    for Received { receipt, message, .. } in received {
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
        let Received { message, standing, .. } = &received[0];
        assert_eq!((message.id.as_str(), standing.receive_count), ("m1", 3));
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
    let gone =
        world.look(|tx, counts| messages::expire(tx, &world.scope, &world.queue, counts, world.now, 100)).unwrap();
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
        world.look(|tx, counts| {
            let visibility = Duration::from_secs(30);
            let how = fifo::Receive { max: 10, visibility, now: world.now, attempt_id: Some("a") };
            fifo::receive(tx, &world.scope, &world.queue, counts, None, how)
        })
    };
    let first = attempt(&world).unwrap();
    let again = attempt(&world).unwrap();
    assert_eq!(first.len(), 2);
    assert_eq!(
        first.iter().map(|one| one.receipt).collect::<Vec<_>>(),
        again.iter().map(|one| one.receipt).collect::<Vec<_>>()
    );
    world.delete(&first[0].receipt).unwrap();
    assert!(matches!(attempt(&world), Err(Error::InvalidParameterValue { .. })));
}

#[test]
fn a_receive_for_no_time_counts_and_leaves_the_message_where_it_is() {
    let mut world = World1::new("q");
    for _ in 0..3 {
        world.send(None, 0);
    }
    let look = |world: &World1, max| {
        let how = standard::Receive { max, visibility: Duration::ZERO, now: world.now };
        world.look(|tx, counts| standard::receive(tx, &world.scope, &world.queue, counts, None, how)).unwrap()
    };
    let ids = |received: &[Received]| received.iter().map(|one| one.message.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&look(&world, 10)), ["m1", "m2", "m3"]);
    let first_received_at = world.now;
    world.now = world.now.plus(Duration::from_secs(5));
    let again = look(&world, 2);
    assert_eq!(ids(&again), ["m1", "m2"]);
    assert_eq!(again[0].standing.receive_count, 2);
    assert_eq!(again[0].standing.first_received_at, Some(first_received_at));
    assert!(matches!(world.give_back(&again[0].receipt), Err(Error::MessageNotInflight)));
    world.delete(&again[0].receipt).unwrap();
    assert_eq!(ids(&world.receive(10, None)), ["m2", "m3"]);
    let (kept, counted) = world.counts();
    assert_eq!(kept, counted);
    assert_eq!((kept.visible, kept.in_flight), (0, 2));
}

#[test]
fn nothing_stays_in_flight_for_more_than_twelve_hours() {
    let mut world = World1::new("q");
    world.send(None, 0);
    let receipt = world.receive(1, None)[0].receipt;
    world.now = world.now.plus(Duration::from_secs(10));
    let refused = world.change_visibility(&receipt, Duration::from_secs(43_200)).unwrap_err();
    assert!(refused.to_string().ends_with("is beyond the limit [43200 seconds]"), "{refused}");
    world.change_visibility(&receipt, Duration::from_secs(43_190)).unwrap();
    world.now = world.now.plus(Duration::from_secs(43_189));
    assert!(world.receive(1, None).is_empty());
    world.now = world.now.plus(Duration::from_secs(1));
    assert_eq!(world.receive(1, None)[0].standing.receive_count, 2);
}

/// Which groups' messages come, one receive at a time, each left in flight.
fn groups_received(world: &mut World1, count: usize) -> String {
    (0..count)
        .filter_map(|_| world.receive(1, None).pop())
        .map(|one| one.message.group_id.unwrap_or_else(|| "-".into()))
        .collect()
}

#[test]
fn a_tenant_that_holds_more_than_its_share_yields_to_quiet_ones() {
    let mut world = World1::new("q");
    for _ in 0..60 {
        world.send(Some("a"), 0);
    }
    // Until it holds thirty messages, nothing but the order of sending counts.
    assert_eq!(groups_received(&mut world, 30), "a".repeat(30));
    world.send(Some("b"), 0);
    world.send(None, 0);
    world.send(Some("c"), 0);
    world.send(Some("b"), 0);
    // The oldest message is a's, and waits behind everybody else's; then it goes on, for nobody is held back for nothing.
    assert_eq!(groups_received(&mut world, 6), "b-cbaa");
    let (kept, counted) = world.counts();
    assert_eq!(kept, counted);
}

#[test]
fn a_noisy_tenant_is_quiet_again_when_its_share_has_fallen() {
    let mut world = World1::new("q");
    for _ in 0..40 {
        world.send(Some("a"), 0);
    }
    let held: Vec<Receipt> = (0..30).map(|_| world.receive(1, None)[0].receipt).collect();
    world.send(Some("b"), 0);
    world.send(Some("b"), 0);
    assert_eq!(groups_received(&mut world, 1), "b");
    for receipt in &held[..5] {
        world.delete(receipt).unwrap();
    }
    // With 25 in flight it is in its old place again: before b.
    assert_eq!(groups_received(&mut world, 1), "a");
    let (kept, counted) = world.counts();
    assert_eq!(kept, counted);
}

#[test]
fn of_two_noisy_tenants_the_one_with_fewer_in_flight_goes_first() {
    let mut world = World1::new("q");
    for group in ["a", "b"] {
        for _ in 0..45 {
            world.send(Some(group), 0);
        }
    }
    // a takes 30 and becomes noisy, so does b; then they take turns by what they hold.
    let groups = groups_received(&mut world, 70);
    assert_eq!(&groups[..60], "a".repeat(30) + &"b".repeat(30));
    assert_eq!(groups[60..].matches('a').count(), 5);
}

#[test]
fn a_tenant_that_takes_the_receivers_time_yields_too_and_not_for_ever() {
    let mut world = World1::new("q");
    for _ in 0..4 {
        world.send(Some("slow"), 0);
    }
    // Three messages, 29 seconds each: 87 seconds of work, all of it for one tenant.
    for _ in 0..3 {
        let receipt = world.receive(1, None)[0].receipt;
        world.now = world.now.plus(Duration::from_secs(29));
        world.delete(&receipt).unwrap();
    }
    world.send(Some("b"), 0);
    assert_eq!(groups_received(&mut world, 1), "b");
    world.send(Some("b"), 0);
    // Nothing sent for five minutes: quiet, and the oldest.
    world.now = world.now.plus(Duration::from_secs(301));
    assert_eq!(groups_received(&mut world, 1), "slow");
}

#[test]
fn a_queue_that_is_its_own_dead_letter_queue_keeps_its_messages() {
    let mut world = World1::new("q");
    let text = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:q","maxReceiveCount":1}"#;
    world.queue.attributes = world.queue.attributes.changed([("RedrivePolicy", text)]).unwrap();
    let own = world.queue.clone();
    world.write(|tx| Ok(tx.put(&QUEUES, &world.scope, &("q",), &own)?)).unwrap();
    world.send(None, 0);
    for count in 1..4 {
        let target =
            world.write(|tx| dead_letter::of_queue(tx, &world.scope, &world.queue, || "arn:source".into())).unwrap();
        assert_eq!(world.receive(1, target.as_ref())[0].standing.receive_count, count);
        world.now = world.now.plus(Duration::from_secs(31));
    }
}

#[test]
fn a_receive_puts_only_so_many_messages_aside() {
    let mut world = World1::new("q");
    for _ in 0..1_200 {
        world.send(None, 0);
    }
    world.now = world.now.plus(Duration::from_secs(3600));
    world.queue.attributes.retention_secs = 60;
    assert!(world.receive(1, None).is_empty());
    assert_eq!(world.counts().0.visible, 700);
    world.send(None, 0);
    assert!(world.receive(1, None).is_empty());
    assert_eq!(world.receive(1, None).len(), 1);
}
