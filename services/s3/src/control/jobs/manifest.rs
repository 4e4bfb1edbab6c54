//! Manifests: lists of objects as CSV, and inventories, which list files that list objects.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-create-job.html#specify-batchjob-manifest>

use std::io::Write;

use bytes::Bytes;
use flate2::write::GzDecoder;
use fractus_host::Context;
use fractus_s3control_api as api;
use futures::StreamExt;
use percent_encoding::percent_decode;
use serde::Deserialize;

use super::job::Task;
use crate::access;
use crate::error::{Error, Result};
use crate::model::encryption::GivenKey;
use crate::operations::get;
use crate::service::S3;

/// The longest line: a key of 1,024 bytes, each escaped, and the rest.
const MAX_LINE_BYTES: usize = 16 * 1024;
/// The longest `manifest.json` of an inventory.
const MAX_INVENTORY_BYTES: u64 = 4 * 1024 * 1024;
/// How many tasks are handed on at once.
const AT_ONCE: usize = 500;

/// Why a manifest cannot be used: the code and reason of the job's failure.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("{reason}")]
    Content { code: &'static str, reason: String },
    #[error(transparent)]
    S3(#[from] Error),
}

pub fn content(reason: impl Into<String>) -> Unusable {
    Unusable::Content { code: "InvalidManifestContent", reason: reason.into() }
}

/// What a column of a manifest holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Bucket,
    Key,
    VersionId,
    IsDeleteMarker,
    Ignored,
}

fn field(name: &str) -> Field {
    match name.trim() {
        "Bucket" => Field::Bucket,
        "Key" => Field::Key,
        "VersionId" => Field::VersionId,
        "IsDeleteMarker" => Field::IsDeleteMarker,
        _ => Field::Ignored,
    }
}

/// A key as manifests have it: form-encoded.
fn decode(text: &str) -> Result<String, Unusable> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
    decoded.map(|key| key.into_owned()).map_err(|_| content("A key in the manifest is not URL-encoded UTF-8"))
}

/// The values of a line of CSV, quoted or not.
fn values(line: &str) -> Result<Vec<String>, Unusable> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        let mut value = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let end = quoted.find('"').ok_or_else(|| content("A quotation in the manifest does not end"))?;
                value.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                match quoted.strip_prefix('"') {
                    Some(more) => {
                        value.push('"');
                        quoted = more;
                    }
                    None => break,
                }
            }
            rest = quoted;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            value.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        values.push(value);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(values),
            None => return Err(content("A value in the manifest goes on after its quotation")),
        }
    }
}

/// The task that a line names; none for an empty line or a delete marker.
fn task(line: &str, fields: &[Field]) -> Result<Option<Task>, Unusable> {
    let line = line.trim_end_matches('\r');
    if line.is_empty() {
        return Ok(None);
    }
    let values = values(line)?;
    if values.len() != fields.len() {
        let (found, wanted) = (values.len(), fields.len());
        return Err(content(format!("A line of the manifest has {found} values, its fields are {wanted}")));
    }
    let mut task = Task::new("", "", None);
    for (field, value) in fields.iter().zip(values) {
        match field {
            Field::Bucket => task.bucket = value,
            Field::Key => task.key = decode(&value)?,
            Field::VersionId => task.version_id = Some(value).filter(|id| !id.is_empty()),
            Field::IsDeleteMarker if value == "true" => return Ok(None),
            Field::IsDeleteMarker | Field::Ignored => {}
        }
    }
    if task.bucket.is_empty() || task.key.is_empty() {
        return Err(content("A line of the manifest names no bucket or no key"));
    }
    Ok(Some(task))
}

