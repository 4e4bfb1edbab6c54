//! Iceberg's REST catalog over the tables, for reading: what clients of any language read them by, with the table bucket's ARN as
//! their warehouse. Nobody but S3 writes these tables.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-tables-integrating-open-source.html> and
//! <https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml>

use std::borrow::Cow;

use fractus_host::Context;
use fractus_wire::ByteStream;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value as Json, json};

use crate::error::Result;
use crate::metadata::tables::{self, Asked, TableBucket, Tables, parameter};
use crate::metadata::{Kept, api, rows};
use crate::service::S3;

/// Marks the head of a request that is signed for S3 Tables.
#[derive(Clone, Copy, Debug)]
pub struct OfTables;

/// What requests to S3 Tables are signed for, the catalog's included.
pub const SIGNING_NAME: &str = "s3tables";

const ROOT: &str = "/iceberg/v1/";
/// The most of one page.
const MAX_PAGE: usize = 1_000;

/// Whether a request is for S3 Tables: its signature says so, and nothing else does, since all its paths could be a bucket's.
pub fn is_for_tables(head: &Parts) -> bool {
    // Looked at as bytes and no further than its service: every request of S3's comes by here.
    let signature = head.headers.get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let service = signature.and_then(|signature| signature.split(|byte| *byte == b'/').nth(3));
    service == Some(SIGNING_NAME.as_bytes())
}

/// What is answered: a status, and a document where there is one.
pub struct Answer {
    pub status: StatusCode,
    pub body: Option<Json>,
    /// The error's name, for clients that read it from a header.
    pub error: Option<Cow<'static, str>>,
}

impl Answer {
    pub fn of(body: Json) -> Self {
        Answer { status: StatusCode::OK, body: Some(body), error: None }
    }

    pub fn empty() -> Self {
        Answer { status: StatusCode::NO_CONTENT, body: None, error: None }
    }

    fn into_response(self, is_head: bool) -> Response<ByteStream> {
        let body = self.body.filter(|_| !is_head).map(|body| bytes::Bytes::from(body.to_string()));
        let mut response = Response::new(ByteStream::from(body.unwrap_or_default()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        if let Some(error) = self.error.and_then(|error| http::HeaderValue::from_str(&error).ok()) {
            headers.insert("x-amzn-errortype", error);
        }
        response
    }
}

/// Answers a request that is signed for S3 Tables.
pub async fn answer(s3: &S3, cx: &Context) -> Response<ByteStream> {
    let path = cx.uri().path();
    let (rest, is_catalog) = path.strip_prefix(ROOT).map_or((path.trim_start_matches('/'), false), |rest| (rest, true));
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let mut parts: Vec<String> = rest.split('/').map(decoded).collect();
    // Some clients leave the slash of an ARN as it is.
    if let Some(at) = parts.iter().position(|part| part.starts_with("arn:") && part.ends_with(":bucket"))
        && at + 1 < parts.len()
    {
        let name = parts.remove(at + 1);
        parts[at] = format!("{}/{name}", parts[at]);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let tables = Tables { s3, cx };
    if let Err(failure) = cx.verify_without_body() {
        let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::FORBIDDEN);
        let tell = if is_catalog { refused } else { api::error };
        return tell(status, failure.code, &failure.message).into_response(cx.method() == Method::HEAD);
    }
    let answered = if is_catalog { catalog(&tables, &parts).await } else { tables.api(&parts).await };
    let answer = answered.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "S3 Tables could not answer");
        Answer {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            body: Some(json!({"message": "We encountered an internal error. Please try again."})),
            error: Some("InternalServerErrorException".into()),
        }
    });
    answer.into_response(cx.method() == Method::HEAD)
}

/// An error as the catalog tells it.
fn refused(status: StatusCode, kind: Cow<'static, str>, message: &str) -> Answer {
    let error = json!({"message": message, "type": kind, "code": status.as_u16()});
    Answer { status, body: Some(json!({"error": error})), error: Some(kind) }
}

fn no_table(name: &str) -> Answer {
    refused(StatusCode::NOT_FOUND, "NoSuchTableException".into(), &format!("Table does not exist: {name}"))
}

fn no_namespace(name: &str) -> Answer {
    refused(StatusCode::NOT_FOUND, "NoSuchNamespaceException".into(), &format!("Namespace does not exist: {name}"))
}

