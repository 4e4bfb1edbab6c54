//! DeleteMessage and DeleteMessageBatch.

use fractus_host::Context;
use fractus_sqs_api as api;

use crate::error::{Error, Result};
use crate::model::messages;
use crate::model::quota::Kind;
use crate::operations::batch;
use crate::service::{Sqs, Target};

pub async fn one(sqs: &Sqs, cx: &Context, input: api::DeleteMessageInput) -> Result<api::DeleteMessageOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let now = cx.now();
    let fifo = sqs
        .store
        .write(|tx| {
            let queue = target.queue(tx)?;
            sqs.quotas.take(&queue, Kind::Delete, None, now)?;
            messages::with_counters(tx, &target.scope, &queue, |tx, counts| {
                messages::delete(tx, &target.scope, &queue, counts, &input.receipt_handle, now)
            })?;
            Ok::<_, Error>(queue.is_fifo())
        })
        .await?;
    // The group behind a deleted FIFO message may go on.
    if fifo {
        sqs.waiters.wake(&target.scope, &target.name, 1);
    }
    Ok(api::DeleteMessageOutput::default())
}

pub async fn batch(
    sqs: &Sqs,
    cx: &Context,
    input: api::DeleteMessageBatchInput,
) -> Result<api::DeleteMessageBatchOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    batch::check_ids(input.entries.iter().map(|entry| entry.id.as_str()), "DeleteMessageBatchRequestEntry")?;
    let now = cx.now();
    let (fifo, outcomes) = sqs
        .store
        .write(|tx| {
            let queue = target.queue(tx)?;
            sqs.quotas.take(&queue, Kind::Delete, None, now)?;
            let mut outcomes = Vec::with_capacity(input.entries.len());
            messages::with_counters(tx, &target.scope, &queue, |tx, counts| {
                for entry in &input.entries {
                    match messages::delete(tx, &target.scope, &queue, counts, &entry.receipt_handle, now) {
                        Err(Error::Store(error)) => return Err(Error::Store(error)),
                        outcome => outcomes.push(outcome),
                    }
                }
                Ok(())
            })?;
            Ok::<_, Error>((queue.is_fifo(), outcomes))
        })
        .await?;
    let mut output = api::DeleteMessageBatchOutput::default();
    for (entry, outcome) in input.entries.into_iter().zip(outcomes) {
        match outcome {
            Ok(()) => output.successful.push(api::DeleteMessageBatchResultEntry { id: entry.id }),
            Err(error) => output.failed.push(batch::failed(entry.id, &error)),
        }
    }
    if fifo {
        sqs.waiters.wake(&target.scope, &target.name, output.successful.len());
    }
    Ok(output)
}
