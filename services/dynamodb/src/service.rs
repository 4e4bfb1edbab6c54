//! DynamoDB's state in memory and its operation table.

use std::sync::Arc;

use fractus_aws::{AccountId, Arn};
use fractus_bus::outbox::Outbox;
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::Item;
use fractus_dynamodb_rules::expression::Cache;
use fractus_host::{Access, Context, Host, Operations, Prepared, ResourceFacts, Service};
use fractus_store::{Scope, Snapshot, Store, Transaction};
use fractus_wire::ByteStream;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};
use tokio::sync::Notify;

use crate::access;
use crate::answers;
use crate::catalogue;
use crate::config::Config;
use crate::contributors::{Contributors, Event};
use crate::error::{Error, Reason, Result};
use crate::expiries::Expiries;
use crate::inputs;
use crate::jobs::Jobs;
use crate::ongoing::Ongoing;
use crate::operations::{
    batch, items, limits, policies, reads, search_vectors, statement_batch, statements, streams, tables, tags,
    time_to_live, transact, update_table,
};
use crate::pages;
use crate::replicas::{self, Feeds};
use crate::s3::S3;
use crate::store::{TABLES, Table};
use crate::throttle::{Kind, Taken, Throttle};
use crate::writes::{Cost, Writer};

/// What every handler works on; clones share it.
#[derive(Clone)]
pub struct DynamoDb {
    pub store: Store,
    pub host: Host,
    pub config: Config,
    /// Compiled expressions.
    pub cache: Arc<Cache>,
    /// Tells the janitor that a table was discarded.
    pub discarded: Arc<Notify>,
    pub expiries: Arc<Expiries>,
    pub throttle: Arc<Throttle>,
    /// Which keys are accessed most, where that is counted.
    pub contributors: Arc<Contributors>,
    /// Transactions that take their time.
    pub ongoing: Arc<Ongoing>,
    /// Wakes the task that does jobs.
    pub jobs: Jobs,
    /// Wakes the task that tells changes to replicas and streams.
    pub feeds: Feeds,
    pub s3: S3,
    /// What goes to other services.
    pub outbox: Outbox,
}

impl DynamoDb {
    pub fn new(host: &Host, config: Config) -> Self {
        DynamoDb {
            store: host.store().clone(),
            host: host.clone(),
            throttle: Arc::new(Throttle::new(config.throttle)),
            config,
            cache: Arc::default(),
            contributors: Arc::default(),
            discarded: Arc::default(),
            expiries: Arc::default(),
            ongoing: Arc::default(),
            jobs: Jobs::default(),
            feeds: Feeds::default(),
            s3: S3::new(host),
            outbox: Outbox::start(host.bus(), host.store()),
        }
    }

