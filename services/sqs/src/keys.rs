//! What KMS has to say about messages of queues with a key: whoever sends one needs a data key, and whoever receives it needs
//! that opened. A transaction that finds no answer ends without a change; KMS is asked, and the transaction begins again.
//!
//! Only a KMS that is in the stack is asked; without one the key's name is kept, and nobody judges.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html>

use std::time::Duration;

use fractus_datakeys::{Asker, Kept};

use crate::error::{Error, Result};
use crate::model::messages::Received;
use crate::store::Queue;

/// What a data key is bound to.
const CONTEXT_ARN: &str = "aws:sqs:arn";

/// A data key that a queue wants and nobody has been asked for yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub key: String,
    pub reuse_secs: u32,
}

/// What KMS said about sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Granted {
    #[default]
    NotAsked,
    /// There is no KMS.
    Unasked,
    Key(Kept),
}

impl Granted {
    /// What a message to this queue is kept under; an error says that KMS has to be asked first.
    pub fn of(&self, queue: &Queue) -> Result<Option<Kept>> {
        let Some(key) = &queue.attributes.kms_key_id else { return Ok(None) };
        match self {
            Granted::Unasked => Ok(None),
            Granted::Key(kept) if kept.key == *key => Ok(Some(kept.clone())),
            Granted::NotAsked | Granted::Key(_) => {
                Err(Error::NeedsDataKey(Need { key: key.clone(), reuse_secs: queue.attributes.kms_reuse_secs }))
            }
        }
    }

    /// Asks for what a queue needs; it serves the same sender for as long as the queue says.
    pub async fn ask(asker: &Asker<'_>, need: &Need, queue_arn: &str) -> Result<Granted> {
        let context = [(CONTEXT_ARN.to_owned(), queue_arn.to_owned())].into();
        let lasts = Duration::from_secs(u64::from(need.reuse_secs));
        let kept = asker.key_for(&need.key, &context, lasts).await.map_err(Error::kms)?;
        Ok(kept.map_or(Granted::Unasked, Granted::Key))
    }
}

/// Data keys that KMS has opened for a receiver.
#[derive(Debug, Default)]
pub struct Opened {
    keys: Vec<Kept>,
}

impl Opened {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Passes when all that was received is open; an error says what KMS has to open first.
    pub fn check(&self, received: &[Received], queue: &Queue) -> Result<()> {
        let mut closed: Vec<Kept> = Vec::new();
        for kept in received.iter().filter_map(|one| one.message.data_key.as_ref()) {
            if !self.keys.contains(kept) && !closed.contains(kept) {
                closed.push(kept.clone());
            }
        }
        match closed.is_empty() {
            true => Ok(()),
            false => Err(Error::NeedsOpening { closed, reuse_secs: queue.attributes.kms_reuse_secs }),
        }
    }

    pub async fn open(&mut self, asker: &Asker<'_>, closed: Vec<Kept>, reuse_secs: u32) -> Result<()> {
        let lasts = Duration::from_secs(u64::from(reuse_secs));
        for kept in closed {
            asker.open(&kept, lasts).await.map_err(Error::kms)?;
            self.keys.push(kept);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fractus_clock::Timestamp;

    use crate::model::attributes::Attributes;

    use super::*;

    #[test]
    fn a_key_is_for_the_queue_that_names_it() {
        let mut queue = Queue {
            name: "q".into(),
            id: 1,
            space: 1,
            created_at: Timestamp::EPOCH,
            modified_at: Timestamp::EPOCH,
            attributes: Attributes::defaults(false),
            tags: Default::default(),
            purged_at: None,
        };
        assert_eq!(Granted::NotAsked.of(&queue).unwrap(), None, "a queue without a key asks nobody");
        queue.attributes.kms_key_id = Some("a".into());
        assert!(matches!(Granted::NotAsked.of(&queue), Err(Error::NeedsDataKey(need)) if need.key == "a"));
        assert_eq!(Granted::Unasked.of(&queue).unwrap(), None);
        let kept = Kept { wrapped: "w".into(), key: "a".into(), context: Default::default() };
        let granted = Granted::Key(kept.clone());
        assert_eq!(granted.of(&queue).unwrap(), Some(kept));
        queue.attributes.kms_key_id = Some("b".into());
        assert!(granted.of(&queue).is_err());
    }
}
