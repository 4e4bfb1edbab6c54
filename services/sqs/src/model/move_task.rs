//! Message move tasks: dead-letter messages go back to where they came from, or to a queue of the caller's choice.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html>

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_aws::Arn;
use fractus_clock::Timestamp;
use fractus_store::{Order, Range, Scope, Transaction};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::dead_letter;
use crate::model::messages::{self, History, Place};
use crate::model::standard;
use crate::store::{
    AVAILABLE, Counters, DEAD_LETTER_SOURCES, GROUP_MESSAGES, MESSAGES, MOVE_TASKS, Message, MoveStatus, MoveTask,
    QUEUES, Queue, RUNNING_MOVES, RunningMove,
};

/// The most messages moved in one transaction.
pub const MOVED_AT_ONCE: usize = 50;

/// What a task handle names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handle {
    pub task_id: String,
    pub source_arn: String,
    started_micros: i64,
}

impl Handle {
    pub fn new(task_id: &str, source_arn: &str, started_at: Timestamp) -> Self {
        Handle { task_id: task_id.into(), source_arn: source_arn.into(), started_micros: started_at.micros() }
    }

    pub fn started_at(&self) -> Timestamp {
        Timestamp::from_micros(self.started_micros)
    }

    pub fn encode(&self) -> String {
        STANDARD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub fn decode(text: &str) -> Result<Self> {
        let decoded = STANDARD.decode(text).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        decoded.ok_or_else(|| Error::invalid_parameter("Value for parameter TaskHandle is invalid."))
    }

    /// The key of its record.
    pub fn key(&self) -> (String, Timestamp, String) {
        (queue_name(&self.source_arn).to_owned(), self.started_at(), self.task_id.clone())
    }
}

/// The queue's name at the end of its ARN.
pub fn queue_name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

/// The queue an ARN names; what is no queue's ARN is refused, what does not exist is not found.
pub fn queue_by_arn(tx: &Transaction<'_>, scope: &Scope, arn: &str) -> Result<Arc<Queue>> {
    let is_queue = arn.parse::<Arn>().is_ok_and(|arn| arn.service == "sqs");
    if !is_queue {
        return Err(Error::invalid_parameter(
            "You must use this format to specify the SourceArn: arn:<partition>:<service>:<region>:<account-id>:<resource-id>",
        ));
    }
    let queue = tx.get_shared(&QUEUES, scope, &(queue_name(arn),))?;
    queue.ok_or_else(|| Error::ResourceNotFound {
        message: "The resource that you specified for the SourceArn parameter doesn't exist.".into(),
    })
}

/// Starts a task on a dead-letter queue.
pub fn start(tx: &mut Transaction<'_>, scope: &Scope, task: &MoveTask, handle: &Handle) -> Result<()> {
    let source = queue_by_arn(tx, scope, &task.source_arn)?;
    let range = Range::prefix(&(source.name.as_str(),));
    if tx.range(&DEAD_LETTER_SOURCES, scope, range, Order::Ascending)?.next().transpose()?.is_none() {
        return Err(Error::invalid_parameter("Source queue must be configured as a Dead Letter Queue."));
    }
    if let Some(destination) = &task.destination_arn {
        check_destination(tx, scope, &source, &task.source_arn, destination)?;
    }
    if tx.get(&RUNNING_MOVES, scope, &(source.name.as_str(),))?.is_some() {
        return Err(Error::UnsupportedOperation {
            message: "There is already a task running. Only one active task is allowed for a source queue arn at a given time.".into(),
        });
    }
    let to_move = messages::counters(tx, scope, &source)?.visible;
    let running = RunningMove { started_at: task.started_at, nonce: handle.task_id.clone() };
    tx.put(&RUNNING_MOVES, scope, &(source.name.as_str(),), &running)?;
    Ok(tx.put(&MOVE_TASKS, scope, &handle.key(), &MoveTask { to_move, ..task.clone() })?)
}

fn check_destination(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    source: &Queue,
    source_arn: &str,
    destination_arn: &str,
) -> Result<()> {
    if destination_arn == source_arn {
        return Err(Error::invalid_parameter("Source queue arn and destination queue arn cannot be same."));
    }
    let destination = tx.get(&QUEUES, scope, &(queue_name(destination_arn),))?;
    let destination = destination.ok_or_else(|| Error::ResourceNotFound {
        message: "The resource that you specified for the DestinationArn parameter doesn't exist.".into(),
    })?;
    if destination.is_fifo() != source.is_fifo() {
        return Err(Error::invalid_parameter("Source and destination queue must be of the same type."));
    }
    Ok(())
}

/// Asks a running task to stop; gives how many it had moved.
pub fn cancel(tx: &mut Transaction<'_>, scope: &Scope, handle: &Handle) -> Result<u64> {
    let missing = || Error::ResourceNotFound { message: "Task does not exist.".into() };
    let mut task = tx.get(&MOVE_TASKS, scope, &handle.key())?.ok_or_else(missing)?;
    if task.status != MoveStatus::Running {
        return Err(Error::ResourceNotFound { message: "Only active tasks can be cancelled.".into() });
    }
    task.status = MoveStatus::Cancelling;
    tx.put(&MOVE_TASKS, scope, &handle.key(), &task)?;
    Ok(task.moved)
}

/// The tasks of a source queue, the newest first, at most `max`; a running one is listed with its handle.
pub fn list(tx: &mut Transaction<'_>, scope: &Scope, source_arn: &str, max: usize) -> Result<Vec<(Handle, MoveTask)>> {
    let source = queue_by_arn(tx, scope, source_arn)?;
    let range = Range::prefix(&(source.name.as_str(),));
    let tasks = tx.range(&MOVE_TASKS, scope, range, Order::Descending)?.take(max);
    tasks
        .map(|entry| {
            let ((_, started_at, nonce), task) = entry?;
            Ok((Handle::new(&nonce, source_arn, started_at), task))
        })
        .collect()
}

/// What one step of a task came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Moved(usize),
    Ended,
}

