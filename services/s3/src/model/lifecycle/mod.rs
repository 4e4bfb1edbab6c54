//! Lifecycle rules: which are valid, what they are about, and when they are due.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>

mod check;

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_s3_api as api;

pub use check::check;

const DAY_SECS: i64 = 86_400;
/// Smaller objects stay where they are unless a rule names sizes, or the configuration leaves it to the storage class.
const MIN_TRANSITION_BYTES: u64 = 128 * 1024;

/// Which objects are too small to be moved.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Least {
    /// 128 KiB, for every class.
    #[default]
    AllClasses,
    /// 128 KiB but for the archives, which take all.
    ByClass,
}

/// What a rule is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    prefix: String,
    tags: Vec<(String, String)>,
    larger_than: Option<u64>,
    smaller_than: Option<u64>,
}

/// An object as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub key: &'a str,
    pub tags: &'a [(String, String)],
    pub size: u64,
}

impl Scope {
    fn of(rule: &api::LifecycleRule) -> Self {
        let Some(filter) = &rule.filter else {
            return Scope { prefix: rule.prefix.clone().unwrap_or_default(), ..Scope::default() };
        };
        let bytes = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let tag = |tag: &api::Tag| (tag.key.clone(), tag.value.clone());
        match &filter.and {
            Some(and) => Scope {
                prefix: and.prefix.clone().unwrap_or_default(),
                tags: and.tags.iter().flatten().map(tag).collect(),
                larger_than: bytes(and.object_size_greater_than),
                smaller_than: bytes(and.object_size_less_than),
            },
            None => Scope {
                prefix: filter.prefix.clone().unwrap_or_default(),
                tags: filter.tag.iter().map(tag).collect(),
                larger_than: bytes(filter.object_size_greater_than),
                smaller_than: bytes(filter.object_size_less_than),
            },
        }
    }

    fn names_sizes(&self) -> bool {
        self.larger_than.is_some() || self.smaller_than.is_some()
    }

    pub fn takes(&self, subject: &Subject<'_>) -> bool {
        subject.key.starts_with(&self.prefix)
            && self.tags.iter().all(|tag| subject.tags.contains(tag))
            && self.larger_than.is_none_or(|bytes| subject.size > bytes)
            && self.smaller_than.is_none_or(|bytes| subject.size < bytes)
    }
}

/// When something is due, counted from its own beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Days(i32),
    On(Timestamp),
}

impl When {
    /// Days end with the UTC day in which they run out.
    pub fn due(self, since: Timestamp) -> Timestamp {
        match self {
            When::On(date) => date,
            When::Days(days) => midnight_after(since.plus(Duration::from_secs(DAY_SECS as u64 * days.max(0) as u64))),
        }
    }
}

/// The first midnight (UTC) after a moment.
pub fn midnight_after(moment: Timestamp) -> Timestamp {
    let day = moment.secs().div_euclid(DAY_SECS) + 1;
    Timestamp::from_millis(day * DAY_SECS * 1_000)
}

/// A rule that is on, as the engine uses it.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: String,
    pub scope: Scope,
    least: Least,
    pub expires: Option<When>,
    pub removes_lone_markers: bool,
    pub noncurrent_days: Option<(i32, usize)>,
    pub transitions: Vec<(When, String)>,
    pub noncurrent_transitions: Vec<(i32, usize, String)>,
    pub abort_days: Option<i32>,
}

impl Rule {
    /// Whether the rule moves an object of this size to a class at all.
    fn moves(&self, bytes: u64, class: &str) -> bool {
        let archives = self.least == Least::ByClass && matches!(class, "GLACIER" | "DEEP_ARCHIVE");
        bytes >= MIN_TRANSITION_BYTES || self.scope.names_sizes() || archives
    }
}

fn when(days: Option<i32>, date: Option<Timestamp>) -> Option<When> {
    days.map(When::Days).or(date.map(When::On))
}

