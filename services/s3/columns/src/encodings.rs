//! The values of a page, one after the other.
//!
//! <https://parquet.apache.org/docs/file-format/data-pages/encodings/>

use std::sync::Arc;

use bytes::Bytes;
use fractus_clock::Timestamp;

use super::levels::{Runs, varint, wide_bits};
use super::schema::{Logical, Physical};
use super::{Error, Result, malformed};
use fractus_s3_select::value::Value;

const EARLY: Error = Error::Malformed("a page ends early");
/// Entries of a dictionary; writers keep theirs within a megabyte or two.
const MAX_DICTIONARY: usize = 1 << 21;
/// Values of a block of deltas; writers take 128.
const MAX_BLOCK: u64 = 1 << 16;

/// What a column holds.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    pub physical: Physical,
    pub logical: Logical,
}

/// Gives the values of a page.
pub enum Values {
    Plain {
        bytes: Bytes,
    },
    Bits {
        bytes: Bytes,
        bit: usize,
    },
    Booleans(Runs),
    Dictionary {
        runs: Runs,
        entries: Arc<Vec<Value>>,
    },
    Deltas(Deltas),
    /// Texts behind their lengths.
    Texts {
        lengths: Deltas,
        bytes: Bytes,
    },
    /// Texts that begin as the one before does.
    Fronts {
        fronts: Deltas,
        lengths: Deltas,
        bytes: Bytes,
        last: Vec<u8>,
    },
    /// The first bytes of all values, then the second ones ...
    Split {
        bytes: Bytes,
        at: usize,
        count: usize,
    },
}

impl Values {
    pub fn new(encoding: i64, kind: Type, bytes: Bytes, entries: &Arc<Vec<Value>>) -> Result<Values> {
        Ok(match (encoding, kind.physical) {
            (0, Physical::Boolean) => Values::Bits { bytes, bit: 0 },
            (0, _) => Values::Plain { bytes },
            (2 | 8, _) => {
                let width = *bytes.first().ok_or(EARLY)?;
                Values::Dictionary { runs: Runs::new(bytes.slice(1..), u32::from(width))?, entries: entries.clone() }
            }
            (3, Physical::Boolean) => {
                let rest = bytes.get(4..).map(|_| bytes.slice(4..)).ok_or(EARLY)?;
                Values::Booleans(Runs::new(rest, 1)?)
            }
            (5, Physical::Int32 | Physical::Int64) => Values::Deltas(Deltas::new(bytes)?),
            (6, Physical::Bytes) => {
                let lengths = Deltas::new(bytes.clone())?;
                let end = lengths.end()?;
                Values::Texts { lengths, bytes: bytes.slice(end..) }
            }
            (7, Physical::Bytes | Physical::Fixed(_)) => {
                let fronts = Deltas::new(bytes.clone())?;
                let rest = bytes.slice(fronts.end()?..);
                let lengths = Deltas::new(rest.clone())?;
                let bytes = rest.slice(lengths.end()?..);
                Values::Fronts { fronts, lengths, bytes, last: Vec::new() }
            }
            (9, physical) => {
                let size = fixed_size(physical).ok_or(Error::Malformed("a column cannot be split into its bytes"))?;
                let count = bytes.len() / size.max(1);
                Values::Split { bytes, at: 0, count }
            }
            _ => return Err(Error::Unsupported(format!("encoding {encoding} of this type"))),
        })
    }

    pub fn next(&mut self, kind: Type) -> Result<Value> {
        match self {
            Values::Plain { bytes } => plain(bytes, kind),
            Values::Bits { bytes, bit } => {
                let byte = bytes.get(*bit / 8).ok_or(EARLY)?;
                let value = byte >> (*bit % 8) & 1 == 1;
                *bit += 1;
                Ok(Value::Bool(value))
            }
            Values::Booleans(runs) => Ok(Value::Bool(runs.number()? == 1)),
            Values::Dictionary { runs, entries } => {
                let entry = entries.get(runs.number()? as usize);
                entry.cloned().ok_or(Error::Malformed("a dictionary lacks an entry"))
            }
            Values::Deltas(deltas) => deltas.number().map(|number| whole(number, kind)),
            Values::Texts { lengths, bytes } => {
                let text = take(bytes, lengths.number()?)?;
                blob(&text, kind)
            }
            Values::Fronts { fronts, lengths, bytes, last } => {
                let kept = usize::try_from(fronts.number()?).ok().filter(|kept| *kept <= last.len()).ok_or(EARLY)?;
                last.truncate(kept);
                last.extend_from_slice(&take(bytes, lengths.number()?)?);
                blob(last, kind)
            }
            Values::Split { bytes, at, count } => {
                let size = fixed_size(kind.physical).unwrap_or(0);
                let own: Option<Vec<u8>> =
                    (0..size).map(|place| bytes.get(place * *count + *at).filter(|_| at < count).copied()).collect();
                *at += 1;
                blob(&own.ok_or(EARLY)?, kind)
            }
        }
    }
}

