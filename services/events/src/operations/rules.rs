//! Rules.

use fractus_aws::{Lane, Partition};
use fractus_clock::Timestamp;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_patterns::{Dialect, Pattern};
use fractus_schedules::{Expression, Schedule, Zone};
use fractus_store::{Scope, Snapshot, Transaction};

use crate::error::{Error, Result};
use crate::index;
use crate::model::names::BusRef;
use crate::operations::{buses, permissions, tags};
use crate::pages;
use crate::service::{Events, Wakers};
use crate::store::{RULE_COUNTS, RULES, RULES_BY_TARGET, Rule, SCHEDULED, Scheduled};

pub fn load(snapshot: &Snapshot<'_>, bus: &BusRef, name: &str) -> Result<Rule> {
    buses::check_exists(snapshot, bus)?;
    let rule = snapshot.get(&RULES, &bus.place.scope, &(bus.name.as_str(), name))?;
    rule.ok_or_else(|| Error::no_rule(name, &bus.name))
}

/// Where the lists of a whole lane lie.
pub fn lane_scope(lane: &Lane) -> Scope {
    Scope::new(lane, Partition::Aws, None, None)
}

fn scheduled_key(bus: &BusRef, rule: &str, due: Timestamp) -> (Timestamp, String, String, String) {
    (due, bus.place.world.account.to_string(), bus.place.region.to_string(), rule.to_owned())
}

/// Writes a rule, without saying that it has changed.
pub fn save(tx: &mut Transaction<'_>, bus: &BusRef, rule: &Rule) -> Result<()> {
    Ok(tx.put(&RULES, &bus.place.scope, &(bus.name.as_str(), rule.name.as_str()), rule)?)
}

/// Writes a rule whose schedule or state may have changed, and the moment when it is due next after `now`.
pub fn save_scheduled(tx: &mut Transaction<'_>, bus: &BusRef, rule: &mut Rule, now: Timestamp) -> Result<()> {
    let lane = lane_scope(&bus.place.world.lane);
    if let Some(due) = rule.due_at.take() {
        tx.delete(&SCHEDULED, &lane, &scheduled_key(bus, &rule.name, due))?;
    }
    if rule.is_enabled()
        && let Some(schedule) = schedule(rule)
        && let Some(due) = schedule.next_after(now)
    {
        rule.due_at = Some(due);
        let entry = Scheduled { partition: bus.place.world.partition.as_str().to_owned(), bus: bus.name.clone() };
        tx.put(&SCHEDULED, &lane, &scheduled_key(bus, &rule.name, due), &entry)?;
    }
    save(tx, bus, rule)
}

/// When a rule is due: a rate first after one period from when it was set.
pub fn schedule(rule: &Rule) -> Option<Schedule> {
    let expression = Expression::parse_of_rule(rule.schedule.as_deref()?).ok()?;
    Some(Schedule::new(expression, Zone::parse("UTC").ok()?, rule.scheduled_at))
}

/// Takes a rule away with all that points to it.
pub fn remove(tx: &mut Transaction<'_>, bus: &BusRef, name: &str) -> Result<()> {
    let scope = &bus.place.scope;
    let Some(rule) = tx.take(&RULES, scope, &(bus.name.as_str(), name))? else { return Ok(()) };
    for target in &rule.targets {
        tx.delete(&RULES_BY_TARGET, scope, &(bus.name.as_str(), target.arn.as_str(), name))?;
    }
    if let Some(due) = rule.due_at {
        tx.delete(&SCHEDULED, &lane_scope(&bus.place.world.lane), &scheduled_key(bus, name, due))?;
    }
    let count = tx.get(&RULE_COUNTS, scope, &(bus.name.as_str(),))?.unwrap_or_default();
    Ok(tx.put(&RULE_COUNTS, scope, &(bus.name.as_str(),), &count.saturating_sub(1))?)
}

