//! ListSchedules, ListScheduleGroups: by name, page by page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fractus_host::Context;
use fractus_scheduler_api as api;
use fractus_store::{Order, Range, Snapshot};

use super::groups::{keep_default, state as group_state};
use super::schedules::state;
use crate::error::{Error, Result};
use crate::model::groups;
use crate::service::{Scheduler, place};
use crate::store::{GROUPS, NAMES, Place, SCHEDULES, Schedule};

const MAX_RESULTS: usize = 100;
/// The most schedules that one page looks at: where few have the wanted state, a page may be short and have a successor.
const MOST_LOOKED_AT: usize = 1_000;

fn page_size(max_results: Option<i32>) -> usize {
    max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(MAX_RESULTS).min(MAX_RESULTS)
}

/// The token of the page after (name, group).
fn token(name: &str, group: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{name}/{group}"))
}

fn read_token(token: Option<&str>) -> Result<Option<(String, String)>> {
    let invalid = || Error::validation("Invalid NextToken.");
    let Some(token) = token else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
    let text = String::from_utf8(bytes).map_err(|_| invalid())?;
    let (name, group) = text.split_once('/').ok_or_else(invalid)?;
    Ok(Some((name.to_owned(), group.to_owned())))
}

pub async fn schedules(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::ListSchedulesInput,
) -> Result<api::ListSchedulesOutput> {
    let place = place(cx);
    let after = read_token(input.next_token.as_deref())?;
    scheduler
        .store
        .read(|snapshot| {
            let (found, next_token) = match &input.group_name {
                Some(group) => in_group(snapshot, &place, group, after.clone(), &input)?,
                None => in_all_groups(snapshot, &place, after.clone(), &input)?,
            };
            let schedules = found.iter().map(|(group, name, found)| summary(&place, group, name, found)).collect();
            Ok(api::ListSchedulesOutput { next_token, schedules })
        })
        .await
}

/// (group, name, schedule), and the token of the next page.
type Page = (Vec<(String, String, Schedule)>, Option<String>);

fn in_group(
    snapshot: &Snapshot<'_>,
    place: &Place,
    group: &str,
    after: Option<(String, String)>,
    input: &api::ListSchedulesInput,
) -> Result<Page> {
    let scope = place.scope();
    groups::get(snapshot, &scope, group)?;
    let mut range = Range::starts_with(&(group, input.name_prefix.as_deref().unwrap_or_default()));
    if let Some((name, _)) = &after {
        range = range.after(&(group, name.as_str()));
    }
    let names = snapshot.range(&SCHEDULES, &scope, range, Order::Ascending)?;
    collect(names.map(|record| record.map(|((group, name), schedule)| (group, name, schedule))), input)
}

fn in_all_groups(
    snapshot: &Snapshot<'_>,
    place: &Place,
    after: Option<(String, String)>,
    input: &api::ListSchedulesInput,
) -> Result<Page> {
    let scope = place.scope();
    let mut range = Range::starts_with(&(input.name_prefix.as_deref().unwrap_or_default(),));
    if let Some((name, group)) = &after {
        range = range.after(&(name.as_str(), group.as_str()));
    }
    let keys = snapshot.keys(&NAMES, &scope, range, Order::Ascending)?;
    let found = keys.filter_map(|key| match key {
        Ok((name, group)) => match snapshot.get(&SCHEDULES, &scope, &(group.as_str(), name.as_str())) {
            Ok(schedule) => schedule.map(|schedule| Ok((group, name, schedule))),
            Err(error) => Some(Err(error)),
        },
        Err(error) => Some(Err(error)),
    });
    collect(found, input)
}

fn collect(
    records: impl Iterator<Item = Result<(String, String, Schedule), fractus_store::StoreError>>,
    input: &api::ListSchedulesInput,
) -> Result<Page> {
    let size = page_size(input.max_results);
    let mut page = Vec::new();
    let mut last: Option<(String, String)> = None;
    for (looked_at, record) in records.enumerate() {
        if page.len() == size || looked_at == MOST_LOOKED_AT {
            return Ok((page, last.map(|(group, name)| token(&name, &group))));
        }
        let (group, name, schedule) = record?;
        last = Some((group.clone(), name.clone()));
        if input.state.as_ref().is_none_or(|wanted| *wanted == state(&schedule.settings)) {
            page.push((group, name, schedule));
        }
    }
    Ok((page, None))
}

fn summary(place: &Place, group: &str, name: &str, schedule: &Schedule) -> api::ScheduleSummary {
    let arn = schedule.settings.target.get("Arn").and_then(serde_json::Value::as_str).unwrap_or_default();
    api::ScheduleSummary {
        arn: Some(place.schedule_arn(group, name)),
        name: Some(name.to_owned()),
        group_name: Some(group.to_owned()),
        state: Some(state(&schedule.settings)),
        creation_date: Some(schedule.created_at),
        last_modification_date: Some(schedule.modified_at),
        target: Some(api::TargetSummary { arn: arn.to_owned() }),
    }
}

pub async fn groups(
    scheduler: &Scheduler,
    cx: &Context,
    input: api::ListScheduleGroupsInput,
) -> Result<api::ListScheduleGroupsOutput> {
    let place = place(cx);
    let (scope, size) = (place.scope(), page_size(input.max_results));
    keep_default(scheduler, &scope).await?;
    let mut range = Range::starts_with(&(input.name_prefix.as_deref().unwrap_or_default(),));
    if let Some((name, _)) = read_token(input.next_token.as_deref())? {
        range = range.after(&(name.as_str(),));
    }
    let found = scheduler.store.read(|snapshot| {
        let records = snapshot.range(&GROUPS, &scope, range, Order::Ascending)?;
        records.take(size + 1).collect::<Result<Vec<_>, _>>().map_err(Error::from)
    });
    let mut found = found.await?;
    let has_more = found.len() > size;
    found.truncate(size);
    let next_token = found.last().filter(|_| has_more).map(|((name,), _)| token(name, ""));
    let summaries = found.into_iter().map(|((name,), group)| api::ScheduleGroupSummary {
        arn: Some(place.group_arn(&name)),
        state: Some(group_state(&group)),
        creation_date: Some(group.created_at),
        last_modification_date: Some(group.modified_at),
        name: Some(name),
    });
    Ok(api::ListScheduleGroupsOutput { next_token, schedule_groups: summaries.collect() })
}
