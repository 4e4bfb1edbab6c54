//! All of `fractus up`, in the order in which it happens.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fractus_bus::{Bus, BusConfig};
use fractus_clock::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::nats::{self, Nats, NatsError};
use super::settings::{find_in_path, installed, is_program};
use super::{LaunchSettings, Launcher};
use crate::certificates::Certificates;
use crate::config::{Config, ConfigError, closest};
use crate::proxy::credentials::Credentials;
use crate::{Router, bridge, discovery, edge};

/// What nats-server gets to end in.
const NATS_GRACE: Duration = Duration::from_secs(3);
const NATS_RESTART_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum UpError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("there is no service {asked:?}{}; the programs beside this one are for: {installed}", .closest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default())]
    NoSuchService { asked: String, closest: Option<String>, installed: String },
    #[error("cannot listen on {address}")]
    Listen { address: String, source: io::Error },
    #[error("cannot use the folder {}", .path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Nats(#[from] NatsError),
    #[error("cannot wait for signals or write to standard output")]
    Terminal(#[from] io::Error),
}

/// What is asked of one `up`, beside the configuration.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The services; none: all that are installed.
    pub services: Vec<String>,
    pub eager: bool,
    /// Where the services' programs are; none: beside this one.
    pub programs: Option<PathBuf>,
    /// The configuration file that was named on the command line; absolute.
    pub config_file: Option<PathBuf>,
}

/// Runs a stack until `stop` completes.
pub async fn up(config: &Config, asked: Asked, stop: impl Future<Output = ()>) -> Result<(), UpError> {
    let folder = asked.programs.clone().or_else(own_folder).unwrap_or_default();
    let installed = installed(&folder);
    let mut programs = chosen(installed.clone(), &asked.services)?;
    let left_out = installed.into_keys().filter(|name| !programs.contains_key(name)).collect();
    // One that points elsewhere has no process here, which would take its deliveries.
    programs.retain(|name, _| config.targets.get(name).is_none_or(|target| target == "auto"));
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|source| UpError::Listen { address: config.listen.clone(), source })?;
    let port = listener.local_addr()?.port();
    let run_dir = RunDir::create(config)?;

    let mut nats = start_nats(config, &folder, run_dir.path()).await?;
    let nats_url = config.nats_url.clone().or_else(|| nats.as_ref().map(|(nats, _)| nats.url.clone()));
    let settings = Arc::new(LaunchSettings {
        programs,
        left_out,
        run_dir: run_dir.path().to_owned(),
        data_dir: config.data_dir.clone(),
        router_url: format!("http://127.0.0.1:{port}"),
        nats_url: nats_url.clone(),
        config_file: asked.config_file,
        eager: asked.eager,
    });
    let authority = config.data_dir.as_ref().map(|folder| folder.join("tls"));
    let router = Arc::new(Router::new(Certificates::new(authority), config.hybrid(), Credentials::of_process()));
    config.point_targets(&router.targets)?;
    let bridge = bridge::begin(&router, config, nats_url.as_deref());
    let bus = nats_url.map(|url| Bus::connect(BusConfig::new(Some(url), "router", router.request_id())));
    let launcher = Launcher::begin(&settings, &router, bus.clone());
    router.targets.set_starter(launcher.clone());
    if let Some(bus) = &bus {
        router.set_bus(bus.clone());
        tokio::spawn(discovery::follow(router.clone(), bus.directory(), settings.programs.keys().cloned().collect()));
    }
    let (drain, draining) = watch::channel(false);
    let grace = Duration::from_secs(config.drain_grace_secs);
    let serving = tokio::spawn(edge::run(router.clone(), listener, draining, grace));
    tell(&settings, &router, config, port)?;

    tokio::pin!(stop);
    tokio::select! {
        () = &mut stop => {}
        () = keep_nats(&mut nats, &settings) => {}
    }
    tracing::info!("ending");
    drain.send_replace(true);
    if serving.await.is_err() {
        tracing::warn!("the port was cut off");
    }
    launcher.stop().await;
    bridge.end().await;
    if let Some((nats, _)) = nats {
        nats.stop(NATS_GRACE).await;
    }
    Ok(())
}

fn own_folder() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.to_owned())
}

fn chosen(
    installed: std::collections::BTreeMap<String, PathBuf>,
    asked: &[String],
) -> Result<std::collections::BTreeMap<String, PathBuf>, UpError> {
    if let Some(missing) = asked.iter().find(|name| !installed.contains_key(*name)) {
        let names: Vec<&str> = installed.keys().map(String::as_str).collect();
        return Err(UpError::NoSuchService {
            asked: missing.clone(),
            closest: closest(missing, names.iter().copied()).map(str::to_owned),
            installed: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        });
    }
    Ok(installed.into_iter().filter(|(name, _)| asked.is_empty() || asked.contains(name)).collect())
}