/// Takes bytes in and gives the lines that are whole.
#[derive(Default)]
struct Lines {
    held: Vec<u8>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8], mut each: impl FnMut(&str) -> Result<(), Unusable>) -> Result<(), Unusable> {
        self.held.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(end) = self.held[from..].iter().position(|byte| *byte == b'\n') {
            each(text(&self.held[from..from + end])?)?;
            from += end + 1;
        }
        self.held.drain(..from);
        if self.held.len() > MAX_LINE_BYTES {
            return Err(content(format!("A line of the manifest is longer than {MAX_LINE_BYTES} bytes")));
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, Unusable> {
    std::str::from_utf8(bytes).map_err(|_| content("The manifest is not UTF-8"))
}

/// Where tasks go as they are found, some at a time.
pub trait Sink: Send {
    fn put(&mut self, tasks: Vec<Task>) -> impl Future<Output = Result<()>> + Send;
}

/// An object that is read from its beginning to its end.
struct Source {
    chunks: futures::stream::BoxStream<'static, Result<Bytes>>,
    size: u64,
    etag: String,
}

async fn open(s3: &S3, cx: &Context, bucket: &str, key: &str, version_id: Option<&str>) -> Result<Source> {
    let wanted = access::to_object(cx, bucket, key, "s3:GetObject");
    cx.authorize(&wanted).await.map_err(|failure| Error::Other(Box::new(failure)))?;
    let target = get::Target { bucket, key, version_id, owner: None };
    let (object, readable) = get::source(s3, cx, target, GivenKey::default()).await?;
    let chunks = readable.stream(s3, 0, object.size);
    Ok(Source { chunks, size: object.size, etag: object.etag })
}

/// `arn:aws:s3:::BUCKET/KEY`.
pub fn object_of_arn(arn: &str) -> Option<(&str, &str)> {
    let resource = arn.splitn(6, ':').nth(5)?;
    resource.split_once('/').filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
}

/// `arn:aws:s3:::BUCKET`.
pub fn bucket_of_arn(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

/// Reads a manifest and hands its tasks on.
pub async fn read(s3: &S3, cx: &Context, manifest: &api::JobManifest, sink: &mut impl Sink) -> Result<(), Unusable> {
    let location = &manifest.location;
    let (bucket, key) =
        object_of_arn(&location.object_arn).ok_or_else(|| content("The manifest's ARN names no object"))?;
    let source = open(s3, cx, bucket, key, location.object_version_id.as_deref()).await?;
    if source.etag.trim_matches('"') != location.e_tag.trim_matches('"') {
        let reason = "The manifest's entity tag is not that of the object that was found".to_owned();
        return Err(Unusable::Content { code: "ManifestETagMismatch", reason });
    }
    if manifest.spec.format == api::JobManifestFormat::S3InventoryReportCsv20161130 {
        return read_inventory(s3, cx, source, sink).await;
    }
    let fields: Vec<Field> = manifest.spec.fields.iter().flatten().map(|name| field(name.as_str())).collect();
    read_list(source, false, &fields, sink).await
}

async fn read_list(mut source: Source, packed: bool, fields: &[Field], sink: &mut impl Sink) -> Result<(), Unusable> {
    let mut lines = Lines::default();
    let mut decoder = packed.then(|| GzDecoder::new(Vec::new()));
    let mut found = Vec::new();
    while let Some(chunk) = source.chunks.next().await {
        // In pieces, so that what is unpacked stays small.
        for piece in chunk?.chunks(64 * 1024) {
            let unpacked = match &mut decoder {
                Some(decoder) => {
                    decoder.write_all(piece).map_err(|_| content("A file of the inventory is not GZIP"))?;
                    std::mem::take(decoder.get_mut())
                }
                None => piece.to_vec(),
            };
            lines.take(&unpacked, |line| {
                found.extend(task(line, fields)?);
                Ok(())
            })?;
            while found.len() >= AT_ONCE {
                let rest = found.split_off(AT_ONCE);
                sink.put(std::mem::replace(&mut found, rest)).await?;
            }
        }
    }
    let mut last = std::mem::take(&mut lines.held);
    if let Some(decoder) = decoder {
        last.extend(decoder.finish().map_err(|_| content("A file of the inventory is not GZIP"))?);
    }
    for line in last.split(|byte| *byte == b'\n') {
        found.extend(task(text(line)?, fields)?);
    }
    while !found.is_empty() {
        let rest = found.split_off(found.len().min(AT_ONCE));
        sink.put(std::mem::replace(&mut found, rest)).await?;
    }
    Ok(())
}

/// What of an inventory's `manifest.json` matters.
#[derive(Deserialize)]
struct Inventory {
    #[serde(rename = "destinationBucket")]
    destination_bucket: String,
    #[serde(rename = "fileFormat")]
    file_format: String,
    #[serde(rename = "fileSchema")]
    file_schema: String,
    files: Vec<InventoryFile>,
}

#[derive(Deserialize)]
struct InventoryFile {
    key: String,
}

async fn read_inventory(s3: &S3, cx: &Context, mut source: Source, sink: &mut impl Sink) -> Result<(), Unusable> {
    if source.size > MAX_INVENTORY_BYTES {
        return Err(content(format!("The manifest of an inventory is longer than {MAX_INVENTORY_BYTES} bytes")));
    }
    let mut whole = Vec::new();
    while let Some(chunk) = source.chunks.next().await {
        whole.extend_from_slice(&chunk?);
    }
    let inventory: Inventory =
        serde_json::from_slice(&whole).map_err(|_| content("The manifest is not that of an inventory"))?;
    if inventory.file_format != "CSV" {
        return Err(content("The inventory is not CSV"));
    }
    let fields: Vec<Field> = inventory.file_schema.split(',').map(field).collect();
    let bucket = bucket_of_arn(&inventory.destination_bucket);
    for file in &inventory.files {
        let source = open(s3, cx, bucket, &file.key, None).await?;
        read_list(source, true, &fields, sink).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_objects() {
        let fields = [Field::Bucket, Field::Key, Field::Ignored, Field::VersionId];
        let found = task("b,a+b%2Fc,x,", &fields).unwrap().unwrap();
        assert_eq!(found, Task::new("b", "a b/c", None));
        let found = task("\"b\",\"a\"\"c\",,v1\r", &fields).unwrap().unwrap();
        assert_eq!(found, Task::new("b", "a\"c", Some("v1".into())));
        assert_eq!(task("", &fields).unwrap(), None);
        for bad in ["b,k", "b,,x,v", "b,%ff,x,v", "\"b,k,x,v", "\"b\"x,k,x,v"] {
            assert!(task(bad, &fields).is_err(), "{bad}");
        }
        let fields = [Field::Bucket, Field::Key, Field::IsDeleteMarker];
        assert_eq!(task("b,k,true", &fields).unwrap(), None);
        assert!(task("b,k,false", &fields).unwrap().is_some());
    }

    #[test]
    fn lines_are_put_together() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in ["a,b\nc", ",d", "\n\ne"] {
            let each = |line: &str| {
                seen.push(line.to_owned());
                Ok(())
            };
            lines.take(piece.as_bytes(), each).unwrap();
        }
        assert_eq!(seen, ["a,b", "c,d", ""]);
        assert_eq!(lines.held, b"e");
        assert!(lines.take(&[b'x'; MAX_LINE_BYTES], |_| Ok(())).is_err());
    }

    #[test]
    fn objects_in_arns() {
        assert_eq!(object_of_arn("arn:aws:s3:::b/a/k"), Some(("b", "a/k")));
        assert_eq!(object_of_arn("arn:aws:s3:::b"), None);
        assert_eq!(bucket_of_arn("arn:aws:s3:::b"), "b");
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(line in ".{0,60}") {
            let _ = task(&line, &[Field::Bucket, Field::Key]);
        }
    }
}
