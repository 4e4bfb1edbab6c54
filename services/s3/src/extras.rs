//! What only some objects have: a list of their own, an encryption other than S3's, retention. Kept apart from what all
//! have, so that a plain object's record stays small.

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_store::{Scope, Snapshot};
use serde::{Deserialize, Serialize};

use crate::configurations::{self, Kind};
use crate::control::outposts::place;
use crate::error::{Error, Result};
use crate::ingest::Keeping;
use crate::keys::{Granted, Need};
use crate::model::acl::{Acl, Given, On};
use crate::model::archive::Restore;
use crate::model::encryption::{self, Asked, CustomerKey, Encryption, KeyHome};
use crate::model::lock::{self, Retention};
use crate::operations::acls::not_supported;
use crate::operations::policy::blocked;
use crate::permissions::canonical_user;
use crate::replication::Status;
use crate::sealing::Secret;
use crate::store::Bucket;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Acl>,
    /// Whose it is, where that is another account than its bucket's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Absent where nobody has ever said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication: Option<Status>,
    /// When an object in intelligent tiering was read last, to the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accessed_at: Option<Timestamp>,
    /// The archive tier of intelligent tiering that was told of last, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier_told: Option<(String, Timestamp)>,
}

impl Extras {
    /// Whether something keeps the object from being removed.
    pub fn is_locked(&self) -> bool {
        self.retention.is_some() || self.legal_hold.is_some()
    }

    /// Whose it is by its list.
    pub fn owner(&self) -> Option<&str> {
        self.acl.as_ref().map(|acl| acl.owner.as_str())
    }

    /// As records keep them: nothing where there is nothing.
    pub fn boxed(self) -> Option<Box<Extras>> {
        (self != Extras::default()).then(|| Box::new(self))
    }
}

/// What a request that writes an object asks for beyond bytes and headers.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub canned_acl: Option<String>,
    pub full_control: Option<String>,
    pub read: Option<String>,
    pub read_acp: Option<String>,
    pub write_acp: Option<String>,
    pub encryption: Asked,
    pub retention: Option<Retention>,
    pub legal_hold: Option<bool>,
    /// Whether the bytes come without a digest that they are held against.
    pub lacks_digest: bool,
    /// What KMS said, where the object is to be kept under one of its keys.
    pub granted: Granted,
    /// How the object is encrypted, where that was settled before its bytes came.
    pub settled: Option<Option<Box<Encryption>>>,
}

/// The [`Wanted`] of an input that writes an object.
macro_rules! wanted {
    ($input:expr, $now:expr) => {{
        let encryption = $crate::model::encryption::Asked {
            algorithm: $input.server_side_encryption.as_ref().map(|name| name.as_str().to_owned()),
            kms_key: $input.ssekms_key_id.clone(),
            bucket_key: $input.bucket_key_enabled,
            context: $input.ssekms_encryption_context.clone(),
            customer: $crate::model::encryption::given_key!($input).check()?,
        };
        encryption.check()?;
        let on = $crate::model::acl::On::Object;
        $crate::model::acl::check_canned($input.acl.as_ref().map(|name| name.as_str()), on)?;
        $crate::extras::Wanted {
            canned_acl: $input.acl.as_ref().map(|name| name.as_str().to_owned()),
            full_control: $input.grant_full_control.clone(),
            read: $input.grant_read.clone(),
            read_acp: $input.grant_read_acp.clone(),
            write_acp: $input.grant_write_acp.clone(),
            encryption,
            retention: $crate::model::lock::given(
                $input.object_lock_mode.as_ref().map(|mode| mode.as_str()),
                $input.object_lock_retain_until_date,
                $crate::model::lock::AskedHold::of_headers(
                    $input.object_lock_event_hold.as_ref().map(|status| status.as_str()),
                    $input.object_lock_event_hold_duration_days,
                    $input.object_lock_event_hold_duration_years,
                )?,
                $now,
            )?,
            legal_hold: $input
                .object_lock_legal_hold_status
                .as_ref()
                .map(|status| *status == ::fractus_s3_api::ObjectLockLegalHoldStatus::On),
            lacks_digest: false,
            granted: $crate::keys::Granted::NotAsked,
            settled: None,
        }
    }};
}
pub(crate) use wanted;

