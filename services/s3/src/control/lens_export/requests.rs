//! Requests are counted as they are answered, for accounts with a configuration that reports them: by bucket, day, storage
//! class, and prefix where prefixes are wanted. The counts are in the store, so that a restart loses none, and go when
//! they have been reported.

use fractus_clock::Timestamp;
use fractus_s3control_api as api;
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use super::activity::{Activity, Count};
use super::counts::UNCLASSED;
use super::output::Destinations;
use super::prefixes;
use super::wanted::Categories;
use crate::directory;
use crate::error::{Error, Result};
use crate::metrics::Request;
use crate::service::S3;
use crate::store::{Bucket, Object};

/// Configurations for which requests are counted: (account, region, id).
pub const WATCHES: Collection<(String, String, String), Watch> = Collection::new("control.lens-watches");
/// Counts: (bucket id, day since 1970, prefix, storage class). The prefix of the whole bucket is empty.
pub const ACTIVITY: Collection<(u64, u64, String, String), Activity> = Collection::new("control.lens-activity");
/// Objects that were read on a day: (bucket id, day, key).
pub const ACCESSED: Collection<(u64, u64, String), ()> = Collection::new("control.lens-accessed");
/// How much there is of both: (bucket id, day).
pub const TALLIES: Collection<(u64, u64), Tally> = Collection::new("control.lens-tallies");

/// The most records of prefixes, and of objects that were read, on a day of a bucket. What comes after them is in the
/// bucket's counts alone.
const MAX_PLACES: u64 = 100_000;
const MAX_ACCESSED: u64 = 100_000;
/// How long counts wait to be reported.
pub const DAYS_KEPT: u64 = 8;
const REMOVED_AT_ONCE: usize = 500;

/// What one configuration wants counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    pub prefixes: Option<prefixes::Wanted>,
    pub accessed: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    places: u64,
    accessed: u64,
}

impl Watch {
    /// Nothing where a configuration reports no requests, or reports to nobody.
    pub fn of(configuration: &api::StorageLensConfiguration) -> Option<Watch> {
        let level = &configuration.account_level;
        let (account, bucket) = (Categories::of_account(level), Categories::of_bucket(&level.bucket_level));
        if !Destinations::of(configuration).any() || !(account.count_requests() || bucket.count_requests()) {
            return None;
        }
        let prefixes = prefixes::Wanted::of(configuration).filter(|_| bucket.count_requests());
        Some(Watch { prefixes, accessed: account.performance || bucket.performance })
    }
}

/// Sets or clears what a configuration wants counted; says whether anything is.
pub fn watch(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    place: (&str, &str, &str),
    configuration: Option<&api::StorageLensConfiguration>,
) -> Result<bool> {
    match configuration.and_then(Watch::of) {
        Some(watch) => tx.put(&WATCHES, scope, &place, &watch).map(|()| true),
        None => tx.delete(&WATCHES, scope, &place).map(|()| false),
    }
    .map_err(Error::from)
}

/// What all configurations of an account want of a bucket's requests.
#[derive(Clone, Debug)]
pub struct Wanted {
    prefixes: Vec<prefixes::Wanted>,
    accessed: bool,
}

/// What a request is about.
pub struct About<'a> {
    pub bucket: u64,
    /// Empty where it is about the bucket.
    pub key: &'a str,
    pub object: Option<&'a Object>,
}

impl Wanted {
    /// Nothing where nobody counts. Storage Lens is of general purpose buckets alone.
    pub fn of(snapshot: &Snapshot<'_>, scope: &Scope, bucket: &Bucket) -> Result<Option<Wanted>> {
        if directory::is_directory(&bucket.name) {
            return Ok(None);
        }
        let range = Range::prefix(&(bucket.account.as_str(),));
        let mut wanted: Option<Wanted> = None;
        for entry in snapshot.range(&WATCHES, scope, range, Order::Ascending)? {
            let (_, watch) = entry?;
            let wanted = wanted.get_or_insert(Wanted { prefixes: Vec::new(), accessed: false });
            wanted.accessed |= watch.accessed;
            if let Some(new) = watch.prefixes {
                match wanted.prefixes.iter_mut().find(|known| known.delimiter == new.delimiter) {
                    Some(known) => known.depth = known.depth.max(new.depth),
                    None => wanted.prefixes.push(new),
                }
            }
        }
        Ok(wanted)
    }

    /// Where a request is counted.
    pub fn places(&self, about: &About<'_>, now: Timestamp) -> Places {
        let below = self.prefixes.iter().flat_map(|wanted| wanted.of_key(about.key));
        Places {
            bucket: about.bucket,
            day: day(now),
            class: about.object.map_or(UNCLASSED, Object::storage_class).to_owned(),
            prefixes: std::iter::once("").chain(below).map(str::to_owned).collect(),
        }
    }
}

pub fn day(at: Timestamp) -> u64 {
    u64::try_from(at.secs().div_euclid(86_400)).unwrap_or(0)
}

