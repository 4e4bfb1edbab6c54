//! Tags of what S3 Control keeps, and of buckets by their ARNs.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_TagResource.html>

use std::collections::HashSet;

use fractus_aws::Arn;
use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Scope, Snapshot, Transaction};

use crate::control::errors::{invalid, refused};
use crate::control::outposts::place::is_kept;
use crate::control::store::ACCESS_POINTS;
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;
use crate::store::BUCKETS;

pub type Tags = Vec<(String, String)>;

const MAX_TAGS: usize = 50;

/// Checks tags given with something new.
pub fn checked(tags: Vec<api::Tag>) -> Result<Tags> {
    check(tags.into_iter().map(|tag| (tag.key, tag.value)).collect(), MAX_TAGS)
}

/// Keys of 1 to 128 characters, values of up to 256, no key twice, and none of AWS's own.
pub fn check(tags: Tags, most: usize) -> Result<Tags> {
    if tags.len() > most {
        return Err(refused("TooManyTagsException", 400, format!("You cannot have more than {most} tags")));
    }
    let mut seen = HashSet::new();
    for (key, value) in &tags {
        let flaw = match key {
            key if key.is_empty() || key.chars().count() > 128 => "The TagKey you have provided is invalid",
            key if key.starts_with("aws:") => "System tags cannot be added/updated by requester",
            _ if value.chars().count() > 256 => "The TagValue you have provided is invalid",
            key if !seen.insert(key.as_str()) => "Cannot provide multiple Tags with the same key",
            _ => continue,
        };
        return Err(refused("InvalidTag", 400, flaw));
    }
    Ok(tags)
}

pub fn show(tags: Tags) -> Vec<api::Tag> {
    tags.into_iter().map(|(key, value)| api::Tag { key, value }).collect()
}

/// What can be tagged by an ARN.
enum Tagged {
    Bucket(String),
    AccessPoint(String),
    /// Something kept beside its tags: the kind and the name below it.
    Kept(crate::control::kept::Kind, String),
}

fn not_found(arn: &str) -> Error {
    refused("NoSuchResource", 404, format!("The specified resource does not exist: {arn}"))
}

/// Reads which thing of this account an ARN names.
fn tagged(cx: &Context, text: &str) -> Result<Tagged> {
    use crate::control::kept::Kind;
    let arn: Arn = text.parse().map_err(|_| invalid("The specified ARN is not valid"))?;
    let account = cx.world.account.as_str();
    if !arn.account.is_empty() && &*arn.account != account {
        return Err(Error::AccessDenied);
    }
    if !matches!(&*arn.service, "s3" | "s3express") {
        return Err(invalid("The specified resource cannot be tagged"));
    }
    let resource = arn.resource.as_str();
    if let Some(name) = resource.strip_prefix("accesspoint/") {
        return Ok(Tagged::AccessPoint(name.to_owned()));
    }
    let families = [
        ("storage-lens-group/", Kind::LensGroup),
        ("storage-lens/", Kind::Lens),
        ("access-grants/grant/", Kind::Grant),
        ("access-grants/location/", Kind::GrantsLocation),
        ("access-grants/", Kind::GrantsInstance),
    ];
    for (prefix, kind) in families {
        if let Some(name) = resource.strip_prefix(prefix) {
            return Ok(Tagged::Kept(kind, name.to_owned()));
        }
    }
    let bucket = resource.strip_prefix("bucket/").unwrap_or(resource);
    if bucket.contains('/') || is_kept(bucket) {
        Err(invalid("The specified resource cannot be tagged"))
    } else {
        Ok(Tagged::Bucket(bucket.to_owned()))
    }
}

