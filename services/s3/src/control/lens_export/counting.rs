//! Counting what lies in a bucket, a page at a time.

use std::time::Duration;

use fractus_store::{Order, Range};

use super::Export;
use super::counts::{ByClass, Counts, UNCLASSED};
use super::filter::{Group, holds};
use super::prefixes::{Prefixes, Wanted};
use crate::directory;
use crate::error::{Error, Result};
use crate::store::{BUCKETS, Bucket, OBJECTS, OWNED_BUCKETS, Object, PARTS, UPLOADS};
use crate::versions::{VERSIONS, Version};

const AT_ONCE: usize = 500;
/// When an upload that is not complete is told of apart.
const OLD_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// What is counted of one bucket: all of it, each group, and each prefix where those are wanted.
pub struct Counted {
    pub all: ByClass,
    pub groups: Vec<ByClass>,
    pub prefixes: Option<Prefixes>,
}

impl Counted {
    /// Adds what has a key, to the bucket's counts and those of its prefixes.
    fn of_key(&mut self, key: &str, class: &str, add: impl Fn(&mut Counts)) {
        add(self.all.entry(class.to_owned()).or_default());
        if let Some(prefixes) = &mut self.prefixes {
            prefixes.add(key, class, add);
        }
    }
}

impl Export<'_> {
    /// The account's general purpose buckets: Storage Lens is of those alone.
    pub async fn buckets(&self) -> Result<Vec<Bucket>> {
        self.s3
            .store
            .read(|snapshot| {
                let mut found = Vec::new();
                for key in
                    snapshot.keys(&OWNED_BUCKETS, self.scope, Range::prefix(&(self.account,)), Order::Ascending)?
                {
                    let (_, name) = key?;
                    if directory::is_directory(&name) {
                        continue;
                    }
                    found.extend(snapshot.get(&BUCKETS, self.scope, &(name.as_str(),))?);
                }
                Ok(found)
            })
            .await
    }

    pub async fn count(&self, bucket: &Bucket, groups: &[Group], prefixes: Option<&Wanted>) -> Result<Counted> {
        let mut counted = Counted {
            all: ByClass::new(),
            groups: groups.iter().map(|_| ByClass::new()).collect(),
            prefixes: prefixes.cloned().map(Prefixes::new),
        };
        // A bucket that is empty is in the report all the same.
        counted.all.entry(UNCLASSED.to_owned()).or_default();
        let mut after: Option<String> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(bucket.id,));
                if let Some(key) = &after {
                    range = range.after(&(bucket.id, key.as_str()));
                }
                let found = snapshot.range(&OBJECTS, self.scope, range, Order::Ascending)?.take(AT_ONCE);
                found
                    .map(|entry| entry.map(|((_, key), object)| (key, object)).map_err(Error::from))
                    .collect::<Result<Vec<(String, Object)>>>()
            });
            let page = page.await?;
            for (key, object) in &page {
                self.add(&mut counted, groups, key, object, true);
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
        let mut after: Option<(String, u64)> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(bucket.id,));
                if let Some((key, rank)) = &after {
                    range = range.after(&(bucket.id, key.as_str(), *rank));
                }
                let found = snapshot.range(&VERSIONS, self.scope, range, Order::Ascending)?.take(AT_ONCE);
                let all = found.map(|entry| entry.map(|((_, key, rank), version)| (key, rank, version)));
                all.map(|entry| entry.map_err(Error::from)).collect::<Result<Vec<(String, u64, Version)>>>()
            });
            let page = page.await?;
            for (key, _, version) in &page {
                match &version.object {
                    Some(object) => self.add(&mut counted, groups, key, object, false),
                    None => counted.of_key(key, UNCLASSED, |counts| counts.add_marker(key)),
                }
            }
            match page.into_iter().next_back() {
                Some((key, rank, _)) => after = Some((key, rank)),
                None => break,
            }
        }
        self.count_uploads(bucket, &mut counted).await?;
        Ok(counted)
    }

    fn add(&self, counted: &mut Counted, groups: &[Group], key: &str, object: &Object, is_current: bool) {
        let class = object.storage_class();
        counted.of_key(key, class, |counts| counts.add(object, is_current));
        for (group, by_class) in groups.iter().zip(&mut counted.groups) {
            if holds(&group.filter, key, object, self.at) {
                by_class.entry(class.to_owned()).or_default().add(object, is_current);
            }
        }
    }

    async fn count_uploads(&self, bucket: &Bucket, counted: &mut Counted) -> Result<()> {
        let mut after: Option<(String, String)> = None;
        loop {
            let page = self.s3.store.read(|snapshot| {
                let mut range = Range::prefix(&(bucket.id,));
                if let Some((key, id)) = &after {
                    range = range.after(&(bucket.id, key.as_str(), id.as_str()));
                }
                let mut found = Vec::new();
                for entry in snapshot.range(&UPLOADS, self.scope, range, Order::Ascending)?.take(AT_ONCE) {
                    let ((_, key, id), upload) = entry?;
                    let mut bytes = 0;
                    for part in snapshot.range(&PARTS, self.scope, Range::prefix(&(id.as_str(),)), Order::Ascending)? {
                        bytes += part?.1.size;
                    }
                    found.push((key, id, upload, bytes));
                }
                Ok::<_, Error>(found)
            });
            let page = page.await?;
            for (key, _, upload, bytes) in &page {
                let class = upload.storage_class.as_deref().unwrap_or(UNCLASSED);
                let is_old = self.at.since(upload.initiated_at) > OLD_AFTER;
                counted.of_key(key, class, |counts| counts.add_upload(*bytes, is_old));
            }
            match page.into_iter().next_back() {
                Some((key, id, ..)) => after = Some((key, id)),
                None => return Ok(()),
            }
        }
    }
}
