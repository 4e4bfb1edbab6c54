//! Uploads by an HTML form: POST to a bucket, `multipart/form-data`, the rules in a signed policy.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_sigv4::post_policy::{Fields, PostError, PostPolicy, SizeRange};
use fractus_wire::protocol::{Answer, write_failure};
use fractus_wire::{BodyError, ByteStream, Failure, Protocol};
use futures::StreamExt;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyDataStream, BodyExt, StreamBody};
use multer::{Constraints, Field, Multipart, SizeLimit};

use crate::access::{self, Sets};
use crate::addressing;
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::ingest::Expected;
use crate::model::checksum::Algorithm;
use crate::model::conditions::WriteConditions;
use crate::model::encryption::{Asked, GivenKey};
use crate::model::names;
use crate::operations::put::{self, store_object};
use crate::operations::tagging;
use crate::service::S3;
use crate::store::ObjectHeaders;

/// The most bytes of the fields before the file.
const MAX_FIELD_BYTES: u64 = 20 * 1024;
const MAX_FIELDS: usize = 100;

/// Whether a request is a form upload: a POST of form data to a bucket itself.
pub fn is_form(head: &Parts) -> bool {
    let is_multipart = |value: &HeaderValue| value.as_bytes().starts_with(b"multipart/form-data");
    head.method == Method::POST
        && head.uri.query().is_none()
        && head.headers.get(header::CONTENT_TYPE).is_some_and(is_multipart)
}

/// The error of a POST to a bucket itself that is no form: other types cannot carry a file.
pub fn no_form(head: &Parts) -> Option<Failure> {
    let is_of_bucket = || {
        let (bucket, key) = addressing::split(head.uri.path());
        !bucket.is_empty() && key.is_empty()
    };
    if head.method != Method::POST || head.uri.query().is_some() || !is_of_bucket() {
        return None;
    }
    let message = "At least one of the pre-conditions you specified did not hold";
    let failure = Failure::new("PreconditionFailed", 412, message);
    Some(failure.with_detail("Condition", "Bucket POST must be of the enclosure-type multipart/form-data"))
}

pub async fn upload(s3: &S3, cx: &Context, request: Request<ByteStream>) -> Response<ByteStream> {
    match take_form(s3, cx, request).await {
        Ok(response) => response,
        Err(error) => {
            let resource = cx.uri().path();
            let about = Answer {
                request_id: &cx.request_id,
                host_id: Some(&s3.host_id),
                resource: Some(resource),
                error_namespace: None,
                query_mode: false,
            };
            write_failure(Protocol::RestXml, &api::MODEL, None, &error.into(), &about)
        }
    }
}

fn malformed() -> Error {
    Error::Other(Box::new(Failure::new(
        "MalformedPOSTRequest",
        400,
        "The body of your POST request is not well-formed multipart/form-data.",
    )))
}

fn refused(error: &PostError) -> Error {
    let answer = error.answer();
    let mut failure = Failure::new(answer.code, answer.status, answer.message);
    for (name, value) in answer.details {
        failure = failure.with_detail(name, value);
    }
    Error::Other(Box::new(failure))
}

