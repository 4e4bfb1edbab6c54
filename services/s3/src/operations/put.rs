//! PutObject.

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Scope, Snapshot};
use fractus_wire::{ByteStream, Failure};
use serde::{Deserialize, Serialize};

use crate::checks;
use crate::control::outposts::place;
use crate::directory;
use crate::error::{Error, Result};
use crate::extras::{Wanted, wanted};
use crate::ingest::{Expected, Keeping, ingest};
use crate::lifecycle::expiration_header;
use crate::model::conditions::WriteConditions;
use crate::model::encryption::show_encryption;
use crate::model::names;
use crate::notify::Happening;
use crate::objects::{self, NewContent, NewObject, scope};
use crate::operations::append::append;
use crate::operations::checksums::{self, given, show};
use crate::operations::tagging;
use crate::service::S3;
use crate::store::{Bucket, Content, Object, ObjectHeaders};
use crate::versions;

/// The storage classes an object can be put in.
const STORAGE_CLASSES: [&str; 8] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
];

/// The storage class as it is kept: STANDARD is what is not said.
pub fn storage_class(asked: Option<&str>) -> Result<Option<String>> {
    match asked {
        None | Some("STANDARD") => Ok(None),
        Some(class) if STORAGE_CLASSES.contains(&class) => Ok(Some(class.to_owned())),
        Some(class) => Err(Error::Other(Box::new(invalid_storage_class(class)))),
    }
}

pub fn invalid_storage_class(asked: &str) -> Failure {
    let message = "The storage class you specified is not valid";
    Failure::new("InvalidStorageClass", 400, message).with_detail("StorageClassRequested", asked)
}

/// Where a website redirects to instead of showing the object, which a URL may say in place of a header.
pub fn redirect(location: Option<String>) -> Result<Option<String>> {
    match location.as_deref().and_then(|location| checks::no_redirect(location.as_bytes())) {
        Some(failure) => Err(Error::Other(Box::new(failure))),
        None => Ok(location),
    }
}

/// The class of what is put into a bucket: a directory bucket has one of its own, and so has one on an Outpost.
pub fn class_in(bucket: &str, asked: Option<&str>) -> Result<Option<String>> {
    match asked {
        None | Some(directory::STORAGE_CLASS) if directory::is_directory(bucket) => {
            Ok(Some(directory::STORAGE_CLASS.to_owned()))
        }
        None | Some(place::STORAGE_CLASS) if place::is_kept(bucket) => Ok(Some(place::STORAGE_CLASS.to_owned())),
        Some(class) if directory::is_directory(bucket) || place::is_kept(bucket) => {
            Err(Error::Other(Box::new(invalid_storage_class(class))))
        }
        asked => storage_class(asked),
    }
}

/// The tags of what is put into a bucket: in directory buckets nothing has any.
pub fn tags_in(bucket: &str, header: Option<&str>) -> Result<Vec<(String, String)>> {
    let tags = tagging::of_header(header)?;
    if !tags.is_empty() && directory::is_directory(bucket) {
        return Err(Error::NotImplemented { header: "x-amz-tagging".into() });
    }
    Ok(tags)
}

/// The length of the body proper, where `aws-chunked` wraps it.
pub fn decoded_length(cx: &Context) -> Option<u64> {
    cx.header("x-amz-decoded-content-length").and_then(|length| length.parse().ok())
}

/// The headers that an input gives its object. One without a value is none.
macro_rules! object_headers {
    ($cx:expr, $input:expr) => {
        $crate::store::ObjectHeaders {
            content_type: $input.content_type.take().filter(|text| !text.is_empty()),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $crate::operations::put::content_encoding($input.content_encoding.take()),
            content_language: $input.content_language.take(),
            expires: $input.expires.take(),
            website_redirect_location: $crate::operations::put::redirect($input.website_redirect_location.take())?,
            metadata: $crate::model::metadata::given($cx.headers(), $input.metadata.take().unwrap_or_default())?,
        }
    };
}
pub(crate) use object_headers;

/// `aws-chunked` is how the body came, not what it is.
pub fn content_encoding(header: Option<String>) -> Option<String> {
    let header = header?;
    let kept: Vec<&str> = header.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

pub fn put<'a>(
    s3: &'a S3,
    cx: &'a Context,
    mut input: Box<api::PutObjectInput>,
) -> impl Future<Output = Result<api::PutObjectOutput>> + Send + 'a {
    // Read before anything is waited for: the input is large, and would be held, twice, for as long as the body takes.
    let asked = asked(cx, &mut input);
    async move {
        let Asked { request, body, offset } = asked?;
        let (object, stored) = match offset {
            None => store_object(s3, cx, request, body).await?,
            Some(offset) => Box::pin(append(s3, cx, *request, offset, body)).await?,
        };
        Ok(answer(object, stored, offset.is_some()))
    }
}

/// A PutObject as it is done.
struct Asked {
    request: Box<Request>,
    body: ByteStream,
    /// Where what is put is added.
    offset: Option<i64>,
}

