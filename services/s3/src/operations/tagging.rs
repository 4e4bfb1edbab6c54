//! Tags of buckets and objects.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>

use std::collections::HashSet;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_wire::xml::{Names, XmlLimits, XmlReader};

use crate::error::{Error, Result};
use crate::notify::{Happening, announce};
use crate::objects::{self, scope};
use crate::permissions::abac_enabled;
use crate::service::S3;
use crate::store::BUCKETS;
use crate::{replication, versions};

type Tags = Vec<(String, String)>;

const MAX_OBJECT_TAGS: usize = 10;
const MAX_BUCKET_TAGS: usize = 50;

/// Checks keys, values and repetition; how many there may be is the owner's rule.
pub fn checked(tags: Vec<api::Tag>) -> Result<Tags> {
    let tags: Tags = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    let mut seen = HashSet::new();
    for (key, value) in &tags {
        if key.is_empty() || key.chars().count() > 128 || !key.chars().all(may_stand) {
            return Err(invalid_tag("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 || !value.chars().all(may_stand) {
            return Err(invalid_tag("The TagValue you have provided is invalid"));
        }
        if key.starts_with("aws:") {
            return Err(invalid_tag("System tags cannot be added/updated by requester"));
        }
        if !seen.insert(key.as_str()) {
            return Err(invalid_tag("Cannot provide multiple Tags with the same key"));
        }
    }
    if tags.len() > MAX_BUCKET_TAGS {
        return Err(too_many("Bucket", MAX_BUCKET_TAGS));
    }
    Ok(tags)
}

/// Letters, numbers, white space and a few signs, of any script.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging.html>
fn may_stand(character: char) -> bool {
    character.is_alphanumeric() || character.is_whitespace() || "_.:/=+-@".contains(character)
}

fn invalid_tag(message: &str) -> Error {
    Error::Other(Box::new(fractus_wire::Failure::new("InvalidTag", 400, message)))
}

fn too_many(what: &str, most: usize) -> Error {
    let message = format!("{what} tags cannot be greater than {most}");
    Error::Other(Box::new(fractus_wire::Failure::new("BadRequest", 400, message)))
}

fn checked_object(tags: Vec<api::Tag>) -> Result<Tags> {
    if tags.len() > MAX_OBJECT_TAGS {
        return Err(too_many("Object", MAX_OBJECT_TAGS));
    }
    checked(tags)
}

/// The tags of an `x-amz-tagging` header: `a=1&b=2`, form-encoded.
pub fn of_header(header: Option<&str>) -> Result<Tags> {
    let Some(header) = header.filter(|header| !header.is_empty()) else { return Ok(Vec::new()) };
    let refused = || {
        let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.";
        Error::invalid_argument("x-amz-tagging", header, message)
    };
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned()).map_err(|_| refused())
    };
    let mut seen = HashSet::new();
    let tags = header.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let tag = api::Tag { key: decode(key)?, value: decode(value)? };
        if value.contains('=') || !seen.insert(tag.key.clone()) { Err(refused()) } else { Ok(tag) }
    });
    checked_object(tags.collect::<Result<_>>()?)
}

/// The tags of a form: the document that PutObjectTagging takes.
pub fn of_document(text: &str) -> Result<Tags> {
    let limits = XmlLimits { depth: 8, elements: 200, attributes: 8 };
    let mut tagging = api::Tagging::default();
    let read = XmlReader::open(text.as_bytes(), Names::Wire, limits).and_then(|mut reader| {
        reader.read_members(&mut tagging)?;
        reader.finish()
    });
    read.map_err(|_| Error::MalformedXml)?;
    checked_object(tagging.tag_set)
}

fn shown(tags: Tags) -> Vec<api::Tag> {
    tags.into_iter().map(|(key, value)| api::Tag { key, value }).collect()
}

async fn set_bucket(s3: &S3, cx: &Context, name: &str, owner: Option<&str>, tags: Tags) -> Result<()> {
    let scope = scope(cx);
    s3.store
        .write(|tx| {
            let mut bucket = objects::own(cx, tx, &scope, name, owner)?;
            if abac_enabled(tx, &scope, &bucket)? {
                let message =
                    "Tags of a bucket with attribute-based access control are changed by TagResource and UntagResource";
                return Err(Error::invalid_request(message));
            }
            bucket.tags = tags.clone();
            Ok(tx.put(&BUCKETS, &scope, &(name,), &bucket)?)
        })
        .await
}

pub async fn put_bucket(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketTaggingInput,
) -> Result<api::PutBucketTaggingOutput> {
    let tags = checked(input.tagging.tag_set)?;
    set_bucket(s3, cx, &input.bucket, input.expected_bucket_owner.as_deref(), tags).await?;
    Ok(api::PutBucketTaggingOutput::default())
}

