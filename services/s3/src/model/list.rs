//! Listing keys: prefix, delimiter, markers, pages.
//!
//! One walk serves ListObjects (v1 and v2) and ListMultipartUploads. It asks its source for the next key at or after a
//! point and skips a whole common prefix at once, so a page costs what it returns, however many keys lie below.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-prefixes.html>

/// What is listed.
#[derive(Clone, Debug, Default)]
pub struct Listing<'a> {
    pub prefix: &'a str,
    /// Empty means none.
    pub delimiter: &'a str,
    /// Only keys (and common prefixes) after this; empty means from the beginning.
    pub after: &'a str,
    pub max_entries: usize,
}

/// Where the walk looks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From<'a> {
    /// The first key at or after the prefix.
    Start,
    /// The first key after this one.
    After(&'a str),
    /// The first key that does not begin with this and comes after all that do.
    AfterPrefix(&'a str),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Entry<T> {
    Key(String, T),
    CommonPrefix(String),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub entries: Vec<Entry<T>>,
    pub is_truncated: bool,
}

impl<T> Page<T> {
    /// What the next page begins after: the last key or common prefix of a truncated page.
    pub fn next_after(&self) -> Option<&str> {
        match self.entries.last() {
            Some(Entry::Key(text, _) | Entry::CommonPrefix(text)) if self.is_truncated => Some(text),
            _ => None,
        }
    }
}

/// A source of keys in order, all of which begin with the listing's prefix.
pub trait Keys<T, E> {
    /// Points the source at `from`; the following calls of `next` go on from there.
    fn seek(&mut self, from: From<'_>) -> Result<(), E>;
    fn next(&mut self) -> Result<Option<(String, T)>, E>;
}

/// One page of the listing.
pub fn page<T, E>(listing: &Listing<'_>, keys: &mut impl Keys<T, E>) -> Result<Page<T>, E> {
    let mut entries = Vec::new();
    if listing.max_entries == 0 {
        return Ok(Page { entries, is_truncated: false });
    }
    match common_prefix(listing, listing.after) {
        _ if listing.after.is_empty() => keys.seek(From::Start)?,
        // A marker that lies in a common prefix has that prefix behind it, if it was the prefix itself that was listed.
        Some(prefix) if prefix == listing.after => keys.seek(From::AfterPrefix(prefix))?,
        _ => keys.seek(From::After(listing.after))?,
    }
    while let Some((key, value)) = keys.next()? {
        if entries.len() == listing.max_entries {
            return Ok(Page { entries, is_truncated: true });
        }
        match common_prefix(listing, &key) {
            Some(prefix) => {
                let prefix = prefix.to_owned();
                keys.seek(From::AfterPrefix(&prefix))?;
                entries.push(Entry::CommonPrefix(prefix));
            }
            None => entries.push(Entry::Key(key, value)),
        }
    }
    Ok(Page { entries, is_truncated: false })
}

/// The common prefix a key is rolled up into: through the first delimiter after the prefix.
fn common_prefix<'k>(listing: &Listing<'_>, key: &'k str) -> Option<&'k str> {
    if listing.delimiter.is_empty() {
        return None;
    }
    let rest = key.strip_prefix(listing.prefix)?;
    let at = rest.find(listing.delimiter)?;
    key.get(..listing.prefix.len() + at + listing.delimiter.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Keys of a set, and how many were looked at.
    struct Set<'s> {
        keys: &'s BTreeSet<String>,
        prefix: &'s str,
        at: Vec<String>,
        looked_at: usize,
    }

    impl Keys<(), Infallible> for Set<'_> {
        fn seek(&mut self, from: From<'_>) -> Result<(), Infallible> {
            let mut rest: Vec<String> = self
                .keys
                .iter()
                .filter(|key| key.starts_with(self.prefix))
                .filter(|key| match from {
                    From::Start => true,
                    From::After(after) => key.as_str() > after,
                    From::AfterPrefix(prefix) => key.as_str() > prefix && !key.starts_with(prefix),
                })
                .cloned()
                .collect();
            rest.reverse();
            self.at = rest;
            Ok(())
        }

        fn next(&mut self) -> Result<Option<(String, ())>, Infallible> {
            self.looked_at += 1;
            Ok(self.at.pop().map(|key| (key, ())))
        }
    }

    fn walk(keys: &BTreeSet<String>, listing: &Listing<'_>) -> (Page<()>, usize) {
        let mut set = Set { keys, prefix: listing.prefix, at: Vec::new(), looked_at: 0 };
        let page = page(listing, &mut set).unwrap();
        (page, set.looked_at)
    }

    fn texts(page: &Page<()>) -> Vec<String> {
        page.entries
            .iter()
            .map(|entry| match entry {
                Entry::Key(key, ()) => key.clone(),
                Entry::CommonPrefix(prefix) => format!("{prefix}*"),
            })
            .collect()
    }

    #[test]
    fn a_folder_of_many_keys_costs_one_look() {
        let mut keys: BTreeSet<String> = (0..10_000).map(|index| format!("a/{index}")).collect();
        keys.insert("b".into());
        let listing = Listing { delimiter: "/", max_entries: 1000, ..Listing::default() };
        let (page, looked_at) = walk(&keys, &listing);
        assert_eq!(texts(&page), ["a/*", "b"]);
        assert!(looked_at <= 4);
    }

    #[test]
    fn a_marker_inside_a_folder_still_shows_the_folder() {
        let keys: BTreeSet<String> = ["a/1", "a/2", "b"].map(str::to_owned).into();
        let listing = Listing { delimiter: "/", after: "a/1", max_entries: 10, ..Listing::default() };
        assert_eq!(texts(&walk(&keys, &listing).0), ["a/*", "b"]);
        let listing = Listing { after: "a/", ..listing };
        assert_eq!(texts(&walk(&keys, &listing).0), ["b"]);
    }

    proptest! {
        #[test]
        fn pages_together_are_the_whole_listing(
            keys in proptest::collection::btree_set("[ab/]{1,5}", 0..40),
            prefix in "[ab/]{0,2}",
            delimiter in prop_oneof![Just(""), Just("/"), Just("b/")],
            max_entries in 1usize..6,
        ) {
            let whole = Listing { prefix: &prefix, delimiter, after: "", max_entries: 1000 };
            let expected: Vec<String> = {
                let mut seen = BTreeSet::new();
                keys.iter().filter(|key| key.starts_with(&prefix)).filter_map(|key| match common_prefix(&whole, key) {
                    Some(common) => seen.insert(common.to_owned()).then(|| format!("{common}*")),
                    None => Some(key.clone()),
                }).collect()
            };
            prop_assert_eq!(texts(&walk(&keys, &whole).0), expected.clone());
            let (mut after, mut paged) = (String::new(), Vec::new());
            loop {
                let (page, _) = walk(&keys, &Listing { after: &after, max_entries, ..whole.clone() });
                prop_assert!(page.entries.len() <= max_entries);
                paged.extend(texts(&page));
                match page.next_after() {
                    Some(next) => after = next.to_owned(),
                    None => break,
                }
            }
            prop_assert_eq!(paged, expected);
        }
    }
}
