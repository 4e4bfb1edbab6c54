//! What a caller may do: every policy that bears on a call, gathered and evaluated.
//!
//! The service says which resources its operation reaches for and which policies hang on them; whoever keeps identities
//! tells the caller's own policies, over the bus. Only `auth = "enforced"` comes here, and anonymous callers of services that
//! want it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use fractus_aws::{Arn, Lane};
use fractus_bus::contracts::{Call, CredentialKind, PolicyChanged};
use fractus_bus::{Heard, Hears, Publishers};
use fractus_clock::Stopwatch;
use fractus_policy::{Attached, Policies, Policy, Principal, Request, ResourcePolicy, Verdict};
use fractus_wire::{Failure, Protocol};

use crate::access::{Access, ResourceFacts};
use crate::config::AuthMode;
use crate::context::{Caller, CallerKind, Context};
use crate::credentials::ISSUER_OF_LONG_TERM_KEYS;
use crate::host::Host;

/// Which policies bear on what a principal does? Asked of the service that keeps identities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUpPolicies {
    pub lane: Lane,
    /// A user or a role.
    pub principal: Arn,
    /// Managed policies whose documents are wanted besides: those of a session.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<Arn>,
}

impl Call for LookUpPolicies {
    const VERB: &'static str = "look-up-policies";
    type Reply = PrincipalPolicies;

    fn lane(&self) -> Option<&Lane> {
        Some(&self.lane)
    }
}

/// A policy's document and its name: the ARN of a managed one, the name of an inline one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPolicy {
    pub name: String,
    pub document: String,
}

/// The answer to [`LookUpPolicies`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PrincipalPolicies {
    /// Of the user and its groups, or of the role; inline and managed.
    pub identity: Vec<NamedPolicy>,
    pub boundary: Option<NamedPolicy>,
    /// A list for each level from the organisation's root to the account; empty where they do not apply.
    pub service_control: Vec<Vec<NamedPolicy>>,
    pub resource_control: Vec<Vec<NamedPolicy>>,
    /// In the order of the question.
    pub managed: Vec<NamedPolicy>,
    /// For `aws:PrincipalTag`.
    pub tags: Vec<(String, String)>,
}

/// A policy read and compiled.
struct Compiled {
    name: String,
    policy: Policy,
}

#[derive(Default)]
struct CompiledPolicies {
    identity: Vec<Compiled>,
    boundary: Option<Compiled>,
    service_control: Vec<Vec<Compiled>>,
    resource_control: Vec<Vec<Compiled>>,
    session: Option<Vec<Compiled>>,
    tags: Vec<(String, String)>,
}

/// The callers' policies, remembered until something changes.
#[derive(Default)]
pub(crate) struct Permissions {
    callers: Mutex<HashMap<(Lane, String), Remembered>>,
}

type Remembered = (Stopwatch, Arc<CompiledPolicies>);

/// Beyond it everything is forgotten at once.
const MAX_CALLERS: usize = 4_096;
/// Events tell of changes; the limit is for events that were not heard.
const KNOWN_FOR: Duration = Duration::from_secs(60);

impl Permissions {
    pub fn forget_all(&self) {
        self.callers.lock().clear();
    }

    async fn of(&self, cx: &Context) -> Result<Arc<CompiledPolicies>, Failure> {
        let at = (cx.world.lane.clone(), cx.caller.access_key_id.clone());
        if let Some((since, policies)) = self.callers.lock().get(&at)
            && since.elapsed() < KNOWN_FOR
        {
            return Ok(policies.clone());
        }
        let (policies, is_answered) = ask(cx).await?;
        let policies = Arc::new(policies);
        if !is_answered {
            return Ok(policies);
        }
        let mut callers = self.callers.lock();
        if callers.len() >= MAX_CALLERS {
            callers.clear();
        }
        callers.insert(at, (Stopwatch::start(), policies.clone()));
        Ok(policies)
    }
}

