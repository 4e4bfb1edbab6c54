//! The commands, and what each does.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Parser, Subcommand};
use fractus_bus::{Bus, BusConfig};
use http::Method;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::client::Client;
use crate::certificates::Certificates;
use crate::config::{Config, Environment};
use crate::launcher::shell;
use crate::launcher::up::{self, Asked};
use crate::proxy::body::{BoxError, RouterBody};
use crate::proxy::credentials::Credentials;
use crate::{Router, bridge, discovery, edge};

#[derive(Debug, Parser)]
#[command(name = "fractus", version, about = "AWS on your own machine")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start NATS, the router and services on this machine; each service's process starts when it is first needed.
    Up(Up),
    /// The router alone, for services that run elsewhere.
    Router(Listen),
    /// What runs in a stack.
    Status(Stack),
    /// Forget state: of all services, or of those named.
    Reset {
        services: Vec<String>,
        #[arg(long)]
        lane: Option<String>,
        #[arg(long)]
        account: Option<String>,
        #[arg(long)]
        region: Option<String>,
        #[command(flatten)]
        stack: Stack,
    },
    /// Show or move the stack's clock.
    Clock {
        #[command(subcommand)]
        change: Option<ClockCommand>,
        /// The lane whose clock it is.
        #[arg(long, global = true, default_value = "main")]
        lane: String,
        #[command(flatten)]
        stack: Stack,
    },
    /// Write the whole stack's state to a file (`-`: standard output).
    Export {
        file: PathBuf,
        #[command(flatten)]
        stack: Stack,
    },
    /// Take over a state that was exported (`-`: standard input).
    Import {
        file: PathBuf,
        #[command(flatten)]
        stack: Stack,
    },
    /// Print what makes this shell's AWS clients go to the stack: `eval "$(fractus env)"`.
    Env(Stack),
    /// End with 0 if the stack, or the service at URL, is ready; for images without a shell.
    Healthcheck { url: Option<String> },
}