impl Wanted {
    fn acl(&self) -> Given<'_> {
        Given {
            canned: self.canned_acl.as_deref(),
            full_control: self.full_control.as_deref(),
            read: self.read.as_deref(),
            read_acp: self.read_acp.as_deref(),
            write: None,
            write_acp: self.write_acp.as_deref(),
        }
    }

    /// Settles how the object is encrypted, before its bytes come.
    pub fn settle(
        &self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        bucket: &Bucket,
        cx: &Context,
    ) -> Result<Option<Encryption>> {
        if self.encryption.is_nothing() && !bucket.settings.has(Kind::Encryption) {
            return Ok(None);
        }
        self.resolve_encryption(snapshot, scope, bucket, cx)
    }

    /// What an object is sealed with that is encrypted so.
    pub fn secret_of(&self, encryption: Option<&Encryption>) -> Option<&Secret> {
        match encryption.filter(|encryption| encryption.is_sealed())? {
            Encryption::Kms { .. } => self.granted.secret(),
            Encryption::Customer { .. } => self.encryption.customer.as_ref().map(CustomerKey::secret),
        }
    }

    /// Whether an object whose encryption is settled lies sealed.
    pub fn is_sealed(&self) -> bool {
        self.settled.as_ref().and_then(Option::as_deref).is_some_and(Encryption::is_sealed)
    }

    /// How bytes are kept whose encryption is settled: what is sealed already is kept apart from what its record's
    /// transaction seals.
    pub fn keeping<'s>(&self, keeping: Keeping<'s>, cx: &Context) -> Result<Keeping<'s>> {
        let settled = self.settled.as_ref().and_then(Option::as_deref);
        match self.secret_of(settled) {
            None => Ok(keeping),
            secret => Keeping { inline_bytes: 0, ..keeping }.sealed(secret, cx.random()),
        }
    }

    /// Whether neither the request nor the bucket says anything: the way of most objects.
    fn is_plain(&self, bucket: &Bucket) -> bool {
        self.acl().is_nothing()
            && self.encryption.is_nothing()
            && !matches!(self.settled, Some(Some(_)))
            && self.retention.is_none()
            && self.legal_hold.is_none()
            && ![Kind::Encryption, Kind::ObjectLock, Kind::OwnershipControls]
                .into_iter()
                .any(|kind| bucket.settings.has(kind))
    }

    /// What the object gets in this bucket.
    pub fn resolve(
        &self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        bucket: &Bucket,
        cx: &Context,
        now: Timestamp,
    ) -> Result<Option<Box<Extras>>> {
        if self.is_plain(bucket) {
            return Ok(None);
        }
        let locked = bucket.settings.has(Kind::ObjectLock);
        if !locked && (self.retention.is_some() || self.legal_hold.is_some()) {
            return Err(lock::no_lock_configured());
        }
        let retention = match self.retention {
            None if locked => default_retention(snapshot, scope, bucket, now)?,
            given => given,
        };
        let acl = self.resolve_acl(snapshot, scope, bucket, cx)?;
        let is_others = acl.as_ref().is_some_and(|acl| acl.owner != canonical_user(&bucket.account));
        let extras = Extras {
            acl,
            owner_account: is_others.then(|| cx.caller.account.to_string()),
            encryption: self.resolve_encryption(snapshot, scope, bucket, cx)?,
            retention,
            legal_hold: self.legal_hold,
            ..Extras::default()
        };
        if self.lacks_digest && extras.is_locked() {
            return Err(lock::needs_digest("Put Object"));
        }
        Ok(extras.boxed())
    }

    fn resolve_encryption(
        &self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        bucket: &Bucket,
        cx: &Context,
    ) -> Result<Option<Encryption>> {
        if let Some(settled) = &self.settled {
            return Ok(settled.as_deref().cloned());
        }
        let configured =
            configurations::read::<api::ServerSideEncryptionConfiguration>(snapshot, scope, bucket, Kind::Encryption)?
                .into_set();
        let default = configured.as_ref().and_then(|configuration| configuration.rules.first());
        if self.encryption.customer.is_some()
            && encryption::blocks_customer_keys(default)
            && !place::is_kept(&bucket.name)
        {
            return Err(Error::AccessDenied);
        }
        let partition = cx.world.partition.as_str();
        let home = KeyHome { partition, region: &bucket.region, account: &bucket.account };
        let mut found = encryption::resolve(&self.encryption, default, home, cx.random().u64())?;
        if let Some(Encryption::Kms { algorithm, key, bucket_key, context, data_key }) = &mut found {
            let twice = encryption::is_twice(algorithm);
            let need = Need { key: key.clone(), bucket_key: *bucket_key, context: context.clone(), twice };
            *data_key = self.granted.of(need)?;
        }
        Ok(found)
    }

    fn resolve_acl(
        &self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        bucket: &Bucket,
        cx: &Context,
    ) -> Result<Option<Acl>> {
        let bucket_owner = canonical_user(&bucket.account);
        let given = self.acl();
        let ownership = configurations::ownership(snapshot, scope, bucket)?;
        if ownership == api::ObjectOwnership::BucketOwnerEnforced {
            return if given.is_harmless(&bucket_owner) { Ok(None) } else { Err(not_supported()) };
        }
        let writer = canonical_user(cx.caller.account.as_str());
        let gives_up = ownership == api::ObjectOwnership::BucketOwnerPreferred
            && self.canned_acl.as_deref() == Some("bucket-owner-full-control");
        let owner = if gives_up { &bucket_owner } else { &writer };
        let acl = given.list(On::Object, owner, &bucket_owner)?;
        if acl.as_ref().is_some_and(Acl::is_public)
            && configurations::public_access_block(snapshot, scope, bucket)?.block_public_acls
        {
            let what = "public access control lists (ACLs)";
            return Err(blocked(cx, &bucket.name, "s3:PutObject", what, "BlockPublicAcls"));
        }
        // Most objects belong to their bucket's owner, who may do everything: that need not be written down.
        Ok(acl.or_else(|| (*owner != bucket_owner).then(|| Acl::private(owner))))
    }
}

/// The retention that a bucket gives to what is put now.
pub fn default_retention(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    bucket: &Bucket,
    now: Timestamp,
) -> Result<Option<Retention>> {
    let configured = configurations::read::<api::ObjectLockConfiguration>(snapshot, scope, bucket, Kind::ObjectLock)?;
    Ok(configured.into_set().and_then(|configuration| lock::by_default(&configuration, now)))
}
