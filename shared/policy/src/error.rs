//! What can be wrong with a document, in the words of IAM's `MalformedPolicyDocument`.

/// Why a document is no policy, or none of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPolicy {
    #[error("This policy contains invalid Json")]
    InvalidJson,
    /// An element that is missing, unknown, there twice, or of the wrong type.
    #[error("Syntax errors in policy.")]
    Syntax(SyntaxFlaw),
    #[error("Policy document must be version 2012-10-17 or greater.")]
    OldVersion,
    #[error("Policy statement must contain actions.")]
    NoActions,
    #[error("Policy statement must contain resources.")]
    NoResources,
    #[error("Policy document should not specify a principal.")]
    PrincipalNotAllowed,
    #[error("Missing required field Principal")]
    PrincipalMissing,
    #[error("Has prohibited field Resource")]
    ResourceNotAllowed,
    #[error("Invalid principal in policy: \"{kind}\":\"{value}\"")]
    InvalidPrincipal { kind: String, value: String },
    #[error("Statement IDs (SID) in a single policy must be unique.")]
    SidsNotUnique,
    #[error(
        "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
    )]
    InvalidSid(String),
    #[error("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")]
    ActionWithoutVendor(String),
    #[error("Actions/Condition can contain only one colon.")]
    ActionWithColons(String),
    #[error("Vendor {0} is not valid")]
    InvalidVendor(String),
    #[error("AssumeRole policy may only specify STS AssumeRole actions.")]
    NotAnAssumeRoleAction(String),
    #[error("Resource {0} must be in ARN format or \"*\".")]
    ResourceNotArn(String),
    #[error("Partition \"{partition}\" is not valid for resource \"{resource}\".")]
    InvalidPartition { partition: String, resource: String },
    #[error("Resource vendor must be fully qualified and cannot contain regexes.")]
    ResourceVendorWildcard(String),
    #[error("Invalid Condition type : {0}")]
    UnknownOperator(String),
}

/// Where a document leaves the grammar, for those who want to say more than IAM does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxFlaw {
    #[error("the document must be an object")]
    NotAnObject,
    #[error("unknown element {0}")]
    UnknownElement(String),
    #[error("missing element {0}")]
    MissingElement(&'static str),
    #[error("{0} has the wrong type")]
    WrongType(&'static str),
    #[error("{0} and {1} exclude each other")]
    Exclusive(&'static str, &'static str),
    #[error("invalid {element}: {value}")]
    InvalidValue { element: &'static str, value: String },
}

impl From<SyntaxFlaw> for MalformedPolicy {
    fn from(flaw: SyntaxFlaw) -> Self {
        MalformedPolicy::Syntax(flaw)
    }
}

impl MalformedPolicy {
    /// The words of S3's `MalformedPolicy` where they are known to differ from IAM's.
    pub fn s3_message(&self) -> String {
        match self {
            MalformedPolicy::InvalidJson | MalformedPolicy::Syntax(SyntaxFlaw::NotAnObject) => {
                "Policies must be valid JSON and the first byte must be '{'".into()
            }
            MalformedPolicy::Syntax(SyntaxFlaw::UnknownElement(name)) => format!("Unknown field {name}"),
            MalformedPolicy::Syntax(SyntaxFlaw::MissingElement(name)) => format!("Missing required field {name}"),
            MalformedPolicy::Syntax(SyntaxFlaw::InvalidValue { element: "Effect", value }) => {
                format!("Invalid effect: {value}")
            }
            MalformedPolicy::Syntax(SyntaxFlaw::InvalidValue { element: "Version", .. }) => {
                "The policy must contain a valid version string".into()
            }
            MalformedPolicy::Syntax(_) => "Invalid policy syntax.".into(),
            MalformedPolicy::NoActions => "Missing required field Action".into(),
            MalformedPolicy::NoResources => "Missing required field Resource".into(),
            MalformedPolicy::InvalidPrincipal { .. } => "Invalid principal in policy".into(),
            MalformedPolicy::ResourceNotArn(_)
            | MalformedPolicy::InvalidPartition { .. }
            | MalformedPolicy::ResourceVendorWildcard(_) => "Policy has invalid resource".into(),
            MalformedPolicy::ActionWithoutVendor(_)
            | MalformedPolicy::ActionWithColons(_)
            | MalformedPolicy::InvalidVendor(_) => "Policy has invalid action".into(),
            other => other.to_string(),
        }
    }
}
