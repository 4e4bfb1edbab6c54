//! Pages for tests, which no signature is asked for: `GET /_aws/dynamodb/contributors?table=NAME&index=NAME&account=ID&region=CODE`.

use bytes::Bytes;
use fractus_aws::{AccountId, Region};
use fractus_host::Context;
use fractus_store::Scope;
use fractus_wire::ByteStream;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value as Json, json};

use crate::error::{Error, Result};
use crate::service::DynamoDb;
use crate::store::TABLES;

const FOLDER: &str = "/_aws/dynamodb/";

/// Whether a request is for a page.
pub fn is_page(head: &Parts) -> bool {
    head.uri.path().starts_with(FOLDER)
}

/// A parameter of a query. Names of tables and regions have no characters that are encoded.
fn value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

pub async fn answer(dynamodb: &DynamoDb, cx: &Context, request: Request<ByteStream>) -> Response<ByteStream> {
    let (head, _) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let told = match (&head.method, head.uri.path().strip_prefix(FOLDER)) {
        (&Method::GET, Some("contributors")) => contributors(dynamodb, cx, query).await,
        _ => Ok(None),
    };
    let (status, body) = match told {
        Ok(Some(told)) => (StatusCode::OK, told),
        Ok(None) => (StatusCode::NOT_FOUND, json!({ "message": "Not Found" })),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a page failed");
            (StatusCode::INTERNAL_SERVER_ERROR, json!({ "message": "Internal server error" }))
        }
    };
    let mut response = Response::new(ByteStream::from(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The most frequent keys of a table or an index, by the kind of rule; nothing where none are counted.
async fn contributors(dynamodb: &DynamoDb, cx: &Context, query: &str) -> Result<Option<Json>> {
    let account = value(query, "account").and_then(|account| AccountId::new(account).ok());
    let region = value(query, "region").and_then(|region| Region::new(region).ok());
    let world = account.map_or_else(|| cx.world.clone(), |account| cx.world.with_account(account));
    let scope = Scope::regional(&world, region.as_ref().unwrap_or(&cx.region));
    let name = value(query, "table").unwrap_or_default();
    let table = dynamodb.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&TABLES, &scope, &(name,))?)).await?;
    Ok(table.and_then(|table| dynamodb.contributors.told(&table, value(query, "index"))))
}
