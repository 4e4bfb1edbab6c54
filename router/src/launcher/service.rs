//! The life of one service's process.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Weak};
use std::time::Duration;

use fractus_bus::{Bus, Wake, WakeWatch};
use fractus_clock::{Clock, Stopwatch};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

use super::{LaunchSettings, guard};
use crate::admin::control;
use crate::proxy::hold::LONGEST_HOLD;
use crate::proxy::targets::{StartError, Starter};
use crate::router::Router;

/// A process has so long to become ready: one that opens a large state on a busy machine takes its time, and to end it would
/// only make it begin again.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// Calls that came before the service could take them itself are kept for it so long.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that ran so long was well; the pause begins anew.
const WELL_AFTER: Duration = Duration::from_secs(30);
/// What a service has to end in, a little more than its own grace.
const STOP_GRACE: Duration = Duration::from_secs(12);

/// Where a service is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceStatus {
    Idle,
    Starting,
    Ready {
        url: String,
    },
    /// The last start failed; the next request tries again.
    Down {
        why: String,
    },
}

impl ServiceStatus {
    pub fn name(&self) -> &'static str {
        match self {
            ServiceStatus::Idle => "idle",
            ServiceStatus::Starting => "starting",
            ServiceStatus::Ready { .. } => "ready",
            ServiceStatus::Down { .. } => "down",
        }
    }
}

/// All services of this machine's stack.
pub struct Launcher {
    services: BTreeMap<String, Arc<Managed>>,
    left_out: BTreeSet<String>,
    data_dir: Option<PathBuf>,
    stop: watch::Sender<bool>,
    tasks: TaskTracker,
}

struct Managed {
    name: String,
    program: PathBuf,
    status: watch::Sender<ServiceStatus>,
    wanted: Notify,
}

impl Launcher {
    /// Begins to stand in for every service; a process starts when it is wanted, or now with `eager`.
    pub fn begin(settings: &Arc<LaunchSettings>, router: &Arc<Router>, bus: Option<Bus>) -> Arc<Self> {
        let (stop, stopping) = watch::channel(false);
        let tasks = TaskTracker::new();
        let mut services = BTreeMap::new();
        for (name, program) in &settings.programs {
            let managed = Arc::new(Managed {
                name: name.clone(),
                program: program.clone(),
                status: watch::Sender::new(ServiceStatus::Idle),
                wanted: Notify::new(),
            });
            if settings.eager {
                managed.wanted.notify_one();
            }
            let supervisor = Supervisor {
                managed: managed.clone(),
                settings: settings.clone(),
                router: Arc::downgrade(router),
                bus: bus.clone(),
                stopping: stopping.clone(),
            };
            tasks.spawn(supervisor.run());
            services.insert(name.clone(), managed);
        }
        tasks.close();
        let left_out = settings.left_out.clone();
        Arc::new(Launcher { services, left_out, data_dir: settings.data_dir.clone(), stop, tasks })
    }

    /// Ends all processes and waits until they are gone.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        self.tasks.wait().await;
    }
}

impl Starter for Launcher {
    fn start<'a>(&'a self, service: &'a str) -> Pin<Box<dyn Future<Output = Result<(), StartError>> + Send + 'a>> {
        Box::pin(async move {
            match self.services.get(service) {
                Some(managed) => managed.start().await,
                None if self.left_out.contains(service) => Err(StartError::NotAsked),
                None => Err(StartError::NotInstalled),
            }
        })
    }

    fn statuses(&self) -> Vec<(String, ServiceStatus)> {
        self.services.iter().map(|(name, managed)| (name.clone(), managed.status.borrow().clone())).collect()
    }

    fn has_state(&self, service: &str) -> bool {
        self.data_dir.as_ref().is_some_and(|folder| folder.join(service).exists())
    }
}

impl Managed {
    async fn start(&self) -> Result<(), StartError> {
        let mut status = self.status.subscribe();
        // A failure of earlier starts is no answer to this request; only one that comes from now on is.
        status.mark_unchanged();
        if !matches!(*status.borrow(), ServiceStatus::Ready { .. }) {
            self.wanted.notify_one();
        }
        let waiting = async {
            loop {
                if let ServiceStatus::Ready { .. } = *status.borrow_and_update() {
                    return Ok(());
                }
                if status.changed().await.is_err() {
                    return Err(StartError::Failed("the stack is ending".to_owned()));
                }
                if let ServiceStatus::Down { why } = &*status.borrow() {
                    return Err(StartError::Failed(why.clone()));
                }
            }
        };
        tokio::time::timeout(LONGEST_HOLD, waiting).await.unwrap_or(Err(StartError::Slow))
    }
}

