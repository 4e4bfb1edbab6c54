//! Data files of Iceberg tables: Parquet whose columns carry the ids of the table's fields, with times of a microsecond and maps
//! of texts beside what inventories have.
//!
//! <https://iceberg.apache.org/spec/#parquet>

use super::thrift::Writer;
use super::write::{put_bit, put_text_value, runs, snappy_page};
use super::{MAGIC, statistics};

/// Types of Iceberg, as far as tables here have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Boolean,
    Long,
    /// Of 38 digits, none of them behind the point.
    Decimal,
    /// Microseconds since 1970, of no time zone.
    Timestamp,
    /// The same of UTC.
    TimestampTz,
    /// Of texts to texts. Its key's and its value's fields have the ids given here.
    Map(i32, i32),
}

/// How a decimal is stored: in as many bytes as its digits need.
const DECIMAL_DIGITS: i32 = 38;
const DECIMAL_BYTES: i32 = 16;

/// A field of a table's schema.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub id: i32,
    pub name: &'static str,
    pub kind: Kind,
    pub required: bool,
    pub doc: &'static str,
}

/// What a row has of a field.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Value {
    Null,
    Text(String),
    Boolean(bool),
    /// A number, or microseconds.
    Long(i64),
    Map(Vec<(String, String)>),
}

impl Value {
    pub fn text(text: Option<&str>) -> Self {
        text.map_or(Value::Null, |text| Value::Text(text.to_owned()))
    }
}

/// One column as it is stored: of a map there are two.
#[derive(Default)]
struct Leaf {
    values: Vec<u8>,
    bits: usize,
    definitions: Vec<u8>,
    repetitions: Vec<u8>,
    statistics: statistics::Column,
}

/// A file that is being filled.
pub struct DataFile {
    fields: &'static [Field],
    leaves: Vec<Leaf>,
    rows: usize,
}

impl DataFile {
    pub fn new(fields: &'static [Field]) -> Self {
        let count = fields.iter().map(|field| if matches!(field.kind, Kind::Map(..)) { 2 } else { 1 }).sum();
        DataFile { fields, leaves: (0..count).map(|_| Leaf::default()).collect(), rows: 0 }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row, a value for each field.
    pub fn row(&mut self, values: impl IntoIterator<Item = Value>) {
        let mut leaves = self.leaves.iter_mut();
        for (field, value) in self.fields.iter().zip(values) {
            let Some(first) = leaves.next() else { return };
            if !matches!(field.kind, Kind::Map(..)) {
                first.put(field.kind, value);
            } else if let Some(second) = leaves.next() {
                put_map(first, second, value);
            }
        }
        self.rows += 1;
    }

    /// What the list of a table's files says of the columns; of maps nothing.
    pub fn statistics(&self) -> Vec<u8> {
        let mut leaves = self.leaves.iter();
        let mut columns = Vec::new();
        for field in self.fields {
            match field.kind {
                Kind::Map(..) => drop(leaves.nth(1)),
                _ => columns.extend(leaves.next().map(|leaf| (field, &leaf.statistics))),
            }
        }
        statistics::of_columns(&columns)
    }

    /// The bytes of the file; `name` is what its schema is called.
    pub fn finish(self, name: &str) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let (mut chunks, mut total) = (Vec::new(), 0_i64);
        let mut leaves = self.leaves.iter();
        for field in self.fields {
            for path in paths(field) {
                let Some(leaf) = leaves.next() else { break };
                let start = out.len() as i64;
                let unpacked = leaf.write(&mut out, field);
                total += unpacked;
                let meta = Writer::default()
                    .int(1, physical(field.kind))
                    .ints(2, &[0, 3])
                    .texts(3, &path)
                    .int(4, 1)
                    .long(5, leaf.definitions.len() as i64)
                    .long(6, unpacked)
                    .long(7, out.len() as i64 - start)
                    .long(9, start);
                chunks.push(Writer::default().long(2, start).structure(3, meta));
            }
        }
        let root = Writer::default().text(4, name).int(5, self.fields.len() as i32);
        let group = Writer::default().structures(1, chunks).long(2, total).long(3, self.rows as i64);
        let footer = Writer::default()
            .int(1, 1)
            .structures(2, std::iter::once(root).chain(self.fields.iter().flat_map(elements)).collect())
            .long(3, self.rows as i64)
            .structures(4, vec![group])
            .text(6, "fractus")
            .finish();
        out.extend(&footer);
        out.extend((footer.len() as u32).to_le_bytes());
        out.extend(MAGIC);
        out
    }
}

impl Leaf {
    fn put(&mut self, kind: Kind, value: Value) {
        self.definitions.push(u8::from(value != Value::Null));
        self.statistics.add(&value);
        match value {
            Value::Long(number) if kind == Kind::Decimal => self.values.extend(i128::from(number).to_be_bytes()),
            Value::Null | Value::Map(_) => {}
            Value::Text(text) => put_text_value(&mut self.values, &text),
            Value::Long(number) => self.values.extend(number.to_le_bytes()),
            Value::Boolean(value) => put_bit(&mut self.values, &mut self.bits, value),
        }
    }

    fn level(&mut self, definition: u8, repetition: u8) {
        self.definitions.push(definition);
        self.repetitions.push(repetition);
    }

    /// Writes the column as one page; gives how many bytes it is unpacked.
    fn write(&self, out: &mut Vec<u8>, field: &Field) -> i64 {
        let mut body = Vec::new();
        let mut levels = |levels: &[u8]| {
            let packed = runs(levels.iter().copied());
            body.extend((packed.len() as u32).to_le_bytes());
            body.extend(packed);
        };
        if matches!(field.kind, Kind::Map(..)) {
            levels(&self.repetitions);
            levels(&self.definitions);
        } else if !field.required {
            levels(&self.definitions);
        }
        body.extend(&self.values);
        let (head, packed, unpacked) = snappy_page(self.definitions.len(), &body);
        out.extend(head);
        out.extend(packed);
        unpacked
    }
}

