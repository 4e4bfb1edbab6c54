//! What holds for the whole stack, also for services that are not running: each lane's clock and faults.
//!
//! A change is made here once, told to every replica that runs, and told again to each service that starts, before its
//! first request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_bus::contracts::LookUpClocks;
use fractus_bus::{Bus, Serving};
use fractus_clock::{Clock, ClockSettings, Clocks, Timestamp};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{bad_request, fan};
use crate::answer;
use crate::proxy::body::RouterBody;
use crate::proxy::endpoint::Endpoint;
use crate::router::Router;

const CLOCK_PATH: &str = "/_fractus/clock";
const FAULTS_PATH: &str = "/_fractus/faults";

/// Lanes that may have a clock or faults of their own here.
const MAX_LANES: usize = 100_000;

/// The settings in force.
#[derive(Default)]
pub struct Control {
    clocks: Clocks,
    faults: Mutex<BTreeMap<String, Value>>,
}

impl Control {
    /// The clocks that do not follow real time, for a service that is about to start.
    pub fn moved_clocks(&self) -> BTreeMap<String, ClockSettings> {
        moved(&self.clocks)
    }

    /// Tells services that start elsewhere, before they take anything.
    pub fn tell_clocks(&self, bus: &Bus) -> Serving {
        let clocks = self.clocks.clone();
        bus.serve(4, move |_: LookUpClocks, _| std::future::ready(Ok(moved(&clocks))))
    }
}

fn moved(clocks: &Clocks) -> BTreeMap<String, ClockSettings> {
    let all = clocks.lanes().into_iter().map(|lane| (clocks.lane(&lane).settings(), lane));
    all.filter(|(settings, _)| !settings.is_real()).map(|(settings, lane)| (lane, settings)).collect()
}

/// A change of a lane's clock.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    #[serde(default)]
    lane: Option<String>,
    #[serde(default)]
    action: Option<ClockAction>,
    /// For `set`: an RFC 3339 time.
    #[serde(default)]
    to: Option<String>,
    /// For `advance`: seconds.
    #[serde(default)]
    seconds: Option<f64>,
    /// For `scale`: virtual seconds in a real one.
    #[serde(default)]
    scale: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClockAction {
    Freeze,
    Resume,
    Set,
    Advance,
    Scale,
    Reset,
}

/// `GET` shows a lane's clock, `POST` changes it; the action stands in the body or as the path's last part.
pub async fn clock(router: &Arc<Router>, parts: &Parts, action: Option<&str>, body: &Bytes) -> Response<RouterBody> {
    let asked_lane = query_value(parts, "lane");
    if parts.method == Method::GET {
        let lane = asked_lane.unwrap_or("main");
        return match lane_clock(&router.control, lane) {
            Ok(clock) => answer::json(StatusCode::OK, &shown(lane, &clock)),
            Err(why) => bad_request(&why),
        };
    }
    let change = match read_change(action, body) {
        Ok(change) => change,
        Err(error) => return bad_request(&format!("no change of the clock: {error}")),
    };
    let lane = change.lane.as_deref().or(asked_lane).unwrap_or("main").to_owned();
    let clock = match lane_clock(&router.control, &lane).and_then(|clock| apply(&clock, &change).map(|()| clock)) {
        Ok(clock) => clock,
        Err(why) => return bad_request(&why),
    };
    let told = told_settings(&lane, clock.settings());
    if let Some(bus) = router.bus() {
        publish_clock(bus, &lane, clock.settings());
    }
    let failed = refusals(fan::ask_all(router, &Method::POST, CLOCK_PATH, &told).await);
    if failed.is_empty() {
        answer::json(StatusCode::OK, &shown(&lane, &clock))
    } else {
        let message = "some services did not take the change";
        answer::json(StatusCode::BAD_GATEWAY, &json!({ "message": message, "services": failed }))
    }
}

fn read_change(action: Option<&str>, body: &Bytes) -> Result<ClockChange, serde_json::Error> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    let mut change: ClockChange = serde_json::from_slice(text)?;
    if let Some(action) = action {
        change.action = Some(serde_json::from_value(action.into())?);
    }
    Ok(change)
}

fn refusals(answers: Vec<fan::Answered>) -> BTreeMap<String, Value> {
    let refused = answers.into_iter().filter(|answer| !answer.status.is_success());
    refused.map(|answer| (answer.service, answer.value)).collect()
}

fn apply(clock: &Clock, change: &ClockChange) -> Result<(), String> {
    let to = change.to.as_deref().map(Timestamp::parse_date_time).transpose().map_err(|error| error.to_string())?;
    match change.action.ok_or("an `action` is missing: freeze, resume, set, advance, scale or reset")? {
        ClockAction::Freeze => {
            clock.freeze();
            if let Some(to) = to {
                clock.set(to);
            }
        }
        ClockAction::Resume => clock.resume(),
        ClockAction::Reset => clock.reset(),
        ClockAction::Set => clock.set(to.ok_or("`set` needs `to`, an RFC 3339 time")?),
        ClockAction::Advance => {
            let seconds = change.seconds.ok_or("`advance` needs `seconds`")?;
            clock.advance(Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?);
        }
        ClockAction::Scale => {
            let scale = change.scale.filter(|scale| scale.is_finite() && *scale >= 0.0);
            clock.scale(scale.ok_or("`scale` needs `scale`, 0 or more")?);
        }
    }
    Ok(())
}