#[derive(Debug, Args)]
struct Listen {
    /// Where to listen: `address:port`.
    #[arg(long)]
    listen: Option<String>,
    /// The port alone.
    #[arg(long)]
    port: Option<u16>,
    /// Where a service's requests go: `sqs=http://127.0.0.1:9324`, `sqs=aws`; may be given several times.
    #[arg(long, value_name = "SERVICE=TARGET")]
    target: Vec<String>,
    /// A configuration file other than ./fractus.toml.
    #[arg(long)]
    config: Option<PathBuf>,
    /// A NATS that runs already.
    #[arg(long)]
    nats_url: Option<String>,
    /// Keep state, and the certificate authority, in this folder.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Up {
    /// The services; none: all whose programs are installed beside this one.
    services: Vec<String>,
    #[command(flatten)]
    listen: Listen,
    /// Start all services at once.
    #[arg(long)]
    eager: bool,
    /// The folder of the services' programs.
    #[arg(long)]
    programs: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Stack {
    /// The stack's URL.
    #[arg(long, global = true, env = "FRACTUS_ENDPOINT", default_value = "http://127.0.0.1:4566")]
    endpoint: String,
}

#[derive(Debug, Subcommand)]
enum ClockCommand {
    /// Show it.
    Show,
    /// Stop it where it is.
    Freeze,
    /// Let it run at real speed from where it is.
    Resume,
    /// Set it to an RFC 3339 time.
    Set { time: String },
    /// Move it forward: `90`, `90s`, `15m`, `36h`, `7d`.
    Advance { by: String },
    /// Run it faster or slower: virtual seconds in a real one.
    Scale { scale: f64 },
    /// Back to real time.
    Reset,
}

/// Does what the arguments say.
pub async fn run(arguments: Arguments) -> Result<ExitCode, BoxError> {
    match arguments.command {
        Command::Up(asked) => {
            let config = configured(&asked.listen)?;
            start_log(&config.log);
            raise_file_limit();
            let Up { services, eager, programs, listen } = asked;
            let config_file = listen.config.map(std::path::absolute).transpose()?;
            up::up(&config, Asked { services, eager, programs, config_file }, told_to_stop()?).await?;
        }
        Command::Router(asked) => {
            let config = configured(&asked)?;
            start_log(&config.log);
            raise_file_limit();
            router(&config).await?;
        }
        Command::Status(stack) => return status(&Client::new(&stack.endpoint)?).await,
        Command::Reset { services, lane, account, region, stack } => {
            let client = Client::new(&stack.endpoint)?;
            let scope = [("lane", lane), ("account", account), ("region", region)];
            let scope: Vec<String> =
                scope.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect();
            reset(&client, &services, &scope).await?;
        }
        Command::Clock { change, lane, stack } => {
            clock(&Client::new(&stack.endpoint)?, change.unwrap_or(ClockCommand::Show), &lane).await?;
        }
        Command::Export { file, stack } => export(&Client::new(&stack.endpoint)?, &file).await?,
        Command::Import { file, stack } => import(&Client::new(&stack.endpoint)?, &file).await?,
        Command::Env(stack) => std::io::stdout().write_all(shell::lines(&stack.endpoint).as_bytes())?,
        Command::Healthcheck { url } => return healthcheck(url).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn configured(asked: &Listen) -> Result<Config, BoxError> {
    let mut config = Config::load(&Environment::of_process(asked.config.clone()))?;
    if let Some(listen) = &asked.listen {
        config.listen.clone_from(listen);
    }
    if let Some(port) = asked.port {
        let address = config.listen.rsplit_once(':').map_or(config.listen.as_str(), |(address, _)| address);
        config.listen = format!("{address}:{port}");
    }
    for target in &asked.target {
        config.add_target(target)?;
    }
    config.nats_url = asked.nats_url.clone().or(config.nats_url);
    config.data_dir = asked.data_dir.clone().or(config.data_dir);
    // Services run in folders of their own; what is relative is so to where the user is.
    config.data_dir = config.data_dir.map(std::path::absolute).transpose()?;
    Ok(config)
}

fn start_log(filter: &str) {
    use std::io::IsTerminal;
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    // The NATS client tells of every connection; the router says what matters of it.
    let info = || Targets::new().with_default(tracing::Level::INFO);
    let filter = format!("async_nats=warn,{filter}").parse::<Targets>().unwrap_or_else(|_| info());
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() { registry.with(lines).init() } else { registry.with(lines.json()).init() }
}

/// A stack holds a file for each connection; most systems allow more than they give by default.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn router(config: &Config) -> Result<(), BoxError> {
    let authority = config.data_dir.as_ref().map(|folder| folder.join("tls"));
    let router = Arc::new(Router::new(Certificates::new(authority), config.hybrid(), Credentials::of_process()));
    config.point_targets(&router.targets)?;
    let bridge = bridge::begin(&router, config, config.nats_url.as_deref());
    if let Some(url) = &config.nats_url {
        let bus = Bus::connect(BusConfig::new(Some(url.clone()), "router", router.request_id()));
        tokio::spawn(discovery::follow(router.clone(), bus.directory(), std::collections::BTreeSet::new()));
        router.set_bus(bus);
    }
    let listener = TcpListener::bind(&config.listen)
        .await
        .map_err(|source| up::UpError::Listen { address: config.listen.clone(), source })?;
    writeln!(std::io::stdout(), "ready http://{}", listener.local_addr()?)?;
    let (drain, draining) = watch::channel(false);
    let stop = told_to_stop()?;
    let serving = tokio::spawn(edge::run(router, listener, draining, Duration::from_secs(config.drain_grace_secs)));
    stop.await;
    drain.send_replace(true);
    serving.await?;
    bridge.end().await;
    Ok(())
}

async fn status(client: &Client) -> Result<ExitCode, BoxError> {
    let health = client.ask(Method::GET, "/_fractus/health", None).await?;
    let services = health.get("services").and_then(Value::as_object);
    let services = services.ok_or("what answers there is no stack: its /_fractus/health names no services")?;
    let width = services.keys().map(String::len).max().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    for (service, facts) in services {
        let text = |name: &str| facts.get(name).and_then(Value::as_str).unwrap_or("");
        writeln!(out, "{service:width$}  {:8}  {}", text("status"), text("url"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn reset(client: &Client, services: &[String], scope: &[String]) -> Result<(), BoxError> {
    let each: Vec<Option<&String>> = if services.is_empty() { vec![None] } else { services.iter().map(Some).collect() };
    for service in each {
        let mut query = scope.to_vec();
        query.extend(service.map(|service| format!("service={service}")));
        let path = if query.is_empty() {
            "/_fractus/reset".to_owned()
        } else {
            format!("/_fractus/reset?{}", query.join("&"))
        };
        client.ask(Method::POST, &path, None).await?;
    }
    Ok(())
}

async fn clock(client: &Client, change: ClockCommand, lane: &str) -> Result<(), BoxError> {
    let body = match change {
        ClockCommand::Show => None,
        ClockCommand::Freeze => Some(json!({ "action": "freeze" })),
        ClockCommand::Resume => Some(json!({ "action": "resume" })),
        ClockCommand::Reset => Some(json!({ "action": "reset" })),
        ClockCommand::Set { time } => Some(json!({ "action": "set", "to": time })),
        ClockCommand::Scale { scale } => Some(json!({ "action": "scale", "scale": scale })),
        ClockCommand::Advance { by } => Some(json!({ "action": "advance", "seconds": seconds(&by)? })),
    };
    let path = format!("/_fractus/clock?lane={lane}");
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let shown = client.ask(method, &path, body).await?;
    let now = shown.get("now").and_then(Value::as_str).unwrap_or("");
    let scale = shown.get("scale").and_then(Value::as_f64).unwrap_or(1.0);
    let how = if scale == 0.0 { "frozen".to_owned() } else { format!("running at {scale}") };
    writeln!(std::io::stdout(), "{now}  {how}")?;
    Ok(())
}

fn seconds(text: &str) -> Result<f64, BoxError> {
    let (number, unit) = match text.find(|letter: char| letter.is_ascii_alphabetic()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(format!("{text:?} is no duration: 90, 90s, 15m, 36h and 7d are").into()),
    };
    Ok(number.parse::<f64>()? * unit)
}

async fn export(client: &Client, file: &std::path::Path) -> Result<(), BoxError> {
    let response = client.send(Method::GET, "/_fractus/state", RouterBody::empty()).await?;
    if !response.status().is_success() {
        return Err(format!("the stack answered {}", response.status()).into());
    }
    let body = response.into_body();
    if file == std::path::Path::new("-") {
        return write_out(body, tokio::io::stdout()).await;
    }
    // Half a state must not look like a whole one, nor take the place of an older whole one.
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let written = write_out(body, tokio::fs::File::create(&part).await?).await;
    match written {
        Ok(()) => Ok(tokio::fs::rename(part, file).await?),
        Err(error) => {
            let _ = tokio::fs::remove_file(part).await;
            Err(error)
        }
    }
}

async fn write_out(mut body: RouterBody, mut out: impl tokio::io::AsyncWrite + Unpin) -> Result<(), BoxError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            out.write_all(&data).await?;
        }
    }
    out.flush().await?;
    Ok(())
}

async fn import(client: &Client, file: &std::path::Path) -> Result<(), BoxError> {
    let mut source: Box<dyn tokio::io::AsyncRead + Unpin + Send> = if file == std::path::Path::new("-") {
        Box::new(tokio::io::stdin())
    } else {
        let opened = tokio::fs::File::open(file).await;
        Box::new(opened.map_err(|error| format!("{}: {error}", file.display()))?)
    };
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, BoxError>>(2);
    tokio::spawn(async move {
        loop {
            let mut piece = bytes::BytesMut::with_capacity(256 * 1024);
            let read = source.read_buf(&mut piece).await;
            let frame = match read {
                Ok(0) => return,
                Ok(_) => Ok(Frame::data(piece.freeze())),
                Err(error) => Err(error.into()),
            };
            if sender.send(frame).await.is_err() {
                return;
            }
        }
    });
    let body = RouterBody::boxed(StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(receiver)));
    let response = client.send(Method::POST, "/_fractus/state", body).await?;
    let status = response.status();
    let said = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        return Err(format!("the stack answered {status}: {}", String::from_utf8_lossy(&said)).into());
    }
    Ok(())
}

/// A URL with a path is asked as it is; else the readiness of what is there.
async fn healthcheck(url: Option<String>) -> Result<ExitCode, BoxError> {
    let url = url.unwrap_or_else(|| "http://127.0.0.1:4566".to_owned());
    let parsed: http::Uri = url.parse()?;
    let path = match parsed.path() {
        "" | "/" => "/_fractus/ready".to_owned(),
        path => path.to_owned(),
    };
    let authority = parsed.authority().ok_or("the URL has no host")?;
    let client = Client::new(&format!("{}://{authority}", parsed.scheme_str().unwrap_or("http")))?;
    let asking = tokio::time::timeout(Duration::from_secs(5), client.ask_any(Method::GET, &path, None));
    match asking.await? {
        Ok((status, _)) if status.is_success() => Ok(ExitCode::SUCCESS),
        Ok((status, value)) => Err(format!("{status}: {value}").into()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, wanted) in [("90", 90.0), ("90s", 90.0), ("15m", 900.0), ("1.5h", 5_400.0), ("7d", 604_800.0)] {
            assert_eq!(seconds(text).unwrap(), wanted);
        }
        assert!(seconds("15 minutes").is_err() && seconds("x").is_err() && seconds("").is_err());
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
