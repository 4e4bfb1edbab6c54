//! Inventories of objects and versions, and of annotations: a row for each that is there. A file has all rows of a range of keys,
//! and is written anew from the bucket itself when a key of its range has changed: so it says what is there, whatever came to be
//! known of how it came about, and a change costs no more than its range.

use std::collections::BTreeSet;
use std::time::Duration;

use fractus_s3_columns::iceberg::Listed;
use fractus_s3_columns::table::{DataFile, Value};
use fractus_store::{Order, Range, Scope, Snapshot};

use crate::error::Result;
use crate::metadata::changes;
use crate::metadata::publish::{At, Change};
use crate::metadata::{CHANGES, Kept, Kind, LAST_CHANGES, rows};
use crate::operations::annotations::{ANNOTATIONS, PAYLOADS};
use crate::store::OBJECTS;
use crate::versions::{VERSIONS, rank};

/// How often changes are looked for. AWS shows them within an hour.
pub const EVERY: Duration = Duration::from_secs(900);
/// What one look takes, and from how many rows or bytes of texts on a file ends with its key.
const AT_ONCE: usize = 500;
const ROWS_OF_FILE: usize = 10_000;
const BYTES_OF_FILE: usize = 16 << 20;

/// What rows are of. Each has files of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Series {
    Objects,
    Versions,
    Annotations,
}

impl Series {
    const fn name(self) -> &'static str {
        match self {
            Series::Objects => "objects",
            Series::Versions => "versions",
            Series::Annotations => "annotations",
        }
    }

    const fn of(kind: Kind) -> &'static [Series] {
        match kind {
            Kind::Annotation => &[Series::Annotations],
            _ => &[Series::Objects, Series::Versions],
        }
    }
}

/// Where a look goes on: behind a key, and within it where it has several entries.
#[derive(Clone, Debug, Default)]
struct Position {
    key: String,
    number: u64,
    name: String,
    is_begun: bool,
}

/// Brings a table up to date, or fills it.
pub async fn refresh(at: At<'_>, kept: &mut Kept, always: bool) -> Result<()> {
    let source = kept.source_id;
    let last = at.s3.store.read(|snapshot| last_change(snapshot, at.scope, source)).await?.max(kept.cursor);
    let is_due = !kept.filled || always || at.now >= kept.modified_at.plus(EVERY);
    if !is_due || (kept.filled && last == kept.cursor) {
        return Ok(());
    }
    let mut change = Change::default();
    for series in Series::of(kept.kind) {
        let files = files_of(kept, *series);
        let dirty = if kept.filled { dirty(at, kept, &files).await? } else { BTreeSet::from([0]) };
        for index in dirty {
            let (from, to) = range(&files, index);
            scan(at, kept, *series, (&from, to.as_deref()), &mut change).await?;
            change.removed.extend(index.checked_sub(1).and_then(|own| files.get(own)).map(|file| file.path.clone()));
        }
    }
    (kept.cursor, kept.filled) = (last, true);
    at.commit(kept, change, |_| Ok(())).await
}

/// The number of a bucket's last change.
fn last_change(snapshot: &Snapshot<'_>, scope: &Scope, source: u64) -> Result<u64> {
    if let Some(last) = snapshot.get(&LAST_CHANGES, scope, &(source,))? {
        return Ok(last);
    }
    // Nothing is written down any more.
    let newest = snapshot.first(&CHANGES, scope, Range::prefix(&(source,)), Order::Descending)?;
    Ok(newest.map_or(0, |((_, number), _)| number))
}

/// The files of a series, by where their ranges begin.
fn files_of(kept: &Kept, series: Series) -> Vec<Listed> {
    let mut files: Vec<_> = kept.table.files.iter().filter(|file| file.series == series.name()).cloned().collect();
    files.sort_by(|left, right| left.bound.cmp(&right.bound));
    files
}

/// Which range a key is in: zero is what comes before the first file.
fn index(files: &[Listed], key: &str) -> usize {
    files.partition_point(|file| file.bound.as_str() <= key)
}

/// A range's first key, and the one that is behind it.
fn range(files: &[Listed], index: usize) -> (String, Option<String>) {
    let from = index.checked_sub(1).and_then(|own| files.get(own)).map(|file| file.bound.clone()).unwrap_or_default();
    (from, files.get(index).map(|file| file.bound.clone()))
}

/// The ranges in which keys have changed.
async fn dirty(at: At<'_>, kept: &Kept, files: &[Listed]) -> Result<BTreeSet<usize>> {
    let (source, mut cursor) = (kept.source_id, kept.cursor);
    let mut dirty = BTreeSet::new();
    loop {
        let page = at.s3.store.read(|snapshot| changes::after(snapshot, at.scope, source, cursor, AT_ONCE)).await?;
        let Some((last, _)) = page.last() else { return Ok(dirty) };
        cursor = *last;
        dirty.extend(page.iter().map(|(_, change)| index(files, &change.key)));
    }
}