async fn take_form(s3: &S3, cx: &Context, request: Request<ByteStream>) -> Result<Response<ByteStream>> {
    let bucket = request.uri().path().trim_matches('/').to_owned();
    if bucket.is_empty() || bucket.contains('/') {
        return Err(Error::MethodNotAllowed { method: "POST".into(), resource: "OBJECT" });
    }
    let content_type = cx.header("content-type").unwrap_or_default().to_owned();
    let boundary = multer::parse_boundary(&content_type).map_err(|_| malformed())?;
    let limits = SizeLimit::new().per_field(u64::MAX);
    let chunks = match request.into_body() {
        ByteStream::Whole(bytes) => futures::stream::once(async move { Ok::<Bytes, std::io::Error>(bytes) }).boxed(),
        ByteStream::Streaming { body, .. } => {
            // The parser asks for errors that threads may share.
            BodyDataStream::new(body)
                .map(|chunk| chunk.map_err(|error| std::io::Error::other(error.to_string())))
                .boxed()
        }
    };
    let mut form = Multipart::with_constraints(chunks, boundary, Constraints::new().size_limit(limits));
    let (mut fields, file) = read_fields(&mut form).await?;
    let file_name = base_name(file.file_name().unwrap_or_default()).to_owned();
    let signer = cx.signed_by_form(Fields(&fields)).await.map_err(|failure| Error::Other(Box::new(failure)))?;
    let cx = signer.as_ref().unwrap_or(cx);
    let key = Fields(&fields).get("key").filter(|key| !key.is_empty());
    let key = key.ok_or_else(|| {
        Error::invalid_argument(
            "key",
            "",
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
        )
    })?;
    let key = key.replace("${filename}", &file_name);
    names::check_key(&key)?;
    // What the policy says of the key is said of what it becomes.
    set(&mut fields, "key", &key);
    let sizes = check_policy(cx, &fields, &bucket)?;
    let sets = Sets {
        tags: Fields(&fields).get("tagging").is_some(),
        list: Fields(&fields).get("acl").is_some(),
        ..Sets::default()
    };
    let wanted_access = access::to_put(cx, &bucket, &key, sets);
    cx.authorize(&wanted_access).await.map_err(|_| Error::AccessDenied)?;
    let wanted = put::Request {
        bucket: bucket.clone(),
        key: key.clone(),
        owner: None,
        expected: expected(&fields),
        headers: headers(&fields)?,
        storage_class: put::storage_class(Fields(&fields).get("x-amz-storage-class"))?,
        tags: Fields(&fields).get("tagging").map_or_else(|| Ok(Vec::new()), tagging::of_document)?,
        conditions: WriteConditions::default(),
        event: "s3:ObjectCreated:Post",
        wanted: wanted(&fields)?,
    };
    let (object, stored) = store_object(s3, cx, Box::new(wanted), sized(file, sizes)).await?;
    let mut answer = answer(cx, &fields, &bucket, &key, &object.etag);
    for (name, value) in [("x-amz-version-id", stored.version_id), ("x-amz-expiration", stored.expiration)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            answer.headers_mut().insert(name, value);
        }
    }
    Ok(answer)
}

type FormFields = Vec<(String, String)>;

fn set(fields: &mut FormFields, name: &str, value: &str) {
    if let Some((_, known)) = fields.iter_mut().find(|(known, _)| known == name) {
        value.clone_into(known);
    }
}

/// Browsers may give a path; the name is what follows its last slash, of either kind.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTForms.html>
fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The fields up to the file, which must be last, and the file itself.
async fn read_fields(form: &mut Multipart<'static>) -> Result<(FormFields, Field<'static>)> {
    let mut fields = Vec::new();
    let mut bytes = 0u64;
    while let Some(mut field) = form.next_field().await.map_err(|_| malformed())? {
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        if name == "file" {
            return Ok((fields, field));
        }
        let mut value = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(|_| malformed())? {
            bytes += chunk.len() as u64;
            if bytes > MAX_FIELD_BYTES {
                return Err(Error::Other(Box::new(Failure::new(
                    "MaxPostPreDataLengthExceededError",
                    400,
                    "Your POST request fields preceding the upload file were too large.",
                ))));
            }
            value.extend_from_slice(&chunk);
        }
        if fields.len() == MAX_FIELDS {
            return Err(malformed());
        }
        fields.push((name, String::from_utf8(value).map_err(|_| malformed())?));
    }
    Err(Error::invalid_argument("file", "0", "POST requires exactly one file upload per request."))
}

/// A form with a policy must keep it; one without is an anonymous upload.
fn check_policy(cx: &Context, fields: &FormFields, bucket: &str) -> Result<SizeRange> {
    let Some(policy) = Fields(fields).get("policy") else {
        return Ok(SizeRange { min: 0, max: u64::MAX });
    };
    let policy = PostPolicy::parse(policy).map_err(|error| refused(&error))?;
    policy.check(Fields(fields), bucket, cx.now()).map_err(|error| refused(&error))
}

/// The list and the encryption that a form may ask for.
fn wanted(fields: &FormFields) -> Result<Wanted> {
    let field = |name: &str| Fields(fields).get(name).map(str::to_owned);
    let encryption = Asked {
        algorithm: field("x-amz-server-side-encryption"),
        kms_key: field("x-amz-server-side-encryption-aws-kms-key-id"),
        customer: GivenKey {
            algorithm: field("x-amz-server-side-encryption-customer-algorithm").as_deref(),
            key: field("x-amz-server-side-encryption-customer-key").as_deref(),
            key_md5: field("x-amz-server-side-encryption-customer-key-md5").as_deref(),
        }
        .check()?,
        bucket_key: field("x-amz-server-side-encryption-bucket-key-enabled").map(|said| said == "true"),
        context: field("x-amz-server-side-encryption-context"),
    };
    encryption.check()?;
    Ok(Wanted { canned_acl: field("acl"), encryption, ..Wanted::default() })
}