    /// Runs `work` as one transaction that changes items.
    pub async fn change<T>(
        &self,
        cx: &Context,
        work: impl FnMut(&mut Transaction<'_>, &Scope, &mut Writer) -> Result<T>,
    ) -> Result<T> {
        self.change_in(cx, scope(cx), work).await
    }

    /// Counts a write of an item as an access of its keys, in the table and in its indexes.
    fn count_written(&self, table: &Table, item: &Item, now: Timestamp) {
        self.contributors.count(table, None, item, Event::Accessed, now);
        for index in &table.indexes {
            self.contributors.count(table, Some(&index.name), item, Event::Accessed, now);
        }
    }

    /// Takes what an operation on one item consumes, and counts its key where there is nothing left.
    pub fn take(&self, table: &Table, cost: &Cost, kind: Kind, item: &Item, now: Timestamp) -> Result<Taken> {
        let taken = self.throttle.take(table, cost, kind, now);
        if taken.is_err() {
            self.contributors.count(table, None, item, Event::Throttled, now);
            for (name, ..) in &cost.indexes {
                self.contributors.count(table, Some(name), item, Event::Throttled, now);
            }
        }
        taken
    }

    /// Refuses a write of an item that something under way holds: a transaction, or a write of another region.
    pub fn check_free(&self, snapshot: &Snapshot<'_>, scope: &Scope, table: &Table, key: &[u8]) -> Result<()> {
        self.ongoing.check(scope, table.id, key)?;
        replicas::strong::check_write(snapshot, scope, table, key, self.config.replicated_write())
    }

    /// Of a write of a table's item: what the store gave up on, since others kept changing the same records, is a conflict; of
    /// transactions, or of regions where the table is strongly consistent over them.
    pub async fn conflict(&self, (scope, name): (&Scope, &str), error: Error) -> Error {
        let error = error.of_write();
        if !matches!(error, Error::TransactionConflict) {
            return error;
        }
        let found = self.store.read(|snapshot| {
            let table = active_table(snapshot, scope, name)?;
            let replicas = table.features.replicas.as_ref();
            Ok::<_, Error>(replicas.is_some_and(|replicas| replicas.strong(snapshot.now(scope)).is_some()))
        });
        if found.await.unwrap_or(false) { Error::ReplicatedWriteConflict } else { error }
    }

    /// Runs `work` as [`change`](Self::change) does, where the items may be another account's.
    pub async fn change_in<T>(
        &self,
        cx: &Context,
        scope: Scope,
        mut work: impl FnMut(&mut Transaction<'_>, &Scope, &mut Writer) -> Result<T>,
    ) -> Result<T> {
        let mut taken = Taken::default();
        let (done, touched, expiry) = self
            .store
            .write(|tx| {
                // What the run before took, if this is another one.
                self.throttle.give_back(std::mem::take(&mut taken));
                let mut writer = Writer::default();
                let done = work(tx, &scope, &mut writer);
                taken = writer.taken();
                let done = done?;
                let touched = writer.take_touched();
                Ok::<_, Error>((done, touched, writer.finish(tx, &scope)?))
            })
            .await?;
        for (table, item) in &touched {
            self.count_written(table, item, cx.now());
        }
        if let Some(expiry) = expiry {
            self.expiries.expect(cx.world.lane.as_str(), expiry);
        }
        Ok(done)
    }
}

/// Where a request's tables lie.
pub fn scope(cx: &Context) -> Scope {
    Scope::regional(&cx.world, &cx.region)
}

/// A table's name, which may be given as its ARN.
pub fn table_name(name: &str) -> &str {
    match name.starts_with("arn:") {
        true => name.split_once(":table/").map_or(name, |(_, table)| table),
        false => name,
    }
}

/// Where a table lies and its name; an ARN may be of another account.
pub fn place<'n>(cx: &Context, name: &'n str) -> (Scope, &'n str) {
    (owned_scope(cx, name), table_name(name))
}

/// Where a table lies that is given by its name or its ARN.
pub fn owned_scope(cx: &Context, name: &str) -> Scope {
    let arn: Option<Arn> = name.strip_prefix("arn:").and_then(|_| name.parse().ok());
    match arn.and_then(|arn| AccountId::new(&arn.account).ok()) {
        Some(owner) => Scope::regional(&cx.world.with_account(owner), &cx.region),
        None => scope(cx),
    }
}

/// Where the tables of a transaction lie, given by their names or ARNs: all in one account and region.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
pub fn common_scope<'n>(cx: &Context, names: impl Iterator<Item = &'n str> + Clone) -> Result<Scope> {
    let is_arn = |name: &str| name.starts_with("arn:");
    if !names.clone().any(is_arn) {
        return Ok(scope(cx));
    }
    let scopes: Vec<Scope> = names.map(|name| owned_scope(cx, name)).collect();
    let first = scopes.first().cloned().unwrap_or_else(|| scope(cx));
    if scopes.iter().all(|own| *own == first) {
        return Ok(first);
    }
    // Unconfirmed words.
    let elsewhere = || Reason::Invalid("The table is in another account or region than the others".to_owned());
    let reason = |own: &Scope| if *own == first { Reason::None } else { elsewhere() };
    Err(Error::Cancelled(scopes.iter().map(reason).collect()))
}

/// Statements reach no tables of other accounts.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-iam-actions.html#rbac-partiql-actions>
pub fn own_table(cx: &Context, name: &str) -> Result<()> {
    if !name.starts_with("arn:") || owned_scope(cx, name) == scope(cx) { Ok(()) } else { Err(Error::NoResource) }
}

/// The table whose items a request is for: one that is there and no longer CREATING.
pub fn active_table(snapshot: &Snapshot<'_>, scope: &Scope, name: &str) -> Result<Arc<Table>> {
    let table = snapshot.get_shared(&TABLES, scope, &(table_name(name),))?.ok_or(Error::NoResource)?;
    let now = snapshot.now(scope);
    let is_there = table.active_at <= now && table.deleted_at.is_none_or(|deleted_at| deleted_at > now);
    if is_there { Ok(table) } else { Err(Error::NoResource) }
}

macro_rules! by_table {
    () => {
        |cx, input| Ok::<_, Error>(vec![access::table(cx, &input.table_name)])
    };
}

macro_rules! by_arn {
    ($arn:ident) => {
        |_, input| Ok::<_, Error>(vec![access::arn(&input.$arn)])
    };
}

