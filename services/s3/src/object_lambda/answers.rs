//! HeadObject and the listings through an Object Lambda access point: what a function returns is what the caller gets.
//!
//! A function returns a document with the status, an error's code and message, and the headers of an object or a listing.
//! A listing is XML as S3 itself would answer with, or a document of the same members (`listBucketResult`).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-writing-lambda.html>

use fractus_host::{Access, Context};
use fractus_s3_api as api;
use fractus_wire::{ByteStream, Failure, Operation, Protocol, protocol};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use quick_xml::escape::escape;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::access;
use crate::error::{Error, Result};
use crate::object_lambda::call::{ANSWERS_WITHIN, Asked};
use crate::object_lambda::event::{self, Original};
use crate::object_lambda::lambda::{timed_out, unusable};
use crate::operations::{get, list as listings};
use crate::service::S3;

/// What a function returns.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    error_code: Option<String>,
    error_message: Option<String>,
    headers: Option<Map<String, Value>>,
    list_result_xml: Option<String>,
    list_bucket_result: Option<Value>,
}

/// What a HeadObject reaches for.
pub fn head_access(cx: &Context, input: &api::HeadObjectInput) -> Vec<Access> {
    let action = if input.version_id.is_some() { "GetObjectVersion" } else { "GetObject" };
    match Asked::of(cx, "HeadObject") {
        Some(asked) => asked.access(cx, action),
        None => access::to_object(cx, &input.bucket, &input.key, &format!("s3:{action}")),
    }
}

/// What a listing reaches for: `direct`, or the point before it.
pub fn list_access(cx: &Context, operation: &str, direct: impl Fn() -> Vec<Access>) -> Vec<Access> {
    Asked::of(cx, operation).map_or_else(direct, |asked| asked.access(cx, "ListBucket"))
}

/// HeadObject, of a bucket or through a point.
pub async fn head(s3: &S3, cx: &Context, input: Box<api::HeadObjectInput>) -> Result<api::HeadObjectOutput> {
    let Some(asked) = Asked::of(cx, "HeadObject") else { return get::head(s3, cx, input).await };
    asked.check_features(cx, "HeadObject", input.range.is_some(), input.part_number.is_some())?;
    let original = Original::object(Method::HEAD, &input.key, input.version_id.as_deref());
    // In a box, so that the usual way stays short.
    let answer = Box::pin(answered(s3, cx, &asked, "headObjectContext", &original)).await?;
    read::<api::HeadObject>(with_headers(answer.headers.unwrap_or_default())?)
}

/// ListObjects, of a bucket or through a point.
pub async fn list(s3: &S3, cx: &Context, input: api::ListObjectsInput) -> Result<api::ListObjectsOutput> {
    match Asked::of(cx, "ListObjects") {
        None => listings::v1(s3, cx, input).await,
        Some(asked) => Box::pin(listed::<api::ListObjects>(s3, cx, &asked, "listObjectsContext")).await,
    }
}

/// ListObjectsV2, of a bucket or through a point.
pub async fn list_v2(s3: &S3, cx: &Context, input: api::ListObjectsV2Input) -> Result<api::ListObjectsV2Output> {
    match Asked::of(cx, "ListObjectsV2") {
        None => listings::v2(s3, cx, input).await,
        Some(asked) => Box::pin(listed::<api::ListObjectsV2>(s3, cx, &asked, "listObjectsV2Context")).await,
    }
}

async fn listed<O: Operation>(s3: &S3, cx: &Context, asked: &Asked<'_>, context: &str) -> Result<O::Output> {
    let answer = answered(s3, cx, asked, context, &Original::listing(cx)).await?;
    let document = match (answer.list_result_xml, answer.list_bucket_result) {
        (Some(document), _) => document,
        (None, Some(Value::Object(members))) => document_of(&members),
        _ => return Err(unusable("it has neither listResultXml nor listBucketResult")),
    };
    read::<O>(Response::new(ByteStream::from(bytes::Bytes::from(document))))
}

/// Has the function called, and gives its answer if that is a success.
async fn answered(s3: &S3, cx: &Context, asked: &Asked<'_>, context: &str, original: &Original) -> Result<Answer> {
    let told = json!({ "inputS3Url": event::input_url(cx, asked.through, original)? });
    let end = asked.call(s3, cx, &event::event(cx, asked, (context, told)));
    let payload = tokio::select! {
        biased;
        // What was called has gone only when the process ends.
        ended = end => ended.unwrap_or_else(|_| Err(timed_out()))?,
        () = cx.clock().sleep_until(cx.now().plus(ANSWERS_WITHIN)) => return Err(timed_out()),
    };
    let answer: Answer = serde_json::from_slice(&payload).map_err(unusable)?;
    succeeded(cx, answer)
}

