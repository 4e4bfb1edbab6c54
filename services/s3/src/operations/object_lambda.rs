//! GetObject through an Object Lambda access point, and WriteGetObjectResponse, by which its function answers.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_WriteGetObjectResponse.html>

use bytes::Bytes;
use fractus_host::{Access, Context};
use fractus_s3_api as api;
use fractus_wire::{BodyError, ByteStream};
use futures::stream;
use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;
use tokio::sync::mpsc;

use crate::access;
use crate::error::{Error, Result};
use crate::object_lambda::call::{ANSWERS_WITHIN, Asked};
use crate::object_lambda::event::Original;
use crate::object_lambda::waiting::Answered;
use crate::object_lambda::{event, lambda};
use crate::operations::get;
use crate::service::S3;

/// Pieces of a body that are on their way from a function to who asked.
const PIECES: usize = 4;
/// What a function may answer with.
const STATUSES: [i32; 14] = [200, 206, 304, 400, 401, 403, 404, 405, 409, 411, 412, 416, 500, 503];

/// What a GetObject reaches for.
pub fn access(cx: &Context, input: &api::GetObjectInput) -> Vec<Access> {
    let action = if input.version_id.is_some() { "GetObjectVersion" } else { "GetObject" };
    match Asked::of(cx, "GetObject") {
        Some(asked) => asked.access(cx, action),
        None => access::to_object(cx, &input.bucket, &input.key, &format!("s3:{action}")),
    }
}

/// GetObject, of a bucket or through a point.
pub async fn get(s3: &S3, cx: &Context, input: Box<api::GetObjectInput>) -> Result<api::GetObjectOutput> {
    match Asked::of(cx, "GetObject") {
        None => get::get(s3, cx, input).await,
        // In a box, so that the usual way stays short.
        Some(asked) => Box::pin(transformed(s3, cx, asked, input)).await,
    }
}

/// Has the function make the answer.
async fn transformed(
    s3: &S3,
    cx: &Context,
    asked: Asked<'_>,
    input: Box<api::GetObjectInput>,
) -> Result<api::GetObjectOutput> {
    asked.check_features(cx, "GetObject", input.range.is_some(), input.part_number.is_some())?;
    let mut place = s3.waiting.enter(cx.random())?;
    let original = Original::object(Method::GET, &input.key, input.version_id.as_deref());
    let told = json!({
        "inputS3Url": event::input_url(cx, asked.through, &original)?,
        "outputRoute": s3.waiting.route(),
        "outputToken": place.token,
    });
    let mut end = asked.call(s3, cx, &event::event(cx, &asked, ("getObjectContext", told)));
    let deadline = cx.now().plus(ANSWERS_WITHIN);
    let answered = tokio::select! {
        biased;
        answered = &mut place.answered => answered.unwrap_or_else(|_| Err(lambda::unanswered())),
        outcome = &mut end => match outcome {
            Ok(Err(error)) => Err(error),
            _ => Err(lambda::unanswered()),
        },
        () = cx.clock().sleep_until(deadline) => Err(lambda::timed_out()),
    };
    answer(cx, *answered?)
}

/// The function's answer as that of GetObject.
fn answer(cx: &Context, given: api::WriteGetObjectResponseInput) -> Result<api::GetObjectOutput> {
    let status = given.status_code.and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
    if let Some(code) = given.error_code {
        let message = given.error_message.unwrap_or_default();
        return Err(Error::Other(Box::new(fractus_wire::Failure::new(code, status, message))));
    }
    if let Ok(status) = StatusCode::from_u16(status) {
        cx.answer_with(status);
    }
    let length = given.body.length_bytes().and_then(|length| i64::try_from(length).ok());
    Ok(api::GetObjectOutput {
        content_length: length,
        body: given.body,
        accept_ranges: given.accept_ranges,
        cache_control: given.cache_control,
        content_disposition: given.content_disposition,
        content_encoding: given.content_encoding,
        content_language: given.content_language,
        content_range: given.content_range,
        content_type: given.content_type,
        checksum_crc32: given.checksum_crc32,
        checksum_crc32_c: given.checksum_crc32_c,
        checksum_crc64_nvme: given.checksum_crc64_nvme,
        checksum_sha1: given.checksum_sha1,
        checksum_sha256: given.checksum_sha256,
        checksum_sha512: given.checksum_sha512,
        checksum_md5: given.checksum_md5,
        checksum_xxhash64: given.checksum_xxhash64,
        checksum_xxhash3: given.checksum_xxhash3,
        checksum_xxhash128: given.checksum_xxhash128,
        delete_marker: given.delete_marker,
        e_tag: given.e_tag,
        expires: given.expires,
        expiration: given.expiration,
        last_modified: given.last_modified,
        missing_meta: given.missing_meta,
        metadata: given.metadata,
        object_lock_mode: given.object_lock_mode,
        object_lock_legal_hold_status: given.object_lock_legal_hold_status,
        object_lock_retain_until_date: given.object_lock_retain_until_date,
        parts_count: given.parts_count,
        replication_status: given.replication_status,
        request_charged: given.request_charged,
        restore: given.restore,
        server_side_encryption: given.server_side_encryption,
        sse_customer_algorithm: given.sse_customer_algorithm,
        ssekms_key_id: given.ssekms_key_id,
        sse_customer_key_md5: given.sse_customer_key_md5,
        storage_class: given.storage_class,
        tag_count: given.tag_count,
        version_id: given.version_id,
        bucket_key_enabled: given.bucket_key_enabled,
        ..Default::default()
    })
}

