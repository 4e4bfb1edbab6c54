//! DynamoDB's state in memory and its operation table.

use std::sync::Arc;

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::expression::Cache;
use fractus_host::{Context, Host, Operations, Service};
use fractus_store::{Scope, Snapshot, Store};
use tokio::sync::Notify;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::operations::{batch, items, reads, statements, tables, transact};
use crate::store::{TABLES, Table};

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
}

impl DynamoDb {
    pub fn new(host: &Host, config: Config) -> Self {
        DynamoDb {
            store: host.store().clone(),
            host: host.clone(),
            config,
            cache: Arc::default(),
            discarded: Arc::default(),
        }
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

/// The table whose items a request is for: one that is there and no longer CREATING.
pub fn active_table(snapshot: &Snapshot<'_>, scope: &Scope, name: &str) -> Result<Arc<Table>> {
    let table = snapshot.get_shared(&TABLES, scope, &(table_name(name),))?.ok_or(Error::NoResource)?;
    let now = snapshot.now(scope);
    let is_there = table.active_at <= now && table.deleted_at.is_none_or(|deleted_at| deleted_at > now);
    if is_there { Ok(table) } else { Err(Error::NoResource) }
}

/// Every operation of DynamoDB and of its streams; those without a line are not built.
pub fn operations() -> Operations<DynamoDb> {
    Operations::new(&[&api::MODEL, &api::streams::MODEL])
        .on(api::CreateTable, tables::create)
        .on(api::DescribeTable, tables::describe)
        .on(api::DeleteTable, tables::delete)
        .on(api::ListTables, tables::list)
        .on(api::GetItem, items::get)
        .on(api::PutItem, items::put)
        .on(api::UpdateItem, items::update)
        .on(api::DeleteItem, items::delete)
        .on(api::Query, reads::query)
        .on(api::Scan, reads::scan)
        .on(api::BatchGetItem, batch::get)
        .on(api::BatchWriteItem, batch::write)
        .on(api::TransactGetItems, transact::get)
        .on(api::TransactWriteItems, transact::write)
        .on(api::ExecuteStatement, statements::execute)
        // Twenty-five items of 400 KB, and JSON around them.
        .body_limit_bytes(17 * 1024 * 1024)
}

impl Service for DynamoDb {
    fn error_namespace(&self) -> Option<&'static str> {
        Some("com.amazonaws.dynamodb.v20120810")
    }
}
