//! What browsers ask that no SDK does: whether they may call (CORS).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_wire::protocol::{Answer, write_failure};
use fractus_wire::{ByteStream, Failure, Protocol};
use http::{HeaderName, HeaderValue, Method, Response};

use crate::configurations::{self, Configured, Kind};
use crate::error::{Error, Result};
use crate::model::cors::{self, Asked};
use crate::objects::scope;
use crate::service::S3;
use crate::store::BUCKETS;

/// An error as the XML that S3's operations answer with.
pub fn failed(s3: &S3, cx: &Context, error: impl Into<Failure>) -> Response<ByteStream> {
    let about = Answer {
        request_id: &cx.request_id,
        host_id: Some(&s3.host_id),
        resource: Some(cx.uri().path()),
        error_namespace: None,
        query_mode: false,
    };
    write_failure(Protocol::RestXml, &api::MODEL, None, &error.into(), &about)
}

/// The bucket of a path-style path, decoded; empty for the service itself.
fn bucket_of(path: &str) -> String {
    let first = path.strip_prefix('/').unwrap_or(path).split('/').next().unwrap_or_default();
    percent_encoding::percent_decode_str(first).decode_utf8_lossy().into_owned()
}

const ASKED_METHOD: &str = "access-control-request-method";

fn asked_headers(cx: &Context) -> Vec<&str> {
    let headers = cx.header("access-control-request-headers").unwrap_or_default();
    headers.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// The rules of the bucket, if it has any.
enum Rules {
    NoBucket,
    None,
    Some(Vec<api::CORSRule>),
}

async fn rules(s3: &S3, cx: &Context) -> Result<Rules> {
    let (scope, name) = (scope(cx), bucket_of(cx.uri().path()));
    s3.store
        .read(|snapshot| {
            let Some(bucket) = snapshot.get(&BUCKETS, &scope, &(name.as_str(),))? else {
                return Ok(Rules::NoBucket);
            };
            let found = configurations::read::<api::CORSConfiguration>(snapshot, &scope, &bucket, Kind::Cors)?;
            Ok(match found {
                Configured::Set(configuration) => Rules::Some(configuration.cors_rules),
                Configured::Default | Configured::Deleted => Rules::None,
            })
        })
        .await
}

/// Adds what the bucket's rules say to an answer; nothing where none applies.
pub async fn add_headers(s3: &S3, cx: &Context, response: &mut Response<ByteStream>) {
    let Some(origin) = cx.header("origin") else { return };
    // Where a request says for itself what a preflight would ask, that is what it is judged by.
    let method = cx.header(ASKED_METHOD).unwrap_or(cx.method().as_str());
    let asked = Asked { origin, method, headers: asked_headers(cx) };
    // An answer without these headers is what a browser takes for a refusal; the store's failure has been logged.
    let Ok(Rules::Some(rules)) = rules(s3, cx).await else { return };
    if let Some(rule) = cors::find(&rules, &asked) {
        insert(response, cors::headers(rule, &asked));
    }
}

fn insert(response: &mut Response<ByteStream>, headers: Vec<(&'static str, String)>) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}

/// Whether a request asks if another would be allowed.
pub fn is_preflight(method: &Method) -> bool {
    method == Method::OPTIONS
}

/// Answers a preflight by the bucket's rules.
pub async fn preflight(s3: &S3, cx: &Context) -> Response<ByteStream> {
    match allowed(s3, cx).await {
        Ok(headers) => {
            let mut response = Response::new(ByteStream::default());
            insert(&mut response, headers);
            response
        }
        Err(error) => failed(s3, cx, error),
    }
}

async fn allowed(s3: &S3, cx: &Context) -> Result<Vec<(&'static str, String)>> {
    let bad = |message: String| Error::Other(Box::new(Failure::new("BadRequest", 400, message)));
    let Some(origin) = cx.header("origin") else {
        return Err(bad("Insufficient information. Origin request header needed.".into()));
    };
    let asks = cx.header(ASKED_METHOD);
    let forbidden = |message: &str, kind: &'static str| {
        let failure = Failure::new("AccessForbidden", 403, message);
        let method = asks.unwrap_or("OPTIONS").to_owned();
        Error::Other(Box::new(failure.with_detail("Method", method).with_detail("ResourceType", kind)))
    };
    let rules = match rules(s3, cx).await? {
        Rules::NoBucket => return Err(forbidden("CORSResponse: Bucket not found", "BUCKET")),
        Rules::None => return Err(forbidden("CORSResponse: CORS is not enabled for this bucket.", "BUCKET")),
        Rules::Some(rules) => rules,
    };
    let method = asks.unwrap_or("null");
    if !["GET", "PUT", "HEAD", "POST", "DELETE"].contains(&method) {
        return Err(bad(format!("Invalid Access-Control-Request-Method: {method}")));
    }
    let asked = Asked { origin, method, headers: asked_headers(cx) };
    let kind = if cx.uri().path().trim_matches('/').contains('/') { "OBJECT" } else { "BUCKET" };
    match cors::find(&rules, &asked) {
        Some(rule) => Ok(cors::headers(rule, &asked)),
        // AWS's own spelling.
        None => Err(forbidden(
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
            kind,
        )),
    }
}