struct Supervisor {
    managed: Arc<Managed>,
    settings: Arc<LaunchSettings>,
    /// Weak: the router holds the launcher.
    router: Weak<Router>,
    bus: Option<Bus>,
    stopping: watch::Receiver<bool>,
}

impl Supervisor {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut restart = false;
        while !*self.stopping.borrow() {
            let held = if restart { None } else { Some(self.wait_until_wanted().await) };
            if *self.stopping.borrow() {
                break;
            }
            self.managed.status.send_replace(ServiceStatus::Starting);
            let ran = Stopwatch::start();
            match self.live(held.flatten()).await {
                Ok(None) => break,
                Ok(Some(ended)) => {
                    tracing::warn!(service = self.managed.name, %ended, pause_ms = pause.as_millis(), "a service ended unasked; it is started again");
                    // Who asks from now on waits for the next process.
                    self.managed.status.send_replace(ServiceStatus::Starting);
                    restart = true;
                }
                Err(why) => {
                    tracing::error!(service = self.managed.name, why, "a service could not be started");
                    self.managed.status.send_replace(ServiceStatus::Down { why });
                    restart = false;
                }
            }
            if ran.elapsed() > WELL_AFTER {
                pause = FIRST_PAUSE;
            }
            let mut stopping = self.stopping.clone();
            tokio::select! {
                () = Clock::real().sleep(pause) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.managed.status.send_replace(ServiceStatus::Down { why: "the stack is ending".to_owned() });
    }

    /// Until a request, a delivery or a call wants the service. The watch stays until the service can take its place.
    async fn wait_until_wanted(&self) -> Option<(WakeWatch, Vec<fractus_bus::HeldCall>)> {
        let mut stopping = self.stopping.clone();
        let Some(bus) = &self.bus else {
            tokio::select! {
                () = self.managed.wanted.notified() => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
            return None;
        };
        let mut watch = bus.wake_watch(&self.managed.name);
        let mut held = Vec::new();
        tokio::select! {
            () = self.managed.wanted.notified() => {}
            _ = stopping.wait_for(|stop| *stop) => {}
            wake = watch.next() => if let Some(Wake::Call(call)) = wake { held.push(call) },
        }
        Some((watch, held))
    }

    /// One process from its start to its end: `None` when it was told to stop, its status when it ended by itself, an
    /// error when it never became ready.
    async fn live(
        &mut self,
        held: Option<(WakeWatch, Vec<fractus_bus::HeldCall>)>,
    ) -> Result<Option<ExitStatus>, String> {
        let mut child = self.spawn().map_err(|error| format!("{}: {error}", self.managed.program.display()))?;
        let url = match tokio::time::timeout(START_TIMEOUT, ready_line(&mut child)).await {
            Ok(Ok(url)) => url,
            failed => {
                refuse_calls(held, &self.managed.name).await;
                return Err(self.explain(child, failed.is_err()).await);
            }
        };
        let Some(router) = self.router.upgrade() else { return Ok(None) };
        let mut told = control::Told::default();
        control::bring_up_to_date(&router, &url, &mut told).await;
        let socket = self.socket();
        router.targets.set_replicas(&self.managed.name, vec![(url.clone(), socket.exists().then_some(socket))]);
        control::bring_up_to_date(&router, &url, &mut told).await;
        self.managed.status.send_replace(ServiceStatus::Ready { url });
        drop(router);
        // On its own, so that the process is watched meanwhile.
        tokio::spawn(issue_calls(held));
        let mut stopping = self.stopping.clone();
        let ended = tokio::select! {
            ended = child.wait() => Some(ended),
            _ = stopping.wait_for(|stop| *stop) => None,
        };
        if let Some(router) = self.router.upgrade() {
            router.targets.set_replicas(&self.managed.name, Vec::new());
        }
        match ended {
            Some(ended) => ended.map(Some).map_err(|error| error.to_string()),
            None => {
                end(child).await;
                Ok(None)
            }
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let settings = &self.settings;
        let mut command = guard::command(&self.managed.program)?;
        command
            .env("FRACTUS_LISTEN", "127.0.0.1:0")
            .env("FRACTUS_HANDOFF_SOCKET", self.socket())
            .env("FRACTUS_ROUTER_URL", &settings.router_url)
            .env("FRACTUS_PARENT_PID", std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(url) = &settings.nats_url {
            command.env("FRACTUS_NATS_URL", url);
        }
        if let Some(file) = &settings.config_file {
            command.env("FRACTUS_CONFIG", file);
        }
        match self.clocks_file()? {
            Some(file) => command.env("FRACTUS_CLOCKS_FILE", file),
            None => command.env_remove("FRACTUS_CLOCKS_FILE"),
        };
        match &settings.data_dir {
            Some(folder) => {
                let folder = folder.join(&self.managed.name);
                std::fs::create_dir_all(&folder)?;
                command.env("FRACTUS_DATA_DIR", folder)
            }
            None => command.env_remove("FRACTUS_DATA_DIR"),
        };
        command.spawn()
    }

    /// The clocks as they are. A service that starts does what is due, and takes what waits for it, before it can be told.
    fn clocks_file(&self) -> io::Result<Option<PathBuf>> {
        let clocks = self.router.upgrade().map(|router| router.control.moved_clocks()).unwrap_or_default();
        if clocks.is_empty() {
            return Ok(None);
        }
        let file = self.settings.run_dir.join(format!("{}.clocks", self.managed.name));
        std::fs::write(&file, serde_json::to_vec(&clocks)?)?;
        Ok(Some(file))
    }

    fn socket(&self) -> PathBuf {
        self.settings.run_dir.join(format!("{}.sock", self.managed.name))
    }

    async fn explain(&self, mut child: Child, too_slow: bool) -> String {
        if too_slow {
            end(child).await;
            return format!("it was not ready within {START_TIMEOUT:?}");
        }
        match child.wait().await {
            Ok(status) => format!("it ended before it was ready ({status}); its log says why"),
            Err(error) => error.to_string(),
        }
    }
}

/// The service says `ready URL` on its standard output, once, when it listens. What it writes there later is taken off
/// and dropped, so that it never waits for a reader.
async fn ready_line(child: &mut Child) -> io::Result<String> {
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        if let Some(url) = line.strip_prefix("ready ") {
            let url = url.split_whitespace().next().unwrap_or("").to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(url);
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Asks the process to end and makes sure of it.
async fn end(mut child: Child) {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        // Ended already is as good.
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(STOP_GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

async fn issue_calls(held: Option<(WakeWatch, Vec<fractus_bus::HeldCall>)>) {
    let Some((watch, mut calls)) = held else { return };
    calls.extend(watch.hand_over(HAND_OVER_TIMEOUT).await);
    for call in calls {
        if let Err(error) = call.issue_again().await {
            tracing::warn!(%error, "a call that waited for a service is lost");
        }
    }
}

async fn refuse_calls(held: Option<(WakeWatch, Vec<fractus_bus::HeldCall>)>, service: &str) {
    let Some((watch, mut calls)) = held else { return };
    calls.extend(watch.stop().await);
    for call in calls {
        call.refuse(&format!("{service} could not be started")).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managed(status: ServiceStatus) -> Managed {
        let (status, wanted) = (watch::Sender::new(status), Notify::new());
        Managed { name: "sqs".into(), program: "fractus-sqs".into(), status, wanted }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_does_not_wait_for_a_slow_start_to_its_end() {
        let managed = managed(ServiceStatus::Starting);
        assert_eq!(managed.start().await, Err(StartError::Slow));
        assert_eq!(*managed.status.borrow(), ServiceStatus::Starting, "which goes on");
        assert!(LONGEST_HOLD < START_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_told_how_the_start_that_it_waits_for_ends() {
        let managed = managed(ServiceStatus::Down { why: "earlier".into() });
        let (mut first, mut second) = (Box::pin(managed.start()), Box::pin(managed.start()));
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        managed.status.send_replace(ServiceStatus::Starting);
        assert!(futures::poll!(&mut first).is_pending());
        managed.status.send_replace(ServiceStatus::Down { why: "now".into() });
        assert_eq!(first.await, Err(StartError::Failed("now".into())));
        managed.status.send_replace(ServiceStatus::Ready { url: "http://127.0.0.1:1".into() });
        assert_eq!(second.await, Ok(()));
    }
}
