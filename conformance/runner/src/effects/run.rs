//! Runs one scenario against an endpoint.

use std::collections::BTreeSet;
use std::time::Duration;

use fractus_clock::{Clock, Random, Stopwatch, Timestamp};
use fractus_sigv4::KeyCache;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use serde_json::{Value as Json, json};

use super::matcher::Expectation;
use super::scenario::{Call, ClockStep, Outcome, Request, Scenario, Step, Until};
use super::send::{self, CallError, Sender};
use super::template::Scope;
use super::value;
use super::yaml::Mistake;
use crate::endpoint::{Caller, Endpoint};

/// Between two tries of a step with `until`; each wait is longer than the one before, up to the greatest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const GREATEST_PAUSE: Duration = Duration::from_millis(100);
/// So many times as long as it says does a step with `until` wait where nothing is left out.
const PATIENCE: u32 = 3;
/// A list that has more pages than this never ends.
const MAX_PAGES: usize = 1_000;
const MAX_REPEATS: usize = 5_000;

/// Where and for whom scenarios run.
pub struct Runner {
    pub endpoint: Endpoint,
    pub url: String,
    pub account: String,
    pub region: String,
    /// Each scenario in a world of its own; not on AWS.
    pub uses_lanes: bool,
    pub random: Random,
    pub keys: KeyCache,
    /// No step is tried twice: what does not hold at once will not.
    pub is_impatient: bool,
}

/// One operation answers as a stub does: whatever it should have done has not happened.
pub struct Without<'a> {
    pub api: &'a str,
    pub operation: &'a str,
    pub stub: &'a Endpoint,
    /// The expectations about the operation's own answers that count all the same.
    pub counted: BTreeSet<usize>,
}

/// Why a scenario failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The step's line in the file.
    pub line: usize,
    pub why: String,
}

impl From<Mistake> for Failed {
    fn from(mistake: Mistake) -> Self {
        Failed { line: mistake.line, why: mistake.what }
    }
}

impl Runner {
    /// Runs the scenario in a fresh world, which is forgotten afterwards.
    pub async fn run(&self, scenario: &Scenario, without: Option<&Without<'_>>) -> Result<(), Failed> {
        let unique = self.random.text(10, "abcdefghijklmnopqrstuvwxyz0123456789");
        let lane = self.uses_lanes.then(|| format!("fx-{unique}"));
        let world = World { runner: self, without, lane: lane.clone() };
        let mut state = State { scope: Scope::default(), time: Time::Real };
        state.scope.now = state.time.now();
        for (name, text) in [
            ("unique", unique.as_str()),
            ("account", self.account.as_str()),
            ("region", self.region.as_str()),
            ("endpoint", self.url.as_str()),
        ] {
            state.scope.variables.insert(name.to_owned(), json!(text));
        }
        for (name, node) in &scenario.variables {
            let made = state.scope.value(node)?;
            state.scope.variables.insert(name.clone(), made);
        }
        let ended = world.steps(&scenario.steps, &mut state).await;
        if let Some(lane) = lane {
            self.endpoint.forget(&lane).await;
        }
        ended
    }
}

struct World<'a> {
    runner: &'a Runner,
    without: Option<&'a Without<'a>>,
    lane: Option<String>,
}

#[derive(Clone)]
struct State {
    scope: Scope,
    time: Time,
}

/// The time in the scenario's world, as far as the scenario moved it.
#[derive(Clone)]
enum Time {
    Real,
    Frozen(Timestamp),
    Running(Timestamp, Stopwatch),
}

impl Time {
    fn now(&self) -> Timestamp {
        match self {
            Time::Real => Clock::real().now(),
            Time::Frozen(at) => *at,
            Time::Running(from, watch) => from.plus(watch.elapsed()),
        }
    }
}

