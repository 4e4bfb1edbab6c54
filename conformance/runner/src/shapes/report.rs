//! What a run found, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::counts::Counts;
use super::judge::Finding;
use crate::endpoint::{Answer, Outgoing};

/// Further failures of an API are kept without request and answer; their commands bring them back.
const MAX_TOLD: usize = 2_000;
/// More of a body is not shown.
const SHOWN_BYTES: usize = 2_000;

/// One API's run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ApiReport {
    pub api: String,
    pub counts: Counts,
    pub operations: BTreeMap<String, Counts>,
    pub failures: Vec<Failure>,
    /// Variants whose input cannot be made, such as a text of a length that its pattern does not have.
    pub unmade: u32,
    /// Calls of the set-up table that failed.
    pub set_up: Vec<String>,
    /// Variants of what the endpoint does not have, as far as they were sent.
    pub refusals: Refusals,
}

/// How quickly an endpoint says that it does not have what was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Refusals {
    pub count: u32,
    pub mean_ms: f64,
    pub slowest_ms: f64,
}

impl Refusals {
    pub fn add(&mut self, took: Duration) {
        *self = self.with(Refusals { count: 1, mean_ms: millis(took), slowest_ms: millis(took) });
    }

    pub fn with(self, other: Self) -> Self {
        let count = self.count + other.count;
        let total_ms = self.mean_ms * f64::from(self.count) + other.mean_ms * f64::from(other.count);
        Refusals {
            count,
            mean_ms: if count == 0 { 0.0 } else { total_ms / f64::from(count) },
            slowest_ms: self.slowest_ms.max(other.slowest_ms),
        }
    }
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

/// A variant with findings.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    pub id: String,
    pub findings: Vec<Finding>,
    /// The command that sends it again.
    pub repeat: String,
    pub request: String,
    pub answer: String,
}

impl ApiReport {
    /// Keeps a failure; of an API that fails everywhere only the first are kept with their requests and answers.
    pub fn fail(&mut self, failure: Option<Failure>) {
        let is_told = self.failures.len() < MAX_TOLD;
        self.failures.extend(failure.map(|failure| match is_told {
            true => failure,
            false => Failure { request: String::new(), answer: String::new(), ..failure },
        }));
    }

    pub fn add(&mut self, operation: &str, counts: Counts) {
        self.counts += counts;
        *self.operations.entry(operation.to_owned()).or_default() += counts;
    }
}

impl Failure {
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.id);
        for finding in &self.findings {
            let _ = writeln!(text, "    {finding}");
        }
        let _ = writeln!(text, "    {}", self.repeat);
        for (name, message) in [("request", &self.request), ("answer", &self.answer)] {
            let _ = writeln!(text, "  {name}:");
            message.lines().for_each(|line| {
                let _ = writeln!(text, "    | {line}");
            });
        }
        text
    }
}

/// `POST /path`, the headers, the body.
pub fn shown_request(request: &Outgoing) -> String {
    let mut text = format!("{} {}\n", request.method, request.target);
    if let Some(prefix) = &request.host_prefix {
        let _ = writeln!(text, "(host prefix {prefix})");
    }
    headers_and_body(&mut text, &request.headers, &request.body);
    text
}

pub fn shown_answer(answer: &Answer) -> String {
    let mut text = format!("{}\n", answer.status);
    headers_and_body(&mut text, &answer.headers, &answer.body);
    text
}

fn headers_and_body(text: &mut String, headers: &http::HeaderMap, body: &[u8]) {
    for (name, value) in headers {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    if body.is_empty() {
        return;
    }
    let shown = &body[..body.len().min(SHOWN_BYTES)];
    match std::str::from_utf8(shown) {
        Ok(shown) => text.push_str(&format!("\n{shown}")),
        Err(_) => text.push_str(&format!("\n{}", shown.escape_ascii())),
    }
    if body.len() > SHOWN_BYTES {
        let _ = write!(text, " ... ({} bytes)", body.len());
    }
}

/// The table of all APIs.
pub fn table(reports: &[ApiReport]) -> String {
    let mut text = format!(
        "{:<26}{:>9}{:>10}{:>20}{:>12}{:>9}\n",
        "api", "variants", "answered", "success/positive", "shape-true", "strict"
    );
    let mut all = Counts::default();
    let mut line = |name: &str, counts: Counts| {
        let success = format!("{}/{}", counts.succeeded, counts.positive);
        let _ = writeln!(
            text,
            "{name:<26}{:>9}{:>10}{success:>20}{:>12}{:>9}",
            counts.variants, counts.answered, counts.shape_true, counts.strict
        );
    };
    for report in reports {
        line(&report.api, report.counts);
        all += report.counts;
    }
    line("all", all);
    text
}

/// What was sent in all, and how quickly what is not there was refused.
pub fn summary(reports: &[ApiReport], requests: u64, took: Duration) -> String {
    let secs = took.as_secs_f64();
    let mut text = format!("{requests} requests in {secs:.1} s: {:.0} a second\n", requests as f64 / secs.max(0.001));
    let refusals = reports.iter().fold(Refusals::default(), |all, report| all.with(report.refusals));
    if refusals.count > 0 {
        let Refusals { count, mean_ms, slowest_ms } = refusals;
        let _ = writeln!(
            text,
            "{count} of them about what is not there: {mean_ms:.1} ms each, {slowest_ms:.0} ms the slowest"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_added_up() {
        let mut refusals = Refusals::default();
        for ms in [1, 2, 6] {
            refusals.add(Duration::from_millis(ms));
        }
        assert_eq!(refusals, Refusals { count: 3, mean_ms: 3.0, slowest_ms: 6.0 });
        assert_eq!(refusals.with(Refusals::default()), refusals);
        let report = ApiReport { refusals, ..ApiReport::default() };
        let told = summary(&[report.clone(), report], 100, Duration::from_secs(2));
        assert_eq!(
            told,
            "100 requests in 2.0 s: 50 a second\n6 of them about what is not there: 3.0 ms each, 6 ms the slowest\n"
        );
    }
}