/// The answer, or the error that it tells.
fn succeeded(cx: &Context, answer: Answer) -> Result<Answer> {
    let status = StatusCode::from_u16(answer.status_code).map_err(unusable)?;
    if let Some(code) = answer.error_code {
        let failure = Failure::new(code, status.as_u16(), answer.error_message.unwrap_or_default());
        return Err(Error::Other(Box::new(failure)));
    }
    if !(status.is_success() || status.is_redirection()) {
        let code: String = status.canonical_reason().unwrap_or("Unknown").split(' ').collect();
        return Err(Error::Other(Box::new(Failure::new(code, status.as_u16(), ""))));
    }
    cx.answer_with(status);
    Ok(answer)
}

/// An answer that is all headers. Numbers and truths are as good as texts; what is no header is passed over.
fn with_headers(headers: Map<String, Value>) -> Result<Response<ByteStream>> {
    let mut response = Response::new(ByteStream::default());
    for (name, value) in headers {
        let text = match value {
            Value::String(text) => text,
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => continue,
        };
        let name = HeaderName::try_from(name).map_err(unusable)?;
        response.headers_mut().insert(name, HeaderValue::try_from(text).map_err(unusable)?);
    }
    Ok(response)
}

/// A function's answer as the operation's own.
fn read<O: Operation>(response: Response<ByteStream>) -> Result<O::Output> {
    let mut output = O::Output::default();
    protocol::read_response(Protocol::RestXml, O::SERVICE, O::SCHEMA, response, &mut output).map_err(unusable)?;
    Ok(output)
}

/// A listing as S3 writes it, of one whose members have their names in lower case.
fn document_of(members: &Map<String, Value>) -> String {
    let mut document = String::from("<ListBucketResult>");
    members.iter().for_each(|(name, value)| write_member(&mut document, name, value));
    document.push_str("</ListBucketResult>");
    document
}

/// One element, or one for each member of a list.
fn write_member(document: &mut String, name: &str, value: &Value) {
    let name = element(name);
    let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    for value in values {
        let content = match value {
            Value::Null | Value::Array(_) => continue,
            Value::String(text) => escape(text).into_owned(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Object(members) => {
                let mut inner = String::new();
                members.iter().for_each(|(name, value)| write_member(&mut inner, name, value));
                inner
            }
        };
        document.push_str(&format!("<{name}>{content}</{name}>"));
    }
}

/// `lastModified` as `LastModified`, `eTag` as `ETag`, `id` as `ID`. What is no name of S3's has no meaning.
fn element(name: &str) -> String {
    if name == "id" {
        return "ID".to_owned();
    }
    let mut letters = name.chars().filter(char::is_ascii_alphanumeric);
    let first = letters.next().filter(char::is_ascii_alphabetic).map_or('_', |first| first.to_ascii_uppercase());
    std::iter::once(first).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_of_members_is_the_listing_of_s3() {
        let members = json!({
            "name": "b", "isTruncated": false, "maxKeys": 1000, "nextMarker": null,
            "contents": [
                {"key": "a<b", "lastModified": "2026-03-01T00:00:00Z", "eTag": "\"e\"", "size": 3,
                 "checksumAlgorithm": ["CRC32"], "owner": {"id": "i"}},
                {"key": "c"},
            ],
            "commonPrefixes": [{"prefix": "p/"}],
            "not a name>": "x", "7": "y",
        });
        let Value::Object(members) = members else { panic!() };
        let document = document_of(&members);
        let response = Response::new(ByteStream::from(bytes::Bytes::from(document)));
        let output = read::<api::ListObjects>(response).unwrap();
        assert_eq!(
            (output.name.as_deref(), output.is_truncated, output.max_keys),
            (Some("b"), Some(false), Some(1000))
        );
        let contents = output.contents.unwrap();
        assert_eq!((contents[0].key.as_deref(), contents[0].size), (Some("a<b"), Some(3)));
        assert_eq!(contents[0].e_tag.as_deref(), Some("\"e\""));
        assert_eq!(contents[0].owner.as_ref().unwrap().id.as_deref(), Some("i"));
        assert_eq!(contents[0].last_modified.unwrap().date_time_millis(), "2026-03-01T00:00:00.000Z");
        assert_eq!(contents[1].key.as_deref(), Some("c"));
        assert_eq!(output.common_prefixes.unwrap()[0].prefix.as_deref(), Some("p/"));
    }

    #[test]
    fn headers_are_those_of_an_object() {
        let headers = json!({
            "Content-Length": 11, "x-amz-meta-made-by": "f", "ETag": "\"e\"", "x-amz-delete-marker": false,
            "Server": "somebody", "x-nothing": null,
        });
        let Value::Object(headers) = headers else { panic!() };
        let output = read::<api::HeadObject>(with_headers(headers).unwrap()).unwrap();
        assert_eq!((output.content_length, output.e_tag.as_deref()), (Some(11), Some("\"e\"")));
        assert_eq!((output.metadata.unwrap()["made-by"].as_str(), output.delete_marker), ("f", Some(false)));
        let wrong = [("Last-Modified".to_owned(), json!("yesterday"))].into_iter().collect();
        assert!(read::<api::HeadObject>(with_headers(wrong).unwrap()).is_err());
        assert!(with_headers([("a b".to_owned(), json!("c"))].into_iter().collect()).is_err());
    }
}
