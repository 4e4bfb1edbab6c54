//! CopyObject.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>

use std::sync::Arc;

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::BlobRef;

use crate::access;
use crate::control::routing::SourceThrough;
use crate::directory;
use crate::error::{Error, Result};
use crate::extras::{Wanted, wanted};
use crate::ingest::{Expected, Keeping, digest_stored, ingest};
use crate::model::checksum::Algorithm;
use crate::model::conditions::{ReadConditions, WriteConditions};
use crate::model::encryption::{show_encryption, source_key};
use crate::model::names;
use crate::model::notification::Detail;
use crate::notify::Happening;
use crate::objects::{self, NewContent, NewObject, Readable, scope};
use crate::operations::checksums::{self, show};
use crate::operations::{annotations, get, put};
use crate::service::S3;
use crate::store::{Content, Object, ObjectHeaders};
use crate::versions;

/// The largest object that one copy takes.
const MAX_COPY_BYTES: u64 = 5 * 1024 * 1024 * 1024;

/// What `x-amz-copy-source` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySource {
    pub bucket: String,
    pub key: String,
    pub version_id: Option<String>,
}

impl CopySource {
    pub fn target<'a>(&'a self, owner: Option<&'a str>) -> get::Target<'a> {
        get::Target { bucket: &self.bucket, key: &self.key, version_id: self.version_id.as_deref(), owner }
    }
}

/// The source that a request names, by its bucket or through an access point.
pub fn source_of(cx: &Context, header: &str) -> Result<CopySource> {
    match cx.extensions().get::<Arc<SourceThrough>>() {
        Some(through) => Ok(through.1.clone()),
        None => parse_source(header),
    }
}

/// `bucket/key` or `/bucket/key`, encoded as a query is (a plus is a space), with `?versionId=` behind it.
pub fn parse_source(header: &str) -> Result<CopySource> {
    let invalid = || {
        Error::invalid_argument(
            "x-amz-copy-source",
            header,
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    };
    let (path, query) = header.split_once('?').unwrap_or((header, ""));
    let version_id = query.strip_prefix("versionId=").filter(|id| !id.is_empty()).map(str::to_owned);
    let unreadable = || Error::invalid_argument("x-amz-copy-source", header, "Invalid copy source encoding");
    if !is_encoded(path) {
        return Err(unreadable());
    }
    let spaced = path.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8().map_err(|_| unreadable())?;
    let path = decoded.strip_prefix('/').unwrap_or(&decoded);
    let (bucket, key) =
        path.split_once('/').filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty()).ok_or_else(invalid)?;
    Ok(CopySource { bucket: bucket.to_owned(), key: key.to_owned(), version_id })
}

/// Whether every percent sign begins an encoded byte.
fn is_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|after| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

