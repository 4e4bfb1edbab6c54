//! PurgeQueue.

use std::time::Duration;

use fractus_host::Context;
use fractus_sqs_api as api;

use crate::error::{Error, Result};
use crate::model::messages;
use crate::service::{Sqs, Target};
use crate::store::QUEUES;

/// How long after a purge another is refused.
const COOLDOWN: Duration = Duration::from_secs(60);

/// Every message is gone at once, in flight or not; the bytes follow in the background.
pub async fn purge(sqs: &Sqs, cx: &Context, input: api::PurgeQueueInput) -> Result<api::PurgeQueueOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let (now, space) = (cx.now(), cx.random().u64());
    sqs.store
        .write(|tx| {
            let mut queue = target.queue_to_change(tx)?;
            let recent = queue.purged_at.is_some_and(|purged_at| now.since(purged_at) < COOLDOWN);
            if recent && sqs.config.purge_cooldown {
                return Err(Error::PurgeQueueInProgress { queue_name: queue.name });
            }
            messages::discard_all(tx, &target.scope, &mut queue, space, now)?;
            queue.purged_at = Some(now);
            Ok(tx.put(&QUEUES, &target.scope, &(target.name.as_str(),), &queue)?)
        })
        .await?;
    sqs.discarded.wake();
    Ok(api::PurgeQueueOutput::default())
}
