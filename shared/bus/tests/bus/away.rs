//! Without NATS, and with NATS away.

use std::io::Write;
use std::sync::Arc;

use fractus_bus::contracts::{Cause, Gone};
use fractus_bus::testing::NatsServer;
use fractus_bus::{Bus, BusError, BusState};
use parking_lot::Mutex;

use crate::support::{config, delivery, soon};

/// Keeps what is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn lines_with(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock()).lines().filter(|line| line.contains(text)).count()
    }
}

#[tokio::test]
async fn without_a_url_nothing_is_sent_and_it_is_said_once_for_each_service() {
    let log = Log::default();
    let _guard = log.start();
    let bus = Bus::off("s3");
    assert_eq!(*bus.state().borrow(), BusState::Off);
    let mut to_sns = delivery("d", "x");
    to_sns.service = "sns".to_owned();
    for _ in 0..3 {
        assert_eq!(bus.deliver(&delivery("d", "x")).await, Err(BusError::Off));
        assert_eq!(bus.deliver(&to_sns).await, Err(BusError::Off));
        let gone = Gone { service: "s3".to_owned(), replica: "r".to_owned() };
        assert_eq!(bus.publish(&gone, &Cause::default()), Err(BusError::Off));
    }
    assert_eq!(log.lines_with("deliveries to sqs will not be made"), 1);
    assert_eq!(log.lines_with("deliveries to sns will not be made"), 1);
    soon(bus.shutdown()).await;
}

#[tokio::test]
async fn it_connects_when_the_server_comes_and_warns_once_while_it_is_away() {
    let log = Log::default();
    let _guard = log.start();
    let mut server = NatsServer::start().await;
    server.kill().await;
    let bus = Bus::connect(config(&server.url, "s3"));
    for _ in 0..3 {
        assert_eq!(bus.deliver(&delivery("d", "x")).await, Err(BusError::Away));
    }
    assert_eq!(log.lines_with("deliveries to sqs wait until it is back"), 1);
    server.restart().await;
    soon(bus.connected()).await;
    assert_eq!(soon(bus.deliver(&delivery("d", "x"))).await, Ok(()));
    soon(bus.shutdown()).await;
    // Said by a task that asks after the first delivery.
    assert_eq!(log.lines_with("sqs is not running: deliveries to it wait"), 1);
}
