//! Configurations of which a bucket may have many, each with an id: analytics, inventory, metrics, intelligent tiering.

use fractus_clock::Timestamp;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_wire::{Failure, Shape};

use crate::analytics::first_due;
use crate::configurations::{self, Kind, Of, of};
use crate::error::{Error, Result};
use crate::inventory::next_due;
use crate::operations::buckets::{decode_token, encode_token};
use crate::schedule::{self, Job};
use crate::service::S3;
use crate::store::Bucket;
use crate::watch;

/// The most configurations of a kind on a bucket, and on a page.
const MAX_CONFIGURATIONS: usize = 1_000;
const PAGE: usize = 100;

fn check_id(asked: &str, given: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if asked.is_empty() || asked.len() > 64 || !asked.bytes().all(allowed) || asked != given {
        let message = "The specified configuration ID is not valid.";
        return Err(Error::Other(Box::new(Failure::new("InvalidConfigurationId", 400, message))));
    }
    Ok(())
}

/// Keeps one; a further one only below the limit.
async fn put(
    s3: &S3,
    cx: &Context,
    of: Of<'_>,
    kind: Kind,
    id: &str,
    shape: &(dyn Shape + Sync),
    due: Option<(Job, Timestamp)>,
) -> Result<()> {
    configurations::change(s3, cx, of, |tx, scope, bucket: &mut Bucket| {
        let is_new = configurations::text(tx, scope, bucket, kind, id)?.is_none();
        if is_new && configurations::count(tx, scope, bucket, kind, MAX_CONFIGURATIONS)? >= MAX_CONFIGURATIONS {
            let message = "You are attempting to create a new configuration but have already reached the 1,000-configuration limit.";
            return Err(Error::Other(Box::new(Failure::new("TooManyConfigurations", 400, message))));
        }
        if let Some((job, due)) = due {
            schedule::set(tx, scope, bucket, job, id, due)?;
        }
        configurations::set(tx, scope, bucket, kind, id, shape)?;
        if is_watched(kind) { watch::mark(tx, scope, bucket) } else { Ok(()) }
    })
    .await?;
    if is_watched(kind) {
        s3.schedule.watches_now();
    }
    if due.is_some() {
        s3.schedule.wake();
    }
    Ok(())
}

fn not_there(bucket: &str) -> Error {
    crate::operations::missing("NoSuchConfiguration", "The specified configuration does not exist.", bucket)
}

async fn get<T: Shape + Default>(s3: &S3, cx: &Context, of: Of<'_>, kind: Kind, id: &str) -> Result<T> {
    configurations::get(s3, cx, of, kind, id).await?.ok_or_else(|| not_there(of.bucket))
}

async fn delete(s3: &S3, cx: &Context, of: Of<'_>, kind: Kind, id: &str) -> Result<()> {
    if !configurations::delete(s3, cx, of, kind, id).await? {
        return Err(not_there(of.bucket));
    }
    if is_watched(kind) {
        configurations::change(s3, cx, of, |tx, scope, bucket| watch::mark(tx, scope, bucket)).await?;
    }
    Ok(())
}

/// Whether requests are looked at for configurations of a kind.
fn is_watched(kind: Kind) -> bool {
    matches!(kind, Kind::Metrics | Kind::Analytics)
}

/// A page, and the token of the next.
async fn list<T: Shape + Default>(
    s3: &S3,
    cx: &Context,
    of: Of<'_>,
    kind: Kind,
    token: Option<&str>,
) -> Result<(Vec<T>, Option<String>)> {
    let after = token.map(decode_token).transpose()?;
    let (found, more) = configurations::list(s3, cx, of, kind, after.as_deref(), PAGE).await?;
    let next = found.last().filter(|_| more).map(|(id, _)| encode_token(id));
    Ok((found.into_iter().map(|(_, shape)| shape).collect(), next))
}

