//! CreateSchedule, GetSchedule, UpdateSchedule, DeleteSchedule.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_datakeys::Kept;
use fractus_host::Context;
use fractus_scheduler_api as api;
use fractus_schedules::{Expression, Schedule as Times, Zone};

use super::tokens::Token;
use crate::calls::OPEN_FOR;
use crate::error::{Error, Result};
use crate::model::groups::DEFAULT;
use crate::model::retry::{DEFAULT_MAXIMUM_AGE_SECS, DEFAULT_MAXIMUM_RETRIES};
use crate::model::target::Kind;
use crate::model::{documents, groups, invocation, schedules, target};
use crate::service::{Scheduler, place};
use crate::store::{Schedule, Settings};

/// What CreateSchedule and UpdateSchedule have in common.
struct Wanted {
    expression: String,
    time_zone: Option<String>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    description: Option<String>,
    state: Option<api::ScheduleState>,
    kms_key: Option<String>,
    target: api::Target,
    window: api::FlexibleTimeWindow,
    completion: Option<api::ActionAfterCompletion>,
}

macro_rules! wanted {
    ($input:ident) => {
        Wanted {
            expression: $input.schedule_expression,
            time_zone: $input.schedule_expression_timezone,
            start: $input.start_date,
            end: $input.end_date,
            description: $input.description,
            state: $input.state,
            kms_key: $input.kms_key_arn,
            target: $input.target,
            window: $input.flexible_time_window,
            completion: $input.action_after_completion,
        }
    };
}

/// Checks what the model does not say, and fills in what AWS fills in.
async fn settings(scheduler: &Scheduler, wanted: Wanted, now: Timestamp) -> Result<Settings> {
    wanted.expression.parse::<Expression>()?;
    let time_zone = wanted.time_zone.unwrap_or_else(|| "UTC".to_owned());
    Zone::parse(&time_zone)?;
    Times::check_dates(wanted.start, wanted.end, now)?;
    let window_minutes = window_minutes(&wanted.window)?;
    let mut target = wanted.target;
    if let (_, Kind::Universal(universal)) = target::check(&target)? {
        scheduler.calls.check(&universal, target.input.as_deref()).await?;
    }
    let retry = target.retry_policy.get_or_insert_default();
    retry.maximum_event_age_in_seconds.get_or_insert(DEFAULT_MAXIMUM_AGE_SECS);
    retry.maximum_retry_attempts.get_or_insert(DEFAULT_MAXIMUM_RETRIES);
    let target = documents::to_json(&target).map_err(|error| Error::validation(error.to_string()))?;
    Ok(Settings {
        expression: wanted.expression,
        time_zone,
        start: wanted.start,
        end: wanted.end,
        description: wanted.description,
        enabled: wanted.state != Some(api::ScheduleState::Disabled),
        kms_key: wanted.kms_key,
        window_minutes,
        delete_when_completed: wanted.completion == Some(api::ActionAfterCompletion::Delete),
        target,
        data_key: None,
    })
}

/// What a data key is bound to.
/// <https://docs.aws.amazon.com/scheduler/latest/UserGuide/encryption-rest.html>
const CONTEXT_ARN: &str = "aws:scheduler:schedule:arn";

/// The data key of a schedule's target, where a key of KMS is named: with the permission of who names it.
async fn data_key(scheduler: &Scheduler, cx: &Context, settings: &Settings, arn: &str) -> Result<Option<Kept>> {
    let Some(key) = &settings.kms_key else { return Ok(None) };
    let context = [(CONTEXT_ARN.to_owned(), arn.to_owned())].into();
    // One for each time that the target is written.
    let asker = scheduler.keys.of_caller(cx);
    asker.key_for(key, &context, Duration::ZERO).await.map_err(Error::kms)
}

/// Where policies are enforced, the role of a target has to trust the scheduler.
async fn check_role(scheduler: &Scheduler, cx: &Context, arn: &str, role: &str) -> Result<()> {
    if !cx.evaluates_policies() {
        return Ok(());
    }
    scheduler.calls.check_role(invocation::acts_as(&place(cx), arn, role), &cx.cause()).await
}

/// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_FlexibleTimeWindow.html>
fn window_minutes(window: &api::FlexibleTimeWindow) -> Result<Option<u16>> {
    let minutes = window.maximum_window_in_minutes;
    match (&window.mode, minutes) {
        (api::FlexibleTimeWindowMode::Flexible, Some(minutes)) => Ok(u16::try_from(minutes).ok()),
        (api::FlexibleTimeWindowMode::Flexible, None) => {
            Err(Error::validation("MaximumWindowInMinutes is required when the FlexibleTimeWindow mode is FLEXIBLE."))
        }
        (_, Some(_)) => {
            Err(Error::validation("MaximumWindowInMinutes is not supported when the FlexibleTimeWindow mode is OFF."))
        }
        (_, None) => Ok(None),
    }
}

