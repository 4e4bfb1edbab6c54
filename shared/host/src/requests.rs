//! The latest requests: remembered for `/_fractus/requests`, and written to the log by a thread of its own.
//!
//! A request leaves a small record in one of a few rings, chosen by its thread, and goes on. Formatting and writing
//! happen elsewhere, so a slow terminal or disk never holds up an answer; when the writer falls behind, lines are
//! dropped and counted.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use fractus_clock::Timestamp;

use crate::config::LogFormat;
use crate::service::RequestUuid;

const SHARDS: usize = 8;
/// Lines that wait to be written, in each ring.
const WAITING_LINES: usize = 4_096;
/// The writer comes by at least so often.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// What is kept of a request.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RequestRecord {
    /// Real time, for people and logs.
    pub at: Timestamp,
    pub operation: &'static str,
    pub status: u16,
    pub micros: u64,
    pub fidelity: &'static str,
    #[serde(skip)]
    pub id: RequestUuid,
    pub lane: fractus_aws::Lane,
    pub account: fractus_aws::AccountId,
    pub region: fractus_aws::Region,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<str>>,
}

#[derive(Default)]
struct Shard {
    waiting: Vec<RequestRecord>,
    remembered: VecDeque<RequestRecord>,
}

/// The rings.
pub(crate) struct Requests {
    shards: [Mutex<Shard>; SHARDS],
    remember_per_shard: usize,
    is_logged: AtomicBool,
    dropped: AtomicU64,
    wake: (Mutex<bool>, Condvar),
}

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = NEXT_THREAD.fetch_add(1, Ordering::Relaxed);
}

impl Requests {
    pub fn new(remember: usize) -> Arc<Self> {
        Arc::new(Requests {
            shards: std::array::from_fn(|_| Mutex::default()),
            remember_per_shard: remember.div_ceil(SHARDS),
            is_logged: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            wake: (Mutex::new(false), Condvar::new()),
        })
    }

    pub fn record(&self, record: RequestRecord) {
        let mut shard = self.shards[THREAD.with(|thread| *thread) % SHARDS].lock();
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
            self.lane,
            self.account,
            self.region,
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
    use fractus_aws::{AccountId, Lane, Region};

    fn record(at: i64) -> RequestRecord {
        RequestRecord {
            at: Timestamp::from_millis(at),
            operation: "Send",
            status: 200,
            micros: 1_234,
            fidelity: "real",
            id: RequestUuid(7),
            lane: Lane::main(),
            account: AccountId::default_account(),
            region: Region::us_east_1(),
            error: Some("Bad\"Thing".into()),
        }
    }

    #[test]
    fn the_latest_are_remembered_and_lines_beyond_the_bound_are_counted() {
        let requests = Requests::new(80);
        requests.is_logged.store(true, Ordering::Relaxed);
        for at in 0..5_000 {
            requests.record(record(at));
        }
        let latest = requests.latest(3);
        assert_eq!(latest.iter().map(|record| record.at.millis()).collect::<Vec<_>>(), [4_999, 4_998, 4_997]);
        assert_eq!(requests.latest(1_000).len(), 10, "one thread fills one ring");
        assert_eq!(requests.dropped(), 5_000 - WAITING_LINES as u64);
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
