//! What can be configured on a bucket: one record a configuration, beside the bucket's own record, so that reading a
//! bucket costs the same however much hangs on it. The bucket remembers which kinds are set ([`Settings`]): a request
//! looks for a configuration only where there is one.
//!
//! Configurations are kept as JSON of the API's own shapes.

use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use fractus_wire::json::{JsonReader, JsonWriter};
use fractus_wire::{Failure, Shape};
use serde::{Deserialize, Serialize};

use crate::control::store::ACCOUNT_BLOCKS;
use crate::error::{Error, Result};
use crate::objects::{self, scope};
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};

/// Configurations: (bucket id, kind, id). The id is empty where a bucket has one of the kind.
pub const CONFIGURATIONS: Collection<(u64, String, String), String> = Collection::new("configurations");

/// In place of a configuration that is there by default and was deleted.
const DELETED: &str = "null";

/// The kinds of configurations. Their numbers are stored: they stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    Policy = 0,
    PublicAccessBlock = 1,
    OwnershipControls = 2,
    Acl = 3,
    Cors = 4,
    Website = 5,
    Encryption = 6,
    Lifecycle = 7,
    ObjectLock = 8,
    RequestPayment = 9,
    Accelerate = 10,
    Logging = 11,
    Replication = 12,
    Analytics = 13,
    Inventory = 14,
    Metrics = 15,
    IntelligentTiering = 16,
    Abac = 17,
    Metadata = 18,
}

impl Kind {
    const fn bit(self) -> u32 {
        1 << self as u32
    }

    pub const fn name(self) -> &'static str {
        match self {
            Kind::Policy => "policy",
            Kind::PublicAccessBlock => "public-access-block",
            Kind::OwnershipControls => "ownership-controls",
            Kind::Acl => "acl",
            Kind::Cors => "cors",
            Kind::Website => "website",
            Kind::Encryption => "encryption",
            Kind::Lifecycle => "lifecycle",
            Kind::ObjectLock => "object-lock",
            Kind::RequestPayment => "request-payment",
            Kind::Accelerate => "accelerate",
            Kind::Logging => "logging",
            Kind::Replication => "replication",
            Kind::Analytics => "analytics",
            Kind::Inventory => "inventory",
            Kind::Metrics => "metrics",
            Kind::IntelligentTiering => "intelligent-tiering",
            Kind::Abac => "abac",
            Kind::Metadata => "metadata",
        }
    }
}

/// Whether a bucket keeps versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Versioning {
    Enabled,
    Suspended,
}

/// What a bucket's record says of its configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Absent: versions were never kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versioning: Option<Versioning>,
    /// Whether deleting a version for good takes a second factor; absent: nobody has ever said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mfa_delete: Option<bool>,
    /// One bit for each kind of which something is set.
    configured: u32,
}

impl Settings {
    pub fn is_default(&self) -> bool {
        *self == Settings::default()
    }

    /// Whether anything of this kind is set; what a bucket has by default is not.
    pub fn has(&self, kind: Kind) -> bool {
        self.configured & kind.bit() != 0
    }

    fn mark(&mut self, kind: Kind) {
        self.configured |= kind.bit();
    }

    fn unmark(&mut self, kind: Kind) {
        self.configured &= !kind.bit();
    }
}

/// What there is of a kind that every bucket has one of.
pub enum Configured<T> {
    /// Nobody has said anything: AWS's default holds.
    Default,
    Deleted,
    Set(T),
}

impl<T> Configured<T> {
    pub fn into_set(self) -> Option<T> {
        match self {
            Configured::Set(value) => Some(value),
            Configured::Default | Configured::Deleted => None,
        }
    }
}

fn broken(what: impl std::fmt::Display, kind: Kind) -> Error {
    tracing::error!(error = %what, kind = kind.name(), "a stored configuration cannot be used");
    Error::Other(Box::new(Failure::internal("We encountered an internal error. Please try again.")))
}

fn to_json(shape: &dyn Shape, kind: Kind) -> Result<String> {
    let mut bytes = Vec::new();
    JsonWriter::write_root(&mut bytes, shape).map_err(|error| broken(error, kind))?;
    String::from_utf8(bytes).map_err(|error| broken(error, kind))
}

pub fn from_json<T: Shape + Default>(text: &str, kind: Kind) -> Result<T> {
    let mut shape = T::default();
    let schema = shape.schema();
    JsonReader::new(text.as_bytes()).read_root(schema, &mut shape).map_err(|error| broken(error, kind))?;
    Ok(shape)
}

/// The text of a configuration.
pub fn text(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket, kind: Kind, id: &str) -> Result<Option<String>> {
    if !bucket.settings.has(kind) {
        return Ok(None);
    }
    Ok(snapshot.get(&CONFIGURATIONS, scope, &(bucket.id, kind.name(), id))?)
}

