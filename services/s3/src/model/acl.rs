//! Access control lists: what they say, where they come from, and the policy statements they amount to.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>

use fractus_s3_api as api;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// Who reads bundles of machine images: EC2, by its canonical user id.
const MACHINE_IMAGES: &str = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c";

/// The most grants of a list.
const MAX_GRANTS: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grantee {
    /// An account, by its canonical user id.
    User(String),
    AllUsers,
    AuthenticatedUsers,
    LogDelivery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    FullControl,
    Write,
    WriteAcp,
    Read,
    ReadAcp,
}

impl Permission {
    fn shown(self) -> api::Permission {
        match self {
            Permission::FullControl => api::Permission::FullControl,
            Permission::Write => api::Permission::Write,
            Permission::WriteAcp => api::Permission::WriteAcp,
            Permission::Read => api::Permission::Read,
            Permission::ReadAcp => api::Permission::ReadAcp,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub grantee: Grantee,
    pub permission: Permission,
}

/// A list: whose it is, and who may do what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// The owner's canonical user id.
    pub owner: String,
    pub grants: Vec<Grant>,
}

/// What a list hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Bucket,
    Object,
}

/// The ways in which a request may give a list.
#[derive(Debug, Default)]
pub struct Given<'a> {
    pub canned: Option<&'a str>,
    pub full_control: Option<&'a str>,
    pub read: Option<&'a str>,
    pub read_acp: Option<&'a str>,
    pub write: Option<&'a str>,
    pub write_acp: Option<&'a str>,
}

impl Given<'_> {
    fn headers(&self) -> [(Permission, Option<&str>); 5] {
        [
            (Permission::FullControl, self.full_control),
            (Permission::Read, self.read),
            (Permission::ReadAcp, self.read_acp),
            (Permission::Write, self.write),
            (Permission::WriteAcp, self.write_acp),
        ]
    }

    fn has_headers(&self) -> bool {
        self.headers().iter().any(|(_, header)| header.is_some())
    }

    pub fn is_nothing(&self) -> bool {
        self.canned.is_none() && !self.has_headers()
    }

    /// What a bucket that takes no lists still takes: what says that everything is its owner's.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-ownership-error-responses.html>
    pub fn is_harmless(&self, bucket_owner: &str) -> bool {
        let canned = matches!(self.canned, None | Some("bucket-owner-full-control"));
        let to_owner = |header: &str| {
            let id = header.trim().strip_prefix("id=").map(|id| id.trim_matches('"'));
            id.is_some_and(|id| id.eq_ignore_ascii_case(bucket_owner))
        };
        let headers = self.headers().iter().all(|(permission, header)| {
            header.is_none_or(|header| *permission == Permission::FullControl && to_owner(header))
        });
        canned && headers
    }

    /// The list; `None` where the request gives none. `owner` and `bucket_owner` are canonical user ids.
    pub fn list(&self, on: On, owner: &str, bucket_owner: &str) -> Result<Option<Acl>> {
        if self.canned.is_some() && self.has_headers() {
            return Err(Error::invalid_request("Specifying both Canned ACLs and Header Grants is not allowed"));
        }
        let mut grants = Vec::new();
        match self.canned {
            Some(name) => grants = canned(name, on, owner, bucket_owner)?,
            None if !self.has_headers() => return Ok(None),
            None => {
                for (permission, header) in self.headers() {
                    for grantee in header.map(grantees).transpose()?.unwrap_or_default() {
                        grants.push(Grant { grantee, permission });
                    }
                }
            }
        }
        checked(owner, grants).map(Some)
    }
}

fn checked(owner: &str, grants: Vec<Grant>) -> Result<Acl> {
    if grants.len() > MAX_GRANTS {
        return Err(malformed());
    }
    Ok(Acl { owner: owner.to_owned(), grants })
}

fn malformed() -> Error {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    Error::Other(Box::new(fractus_wire::Failure::new("MalformedACLError", 400, message)))
}

