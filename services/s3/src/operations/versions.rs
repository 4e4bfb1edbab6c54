//! Versioning of buckets, and listings of versions.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html>

use std::iter::Peekable;

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Order, Range, Scan, Scope, Snapshot};
use fractus_wire::Failure;

use crate::configurations::{self, Kind, Versioning, of};
use crate::control::outposts::place;
use crate::error::{Error, Result};
use crate::mfa;
use crate::model::list::{self, Entry, From, Keys, Listing, Page};
use crate::operations::checksums::{shown_algorithm, shown_type};
use crate::operations::list::{Encoding, Owners, max_entries, shows_restores};
use crate::operations::version_answer::Answer;
use crate::service::S3;
use crate::store::{Bucket, OBJECTS, Object};
use crate::versions::{self, VERSIONS, Version};

fn refused(code: &'static str, status: u16, message: &str) -> Error {
    Error::Other(Box::new(Failure::new(code, status, message)))
}

fn wanted(configuration: &api::VersioningConfiguration) -> Result<Versioning> {
    match &configuration.status {
        Some(api::BucketVersioningStatus::Enabled) => Ok(Versioning::Enabled),
        Some(api::BucketVersioningStatus::Suspended) => Ok(Versioning::Suspended),
        Some(api::BucketVersioningStatus::Unknown(_)) => Err(Error::MalformedXml),
        None => {
            let message = "The Versioning element must be specified";
            Err(refused("IllegalVersioningConfigurationException", 400, message))
        }
    }
}

pub async fn put_bucket(
    s3: &S3,
    cx: &Context,
    input: api::PutBucketVersioningInput,
) -> Result<api::PutBucketVersioningOutput> {
    let versioning = wanted(&input.versioning_configuration)?;
    let mfa_delete = match &input.versioning_configuration.mfa_delete {
        None => None,
        Some(api::MFADelete::Enabled) => Some(true),
        Some(api::MFADelete::Disabled) => Some(false),
        Some(api::MFADelete::Unknown(_)) => return Err(Error::MalformedXml),
    };
    configurations::change(s3, cx, of!(input), |_, _, bucket| {
        if bucket.settings.mfa_delete == Some(true) || mfa_delete == Some(true) {
            mfa::demand(cx, bucket, input.mfa.as_deref())?;
        }
        if mfa_delete == Some(true) && bucket.settings.has(Kind::Lifecycle) {
            return Err(mfa::no_lifecycle());
        }
        if versioning == Versioning::Suspended && bucket.settings.has(Kind::ObjectLock) {
            let message = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
            return Err(refused("InvalidBucketState", 409, message));
        }
        if versioning == Versioning::Suspended && bucket.settings.has(Kind::Replication) {
            let message = "A replication configuration is present on this bucket, so you cannot change the versioning state. To change the versioning state, first delete the replication configuration.";
            return Err(refused("InvalidBucketState", 409, message));
        }
        bucket.settings.versioning = Some(versioning);
        bucket.settings.mfa_delete = mfa_delete.or(bucket.settings.mfa_delete);
        Ok(())
    })
    .await?;
    Ok(api::PutBucketVersioningOutput::default())
}

pub async fn get_bucket(
    s3: &S3,
    cx: &Context,
    input: api::GetBucketVersioningInput,
) -> Result<api::GetBucketVersioningOutput> {
    let settings = configurations::look(s3, cx, of!(input), |_, _, bucket| Ok(bucket.settings.clone())).await?;
    let mfa_delete =
        settings.mfa_delete.map(|on| if on { api::MFADeleteStatus::Enabled } else { api::MFADeleteStatus::Disabled });
    let status = settings.versioning.map(|versioning| match versioning {
        Versioning::Enabled => api::BucketVersioningStatus::Enabled,
        Versioning::Suspended => api::BucketVersioningStatus::Suspended,
    });
    Ok(api::GetBucketVersioningOutput { status, mfa_delete })
}

/// One entry of the listing.
struct Listed {
    version: Version,
    is_latest: bool,
}

