//! Work that no request waits for: clearing the messages of deleted and purged queues, ending messages past their
//! retention, and carrying out message move tasks.

use std::sync::Arc;
use std::time::Duration;

use fractus_aws::{Region, World};
use fractus_store::{Collection, Key, Order, PrefixOf, Range, Scope, Transaction};

use crate::error::{Error, Result};
use crate::model::messages;
use crate::model::move_task::{self, Handle, MOVED_AT_ONCE, Step};
use crate::service::Sqs;
use crate::store::{
    AVAILABLE, BUSY, COUNTERS, DISCARDED, GROUP_MESSAGES, GROUPS, MESSAGES, MOVE_TASKS, MoveStatus, NOISY, PENDING,
    QUEUES, READY, RUNNING_MOVES, STANDINGS, TENANT_READY, TENANTS,
};

/// The most records one transaction clears, so that it never holds up a request for long.
const CLEARED_AT_ONCE: usize = 500;
/// The most queues one page of a round looks at.
const QUEUES_AT_ONCE: usize = 100;

/// Starts the janitor, and takes up the move tasks that a crash or a restart has interrupted.
pub fn start(sqs: &Arc<Sqs>) {
    let janitor = Arc::clone(sqs);
    sqs.host.janitor(&sqs.discarded, move || {
        let sqs = Arc::clone(&janitor);
        async move { clean_up(&sqs).await }
    });
    let resuming = Arc::clone(sqs);
    sqs.host.spawn("resume move tasks", async move {
        if let Err(error) = resume_move_tasks(&resuming).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "interrupted move tasks could not be resumed");
        }
    });
}

/// One round: every discarded space is emptied, every queue's expired messages go.
pub async fn clean_up(sqs: &Sqs) -> Result<()> {
    for (world, region) in sqs.host.places(DISCARDED.name()).await? {
        let scope = Scope::regional(&world, &region);
        while sqs.store.write(|tx| clear_discarded(tx, &scope)).await? {
            tokio::task::yield_now().await;
        }
    }
    for (world, region) in sqs.host.places(QUEUES.name()).await? {
        let scope = Scope::regional(&world, &region);
        let now = sqs.host.clocks().lane(world.lane.as_str()).now();
        let mut after = String::new();
        loop {
            let names = sqs.store.read(|snapshot| {
                let range = Range::all().after(&(after.as_str(),));
                let names = snapshot.keys(&QUEUES, &scope, range, Order::Ascending)?.take(QUEUES_AT_ONCE);
                names.map(|key| Ok(key?.0)).collect::<Result<Vec<String>>>()
            });
            let names = names.await?;
            let Some(last) = names.last().cloned() else { break };
            for name in &names {
                while expire_some(sqs, &scope, name, now).await? == CLEARED_AT_ONCE {
                    tokio::task::yield_now().await;
                }
            }
            after = last;
        }
    }
    Ok(())
}

async fn expire_some(sqs: &Sqs, scope: &Scope, name: &str, now: fractus_clock::Timestamp) -> Result<usize> {
    sqs.store
        .write(|tx| match tx.get_shared(&QUEUES, scope, &(name,))? {
            Some(queue) => messages::with_counters(tx, scope, &queue, |tx, counts| {
                messages::expire(tx, scope, &queue, counts, now, CLEARED_AT_ONCE)
            }),
            None => Ok(0),
        })
        .await
}

/// Clears a piece of a discarded space; says whether there is more to do.
fn clear_discarded(tx: &mut Transaction<'_>, scope: &Scope) -> Result<bool> {
    let first = tx.keys(&DISCARDED, scope, Range::all(), Order::Ascending)?.next().transpose()?;
    let Some((space,)) = first else { return Ok(false) };
    let prefix = (space,);
    let mut left = CLEARED_AT_ONCE;
    clear(tx, scope, &READY, &prefix, &mut left)?;
    clear(tx, scope, &PENDING, &prefix, &mut left)?;
    clear(tx, scope, &AVAILABLE, &prefix, &mut left)?;
    clear(tx, scope, &GROUPS, &prefix, &mut left)?;
    clear(tx, scope, &GROUP_MESSAGES, &prefix, &mut left)?;
    clear(tx, scope, &NOISY, &prefix, &mut left)?;
    clear(tx, scope, &TENANT_READY, &prefix, &mut left)?;
    clear(tx, scope, &TENANTS, &prefix, &mut left)?;
    clear(tx, scope, &STANDINGS, &prefix, &mut left)?;
    clear(tx, scope, &MESSAGES, &prefix, &mut left)?;
    if left > 0 {
        tx.delete(&COUNTERS, scope, &prefix)?;
        tx.delete(&BUSY, scope, &prefix)?;
        tx.delete(&DISCARDED, scope, &prefix)?;
    }
    Ok(true)
}

