//! STS's state in memory, its operation table, and what it answers beside its operations.

use fractus_aws::{Arn, Lane};
use fractus_bus::contracts::Credential;
use fractus_host::access_key::account_of_access_key_id;
use fractus_host::{Access, Context, Host, Operations, Service};
use fractus_store::Store;
use fractus_sts_api as api;
use futures::future::BoxFuture;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::names::RoleArn;
use crate::operations::{access_key, assume_role, assume_root, authorization_message, caller_identity, sessions};
use crate::store::{SESSIONS, Session, scope};

/// What every handler works on; clones share it.
#[derive(Clone)]
pub struct Sts {
    pub store: Store,
    pub host: Host,
    pub config: Config,
}

impl Sts {
    pub fn new(host: &Host, config: Config) -> Self {
        Sts { store: host.store().clone(), host: host.clone(), config }
    }

    /// A session that was issued here.
    pub async fn find_session(&self, lane: &Lane, access_key_id: &str) -> Result<Option<Session>> {
        let Some(account) = account_of_access_key_id(access_key_id) else { return Ok(None) };
        let scope = scope(lane, &account);
        self.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&SESSIONS, &scope, &(access_key_id,))?)).await
    }

    /// What other services need to verify a signature and to evaluate policies.
    pub async fn find_credential(&self, lane: &Lane, access_key_id: &str) -> Option<Credential> {
        match self.find_session(lane, access_key_id).await {
            Ok(session) => session.map(|session| session.credential),
            Err(error) => {
                tracing::error!(%error, "a session could not be looked up");
                None
            }
        }
    }
}

/// Every operation of STS.
pub fn operations() -> Operations<Sts> {
    Operations::new(&[&api::MODEL])
        .on(api::GetCallerIdentity, caller_identity::get)
        .access(api::GetCallerIdentity, needs_nothing)
        .on(api::AssumeRole, assume_role::assume)
        .access(api::AssumeRole, assume_role::access)
        .on(api::AssumeRoot, assume_root::assume)
        .access(api::AssumeRoot, assume_root::access)
        .on(api::GetSessionToken, sessions::session_token)
        .access(api::GetSessionToken, needs_nothing)
        .on(api::GetFederationToken, sessions::federation_token)
        .access(api::GetFederationToken, sessions::federation_access)
        .on(api::GetAccessKeyInfo, access_key::info)
        .on(api::DecodeAuthorizationMessage, authorization_message::decode)
        .body_limit_bytes(512 * 1024)
}

/// The resource of operations that nobody needs a permission for: its policy, below, allows them.
const OPEN: &str = "arn:aws:sts:::open";
const ALLOW_EVERYBODY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:*","Resource":"*"}}"#;

fn needs_nothing<I>(_: &Context, _: &I) -> Result<Vec<Access>> {
    let open: Arn = OPEN.parse().map_err(|_| Error::Internal("no ARN".to_owned()))?;
    Ok(vec![Access::to(&open)])
}

impl Service for Sts {
    fn resource_policy<'a>(&'a self, cx: &'a Context, resource: &'a Arn) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move {
            // Whoever comes with an identity provider's word is judged by the handler, which verifies it.
            let unsigned = cx.operation().is_some_and(|operation| operation.schema.unsigned);
            if unsigned || resource.resource == "open" {
                return Some(ALLOW_EVERYBODY.to_owned());
            }
            match RoleArn::parse(&resource.to_string()) {
                Ok(_) => self.trust_policy(cx, resource).await,
                Err(_) => None,
            }
        })
    }

    fn look_up_credential<'a>(
        &'a self,
        lane: &'a Lane,
        access_key_id: &'a str,
    ) -> Option<BoxFuture<'a, Option<Credential>>> {
        Some(Box::pin(self.find_credential(lane, access_key_id)))
    }
}
