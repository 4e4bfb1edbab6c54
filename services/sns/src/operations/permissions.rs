//! AddPermission and RemovePermission: statements of the topic's policy by label.

use fractus_host::Context;
use fractus_sns_api as api;

use crate::error::{Error, Result};
use crate::model::{names, topic};
use crate::operations::topics::change;
use crate::service::Sns;

pub async fn add(sns: &Sns, cx: &Context, input: api::AddPermissionInput) -> Result<api::AddPermissionOutput> {
    let place = names::place_of(cx, "TopicArn", &input.topic_arn)?;
    if input.label.is_empty() {
        return Err(Error::invalid("Label"));
    }
    if input.aws_account_id.is_empty() {
        return Err(Error::invalid("AWSAccountId"));
    }
    if input.action_name.is_empty() {
        return Err(Error::invalid("ActionName"));
    }
    change(sns, &place, |one| {
        one.policy =
            topic::add_permission(&one.policy, &place, &input.label, &input.aws_account_id, &input.action_name)?;
        Ok(())
    })
    .await?;
    Ok(api::AddPermissionOutput::default())
}

pub async fn remove(sns: &Sns, cx: &Context, input: api::RemovePermissionInput) -> Result<api::RemovePermissionOutput> {
    let place = names::place_of(cx, "TopicArn", &input.topic_arn)?;
    change(sns, &place, |one| {
        one.policy = topic::remove_permission(&one.policy, &input.label)?;
        Ok(())
    })
    .await?;
    Ok(api::RemovePermissionOutput::default())
}
