//! What SNS asks of a filter policy beyond the pattern language.
//!
//! [Filter policy constraints](https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html):
//! five keys (of a body's policy only those at the top count), 150 combinations of values, 256 KB, and no nesting in
//! the scope of attributes.

use crate::condition::Condition;
use crate::dialect::Dialect;
use crate::error::PatternError;
use crate::parse::Measure;
use crate::pattern::{Branch, Field, Pattern};

const MAX_POLICY_BYTES: usize = 256 * 1024;
const MAX_KEYS: usize = 5;
const MAX_COMBINATIONS: usize = 150;

pub(crate) fn check_size(text: &str, dialect: Dialect) -> Result<(), PatternError> {
    if dialect.is_sns() && text.len() > MAX_POLICY_BYTES {
        return Err(PatternError::PolicyTooLarge(MAX_POLICY_BYTES));
    }
    Ok(())
}

pub(crate) fn check(pattern: &Pattern, measure: &Measure, dialect: Dialect) -> Result<(), PatternError> {
    if !dialect.is_sns() {
        return Ok(());
    }
    if dialect == Dialect::SnsAttributes && measure.is_nested {
        return Err(PatternError::PolicyNested);
    }
    if measure.top_level_keys.len() > MAX_KEYS {
        return Err(PatternError::PolicyTooManyKeys);
    }
    let combinations =
        pattern.branches.iter().map(|branch| combinations(branch, dialect)).fold(0, usize::saturating_add);
    if combinations > MAX_COMBINATIONS {
        return Err(PatternError::PolicyTooComplex);
    }
    Ok(())
}

/// The product over the fields of how many values each lists; a body's field counts once for each of its levels.
fn combinations(branch: &Branch, dialect: Dialect) -> usize {
    let weight = |field: &Field| {
        let values: usize = field.conditions.iter().map(values).sum();
        let levels = if dialect == Dialect::SnsBody { field.path.split('.').count() } else { 1 };
        values.saturating_mul(levels)
    };
    branch.fields.iter().map(weight).fold(1, usize::saturating_mul)
}

fn values(condition: &Condition) -> usize {
    match condition {
        Condition::AnythingBut(excluded) => excluded.len(),
        _ => 1,
    }
}