/// The rules of a configuration that are on.
pub fn rules(configuration: &api::BucketLifecycleConfiguration, least: Least) -> Vec<Rule> {
    let on = configuration.rules.iter().filter(|rule| rule.status == api::ExpirationStatus::Enabled);
    let kept = |newer: Option<i32>| usize::try_from(newer.unwrap_or(0)).unwrap_or(0);
    let class = |class: &Option<api::TransitionStorageClass>| {
        class.as_ref().map_or_else(|| "STANDARD".to_owned(), |class| class.as_str().to_owned())
    };
    on.map(|rule| Rule {
        id: rule.id.clone().unwrap_or_default(),
        scope: Scope::of(rule),
        least,
        expires: rule.expiration.as_ref().and_then(|expiration| when(expiration.days, expiration.date)),
        removes_lone_markers: rule.expiration.as_ref().is_some_and(|expiration| {
            expiration.expired_object_delete_marker == Some(true) || expiration.days.is_some()
        }),
        noncurrent_days: rule
            .noncurrent_version_expiration
            .as_ref()
            .and_then(|old| Some((old.noncurrent_days?, kept(old.newer_noncurrent_versions)))),
        transitions: rule
            .transitions
            .iter()
            .flatten()
            .filter_map(|to| Some((when(to.days, to.date)?, class(&to.storage_class))))
            .collect(),
        noncurrent_transitions: rule
            .noncurrent_version_transitions
            .iter()
            .flatten()
            .map(|to| (to.noncurrent_days.unwrap_or(0), kept(to.newer_noncurrent_versions), class(&to.storage_class)))
            .collect(),
        abort_days: rule.abort_incomplete_multipart_upload.as_ref().and_then(|abort| abort.days_after_initiation),
    })
    .collect()
}

/// When an object expires, and by which rule: the earliest wins.
pub fn expiry<'r>(rules: &'r [Rule], subject: &Subject<'_>, since: Timestamp) -> Option<(Timestamp, &'r str)> {
    let due = rules.iter().filter(|rule| rule.scope.takes(subject));
    due.filter_map(|rule| Some((rule.expires?.due(since), rule.id.as_str()))).min_by_key(|(at, _)| *at)
}

/// How far down a storage class is; objects only go down.
fn depth(class: &str) -> usize {
    const CLASSES: [&str; 7] =
        ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"];
    CLASSES.iter().position(|known| *known == class).unwrap_or(0)
}

/// The deepest of the classes that are due, if it is deeper than the one there is.
fn deepest<'r>(due: impl Iterator<Item = &'r str>, current: &str) -> Option<&'r str> {
    due.max_by_key(|class| depth(class)).filter(|class| depth(class) > depth(current))
}

/// The class that an object should be in by now, if that is not the one it is in.
pub fn transition<'r>(
    rules: &'r [Rule],
    subject: &Subject<'_>,
    current: &str,
    since: Timestamp,
    now: Timestamp,
) -> Option<&'r str> {
    let due = rules
        .iter()
        .filter(|rule| rule.scope.takes(subject))
        .flat_map(|rule| rule.transitions.iter().filter(|(_, class)| rule.moves(subject.size, class)))
        .filter(|(when, _)| when.due(since) <= now)
        .map(|(_, class)| class.as_str());
    deepest(due, current)
}

/// The class that an older version should be in by now. `passed` is how many older versions are newer than it.
pub fn noncurrent_transition<'r>(
    rules: &'r [Rule],
    subject: &Subject<'_>,
    current: &str,
    since: Timestamp,
    passed: usize,
    now: Timestamp,
) -> Option<&'r str> {
    let due = rules
        .iter()
        .filter(|rule| rule.scope.takes(subject))
        .flat_map(|rule| rule.noncurrent_transitions.iter().filter(|(.., class)| rule.moves(subject.size, class)))
        .filter(|(days, kept, _)| passed >= *kept && When::Days(*days).due(since) <= now)
        .map(|(_, _, class)| class.as_str());
    deepest(due, current)
}

