//! The judge is judged: a server that answers rightly passes in full, and every way of answering wrongly is found by its
//! name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod stub;

use std::collections::BTreeSet;

use fractus_conformance::shapes::judge::Flaw;
use fractus_conformance::shapes::report::ApiReport;
use stub::{Change, Draft, judged};

const JSON: (&str, &str) = ("stepfunctions", "StopExecution");
const QUERY: (&str, &str) = ("sts", "GetAccessKeyInfo");
const REST_JSON: (&str, &str) = ("scheduler", "GetScheduleGroup");
const CBOR: (&str, &str) = ("resourcegroupstaggingapi", "DescribeReportCreation");

fn flaws(report: &ApiReport) -> BTreeSet<Flaw> {
    report.failures.iter().flat_map(|failure| &failure.findings).map(|finding| finding.flaw).collect()
}

fn told(report: &ApiReport) -> String {
    report.failures.iter().map(|failure| failure.text()).collect()
}

/// The flaw is found by this name; and the level that it is of falls.
async fn is_found(on: (&str, &str), flaw: Flaw, change: Change) {
    let report = judged(on.0, on.1, change).await;
    assert!(flaws(&report).contains(&flaw), "{flaw} is not found: {:?}\n{}", flaws(&report), told(&report));
    assert!(report.counts.strict < report.counts.variants, "{:?}", report.counts);
    if !flaw.is_of_behaviour() {
        assert!(report.counts.shape_true < report.counts.variants, "{:?}", report.counts);
    }
}

#[tokio::test]
async fn right_answers_pass_in_full() {
    for (api, operation) in [JSON, QUERY, REST_JSON] {
        let report = judged(api, operation, |_| {}).await;
        let counts = report.counts;
        assert!(report.failures.is_empty(), "{}", told(&report));
        assert_eq!(
            (counts.answered, counts.shape_true, counts.strict),
            (counts.variants, counts.variants, counts.variants)
        );
        assert_eq!(counts.succeeded, counts.positive);
        assert!(counts.positive >= 3 && counts.variants >= counts.positive + 3, "{api}: {counts:?}");
    }
}

#[tokio::test]
async fn right_answers_in_cbor_pass_in_full() {
    let report = judged(CBOR.0, CBOR.1, |_| {}).await;
    let failures: Vec<_> = report.failures.iter().filter(|failure| failure.id.contains(":cbor:")).collect();
    assert!(failures.is_empty(), "{}", told(&report));
    assert!(report.counts.strict >= 2, "{:?}", report.counts);
}

#[tokio::test]
async fn a_wrong_status_is_found() {
    let change = |draft: &mut Draft| {
        if draft.is_success() {
            draft.status = 201;
        }
    };
    for on in [JSON, QUERY, REST_JSON] {
        is_found(on, Flaw::WrongStatus, change).await;
    }
}

#[tokio::test]
async fn a_wrong_content_type_is_found() {
    for on in [JSON, QUERY, REST_JSON, CBOR] {
        is_found(on, Flaw::WrongContentType, |draft| draft.set_header("content-type", "text/plain")).await;
    }
}

#[tokio::test]
async fn a_missing_request_id_is_found() {
    for on in [JSON, QUERY, REST_JSON] {
        is_found(on, Flaw::MissingRequestId, |draft| draft.drop_header("x-amzn-requestid")).await;
    }
    is_found(QUERY, Flaw::MissingRequestId, |draft| draft.replace("<RequestId>id</RequestId>", "")).await;
}

#[tokio::test]
async fn a_missing_header_is_found() {
    is_found(CBOR, Flaw::MissingHeader, |draft| draft.drop_header("smithy-protocol")).await;
    is_found(REST_JSON, Flaw::MissingHeader, |draft| draft.drop_header("x-amzn-errortype")).await;
}

#[tokio::test]
async fn an_unreadable_body_is_found() {
    let change = |draft: &mut Draft| draft.body.truncate(draft.body.len() / 2);
    for on in [JSON, QUERY, REST_JSON] {
        is_found(on, Flaw::UnreadableBody, change).await;
    }
}

#[tokio::test]
async fn a_wrong_outermost_form_is_found() {
    is_found(QUERY, Flaw::WrongForm, |draft| draft.replace("GetAccessKeyInfoResponse", "Response")).await;
    is_found(QUERY, Flaw::WrongForm, |draft| draft.replace("https://sts", "https://other")).await;
    is_found(QUERY, Flaw::WrongForm, |draft| draft.replace("GetAccessKeyInfoResult", "Result")).await;
}

#[tokio::test]
async fn a_missing_member_is_found() {
    is_found(JSON, Flaw::MissingMember, |draft| draft.replace("\"stopDate\":1700000000.5", "")).await;
}

