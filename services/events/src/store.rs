//! What EventBridge keeps.
//!
//! A rule's record holds its targets, so that a rule is read and written as one. What a bus's rules make of an event is
//! compiled into an index in memory (`index.rs`); the bus's record in [`STAMPS`] changes with every change of its
//! rules, and says whether an index is still true, in whichever process it lies.

use std::collections::BTreeMap;

use fractus_clock::Timestamp;
use fractus_datakeys::Kept;
use fractus_store::Collection;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Event buses by name. The default bus is there before anything is written about it.
pub const BUSES: Collection<(String,), Bus> = Collection::new("buses");
/// A number that is another one after each change of a bus's rules; there as long as the bus is (the default bus's from
/// its first rule on).
pub const STAMPS: Collection<(String,), u64> = Collection::new("bus-stamps");
/// Rules by (bus, name).
pub const RULES: Collection<(String, String), Rule> = Collection::new("rules");
/// How many rules a bus has.
pub const RULE_COUNTS: Collection<(String,), u64> = Collection::new("rule-counts");
/// Who targets what: (bus, the target's ARN, rule).
pub const RULES_BY_TARGET: Collection<(String, String, String), ()> = Collection::new("rules-by-target");
/// Rules on schedules in the order in which they are due, of a whole lane:
/// (due, account, region, rule).
pub const SCHEDULED: Collection<(Timestamp, String, String, String), Scheduled> = Collection::new("scheduled-rules");

/// Archives by name.
pub const ARCHIVES: Collection<(String,), Archive> = Collection::new("archives");
/// Archived events in the order in which they came: (archive's id, came, event's id).
pub const ARCHIVED: Collection<(String, Timestamp, String), Archived> = Collection::new("archived-events");
/// What came to an archive on each day: (archive's id, days since 1970).
pub const ARCHIVE_DAYS: Collection<(String, u64), ArchiveDay> = Collection::new("archive-days");
/// Archives that are gone and whose events are not yet.
pub const DISCARDED_ARCHIVES: Collection<(String,), ()> = Collection::new("discarded-archives");
/// Replays by name.
pub const REPLAYS: Collection<(String,), Replay> = Collection::new("replays");
/// Replays that are not over, of a whole lane: (partition, account, region, name).
pub const RUNNING_REPLAYS: Collection<(String, String, String, String), ()> = Collection::new("running-replays");

/// Connections by name.
pub const CONNECTIONS: Collection<(String,), Connection> = Collection::new("connections");
/// Connections that wait for their authorization, of a whole lane: (partition, account, region, name).
pub const AUTHORIZING: Collection<(String, String, String, String), ()> = Collection::new("authorizing");
/// API destinations by name.
pub const API_DESTINATIONS: Collection<(String,), ApiDestination> = Collection::new("api-destinations");
/// When an API destination may be called next, by its name, while somebody waits for it.
pub const TURNS: Collection<(String,), Timestamp> = Collection::new("api-destination-turns");
/// The API destinations of a connection: (connection, API destination).
pub const DESTINATIONS_BY_CONNECTION: Collection<(String, String), ()> = Collection::new("destinations-by-connection");

/// Global endpoints by name.
pub const ENDPOINTS: Collection<(String,), Endpoint> = Collection::new("endpoints");
/// Where an endpoint lies, by its id; of an account in all regions.
pub const ENDPOINT_IDS: Collection<(String,), EndpointPlace> = Collection::new("endpoint-ids");

/// The partner's side of partner event sources: (source, customer's account).
pub const PARTNER_SOURCES: Collection<(String, String), PartnerSource> = Collection::new("partner-sources");
/// The customer's side of them, by name.
pub const EVENT_SOURCES: Collection<(String,), EventSource> = Collection::new("event-sources");

pub type Tags = BTreeMap<String, String>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bus {
    pub name: String,
    pub description: Option<String>,
    pub kms_key: Option<String>,
    pub dead_letter_arn: Option<String>,
    /// `LogConfig` by the model's names.
    pub log_config: Option<Value>,
    pub policy: Option<String>,
    /// The partner event source that it receives.
    pub event_source: Option<String>,
    pub tags: Tags,
    /// Absent for a default bus that nobody has changed.
    pub created_at: Option<Timestamp>,
    pub modified_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    pub name: String,
    pub pattern: Option<String>,
    pub schedule: Option<String>,
    /// `ENABLED`, `DISABLED`, `ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS`.
    pub state: String,
    pub description: Option<String>,
    pub role_arn: Option<String>,
    /// The service that made it for its own use.
    pub managed_by: Option<String>,
    /// The account that made it.
    pub created_by: String,
    pub tags: Tags,
    pub targets: Vec<Target>,
    /// What a rate counts from: since when the schedule is what it is.
    pub scheduled_at: Timestamp,
    /// When it is due next.
    pub due_at: Option<Timestamp>,
}

impl Rule {
    pub fn is_enabled(&self) -> bool {
        self.state != "DISABLED"
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub id: String,
    pub arn: String,
    /// The whole of it, by the model's names.
    pub json: Value,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scheduled {
    pub partition: String,
    pub bus: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Archive {
    pub name: String,
    /// Its own, whatever its name; events and days lie under it.
    pub id: String,
    pub bus: String,
    pub pattern: Option<String>,
    pub description: Option<String>,
    /// 0: for ever.
    pub retention_days: u32,
    pub kms_key: Option<String>,
    /// What its events are kept under.
    pub data_key: Option<Kept>,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Archived {
    /// The event, as it went to the rules.
    pub event: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArchiveDay {
    pub events: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replay {
    pub name: String,
    pub description: Option<String>,
    pub state: String,
    pub state_reason: Option<String>,
    pub archive: String,
    pub archive_id: String,
    pub bus: String,
    /// Rules that alone are asked; empty: all of the bus.
    pub filter_arns: Vec<String>,
    pub event_start: Timestamp,
    pub event_end: Timestamp,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub last_replayed_at: Option<Timestamp>,
    /// The last event that was replayed.
    pub cursor: Option<(Timestamp, String)>,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
    pub name: String,
    pub uuid: String,
    /// The end of its secret's ARN.
    pub secret_suffix: String,
    pub description: Option<String>,
    pub kms_key: Option<String>,
    /// What its secrets are kept under.
    pub data_key: Option<Kept>,
    /// `BASIC`, `API_KEY`, `OAUTH_CLIENT_CREDENTIALS`.
    pub authorization_type: String,
    pub state: String,
    pub state_reason: Option<String>,
    /// `CreateConnectionAuthRequestParameters` by the model's names, secrets included.
    pub parameters: Value,
    pub connectivity: Option<Value>,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    pub authorized_at: Option<Timestamp>,
    /// What the authorization endpoint gave, and when it must be asked again.
    pub token: Option<(String, Timestamp)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiDestination {
    pub name: String,
    pub uuid: String,
    pub description: Option<String>,
    pub connection_arn: String,
    pub endpoint: String,
    pub method: String,
    pub rate_per_second: u32,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    pub name: String,
    pub id: String,
    pub description: Option<String>,
    /// By the model's names, as the next ones.
    pub routing: Value,
    pub replicates: bool,
    /// The primary's ARN, then the secondary's.
    pub buses: Vec<String>,
    pub role_arn: Option<String>,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointPlace {
    pub region: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartnerSource {
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventSource {
    /// The partner's account.
    pub created_by: String,
    pub created_at: Timestamp,
    /// While nobody has made a bus for it.
    pub expires_at: Option<Timestamp>,
    /// `PENDING`, `ACTIVE`, `DELETED`.
    pub state: String,
}
