//! ChangeMessageVisibility and its batch form.

use std::time::Duration;

use fractus_host::Context;
use fractus_sqs_api as api;

use crate::error::{Error, Result};
use crate::model::messages;
use crate::model::quota::Kind;
use crate::operations::batch;
use crate::service::{Sqs, Target};

fn timeout(secs: i32) -> Result<Duration> {
    let secs = u64::try_from(secs).ok().filter(|secs| *secs <= 43_200).ok_or_else(|| {
        Error::invalid_value(secs, "VisibilityTimeout", "VisibilityTimeout must be an integer between 0 and 43200")
    })?;
    Ok(Duration::from_secs(secs))
}

pub async fn one(
    sqs: &Sqs,
    cx: &Context,
    input: api::ChangeMessageVisibilityInput,
) -> Result<api::ChangeMessageVisibilityOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let timeout = timeout(input.visibility_timeout)?;
    let now = cx.now();
    sqs.store
        .write(|tx| {
            let queue = target.queue(tx)?;
            sqs.quotas.take(&queue, Kind::ChangeVisibility, None, now)?;
            messages::with_counters(tx, &target.scope, &queue, |tx, counts| {
                messages::change_visibility(tx, &target.scope, &queue, counts, &input.receipt_handle, timeout, now)
            })
        })
        .await?;
    // A waiting receiver takes it now, or learns of an earlier moment to look again.
    sqs.waiters.wake(&target.scope, &target.name, 1);
    Ok(api::ChangeMessageVisibilityOutput::default())
}

pub async fn batch(
    sqs: &Sqs,
    cx: &Context,
    input: api::ChangeMessageVisibilityBatchInput,
) -> Result<api::ChangeMessageVisibilityBatchOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    batch::check_ids(input.entries.iter().map(|entry| entry.id.as_str()), "ChangeMessageVisibilityBatchRequestEntry")?;
    let now = cx.now();
    let outcomes: Vec<Result<()>> = sqs
        .store
        .write(|tx| {
            let queue = target.queue(tx)?;
            sqs.quotas.take(&queue, Kind::ChangeVisibility, None, now)?;
            let mut outcomes = Vec::with_capacity(input.entries.len());
            messages::with_counters(tx, &target.scope, &queue, |tx, counts| {
                for entry in &input.entries {
                    let outcome = timeout(entry.visibility_timeout.unwrap_or(0)).and_then(|timeout| {
                        let handle = &entry.receipt_handle;
                        messages::change_visibility(tx, &target.scope, &queue, counts, handle, timeout, now)
                    });
                    match outcome {
                        Err(Error::Store(error)) => return Err(Error::Store(error)),
                        outcome => outcomes.push(outcome),
                    }
                }
                Ok(())
            })?;
            Ok::<_, Error>(outcomes)
        })
        .await?;
    let mut output = api::ChangeMessageVisibilityBatchOutput::default();
    for (entry, outcome) in input.entries.into_iter().zip(outcomes) {
        match outcome {
            Ok(()) => output.successful.push(api::ChangeMessageVisibilityBatchResultEntry { id: entry.id }),
            Err(error) => output.failed.push(batch::failed(entry.id, &error)),
        }
    }
    sqs.waiters.wake(&target.scope, &target.name, output.successful.len());
    Ok(output)
}
