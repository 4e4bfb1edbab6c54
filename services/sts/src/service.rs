//! STS's state in memory, its operation table, and what it answers beside its operations.

use std::sync::Arc;

use fractus_aws::{Arn, Lane, World};
use fractus_bus::Bus;
use fractus_bus::contracts::Credential;
use fractus_clock::Random;
use fractus_host::access_key::account_of_access_key_id;
use fractus_host::{Access, Context, Host, Operations, Prepared, Service};
use fractus_store::Store;
use fractus_sts_api as api;
use fractus_wire::ByteStream;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::issuer;
use crate::model::names::RoleArn;
use crate::model::tokens::session_token;
use crate::operations::{
    access_key, assume_role, assume_root, authorization_message, caller_identity, delegated, saml, sessions,
    web_identity, web_identity_token,
};
use crate::providers::Providers;
use crate::store::{
    IssueTradeInToken, REMEMBERED_AFTER_EXPIRY, SESSIONS, Session, TRADE_IN_TOKENS, partition_scope, scope,
};

/// What every handler works on; clones share it. Not the host itself: the host holds the service, and neither would ever
/// be dropped.
#[derive(Clone)]
pub struct Sts {
    pub store: Store,
    pub bus: Bus,
    pub random: Random,
    pub config: Config,
    pub providers: Arc<Providers>,
}

impl Sts {
    pub fn new(host: &Host, config: Config) -> Self {
        Sts {
            store: host.store().clone(),
            bus: host.bus().clone(),
            random: host.random().clone(),
            config,
            providers: Arc::default(),
        }
    }

    /// A session that was issued here.
    pub async fn find_session(&self, lane: &Lane, access_key_id: &str) -> Result<Option<Session>> {
        let Some(account) = account_of_access_key_id(access_key_id) else { return Ok(None) };
        let scope = scope(lane, &account);
        self.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&SESSIONS, &scope, &(access_key_id,))?)).await
    }

    /// Keeps what a new trade-in token stands for; the token.
    pub async fn keep_trade_in(&self, question: IssueTradeInToken) -> Result<String> {
        let IssueTradeInToken { lane, partition, trade_in } = question;
        let token = session_token(&self.random, None);
        let scope = partition_scope(&World { lane, partition, account: trade_in.account.clone() });
        let kept_until = trade_in.expires_at.plus(REMEMBERED_AFTER_EXPIRY);
        let at = (token.as_str(),);
        self.store
            .write(|tx| Ok::<_, Error>(tx.put_until(&TRADE_IN_TOKENS, &scope, &at, &trade_in, kept_until)?))
            .await?;
        Ok(token)
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
        .on(api::AssumeRoleWithWebIdentity, web_identity::assume)
        .access(api::AssumeRoleWithWebIdentity, needs_nothing)
        .on(api::AssumeRoleWithSAML, saml::assume)
        .access(api::AssumeRoleWithSAML, needs_nothing)
        .modelled(api::GetDelegatedAccessToken, delegated::exchange)
        .on(api::GetWebIdentityToken, web_identity_token::get)
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
    fn prepare(&self, head: &mut Parts, _: &str) -> Prepared {
        if head.uri.path().starts_with(issuer::PATH) { Prepared::Raw } else { Prepared::Identify }
    }

    fn raw<'a>(&'a self, cx: &'a Context, _: Request<ByteStream>) -> BoxFuture<'a, Response<ByteStream>> {
        Box::pin(self.issuer_document(cx))
    }

    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.providers.forget_all();
        Box::pin(std::future::ready(()))
    }

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
