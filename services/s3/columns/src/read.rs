//! Records out of a file's columns.
//!
//! A record's values lie in as many places as it has columns; levels say which of them are there and where lists begin.
//! <https://parquet.apache.org/docs/file-format/nestedencoding/>

use std::sync::Arc;

use bytes::Bytes;

use super::encodings::{self, Type, Values};
use super::levels::Runs;
use super::pages::{Page, Pages};
use super::schema::{Chunk, Kind, Meta, Node, Repetition};
use super::{Error, MAGIC, Result, malformed};
use fractus_s3_select::value::Value;

/// The most of a row group, unpacked: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/selecting-content-from-objects.html>
pub const MAX_GROUP_BYTES: u64 = 512 << 20;
/// The longest footer.
pub const MAX_FOOTER_BYTES: u64 = 16 << 20;
/// Bytes at the end of a file: the footer's length, and the mark.
pub const TAIL_BYTES: u64 = 8;
/// Rows of a row group; writers take a million.
const MAX_ROWS: u64 = 100_000_000;
/// Items of a list in a record.
const MAX_ITEMS: usize = 1 << 20;

/// How long the footer is, by the last bytes of a file.
pub fn footer_bytes(tail: &[u8]) -> Result<u64> {
    match tail.split_at_checked(4) {
        Some((length, mark)) if mark == MAGIC => {
            let length = length.try_into().map(u32::from_le_bytes).unwrap_or(0);
            Ok(u64::from(length))
        }
        _ => malformed("it does not end as Parquet does"),
    }
}

/// All records of a file that lies in memory as a whole.
pub fn all(file: &[u8]) -> Result<Vec<Value>> {
    let (rest, tail) = file.split_at(file.len().saturating_sub(TAIL_BYTES as usize));
    let footer = rest.len().checked_sub(footer_bytes(tail)? as usize).ok_or(Error::Malformed("it is cut"))?;
    let meta = Arc::new(Meta::read(&rest[footer..])?);
    let mut found = Vec::new();
    for (place, group) in meta.groups.iter().enumerate() {
        let bytes = |chunk: &Chunk| {
            let range = chunk.start as usize..chunk.start.saturating_add(chunk.size) as usize;
            file.get(range).map(Bytes::copy_from_slice).ok_or(Error::Malformed("it is cut"))
        };
        let chunks: Result<Vec<Bytes>> = group.chunks.iter().map(bytes).collect();
        let mut records = Records::new(meta.clone(), place, chunks?)?;
        while let Some(record) = records.record()? {
            found.push(record);
        }
    }
    Ok(found)
}

/// The records of a row group.
pub struct Records {
    meta: Arc<Meta>,
    columns: Vec<Column>,
    left: u64,
}

impl Records {
    /// `chunks` are the bytes of the group's columns.
    pub fn new(meta: Arc<Meta>, group: usize, chunks: Vec<Bytes>) -> Result<Records> {
        let of = meta.groups.get(group).ok_or(Error::Malformed("a row group is missing"))?;
        let leaves = meta.root.leaves();
        // Values that take no bytes may be as many as a file says.
        if of.rows > MAX_ROWS || (of.rows > 0 && leaves.is_empty()) {
            return Err(Error::Unsupported("a row group of so many rows".into()));
        }
        let parts = leaves.into_iter().zip(&of.chunks).zip(chunks);
        let columns = parts.map(|((node, chunk), bytes)| Column::new(node, chunk, bytes)).collect();
        Ok(Records { columns, left: of.rows, meta: meta.clone() })
    }

    pub fn record(&mut self) -> Result<Option<Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        content(&self.meta.root, &mut self.columns).map(Some)
    }
}

/// What a node holds, where it is there.
fn content(node: &Node, columns: &mut [Column]) -> Result<Value> {
    match &node.kind {
        Kind::Leaf { column, .. } => columns[*column].take(),
        Kind::Group { children, is_list } => {
            if let (true, [items]) = (is_list, children.as_slice()) {
                let list = field(items, columns)?;
                return Ok(unwrapped(items, list));
            }
            let members: Result<Vec<_>> =
                children.iter().map(|child| Ok((child.name.clone(), field(child, columns)?))).collect();
            Ok(Value::Object(members?))
        }
    }
}