/// Moves up to `limit` messages of a running task, or ends it.
///
/// What is moved counts as a new message: it has a new id, and its time in the queue begins anew.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html>
pub fn step(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    handle: &Handle,
    limit: usize,
    new_id: &dyn Fn() -> String,
    now: Timestamp,
) -> Result<Step> {
    let Some(mut task) = tx.get(&MOVE_TASKS, scope, &handle.key())? else { return Ok(Step::Ended) };
    let source = tx.get_shared(&QUEUES, scope, &(queue_name(&handle.source_arn),))?;
    let outcome = match (&task.status, source) {
        (MoveStatus::Running, Some(source)) => move_some(tx, scope, &source, &task, limit, new_id, now)?,
        (MoveStatus::Running, None) => Err("AWS.SimpleQueueService.NonExistentQueue".to_owned()),
        _ => Ok(0),
    };
    match outcome {
        Ok(moved) if moved > 0 => {
            task.moved += moved as u64;
            tx.put(&MOVE_TASKS, scope, &handle.key(), &task)?;
            Ok(Step::Moved(moved))
        }
        outcome => {
            task.status = match (task.status, &outcome) {
                (MoveStatus::Cancelling, _) => MoveStatus::Cancelled,
                (_, Err(_)) => MoveStatus::Failed,
                _ => MoveStatus::Completed,
            };
            task.failure_reason = outcome.err();
            tx.put(&MOVE_TASKS, scope, &handle.key(), &task)?;
            tx.delete(&RUNNING_MOVES, scope, &(queue_name(&handle.source_arn),))?;
            Ok(Step::Ended)
        }
    }
}

/// Moves up to `limit` visible messages; the inner error is a failure reason that ends the task.
fn move_some(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    source: &Queue,
    task: &MoveTask,
    limit: usize,
    new_id: &dyn Fn() -> String,
    now: Timestamp,
) -> Result<Result<usize, String>> {
    messages::with_counters(tx, scope, source, |tx, counts| {
        messages::promote_due(tx, scope, source, counts, now)?;
        let mut moved = 0;
        while moved < limit.min(MOVED_AT_ONCE) {
            let Some(place) = next_visible(tx, scope, source, counts, now)? else { break };
            let Some(message) = tx.get(&MESSAGES, scope, &place.key(source))? else { break };
            let destination = task.destination_arn.as_deref().or(message.dead_letter_source_arn.as_deref());
            let target = match destination {
                Some(arn) => tx.get_shared(&QUEUES, scope, &(queue_name(arn),))?,
                None => None,
            };
            if destination.is_none() {
                return Ok(Err("CouldNotDetermineMessageSource".into()));
            }
            let Some(target) = target.filter(|target| target.space != source.space) else {
                return Ok(Err("AWS.SimpleQueueService.NonExistentQueue".into()));
            };
            let standing = messages::standing(tx, scope, source, place)?;
            messages::remove(tx, scope, source, counts, place, &message, &standing, now)?;
            // Back at work: it is counted and dated anew.
            let fresh = Message { id: new_id(), dead_letter_source_arn: None, ..message };
            dead_letter::transfer(tx, scope, &target, now, fresh, History::default(), now)?;
            moved += 1;
        }
        Ok(Ok(moved))
    })
}

fn next_visible(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    source: &Queue,
    counts: &Counters,
    now: Timestamp,
) -> Result<Option<Place>> {
    if !source.is_fifo() {
        return standard::next(tx, scope, source, counts, now);
    }
    let range = Range::prefix(&(source.space,));
    let Some((_, number, group)) = tx.keys(&AVAILABLE, scope, range, Order::Ascending)?.next().transpose()? else {
        return Ok(None);
    };
    let sent = tx.get(&GROUP_MESSAGES, scope, &(source.space, group, number))?;
    Ok(sent.map(|sent| Place { sent, number }))
}