type ObjectScan<'s, 't> = Peekable<Scan<'s, 't, (u64, String), Object>>;
type VersionScan<'s, 't> = Peekable<Scan<'s, 't, (u64, String, u64), Version>>;

/// Current objects and older versions as one source: by key, newest first.
struct Versions<'s, 't> {
    snapshot: &'s Snapshot<'t>,
    scope: &'s Scope,
    bucket: &'s Bucket,
    prefix: &'s str,
    /// Where the first page of a key's versions begins: after this rank.
    after_rank: Option<u64>,
    objects: Option<ObjectScan<'s, 't>>,
    versions: Option<VersionScan<'s, 't>>,
    /// The key whose newest version has been passed.
    latest: Option<String>,
}

impl Versions<'_, '_> {
    fn seen(&mut self, key: &str) -> bool {
        if self.latest.as_deref() == Some(key) {
            return true;
        }
        self.latest = Some(key.to_owned());
        false
    }
}

impl Keys<Listed, Error> for Versions<'_, '_> {
    fn seek(&mut self, from: From<'_>) -> Result<()> {
        let objects = Range::starts_with(&(self.bucket.id, self.prefix));
        let versions = Range::starts_with(&(self.bucket.id, self.prefix));
        let (objects, versions) = match from {
            From::Start => (objects, versions),
            From::After(key) => {
                let versions = match self.after_rank.take() {
                    Some(rank) => {
                        self.latest = Some(key.to_owned());
                        versions.after(&(self.bucket.id, key, rank))
                    }
                    None => versions.after(&(self.bucket.id, key)),
                };
                (objects.after(&(self.bucket.id, key)), versions)
            }
            From::AfterPrefix(prefix) => (
                objects.after_starting_with(&(self.bucket.id, prefix)),
                versions.after_starting_with(&(self.bucket.id, prefix)),
            ),
        };
        self.objects = Some(self.snapshot.range(&OBJECTS, self.scope, objects, Order::Ascending)?.peekable());
        self.versions = Some(self.snapshot.range(&VERSIONS, self.scope, versions, Order::Ascending)?.peekable());
        Ok(())
    }

    fn next(&mut self) -> Result<Option<(String, Listed)>> {
        let (Some(objects), Some(versions)) = (&mut self.objects, &mut self.versions) else { return Ok(None) };
        let object_key = match objects.peek() {
            Some(Ok(((_, key), _))) => Some(key.as_str()),
            _ => None,
        };
        let version_key = match versions.peek() {
            Some(Ok(((_, key, _), _))) => Some(key.as_str()),
            _ => None,
        };
        let object_first = match (object_key, version_key) {
            (Some(object), Some(version)) => object <= version,
            (object, None) => object.is_some() || objects.peek().is_some(),
            (None, Some(_)) => false,
        };
        if object_first {
            let Some(((_, key), object)) = objects.next().transpose()? else { return Ok(None) };
            self.seen(&key);
            return Ok(Some((key, Listed { version: Version::of(object), is_latest: true })));
        }
        let Some(((_, key, _), version)) = versions.next().transpose()? else { return Ok(None) };
        let is_latest = !self.seen(&key);
        Ok(Some((key, Listed { version, is_latest })))
    }
}

fn shown_version(
    key: String,
    listed: Listed,
    object: Object,
    owner: api::Owner,
    restores_at: Option<Timestamp>,
) -> api::ObjectVersion {
    let restore = object.extras.as_ref().and_then(|extras| extras.restore);
    let checksum = object.checksum.as_ref();
    api::ObjectVersion {
        e_tag: Some(object.etag.clone()),
        checksum_algorithm: checksum.map(|checksum| vec![shown_algorithm(checksum.algorithm)]),
        checksum_type: checksum.map(|checksum| shown_type(checksum.kind)),
        size: Some(object.size as i64),
        storage_class: Some(object.storage_class().into()),
        key: Some(key),
        version_id: Some(listed.version.shown_id().to_owned()),
        is_latest: Some(listed.is_latest),
        last_modified: Some(object.last_modified.to_secs_precision()),
        owner: Some(owner),
        restore_status: restores_at.and_then(|now| restore?.listed(now)),
    }
}

