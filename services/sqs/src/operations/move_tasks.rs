//! Message move tasks: StartMessageMoveTask, CancelMessageMoveTask, ListMessageMoveTasks.

use fractus_host::Context;
use fractus_sqs_api as api;
use fractus_store::Scope;

use crate::background;
use crate::error::{Error, Result};
use crate::model::move_task::{self, Handle};
use crate::service::Sqs;
use crate::store::{MoveStatus, MoveTask};

pub async fn start(
    sqs: &Sqs,
    cx: &Context,
    input: api::StartMessageMoveTaskInput,
) -> Result<api::StartMessageMoveTaskOutput> {
    let rate = input.max_number_of_messages_per_second;
    let rate = rate.map(|rate| {
        let rate = u32::try_from(rate).ok().filter(|rate| (1..=500).contains(rate));
        rate.ok_or_else(|| {
            Error::invalid_parameter(
                "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and 500.",
            )
        })
    });
    let scope = Scope::regional(&cx.world, &cx.region);
    let handle = Handle::new(&cx.random().uuid(), &input.source_arn, cx.now());
    let task = MoveTask {
        source_arn: input.source_arn,
        destination_arn: input.destination_arn.filter(|arn| !arn.is_empty()),
        max_messages_per_second: rate.transpose()?,
        status: MoveStatus::Running,
        moved: 0,
        to_move: 0,
        failure_reason: None,
        started_at: handle.started_at(),
    };
    sqs.store.write(|tx| move_task::start(tx, &scope, &task, &handle)).await?;
    background::run_move_task(sqs, cx.world.clone(), cx.region.clone(), handle.clone());
    Ok(api::StartMessageMoveTaskOutput { task_handle: Some(handle.encode()) })
}

pub async fn cancel(
    sqs: &Sqs,
    cx: &Context,
    input: api::CancelMessageMoveTaskInput,
) -> Result<api::CancelMessageMoveTaskOutput> {
    let handle = Handle::decode(&input.task_handle)?;
    let scope = Scope::regional(&cx.world, &cx.region);
    let moved = sqs.store.write(|tx| move_task::cancel(tx, &scope, &handle)).await?;
    Ok(api::CancelMessageMoveTaskOutput { approximate_number_of_messages_moved: Some(moved as i64) })
}

pub async fn list(
    sqs: &Sqs,
    cx: &Context,
    input: api::ListMessageMoveTasksInput,
) -> Result<api::ListMessageMoveTasksOutput> {
    let max = match input.max_results {
        None => 1,
        Some(max @ 1..=10) => max as usize,
        Some(max) => return Err(Error::invalid_value(max, "MaxResults", "Must be between 1 and 10.")),
    };
    let scope = Scope::regional(&cx.world, &cx.region);
    let tasks = sqs.store.write(|tx| move_task::list(tx, &scope, &input.source_arn, max)).await?;
    Ok(api::ListMessageMoveTasksOutput { results: Some(tasks.into_iter().map(shown).collect()) })
}

fn shown((handle, task): (Handle, MoveTask)) -> api::ListMessageMoveTasksResultEntry {
    api::ListMessageMoveTasksResultEntry {
        // Only a running task can be cancelled, so only it has a handle to show.
        task_handle: (task.status == MoveStatus::Running).then(|| handle.encode()),
        status: Some(task.status.as_str().to_owned()),
        source_arn: Some(task.source_arn),
        destination_arn: task.destination_arn,
        max_number_of_messages_per_second: task.max_messages_per_second.map(|rate| rate as i32),
        approximate_number_of_messages_moved: Some(task.moved as i64),
        approximate_number_of_messages_to_move: Some(task.to_move as i64),
        failure_reason: task.failure_reason,
        started_timestamp: Some(task.started_at.millis()),
    }
}
