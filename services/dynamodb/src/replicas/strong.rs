//! Multi-Region strong consistency: a global table of exactly three regions, of which one may be a witness that holds no table, made
//! at once of an empty table and ended at once. Its replicas lie in one store, so a write is put into all of them in its own transaction:
//! a strongly consistent read of any of them sees it.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html#V2globaltables_HowItWorks.consistency-modes.mrsc>

use std::time::Duration;

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_store::{Scope, Snapshot};
use serde::{Deserialize, Serialize};

use super::stamp_of;
use crate::error::{Error, Result};
use crate::features;
use crate::store::Table;

/// The strong consistency of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strong {
    pub witness: Option<Witness>,
}

/// A region that completes the three and has no table of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    pub region: String,
    /// CREATING until then.
    pub not_before: Timestamp,
    /// DELETING until then.
    pub deleted_at: Option<Timestamp>,
}

impl Witness {
    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.deleted_at.is_some_and(|deleted_at| deleted_at <= now)
    }

    pub fn described(&self, now: Timestamp) -> api::GlobalTableWitnessDescription {
        let status = match self.deleted_at {
            Some(_) => api::WitnessStatus::Deleting,
            None if self.not_before <= now => api::WitnessStatus::Active,
            None => api::WitnessStatus::Creating,
        };
        api::GlobalTableWitnessDescription { region_name: Some(self.region.clone()), witness_status: Some(status) }
    }
}

/// The regions that strong consistency is to be had in. AWS's pages have them in sets that one table does not cross; the service
/// itself takes regions of two sets together.
const REGIONS: [&str; 10] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
];

const ONE_TYPE: &str = "Update table operation with more than one type of replica actions not allowed";
const ONE_ACTION: &str = "Update table operation with more than one create or delete replica actions not allowed";
const ON_EXISTING: &str = "MultiRegionConsistency parameter is unsupported on existing global table";
const COUNT: &str = "Unsupported replica count for global tables with MultiRegionConsistency set to STRONG.";
pub const ONE_ALONE: &str =
    "Deletion of only one table replica is not supported for global tables with MultiRegionConsistency set to STRONG.";

/// What a request says of the regions of a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// The region of the request.
    pub own: &'a str,
    /// Whether strong consistency is asked for, or the other kind; nothing where nothing is said.
    pub strong: Option<bool>,
    pub creates: &'a [&'a str],
    pub deletes: &'a [&'a str],
    /// Replicas that are changed or disassociated.
    pub others: usize,
    pub new_witness: Option<&'a str>,
    pub old_witness: Option<&'a str>,
}

/// What a table has by now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Present<'a> {
    pub replicas: &'a [&'a str],
    pub is_strong: bool,
    pub witness: Option<&'a str>,
}

/// What comes of a request about a table's replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Replicas of a group without strong consistency come, go or are changed.
    Each,
    /// A group with strong consistency is made.
    Make,
    /// The only group of a table ends, with its witness.
    Dissolve,
}

fn refused<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::validation(message))
}

/// What a request comes to. The words, and what is looked at first, are the service's own answers.
pub fn step(asked: &Asked<'_>, present: &Present<'_>) -> Result<Step> {
    let kinds = [asked.creates.len(), asked.deletes.len(), asked.others];
    if kinds.iter().filter(|count| **count > 0).count() > 1 {
        return refused(ONE_TYPE);
    }
    match asked.strong {
        Some(_) if asked.creates.is_empty() => {
            return refused(
                "Only Replica Create actions are supported when MultiRegionConsistency parameter is provided.",
            );
        }
        Some(true) => return make(asked, present).map(|()| Step::Make),
        _ if asked.new_witness.is_some() => {
            return refused(
                "MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is present.",
            );
        }
        Some(false) if !present.replicas.is_empty() => return refused(ON_EXISTING),
        _ => {}
    }
    if present.is_strong && !asked.creates.is_empty() {
        return refused("Cannot add replicas to a global table with strong MultiRegionConsistency");
    }
    if present.is_strong && !asked.deletes.is_empty() {
        return dissolve(asked, present).map(|()| Step::Dissolve);
    }
    if asked.old_witness.is_some() {
        return no_witness(asked.old_witness);
    }
    if asked.creates.len() > 1 || asked.deletes.len() > 1 {
        return refused(ONE_ACTION);
    }
    Ok(Step::Each)
}

