//! Replays: an archive's events once more over its bus. `background.rs` moves them on.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html>

use fractus_aws::Arn;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::Snapshot;

use crate::error::{Error, Result};
use crate::model::names::{BusRef, Place, name_in_arn};
use crate::operations::rules::lane_scope;
use crate::operations::{archives, buses};
use crate::pages::{self, Asked};
use crate::service::{Events, Wakers};
use crate::store::{REPLAYS, RUNNING_REPLAYS, Replay};

pub const STARTING: &str = "STARTING";
pub const RUNNING: &str = "RUNNING";
pub const CANCELLING: &str = "CANCELLING";
pub const CANCELLED: &str = "CANCELLED";
pub const COMPLETED: &str = "COMPLETED";
pub const FAILED: &str = "FAILED";

fn arn(place: &Place, name: &str) -> Arn {
    place.arn(format!("replay/{name}"))
}

fn load(snapshot: &Snapshot<'_>, place: &Place, name: &str) -> Result<Replay> {
    let replay = snapshot.get(&REPLAYS, &place.scope, &(name,))?;
    replay.ok_or_else(|| Error::NotFound(format!("Replay {name} does not exist.")))
}

pub async fn start(events: &Events, cx: &Context, input: api::StartReplayInput) -> Result<api::StartReplayOutput> {
    let place = Place::of(cx);
    if input.event_start_time >= input.event_end_time {
        return Err(Error::parameter("EventEndTime", "EventStartTime must be before EventEndTime."));
    }
    let destination = input.destination.arn.parse::<Arn>().ok();
    let destination = destination.and_then(|arn| BusRef::of_arn(&cx.world, &arn));
    let bus = destination.ok_or_else(|| Error::parameter("Destination.Arn", "Must contain an event bus ARN."))?;
    let archive_name = name_in_arn(&input.event_source_arn, "archive").unwrap_or_default();
    let now = cx.now();
    let filters = input.destination.filter_arns.clone().unwrap_or_default();
    let rule_prefix = bus.rule_arn("").to_string();
    if filters.iter().any(|arn| !arn.starts_with(&rule_prefix)) {
        return Err(Error::parameter("Destination.FilterArns", "Must contain rules of the destination event bus."));
    }
    let write = events.store.write(|tx| {
        if tx.contains(&REPLAYS, &place.scope, &(input.replay_name.as_str(),))? {
            return Err(Error::AlreadyExists(format!("Replay {} already exists.", input.replay_name)));
        }
        buses::check_exists(tx, &bus)?;
        let archive = archives::load(tx, &place, &archive_name)
            .map_err(|_| Error::parameter("EventSourceArn", format!("Archive {archive_name} does not exist.")))?;
        if bus.place != place || archive.bus != bus.name {
            return Err(Error::parameter("Destination.Arn", "Cross event bus replay is not permitted."));
        }
        let replay = Replay {
            name: input.replay_name.clone(),
            description: input.description.clone(),
            state: STARTING.to_owned(),
            archive: archive.name,
            archive_id: archive.id,
            bus: bus.name.clone(),
            filter_arns: filters.clone(),
            event_start: input.event_start_time,
            event_end: input.event_end_time,
            started_at: now,
            ..Replay::default()
        };
        tx.put(&REPLAYS, &place.scope, &(replay.name.as_str(),), &replay)?;
        Ok(tx.put(&RUNNING_REPLAYS, &lane_scope(&cx.world.lane), &place.key(&replay.name), &())?)
    });
    write.await?;
    Wakers::wake(&events.wakers.replays, &cx.world.lane);
    Ok(api::StartReplayOutput {
        replay_arn: Some(arn(&place, &input.replay_name).to_string()),
        state: Some(api::ReplayState::Starting),
        state_reason: None,
        replay_start_time: Some(now),
    })
}

pub async fn cancel(events: &Events, cx: &Context, input: api::CancelReplayInput) -> Result<api::CancelReplayOutput> {
    let place = Place::of(cx);
    let write = events.store.write(|tx| {
        let mut replay = load(tx, &place, &input.replay_name)?;
        if replay.state != STARTING && replay.state != RUNNING {
            return Err(Error::IllegalStatus(format!(
                "Replay {} is not in a valid state for this operation.",
                replay.name
            )));
        }
        CANCELLING.clone_into(&mut replay.state);
        Ok(tx.put(&REPLAYS, &place.scope, &(replay.name.as_str(),), &replay)?)
    });
    write.await?;
    Wakers::wake(&events.wakers.replays, &cx.world.lane);
    Ok(api::CancelReplayOutput {
        replay_arn: Some(arn(&place, &input.replay_name).to_string()),
        state: Some(api::ReplayState::Cancelling),
        state_reason: None,
    })
}

pub async fn describe(
    events: &Events,
    cx: &Context,
    input: api::DescribeReplayInput,
) -> Result<api::DescribeReplayOutput> {
    let place = Place::of(cx);
    let replay = events.store.read(|snapshot| load(snapshot, &place, &input.replay_name)).await?;
    Ok(api::DescribeReplayOutput {
        replay_arn: Some(arn(&place, &replay.name).to_string()),
        replay_name: Some(replay.name),
        description: replay.description,
        state: Some(replay.state.as_str().into()),
        state_reason: replay.state_reason,
        event_source_arn: Some(archives::arn(&place, &replay.archive).to_string()),
        destination: Some(api::ReplayDestination {
            arn: place.arn(format!("event-bus/{}", replay.bus)).to_string(),
            filter_arns: (!replay.filter_arns.is_empty()).then_some(replay.filter_arns),
        }),
        event_start_time: Some(replay.event_start),
        event_end_time: Some(replay.event_end),
        event_last_replayed_time: replay.last_replayed_at,
        replay_start_time: Some(replay.started_at),
        replay_end_time: replay.ended_at,
    })
}

pub async fn list(events: &Events, cx: &Context, input: api::ListReplaysInput) -> Result<api::ListReplaysOutput> {
    let place = Place::of(cx);
    let filters = [input.name_prefix.is_some(), input.event_source_arn.is_some(), input.state.is_some()];
    if filters.into_iter().filter(|is_given| *is_given).count() > 1 {
        return Err(Error::validation(
            "At most one filter is allowed for ListReplays. Use either : State, EventSourceArn, or NamePrefix.",
        ));
    }
    let asked = Asked { prefix: input.name_prefix.as_deref(), token: input.next_token.as_deref(), limit: input.limit };
    let read = events.store.read(|snapshot| {
        pages::page(snapshot, &REPLAYS, &place.scope, &asked, |replay: Replay| {
            let source = archives::arn(&place, &replay.archive).to_string();
            if input.event_source_arn.as_ref().is_some_and(|wanted| *wanted != source)
                || input.state.as_ref().is_some_and(|wanted| wanted.as_str() != replay.state)
            {
                return Ok(None);
            }
            Ok(Some(api::Replay {
                replay_name: Some(replay.name),
                event_source_arn: Some(source),
                state: Some(replay.state.as_str().into()),
                state_reason: replay.state_reason,
                event_start_time: Some(replay.event_start),
                event_end_time: Some(replay.event_end),
                event_last_replayed_time: replay.last_replayed_at,
                replay_start_time: Some(replay.started_at),
                replay_end_time: replay.ended_at,
            }))
        })
    });
    let (replays, next_token) = read.await?;
    Ok(api::ListReplaysOutput { replays: Some(replays), next_token })
}