/// Where one request is counted.
#[derive(Clone, Debug)]
pub struct Places {
    bucket: u64,
    day: u64,
    class: String,
    prefixes: Vec<String>,
}

impl Places {
    pub fn add(&self, tx: &mut Transaction<'_>, scope: &Scope, activity: &Activity) -> Result<()> {
        let mut tally: Option<Tally> = None;
        for prefix in &self.prefixes {
            let place = (self.bucket, self.day, prefix.as_str(), self.class.as_str());
            let mut sum = match tx.get(&ACTIVITY, scope, &place)? {
                Some(sum) => sum,
                None => {
                    let known = match tally {
                        Some(tally) => tally,
                        None => tx.get(&TALLIES, scope, &(self.bucket, self.day))?.unwrap_or_default(),
                    };
                    // Those of the whole bucket always have room.
                    if known.places >= MAX_PLACES && !prefix.is_empty() {
                        continue;
                    }
                    tally = Some(Tally { places: known.places + 1, ..known });
                    Activity::default()
                }
            };
            sum.merge(activity);
            tx.put(&ACTIVITY, scope, &place, &sum)?;
        }
        if let Some(tally) = tally {
            tx.put(&TALLIES, scope, &(self.bucket, self.day), &tally)?;
        }
        Ok(())
    }

    /// Whether this is the day's first read of an object.
    fn is_first_read(&self, tx: &mut Transaction<'_>, scope: &Scope, key: &str) -> Result<bool> {
        let place = (self.bucket, self.day, key);
        if tx.contains(&ACCESSED, scope, &place)? {
            return Ok(false);
        }
        let tally = tx.get(&TALLIES, scope, &(self.bucket, self.day))?.unwrap_or_default();
        if tally.accessed >= MAX_ACCESSED {
            return Ok(false);
        }
        tx.put(&ACCESSED, scope, &place, &())?;
        tx.put(&TALLIES, scope, &(self.bucket, self.day), &Tally { accessed: tally.accessed + 1, ..tally })?;
        Ok(true)
    }
}

/// Counts a request.
pub fn count(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    wanted: &Wanted,
    about: &About<'_>,
    request: &Request,
    now: Timestamp,
) -> Result<()> {
    let mut activity = Activity::of(request);
    let places = wanted.places(about, now);
    let reads = matches!(request.operation, "GetObject" | "SelectObjectContent") && request.status < 300;
    if wanted.accessed && reads && about.object.is_some() && places.is_first_read(tx, scope, about.key)? {
        activity.add(Count::ObjectsAccessed, 1);
    }
    places.add(tx, scope, &activity)
}

/// The counts of a day below a prefix, by storage class.
pub fn counted(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (bucket, day, prefix): (u64, u64, &str),
) -> Result<Vec<(String, Activity)>> {
    let found = snapshot.range(&ACTIVITY, scope, Range::prefix(&(bucket, day, prefix)), Order::Ascending)?;
    found.map(|entry| entry.map(|((.., class), activity)| (class, activity)).map_err(Error::from)).collect()
}

/// Drops the counts of days that nobody will report any more.
pub async fn sweep(s3: &S3, scope: &Scope, now: Timestamp) -> Result<()> {
    let today = day(now);
    let old = s3.store.read(|snapshot| {
        let watched = snapshot.keys(&WATCHES, scope, Range::all(), Order::Ascending)?.next().is_some();
        let mut old = Vec::new();
        for key in snapshot.keys(&TALLIES, scope, Range::all(), Order::Ascending)? {
            let (bucket, day) = key?;
            if !watched || day.saturating_add(DAYS_KEPT) < today {
                old.push((bucket, day));
            }
        }
        Ok::<_, Error>(old)
    });
    for place in old.await? {
        while !remove_some(s3, scope, place).await? {}
    }
    Ok(())
}

/// Removes some records of a day, and the tally with the last; says whether that is done.
async fn remove_some(s3: &S3, scope: &Scope, place: (u64, u64)) -> Result<bool> {
    s3.store
        .write(|tx| {
            let counts = tx.keys(&ACTIVITY, scope, Range::prefix(&place), Order::Ascending)?;
            let counts: Vec<_> = counts.take(REMOVED_AT_ONCE).collect::<std::result::Result<_, _>>()?;
            let reads = tx.keys(&ACCESSED, scope, Range::prefix(&place), Order::Ascending)?;
            let reads: Vec<_> = reads.take(REMOVED_AT_ONCE).collect::<std::result::Result<_, _>>()?;
            for (bucket, day, prefix, class) in &counts {
                tx.delete(&ACTIVITY, scope, &(*bucket, *day, prefix.as_str(), class.as_str()))?;
            }
            for (bucket, day, key) in &reads {
                tx.delete(&ACCESSED, scope, &(*bucket, *day, key.as_str()))?;
            }
            let is_done = counts.len() < REMOVED_AT_ONCE && reads.len() < REMOVED_AT_ONCE;
            if is_done {
                tx.delete(&TALLIES, scope, &place)?;
            }
            Ok::<_, Error>(is_done)
        })
        .await
}