fn make(asked: &Asked<'_>, present: &Present<'_>) -> Result<()> {
    let wanted: Vec<&str> = asked.creates.iter().copied().chain(asked.new_witness).collect();
    if wanted.len() != 2 {
        return refused(COUNT);
    }
    let unsupported: Vec<&str> =
        wanted.iter().chain([&asked.own]).copied().filter(|region| !REGIONS.contains(region)).collect();
    if !unsupported.is_empty() {
        return refused(format!(
            "Unsupported Region(s) specified for global tables with MultiRegionConsistency set to STRONG: [{}].",
            unsupported.join(", ")
        ));
    }
    if asked.new_witness == Some(asked.own) {
        return refused(
            "Cannot add a witness in the same region as an existing replica when creating a global table with MultiRegionConsistency set to STRONG.",
        );
    }
    if wanted[0] == wanted[1] {
        return refused("Cannot target multiple regions with the same action");
    }
    if present.replicas.is_empty() { Ok(()) } else { refused(ON_EXISTING) }
}

fn no_witness<T>(region: Option<&str>) -> Result<T> {
    refused(format!(
        "Update global table operation failed because one or more witnesses were not part of the global table. Please retry the request without these witnesses: [{}].",
        region.unwrap_or_default()
    ))
}

fn dissolve(asked: &Asked<'_>, present: &Present<'_>) -> Result<()> {
    if asked.old_witness.is_some() && asked.old_witness != present.witness {
        return no_witness(asked.old_witness);
    }
    if present.witness.is_some() && asked.old_witness.is_none() {
        return refused("Update table delete operation does not include all witnesses.");
    }
    let is_all = present.replicas.iter().all(|region| asked.deletes.contains(region));
    if is_all { Ok(()) } else { refused(ONE_ALONE) }
}

/// A table that is to have strong consistency is empty, and has nothing that there is not with it.
pub fn check_table(snapshot: &Snapshot<'_>, scope: &Scope, table: &Table) -> Result<()> {
    // Unconfirmed words, all three.
    if features::counted(snapshot, scope, table.id)?.0 > 0 {
        return refused(
            "Table must be empty to be converted to a global table with MultiRegionConsistency set to STRONG.",
        );
    }
    if table.has_local_indexes() {
        return refused(
            "Local secondary indexes are not supported for global tables with MultiRegionConsistency set to STRONG.",
        );
    }
    if table.time_to_live.as_ref().is_some_and(|settings| settings.is_enabled) {
        return no_time_to_live();
    }
    Ok(())
}

/// Items of strongly consistent global tables do not expire.
pub fn no_time_to_live<T>() -> Result<T> {
    // Unconfirmed words.
    refused("Time to Live is not supported for global tables with MultiRegionConsistency set to STRONG.")
}

fn is_strong(table: &Table, now: Timestamp) -> bool {
    table.features.replicas.as_ref().is_some_and(|replicas| replicas.strong(now).is_some())
}

/// Refuses what a table with strong consistency is not asked to do.
pub fn check_time_to_live(table: &Table, now: Timestamp) -> Result<()> {
    if is_strong(table, now) { no_time_to_live() } else { Ok(()) }
}

pub fn check_transaction(table: &Table, now: Timestamp) -> Result<()> {
    if is_strong(table, now) {
        // Unconfirmed words.
        return refused(
            "Transactional operations are not supported for global tables with MultiRegionConsistency set to STRONG.",
        );
    }
    Ok(())
}

pub fn check_deletion(table: &Table, now: Timestamp) -> Result<()> {
    if is_strong(table, now) { refused(ONE_ALONE) } else { Ok(()) }
}

