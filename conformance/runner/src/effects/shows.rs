//! Whether a scenario shows what it says it shows, from its text alone: an expectation must tie two calls together.
//!
//! The evidence for an operation is an expectation about another call's answer (or an error of it) that looks at what the
//! operation's call sent or answered, or is about the same thing and looks at what was sent or answered before; for an
//! operation that only reads, an expectation about its own answer that looks at another call. What the text promises, the
//! run with the operation left out proves ([`super::run::Without`]).

use std::collections::BTreeSet;

use super::scenario::{Call, Outcome, Request, Scenario, Step};
use super::template::{literals_of, variables_of};

/// Variables that every scenario has; that two calls both use one of them ties nothing together.
pub const GIVEN: [&str; 7] = ["unique", "account", "region", "endpoint", "access_key_id", "secret", "now"];

/// One call or request of a scenario, in the order of the file.
struct Sight<'a> {
    /// `None`: no operation.
    operation: Option<(&'a str, &'a str)>,
    sent_variables: BTreeSet<String>,
    sent_literals: BTreeSet<String>,
    saved: BTreeSet<String>,
    outcome: &'a Outcome,
}

/// The operations that the scenario names without calling them, or without an expectation that shows them.
pub fn unfounded(scenario: &Scenario) -> Vec<String> {
    let sights = sights(scenario);
    let is_shown = |(api, name): &(String, String)| {
        let own = (api.as_str(), name.as_str());
        let is_tied =
            |one: usize, other: usize| one != other && !tied_lines(&sights, one.min(other), one.max(other)).is_empty();
        (0..sights.len())
            .filter(|at| sights[*at].operation == Some(own))
            .any(|at| (0..sights.len()).any(|other| is_tied(at, other)))
    };
    let all = scenario.shows.iter();
    all.filter(|shown| !is_shown(shown)).map(|(api, name)| format!("{api}.{name}")).collect()
}

/// The lines of the expectations about calls of an operation itself that look at an earlier call.
pub fn lines_tied_to_earlier(scenario: &Scenario, api: &str, name: &str) -> BTreeSet<usize> {
    let sights = sights(scenario);
    let own = Some((api, name));
    let mut lines = BTreeSet::new();
    for at in (0..sights.len()).filter(|at| sights[*at].operation == own) {
        (0..at).for_each(|before| lines.extend(tied_lines(&sights, before, at)));
    }
    lines
}

/// The lines of the later one's expectations that depend on the earlier one.
fn tied_lines(sights: &[Sight<'_>], earlier: usize, later: usize) -> Vec<usize> {
    let (before, earlier, later) = (&sights[..later], &sights[earlier], &sights[later]);
    let knows = |sight: &Sight<'_>, name: &String| sight.sent_variables.contains(name) || sight.saved.contains(name);
    let shares_a_subject = later.sent_variables.iter().any(|name| knows(earlier, name));
    let mut lines = Vec::new();
    if let Some(error) = later.outcome.error.as_ref().filter(|_| shares_a_subject) {
        lines.push(error.line);
    }
    for expectation in &later.outcome.expect {
        let (variables, literals) = (expectation.variables(), expectation.literals());
        let looks_at = |sight: &Sight<'_>| {
            variables.iter().any(|name| knows(sight, name)) || !literals.is_disjoint(&sight.sent_literals)
        };
        let is_about_it = shares_a_subject && (expectation.is_about_presence() || before.iter().any(looks_at));
        if looks_at(earlier) || is_about_it {
            lines.push(expectation.line);
        }
    }
    lines
}

fn sights(scenario: &Scenario) -> Vec<Sight<'_>> {
    let mut sights = Vec::new();
    scenario.steps.iter().for_each(|step| collect(step, scenario, &mut sights));
    sights
}

fn collect<'a>(step: &'a Step, scenario: &'a Scenario, sights: &mut Vec<Sight<'a>>) {
    match step {
        Step::Call(call) => sights.push(of_call(call, scenario)),
        Step::Http(request) => sights.push(of_request(request)),
        Step::Clock(_) => {}
        Step::Parallel(steps) | Step::Repeat { steps, .. } => {
            steps.iter().for_each(|step| collect(step, scenario, sights));
        }
    }
}

