//! Making a session: its credentials are kept, told of, and answered.

use std::time::Duration;

use fractus_aws::{AccountId, Arn};
use fractus_bus::contracts::{Credential, CredentialIssued, CredentialKind};
use fractus_host::Context;
use fractus_host::access_key::issue_access_key_id;
use fractus_sts_api as api;

use crate::error::{Error, Result};
use crate::model::policies::SessionPolicies;
use crate::model::tags::SessionTags;
use crate::model::tokens;
use crate::service::Sts;
use crate::store::{REMEMBERED_AFTER_EXPIRY, SESSIONS, Session, scope};

/// Whom a new session stands for, and what limits it.
#[derive(Debug)]
pub struct Grant {
    pub kind: CredentialKind,
    pub account: AccountId,
    pub principal: Arn,
    pub principal_id: String,
    /// The role behind an assumed role's session, the user behind a federated user's.
    pub issuer: Option<Arn>,
    pub duration: Duration,
    pub policies: SessionPolicies,
    pub tags: SessionTags,
    /// Condition keys that hold in every call made with the session.
    pub context: Vec<(String, String)>,
    pub minimum_token_size: Option<i32>,
}

/// What an operation answers of a new session.
#[derive(Debug)]
pub struct Issued {
    pub credentials: api::Credentials,
    pub packed_policy_size: Option<i32>,
    pub token_size: i32,
    pub token_utilization: i32,
}

impl Sts {
    /// Makes a session in the caller's lane.
    pub async fn issue(&self, cx: &Context, grant: Grant) -> Result<Issued> {
        let packed_policy_size = grant.policies.packed_size(&grant.tags)?;
        Ok(issued(self.begin(cx, grant).await?, packed_policy_size))
    }

    /// Keeps a new session and tells of it.
    pub async fn begin(&self, cx: &Context, grant: Grant) -> Result<Credential> {
        // Expirations are written in whole seconds, and hold as they are written.
        let issued_at = cx.now().to_secs_precision();
        let session = session(cx, grant, issued_at);
        let Credential { access_key_id, account, .. } = &session.credential;
        let expiration = session.credential.expiration.unwrap_or(issued_at);
        let scope = scope(&cx.world.lane, account);
        let kept_until = expiration.plus(REMEMBERED_AFTER_EXPIRY);
        self.store
            .write(|tx| {
                Ok::<_, Error>(tx.put_until(&SESSIONS, &scope, &(access_key_id.as_str(),), &session, kept_until)?)
            })
            .await?;
        let event = CredentialIssued {
            lane: cx.world.lane.clone(),
            account: account.clone(),
            access_key_id: access_key_id.clone(),
        };
        // Nobody hearing of it costs the others a second question, nothing more.
        let _ = self.bus.publish(&event, &cx.cause());
        Ok(session.credential)
    }
}

fn session(cx: &Context, grant: Grant, issued_at: fractus_clock::Timestamp) -> Session {
    let random = cx.random();
    let mut session_context = grant.context;
    session_context.push(("aws:TokenIssueTime".to_owned(), issued_at.date_time()));
    Session {
        credential: Credential {
            access_key_id: issue_access_key_id("ASIA", &grant.account, random),
            secret_access_key: tokens::secret(random),
            session_token: Some(tokens::session_token(random, grant.minimum_token_size)),
            kind: grant.kind,
            account: grant.account,
            principal: grant.principal,
            principal_id: grant.principal_id,
            role: grant.issuer,
            active: true,
            expiration: Some(issued_at.plus(grant.duration)),
            session_policies: grant.policies.inline.into_iter().collect(),
            session_policy_arns: grant.policies.managed,
            session_tags: grant.tags.all(),
            session_context,
        },
        issued_at,
        transitive_tag_keys: grant.tags.transitive_keys,
    }
}

fn issued(credential: Credential, packed_policy_size: Option<i32>) -> Issued {
    let expiration = credential.expiration.unwrap_or_default();
    let session_token = credential.session_token.unwrap_or_default();
    Issued {
        packed_policy_size,
        token_size: i32::try_from(session_token.len()).unwrap_or(i32::MAX),
        token_utilization: tokens::utilization(session_token.len()),
        credentials: api::Credentials {
            access_key_id: credential.access_key_id,
            secret_access_key: credential.secret_access_key,
            session_token,
            expiration,
        },
    }
}
