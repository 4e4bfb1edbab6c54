//! What STS keeps: the sessions it has issued, and the keys it signs with.

use std::time::Duration;

use bytes::Bytes;
use fractus_aws::{AccountId, Arn, Lane, Partition, World};
use fractus_bus::contracts::{Call, Credential, CredentialKind};
use fractus_clock::Timestamp;
use fractus_store::{Collection, Scope};
use serde::{Deserialize, Serialize};

/// Sessions by access key id.
pub const SESSIONS: Collection<(String,), Session> = Collection::new("sessions");
/// The private keys of an account's issuer, by algorithm (`ES384`, `RS256`).
pub const SIGNING_KEYS: Collection<(String,), SigningKey> = Collection::new("signing-keys");
/// Trade-in tokens that wait for their exchange.
pub const TRADE_IN_TOKENS: Collection<(String,), TradeIn> = Collection::new("trade-in-tokens");

/// How long a session is remembered after its end, so that its keys are answered with `ExpiredToken`, not as unknown.
pub const REMEMBERED_AFTER_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Temporary credentials and all that their use is judged by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    pub credential: Credential,
    pub issued_at: Timestamp,
    /// The keys of those session tags that sessions made from this one inherit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitive_tag_keys: Vec<String>,
}

/// A key pair as PKCS #8.
#[derive(Clone, Serialize, Deserialize)]
pub struct SigningKey {
    pub key_id: String,
    pub pkcs8: Bytes,
    pub created_at: Timestamp,
}

/// What a trade-in token is exchanged for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeIn {
    pub kind: CredentialKind,
    pub account: AccountId,
    pub principal: Arn,
    pub principal_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Arn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_arns: Vec<Arn>,
    /// How long the credentials hold.
    pub duration_secs: u64,
    /// Until when the token can be exchanged.
    pub expires_at: Timestamp,
}

/// A delegation request was accepted: keep what its token stands for, and tell the token. Asked by IAM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueTradeInToken {
    pub lane: Lane,
    pub partition: Partition,
    pub trade_in: TradeIn,
}

impl Call for IssueTradeInToken {
    const VERB: &'static str = "issue-trade-in-token";
    type Reply = String;

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// Where trade-in tokens lie: they do not say their account.
pub fn partition_scope(world: &World) -> Scope {
    Scope::partition(world)
}

/// Where the records of an account lie. A key id says its account but not its partition, and an account is in one
/// partition only, so all partitions share one scope.
pub fn scope(lane: &Lane, account: &AccountId) -> Scope {
    Scope::new(lane, Partition::Aws, Some(account), None)
}