fn of_call<'a>(call: &'a Call, scenario: &Scenario) -> Sight<'a> {
    let mut sent_variables = variables_of(&call.input);
    let mut sent_literals = literals_of(&call.input);
    let others = [&call.caller, &call.wire.headers, &call.wire.query];
    for node in others.into_iter().flatten() {
        sent_variables.extend(variables_of(node));
        sent_literals.extend(literals_of(node));
    }
    // A literal that stands in a variable was sent as well.
    for (name, node) in &scenario.variables {
        if sent_variables.contains(name) {
            sent_literals.extend(literals_of(node));
        }
    }
    GIVEN.iter().for_each(|given| {
        sent_variables.remove(*given);
    });
    let operation = Some((call.service.api, call.operation.name));
    Sight { operation, sent_variables, sent_literals, saved: saved(&call.outcome), outcome: &call.outcome }
}

fn of_request(request: &Request) -> Sight<'_> {
    let mut sent_variables = variables_of(&request.url);
    request.body.iter().for_each(|body| sent_variables.extend(variables_of(body)));
    GIVEN.iter().for_each(|given| {
        sent_variables.remove(*given);
    });
    let outcome = &request.outcome;
    Sight { operation: None, sent_variables, sent_literals: BTreeSet::new(), saved: saved(outcome), outcome }
}

fn saved(outcome: &Outcome) -> BTreeSet<String> {
    outcome.save.iter().map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::effects::scenario::parse_file;

    fn unfounded_in(shows: &str, steps: &str) -> Vec<String> {
        let text = format!("scenarios:\n- name: x\n  shows: [{shows}]\n  steps:\n{steps}");
        unfounded(&parse_file("sqs", Path::new("x.yaml"), &text).unwrap()[0])
    }

    const CREATE: &str = "  - {call: CreateQueue, with: {QueueName: 'q${unique}'}, save: {queue: QueueUrl}}\n";
    const SEND: &str = "  - {call: SendMessage, with: {QueueUrl: '${queue}', MessageBody: hello}}\n";
    const RECEIVE: &str =
        "  - {call: ReceiveMessage, with: {QueueUrl: '${queue}'}, expect: {'Messages[0].Body': hello}}\n";

    #[test]
    fn an_expectation_ties_two_calls_together() {
        let steps = format!("{CREATE}{SEND}{RECEIVE}");
        assert!(unfounded_in("SendMessage, ReceiveMessage", &steps).is_empty());
    }

    #[test]
    fn an_answer_alone_shows_nothing() {
        let own = "  - {call: SendMessage, with: {QueueUrl: '${queue}', MessageBody: hello}, expect: {MessageId: {absent: false}}}\n";
        assert_eq!(unfounded_in("SendMessage", own), ["sqs.SendMessage"]);
        assert_eq!(unfounded_in("PurgeQueue", &format!("{CREATE}{SEND}{RECEIVE}")), ["sqs.PurgeQueue"]);
        let unrelated = "  - {call: ListQueues, with: {QueueNamePrefix: x}, expect: {QueueUrls: {length: 0}}}\n";
        assert_eq!(unfounded_in("SendMessage", &format!("{own}{unrelated}")), ["sqs.SendMessage"]);
    }

    #[test]
    fn an_error_of_a_later_call_on_the_same_thing_is_evidence() {
        let delete = "  - {call: DeleteQueue, with: {QueueUrl: '${queue}'}}\n";
        let after = "  - {call: GetQueueAttributes, with: {QueueUrl: '${queue}'}, error: QueueDoesNotExist}\n";
        assert!(unfounded_in("DeleteQueue", &format!("{CREATE}{delete}{after}")).is_empty());
        let elsewhere = "  - {call: GetQueueAttributes, with: {QueueUrl: other}, error: QueueDoesNotExist}\n";
        assert_eq!(unfounded_in("DeleteQueue", &format!("{CREATE}{delete}{elsewhere}")), ["sqs.DeleteQueue"]);
    }
}
