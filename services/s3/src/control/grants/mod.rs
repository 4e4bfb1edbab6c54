//! Access grants: who may reach which prefix, kept in an instance for an account and region.
//!
//! An [`instance`] has [`location`]s, and a [`grant`] is of one of them; all are documents of the API's own shapes, so that what
//! is answered is what is kept. [`identity_center`] lets people of a directory be grantees.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-grants.html>

pub mod grant;
pub mod identity_center;
pub mod instance;
pub mod location;

use fractus_aws::Arn;
use fractus_host::{Access, Context};
use fractus_s3control_api as api;
use fractus_store::{Scope, Snapshot, Transaction};
use fractus_wire::Shape;

use crate::control::errors::refused;
use crate::control::kept::{Kept, Kind};
use crate::control::roles;
use crate::error::{Error, Result};
use crate::objects::scope;

/// The one instance of an account and region, and the location of all buckets.
pub const DEFAULT: &str = "default";
/// The most of one page.
const PAGE: usize = 1_000;

pub fn no_instance() -> Error {
    refused("AccessGrantsInstanceNotExistsError", 404, "Access Grants Instance does not exist")
}

pub fn instance_arn(cx: &Context, account: &str) -> String {
    format!("arn:{}:s3:{}:{account}:access-grants/{DEFAULT}", cx.world.partition, cx.region)
}

fn arn(cx: &Context, family: &str, id: &str) -> String {
    format!("arn:{}:s3:{}:{}:access-grants/{family}/{id}", cx.world.partition, cx.region, cx.world.account)
}

/// Where an account keeps its grants in a region.
pub struct Home {
    pub scope: Scope,
    pub account: String,
    pub region: String,
}

impl Home {
    pub fn of(cx: &Context) -> Home {
        Home::of_account(cx, cx.world.account.as_str())
    }

    pub fn of_account(cx: &Context, account: &str) -> Home {
        Home { scope: scope(cx), account: account.to_owned(), region: cx.region.to_string() }
    }

    fn get(&self, kind: Kind, snapshot: &Snapshot<'_>, id: &str) -> Result<Option<Kept>> {
        kind.get(snapshot, &self.scope, &self.account, &self.region, id)
    }

    fn put(&self, kind: Kind, tx: &mut Transaction<'_>, id: &str, kept: &Kept) -> Result<()> {
        kind.put(tx, &self.scope, &self.account, &self.region, id, kept)
    }

    fn remove(&self, kind: Kind, tx: &mut Transaction<'_>, id: &str) -> Result<bool> {
        kind.remove(tx, &self.scope, &self.account, &self.region, id)
    }

    pub fn list(
        &self,
        kind: Kind,
        snapshot: &Snapshot<'_>,
        after: Option<&str>,
        take: usize,
    ) -> Result<Vec<(String, Kept)>> {
        kind.list(snapshot, &self.scope, &self.account, &self.region, after, take)
    }

    /// Changes a document and keeps its tags.
    fn change<T: Shape>(&self, kind: Kind, tx: &mut Transaction<'_>, id: &str, was: Kept, now: &T) -> Result<()> {
        self.put(kind, tx, id, &Kept::new(was.created_at, now, was.tags)?)
    }

    pub fn instance(&self, snapshot: &Snapshot<'_>) -> Result<Kept> {
        self.get(Kind::GrantsInstance, snapshot, DEFAULT)?.ok_or_else(no_instance)
    }

    fn location(&self, snapshot: &Snapshot<'_>, id: &str) -> Result<Kept> {
        let message = "The specified access grants location does not exist";
        self.get(Kind::GrantsLocation, snapshot, id)?
            .ok_or_else(|| refused("NoSuchAccessGrantsLocationError", 404, message))
    }

    /// The role that reaches a location.
    pub fn role_of(&self, snapshot: &Snapshot<'_>, location: &str) -> Result<Arn> {
        let entry: api::ListAccessGrantsLocationsEntry = self.location(snapshot, location)?.read()?;
        let role = entry.iam_role_arn.unwrap_or_default();
        role.parse().map_err(|_| refused("InvalidIamRole", 400, "The specified IAM Role is invalid"))
    }

    pub fn grant(&self, snapshot: &Snapshot<'_>, id: &str) -> Result<Kept> {
        let message = "The specified access grant does not exist";
        self.get(Kind::Grant, snapshot, id)?.ok_or_else(|| refused("NoSuchAccessGrantError", 404, message))
    }
}

/// The bucket of a scope: none for all buckets (`s3://`).
pub fn bucket_of_scope(scope: &str) -> Option<&str> {
    let rest = scope.strip_prefix("s3://")?;
    Some(rest.split('/').next().unwrap_or_default()).filter(|bucket| !bucket.is_empty())
}

/// Who may do something with the caller's instance that hands a role over.
pub fn with_role(cx: &Context, role: &str) -> Result<Vec<Access>> {
    let arn: Arn = instance_arn(cx, cx.world.account.as_str()).parse().map_err(|_| Error::AccessDenied)?;
    let mut wanted = vec![Access::to(&arn)];
    wanted.extend(roles::to_pass(role, "access-grants.s3.amazonaws.com"));
    Ok(wanted)
}

fn invalid_location(message: &str) -> Error {
    refused("InvalidAccessGrantsLocation", 400, format!("The specified Access Grants Location is invalid: {message}"))
}

fn invalid_grant(message: &str) -> Error {
    refused("InvalidAccessGrant", 400, format!("The specified Access Grant is invalid: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_scopes() {
        assert_eq!(bucket_of_scope("s3://"), None);
        assert_eq!(bucket_of_scope("s3://b"), Some("b"));
        assert_eq!(bucket_of_scope("s3://b/p*"), Some("b"));
        assert_eq!(bucket_of_scope("b"), None);
    }
}
