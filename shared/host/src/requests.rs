//! The latest requests: counted, remembered for `/_fractus/requests`, and written to the log by a thread of its own.
//!
//! A request leaves a small record in one of a few rings, chosen by its thread, and goes on. It is counted there too, so that
//! threads share no line of memory for it. Formatting and writing
//! happen elsewhere, so a slow terminal or disk never holds up an answer; when the writer falls behind, lines are
//! dropped and counted.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use fractus_clock::Timestamp;

use crate::config::LogFormat;
use crate::identity::Identity;
use crate::metrics::OperationMetrics;
use crate::service::RequestUuid;

const SHARDS: usize = 8;
/// Lines that wait to be written, in each ring.
const WAITING_LINES: usize = 4_096;
/// The writer comes by at least so often.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// What is kept of a request.
#[derive(Clone)]
pub(crate) struct RequestRecord {
    /// Real time, for people and logs.
    pub at: Timestamp,
    pub operation: &'static str,
    pub status: u16,
    pub micros: u64,
    pub fidelity: &'static str,
    pub id: RequestUuid,
    /// Lane, account and region; the requests of a connection mostly share it.
    pub identity: Arc<Identity>,
    pub error: Option<Box<str>>,
}

#[derive(Default)]
struct Shard {
    waiting: Vec<RequestRecord>,
    remembered: VecDeque<RequestRecord>,
    /// By the operation's place in the table; one more for what is no operation. Empty until the ring is first used.
    metrics: Vec<OperationMetrics>,
}

/// The rings.
pub(crate) struct Requests {
    shards: [Mutex<Shard>; SHARDS],
    remember_per_shard: usize,
    operations: usize,
    is_logged: AtomicBool,
    dropped: AtomicU64,
    wake: (Mutex<bool>, Condvar),
}

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = NEXT_THREAD.fetch_add(1, Ordering::Relaxed);
}

impl Requests {
    pub fn new(remember: usize, operations: usize) -> Arc<Self> {
        Arc::new(Requests {
            shards: std::array::from_fn(|_| Mutex::default()),
            remember_per_shard: remember.div_ceil(SHARDS),
            operations,
            is_logged: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            wake: (Mutex::new(false), Condvar::new()),
        })
    }

