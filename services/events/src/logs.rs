//! The records of what becomes of a bus's deliveries: they tell by a note that goes with each delivery and comes back.

use fractus_aws::World;
use fractus_bus::contracts::Delivery;
use fractus_host::{Attempted, Verdict};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::model::deliver::CompiledRule;
use crate::model::log::{self, Invocation, Level, Records, Step, Trail, invocation_id};
use crate::model::names::BusRef;

/// The member of a delivery's note that is ours; API destinations have another one there.
const NOTE: &str = "log";

#[derive(Serialize, Deserialize)]
struct Note {
    trail: Trail,
    invocation: Invocation,
}

/// Tells of a rule that matches and of the invocations that it leads to, and gives each its note.
pub fn of_rule(trail: &Trail, records: &mut Records<'_>, rule: &CompiledRule, deliveries: &mut [Delivery]) {
    let ids: Vec<String> = deliveries.iter().map(|delivery| invocation_id(&delivery.id)).collect();
    let arns: Vec<String> = rule.targets.iter().map(|target| target.arn().to_string()).collect();
    let told = json!({ "rule_arn": rule.arn_text(), "target_arns": arns, "invocation_ids": ids });
    records.push(Step::RuleMatch, None, told, None);
    for (delivery, id) in deliveries.iter_mut().zip(ids) {
        let role_arn = delivery.source.role.as_ref().map(ToString::to_string);
        let invocation = Invocation { id, rule_arn: rule.arn_text().to_owned(), role_arn };
        log::begin(records, &invocation, delivery);
        let note = serde_json::to_value(Note { trail: trail.clone(), invocation }).unwrap_or_default();
        if let Some(returns) = &mut delivery.returns {
            // Errors come back anyway; that it has arrived is told of by those who want more.
            returns.all = trail.wish.level >= Level::Info;
            returns.note = json!({ NOTE: note });
        }
    }
}

/// The records of an attempt that has come back.
pub fn of_attempt(attempted: &Attempted<'_>) -> Vec<Delivery> {
    let delivery = attempted.delivery;
    let note = delivery.returns.as_ref().and_then(|returns| returns.note.get(NOTE));
    let note: Option<Note> = note.and_then(|note| serde_json::from_value(note.clone()).ok());
    let Some(Note { trail, invocation }) = note else { return Vec::new() };
    let lane_of = World { lane: delivery.lane.clone(), ..World::default_world() };
    let bus = trail.bus_arn.parse().ok().and_then(|arn| BusRef::of_arn(&lane_of, &arn));
    let Some(bus) = bus else { return Vec::new() };
    let mut records = Records::new(&trail, attempted.now);
    let ended = !matches!(attempted.verdict, Verdict::Again(_));
    log::attempted(&mut records, &invocation, delivery, attempted.fate, ended, trail.ingested_at);
    records.deliveries(&bus, &format!("{}/{}", delivery.id, delivery.attempt), &delivery.cause)
}
