//! Scenarios as data, each showing through another call that an operation did something.
//!
//! In reading order: [`scenario`] is what a file says (over [`yaml`], held against the models by [`check`]);
//! [`template`], [`functions`], [`path`] and [`matcher`] are its small language; [`run`] runs one, over [`send`];
//! [`shows`] judges whether its text ties two calls together; [`stub`] answers nonsense, which no scenario may pass
//! against; [`report`] tells.
//!
//! YAML is read by saphyr: it is maintained, and its nodes know their lines, so that a mistake is told with its place
//! (serde_yaml is archived, and serde gives the lines of syntax errors only).
//!
//! Left out on purpose: loops and conditions beyond counted repeats. A scenario that needs them is a program, and belongs to
//! a service's own tests.

pub mod apis;
pub mod check;
pub mod functions;
pub mod matcher;
pub mod nonsense;
pub mod path;
pub mod report;
pub mod run;
pub mod scenario;
pub mod send;
pub mod shows;
pub mod stub;
pub mod template;
pub mod value;
pub mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use fractus_clock::{Random, Stopwatch};
use fractus_sigv4::KeyCache;
use futures::StreamExt;

use self::report::{Ended, Ran, Results, say};
use self::run::{Runner, Without};
use self::scenario::{PLAIN, Scenario};
use crate::endpoint::Endpoint;

type Error = Box<dyn std::error::Error>;

/// Long polls last twenty seconds; nothing may take longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// The endpoint to judge, such as http://localhost:4566.
    #[arg(long)]
    pub endpoint: Option<String>,
    /// A stack with other settings: `enforced=http://localhost:4567`. Its scenarios are skipped without.
    #[arg(long, value_name = "NAME=URL")]
    pub stack: Vec<String>,
    /// Only scenarios of these services' folders.
    #[arg(long, value_delimiter = ',')]
    pub service: Vec<String>,
    /// Only scenarios whose name contains this; may be given several times.
    #[arg(long)]
    pub scenario: Vec<String>,
    /// Only scenarios that use nothing but AWS's operations.
    #[arg(long)]
    pub portable: bool,
    /// Every scenario in the default world, as on AWS, instead of one of its own.
    #[arg(long)]
    pub no_lanes: bool,
    /// The account of the caller.
    #[arg(long, default_value = "000000000000")]
    pub account: String,
    #[arg(long, default_value = "us-east-1")]
    pub region: String,
    /// How many at a time.
    #[arg(long, default_value_t = 8)]
    pub jobs: usize,
    /// The folder of scenarios.
    #[arg(long, default_value = "conformance/effects")]
    pub scenarios: PathBuf,
    /// Against a server that answers nonsense of the right shape: every scenario must fail there.
    #[arg(long)]
    pub against_stub: bool,
    /// Each scenario once for each operation that it shows, with that operation left out: it must fail.
    #[arg(long)]
    pub left_out: bool,
    /// The operations of the services' tables that no scenario shows, held against the list in the tree.
    #[arg(long)]
    pub unshown: bool,
    /// The folder of the services' programs, for `--unshown`.
    #[arg(long, default_value = "target/release")]
    pub programs: PathBuf,
    /// The list of operations without an effect shown.
    #[arg(long, default_value = "conformance/baselines/unshown.txt")]
    pub unshown_list: PathBuf,
    /// Writes the lists that stand in the tree anew, unless something in them would fall.
    #[arg(long)]
    pub update: bool,
    /// Writes them although something falls.
    #[arg(long, requires = "update")]
    pub accept_falls: bool,
    /// A scenario that fails is run again so often, alone; it is told as flaky if it passes then.
    #[arg(long, default_value_t = 0)]
    pub retries: usize,
    /// Compares with these results, and with `--update` writes them.
    #[arg(long)]
    pub results: Option<PathBuf>,
    /// Tells also what passed and what was skipped.
    #[arg(long, short)]
    pub verbose: bool,
}

#[derive(clap::Args, Clone, Debug)]
pub struct StubArguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: String,
    /// The same seed makes the same nonsense.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Serves nonsense until it is ended.