/// When an upload that is not completed is aborted, and by which rule.
pub fn abortion<'r>(rules: &'r [Rule], key: &str, since: Timestamp) -> Option<(Timestamp, &'r str)> {
    let subject = Subject { key, tags: &[], size: 0 };
    let due = rules.iter().filter(|rule| rule.scope.takes(&subject));
    due.filter_map(|rule| Some((When::Days(rule.abort_days?).due(since), rule.id.as_str()))).min_by_key(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(filter: api::LifecycleRuleFilter, days: i32) -> api::LifecycleRule {
        api::LifecycleRule {
            id: Some("r".into()),
            filter: Some(filter),
            status: api::ExpirationStatus::Enabled,
            expiration: Some(api::LifecycleExpiration { days: Some(days), ..Default::default() }),
            ..Default::default()
        }
    }

    fn whole(rule: api::LifecycleRule) -> api::BucketLifecycleConfiguration {
        api::BucketLifecycleConfiguration { rules: vec![rule] }
    }

    #[test]
    fn days_end_at_the_midnight_after_them() {
        // AWS's own example: put on 15 January 10:30, three days: 19 January 00:00.
        let put = Timestamp::parse_date_time("2014-01-15T10:30:00Z").unwrap();
        assert_eq!(When::Days(3).due(put).date_time(), "2014-01-19T00:00:00Z");
        let filter = api::LifecycleRuleFilter { prefix: Some("logs/".into()), ..Default::default() };
        let rules = rules(&whole(rule(filter, 3)), Least::default());
        let subject = |key| Subject { key, tags: &[], size: 1 };
        let (at, id) = expiry(&rules, &subject("logs/a"), put).unwrap();
        assert_eq!((at.date_time().as_str(), id), ("2014-01-19T00:00:00Z", "r"));
        assert!(expiry(&rules, &subject("a"), put).is_none());
    }

    #[test]
    fn filters_take_what_all_their_parts_take() {
        let and = api::LifecycleRuleAndOperator {
            prefix: Some("a".into()),
            tags: Some(vec![api::Tag { key: "k".into(), value: "v".into() }]),
            object_size_greater_than: Some(10),
            object_size_less_than: None,
        };
        let filter = api::LifecycleRuleFilter { and: Some(and), ..Default::default() };
        let scope = Scope::of(&rule(filter, 1));
        let tags = [("k".to_owned(), "v".to_owned())];
        assert!(scope.takes(&Subject { key: "ab", tags: &tags, size: 11 }));
        assert!(!scope.takes(&Subject { key: "ab", tags: &tags, size: 10 }));
        assert!(!scope.takes(&Subject { key: "ab", tags: &[], size: 11 }));
        assert!(!scope.takes(&Subject { key: "b", tags: &tags, size: 11 }));
    }

    #[test]
    fn small_objects_stay_unless_the_configuration_says_otherwise() {
        let put = Timestamp::parse_date_time("2014-01-15T10:30:00Z").unwrap();
        let later = Timestamp::parse_date_time("2015-01-15T10:30:00Z").unwrap();
        let to = |class: &str| api::Transition { days: Some(30), storage_class: Some(class.into()), date: None };
        let moved = |least: Least, class: &str, bytes: u64| {
            let rule = api::LifecycleRule { transitions: Some(vec![to(class)]), ..rule(Default::default(), 4000) };
            let subject = Subject { key: "k", tags: &[], size: bytes };
            transition(&rules(&whole(rule), least), &subject, "STANDARD", put, later).is_some()
        };
        assert!(!moved(Least::AllClasses, "GLACIER", 1) && moved(Least::AllClasses, "GLACIER", 128 * 1024));
        assert!(moved(Least::ByClass, "GLACIER", 1) && moved(Least::ByClass, "DEEP_ARCHIVE", 1));
        assert!(!moved(Least::ByClass, "STANDARD_IA", 1) && !moved(Least::ByClass, "GLACIER_IR", 1));
    }
}
