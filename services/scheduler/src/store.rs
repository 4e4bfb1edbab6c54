//! The collections the scheduler keeps, and their records.
//!
//! What belongs to callers lies in their account and region. What the clock asks for lies in the lane, sorted by time, so
//! that one look finds what is due next, whoever's it is: [`DUE`] has one entry for each schedule that is due again,
//! [`RETRIES`] one for each invocation that waits for another attempt, [`DELETING`] one for each group that goes.
//! A schedule's record names its entry ([`Schedule::next`]); the two change in one transaction. An entry whose schedule does
//! not name it (its account was reset) is dropped when its time comes.

use fractus_aws::{AccountId, Lane, Partition, Region, World};
use fractus_clock::Timestamp;
use fractus_datakeys::Kept;
use fractus_store::{Collection, Scope};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::model::invocation::Invocation;
use crate::model::timing::Next;

/// Schedule groups by name. `default` is written when it is first looked at.
pub const GROUPS: Collection<(String,), Group> = Collection::new("groups");
/// Schedules by (group, name).
pub const SCHEDULES: Collection<(String, String), Schedule> = Collection::new("schedules");
/// The same by (name, group): what is listed when no group is given.
pub const NAMES: Collection<(String, String), ()> = Collection::new("names");
/// How many there are, by what is counted.
pub const COUNTS: Collection<(String,), u64> = Collection::new("counts");
/// Client tokens of the last hour, by (operation, token).
pub const TOKENS: Collection<(String, String), UsedToken> = Collection::new("client-tokens");
/// What is due: (when the target is invoked, place, group, name).
pub const DUE: Collection<(Timestamp, String, String, String), ()> = Collection::new("due");
/// Invocations that are tried again: (when, id).
pub const RETRIES: Collection<(Timestamp, String), Invocation> = Collection::new("retries");
/// Groups that are being deleted: (when they are gone at the earliest, place, name).
pub const DELETING: Collection<(Timestamp, String, String), ()> = Collection::new("deleting");

/// A schedule group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    /// When its deletion was asked for.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
    #[serde(default)]
    pub tags: IndexMap<String, String>,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    pub settings: Settings,
    /// What a rate without a StartDate counts from.
    pub anchor: Timestamp,
    /// The latest time for which the target was invoked.
    #[serde(default)]
    pub last: Option<Timestamp>,
    /// Its entry in [`DUE`].
    #[serde(default)]
    pub next: Option<Next>,
}

/// What a caller says of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub expression: String,
    pub time_zone: String,
    #[serde(default)]
    pub start: Option<Timestamp>,
    #[serde(default)]
    pub end: Option<Timestamp>,
    #[serde(default)]
    pub description: Option<String>,
    pub enabled: bool,
    #[serde(default)]
    pub kms_key: Option<String>,
    /// The flexible time window; none: OFF.
    #[serde(default)]
    pub window_minutes: Option<u16>,
    pub delete_when_completed: bool,
    /// The target, its members called as in the model.
    pub target: serde_json::Value,
    /// What the target is kept under, where a key of KMS was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_key: Option<Kept>,
}

/// A client token that was used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsedToken {
    /// SHA-256 over what came with it.
    pub digest: String,
    pub arn: String,
}

/// Where somebody's schedules lie within a lane, as the lane's indexes say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub world: World,
    pub region: Region,
}

impl Place {
    pub fn new(world: &World, region: &Region) -> Self {
        Place { world: world.clone(), region: region.clone() }
    }

    /// `aws/000000000000/us-east-1`.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.world.partition, self.world.account, self.region)
    }

    pub fn parse(lane: &Lane, key: &str) -> Option<Place> {
        let mut parts = key.splitn(3, '/');
        let partition = Partition::parse(parts.next()?)?;
        let account = AccountId::new(parts.next()?).ok()?;
        let region = Region::new(parts.next()?).ok()?;
        Some(Place { world: World { lane: lane.clone(), partition, account }, region })
    }

    pub fn scope(&self) -> Scope {
        Scope::regional(&self.world, &self.region)
    }

    pub fn schedule_arn(&self, group: &str, name: &str) -> String {
        self.arn(&format!("schedule/{group}/{name}"))
    }

    pub fn group_arn(&self, group: &str) -> String {
        self.arn(&format!("schedule-group/{group}"))
    }

    fn arn(&self, resource: &str) -> String {
        format!("arn:{}:scheduler:{}:{}:{resource}", self.world.partition, self.region, self.world.account)
    }
}

/// Where a lane's indexes lie.
pub fn lane_scope(lane: &Lane) -> Scope {
    Scope::new(lane, Partition::Aws, None, None)
}