pub async fn run_stub(arguments: StubArguments) -> Result<ExitCode, Error> {
    let url = stub::serve(tokio::net::TcpListener::bind(&arguments.listen).await?, arguments.seed).await?;
    say(&url);
    std::future::pending::<()>().await;
    Ok(ExitCode::SUCCESS)
}

/// A run that cannot be made.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("--endpoint is missing")]
    NoEndpoint,
    #[error("{0:?} is not written as NAME=URL")]
    NotAStack(String),
    #[error("no scenario is called so")]
    NoScenario,
    #[error("{0} does not print its operations")]
    NoOperations(String),
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let all = scenario::load(&arguments.scenarios)?;
    let unfounded = unfounded(&all);
    for what in &unfounded {
        say(what);
    }
    if !unfounded.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    if arguments.unshown {
        return unshown(&arguments, &all);
    }
    let chosen: Vec<&Scenario> = all.iter().filter(|scenario| is_chosen(scenario, &arguments)).collect();
    if chosen.is_empty() {
        return Err(UsageError::NoScenario.into());
    }
    if arguments.against_stub {
        return against_stub(&arguments, &chosen).await;
    }
    let stacks = stacks(&arguments)?;
    if arguments.left_out {
        return left_out(&arguments, &chosen, &stacks).await;
    }
    let mut ran = run_all(&arguments, &chosen, &stacks).await;
    again(&arguments, &mut ran, &stacks).await;
    report::tell(&ran, arguments.endpoint.as_deref().unwrap_or_default(), arguments.verbose);
    let mut is_good = !ran.iter().any(Ran::is_bad);
    if let Some(path) = &arguments.results {
        is_good &= keep(path, report::results(&ran), &arguments)?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_chosen(scenario: &Scenario, arguments: &Arguments) -> bool {
    let of_service = |service: &String| scenario.name.starts_with(&format!("{service}/"));
    let named = |part: &String| scenario.name.contains(part.as_str());
    (arguments.service.is_empty() || arguments.service.iter().any(of_service))
        && (arguments.scenario.is_empty() || arguments.scenario.iter().any(named))
        && (!arguments.portable || scenario.portable)
}

/// What scenarios claim without grounds.
fn unfounded(scenarios: &[Scenario]) -> Vec<String> {
    let mut told = Vec::new();
    for scenario in scenarios {
        for operation in shows::unfounded(scenario) {
            let (file, line) = (scenario.file.display(), scenario.line);
            told.push(format!(
                "{file}:{line}: {} does not show {operation}: nothing ties another call to it",
                scenario.name
            ));
        }
    }
    told
}

/// A runner for each stack that was given.
fn stacks(arguments: &Arguments) -> Result<BTreeMap<String, Runner>, Error> {
    let endpoint = arguments.endpoint.clone().ok_or(UsageError::NoEndpoint)?;
    let mut stacks = BTreeMap::from([(PLAIN.to_owned(), runner(arguments, &endpoint, false)?)]);
    for text in &arguments.stack {
        let (name, url) = text.split_once('=').ok_or_else(|| UsageError::NotAStack(text.clone()))?;
        stacks.insert(name.to_owned(), runner(arguments, url, false)?);
    }
    Ok(stacks)
}

fn runner(arguments: &Arguments, url: &str, is_stub: bool) -> Result<Runner, Error> {
    Ok(Runner {
        endpoint: Endpoint::new(url, ANSWER_WITHIN)?,
        url: url.trim_end_matches('/').to_owned(),
        account: arguments.account.clone(),
        region: arguments.region.clone(),
        uses_lanes: !arguments.no_lanes && !is_stub,
        random: Random::system(),
        keys: KeyCache::default(),
        is_impatient: is_stub,
    })
}

async fn run_all<'a>(
    arguments: &Arguments,
    chosen: &[&'a Scenario],
    stacks: &BTreeMap<String, Runner>,
) -> Vec<Ran<'a>> {
    let one = |scenario: &'a Scenario| run_one(scenario, stacks);
    futures::stream::iter(chosen.iter().map(|scenario| one(scenario))).buffered(arguments.jobs.max(1)).collect().await
}

