//! Replication rules: which configurations are valid, and which objects a rule is about.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html>

use std::collections::HashSet;

use fractus_s3_api as api;

use crate::error::{Error, Result};

const MAX_RULES: usize = 1_000;
const MAX_ID_CHARACTERS: usize = 255;
/// The only threshold there is.
const THRESHOLD_MINUTES: i32 = 15;

/// Checks a configuration before it is kept.
pub fn check(configuration: &api::ReplicationConfiguration) -> Result<()> {
    if configuration.rules.is_empty() {
        return Err(Error::MalformedXml);
    }
    if configuration.rules.len() > MAX_RULES {
        return Err(Error::invalid_request("The replication configuration must have no more than 1000 rules"));
    }
    if !configuration.role.starts_with("arn:") {
        let message = "Invalid Role specified in replication configuration";
        return Err(Error::invalid_argument("Role", configuration.role.clone(), message));
    }
    let (mut ids, mut priorities) = (HashSet::new(), HashSet::new());
    for rule in &configuration.rules {
        if matches!(rule.status, api::ReplicationRuleStatus::Unknown(_)) {
            return Err(Error::MalformedXml);
        }
        if let Some(id) = &rule.id {
            let refused = |message: &str| Err(Error::invalid_argument("ID", id.clone(), message));
            if id.chars().count() > MAX_ID_CHARACTERS {
                return refused("Rule Id cannot be longer than 255 characters");
            }
            if !ids.insert(id.as_str()) {
                return refused("Rule Id must be unique. Found same Id for more than one rule");
            }
        }
        check_form(rule)?;
        if let Some(priority) = rule.priority.filter(|priority| !priorities.insert(*priority)) {
            return Err(Error::invalid_request(format!("Found duplicate priority {priority}.")));
        }
        check_destination(rule)?;
    }
    Ok(())
}

/// A rule with a filter must say what one without cannot.
fn check_form(rule: &api::ReplicationRule) -> Result<()> {
    let of_form = |what: &str| {
        Err(Error::invalid_request(format!(
            "{what} for this version of Cross Region Replication configuration schema. Please refer to S3 Developer Guide for more information."
        )))
    };
    let Some(filter) = &rule.filter else {
        return match (&rule.priority, &rule.delete_marker_replication) {
            (Some(_), _) => of_form("Priority cannot be used"),
            (None, Some(_)) => of_form("DeleteMarkerReplication cannot be used"),
            (None, None) => Ok(()),
        };
    };
    let said = [filter.prefix.is_some(), filter.tag.is_some(), filter.and.is_some()];
    if rule.prefix.is_some() || said.iter().filter(|said| **said).count() > 1 {
        return Err(Error::MalformedXml);
    }
    let Some(markers) = &rule.delete_marker_replication else {
        return of_form("DeleteMarkerReplication must be specified");
    };
    match rule.priority {
        None => return of_form("Priority must be specified"),
        Some(..0) => return Err(Error::invalid_request("Priority must be between 0 and 2147483647.")),
        Some(_) => {}
    }
    let tags = filter.and.as_ref().and_then(|and| and.tags.as_ref()).is_some_and(|tags| !tags.is_empty());
    if (tags || filter.tag.is_some()) && markers.status == Some(api::DeleteMarkerReplicationStatus::Enabled) {
        return Err(Error::invalid_request(
            "Delete marker replication is not supported if any Tag filter is specified. Please refer to S3 Developer Guide for more information.",
        ));
    }
    Ok(())
}

fn check_destination(rule: &api::ReplicationRule) -> Result<()> {
    let destination = &rule.destination;
    if !destination.bucket.starts_with("arn:") {
        return Err(Error::invalid_argument("Bucket", destination.bucket.clone(), "Invalid bucket ARN"));
    }
    if destination.access_control_translation.is_some() && destination.account.is_none() {
        let message = "Account must be specified if AccessControlTranslation is present.";
        return Err(Error::invalid_request(message));
    }
    let has_key = destination.encryption_configuration.is_some();
    if has_key && rule.source_selection_criteria.as_ref().is_none_or(|of| of.sse_kms_encrypted_objects.is_none()) {
        let message = "SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present.";
        return Err(Error::invalid_request(message));
    }
    if takes_encrypted(rule) && !has_key {
        let message = "EncryptionConfiguration must be specified if SseKmsEncryptedObjects is enabled.";
        return Err(Error::invalid_request(message));
    }
    let time = destination.replication_time.as_ref();
    let metrics = destination.metrics.as_ref();
    if time.is_some() && metrics.is_none() {
        let message = "Replication destination must contain both ReplicationTime and Metrics or neither.";
        return Err(Error::invalid_request(message));
    }
    let minutes = [
        time.and_then(|time| time.time.minutes),
        metrics.and_then(|metrics| metrics.event_threshold.as_ref()?.minutes),
    ];
    if minutes.into_iter().flatten().any(|minutes| minutes != THRESHOLD_MINUTES) {
        return Err(Error::invalid_request("The replication time threshold must be 15 minutes."));
    }
    Ok(())
}

/// Whether a rule is about objects under a key of KMS; by itself it is not.
pub fn takes_encrypted(rule: &api::ReplicationRule) -> bool {
    let of = rule.source_selection_criteria.as_ref().and_then(|of| of.sse_kms_encrypted_objects.as_ref());
    of.is_some_and(|of| of.status == api::SseKmsEncryptedObjectsStatus::Enabled)
}

