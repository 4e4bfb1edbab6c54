//! A topic's data protection policy: kept here, applied where messages are published.

use fractus_host::Context;
use fractus_sns_api as api;

use crate::error::{Error, Result};
use crate::model::{names, protection};
use crate::operations::topics::change;
use crate::service::{Sns, topic};

pub async fn put(
    sns: &Sns,
    cx: &Context,
    input: api::PutDataProtectionPolicyInput,
) -> Result<api::PutDataProtectionPolicyOutput> {
    let place = names::place_of(cx, "ResourceArn", &input.resource_arn)?;
    let policy = Some(input.data_protection_policy.clone()).filter(|policy| !policy.is_empty());
    if let Some(policy) = &policy {
        protection::Policy::parse(policy).map_err(|reason| Error::invalid_because("DataProtectionPolicy", reason))?;
    }
    change(sns, &place, |topic| {
        if topic.fifo && policy.is_some() {
            return Err(Error::invalid_because(
                "DataProtectionPolicy",
                "FIFO topics do not support data protection policies",
            ));
        }
        topic.data_protection = policy.clone();
        Ok(())
    })
    .await?;
    Ok(api::PutDataProtectionPolicyOutput::default())
}

pub async fn get(
    sns: &Sns,
    cx: &Context,
    input: api::GetDataProtectionPolicyInput,
) -> Result<api::GetDataProtectionPolicyOutput> {
    let place = names::place_of(cx, "ResourceArn", &input.resource_arn)?;
    let topic = sns.store.read(|snapshot| topic(snapshot, &place)).await?;
    Ok(api::GetDataProtectionPolicyOutput { data_protection_policy: topic.data_protection.clone() })
}