/// All entries of a dictionary.
pub fn dictionary(mut bytes: Bytes, count: usize, kind: Type) -> Result<Vec<Value>> {
    if count > MAX_DICTIONARY {
        return Err(Error::Unsupported("such a large dictionary".into()));
    }
    (0..count).map(|_| plain(&mut bytes, kind)).collect()
}

fn fixed_size(physical: Physical) -> Option<usize> {
    match physical {
        Physical::Int32 | Physical::Float => Some(4),
        Physical::Int64 | Physical::Double => Some(8),
        Physical::Int96 => Some(12),
        Physical::Fixed(size) => Some(size),
        Physical::Boolean | Physical::Bytes => None,
    }
}

fn take(bytes: &mut Bytes, length: i64) -> Result<Bytes> {
    let length = usize::try_from(length).ok().filter(|length| *length <= bytes.len()).ok_or(EARLY)?;
    Ok(bytes.split_to(length))
}

fn plain(bytes: &mut Bytes, kind: Type) -> Result<Value> {
    let length = match fixed_size(kind.physical) {
        Some(size) => size as i64,
        None => {
            let head = take(bytes, 4)?;
            i64::from(u32::from_le_bytes(array(&head)?))
        }
    };
    let value = take(bytes, length)?;
    blob(&value, kind)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| EARLY)
}

/// A value by its bytes.
fn blob(bytes: &[u8], kind: Type) -> Result<Value> {
    Ok(match kind.physical {
        Physical::Boolean => Value::Bool(bytes.first().is_some_and(|byte| *byte == 1)),
        Physical::Int32 => whole(i64::from(i32::from_le_bytes(array(bytes)?)), kind),
        Physical::Int64 => whole(i64::from_le_bytes(array(bytes)?), kind),
        Physical::Float => {
            let value = f32::from_le_bytes(array(bytes)?);
            // As the shorter number is written, and not as the nearest longer one.
            Value::Float(value.to_string().parse().unwrap_or_else(|_| f64::from(value)))
        }
        Physical::Double => Value::Float(f64::from_le_bytes(array(bytes)?)),
        Physical::Int96 => {
            let (nanos, day) = bytes.split_at_checked(8).ok_or(EARLY)?;
            let (nanos, day) = (i64::from_le_bytes(array(nanos)?), i32::from_le_bytes(array(day)?));
            // The day of 1 January 1970 in Julian days.
            let day = i128::from(day) - 2_440_588;
            moment(day * 86_400_000_000_000 + i128::from(nanos))
        }
        Physical::Bytes | Physical::Fixed(_) => text(bytes, kind.logical)?,
    })
}

fn text(bytes: &[u8], logical: Logical) -> Result<Value> {
    Ok(match logical {
        Logical::Decimal { scale } => {
            if bytes.is_empty() || bytes.len() > 16 {
                return Err(Error::Unsupported("a decimal of more than 128 bits".into()));
            }
            let negative = bytes[0] & 0x80 != 0;
            let start = if negative { -1_i128 } else { 0 };
            decimal(bytes.iter().fold(start, |sum, byte| sum << 8 | i128::from(*byte)), scale)
        }
        Logical::Uuid => {
            let hex = hex::encode(bytes);
            let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
            Value::Text([part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-"))
        }
        _ => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    })
}

fn whole(number: i64, kind: Type) -> Value {
    match kind.logical {
        Logical::Decimal { scale } => decimal(i128::from(number), scale),
        Logical::Date => moment(i128::from(number) * 86_400_000_000_000),
        Logical::Moment { nanos } => moment(i128::from(number) * i128::from(nanos)),
        Logical::Unsigned if kind.physical == Physical::Int32 => Value::Int(i64::from(number as u32)),
        Logical::Unsigned if number < 0 => Value::Float(number as u64 as f64),
        _ => Value::Int(number),
    }
}

fn moment(nanos: i128) -> Value {
    let micros = nanos.div_euclid(1_000);
    Value::Time(Timestamp::from_micros(i64::try_from(micros).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })))
}

fn decimal(number: i128, scale: u32) -> Value {
    match i64::try_from(number) {
        Ok(number) if scale == 0 => Value::Int(number),
        _ => {
            let digits = number.unsigned_abs().to_string();
            let scale = scale as usize;
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (before, after) = padded.split_at(padded.len() - scale);
            let sign = if number < 0 { "-" } else { "" };
            Value::Float(format!("{sign}{before}.{after}0").parse().unwrap_or(0.0))
        }
    }
}

/// Whole numbers by their differences.
#[derive(Clone, Debug)]
pub struct Deltas {
    bytes: Bytes,
    at: usize,
    block: u64,
    /// Values of a miniblock.
    mini: u64,
    /// Values that are still to come.
    left: u64,
    next: i64,
    least: i64,
    widths: Bytes,
    /// The miniblock that is read, and values of it that have been.
    place: usize,
    read: u64,
}

