//! ListObjects, both versions.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>

use std::sync::Arc;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Order, Range, Scan, Scope, Snapshot};

use crate::configurations;
use crate::control::outposts::place;
use crate::directory::check_listing;
use crate::error::{Error, Result};
use crate::model::encoding::form_encode;
use crate::model::list::{self, Entry, From, Keys, Listing, Page};
use crate::objects::{self, scope};
use crate::operations::buckets::{decode_token, encode_token, owner};
use crate::service::S3;
use crate::store::{Bucket, LISTED, Listed};

/// The most entries of a page; a caller who asks for more gets this many.
pub const MAX_KEYS: i32 = 1_000;

/// A bucket's objects as a source of keys.
struct Objects<'s, 't> {
    snapshot: &'s Snapshot<'t>,
    scope: &'s Scope,
    bucket: &'s Bucket,
    prefix: &'s str,
    scan: Option<Scan<'s, 't, (u64, String), Listed>>,
}

impl Keys<Listed, Error> for Objects<'_, '_> {
    fn seek(&mut self, from: From<'_>) -> Result<()> {
        let whole = Range::starts_with(&(self.bucket.id, self.prefix));
        let range = match from {
            From::Start => whole,
            From::After(key) => whole.after(&(self.bucket.id, key)),
            From::AfterPrefix(prefix) => whole.after_starting_with(&(self.bucket.id, prefix)),
        };
        self.scan = Some(self.snapshot.range(&LISTED, self.scope, range, Order::Ascending)?);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(String, Listed)>> {
        let Some(scan) = &mut self.scan else { return Ok(None) };
        Ok(scan.next().transpose()?.map(|((_, key), object)| (key, object)))
    }
}

/// The page size a caller asked for.
pub fn max_entries(asked: Option<i32>, parameter: &str) -> Result<usize> {
    match asked {
        None => Ok(MAX_KEYS as usize),
        Some(asked) => usize::try_from(asked).map(|asked| asked.min(MAX_KEYS as usize)).map_err(|_| {
            Error::invalid_argument(
                parameter,
                asked.to_string(),
                format!("Argument {parameter} must be an integer between 0 and 2147483647"),
            )
        }),
    }
}

/// The part that a page of parts begins after.
pub fn part_marker(asked: Option<i32>, parameter: &str) -> Result<u64> {
    u64::try_from(asked.unwrap_or(0)).map_err(|_| {
        let message = format!("Argument {parameter} must be an integer between 0 and 2147483647");
        Error::invalid_argument(parameter, asked.unwrap_or(0).to_string(), message)
    })
}

/// Keys as the caller wants them written: `url` hides what XML cannot say.
#[derive(Clone, Copy)]
pub struct Encoding {
    pub url: bool,
}

impl Encoding {
    pub fn asked(asked: Option<&api::EncodingType>) -> Result<Self> {
        match asked.map(api::EncodingType::as_str) {
            None => Ok(Encoding { url: false }),
            Some("url") => Ok(Encoding { url: true }),
            Some(other) => {
                Err(Error::invalid_argument("encoding-type", other, "Invalid Encoding Method specified in Request"))
            }
        }
    }

    pub fn write(self, text: String) -> String {
        if self.url { form_encode(&text) } else { text }
    }

