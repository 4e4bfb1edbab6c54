//! AssumeRoot: a management account acts as the root user of a member account, for one of a few tasks.

use fractus_aws::{AccountId, Arn};
use fractus_bus::contracts::CredentialKind;
use fractus_host::{Access, CallerKind, Context};
use fractus_sts_api::{AssumeRootInput, AssumeRootOutput};

use crate::error::{Error, Result};
use crate::issue::{Grant, Issued};
use crate::model::policies::SessionPolicies;
use crate::model::tags::SessionTags;
use crate::model::tokens::DurationRule;
use crate::operations::assume_role::SOURCE_IDENTITY;
use crate::service::Sts;

/// The tasks, by their managed policies:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoot.html>.
const TASKS: [&str; 5] = [
    "IAMAuditRootUserCredentials",
    "IAMCreateRootUserPassword",
    "IAMDeleteRootUserCredentials",
    "S3UnlockBucketPolicy",
    "SQSUnlockQueuePolicy",
];

/// An account, or its root user's ARN.
fn target(cx: &Context, text: &str) -> Result<(AccountId, Arn)> {
    let invalid = || Error::Validation(format!("{text} is invalid"));
    let root_of = |account: &AccountId| Arn::new(cx.world.partition.as_str(), "iam", "", account.as_str(), "root");
    if let Ok(account) = AccountId::new(text) {
        let root = root_of(&account);
        return Ok((account, root));
    }
    let arn: Arn = text.parse().map_err(|_| invalid())?;
    let account = AccountId::new(&arn.account).map_err(|_| invalid())?;
    if arn == root_of(&account) { Ok((account, arn)) } else { Err(invalid()) }
}

pub fn access(cx: &Context, input: &AssumeRootInput) -> Result<Vec<Access>> {
    let (_, root) = target(cx, &input.target_principal)?;
    let task = input.task_policy_arn.arn.clone().unwrap_or_default();
    Ok(vec![Access::to(&root).when("sts:TaskPolicyArn", vec![task])])
}

fn task_policy(text: &str) -> Result<Arn> {
    let arn: Option<Arn> = text.parse().ok();
    let name = |arn: &Arn| arn.resource.strip_prefix("policy/root-task/").map(str::to_owned);
    arn.filter(|arn| arn.service == "iam" && arn.account == "aws")
        .filter(|arn| name(arn).is_some_and(|name| TASKS.contains(&name.as_str())))
        .ok_or_else(|| Error::Validation(format!("{text} is invalid")))
}

pub async fn assume(sts: &Sts, cx: &Context, input: AssumeRootInput) -> Result<AssumeRootOutput> {
    let (account, root) = target(cx, &input.target_principal)?;
    let policy = task_policy(&input.task_policy_arn.arn.unwrap_or_default())?;
    let duration = DurationRule::ROOT_TASK.apply(input.duration_seconds)?;
    let by_root = matches!(cx.caller.kind, CallerKind::Root | CallerKind::Known(CredentialKind::Root));
    if by_root && cx.evaluates_policies() {
        return Err(Error::not_authorized(cx, "sts:AssumeRoot", &root.to_string()));
    }
    let context = cx.caller.credential.as_deref().map_or(&[][..], |credential| &credential.session_context);
    let source_identity = context.iter().find(|(key, _)| key == SOURCE_IDENTITY).map(|(_, value)| value.clone());
    let grant = Grant {
        kind: CredentialKind::Root,
        principal: root,
        principal_id: account.to_string(),
        account,
        issuer: None,
        duration,
        policies: SessionPolicies { inline: None, managed: vec![policy] },
        tags: SessionTags::default(),
        context: source_identity.clone().map(|identity| (SOURCE_IDENTITY.to_owned(), identity)).into_iter().collect(),
        minimum_token_size: input.minimum_session_token_size,
    };
    let Issued { credentials, token_size, token_utilization, .. } = sts.issue(cx, grant).await?;
    Ok(AssumeRootOutput {
        credentials: Some(credentials),
        source_identity,
        session_token_utilization: Some(token_utilization),
        session_token_size: Some(token_size),
    })
}