/// Whether there is such a canned list, which is asked before anything is asked of the bucket.
pub fn check_canned(name: Option<&str>, on: On) -> Result<()> {
    name.map_or(Ok(()), |name| canned(name, on, "", "").map(drop))
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl>
fn canned(name: &str, on: On, owner: &str, bucket_owner: &str) -> Result<Vec<Grant>> {
    let own = Grant { grantee: Grantee::User(owner.to_owned()), permission: Permission::FullControl };
    let with = |others: &[(Grantee, Permission)]| {
        let others = others.iter().cloned().map(|(grantee, permission)| Grant { grantee, permission });
        Ok(std::iter::once(own.clone()).chain(others).collect())
    };
    let to_bucket_owner = |permission| {
        if owner == bucket_owner { with(&[]) } else { with(&[(Grantee::User(bucket_owner.to_owned()), permission)]) }
    };
    match (name, on) {
        ("private", _) => with(&[]),
        ("aws-exec-read", _) => with(&[(Grantee::User(MACHINE_IMAGES.to_owned()), Permission::Read)]),
        ("public-read", _) => with(&[(Grantee::AllUsers, Permission::Read)]),
        ("public-read-write", _) => {
            with(&[(Grantee::AllUsers, Permission::Read), (Grantee::AllUsers, Permission::Write)])
        }
        ("authenticated-read", _) => with(&[(Grantee::AuthenticatedUsers, Permission::Read)]),
        ("log-delivery-write", On::Bucket) => {
            with(&[(Grantee::LogDelivery, Permission::Write), (Grantee::LogDelivery, Permission::ReadAcp)])
        }
        ("bucket-owner-read", On::Object) => to_bucket_owner(Permission::Read),
        ("bucket-owner-full-control", On::Object) => to_bucket_owner(Permission::FullControl),
        // Lists of objects, which a bucket passes over.
        ("bucket-owner-read" | "bucket-owner-full-control", On::Bucket) => with(&[]),
        _ => Err(Error::invalid_argument("x-amz-acl", name, "")),
    }
}

/// `id="...", uri="...", emailAddress="..."`
fn grantees(header: &str) -> Result<Vec<Grantee>> {
    let invalid = || Error::invalid_argument("x-amz-grant", header, "Argument format not recognized");
    header
        .split(',')
        .map(|entry| {
            let (kind, value) = entry.trim().split_once('=').ok_or_else(invalid)?;
            let value = value.trim().trim_matches('"');
            match kind.trim().to_ascii_lowercase().as_str() {
                "id" => user(value),
                "uri" => group(value),
                "emailaddress" => Err(by_address()),
                _ => Err(invalid()),
            }
        })
        .collect()
}

/// Grantees are not named by their addresses any more.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAcl.html>: "will receive an HTTP 405"
fn by_address() -> Error {
    Error::other("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
}

fn user(id: &str) -> Result<Grantee> {
    if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Grantee::User(id.to_owned()));
    }
    Err(Error::invalid_argument("CanonicalUser/ID", id, "Invalid id"))
}

fn group(uri: &str) -> Result<Grantee> {
    match uri {
        ALL_USERS => Ok(Grantee::AllUsers),
        AUTHENTICATED_USERS => Ok(Grantee::AuthenticatedUsers),
        LOG_DELIVERY => Ok(Grantee::LogDelivery),
        _ => Err(Error::invalid_argument("Group/URI", uri, "Invalid group uri")),
    }
}

/// A list that came as XML. The owner cannot be changed by it.
pub fn of_xml(policy: api::AccessControlPolicy, owner: &str) -> Result<Acl> {
    let named = policy.owner.and_then(|owner| owner.id).ok_or_else(malformed)?;
    if named != owner {
        return Err(Error::AccessDenied);
    }
    let grants = policy.grants.unwrap_or_default().into_iter().map(|grant| {
        let grantee = grant.grantee.ok_or_else(malformed)?;
        let grantee = match grantee.r#type {
            api::Type::CanonicalUser => user(grantee.id.as_deref().ok_or_else(malformed)?)?,
            api::Type::Group => group(grantee.uri.as_deref().ok_or_else(malformed)?)?,
            api::Type::AmazonCustomerByEmail => return Err(by_address()),
            api::Type::Unknown(_) => return Err(malformed()),
        };
        let permission = match grant.permission.ok_or_else(malformed)? {
            api::Permission::FullControl => Permission::FullControl,
            api::Permission::Write => Permission::Write,
            api::Permission::WriteAcp => Permission::WriteAcp,
            api::Permission::Read => Permission::Read,
            api::Permission::ReadAcp => Permission::ReadAcp,
            api::Permission::Unknown(_) => return Err(malformed()),
        };
        Ok(Grant { grantee, permission })
    });
    checked(owner, grants.collect::<Result<_>>()?)
}

impl Acl {
    /// What holds where nothing was said: the owner may do everything.
    pub fn private(owner: &str) -> Self {
        let grant = Grant { grantee: Grantee::User(owner.to_owned()), permission: Permission::FullControl };
        Acl { owner: owner.to_owned(), grants: vec![grant] }
    }

    /// Whether it gives anything to everybody, or to everybody who has an account.
    pub fn is_public(&self) -> bool {
        self.grants.iter().any(|grant| is_public(&grant.grantee))
    }

