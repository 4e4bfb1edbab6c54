//! The life of a process, in order.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use fractus_aws::Lane;
use fractus_bus::contracts::{Cause, LookUpClocks};
use fractus_bus::{Bus, BusConfig, BusState};
use fractus_clock::{Clock, ClockSettings, Clocks, Random, Timestamp};
use fractus_store::Store;

use crate::config::{
    Asked, ConfigError, Environment, HostConfig, Loaded, LogFormat, Section, Settings, load, settings_page,
};
use crate::healthcheck;
use crate::host::{Host, HostParts};
use crate::launch::launch;
use crate::operations::OperationRow;
use crate::parent::{self, Parent};
use crate::service::App;

/// The bus is waited for no longer at the start.
const REACHES_BUS_WITHIN: Duration = Duration::from_millis(500);

/// A service's program: what it is called, and what it can tell without being started.
#[derive(Clone, Copy)]
pub struct Program {
    /// The AWS CLI's name for the service.
    pub name: &'static str,
    /// `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// The operation table's list.
    pub operations: fn() -> Vec<OperationRow>,
}

/// Everything a service's `main` does: reads the settings, starts the service, serves it until it is told to end.
pub fn run<C, F, Fut, E>(program: Program, start: F) -> ExitCode
where
    C: Settings,
    F: FnOnce(C, Host) -> Fut,
    Fut: Future<Output = Result<App, E>>,
    E: Display,
{
    let environment = Environment::of_process();
    if let Some(code) = healthcheck::asked(&environment) {
        return code;
    }
    let loaded: Loaded<C> = match load(program.name, &environment) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&program, &error),
    };
    match loaded.asked {
        Asked::Run => {}
        asked => return tell::<C>(&program, asked),
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if loaded.host.threads > 0 {
        builder.worker_threads(loaded.host.threads);
    }
    let runtime = match builder.enable_all().thread_name(program.name).build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&program, &error),
    };
    let code = runtime.block_on(live(program, loaded, start));
    // What hangs in a blocking call must not keep the process.
    runtime.shutdown_background();
    code
}

fn fail(program: &Program, error: &dyn Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "fractus-{}: {error}", program.name);
    ExitCode::FAILURE
}

/// Answers what needs no running service.
fn tell<C: Settings>(program: &Program, asked: Asked) -> ExitCode {
    let sections = [Section::of::<C>(program.name), Section::common()];
    let text = match asked {
        Asked::Version => format!("fractus-{} {}\n", program.name, program.version),
        Asked::Operations => match serde_json::to_string_pretty(&(program.operations)()) {
            Ok(text) => text + "\n",
            Err(error) => return fail(program, &error),
        },
        Asked::Settings => settings_page(&sections),
        Asked::Help | Asked::Run => {
            let help: String = sections.iter().map(|section| section.help() + "\n").collect();
            format!(
                "fractus-{} {}\n\n  --help, --version, --settings (this list as Markdown), --operations (as JSON)\n  \
                 healthcheck (ends with 0 if the service that runs here is ready)\n  --config <file> (default: fractus.toml)\n\n{help}",
                program.name, program.version
            )
        }
    };
    // A reader that has seen enough is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

async fn live<C, F, Fut, E>(program: Program, loaded: Loaded<C>, start: F) -> ExitCode
where
    C: Settings,
    F: FnOnce(C, Host) -> Fut,
    Fut: Future<Output = Result<App, E>>,
    E: Display,
{
    begin_logs(&loaded.host);
    for name in &loaded.ignored_variables {
        tracing::debug!(name, "a variable that is no setting of this service");
    }
    let parent = match loaded.host.parent_pid.map(parent::watch) {
        Some(None) => return fail(&program, &"the process that started this one is gone"),
        Some(parent) => parent,
        None => None,
    };
    let host = match host_of(&program, loaded.host).await {
        Ok(host) => host,
        Err(error) => return fail(&program, &error),
    };
    let app = match start(loaded.service, host.clone()).await {
        Ok(app) => app,
        Err(error) => return fail(&program, &error),
    };
    let running = match launch(&host, app).await {
        Ok(running) => running,
        Err(error) => return fail(&program, &error),
    };
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return fail(&program, &error),
    };
    reach_bus(&host).await;
    // The one line on standard output, for whoever started this; gone readers are no failure.
    let _ = writeln!(std::io::stdout(), "ready {}", running.url);
    let _ = std::io::stdout().flush();
    tracing::info!(service = program.name, url = running.url, "listening");
    let readiness = running.ready();
    let why = tokio::select! {
        why = told_to_end(&mut terminate, &mut interrupt, parent.as_ref()) => why,
        () = async { readiness.await; std::future::pending().await } => "",
    };
    tracing::info!(service = program.name, why, "ending");
    let late = running.stop().await;
    if late.is_empty() {
        return ExitCode::SUCCESS;
    }
    tracing::warn!(service = program.name, ?late, "cut off at the end of the grace");
    ExitCode::FAILURE
}