    pub fn shown(self) -> Option<api::EncodingType> {
        self.url.then_some(api::EncodingType::Url)
    }
}

/// Whose the objects of a bucket are, by its ownership controls.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>
pub struct Owners {
    of_bucket: api::Owner,
    /// Whether everything is the bucket's owner's, whatever lists say.
    has_all: bool,
}

impl Owners {
    pub fn of(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<Owners> {
        let has_all = configurations::ownership(snapshot, scope, bucket)? == api::ObjectOwnership::BucketOwnerEnforced;
        Ok(Owners { of_bucket: owner(&bucket.account), has_all })
    }

    /// The owner of what is `listed`'s by its own list.
    pub fn shown(&self, listed: Option<&str>) -> api::Owner {
        match listed {
            Some(id) if !self.has_all => api::Owner { id: Some(id.to_owned()), display_name: None },
            _ => self.of_bucket.clone(),
        }
    }
}

async fn page(
    s3: &S3,
    cx: &Context,
    bucket_name: &str,
    expected_owner: Option<&str>,
    listing: &Listing<'_>,
    tells_owners: bool,
) -> Result<(Arc<Bucket>, Option<Owners>, Page<Listed>)> {
    let scope = scope(cx);
    s3.store
        .read(|snapshot| {
            let bucket = objects::open(cx, snapshot, &scope, bucket_name, expected_owner)?;
            let mut keys = Objects { snapshot, scope: &scope, bucket: &bucket, prefix: listing.prefix, scan: None };
            let page = list::page(listing, &mut keys)?;
            drop(keys);
            let owners = if tells_owners { Some(Owners::of(snapshot, &scope, &bucket)?) } else { None };
            Ok::<_, Error>((bucket, owners, page))
        })
        .await
}

/// Whether a listing says how far restores from the archive are.
pub fn shows_restores(asked: Option<&[api::OptionalObjectAttributes]>) -> bool {
    asked.is_some_and(|asked| asked.contains(&api::OptionalObjectAttributes::RestoreStatus))
}

/// A page's entries as the API shows them.
fn shown(
    page: Page<Listed>,
    encoding: Encoding,
    owners: Option<&Owners>,
    restores_at: Option<Timestamp>,
) -> (Vec<api::Object>, Vec<api::CommonPrefix>) {
    let (mut contents, mut prefixes) = (Vec::with_capacity(page.entries.len()), Vec::new());
    for entry in page.entries {
        match entry {
            Entry::Key(key, object) => contents.push(api::Object {
                owner: owners.map(|owners| owners.shown(object.owner())),
                key: Some(encoding.write(key)),
                last_modified: Some(object.last_modified.to_secs_precision()),
                size: Some(object.size as i64),
                storage_class: Some(object.storage_class().into()),
                restore_status: restores_at.and_then(|now| object.restore()?.listed(now)),
                checksum_algorithm: object
                    .checksum
                    .as_ref()
                    .map(|checksum| vec![super::checksums::shown_algorithm(checksum.algorithm)]),
                checksum_type: object.checksum.as_ref().map(|checksum| super::checksums::shown_type(checksum.kind)),
                e_tag: Some(object.etag),
            }),
            Entry::CommonPrefix(prefix) => prefixes.push(api::CommonPrefix { prefix: Some(encoding.write(prefix)) }),
        }
    }
    (contents, prefixes)
}

pub async fn v2(s3: &S3, cx: &Context, input: api::ListObjectsV2Input) -> Result<api::ListObjectsV2Output> {
    let encoding = Encoding::asked(input.encoding_type.as_ref())?;
    let token = input.continuation_token.as_deref().map(decode_token).transpose()?;
    let restores = shows_restores(input.optional_object_attributes.as_deref());
    let start_after = input.start_after.clone().unwrap_or_default();
    let listing = Listing {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: token.as_deref().unwrap_or(&start_after),
        max_entries: max_entries(input.max_keys, "maxKeys")?,
    };
    check_listing(&input.bucket, listing.prefix, listing.delimiter, &start_after)?;
    let tells_owners = input.fetch_owner.unwrap_or(false);
    let (bucket, owners, page) =
        page(s3, cx, &input.bucket, input.expected_bucket_owner.as_deref(), &listing, tells_owners).await?;
    let next_continuation_token = page.next_after().map(encode_token);
    let (is_truncated, key_count) = (page.is_truncated, page.entries.len() as i32);
    let (contents, common_prefixes) = shown(page, encoding, owners.as_ref(), restores.then(|| cx.now()));
    Ok(api::ListObjectsV2Output {
        is_truncated: Some(is_truncated),
        contents: Some(contents),
        name: Some(place::shown(bucket.name.clone())),
        prefix: Some(encoding.write(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()).map(|text| encoding.write(text)),
        max_keys: Some(listing_max(input.max_keys)),
        common_prefixes: Some(common_prefixes),
        encoding_type: encoding.shown(),
        key_count: Some(key_count),
        continuation_token: input.continuation_token,
        next_continuation_token,
        start_after: input.start_after.map(|text| encoding.write(text)),
        request_charged: None,
    })
}

fn listing_max(asked: Option<i32>) -> i32 {
    asked.unwrap_or(MAX_KEYS).min(MAX_KEYS)
}

/// The older form: a marker instead of a token, and a next marker only with a delimiter.
pub async fn v1(s3: &S3, cx: &Context, input: api::ListObjectsInput) -> Result<api::ListObjectsOutput> {
    let encoding = Encoding::asked(input.encoding_type.as_ref())?;
    let listing = Listing {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: input.marker.as_deref().unwrap_or_default(),
        max_entries: max_entries(input.max_keys, "maxKeys")?,
    };
    let (bucket, owners, page) =
        page(s3, cx, &input.bucket, input.expected_bucket_owner.as_deref(), &listing, true).await?;
    let next_marker = page.next_after().filter(|_| !listing.delimiter.is_empty()).map(str::to_owned);
    let is_truncated = page.is_truncated;
    let restores = shows_restores(input.optional_object_attributes.as_deref());
    let (contents, common_prefixes) = shown(page, encoding, owners.as_ref(), restores.then(|| cx.now()));
    Ok(api::ListObjectsOutput {
        is_truncated: Some(is_truncated),
        marker: Some(encoding.write(input.marker.unwrap_or_default())),
        next_marker: next_marker.map(|text| encoding.write(text)),
        contents: Some(contents),
        name: Some(place::shown(bucket.name.clone())),
        prefix: Some(encoding.write(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()).map(|text| encoding.write(text)),
        max_keys: Some(listing_max(input.max_keys)),
        common_prefixes: Some(common_prefixes),
        encoding_type: encoding.shown(),
        request_charged: None,
    })
}