/// No map, an empty one, and each entry are told apart by their levels.
fn put_map(keys: &mut Leaf, values: &mut Leaf, value: Value) {
    match value {
        Value::Map(entries) if entries.is_empty() => {
            keys.level(1, 0);
            values.level(1, 0);
        }
        Value::Map(entries) => {
            for (at, (key, value)) in entries.iter().enumerate() {
                let again = u8::from(at > 0);
                keys.level(2, again);
                values.level(2, again);
                put_text_value(&mut keys.values, key);
                put_text_value(&mut values.values, value);
            }
        }
        _ => {
            keys.level(0, 0);
            values.level(0, 0);
        }
    }
}

fn paths(field: &Field) -> Vec<Vec<&'static str>> {
    match field.kind {
        Kind::Map(..) => vec![vec![field.name, "key_value", "key"], vec![field.name, "key_value", "value"]],
        _ => vec![vec![field.name]],
    }
}

/// The format's number of the type that is stored.
fn physical(kind: Kind) -> i32 {
    match kind {
        Kind::Boolean => 0,
        Kind::Long | Kind::Timestamp | Kind::TimestampTz => 2,
        Kind::Text | Kind::Map(..) => 6,
        Kind::Decimal => 7,
    }
}

/// A field as the file's schema has it.
fn elements(field: &Field) -> Vec<Writer> {
    let repetition = i32::from(!field.required);
    let named = |leaf: Writer| leaf.int(3, repetition).text(4, field.name);
    let leaf = || named(Writer::default().int(1, physical(field.kind)));
    match field.kind {
        Kind::Text => vec![leaf().int(6, 0).int(9, field.id)],
        Kind::Boolean | Kind::Long => vec![leaf().int(9, field.id)],
        Kind::Decimal => {
            let leaf = named(Writer::default().int(1, physical(field.kind)).int(2, DECIMAL_BYTES));
            let decimal = Writer::default().int(1, 0).int(2, DECIMAL_DIGITS);
            let leaf = leaf.int(6, 5).int(7, 0).int(8, DECIMAL_DIGITS).int(9, field.id);
            vec![leaf.structure(10, Writer::default().structure(5, decimal))]
        }
        Kind::Timestamp | Kind::TimestampTz => {
            // The older way of saying what a number means has no word for times of no zone.
            let unit = Writer::default().structure(2, Writer::default());
            let timestamp = Writer::default().bool(1, field.kind == Kind::TimestampTz).structure(2, unit);
            vec![leaf().int(9, field.id).structure(10, Writer::default().structure(8, timestamp))]
        }
        Kind::Map(key, value) => {
            let text = |name: &str, id| Writer::default().int(1, 6).int(3, 0).text(4, name).int(6, 0).int(9, id);
            vec![
                Writer::default().int(3, repetition).text(4, field.name).int(5, 1).int(6, 1).int(9, field.id),
                Writer::default().int(3, 2).text(4, "key_value").int(5, 2),
                text("key", key),
                text("value", value),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    const fn field(id: i32, name: &'static str, kind: Kind, required: bool) -> Field {
        Field { id, name, kind, required, doc: "" }
    }

    const FIELDS: [Field; 7] = [
        field(1, "key", Kind::Text, true),
        field(2, "at", Kind::Timestamp, false),
        field(3, "ok", Kind::Boolean, false),
        field(4, "tags", Kind::Map(5, 6), false),
        field(7, "size", Kind::Long, false),
        field(8, "bytes", Kind::Decimal, false),
        field(9, "day", Kind::TimestampTz, false),
    ];

    #[test]
    fn what_is_written_can_be_read() {
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let maps = [Value::Null, Value::Map(Vec::new()), Value::Map(vec![tag("a", "1"), tag("b", "")])];
        let mut file = DataFile::new(&FIELDS);
        for number in 0..30_i64 {
            let size = if number % 4 == 0 { Value::Null } else { Value::Long(number) };
            let map = maps[number as usize % 3].clone();
            let key = Value::Text(format!("k{number}"));
            let (at, bytes) = (Value::Long(number * 1_000_000), Value::Long(-number));
            file.row([key, at.clone(), Value::Boolean(number % 2 == 0), map, size, bytes, at]);
        }
        let records = read::all(&file.finish("table")).unwrap();
        assert_eq!(records.len(), 30);
        let json: Vec<_> = records.iter().map(|record| record.json()).collect();
        assert!(json[0].starts_with("{\"key\":\"k0\",\"at\":"), "{}", json[0]);
        assert!(json[0].contains("\"ok\":true,\"tags\":null,\"size\":null,"), "{}", json[0]);
        assert!(json[1].contains("\"ok\":false,\"tags\":") && !json[1].contains("\"tags\":null"), "{}", json[1]);
        assert!(
            json[2].contains("\"a\"") && json[2].contains("\"b\"") && json[2].contains("\"size\":2,\"bytes\":-2"),
            "{}",
            json[2]
        );
        assert!(!json[1].contains("\"a\""), "{}", json[1]);
    }

    #[test]
    fn runs_of_levels_are_written_once() {
        assert_eq!(runs([1, 1, 1, 0, 2]), [6, 1, 2, 0, 2, 2]);
        assert_eq!(runs([]), Vec::<u8>::new());
    }
}