impl World<'_> {
    fn steps<'s>(&'s self, steps: &'s [Step], state: &'s mut State) -> BoxFuture<'s, Result<(), Failed>> {
        async move {
            for step in steps {
                state.scope.now = state.time.now();
                match step {
                    Step::Call(call) => self.call(call, state).await?,
                    Step::Http(request) => self.http(request, state).await?,
                    Step::Clock(step) => self.clock(step, state).await?,
                    Step::Parallel(branches) => self.parallel(branches, state).await?,
                    Step::Repeat { times, steps } => {
                        let count = value::number(&state.scope.value(times)?).unwrap_or(0.0) as usize;
                        for index in 0..count.min(MAX_REPEATS) {
                            state.scope.variables.insert("index".to_owned(), json!(index));
                            self.steps(steps, state).await?;
                        }
                    }
                }
            }
            Ok(())
        }
        .boxed()
    }

    /// Each branch sees what was known before; what they save is known to all afterwards.
    async fn parallel(&self, branches: &[Step], state: &mut State) -> Result<(), Failed> {
        let before = state.clone();
        let ended = join_all(branches.iter().map(|step| {
            let mut own = before.clone();
            async move {
                let ended = self.steps(std::slice::from_ref(step), &mut own).await;
                ended.map(|()| own.scope.variables)
            }
        }))
        .await;
        for variables in ended {
            state.scope.variables.extend(variables?);
        }
        Ok(())
    }

    async fn call(&self, call: &Call, state: &mut State) -> Result<(), Failed> {
        let is_left_out =
            self.without.filter(|without| without.api == call.service.api && without.operation == call.operation.name);
        let endpoint = is_left_out.map_or(&self.runner.endpoint, |without| without.stub);
        let sender = self.sender(endpoint);
        let input = state.scope.value(&call.input)?;
        let scope = &state.scope;
        let ask = || async {
            match &call.pages {
                None => sender.call(call, &input, scope).await,
                Some(_) => all_pages(&sender, call, &input, scope).await,
            }
        };
        let told = || send::told(call, &input);
        let answer = self.settle(call.line, &call.outcome, is_left_out, ask, told, scope).await?;
        save(call.line, &call.outcome, &answer, is_left_out.is_some(), state)
    }

    async fn http(&self, request: &Request, state: &mut State) -> Result<(), Failed> {
        let sender = self.sender(&self.runner.endpoint);
        let scope = &state.scope;
        let ask = || sender.http(request, scope);
        let told = || request.method.clone();
        let answer = self.settle(request.line, &request.outcome, None, ask, told, scope).await?;
        save(request.line, &request.outcome, &answer, false, state)
    }

    fn sender<'s>(&'s self, endpoint: &'s Endpoint) -> Sender<'s> {
        Sender { endpoint, lane: self.lane.clone(), keys: &self.runner.keys, random: &self.runner.random }
    }

    /// Asks until the outcome is as expected, or as often and as long as the step allows.
    async fn settle<F, A>(
        &self,
        line: usize,
        outcome: &Outcome,
        left_out: Option<&Without<'_>>,
        ask: A,
        told: impl Fn() -> String,
        scope: &Scope,
    ) -> Result<Json, Failed>
    where
        F: Future<Output = Result<Json, CallError>>,
        A: Fn() -> F,
    {
        if !outcome.start_after.is_zero() {
            Clock::real().sleep(outcome.start_after).await;
        }
        let until = outcome.until.filter(|_| !self.runner.is_impatient);
        // Only a scenario that is to fail waits to the end; the others may be on a busy machine.
        let patience = if self.without.is_none() { PATIENCE } else { 1 };
        let until = until.map_or(Until { times: 1, within: Duration::ZERO }, |until| Until {
            times: until.times * patience as usize,
            within: until.within * patience,
        });
        let watch = Stopwatch::start();
        let mut pause = FIRST_PAUSE;
        let mut tries = 0;
        loop {
            tries += 1;
            let why = match ask().await {
                Ok(answer) => match unmet(outcome, &answer, left_out, scope) {
                    None => return Ok(answer),
                    Some(why) => format!("{why}\n    answer: {}", value::shown(&without_headers(&answer))),
                },
                // Nothing that a stub answers is evidence.
                Err(_) if left_out.is_some() => return Ok(json!({})),
                Err(error) => error.to_string(),
            };
            if tries >= until.times || watch.elapsed() >= until.within {
                let often = if tries > 1 { format!(" (tried {tries} times)") } else { String::new() };
                return Err(Failed { line, why: format!("{why}\n    call: {}{often}", told()) });
            }
            Clock::real().sleep(pause).await;
            pause = (pause * 2).min(GREATEST_PAUSE);
        }
    }

    async fn clock(&self, step: &ClockStep, state: &mut State) -> Result<(), Failed> {
        let scope = &state.scope;
        let changes = match step {
            ClockStep::Freeze => vec![json!({"action": "freeze"})],
            ClockStep::Resume => vec![json!({"action": "resume"})],
            ClockStep::Advance(by) => {
                vec![json!({"action": "advance", "seconds": value::number(&scope.value(by)?)})]
            }
            // Frozen first, so that it stands at the time and not a moment later.
            ClockStep::Set(to) => vec![json!({"action": "freeze"}), json!({"action": "set", "to": scope.value(to)?})],
        };
        for change in changes {
            state.time = self.moved_clock(change).await.map_err(|why| Failed { line: 0, why })?;
        }
        Ok(())
    }

    async fn moved_clock(&self, mut change: Json) -> Result<Time, String> {
        if let Some(lane) = &self.lane {
            change["lane"] = json!(lane);
        }
        let failed = |why: &str| format!("the clock cannot be moved: {why}");
        let request = send::clock_request(&change).map_err(|error| failed(&error.to_string()))?;
        let answer = self.runner.endpoint.send(&Caller::default(), request).await;
        let answer = answer.map_err(|error| failed(&error.to_string()))?;
        let told: Json = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (now, is_frozen) = find_clock(&told).ok_or_else(|| failed(&String::from_utf8_lossy(&answer.body)))?;
        Ok(if is_frozen { Time::Frozen(now) } else { Time::Running(now, Stopwatch::start()) })
    }
}