/// Counts a new rule, as far as the bus takes one.
pub fn count_new(tx: &mut Transaction<'_>, events: &Events, bus: &BusRef) -> Result<()> {
    let key = (bus.name.as_str(),);
    let count = tx.get(&RULE_COUNTS, &bus.place.scope, &key)?.unwrap_or_default();
    if count >= events.config.rules_per_bus as u64 {
        return Err(Error::limit());
    }
    Ok(tx.put(&RULE_COUNTS, &bus.place.scope, &key, &(count + 1))?)
}

/// Rules that a service made for itself are changed by it, or with force.
pub fn check_managed(rule: &Rule, force: Option<bool>) -> Result<()> {
    match &rule.managed_by {
        Some(service) if force != Some(true) => Err(Error::ManagedRule(format!(
            "Rule {} is managed by an AWS service ({service}) and can only be modified with force.",
            rule.name
        ))),
        _ => Ok(()),
    }
}

pub fn check_pattern(text: &str) -> Result<()> {
    let parsed = Pattern::parse(text, Dialect::EventBridge);
    parsed.map(|_| ()).map_err(|error| Error::InvalidPattern(error.event_bridge_message()))
}

fn check(bus: &BusRef, input: &api::PutRuleInput) -> Result<()> {
    let pattern = input.event_pattern.as_deref().filter(|text| !text.is_empty());
    let schedule = input.schedule_expression.as_deref().filter(|text| !text.is_empty());
    if pattern.is_none() && schedule.is_none() {
        return Err(Error::validation("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    }
    if let Some(text) = schedule {
        if !bus.is_default() {
            return Err(Error::validation("ScheduleExpression is supported only on the default event bus."));
        }
        Expression::parse_of_rule(text).map_err(|error| Error::validation(error.rule_message()))?;
    }
    pattern.map_or(Ok(()), check_pattern)
}

/// A rule that is there is replaced but for its targets and its tags.
pub async fn put(events: &Events, cx: &Context, input: api::PutRuleInput) -> Result<api::PutRuleOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    check(&bus, &input)?;
    let new_tags = tags::of(input.tags.as_deref())?;
    let now = cx.now();
    let write = events.store.write(|tx| {
        buses::check_exists(tx, &bus)?;
        permissions::check_rule(tx, cx, &bus, &input.name, "events:PutRule")?;
        let known = tx.get(&RULES, &bus.place.scope, &(bus.name.as_str(), input.name.as_str()))?;
        let mut rule = match known {
            Some(known) => known,
            None => {
                count_new(tx, events, &bus)?;
                Rule {
                    name: input.name.clone(),
                    created_by: cx.world.account.to_string(),
                    tags: new_tags.clone(),
                    ..Rule::default()
                }
            }
        };
        check_managed(&rule, None)?;
        let schedule = input.schedule_expression.clone().filter(|text| !text.is_empty());
        if schedule != rule.schedule {
            rule.scheduled_at = now;
        }
        rule.schedule = schedule;
        rule.pattern = input.event_pattern.clone().filter(|text| !text.is_empty());
        rule.state = input.state.as_ref().map_or("ENABLED", |state| state.as_str()).to_owned();
        rule.description.clone_from(&input.description);
        rule.role_arn.clone_from(&input.role_arn);
        save_scheduled(tx, &bus, &mut rule, now)?;
        index::touch(tx, &bus, events.host.random())
    });
    write.await?;
    Wakers::wake(&events.wakers.schedules, &cx.world.lane);
    Ok(api::PutRuleOutput { rule_arn: Some(bus.rule_arn(&input.name).to_string()) })
}

/// A rule that is not there is gone already.
pub async fn delete(events: &Events, cx: &Context, input: api::DeleteRuleInput) -> Result<api::DeleteRuleOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    let write = events.store.write(|tx| {
        permissions::check_rule(tx, cx, &bus, &input.name, "events:DeleteRule")?;
        let rule = match load(tx, &bus, &input.name) {
            Ok(rule) => rule,
            Err(Error::NotFound(_)) if bus.is_default() || buses::check_exists(tx, &bus).is_ok() => return Ok(()),
            Err(error) => return Err(error),
        };
        check_managed(&rule, input.force)?;
        if !rule.targets.is_empty() && rule.managed_by.is_none() {
            return Err(Error::validation("Rule can't be deleted since it has targets."));
        }
        remove(tx, &bus, &input.name)?;
        index::touch(tx, &bus, events.host.random())
    });
    write.await?;
    Ok(api::DeleteRuleOutput::default())
}

pub async fn describe(events: &Events, cx: &Context, input: api::DescribeRuleInput) -> Result<api::DescribeRuleOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    let read = events.store.read(|snapshot| {
        permissions::check_rule(snapshot, cx, &bus, &input.name, "events:DescribeRule")?;
        load(snapshot, &bus, &input.name)
    });
    let rule = read.await?;
    Ok(api::DescribeRuleOutput {
        arn: Some(bus.rule_arn(&rule.name).to_string()),
        event_bus_name: Some(bus.name),
        event_pattern: rule.pattern,
        schedule_expression: rule.schedule,
        state: Some(rule.state.as_str().into()),
        description: rule.description,
        role_arn: rule.role_arn,
        managed_by: rule.managed_by,
        created_by: Some(rule.created_by),
        name: Some(rule.name),
    })
}