/// Writes files of all that is in a range of keys now.
async fn scan(
    at: At<'_>,
    kept: &mut Kept,
    series: Series,
    (from, to): (&str, Option<&str>),
    change: &mut Change,
) -> Result<()> {
    let mut position = Position { key: from.to_owned(), ..Position::default() };
    let fields = rows::fields(kept.kind);
    // The first file of a range has all of it that comes before its first key, too.
    let (mut file, mut bytes, mut bound, mut last_key) = (DataFile::new(fields), 0, from.to_owned(), String::new());
    loop {
        let (source, name) = (kept.source_id, kept.source.as_str());
        let page = at.s3.store.read(|snapshot| page(snapshot, at.scope, series, (source, name), &position)).await?;
        let Some((last, _)) = page.last() else { break };
        position = last.clone();
        let mut is_over = false;
        for (found, row) in page {
            if to.is_some_and(|to| found.key.as_str() >= to) {
                is_over = true;
                break;
            }
            let Some(row) = row else { continue };
            if (file.rows() >= ROWS_OF_FILE || bytes >= BYTES_OF_FILE) && found.key != last_key {
                let full = std::mem::replace(&mut file, DataFile::new(fields));
                change.added.push(at.data(kept, full, series.name(), &bound).await?);
                (bytes, bound) = (0, found.key.clone());
            }
            bytes += row.iter().map(weight).sum::<usize>();
            file.row(row);
            last_key = found.key;
        }
        if is_over {
            break;
        }
    }
    if file.rows() > 0 {
        change.added.push(at.data(kept, file, series.name(), &bound).await?);
    }
    Ok(())
}

fn weight(value: &Value) -> usize {
    if let Value::Text(text) = value { text.len() } else { 8 }
}

type Found = (Position, Option<Vec<Value>>);

/// A page of a series behind a position: entries that are shown, and those that are passed over.
fn page(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    series: Series,
    (id, bucket): (u64, &str),
    after: &Position,
) -> Result<Vec<Found>> {
    match series {
        Series::Objects => objects(snapshot, scope, (id, bucket), after),
        Series::Versions => versions(snapshot, scope, (id, bucket), after),
        Series::Annotations => annotations(snapshot, scope, (id, bucket), after),
    }
}

fn at_key(key: String, number: u64, name: String) -> Position {
    Position { key, number, name, is_begun: true }
}

fn objects(snapshot: &Snapshot<'_>, scope: &Scope, (id, bucket): (u64, &str), after: &Position) -> Result<Vec<Found>> {
    let from = (id, after.key.as_str());
    let all = Range::prefix(&(id,));
    let range = if after.is_begun { all.after(&from) } else { all.from(&from) };
    let found = snapshot.range(&OBJECTS, scope, range, Order::Ascending)?.take(AT_ONCE);
    found
        .map(|entry| {
            let ((_, key), object) = entry?;
            let (version, at) = (object.version_id.as_deref(), object.last_modified);
            let row = rows::of_version(bucket, &key, object.sequencer, version, Some(&object), at);
            Ok((at_key(key, 0, String::new()), Some(row)))
        })
        .collect()
}

fn versions(snapshot: &Snapshot<'_>, scope: &Scope, (id, bucket): (u64, &str), after: &Position) -> Result<Vec<Found>> {
    let all = Range::prefix(&(id,));
    let range = if after.is_begun {
        all.after(&(id, after.key.as_str(), after.number))
    } else {
        all.from(&(id, after.key.as_str()))
    };
    let found = snapshot.range(&VERSIONS, scope, range, Order::Ascending)?.take(AT_ONCE);
    found
        .map(|entry| {
            let ((_, key, number), version) = entry?;
            let (own, object) = (version.id.as_deref(), version.object.as_deref());
            let row = rows::of_version(bucket, &key, u64::MAX - number, own, object, version.last_modified);
            Ok((at_key(key, number, String::new()), Some(row)))
        })
        .collect()
}

fn annotations(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (id, bucket): (u64, &str),
    after: &Position,
) -> Result<Vec<Found>> {
    let all = Range::prefix(&(id,));
    let range = if after.is_begun {
        all.after(&(id, after.key.as_str(), after.number, after.name.as_str()))
    } else {
        all.from(&(id, after.key.as_str()))
    };
    // Payloads are up to a mebibyte each.
    let found = snapshot.range(&ANNOTATIONS, scope, range, Order::Ascending)?.take(AT_ONCE / 20);
    let mut page = Vec::new();
    for entry in found {
        let ((_, key, number, name), annotation) = entry?;
        // What a version that has gone leaves behind is not shown.
        let current = snapshot.get(&OBJECTS, scope, &(id, key.as_str()))?;
        let object = match current.filter(|object| object.sequencer == number) {
            Some(object) => Some(object),
            None => snapshot
                .get(&VERSIONS, scope, &(id, key.as_str(), rank(number)))?
                .and_then(|version| version.object.map(|object| *object)),
        };
        let row = match object {
            None => None,
            Some(object) => {
                let payload = snapshot.get(&PAYLOADS, scope, &(id, key.as_str(), number, name.as_str()))?;
                let payload = payload.unwrap_or_default();
                Some(rows::of_annotation(bucket, &key, &object, (&name, &annotation), &payload))
            }
        };
        page.push((at_key(key, number, name), row));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(bounds: &[&str]) -> Vec<Listed> {
        let of = |bound: &&str| Listed {
            path: (*bound).into(),
            rows: 1,
            bytes: 1,
            series: "objects".into(),
            bound: (*bound).into(),
            snapshot: 0,
            sequence: 0,
            statistics: Default::default(),
        };
        bounds.iter().map(of).collect()
    }

    /// Every key is in one range, and what is before the first file is one, too.
    #[test]
    fn ranges_cover_all_keys() {
        let files = files(&["b", "d"]);
        assert_eq!(["", "a", "b", "c", "d", "z"].map(|key| index(&files, key)), [0, 0, 1, 1, 2, 2]);
        assert_eq!(range(&files, 0), (String::new(), Some("b".into())));
        assert_eq!(range(&files, 1), ("b".into(), Some("d".into())));
        assert_eq!(range(&files, 2), ("d".into(), None));
        assert_eq!(range(&[], 0), (String::new(), None));
    }
}