/// The items of a list stand in a group of their own, which says nothing.
fn unwrapped(items: &Node, list: Value) -> Value {
    let is_wrapped =
        matches!(&items.kind, Kind::Group { children, .. } if children.len() == 1) && items.name != "array";
    match list {
        Value::List(list) if is_wrapped => {
            let inner = list.into_iter().map(|item| match item {
                Value::Object(members) => members.into_iter().next().map_or(Value::Null, |(_, value)| value),
                other => other,
            });
            Value::List(inner.collect())
        }
        other => other,
    }
}

fn field(node: &Node, columns: &mut [Column]) -> Result<Value> {
    let Some(first) = first_leaf(node) else { return Ok(Value::Object(Vec::new())) };
    match node.repetition {
        Repetition::Required => content(node, columns),
        Repetition::Optional if columns[first].peek()?.1 < node.definition => {
            skip(node, columns)?;
            Ok(Value::Null)
        }
        Repetition::Optional => content(node, columns),
        Repetition::Repeated => {
            if columns[first].peek()?.1 < node.definition {
                skip(node, columns)?;
                return Ok(Value::List(Vec::new()));
            }
            let mut items = vec![content(node, columns)?];
            while columns[first].goes_on()? == Some(node.level) {
                if items.len() >= MAX_ITEMS {
                    return Err(Error::Unsupported("such a long list".into()));
                }
                items.push(content(node, columns)?);
            }
            Ok(Value::List(items))
        }
    }
}

fn first_leaf(node: &Node) -> Option<usize> {
    match &node.kind {
        Kind::Leaf { column, .. } => Some(*column),
        Kind::Group { children, .. } => children.iter().find_map(first_leaf),
    }
}

/// Passes over what says that a node is not there.
fn skip(node: &Node, columns: &mut [Column]) -> Result<()> {
    match &node.kind {
        Kind::Leaf { column, .. } => columns[*column].take().map(drop),
        Kind::Group { children, .. } => children.iter().try_for_each(|child| skip(child, columns)),
    }
}

/// A column on its way.
struct Column {
    pages: Pages,
    kind: Type,
    max_definition: u32,
    entries: Arc<Vec<Value>>,
    page: Option<Current>,
    /// Repetition and definition level of the next value.
    peeked: Option<(u32, u32)>,
}

struct Current {
    left: usize,
    repetition: Option<Runs>,
    definition: Option<Runs>,
    values: Values,
}

impl Column {
    fn new(node: &Node, chunk: &Chunk, bytes: Bytes) -> Column {
        let kind = match node.kind {
            Kind::Leaf { physical, logical, .. } => Type { physical, logical },
            // Leaves are what is asked for.
            Kind::Group { .. } => {
                Type { physical: super::schema::Physical::Bytes, logical: super::schema::Logical::Plain }
            }
        };
        Column {
            pages: Pages::new(bytes, chunk, node.level, node.definition),
            kind,
            max_definition: node.definition,
            entries: Arc::default(),
            page: None,
            peeked: None,
        }
    }

    /// The levels of the next value; none at the column's end.
    fn look(&mut self) -> Result<Option<(u32, u32)>> {
        if self.peeked.is_some() {
            return Ok(self.peeked);
        }
        loop {
            if let Some(page) = self.page.as_mut().filter(|page| page.left > 0) {
                page.left -= 1;
                let repetition = page.repetition.as_mut().map_or(Ok(0), Runs::number)?;
                let definition = page.definition.as_mut().map_or(Ok(self.max_definition), Runs::number)?;
                self.peeked = Some((repetition, definition));
                return Ok(self.peeked);
            }
            match self.pages.page()? {
                None => return Ok(None),
                Some(Page::Dictionary { count, bytes }) => {
                    self.entries = Arc::new(encodings::dictionary(bytes, count, self.kind)?);
                }
                Some(Page::Data(data)) => {
                    // A page of nothing but what is not there may have no values at all.
                    let values = if data.values.is_empty() {
                        Values::Plain { bytes: data.values }
                    } else {
                        Values::new(data.encoding, self.kind, data.values, &self.entries)?
                    };
                    let (repetition, definition) = (data.repetition, data.definition);
                    self.page = Some(Current { left: data.count, repetition, definition, values });
                }
            }
        }
    }

    fn peek(&mut self) -> Result<(u32, u32)> {
        self.look()?.ok_or(Error::Malformed("a column ends early"))
    }

    /// The repetition level at which the record goes on, if it does.
    fn goes_on(&mut self) -> Result<Option<u32>> {
        Ok(self.look()?.map(|(repetition, _)| repetition).filter(|repetition| *repetition > 0))
    }

