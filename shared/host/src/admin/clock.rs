//! `/_fractus/clock`: a lane's clock, read and moved.
//!
//! `POST {"lane": "main", "action": "advance", "seconds": 900}`, or the action as the last part of the path. A router
//! that knows the settings already sends `{"lane": ..., "settings": ...}`.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use fractus_aws::Lane;
use fractus_bus::contracts::{Cause, ClockChanged};
use fractus_clock::{Clock, ClockSettings, Timestamp};

use super::{Answer, json_answer, query, read_json, wrong};
use crate::serve::Server;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    lane: Option<String>,
    action: Option<String>,
    /// For `set` (and `freeze`): an RFC 3339 time.
    to: Option<String>,
    /// For `advance`.
    seconds: Option<f64>,
    /// For `scale`: virtual seconds in a real one.
    scale: Option<f64>,
    /// Somebody else's clock, to be taken over as it is unless a newer one holds.
    settings: Option<ClockSettings>,
}

pub(super) fn answer(server: &Server, head: &Parts, action: Option<&str>, body: &Bytes) -> Answer {
    let read = || -> Result<Change, Answer> {
        if head.method == Method::GET { Ok(Change::default()) } else { read_json(body) }
    };
    let mut change = match read() {
        Ok(change) => change,
        Err(answer) => return answer,
    };
    change.action = action.map(str::to_owned).or(change.action);
    let lane = match Lane::new(change.lane.as_deref().or(query(head, "lane")).unwrap_or("main")) {
        Ok(lane) => lane,
        Err(error) => return wrong(&error.to_string()),
    };
    let clock = server.host.clocks().lane(lane.as_str());
    if head.method == Method::GET {
        return shown(&lane, &clock);
    }
    if let Err(why) = apply(&clock, &change) {
        return wrong(&why);
    }
    // Settings that were sent to us are known to whoever sent them.
    if change.settings.is_none() {
        let changed = ClockChanged { lane: lane.clone(), settings: clock.settings() };
        if let Err(error) = server.host.bus().publish(&changed, &Cause::default()) {
            tracing::debug!(%error, "only this process follows the change of the clock");
        }
    }
    shown(&lane, &clock)
}

fn apply(clock: &Clock, change: &Change) -> Result<(), String> {
    if let Some(settings) = change.settings {
        // They may have been on their way for a while: a process that starts is told of every lane, one after the other, and
        // hears of later moves over the bus meanwhile.
        clock.apply_if_newer(settings);
        return Ok(());
    }
    let to = change.to.as_deref().map(Timestamp::parse_date_time).transpose().map_err(|error| error.to_string())?;
    match change.action.as_deref() {
        Some("freeze") => {
            clock.freeze();
            if let Some(to) = to {
                clock.set(to);
            }
        }
        Some("resume") => clock.resume(),
        Some("reset") => clock.reset(),
        Some("set") => clock.set(to.ok_or("`set` needs `to`, an RFC 3339 time")?),
        Some("advance") => {
            let seconds = change.seconds.ok_or("`advance` needs `seconds`")?;
            clock.advance(Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?);
        }
        Some("scale") => {
            let scale = change.scale.filter(|scale| scale.is_finite() && *scale >= 0.0);
            clock.scale(scale.ok_or("`scale` needs `scale`, 0 or more")?);
        }
        other => {
            let other = other.unwrap_or_default();
            return Err(format!("{other:?} is no action: freeze, resume, set, advance, scale, reset"));
        }
    }
    Ok(())
}

fn shown(lane: &Lane, clock: &Clock) -> Answer {
    let settings = clock.settings();
    json_answer(
        StatusCode::OK,
        &json!({
            "lane": lane,
            "now": clock.now().date_time_millis(),
            "frozen": settings.scale == 0.0,
            "scale": settings.scale,
            "real": settings.is_real(),
            "settings": settings,
        }),
    )
}
