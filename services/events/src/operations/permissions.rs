//! PutPermission and RemovePermission: the policy of a bus; and who may reach for a bus of another account.

use fractus_aws::Arn;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::Snapshot;

use crate::error::{Error, Result};
use crate::model::names::BusRef;
use crate::model::policy::{self, Permission, Reach};
use crate::operations::buses;
use crate::service::Events;

/// Asks the policy of a bus of another account; one's own needs none.
pub fn check_reach(
    snapshot: &Snapshot<'_>,
    cx: &Context,
    bus: &BusRef,
    action: &str,
    conditions: &[(&str, &str)],
) -> Result<()> {
    check_reach_for(snapshot, cx, bus, &bus.arn(), action, conditions)
}

/// The same for a rule on the bus, which is under the bus's policy.
pub fn check_rule(snapshot: &Snapshot<'_>, cx: &Context, bus: &BusRef, rule: &str, action: &str) -> Result<()> {
    check_reach_for(snapshot, cx, bus, &bus.rule_arn(rule), action, &[])
}

fn check_reach_for(
    snapshot: &Snapshot<'_>,
    cx: &Context,
    bus: &BusRef,
    resource: &Arn,
    action: &str,
    conditions: &[(&str, &str)],
) -> Result<()> {
    if bus.place.world.account == cx.world.account {
        return Ok(());
    }
    let record = buses::load(snapshot, bus)?;
    policy::check_reach(&Reach {
        principal: &policy::principal_of_caller(&cx.caller),
        action,
        resource: &resource.to_string(),
        owner: &bus.place.world.account,
        policy: record.policy.as_deref(),
        conditions,
        now: cx.now(),
    })
}

fn required<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str> {
    value.ok_or_else(|| Error::validation(format!("Parameter {name} must be specified.")))
}

pub async fn put(events: &Events, cx: &Context, input: api::PutPermissionInput) -> Result<api::PutPermissionOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    let whole = input.policy.as_deref().map(policy::checked).transpose()?;
    let is_single = input.statement_id.is_some() || input.action.is_some() || input.principal.is_some();
    if whole.is_some() && is_single {
        return Err(Error::validation("Only one of Policy, or StatementId, Action and Principal must be specified."));
    }
    let condition = input.condition.as_ref();
    let condition =
        condition.map(|condition| (condition.r#type.as_str(), condition.key.as_str(), condition.value.as_str()));
    if condition.is_some_and(|(operator, key, _)| operator != "StringEquals" || key != "aws:PrincipalOrgID") {
        return Err(Error::parameter("Condition", "Only StringEquals on aws:PrincipalOrgID is supported."));
    }
    let now = cx.now();
    let partition = bus.place.world.partition.as_str();
    let write = events.store.write(|tx| {
        let mut record = buses::load(tx, &bus)?;
        record.policy = Some(match &whole {
            Some(policy) => policy.clone(),
            None => {
                let permission = Permission {
                    statement_id: required(input.statement_id.as_deref(), "StatementId")?,
                    action: required(input.action.as_deref(), "Action")?,
                    principal: required(input.principal.as_deref(), "Principal")?,
                    condition,
                };
                if permission.action != "events:PutEvents" {
                    return Err(Error::parameter("Action", "Provided value in parameter 'action' is not supported."));
                }
                policy::with_statement(record.policy.as_deref(), &permission, &bus.arn().to_string(), partition)?
            }
        });
        record.created_at = record.created_at.or(Some(now));
        record.modified_at = Some(now);
        buses::save(tx, &bus, &record)
    });
    write.await?;
    Ok(api::PutPermissionOutput::default())
}

pub async fn remove(
    events: &Events,
    cx: &Context,
    input: api::RemovePermissionInput,
) -> Result<api::RemovePermissionOutput> {
    let bus = BusRef::of(cx, input.event_bus_name.as_deref())?;
    let now = cx.now();
    let write = events.store.write(|tx| {
        let mut record = buses::load(tx, &bus)?;
        record.policy = if input.remove_all_permissions == Some(true) {
            None
        } else {
            let statement_id = required(input.statement_id.as_deref(), "StatementId")?;
            if record.policy.is_none() {
                return Err(Error::NotFound("EventBus does not have a policy.".to_owned()));
            }
            policy::without_statement(record.policy.as_deref(), statement_id)?
        };
        record.modified_at = Some(now);
        buses::save(tx, &bus, &record)
    });
    write.await?;
    Ok(api::RemovePermissionOutput::default())
}