fn clear<K, V>(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    collection: &Collection<K, V>,
    prefix: &impl PrefixOf<K>,
    left: &mut usize,
) -> Result<()>
where
    K: Key + fractus_store::KeyOf<K>,
{
    let keys: Vec<K> = tx
        .keys(collection, scope, Range::prefix(prefix), Order::Ascending)?
        .take(*left)
        .collect::<std::result::Result<_, _>>()?;
    *left -= keys.len();
    for key in keys {
        tx.delete(collection, scope, &key)?;
    }
    Ok(())
}

/// Carries out a move task to its end, at its rate, by the lane's clock.
pub fn run_move_task(sqs: &Sqs, world: World, region: Region, handle: Handle) {
    let worker = sqs.clone();
    let name = format!("move task {}", handle.task_id);
    sqs.host.spawn(name, async move {
        if let Err(error) = move_all(&worker, &world, &region, &handle).await {
            tracing::warn!(error = &error as &dyn std::error::Error, task = %handle.task_id, "a move task failed");
        }
    });
}

async fn move_all(sqs: &Sqs, world: &World, region: &Region, handle: &Handle) -> Result<()> {
    let scope = Scope::regional(world, region);
    let clock = sqs.host.clocks().lane(world.lane.as_str());
    let draining = sqs.host.draining();
    let key = handle.key();
    let rate = sqs.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&MOVE_TASKS, &scope, &key)?)).await?;
    let rate = rate.and_then(|task| task.max_messages_per_second);
    let at_once = rate.map_or(MOVED_AT_ONCE, |rate| MOVED_AT_ONCE.min(rate as usize));
    loop {
        let now = clock.now();
        let new_id = || sqs.host.random().uuid();
        match sqs.store.write(|tx| move_task::step(tx, &scope, handle, at_once, &new_id, now)).await? {
            Step::Ended => return Ok(()),
            Step::Moved(moved) => {
                // Which queues they went to is the messages' affair; whoever waits looks again.
                sqs.waiters.wake_everybody();
                let pause = rate.map(|rate| Duration::from_secs_f64(moved as f64 / f64::from(rate)));
                match pause {
                    Some(pause) => tokio::select! {
                        () = clock.sleep(pause) => {}
                        // A drain leaves the task running in the store; the next start resumes it.
                        () = draining.cancelled() => return Ok(()),
                    },
                    None if draining.is_cancelled() => return Ok(()),
                    None => tokio::task::yield_now().await,
                }
            }
        }
    }
}

async fn resume_move_tasks(sqs: &Sqs) -> Result<()> {
    for (world, region) in sqs.host.places(RUNNING_MOVES.name()).await? {
        let scope = Scope::regional(&world, &region);
        let handles: Vec<Handle> = sqs
            .store
            .read(|snapshot| {
                let running = snapshot.range(&RUNNING_MOVES, &scope, Range::all(), Order::Ascending)?;
                let mut handles = Vec::new();
                for entry in running {
                    let ((name,), running) = entry?;
                    let key = (name, running.started_at, running.nonce.clone());
                    let task = snapshot.get(&MOVE_TASKS, &scope, &key)?;
                    let unfinished =
                        task.filter(|task| matches!(task.status, MoveStatus::Running | MoveStatus::Cancelling));
                    if let Some(task) = unfinished {
                        handles.push(Handle::new(&running.nonce, &task.source_arn, running.started_at));
                    }
                }
                Ok::<_, Error>(handles)
            })
            .await?;
        for handle in handles {
            run_move_task(sqs, world.clone(), region.clone(), handle);
        }
    }
    Ok(())
}
