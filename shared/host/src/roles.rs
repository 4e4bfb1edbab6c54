//! Acting as a role that was handed to a service: its sessions are STS's, asked for over the bus, and used again while they
//! last.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_terms-and-concepts.html#iam-term-service-role>

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use fractus_aws::{AccountId, Arn, Lane, Partition, Region};
use fractus_bus::CallError;
use fractus_bus::contracts::{Call, Cause, Credential};
use fractus_clock::Timestamp;

use crate::credentials::ISSUER_OF_TEMPORARY_KEYS;
use crate::host::Host;

/// May a service act as this role? Asked of the issuer of temporary keys; the answer is a session of the role, and a failure
/// says why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AssumeServiceRole {
    pub lane: Lane,
    pub partition: Partition,
    pub region: Region,
    pub role: Arn,
    /// Who wants to act as it: `scheduler.amazonaws.com`.
    pub service: String,
    pub session_name: String,
    /// For what it acts, as the trust policy sees it: `aws:SourceArn` and `aws:SourceAccount`.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html>
    pub source_arn: Option<Arn>,
    pub source_account: AccountId,
}

impl Call for AssumeServiceRole {
    const VERB: &'static str = "assume-service-role";
    type Reply = Credential;

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// Why there is no session of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSession {
    /// There is no such role, or it does not trust the service.
    Denied { code: String, message: String },
    /// Nobody has answered; it may be tried again.
    Unanswered(String),
}

/// A session is not begun with so little time left.
const SPARE: Duration = Duration::from_secs(300);
/// Beyond it everything is forgotten at once.
const MAX_SESSIONS: usize = 1_024;
const TIMEOUT: Duration = Duration::from_secs(5);

/// The sessions in use.
#[derive(Default)]
pub(crate) struct Roles {
    sessions: Mutex<HashMap<AssumeServiceRole, Arc<Credential>>>,
}

impl Roles {
    pub fn forget_all(&self) {
        self.sessions.lock().clear();
    }

    fn find(&self, wish: &AssumeServiceRole, now: Timestamp) -> Option<Arc<Credential>> {
        let sessions = self.sessions.lock();
        sessions.get(wish).filter(|session| session.expiration.is_none_or(|end| now.plus(SPARE) < end)).cloned()
    }

    fn keep(&self, wish: &AssumeServiceRole, session: &Arc<Credential>) {
        let mut sessions = self.sessions.lock();
        if sessions.len() >= MAX_SESSIONS {
            sessions.clear();
        }
        sessions.insert(wish.clone(), session.clone());
    }
}

impl Host {
    /// A session of a role that was handed to this service. None where nobody issues any: then there are no roles to act as.
    pub async fn assume_role(
        &self,
        wish: &AssumeServiceRole,
        cause: &Cause,
    ) -> Result<Option<Arc<Credential>>, NoSession> {
        let now = self.clocks().lane(wish.lane.as_str()).now();
        if let Some(session) = self.inner.roles.find(wish, now) {
            return Ok(Some(session));
        }
        match self.bus().call_within(ISSUER_OF_TEMPORARY_KEYS.1, wish, cause, TIMEOUT).await {
            Ok(session) => {
                let session = Arc::new(session);
                self.inner.roles.keep(wish, &session);
                Ok(Some(session))
            }
            Err(CallError::NotRunning { .. }) => Ok(None),
            Err(CallError::Failed { code, message }) => Err(NoSession::Denied { code, message }),
            Err(error) => Err(NoSession::Unanswered(error.to_string())),
        }
    }

    /// Forgets a session that was not taken any more: its role may have changed, or its issuer begun anew.
    pub fn forget_role(&self, wish: &AssumeServiceRole) {
        self.inner.roles.sessions.lock().remove(wish);
    }
}
