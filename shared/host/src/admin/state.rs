//! `/_fractus/state`: looking into the store, moving it elsewhere, and lanes as wholes.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_util::io::{ReaderStream, StreamReader};

use fractus_aws::Lane;
use fractus_store::{CollectionInfo, StoreError};
use fractus_wire::{BodyError, ByteStream};

use super::{Answer, failed, json_answer, lane, query, read_json, wrong};
use crate::body::TimedBody;
use crate::control;
use crate::serve::Server;

/// Records of one collection that are counted for the list.
const COUNT_AT_MOST: usize = 10_000;
/// Records that one answer shows.
const MAX_RECORDS: usize = 1_000;
/// An export goes out in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

fn store_failed(error: &StoreError) -> Answer {
    match error {
        StoreError::Config(_) | StoreError::NoSnapshot { .. } | StoreError::Import(_) => wrong(&error.to_string()),
        _ => failed(&error.to_string()),
    }
}

/// What the store holds: collections and how many records.
pub(super) async fn collections(server: &Server, head: &Parts) -> Answer {
    match server.host.store().collections(COUNT_AT_MOST).await {
        Ok(mut list) => {
            if let Some(lane) = query(head, "lane") {
                list.retain(|info| info.lane == lane);
            }
            json_answer(StatusCode::OK, &json!({ "collections": list }))
        }
        Err(error) => store_failed(&error),
    }
}

/// The records of one collection, page by page: `?collection=queues&lane=main&partition=aws&account=...&region=...`.
pub(super) async fn records(server: &Server, head: &Parts) -> Answer {
    let text = |name: &str, default: &str| query(head, name).unwrap_or(default).to_owned();
    let Some(collection) = query(head, "collection") else { return wrong("`collection` says which records") };
    let of = CollectionInfo {
        lane: text("lane", "main"),
        partition: text("partition", "aws"),
        account: text("account", ""),
        region: text("region", ""),
        collection: collection.to_owned(),
        records: 0,
        more: false,
    };
    let limit = query(head, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(100).min(MAX_RECORDS);
    match server.host.store().records(&of, query(head, "after"), limit).await {
        Ok(records) => json_answer(StatusCode::OK, &json!({ "records": records })),
        Err(error) => store_failed(&error),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LaneWork {
    lane: Option<String>,
    /// For `fork`: the lane that becomes what `lane` is.
    to: Option<String>,
    /// For `snapshot` and `rollback`.
    name: Option<String>,
}

/// `fork`, `snapshot` and `rollback` of a lane.
pub(super) async fn lanes(server: &Server, path: &str, head: &Parts, body: &Bytes) -> Answer {
    let work: LaneWork = match read_json(body) {
        Ok(work) => work,
        Err(answer) => return answer,
    };
    let lane =
        match work.lane.map_or_else(|| lane(head), |name| Lane::new(name).map_err(|error| wrong(&error.to_string()))) {
            Ok(lane) => lane,
            Err(answer) => return answer,
        };
    let store = server.host.store();
    let done = match (path, work.to, work.name) {
        ("state/fork", Some(to), _) => match Lane::new(to) {
            Ok(to) => store.fork(&lane, &to).await,
            Err(error) => return wrong(&error.to_string()),
        },
        ("state/fork", None, _) => return wrong("`fork` needs `to`, a lane"),
        ("state/snapshot", _, Some(name)) => store.snapshot(&lane, &name).await,
        ("state/rollback", _, Some(name)) => store.rollback(&lane, &name).await,
        _ => return wrong("`snapshot` and `rollback` need `name`"),
    };
    let done = match done {
        Ok(()) => control::forget(&server.host).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => json_answer(StatusCode::OK, &json!({ "done": path.trim_start_matches("state/"), "lane": lane })),
        Err(error) => store_failed(&error),
    }
}

/// The whole store as a stream of bytes.
pub(super) fn export(server: &Server) -> Answer {
    let (mut writer, reader) = tokio::io::duplex(PIECE_BYTES);
    let store = server.host.store().clone();
    let exporting = async move {
        let exported = store.export(&mut writer).await;
        // A reader that went away is not the store's failure.
        let _ = writer.shutdown().await;
        exported
    };
    let exporting = tokio::spawn(exporting.boxed());
    let pieces = ReaderStream::with_capacity(reader, PIECE_BYTES).map_err(|error| BodyError::Aborted(Box::new(error)));
    // An export that failed must not look like a whole one: its error is the stream's last item.
    let ending = futures::stream::once(async move {
        match exporting.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(BodyError::Aborted(Box::new(error)))),
            Err(error) => Some(Err(BodyError::Aborted(Box::new(error)))),
        }
    });
    let frames = pieces.chain(ending.filter_map(std::future::ready)).map_ok(Frame::data);
    let mut response = Response::new(ByteStream::from_body(StreamBody::new(frames), None));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

/// Takes over an exported store, in place of what is here.
pub(super) async fn import(server: &Server, incoming: Incoming) -> Answer {
    let body = TimedBody::new(incoming, server.body_timeout);
    let data = body.into_data_stream().map_err(|error| std::io::Error::other(error.to_string()));
    let imported = server.host.store().import(&mut StreamReader::new(data)).await;
    let done = match imported {
        Ok(()) => control::forget(&server.host).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => json_answer(StatusCode::OK, &json!({ "imported": true })),
        Err(error) => store_failed(&error),
    }
}
