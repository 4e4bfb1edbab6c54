//! Queues: made, found, listed, deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use fractus_aws::AccountId;
use fractus_host::Context;
use fractus_sqs_api as api;
use fractus_store::{Order, Range, Scope, Transaction};

use crate::error::{Error, Result};
use crate::model::attributes::Attributes;
use crate::model::{messages, names};
use crate::operations::tags;
use crate::service::{Sqs, Target};
use crate::store::{DEAD_LETTER_SOURCES, DELETED, Deleted, QUEUES, Queue};

/// How long the name of a deleted queue stays taken.
const NAME_COOLDOWN: Duration = Duration::from_secs(60);
/// The largest page of ListQueues and ListDeadLetterSourceQueues, and how many come without one.
const MAX_RESULTS: i32 = 1_000;

/// CreateQueue: making a queue that is there already with the same attributes gives its URL again.
pub async fn create(sqs: &Sqs, cx: &Context, input: api::CreateQueueInput) -> Result<api::CreateQueueOutput> {
    let given = input.attributes.unwrap_or_default();
    let given: Vec<(&str, &str)> = given.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let fifo = given.iter().any(|(name, value)| *name == "FifoQueue" && value.eq_ignore_ascii_case("true"));
    names::check_queue_name(&input.queue_name, fifo)?;
    let attributes = Attributes::defaults(fifo).changed(given.iter().copied())?;
    let tags: BTreeMap<String, String> = input.tags.unwrap_or_default().into_iter().collect();
    tags::check(&tags)?;
    let target = Target::of_account(cx, None, input.queue_name);
    let (id, space, now) = (cx.random().u64(), cx.random().u64(), cx.now());
    let names_given: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
    sqs.store
        .write(|tx| {
            if let Some(existing) = tx.get(&QUEUES, &target.scope, &(target.name.as_str(),))? {
                return match existing.attributes.first_difference(&attributes, &names_given) {
                    Some(attribute) => Err(Error::QueueNameExists { attribute }),
                    None => Ok(()),
                };
            }
            if sqs.config.queue_name_cooldown && tx.contains(&DELETED, &target.scope, &(target.name.as_str(),))? {
                return Err(Error::QueueDeletedRecently);
            }
            let queue = Queue {
                name: target.name.clone(),
                id,
                space,
                created_at: now,
                modified_at: now,
                attributes: attributes.clone(),
                tags: tags.clone(),
                purged_at: None,
            };
            check_redrive(tx, &target, cx, &queue)?;
            link_dead_letter(tx, &target.scope, &queue.name, None, &attributes)?;
            Ok(tx.put(&QUEUES, &target.scope, &(target.name.as_str(),), &queue)?)
        })
        .await?;
    let url = names::queue_url(&cx.endpoint(), &target.world.account, &target.name);
    Ok(api::CreateQueueOutput { queue_url: Some(url) })
}

/// A dead-letter queue must exist, be of the same kind, in the same account and region, and allow the source.
pub fn check_redrive(tx: &mut Transaction<'_>, target: &Target, cx: &Context, queue: &Queue) -> Result<()> {
    let Some(policy) = &queue.attributes.redrive_policy else { return Ok(()) };
    let invalid = |reason: &str| Error::invalid_value(&policy.text, "RedrivePolicy", reason);
    let dead_name = policy.target_name();
    if policy.dead_letter_target_arn != names::queue_arn(&target.world, &cx.region, dead_name) {
        return Err(invalid("Dead-letter target owner should be same as the source."));
    }
    let dead =
        if dead_name == queue.name { Some(queue.clone()) } else { tx.get(&QUEUES, &target.scope, &(dead_name,))? };
    let dead = dead.ok_or_else(|| invalid("Dead letter target does not exist."))?;
    if dead.is_fifo() != queue.is_fifo() {
        return Err(invalid(if queue.is_fifo() {
            "Dead-letter queue of a FIFO queue must also be a FIFO queue."
        } else {
            "Dead-letter queue of a standard queue must also be a standard queue."
        }));
    }
    let source_arn = target.arn(cx);
    if dead.attributes.redrive_allow_policy.as_ref().is_some_and(|allow| !allow.allows(&source_arn)) {
        return Err(invalid("The dead-letter queue's redrive allow policy does not allow this queue as a source."));
    }
    Ok(())
}

/// Keeps the list of a dead-letter queue's sources true when a queue's redrive policy changes.
pub fn link_dead_letter(
    tx: &mut Transaction<'_>,
    scope: &Scope,
    queue_name: &str,
    before: Option<&Attributes>,
    after: &Attributes,
) -> Result<()> {
    let name_of =
        |attributes: &Attributes| attributes.redrive_policy.as_ref().map(|policy| policy.target_name().to_owned());
    let (old, new) = (before.and_then(name_of), name_of(after));
    if old == new {
        return Ok(());
    }
    if let Some(old) = old {
        tx.delete(&DEAD_LETTER_SOURCES, scope, &(old.as_str(), queue_name))?;
    }
    if let Some(new) = new {
        tx.put(&DEAD_LETTER_SOURCES, scope, &(new.as_str(), queue_name), &())?;
    }
    Ok(())
}