fn invalid(message: impl Into<String>) -> Error {
    Error::other("ValidationError", 400, message)
}

/// What can be seen of an answer to be wrong.
fn check(input: &api::WriteGetObjectResponseInput) -> Result<()> {
    let status = input.status_code.unwrap_or(200);
    if !STATUSES.contains(&status) {
        return Err(invalid(format!("Value '{status}' at 'statusCode' is not a supported status code.")));
    }
    let Some(code) = &input.error_code else {
        return match input.error_message {
            Some(_) if status < 400 => Err(invalid("An error message cannot be used with a successful status code.")),
            _ => Ok(()),
        };
    };
    let letters = code.bytes().all(|byte| byte.is_ascii_alphabetic());
    if code.len() < 2 || !letters || !code.starts_with(|first: char| first.is_ascii_uppercase()) {
        let message = format!(
            "Value '{code}' at 'errorCode' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[A-Z][a-zA-Z]+$"
        );
        return Err(invalid(message));
    }
    if status < 400 {
        return Err(invalid("An error code cannot be used with a successful status code."));
    }
    if input.body.length_bytes().is_none_or(|length| length > 0) {
        return Err(invalid("An error code cannot be used when the transformed object is provided in the body."));
    }
    Ok(())
}

/// Gives a waiting request its answer, and its body as it comes. The token reaches a function alone, in its event: without a
/// Lambda in the stack no call of this can succeed.
pub async fn write(
    s3: &S3,
    cx: &Context,
    mut input: api::WriteGetObjectResponseInput,
) -> Result<api::WriteGetObjectResponseOutput> {
    let unknown = || invalid("The request token is not valid, or the request that it belongs to has ended.");
    if let Some(replica) = s3.waiting.elsewhere(&input.request_token) {
        return s3.functions.pass_on(cx, &replica, input).await.unwrap_or_else(|| Err(unknown()));
    }
    let waits = s3.waiting.take(&input.request_route, &input.request_token).ok_or_else(unknown)?;
    if let Err(error) = check(&input) {
        let _ = waits.send(Err(Error::other("LambdaInvalidResponse", 400, error.to_string())));
        return Err(error);
    }
    let mut body = std::mem::take(&mut input.body);
    let length = body.length_bytes();
    let (pieces, piped) = pipe(length);
    input.body = piped;
    let answered: Answered = Ok(Box::new(input));
    waits.send(answered).map_err(|_| unknown())?;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => pieces.send(Ok(piece)).await.map_err(|_| unknown())?,
            Err(error) => {
                let why = std::io::Error::other("the function's answer ended early");
                let _ = pieces.send(Err(BodyError::Aborted(Box::new(why)))).await;
                return Err(error.into());
            }
        }
    }
    Ok(api::WriteGetObjectResponseOutput::default())
}

type Piece = std::result::Result<Bytes, BodyError>;

/// A body that is written piece by piece, as fast as it is read. One that is nothing at all needs no pieces.
fn pipe(length: Option<u64>) -> (mpsc::Sender<Piece>, ByteStream) {
    let (sender, receiver) = mpsc::channel::<Piece>(PIECES);
    if length == Some(0) {
        return (sender, ByteStream::default());
    }
    let frames = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece.map(Frame::data), receiver))
    });
    (sender, ByteStream::from_body(StreamBody::new(frames), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_codes_of_letters_and_no_body() {
        let input =
            |status, code: Option<&str>, message: Option<&str>, body: &'static str| api::WriteGetObjectResponseInput {
                status_code: status,
                error_code: code.map(str::to_owned),
                error_message: message.map(str::to_owned),
                body: ByteStream::from(Bytes::from_static(body.as_bytes())),
                ..Default::default()
            };
        for right in [
            input(None, None, None, "x"),
            input(Some(206), None, None, "x"),
            input(Some(404), None, None, "a page"),
            input(Some(403), Some("NotForYou"), Some("no"), ""),
        ] {
            assert!(check(&right).is_ok());
        }
        for wrong in [
            input(Some(201), None, None, ""),
            input(None, Some("NotForYou"), None, ""),
            input(None, None, Some("no"), ""),
            input(Some(403), Some("notForYou"), None, ""),
            input(Some(403), Some("Not_For_You"), None, ""),
            input(Some(403), Some("NotForYou"), None, "x"),
        ] {
            assert!(check(&wrong).is_err());
        }
    }
}
