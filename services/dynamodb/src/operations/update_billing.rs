//! How a table is billed, as UpdateTable sets it: its mode, and units of reading and writing.

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;

use super::table_shape::{check_billing, check_units, is_on_demand, units};
use super::vector_indexes;
use crate::error::{Error, Result};
use crate::table::{Table, ThroughputChanges, Units};

/// Remembers which way throughput went.
pub fn note_change(changes: &mut ThroughputChanges, before: Units, after: Units, now: Timestamp) {
    const DAY_SECS: i64 = 24 * 3_600;
    if after.0 > before.0 || after.1 > before.1 {
        changes.last_increase_at = Some(now);
    }
    if after.0 < before.0 || after.1 < before.1 {
        let day = |at: Timestamp| at.secs().div_euclid(DAY_SECS);
        let is_today = changes.last_decrease_at.is_some_and(|last| day(last) == day(now));
        changes.decreases = if is_today { changes.decreases + 1 } else { 1 };
        changes.last_decrease_at = Some(now);
    }
}

pub(super) fn set_billing(table: &mut Table, input: &api::UpdateTableInput, now: Timestamp) -> Result<()> {
    check_units(input.provisioned_throughput.as_ref())?;
    let on_demand = match &input.billing_mode {
        Some(mode) => is_on_demand(Some(mode)),
        None => table.on_demand,
    };
    if input.billing_mode.is_some() || input.provisioned_throughput.is_some() {
        let keeps = !on_demand && !table.on_demand;
        check_billing(on_demand, input.provisioned_throughput.is_some() || keeps)?;
    }
    vector_indexes::check_on_demand(on_demand, table.vectors.len())?;
    if on_demand != table.on_demand {
        table.on_demand = on_demand;
        if on_demand {
            table.on_demand_since = Some(now);
            table.throughput = (0, 0);
            table.indexes.iter_mut().for_each(|index| index.throughput = (0, 0));
        } else {
            table.on_demand_since = table.on_demand_since.or(Some(table.created_at));
        }
        if let Some(wanted) = &input.provisioned_throughput {
            table.throughput = units(Some(wanted));
        }
        return Ok(());
    }
    let Some(wanted) = &input.provisioned_throughput else { return Ok(()) };
    let (before, after) = (table.throughput, units(Some(wanted)));
    if before == after {
        return Err(Error::validation(format!(
            "The provisioned throughput for the table will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: {}. Requested ReadCapacityUnits: {}. Current WriteCapacityUnits provisioned for the table: {}. Requested WriteCapacityUnits: {}. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
            before.0, after.0, before.1, after.1
        )));
    }
    note_change(&mut table.throughput_changes, before, after, now);
    table.throughput = after;
    Ok(())
}
