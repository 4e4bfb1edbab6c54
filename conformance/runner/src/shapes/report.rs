//! What a run found, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

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