    fn take(&mut self) -> Result<Value> {
        let (_, definition) = self.peek()?;
        self.peeked = None;
        match &mut self.page {
            Some(page) if definition == self.max_definition => page.values.next(self.kind),
            _ => Ok(Value::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use fractus_clock::Timestamp;

    use super::super::write::{Cell, ColumnKind, ColumnSpec, File};
    use super::*;

    /// What `tests/make.py` puts into row `i`.
    fn expected(i: i64) -> Value {
        let text = |text: String| Value::Text(text);
        let or_null = |is_there: bool, value: Value| if is_there { value } else { Value::Null };
        let day = Timestamp::from_secs(1_767_225_600);
        let tags = (0..i % 4).map(|tag| text(format!("t{tag}"))).collect();
        let zip = or_null(i % 2 == 0, Value::Int(i));
        let place = vec![("city".to_owned(), text(format!("c{}", i % 3))), ("zip".to_owned(), zip)];
        let members = [
            ("id", Value::Int(i)),
            ("small", or_null(i % 5 != 0, Value::Int(i % 7))),
            ("name", or_null(i % 3 != 0, text(format!("name {}", i % 40)))),
            ("ratio", Value::Float(i as f64 / 4.0)),
            ("single", Value::Float((i as f64 / 10.0).to_string().parse().unwrap())),
            ("even", Value::Bool(i % 2 == 0)),
            ("day", Value::Time(Timestamp::from_secs(day.secs() + i * 86_400))),
            ("at", Value::Time(Timestamp::from_secs(day.secs() + i))),
            ("price", Value::Float(i as f64 / 100.0)),
            ("tags", or_null(i % 6 != 0, Value::List(tags))),
            ("place", or_null(i % 4 != 0, Value::Object(place))),
        ];
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    const DICTIONARY: &[u8] = include_bytes!("../tests/dictionary-snappy.parquet");
    const PLAIN: &[u8] = include_bytes!("../tests/plain-gzip-v2.parquet");
    const DELTAS: &[u8] = include_bytes!("../tests/deltas-uncompressed.parquet");

    #[test]
    fn every_encoding_gives_the_same_records() {
        for file in [DICTIONARY, PLAIN, DELTAS] {
            let records = all(file).unwrap();
            assert_eq!(records.len(), 300);
            for (i, record) in records.iter().enumerate() {
                assert_eq!(*record, expected(i as i64));
            }
        }
        let old = all(include_bytes!("../tests/int96.parquet")).unwrap();
        assert_eq!(old[4].json(), "{\"id\":4,\"at\":\"2026-01-01T00:00:04Z\"}");
        assert_eq!(all(include_bytes!("../tests/zstd.parquet")), Err(Error::Codec));
    }

    #[test]
    fn a_file_that_is_damaged_is_an_error_and_no_more() {
        for file in [DICTIONARY, PLAIN, DELTAS] {
            for at in (0..file.len()).step_by(17) {
                let mut damaged = file.to_vec();
                damaged[at] ^= 0x5a;
                // It may even be read: of a value nobody can tell that it was another.
                let _ = all(&damaged);
                if at > TAIL_BYTES as usize {
                    assert!(all(&file[..at]).is_err());
                }
            }
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let spec = |name, kind, required| ColumnSpec { name, kind, required };
        let specs = vec![
            spec("key", ColumnKind::Text, true),
            spec("size", ColumnKind::Long, false),
            spec("is_latest", ColumnKind::Boolean, false),
            spec("at", ColumnKind::Moment, false),
        ];
        let mut file = File::new(specs.clone());
        for i in 0..20_i64 {
            let size = if i % 3 == 0 { Cell::Null } else { Cell::Long(i) };
            let at = Cell::Long(i * 1_000);
            file.row([Cell::Text(format!("key {i}")), size, Cell::Boolean(i % 2 == 0), at]);
        }
        let records = all(&file.finish("test")).unwrap();
        assert_eq!(records.len(), 20);
        let third = "{\"key\":\"key 3\",\"size\":null,\"is_latest\":false,\"at\":\"1970-01-01T00:00:03Z\"}";
        assert_eq!((records[3].json(), records[4].json().contains("\"size\":4,")), (third.to_owned(), true));
        assert_eq!(all(&File::new(specs).finish("test")).unwrap(), []);
    }
}
