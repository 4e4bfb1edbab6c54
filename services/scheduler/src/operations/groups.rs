//! CreateScheduleGroup, GetScheduleGroup, DeleteScheduleGroup.

use std::time::Duration;

use fractus_host::Context;
use fractus_scheduler_api as api;

use super::tags;
use super::tokens::Token;
use crate::error::{Error, Result};
use crate::model::groups::{self, DEFAULT};
use crate::service::{Scheduler, place};
use crate::store::Group;

pub async fn create(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::CreateScheduleGroupInput,
) -> Result<api::CreateScheduleGroupOutput> {
    let name = input.name;
    let tags = tags::merged(Default::default(), input.tags.unwrap_or_default())?;
    let token =
        Token::new("CreateScheduleGroup", input.client_token, &(&name, tags.as_slice().iter().collect::<Vec<_>>()));
    let (place, now, quota) = (place(cx), cx.now(), scheduler.config.schedule_group_quota);
    let (scope, arn) = (place.scope(), place.group_arn(&name));
    let created = scheduler.store.write(|tx| {
        if let Some(arn) = token.answered(tx, &scope)? {
            return Ok(arn);
        }
        groups::create(tx, &scope, &name, tags.clone(), now, quota)?;
        token.keep(tx, &scope, &arn, now)?;
        Ok::<_, Error>(arn.clone())
    });
    Ok(api::CreateScheduleGroupOutput { schedule_group_arn: created.await? })
}

pub async fn get(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::GetScheduleGroupInput,
) -> Result<api::GetScheduleGroupOutput> {
    let (place, name) = (place(cx), input.name);
    let group = read(scheduler, &place.scope(), &name).await?;
    Ok(api::GetScheduleGroupOutput {
        arn: Some(place.group_arn(&name)),
        name: Some(name),
        state: Some(state(&group)),
        creation_date: Some(group.created_at),
        last_modification_date: Some(group.modified_at),
    })
}

/// A group; the default one gets its record, so that it has been made when it was first seen.
async fn read(scheduler: &Scheduler, scope: &fractus_store::Scope, name: &str) -> Result<Group> {
    if name == DEFAULT {
        keep_default(scheduler, scope).await?;
    }
    scheduler.store.read(|snapshot| groups::get(snapshot, scope, name)).await
}

/// Writes the default group's record where it is missing.
pub async fn keep_default(scheduler: &Scheduler, scope: &fractus_store::Scope) -> Result<()> {
    let is_kept = scheduler.store.read(|snapshot| snapshot.contains(&crate::store::GROUPS, scope, &(DEFAULT,))).await?;
    if !is_kept {
        scheduler.store.write(|tx| groups::keep_default(tx, scope)).await?;
    }
    Ok(())
}

pub async fn delete(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::DeleteScheduleGroupInput,
) -> Result<api::DeleteScheduleGroupOutput> {
    let token = Token::new("DeleteScheduleGroup", input.client_token, &input.name);
    let (place, now) = (place(cx), cx.now());
    let (scope, takes) = (place.scope(), Duration::from_secs(scheduler.config.group_deletion_secs));
    let deleted = scheduler.store.write(|tx| {
        if token.answered(tx, &scope)?.is_some() {
            return Ok(());
        }
        groups::begin_deletion(tx, &place, &input.name, now, takes)?;
        token.keep(tx, &scope, &place.group_arn(&input.name), now)
    });
    deleted.await?;
    scheduler.wake(&cx.world.lane);
    Ok(api::DeleteScheduleGroupOutput::default())
}

/// The state as the API has it.
pub fn state(group: &Group) -> api::ScheduleGroupState {
    match group.deleted_at {
        Some(_) => api::ScheduleGroupState::Deleting,
        None => api::ScheduleGroupState::Active,
    }
}
