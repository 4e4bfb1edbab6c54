//! The daily export of Storage Lens: what lies in the account's buckets, counted at midnight by the lane's clock, and what was
//! asked of them on the day that has ended.
//!
//! [`counting`] goes through a bucket and adds up [`counts`]: of everything, of groups ([`filter`]) and of [`prefixes`]. [`requests`]
//! are counted as they come, as [`activity`]; [`facts`] are a bucket's settings. [`making`] brings together what a configuration
//! has [`wanted`], and [`output`] is where it goes: files, each a [`report`], or tables.

pub mod activity;
mod counting;
mod counts;
mod facts;
mod filter;
mod making;
pub mod output;
mod prefixes;
mod report;
pub mod requests;
pub mod sizes;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{Lane, World};
use fractus_clock::Timestamp;
use fractus_host::Waker;
use fractus_store::{Order, Range, Scope};
use parking_lot::Mutex;

use crate::control::lens::{Due, EXPORTS};
use crate::error::{Error, Result};
use crate::model::lifecycle::midnight_after;
use crate::service::S3;
use crate::worlds;

/// A clock that is moved on by more days than this leaves out the first ones.
const MOST_DAYS: Duration = Duration::from_secs((requests::DAYS_KEPT - 1) * 86_400);

#[derive(Clone, Default)]
pub struct Lens {
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Lens {
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake();
        }
    }
}

pub fn start(s3: &S3) {
    let service = s3.clone();
    let waker = s3.host.background("storage lens", move |lane| {
        let s3 = service.clone();
        async move {
            match round(&s3, &lane).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "Storage Lens could not be exported");
                    None
                }
            }
        }
    });
    *s3.lens.waker.lock() = Some(waker);
}

/// Exports what is due in a lane; gives when the next is.
async fn round(s3: &S3, lane: &Lane) -> Result<Option<Timestamp>> {
    let now = s3.host.clocks().lane(lane.as_str()).now();
    let mut next: Option<Timestamp> = None;
    for world in worlds::holding(s3, lane, EXPORTS.name()).await? {
        let scope = Scope::partition(&world);
        let all = s3.store.read(|snapshot| {
            let found = snapshot.range(&EXPORTS, &scope, Range::all(), Order::Ascending)?;
            found.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<_>>>()
        });
        for ((account, region, id), due) in all.await? {
            let mut at = due.at;
            while at <= now {
                let place = (account.as_str(), region.as_str(), id.as_str());
                let export =
                    Export { s3, world: &world, scope: &scope, account: &account, region: &region, id: &id, at };
                match export.make().await {
                    Ok(()) => {}
                    Err(Error::Store(error)) => return Err(Error::Store(error)),
                    // What its destination refuses today is tried again tomorrow.
                    Err(error) => {
                        let cause = &error as &dyn std::error::Error;
                        tracing::warn!(error = cause, id, "a Storage Lens export could not be made");
                    }
                }
                at = midnight_after(at).max(midnight_after(now.minus(MOST_DAYS)));
                postpone(s3, &scope, place, at).await?;
            }
            next = next.into_iter().chain([at]).min();
        }
    }
    for world in worlds::holding(s3, lane, requests::TALLIES.name()).await? {
        requests::sweep(s3, &Scope::partition(&world), now).await?;
    }
    Ok(next)
}

/// Says when an export is due next, unless it was deleted meanwhile.
async fn postpone(s3: &S3, scope: &Scope, place: (&str, &str, &str), at: Timestamp) -> Result<()> {
    s3.store
        .write(|tx| {
            if tx.contains(&EXPORTS, scope, &place)? {
                tx.put(&EXPORTS, scope, &place, &Due { at })?;
            }
            Ok(())
        })
        .await
}

/// One export of one configuration.
pub struct Export<'a> {
    s3: &'a S3,
    world: &'a World,
    scope: &'a Scope,
    account: &'a str,
    region: &'a str,
    id: &'a str,
    /// The midnight at which the day ended that is reported.
    at: Timestamp,
}
