//! Answers that the router gives itself, in the form that the caller's client can read.

use fractus_handoff::RouteFacts;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::proxy::body::RouterBody;
use crate::route::tables::{self, ErrorForm};

const X_AMZN_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const X_AMZN_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
/// What services say of their operations, said of a whole service.
const FIDELITY: HeaderName = HeaderName::from_static("x-fractus-fidelity");
const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

/// What AWS's front ends say of a request that does not come (S3's `RequestTimeout`).
pub const TOO_SLOW: &str = "Your socket connection to the server was not read from or written to within the timeout period. Idle \
                            connections will be closed.";

/// An AWS error of the router's own making.
#[derive(Clone, Debug)]
pub struct Failure {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
}

impl Failure {
    pub fn unavailable(message: String) -> Self {
        Failure { status: StatusCode::SERVICE_UNAVAILABLE, code: "ServiceUnavailable", message }
    }

    /// What is asked for is not part of this stack.
    pub fn absent(message: String) -> Self {
        Failure { status: StatusCode::NOT_IMPLEMENTED, code: "NotImplemented", message }
    }

    pub fn malformed(message: &str) -> Self {
        Failure { status: StatusCode::BAD_REQUEST, code: "BadRequest", message: message.to_owned() }
    }

    /// A body that does not come.
    pub fn too_slow() -> Self {
        Failure { status: StatusCode::BAD_REQUEST, code: "RequestTimeout", message: TOO_SLOW.to_owned() }
    }

    /// Writes the error as `form` has it.
    pub fn answer(&self, form: ErrorForm, request_id: &str) -> Response<RouterBody> {
        let (content_type, body) = self.write(form, request_id);
        let mut response = Response::new(RouterBody::full(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(X_AMZN_ERROR_TYPE, HeaderValue::from_static(self.code));
        if let Ok(request_id) = HeaderValue::from_str(request_id) {
            headers.insert(X_AMZN_REQUEST_ID, request_id);
        }
        // SDKs have pauses of their own; others are told that it is worth it, and when.
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::NOT_IMPLEMENTED {
            headers.insert(FIDELITY, HeaderValue::from_static("missing"));
        }
        if form == ErrorForm::Cbor {
            headers.insert(SMITHY_PROTOCOL, HeaderValue::from_static("rpc-v2-cbor"));
        }
        response
    }

    fn write(&self, form: ErrorForm, request_id: &str) -> (&'static str, Vec<u8>) {
        let (code, message) = (self.code, escape(&self.message));
        match form {
            ErrorForm::Json => ("application/x-amz-json-1.0", self.json("__type", "message")),
            ErrorForm::RestJson => ("application/json", self.json("code", "message")),
            ErrorForm::Cbor => ("application/cbor", self.cbor()),
            ErrorForm::S3 => (
                "application/xml",
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
                     <RequestId>{request_id}</RequestId></Error>"
                )
                .into_bytes(),
            ),
            ErrorForm::Query | ErrorForm::RestXml => (
                "text/xml",
                format!(
                    "<ErrorResponse><Error><Type>{}</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                     <RequestId>{request_id}</RequestId></ErrorResponse>",
                    if self.status.is_server_error() { "Receiver" } else { "Sender" }
                )
                .into_bytes(),
            ),
        }
    }

    fn json(&self, code: &str, message: &str) -> Vec<u8> {
        serde_json::json!({ code: self.code, message: self.message }).to_string().into_bytes()
    }

    /// `{"__type": code, "message": message}`, the only CBOR that the router writes.
    fn cbor(&self) -> Vec<u8> {
        let mut bytes = vec![0xa2];
        for text in ["__type", self.code, "message", &self.message] {
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            bytes.push(0x79);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
        }
        bytes
    }
}

/// The form in which this request's client reads errors: by what the request shows, else by its service.
pub fn error_form(facts: &RouteFacts<'_>, headers: &HeaderMap, service: &str) -> ErrorForm {
    if headers.contains_key(SMITHY_PROTOCOL) {
        ErrorForm::Cbor
    } else if facts.target.is_some() {
        ErrorForm::Json
    } else if facts.form || facts.query.contains("Action=") {
        ErrorForm::Query
    } else {
        tables::error_form(service)
    }
}

pub fn json(status: StatusCode, value: &serde_json::Value) -> Response<RouterBody> {
    let mut response = Response::new(RouterBody::full(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub fn text(status: StatusCode, content_type: &'static str, text: impl Into<bytes::Bytes>) -> Response<RouterBody> {
    let mut response = Response::new(RouterBody::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
