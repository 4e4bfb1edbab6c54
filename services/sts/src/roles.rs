//! Whether a role may be assumed: what IAM knows of it, and its trust policy.

use std::time::Duration;

use fractus_aws::{Arn, Lane};
use fractus_bus::CallError;
use fractus_bus::contracts::{Call, Credential, CredentialKind};
use fractus_host::config::AuthMode;
use fractus_host::{AssumeServiceRole, CallerKind, Context, SERVICE_ROLE};
use fractus_policy::{Attached, Policies, Policy, Principal, Request, ResourcePolicy};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::issue::Grant;
use crate::model::names::{RoleArn, role_id_of};
use crate::service::Sts;

/// What must be known of a role before it is assumed? Asked of the service that keeps identities; the answer is none
/// where there is no such role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUpRole {
    pub lane: Lane,
    pub role: Arn,
}

impl Call for LookUpRole {
    const VERB: &'static str = "look-up-role";
    type Reply = Option<Role>;

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// A role, as far as assuming it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// `AROA...`.
    pub role_id: String,
    pub trust_policy: String,
    pub max_session_duration_secs: u64,
}

/// The service that keeps identities.
const KEEPER_OF_ROLES: &str = "iam";
const TIMEOUT: Duration = Duration::from_secs(2);

/// Somebody wants to assume a role.
pub struct Wish<'a> {
    /// `sts:AssumeRole`, `sts:AssumeRoleWithWebIdentity` ...
    pub action: &'static str,
    pub role: &'a RoleArn,
    pub principal: Principal,
    /// Condition keys beside those of every call.
    pub conditions: Vec<(String, Vec<String>)>,
}

/// What whoever keeps identities says of a role.
enum Found {
    Role(Role),
    /// There is none of this name.
    Unknown,
    /// Nobody keeps identities.
    NobodyKnows,
}

impl Found {
    fn into_role(self) -> Option<Role> {
        match self {
            Found::Role(role) => Some(role),
            Found::Unknown | Found::NobodyKnows => None,
        }
    }
}

/// How long a service's session of a role lasts.
const SERVICE_SESSION: Duration = Duration::from_secs(3_600);

/// What is known of a role that may be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumable {
    pub role_id: String,
    pub max_duration: Duration,
}

impl Sts {
    /// Whether the wish is granted. Where policies are not evaluated, every role that could exist does.
    pub async fn admit(&self, cx: &Context, wish: &Wish<'_>) -> Result<Assumable> {
        let role = self.find_role(cx, wish.role).await?.into_role();
        if cx.evaluates_policies() {
            let refused = match &role {
                None => true,
                Some(role) => !trusts(cx, &role.trust_policy, wish)?,
            };
            if refused {
                refuse(cx, wish)?;
            }
        }
        Ok(match role {
            Some(role) => {
                Assumable { role_id: role.role_id, max_duration: Duration::from_secs(role.max_session_duration_secs) }
            }
            None => Assumable { role_id: role_id_of(&wish.role.arn), max_duration: Duration::from_secs(43_200) },
        })
    }

    /// A session for a service that the role was handed to. Where policies are evaluated the role must trust the service;
    /// where nobody keeps roles, it may do what the policies of resources leave to it.
    pub async fn assume_for_service(&self, cx: &Context, wanted: &AssumeServiceRole) -> Result<Credential> {
        let role = RoleArn::parse(&wanted.role.to_string())?;
        let conditions = [
            ("aws:SourceArn", wanted.source_arn.as_ref().map(Arn::to_string)),
            ("aws:SourceAccount", Some(wanted.source_account.to_string())),
            ("sts:RoleSessionName", Some(wanted.session_name.clone())),
        ];
        let conditions =
            conditions.into_iter().filter_map(|(key, value)| Some((key.to_owned(), vec![value?]))).collect();
        let principal = Principal::service(wanted.service.as_str());
        let wish = Wish { action: "sts:AssumeRole", role: &role, principal, conditions };
        let found = self.find_role(cx, &role).await?;
        if cx.host().config().auth == AuthMode::Enforced {
            let is_trusted = match &found {
                Found::Role(role) => trusts(cx, &role.trust_policy, &wish)?,
                Found::Unknown => false,
                Found::NobodyKnows => true,
            };
            if !is_trusted && !cx.host().config().auth_soft {
                let (service, arn) = (&wanted.service, &role.arn);
                let message =
                    format!("User: {service} is not authorized to perform: sts:AssumeRole on resource: {arn}");
                return Err(Error::AccessDenied(message));
            }
        }
        let role_id = found.into_role().map_or_else(|| role_id_of(&role.arn), |role| role.role_id);
        let grant = Grant {
            kind: CredentialKind::AssumedRole,
            account: role.account.clone(),
            principal: role.session_arn(&wanted.session_name),
            principal_id: format!("{role_id}:{}", wanted.session_name),
            issuer: Some(role.arn.clone()),
            duration: SERVICE_SESSION,
            policies: Default::default(),
            tags: Default::default(),
            context: vec![(SERVICE_ROLE.to_owned(), "true".to_owned())],
            minimum_token_size: None,
        };
        self.begin(cx, grant).await
    }