    pub fn shown_grants(&self) -> Vec<api::Grant> {
        let shown = |grant: &Grant| {
            let group =
                |uri: &str| api::Grantee { r#type: api::Type::Group, uri: Some(uri.to_owned()), ..Default::default() };
            let grantee = match &grant.grantee {
                Grantee::User(id) => {
                    api::Grantee { r#type: api::Type::CanonicalUser, id: Some(id.clone()), ..Default::default() }
                }
                Grantee::AllUsers => group(ALL_USERS),
                Grantee::AuthenticatedUsers => group(AUTHENTICATED_USERS),
                Grantee::LogDelivery => group(LOG_DELIVERY),
            };
            api::Grant { grantee: Some(grantee), permission: Some(grant.permission.shown()) }
        };
        self.grants.iter().map(shown).collect()
    }

    /// Whether the group of log delivery may write, as a list for logs says.
    pub fn lets_logs_be_delivered(&self) -> bool {
        let may_write = |permission| matches!(permission, Permission::Write | Permission::FullControl);
        self.grants.iter().any(|grant| grant.grantee == Grantee::LogDelivery && may_write(grant.permission))
    }

    /// The list as statements of a policy on `resource`, as they bear on one caller.
    pub fn statements(&self, on: On, resource: &str, caller: &AclCaller<'_>) -> Vec<Value> {
        let mut statements = Vec::new();
        for grant in &self.grants {
            let means = match &grant.grantee {
                Grantee::User(id) => caller.canonical_user.is_some_and(|own| own == id),
                Grantee::AllUsers => !caller.ignores_public,
                Grantee::AuthenticatedUsers => !caller.ignores_public && caller.canonical_user.is_some(),
                Grantee::LogDelivery => false,
            };
            if means {
                let actions = actions(on, grant.permission);
                statements.push(json!({"Effect": "Allow", "Principal": "*", "Action": actions, "Resource": resource}));
            }
        }
        statements
    }
}

/// Who asks, as lists see it.
#[derive(Clone, Copy, Debug)]
pub struct AclCaller<'a> {
    /// Absent for one who has not signed.
    pub canonical_user: Option<&'a str>,
    /// Whether grants to everybody are to be passed over.
    pub ignores_public: bool,
}

fn is_public(grantee: &Grantee) -> bool {
    matches!(grantee, Grantee::AllUsers | Grantee::AuthenticatedUsers)
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#acl-access-policy-permission-mapping>
fn actions(on: On, permission: Permission) -> &'static [&'static str] {
    match (on, permission) {
        (On::Bucket, Permission::Read) => &["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"],
        (On::Bucket, Permission::Write) => &["s3:PutObject", "s3:DeleteObject"],
        (On::Bucket, Permission::ReadAcp) => &["s3:GetBucketAcl"],
        (On::Bucket, Permission::WriteAcp) => &["s3:PutBucketAcl"],
        (On::Bucket, Permission::FullControl) => &[
            "s3:ListBucket",
            "s3:ListBucketVersions",
            "s3:ListBucketMultipartUploads",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:GetBucketAcl",
            "s3:PutBucketAcl",
        ],
        (On::Object, Permission::Read) => &["s3:GetObject", "s3:GetObjectVersion"],
        (On::Object, Permission::Write) => &[],
        (On::Object, Permission::ReadAcp) => &["s3:GetObjectAcl", "s3:GetObjectVersionAcl"],
        (On::Object, Permission::WriteAcp) => &["s3:PutObjectAcl", "s3:PutObjectVersionAcl"],
        (On::Object, Permission::FullControl) => &[
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:GetObjectAcl",
            "s3:GetObjectVersionAcl",
            "s3:PutObjectAcl",
            "s3:PutObjectVersionAcl",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";
    const OTHER: &str = "89a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";

    #[test]
    fn canned_lists_and_headers_exclude_each_other() {
        let both = Given { canned: Some("private"), read: Some("id=\"x\""), ..Given::default() };
        assert!(both.list(On::Bucket, OWNER, OWNER).is_err());
        let none = Given::default().list(On::Bucket, OWNER, OWNER).unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn headers_name_users_and_groups() {
        let read = format!("id=\"{OTHER}\", uri=\"{ALL_USERS}\"");
        let given = Given { read: Some(&read), ..Given::default() };
        let acl = given.list(On::Object, OWNER, OWNER).unwrap().unwrap();
        assert_eq!(acl.grants.len(), 2);
        assert!(acl.is_public());
        let bad = Given { read: Some("id=\"12\""), ..Given::default() };
        assert!(bad.list(On::Object, OWNER, OWNER).is_err());
    }

    #[test]
    fn statements_are_for_those_whom_the_grants_mean() {
        let acl = canned("authenticated-read", On::Object, OWNER, OWNER).and_then(|g| checked(OWNER, g)).unwrap();
        let count = |canonical_user, ignores_public| {
            acl.statements(On::Object, "arn:aws:s3:::b/k", &AclCaller { canonical_user, ignores_public }).len()
        };
        assert_eq!(count(None, false), 0, "nobody has signed");
        assert_eq!(count(Some(OTHER), false), 1);
        assert_eq!(count(Some(OTHER), true), 0);
        assert_eq!(count(Some(OWNER), true), 1);
    }
}
