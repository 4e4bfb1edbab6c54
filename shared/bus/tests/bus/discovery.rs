//! Discovery: who is there.

use fractus_bus::contracts::{Presence, Status};
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusState, Directory};

use crate::support::{bus, config, presence, soon};

/// Waits until the directory shows what `expected` wants.
async fn until(directory: &Directory, expected: impl Fn(&[Presence]) -> bool, service: &str) {
    let mut changes = directory.changes();
    let seen = changes.wait_for(|all| expected(all.get(service).map(Vec::as_slice).unwrap_or_default()));
    soon(seen).await.unwrap();
}

#[tokio::test]
async fn a_watcher_sees_replicas_come_change_and_leave() {
    let server = NatsServer::start().await;
    let (router, one, two) = (bus(&server, "router").await, bus(&server, "sqs").await, bus(&server, "sqs").await);
    let directory = router.directory();
    let first = one.announce(presence(&one));
    assert_eq!(soon(directory.wait_for("sqs")).await, Some(presence(&one)));
    let second = two.announce(presence(&two));
    until(&directory, |replicas| replicas.len() == 2, "sqs").await;
    second.set_status(Status::Draining);
    until(&directory, |replicas| replicas.iter().filter(|one| one.status == Status::Ready).count() == 1, "sqs").await;
    assert_eq!(directory.ready("sqs"), [presence(&one)]);
    second.leave().await;
    until(&directory, |replicas| replicas.len() == 1, "sqs").await;
    drop(first);
    until(&directory, <[Presence]>::is_empty, "sqs").await;
    assert!(directory.all().is_empty());
}

#[tokio::test]
async fn a_late_watcher_need_not_wait_for_a_heartbeat() {
    let server = NatsServer::start().await;
    let mut slow = config(&server.url, "sqs");
    slow.heartbeat = std::time::Duration::from_secs(3_600);
    let sqs = Bus::connect(slow);
    let early = bus(&server, "early").await.directory();
    let _announced = sqs.announce(presence(&sqs));
    assert!(soon(early.wait_for("sqs")).await.is_some());
    let late = bus(&server, "late").await;
    assert_eq!(soon(late.directory().wait_for("sqs")).await, Some(presence(&sqs)));
}

#[test]
fn a_replica_that_dies_without_a_word_is_forgotten() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (main, doomed) = (runtime(), runtime());
    let server = main.block_on(NatsServer::start());
    let (router, alive) = main.block_on(async { (bus(&server, "router").await, bus(&server, "sqs").await) });
    let directory = main.block_on(async { router.directory() });
    let announced = main.block_on(async { alive.announce(presence(&alive)) });
    let url = server.url.clone();
    doomed.spawn(async move {
        let bus = Bus::connect(config(&url, "sqs"));
        let announced = bus.announce(presence(&bus));
        std::future::pending::<()>().await;
        drop(announced);
    });
    main.block_on(async {
        until(&directory, |replicas| replicas.len() == 2, "sqs").await;
        // Ends its tasks where they are: the goodbye of the dropped announcement has no connection to go over.
        doomed.shutdown_background();
        until(&directory, |replicas| replicas.len() == 1, "sqs").await;
        assert_eq!(directory.ready("sqs"), [presence(&alive)]);
        drop(announced);
    });
}

#[tokio::test]
async fn whoever_saw_a_replica_end_says_goodbye_for_it() {
    let server = NatsServer::start().await;
    let (launcher, sqs) = (bus(&server, "launcher").await, bus(&server, "sqs").await);
    let directory = launcher.directory();
    let announced = sqs.announce(presence(&sqs));
    soon(directory.wait_for("sqs")).await;
    launcher.say_goodbye_for("sqs", sqs.instance());
    until(&directory, <[Presence]>::is_empty, "sqs").await;
    drop(announced);
}

/// Goodbyes and announcements come in no order between them; on a busy machine one overtakes the other.
#[tokio::test]
async fn an_announcement_after_the_goodbye_brings_nobody_back() {
    let server = NatsServer::start().await;
    // No heart-beat comes in between, and nobody is forgotten for silence.
    let slow = |service| {
        let heartbeat = std::time::Duration::from_secs(3_600);
        Bus::connect(fractus_bus::BusConfig { heartbeat, ..config(&server.url, service) })
    };
    let (launcher, sqs) = (slow("launcher"), slow("sqs"));
    let directory = launcher.directory();
    let announced = sqs.announce(presence(&sqs));
    soon(directory.wait_for("sqs")).await;
    launcher.say_goodbye_for("sqs", sqs.instance());
    until(&directory, <[Presence]>::is_empty, "sqs").await;
    announced.set_status(Status::Draining);
    // Whatever the first has said is heard before this.
    let next = Presence { replica: "next".to_owned(), ..presence(&sqs) };
    let _next = sqs.announce(next.clone());
    soon(directory.wait_for("sqs")).await;
    assert_eq!(directory.all()["sqs"], [next]);
}

#[tokio::test]
async fn entries_outlive_an_absence_of_the_server() {
    let mut server = NatsServer::start().await;
    let (router, sqs) = (bus(&server, "router").await, bus(&server, "sqs").await);
    let directory = router.directory();
    let announced = sqs.announce(presence(&sqs));
    soon(directory.wait_for("sqs")).await;
    let mut state = router.state();
    server.kill().await;
    soon(state.wait_for(|state| *state == BusState::Away)).await.unwrap();
    assert_eq!(directory.ready("sqs").len(), 1);
    server.restart().await;
    soon(router.connected()).await;
    announced.set_status(Status::Draining);
    until(&directory, |replicas| replicas.iter().any(|one| one.status == Status::Draining), "sqs").await;
}

#[tokio::test]
async fn any_nats_client_finds_services_by_the_service_protocol() {
    let server = NatsServer::start().await;
    let sqs = bus(&server, "sqs").await;
    let directory = sqs.directory();
    let _announced = sqs.announce(presence(&sqs));
    soon(directory.wait_for("sqs")).await;
    let client = async_nats::connect(&server.url).await.unwrap();
    for (subject, kind) in [
        ("$SRV.PING".to_owned(), "ping_response"),
        ("$SRV.INFO.sqs".to_owned(), "info_response"),
        (format!("$SRV.STATS.sqs.{}", sqs.instance()), "stats_response"),
    ] {
        let answer = soon(client.request(subject, "".into())).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["type"], format!("io.nats.micro.v1.{kind}"));
        assert_eq!(answer["name"], "sqs");
        assert_eq!(answer["metadata"]["url"], "http://127.0.0.1:1");
    }
}

#[tokio::test]
async fn a_bus_that_shuts_down_says_goodbye() {
    let server = NatsServer::start().await;
    let (router, sqs) = (bus(&server, "router").await, bus(&server, "sqs").await);
    let directory = router.directory();
    let announced = sqs.announce(presence(&sqs));
    soon(directory.wait_for("sqs")).await;
    soon(sqs.shutdown()).await;
    until(&directory, <[Presence]>::is_empty, "sqs").await;
    drop(announced);
}