    /// `operation` is the place in the table; none for what is no operation.
    pub fn record(&self, operation: Option<usize>, record: RequestRecord) {
        let mut shard = self.shards[THREAD.with(|thread| *thread) % SHARDS].lock();
        if shard.metrics.is_empty() {
            shard.metrics.resize_with(self.operations + 1, OperationMetrics::default);
        }
        let place = operation.unwrap_or(self.operations).min(self.operations);
        shard.metrics[place].record(record.status, record.micros);
        if self.is_logged.load(Ordering::Relaxed) {
            if shard.waiting.len() < WAITING_LINES {
                shard.waiting.push(record.clone());
            } else {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        if self.remember_per_shard > 0 {
            if shard.remembered.len() >= self.remember_per_shard {
                shard.remembered.pop_front();
            }
            shard.remembered.push_back(record);
        }
    }

    /// The counts of every operation in the table's order, and of what is none.
    pub fn metrics(&self) -> Vec<OperationMetrics> {
        let mut sums = vec![OperationMetrics::default(); self.operations + 1];
        for shard in &self.shards {
            for (sum, part) in sums.iter_mut().zip(&shard.lock().metrics) {
                sum.add(part);
            }
        }
        sums
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The latest requests, the newest first.
    pub fn latest(&self, limit: usize) -> Vec<RequestRecord> {
        let mut all: Vec<RequestRecord> =
            self.shards.iter().flat_map(|shard| shard.lock().remembered.iter().cloned().collect::<Vec<_>>()).collect();
        all.sort_by_key(|record| std::cmp::Reverse(record.at));
        all.truncate(limit);
        all
    }

    /// Writes lines to standard error from now on, until the returned writer is dropped.
    pub fn log(self: &Arc<Self>, service: &'static str, format: LogFormat) -> RequestLog {
        let is_json = match format {
            LogFormat::Json => true,
            LogFormat::Pretty => false,
            LogFormat::Auto => !std::io::stderr().is_terminal(),
        };
        self.is_logged.store(true, Ordering::Relaxed);
        let requests = self.clone();
        let thread = std::thread::Builder::new()
            .name("request log".to_owned())
            .spawn(move || requests.write_until_told(service, is_json))
            .ok();
        RequestLog { requests: self.clone(), thread }
    }

    fn write_until_told(&self, service: &str, is_json: bool) {
        let mut text = Vec::new();
        let mut taken = Vec::new();
        loop {
            let told = {
                let mut told = self.wake.0.lock();
                if !*told {
                    self.wake.1.wait_for(&mut told, FLUSH_EVERY);
                }
                *told
            };
            for shard in &self.shards {
                std::mem::swap(&mut shard.lock().waiting, &mut taken);
                for record in taken.drain(..) {
                    if is_json {
                        record.write_json(service, &mut text)
                    } else {
                        record.write_pretty(service, &mut text)
                    }
                }
            }
            if !text.is_empty() {
                // Nobody is left to tell when standard error is gone.
                let _ = std::io::stderr().lock().write_all(&text);
                text.clear();
            }
            if told {
                return;
            }
        }
    }
}

/// The writer of lines; dropping it writes what is left.
pub(crate) struct RequestLog {
    requests: Arc<Requests>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        *self.requests.wake.0.lock() = true;
        self.requests.wake.1.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl RequestRecord {
    fn write_json(&self, service: &str, text: &mut Vec<u8>) {
        let error = self.error.as_ref().map(|error| format!(r#","error":{}"#, serde_json::Value::from(&**error)));
        let _ = writeln!(
            text,
            r#"{{"timestamp":"{}","level":"INFO","target":"request","service":"{service}","operation":"{}","status":{},"ms":{:.3},"fidelity":"{}","request_id":"{}","lane":"{}","account":"{}","region":"{}"{}}}"#,
            self.at.date_time_millis(),
            self.operation,
            self.status,
            self.micros as f64 / 1_000.0,
            self.fidelity,
            self.id.hyphenated(),
            self.identity.world.lane,
            self.identity.world.account,
            self.identity.region,
            error.unwrap_or_default(),
        );
    }

    fn write_pretty(&self, service: &str, text: &mut Vec<u8>) {
        let error = self.error.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "{} {service} {} {} {:.2}ms {} {} {error}",
            &self.at.date_time_millis()[11..23],
            self.operation,
            self.status,
            self.micros as f64 / 1_000.0,
            self.fidelity,
            self.id.hyphenated(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn record(at: i64) -> RequestRecord {
        RequestRecord {
            at: Timestamp::from_millis(at),
            operation: "Send",
            status: 200,
            micros: 1_234,
            fidelity: "real",
            id: RequestUuid(7),
            identity: Arc::new(Identity::unknown(fractus_clock::Clock::real())),
            error: Some("Bad\"Thing".into()),
        }
    }

    #[test]
    fn the_latest_are_remembered_and_lines_beyond_the_bound_are_counted() {
        let requests = Requests::new(80, 3);
        requests.is_logged.store(true, Ordering::Relaxed);
        for at in 0..5_000 {
            requests.record(Some(1), record(at));
        }
        let latest = requests.latest(3);
        assert_eq!(latest.iter().map(|record| record.at.millis()).collect::<Vec<_>>(), [4_999, 4_998, 4_997]);
        assert_eq!(requests.latest(1_000).len(), 10, "one thread fills one ring");
        assert_eq!(requests.dropped(), 5_000 - WAITING_LINES as u64);
        let counted: Vec<u64> = requests.metrics().iter().map(OperationMetrics::count).collect();
        assert_eq!(counted, [0, 5_000, 0, 0]);
    }

    #[test]
    fn a_json_line_is_json() {
        let mut text = Vec::new();
        record(1).write_json("toy", &mut text);
        let line: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((line["operation"].as_str(), line["ms"].as_f64()), (Some("Send"), Some(1.234)));
        assert_eq!(line["error"], "Bad\"Thing");
    }
}
