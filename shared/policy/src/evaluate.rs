//! The verdict over all policies that bear on a request.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html> and,
//! for requests between accounts,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html>.

use crate::document::{Effect, Policy};
use crate::matching::Request;
use crate::principal::Grant;

/// A policy with the name by which explanations speak of it: its ARN or its inline name.
#[derive(Clone, Copy, Debug)]
pub struct Attached<'a> {
    pub name: &'a str,
    pub policy: &'a Policy,
}

impl<'a> Attached<'a> {
    pub fn new(name: &'a str, policy: &'a Policy) -> Self {
        Attached { name, policy }
    }
}

/// The policy that hangs on the resource.
#[derive(Clone, Copy, Debug)]
pub enum ResourcePolicy<'a> {
    /// The resource has none.
    None,
    /// Within the account, this or the identity's policies may allow.
    Policy(Attached<'a>),
    /// As a KMS key's: whatever it does not allow is denied, to its own account too.
    Required(Attached<'a>),
    /// A role's trust policy: as [`Self::Required`], with its own words.
    Trust(Attached<'a>),
}

impl<'a> ResourcePolicy<'a> {
    fn attached(&self) -> Option<&Attached<'a>> {
        match self {
            ResourcePolicy::None => None,
            ResourcePolicy::Policy(policy) | ResourcePolicy::Required(policy) | ResourcePolicy::Trust(policy) => {
                Some(policy)
            }
        }
    }

    fn layer(&self) -> Layer {
        match self {
            ResourcePolicy::Trust(_) => Layer::RoleTrust,
            _ => Layer::Resource,
        }
    }
}

/// All policies that bear on a request. Layers that are `None` or empty do not exist and limit nothing.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'a> {
    /// Service control policies, a list for each level from the root to the account: each level must allow. To be left
    /// out for the management account, for service-linked roles and for principals of no account.
    pub service_control: &'a [&'a [Attached<'a>]],
    /// Resource control policies, likewise.
    pub resource_control: &'a [&'a [Attached<'a>]],
    pub vpc_endpoint: Option<Attached<'a>>,
    /// Those of the user and its groups, or of the role.
    pub identity: &'a [Attached<'a>],
    pub resource: ResourcePolicy<'a>,
    pub boundary: Option<Attached<'a>>,
    /// `Some` if the session was made with policies; all of them together are one layer.
    pub session: Option<&'a [Attached<'a>]>,
}

impl Default for Policies<'_> {
    fn default() -> Self {
        Policies {
            service_control: &[],
            resource_control: &[],
            vpc_endpoint: None,
            identity: &[],
            resource: ResourcePolicy::None,
            boundary: None,
            session: None,
        }
    }
}

/// The kinds of policies, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    ServiceControl,
    ResourceControl,
    VpcEndpoint,
    Identity,
    Resource,
    RoleTrust,
    Boundary,
    Session,
}

impl Layer {
    /// Whether its statements name principals.
    pub(crate) fn names_principals(self) -> bool {
        matches!(self, Layer::Resource | Layer::RoleTrust)
    }
}

/// A statement, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementRef<'a> {
    pub layer: Layer,
    pub policy: &'a str,
    pub index: usize,
    pub sid: Option<&'a str>,
}

/// What comes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Allowed; by this statement, unless it is the root user's own right.
    Allowed(Option<StatementRef<'a>>),
    /// A statement denies it.
    ExplicitDeny(StatementRef<'a>),
    /// This layer had to allow it and does not.
    NotAllowed(Layer),
}

impl Verdict<'_> {
    pub fn is_allowed(&self) -> bool {
        matches!(self, Verdict::Allowed(_))
    }
}

/// What a layer says, explicit denials apart.
type Allowance<'a> = Option<(Grant, StatementRef<'a>)>;

impl<'a> Policies<'a> {
    /// Every policy with its layer, in the order in which they are asked.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Layer, &Attached<'a>)> {
        let levels =
            |layer, levels: &'a [&'a [Attached<'a>]]| levels.iter().copied().flatten().map(move |p| (layer, p));
        levels(Layer::ServiceControl, self.service_control)
            .chain(levels(Layer::ResourceControl, self.resource_control))
            .chain(self.vpc_endpoint.iter().map(|policy| (Layer::VpcEndpoint, policy)))
            .chain(self.identity.iter().map(|policy| (Layer::Identity, policy)))
            .chain(self.resource.attached().map(|policy| (self.resource.layer(), policy)))
            .chain(self.boundary.iter().map(|policy| (Layer::Boundary, policy)))
            .chain(self.session.into_iter().flatten().map(|policy| (Layer::Session, policy)))
    }

