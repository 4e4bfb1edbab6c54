//! The `fractus` binary.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use fractus_router::certificates::Certificates;
use fractus_router::proxy::targets::TargetKind;
use fractus_router::{Router, edge};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[derive(Parser)]
#[command(name = "fractus", version, about = "AWS on your own machine")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The router alone.
    Router {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:4566")]
        listen: String,
        /// A service's URL, as `sqs=http://127.0.0.1:9324`; may be given several times.
        #[arg(long, value_name = "SERVICE=URL")]
        target: Vec<String>,
    },
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(Arguments::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &*error, "stopped");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let Command::Router { listen, target } = arguments.command;
    let router = Arc::new(Router::new(Certificates::new(None)));
    for one in target {
        let (service, url) = one.split_once('=').ok_or("--target is SERVICE=URL")?;
        router.targets.set_kind(service, TargetKind::Url(url.to_owned()))?;
    }
    let listener = TcpListener::bind(&listen).await?;
    let (_drain, draining) = watch::channel(false);
    edge::run(router, listener, draining, Duration::from_secs(5)).await;
    Ok(())
}
