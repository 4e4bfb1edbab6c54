//! SQS's state in memory, its operation table, and how it differs from other services at the edge.

use std::sync::Arc;

use fractus_aws::{AccountId, Arn, World};
use fractus_datakeys::Keys;
use fractus_host::{Access, Context, Host, Operations, Service, Waker};
use fractus_sqs_api as api;
use fractus_store::{Scope, Store};
use fractus_wire::Failure;
use fractus_wire::validation::{Constraint, Violation};
use futures::future::BoxFuture;

use crate::config::Config;
use crate::error::{self, Error, Result};
use crate::model::names::{self, QueueAddress};
use crate::model::quota::Quotas;
use crate::operations::{attributes, delete, move_tasks, permissions, purge, queues, receive, send, tags, visibility};
use crate::store::{QUEUES, Queue};
use crate::waiters::Waiters;

/// What every handler works on; clones share it.
#[derive(Clone)]
pub struct Sqs {
    pub store: Store,
    pub host: Host,
    pub config: Config,
    pub waiters: Arc<Waiters>,
    pub quotas: Arc<Quotas>,
    pub keys: Keys,
    /// Tells the janitor that a space was discarded.
    pub discarded: Waker,
}

impl Sqs {
    pub fn new(host: &Host, config: Config) -> Self {
        Sqs {
            store: host.store().clone(),
            host: host.clone(),
            waiters: Arc::default(),
            quotas: Arc::new(Quotas::new(config.fifo_quota)),
            keys: Keys::new(host),
            config,
            discarded: Waker::default(),
        }
    }
}

/// A queue as a caller addressed it: whose scope it lies in, and its name.
#[derive(Clone, Debug)]
pub struct Target {
    pub world: World,
    pub scope: Scope,
    pub name: String,
}

impl Target {
    /// The queue behind a URL; the account in the URL decides whose it is. Without one the request's own path is it.
    pub fn of_url(cx: &Context, url: &str) -> Result<Target> {
        let url = if url.is_empty() { cx.uri().path() } else { url };
        let QueueAddress { account, name } = names::parse_queue_url(url)?;
        Ok(Self::of_account(cx, account.as_ref(), name))
    }

    /// The queue of this name of an account, the caller's own if none is given.
    pub fn of_account(cx: &Context, account: Option<&AccountId>, name: String) -> Target {
        let world = match account {
            Some(account) if *account != cx.world.account => cx.world.with_account(account.clone()),
            _ => cx.world.clone(),
        };
        let scope = Scope::regional(&world, &cx.region);
        Target { world, scope, name }
    }

    pub fn arn(&self, cx: &Context) -> String {
        names::queue_arn(&self.world, &cx.region, &self.name)
    }

    /// Reads the queue inside a transaction or snapshot.
    pub fn queue(&self, snapshot: &fractus_store::Snapshot<'_>) -> Result<Arc<Queue>> {
        snapshot.get_shared(&QUEUES, &self.scope, &(self.name.as_str(),))?.ok_or(Error::QueueDoesNotExist)
    }

    /// The queue as a record of its own, to be changed and put back.
    pub fn queue_to_change(&self, tx: &fractus_store::Transaction<'_>) -> Result<Queue> {
        tx.get(&QUEUES, &self.scope, &(self.name.as_str(),))?.ok_or(Error::QueueDoesNotExist)
    }
}

/// The access that an operation on the queue of this URL needs.
fn to_queue(cx: &Context, url: &str) -> Result<Vec<Access>> {
    let target = Target::of_url(cx, url)?;
    let arn: Arn = target.arn(cx).parse().map_err(|_| Error::QueueDoesNotExist)?;
    Ok(vec![Access::to(&arn)])
}

macro_rules! by_url {
    ($action:literal) => {
        |cx, input| {
            Ok::<_, Error>(to_queue(cx, &input.queue_url)?.into_iter().map(|access| access.by($action)).collect())
        }
    };
}

