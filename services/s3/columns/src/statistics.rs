//! What a table's list of files says of each file's columns, so that readers pass over files that cannot have what they look for: how
//! many values there are, how many of them are null, and between which bounds the others lie.
//!
//! <https://iceberg.apache.org/spec/#manifests> and <https://iceberg.apache.org/spec/#binary-single-value-serialization>

use super::avro::Record;
use super::table::{Field, Kind, Value};

/// Bounds of texts are cut to so many characters: enough for keys of some depth, and for sequence numbers.
const MAX_CHARACTERS: usize = 64;

/// What is known of a column.
#[derive(Clone, Debug, Default)]
pub struct Column {
    values: i64,
    nulls: i64,
    bounds: Option<(Value, Value)>,
}

impl Column {
    pub fn add(&mut self, value: &Value) {
        self.values += 1;
        if *value == Value::Null {
            self.nulls += 1;
            return;
        }
        match &mut self.bounds {
            None => self.bounds = Some((value.clone(), value.clone())),
            Some((lower, _)) if value < lower => *lower = value.clone(),
            Some((_, upper)) if value > upper => *upper = value.clone(),
            Some(_) => {}
        }
    }

    /// A bound as it is stored; a text that has nothing above it has no upper one.
    fn bound(&self, kind: Kind, is_upper: bool) -> Option<Vec<u8>> {
        let (lower, upper) = self.bounds.as_ref()?;
        stored(kind, if is_upper { upper } else { lower }, is_upper)
    }
}

/// A bound as it is stored.
fn stored(kind: Kind, value: &Value, is_upper: bool) -> Option<Vec<u8>> {
    Some(match value {
        Value::Text(text) => cut(text, is_upper)?.into_bytes(),
        Value::Boolean(value) => vec![u8::from(*value)],
        Value::Long(number) if kind == Kind::Decimal => {
            // As few bytes as tell its sign.
            let bytes = number.to_be_bytes();
            let sign = if *number < 0 { 0xff } else { 0 };
            let spare = bytes.windows(2).take_while(|two| two[0] == sign && (two[1] ^ sign) < 0x80).count();
            bytes[spare..].to_vec()
        }
        Value::Long(number) => number.to_le_bytes().to_vec(),
        Value::Null | Value::Map(_) => return None,
    })
}

/// The beginning of a text; where it stands for an upper bound, the next text after all that begin like it.
fn cut(text: &str, is_upper: bool) -> Option<String> {
    let Some((end, _)) = text.char_indices().nth(MAX_CHARACTERS) else { return Some(text.to_owned()) };
    let mut beginning = text.get(..end)?.to_owned();
    if !is_upper {
        return Some(beginning);
    }
    let next = |last: char| (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
    loop {
        // What follows the last character of all is in another place before it.
        if let Some(next) = next(beginning.pop()?) {
            beginning.push(next);
            return Some(beginning);
        }
    }
}

/// The last members of a file in a list: how many values its columns have, how many nulls, and their lower and upper bounds.
pub(crate) fn of_columns(columns: &[(&Field, &Column)]) -> Vec<u8> {
    let mut record = Record::default();
    for member in 0..4 {
        let mut entries = Vec::new();
        for (field, column) in columns {
            let value = match member {
                0 => Some(Record::default().long(column.values)),
                1 => Some(Record::default().long(column.nulls)),
                _ => column.bound(field.kind, member == 3).map(|bound| Record::default().bytes(&bound)),
            };
            entries.extend(value.map(|value| (field.id, value)));
        }
        record = record.some_map(&entries);
    }
    record.finish()
}

/// The same of a file of whose columns nothing is known.
pub(crate) const NOTHING: [u8; 4] = [0; 4];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[Value]) -> Column {
        let mut column = Column::default();
        values.iter().for_each(|value| column.add(value));
        column
    }

    #[test]
    fn bounds_are_stored_as_their_kind_is() {
        let longs = of(&[Value::Long(3), Value::Null, Value::Long(-2)]);
        assert_eq!((longs.values, longs.nulls), (3, 1));
        let bounds = |column: &Column, kind| [false, true].map(|is_upper| column.bound(kind, is_upper));
        assert_eq!(bounds(&longs, Kind::Long), [-2_i64, 3].map(|bound| Some(bound.to_le_bytes().to_vec())));
        assert_eq!(bounds(&longs, Kind::Decimal), [Some(vec![0xfe]), Some(vec![3])]);
        let decimal = |number| stored(Kind::Decimal, &Value::Long(number), false).unwrap();
        assert_eq!([decimal(0), decimal(127), decimal(128)], [vec![0], vec![127], vec![0, 128]]);
        assert_eq!([decimal(-1), decimal(-128), decimal(-129)], [vec![0xff], vec![0x80], vec![0xff, 0x7f]]);
        let booleans = of(&[Value::Boolean(true), Value::Boolean(true)]);
        assert_eq!(bounds(&booleans, Kind::Boolean), [Some(vec![1]), Some(vec![1])]);
        assert_eq!(bounds(&of(&[Value::Null]), Kind::Text), [None, None]);
    }

    #[test]
    fn long_texts_are_cut_to_what_still_bounds_them() {
        let long = "x".repeat(100);
        assert_eq!(cut(&long, false), Some("x".repeat(64)));
        assert_eq!(cut(&long, true), Some(format!("{}y", "x".repeat(63))));
        assert_eq!(cut("short", true), Some("short".to_owned()));
        // There is nothing between these two characters.
        assert_eq!(cut(&"\u{d7ff}".repeat(65), true).unwrap().chars().last(), Some('\u{e000}'));
        let last = format!("a{}", char::MAX.to_string().repeat(64));
        assert_eq!(cut(&last, true), Some("b".to_owned()));
        assert_eq!(cut(&char::MAX.to_string().repeat(65), true), None);
    }

    proptest! {
        #[test]
        fn every_text_lies_between_its_bounds(text in "\\PC{0,80}|[\u{fffe}-\u{10ffff}]{60,70}") {
            prop_assert!(cut(&text, false).is_some_and(|lower| lower <= text));
            prop_assert!(cut(&text, true).is_none_or(|upper| upper >= text));
        }
    }
}