/// Every operation of DynamoDB and of its streams; those without a line are not built.
pub fn operations() -> Operations<DynamoDb> {
    catalogue::entered(Operations::new(&[&api::MODEL, &api::streams::MODEL]))
        .on(api::CreateTable, tables::create)
        .access(api::CreateTable, access::create_table)
        .on(api::DescribeTable, tables::describe)
        .access(api::DescribeTable, by_table!())
        .on(api::DeleteTable, tables::delete)
        .access(api::DeleteTable, by_table!())
        .on(api::ListTables, tables::list)
        .on(answers::GetItem, items::get)
        .access(answers::GetItem, access::get_item)
        .on(inputs::PutItem, items::put)
        .access(inputs::PutItem, |cx, input| access::put_item(cx, &input.to_api()))
        .on(api::UpdateItem, items::update)
        .access(api::UpdateItem, access::update_item)
        .on(api::DeleteItem, items::delete)
        .access(api::DeleteItem, access::delete_item)
        .on(answers::Query, reads::query)
        .access(answers::Query, access::query)
        .on(answers::Scan, reads::scan)
        .access(answers::Scan, access::scan)
        .on(api::SearchVectors, search_vectors::search)
        .access(api::SearchVectors, access::search_vectors)
        .on(api::BatchGetItem, batch::get)
        .access(api::BatchGetItem, access::batch_get)
        .on(api::BatchWriteItem, batch::write)
        .access(api::BatchWriteItem, access::batch_write)
        .on(api::TransactGetItems, transact::get)
        .access(api::TransactGetItems, access::transact_get)
        .on(inputs::TransactWriteItems, transact::write)
        .access(inputs::TransactWriteItems, |cx, input| access::transact_write(cx, &input.to_api()))
        .on(api::ExecuteStatement, statements::execute)
        .access(api::ExecuteStatement, access::execute_statement)
        .on(api::BatchExecuteStatement, statement_batch::batch)
        .access(api::BatchExecuteStatement, access::batch_statements)
        .on(api::ExecuteTransaction, statement_batch::transaction)
        .access(api::ExecuteTransaction, access::transaction)
        .on(api::UpdateTable, update_table::update)
        .access(api::UpdateTable, by_table!())
        .on(api::UpdateTimeToLive, time_to_live::update)
        .access(api::UpdateTimeToLive, by_table!())
        .on(api::DescribeTimeToLive, time_to_live::describe)
        .access(api::DescribeTimeToLive, by_table!())
        .on(api::TagResource, tags::tag)
        .access(api::TagResource, access::tag_resource)
        .on(api::UntagResource, tags::untag)
        .access(api::UntagResource, access::untag_resource)
        .on(api::ListTagsOfResource, tags::list)
        .access(api::ListTagsOfResource, by_arn!(resource_arn))
        .on(api::DescribeLimits, limits::limits)
        .on(api::DescribeEndpoints, limits::endpoints)
        .on(api::streams::ListStreams, streams::list)
        .on(api::streams::DescribeStream, streams::describe)
        .access(api::streams::DescribeStream, by_arn!(stream_arn))
        .on(api::streams::GetShardIterator, streams::iterator)
        .access(api::streams::GetShardIterator, by_arn!(stream_arn))
        .on(api::streams::GetRecords, streams::records)
        .access(api::streams::GetRecords, |_, input| Ok::<_, Error>(vec![access::of_iterator(&input.shard_iterator)]))
        // Twenty-five items of 400 KB, and JSON around them.
        .body_limit_bytes(17 * 1024 * 1024)
}

impl Service for DynamoDb {
    fn prepare(&self, head: &mut Parts, _: &str) -> Prepared {
        if pages::is_page(head) { Prepared::Raw } else { Prepared::Identify }
    }

    fn raw<'a>(&'a self, cx: &'a Context, request: Request<ByteStream>) -> BoxFuture<'a, Response<ByteStream>> {
        Box::pin(pages::answer(self, cx, request))
    }

    fn error_namespace(&self) -> Option<&'static str> {
        Some("com.amazonaws.dynamodb.v20120810")
    }

    /// What policies may ask of a table: the keys that lead, and its tags.
    fn resource_facts<'a>(
        &'a self,
        cx: &'a Context,
        access: &'a Access,
        resource: &'a Arn,
    ) -> BoxFuture<'a, ResourceFacts> {
        Box::pin(async move {
            let policy = self.resource_policy(cx, resource).await;
            let scope = owned_scope(cx, &access.resource);
            let name = access::table_of(&access.resource);
            let read = |snapshot: &Snapshot<'_>| Ok::<_, Error>(snapshot.get_shared(&TABLES, &scope, &(name,))?);
            let Ok(Some(table)) = self.store.read(read).await else {
                return ResourceFacts { policy, ..Default::default() };
            };
            let mut conditions = access::leading_keys(&table, access);
            let tags = table.tags.iter();
            conditions.extend(tags.map(|(key, value)| (format!("aws:ResourceTag/{key}"), vec![value.clone()])));
            ResourceFacts { policy, conditions, ..Default::default() }
        })
    }

    fn resource_policy<'a>(&'a self, cx: &'a Context, resource: &'a Arn) -> BoxFuture<'a, Option<String>> {
        Box::pin(policies::of(self, cx, resource))
    }

    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.expiries.forget_all();
        self.expiries.wake();
        Box::pin(std::future::ready(()))
    }
}
