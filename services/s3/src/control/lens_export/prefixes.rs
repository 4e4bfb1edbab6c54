//! Metrics of prefixes: of those that hold a share of their bucket's bytes, down to a depth; or of all of them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_basics_metrics_recommendations.html>

use std::collections::BTreeMap;

use fractus_s3control_api as api;
use serde::{Deserialize, Serialize};

use super::counts::{ByClass, Counts};
use super::output::Destinations;

/// How deep prefixes go, and how deep where nothing is said.
const MAX_DEPTH: i32 = 10;
/// How deep the prefixes of the report of all prefixes go: it is said of AWS's, whose own pages that are at hand do not say.
const EXPANDED_DEPTH: usize = 50;
/// The share in percent that a prefix must hold where nothing is said.
const MIN_PERCENTAGE: f64 = 1.0;
/// How many prefixes of a bucket are counted: what begins after them is in the bucket's metrics alone.
const MAX_PREFIXES: usize = 100_000;

/// Which prefixes a configuration wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    pub delimiter: String,
    pub depth: usize,
    min_percentage: f64,
}

impl Wanted {
    /// The prefixes that a configuration counts: all of them where it reports all of them, and else those of the default report.
    pub fn of(configuration: &api::StorageLensConfiguration) -> Option<Wanted> {
        if Destinations::of(configuration).expanded() {
            let delimiter = delimiter(configuration);
            return Some(Wanted { delimiter, depth: EXPANDED_DEPTH, min_percentage: 0.0 });
        }
        Wanted::by_default(configuration)
    }

    /// The prefixes of the default report, if it has any.
    pub fn by_default(configuration: &api::StorageLensConfiguration) -> Option<Wanted> {
        let asked = prefix_level(configuration)?;
        if asked.is_enabled != Some(true) {
            return None;
        }
        let criteria = asked.selection_criteria.clone().unwrap_or_default();
        Some(Wanted {
            delimiter: delimiter(configuration),
            depth: usize::try_from(criteria.max_depth.unwrap_or(MAX_DEPTH)).unwrap_or(0),
            min_percentage: criteria.min_storage_bytes_percentage.unwrap_or(MIN_PERCENTAGE),
        })
    }

    /// Whether a prefix with so many bytes is one of them.
    pub fn admits(&self, prefix: &str, bytes: u64, bucket_bytes: u64) -> bool {
        let depth = prefix.matches(&self.delimiter).count();
        depth <= self.depth && bytes as f64 >= bucket_bytes as f64 * self.min_percentage / 100.0
    }

    /// The prefixes that a key is below, the shortest first.
    pub fn of_key<'k>(&self, key: &'k str) -> impl Iterator<Item = &'k str> {
        let length = self.delimiter.len();
        let ends: Vec<usize> = key.match_indices(&self.delimiter).take(self.depth).map(|(at, _)| at + length).collect();
        ends.into_iter().map(|end| &key[..end])
    }
}

/// The prefixes of one bucket as they are found.
pub struct Prefixes {
    wanted: Wanted,
    counted: BTreeMap<String, ByClass>,
}

impl Prefixes {
    pub fn new(wanted: Wanted) -> Prefixes {
        Prefixes { wanted, counted: BTreeMap::new() }
    }

    /// Adds what has this key to each prefix that it is below.
    pub fn add(&mut self, key: &str, class: &str, add: impl Fn(&mut Counts)) {
        for prefix in self.wanted.of_key(key) {
            if !self.counted.contains_key(prefix) {
                if self.counted.len() >= MAX_PREFIXES {
                    continue;
                }
                self.counted.insert(prefix.to_owned(), ByClass::new());
            }
            if let Some(by_class) = self.counted.get_mut(prefix) {
                add(by_class.entry(class.to_owned()).or_default());
            }
        }
    }

    pub fn finish(self) -> BTreeMap<String, ByClass> {
        self.counted
    }
}

fn prefix_level(configuration: &api::StorageLensConfiguration) -> Option<&api::PrefixLevelStorageMetrics> {
    Some(&configuration.account_level.bucket_level.prefix_level.as_ref()?.storage_metrics)
}

/// What parts the levels of a key: one place can say so for both reports.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_StorageLensConfiguration.html>
fn delimiter(configuration: &api::StorageLensConfiguration) -> String {
    let criteria = prefix_level(configuration).and_then(|level| level.selection_criteria.as_ref());
    let said = [configuration.prefix_delimiter.as_ref(), criteria.and_then(|criteria| criteria.delimiter.as_ref())];
    let said = said.into_iter().flatten().find(|delimiter| !delimiter.is_empty());
    said.map_or_else(|| "/".to_owned(), String::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_below_prefixes_down_to_a_depth() {
        let mut configuration = api::StorageLensConfiguration { is_enabled: true, ..Default::default() };
        assert_eq!(Wanted::of(&configuration), None);
        let criteria =
            api::SelectionCriteria { delimiter: None, max_depth: Some(2), min_storage_bytes_percentage: None };
        let storage_metrics =
            api::PrefixLevelStorageMetrics { is_enabled: Some(true), selection_criteria: Some(criteria) };
        configuration.account_level.bucket_level.prefix_level = Some(api::PrefixLevel { storage_metrics });
        let wanted = Wanted::of(&configuration).unwrap();
        let of = |key| wanted.of_key(key).collect::<Vec<_>>();
        assert_eq!(of("a/b/c/d"), ["a/", "a/b/"]);
        assert_eq!(of("a"), Vec::<&str>::new());
        assert_eq!(of("//x"), ["/", "//"]);
        assert!(wanted.admits("a/b/", 1, 100) && !wanted.admits("a/b/", 1, 101) && !wanted.admits("a/b/c/", 100, 100));

        let table = api::StorageLensTableDestination { is_enabled: true, encryption: None };
        configuration.expanded_prefixes_data_export = Some(api::StorageLensExpandedPrefixesDataExport {
            storage_lens_table_destination: Some(table),
            s3_bucket_destination: None,
        });
        configuration.prefix_delimiter = Some("-".into());
        let wanted = Wanted::of(&configuration).unwrap();
        assert_eq!(wanted.of_key(&"a-".repeat(60)).count(), 50);
        assert!(wanted.admits("a-b-c-", 0, 100));
        assert_eq!(Wanted::by_default(&configuration).unwrap().depth, 2);
        configuration.is_enabled = false;
        assert_eq!(Wanted::of(&configuration).unwrap().depth, 2);
    }
}