fn lane_clock(control: &Control, lane: &str) -> Result<Clock, String> {
    let lane = fractus_aws::Lane::new(lane).map_err(|error| error.to_string())?;
    if control.clocks.lanes().len() >= MAX_LANES {
        return Err(format!("there are more than {MAX_LANES} lanes"));
    }
    Ok(control.clocks.lane(lane.as_str()))
}

fn shown(lane: &str, clock: &Clock) -> Value {
    let settings = clock.settings();
    json!({
        "lane": lane,
        "now": clock.now().date_time_millis(),
        "frozen": settings.scale == 0.0,
        "scale": settings.scale,
        "real": settings.is_real(),
        "settings": settings,
    })
}

/// As services take it: the settings as they are, so that all clocks agree to the microsecond.
fn told_settings(lane: &str, settings: ClockSettings) -> Bytes {
    json!({ "lane": lane, "settings": settings }).to_string().into()
}

fn publish_clock(bus: &fractus_bus::Bus, lane: &str, settings: ClockSettings) {
    let Ok(lane) = fractus_aws::Lane::new(lane) else { return };
    let changed = fractus_bus::contracts::ClockChanged { lane, settings };
    // Services on this bus that the router does not know hear of it so; the others are told directly.
    if let Err(error) = bus.publish(&changed, &fractus_bus::contracts::Cause::default()) {
        tracing::debug!(%error, "the change of the clock is not published");
    }
}

/// `GET` shows a lane's rules, `PUT` or `POST` replaces them, `DELETE` removes them. The rules are the services' to read.
pub async fn faults(router: &Arc<Router>, parts: &Parts, body: Bytes) -> Response<RouterBody> {
    let lane = query_value(parts, "lane").unwrap_or("main").to_owned();
    if parts.method == Method::GET {
        let rules = router.control.faults.lock().get(&lane).cloned().unwrap_or_else(|| json!([]));
        return answer::json(StatusCode::OK, &json!({ "lane": lane, "rules": rules }));
    }
    let told = match parts.method {
        Method::DELETE => json!({ "lane": lane, "rules": [] }),
        _ => match serde_json::from_slice::<Value>(&body) {
            Ok(Value::Array(rules)) => json!({ "lane": lane, "rules": rules }),
            Ok(Value::Object(mut object)) if object.get("rules").is_some_and(Value::is_array) => {
                object.entry("lane").or_insert_with(|| lane.clone().into());
                Value::Object(object)
            }
            _ => return bad_request("faults are a list of rules, or {\"lane\": ..., \"rules\": [...]}"),
        },
    };
    let lane = told["lane"].as_str().unwrap_or("main").to_owned();
    let failed = refusals(fan::ask_all(router, &Method::PUT, FAULTS_PATH, &told.to_string().into()).await);
    if !failed.is_empty() {
        return answer::json(
            StatusCode::BAD_REQUEST,
            &json!({ "message": "some services did not take the rules", "services": failed }),
        );
    }
    let rules = told["rules"].clone();
    let mut faults = router.control.faults.lock();
    if rules.as_array().is_some_and(Vec::is_empty) {
        faults.remove(&lane);
    } else if faults.len() < MAX_LANES {
        faults.insert(lane, rules);
    }
    answer::json(StatusCode::OK, &told)
}

/// What a replica was told, so that only what has changed since is told again.
#[derive(Default)]
pub struct Told {
    clocks: BTreeMap<String, ClockSettings>,
    faults: BTreeMap<String, Value>,
}

/// Tells a service that has just started what holds; called before it gets its first request, and once more when it is among
/// those that are told of every change, for what was changed in between.
pub async fn bring_up_to_date(router: &Arc<Router>, url: &str, told: &mut Told) {
    let Ok(replica) = Endpoint::new(url, None).map(Arc::new) else { return };
    let clocks = &router.control.clocks;
    for lane in clocks.lanes() {
        let settings = clocks.lane(&lane).settings();
        let is_news = match told.clocks.get(&lane) {
            Some(known) => *known != settings,
            None => !settings.is_real(),
        };
        if is_news {
            tell(&replica, Method::POST, CLOCK_PATH, told_settings(&lane, settings)).await;
            told.clocks.insert(lane, settings);
        }
    }
    let faults = router.control.faults.lock().clone();
    let ended = told.faults.keys().filter(|lane| !faults.contains_key(*lane)).map(|lane| (lane.clone(), json!([])));
    let held = faults.iter().filter(|(lane, rules)| told.faults.get(*lane) != Some(*rules));
    let news: Vec<(String, Value)> = ended.chain(held.map(|(lane, rules)| (lane.clone(), rules.clone()))).collect();
    for (lane, rules) in news {
        tell(&replica, Method::PUT, FAULTS_PATH, json!({ "lane": lane, "rules": rules }).to_string().into()).await;
    }
    told.faults = faults;
}

async fn tell(replica: &Arc<Endpoint>, method: Method, path: &str, body: Bytes) {
    let (status, value) = fan::ask_one(replica, method, path, body).await;
    if !status.is_success() {
        tracing::warn!(url = replica.url, path, %status, %value, "a service that started did not take the stack's settings");
    }
}

pub(super) fn query_value<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let pairs = parts.uri.query().unwrap_or("").split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}
