//! Roles that are handed to S3: whose they must be, who may hand them over, and acting as one.
//!
//! Which roles there are, whom they trust and what they may do is IAM's to say. Sessions of roles are STS's; where nobody
//! issues any, S3 makes its own, and the role may do what resources' own policies leave to it.

use std::sync::Arc;

use fractus_aws::{AccountId, Arn, Partition};
use fractus_bus::contracts::{Credential, CredentialKind};
use fractus_host::{Access, AssumeServiceRole, Caller, CallerKind, Context, NoSession, SERVICE_ROLE};

use crate::service::S3;

/// Who does batch jobs, as trust policies name it.
pub const BATCH: &str = "batchoperations.s3.amazonaws.com";

/// The role, if it is one of this account.
pub fn of_account(role: &str, partition: Partition, account: &AccountId) -> Option<Arn> {
    let arn: Arn = role.parse().ok()?;
    let name = arn.resource.strip_prefix("role/")?;
    let is_own = arn.service == "iam" && arn.account == account.as_str() && arn.partition == partition.as_str();
    (is_own && !name.is_empty() && !name.ends_with('/')).then_some(arn)
}

/// That a role is handed to one of S3's services.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>
pub fn to_pass(role: &str, service: &str) -> Option<Access> {
    let role: Arn = role.parse().ok()?;
    Some(Access::to(&role).by("iam:PassRole").when("iam:PassedToService", vec![service.to_owned()]))
}

/// Who acts as a role for something of an account: a session that STS has opened. None where nobody issues sessions, or
/// does not answer in time; the error says why there may be none.
pub async fn assumed(
    s3: &S3,
    cx: &Context,
    role: &Arn,
    session_name: String,
    about: Option<Arn>,
) -> Result<Option<Caller>, String> {
    let wish = AssumeServiceRole {
        lane: cx.world.lane.clone(),
        partition: cx.world.partition,
        region: cx.region.clone(),
        role: role.clone(),
        service: BATCH.to_owned(),
        session_name,
        source_arn: about,
        source_account: cx.world.account.clone(),
    };
    match s3.host.assume_role(&wish, &cx.cause()).await {
        Ok(session) => Ok(session.map(|session| Session::into_caller(Session(Credential::clone(&session))))),
        Err(NoSession::Denied { message, .. }) => Err(message),
        Err(NoSession::Unanswered(reason)) => {
            tracing::warn!(reason, %role, "a role could not be asked about");
            Ok(None)
        }
    }
}

/// A session that a service has opened of a role.
pub struct Session(pub Credential);

/// A session of a role, whose keys nobody has.
pub fn session(role: &Arn, name: &str) -> Session {
    let (account, role_name) = (&role.account, role.resource.rsplit('/').next().unwrap_or_default());
    Session(Credential {
        // Not a key: what policies are remembered by.
        access_key_id: role.to_string(),
        secret_access_key: String::new(),
        session_token: None,
        kind: CredentialKind::AssumedRole,
        principal: Arn::new(role.partition.clone(), "sts", "", account, format!("assumed-role/{role_name}/{name}")),
        principal_id: format!("{role_name}:{name}"),
        account: AccountId::new(account).unwrap_or_else(|_| AccountId::default_account()),
        role: Some(role.clone()),
        active: true,
        expiration: None,
        session_policies: Vec::new(),
        session_policy_arns: Vec::new(),
        session_tags: Vec::new(),
        session_context: vec![(SERVICE_ROLE.to_owned(), "true".to_owned())],
    })
}

impl Session {
    pub fn into_caller(self) -> Caller {
        let credential = self.0;
        Caller {
            arn: credential.principal.to_string(),
            principal_id: credential.principal_id.clone(),
            account: credential.account.clone(),
            kind: CallerKind::Known(credential.kind),
            access_key_id: credential.access_key_id.clone(),
            credential: Some(Arc::new(credential)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_of_its_account() {
        let account = AccountId::new("111122223333").unwrap();
        let is_own = |role: &str| of_account(role, Partition::Aws, &account).is_some();
        assert!(is_own("arn:aws:iam::111122223333:role/batch") && is_own("arn:aws:iam::111122223333:role/a/batch"));
        for wrong in [
            "arn:aws:iam::444455556666:role/batch",
            "arn:aws:iam::111122223333:user/batch",
            "arn:aws:iam::111122223333:role/",
            "arn:aws-cn:iam::111122223333:role/batch",
            "batch",
        ] {
            assert!(!is_own(wrong), "{wrong}");
        }
    }

    #[test]
    fn sessions_are_named_as_sts_names_them() {
        let role: Arn = "arn:aws:iam::111122223333:role/path/batch".parse().unwrap();
        let caller = session(&role, "s").into_caller();
        assert_eq!(caller.arn, "arn:aws:sts::111122223333:assumed-role/batch/s");
    }
}