/// The configuration of a kind.
pub fn read<T: Shape + Default>(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    kind: Kind,
) -> Result<Configured<T>> {
    Ok(match text(snapshot, scope, bucket, kind, "")? {
        None => Configured::Default,
        Some(text) if text == DELETED => Configured::Deleted,
        Some(text) => Configured::Set(from_json(&text, kind)?),
    })
}

/// One configuration of a kind of which a bucket may have many.
pub fn read_id<T: Shape + Default>(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    kind: Kind,
    id: &str,
) -> Result<Option<T>> {
    text(snapshot, scope, bucket, kind, id)?.map(|text| from_json(&text, kind)).transpose()
}

/// Sets a configuration in the transaction that changes its bucket; the caller writes the bucket's record.
pub fn set_text(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &mut Bucket,
    kind: Kind,
    id: &str,
    text: &String,
) -> Result<()> {
    bucket.settings.mark(kind);
    Ok(tx.put(&CONFIGURATIONS, scope, &(bucket.id, kind.name(), id), text)?)
}

pub fn set(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &mut Bucket,
    kind: Kind,
    id: &str,
    shape: &dyn Shape,
) -> Result<()> {
    let text = to_json(shape, kind)?;
    set_text(tx, scope, bucket, kind, id, &text)
}

/// Says that there is none, of a kind that is there by default.
pub fn set_deleted(tx: &mut Transaction<'_>, scope: &Scope, bucket: &mut Bucket, kind: Kind) -> Result<()> {
    set_text(tx, scope, bucket, kind, "", &DELETED.to_owned())
}

/// Removes everything that is configured on a bucket which goes.
pub fn clear(tx: &mut Transaction<'_>, scope: &Scope, bucket: &Bucket) -> Result<()> {
    if bucket.settings.configured == 0 {
        return Ok(());
    }
    let keys: Vec<_> = tx
        .keys(&CONFIGURATIONS, scope, Range::prefix(&(bucket.id,)), Order::Ascending)?
        .collect::<std::result::Result<_, _>>()?;
    for (id, kind, name) in keys {
        tx.delete(&CONFIGURATIONS, scope, &(id, kind, name))?;
    }
    Ok(())
}

/// Which bucket a request is about, and whose it must be.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    pub bucket: &'a str,
    pub owner: Option<&'a str>,
}

/// The [`Of`] of an input.
macro_rules! of {
    ($input:expr) => {
        $crate::configurations::Of { bucket: &$input.bucket, owner: $input.expected_bucket_owner.as_deref() }
    };
}
pub(crate) use of;