/// An operation's input and output by its marker.
macro_rules! paste_input {
    ($operation:ident) => {
        <api::$operation as fractus_wire::Operation>::Input
    };
}
macro_rules! paste_output {
    ($operation:ident) => {
        <api::$operation as fractus_wire::Operation>::Output
    };
}

/// The four operations of a kind: put, get, delete, list.
macro_rules! operations_of {
    ($module:ident, $kind:expr, $configuration:ident, $check:expr, $due:expr,
     $put:ident, $get:ident, $delete:ident, $list:ident, $member:ident, $members:ident) => {
        pub mod $module {
            use super::*;

            const KIND: Kind = $kind;

            pub async fn put(s3: &S3, cx: &Context, input: paste_input!($put)) -> Result<paste_output!($put)> {
                check_id(&input.id, &input.$member.id)?;
                let check: fn(&api::$configuration) -> Result<()> = $check;
                check(&input.$member)?;
                let due: fn(&api::$configuration, Timestamp) -> Option<(Job, Timestamp)> = $due;
                let due = due(&input.$member, cx.now());
                super::put(s3, cx, of!(input), KIND, &input.id, &input.$member, due).await?;
                Ok(Default::default())
            }

            pub async fn get(s3: &S3, cx: &Context, input: paste_input!($get)) -> Result<paste_output!($get)> {
                let found = super::get(s3, cx, of!(input), KIND, &input.id).await?;
                let mut output = <paste_output!($get)>::default();
                output.$member = Some(found);
                Ok(output)
            }

            pub async fn delete(s3: &S3, cx: &Context, input: paste_input!($delete)) -> Result<paste_output!($delete)> {
                super::delete(s3, cx, of!(input), KIND, &input.id).await?;
                Ok(Default::default())
            }

            pub async fn list(s3: &S3, cx: &Context, input: paste_input!($list)) -> Result<paste_output!($list)> {
                let token = input.continuation_token.as_deref();
                let (found, next) = super::list(s3, cx, of!(input), KIND, token).await?;
                let mut output = <paste_output!($list)>::default();
                output.is_truncated = Some(next.is_some());
                output.next_continuation_token = next;
                output.continuation_token = input.continuation_token;
                output.$members = Some(found);
                Ok(output)
            }
        }
    };
}

fn check_inventory(inventory: &api::InventoryConfiguration) -> Result<()> {
    let destination = &inventory.destination.s3_bucket_destination;
    if !destination.bucket.starts_with("arn:") || !destination.bucket.contains(":s3:::") {
        let message = "Invalid destination bucket ARN";
        return Err(Error::Other(Box::new(Failure::new("InvalidS3DestinationBucket", 400, message))));
    }
    let unknown = matches!(destination.format, api::InventoryFormat::Unknown(_))
        || matches!(inventory.schedule.frequency, api::InventoryFrequency::Unknown(_))
        || matches!(inventory.included_object_versions, api::InventoryIncludedObjectVersions::Unknown(_))
        || inventory.optional_fields.iter().flatten().any(|f| matches!(f, api::InventoryOptionalField::Unknown(_)));
    if unknown {
        return Err(Error::MalformedXml);
    }
    Ok(())
}

/// A filter is one part, or an And of several.
fn check_filter(parts: &[bool], within: Option<usize>) -> Result<()> {
    let said = parts.iter().filter(|part| **part).count() + usize::from(within.is_some());
    if said != 1 || within.is_some_and(|within| within < 2) { Err(Error::MalformedXml) } else { Ok(()) }
}

fn check_metrics(metrics: &api::MetricsConfiguration) -> Result<()> {
    let Some(filter) = &metrics.filter else { return Ok(()) };
    let parts = [filter.prefix.is_some(), filter.tag.is_some(), filter.access_point_arn.is_some()];
    let within = filter.and.as_ref().map(|and| {
        let tags = and.tags.as_ref().map_or(0, Vec::len);
        usize::from(and.prefix.is_some()) + usize::from(and.access_point_arn.is_some()) + tags
    });
    check_filter(&parts, within)
}