/// Every operation of SQS.
pub fn operations() -> Operations<Sqs> {
    Operations::new(&[&api::MODEL])
        .on(api::CreateQueue, queues::create)
        .on(api::DeleteQueue, queues::delete)
        .access(api::DeleteQueue, by_url!("sqs:DeleteQueue"))
        .on(api::GetQueueUrl, queues::get_url)
        .on(api::ListQueues, queues::list)
        .on(api::ListDeadLetterSourceQueues, queues::list_dead_letter_sources)
        .access(api::ListDeadLetterSourceQueues, by_url!("sqs:ListDeadLetterSourceQueues"))
        .on(api::GetQueueAttributes, attributes::get)
        .access(api::GetQueueAttributes, by_url!("sqs:GetQueueAttributes"))
        .on(api::SetQueueAttributes, attributes::set)
        .access(api::SetQueueAttributes, by_url!("sqs:SetQueueAttributes"))
        .on(api::SendMessage, send::one)
        .access(api::SendMessage, by_url!("sqs:SendMessage"))
        .on(api::SendMessageBatch, send::batch)
        .access(api::SendMessageBatch, by_url!("sqs:SendMessage"))
        .on(api::ReceiveMessage, receive::receive)
        .access(api::ReceiveMessage, by_url!("sqs:ReceiveMessage"))
        .on(api::DeleteMessage, delete::one)
        .access(api::DeleteMessage, by_url!("sqs:DeleteMessage"))
        .on(api::DeleteMessageBatch, delete::batch)
        .access(api::DeleteMessageBatch, by_url!("sqs:DeleteMessage"))
        .on(api::ChangeMessageVisibility, visibility::one)
        .access(api::ChangeMessageVisibility, by_url!("sqs:ChangeMessageVisibility"))
        .on(api::ChangeMessageVisibilityBatch, visibility::batch)
        .access(api::ChangeMessageVisibilityBatch, by_url!("sqs:ChangeMessageVisibility"))
        .on(api::PurgeQueue, purge::purge)
        .access(api::PurgeQueue, by_url!("sqs:PurgeQueue"))
        .on(api::AddPermission, permissions::add)
        .access(api::AddPermission, by_url!("sqs:AddPermission"))
        .on(api::RemovePermission, permissions::remove)
        .access(api::RemovePermission, by_url!("sqs:RemovePermission"))
        .on(api::TagQueue, tags::tag)
        .access(api::TagQueue, by_url!("sqs:TagQueue"))
        .on(api::UntagQueue, tags::untag)
        .access(api::UntagQueue, by_url!("sqs:UntagQueue"))
        .on(api::ListQueueTags, tags::list)
        .access(api::ListQueueTags, by_url!("sqs:ListQueueTags"))
        .on(api::StartMessageMoveTask, move_tasks::start)
        .on(api::CancelMessageMoveTask, move_tasks::cancel)
        .on(api::ListMessageMoveTasks, move_tasks::list)
        // Ten messages of 1 MiB in all, and base64 and JSON around them.
        .body_limit_bytes(4 * 1024 * 1024)
}

impl Service for Sqs {
    fn error_namespace(&self) -> Option<&'static str> {
        Some("com.amazonaws.sqs")
    }

    fn failure(&self, cx: &Context, failure: Failure) -> Failure {
        error::in_protocol(cx.operation().map(|operation| operation.protocol), failure)
    }

    /// SQS names what is missing, and judges values itself. Over the older protocol the queue may be named by the path.
    fn invalid(&self, cx: &Context, violations: &[Violation]) -> Result<(), Failure> {
        let named_by_path = |violation: &Violation| violation.member == "QueueUrl" && cx.uri().path().len() > 1;
        let missing = violations
            .iter()
            .find(|violation| violation.constraint == Constraint::Required && !named_by_path(violation));
        match missing {
            Some(missing) => Err(Error::MissingParameter { name: parameter_name(missing) }.into()),
            None => Ok(()),
        }
    }

    fn resource_policy<'a>(&'a self, cx: &'a Context, resource: &'a Arn) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move {
            let account = AccountId::new(&resource.account).ok()?;
            let target = Target::of_account(cx, Some(&account), resource.resource.clone());
            let queue = self.store.read(|snapshot| target.queue(snapshot)).await.ok()?;
            queue.attributes.policy.clone()
        })
    }

    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.waiters.wake_everybody();
        self.keys.forget_all();
        Box::pin(std::future::ready(()))
    }
}

/// How SQS calls a parameter: `QueueName`, and inside a batch `SendMessageBatchRequestEntry.1.Id`.
fn parameter_name(violation: &Violation) -> String {
    let mut chars = violation.member.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}