/// `now` and `frozen`, at the top or in the first of several services' answers.
fn find_clock(told: &Json) -> Option<(Timestamp, bool)> {
    if let Some(now) = told.get("now").and_then(value::time) {
        return Some((now, told.get("frozen").and_then(Json::as_bool).unwrap_or(false)));
    }
    told.as_object()?.values().find_map(find_clock)
}

/// The first thing that is not as expected.
fn unmet(outcome: &Outcome, answer: &Json, left_out: Option<&Without<'_>>, scope: &Scope) -> Option<String> {
    let counts = |line: usize| left_out.is_none_or(|without| without.counted.contains(&line));
    let found = answer.get("$error");
    match (&outcome.error, found) {
        (Some(expected), None) if counts(expected.line) => {
            return Some("it succeeded, but an error was expected".to_owned());
        }
        (Some(expected), Some(found)) if counts(expected.line) => {
            if let Some(why) = first_failure(&expected.expect, found, scope, counts) {
                return Some(format!("error {why}"));
            }
        }
        (None, Some(found)) if left_out.is_none() => return Some(format!("error: {}", value::shown(found))),
        _ => {}
    }
    first_failure(&outcome.expect, answer, scope, counts)
}

fn first_failure(
    expect: &[Expectation],
    answer: &Json,
    scope: &Scope,
    counts: impl Fn(usize) -> bool,
) -> Option<String> {
    expect.iter().filter(|one| counts(one.line)).find_map(|one| one.failure(answer, scope))
}

fn save(line: usize, outcome: &Outcome, answer: &Json, is_left_out: bool, state: &mut State) -> Result<(), Failed> {
    for (name, path) in &outcome.save {
        let found = path.find(answer);
        let found = match found {
            Some(found) => found,
            None if is_left_out => json!("nothing"),
            None => {
                let why =
                    format!("{} is not there to be kept: {}", path.as_str(), value::shown(&without_headers(answer)));
                return Err(Failed { line, why });
            }
        };
        state.scope.variables.insert(name.clone(), found);
    }
    Ok(())
}

fn without_headers(answer: &Json) -> Json {
    let mut shown = answer.clone();
    if let Json::Object(members) = &mut shown {
        members.remove("$headers");
        members.remove("$ms");
        // An error and its members say what the raw text says.
        if members.len() > 2 {
            members.remove("$body");
        }
    }
    shown
}

/// Follows the tokens; the answer is `{"pages": [...]}` with the last page's extras.
async fn all_pages(sender: &Sender<'_>, call: &Call, input: &Json, scope: &Scope) -> Result<Json, CallError> {
    let Some(paging) = &call.pages else { return sender.call(call, input, scope).await };
    let mut input = input.clone();
    let mut pages = Vec::new();
    loop {
        let answer = sender.call(call, &input, scope).await?;
        if answer.get("$error").is_some() {
            return Ok(answer);
        }
        let token = paging.from.find(&answer).filter(|token| token.as_str() != Some(""));
        pages.push(answer);
        match token {
            Some(token) if pages.len() < MAX_PAGES => input[&paging.to] = token,
            _ => break,
        }
    }
    let mut whole = json!({ "pages": pages });
    let last = whole["pages"].as_array().and_then(|pages| pages.last()).cloned().unwrap_or_default();
    for name in ["$status", "$headers", "$ms"] {
        if let Some(extra) = last.get(name) {
            whole[name] = extra.clone();
        }
    }
    Ok(whole)
}
