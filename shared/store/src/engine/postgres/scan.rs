//! Scans, a page at a time, and rows as records.

use std::borrow::Cow;
use std::collections::VecDeque;

use tokio_postgres::Row;

use super::failed;
use super::transaction::PostgresTransaction;
use crate::engine::{NEVER, RawItem, RawRange, RawRecord};
use crate::error::StoreError;
use crate::key::{KeyBytes, sortable_i64};
use crate::range::{Order, successor};

/// A scan reads this many records first, and four times as many each time, up to the bound.
const FIRST_PAGE: i64 = 16;
const LARGEST_PAGE: i64 = 1_024;

/// After every key: no lane's name begins with it.
pub(super) const LAST: &[u8] = &[0xff];

pub(super) fn due_key(lane: &[u8], moment: i64) -> Vec<u8> {
    [lane, &sortable_i64(moment)].concat()
}

pub(super) fn column(row: &Row, at: usize) -> Result<&[u8], StoreError> {
    row.try_get(at).map_err(failed)
}

/// The record in the columns from `at` on.
pub(super) fn record(row: &Row, at: usize) -> Result<RawRecord<'static>, StoreError> {
    let moment: Option<i64> = row.try_get(at + 1).map_err(failed)?;
    Ok(RawRecord { value: Cow::Owned(column(row, at)?.to_vec()), expires_at: moment.unwrap_or(NEVER) })
}

pub(crate) struct PostgresScan<'s> {
    transaction: &'s PostgresTransaction<'s>,
    lower: KeyBytes,
    upper: KeyBytes,
    order: Order,
    skip: usize,
    page: i64,
    rows: VecDeque<Row>,
    ended: bool,
}

impl<'s> PostgresScan<'s> {
    pub(super) fn of(transaction: &'s PostgresTransaction<'s>, range: &RawRange<'_>) -> Self {
        let upper = match range.upper {
            Some(upper) => Some(range.space.with_tuple(upper)),
            None => successor(range.space.bytes.clone()),
        };
        PostgresScan {
            transaction,
            lower: range.space.with_tuple(range.lower),
            upper: upper.unwrap_or_default(),
            order: range.order,
            skip: range.space.bytes.len(),
            page: FIRST_PAGE,
            rows: VecDeque::new(),
            ended: false,
        }
    }

    fn turn_page(&mut self) -> Result<(), StoreError> {
        let rows = self.transaction.rows(&self.lower, &self.upper, self.order, self.page)?;
        self.ended = (rows.len() as i64) < self.page;
        self.page = (self.page * 4).min(LARGEST_PAGE);
        if let Some(last) = rows.last() {
            let last = KeyBytes::from_slice(column(last, 0)?);
            match self.order {
                Order::Ascending => {
                    self.lower = last;
                    self.lower.push(0);
                }
                Order::Descending => self.upper = last,
            }
        }
        self.rows = rows.into();
        Ok(())
    }
}

impl<'s> Iterator for PostgresScan<'s> {
    type Item = Result<RawItem<'s>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty()
            && !self.ended
            && let Err(error) = self.turn_page()
        {
            self.ended = true;
            return Some(Err(error));
        }
        let row = self.rows.pop_front()?;
        let item = || {
            let tuple = column(&row, 0)?.get(self.skip..).unwrap_or_default().to_vec();
            Ok(RawItem { tuple: Cow::Owned(tuple), record: record(&row, 1)? })
        };
        Some(item())
    }
}