/// Waits a moment for the bus. Whoever sends the first request means the stack as it is: a service that cannot ask whose a
/// key is, nor hear that a clock was moved, would answer for another one. Where there is no bus, it goes on without.
async fn reach_bus(host: &Host) {
    let mut state = host.bus().state();
    let reached = state.wait_for(|state| *state != BusState::Away);
    let _ = tokio::time::timeout(REACHES_BUS_WITHIN, reached).await;
}

async fn told_to_end(
    terminate: &mut tokio::signal::unix::Signal,
    interrupt: &mut tokio::signal::unix::Signal,
    parent: Option<&Parent>,
) -> &'static str {
    let parent_gone = async {
        match parent {
            Some(parent) => parent.gone().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = parent_gone => "the process that started this one is gone",
    }
}

async fn host_of(program: &Program, config: HostConfig) -> Result<Host, ConfigError> {
    let wrong = |error: &dyn Display| ConfigError::Value(error.to_string());
    let clocks = Clocks::default();
    if let Some(at) = &config.frozen_at {
        let at = Timestamp::parse_date_time(at).map_err(|error| wrong(&error))?;
        clocks.insert("main", Clock::frozen_at(at));
    }
    if let Some(path) = &config.clocks_file {
        let text = std::fs::read(path).map_err(|error| wrong(&format!("clocks_file, {path}: {error}")))?;
        let held: BTreeMap<Lane, ClockSettings> =
            serde_json::from_slice(&text).map_err(|error| wrong(&format!("clocks_file, {path}: {error}")))?;
        held.into_iter().for_each(|(lane, settings)| clocks.lane(lane.as_str()).apply(settings));
    }
    let random = config.seed.map_or_else(Random::system, Random::seeded);
    let store =
        Store::open(config.store_config(), program.name, clocks.clone()).await.map_err(|error| wrong(&error))?;
    let bus = Bus::connect(BusConfig::new(config.nats_url.clone(), program.name, random.uuid()));
    // A launcher gives the clocks that were moved when it starts a service.
    if config.nats_url.is_some() && config.parent_pid.is_none() && config.clocks_file.is_none() {
        take_clocks(&bus, &clocks).await;
    }
    Ok(Host::new(HostParts { name: program.name, version: program.version, config, clocks, random, store, bus }))
}

/// Takes the lanes' clocks over from the router, where there is one on the bus: a service does what is due, and takes what
/// waits for it, before it can be told. A bus or a router that is not there yet holds nothing up for long: what they know
/// is told as soon as they are.
async fn take_clocks(bus: &Bus, clocks: &Clocks) {
    let asking = async {
        bus.connected().await;
        bus.call_within("router", &LookUpClocks {}, &Cause::default(), REACHES_BUS_WITHIN).await
    };
    let told = tokio::select! {
        told = asking => told,
        () = Clock::real().sleep(REACHES_BUS_WITHIN) => return,
    };
    match told {
        Ok(told) => told.into_iter().for_each(|(lane, settings)| clocks.lane(&lane).apply_if_newer(settings)),
        Err(error) => tracing::debug!(%error, "nobody tells of the lanes' clocks"),
    }
}

/// Lines on standard error; standard output belongs to the `ready` line.
fn begin_logs(config: &HostConfig) {
    // The NATS client tells of every connection; the bus says what matters of it.
    let (filter, wrong) = match format!("async_nats=warn,{}", config.log).parse::<Targets>() {
        Ok(filter) => (filter, None),
        Err(error) => (Targets::new().with_default(tracing::Level::INFO), Some(error)),
    };
    let is_json = match config.log_format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Pretty => false,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second subscriber in one process (a test) is no failure.
    let _ = if is_json { registry.with(lines.json()).try_init() } else { registry.with(lines).try_init() };
    if let Some(error) = wrong {
        tracing::warn!(%error, log = config.log, "the log filter is not understood; info is logged");
    }
}