fn expected(fields: &FormFields) -> Expected {
    let checksum = Algorithm::ALL.into_iter().find_map(|algorithm| {
        let name = format!("x-amz-checksum-{}", algorithm.as_str().to_ascii_lowercase());
        Fields(fields).get(&name).map(|value| (algorithm, Some(value.to_owned())))
    });
    Expected {
        content_md5: Fields(fields).get("content-md5").map(str::to_owned),
        checksum,
        decoded_length: None,
        besides: None,
    }
}

fn headers(fields: &FormFields) -> Result<ObjectHeaders> {
    let field = |name: &str| Fields(fields).get(name).map(str::to_owned);
    let named = |(name, value): &(String, String)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone()));
    let mut metadata = BTreeMap::new();
    metadata.extend(fields.iter().filter_map(named));
    names::check_metadata(metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
    Ok(ObjectHeaders {
        content_type: field("content-type"),
        cache_control: field("cache-control"),
        content_disposition: field("content-disposition"),
        content_encoding: field("content-encoding"),
        content_language: None,
        expires: field("expires"),
        website_redirect_location: field("x-amz-website-redirect-location"),
        metadata,
    })
}

/// So much more than a policy allows is read and dropped: who is still sending does not read why it was refused.
const LINGER_BYTES: u64 = 1 << 20;

/// The file as a body that ends with an error where it leaves the sizes that the policy allows.
fn sized(file: Field<'static>, sizes: SizeRange) -> ByteStream {
    let seen = Arc::new(AtomicU64::new(0));
    let at_end = Arc::clone(&seen);
    let refuse = |error: PostError| match refused(&error) {
        Error::Other(failure) => BodyError::Refused(failure),
        other => BodyError::Refused(Box::new(other.into())),
    };
    let chunks = file.map(move |chunk: std::result::Result<Bytes, multer::Error>| {
        let chunk = chunk.map_err(|error| BodyError::Aborted(Box::new(error)))?;
        let total = seen.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
        match sizes.check(total) {
            Err(PostError::TooLarge { .. }) if total <= sizes.max.saturating_add(LINGER_BYTES) => {
                Ok(Frame::data(Bytes::new()))
            }
            Err(error @ PostError::TooLarge { .. }) => Err(refuse(error)),
            _ => Ok(Frame::data(chunk)),
        }
    });
    let end = futures::stream::once(async move {
        match sizes.check(at_end.load(Ordering::Relaxed)) {
            Ok(()) => Ok(Frame::data(Bytes::new())),
            Err(error) => Err(refuse(error)),
        }
    });
    // The parser's stream may not be shared between threads; a body only has to be sent.
    ByteStream::Streaming { body: StreamBody::new(chunks.chain(end)).boxed_unsync(), length_bytes: None }
}

/// As the form asked: a redirect, a status, or 204.
fn answer(cx: &Context, fields: &FormFields, bucket: &str, key: &str, etag: &str) -> Response<ByteStream> {
    let location = format!("{}/{bucket}/{}", cx.endpoint(), fractus_sigv4::uri_encode(key));
    let field = |name: &str| Fields(fields).get(name);
    let builder = Response::builder().header(header::ETAG, etag).header(header::LOCATION, &location);
    let redirect = field("success_action_redirect").or_else(|| field("redirect"));
    let built = if let Some(target) = redirect.filter(|target| target.parse::<http::Uri>().is_ok()) {
        let separator = if target.contains('?') { '&' } else { '?' };
        let query = [("bucket", bucket), ("key", key), ("etag", etag)]
            .map(|(name, value)| format!("{name}={}", fractus_sigv4::uri_encode(value)))
            .join("&");
        Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header(header::ETAG, etag)
            .header(header::LOCATION, format!("{target}{separator}{query}"))
            .body(ByteStream::default())
    } else {
        match field("success_action_status") {
            Some("200") => builder.status(StatusCode::OK).body(ByteStream::default()),
            Some("201") => {
                let xml = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{}</Bucket><Key>{}</Key><ETag>{}</ETag></PostResponse>",
                    quick_xml::escape::escape(location.as_str()),
                    quick_xml::escape::escape(bucket),
                    quick_xml::escape::escape(key),
                    quick_xml::escape::escape(etag),
                );
                builder
                    .status(StatusCode::CREATED)
                    .header(header::CONTENT_TYPE, "application/xml")
                    .body(ByteStream::from(Bytes::from(xml)))
            }
            _ => builder.status(StatusCode::NO_CONTENT).body(ByteStream::default()),
        }
    };
    built.unwrap_or_default()
}
