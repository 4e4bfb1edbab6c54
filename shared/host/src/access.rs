//! What an operation reaches for, as policies name it.

use fractus_aws::{AccountId, Arn};

/// One action on one resource, to be evaluated where `auth` is `enforced`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// `sqs:SendMessage`; empty: the operation's own action.
    pub action: String,
    /// The resource's ARN; `*` where an action knows no resources.
    pub resource: String,
    /// Condition keys that only the service knows, such as `s3:prefix`.
    pub conditions: Vec<(String, Vec<String>)>,
    /// The account that owns the resource, where its ARN does not say (buckets).
    pub owner: Option<AccountId>,
}

impl Access {
    /// The operation's own action on a resource.
    pub fn to(resource: &Arn) -> Self {
        Access { action: String::new(), resource: resource.to_string(), conditions: Vec::new(), owner: None }
    }

    /// The operation's own action, which knows no resources.
    pub fn to_all() -> Self {
        Access { action: String::new(), resource: "*".to_owned(), conditions: Vec::new(), owner: None }
    }

    /// Another action than the operation's: `s3:PutObject` for CreateMultipartUpload.
    #[must_use]
    pub fn by(mut self, action: impl Into<String>) -> Self {
        self.action = action.into();
        self
    }

    #[must_use]
    pub fn owned_by(mut self, owner: AccountId) -> Self {
        self.owner = Some(owner);
        self
    }

    #[must_use]
    pub fn when(mut self, key: impl Into<String>, values: Vec<String>) -> Self {
        self.conditions.push((key.into(), values));
        self
    }
}

/// What a service knows of a resource that policies are evaluated for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceFacts {
    /// The policy on it, as its JSON text.
    pub policy: Option<String>,
    /// The account that owns it, where its ARN does not say.
    pub owner: Option<AccountId>,
    /// Condition keys whose values lie in the resource, such as `s3:ExistingObjectTag/...`.
    pub conditions: Vec<(String, Vec<String>)>,
    /// The resource as policies name it, where the request reaches for it by another name (an access point).
    pub resource: Option<String>,
    /// What must be allowed besides: what the resource stands for (an access point's bucket).
    pub also: Vec<Access>,
}
