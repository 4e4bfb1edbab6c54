//! Tags of tables.

use fractus_dynamodb_api as api;
use fractus_host::Context;
use fractus_store::{Snapshot, Transaction};

use super::table_shape::{table_arn, tagged};
use crate::error::{Error, Result};
use crate::service::{DynamoDb, scope, table_name};
use crate::store::{TABLES, Table};

/// How many tags an answer of ListTagsOfResource has.
const PAGE: usize = 10;

/// The table of this account and region that an ARN names.
fn table_of(cx: &Context, snapshot: &Snapshot<'_>, arn: &str) -> Result<Table> {
    let gone = || Error::NoResourceArn(arn.to_owned());
    let name = table_name(arn);
    if !arn.starts_with("arn:") {
        // Unconfirmed words.
        return Err(Error::validation(format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}")));
    }
    if table_arn(cx, name) != arn {
        return Err(gone());
    }
    let scope = scope(cx);
    let table = snapshot.get(&TABLES, &scope, &(name,))?.ok_or_else(gone)?;
    if table.state(snapshot.now(&scope)).is_some() { Ok(table) } else { Err(gone()) }
}

fn put(cx: &Context, tx: &mut Transaction<'_>, table: &Table) -> Result<()> {
    Ok(tx.put(&TABLES, &scope(cx), &(table.name.as_str(),), table)?)
}

pub async fn tag(dynamodb: &DynamoDb, cx: &Context, input: api::TagResourceInput) -> Result<api::TagResourceOutput> {
    let change = |tx: &mut Transaction<'_>| {
        let mut table = table_of(cx, tx, &input.resource_arn)?;
        table.tags = tagged(&table.tags, &input.tags)?;
        put(cx, tx, &table)
    };
    dynamodb.store.write(change).await?;
    Ok(api::TagResourceOutput::default())
}

pub async fn untag(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::UntagResourceInput,
) -> Result<api::UntagResourceOutput> {
    let change = |tx: &mut Transaction<'_>| {
        let mut table = table_of(cx, tx, &input.resource_arn)?;
        table.tags.retain(|(key, _)| !input.tag_keys.contains(key));
        put(cx, tx, &table)
    };
    dynamodb.store.write(change).await?;
    Ok(api::UntagResourceOutput::default())
}

/// The token is the last key that was told; tags are told in the order of their keys.
pub async fn list(
    dynamodb: &DynamoDb,
    cx: &Context,
    input: api::ListTagsOfResourceInput,
) -> Result<api::ListTagsOfResourceOutput> {
    let table = dynamodb.store.read(|snapshot| table_of(cx, snapshot, &input.resource_arn)).await?;
    let mut tags = table.tags;
    tags.sort();
    let mut left = tags.into_iter().filter(|(key, _)| input.next_token.as_ref().is_none_or(|after| key > after));
    let page: Vec<api::Tag> = left.by_ref().take(PAGE).map(|(key, value)| api::Tag { key, value }).collect();
    let next_token = left.next().and(page.last().map(|tag| tag.key.clone()));
    Ok(api::ListTagsOfResourceOutput { tags: Some(page), next_token })
}
