//! Tags of buckets and objects.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>

use std::collections::HashSet;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_wire::Failure;
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
        let of_key = |message: &str| invalid_tag(message).with_detail("TagKey", key);
        let refused = if key.is_empty() || key.chars().count() > 128 || !key.chars().all(is_allowed) {
            of_key("The TagKey you have provided is invalid")
        } else if value.chars().count() > 256 || !value.chars().all(is_allowed) {
            of_key("The TagValue you have provided is invalid").with_detail("TagValue", value)
        } else if key.starts_with("aws:") {
            invalid_tag("System tags cannot be added/updated by requester")
        } else if !seen.insert(key.as_str()) {
            of_key("Cannot provide multiple Tags with the same key")
        } else {
            continue;
        };
        return Err(Error::Other(Box::new(refused)));
    }
    if tags.len() > MAX_BUCKET_TAGS {
        return Err(too_many("Bucket", MAX_BUCKET_TAGS));
    }
    Ok(tags)
}

fn invalid_tag(message: &str) -> Failure {
    Failure::new("InvalidTag", 400, message)
}

/// Letters, digits and white space of every language, and a few marks.
fn is_allowed(letter: char) -> bool {
    letter.is_alphanumeric()
        || letter.is_whitespace()
        || matches!(letter, '+' | '-' | '=' | '.' | '_' | ':' | '/' | '@')
}

fn too_many(what: &str, most: usize) -> Error {
    let message = format!("{what} tags cannot be greater than {most}");
    Error::Other(Box::new(Failure::new("BadRequest", 400, message)))
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
    let malformed = || {
        Error::invalid_argument(
            "x-amz-tagging",
            header,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
        )
    };
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced)
            .decode_utf8()
            .map(|text| text.into_owned())
            .map_err(|_| malformed())
    };
    let mut seen = HashSet::new();
    let tags = header.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let tag = api::Tag { key: decode(key)?, value: decode(value)? };
        if value.contains('=') || !seen.insert(tag.key.clone()) { Err(malformed()) } else { Ok(tag) }
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
            let object = versions::bearer(snapshot, &scope, &bucket, &input.key, input.version_id.as_deref())?;
            let version_id = versions::shown_id(&bucket, &object);
            Ok::<_, Error>((object, version_id))
        })
        .await?;
    Ok(api::GetObjectTaggingOutput { tag_set: shown(object.tags), version_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(key: &str, value: &str) -> Option<Failure> {
        let tag = api::Tag { key: key.into(), value: value.into() };
        checked(vec![tag]).err().map(Failure::from)
    }

    #[test]
    fn tags_have_letters_of_every_language_and_a_few_marks() {
        for (key, value) in [("a", ""), ("Größe", "12 cm"), ("a:b/c@d", "+-=._"), ("キー", "値")] {
            assert!(refusal(key, value).is_none(), "{key}={value}");
        }
        for (key, value) in
            [("", ""), ("a!", ""), ("a", "b?"), ("aws:a", ""), (&"k".repeat(129), ""), ("a", &"v".repeat(257))]
        {
            assert_eq!(refusal(key, value).unwrap().code, "InvalidTag", "{key}={value}");
        }
        assert_eq!(refusal("a", "b!").unwrap().details, [("TagKey", "a".to_owned()), ("TagValue", "b!".to_owned())]);
    }

    #[test]
    fn a_header_names_each_tag_once() {
        assert_eq!(
            of_header(Some("a+b=c%20d&e")).unwrap(),
            [("a b".into(), "c d".into()), ("e".into(), String::new())]
        );
        let refused = |header: &str| Failure::from(of_header(Some(header)).unwrap_err()).code;
        assert_eq!(refused("a=1&a=2"), "InvalidArgument");
        assert_eq!(refused("a=%ff"), "InvalidArgument");
        assert_eq!(refused("TagSet=[{Key=string,Value=string}]"), "InvalidArgument");
        assert_eq!(refused("a%21=1"), "InvalidTag");
    }
}
