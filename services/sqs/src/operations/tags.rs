//! Tags of queues.

use std::collections::BTreeMap;

use fractus_host::Context;
use fractus_sqs_api as api;

use crate::error::{Error, Result};
use crate::service::{Sqs, Target};
use crate::store::QUEUES;

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-tags.html>
const MAX_TAGS: usize = 50;

pub fn check(tags: &BTreeMap<String, String>) -> Result<()> {
    if tags.len() > MAX_TAGS {
        return Err(Error::invalid_parameter(format!("A queue can have up to {MAX_TAGS} tags.")));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Error::invalid_parameter(format!("Tag key '{key}' is invalid.")));
        }
        if value.chars().count() > 256 {
            return Err(Error::invalid_parameter(format!("Tag value for key '{key}' is invalid.")));
        }
    }
    Ok(())
}

async fn change(sqs: &Sqs, target: &Target, change: impl Fn(&mut BTreeMap<String, String>)) -> Result<()> {
    sqs.store
        .write(|tx| {
            let mut queue = target.queue_to_change(tx)?;
            change(&mut queue.tags);
            check(&queue.tags)?;
            Ok(tx.put(&QUEUES, &target.scope, &(target.name.as_str(),), &queue)?)
        })
        .await
}

pub async fn tag(sqs: &Sqs, cx: &Context, input: api::TagQueueInput) -> Result<api::TagQueueOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    change(sqs, &target, |tags| tags.extend(input.tags.iter().map(|(key, value)| (key.clone(), value.clone()))))
        .await?;
    Ok(api::TagQueueOutput::default())
}

pub async fn untag(sqs: &Sqs, cx: &Context, input: api::UntagQueueInput) -> Result<api::UntagQueueOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    change(sqs, &target, |tags| tags.retain(|key, _| !input.tag_keys.contains(key))).await?;
    Ok(api::UntagQueueOutput::default())
}

pub async fn list(sqs: &Sqs, cx: &Context, input: api::ListQueueTagsInput) -> Result<api::ListQueueTagsOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let queue = sqs.store.read(|snapshot| target.queue(snapshot)).await?;
    let tags = queue.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(api::ListQueueTagsOutput { tags: Some(tags) })
}