#[tokio::test]
async fn an_unknown_member_is_found() {
    is_found(JSON, Flaw::UnknownMember, |draft| draft.replace("{\"stopDate\"", "{\"surprise\":1,\"stopDate\"")).await;
    is_found(QUERY, Flaw::UnknownMember, |draft| draft.replace("<Account>", "<Surprise/><Account>")).await;
    is_found(REST_JSON, Flaw::UnknownMember, |draft| draft.replace("\"Arn\"", "\"arn\"")).await;
    is_found(CBOR, Flaw::UnknownMember, |draft| draft.replace("Status", "status")).await;
}

#[tokio::test]
async fn a_wrong_type_is_found() {
    is_found(REST_JSON, Flaw::WrongType, |draft| draft.replace("\"ACTIVE\"", "[]")).await;
    is_found(QUERY, Flaw::WrongType, |draft| draft.replace("000000000000", "<Id>0</Id>")).await;
}

#[tokio::test]
async fn a_wrong_timestamp_is_found() {
    is_found(JSON, Flaw::WrongTimestamp, |draft| draft.replace("1700000000.5", "\"2023-11-14T22:13:20Z\"")).await;
}

#[tokio::test]
async fn a_value_that_the_enum_does_not_have_is_found() {
    is_found(REST_JSON, Flaw::UnknownValue, |draft| draft.replace("ACTIVE", "SLEEPING")).await;
}

#[tokio::test]
async fn an_error_that_the_operation_does_not_have_is_found() {
    is_found(JSON, Flaw::UnknownError, |draft| draft.replace("ValidationException", "SurpriseException")).await;
    is_found(QUERY, Flaw::UnknownError, |draft| draft.replace("ValidationError", "Surprise")).await;
}

#[tokio::test]
async fn an_errors_wrong_status_is_found() {
    let change = |draft: &mut Draft| {
        if !draft.is_success() {
            draft.status = 422;
        }
    };
    for on in [JSON, QUERY, REST_JSON] {
        is_found(on, Flaw::WrongErrorStatus, change).await;
    }
}

#[tokio::test]
async fn an_errors_wrong_form_is_found() {
    is_found(JSON, Flaw::WrongErrorForm, |draft| draft.replace("__type", "kind")).await;
    is_found(QUERY, Flaw::WrongErrorForm, |draft| draft.replace("<Type>Sender</Type>", "")).await;
    is_found(QUERY, Flaw::WrongErrorForm, |draft| draft.replace("ErrorResponse", "Failure")).await;
}

#[tokio::test]
async fn swallowed_validation_is_found() {
    let change = |draft: &mut Draft| {
        if draft.status == 400 {
            draft.status = 200;
            draft.body = b"{\"stopDate\":1}".to_vec();
        }
    };
    is_found(JSON, Flaw::SwallowedValidation, change).await;
}

#[tokio::test]
async fn a_right_request_that_is_refused_is_found() {
    let change = |draft: &mut Draft| {
        if draft.is_success() {
            draft.status = 400;
            draft.body = b"{\"__type\":\"ExecutionDoesNotExist\",\"message\":\"\"}".to_vec();
        }
    };
    is_found(JSON, Flaw::RefusedValid, change).await;
}

#[tokio::test]
async fn a_wrong_refusal_is_found() {
    is_found(JSON, Flaw::WrongRefusal, |draft| draft.replace("ValidationException", "InvalidArn")).await;
    is_found(JSON, Flaw::WrongRefusal, |draft| draft.replace("Member must", "It should")).await;
}

#[tokio::test]
async fn no_answer_is_found_and_counts_as_none() {
    // The probe finds nobody, so that nothing is sent; an answer that fails later is a finding.
    let report = judged(JSON.0, JSON.1, |draft| draft.silent = true).await;
    assert_eq!((report.counts.answered, report.counts.strict), (0, 0));
    let report = judged(JSON.0, JSON.1, |draft| draft.silent = draft.is_success()).await;
    assert!(flaws(&report).contains(&Flaw::NoAnswer), "{}", told(&report));
}

#[tokio::test]
async fn what_is_not_there_is_unanswered_and_no_failure() {
    for status in [501, 503] {
        let report = match status {
            501 => judged(JSON.0, JSON.1, |draft| draft.status = 501).await,
            _ => judged(JSON.0, JSON.1, |draft| draft.status = 503).await,
        };
        assert_eq!(report.counts.answered, if status == 501 { 1 } else { 0 }, "{}", told(&report));
        assert!(report.counts.variants > 10);
    }
}

#[tokio::test]
async fn a_failure_says_how_to_repeat_it() {
    let report = judged(JSON.0, JSON.1, |draft| draft.replace("\"stopDate\":1700000000.5", "")).await;
    let text = told(&report);
    assert!(text.contains("--only 'stepfunctions:StopExecution:json:minimal'"), "{text}");
    assert!(text.contains("x-amz-target: AWSStepFunctions.StopExecution") && text.contains("200 OK"), "{text}");
}