/// Changes a bucket and what hangs on it in one transaction.
pub async fn change<T: Send>(
    s3: &S3,
    cx: &Context,
    of: Of<'_>,
    work: impl Fn(&mut Transaction<'_>, &Scope, &mut Bucket) -> Result<T> + Send + Sync,
) -> Result<T> {
    let scope = scope(cx);
    s3.store
        .write(|tx| {
            let mut bucket = objects::own(cx, tx, &scope, of.bucket, of.owner)?;
            let before = bucket.settings.clone();
            let done = work(tx, &scope, &mut bucket)?;
            if bucket.settings != before {
                tx.put(&BUCKETS, &scope, &(of.bucket,), &bucket)?;
            }
            Ok(done)
        })
        .await
}

/// Looks at a bucket and what hangs on it.
pub async fn look<T: Send>(
    s3: &S3,
    cx: &Context,
    of: Of<'_>,
    work: impl FnOnce(&Snapshot<'_>, &Scope, &Bucket) -> Result<T> + Send,
) -> Result<T> {
    let scope = scope(cx);
    s3.store
        .read(|snapshot| {
            let bucket = objects::own(cx, snapshot, &scope, of.bucket, of.owner)?;
            work(snapshot, &scope, &bucket)
        })
        .await
}

pub async fn put(s3: &S3, cx: &Context, of: Of<'_>, kind: Kind, id: &str, shape: &(dyn Shape + Sync)) -> Result<()> {
    let text = to_json(shape, kind)?;
    change(s3, cx, of, |tx, scope, bucket| set_text(tx, scope, bucket, kind, id, &text)).await
}

pub async fn get<T: Shape + Default>(s3: &S3, cx: &Context, of: Of<'_>, kind: Kind, id: &str) -> Result<Option<T>> {
    let text = look(s3, cx, of, |snapshot, scope, bucket| text(snapshot, scope, bucket, kind, id)).await?;
    text.filter(|text| text != DELETED).map(|text| from_json(&text, kind)).transpose()
}

/// Deletes a configuration; says whether there was one.
pub async fn delete(s3: &S3, cx: &Context, of: Of<'_>, kind: Kind, id: &str) -> Result<bool> {
    change(s3, cx, of, |tx, scope, bucket| {
        let was_there = remove(tx, scope, bucket, kind, id)?;
        if count(tx, scope, bucket, kind, 1)? == 0 {
            bucket.settings.unmark(kind);
        }
        Ok(was_there)
    })
    .await
}

/// The same in a transaction.
pub fn remove(tx: &mut Transaction<'_>, scope: &Scope, bucket: &Bucket, kind: Kind, id: &str) -> Result<bool> {
    let key = (bucket.id, kind.name(), id);
    let was_there = tx.contains(&CONFIGURATIONS, scope, &key)?;
    tx.delete(&CONFIGURATIONS, scope, &key)?;
    Ok(was_there)
}

/// A page of the configurations of a kind by their ids, and whether there are more.
pub async fn list<T: Shape + Default>(
    s3: &S3,
    cx: &Context,
    of: Of<'_>,
    kind: Kind,
    after: Option<&str>,
    max: usize,
) -> Result<(Vec<(String, T)>, bool)> {
    look(s3, cx, of, |snapshot, scope, bucket| {
        let mut range = Range::prefix(&(bucket.id, kind.name()));
        if let Some(after) = after {
            range = range.after(&(bucket.id, kind.name(), after));
        }
        let mut found = Vec::new();
        for entry in snapshot.range(&CONFIGURATIONS, scope, range, Order::Ascending)? {
            let ((_, _, id), text) = entry?;
            if found.len() == max {
                return Ok((found, true));
            }
            found.push((id, from_json(&text, kind)?));
        }
        Ok((found, false))
    })
    .await
}

/// How many configurations of a kind there are, counted up to `limit`.
pub fn count(tx: &Transaction<'_>, scope: &Scope, bucket: &Bucket, kind: Kind, limit: usize) -> Result<usize> {
    let keys = tx.keys(&CONFIGURATIONS, scope, Range::prefix(&(bucket.id, kind.name())), Order::Ascending)?;
    keys.take(limit).try_fold(0, |count, key| Ok(key.map(|_| count + 1)?))
}

/// Who owns the objects that others put into the bucket. Absent rules mean what AWS gives every new bucket.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>
pub fn ownership(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<api::ObjectOwnership> {
    Ok(match read::<api::OwnershipControls>(snapshot, scope, bucket, Kind::OwnershipControls)? {
        Configured::Default => api::ObjectOwnership::BucketOwnerEnforced,
        Configured::Deleted => api::ObjectOwnership::ObjectWriter,
        Configured::Set(controls) => controls
            .rules
            .into_iter()
            .next()
            .map_or(api::ObjectOwnership::BucketOwnerEnforced, |rule| rule.object_ownership),
    })
}

/// The four switches of block public access. All are on for a new bucket.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicAccessBlock {
    pub block_public_acls: bool,
    pub ignore_public_acls: bool,
    pub block_public_policy: bool,
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    pub const fn all(on: bool) -> Self {
        PublicAccessBlock {
            block_public_acls: on,
            ignore_public_acls: on,
            block_public_policy: on,
            restrict_public_buckets: on,
        }
    }

    /// What two levels block together: the stricter of each switch.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        PublicAccessBlock {
            block_public_acls: self.block_public_acls || other.block_public_acls,
            ignore_public_acls: self.ignore_public_acls || other.ignore_public_acls,
            block_public_policy: self.block_public_policy || other.block_public_policy,
            restrict_public_buckets: self.restrict_public_buckets || other.restrict_public_buckets,
        }
    }
}

/// What holds for a bucket: its own switches and its account's.
pub fn public_access_block(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<PublicAccessBlock> {
    let own = own_public_access_block(snapshot, scope, bucket)?;
    Ok(match snapshot.get(&ACCOUNT_BLOCKS, scope, &(bucket.account.as_str(),))? {
        Some(account) => own.and(account),
        None => own,
    })
}

/// The bucket's own switches.
pub fn own_public_access_block(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<PublicAccessBlock> {
    Ok(match read::<api::PublicAccessBlockConfiguration>(snapshot, scope, bucket, Kind::PublicAccessBlock)? {
        Configured::Default => PublicAccessBlock::all(true),
        Configured::Deleted => PublicAccessBlock::all(false),
        Configured::Set(set) => PublicAccessBlock {
            block_public_acls: set.block_public_acls.unwrap_or(false),
            ignore_public_acls: set.ignore_public_acls.unwrap_or(false),
            block_public_policy: set.block_public_policy.unwrap_or(false),
            restrict_public_buckets: set.restrict_public_buckets.unwrap_or(false),
        },
    })
}
