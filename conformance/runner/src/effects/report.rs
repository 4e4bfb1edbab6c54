//! What a run found, for people and as JSON; and the lists that stand in the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use fractus_clock::Clock;
use serde::{Deserialize, Serialize};

use super::scenario::Scenario;

/// How one scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Passed,
    Failed {
        line: usize,
        why: String,
    },
    /// The stack that it needs was not given.
    Skipped(String),
}

#[derive(Clone, Debug)]
pub struct Ran<'a> {
    pub scenario: &'a Scenario,
    pub ended: Ended,
    pub ms: u64,
}

impl Ran<'_> {
    /// It failed, and nobody said that it would.
    pub fn is_bad(&self) -> bool {
        matches!(self.ended, Ended::Failed { .. }) && self.scenario.broken.is_none()
    }
}

/// The results that stand in the tree: what passed, and what it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The day of the run.
    pub date: String,
    /// By name.
    pub scenarios: BTreeMap<String, Shown>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub shows: Vec<String>,
    pub portable: bool,
}

pub fn results(ran: &[Ran<'_>]) -> Results {
    let date = Clock::real().now().date_time().chars().take(10).collect();
    let passed = ran.iter().filter(|one| one.ended == Ended::Passed && one.scenario.broken.is_none());
    let scenarios = passed.map(|one| {
        let shows = one.scenario.shows.iter().map(|(api, operation)| format!("{api} {operation}")).collect();
        (one.scenario.name.clone(), Shown { shows, portable: one.scenario.portable })
    });
    Results { date, scenarios: scenarios.collect() }
}

/// What the committed results have and these do not.
pub fn lost(committed: &Results, now: &Results) -> Vec<String> {
    let mut lost = Vec::new();
    for (name, before) in &committed.scenarios {
        match now.scenarios.get(name) {
            None => lost.push(format!("{name} passed and does not pass any more")),
            Some(after) => {
                let gone = before.shows.iter().filter(|operation| !after.shows.contains(operation));
                lost.extend(gone.map(|operation| format!("{name} does not show {operation} any more")));
            }
        }
    }
    lost
}

/// The operations of the services' tables that no scenario shows: `api Operation` each.
pub fn unshown(scenarios: &[Scenario], tables: &[(String, String)]) -> BTreeSet<String> {
    let sound = scenarios.iter().filter(|scenario| scenario.broken.is_none());
    let shown: BTreeSet<&(String, String)> = sound.flat_map(|scenario| &scenario.shows).collect();
    let missing = tables.iter().filter(|operation| !shown.contains(operation));
    missing.map(|(api, operation)| format!("{api} {operation}")).collect()
}

/// A file of lines, sorted; lines that begin with `#` are for people.
pub fn read_list(path: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// Tells a run: every failure with what repeats it, then the numbers.
pub fn tell(ran: &[Ran<'_>], url: &str, is_wordy: bool) {
    for one in ran {
        match &one.ended {
            Ended::Passed if one.scenario.broken.is_some() => {
                say(&format!("mended  {} passes now: take `broken` away", one.scenario.name));
            }
            Ended::Passed if is_wordy => say(&format!("ok      {} ({} ms)", one.scenario.name, one.ms)),
            Ended::Passed => {}
            Ended::Skipped(why) if is_wordy => say(&format!("skipped {}: {why}", one.scenario.name)),
            Ended::Skipped(_) => {}
            Ended::Failed { .. } if one.scenario.broken.is_some() => {
                say(&format!("broken  {}: {}", one.scenario.name, one.scenario.broken.as_deref().unwrap_or_default()));
            }
            Ended::Failed { line, why } => {
                let file = one.scenario.file.display();
                say(&format!("FAILED  {} ({file}:{line})\n    {why}", one.scenario.name));
                say(&format!("    again: conformance effects --endpoint {url} --scenario {}", one.scenario.name));
            }
        }
    }
    let count = |wanted: fn(&Ran<'_>) -> bool| ran.iter().filter(|one| wanted(one)).count();
    let passed = count(|one| one.ended == Ended::Passed);
    let failed = count(|one| one.is_bad());
    let broken = count(|one| one.scenario.broken.is_some());
    let skipped = count(|one| matches!(one.ended, Ended::Skipped(_)));
    say(&format!("effects: {passed} scenarios passed, {failed} failed, {broken} known as broken, {skipped} skipped"));
}

/// To standard output. Nobody reading any more is no reason to stop judging.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