/// Whether what changes on replicas goes where a rule copies to.
pub fn syncs_replicas(rule: &api::ReplicationRule) -> bool {
    let of = rule.source_selection_criteria.as_ref().and_then(|of| of.replica_modifications.as_ref());
    of.is_some_and(|of| of.status == api::ReplicaModificationsStatus::Enabled)
}

/// Whether a rule is on and about a key with these tags.
pub fn takes(rule: &api::ReplicationRule, key: &str, tags: &[(String, String)]) -> bool {
    let has = |tag: &api::Tag| tags.iter().any(|(key, value)| *key == tag.key && *value == tag.value);
    let filter = rule.filter.as_ref();
    let and = filter.and_then(|filter| filter.and.as_ref());
    let prefix = rule.prefix.as_ref().or(filter.and_then(|filter| filter.prefix.as_ref()));
    let prefix = prefix.or(and.and_then(|and| and.prefix.as_ref()));
    rule.status == api::ReplicationRuleStatus::Enabled
        && prefix.is_none_or(|prefix| key.starts_with(prefix.as_str()))
        && filter.and_then(|filter| filter.tag.as_ref()).is_none_or(has)
        && and.and_then(|and| and.tags.as_ref()).is_none_or(|tags| tags.iter().all(has))
}

/// Whether a rule copies delete markers: the oldest form of rules, without a filter, always does.
pub fn takes_markers(rule: &api::ReplicationRule) -> bool {
    let status = rule.delete_marker_replication.as_ref().and_then(|markers| markers.status.as_ref());
    match status {
        Some(status) => *status == api::DeleteMarkerReplicationStatus::Enabled,
        None => rule.filter.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, priority: i32) -> api::ReplicationRule {
        api::ReplicationRule {
            id: Some(id.into()),
            priority: Some(priority),
            filter: Some(Default::default()),
            status: api::ReplicationRuleStatus::Enabled,
            delete_marker_replication: Some(api::DeleteMarkerReplication {
                status: Some(api::DeleteMarkerReplicationStatus::Enabled),
            }),
            destination: api::Destination { bucket: "arn:aws:s3:::b".into(), ..Default::default() },
            ..Default::default()
        }
    }

    fn said(rules: Vec<api::ReplicationRule>) -> String {
        let role = "arn:aws:iam::111122223333:role/r".to_owned();
        let checked = check(&api::ReplicationConfiguration { role, rules });
        checked.map_or_else(|error| fractus_wire::Failure::from(error).message, |()| "valid".into())
    }

    #[test]
    fn rules_with_a_filter_say_what_others_cannot() {
        assert_eq!(said(vec![rule("a", 1), rule("b", 2)]), "valid");
        assert_eq!(said(vec![rule("a", 1), rule("b", 1)]), "Found duplicate priority 1.");
        assert!(said(vec![rule("a", 1), rule("a", 2)]).starts_with("Rule Id must be unique"));
        let old = api::ReplicationRule {
            filter: None,
            priority: None,
            delete_marker_replication: None,
            prefix: Some(String::new()),
            ..rule("a", 1)
        };
        assert_eq!(said(vec![old.clone()]), "valid");
        let mixed = api::ReplicationRule { priority: Some(1), ..old };
        assert!(said(vec![mixed]).starts_with("Priority cannot be used for this version"));
        let unsaid = api::ReplicationRule { priority: None, ..rule("a", 1) };
        assert!(said(vec![unsaid]).starts_with("Priority must be specified"));
        let tag = Some(api::Tag { key: "k".into(), value: "v".into() });
        let tagged = api::ReplicationRule {
            filter: Some(api::ReplicationRuleFilter { tag, ..Default::default() }),
            ..rule("a", 1)
        };
        assert!(said(vec![tagged]).starts_with("Delete marker replication is not supported"));
    }

    #[test]
    fn what_a_destination_asks_for_belongs_together() {
        let to = |destination: api::Destination| {
            let bucket = "arn:aws:s3:::b".to_owned();
            said(vec![api::ReplicationRule { destination: api::Destination { bucket, ..destination }, ..rule("a", 1) }])
        };
        let key = Some(api::EncryptionConfiguration { replica_kms_key_id: Some("k".into()) });
        let keyed = api::Destination { encryption_configuration: key, ..Default::default() };
        assert_eq!(to(keyed), "SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present.");
        let minutes = |minutes| api::ReplicationTimeValue { minutes: Some(minutes) };
        let time = |time| api::ReplicationTime { status: api::ReplicationTimeStatus::Enabled, time };
        let timed = api::Destination { replication_time: Some(time(minutes(15))), ..Default::default() };
        assert!(to(timed.clone()).starts_with("Replication destination must contain both"));
        let metrics = |threshold| api::Metrics { status: api::MetricsStatus::Enabled, event_threshold: threshold };
        let whole = api::Destination { metrics: Some(metrics(Some(minutes(15)))), ..timed };
        assert_eq!(to(whole.clone()), "valid");
        assert!(to(api::Destination { metrics: Some(metrics(Some(minutes(10)))), ..whole }).contains("15 minutes"));
    }
}
