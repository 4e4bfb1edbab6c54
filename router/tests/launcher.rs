//! `fractus up` as a user runs it, with a tiny program in the place of services.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails by panicking, as the test does")]

mod common;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::{call, signed};
use fractus_clock::{Clock, Stopwatch};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const FRACTUS: &str = env!("CARGO_BIN_EXE_fractus");

struct Stack {
    child: Child,
    address: SocketAddr,
    nats: Option<String>,
    folder: tempfile::TempDir,
}

impl Stack {
    async fn start(services: &[&str], more: &[&str]) -> Self {
        Self::start_of(Path::new(FRACTUS), services, more).await
    }

    async fn start_of(fractus: &Path, services: &[&str], more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        let tiny = Path::new(FRACTUS).parent().unwrap().join("examples/tiny_service");
        assert!(tiny.exists(), "run the whole package's tests, so that its examples are built");
        for service in services {
            std::fs::copy(&tiny, programs.join(format!("fractus-{service}"))).unwrap();
        }
        let mut command = Command::new(fractus);
        command.args(["up", "--listen", "127.0.0.1:0", "--programs"]).arg(&programs).args(more);
        // A folder without fractus.toml, and none of the variables that this test's own environment may have.
        command.current_dir(&folder).env("FRACTUS_ROUTER_RUN_DIR", folder.path());
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut address, mut nats) = (None, None);
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, rest)) = line.split_once(" at http://localhost:") {
                let port = rest.split(' ').next().unwrap();
                address = Some(format!("127.0.0.1:{port}").parse().unwrap());
            }
            nats = nats.or_else(|| line.find("nats://").map(|at| line[at..].to_owned()));
            if line == "Ready." {
                break;
            }
        }
        Stack { child, address: address.unwrap(), nats, folder }
    }

    async fn call(&self, service: &str, path: &str) -> String {
        let head = format!("POST {path} HTTP/1.1\nHost: localhost\nAuthorization: {}", signed(service));
        call(self.address, &head, "").await
    }

    /// The pid of the process that serves `service`, which the tiny program tells.
    async fn pid_of(&self, service: &str) -> i32 {
        let answer = self.call(service, "/").await;
        let body = answer.rsplit("\r\n\r\n").next().unwrap();
        assert!(body.starts_with(&format!("{service} ")), "{answer}");
        body.split(' ').nth(1).unwrap().parse().unwrap()
    }

    async fn health(&self) -> Value {
        self.admin("GET", "/_fractus/health", "").await
    }

    async fn admin(&self, method: &str, path: &str, body: &str) -> Value {
        let answer = call(self.address, &format!("{method} {path} HTTP/1.1\nHost: localhost"), body).await;
        serde_json::from_str(answer.rsplit("\r\n\r\n").next().unwrap()).unwrap_or_else(|_| panic!("{answer}"))
    }

    async fn fractus(&self, arguments: &[&str]) -> String {
        let endpoint = format!("http://{}", self.address);
        let output = Command::new(FRACTUS).args(arguments).args(["--endpoint", &endpoint]).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap(), signal).unwrap();
    }

    fn run_dir(&self) -> PathBuf {
        self.folder.path().join(format!("fractus-{}", self.child.id().unwrap()))
    }
}

