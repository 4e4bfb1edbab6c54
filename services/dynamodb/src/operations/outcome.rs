//! What a transaction comes to: done once for each token, or cancelled for the reasons of its actions in their order.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::capacity::{self as units, ReadMode, Units};
use fractus_dynamodb_rules::key::{KeyBytes, KeyError};
use fractus_dynamodb_rules::{Item, RuleError};
use fractus_host::Context;
use fractus_store::{Scope, Snapshot, Transaction};
use indexmap::IndexMap;

use super::capacity::{Wanted, collection_metrics, consumed_by};
use crate::error::{Error, Reason, Result};
use crate::ongoing::{ItemId, Underway};
use crate::service::{DynamoDb, scope};
use crate::store::{TOKENS, Table, Token};
use crate::throttle::Kind;
use crate::writes::{Cost, Writer};

/// How long a client's token stands for the request it came with.
const TOKEN_LIFE: Duration = Duration::from_secs(600);
/// What the items of one transaction may hold together.
const MAX_BYTES: usize = 4 * 1_024 * 1_024;

pub(super) const TWICE: &str = "Transaction request cannot include multiple operations on one item";

/// What goes wrong with one action cancels the transaction, but for keys that no table would take, and tables that are
/// not there.
fn reason(error: Error) -> Result<Reason> {
    match error {
        Error::ConditionFailed(item) => Ok(Reason::ConditionFailed(item)),
        Error::Duplicate => Ok(Reason::Duplicate),
        Error::Rule(RuleError::Key(
            key @ (KeyError::Empty { .. } | KeyError::PartitionTooLong | KeyError::SortTooLong),
        )) => Err(key.into()),
        error @ (Error::Rule(_) | Error::Validation(_)) => Ok(Reason::Invalid(error.to_string())),
        other => Err(other),
    }
}

/// What a transaction has come to.
#[derive(Default)]
pub(super) struct Outcome {
    costs: Vec<(Arc<Table>, Cost)>,
    reasons: Vec<Reason>,
    /// At most a hundred, so that looking through them is cheap.
    seen: Vec<(u64, KeyBytes)>,
    bytes: usize,
    /// What reading the items costs, by table.
    reads: Vec<(String, Units)>,
    pub metrics: IndexMap<String, Vec<api::ItemCollectionMetrics>>,
    wants_metrics: Option<api::ReturnItemCollectionMetrics>,
}

impl Outcome {
    pub fn telling(wants_metrics: Option<api::ReturnItemCollectionMetrics>) -> Self {
        Outcome { wants_metrics, ..Self::default() }
    }

    /// No two actions may be on one item.
    pub fn see(&mut self, table: &Table, key: &KeyBytes) -> Result<()> {
        if self.seen.iter().any(|(id, own)| *id == table.id && own[..] == key[..]) {
            return Err(Error::TwiceInTransaction);
        }
        self.seen.push((table.id, KeyBytes::from_slice(key)));
        Ok(())
    }

