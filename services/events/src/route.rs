//! An event on a bus: which rules it matches, what that sends and archives, and the one transaction that keeps it.

use fractus_aws::Lane;
use fractus_bus::contracts::{Attribute, Body, Cause, DeadLetter, DeadLetterForm, Delivery, Returns, Source};
use fractus_bus::outbox::{Handoff, MOST_WAITING};
use fractus_bus::{Failure, dead_letter};
use fractus_clock::Timestamp;
use fractus_patterns::Event;
use fractus_store::{Scope, Transaction};
use serde_json::json;

use crate::error::Result;
use crate::index::{BusIndex, BusSettings};
use crate::keys::{self, Refused};
use crate::logs;
use crate::model::deliver::{CompiledRule, Passing, id_of};
use crate::model::event;
use crate::model::log::{self, Records, Step, Trail};
use crate::model::names::BusRef;
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
    /// Records of its way, for CloudWatch Logs.
    logged: Vec<Delivery>,
}

/// The parameter of an event that waits for its bus's key: whether it came from another bus.
pub const IS_FORWARDED: &str = "IsForwarded";

#[derive(Debug)]
struct ToArchive {
    archive: String,
    at: Timestamp,
    event: String,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.archived.is_empty() && self.logged.is_empty()
    }

    /// What becomes of an event that cannot be kept under its bus's key: it is tried again where that may help, by the lane's
    /// clock, and goes to the bus's dead-letter queue else.
    ///
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption-event-bus-dlq.html>
    pub fn of_refused(bus: &BusRef, settings: &BusSettings, arrival: &Arrival<'_>, refused: &Refused) -> Plan {
        let source = Source {
            principal: "events.amazonaws.com".to_owned(),
            arn: Some(bus.arn()),
            account: bus.place.world.account.clone(),
            role: None,
        };
        let (id, lane) = (format!("{}/sealed", arrival.id), arrival.lane.clone());
        let mut again = Delivery::new(id, lane, bus.arn(), Body::text(arrival.event), source, arrival.at);
        again.cause = arrival.cause.clone();
        again.parameters = json!({ IS_FORWARDED: arrival.is_forwarded });
        again.returns = Some(Returns::failures("events"));
        again.dead_letter = settings.dead_letter.clone().map(|target| DeadLetter {
            target,
            service: "sqs".to_owned(),
            form: DeadLetterForm::Events,
            attributes: Default::default(),
        });
        if let Some(header) = arrival.trace_header {
            again.system_attributes.insert("AWSTraceHeader".to_owned(), Attribute::string(header));
        }
        let mut plan = Plan::default();
        if let Some(trail) = trail(bus, settings, arrival) {
            let mut records = Records::new(&trail, arrival.at);
            let error = json!({ "error_message": refused.message, "aws_service": "kms" });
            records.push(Step::EventIngestFailure, None, log::of_event(arrival.event), Some(error));
            plan.logged = records.deliveries(bus, arrival.id, arrival.cause);
        }
        if refused.refusal.passes() {
            plan.deliveries.push(again);
        } else if let Some(to) = &again.dead_letter {
            let failure =
                Failure { code: refused.code().to_owned(), message: refused.message.clone(), exhausted: None };
            plan.deliveries.push(dead_letter(&again, to, &failure, 1));
        }
        plan
    }
}

/// What the records of an event have in common, where its bus wants any.
fn trail(bus: &BusRef, settings: &BusSettings, arrival: &Arrival<'_>) -> Option<Trail> {
    Some(Trail {
        wish: settings.log?,
        bus_arn: bus.arn().to_string(),
        request_id: arrival.cause.parent.clone(),
        event_id: id_of(arrival.event),
        ingested_at: arrival.at,
    })
}

/// Asks a bus's rules. `parsed` is the arrival's event taken apart.
pub fn plan(bus: &BusRef, index: &BusIndex, parsed: &Event<'_>, arrival: &Arrival<'_>, plan: &mut Plan) {
    let mut matched: Vec<&CompiledRule> = Vec::new();
    for rule in index.matches(parsed) {
        if arrival.is_read_only_call && !rule.sees_read_only {
            continue;
        }
        if arrival.only.is_empty() || arrival.only.iter().any(|arn| arn == rule.arn_text()) {
            matched.push(rule);
        }
    }
    let Some(trail) = trail(bus, &index.settings, arrival) else {
        matched.into_iter().for_each(|rule| plan_rule(rule, arrival, plan, None));
        return;
    };
    // What AWS's own services tell and nobody wants leaves no trace.
    if matched.is_empty() && keys::is_of_aws(arrival.event) {
        return;
    }
    let mut records = Records::new(&trail, arrival.at);
    let told = log::of_event(arrival.event);
    for step in [Step::EventReceipt, Step::EventIngestSuccess, Step::RuleMatchStart] {
        records.push(step, None, told.clone(), None);
    }
    if matched.iter().all(|rule| rule.is_managed) {
        records.push(Step::NoStandardRulesMatched, None, json!({}), None);
    }
    matched.into_iter().for_each(|rule| plan_rule(rule, arrival, plan, Some((&trail, &mut records))));
    plan.logged.append(&mut records.deliveries(bus, arrival.id, arrival.cause));
}

/// Sends an event of a rule's schedule to all its targets.
pub fn plan_scheduled(
    bus: &BusRef,
    settings: &BusSettings,
    rule: &CompiledRule,
    arrival: &Arrival<'_>,
    plan: &mut Plan,
) {
    let Some(trail) = trail(bus, settings, arrival) else { return plan_rule(rule, arrival, plan, None) };
    let mut records = Records::new(&trail, arrival.at);
    records.push(Step::EventIngestSuccess, None, log::of_event(arrival.event), None);
    plan_rule(rule, arrival, plan, Some((&trail, &mut records)));
    plan.logged.append(&mut records.deliveries(bus, arrival.id, arrival.cause));
}

/// Sends an event to all targets of a rule.
fn plan_rule(rule: &CompiledRule, arrival: &Arrival<'_>, plan: &mut Plan, log: Option<(&Trail, &mut Records<'_>)>) {
    let first = plan.deliveries.len();
    plan_targets(rule, arrival, plan);
    if let Some((trail, records)) = log {
        logs::of_rule(trail, records, rule, &mut plan.deliveries[first..]);
    }
}

fn plan_targets(rule: &CompiledRule, arrival: &Arrival<'_>, plan: &mut Plan) {
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
    let mut handoffs = Vec::with_capacity(plan.deliveries.len() + plan.logged.len());
    for delivery in plan.deliveries.iter().chain(&plan.logged) {
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