/// The caller's policies, and whether whoever keeps them has answered.
async fn ask(cx: &Context) -> Result<(CompiledPolicies, bool), Failure> {
    let Some(credential) = cx.caller.credential.as_deref() else { return Ok((CompiledPolicies::default(), true)) };
    if credential.kind == CredentialKind::Root {
        return Ok((CompiledPolicies::default(), true));
    }
    let question = LookUpPolicies {
        lane: cx.world.lane.clone(),
        principal: credential.role.clone().unwrap_or_else(|| credential.principal.clone()),
        managed: credential.session_policy_arns.clone(),
    };
    // A root has no policies, so whom it has federated has those of the session alone.
    let (found, is_answered) = match question.principal.resource == "root" && question.managed.is_empty() {
        true => (PrincipalPolicies::default(), true),
        false => look_up(cx, &question).await,
    };
    let by_service = credential.session_context.iter().any(|(key, _)| key == SERVICE_ROLE);
    let found = match by_service && !is_answered {
        true => PrincipalPolicies { identity: vec![everything()], ..found },
        false => found,
    };
    let has_session = !(credential.session_policies.is_empty() && credential.session_policy_arns.is_empty());
    let inline = credential.session_policies.iter().enumerate();
    let inline =
        inline.map(|(index, document)| NamedPolicy { name: format!("session-{index}"), document: document.clone() });
    let levels = |levels: Vec<Vec<NamedPolicy>>| levels.into_iter().map(compile).collect::<Result<Vec<_>, _>>();
    let policies = CompiledPolicies {
        identity: compile(found.identity)?,
        boundary: compile(found.boundary.into_iter().collect())?.pop(),
        service_control: levels(found.service_control)?,
        resource_control: levels(found.resource_control)?,
        session: if has_session { Some(compile(inline.chain(found.managed).collect())?) } else { None },
        tags: found.tags,
    };
    Ok((policies, is_answered))
}

/// Marks, among what its session fixes, a session that a service itself has opened of a role that was handed to it. Where
/// nobody keeps identities such a role may do what resources' own policies leave to it.
pub const SERVICE_ROLE: &str = "fractus:ServiceRole";

fn everything() -> NamedPolicy {
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    NamedPolicy { name: "a role that nobody keeps".to_owned(), document: document.to_owned() }
}

/// Asks whoever keeps identities; the second part says whether an answer came.
async fn look_up(cx: &Context, question: &LookUpPolicies) -> (PrincipalPolicies, bool) {
    match cx.host.bus().call(ISSUER_OF_LONG_TERM_KEYS, question, &cx.cause()).await {
        Ok(found) => (found, true),
        Err(error) => {
            // Nobody who could allow it is there; what a resource's own policy allows still holds.
            tracing::warn!(%error, principal = %question.principal, "the caller's policies are not known");
            (PrincipalPolicies::default(), false)
        }
    }
}

/// A stored policy that cannot be read must not silently allow or deny.
fn compile(policies: Vec<NamedPolicy>) -> Result<Vec<Compiled>, Failure> {
    let compiled = policies.into_iter().map(|NamedPolicy { name, document }| match Policy::parse(&document) {
        Ok(policy) => Ok(Compiled { name, policy }),
        Err(error) => {
            tracing::error!(name, %error, "a policy cannot be read");
            Err(Failure::internal("An internal error occurred."))
        }
    });
    compiled.collect()
}

fn attach(policies: &[Compiled]) -> Vec<Attached<'_>> {
    policies.iter().map(|compiled| Attached::new(&compiled.name, &compiled.policy)).collect()
}

/// Evaluates all policies on `wanted`; nothing wanted means the operation's own action on everything.
pub(crate) async fn authorize(cx: &Context, wanted: &[Access]) -> Result<(), Failure> {
    let policies = cx.host.inner.permissions.of(cx).await?;
    let everything = [Access::to_all()];
    for access in if wanted.is_empty() { &everything } else { wanted } {
        // What a resource stands for stands for nothing further.
        for also in evaluate(cx, &policies, access).await? {
            evaluate(cx, &policies, &also).await?;
        }
    }
    Ok(())
}

