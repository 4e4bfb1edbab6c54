//! Which lifecycle configurations S3 takes, and what it says of the others.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>; the messages are those that
//! clients have been told.

use std::collections::{HashMap, HashSet};

use fractus_clock::Timestamp;
use fractus_s3_api as api;

use super::{DAY_SECS, Scope, depth};
use crate::error::{Error, Result};

const MAX_RULES: usize = 1_000;
/// Days before which an object does not go to a class for infrequent access, and which it stays there.
const MIN_INFREQUENT_DAYS: i32 = 30;
/// The largest size that a filter may name: 1,000 TiB.
const MAX_FILTER_BYTES: i64 = 1_099_511_627_776_000;
const MAX_PREFIX_BYTES: usize = 1_024;

fn argument(message: impl Into<String>) -> Error {
    Error::other("InvalidArgument", 400, message)
}

/// Checks a configuration before it is kept.
pub fn check(configuration: &api::BucketLifecycleConfiguration) -> Result<()> {
    if configuration.rules.is_empty() || configuration.rules.len() > MAX_RULES {
        return Err(Error::MalformedXml);
    }
    let mut ids = HashSet::new();
    for rule in &configuration.rules {
        if let Some(id) = rule.id.as_deref().filter(|id| !id.is_empty()) {
            if id.chars().count() > 255 {
                return Err(argument("ID length should not exceed allowed limit of 255"));
            }
            if !ids.insert(id) {
                return Err(argument("Rule ID must be unique. Found same ID for more than one rule"));
            }
        }
        check_shape(rule)?;
        check_filter(rule)?;
        check_expiration(rule)?;
        check_transitions(rule)?;
        check_noncurrent(rule)?;
        check_abortion(rule)?;
    }
    check_forms(&configuration.rules)
}

fn check_shape(rule: &api::LifecycleRule) -> Result<()> {
    if matches!(rule.status, api::ExpirationStatus::Unknown(_)) || rule.filter.is_some() == rule.prefix.is_some() {
        return Err(Error::MalformedXml);
    }
    if actions(rule).is_empty() {
        return Err(Error::invalid_request("At least one action needs to be specified in a rule"));
    }
    Ok(())
}