    /// Counts an item towards what a transaction may hold.
    pub const fn weigh(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    pub fn read(&mut self, table: &Table, bytes: usize) {
        let units = units::read(bytes, ReadMode::Transactional);
        match self.reads.iter_mut().find(|(name, _)| *name == table.name) {
            Some((_, own)) => *own = *own + units,
            None => self.reads.push((table.name.clone(), units)),
        }
    }

    pub fn collect(&mut self, table: &Table, item: &Item) {
        let Some(metrics) = collection_metrics(&self.wants_metrics, table, item) else { return };
        let told = self.metrics.entry(table.name.clone()).or_default();
        if !told.contains(&metrics) {
            told.push(metrics);
        }
    }

    /// Notes how an action has ended; an error that is not the action's own ends the transaction.
    pub fn settle(&mut self, table: Arc<Table>, acted: Result<Cost>) -> Result<()> {
        match acted {
            Ok(cost) => {
                self.reasons.push(Reason::None);
                match self.costs.iter_mut().find(|(own, _)| own.id == table.id) {
                    Some((_, own)) => own.add(cost),
                    None => self.costs.push((table, cost)),
                }
                Ok(())
            }
            Err(Error::TwiceInTransaction) => Err(Error::validation(TWICE)),
            Err(error) => {
                self.reasons.push(reason(error)?);
                Ok(())
            }
        }
    }

    /// The whole of it: done, or cancelled.
    pub fn end(&self, dynamodb: &DynamoDb, writer: &mut Writer, now: Timestamp) -> Result<()> {
        if self.bytes > MAX_BYTES {
            // Unconfirmed words.
            return Err(Error::validation("The aggregate size of the items in the transaction cannot exceed 4 MB"));
        }
        if self.reasons.iter().any(|reason| !matches!(reason, Reason::None)) {
            return Err(Error::Cancelled(self.reasons.clone()));
        }
        for (table, cost) in &self.costs {
            writer.took(dynamodb.throttle.take(table, cost, Kind::Write, now)?);
        }
        Ok(())
    }

    pub fn consumed(&self, wanted: &Wanted) -> Option<Vec<api::ConsumedCapacity>> {
        let told = self.costs.iter().filter_map(|(table, cost)| consumed_by(Kind::Write, wanted, &table.name, cost));
        let told: Vec<_> = told.collect();
        (!told.is_empty()).then_some(told)
    }
}

/// What came of a request with a token: it was carried out now, or had been before and cost its reading now.
pub(super) enum Transacted {
    Now(Box<Outcome>),
    Before(Vec<(String, u64)>),
}

impl Transacted {
    pub fn consumed(&self, wanted: &Wanted) -> Option<Vec<api::ConsumedCapacity>> {
        match self {
            Transacted::Now(outcome) => outcome.consumed(wanted),
            Transacted::Before(reads) => {
                let cost = |halves: u64| Cost { table: Units::of_halves(halves), ..Cost::default() };
                let told =
                    reads.iter().filter_map(|(name, halves)| consumed_by(Kind::Read, wanted, name, &cost(*halves)));
                let told: Vec<_> = told.collect();
                (!told.is_empty()).then_some(told)
            }
        }
    }
}

/// A transaction as it was asked for.
pub(super) struct Asked<'a> {
    /// Where its tables lie.
    pub scope: Scope,
    /// Its token, and a digest of the request.
    pub token: Option<(&'a str, Bytes)>,
    /// How many actions or statements it has.
    pub count: usize,
}

/// Runs `work` as one transaction, once for each token. `items` says which items its actions are on, of those that can be found.
pub(super) async fn once(
    dynamodb: &DynamoDb,
    cx: &Context,
    asked: Asked<'_>,
    items: impl Fn(&Snapshot<'_>, &Scope) -> Vec<Option<ItemId>>,
    work: impl Fn(&mut Transaction<'_>, &Scope, &mut Writer) -> Result<Outcome>,
) -> Result<Transacted> {
    let tokens = scope(cx);
    // What it holds is free when it has ended.
    let _underway = match dynamodb.config.transaction_ms {
        0 => None,
        time_ms => Some(linger(dynamodb, cx, &asked, Duration::from_millis(time_ms), items).await?),
    };
    let done = dynamodb.change_in(cx, asked.scope, |tx, scope, writer| {
        let Some((token, request)) = &asked.token else {
            return Ok(Transacted::Now(Box::new(work(tx, scope, writer)?)));
        };
        match tx.get(&TOKENS, &tokens, &(*token,))? {
            Some(known) if known.request == *request => return Ok(Transacted::Before(known.reads)),
            Some(_) => return Err(Error::OtherRequest),
            None => {}
        }
        let outcome = work(tx, scope, writer)?;
        let reads = outcome.reads.iter().map(|(name, units)| (name.clone(), units.halves())).collect();
        let until = tx.now(scope).plus(TOKEN_LIFE);
        tx.put_until(&TOKENS, &tokens, &(*token,), &Token { request: request.clone(), reads }, until)?;
        Ok(Transacted::Now(Box::new(outcome)))
    });
    done.await.map_err(|error| match error.of_write() {
        // The store does not say which of the items others kept changing.
        Error::TransactionConflict => Error::Cancelled(vec![Reason::Conflict; asked.count]),
        other => other,
    })
}

/// Holds the items of a transaction for as long as it takes.
async fn linger(
    dynamodb: &DynamoDb,
    cx: &Context,
    asked: &Asked<'_>,
    time: Duration,
    items: impl Fn(&Snapshot<'_>, &Scope) -> Vec<Option<ItemId>>,
) -> Result<Underway> {
    let tokens = scope(cx);
    let token = asked.token.as_ref().map(|(token, _)| *token);
    let mut underway = dynamodb.ongoing.begin(token.map(|token| (tokens.clone(), token.to_owned())))?;
    let found = dynamodb.store.read(|snapshot| {
        // One that was done before is not done again.
        let is_known = token.map(|token| snapshot.contains(&TOKENS, &tokens, &(token,))).transpose()?;
        Ok::<_, Error>((is_known != Some(true)).then(|| items(snapshot, &asked.scope)))
    });
    if let Some(items) = found.await? {
        underway.hold(items)?;
        cx.clock().sleep(time).await;
    }
    Ok(underway)
}