async fn catalog(tables: &Tables<'_>, parts: &[&str]) -> Result<Answer> {
    let cx = tables.cx;
    let warehouse = match parts {
        ["config"] => parameter(cx, "warehouse").unwrap_or_default(),
        [prefix, ..] => (*prefix).to_owned(),
        [] => String::new(),
    };
    let Some(bucket) = TableBucket::of(cx, &warehouse) else {
        let message = "The specified warehouse is not the ARN of a table bucket of this account and Region";
        return Ok(refused(StatusCode::BAD_REQUEST, "BadRequestException".into(), message));
    };
    let asked = asked(cx.method(), parts);
    let resource = asked.resource(&warehouse);
    if let Err(failure) = tables.authorize(asked.action(), &resource).await {
        return Ok(refused(StatusCode::FORBIDDEN, "ForbiddenException".into(), &failure.message));
    }
    if !tables.has(&bucket).await? {
        let message = "The specified table bucket does not exist.";
        return Ok(refused(StatusCode::NOT_FOUND, "NotFoundException".into(), message));
    }
    match (cx.method().as_str(), parts) {
        ("GET", ["config"]) => {
            let prefix = utf8_percent_encode(&warehouse, NON_ALPHANUMERIC).to_string();
            Ok(Answer::of(json!({"defaults": {}, "overrides": {"prefix": prefix}})))
        }
        ("GET", [_, "namespaces"]) => namespaces(tables, &bucket).await,
        ("GET" | "HEAD", [_, "namespaces", namespace]) => Ok(match tables.namespace(&bucket, namespace).await? {
            None => no_namespace(namespace),
            Some(_) if cx.method() == Method::HEAD => Answer::empty(),
            Some(_) => Answer::of(json!({"namespace": [namespace], "properties": {}})),
        }),
        ("GET", [_, "namespaces", namespace, "tables"]) => listed(tables, &bucket, namespace).await,
        ("GET" | "HEAD", [_, "namespaces", namespace, "tables", name]) => {
            Ok(match tables.table(&bucket, namespace, name).await? {
                None => no_table(&format!("{namespace}.{name}")),
                Some(_) if cx.method() == Method::HEAD => Answer::empty(),
                Some(kept) => Answer::of(loaded(&kept)),
            })
        }
        ("DELETE", [_, "namespaces", namespace, "tables", name]) => {
            if parameter(cx, "purgeRequested").as_deref() != Some("true") {
                let message = "S3 Tables only supports dropping tables with purge enabled";
                return Ok(refused(StatusCode::BAD_REQUEST, "BadRequestException".into(), message));
            }
            Ok(if tables.delete(&bucket, namespace, name, None).await? == tables::Deleted::Done {
                Answer::empty()
            } else {
                no_table(&format!("{namespace}.{name}"))
            })
        }
        _ => {
            let message = "The tables of this table bucket are managed by AWS and can only be read.";
            Ok(refused(StatusCode::FORBIDDEN, "ForbiddenException".into(), message))
        }
    }
}

/// What a request to the catalog is about, for permissions.
fn asked<'a>(method: &Method, parts: &[&'a str]) -> Asked<'a> {
    match (method.as_str(), parts) {
        (_, ["config"] | [_]) => Asked::Bucket("s3tables:GetTableBucket"),
        ("GET", [_, "namespaces"]) => Asked::Bucket("s3tables:ListNamespaces"),
        ("GET" | "HEAD", [_, "namespaces", _]) => Asked::Bucket("s3tables:GetNamespace"),
        ("GET", [_, "namespaces", _, "tables"]) => Asked::Bucket("s3tables:ListTables"),
        ("DELETE", [_, "namespaces", namespace, "tables", name]) => {
            Asked::Table("s3tables:DeleteTable", namespace, name)
        }
        (_, [_, "namespaces", namespace, "tables", name]) => {
            Asked::Table("s3tables:GetTableMetadataLocation", namespace, name)
        }
        _ => Asked::Bucket("s3tables:CreateTable"),
    }
}

fn loaded(kept: &Kept) -> Json {
    json!({
        "metadata-location": kept.table.metadata_location(),
        "metadata": kept.table.metadata(rows::fields(kept.kind)),
        "config": {},
    })
}

fn page_size(cx: &Context) -> usize {
    parameter(cx, "pageSize").and_then(|size| size.parse().ok()).map_or(MAX_PAGE, |size: usize| size.clamp(1, MAX_PAGE))
}

/// The token behind a page that is full: what it ended with.
fn next(found: &[String], size: usize) -> Json {
    found.last().filter(|_| found.len() == size).map_or(Json::Null, |last| Json::from(last.as_str()))
}

async fn namespaces(tables: &Tables<'_>, bucket: &TableBucket) -> Result<Answer> {
    if parameter(tables.cx, "parent").is_some_and(|parent| !parent.is_empty()) {
        return Ok(Answer::of(json!({"namespaces": []})));
    }
    let (after, size) = (parameter(tables.cx, "pageToken").unwrap_or_default(), page_size(tables.cx));
    let found: Vec<_> =
        tables.namespaces(bucket, &after, size).await?.into_iter().map(|(namespace, _)| namespace).collect();
    let shown: Vec<_> = found.iter().map(|namespace| json!([namespace])).collect();
    Ok(Answer::of(json!({"namespaces": shown, "next-page-token": next(&found, size)})))
}

async fn listed(tables: &Tables<'_>, bucket: &TableBucket, namespace: &str) -> Result<Answer> {
    if tables.namespace(bucket, namespace).await?.is_none() {
        return Ok(no_namespace(namespace));
    }
    let (after, size) = (parameter(tables.cx, "pageToken").unwrap_or_default(), page_size(tables.cx));
    let found = tables.tables(bucket, Some(namespace), (namespace, &after), size).await?;
    let names: Vec<_> = found.into_iter().map(|(place, _)| place.4).collect();
    let shown: Vec<_> = names.iter().map(|name| json!({"namespace": [namespace], "name": name})).collect();
    Ok(Answer::of(json!({"identifiers": shown, "next-page-token": next(&names, size)})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_alone_decides() {
        let head = |signature: Option<&str>| {
            let mut request = http::Request::builder().uri("/iceberg/v1/config");
            if let Some(signature) = signature {
                request = request.header("authorization", signature);
            }
            request.body(()).unwrap().into_parts().0
        };
        let signed = |name: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/{name}/aws4_request, SignedHeaders=host, Signature=0"
            )
        };
        assert!(is_for_tables(&head(Some(&signed("s3tables")))));
        assert!(!is_for_tables(&head(Some(&signed("s3")))));
        assert!(!is_for_tables(&head(Some("Bearer s3tables"))));
        assert!(!is_for_tables(&head(None)));
    }
}