fn asked(cx: &Context, input: &mut api::PutObjectInput) -> Result<Asked> {
    names::check_key(&input.key)?;
    let expected = Expected {
        content_md5: input.content_md5.take(),
        checksum: checksums::expected(cx, given!(input), input.checksum_algorithm.as_ref().map(|name| name.as_str()))?,
        besides: None,
        decoded_length: decoded_length(cx),
    };
    let headers = object_headers!(cx, input);
    let storage_class = class_in(&input.bucket, input.storage_class.as_ref().map(|class| class.as_str()))?;
    let tags = tags_in(&input.bucket, input.tagging.as_deref())?;
    let mut wanted = wanted!(input, cx.now());
    wanted.lacks_digest = expected.content_md5.is_none() && expected.checksum.is_none();
    let conditions = WriteConditions { if_match: input.if_match.take(), if_none_match: input.if_none_match.take() };
    let request = Box::new(Request {
        bucket: std::mem::take(&mut input.bucket),
        key: std::mem::take(&mut input.key),
        owner: input.expected_bucket_owner.take(),
        expected,
        headers,
        storage_class,
        tags,
        conditions,
        event: "s3:ObjectCreated:Put",
        wanted,
    });
    Ok(Asked { request, body: std::mem::take(&mut input.body), offset: input.write_offset_bytes })
}

fn answer(object: Object, stored: Stored, is_appended: bool) -> api::PutObjectOutput {
    let mut output = api::PutObjectOutput {
        version_id: stored.version_id,
        expiration: stored.expiration,
        size: is_appended.then_some(object.size as i64),
        ..Default::default()
    };
    show_encryption!(output, object.encryption());
    output.e_tag = Some(object.etag);
    show!(output, &object.checksum);
    output.checksum_type = object.checksum.as_ref().map(|checksum| checksums::shown_type(checksum.kind));
    output
}

/// An upload in one request, however it came.
pub struct Request {
    pub bucket: String,
    pub key: String,
    pub owner: Option<String>,
    pub expected: Expected,
    pub headers: ObjectHeaders,
    pub storage_class: Option<String>,
    pub tags: Vec<(String, String)>,
    pub conditions: WriteConditions,
    pub event: &'static str,
    pub wanted: Wanted,
}

/// What is known of an object once it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stored {
    pub version_id: Option<String>,
    pub expiration: Option<String>,
}

impl Stored {
    pub fn of(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket, key: &str, object: &Object) -> Result<Stored> {
        Ok(Stored {
            version_id: versions::shown_id(bucket, object),
            expiration: expiration_header(snapshot, scope, bucket, key, object)?,
        })
    }
}

/// Settles how an object is encrypted whose bytes are stored before its record, asking KMS for a data key where it takes one.
pub async fn settle(
    s3: &S3,
    cx: &Context,
    bucket: &str,
    key: &str,
    owner: Option<&str>,
    wanted: &mut Wanted,
) -> Result<()> {
    let scope = scope(cx);
    let settled = loop {
        let tried = s3
            .store
            .read(|snapshot| {
                let bucket = objects::open(cx, snapshot, &scope, bucket, owner)?;
                wanted.settle(snapshot, &scope, &bucket, cx)
            })
            .await;
        let Err(Error::NeedsDataKey(need)) = tried else { break tried? };
        wanted.granted = s3.keys.grant(cx, &need, bucket, key).await?;
    };
    wanted.settled = Some(settled.map(Box::new));
    Ok(())
}

/// Takes in the body and puts the object. The bucket is looked for first, so that a body for nowhere is not stored; for
/// a small one, whose bytes go into the transaction, that is soon enough.
pub async fn store_object(
    s3: &S3,
    cx: &Context,
    mut request: Box<Request>,
    body: ByteStream,
) -> Result<(Object, Stored)> {
    let scope = scope(cx);
    let owner = request.owner.as_deref();
    let small_bytes = s3.config.small_object_bytes;
    let is_small = body.length_bytes().is_some_and(|length| length <= small_bytes as u64);
    let mut keeping = Keeping::new(&s3.store, small_bytes);
    if !is_small {
        // In a box: most objects are small, and need no room for it.
        Box::pin(settle(s3, cx, &request.bucket, &request.key, owner, &mut request.wanted)).await?;
        keeping = request.wanted.keeping(keeping, cx)?;
    }
    let ingested = match ingest(keeping, body, &request.expected).await {
        Ok(ingested) => ingested,
        Err(error) => {
            // Of a body that is wrong and has no bucket either, the bucket is what is said.
            s3.store.read(|snapshot| objects::open(cx, snapshot, &scope, &request.bucket, owner)).await?;
            return Err(error);
        }
    };
    s3.body_has_come(cx);
    let now = cx.now().to_millis_precision();
    let object = Object {
        size: ingested.size,
        etag: ingested.etag(),
        last_modified: now,
        content: Content::Empty,
        headers: request.headers,
        checksum: Some(ingested.checksum),
        parts: Vec::new(),
        storage_class: request.storage_class,
        tags: request.tags,
        sequencer: 0,
        version_id: None,
        extras: None,
    };
    let blob = ingested.blob;
    let content = NewContent::of_blob(blob.clone(), cx.random().u64());
    let mut new = NewObject { key: request.key, content, object, wanted: Some(request.wanted) };
    let happening = Happening::new(cx, request.event, now);
    let put = loop {
        let tried = s3
            .store
            .write(|tx| {
                let bucket = objects::open(cx, tx, &scope, &request.bucket, owner)?;
                let put = objects::put(tx, s3, &scope, &bucket, &mut new, &request.conditions, &happening)?;
                Ok((put, Stored::of(tx, &scope, &bucket, &new.key, &new.object)?))
            })
            .await;
        let Err(Error::NeedsDataKey(need)) = tried else { break tried };
        match s3.keys.grant(cx, &need, &request.bucket, &new.key).await {
            Ok(granted) => new.grant(granted),
            Err(error) => break Err(error),
        }
    };
    match put {
        Ok((put, stored)) => {
            s3.changed(&new.object);
            s3.free(put.freed);
            Ok((new.object, stored))
        }
        Err(error) => {
            s3.free([blob]);
            Err(error)
        }
    }
}