async fn set_state(events: &Events, cx: &Context, bus: &BusRef, name: &str, state: &str, action: &str) -> Result<()> {
    let now = cx.now();
    let write = events.store.write(|tx| {
        permissions::check_rule(tx, cx, bus, name, action)?;
        let mut rule = load(tx, bus, name)?;
        check_managed(&rule, None)?;
        if rule.is_enabled() == (state != "DISABLED") {
            return Ok(());
        }
        state.clone_into(&mut rule.state);
        rule.scheduled_at = now;
        save_scheduled(tx, bus, &mut rule, now)?;
        index::touch(tx, bus, events.host.random())
    });
    write.await?;
    Wakers::wake(&events.wakers.schedules, &cx.world.lane);
    Ok(())
}

pub async fn enable(events: &Events, cx: &Context, input: api::EnableRuleInput) -> Result<api::EnableRuleOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    set_state(events, cx, &bus, &input.name, "ENABLED", "events:EnableRule").await?;
    Ok(api::EnableRuleOutput::default())
}

pub async fn disable(events: &Events, cx: &Context, input: api::DisableRuleInput) -> Result<api::DisableRuleOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    set_state(events, cx, &bus, &input.name, "DISABLED", "events:DisableRule").await?;
    Ok(api::DisableRuleOutput::default())
}

pub async fn list(events: &Events, cx: &Context, input: api::ListRulesInput) -> Result<api::ListRulesOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let after = pages::decode(input.next_token.as_deref())?;
    let read = events.store.read(|snapshot| {
        permissions::check_reach(snapshot, cx, &bus, "events:ListRules", &[])?;
        buses::check_exists(snapshot, &bus)?;
        let after = after.as_ref().map(|after| (bus.name.as_str(), after.as_str()));
        let range = pages::behind(&(bus.name.as_str(), prefix), after);
        pages::collect(
            snapshot,
            &RULES,
            &bus.place.scope,
            range,
            input.limit,
            |key| key.1.clone(),
            |_, rule| {
                Ok(Some(api::Rule {
                    arn: Some(bus.rule_arn(&rule.name).to_string()),
                    event_bus_name: Some(bus.name.clone()),
                    event_pattern: rule.pattern,
                    schedule_expression: rule.schedule,
                    state: Some(rule.state.as_str().into()),
                    description: rule.description,
                    role_arn: rule.role_arn,
                    managed_by: rule.managed_by,
                    name: Some(rule.name),
                }))
            },
        )
    });
    let (rules, next_token) = read.await?;
    Ok(api::ListRulesOutput { rules: Some(rules), next_token })
}