pub async fn create(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::CreateScheduleInput,
) -> Result<api::CreateScheduleOutput> {
    let (name, token) = (input.name, input.client_token);
    let group = input.group_name.unwrap_or_else(|| DEFAULT.to_owned());
    let now = cx.now();
    let role = input.target.role_arn.clone();
    let mut settings = settings(scheduler, wanted!(input), now).await?;
    let token = Token::new("CreateSchedule", token, &(&group, &name, &settings));
    let (place, quota) = (place(cx), scheduler.config.schedule_quota);
    let (scope, arn) = (place.scope(), place.schedule_arn(&group, &name));
    check_role(scheduler, cx, &arn, &role).await?;
    settings.data_key = data_key(scheduler, cx, &settings, &arn).await?;
    let created = scheduler.store.write(|tx| {
        if let Some(arn) = token.answered(tx, &scope)? {
            return Ok(arn);
        }
        schedules::create(tx, &place, (&group, &name), settings.clone(), now, quota)?;
        token.keep(tx, &scope, &arn, now)?;
        Ok::<_, Error>(arn.clone())
    });
    let schedule_arn = created.await?;
    scheduler.wake(&cx.world.lane);
    Ok(api::CreateScheduleOutput { schedule_arn })
}

pub async fn update(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::UpdateScheduleInput,
) -> Result<api::UpdateScheduleOutput> {
    let (name, token) = (input.name, input.client_token);
    let group = input.group_name.unwrap_or_else(|| DEFAULT.to_owned());
    let now = cx.now();
    let role = input.target.role_arn.clone();
    let mut settings = settings(scheduler, wanted!(input), now).await?;
    let token = Token::new("UpdateSchedule", token, &(&group, &name, &settings));
    let place = place(cx);
    let (scope, arn) = (place.scope(), place.schedule_arn(&group, &name));
    check_role(scheduler, cx, &arn, &role).await?;
    settings.data_key = data_key(scheduler, cx, &settings, &arn).await?;
    let updated = scheduler.store.write(|tx| {
        if let Some(arn) = token.answered(tx, &scope)? {
            return Ok(arn);
        }
        schedules::update(tx, &place, (&group, &name), settings.clone(), now)?;
        token.keep(tx, &scope, &arn, now)?;
        Ok::<_, Error>(arn.clone())
    });
    let schedule_arn = updated.await?;
    scheduler.wake(&cx.world.lane);
    Ok(api::UpdateScheduleOutput { schedule_arn })
}

pub async fn delete(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::DeleteScheduleInput,
) -> Result<api::DeleteScheduleOutput> {
    let group = input.group_name.unwrap_or_else(|| DEFAULT.to_owned());
    let token = Token::new("DeleteSchedule", input.client_token, &(&group, &input.name));
    let (place, now) = (place(cx), cx.now());
    let scope = place.scope();
    let deleted = scheduler.store.write(|tx| {
        if token.answered(tx, &scope)?.is_some() {
            return Ok(());
        }
        let schedule = schedules::get(tx, &scope, &group, &input.name)?;
        schedules::remove(tx, &place, &group, &input.name, &schedule)?;
        token.keep(tx, &scope, &place.schedule_arn(&group, &input.name), now)
    });
    deleted.await?;
    Ok(api::DeleteScheduleOutput::default())
}

pub async fn get(scheduler: &Scheduler, cx: &Context, input: api::GetScheduleInput) -> Result<api::GetScheduleOutput> {
    let group = input.group_name.unwrap_or_else(|| DEFAULT.to_owned());
    let place = place(cx);
    let scope = place.scope();
    let found = scheduler.store.read(|snapshot| {
        groups::get(snapshot, &scope, &group)?;
        schedules::get(snapshot, &scope, &group, &input.name)
    });
    let Schedule { created_at, modified_at, settings, .. } = found.await?;
    if let Some(kept) = &settings.data_key {
        scheduler.keys.of_caller(cx).open(kept, OPEN_FOR).await.map_err(Error::kms)?;
    }
    let (mode, state, completion) = shown(&settings);
    Ok(api::GetScheduleOutput {
        arn: Some(place.schedule_arn(&group, &input.name)),
        group_name: Some(group),
        name: Some(input.name),
        schedule_expression: Some(settings.expression),
        start_date: settings.start,
        end_date: settings.end,
        description: settings.description,
        schedule_expression_timezone: Some(settings.time_zone),
        state: Some(state),
        creation_date: Some(created_at),
        last_modification_date: Some(modified_at),
        kms_key_arn: settings.kms_key,
        target: documents::from_json(&settings.target).ok(),
        flexible_time_window: Some(api::FlexibleTimeWindow {
            mode,
            maximum_window_in_minutes: settings.window_minutes.map(i32::from),
        }),
        action_after_completion: Some(completion),
    })
}

fn shown(settings: &Settings) -> (api::FlexibleTimeWindowMode, api::ScheduleState, api::ActionAfterCompletion) {
    let mode = match settings.window_minutes {
        Some(_) => api::FlexibleTimeWindowMode::Flexible,
        None => api::FlexibleTimeWindowMode::Off,
    };
    let completion = match settings.delete_when_completed {
        true => api::ActionAfterCompletion::Delete,
        false => api::ActionAfterCompletion::None,
    };
    (mode, state(settings), completion)
}

/// The state as the API has it.
pub fn state(settings: &Settings) -> api::ScheduleState {
    if settings.enabled { api::ScheduleState::Enabled } else { api::ScheduleState::Disabled }
}