async fn run_one<'a>(scenario: &'a Scenario, stacks: &BTreeMap<String, Runner>) -> Ran<'a> {
    let Some(runner) = stacks.get(&scenario.stack) else {
        return Ran { scenario, ended: Ended::Skipped(format!("needs the stack {}", scenario.stack)), ms: 0 };
    };
    let watch = Stopwatch::start();
    let ended = match runner.run(scenario, None).await {
        Ok(()) => Ended::Passed,
        Err(failed) => Ended::Failed { line: failed.line, why: failed.why },
    };
    Ran { scenario, ended, ms: u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

/// A busy machine makes a scenario fail that is sound: what failed is run again with nothing beside it. What passes then is
/// told, since it is a mistake all the same.
async fn again(arguments: &Arguments, ran: &mut [Ran<'_>], stacks: &BTreeMap<String, Runner>) {
    for one in ran.iter_mut().filter(|one| one.is_bad()) {
        for _ in 0..arguments.retries {
            let second = run_one(one.scenario, stacks).await;
            if let (Ended::Passed, Ended::Failed { line, why }) = (&second.ended, &one.ended) {
                say(&format!("FLAKY   {} (line {line}) passes alone; before:\n    {why}", one.scenario.name));
                *one = second;
                break;
            }
        }
    }
}

/// Every scenario must fail against nonsense, whatever it is.
async fn against_stub(arguments: &Arguments, chosen: &[&Scenario]) -> Result<ExitCode, Error> {
    const SEEDS: u64 = 3;
    let mut defects = 0;
    for seed in 0..SEEDS {
        let url = stub::start(seed).await?;
        let mut stacks = BTreeMap::new();
        for scenario in chosen {
            stacks.insert(scenario.stack.clone(), runner(arguments, &url, true)?);
        }
        for one in run_all(arguments, chosen, &stacks).await {
            let what = match &one.ended {
                Ended::Passed if passes_always(arguments, one.scenario).await? => "passes against nonsense".to_owned(),
                // A stub that does not answer proves nothing.
                Ended::Failed { why, .. } if why.starts_with("no answer") => format!("was not judged: {why}"),
                _ => continue,
            };
            say(&format!("DEFECT  {} {what} (seed {seed})", one.scenario.name));
            defects += 1;
        }
    }
    say(&format!("effects: {} scenarios, {SEEDS} times against nonsense: {defects} defects", chosen.len()));
    Ok(if defects == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a scenario passes against any nonsense: some of it is right by chance.
async fn passes_always(arguments: &Arguments, scenario: &Scenario) -> Result<bool, Error> {
    const SEEDS: std::ops::Range<u64> = 100..120;
    for seed in SEEDS {
        let url = stub::start(seed).await?;
        if runner(arguments, &url, true)?.run(scenario, None).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A scenario that passes although an operation that it shows did nothing does not show it.
async fn left_out(
    arguments: &Arguments,
    chosen: &[&Scenario],
    stacks: &BTreeMap<String, Runner>,
) -> Result<ExitCode, Error> {
    const TRIES: usize = 40;
    let stub = Endpoint::new(&stub::start(0).await?, ANSWER_WITHIN)?;
    let stub = &stub;
    let pairs = chosen.iter().flat_map(|scenario| scenario.shows.iter().map(move |shown| (*scenario, shown)));
    let runs = pairs
        .filter(|(scenario, _)| scenario.broken.is_none())
        .filter_map(|(scenario, shown)| Some((scenario, shown, stacks.get(&scenario.stack)?)));
    let checks = runs.map(|(scenario, (api, operation), runner)| async move {
        let counted = shows::lines_tied_to_earlier(scenario, api, operation);
        let without = Without { api, operation, stub, counted };
        // Nonsense may be right by chance (a boolean is half the time), but not every time; what is missed ends at the first try.
        for _ in 0..TRIES {
            if runner.run(scenario, Some(&without)).await.is_err() {
                return None;
            }
        }
        Some(format!("DEFECT  {} passes without {api}.{operation}", scenario.name))
    });
    let found: Vec<Option<String>> = futures::stream::iter(checks).buffered(arguments.jobs.max(1)).collect().await;
    let defects: Vec<&String> = found.iter().flatten().collect();
    defects.iter().for_each(|defect| say(defect));
    say(&format!(
        "effects: {} operations left out of scenarios that show them: {} not missed",
        found.len(),
        defects.len()
    ));
    Ok(if defects.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The operations that a service answers, from the programs' own tables. A folder of builds may hold programs of services
/// that this tree does not have; those are left out where the tree is at hand.
fn tables(programs: &Path) -> Result<Vec<(String, String)>, Error> {
    let is_of_tree = |name: &str| !Path::new("services").is_dir() || Path::new("services").join(name).is_dir();
    let mut operations = Vec::new();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(programs)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(service) = name.strip_prefix("fractus-") else { continue };
        if name.contains('.') || !is_of_tree(service) {
            continue;
        }
        let printed = std::process::Command::new(&path).arg("--operations").output()?;
        let rows: Vec<serde_json::Value> =
            serde_json::from_slice(&printed.stdout).map_err(|_| UsageError::NoOperations(name))?;
        for row in rows {
            let text = |key: &str| row.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
            let is_answered = text("fidelity").is_some_and(|fidelity| fidelity != "missing");
            if let (Some(api), Some(operation), true) = (text("api"), text("operation"), is_answered) {
                operations.push((api, operation));
            }
        }
    }
    Ok(operations)
}

/// The list may only shrink: what is new in it is an operation that nobody has shown, what is gone must be taken off it.
fn unshown(arguments: &Arguments, scenarios: &[Scenario]) -> Result<ExitCode, Error> {
    let now = report::unshown(scenarios, &tables(&arguments.programs)?);
    let listed = report::read_list(&arguments.unshown_list);
    let new: Vec<_> = now.difference(&listed).collect();
    if arguments.update && (new.is_empty() || arguments.accept_falls) {
        let lines: String = now.iter().map(|line| format!("{line}\n")).collect();
        let head = "# Operations that services answer and no scenario shows an effect of. This list may only shrink.\n";
        std::fs::write(&arguments.unshown_list, format!("{head}{lines}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    now.iter().for_each(|operation| say(operation));
    // What no service answers (any more) may stay on the list until somebody writes it anew.
    let shown = |line: &&String| {
        let is = |(api, operation): &(String, String)| **line == format!("{api} {operation}");
        scenarios.iter().filter(|scenario| scenario.broken.is_none()).any(|scenario| scenario.shows.iter().any(is))
    };
    let gone: Vec<_> = listed.difference(&now).filter(shown).collect();
    new.iter().for_each(|operation| say(&format!("NEW     {operation} has no scenario that shows an effect of it")));
    gone.iter().for_each(|operation| say(&format!("GONE    {operation} is shown now: --update takes it off the list")));
    Ok(if new.is_empty() && gone.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Compares with the committed results; nothing that passed may be lost.
fn keep(path: &Path, mut now: Results, arguments: &Arguments) -> Result<bool, Error> {
    let committed: Results = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Results::default(),
        Err(error) => return Err(error.into()),
    };
    let lost = report::lost(&committed, &now);
    lost.iter().for_each(|what| say(&format!("LOST    {what}")));
    if arguments.update {
        if !lost.is_empty() && !arguments.accept_falls {
            say("the results are left as they are: --accept-falls takes what is lost");
            return Ok(false);
        }
        if now.scenarios == committed.scenarios {
            // The same tree gives the same file, whatever the day.
            now.date = committed.date;
        }
        std::fs::write(path, format!("{}\n", serde_json::to_string_pretty(&now)?))?;
        return Ok(true);
    }
    let new = now.scenarios.keys().filter(|name| !committed.scenarios.contains_key(*name));
    let new: Vec<_> = new.map(|name| format!("NEW     {name} is not in the results: --update")).collect();
    new.iter().for_each(|what| say(what));
    Ok(lost.is_empty() && new.is_empty())
}
