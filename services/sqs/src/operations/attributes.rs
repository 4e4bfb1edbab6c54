//! GetQueueAttributes and SetQueueAttributes.

use fractus_host::Context;
use fractus_sqs_api as api;
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::model::messages;
use crate::operations::queues::{check_redrive, link_dead_letter};
use crate::service::{Sqs, Target};
use crate::store::{Counters, QUEUES, Queue};

/// The attributes asked for; `All` is all that are set.
pub async fn get(
    sqs: &Sqs,
    cx: &Context,
    input: api::GetQueueAttributesInput,
) -> Result<api::GetQueueAttributesOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let wanted = input.attribute_names.unwrap_or_default();
    if let Some(unknown) = wanted.iter().find(|name| matches!(name, api::QueueAttributeName::Unknown(_))) {
        return Err(Error::InvalidAttributeName { name: unknown.as_str().to_owned() });
    }
    let now = cx.now();
    let counts_wanted = wanted.iter().any(|name| name.as_str() == "All" || name.as_str().starts_with("Approximate"));
    let (queue, counts) = if counts_wanted {
        // Counts are exact as of now: what has become visible or expired is moved first.
        sqs.store
            .write(|tx| {
                let queue = target.queue(tx)?;
                let counts = messages::with_counters(tx, &target.scope, &queue, |tx, counts| {
                    messages::promote_due(tx, &target.scope, &queue, counts, now)?;
                    messages::expire(tx, &target.scope, &queue, counts, now, 100)?;
                    Ok(*counts)
                })?;
                Ok::<_, Error>((queue, counts))
            })
            .await?
    } else {
        let queue = sqs.store.read(|snapshot| target.queue(snapshot)).await?;
        (queue, Counters::default())
    };
    let shown = shown(&queue, &counts, target.arn(cx));
    let all = wanted.iter().any(|name| name.as_str() == "All");
    let chosen: IndexMap<String, String> = shown
        .into_iter()
        .filter(|(name, _)| all || wanted.iter().any(|wanted| wanted.as_str() == *name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(api::GetQueueAttributesOutput { attributes: (!chosen.is_empty()).then_some(chosen) })
}

fn shown(queue: &Queue, counts: &Counters, arn: String) -> Vec<(&'static str, String)> {
    let mut shown = vec![
        ("QueueArn", arn),
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
        ("CreatedTimestamp", queue.created_at.secs().to_string()),
        ("LastModifiedTimestamp", queue.modified_at.secs().to_string()),
    ];
    shown.extend(queue.attributes.shown());
    shown
}

pub async fn set(
    sqs: &Sqs,
    cx: &Context,
    input: api::SetQueueAttributesInput,
) -> Result<api::SetQueueAttributesOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let now = cx.now();
    sqs.store
        .write(|tx| {
            let mut queue = target.queue_to_change(tx)?;
            let before = queue.attributes.clone();
            let changes = input.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            queue.attributes = before.changed(changes)?;
            queue.modified_at = now;
            check_redrive(tx, &target, cx, &queue)?;
            link_dead_letter(tx, &target.scope, &queue.name, Some(&before), &queue.attributes)?;
            Ok::<_, Error>(tx.put(&QUEUES, &target.scope, &(target.name.as_str(),), &queue)?)
        })
        .await?;
    // A shorter delay or another dead-letter rule may let a waiting receiver go on.
    sqs.waiters.wake_all(&target.scope, &target.name);
    Ok(api::SetQueueAttributesOutput::default())
}