/// What a rule does, as messages call it.
fn actions(rule: &api::LifecycleRule) -> Vec<&'static str> {
    let some = |transitions: bool, name| transitions.then_some(name);
    [
        some(rule.expiration.is_some(), "Expiration"),
        some(rule.transitions.as_ref().is_some_and(|all| !all.is_empty()), "Transition"),
        some(rule.noncurrent_version_expiration.is_some(), "NoncurrentVersionExpiration"),
        some(
            rule.noncurrent_version_transitions.as_ref().is_some_and(|all| !all.is_empty()),
            "NoncurrentVersionTransition",
        ),
        some(rule.abort_incomplete_multipart_upload.is_some(), "AbortIncompleteMultipartUpload"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How messages name the objects of a rule.
fn described(rule: &api::LifecycleRule) -> String {
    let prefix = Scope::of(rule).prefix;
    if rule.filter.is_some() { format!("filter '(prefix={prefix})'") } else { format!("prefix '{prefix}'") }
}

fn check_filter(rule: &api::LifecycleRule) -> Result<()> {
    let scope = Scope::of(rule);
    if scope.prefix.len() > MAX_PREFIX_BYTES {
        return Err(Error::invalid_request("The maximum size of a prefix is 1024."));
    }
    let Some(filter) = &rule.filter else { return Ok(()) };
    let said = [
        filter.prefix.is_some(),
        filter.tag.is_some(),
        filter.object_size_greater_than.is_some(),
        filter.object_size_less_than.is_some(),
        filter.and.is_some(),
    ];
    if said.iter().filter(|said| **said).count() > 1 {
        return Err(Error::MalformedXml);
    }
    let (mut larger, mut smaller) = (filter.object_size_greater_than, filter.object_size_less_than);
    if let Some(and) = &filter.and {
        let predicates = usize::from(and.prefix.is_some())
            + and.tags.as_ref().map_or(0, Vec::len)
            + usize::from(and.object_size_greater_than.is_some())
            + usize::from(and.object_size_less_than.is_some());
        if predicates < 2 {
            return Err(Error::MalformedXml);
        }
        (larger, smaller) = (and.object_size_greater_than, and.object_size_less_than);
    }
    let mut keys = HashSet::new();
    if !scope.tags.iter().all(|(key, _)| keys.insert(key)) {
        return Err(Error::invalid_request("Duplicate Tag Keys are not allowed."));
    }
    if larger.is_some_and(|bytes| !(0..=MAX_FILTER_BYTES).contains(&bytes)) {
        return Err(Error::invalid_request("'ObjectSizeGreaterThan' should be between 0 and 1099511627776000."));
    }
    if smaller.is_some_and(|bytes| !(1..=MAX_FILTER_BYTES).contains(&bytes)) {
        return Err(Error::invalid_request("'ObjectSizeLessThan' should be between 1 and 1099511627776000."));
    }
    if larger.zip(smaller).is_some_and(|(larger, smaller)| smaller <= larger) {
        let message = "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.";
        return Err(Error::invalid_request(message));
    }
    Ok(())
}

fn is_midnight(date: Timestamp) -> bool {
    date.secs().rem_euclid(DAY_SECS) == 0
}

fn check_expiration(rule: &api::LifecycleRule) -> Result<()> {
    let Some(expiration) = &rule.expiration else { return Ok(()) };
    let said =
        [expiration.days.is_some(), expiration.date.is_some(), expiration.expired_object_delete_marker.is_some()];
    if said.iter().filter(|said| **said).count() != 1 {
        return Err(Error::MalformedXml);
    }
    if expiration.days.is_some_and(|days| days <= 0) {
        return Err(argument("'Days' for Expiration action must be a positive integer"));
    }
    if expiration.date.is_some_and(|date| !is_midnight(date)) {
        return Err(argument("'Date' must be at midnight GMT"));
    }
    let scope = Scope::of(rule);
    if expiration.expired_object_delete_marker.is_some() {
        if !scope.tags.is_empty() {
            return Err(Error::invalid_request("ExpiredObjectDeleteMarker cannot be specified with Tags."));
        }
        if scope.names_sizes() {
            return Err(Error::invalid_request("ExpiredObjectDeleteMarker cannot be specified with Object Size."));
        }
    }
    Ok(())
}

/// A move to a class after days, of current objects or of older versions.
struct Move<'a> {
    class: &'a str,
    days: i32,
}

/// What holds of the moves of a rule together: each to a class of its own, and further down later. What goes to infrequent
/// access comes after a month, and stays for one.
fn check_moves(rule: &api::LifecycleRule, moves: &[Move<'_>], action: &str, field: &str) -> Result<()> {
    for (at, Move { class, days }) in moves.iter().enumerate() {
        if *days < 0 {
            return Err(argument(format!("'{field}' in {action} action must be nonnegative")));
        }
        if is_infrequent(class) && *days < MIN_INFREQUENT_DAYS {
            return Err(argument(format!(
                "'{field}' in {action} action must be greater than or equal to {MIN_INFREQUENT_DAYS} for storageClass '{class}'"
            )));
        }
        if moves[..at].iter().any(|other| other.class == *class) {
            return Err(Error::invalid_request(format!(
                "'StorageClass' must be different for '{action}' actions in same 'Rule' with {}",
                described(rule)
            )));
        }
    }
    for upper in moves {
        for lower in moves.iter().filter(|lower| depth(lower.class) > depth(upper.class)) {
            let least = if is_infrequent(upper.class) { MIN_INFREQUENT_DAYS } else { 1 };
            if lower.days < upper.days.saturating_add(least) {
                let of = described(rule);
                return Err(argument(format!(
                    "'{field}' in the {action} action for StorageClass '{}' for {of} must be {least} days more than '{of}' in the {action} action for StorageClass '{}'",
                    lower.class, upper.class
                )));
            }
        }
    }
    Ok(())
}

fn is_infrequent(class: &str) -> bool {
    matches!(class, "STANDARD_IA" | "ONEZONE_IA")
}

fn class_of(class: Option<&api::TransitionStorageClass>) -> Result<&str> {
    match class {
        Some(class) if !matches!(class, api::TransitionStorageClass::Unknown(_)) => Ok(class.as_str()),
        _ => Err(Error::MalformedXml),
    }
}

fn check_transitions(rule: &api::LifecycleRule) -> Result<()> {
    let all = rule.transitions.as_deref().unwrap_or_default();
    let mut moves = Vec::new();
    for to in all {
        let class = class_of(to.storage_class.as_ref())?;
        if to.days.is_some() == to.date.is_some() {
            return Err(Error::MalformedXml);
        }
        if to.date.is_some_and(|date| !is_midnight(date)) {
            return Err(argument("'Date' must be at midnight GMT"));
        }
        moves.extend(to.days.map(|days| Move { class, days }));
    }
    let mixed = |what: &str| {
        let of = described(rule);
        Error::invalid_request(format!("Found mixed 'Date' and 'Days' based {what} in lifecycle rule for {of}"))
    };
    if !moves.is_empty() && moves.len() < all.len() {
        return Err(mixed("Transition actions"));
    }
    check_moves(rule, &moves, "Transition", "Days")?;
    let Some(expiration) = rule.expiration.as_ref().filter(|_| !all.is_empty()) else { return Ok(()) };
    let by_days = !moves.is_empty();
    if (expiration.days.is_some() && !by_days) || (expiration.date.is_some() && by_days) {
        return Err(mixed("Expiration and Transition actions"));
    }
    let too_early = |field: &str| {
        Err(argument(format!(
            "'{field}' in the Expiration action for {} must be greater than '{field}' in the Transition action",
            described(rule)
        )))
    };
    if expiration.days.is_some_and(|days| moves.iter().any(|to| days <= to.days)) {
        return too_early("Days");
    }
    if expiration.date.is_some_and(|date| all.iter().filter_map(|to| to.date).any(|to| date <= to)) {
        return too_early("Date");
    }
    Ok(())
}

fn check_noncurrent(rule: &api::LifecycleRule) -> Result<()> {
    let mut moves = Vec::new();
    for to in rule.noncurrent_version_transitions.iter().flatten() {
        let class = class_of(to.storage_class.as_ref())?;
        let days = to.noncurrent_days.ok_or(Error::MalformedXml)?;
        check_newer(to.newer_noncurrent_versions, "NoncurrentVersionTransition")?;
        moves.push(Move { class, days });
    }
    check_moves(rule, &moves, "NoncurrentVersionTransition", "NoncurrentDays")?;
    let Some(old) = &rule.noncurrent_version_expiration else { return Ok(()) };
    let days = old.noncurrent_days.ok_or(Error::MalformedXml)?;
    if days <= 0 {
        let message = "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer";
        return Err(argument(message));
    }
    check_newer(old.newer_noncurrent_versions, "NoncurrentVersionExpiration")?;
    if moves.iter().any(|to| days <= to.days) {
        return Err(argument(format!(
            "'NoncurrentDays' in the NoncurrentVersionExpiration action for {} must be greater than 'NoncurrentDays' in the NoncurrentVersionTransition action",
            described(rule)
        )));
    }
    Ok(())
}

fn check_newer(newer: Option<i32>, action: &str) -> Result<()> {
    if newer.is_some_and(|newer| !(1..=100).contains(&newer)) {
        return Err(argument(format!("'NewerNoncurrentVersions' for {action} action must be between 1 and 100")));
    }
    Ok(())
}

fn check_abortion(rule: &api::LifecycleRule) -> Result<()> {
    let Some(abort) = &rule.abort_incomplete_multipart_upload else { return Ok(()) };
    if abort.days_after_initiation.is_none_or(|days| days <= 0) {
        return Err(argument(
            "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
        ));
    }
    let scope = Scope::of(rule);
    if !scope.tags.is_empty() {
        return Err(Error::invalid_request("AbortIncompleteMultipartUpload cannot be specified with Tags."));
    }
    if scope.names_sizes() {
        return Err(Error::invalid_request("AbortIncompleteMultipartUpload cannot be specified with Object Size."));
    }
    Ok(())
}

/// The old form names a prefix in the rule, and the new one a filter: a configuration is in one of them. In the old one, two
/// rules that do the same must not meet.
fn check_forms(rules: &[api::LifecycleRule]) -> Result<()> {
    let is_new = rules.first().is_some_and(|rule| rule.filter.is_some());
    if rules.iter().any(|rule| rule.filter.is_some() != is_new) {
        return Err(Error::invalid_request(if is_new {
            "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter."
        } else {
            "Filter element can only be used in Lifecycle V2."
        }));
    }
    if is_new {
        return Ok(());
    }
    let keeps = |rule: &api::LifecycleRule| {
        let expires = rule.noncurrent_version_expiration.as_ref();
        let mut moves = rule.noncurrent_version_transitions.iter().flatten();
        expires.is_some_and(|old| old.newer_noncurrent_versions.is_some())
            || moves.any(|to| to.newer_noncurrent_versions.is_some())
    };
    if rules.iter().any(keeps) {
        return Err(Error::invalid_request("NewerNoncurrentVersions element can only be used in Lifecycle V2."));
    }
    let mut by_action: HashMap<&str, Vec<&str>> = HashMap::new();
    for rule in rules {
        for action in actions(rule) {
            by_action.entry(action).or_default().push(rule.prefix.as_deref().unwrap_or_default());
        }
    }
    for (action, mut prefixes) in by_action {
        // What begins with another stands behind it, with nothing but what begins with it between.
        prefixes.sort_unstable();
        for pair in prefixes.windows(2) {
            if let [one, other] = pair
                && other.starts_with(one)
            {
                return Err(Error::invalid_request(if one == other {
                    format!("Found two rules with same prefix '{one}' for same action type '{action}'")
                } else {
                    format!("Found overlapping prefixes '{one}' and '{other}' for same action type '{action}'")
                }));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> api::LifecycleRule {
        api::LifecycleRule {
            id: Some("r".into()),
            filter: Some(Default::default()),
            status: api::ExpirationStatus::Enabled,
            ..Default::default()
        }
    }

    fn expires(days: i32) -> Option<api::LifecycleExpiration> {
        Some(api::LifecycleExpiration { days: Some(days), ..Default::default() })
    }

    fn said(rules: Vec<api::LifecycleRule>) -> String {
        let checked = check(&api::BucketLifecycleConfiguration { rules });
        checked.map_or_else(|error| fractus_wire::Failure::from(error).message, |()| "valid".into())
    }

    fn moves(to: &[(i32, &str)]) -> Option<Vec<api::Transition>> {
        let to = to.iter().map(|(days, class)| api::Transition {
            days: Some(*days),
            storage_class: Some((*class).into()),
            date: None,
        });
        Some(to.collect())
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(said(vec![api::LifecycleRule { expiration: expires(1), ..rule() }]), "valid");
        assert!(said(vec![api::LifecycleRule { expiration: expires(0), ..rule() }]).ends_with("positive integer"));
        let both = api::LifecycleRule { prefix: Some(String::new()), expiration: expires(1), ..rule() };
        assert!(said(vec![both]).starts_with("The XML"));
        assert!(said(vec![rule()]).starts_with("At least one action"));
    }

    #[test]
    fn objects_go_down_one_step_after_the_other() {
        let transitions = |to| said(vec![api::LifecycleRule { transitions: moves(to), ..rule() }]);
        assert_eq!(transitions(&[(30, "STANDARD_IA"), (60, "GLACIER"), (61, "DEEP_ARCHIVE")]), "valid");
        assert_eq!(
            transitions(&[(29, "ONEZONE_IA")]),
            "'Days' in Transition action must be greater than or equal to 30 for storageClass 'ONEZONE_IA'"
        );
        assert_eq!(
            transitions(&[(1, "GLACIER"), (2, "GLACIER")]),
            "'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter '(prefix=)'"
        );
        assert!(transitions(&[(30, "STANDARD_IA"), (59, "GLACIER")]).contains("must be 30 days more than"));
        assert!(transitions(&[(9, "GLACIER"), (9, "DEEP_ARCHIVE")]).contains("must be 1 days more than"));
        let unsaid = api::Transition { storage_class: Some("GLACIER".into()), ..Default::default() };
        assert!(said(vec![api::LifecycleRule { transitions: Some(vec![unsaid]), ..rule() }]).starts_with("The XML"));
        let soon = api::LifecycleRule { transitions: moves(&[(9, "GLACIER")]), expiration: expires(9), ..rule() };
        assert!(said(vec![soon]).contains("must be greater than 'Days' in the Transition action"));
    }

    #[test]
    fn the_old_form_takes_no_rules_that_meet() {
        let old = |prefix: &str, id: &str| api::LifecycleRule {
            id: Some(id.into()),
            filter: None,
            prefix: Some(prefix.into()),
            expiration: expires(1),
            ..rule()
        };
        assert_eq!(said(vec![old("a", "1"), old("b", "2")]), "valid");
        assert_eq!(
            said(vec![old("a", "1"), old("", "2")]),
            "Found overlapping prefixes '' and 'a' for same action type 'Expiration'"
        );
        let new = api::LifecycleRule { expiration: expires(1), ..rule() };
        assert_eq!(said(vec![old("a", "1"), new]), "Filter element can only be used in Lifecycle V2.");
    }

    #[test]
    fn filters_are_one_thing_or_two_and_more() {
        let filter = |filter| said(vec![api::LifecycleRule { filter: Some(filter), expiration: expires(1), ..rule() }]);
        let and = |and| filter(api::LifecycleRuleFilter { and: Some(and), ..Default::default() });
        let tag = || api::Tag { key: "k".into(), value: "v".into() };
        let prefix = api::LifecycleRuleAndOperator { prefix: Some("a".into()), ..Default::default() };
        assert!(and(prefix.clone()).starts_with("The XML"));
        assert_eq!(and(api::LifecycleRuleAndOperator { tags: Some(vec![tag()]), ..prefix.clone() }), "valid");
        let twice = api::LifecycleRuleAndOperator { tags: Some(vec![tag(), tag()]), ..prefix.clone() };
        assert_eq!(and(twice), "Duplicate Tag Keys are not allowed.");
        let empty = api::LifecycleRuleAndOperator {
            object_size_greater_than: Some(5),
            object_size_less_than: Some(5),
            ..prefix
        };
        assert!(and(empty).starts_with("'ObjectSizeLessThan' has to be"));
        let nothing = api::LifecycleRuleFilter { object_size_less_than: Some(0), ..Default::default() };
        assert!(filter(nothing).starts_with("'ObjectSizeLessThan' should be between 1"));
    }
}
