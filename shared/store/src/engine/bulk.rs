//! Lane-wide work on an engine without persistent maps: copying and clearing by walking the keys, in one transaction,
//! so that nobody ever sees half of it.

use super::{RawEntry, Source};
use crate::error::StoreError;
use crate::scope::RawKey;

/// How many records are looked at before they are written.
const PAGE: usize = 1_000;

/// The records of the spaces that `chosen` names by lane and space bytes, page by page.
fn each_page(
    source: &mut Source<'_>,
    chosen: &dyn Fn(&[u8], &[u8]) -> bool,
    mut work: impl FnMut(&mut Source<'_>, &[RawEntry]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for space in source.spaces()? {
        if !chosen(space.lane(), space.space()) {
            continue;
        }
        let mut after = space.bytes.clone();
        loop {
            let mut page = source.entries_after(Some(&after), PAGE)?;
            let read = page.len();
            page.retain(|entry| entry.key.lane() == space.lane() && entry.key.space() == space.space());
            if let Some(last) = page.last() {
                after = last.key.bytes.clone();
            }
            work(source, &page)?;
            if page.len() < read || read < PAGE {
                break;
            }
        }
    }
    Ok(())
}

/// Removes every record of the chosen spaces.
pub(crate) fn clear(source: &mut Source<'_>, chosen: &dyn Fn(&[u8], &[u8]) -> bool) -> Result<(), StoreError> {
    each_page(source, chosen, |source, page| page.iter().try_for_each(|entry| source.delete(&entry.key)))
}

/// Makes lane `to` (bytes with the ending zero) what lane `from` is.
pub(crate) fn copy_lane(source: &mut Source<'_>, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
    clear(source, &|lane, _| lane == to)?;
    each_page(source, &|lane, _| lane == from, |source, page| {
        page.iter().try_for_each(|entry| {
            let whole = [to, entry.key.after_lane()].concat();
            let key = RawKey::parse(&whole).ok_or_else(|| StoreError::engine("store", "a key of no known form"))?;
            source.put(&key, &entry.value, entry.expires_at)
        })
    })
}
