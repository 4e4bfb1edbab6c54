//! Journals: a row for each change. The newest rows are in one file that is written anew with every commit until it is full or its
//! day is over, so that a journal has few files however often something happens; their changes are kept until then.

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_s3_columns::table::DataFile;

use crate::error::Result;
use crate::metadata::publish::{At, Change};
use crate::metadata::{Kept, changes, rows};

/// The most rows of a file.
const ROWS_OF_FILE: usize = 10_000;
const DAY: Duration = Duration::from_secs(86_400);

fn day(at: Timestamp) -> i64 {
    at.secs().div_euclid(86_400)
}

/// Brings a journal up to date. `days` is how long its records are kept; none: for ever.
pub async fn refresh(at: At<'_>, kept: &mut Kept, days: Option<i32>) -> Result<()> {
    while write(at, kept).await? {}
    let Some(days) = days else { return Ok(()) };
    let expired = expired(kept, days, at.now);
    if expired.is_empty() {
        return Ok(());
    }
    at.commit(kept, Change { added: Vec::new(), removed: expired }, |_| Ok(())).await
}

/// Files whose records have all expired: records of a file are of one day, and the bound of a file is when its last one was.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-expire-journal-table-records.html>
fn expired(kept: &Kept, days: i32, now: Timestamp) -> Vec<String> {
    let until = now.minus(DAY * u32::try_from(days).unwrap_or(0)).secs();
    let files = kept.table.files.iter().filter(|file| Some(&file.path) != kept.open.as_ref());
    let is_over = |bound: &str| bound.parse::<i64>().is_ok_and(|secs| secs < until);
    files.filter(|file| is_over(&file.bound)).map(|file| file.path.clone()).collect()
}

/// Writes the newest file; says whether it is full and others may follow.
async fn write(at: At<'_>, kept: &mut Kept) -> Result<bool> {
    let (source, sealed) = (kept.source_id, kept.sealed);
    let found = at.s3.store.read(|snapshot| changes::after(snapshot, at.scope, source, sealed, ROWS_OF_FILE)).await?;
    let Some((_, first)) = found.first() else { return Ok(false) };
    let of_day = day(first.at);
    let taken = found.iter().take_while(|(_, change)| day(change.at) == of_day).count();
    // Nothing is added to a file that is full, or whose day is over.
    let is_full = taken < found.len() || taken == ROWS_OF_FILE || of_day < day(at.now);
    let Some((last, newest)) = found[..taken].last() else { return Ok(false) };
    if *last == kept.cursor && !is_full {
        return Ok(false);
    }
    let mut file = DataFile::new(rows::fields(kept.kind));
    for (number, change) in &found[..taken] {
        if let Some(row) = rows::of_change(&kept.source, *number, change) {
            file.row(row);
        }
    }
    let mut change = Change::default();
    let is_new = *last != kept.cursor;
    if is_new && file.rows() > 0 {
        let added = at.data(kept, file, "", &newest.at.secs().to_string()).await?;
        change.removed.extend(kept.open.take());
        kept.open = Some(added.path.clone());
        change.added.push(added);
    }
    kept.cursor = *last;
    if is_full {
        (kept.sealed, kept.open) = (*last, None);
    }
    if change.added.is_empty() {
        // Of annotations alone, or a file that stays as it is.
        let (place, scope, kept) = (at.place, at.scope, &*kept);
        at.s3.store.write(|tx| super::publish::write(tx, scope, place, kept)).await?;
    } else {
        at.commit(kept, change, |_| Ok(())).await?;
    }
    Ok(is_full)
}