    async fn find_role(&self, cx: &Context, role: &RoleArn) -> Result<Found> {
        let question = LookUpRole { lane: cx.world.lane.clone(), role: role.arn.clone() };
        match self.bus.call_within(KEEPER_OF_ROLES, &question, &cx.cause(), TIMEOUT).await {
            Ok(role) => Ok(role.map_or(Found::Unknown, Found::Role)),
            Err(CallError::NotRunning { .. }) => Ok(Found::NobodyKnows),
            Err(error) => {
                tracing::debug!(%error, "nobody told of the role");
                Ok(Found::Unknown)
            }
        }
    }

    /// The trust policy of a role, as its JSON text.
    pub async fn trust_policy(&self, cx: &Context, role: &Arn) -> Option<String> {
        let role = RoleArn::parse(&role.to_string()).ok()?;
        Some(self.find_role(cx, &role).await.ok()?.into_role()?.trust_policy)
    }
}

fn refuse(cx: &Context, wish: &Wish<'_>) -> Result<()> {
    let error = match wish.action {
        "sts:AssumeRole" => Error::not_authorized(cx, wish.action, &wish.role.arn.to_string()),
        // Whoever has no credentials of AWS is not named.
        action => Error::AccessDenied(format!("Not authorized to perform {action}")),
    };
    if cx.host().config().auth_soft {
        tracing::warn!(request_id = %cx.request_id, %error, "would be denied");
        return Ok(());
    }
    Err(error)
}

/// Whether the trust policy allows it. What the caller's own policies say has been asked before.
fn trusts(cx: &Context, trust_policy: &str, wish: &Wish<'_>) -> Result<bool> {
    let unreadable = |error| Error::Internal(format!("the trust policy of {} cannot be read: {error}", wish.role.arn));
    let trust_policy = Policy::parse(trust_policy).map_err(unreadable)?;
    let everything = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let everything = Policy::parse(everything).map_err(unreadable)?;
    let identity = [Attached::new("identity", &everything)];
    let context = conditions(cx, wish);
    let role_arn = wish.role.arn.to_string();
    let request = Request {
        principal: &wish.principal,
        action: wish.action,
        resource: &role_arn,
        resource_account: Some(wish.role.account.as_str()),
        context: &context,
    };
    let policies = Policies {
        identity: &identity,
        resource: ResourcePolicy::Trust(Attached::new(&role_arn, &trust_policy)),
        ..Policies::default()
    };
    Ok(policies.evaluate(&request).is_allowed())
}

fn conditions(cx: &Context, wish: &Wish<'_>) -> fractus_policy::Context {
    let mut context = fractus_policy::Context::new();
    wish.principal.describe(&mut context);
    let now = cx.now();
    context.insert("aws:CurrentTime", now.to_secs_precision().date_time());
    context.insert("aws:EpochTime", now.secs().to_string());
    context.insert("aws:SecureTransport", (cx.scheme() == "https").to_string());
    context.insert("aws:SourceIp", cx.source_ip().to_string());
    context.insert("aws:RequestedRegion", cx.region.as_str());
    if let Some(credential) = cx.caller.credential.as_deref() {
        for (key, value) in &credential.session_tags {
            context.insert(&format!("aws:PrincipalTag/{key}"), value.as_str());
        }
        for (key, value) in &credential.session_context {
            context.insert(key, value.as_str());
        }
    }
    for (key, values) in &wish.conditions {
        context.insert_many(key, values.iter().cloned());
    }
    context
}

/// The caller, as policies see it.
pub fn principal_of_caller(cx: &Context) -> Principal {
    let (arn, account) = (cx.caller.arn.as_str(), cx.caller.account.as_str());
    let issuer = cx.caller.credential.as_deref().and_then(|credential| credential.role.as_ref()).map(Arn::to_string);
    let principal = match cx.caller.kind {
        CallerKind::Anonymous => return Principal::anonymous(),
        CallerKind::Known(CredentialKind::AssumedRole) => {
            Principal::role_session(arn, issuer.unwrap_or_default(), account)
        }
        CallerKind::Known(CredentialKind::FederatedUser) => {
            Principal::federated_user(arn, issuer.unwrap_or_default(), account)
        }
        CallerKind::Known(CredentialKind::User | CredentialKind::Session) => Principal::user(arn, account),
        CallerKind::Root | CallerKind::Service | CallerKind::Known(CredentialKind::Root) => {
            Principal::root(arn, account)
        }
    };
    principal.with_unique_id(cx.caller.principal_id.clone())
}
