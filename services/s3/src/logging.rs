//! Server access logs: a line for each request to a bucket that is logged, gathered and put as objects into the target
//! bucket by the lane's clock.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html>

mod lines;
pub mod lists;
mod operations;
mod own;

use std::time::Duration;

use fractus_aws::World;
use fractus_clock::Timestamp;
use fractus_s3_api as api;
use fractus_store::{Collection, Order, Range, Scope, Transaction};

pub use self::lines::{Answer, Line, copied, line, signature_version};
pub use self::own::{Deleted, deleted, of_lifecycle};
use crate::configurations::{self, Kind};
use crate::error::{Error, Result};
use crate::extras::Wanted;
use crate::metrics;
use crate::report_access::{self, About, Writer};
use crate::schedule::{self, Job, Parcel};
use crate::service::S3;
use crate::store::Bucket;

/// Buckets whose requests are logged, by id.
pub const LOGGED: Collection<(u64,), ()> = Collection::new("logged-buckets");
/// Lines that have not gone out: (bucket id, microseconds, something of its own).
pub const LINES: Collection<(u64, u64, String), String> = Collection::new("log-lines");

/// Lines are gathered so long, by the lane's clock. AWS promises no time; most come within hours.
const GATHERED_FOR: Duration = Duration::from_secs(300);
/// The most lines of one object.
const LINES_AT_ONCE: usize = 10_000;

/// Writes down the lines of a request.
pub async fn record(s3: &S3, scope: &Scope, lines: Vec<Line>, request: &metrics::Request, now: Timestamp) {
    if lines.is_empty() {
        return;
    }
    let lines = lines.into_iter().map(|line| {
        let text = line.text(request);
        (line.bucket, text)
    });
    write(s3, scope, &lines.collect::<Vec<_>>(), now).await;
}

async fn write(s3: &S3, scope: &Scope, lines: &[(Bucket, String)], now: Timestamp) {
    let at = u64::try_from(now.micros()).unwrap_or(0);
    // In the order in which they come, while the clock stands too.
    let ids: Vec<String> = lines.iter().map(|_| s3.schedule.line_id(s3.host.random())).collect();
    let written = s3.store.write(|tx| {
        let mut any = false;
        for ((bucket, line), id) in lines.iter().zip(&ids) {
            any |= keep(tx, scope, bucket, (at, id), line, now)?;
        }
        Ok::<_, Error>(any)
    });
    match written.await {
        Ok(true) => s3.schedule.wake(),
        Ok(false) => {}
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a request could not be logged"),
    }
}

/// Keeps a line until it is delivered; says whether its bucket is still logged.
fn keep(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    bucket: &Bucket,
    (at, id): (u64, &str),
    line: &String,
    now: Timestamp,
) -> Result<bool> {
    if !tx.contains(&LOGGED, scope, &(bucket.id,))? {
        return Ok(false);
    }
    tx.put(&LINES, scope, &(bucket.id, at, id), line)?;
    schedule::set(tx, scope, bucket, Job::Logging, "", now.plus(GATHERED_FOR))?;
    Ok(true)
}

/// Where a log object goes, by the prefix's form.
fn log_key(enabled: &api::LoggingEnabled, bucket: &Bucket, now: Timestamp, unique: &str) -> String {
    let date = now.date_time();
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap_or_default();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let time = format!("{}-{}-{}", part(11..13), part(14..16), part(17..19));
    let prefix = &enabled.target_prefix;
    let partitioned = enabled.target_object_key_format.as_ref().and_then(|format| format.partitioned_prefix.as_ref());
    let Some(partitioned) = partitioned else {
        return format!("{prefix}{year}-{month}-{day}-{time}-{unique}");
    };
    // By the time of events, all lines of an object are of one day, and the time of day says nothing.
    let by_event = partitioned.partition_date_source == Some(api::PartitionDateSource::EventTime);
    let time = if by_event { "00-00-00".to_owned() } else { time };
    let (account, region, name) = (&bucket.account, &bucket.region, &bucket.name);
    format!("{prefix}{account}/{region}/{name}/{year}/{month}/{day}/{year}-{month}-{day}-{time}-{unique}")
}

/// Who beside the target's owner may read log objects, as grant headers say it.
fn wanted(enabled: &api::LoggingEnabled) -> Wanted {
    let by = |permission: &api::BucketLogsPermission| {
        let grants =
            enabled.target_grants.iter().flatten().filter(|grant| grant.permission.as_ref() == Some(permission));
        let named = grants.filter_map(|grant| grant.grantee.as_ref()).filter_map(|grantee| {
            let id = grantee.id.as_ref().map(|id| format!("id=\"{id}\""));
            id.or(grantee.uri.as_ref().map(|uri| format!("uri=\"{uri}\"")))
        });
        let text = named.collect::<Vec<_>>().join(", ");
        (!text.is_empty()).then_some(text)
    };
    Wanted {
        full_control: by(&api::BucketLogsPermission::FullControl),
        read: by(&api::BucketLogsPermission::Read),
        ..Wanted::default()
    }
}

