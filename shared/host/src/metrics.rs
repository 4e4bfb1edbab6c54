//! Counts of requests by operation and status, and how long they took; as Prometheus reads them.

use std::fmt::Write as _;
use std::time::Duration;

/// Upper bounds in microseconds; the last bucket has none.
const BUCKETS_MICROS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 5_000_000, 30_000_000];
/// Statuses that have a count of their own; any other is counted with the last of its hundred.
const STATUSES: [u16; 16] = [200, 201, 204, 206, 299, 304, 399, 400, 403, 404, 409, 412, 499, 500, 503, 599];

/// The counts of one operation.
#[derive(Clone, Default)]
pub(crate) struct OperationMetrics {
    by_status: [u64; STATUSES.len()],
    buckets: [u64; BUCKETS_MICROS.len() + 1],
    total_micros: u64,
}

impl OperationMetrics {
    pub fn record(&mut self, status: u16, micros: u64) {
        let slot = STATUSES.iter().position(|known| status <= *known && *known / 100 == status / 100);
        self.by_status[slot.unwrap_or(STATUSES.len() - 1)] += 1;
        let bucket = BUCKETS_MICROS.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS_MICROS.len());
        self.buckets[bucket] += 1;
        self.total_micros = self.total_micros.saturating_add(micros);
    }

    pub fn add(&mut self, other: &OperationMetrics) {
        self.by_status.iter_mut().zip(other.by_status).for_each(|(sum, part)| *sum += part);
        self.buckets.iter_mut().zip(other.buckets).for_each(|(sum, part)| *sum += part);
        self.total_micros = self.total_micros.saturating_add(other.total_micros);
    }

    /// How many requests there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    fn is_used(&self) -> bool {
        self.count() > 0
    }

    fn write(&self, service: &str, operation: &str, requests: &mut String, times: &mut String) {
        let labels = format!("service=\"{service}\",operation=\"{operation}\"");
        for (status, count) in STATUSES.iter().zip(&self.by_status) {
            if *count > 0 {
                let status = if status % 100 == 99 { format!("{}xx", status / 100) } else { status.to_string() };
                let _ = writeln!(requests, "fractus_requests_total{{{labels},status=\"{status}\"}} {count}");
            }
        }
        let mut sum = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            sum += count;
            let bound = BUCKETS_MICROS.get(index).map_or("+Inf".to_owned(), |bound| format!("{}", *bound as f64 / 1e6));
            let _ = writeln!(times, "fractus_request_seconds_bucket{{{labels},le=\"{bound}\"}} {sum}");
        }
        let total = self.total_micros as f64 / 1e6;
        let _ = writeln!(times, "fractus_request_seconds_sum{{{labels}}} {total}");
        let _ = writeln!(times, "fractus_request_seconds_count{{{labels}}} {sum}");
    }
}

/// Numbers that stand for the process as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProcessNumbers {
    pub connections: usize,
    pub uptime: Duration,
    pub is_ready: bool,
    pub log_lines_dropped: u64,
}

/// The text format, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
pub(crate) fn page<'a>(
    service: &str,
    operations: impl Iterator<Item = (&'a str, &'a OperationMetrics)>,
    process: ProcessNumbers,
) -> String {
    let mut requests =
        String::from("# HELP fractus_requests_total Requests answered.\n# TYPE fractus_requests_total counter\n");
    let mut times = String::from(
        "# HELP fractus_request_seconds Time from a request's head to its answer's.\n\
         # TYPE fractus_request_seconds histogram\n",
    );
    for (operation, metrics) in operations.filter(|(_, metrics)| metrics.is_used()) {
        metrics.write(service, operation, &mut requests, &mut times);
    }
    let labels = format!("service=\"{service}\"");
    let ProcessNumbers { connections, uptime, is_ready, log_lines_dropped } = process;
    let _ = write!(
        times,
        "# HELP fractus_connections Open connections.\n# TYPE fractus_connections gauge\n\
         fractus_connections{{{labels}}} {connections}\n\
         # HELP fractus_uptime_seconds Time since the start.\n# TYPE fractus_uptime_seconds gauge\n\
         fractus_uptime_seconds{{{labels}}} {:.3}\n\
         # HELP fractus_ready Whether the service is ready.\n# TYPE fractus_ready gauge\n\
         fractus_ready{{{labels}}} {}\n\
         # HELP fractus_log_lines_dropped_total Request lines that were not written because the log was too slow.\n\
         # TYPE fractus_log_lines_dropped_total counter\n\
         fractus_log_lines_dropped_total{{{labels}}} {log_lines_dropped}\n",
        uptime.as_secs_f64(),
        u8::from(is_ready),
    );
    requests.push_str(&times);
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_status_and_time() {
        let mut metrics = OperationMetrics::default();
        metrics.record(200, 90);
        metrics.record(200, 260);
        metrics.record(418, 60_000_000);
        let unused = OperationMetrics::default();
        let operations = [("Send", &metrics), ("Other", &unused)];
        let page = page("toy", operations.into_iter(), ProcessNumbers::default());
        assert!(
            page.contains("fractus_requests_total{service=\"toy\",operation=\"Send\",status=\"200\"} 2\n"),
            "{page}"
        );
        assert!(page.contains("operation=\"Send\",status=\"4xx\"} 1\n"), "{page}");
        assert!(page.contains("operation=\"Send\",le=\"0.0001\"} 1\n"), "{page}");
        assert!(page.contains("operation=\"Send\",le=\"+Inf\"} 3\n"), "{page}");
        assert!(!page.contains("Other"), "{page}");
    }
}
