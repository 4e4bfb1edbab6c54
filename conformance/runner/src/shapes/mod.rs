//! Variants of every operation, made from the models, and a strict judgement of each answer's form.
//!
//! In reading order: [`variant`] (what there is to send: from [`site`], the places in an input), [`input`] (a
//! variant's input: with [`pattern`] for texts, [`setup`] for real names), `encode` (an input as a request), [`run`]
//! (sending), [`judge`] (the answer), [`counts`], [`report`] and [`baseline`].
//!
//! A service needs no code here, and no more than a table in the folder `setup`, which gives real names to members.

pub mod baseline;
mod chance;
pub mod counts;
mod derived;
mod encode;
mod facts;
mod input;
pub mod judge;
mod names;
mod pattern;
mod protocol;
pub mod report;
pub mod run;
pub mod setup;
mod site;
mod value;
mod variant;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fractus_clock::Stopwatch;
use fractus_models::ModelError;
use futures::{StreamExt, stream};
use serde_json::json;

use crate::endpoint::{Caller, Endpoint};
use crate::models;
use baseline::Baseline;
use report::ApiReport;
use run::Run;

/// A long poll takes 20 seconds by itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    /// The endpoint to judge, such as http://localhost:4566.
    #[arg(long)]
    pub endpoint: String,
    /// Only these services, by their API's name; all of them otherwise.
    #[arg(long, value_delimiter = ',')]
    pub service: Vec<String>,
    /// Requests of one API under way at a time.
    #[arg(long, default_value_t = 16)]
    pub jobs: usize,
    /// APIs under way at a time: one that waits in long polls holds up no other.
    #[arg(long, default_value_t = 4)]
    pub apis: usize,
    /// Sends also the variants of operations and APIs that the endpoint does not have, and tells how quickly it refuses.
    #[arg(long)]
    pub send_missing: bool,
    /// Every API in the default world, as on AWS, instead of one of its own.
    #[arg(long)]
    pub no_lanes: bool,
    /// Where generated texts begin; the same seed makes the same requests.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only the variants of this id, with * for anything; each is printed in full.
    #[arg(long)]
    pub only: Option<String>,
    /// Failures printed for each API; all of them are in the file of --json.
    #[arg(long, default_value_t = 10)]
    pub show: usize,
    /// Compares with the counts in this file, and fails where one has fallen.
    #[arg(long)]
    pub baseline: Option<PathBuf>,
    /// Writes the counts to the file of --baseline, unless one would fall.
    #[arg(long, requires = "baseline")]
    pub update_baseline: bool,
    /// Writes them although counts fall.
    #[arg(long, requires = "update_baseline")]
    pub accept_falls: bool,
    /// An API whose counts have fallen below the baseline is run again so often, alone.
    #[arg(long, default_value_t = 0)]
    pub retries: usize,
    /// Writes the results as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Who asks.
    #[arg(long, env = "AWS_ACCESS_KEY_ID", default_value = "test")]
    pub access_key: String,
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", default_value = "test", hide_env_values = true)]
    pub secret_key: String,
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    pub region: String,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ShapesError {
    #[error("the results cannot be written to {0}")]
    Unwritable(PathBuf, #[source] std::io::Error),
    #[error("there is no variant {0}")]
    NoVariant(String),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    SetUp(#[from] setup::SetupError),
    #[error("the run of {0} ended before its time")]
    Ended(&'static str),
}

pub async fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let watch = Stopwatch::start();
    let run = Arc::new(prepare(&arguments)?);
    let names = models::chosen(&services(&arguments))?;
    let mut running = stream::iter(names).map(|name| one(run.clone(), name)).buffered(arguments.apis.max(1));
    let mut reports = Vec::new();
    while let Some(report) = running.next().await {
        let report = report?;
        say(&told(&report, &arguments));
        reports.push(report);
    }
    if let Some(only) = &arguments.only
        && reports.iter().all(|report| report.counts.variants == 0)
    {
        return Err(Box::new(ShapesError::NoVariant(only.clone())));
    }
    say(&report::table(&reports));
    say(&report::summary(&reports, run.endpoint.requests(), watch.elapsed()));
    write_json(&arguments, &reports, watch.elapsed())?;
    let baseline =
        arguments.baseline.as_deref().filter(|_| arguments.only.is_none()).map(Baseline::read).transpose()?;
    if let Some(baseline) = &baseline {
        again(&arguments, &run, baseline, &mut reports).await?;
    }
    let falls = baseline.map_or(Ok(Vec::new()), |baseline| compare(&arguments, baseline, &reports))?;
    let has_failed = match &arguments.baseline {
        Some(_) => !falls.is_empty(),
        None => reports.iter().any(|report| report.failures.iter().any(|failure| !failure.findings.is_empty())),
    };
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One API's run, on a thread of its own: making requests and judging answers is work for all processors. Its model is
/// read when its turn comes and forgotten with it.
async fn one(run: Arc<Run>, name: &'static str) -> Result<ApiReport, ShapesError> {
    let runtime = tokio::runtime::Handle::current();
    let task = tokio::task::spawn_blocking(move || {
        let api = models::load(name)?;
        Ok(runtime.block_on(run.api(&api))?)
    });
    // A task ends without an answer only by a panic.
    task.await.unwrap_or_else(|_| Err(ShapesError::Ended(name)))
}

fn prepare(arguments: &Arguments) -> Result<Run, Box<dyn std::error::Error>> {
    let mut command = format!("conformance shapes --endpoint {}", arguments.endpoint);
    if arguments.seed != 1 {
        command.push_str(&format!(" --seed {}", arguments.seed));
    }
    let mut run = Run::new(Endpoint::new(&arguments.endpoint, ANSWER_WITHIN)?, command)?;
    run.caller = Caller {
        access_key: arguments.access_key.clone(),
        secret: arguments.secret_key.clone(),
        session_token: None,
        region: arguments.region.clone(),
        lane: None,
    };
    (run.jobs, run.seed, run.only) = (arguments.jobs, arguments.seed, arguments.only.clone());
    run.sends_missing = arguments.send_missing;
    run.uses_lanes = !arguments.no_lanes;
    Ok(run)
}

/// The APIs asked for; an id names its own.
fn services(arguments: &Arguments) -> Vec<String> {
    let of_id = arguments.only.as_deref().and_then(|only| only.split_once(':')).map(|(api, _)| api.to_owned());
    match of_id.filter(|api| !api.contains('*')) {
        Some(api) if arguments.service.is_empty() => vec![api],
        _ => arguments.service.clone(),
    }
}

/// What is printed of an API: what failed in its set-up, and its first failures.
fn told(report: &ApiReport, arguments: &Arguments) -> String {
    let shown = if arguments.only.is_some() { usize::MAX } else { arguments.show };
    let mut text: String =
        report.set_up.iter().map(|why| format!("{}: a set-up call failed: {why}\n", report.api)).collect();
    report.failures.iter().take(shown).for_each(|failure| text.push_str(&failure.text()));
    if report.failures.len() > shown {
        text.push_str(&format!("{}: {} failures more\n", report.api, report.failures.len() - shown));
    }
    text
}

fn write_json(arguments: &Arguments, reports: &[ApiReport], took: Duration) -> Result<(), ShapesError> {
    let Some(path) = &arguments.json else { return Ok(()) };
    let json = json!({
        "endpoint": arguments.endpoint,
        "seed": arguments.seed,
        "seconds": took.as_secs_f64(),
        "apis": reports,
    });
    std::fs::write(path, format!("{json:#}\n")).map_err(|error| ShapesError::Unwritable(path.clone(), error))
}

/// A busy machine makes answers come too late, and names differ from run to run: an API in which something has fallen is run
/// again with nothing beside it, in a fresh world. What has not fallen in that run is told as flaky.
async fn again(
    arguments: &Arguments,
    run: &Arc<Run>,
    baseline: &Baseline,
    reports: &mut [ApiReport],
) -> Result<(), ShapesError> {
    for report in reports {
        for _ in 0..arguments.retries {
            let name = models::names().find(|name| *name == report.api);
            let (false, Some(name)) = (baseline.fallen(report).is_empty(), name) else { break };
            let second = one(run.clone(), name).await?;
            let mended = baseline.mend(report, &second);
            mended.iter().for_each(|operation| {
                say(&format!("flaky: {name} {operation} had fallen, and has not in a second run\n"))
            });
        }
    }
    Ok(())
}

/// Compares with the baseline and, where asked to, writes it anew.
fn compare(
    arguments: &Arguments,
    mut baseline: Baseline,
    reports: &[ApiReport],
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let falls = baseline.falls(reports);
    for fall in &falls {
        say(&format!("fallen: {fall}\n"));
    }
    if let Some(path) = arguments.baseline.as_ref().filter(|_| arguments.update_baseline) {
        if !falls.is_empty() && !arguments.accept_falls {
            say("the baseline is left as it is: --accept-falls takes what has fallen\n");
            return Ok(falls);
        }
        baseline.take(reports);
        baseline.write(path)?;
        return Ok(Vec::new());
    }
    Ok(falls)
}

fn say(text: &str) {
    // Without standard output there is only the exit code to tell.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