    /// The verdict: a denial anywhere wins; then every layer that must allow is asked in turn.
    pub fn evaluate(&self, request: &Request<'_>) -> Verdict<'a> {
        if let Some(denial) = self.each().find_map(|(layer, policy)| find(layer, policy, request, Effect::Deny)) {
            return Verdict::ExplicitDeny(denial.1);
        }
        for (layer, levels) in
            [(Layer::ServiceControl, self.service_control), (Layer::ResourceControl, self.resource_control)]
        {
            if !levels.iter().all(|level| allows(layer, level, request).is_some()) {
                return Verdict::NotAllowed(layer);
            }
        }
        if self.vpc_endpoint.is_some() && allows(Layer::VpcEndpoint, self.vpc_endpoint.as_slice(), request).is_none() {
            return Verdict::NotAllowed(Layer::VpcEndpoint);
        }
        let layer = self.resource.layer();
        let by_resource = self.resource.attached().and_then(|policy| strongest(layer, policy, request));
        match request.principal.account() {
            None => verdict(by_resource, layer),
            Some(account) if request.resource_account.is_none_or(|owner| owner == account) => {
                self.within_account(request, by_resource)
            }
            Some(_) => self.across_accounts(request, by_resource),
        }
    }

    fn within_account(&self, request: &Request<'_>, by_resource: Allowance<'a>) -> Verdict<'a> {
        let required = matches!(self.resource, ResourcePolicy::Required(_) | ResourcePolicy::Trust(_));
        match by_resource {
            // Named for itself: neither boundary nor session policy has to allow it too.
            Some((Grant::Direct, statement)) => return Verdict::Allowed(Some(statement)),
            Some((Grant::Issuer, statement)) => {
                return self.limits(request).map_or(Verdict::Allowed(Some(statement)), Verdict::NotAllowed);
            }
            None if required => return Verdict::NotAllowed(self.resource.layer()),
            // An account that is named may pass the permission on, as it may without being named.
            Some((Grant::Account, _)) | None => {}
        }
        self.by_identity(request)
    }

    fn across_accounts(&self, request: &Request<'_>, by_resource: Allowance<'a>) -> Verdict<'a> {
        match self.by_identity(request) {
            Verdict::Allowed(_) => verdict(by_resource, self.resource.layer()),
            refused => refused,
        }
    }

    /// What the principal's own account says. Its root user needs no policy.
    fn by_identity(&self, request: &Request<'_>) -> Verdict<'a> {
        let root = request.principal.has_rights_of_root();
        let allowed = allows(Layer::Identity, self.identity, request);
        if allowed.is_none() && !root {
            return Verdict::NotAllowed(Layer::Identity);
        }
        let statement = allowed.map(|(_, statement)| statement);
        self.limits(request).map_or(Verdict::Allowed(statement), Verdict::NotAllowed)
    }

    /// The first of boundary and session policies that does not allow.
    fn limits(&self, request: &Request<'_>) -> Option<Layer> {
        let boundary = self.boundary.as_slice();
        if !boundary.is_empty() && allows(Layer::Boundary, boundary, request).is_none() {
            return Some(Layer::Boundary);
        }
        self.session.filter(|policies| allows(Layer::Session, policies, request).is_none()).map(|_| Layer::Session)
    }
}

fn verdict(allowance: Allowance<'_>, layer: Layer) -> Verdict<'_> {
    allowance.map_or(Verdict::NotAllowed(layer), |(_, statement)| Verdict::Allowed(Some(statement)))
}

fn allows<'a>(layer: Layer, policies: &[Attached<'a>], request: &Request<'_>) -> Allowance<'a> {
    policies.iter().find_map(|policy| find(layer, policy, request, Effect::Allow))
}

/// The first matching statement of this effect.
fn find<'a>(layer: Layer, attached: &Attached<'a>, request: &Request<'_>, effect: Effect) -> Allowance<'a> {
    matching(layer, attached, request, effect).next()
}

/// The matching `Allow` that names the principal most directly.
fn strongest<'a>(layer: Layer, attached: &Attached<'a>, request: &Request<'_>) -> Allowance<'a> {
    matching(layer, attached, request, Effect::Allow).reduce(|best, next| if next.0 > best.0 { next } else { best })
}

fn matching<'a>(
    layer: Layer,
    attached: &Attached<'a>,
    request: &Request<'_>,
    effect: Effect,
) -> impl Iterator<Item = (Grant, StatementRef<'a>)> {
    let Attached { name, policy } = *attached;
    policy.statements().iter().enumerate().filter(move |(_, statement)| statement.effect() == effect).filter_map(
        move |(index, statement)| {
            let grant = statement.judge(request, layer.names_principals()).ok()?;
            Some((grant, StatementRef { layer, policy: name, index, sid: statement.sid() }))
        },
    )
}
