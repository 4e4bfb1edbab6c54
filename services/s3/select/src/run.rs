//! A query over an object's bytes as they arrive.

use super::Result;
use super::evaluate::{Evaluator, Outcome, Row};
use super::inflate::{Compression, Inflater};
use super::records::{Format, Records};
use super::write::Output;

/// How much was read, was unpacked from it, and was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub scanned: u64,
    pub processed: u64,
    pub returned: u64,
}

pub struct Selection {
    inflater: Inflater,
    inner: Inner,
    counts: Counts,
}

struct Inner {
    records: Records,
    evaluator: Evaluator,
    output: Output,
}

impl Selection {
    pub fn new(inflater: Inflater, records: Records, evaluator: Evaluator, output: Output) -> Self {
        Selection { inflater, inner: Inner { records, evaluator, output }, counts: Counts::default() }
    }

    /// Over records that somebody else makes: nothing is fed to it.
    pub fn of_rows(evaluator: Evaluator, output: Output) -> Self {
        let nothing = Records::new(Format::JsonLines, None);
        Selection::new(Inflater::new(Compression::None), nothing, evaluator, output)
    }

    /// Takes records, and what was read for them; says whether more are wanted.
    pub fn take(&mut self, rows: Vec<Row>, scanned: u64, processed: u64, out: &mut String) -> Result<bool> {
        self.counts.scanned += scanned;
        self.counts.processed += processed;
        let before = out.len();
        for row in rows {
            if self.inner.evaluator.is_done() {
                break;
            }
            self.inner.take_row(row, out)?;
        }
        self.counts.returned += (out.len() - before) as u64;
        Ok(!self.inner.evaluator.is_done())
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes bytes; says whether more are wanted.
    pub fn feed(&mut self, bytes: &[u8], out: &mut String) -> Result<bool> {
        self.counts.scanned += bytes.len() as u64;
        let before = out.len();
        let (inner, counts) = (&mut self.inner, &mut self.counts);
        let wants_more = self.inflater.feed(bytes, &mut |plain| {
            counts.processed += plain.len() as u64;
            inner.records.feed(plain);
            inner.take(false, out)
        })?;
        self.counts.returned += (out.len() - before) as u64;
        Ok(wants_more)
    }

    /// What the end of the bytes brings. `complete` says that they were read to their end.
    pub fn finish(&mut self, complete: bool, out: &mut String) -> Result<()> {
        let before = out.len();
        if complete {
            let rest = self.inflater.finish()?;
            self.counts.processed += rest.len() as u64;
            self.inner.records.feed(&rest);
            self.inner.take(true, out)?;
        }
        if let Some(last) = self.inner.evaluator.finish()? {
            self.inner.output.write(&last, out);
        }
        self.counts.returned += (out.len() - before) as u64;
        Ok(())
    }
}

impl Inner {
    fn take(&mut self, at_end: bool, out: &mut String) -> Result<bool> {
        while !self.evaluator.is_done() {
            let Some(row) = self.records.next(at_end)? else { return Ok(true) };
            self.take_row(row, out)?;
        }
        Ok(false)
    }

    fn take_row(&mut self, row: Row, out: &mut String) -> Result<()> {
        let outcomes: Vec<Outcome> = self.evaluator.take(row)?;
        for outcome in outcomes {
            self.output.write(&outcome, out);
        }
        Ok(())
    }
}
