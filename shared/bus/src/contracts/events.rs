//! Events: facts told to whoever listens.

use fractus_aws::{AccountId, Arn, Lane, Region};
use fractus_clock::{ClockSettings, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize as DeriveSerialize};

/// A fact that a service tells: published on `event.<service>.<kind>`, kept nowhere.
pub trait Event: Serialize + DeserializeOwned + Send + 'static {
    /// The subject's last part: lower-case words joined by hyphens.
    const KIND: &'static str;

    /// The lane it is about; it travels as a header. None: about the stack as a whole.
    fn lane(&self) -> Option<&Lane>;
}

/// A resource's state changed, in the words of the service's EventBridge event. The event bus turns it into an event
/// of the account's default bus.
#[derive(Clone, Debug, PartialEq, DeriveSerialize, Deserialize)]
pub struct StateChange {
    pub id: String,
    pub lane: Lane,
    pub account: AccountId,
    pub region: Region,
    /// `aws.s3`, `aws.ec2` ...
    pub source: String,
    /// `Object Created` ...
    pub detail_type: String,
    pub resources: Vec<Arn>,
    pub detail: serde_json::Value,
    pub time: Timestamp,
}

impl Event for StateChange {
    const KIND: &'static str = "state-change";

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// A call was answered: what CloudTrail records and the live view shows.
#[derive(Clone, Debug, PartialEq, DeriveSerialize, Deserialize)]
pub struct ApiCallRecorded {
    pub request_id: String,
    pub lane: Lane,
    pub account: AccountId,
    pub region: Region,
    /// The event source, such as `sqs.amazonaws.com`.
    pub event_source: String,
    pub operation: String,
    /// The caller's ARN, where one is known.
    #[serde(default)]
    pub principal: Option<String>,
    #[serde(default)]
    pub access_key_id: Option<String>,
    #[serde(default)]
    pub source_ip: Option<String>,
    #[serde(default)]
    pub user_agent: Option<String>,
    pub read_only: bool,
    pub status: u16,
    #[serde(default)]
    pub error_code: Option<String>,
    #[serde(default)]
    pub error_message: Option<String>,
    pub duration_micros: u64,
    pub fidelity: String,
    /// Input and output as CloudTrail would show them; left out where the service does not record them.
    #[serde(default)]
    pub request_parameters: serde_json::Value,
    #[serde(default)]
    pub response_elements: serde_json::Value,
    #[serde(default)]
    pub resources: Vec<Arn>,
    pub time: Timestamp,
}

impl Event for ApiCallRecorded {
    const KIND: &'static str = "api-call-recorded";

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// An access key came to be. Caches that remember "unknown key" forget it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveSerialize, Deserialize)]
pub struct CredentialIssued {
    pub lane: Lane,
    pub account: AccountId,
    pub access_key_id: String,
}

impl Event for CredentialIssued {
    const KIND: &'static str = "credential-issued";

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// An access key no longer holds: deleted, made inactive, or its session revoked.
#[derive(Clone, Debug, PartialEq, Eq, DeriveSerialize, Deserialize)]
pub struct CredentialRevoked {
    pub lane: Lane,
    pub account: AccountId,
    pub access_key_id: String,
}

impl Event for CredentialRevoked {
    const KIND: &'static str = "credential-revoked";

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// A policy changed or was attached or detached: cached verdicts and documents about these principals or resources are
/// void.
#[derive(Clone, Debug, PartialEq, Eq, DeriveSerialize, Deserialize)]
pub struct PolicyChanged {
    pub lane: Lane,
    pub account: AccountId,
    /// The principals or resources whose policies changed; empty: anything in the account may have.
    #[serde(default)]
    pub affected: Vec<Arn>,
}

impl Event for PolicyChanged {
    const KIND: &'static str = "policy-changed";

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// A lane's clock was frozen, set, advanced or scaled. Every replica applies the settings.
#[derive(Clone, Debug, PartialEq, DeriveSerialize, Deserialize)]
pub struct ClockChanged {
    pub lane: Lane,
    pub settings: ClockSettings,
}

impl Event for ClockChanged {
    const KIND: &'static str = "clock-changed";

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// The faults to inject changed: these rules replace those the lane had.
#[derive(Clone, Debug, PartialEq, DeriveSerialize, Deserialize)]
pub struct FaultsChanged {
    pub lane: Lane,
    /// The rules as the host reads them.
    pub rules: serde_json::Value,
}

impl Event for FaultsChanged {
    const KIND: &'static str = "faults-changed";

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// State is to be forgotten. Every replica drops what it holds in memory for this scope; one that owns a store clears
/// it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveSerialize, Deserialize)]
pub struct Reset {
    pub scope: ResetScope,
    /// Only this service; none: all.
    #[serde(default)]
    pub service: Option<String>,
}

/// How much a reset forgets.
#[derive(Clone, Debug, PartialEq, Eq, DeriveSerialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "of")]
pub enum ResetScope {
    All,
    Lane { lane: Lane },
    Account { lane: Lane, account: AccountId },
    Region { lane: Lane, account: AccountId, region: Region },
}

impl Event for Reset {
    const KIND: &'static str = "reset";

    fn lane(&self) -> Option<&Lane> {
        match &self.scope {
            ResetScope::All => None,
            ResetScope::Lane { lane } | ResetScope::Account { lane, .. } | ResetScope::Region { lane, .. } => {
                Some(lane)
            }
        }
    }
}