/// A folder that only this user can read, gone after the run. Short, since a socket's path has at most 107 bytes.
struct RunDir(PathBuf);

impl RunDir {
    fn create(config: &Config) -> Result<Self, UpError> {
        use std::os::unix::fs::DirBuilderExt;
        let path =
            config.run_dir.clone().unwrap_or_else(std::env::temp_dir).join(format!("fractus-{}", std::process::id()));
        let created = match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path),
        };
        created.map(|()| RunDir(path.clone())).map_err(|source| UpError::Folder { path, source })
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // What is left is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn nats_store(data_dir: Option<&Path>, run_dir: &Path) -> PathBuf {
    data_dir.unwrap_or(run_dir).join("nats")
}

/// Starts nats-server, unless the configuration names one that runs. Without the program the stack still works: what
/// crosses between services does not, which is said once.
async fn start_nats(config: &Config, folder: &Path, run_dir: &Path) -> Result<Option<(Nats, PathBuf)>, UpError> {
    if config.nats_url.is_some() {
        return Ok(None);
    }
    let Some(program) = find_nats(config, folder) else {
        tracing::warn!(
            "nats-server is not in PATH, not beside this program and not named by FRACTUS_NATS_SERVER: \
             notifications and other events between services will not be delivered"
        );
        return Ok(None);
    };
    let store = nats_store(config.data_dir.as_deref(), run_dir);
    Ok(Some((nats::start(&program, run_dir, &store, None).await?, program)))
}

fn find_nats(config: &Config, folder: &Path) -> Option<PathBuf> {
    let beside = folder.join("nats-server");
    config
        .nats_server
        .clone()
        .or_else(|| is_program(&beside).then_some(beside))
        .or_else(|| find_in_path("nats-server", std::env::var_os("PATH")))
}

/// Starts nats-server again, on its port, whenever it ends unasked. Never completes.
async fn keep_nats(nats: &mut Option<(Nats, PathBuf)>, settings: &LaunchSettings) {
    let Some((nats, program)) = nats else { return std::future::pending().await };
    loop {
        nats.ended().await;
        tracing::warn!("nats-server ended unasked; it is started again");
        Clock::real().sleep(NATS_RESTART_PAUSE).await;
        let store = nats_store(settings.data_dir.as_deref(), &settings.run_dir);
        match nats::start(program, &settings.run_dir, &store, nats.port()).await {
            Ok(started) => *nats = started,
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "nats-server does not start"),
        }
    }
}

/// The table of endpoints, and the line that scripts and wait strategies look for.
fn tell(settings: &LaunchSettings, router: &Router, config: &Config, port: u16) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let url = format!("http://localhost:{port}");
    writeln!(out, "Fractus {} at {url} (and https://localhost:{port})", env!("CARGO_PKG_VERSION"))?;
    let width = settings.programs.keys().map(String::len).max().unwrap_or(0).max(8);
    for service in settings.programs.keys() {
        writeln!(out, "  {service:width$}  AWS_ENDPOINT_URL_{}={url}", environment_name(service))?;
    }
    for (service, target) in &config.targets {
        if target != "auto" {
            writeln!(out, "  {service:width$}  -> {target}")?;
        }
    }
    match (&settings.nats_url, router.bus()) {
        (Some(url), Some(_)) => writeln!(out, "  {:width$}  {url}", "nats")?,
        _ => writeln!(out, "  {:width$}  not running", "nats")?,
    }
    match &settings.data_dir {
        Some(folder) => writeln!(out, "  {:width$}  {}", "state", folder.display())?,
        None => writeln!(out, "  {:width$}  in memory", "state")?,
    }
    writeln!(out, "  {}", super::shell::exports(&url))?;
    writeln!(out, "Ready.")?;
    out.flush()
}

/// `AWS_ENDPOINT_URL_<SERVICE>` as the SDKs build it, from the service id; the command line's name is nearly that.
fn environment_name(service: &str) -> String {
    let id = match service {
        "events" => "eventbridge",
        "stepfunctions" => "sfn",
        "logs" => "cloudwatch_logs",
        "cognito-idp" => "cognito_identity_provider",
        "elbv2" => "elastic_load_balancing_v2",
        "apigateway" => "api_gateway",
        "application-autoscaling" => "application_auto_scaling",
        "route53" => "route_53",
        "secretsmanager" => "secrets_manager",
        other => other,
    };
    id.replace('-', "_").to_uppercase()
}
