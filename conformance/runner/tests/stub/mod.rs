//! A server that answers four operations, one in each of four protocols, exactly as AWS would; what it is about to
//! answer can be changed.

use std::time::Duration;

use bytes::Bytes;
use fractus_conformance::endpoint::Endpoint;
use fractus_conformance::models;
use fractus_conformance::shapes::report::ApiReport;
use fractus_conformance::shapes::run::Run;
use fractus_conformance::shapes::setup::Setup;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value as Json, json};

/// What is about to be answered.
#[derive(Clone, Debug)]
pub struct Draft {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// The connection is dropped instead.
    pub silent: bool,
}

impl Draft {
    pub fn is_success(&self) -> bool {
        self.status == 200
    }

    pub fn set_header(&mut self, name: &'static str, value: &str) {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
    }

    pub fn drop_header(&mut self, name: &str) {
        self.headers.retain(|(known, _)| *known != name);
    }

    /// Changes every place in the body where this stands; bodies in CBOR are no texts.
    pub fn replace(&mut self, from: &str, to: &str) {
        let mut changed = Vec::with_capacity(self.body.len());
        let mut rest = self.body.as_slice();
        while let Some((first, after)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(from.as_bytes()) {
                changed.extend_from_slice(to.as_bytes());
                rest = after;
            } else {
                changed.push(*first);
                rest = after;
            }
        }
        self.body = changed;
    }
}

pub type Change = fn(&mut Draft);

/// Sends every variant of one operation to a stub whose answers are changed.
pub async fn judged(api: &str, operation: &str, change: Change) -> ApiReport {
    let url = start(change).await;
    let endpoint = Endpoint::new(&url, Duration::from_secs(5)).unwrap();
    let run = Run::new(endpoint, "conformance shapes".to_owned()).unwrap();
    let mut api = models::load(api).unwrap();
    api.operations.retain(|name, _| name == operation);
    run.api_with(&api, Setup::default()).await
}

async fn start(change: Change) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(move |request| serve(request, change));
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                // A dropped connection ends with an error, which is what was wanted.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    format!("http://{address}")
}

async fn serve(
    request: Request<hyper::body::Incoming>,
    change: Change,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let mut draft = answer(&head, &body);
    change(&mut draft);
    if draft.silent {
        return Err(std::io::Error::other("dropped"));
    }
    let mut response = Response::builder().status(draft.status);
    for (name, value) in &draft.headers {
        response = response.header(*name, value);
    }
    Ok(response.body(Full::new(Bytes::from(draft.body))).unwrap())
}

fn answer(head: &http::request::Parts, body: &[u8]) -> Draft {
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap_or("")).unwrap_or("");
    if header("smithy-protocol") == "rpc-v2-cbor" && head.uri.path().starts_with("/service/ResourceGroups") {
        cbor(head.uri.path(), body)
    } else if header("x-amz-target").starts_with("AWSStepFunctions.") {
        json_answer(header("x-amz-target"), body)
    } else if head.uri.path().starts_with("/schedule-groups/") {
        rest_json(head.uri.path())
    } else if head.uri.path() != "/" {
        typed(404, "application/json", json!({"message": "no"}), Some("UnknownOperationException"))
    } else {
        query(body)
    }
}

fn draft(status: u16, content_type: &str, body: Vec<u8>) -> Draft {
    let headers = vec![("content-type", content_type.to_owned()), ("x-amzn-requestid", "id".to_owned())];
    Draft { status, headers, body, silent: false }
}

fn typed(status: u16, content_type: &str, body: Json, error_type: Option<&str>) -> Draft {
    let mut draft = draft(status, content_type, body.to_string().into_bytes());
    error_type.into_iter().for_each(|code| draft.set_header("x-amzn-errortype", code));
    draft
}

fn told(value: &str, place: &str, constraint: &str) -> String {
    format!("1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: {constraint}")
}

