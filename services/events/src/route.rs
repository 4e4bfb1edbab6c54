//! An event on a bus: which rules it matches, what that sends and archives, and the one transaction that keeps it.

use fractus_aws::Lane;
use fractus_bus::contracts::{Cause, Delivery};
use fractus_bus::outbox::{Handoff, MOST_WAITING};
use fractus_clock::Timestamp;
use fractus_patterns::Event;
use fractus_store::{Scope, Transaction};

use crate::error::Result;
use crate::index::BusIndex;
use crate::model::deliver::{CompiledRule, Passing, id_of};
use crate::model::event;
use crate::model::retention;
use crate::model::target::Kind;
use crate::service::Events;
use crate::store::{ARCHIVE_DAYS, ARCHIVED, ARCHIVES, Archived};

/// An event that has come to a bus.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub lane: &'a Lane,
    /// JSON without space between its tokens.
    pub event: &'a str,
    /// Of this passage alone.
    pub id: &'a str,
    pub trace_header: Option<&'a str>,
    /// The time in the event, where whoever brings it knows it.
    pub time: Option<Timestamp>,
    pub at: Timestamp,
    pub cause: &'a Cause,
    /// It came from a rule of another bus. Such an event goes to no third one.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-bus-to-bus.html>
    pub is_forwarded: bool,
    /// A management call that only reads, which only rules of a certain state see.
    pub is_read_only_call: bool,
    /// Rules by ARN that alone are asked; empty: all.
    pub only: &'a [String],
}

impl<'a> Arrival<'a> {
    pub fn new(lane: &'a Lane, event: &'a str, id: &'a str, at: Timestamp, cause: &'a Cause) -> Self {
        Arrival {
            lane,
            event,
            id,
            trace_header: None,
            time: None,
            at,
            cause,
            is_forwarded: false,
            is_read_only_call: false,
            only: &[],
        }
    }

    fn passing(&self) -> Passing<'a> {
        Passing {
            lane: self.lane,
            event: self.event,
            id: self.id,
            trace_header: self.trace_header,
            at: self.at,
            cause: self.cause,
        }
    }
}

/// What an event leads to.
#[derive(Debug, Default)]
pub struct Plan {
    pub deliveries: Vec<Delivery>,
    archived: Vec<ToArchive>,
}

#[derive(Debug)]
struct ToArchive {
    archive: String,
    at: Timestamp,
    event: String,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.archived.is_empty()
    }
}

/// Asks a bus's rules. `parsed` is the arrival's event taken apart.
pub fn plan(index: &BusIndex, parsed: &Event<'_>, arrival: &Arrival<'_>, plan: &mut Plan) {
    for rule in index.matches(parsed) {
        if arrival.is_read_only_call && !rule.sees_read_only {
            continue;
        }
        if arrival.only.is_empty() || arrival.only.iter().any(|arn| arn == rule.arn_text()) {
            plan_rule(rule, arrival, plan);
        }
    }
}

/// Sends an event to all targets of a rule.
pub fn plan_rule(rule: &CompiledRule, arrival: &Arrival<'_>, plan: &mut Plan) {
    let passing = arrival.passing();
    for target in &rule.targets {
        match target.kind {
            Kind::Archive => plan.archived.push(ToArchive {
                archive: target.id.clone(),
                // Replays go by the time in the event.
                // <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_StartReplay.html>
                at: arrival.time.or_else(|| event::time_of(arrival.event)).unwrap_or(arrival.at),
                event: arrival.event.to_owned(),
            }),
            Kind::Bus if arrival.is_forwarded => {}
            _ => {
                let number = plan.deliveries.len();
                plan.deliveries.push(rule.delivery(target, number, &passing));
            }
        }
    }
}

/// Whether the outbox takes this much more. Beyond its bound it would drop what was accepted, so nothing is accepted.
pub fn has_room(events: &Events, plan: &Plan) -> bool {
    plan.deliveries.is_empty() || events.outbox.waiting() + plan.deliveries.len() < MOST_WAITING
}

/// Writes what a plan wants into the transaction. The handoffs are dropped after it: then the deliveries go out.
pub fn write(tx: &mut Transaction<'_>, events: &Events, scope: &Scope, plan: &Plan) -> Result<Vec<Handoff>> {
    for archived in &plan.archived {
        archive(tx, scope, archived)?;
    }
    let mut handoffs = Vec::with_capacity(plan.deliveries.len());
    for delivery in &plan.deliveries {
        handoffs.push(events.outbox.put(tx, delivery)?);
    }
    Ok(handoffs)
}

fn archive(tx: &mut Transaction<'_>, scope: &Scope, incoming: &ToArchive) -> Result<()> {
    // The archive may have gone since the index was read.
    let Some(archive) = tx.get_shared(&ARCHIVES, scope, &(incoming.archive.as_str(),))? else { return Ok(()) };
    let id = id_of(&incoming.event);
    let key = (archive.id.as_str(), incoming.at, id.as_str());
    if tx.contains(&ARCHIVED, scope, &key)? {
        return Ok(());
    }
    let day = (archive.id.as_str(), retention::day_of(incoming.at));
    let mut count = tx.get(&ARCHIVE_DAYS, scope, &day)?.unwrap_or_default();
    count.events += 1;
    count.bytes += incoming.event.len() as u64;
    tx.put(&ARCHIVE_DAYS, scope, &day, &count)?;
    Ok(tx.put(&ARCHIVED, scope, &key, &Archived { event: incoming.event.clone() })?)
}