impl Deltas {
    pub fn new(bytes: Bytes) -> Result<Deltas> {
        let mut at = 0;
        let mut number = || -> Result<u64> {
            let (value, used) = varint(bytes.get(at..).unwrap_or_default())?;
            at += used;
            Ok(value)
        };
        let (block, minis, left, first) = (number()?, number()?, number()?, number()?);
        let mini = block.checked_div(minis).unwrap_or(0);
        if block > MAX_BLOCK || mini == 0 || !block.is_multiple_of(minis) || !mini.is_multiple_of(8) {
            return malformed("a block of differences has no size");
        }
        let next = unzigzag(first);
        let widths = Bytes::new();
        Ok(Deltas { bytes, at, block, mini, left, next, least: 0, widths, place: 0, read: 0 })
    }

    /// Where the last of the numbers ends.
    pub fn end(&self) -> Result<usize> {
        let mut walk = self.clone();
        // The first number needs no difference.
        let mut differences = walk.left.saturating_sub(1);
        while differences > 0 {
            walk.begin_block()?;
            let minis = differences.min(walk.block).div_ceil(walk.mini) as usize;
            let widths = walk.widths.get(..minis).ok_or(EARLY)?;
            let bytes: u64 = widths.iter().map(|width| u64::from(*width) * walk.mini / 8).sum();
            walk.at = walk.at.checked_add(bytes as usize).filter(|at| *at <= walk.bytes.len()).ok_or(EARLY)?;
            differences = differences.saturating_sub(walk.block);
        }
        Ok(walk.at)
    }

    fn begin_block(&mut self) -> Result<()> {
        let (least, used) = varint(self.bytes.get(self.at..).unwrap_or_default())?;
        let minis = (self.block / self.mini) as usize;
        let start = self.at + used;
        self.bytes.get(start..start + minis).ok_or(EARLY)?;
        self.least = unzigzag(least);
        self.widths = self.bytes.slice(start..start + minis);
        self.at = start + minis;
        (self.place, self.read) = (0, 0);
        Ok(())
    }

    pub fn number(&mut self) -> Result<i64> {
        if self.left == 0 {
            return Err(EARLY);
        }
        let value = self.next;
        self.left -= 1;
        if self.left > 0 {
            self.next = value.wrapping_add(self.difference()?);
        }
        Ok(value)
    }

    fn difference(&mut self) -> Result<i64> {
        if self.read == self.mini {
            let width = self.widths.get(self.place).copied().unwrap_or(0);
            self.at += (u64::from(width) * self.mini / 8) as usize;
            self.place += 1;
            self.read = 0;
        }
        if self.place >= self.widths.len() {
            self.begin_block()?;
        }
        let width = u32::from(self.widths.get(self.place).copied().ok_or(EARLY)?);
        if width > 64 {
            return malformed("a difference is wider than 64 bits");
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let over = wide_bits(rest, self.read as usize * width as usize, width).ok_or(EARLY)?;
        self.read += 1;
        Ok(self.least.wrapping_add(over as i64))
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deltas(bytes: &[u8]) -> Vec<i64> {
        let mut deltas = Deltas::new(Bytes::copy_from_slice(bytes)).unwrap();
        assert_eq!(deltas.end().unwrap(), bytes.len());
        std::iter::from_fn(|| (deltas.left > 0).then(|| deltas.number().unwrap())).collect()
    }

    #[test]
    fn differences_of_the_formats_own_examples() {
        // 1 to 5: four differences of 1 in a block of 128 values and 4 miniblocks.
        assert_eq!(deltas(&[128, 1, 4, 5, 2, 2, 0, 0, 0, 0]), [1, 2, 3, 4, 5]);
        // 7 5 3 1 2 3 4 5: the least difference is -2, the others are 3 over it in two bits.
        let mut bytes = vec![128, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0];
        assert_eq!(deltas(&bytes), [7, 5, 3, 1, 2, 3, 4, 5]);
        bytes.truncate(11);
        assert!(Deltas::new(bytes.into()).unwrap().end().is_err());
        assert!(Deltas::new(Bytes::from_static(&[0, 0, 5, 2])).is_err());
    }

    #[test]
    fn values_by_their_types() {
        let of = |physical, logical, bytes: &[u8]| blob(bytes, Type { physical, logical }).unwrap();
        assert_eq!(of(Physical::Fixed(2), Logical::Decimal { scale: 2 }, &[0xff, 0x9c]), Value::Float(-1.0));
        assert_eq!(of(Physical::Int32, Logical::Decimal { scale: 3 }, &7_i32.to_le_bytes()), Value::Float(0.007));
        assert_eq!(of(Physical::Int32, Logical::Unsigned, &(-1_i32).to_le_bytes()), Value::Int(i64::from(u32::MAX)));
        assert_eq!(of(Physical::Float, Logical::Plain, &0.1_f32.to_le_bytes()), Value::Float(0.1));
        let day = Value::Time(Timestamp::from_secs(86_400));
        assert_eq!(of(Physical::Int32, Logical::Date, &1_i32.to_le_bytes()), day);
        let int96 = [&0_i64.to_le_bytes()[..], &2_440_589_i32.to_le_bytes()[..]].concat();
        assert_eq!(of(Physical::Int96, Logical::Moment { nanos: 1 }, &int96), day);
    }
}
