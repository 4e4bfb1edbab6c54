//! Targets of rules.

use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::Transaction;

use crate::error::{Error, Result};
use crate::index;
use crate::model::names::BusRef;
use crate::model::{json, target};
use crate::operations::{buses, permissions, rules};
use crate::pages;
use crate::service::Events;
use crate::store::{RULES_BY_TARGET, Rule, Target};

/// Keeps the list of who targets what true.
fn link(tx: &mut Transaction<'_>, bus: &BusRef, before: &[Target], rule: &Rule) -> Result<()> {
    for target in before {
        tx.delete(&RULES_BY_TARGET, &bus.place.scope, &(bus.name.as_str(), target.arn.as_str(), rule.name.as_str()))?;
    }
    for target in &rule.targets {
        let key = (bus.name.as_str(), target.arn.as_str(), rule.name.as_str());
        tx.put(&RULES_BY_TARGET, &bus.place.scope, &key, &())?;
    }
    Ok(())
}

pub async fn put(events: &Events, cx: &Context, input: api::PutTargetsInput) -> Result<api::PutTargetsOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    let mut stored = Vec::with_capacity(input.targets.len());
    for given in &input.targets {
        stored.push(Target { id: given.id.clone(), arn: given.arn.clone(), json: json::of_shape(given)? });
    }
    let write = events.store.write(|tx| {
        permissions::check_rule(tx, cx, &bus, &input.rule, "events:PutTargets")?;
        let mut rule = rules::load(tx, &bus, &input.rule)?;
        rules::check_managed(&rule, None)?;
        for given in &input.targets {
            target::check(given, rule.role_arn.as_deref())?;
        }
        let before = rule.targets.clone();
        for new in &stored {
            match rule.targets.iter_mut().find(|known| known.id == new.id) {
                Some(known) => known.clone_from(new),
                None => rule.targets.push(new.clone()),
            }
        }
        if rule.targets.len() > events.config.targets_per_rule.max(before.len()) {
            return Err(Error::limit());
        }
        link(tx, &bus, &before, &rule)?;
        rules::save(tx, &bus, &rule)?;
        index::touch(tx, &bus, events.host.random())
    });
    write.await?;
    Ok(api::PutTargetsOutput { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
}

pub async fn remove(events: &Events, cx: &Context, input: api::RemoveTargetsInput) -> Result<api::RemoveTargetsOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    let write = events.store.write(|tx| {
        permissions::check_rule(tx, cx, &bus, &input.rule, "events:RemoveTargets")?;
        let mut rule = rules::load(tx, &bus, &input.rule)?;
        rules::check_managed(&rule, input.force)?;
        let before = rule.targets.clone();
        let missing: Vec<&String> =
            input.ids.iter().filter(|id| !before.iter().any(|target| target.id == **id)).collect();
        rule.targets.retain(|target| !input.ids.contains(&target.id));
        link(tx, &bus, &before, &rule)?;
        rules::save(tx, &bus, &rule)?;
        index::touch(tx, &bus, events.host.random())?;
        let failed = missing.into_iter().map(|id| api::RemoveTargetsResultEntry {
            target_id: Some(id.clone()),
            error_code: Some("ResourceNotFoundException".to_owned()),
            error_message: Some(format!("Rule {} does not have a target with the Id {id}.", rule.name)),
        });
        Ok::<_, Error>(failed.collect::<Vec<_>>())
    });
    let failed = write.await?;
    Ok(api::RemoveTargetsOutput { failed_entry_count: i32::try_from(failed.len()).ok(), failed_entries: Some(failed) })
}

pub async fn list(
    events: &Events,
    cx: &Context,
    input: api::ListTargetsByRuleInput,
) -> Result<api::ListTargetsByRuleOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    let read = events.store.read(|snapshot| {
        permissions::check_rule(snapshot, cx, &bus, &input.rule, "events:ListTargetsByRule")?;
        rules::load(snapshot, &bus, &input.rule)
    });
    let mut targets = read.await?.targets;
    targets.sort_by(|one, other| one.id.cmp(&other.id));
    let after = pages::decode(input.next_token.as_deref())?.unwrap_or_default();
    let size = pages::size(input.limit);
    let mut rest = targets.into_iter().filter(|target| target.id > after);
    let page: Vec<Target> = rest.by_ref().take(size).collect();
    let next_token = rest.next().and(page.last()).map(|last| pages::encode(&last.id));
    let targets = page.iter().map(|target| json::to_shape(&target.json)).collect();
    Ok(api::ListTargetsByRuleOutput { targets: Some(targets), next_token })
}

pub async fn list_rule_names(
    events: &Events,
    cx: &Context,
    input: api::ListRuleNamesByTargetInput,
) -> Result<api::ListRuleNamesByTargetOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    let after = pages::decode(input.next_token.as_deref())?;
    let target = input.target_arn.as_str();
    let read = events.store.read(|snapshot| {
        permissions::check_reach(snapshot, cx, &bus, "events:ListRuleNamesByTarget", &[])?;
        buses::check_exists(snapshot, &bus)?;
        let after = after.as_ref().map(|after| (bus.name.as_str(), target, after.as_str()));
        let range = pages::behind(&(bus.name.as_str(), target, ""), after);
        let name_of = |key: &(String, String, String)| key.2.clone();
        pages::collect(snapshot, &RULES_BY_TARGET, &bus.place.scope, range, input.limit, name_of, |key, ()| {
            Ok(Some(key.2.clone()))
        })
    });
    let (names, next_token) = read.await?;
    Ok(api::ListRuleNamesByTargetOutput { rule_names: Some(names), next_token })
}
