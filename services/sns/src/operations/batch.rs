//! PublishBatch: each entry stands or falls alone, in their order.

use std::collections::HashSet;

use fractus_host::Context;
use fractus_sns_api as api;

use crate::error::{Error, Result};
use crate::model::message::{self, MAX_BYTES, Parts};
use crate::model::names;
use crate::publishing::{Published, Publisher};
use crate::service::{Sns, topic};

const MAX_ENTRIES: usize = 10;
const MAX_ID_CHARS: usize = 80;

/// Checks the ids of a batch, before any entry is looked at.
fn check_ids<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<()> {
    let count = ids.len();
    if count == 0 {
        return Err(Error::EmptyBatch);
    }
    if count > MAX_ENTRIES {
        return Err(Error::TooManyEntries);
    }
    let mut seen = HashSet::with_capacity(count);
    for id in ids {
        let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if id.is_empty() || id.len() > MAX_ID_CHARS || !plain {
            return Err(Error::InvalidBatchId);
        }
        if !seen.insert(id) {
            return Err(Error::IdsNotDistinct);
        }
    }
    Ok(())
}

pub async fn publish(sns: &Sns, cx: &Context, input: api::PublishBatchInput) -> Result<api::PublishBatchOutput> {
    let place = names::place_of(cx, "TopicArn", &input.topic_arn)?;
    let entries = input.publish_batch_request_entries;
    check_ids(entries.iter().map(|entry| entry.id.as_str()))?;
    let topic = sns.store.read(|snapshot| topic(snapshot, &place)).await?;
    let entries: Vec<(String, Result<(crate::store::Message, usize)>)> = entries
        .into_iter()
        .map(|entry| {
            let parts = Parts {
                message: entry.message,
                subject: entry.subject,
                structure: entry.message_structure,
                attributes: message::attributes(entry.message_attributes),
                group_id: entry.message_group_id,
                deduplication_id: entry.message_deduplication_id,
            };
            (entry.id, message::checked(parts))
        })
        .collect();
    let bytes: usize = entries.iter().filter_map(|(_, checked)| Some(checked.as_ref().ok()?.1)).sum();
    if bytes > MAX_BYTES {
        return Err(Error::BatchTooLong);
    }
    let publisher = Publisher::of_caller(cx, &place);
    // One key is for all of them.
    sns.judge_key(&publisher, &topic).await?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (id, checked) in entries {
        let published = match checked {
            Ok((message, _)) => sns.publish(&publisher, message).await,
            Err(error) => Err(error),
        };
        match published {
            Ok(Published { message_id, sequence_number }) => successful.push(api::PublishBatchResultEntry {
                id: Some(id),
                message_id: Some(message_id),
                sequence_number,
            }),
            Err(error) => failed.push(api::BatchResultErrorEntry {
                id,
                code: error.code(),
                sender_fault: error.is_sender_fault(),
                message: Some(error.to_string()),
            }),
        }
    }
    Ok(api::PublishBatchOutput { successful: Some(successful), failed: Some(failed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_and_distinct() {
        let check = |ids: &[&str]| check_ids(ids.iter().copied());
        check(&["a", "b-1_C"]).unwrap();
        assert!(matches!(check(&[]), Err(Error::EmptyBatch)));
        assert!(matches!(check(&["a"; 11]), Err(Error::TooManyEntries)));
        assert!(matches!(check(&["a", "a"]), Err(Error::IdsNotDistinct)));
        assert!(matches!(check(&["a.b"]), Err(Error::InvalidBatchId)));
    }
}