/// Puts the lines that were gathered into the target bucket.
pub async fn deliver(s3: &S3, world: &World, scope: &Scope, bucket: &Bucket, now: Timestamp) -> Result<()> {
    loop {
        let page = s3.store.read(|snapshot| {
            let status = configurations::read::<api::BucketLoggingStatus>(snapshot, scope, bucket, Kind::Logging)?;
            let range = Range::prefix(&(bucket.id,));
            let found = snapshot.range(&LINES, scope, range, Order::Ascending)?.take(LINES_AT_ONCE);
            let lines = found.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<_>>>()?;
            Ok::<_, Error>((status.into_set().and_then(|status| status.logging_enabled), lines))
        });
        let (enabled, lines) = page.await?;
        let Some(((_, first, _), _)) = lines.first() else { return Ok(()) };
        let event_day = day_of(*first);
        let by_event = enabled.as_ref().is_some_and(is_by_event);
        let count = lines.iter().take_while(|((_, at, _), _)| !by_event || day_of(*at) == event_day).count();
        if let Some(enabled) = enabled {
            let mut content = String::new();
            for (_, line) in &lines[..count] {
                content.push_str(line);
                content.push('\n');
            }
            let at = if by_event { Timestamp::from_millis(event_day * 86_400_000) } else { now };
            let unique = format!("{:016X}", s3.host.random().u64());
            let parcel = Parcel {
                bucket: &enabled.target_bucket,
                key: log_key(&enabled, bucket, at, &unique),
                content_type: "text/plain",
                content: content.into_bytes(),
                wanted: wanted(&enabled),
            };
            let place = (parcel.bucket, parcel.key.as_str());
            match report_access::check(s3, (world, scope), Writer::AccessLogs, About::bucket(world, bucket), place, now)
                .await
            {
                Ok(()) => {
                    if !schedule::put_parcel(s3, world, scope, parcel).await? {
                        let name = bucket.name.as_str();
                        tracing::warn!(
                            bucket = name,
                            "the target bucket of access logs has gone; their lines are lost"
                        );
                    }
                }
                Err(Error::Store(error)) => return Err(Error::Store(error)),
                Err(error) => {
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error = cause,
                        bucket = bucket.name,
                        "access logs are not taken; their lines are lost"
                    );
                }
            }
        }
        s3.store
            .write(|tx| {
                for ((_, at, id), _) in &lines[..count] {
                    tx.delete(&LINES, scope, &(bucket.id, *at, id.as_str()))?;
                }
                Ok::<_, Error>(())
            })
            .await?;
    }
}

fn is_by_event(enabled: &api::LoggingEnabled) -> bool {
    let partitioned = enabled.target_object_key_format.as_ref().and_then(|format| format.partitioned_prefix.as_ref());
    partitioned.is_some_and(|prefix| prefix.partition_date_source == Some(api::PartitionDateSource::EventTime))
}

fn day_of(micros: u64) -> i64 {
    i64::try_from(micros / 86_400_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_times_have_the_form_of_logs() {
        let now = Timestamp::parse_date_time("2019-02-06T00:00:38Z").unwrap();
        assert_eq!(lines::log_time(now), "06/Feb/2019:00:00:38 +0000");
        let bucket = Bucket {
            name: "b".into(),
            id: 1,
            account: "000000000000".into(),
            region: "us-east-1".into(),
            created_at: now,
            tags: Vec::new(),
            notifications: Default::default(),
            settings: Default::default(),
        };
        let simple =
            api::LoggingEnabled { target_bucket: "t".into(), target_prefix: "logs/".into(), ..Default::default() };
        assert_eq!(log_key(&simple, &bucket, now, "U"), "logs/2019-02-06-00-00-38-U");
        let partitioned = api::LoggingEnabled {
            target_object_key_format: Some(api::TargetObjectKeyFormat {
                partitioned_prefix: Some(api::PartitionedPrefix {
                    partition_date_source: Some(api::PartitionDateSource::DeliveryTime),
                }),
                ..Default::default()
            }),
            ..simple
        };
        let key = log_key(&partitioned, &bucket, now, "U");
        assert_eq!(key, "logs/000000000000/us-east-1/b/2019/02/06/2019-02-06-00-00-38-U");
    }
}