pub async fn copy(s3: &S3, cx: &Context, mut input: api::CopyObjectInput) -> Result<api::CopyObjectOutput> {
    names::check_key(&input.key)?;
    access::check_known(cx, "copy objects")?;
    let from = source_of(cx, &input.copy_source)?;
    let mut wanted = wanted!(input, cx.now());
    let target = from.target(input.expected_source_bucket_owner.as_deref());
    let (source, readable) = get::source(s3, cx, target, source_key!(input)).await?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match.clone(),
        if_none_match: input.copy_source_if_none_match.clone(),
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    conditions.check_copy_source(&source.etag, source.last_modified)?;
    if source.size > MAX_COPY_BYTES {
        return Err(Error::invalid_request(
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    let replace = matches!(input.metadata_directive, Some(api::MetadataDirective::Replace));
    let storage_class = put::class_in(&input.bucket, input.storage_class.as_ref().map(|class| class.as_str()))?;
    let onto_itself = from.bucket == input.bucket && from.key == input.key && from.version_id.is_none();
    let changes = replace
        || input.storage_class.is_some()
        || input.website_redirect_location.is_some()
        || input.server_side_encryption.is_some()
        || input.sse_customer_key.is_some()
        || input.checksum_algorithm.is_some();
    if onto_itself && !changes {
        return Err(Error::invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
        ));
    }
    let given = put::object_headers!(cx, input);
    let headers = if replace { given } else { kept_headers(&source, given) };
    let tags = match input.tagging_directive {
        Some(api::TaggingDirective::Replace) => put::tags_in(&input.bucket, input.tagging.as_deref())?,
        _ => source.tags.clone(),
    };
    let asked = input.checksum_algorithm.as_ref().and_then(|name| Algorithm::parse(name.as_str()));
    let has_digest = source.encryption().is_none() && !directory::is_directory(&from.bucket);
    let (etag, checksum) = digests(s3, &source, has_digest, &readable, asked).await?;
    let now = cx.now().to_millis_precision();
    let object = Object {
        size: source.size,
        etag,
        last_modified: now,
        content: Content::Empty,
        headers,
        checksum,
        parts: Vec::new(),
        storage_class,
        tags,
        sequencer: 0,
        version_id: None,
        extras: None,
    };
    let owner = input.expected_bucket_owner.as_deref();
    put::settle(s3, cx, &input.bucket, &input.key, owner, &mut wanted).await?;
    let from_secret = readable.secret().cloned();
    let (blob, moved) = copied_bytes(s3, cx, &source, readable, &wanted).await?;
    let content = NewContent::of_blob(blob, cx.random().u64());
    let copies_annotations = !matches!(input.annotation_directive, Some(api::AnnotationDirective::Exclude))
        && input.sse_customer_key.is_none();
    let mut new = NewObject { key: input.key, content, object, wanted: Some(wanted) };
    let write_conditions = WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
    let scope = scope(cx);
    let copied = s3
        .store
        .write(|tx| {
            // The source is looked at again: its bytes must still be there in the transaction that keeps them.
            let source_bucket = objects::open(cx, tx, &scope, &from.bucket, None)?;
            let current = versions::object(tx, &scope, &source_bucket, &from.key, from.version_id.as_deref())?;
            if current.sequencer != source.sequencer {
                return Err(Error::ConditionalRequestConflict {
                    condition: "x-amz-copy-source",
                    key: from.key.clone(),
                });
            }
            let bucket = objects::open(cx, tx, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let from = (&*source_bucket, from.key.as_str(), current.sequencer);
            let annotated = copies_annotations && annotations::has_any(tx, &scope, from)?;
            let detail = Some(Detail::Copied { annotated });
            let happening = Happening { detail, ..Happening::new(cx, "s3:ObjectCreated:Copy", now) };
            let put = objects::put(tx, s3, &scope, &bucket, &mut new, &write_conditions, &happening)?;
            if copies_annotations {
                let to = new.wanted.as_ref().and_then(|wanted| wanted.secret_of(new.object.encryption()));
                let sealing = annotations::Sealing { from: from_secret.as_ref(), to, random: cx.random() };
                annotations::carry(tx, &scope, from, (&*bucket, &new.key, new.object.sequencer), sealing)?;
            }
            let stored = put::Stored::of(tx, &scope, &bucket, &new.key, &new.object)?;
            Ok((put, stored, versions::shown_id(&source_bucket, &current)))
        })
        .await;
    if copied.is_err() {
        s3.free(moved);
    }
    let (put, stored, from_version) = copied?;
    s3.changed(&new.object);
    s3.free(put.freed);
    let mut result =
        api::CopyObjectResult { e_tag: Some(new.object.etag.clone()), last_modified: Some(now), ..Default::default() };
    show!(result, &new.object.checksum);
    result.checksum_type = new.object.checksum.as_ref().map(|checksum| checksums::shown_type(checksum.kind));
    let mut output = api::CopyObjectOutput {
        copy_object_result: Some(result),
        version_id: stored.version_id,
        expiration: stored.expiration,
        copy_source_version_id: from_version,
        ..Default::default()
    };
    show_encryption!(output, new.object.encryption());
    Ok(output)
}

/// The bytes of a copy, and what was stored anew for it. None are moved unless they are sealed, or are to be.
async fn copied_bytes(
    s3: &S3,
    cx: &Context,
    source: &Object,
    readable: Readable,
    wanted: &Wanted,
) -> Result<(BlobRef, Option<BlobRef>)> {
    let small_bytes = s3.config.small_object_bytes;
    let mut keeping = Keeping::new(&s3.store, small_bytes);
    if !wanted.is_sealed() && !readable.is_sealed() {
        return Ok((readable.into_blob(), None));
    }
    if source.size > small_bytes as u64 {
        keeping = wanted.keeping(keeping, cx)?;
    }
    let body = readable.into_body(s3, 0, source.size);
    let blob = ingest(keeping, body, &Expected::default()).await?.blob;
    Ok((blob.clone(), Some(blob)))
}

/// A copy is an object put whole: one that came in parts, or whose entity tag is no digest, gets digests of its own.
async fn digests(
    s3: &S3,
    source: &Object,
    has_digest: bool,
    readable: &Readable,
    asked: Option<Algorithm>,
) -> Result<(String, Option<crate::store::Checksum>)> {
    let own = source.checksum.as_ref().map(|checksum| checksum.algorithm);
    if has_digest && source.parts.is_empty() && (asked.is_none() || asked == own) {
        return Ok((source.etag.clone(), source.checksum.clone()));
    }
    let algorithm = asked.or(own).unwrap_or(Algorithm::Crc64Nvme);
    let (md5, checksum) = digest_stored(s3, readable, 0..source.size, algorithm).await?;
    Ok((format!("\"{}\"", hex::encode(md5)), Some(checksum)))
}

/// Metadata is copied; a redirect is the copy's own.
fn kept_headers(source: &Object, given: ObjectHeaders) -> ObjectHeaders {
    ObjectHeaders { website_redirect_location: given.website_redirect_location, ..source.headers.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_decoded() {
        let source = |header: &str| parse_source(header).map(|source| (source.bucket, source.key, source.version_id));
        assert_eq!(source("b/a%20b/c%2Bd").unwrap(), ("b".into(), "a b/c+d".into(), None));
        assert_eq!(source("b/a+b").unwrap(), ("b".into(), "a b".into(), None));
        for unreadable in ["b/%", "b/%2", "b/%zz", "b/%%20"] {
            assert!(source(unreadable).is_err(), "{unreadable}");
        }
        assert_eq!(source("/b/k?versionId=null").unwrap(), ("b".into(), "k".into(), Some("null".into())));
        assert!(source("b").is_err());
        assert!(source("/b/").is_err());
        assert!(source("b/%ff").is_err());
    }
}
