//! Who asks ([`Principal`]), and whom a policy names ([`PrincipalElement`]).
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>

use crate::context::Context;

/// The kinds of those who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// Nobody has signed the request.
    Anonymous,
    /// An account's root user.
    Root,
    User,
    /// A session of a role.
    RoleSession,
    /// A session of `GetFederationToken`.
    FederatedUser,
    /// An AWS service, by its name such as `sns.amazonaws.com`.
    Service,
    /// Someone an identity provider vouches for, while assuming a role.
    Federated,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    kind: PrincipalKind,
    /// The ARN, a service's name or an identity provider's.
    name: String,
    account: Option<String>,
    /// Of a session: the role or user it was made from.
    issuer: Option<String>,
    unique_ids: Vec<String>,
    canonical_user: Option<String>,
}

impl Principal {
    fn new(kind: PrincipalKind, name: impl Into<String>, account: Option<&str>) -> Self {
        let (name, account) = (name.into(), account.map(str::to_owned));
        Principal { kind, name, account, issuer: None, unique_ids: Vec::new(), canonical_user: None }
    }

    pub fn anonymous() -> Self {
        Principal::new(PrincipalKind::Anonymous, "anonymous", None)
    }

    /// The root user, by `arn:aws:iam::123456789012:root`.
    pub fn root(arn: impl Into<String>, account: &str) -> Self {
        Principal::new(PrincipalKind::Root, arn, Some(account))
    }

    pub fn user(arn: impl Into<String>, account: &str) -> Self {
        Principal::new(PrincipalKind::User, arn, Some(account))
    }

    /// A session `arn:aws:sts::123456789012:assumed-role/Role/session` of the role with this ARN.
    pub fn role_session(session_arn: impl Into<String>, role_arn: impl Into<String>, account: &str) -> Self {
        let principal = Principal::new(PrincipalKind::RoleSession, session_arn, Some(account));
        Principal { issuer: Some(role_arn.into()), ..principal }
    }

    /// A session `arn:aws:sts::123456789012:federated-user/name` of the user with this ARN.
    pub fn federated_user(session_arn: impl Into<String>, user_arn: impl Into<String>, account: &str) -> Self {
        let principal = Principal::new(PrincipalKind::FederatedUser, session_arn, Some(account));
        Principal { issuer: Some(user_arn.into()), ..principal }
    }

    pub fn service(name: impl Into<String>) -> Self {
        Principal::new(PrincipalKind::Service, name, None)
    }

    /// By an identity provider: the ARN of an IAM one, or `cognito-identity.amazonaws.com` and its like.
    pub fn federated(provider: impl Into<String>) -> Self {
        Principal::new(PrincipalKind::Federated, provider, None)
    }

    /// Adds a unique id (`AIDA...`, `AROA...`, `AROA...:session`), by which stored policies name principals.
    #[must_use]
    pub fn with_unique_id(mut self, id: impl Into<String>) -> Self {
        self.unique_ids.push(id.into());
        self
    }

    /// The account's canonical user id, by which S3's policies may name it.
    #[must_use]
    pub fn with_canonical_user(self, id: impl Into<String>) -> Self {
        Principal { canonical_user: Some(id.into()), ..self }
    }

    pub fn kind(&self) -> PrincipalKind {
        self.kind
    }

    /// Whether no policy need allow it what its account may: the root user, and whom the root user has federated (only the
    /// session's own policies limit that one).
    pub fn has_rights_of_root(&self) -> bool {
        match self.kind {
            PrincipalKind::Root => true,
            PrincipalKind::FederatedUser => self.issuer.as_ref().is_some_and(|issuer| issuer.ends_with(":root")),
            _ => false,
        }
    }

