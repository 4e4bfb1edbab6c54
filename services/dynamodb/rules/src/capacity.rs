//! What requests consume, in half units, so that nothing is rounded twice.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>

const READ_UNIT_BYTES: usize = 4 * 1_024;
const WRITE_UNIT_BYTES: usize = 1_024;

/// Capacity units, counted in halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Units {
    halves: u64,
}

impl Units {
    pub const ZERO: Units = Units { halves: 0 };

    pub const fn whole(units: u64) -> Self {
        Units { halves: units * 2 }
    }

    pub const fn of_halves(halves: u64) -> Self {
        Units { halves }
    }

    pub const fn halves(self) -> u64 {
        self.halves
    }

    /// As `CapacityUnits` gives it.
    pub fn as_f64(self) -> f64 {
        self.halves as f64 / 2.0
    }
}

impl std::ops::Add for Units {
    type Output = Units;

    fn add(self, other: Units) -> Units {
        Units { halves: self.halves + other.halves }
    }
}

impl std::iter::Sum for Units {
    fn sum<I: Iterator<Item = Units>>(units: I) -> Units {
        units.fold(Units::ZERO, |sum, one| sum + one)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMode {
    Eventual,
    Consistent,
    Transactional,
}

/// What reading `bytes` at once costs: a GetItem, or all that a Query or Scan looked at. Reading nothing costs as the
/// least does.
pub fn read(bytes: usize, mode: ReadMode) -> Units {
    let blocks = bytes.div_ceil(READ_UNIT_BYTES).max(1) as u64;
    Units::of_halves(match mode {
        ReadMode::Eventual => blocks,
        ReadMode::Consistent => blocks * 2,
        ReadMode::Transactional => blocks * 4,
    })
}

/// What a write of an item costs its table: the larger of the item before and after, and no less than one unit.
pub fn write(before_bytes: Option<usize>, after_bytes: Option<usize>, is_transactional: bool) -> Units {
    let bytes = before_bytes.unwrap_or(0).max(after_bytes.unwrap_or(0));
    let blocks = bytes.div_ceil(WRITE_UNIT_BYTES).max(1) as u64;
    Units::whole(if is_transactional { blocks * 2 } else { blocks })
}

/// An item as an index has it: its stored key there and the size of what is projected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Projected<'a> {
    pub key: &'a [u8],
    pub bytes: usize,
}

/// What a write of an item costs one of its table's indexes: nothing if nothing projected changes, one write if the
/// entry comes, goes or changes, two if its key changes.
pub fn index_write(
    before: Option<Projected<'_>>,
    after: Option<Projected<'_>>,
    changed: bool,
    is_transactional: bool,
) -> Units {
    match (before, after) {
        (None, None) => Units::ZERO,
        (Some(before), Some(after)) if before.key != after.key => {
            write(Some(before.bytes), None, is_transactional) + write(None, Some(after.bytes), is_transactional)
        }
        (Some(_), Some(_)) if !changed => Units::ZERO,
        (before, after) => write(before.map(|before| before.bytes), after.map(|after| after.bytes), is_transactional),
    }
}
