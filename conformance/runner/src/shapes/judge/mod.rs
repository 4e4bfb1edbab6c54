//! The judgement of an answer.
//!
//! Its form first: status, content type, request id, every member known to the model and of its type, what is
//! required there, errors modelled with their status and form. Then what it is an answer to: a request that is right
//! succeeds, a request that is wrong is refused as the service refuses it.

mod element;
mod error;
mod flaw;
mod node;
mod success;
mod typed;
mod xml;

use fractus_models::{Api, OperationFacts};
use http::header::CONTENT_TYPE;

use super::protocol::Protocol;
use super::setup::{Expect, Protocols, Setup, fits};
use super::value::Value;
use crate::endpoint::Answer;
pub use error::ErrorSaid;
pub use flaw::{Finding, Findings, Flaw};

/// What was asked, and what is known of the answer before.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub api: &'a Api,
    pub operation: &'a str,
    /// `None` for an operation that there is not.
    pub facts: Option<&'a OperationFacts>,
    pub protocol: Protocol,
    pub setup: &'a Setup,
    pub protocols: &'a Protocols,
    /// As set-up tables know it.
    pub variant: &'a str,
    pub negative: bool,
    /// The constraint that the request breaks, in AWS's words, and where.
    pub broken: Option<(&'a str, &'a str)>,
}

/// The outcome of one variant.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// The service has the operation.
    pub answered: bool,
    /// It answered with success.
    pub succeeded: bool,
    pub error: Option<ErrorSaid>,
    /// What a success said.
    pub said: Option<Value>,
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// The answer has the form that the model gives it.
    pub fn is_shape_true(&self) -> bool {
        self.answered && self.findings.iter().all(|finding| finding.flaw.is_of_behaviour())
    }

    /// And it is the right answer.
    pub fn is_strict(&self) -> bool {
        self.answered && self.findings.is_empty()
    }
}

impl Asked<'_> {
    /// The status of an error that operations need not list.
    fn common_status(&self, code: &str) -> Option<u16> {
        let of_service = self.setup.errors.get(code).copied();
        let expected = self.expectation().filter(|expect| expect.code.iter().any(|known| known == code));
        let of_protocol =
            || self.protocols.errors.get(self.protocol.name()).and_then(|errors| errors.get(code)).copied();
        expected.and_then(|expect| expect.status).or(of_service).or_else(of_protocol)
    }

    fn expectation(&self) -> Option<&Expect> {
        self.setup.expectation(self.protocols, self.variant)
    }
}

/// Whether the service does not have the operation, or is not there: nothing to judge.
pub fn is_unanswered(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 501 | 503)
}

/// Judges an answer.
pub fn judge(asked: &Asked<'_>, answer: &Answer) -> Judgement {
    let mut judgement = Judgement { answered: true, succeeded: answer.status.is_success(), ..Judgement::default() };
    let mut findings = Findings::default();
    request_id(asked, answer, &mut findings);
    if judgement.succeeded {
        if let Some(operation) = asked.facts.filter(|_| !is_of_another_protocol(asked)) {
            judgement.said = Some(success::judge(asked, operation, answer, &mut findings));
        }
        if asked.negative && !asked.expectation().is_some_and(|expect| expect.code.is_empty() || expect.or_success) {
            findings.add(Flaw::SwallowedValidation, "success where the request should be refused");
        } else if let Some(expect) = asked.expectation().filter(|expect| !expect.code.is_empty() && !expect.or_success)
        {
            findings.add(Flaw::SwallowedValidation, format!("success where {} is expected", expect.code.join(" or ")));
        }
    } else if is_of_another_protocol(asked) {
        // In which form a service refuses what it cannot read is its own affair.
        if !answer.status.is_client_error() {
            findings.add(Flaw::WrongRefusal, format!("{} where a client's error should be", answer.status));
        }
    } else {
        let said = error::judge(asked, answer, &mut findings);
        refusal(asked, answer, &said, &mut findings);
        judgement.error = Some(said);
    }
    judgement.findings = findings.found;
    judgement
}

/// What was sent was in a protocol that the service does not speak.
fn is_of_another_protocol(asked: &Asked<'_>) -> bool {
    asked.variant.ends_with(":foreign-protocol")
}

fn refusal(asked: &Asked<'_>, answer: &Answer, said: &ErrorSaid, findings: &mut Findings) {
    let expect = asked.expectation();
    let shown = format!("{} {}: {}", answer.status.as_u16(), said.code, said.message);
    let Some(expect) = expect.filter(|expect| !expect.code.is_empty()) else {
        if !asked.negative || expect.is_some() {
            findings.add(Flaw::RefusedValid, shown);
        } else if answer.status.is_server_error() {
            findings.add(Flaw::WrongRefusal, format!("{shown}, where a client's error should be"));
        }
        return;
    };
    let has_code = said.code.is_empty() || expect.code.contains(&said.code);
    let has_status = expect.status.is_none_or(|status| status == answer.status.as_u16());
    if !has_code || !has_status {
        let status = expect.status.map(|status| format!("{status} ")).unwrap_or_default();
        findings.add(Flaw::WrongRefusal, format!("{shown}, where {status}{} should be", expect.code.join(" or ")));
    } else if let Some(wanted) = &expect.message
        && !said.code.is_empty()
        && !is_told(wanted, &said.message, asked.broken)
    {
        findings.add(
            Flaw::WrongRefusal,
            format!("{shown}, where the message should be {}", sentence(wanted, asked.broken)),
        );
    }
}

/// The usual sentence about a broken constraint.
const USUAL: &str = "@validation";

fn sentence(wanted: &str, broken: Option<(&str, &str)>) -> String {
    match broken {
        Some((constraint, place)) if wanted == USUAL => {
            format!("* validation error* detected: Value * at '{place}' failed to satisfy constraint: {constraint}")
        }
        _ => wanted.to_owned(),
    }
}

fn is_told(wanted: &str, message: &str, broken: Option<(&str, &str)>) -> bool {
    if wanted != USUAL {
        return fits(wanted, message);
    }
    let Some((constraint, _)) = broken else { return message.contains("validation error") };
    // What is inside of a list or map is told of together with it, in words that hold the constraint's.
    let begins = fits("* validation error* detected: Value* at '*' failed to satisfy constraint: *", message);
    begins && message.contains(constraint)
}

fn request_id(asked: &Asked<'_>, answer: &Answer, findings: &mut Findings) {
    let has = |name: &str| answer.headers.get(name).is_some_and(|value| !value.is_empty());
    let is_s3 = asked.api.metadata.signing() == "s3";
    if is_s3 {
        for name in ["x-amz-request-id", "x-amz-id-2"] {
            if !has(name) {
                findings.add(Flaw::MissingRequestId, format!("the header {name}"));
            }
        }
    } else if !has("x-amzn-requestid") && !has("x-amz-request-id") {
        findings.add(Flaw::MissingRequestId, "the header x-amzn-requestid");
    }
}

/// Whether an answer's content type is one of these, whatever parameters it has.
fn is_of_type(answer: &Answer, allowed: &[&str]) -> bool {
    let given = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default().trim();
    allowed.iter().any(|allowed| given.eq_ignore_ascii_case(allowed))
}
