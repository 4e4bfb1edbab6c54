//! Files of flat columns: one row group, plain values, packed by Snappy.

use super::MAGIC;
use super::thrift::{Writer, varint};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    Text,
    Boolean,
    Long,
    /// Milliseconds since 1970.
    Moment,
}

impl ColumnKind {
    /// As a schema spells it.
    pub fn spelled(self, name: &str) -> String {
        match self {
            ColumnKind::Text => format!("binary {name} (UTF8)"),
            ColumnKind::Boolean => format!("boolean {name}"),
            ColumnKind::Long => format!("int64 {name}"),
            ColumnKind::Moment => format!("int64 {name} (TIMESTAMP_MILLIS)"),
        }
    }

    /// The format's numbers of the type that is stored and of the one that is meant.
    fn numbers(self) -> (i32, Option<i32>) {
        match self {
            ColumnKind::Text => (6, Some(0)),
            ColumnKind::Boolean => (0, None),
            ColumnKind::Long => (2, None),
            ColumnKind::Moment => (2, Some(9)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Text(String),
    Boolean(bool),
    Long(i64),
}

#[derive(Clone, Copy, Debug)]
pub struct ColumnSpec {
    pub name: &'static str,
    pub kind: ColumnKind,
    pub required: bool,
}

/// A column that is being filled.
pub trait Filled {
    fn begin(kind: ColumnKind) -> Self;

    fn put(&mut self, cell: Cell);
}

/// Columns of the same length, on their way into a file of one format or another.
pub struct Sheet<C> {
    pub specs: Vec<ColumnSpec>,
    pub columns: Vec<C>,
    rows: usize,
}

impl<C: Filled> Sheet<C> {
    pub fn new(specs: Vec<ColumnSpec>) -> Self {
        let columns = specs.iter().map(|spec| C::begin(spec.kind)).collect();
        Sheet { specs, columns, rows: 0 }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row, a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.put(cell);
        }
        self.rows += 1;
    }
}

/// A file that is being written.
pub type File = Sheet<Column>;

#[derive(Default)]
pub struct Column {
    values: Vec<u8>,
    /// Booleans take a bit.
    bits: usize,
    there: Vec<bool>,
}

/// `message NAME { ... }`: what a manifest says of a file.
pub fn spelled(name: &str, specs: &[ColumnSpec]) -> String {
    let columns = specs.iter().map(|spec| {
        let repetition = if spec.required { "required" } else { "optional" };
        format!("{repetition} {};", spec.kind.spelled(spec.name))
    });
    format!("message {name} {{ {} }}", columns.collect::<Vec<_>>().join(" "))
}

impl File {
    pub fn finish(self, message: &str) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let mut chunks = Vec::new();
        let mut total = 0_i64;
        for (spec, column) in self.specs.iter().zip(&self.columns) {
            let start = out.len() as i64;
            let (head, packed, unpacked) = column.page(self.rows(), spec.required);
            out.extend(head);
            out.extend(packed);
            let size = out.len() as i64 - start;
            total += unpacked;
            let meta = Writer::default()
                .int(1, spec.kind.numbers().0)
                .ints(2, &[0, 3])
                .texts(3, &[spec.name])
                .int(4, 1)
                .long(5, self.rows() as i64)
                .long(6, unpacked)
                .long(7, size)
                .long(9, start);
            chunks.push(Writer::default().long(2, start).structure(3, meta));
        }
        let root = Writer::default().text(4, message).int(5, self.specs.len() as i32);
        let elements = self.specs.iter().map(|spec| {
            let (physical, converted) = spec.kind.numbers();
            let element = Writer::default().int(1, physical).int(3, i32::from(!spec.required)).text(4, spec.name);
            match converted {
                Some(converted) => element.int(6, converted),
                None => element,
            }
        });
        let group = Writer::default().structures(1, chunks).long(2, total).long(3, self.rows() as i64);
        let footer = Writer::default()
            .int(1, 1)
            .structures(2, std::iter::once(root).chain(elements).collect())
            .long(3, self.rows() as i64)
            .structures(4, if self.rows() == 0 { Vec::new() } else { vec![group] })
            .text(6, "fractus")
            .finish();
        if self.rows() == 0 {
            out.truncate(MAGIC.len());
        }
        out.extend(&footer);
        out.extend((footer.len() as u32).to_le_bytes());
        out.extend(MAGIC);
        out
    }
}

impl Filled for Column {
    fn begin(_: ColumnKind) -> Self {
        Column::default()
    }

    fn put(&mut self, cell: Cell) {
        self.there.push(cell != Cell::Null);
        match cell {
            Cell::Null => {}
            Cell::Text(text) => put_text_value(&mut self.values, &text),
            Cell::Long(number) => self.values.extend(number.to_le_bytes()),
            Cell::Boolean(value) => put_bit(&mut self.values, &mut self.bits, value),
        }
    }
}

impl Column {
    /// The column as one page: its header, its packed bytes, and how many there are unpacked, header included.
    fn page(&self, rows: usize, required: bool) -> (Vec<u8>, Vec<u8>, i64) {
        let mut body = Vec::new();
        if !required {
            let levels = runs(self.there.iter().map(|there| u8::from(*there)));
            body.extend((levels.len() as u32).to_le_bytes());
            body.extend(levels);
        }
        body.extend(&self.values);
        snappy_page(rows, &body)
    }
}

pub(crate) fn put_text_value(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Adds a bit to those that are there, `bits` of them.
pub(crate) fn put_bit(out: &mut Vec<u8>, bits: &mut usize, value: bool) {
    if bits.is_multiple_of(8) {
        out.push(0);
    }
    if let Some(last) = out.last_mut() {
        *last |= u8::from(value) << (*bits % 8);
    }
    *bits += 1;
}

/// A page of plain values: its header, its packed bytes, and how many there are unpacked, header included.
pub(crate) fn snappy_page(count: usize, body: &[u8]) -> (Vec<u8>, Vec<u8>, i64) {
    let mut packed = vec![0; snap::raw::max_compress_len(body.len())];
    // The room is as much as it can take.
    let length = snap::raw::Encoder::new().compress(body, &mut packed).unwrap_or(0);
    packed.truncate(length);
    let data = Writer::default().int(1, count as i32).int(2, 0).int(3, 3).int(4, 3);
    let head =
        Writer::default().int(1, 0).int(2, body.len() as i32).int(3, packed.len() as i32).structure(5, data).finish();
    let unpacked = (head.len() + body.len()) as i64;
    (head, packed, unpacked)
}

/// Levels as runs of equal ones; none is over 255, so each takes a byte.
pub(crate) fn runs(levels: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut levels = levels.into_iter().peekable();
    while let Some(first) = levels.next() {
        let mut length = 1_u64;
        while levels.next_if_eq(&first).is_some() {
            length += 1;
        }
        varint(&mut out, length << 1);
        out.push(first);
    }
    out
}
