//! Once a minute of the lane's clock: tables that are due are made, and those that there are brought up to date.

use std::time::Duration;

use fractus_aws::World;
use fractus_clock::Timestamp;
use fractus_store::{Order, Range, Scope};

use crate::error::{Error, Result};
use crate::metadata::configured::{self, FILLED_WITHIN, MADE_WITHIN, Metadata, Wanted};
use crate::metadata::publish::{self, At};
use crate::metadata::{Kept, Kind, LAST_CHANGES, Place, TABLES_OF, changes, inventory, journal};
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};

/// How often tables are looked at. AWS says of journals that they are near real time.
const EVERY: Duration = Duration::from_secs(60);
/// Changes that one transaction lets go of.
const FORGOTTEN_AT_ONCE: usize = 1_000;

/// The tables of one bucket.
pub struct Work<'a> {
    pub s3: &'a S3,
    pub world: &'a World,
    pub scope: &'a Scope,
    pub bucket: &'a str,
    pub bucket_id: u64,
    pub now: Timestamp,
}

/// What a bucket has, and where its changes go to.
struct Found {
    configured: Option<(Bucket, Metadata)>,
    known: Vec<(u64, Place)>,
}

impl Work<'_> {
    /// Does what is due; says when to look again, and never where there is nothing more to do.
    pub async fn run(&self) -> Result<Option<Timestamp>> {
        match self.refresh().await {
            Ok(next) => Ok(next),
            Err(Error::Store(error)) => Err(Error::Store(error)),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(error = cause, bucket = self.bucket, "metadata tables could not be brought up to date");
                Ok(Some(self.now.plus(EVERY)))
            }
        }
    }

    async fn find(&self) -> Result<Found> {
        let found = self.s3.store.read(|snapshot| {
            let bucket = snapshot.get(&BUCKETS, self.scope, &(self.bucket,))?.filter(|own| own.id == self.bucket_id);
            let configured = match bucket {
                Some(bucket) => configured::read(snapshot, self.scope, &bucket)?.map(|metadata| (bucket, metadata)),
                None => None,
            };
            let known = snapshot.range(&TABLES_OF, self.scope, Range::prefix(&(self.bucket_id,)), Order::Ascending)?;
            let known = known.map(|entry| entry.map(|((_, kind), place)| (kind, place)));
            Ok::<_, Error>(Found { configured, known: known.collect::<std::result::Result<_, _>>()? })
        });
        found.await
    }

    async fn refresh(&self) -> Result<Option<Timestamp>> {
        let Found { mut configured, known } = self.find().await?;
        let mut wanted = match &mut configured {
            Some((bucket, metadata)) => metadata.wanted(bucket),
            None => Vec::new(),
        };
        wanted.retain(|wanted| wanted.table.failed.is_none());
        let mut next = self.now.plus(EVERY);
        let mut floor = u64::MAX;
        for kind in Kind::ALL {
            let wanted = wanted.iter().find(|wanted| wanted.kind == kind);
            let known = known.iter().find(|(number, _)| *number == kind as u64).map(|(_, place)| place);
            if let Some(wanted) = wanted {
                for due in [MADE_WITHIN, FILLED_WITHIN].map(|within| wanted.table.since.plus(within)) {
                    if due > self.now {
                        next = next.min(due);
                    }
                }
                if self.now < wanted.table.since.plus(MADE_WITHIN) {
                    if kind == Kind::Journal {
                        floor = 0;
                    }
                    continue;
                }
            }
            let shown = self.table(kind, wanted, known).await?;
            floor = floor.min(shown);
        }
        while self.forget(floor).await? {}
        if wanted.is_empty() {
            while self.forget(u64::MAX).await? {}
            let over =
                self.s3.store.write(|tx| Ok::<_, Error>(tx.delete(&LAST_CHANGES, self.scope, &(self.bucket_id,))?));
            over.await?;
            return Ok(None);
        }
        Ok(Some(next))
    }

    async fn forget(&self, floor: u64) -> Result<bool> {
        let (scope, id) = (self.scope, self.bucket_id);
        self.s3.store.write(|tx| changes::forget(tx, scope, id, floor, FORGOTTEN_AT_ONCE)).await
    }

    /// Makes a table or brings it up to date; gives the last change that it needs no more.
    async fn table(&self, kind: Kind, wanted: Option<&Wanted<'_>>, known: Option<&Place>) -> Result<u64> {
        let Some(place) = wanted.map(|wanted| &wanted.place).or(known) else { return Ok(u64::MAX) };
        let at = At { s3: self.s3, world: self.world, scope: self.scope, place, now: self.now };
        let found = publish::read(self.s3, self.scope, place).await?;
        let mut kept = match (found, wanted) {
            (Some(kept), _) => kept,
            (None, Some(wanted)) => self.create(&at, wanted).await?,
            (None, None) => return self.unlink(kind).await.map(|()| u64::MAX),
        };
        let is_wanted = wanted.is_some_and(|wanted| wanted.table.id == kept.id);
        at.clean(&mut kept).await?;
        let is_filled = kind == Kind::Journal
            || kept.filled
            || wanted.is_some_and(|wanted| is_wanted && self.now >= wanted.table.since.plus(FILLED_WITHIN));
        if is_filled && kind == Kind::Journal {
            journal::refresh(at, &mut kept, wanted.and_then(|wanted| wanted.days)).await?;
        } else if is_filled {
            // What goes out of use shows everything up to then.
            inventory::refresh(at, &mut kept, !is_wanted).await?;
        }
        if !is_wanted {
            return self.unlink(kind).await.map(|()| u64::MAX);
        }
        Ok(match kind {
            Kind::Journal => kept.sealed,
            _ if kept.filled => kept.cursor,
            _ => u64::MAX,
        })
    }

    async fn create(&self, at: &At<'_>, wanted: &Wanted<'_>) -> Result<Kept> {
        let (id, source) = (wanted.table.id.clone(), (self.bucket, self.bucket_id));
        let (kept, files) = Kept::new(id, wanted.kind, source, wanted.table.kms_key.clone(), self.now);
        let linked = (self.bucket_id, wanted.kind as u64);
        self.s3.store.write(|tx| Ok::<_, Error>(tx.put(&TABLES_OF, self.scope, &linked, &wanted.place)?)).await?;
        at.create(&kept, files).await?;
        Ok(kept)
    }

    async fn unlink(&self, kind: Kind) -> Result<()> {
        let linked = (self.bucket_id, kind as u64);
        self.s3.store.write(|tx| Ok(tx.delete(&TABLES_OF, self.scope, &linked)?)).await
    }
}
