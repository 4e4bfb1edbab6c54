//! What a table's list of files says of each file's columns, so that readers pass over files that cannot have what they look for: how
//! many values there are, how many of them are null, and between which bounds the others lie.
//!
//! <https://iceberg.apache.org/spec/#manifests> and <https://iceberg.apache.org/spec/#binary-single-value-serialization>

use serde_json::{Value as Json, json};

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

    /// The bounds as they are stored; a text that has nothing above it has no upper one.
    fn stored(&self, kind: Kind) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let Some((lower, upper)) = &self.bounds else { return (None, None) };
        (stored(kind, lower, false), stored(kind, upper, true))
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

/// The members of [`fields`], as a record has them.
pub(crate) fn of_columns<'a>(columns: impl Iterator<Item = (&'a Field, &'a Column)> + Clone) -> Vec<u8> {
    let of_values = columns.clone().map(|(field, column)| (field.id, Record::default().long(column.values)));
    let of_nulls = columns.clone().map(|(field, column)| (field.id, Record::default().long(column.nulls)));
    let bounds = |is_upper: bool| {
        columns.clone().filter_map(move |(field, column)| {
            let (lower, upper) = column.stored(field.kind);
            Some((field.id, Record::default().bytes(&if is_upper { upper } else { lower }?)))
        })
    };
    let members = [of_values.collect(), of_nulls.collect(), bounds(false).collect(), bounds(true).collect()];
    members.into_iter().fold(Record::default(), |record, member: Vec<_>| record.some_map(member)).finish()
}

/// The members of a file where nothing is known of its columns.
pub(crate) const NOTHING: [u8; 4] = [0; 4];

/// What a list's schema says of them.
pub(crate) fn fields() -> [Json; 4] {
    let member = |name: &str, id: i32, key: i32, kind: &str| {
        let entry = json!({"type": "record", "name": format!("k{key}_v{}", key + 1), "fields": [
            {"name": "key", "type": "int", "field-id": key},
            {"name": "value", "type": kind, "field-id": key + 1},
        ]});
        let map = json!({"type": "array", "items": entry, "logicalType": "map"});
        json!({"name": name, "type": ["null", map], "default": null, "field-id": id})
    };
    [
        member("value_counts", 109, 119, "long"),
        member("null_value_counts", 110, 121, "long"),
        member("lower_bounds", 125, 126, "bytes"),
        member("upper_bounds", 128, 129, "bytes"),
    ]
}

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
        let (lower, upper) = longs.stored(Kind::Long);
        assert_eq!((lower, upper), (Some((-2_i64).to_le_bytes().to_vec()), Some(vec![3, 0, 0, 0, 0, 0, 0, 0])));
        assert_eq!(longs.stored(Kind::Decimal), (Some(vec![0xfe]), Some(vec![3])));
        let decimal = |number| stored(Kind::Decimal, &Value::Long(number), false).unwrap();
        assert_eq!([decimal(0), decimal(127), decimal(128)], [vec![0], vec![127], vec![0, 128]]);
        assert_eq!([decimal(-1), decimal(-128), decimal(-129)], [vec![0xff], vec![0x80], vec![0xff, 0x7f]]);
        let booleans = of(&[Value::Boolean(true), Value::Boolean(true)]);
        assert_eq!(booleans.stored(Kind::Boolean), (Some(vec![1]), Some(vec![1])));
        assert_eq!(of(&[Value::Null]).stored(Kind::Text), (None, None));
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