fn is_alive(pid: i32) -> bool {
    // A zombie has ended, though its parent has not looked yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

async fn wait_for(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let watch = Stopwatch::start();
    while !condition().await {
        assert!(watch.elapsed() < Duration::from_secs(60), "not within 60 s: {what}");
        Clock::real().sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_service_starts_with_its_first_request_and_again_when_it_dies() {
    let stack = Stack::start(&["sqs", "sts"], &[]).await;
    let health = stack.health().await;
    assert_eq!(health["services"]["sqs"]["status"], "idle");
    assert_eq!(health["services"]["sts"]["status"], "idle");

    let first = stack.pid_of("sqs").await;
    let health = stack.health().await;
    assert_eq!(health["services"]["sqs"]["status"], "ready");
    assert!(health["services"]["sqs"]["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(health["services"]["sts"]["status"], "idle");

    kill_process(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    wait_for("another process serves", async || {
        let answer = stack.call("sqs", "/").await;
        answer.contains("sqs ") && !answer.contains(&format!("sqs {first} "))
    })
    .await;
}

/// As an upgrade does it, or a build while a stack runs.
#[tokio::test]
async fn services_start_though_the_launchers_program_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let fractus = folder.path().join("fractus");
    std::fs::copy(FRACTUS, &fractus).unwrap();
    let stack = Stack::start_of(&fractus, &["sqs"], &[]).await;
    std::fs::remove_file(&fractus).unwrap();
    stack.pid_of("sqs").await;
}

#[tokio::test]
async fn what_is_not_in_the_stack_is_said_at_once_and_for_good() {
    let stack = Stack::start(&["sqs", "sts"], &["sqs"]).await;
    for (service, why) in [("sts", "fractus up sts"), ("dynamodb", "fractus-dynamodb")] {
        let answer = stack.call(service, "/").await;
        assert!(answer.starts_with("HTTP/1.1 501") && answer.contains("NotImplemented"), "{answer}");
        assert!(answer.contains(why) && answer.contains("x-fractus-fidelity: missing"), "{answer}");
    }
}

#[tokio::test]
async fn services_are_given_the_configuration_file_that_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    std::fs::write(&file, "auth = \"signed\"\n").unwrap();
    let stack = Stack::start(&["sqs"], &["--config", file.to_str().unwrap()]).await;
    let answer = stack.call("sqs", "/config").await;
    assert!(answer.ends_with(file.to_str().unwrap()), "{answer}");
}

/// A connection that breaks without an answer is what clients try again; an answer is never an error.
#[tokio::test]
async fn no_client_is_told_of_a_death() {
    let stack = Stack::start(&["sqs"], &["--eager"]).await;
    let mut pid = stack.pid_of("sqs").await;
    let killed = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    let load = async {
        let mut served = 0;
        while !killed.load(Ordering::Relaxed) {
            let answers = futures::future::join_all((0..8).map(|_| stack.call("sqs", "/"))).await;
            for answer in answers.into_iter().filter(|answer| !answer.is_empty()) {
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                served += 1;
            }
            rounds.fetch_add(1, Ordering::Relaxed);
        }
        served
    };
    let kills = async {
        for _ in 0..4 {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
            // The first call after the death is held, or handed to a process that is no more.
            let mut answer = stack.call("sqs", "/").await;
            while answer.is_empty() || answer.contains(&format!("sqs {pid} ")) {
                answer = stack.call("sqs", "/").await;
            }
            pid = answer.rsplit("\r\n\r\n").next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            // A call is sent anew once: none is to meet two deaths.
            let before = rounds.load(Ordering::Relaxed);
            wait_for("what met this death is answered", async || rounds.load(Ordering::Relaxed) > before + 1).await;
        }
        killed.store(true, Ordering::Relaxed);
    };
    let (served, ()) = tokio::join!(load, kills);
    assert!(served > 0);
}

#[tokio::test]
async fn a_service_starts_with_its_first_delivery() {
    use fractus_aws::{AccountId, Lane};
    use fractus_bus::contracts::{Body, Delivery, Source};
    use fractus_bus::{Bus, BusConfig};
    let stack = Stack::start(&["sqs", "sts"], &[]).await;
    // Where no nats-server is installed there are no deliveries to wake anybody.
    let Some(nats) = stack.nats.clone() else { return };
    let bus = Bus::connect(BusConfig::new(Some(nats), "s3", "test"));
    bus.connected().await;
    let account = AccountId::default_account();
    let source = Source { principal: "s3.amazonaws.com".to_owned(), arn: None, account, role: None };
    let target = "arn:aws:sqs:us-east-1:000000000000:q".parse().unwrap();
    let delivery = Delivery::new("1", Lane::main(), target, Body::text("x"), source, Clock::real().now());
    bus.deliver(&delivery).await.unwrap();
    wait_for("the delivery starts the service", async || stack.health().await["services"]["sqs"]["status"] == "ready")
        .await;
    assert_eq!(stack.health().await["services"]["sts"]["status"], "idle");
}

#[tokio::test]
async fn nothing_outlives_the_launcher() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut stack = Stack::start(&["sqs"], &["--eager"]).await;
        let pid = stack.pid_of("sqs").await;
        let nats = nats_pid(&stack);
        let run_dir = stack.run_dir();
        stack.signal(signal);
        let status = stack.child.wait().await.unwrap();
        wait_for("the service's process ends", async || !is_alive(pid)).await;
        if let Some(nats) = nats {
            wait_for("nats-server ends", async || !is_alive(nats)).await;
        }
        if signal == Signal::TERM {
            assert!(status.success(), "{status:?}");
            assert!(!run_dir.exists(), "the run's folder is removed");
        }
    }
}

fn nats_pid(stack: &Stack) -> Option<i32> {
    let config = stack.run_dir().join("nats.conf");
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    processes.filter_map(|name| name.parse::<i32>().ok()).find(|pid| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(config.to_str().unwrap())
    })
}

#[tokio::test]
async fn the_clock_is_told_to_services_before_their_first_request() {
    let stack = Stack::start(&["sqs", "sts"], &[]).await;
    stack.pid_of("sqs").await;
    let shown = stack.fractus(&["clock", "set", "2030-01-01T00:00:00Z"]).await;
    assert!(shown.starts_with("2030-01-01T00:00:00"), "{shown}");
    stack.fractus(&["clock", "freeze"]).await;
    for service in ["sqs", "sts"] {
        let answer = stack.call(service, "/").await;
        assert!(answer.contains("\"scale\":0.0") && answer.contains("\"lane\":\"main\""), "{service}: {answer}");
    }
    let shown = stack.fractus(&["clock", "advance", "15m"]).await;
    assert!(shown.starts_with("2030-01-01T00:15:00") && shown.contains("frozen"), "{shown}");
    assert_eq!(stack.admin("GET", "/_fractus/clock", "").await["frozen"], true);
    assert!(stack.admin("POST", "/_fractus/clock", "{\"action\":\"leap\"}").await["message"].is_string());
}

#[tokio::test]
async fn what_services_say_of_themselves_is_told_for_all() {
    let stack = Stack::start(&["sqs", "sts"], &[]).await;
    stack.pid_of("sqs").await;
    for path in ["/_fractus/config", "/_fractus/operations", "/_fractus/tasks", "/_fractus/state/collections"] {
        let told = stack.admin("GET", path, "").await;
        let services = told["services"].as_object().unwrap();
        // An idle service is left alone.
        assert_eq!(services.keys().collect::<Vec<_>>(), ["sqs"], "{told}");
        assert!(services["sqs"].as_str().unwrap().ends_with(path), "{told}");
    }
    assert!(stack.admin("GET", "/_fractus/config?service=sqss", "").await["message"].is_string());
    assert!(stack.admin("GET", "/_fractus/state/records", "").await["message"].is_string());
    let told = stack.admin("GET", "/_fractus/state/records?service=sts&collection=c", "").await;
    let services = told["services"].as_object().unwrap();
    assert_eq!(services.keys().collect::<Vec<_>>(), ["sts"], "the one that is named is started for it: {told}");
    let frozen = stack.admin("POST", "/_fractus/clock/freeze?lane=a", "").await;
    assert_eq!((&frozen["lane"], &frozen["frozen"]), (&"a".into(), &true.into()), "{frozen}");
    assert!(stack.admin("POST", "/_fractus/clock/leap", "").await["message"].is_string());
}

#[tokio::test]
async fn a_snapshot_is_of_every_service() {
    let stack = Stack::start(&["sqs", "sts"], &[]).await;
    stack.pid_of("sqs").await;
    let forked = stack.admin("POST", "/_fractus/state/fork", "{\"to\":\"b\"}").await;
    assert_eq!(forked["services"], serde_json::json!(["sqs"]), "an idle one has nothing to fork: {forked}");
    for what in ["snapshot", "rollback"] {
        let done = stack.admin("POST", &format!("/_fractus/state/{what}"), "{\"name\":\"before\"}").await;
        assert_eq!(done["services"], serde_json::json!(["sqs", "sts"]), "{what}: {done}");
    }
}

#[tokio::test]
async fn state_goes_out_and_comes_back_as_one_file() {
    let stack = Stack::start(&["sqs", "sts"], &["--eager", "--data-dir", "data"]).await;
    let file = stack.folder.path().join("state");
    stack.pid_of("sts").await;
    stack.pid_of("sqs").await;
    stack.fractus(&["export", file.to_str().unwrap()]).await;
    let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
    assert!(text.contains("{\"service\":\"sqs\"}\n") && text.contains("state of sts"), "{text}");
    stack.fractus(&["import", file.to_str().unwrap()]).await;
    stack.fractus(&["reset"]).await;
    assert!(stack.folder.path().join("data/sqs").is_dir());
    let status = stack.fractus(&["status"]).await;
    assert!(status.contains("sqs  ready"), "{status}");
}

#[tokio::test]
async fn probes_of_other_tools_are_answered() {
    let stack = Stack::start(&["sqs", "sts"], &[]).await;
    stack.pid_of("sqs").await;
    let health = stack.admin("GET", "/_localstack/health", "").await;
    assert_eq!(health["services"]["sqs"], "running");
    assert_eq!(health["services"]["sts"], "available");
    assert_eq!(stack.admin("GET", "/_localstack/init/ready", "").await["completed"], true);
    assert_eq!(stack.admin("GET", "/_fractus/ready", "").await["ready"], true);
    let url = format!("http://{}", stack.address);
    let healthy = Command::new(FRACTUS).args(["healthcheck", &url]).status().await.unwrap();
    assert!(healthy.success());
    let sick = Command::new(FRACTUS).args(["healthcheck", "http://127.0.0.1:1"]).status().await.unwrap();
    assert_eq!(sick.code(), Some(1));
}

#[tokio::test]
async fn without_a_stack_its_client_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("there");
    std::fs::write(&there, "").unwrap();
    let (there, export) = (there.to_str().unwrap(), folder.path().join("export"));
    let commands: [&[&str]; 5] =
        [&["status"], &["clock"], &["reset", "sqs"], &["export", export.to_str().unwrap()], &["import", there]];
    for arguments in commands {
        let output = Command::new(FRACTUS).args(arguments).args(["--endpoint", "http://127.0.0.1:1"]).output();
        let output = output.await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        for part in ["no stack answers at http://127.0.0.1:1", "fractus up", "--endpoint", "Connection refused"] {
            assert!(said.contains(part), "{arguments:?}: {said}");
        }
    }
    assert!(!export.exists(), "what was not exported is no export");
}

#[tokio::test]
async fn a_service_that_is_not_installed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(FRACTUS)
        .args(["up", "sqss", "--listen", "127.0.0.1:0", "--programs"])
        .arg(folder.path())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no service \"sqss\""));
}