fn read(snapshot: &Snapshot<'_>, scope: &Scope, cx: &Context, arn: &str, tagged: &Tagged) -> Result<Tags> {
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    match tagged {
        Tagged::Bucket(name) => {
            let bucket = snapshot.get(&BUCKETS, scope, &(name.as_str(),))?;
            let bucket = bucket.ok_or_else(|| Error::NoSuchBucket { bucket: name.clone() })?;
            if bucket.account == account { Ok(bucket.tags) } else { Err(Error::AccessDenied) }
        }
        Tagged::AccessPoint(name) => {
            let point = snapshot.get(&ACCESS_POINTS, scope, &(account, region, name.as_str()))?;
            point.map(|point| point.tags).ok_or_else(|| not_found(arn))
        }
        Tagged::Kept(kind, name) => {
            let kept = kind.get(snapshot, scope, account, region, name)?;
            kept.map(|kept| kept.tags).ok_or_else(|| not_found(arn))
        }
    }
}

fn write(tx: &mut Transaction<'_>, scope: &Scope, cx: &Context, tagged: &Tagged, tags: Tags) -> Result<()> {
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    match tagged {
        Tagged::Bucket(name) => {
            if let Some(mut bucket) = tx.get(&BUCKETS, scope, &(name.as_str(),))? {
                bucket.tags = tags;
                tx.put(&BUCKETS, scope, &(name.as_str(),), &bucket)?;
            }
        }
        Tagged::AccessPoint(name) => {
            let at = (account, region, name.as_str());
            if let Some(mut point) = tx.get(&ACCESS_POINTS, scope, &at)? {
                point.tags = tags;
                tx.put(&ACCESS_POINTS, scope, &at, &point)?;
            }
        }
        Tagged::Kept(kind, name) => {
            if let Some(mut kept) = kind.get(tx, scope, account, region, name)? {
                kept.tags = tags;
                kind.put(tx, scope, account, region, name, &kept)?;
            }
        }
    }
    Ok(())
}

pub async fn list(
    s3: &S3,
    cx: &Context,
    input: api::ListTagsForResourceInput,
) -> Result<api::ListTagsForResourceOutput> {
    let tagged = tagged(cx, &input.resource_arn)?;
    let scope = scope(cx);
    let tags = s3.store.read(|snapshot| read(snapshot, &scope, cx, &input.resource_arn, &tagged)).await?;
    Ok(api::ListTagsForResourceOutput { tags: Some(show(tags)) })
}

pub async fn tag(s3: &S3, cx: &Context, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    let tagged = tagged(cx, &input.resource_arn)?;
    let given = checked(input.tags)?;
    let scope = scope(cx);
    s3.store
        .write(|tx| {
            let mut tags = read(tx, &scope, cx, &input.resource_arn, &tagged)?;
            for (key, value) in &given {
                match tags.iter_mut().find(|(known, _)| known == key) {
                    Some((_, old)) => old.clone_from(value),
                    None => tags.push((key.clone(), value.clone())),
                }
            }
            write(tx, &scope, cx, &tagged, check(tags, MAX_TAGS)?)
        })
        .await?;
    Ok(api::TagResourceOutput::default())
}

pub async fn untag(s3: &S3, cx: &Context, input: api::UntagResourceInput) -> Result<api::UntagResourceOutput> {
    let tagged = tagged(cx, &input.resource_arn)?;
    let scope = scope(cx);
    s3.store
        .write(|tx| {
            let mut tags = read(tx, &scope, cx, &input.resource_arn, &tagged)?;
            tags.retain(|(key, _)| !input.tag_keys.contains(key));
            write(tx, &scope, cx, &tagged, tags)
        })
        .await?;
    Ok(api::UntagResourceOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_checked() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert!(check(vec![tag("a", ""), tag("b", "c")], 2).is_ok());
        assert!(check(vec![tag("a", ""), tag("a", "c")], 2).is_err());
        assert!(check(vec![tag("aws:a", "")], 2).is_err());
        assert!(check(vec![tag("", "")], 2).is_err());
        assert!(check(vec![tag("a", ""), tag("b", "")], 1).is_err());
    }
}