/// The answer with a page's entries.
fn filled(
    around: api::ListObjectVersionsOutput,
    page: Page<Listed>,
    encoding: Encoding,
    owners: &Owners,
    restores_at: Option<Timestamp>,
) -> Answer {
    let common_prefixes = page.entries.iter().filter_map(|entry| match entry {
        Entry::CommonPrefix(prefix) => Some(api::CommonPrefix { prefix: Some(encoding.write(prefix.clone())) }),
        Entry::Key(..) => None,
    });
    let common_prefixes = Some(common_prefixes.collect());
    let mut answer = Answer::new(api::ListObjectVersionsOutput { common_prefixes, ..around });
    for entry in page.entries {
        let Entry::Key(key, mut listed) = entry else { continue };
        match listed.version.object.take() {
            Some(object) => {
                let owner = owners.shown(object.extras.as_ref().and_then(|extras| extras.owner()));
                answer.push_version(shown_version(encoding.write(key), listed, *object, owner, restores_at));
            }
            None => answer.push_marker(api::DeleteMarkerEntry {
                owner: Some(owners.shown(listed.version.owner.as_deref())),
                key: Some(encoding.write(key)),
                version_id: Some(listed.version.shown_id().to_owned()),
                is_latest: Some(listed.is_latest),
                last_modified: Some(listed.version.last_modified.to_secs_precision()),
            }),
        }
    }
    answer
}

pub async fn list(s3: &S3, cx: &Context, input: api::ListObjectVersionsInput) -> Result<Answer> {
    let encoding = Encoding::asked(input.encoding_type.as_ref())?;
    let key_marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input.version_id_marker.as_deref();
    if let Some(id) = id_marker {
        let message = match (key_marker.is_empty(), id.is_empty()) {
            (true, false) => "A version-id marker cannot be specified without a key marker.",
            (false, true) => "A version-id marker cannot be empty.",
            _ => "",
        };
        if !message.is_empty() {
            return Err(Error::invalid_argument("version-id-marker", id, message));
        }
    }
    let id_marker = id_marker.filter(|id| !id.is_empty());
    let listing = Listing {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: &key_marker,
        max_entries: max_entries(input.max_keys, "maxKeys")?,
    };
    let (owners, page) = configurations::look(s3, cx, of!(input), |snapshot, scope, bucket| {
        let after_rank = match id_marker {
            Some(id) => versions::rank_of_marker(snapshot, scope, bucket, &key_marker, id)?,
            None => None,
        };
        let mut source = Versions {
            snapshot,
            scope,
            bucket,
            prefix: listing.prefix,
            after_rank,
            objects: None,
            versions: None,
            latest: None,
        };
        Ok((Owners::of(snapshot, scope, bucket)?, list::page(&listing, &mut source)?))
    })
    .await?;
    let mut output = api::ListObjectVersionsOutput {
        is_truncated: Some(page.is_truncated),
        key_marker: Some(encoding.write(key_marker)),
        version_id_marker: Some(input.version_id_marker.clone().unwrap_or_default()),
        name: Some(place::shown(input.bucket.clone())),
        prefix: Some(encoding.write(input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.filter(|delimiter| !delimiter.is_empty()).map(|text| encoding.write(text)),
        max_keys: Some(listing_max(input.max_keys)),
        encoding_type: encoding.shown(),
        ..Default::default()
    };
    if let (true, Some(last)) = (page.is_truncated, page.entries.last()) {
        let (key, id) = match last {
            Entry::Key(key, listed) => (key, Some(listed.version.shown_id().to_owned())),
            Entry::CommonPrefix(prefix) => (prefix, None),
        };
        output.next_key_marker = Some(encoding.write(key.clone()));
        output.next_version_id_marker = id;
    }
    let restores = shows_restores(input.optional_object_attributes.as_deref());
    Ok(filled(output, page, encoding, &owners, restores.then(|| cx.now())))
}

fn listing_max(asked: Option<i32>) -> i32 {
    asked.unwrap_or(crate::operations::list::MAX_KEYS).min(crate::operations::list::MAX_KEYS)
}