    /// The ARN, a service's name, an identity provider's, or `anonymous`: what messages show.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Sets the global condition keys that follow from who asks: `aws:PrincipalArn`, `aws:PrincipalAccount`,
    /// `aws:PrincipalType`, `aws:userid`, `aws:username`, `aws:PrincipalIsAWSService` and `aws:PrincipalServiceName`.
    ///
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
    pub fn describe(&self, context: &mut Context) {
        let kind = match self.kind {
            PrincipalKind::Root => Some("Account"),
            PrincipalKind::User => Some("User"),
            PrincipalKind::RoleSession => Some("AssumedRole"),
            PrincipalKind::FederatedUser => Some("FederatedUser"),
            PrincipalKind::Anonymous => Some("Anonymous"),
            PrincipalKind::Service | PrincipalKind::Federated => None,
        };
        if let Some(kind) = kind {
            context.insert("aws:PrincipalType", kind);
        }
        if let Some(account) = &self.account {
            let arn = match (self.kind, &self.issuer) {
                (PrincipalKind::RoleSession, Some(role)) => role,
                _ => &self.name,
            };
            context.insert("aws:PrincipalArn", arn.clone());
            context.insert("aws:PrincipalAccount", account.clone());
        }
        let userid = self.unique_ids.last().or(self.account.as_ref().filter(|_| self.kind == PrincipalKind::Root));
        if let Some(userid) = userid {
            context.insert("aws:userid", userid.clone());
        }
        if let (PrincipalKind::User, Some((_, name))) = (self.kind, self.name.rsplit_once('/')) {
            context.insert("aws:username", name);
        }
        let service = self.kind == PrincipalKind::Service;
        context.insert("aws:PrincipalIsAWSService", if service { "true" } else { "false" });
        if service {
            context.insert("aws:PrincipalServiceName", self.name.clone());
        }
    }
}

/// How directly a statement of a resource-based policy names a principal; later ones weigh more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grant {
    /// It names the account, which may pass the permission on by its own policies.
    Account,
    /// It names the role or user of a session, or everyone: boundary and session policy still limit it.
    Issuer,
    /// It names exactly this principal.
    Direct,
}

/// One of the principals that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalEntry {
    Everyone,
    /// A whole account: its id or its root's ARN.
    Account(String),
    Arn(String),
    UniqueId(String),
    Service(String),
    Federated(String),
    CanonicalUser(String),
}

impl PrincipalEntry {
    /// Reads an entry of the `AWS` list; `None` if it can name no principal.
    pub(crate) fn parse_aws(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(PrincipalEntry::Everyone);
        }
        let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_account(text) {
            return Some(PrincipalEntry::Account(text.to_owned()));
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts[..] {
            ["arn", partition, "iam" | "sts", "", account, resource]
                if partition.starts_with("aws") && is_account(account) =>
            {
                match resource {
                    "root" => Some(PrincipalEntry::Account(account.to_owned())),
                    // AWS has no wildcards within a principal.
                    _ if resource.contains(['*', '?']) || !resource.contains('/') => None,
                    _ => Some(PrincipalEntry::Arn(text.to_owned())),
                }
            }
            // `arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E...`.
            ["arn", _, "iam", "", "cloudfront", _] => Some(PrincipalEntry::Arn(text.to_owned())),
            _ => {
                let id = text.len() >= 16 && text.starts_with('A');
                let id = id && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
                id.then(|| PrincipalEntry::UniqueId(text.to_owned()))
            }
        }
    }

    pub(crate) fn grant(&self, principal: &Principal) -> Option<Grant> {
        use PrincipalKind as K;
        let is_session = matches!(principal.kind, K::RoleSession | K::FederatedUser);
        let grant = match self {
            PrincipalEntry::Everyone if is_session => Grant::Issuer,
            PrincipalEntry::Everyone => Grant::Direct,
            PrincipalEntry::Account(account) if principal.account.as_ref() == Some(account) => {
                if principal.kind == K::Root { Grant::Direct } else { Grant::Account }
            }
            PrincipalEntry::Arn(arn) if principal.account.is_some() && *arn == principal.name => Grant::Direct,
            PrincipalEntry::Arn(arn) if principal.issuer.as_ref() == Some(arn) => Grant::Issuer,
            PrincipalEntry::UniqueId(id) if principal.unique_ids.contains(id) => {
                if is_session {
                    Grant::Issuer
                } else {
                    Grant::Direct
                }
            }
            PrincipalEntry::Service(name) if principal.kind == K::Service && *name == principal.name => Grant::Direct,
            PrincipalEntry::Federated(name)
                if principal.kind == K::Federated && (name == "*" || *name == principal.name) =>
            {
                Grant::Direct
            }
            PrincipalEntry::CanonicalUser(id) if principal.canonical_user.as_ref() == Some(id) => Grant::Account,
            _ => return None,
        };
        Some(grant)
    }
}

/// A `Principal` or `NotPrincipal` element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalElement {
    pub(crate) negated: bool,
    pub(crate) entries: Vec<PrincipalEntry>,
}

impl PrincipalElement {
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    pub fn entries(&self) -> &[PrincipalEntry] {
        &self.entries
    }

    pub(crate) fn grant(&self, principal: &Principal) -> Option<Grant> {
        let named = self.entries.iter().filter_map(|entry| entry.grant(principal)).max();
        match (self.negated, named) {
            (false, grant) => grant,
            (true, Some(_)) => None,
            (true, None) => Some(Grant::Issuer),
        }
    }
}
