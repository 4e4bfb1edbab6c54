//! Whether a bucket lets S3 write into it what it reports of others: access logs, inventories, storage class analysis, Storage
//! Lens. The writer is one of S3's own services, and the bucket's policy lets it in or does not; asked where policies are enforced.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html#grant-log-delivery-permissions-general>
//! and <https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html#example-bucket-policies-s3-inventory-1>
//! and <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_permissions.html>

use fractus_aws::{AccountId, Arn, Region, World};
use fractus_bus::contracts::Source;
use fractus_clock::Timestamp;
use fractus_host::Destination;
use fractus_s3_api as api;
use fractus_store::Scope;

use crate::configurations::{self, Kind};
use crate::error::{Error, Result};
use crate::permissions::bucket_acl;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Inventories and storage class analysis.
    Reports,
    AccessLogs,
    StorageLens,
}

/// What is reported of: a bucket, or what a dashboard is about.
pub struct About {
    arn: Arn,
    account: AccountId,
}

impl About {
    pub fn bucket(world: &World, bucket: &Bucket) -> About {
        About { arn: Arn::new(world.partition, "s3", "", "", bucket.name.clone()), account: account_of(bucket) }
    }

    pub fn dashboard(world: &World, account: &str, region: &str, id: &str) -> About {
        let arn = Arn::new(world.partition, "s3", region, account, format!("storage-lens/{id}"));
        About { arn, account: AccountId::new(account).unwrap_or_else(|_| AccountId::default_account()) }
    }
}

fn account_of(bucket: &Bucket) -> AccountId {
    AccountId::new(&bucket.account).unwrap_or_else(|_| AccountId::default_account())
}

impl Writer {
    fn principal(self) -> &'static str {
        match self {
            Writer::Reports => "s3.amazonaws.com",
            Writer::AccessLogs => "logging.s3.amazonaws.com",
            Writer::StorageLens => "storage-lens.s3.amazonaws.com",
        }
    }
}

/// Refuses what may not be written at `key` of the bucket `to`. That there is no such bucket is for
/// whoever writes to find out.
pub async fn check(
    s3: &S3,
    (world, scope): (&World, &Scope),
    writer: Writer,
    about: About,
    (to, key): (&str, &str),
    now: Timestamp,
) -> Result<()> {
    let found = s3.store.read(|snapshot| {
        let Some(bucket) = snapshot.get(&BUCKETS, scope, &(to,))? else { return Ok(None) };
        let policy = configurations::text(snapshot, scope, &bucket, Kind::Policy, "")?;
        let has_lists =
            configurations::ownership(snapshot, scope, &bucket)? != api::ObjectOwnership::BucketOwnerEnforced;
        let by_list =
            writer == Writer::AccessLogs && has_lists && bucket_acl(snapshot, scope, &bucket)?.lets_logs_be_delivered();
        Ok::<_, Error>(Some((bucket, policy, by_list)))
    });
    let Some((bucket, policy, by_list)) = found.await? else { return Ok(()) };
    if by_list {
        return Ok(());
    }
    let source =
        Source { principal: writer.principal().to_owned(), arn: Some(about.arn), account: about.account, role: None };
    let to = Destination {
        arn: &Arn::new(world.partition, "s3", "", "", format!("{to}/{key}")).to_string(),
        account: &account_of(&bucket),
        region: &Region::new(&bucket.region).unwrap_or_else(|_| Region::us_east_1()),
        policy: policy.as_deref(),
        action: "s3:PutObject",
    };
    s3.host.check_delivery(&source, &to, now).map_err(|message| Error::other("AccessDenied", 403, message))
}
