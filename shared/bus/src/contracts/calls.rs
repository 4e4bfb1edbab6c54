//! Calls: private questions that AWS's services ask one another inside.

use std::collections::BTreeMap;
use std::fmt;

use fractus_aws::{AccountId, Arn, Lane};
use fractus_clock::{ClockSettings, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A question for one replica of a service, on `call.<service>.<verb>`.
pub trait Call: Serialize + DeserializeOwned + Send + 'static {
    /// The subject's last part: lower-case words joined by hyphens.
    const VERB: &'static str;
    type Reply: Serialize + DeserializeOwned + Send + 'static;

    fn lane(&self) -> Option<&Lane>;
}

/// Whose key is this, and what verifies a signature made with it? Asked of the service that issued it (the key's
/// prefix tells: `AKIA` long-term, `ASIA` temporary). The answer is none where it never issued such a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUpCredential {
    pub lane: Lane,
    pub access_key_id: String,
}

impl Call for LookUpCredential {
    const VERB: &'static str = "look-up-credential";
    type Reply = Option<Credential>;

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// Which lanes have clocks that do not follow real time? Asked of the router by a service that starts without a launcher,
/// before it takes what waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUpClocks {}

impl Call for LookUpClocks {
    const VERB: &'static str = "look-up-clocks";
    type Reply = BTreeMap<String, ClockSettings>;

    fn lane(&self) -> Option<&Lane> {
        None
    }
}

/// A key and whose it is. [`fmt::Debug`] hides the secret and the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub access_key_id: String,
    pub secret_access_key: String,
    /// What the caller must send beside a temporary key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
    pub kind: CredentialKind,
    pub account: AccountId,
    /// `arn:aws:iam::123456789012:user/ann`, `arn:aws:sts::123456789012:assumed-role/reader/session` ...
    pub principal: Arn,
    /// The unique id: `AIDA...`, `AROA...:session`, or the account id for root.
    pub principal_id: String,
    /// The role behind an assumed-role session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Arn>,
    /// False for a key that was made inactive.
    pub active: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration: Option<Timestamp>,
    /// Inline session policies as JSON documents, and the ARNs of managed ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session_policies: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session_policy_arns: Vec<Arn>,
    /// Session tags, for `aws:PrincipalTag`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session_tags: Vec<(String, String)>,
    /// Condition keys that the session fixes: `sts:SourceIdentity`, `aws:MultiFactorAuthPresent`, `aws:FederatedProvider` ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session_context: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    Root,
    User,
    AssumedRole,
    FederatedUser,
    /// `GetSessionToken`: the user itself, for a time.
    Session,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("access_key_id", &self.access_key_id)
            .field("kind", &self.kind)
            .field("principal", &self.principal)
            .field("active", &self.active)
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}