/// Evaluates one access; gives what must be allowed besides.
async fn evaluate(cx: &Context, policies: &CompiledPolicies, access: &Access) -> Result<Vec<Access>, Failure> {
    let action = action(cx, access);
    let arn: Option<Arn> = access.resource.parse().ok();
    let facts = match (&arn, cx.host.service()) {
        (Some(arn), Some(service)) => service.resource_facts(cx, access, arn).await,
        _ => ResourceFacts::default(),
    };
    let resource = facts.resource.as_ref().unwrap_or(&access.resource);
    let resource_policy =
        compile(facts.policy.into_iter().map(|document| NamedPolicy { name: resource.clone(), document }).collect())?;
    let principal = principal(&cx.caller);
    let mut context = conditions(cx, &principal, policies, access);
    for (key, values) in &facts.conditions {
        context.insert_many(key, values.iter().cloned());
    }
    let owner = access.owner.as_ref().or(facts.owner.as_ref());
    let named_account = arn.as_ref().map(|arn| arn.account.as_str()).filter(|account| !account.is_empty());
    let request = Request {
        principal: &principal,
        action: &action,
        resource,
        resource_account: owner.map(|owner| owner.as_str()).or(named_account),
        context: &context,
    };
    let (identity, boundary) = (attach(&policies.identity), policies.boundary.as_slice_of_one());
    let session = policies.session.as_deref().map(attach);
    let service_control: Vec<Vec<Attached<'_>>> = policies.service_control.iter().map(|level| attach(level)).collect();
    let resource_control: Vec<Vec<Attached<'_>>> =
        policies.resource_control.iter().map(|level| attach(level)).collect();
    let service_control: Vec<&[Attached<'_>]> = service_control.iter().map(Vec::as_slice).collect();
    let resource_control: Vec<&[Attached<'_>]> = resource_control.iter().map(Vec::as_slice).collect();
    let layers = Policies {
        service_control: &service_control,
        resource_control: &resource_control,
        vpc_endpoint: None,
        identity: &identity,
        resource: attach(&resource_policy).pop().map_or(ResourcePolicy::None, ResourcePolicy::Policy),
        boundary: attach(boundary).pop(),
        session: session.as_deref(),
    };
    settle(cx, &layers.evaluate(&request), &request)?;
    Ok(facts.also)
}

trait AsSliceOfOne<T> {
    fn as_slice_of_one(&self) -> &[T];
}

impl<T> AsSliceOfOne<T> for Option<T> {
    fn as_slice_of_one(&self) -> &[T] {
        self.as_ref().map_or(&[], std::slice::from_ref)
    }
}

fn settle(cx: &Context, verdict: &Verdict<'_>, request: &Request<'_>) -> Result<(), Failure> {
    let Some(message) = verdict.message(request) else { return Ok(()) };
    if cx.host.config().auth_soft && cx.host.config().auth == AuthMode::Enforced {
        tracing::warn!(request_id = %cx.request_id, message, "would be denied");
        return Ok(());
    }
    let (code, status) = match cx.operation.map(|operation| operation.protocol) {
        Some(Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RpcV2Cbor) => ("AccessDeniedException", 400),
        Some(Protocol::RestJson1) => ("AccessDeniedException", 403),
        _ => ("AccessDenied", 403),
    };
    Err(Failure::new(code, status, message))
}

fn action(cx: &Context, access: &Access) -> String {
    match (access.action.is_empty(), cx.operation) {
        (true, Some(operation)) => format!("{}:{}", operation.api.signing_name, operation.schema.name),
        _ => access.action.clone(),
    }
}

fn principal(caller: &Caller) -> Principal {
    let (arn, account) = (caller.arn.as_str(), caller.account.as_str());
    let issuer = caller.credential.as_deref().and_then(|credential| credential.role.as_ref()).map(Arn::to_string);
    let principal = match caller.kind {
        CallerKind::Anonymous => return Principal::anonymous(),
        CallerKind::Root | CallerKind::Service | CallerKind::Known(CredentialKind::Root) => {
            Principal::root(arn, account)
        }
        CallerKind::Known(CredentialKind::User | CredentialKind::Session) => Principal::user(arn, account),
        CallerKind::Known(CredentialKind::AssumedRole) => {
            Principal::role_session(arn, issuer.unwrap_or_default(), account)
        }
        CallerKind::Known(CredentialKind::FederatedUser) => {
            Principal::federated_user(arn, issuer.unwrap_or_else(|| format!("arn:aws:iam::{account}:root")), account)
        }
    };
    principal.with_unique_id(caller.principal_id.clone())
}

/// The condition keys that every service has.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
fn conditions(
    cx: &Context,
    principal: &Principal,
    policies: &CompiledPolicies,
    access: &Access,
) -> fractus_policy::Context {
    let mut context = fractus_policy::Context::new();
    principal.describe(&mut context);
    let now = cx.now();
    context.insert("aws:CurrentTime", now.to_secs_precision().date_time());
    context.insert("aws:EpochTime", now.secs().to_string());
    context.insert("aws:SecureTransport", (cx.scheme() == "https").to_string());
    context.insert("aws:SourceIp", cx.source_ip().to_string());
    context.insert("aws:RequestedRegion", cx.region.as_str());
    for (key, value) in [("aws:UserAgent", cx.user_agent()), ("aws:Referer", cx.header("referer"))] {
        if let Some(value) = value {
            context.insert(key, value);
        }
    }
    if let Some(credential) = cx.caller.credential.as_deref() {
        for (tag, value) in policies.tags.iter().chain(&credential.session_tags) {
            context.insert(&format!("aws:PrincipalTag/{tag}"), value.as_str());
        }
        for (key, value) in &credential.session_context {
            context.insert(key, value.as_str());
        }
    }
    for (key, values) in &access.conditions {
        context.insert_many(key, values.iter().cloned());
    }
    context
}

/// Forgets policies that events say have changed, until the host drains.
pub(crate) fn follow_changes(host: &Host) {
    let mut changes = host.bus().subscribe::<PolicyChanged>(Publishers::Any, Hears::EveryReplica);
    let (following, draining) = (host.clone(), host.draining());
    host.spawn("policy changes", async move {
        loop {
            tokio::select! {
                () = draining.cancelled() => return,
                heard = changes.next() => match heard {
                    Some(Heard::Event { .. } | Heard::Missed) => following.inner.permissions.forget_all(),
                    None => return,
                },
            }
        }
    });
}