fn check_analytics(analytics: &api::AnalyticsConfiguration) -> Result<()> {
    if let Some(filter) = &analytics.filter {
        let within =
            filter.and.as_ref().map(|and| usize::from(and.prefix.is_some()) + and.tags.as_ref().map_or(0, Vec::len));
        check_filter(&[filter.prefix.is_some(), filter.tag.is_some()], within)?;
    }
    let export = analytics.storage_class_analysis.data_export.as_ref();
    let Some(export) = export else { return Ok(()) };
    let bucket = &export.destination.s3_bucket_destination.bucket;
    if bucket.starts_with("arn:") && bucket.contains(":s3:::") {
        return Ok(());
    }
    let failure = Failure::new("InvalidS3DestinationBucket", 400, "Invalid destination bucket ARN");
    Err(Error::Other(Box::new(failure)))
}

/// Objects wait at least so long before they go to an archive tier.
fn check_tiering(tiering: &api::IntelligentTieringConfiguration) -> Result<()> {
    if tiering.tierings.is_empty() || matches!(tiering.status, api::IntelligentTieringStatus::Unknown(_)) {
        return Err(Error::MalformedXml);
    }
    let twice =
        |at: usize| tiering.tierings[..at].iter().any(|tier| tier.access_tier == tiering.tierings[at].access_tier);
    if (0..tiering.tierings.len()).any(twice) {
        return Err(Error::MalformedXml);
    }
    let within = |tier: &api::Tiering| match tier.access_tier {
        api::IntelligentTieringAccessTier::ArchiveAccess => (90..=730).contains(&tier.days),
        api::IntelligentTieringAccessTier::DeepArchiveAccess => (180..=730).contains(&tier.days),
        api::IntelligentTieringAccessTier::Unknown(_) => false,
    };
    match tiering.tierings.iter().find(|tier| !within(tier)) {
        Some(tier) if matches!(tier.access_tier, api::IntelligentTieringAccessTier::Unknown(_)) => {
            Err(Error::MalformedXml)
        }
        Some(tier) => Err(Error::invalid_argument(
            "Days",
            tier.days.to_string(),
            "The number of days for the access tier is outside of its limits",
        )),
        None => Ok(()),
    }
}

operations_of!(
    analytics,
    Kind::Analytics,
    AnalyticsConfiguration,
    check_analytics,
    |analytics, now| first_due(analytics, now).map(|due| (Job::Analytics, due)),
    PutBucketAnalyticsConfiguration,
    GetBucketAnalyticsConfiguration,
    DeleteBucketAnalyticsConfiguration,
    ListBucketAnalyticsConfigurations,
    analytics_configuration,
    analytics_configuration_list
);
operations_of!(
    inventory,
    Kind::Inventory,
    InventoryConfiguration,
    check_inventory,
    |inventory, now| Some((Job::Inventory, next_due(&inventory.schedule.frequency, now))),
    PutBucketInventoryConfiguration,
    GetBucketInventoryConfiguration,
    DeleteBucketInventoryConfiguration,
    ListBucketInventoryConfigurations,
    inventory_configuration,
    inventory_configuration_list
);
operations_of!(
    metrics,
    Kind::Metrics,
    MetricsConfiguration,
    check_metrics,
    |_, _| None,
    PutBucketMetricsConfiguration,
    GetBucketMetricsConfiguration,
    DeleteBucketMetricsConfiguration,
    ListBucketMetricsConfigurations,
    metrics_configuration,
    metrics_configuration_list
);
operations_of!(
    tiering,
    Kind::IntelligentTiering,
    IntelligentTieringConfiguration,
    check_tiering,
    |_, _| None,
    PutBucketIntelligentTieringConfiguration,
    GetBucketIntelligentTieringConfiguration,
    DeleteBucketIntelligentTieringConfiguration,
    ListBucketIntelligentTieringConfigurations,
    intelligent_tiering_configuration,
    intelligent_tiering_configuration_list
);