pub async fn get_bucket(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketTaggingInput,
) -> Result<api::GetBucketTaggingOutput> {
    let scope = scope(cx);
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = s3.store.read(|snapshot| objects::own(cx, snapshot, &scope, &input.bucket, owner)).await?;
    if bucket.tags.is_empty() {
        return Err(Error::NoSuchConfiguration { code: "NoSuchTagSet", what: "TagSet" });
    }
    Ok(api::GetBucketTaggingOutput { tag_set: shown(bucket.tags) })
}

pub async fn delete_bucket(
    s3: &S3,
    cx: &Context,
    input: api::DeleteBucketTaggingInput,
) -> Result<api::DeleteBucketTaggingOutput> {
    set_bucket(s3, cx, &input.bucket, input.expected_bucket_owner.as_deref(), Vec::new()).await?;
    Ok(api::DeleteBucketTaggingOutput::default())
}

/// Which object's tags, and who is told.
struct Change<'a> {
    bucket: &'a str,
    key: &'a str,
    owner: Option<&'a str>,
    version_id: Option<&'a str>,
    event: &'static str,
}

/// Gives the version whose tags they are now.
async fn set_object(s3: &S3, cx: &Context, change: Change<'_>, tags: Tags) -> Result<Option<String>> {
    let (scope, now): (_, Timestamp) = (scope(cx), cx.now());
    let (version_id, _sent) = s3
        .store
        .write(|tx| {
            let bucket = objects::open(cx, tx, &scope, change.bucket, change.owner)?;
            let object = versions::rewrite(tx, &scope, &bucket, change.key, change.version_id, |object| {
                object.tags = tags.clone();
                Ok(())
            })?;
            replication::enqueue_change(tx, &scope, &bucket, change.key, &object)?;
            let happening = Happening::new(cx, change.event, now);
            let sequencer = objects::sequencer_of_change(&object, now);
            let sent = announce(tx, s3, &bucket, change.key, Some(&object), sequencer, &happening)?;
            Ok::<_, Error>((versions::shown_id(&bucket, &object), sent))
        })
        .await?;
    s3.replication.wake();
    Ok(version_id)
}

pub async fn put_object(
    s3: &S3,
    cx: &Context,
    input: api::PutObjectTaggingInput,
) -> Result<api::PutObjectTaggingOutput> {
    let tags = checked_object(input.tagging.tag_set)?;
    let change = Change {
        bucket: &input.bucket,
        key: &input.key,
        owner: input.expected_bucket_owner.as_deref(),
        version_id: input.version_id.as_deref(),
        event: "s3:ObjectTagging:Put",
    };
    Ok(api::PutObjectTaggingOutput { version_id: set_object(s3, cx, change, tags).await? })
}

pub async fn delete_object(
    s3: &S3,
    cx: &Context,
    input: api::DeleteObjectTaggingInput,
) -> Result<api::DeleteObjectTaggingOutput> {
    let change = Change {
        bucket: &input.bucket,
        key: &input.key,
        owner: input.expected_bucket_owner.as_deref(),
        version_id: input.version_id.as_deref(),
        event: "s3:ObjectTagging:Delete",
    };
    Ok(api::DeleteObjectTaggingOutput { version_id: set_object(s3, cx, change, Vec::new()).await? })
}

pub async fn get_object(
    s3: &S3,
    cx: &Context,
    input: api::GetObjectTaggingInput,
) -> Result<api::GetObjectTaggingOutput> {
    let scope = scope(cx);
    let (object, version_id) = s3
        .store
        .read(|snapshot| {
            let bucket = objects::open(cx, snapshot, &scope, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let object = versions::object(snapshot, &scope, &bucket, &input.key, input.version_id.as_deref())?;
            let version_id = versions::shown_id(&bucket, &object);
            Ok::<_, Error>((object, version_id))
        })
        .await?;
    Ok(api::GetObjectTaggingOutput { tag_set: shown(object.tags), version_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(header: &str) -> String {
        of_header(Some(header)).map_or_else(|error| fractus_wire::Failure::from(error).code.to_string(), |_| "".into())
    }

    #[test]
    fn headers_hold_tags_as_a_query() {
        let tags = of_header(Some("a=1&b&c+d=%2B%20&")).unwrap();
        let pairs: Vec<_> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1"), ("b", ""), ("c d", "+ ")]);
        for wrong in ["a=1&a=2", "TagSet=[{Key=string,Value=string}]", "a=%FF"] {
            assert_eq!(code(wrong), "InvalidArgument", "{wrong}");
        }
        for wrong in ["TagSet%3D%5B%5D=1", "=1", "a=%3C", "aws:a=1"] {
            assert_eq!(code(wrong), "InvalidTag", "{wrong}");
        }
    }

    #[test]
    fn tags_are_of_any_script_and_few_signs() {
        let tag = |key: &str, value: &str| checked(vec![api::Tag { key: key.into(), value: value.into() }]);
        assert!(tag("\u{43a}\u{43b}\u{44e}\u{447} _.:/=+-@1", "\u{5024} x").is_ok());
        assert!(tag("a&b", "").is_err() && tag("a", "b;c").is_err() && tag("a*", "").is_err());
    }
}