/// Step Functions' StopExecution.
fn json_answer(target: &str, body: &[u8]) -> Draft {
    const TYPE: &str = "application/x-amz-json-1.0";
    let refuse = |code: &str, message: String| typed(400, TYPE, json!({"__type": code, "message": message}), None);
    if !target.ends_with(".StopExecution") {
        return refuse("UnknownOperationException", String::new());
    }
    let Ok(Json::Object(input)) = serde_json::from_slice(body) else {
        return refuse("SerializationException", String::new());
    };
    for (name, least, most) in [("executionArn", 1, 256), ("error", 0, 256), ("cause", 0, 32_768)] {
        match input.get(name) {
            None if name == "executionArn" => {
                return refuse("ValidationException", told("null", name, "Member must not be null"));
            }
            None => {}
            Some(Json::String(text)) if text.len() < least => {
                let constraint = format!("Member must have length greater than or equal to {least}");
                return refuse("ValidationException", told(text, name, &constraint));
            }
            Some(Json::String(text)) if text.len() > most => {
                let constraint = format!("Member must have length less than or equal to {most}");
                return refuse("ValidationException", told(text, name, &constraint));
            }
            Some(Json::String(_)) => {}
            Some(_) => return refuse("SerializationException", String::new()),
        }
    }
    typed(200, TYPE, json!({"stopDate": 1_700_000_000.5}), None)
}

/// Scheduler's GetScheduleGroup.
fn rest_json(path: &str) -> Draft {
    const TYPE: &str = "application/json";
    let name = path.rsplit('/').next().unwrap_or_default();
    let refuse = |constraint: &str| {
        typed(400, TYPE, json!({"message": told(name, "name", constraint)}), Some("ValidationException"))
    };
    if name.len() > 64 {
        return refuse("Member must have length less than or equal to 64");
    }
    if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter)) {
        return refuse(&format!("Member must satisfy regular expression pattern: {}", pattern()));
    }
    let group = json!({"Name": name, "State": "ACTIVE", "Arn": "arn:aws:scheduler:us-east-1:0:g", "CreationDate": 1.5});
    typed(200, TYPE, group, None)
}

fn pattern() -> String {
    let api = models::load("scheduler").unwrap();
    api.shapes["ScheduleGroupName"].pattern.clone().unwrap_or_default()
}

/// STS's GetAccessKeyInfo.
fn query(body: &[u8]) -> Draft {
    const SPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
    let text = String::from_utf8_lossy(body);
    let field = |name: &str| text.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let refuse = |code: &str, message: String| {
        let xml = format!(
            "<ErrorResponse xmlns=\"{SPACE}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>\
             </Error><RequestId>id</RequestId></ErrorResponse>"
        );
        draft(400, "text/xml", xml.into_bytes())
    };
    if field("Action") != Some("GetAccessKeyInfo") {
        return refuse("InvalidAction", String::new());
    }
    let place = "accessKeyId";
    let Some(key) = field("AccessKeyId") else {
        return refuse("ValidationError", told("null", place, "Member must not be null"));
    };
    if key.len() < 16 {
        return refuse("ValidationError", told(key, place, "Member must have length greater than or equal to 16"));
    }
    if key.len() > 128 && !key.contains('%') {
        return refuse("ValidationError", told(key, place, "Member must have length less than or equal to 128"));
    }
    if !key.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        let constraint = "Member must satisfy regular expression pattern: [\\w]*";
        return refuse("ValidationError", told(key, place, constraint));
    }
    let xml = format!(
        "<GetAccessKeyInfoResponse xmlns=\"{SPACE}\"><GetAccessKeyInfoResult><Account>000000000000</Account>\
         </GetAccessKeyInfoResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></GetAccessKeyInfoResponse>"
    );
    draft(200, "text/xml", xml.into_bytes())
}

/// Resource Groups Tagging's DescribeReportCreation, which has no input.
fn cbor(path: &str, body: &[u8]) -> Draft {
    let refuse = |status, code: &str| {
        let mut out = b"\xa1\x66__type".to_vec();
        out.extend(text(code));
        draft(status, "application/cbor", out)
    };
    let mut answer = if !path.ends_with("/DescribeReportCreation") {
        refuse(404, "UnknownOperationException")
    } else if body == b"\xa2\x61" {
        refuse(400, "SerializationException")
    } else {
        let mut out = b"\xa1\x66Status".to_vec();
        out.extend(text("SUCCEEDED"));
        draft(200, "application/cbor", out)
    };
    answer.set_header("smithy-protocol", "rpc-v2-cbor");
    answer
}

fn text(text: &str) -> Vec<u8> {
    let mut out = vec![0x78, u8::try_from(text.len()).unwrap()];
    out.extend(text.bytes());
    out
}
