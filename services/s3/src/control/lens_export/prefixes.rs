//! Metrics of prefixes: of those that hold a share of their bucket's bytes, down to a depth.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_basics_metrics_recommendations.html>

use std::collections::BTreeMap;

use fractus_s3control_api as api;
use serde::{Deserialize, Serialize};

use super::counts::{self, ByClass, Counts};

/// How deep prefixes go, and how deep where nothing is said.
const MAX_DEPTH: i32 = 10;
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
    /// What a bucket's level asks for, if it asks for prefixes.
    pub fn of(level: &api::BucketLevel) -> Option<Wanted> {
        let asked = &level.prefix_level.as_ref()?.storage_metrics;
        if asked.is_enabled != Some(true) {
            return None;
        }
        let criteria = asked.selection_criteria.clone().unwrap_or_default();
        Some(Wanted {
            delimiter: criteria.delimiter.filter(|delimiter| !delimiter.is_empty()).unwrap_or_else(|| "/".to_owned()),
            depth: usize::try_from(criteria.max_depth.unwrap_or(MAX_DEPTH)).unwrap_or(0),
            min_percentage: criteria.min_storage_bytes_percentage.unwrap_or(MIN_PERCENTAGE),
        })
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

    /// Those that hold their share of the bucket's bytes.
    pub fn finish(self, bucket_bytes: u64) -> Vec<(String, ByClass)> {
        let least = bucket_bytes as f64 * self.wanted.min_percentage / 100.0;
        self.counted.into_iter().filter(|(_, by_class)| counts::bytes(by_class) as f64 >= least).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_below_prefixes_down_to_a_depth() {
        let mut level = api::BucketLevel::default();
        assert_eq!(Wanted::of(&level), None);
        let criteria =
            api::SelectionCriteria { delimiter: None, max_depth: Some(2), min_storage_bytes_percentage: None };
        let storage_metrics =
            api::PrefixLevelStorageMetrics { is_enabled: Some(true), selection_criteria: Some(criteria) };
        level.prefix_level = Some(api::PrefixLevel { storage_metrics });
        let wanted = Wanted::of(&level).unwrap();
        let of = |key| wanted.of_key(key).collect::<Vec<_>>();
        assert_eq!(of("a/b/c/d"), ["a/", "a/b/"]);
        assert_eq!(of("a"), Vec::<&str>::new());
        assert_eq!(of("//x"), ["/", "//"]);
    }
}