/// DeleteQueue: the queue is gone at once, its messages in the background.
pub async fn delete(sqs: &Sqs, cx: &Context, input: api::DeleteQueueInput) -> Result<api::DeleteQueueOutput> {
    let target = Target::of_url(cx, &input.queue_url)?;
    let now = cx.now();
    sqs.store
        .write(|tx| {
            let mut queue = target.queue_to_change(tx)?;
            messages::discard_all(tx, &target.scope, &mut queue, 0, now)?;
            if let Some(policy) = &queue.attributes.redrive_policy {
                tx.delete(&DEAD_LETTER_SOURCES, &target.scope, &(policy.target_name(), queue.name.as_str()))?;
            }
            tx.delete(&QUEUES, &target.scope, &(target.name.as_str(),))?;
            let deleted = Deleted { deleted_at: now };
            Ok::<_, Error>(tx.put_until(
                &DELETED,
                &target.scope,
                &(target.name.as_str(),),
                &deleted,
                now.plus(NAME_COOLDOWN),
            )?)
        })
        .await?;
    sqs.waiters.wake_all(&target.scope, &target.name);
    sqs.discarded.wake();
    Ok(api::DeleteQueueOutput::default())
}

pub async fn get_url(sqs: &Sqs, cx: &Context, input: api::GetQueueUrlInput) -> Result<api::GetQueueUrlOutput> {
    let owner = input.queue_owner_aws_account_id.as_deref().map(AccountId::new).transpose();
    let owner = owner.map_err(|_| Error::QueueDoesNotExist)?;
    let target = Target::of_account(cx, owner.as_ref(), input.queue_name);
    let exists = sqs
        .store
        .read(|snapshot| Ok::<_, Error>(snapshot.contains(&QUEUES, &target.scope, &(target.name.as_str(),))?))
        .await?;
    if !exists {
        return Err(Error::QueueDoesNotExist);
    }
    let url = names::queue_url(&cx.endpoint(), &target.world.account, &target.name);
    Ok(api::GetQueueUrlOutput { queue_url: Some(url) })
}

/// A page of names after `token`; the second value is the next token.
fn page_size(max_results: Option<i32>) -> Result<usize> {
    match max_results {
        None => Ok(MAX_RESULTS as usize),
        Some(number @ 1..=MAX_RESULTS) => Ok(number as usize),
        Some(number) => {
            Err(Error::invalid_value(number, "MaxResults", "MaxResults must be an integer between 1 and 1000."))
        }
    }
}

/// Page tokens are the last name of the page before, so that a page is right whatever came or went meanwhile.
fn encode_token(name: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(name)
}

fn decode_token(token: Option<&str>) -> Result<Option<String>> {
    use base64::Engine;
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
    let bytes = base64::engine::general_purpose::STANDARD.decode(token).ok();
    let name = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    name.map(Some).ok_or_else(|| Error::invalid_parameter("Invalid or expired next token."))
}

/// Without MaxResults up to 1,000 queues and no token; with it, pages.
pub async fn list(sqs: &Sqs, cx: &Context, input: api::ListQueuesInput) -> Result<api::ListQueuesOutput> {
    let size = page_size(input.max_results)?;
    let after = decode_token(input.next_token.as_deref())?;
    let prefix = input.queue_name_prefix.unwrap_or_default();
    let scope = Scope::regional(&cx.world, &cx.region);
    let mut names: Vec<String> = sqs
        .store
        .read(|snapshot| {
            let mut range = Range::starts_with(&(prefix.as_str(),));
            if let Some(after) = &after {
                range = range.after(&(after.as_str(),));
            }
            let page = snapshot.keys(&QUEUES, &scope, range, Order::Ascending)?.take(size + 1);
            page.map(|key| Ok(key?.0)).collect::<Result<Vec<_>>>()
        })
        .await?;
    let more = names.len() > size;
    names.truncate(size);
    let next_token =
        (more && input.max_results.is_some()).then(|| names.last().map(|name| encode_token(name))).flatten();
    Ok(api::ListQueuesOutput { queue_urls: Some(urls(cx, &names)), next_token })
}

fn urls(cx: &Context, names: &[String]) -> Vec<String> {
    let endpoint = cx.endpoint();
    names.iter().map(|name| names::queue_url(&endpoint, &cx.world.account, name)).collect()
}

pub async fn list_dead_letter_sources(
    sqs: &Sqs,
    cx: &Context,
    input: api::ListDeadLetterSourceQueuesInput,
) -> Result<api::ListDeadLetterSourceQueuesOutput> {
    let size = page_size(input.max_results)?;
    let after = decode_token(input.next_token.as_deref())?;
    let target = Target::of_url(cx, &input.queue_url)?;
    let mut names: Vec<String> = sqs
        .store
        .read(|snapshot| {
            if !snapshot.contains(&QUEUES, &target.scope, &(target.name.as_str(),))? {
                return Err(Error::QueueDoesNotExist);
            }
            let mut range = Range::prefix(&(target.name.as_str(),));
            if let Some(after) = &after {
                range = range.after(&(target.name.as_str(), after.as_str()));
            }
            let page = snapshot.keys(&DEAD_LETTER_SOURCES, &target.scope, range, Order::Ascending)?.take(size + 1);
            page.map(|key| Ok(key?.1)).collect::<Result<Vec<_>>>()
        })
        .await?;
    let more = names.len() > size;
    names.truncate(size);
    let next_token = if more { names.last().map(|name| encode_token(name)) } else { None };
    Ok(api::ListDeadLetterSourceQueuesOutput { queue_urls: urls(cx, &names), next_token })
}