/// Refuses a write of an item that a write of another region was made to within `takes`: as long as that, by the lane's clock, it is under way.
pub fn check_write(snapshot: &Snapshot<'_>, scope: &Scope, table: &Table, key: &[u8], takes: Duration) -> Result<()> {
    let now = snapshot.now(scope);
    let Some(replicas) = table.features.replicas.as_ref().filter(|_| !takes.is_zero()) else { return Ok(()) };
    if replicas.strong(now).is_none() {
        return Ok(());
    }
    let last = stamp_of(snapshot, scope, table.id, key)?;
    match last.filter(|last| last.region != replicas.own && last.at.plus(takes) > now) {
        Some(_) => Err(Error::ReplicatedWriteConflict),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(asked: &Asked<'_>, present: &Present<'_>) -> String {
        match step(asked, present) {
            Ok(step) => format!("{step:?}"),
            Err(error) => error.to_string(),
        }
    }

    const REGIONAL: Present<'_> = Present { replicas: &[], is_strong: false, witness: None };
    const ASKED: Asked<'_> = Asked {
        own: "us-west-2",
        strong: None,
        creates: &[],
        deletes: &[],
        others: 0,
        new_witness: None,
        old_witness: None,
    };

    #[test]
    fn a_group_is_made_of_three_regions_at_once() {
        let strong = Asked { strong: Some(true), ..ASKED };
        let one = Asked { creates: &["us-east-1"], ..strong };
        assert_eq!(told(&one, &REGIONAL), COUNT);
        assert_eq!(told(&Asked { new_witness: Some("us-east-2"), ..one }, &REGIONAL), "Make");
        assert_eq!(told(&Asked { creates: &["us-east-1", "us-east-2"], ..strong }, &REGIONAL), "Make");
        let third = Asked { new_witness: Some("us-west-2"), ..one };
        assert!(told(&third, &REGIONAL).starts_with("Cannot add a witness in the same region"));
        let same = Asked { new_witness: Some("us-east-1"), ..one };
        assert_eq!(told(&same, &REGIONAL), "Cannot target multiple regions with the same action");
        let elsewhere = Asked { creates: &["us-west-1"], new_witness: Some("us-west-1"), ..strong };
        assert!(told(&elsewhere, &REGIONAL).ends_with("STRONG: [us-west-1, us-west-1]."));
        let four = Asked { creates: &["us-east-1", "us-east-2"], new_witness: Some("eu-west-1"), ..strong };
        assert_eq!(told(&four, &REGIONAL), COUNT);
        for strong in [None, Some(false)] {
            let weak = Asked { strong, new_witness: Some("us-east-2"), ..one };
            assert!(told(&weak, &REGIONAL).starts_with("MultiRegionConsistency must be set as STRONG"));
        }
        let grown = Present { replicas: &["us-east-1"], ..REGIONAL };
        let late = Asked { creates: &["us-east-2", "eu-west-1"], ..strong };
        assert_eq!(told(&late, &grown), ON_EXISTING);
    }

    #[test]
    fn a_group_ends_as_a_whole() {
        let with = Present { replicas: &["us-east-1"], is_strong: true, witness: Some("us-east-2") };
        let delete = Asked { deletes: &["us-east-1"], ..ASKED };
        assert_eq!(told(&delete, &with), "Update table delete operation does not include all witnesses.");
        assert_eq!(told(&Asked { old_witness: Some("us-east-2"), ..delete }, &with), "Dissolve");
        let other = Asked { old_witness: Some("eu-west-1"), ..delete };
        assert!(told(&other, &with).ends_with("without these witnesses: [eu-west-1]."));
        let three = Present { replicas: &["us-east-1", "us-east-2"], is_strong: true, witness: None };
        assert_eq!(told(&delete, &three), ONE_ALONE);
        assert_eq!(told(&Asked { deletes: &["us-east-1", "us-east-2"], ..ASKED }, &three), "Dissolve");
        let more = Asked { creates: &["eu-west-1"], ..ASKED };
        assert!(told(&more, &three).starts_with("Cannot add replicas"));
        assert_eq!(told(&Asked { strong: Some(false), ..more }, &three), ON_EXISTING);
        assert!(told(&Asked { strong: Some(true), ..delete }, &three).starts_with("Only Replica Create actions"));
    }

    #[test]
    fn without_it_one_replica_comes_or_goes_at_a_time() {
        let one = Asked { creates: &["us-east-1"], ..ASKED };
        assert_eq!(told(&one, &REGIONAL), "Each");
        assert_eq!(told(&Asked { strong: Some(false), ..one }, &REGIONAL), "Each");
        assert_eq!(told(&Asked { creates: &["us-east-1", "eu-west-1"], ..ASKED }, &REGIONAL), ONE_ACTION);
        assert_eq!(told(&Asked { deletes: &["eu-west-1"], ..one }, &REGIONAL), ONE_TYPE);
        assert_eq!(told(&Asked { others: 3, ..ASKED }, &REGIONAL), "Each");
    }
}
