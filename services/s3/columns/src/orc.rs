//! Files of ORC, as inventories are written: flat columns, one stripe, packed by ZLIB.
//!
//! Run lengths are those of the format's first version, which every reader takes: an inventory's columns are short numbers
//! and texts, of which ZLIB leaves as little.
//!
//! <https://orc.apache.org/specification/ORCv1/>

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::write::{Cell, ColumnKind, ColumnSpec, Filled, Sheet};

const MAGIC: &[u8] = b"ORC";
/// How many bytes are packed at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// ZLIB, without its header.
const COMPRESSION: u64 = 1;
/// Seconds of timestamps count from 1 January 2015.
const EPOCH_SECS: i64 = 1_420_070_400;

/// The least and the most of equal values in a row that are written as one, and the most that are written one by one.
const MIN_RUN: usize = 3;
const MAX_RUN: usize = 130;
const MAX_LITERALS: usize = 128;

/// `struct<bucket:string,...>`: what a manifest says of a file.
pub fn spelled(specs: &[ColumnSpec]) -> String {
    let columns: Vec<String> = specs.iter().map(|spec| format!("{}:{}", spec.name, kind_name(spec.kind))).collect();
    format!("struct<{}>", columns.join(","))
}

fn kind_name(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "string",
        ColumnKind::Boolean => "boolean",
        ColumnKind::Long => "bigint",
        ColumnKind::Moment => "timestamp",
    }
}

/// The format's numbers of types.
const STRUCT: u64 = 12;

fn kind_number(kind: ColumnKind) -> u64 {
    match kind {
        ColumnKind::Boolean => 0,
        ColumnKind::Long => 4,
        ColumnKind::Text => 7,
        ColumnKind::Moment => 9,
    }
}

/// A message of protocol buffers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(mut self, field: u64, value: u64) -> Self {
        varint(&mut self.0, field << 3);
        varint(&mut self.0, value);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        varint(&mut self.0, (field << 3) | 2);
        varint(&mut self.0, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn numbers(self, field: u64, values: impl IntoIterator<Item = u64>) -> Self {
        let mut packed = Vec::new();
        values.into_iter().for_each(|value| varint(&mut packed, value));
        self.bytes(field, &packed)
    }

    fn messages(self, field: u64, messages: impl IntoIterator<Item = Message>) -> Self {
        messages.into_iter().fold(self, |whole, message| whole.bytes(field, &message.0))
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Numbers or bytes by their run lengths. `write` writes one value; a run of numbers has a step, which is always 0 here.
fn runs<T: PartialEq + Copy>(values: &[T], has_step: bool, write: impl Fn(&mut Vec<u8>, T)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    let run_at = |from: usize| {
        let rest = &values[from..];
        rest.iter().take(MAX_RUN).take_while(|value| **value == rest[0]).count()
    };
    while at < values.len() {
        let run = run_at(at);
        if run >= MIN_RUN {
            out.push((run - MIN_RUN) as u8);
            if has_step {
                out.push(0);
            }
            write(&mut out, values[at]);
            at += run;
            continue;
        }
        let start = at;
        while at < values.len() && at - start < MAX_LITERALS && run_at(at) < MIN_RUN {
            at += 1;
        }
        // A negative number of those that follow.
        out.push((at - start).wrapping_neg() as u8);
        values[start..at].iter().for_each(|value| write(&mut out, *value));
    }
    out
}

fn numbers(values: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let values: Vec<u64> = values.into_iter().collect();
    runs(&values, true, varint)
}

/// Bits from the highest on, as bytes by their run lengths.
fn bits(values: &[bool]) -> Vec<u8> {
    let bytes: Vec<u8> = values
        .chunks(8)
        .map(|chunk| chunk.iter().enumerate().fold(0, |byte, (at, bit)| byte | (u8::from(*bit) << (7 - at))))
        .collect();
    runs(&bytes, false, |out, byte| out.push(byte))
}

/// In blocks of their own length, each with a head that says how long it is and whether it is packed.
fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in bytes.chunks(BLOCK_BYTES) {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        // Into memory, which does not fail.
        let packed = encoder.write_all(block).and_then(|()| encoder.finish()).unwrap_or_default();
        let is_packed = !packed.is_empty() && packed.len() < block.len();
        let content = if is_packed { &packed[..] } else { block };
        let head = ((content.len() as u32) << 1) | u32::from(!is_packed);
        out.extend_from_slice(&head.to_le_bytes()[..3]);
        out.extend_from_slice(content);
    }
    out
}

/// The fraction of a second: without the zeros at its end, whose number is in the lowest bits.
fn fraction(millis: u64) -> u64 {
    let mut nanos = millis * 1_000_000;
    if nanos == 0 {
        return 0;
    }
    // Two zeros are written as 1, and so on: milliseconds have six at least.
    nanos /= 100;
    let mut zeros = 1;
    while nanos.is_multiple_of(10) && zeros < 7 {
        nanos /= 10;
        zeros += 1;
    }
    (nanos << 3) | zeros
}

/// The values of a column that are there.
enum Values {
    Texts { bytes: Vec<u8>, lengths: Vec<u64> },
    Booleans(Vec<bool>),
    Numbers(Vec<i64>),
}

pub struct Column {
    values: Values,
    there: Vec<bool>,
}

/// What a stream holds of its column.
#[derive(Clone, Copy)]
enum Stream {
    Present = 0,
    Data = 1,
    Length = 2,
    Secondary = 5,
}

impl Filled for Column {
    fn begin(kind: ColumnKind) -> Column {
        let values = match kind {
            ColumnKind::Text => Values::Texts { bytes: Vec::new(), lengths: Vec::new() },
            ColumnKind::Boolean => Values::Booleans(Vec::new()),
            ColumnKind::Long | ColumnKind::Moment => Values::Numbers(Vec::new()),
        };
        Column { values, there: Vec::new() }
    }

    /// What is not of the column's kind is not there.
    fn put(&mut self, cell: Cell) {
        let is_there = match (&mut self.values, cell) {
            (Values::Texts { bytes, lengths }, Cell::Text(text)) => {
                lengths.push(text.len() as u64);
                bytes.extend_from_slice(text.as_bytes());
                true
            }
            (Values::Booleans(values), Cell::Boolean(value)) => {
                values.push(value);
                true
            }
            (Values::Numbers(values), Cell::Long(value)) => {
                values.push(value);
                true
            }
            _ => false,
        };
        self.there.push(is_there);
    }
}

impl Column {
    fn has_nothing_missing(&self) -> bool {
        self.there.iter().all(|there| *there)
    }

    fn streams(&self, kind: ColumnKind) -> Vec<(Stream, Vec<u8>)> {
        let mut streams = Vec::new();
        if !self.has_nothing_missing() {
            streams.push((Stream::Present, bits(&self.there)));
        }
        match &self.values {
            Values::Texts { bytes, lengths } => {
                streams.push((Stream::Data, bytes.clone()));
                streams.push((Stream::Length, numbers(lengths.iter().copied())));
            }
            Values::Booleans(values) => streams.push((Stream::Data, bits(values))),
            Values::Numbers(millis) if kind == ColumnKind::Moment => {
                let secs = millis.iter().map(|millis| zigzag(millis.div_euclid(1_000) - EPOCH_SECS));
                streams.push((Stream::Data, numbers(secs)));
                let fractions = millis.iter().map(|millis| fraction(millis.rem_euclid(1_000).unsigned_abs()));
                streams.push((Stream::Secondary, numbers(fractions)));
            }
            Values::Numbers(values) => {
                streams.push((Stream::Data, numbers(values.iter().map(|value| zigzag(*value)))));
            }
        }
        streams
    }
}

/// A file that is being written.
pub type File = Sheet<Column>;

impl File {
    pub fn finish(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let stripes = if self.rows() == 0 { Vec::new() } else { vec![self.stripe(&mut out)] };
        let content_bytes = out.len() as u64;
        let footer = pack(&self.footer(content_bytes, stripes).0);
        let postscript = Message::default()
            .number(1, footer.len() as u64)
            .number(2, COMPRESSION)
            .number(3, BLOCK_BYTES as u64)
            .numbers(4, [0, 12])
            .number(5, 0)
            .number(6, 6)
            .bytes(8_000, MAGIC);
        out.extend(footer);
        out.extend_from_slice(&postscript.0);
        out.push(postscript.0.len() as u8);
        out
    }

    /// Writes all rows as one stripe; gives what the footer says of it.
    fn stripe(&self, out: &mut Vec<u8>) -> Message {
        let start = out.len();
        let mut streams = Vec::new();
        for (number, (spec, column)) in (1..).zip(self.specs.iter().zip(&self.columns)) {
            for (kind, bytes) in column.streams(spec.kind) {
                let packed = pack(&bytes);
                let length = packed.len() as u64;
                streams.push(Message::default().number(1, kind as u64).number(2, number).number(3, length));
                out.extend(packed);
            }
        }
        let data_bytes = out.len() - start;
        // The struct of all columns is one, too; each is written directly.
        let encodings = (0..=self.specs.len()).map(|_| Message::default().number(1, 0));
        let footer = Message::default().messages(1, streams).messages(2, encodings).bytes(3, b"UTC");
        let footer = pack(&footer.0);
        let footer_bytes = footer.len() as u64;
        out.extend(footer);
        Message::default()
            .number(1, start as u64)
            .number(2, 0)
            .number(3, data_bytes as u64)
            .number(4, footer_bytes)
            .number(5, self.rows() as u64)
    }

    fn footer(&self, content_bytes: u64, stripes: Vec<Message>) -> Message {
        let columns = 1..=self.specs.len() as u64;
        let mut root = Message::default().number(1, STRUCT).numbers(2, columns);
        for spec in &self.specs {
            root = root.bytes(3, spec.name.as_bytes());
        }
        let kinds = self.specs.iter().map(|spec| Message::default().number(1, kind_number(spec.kind)));
        let statistics = self.columns.iter().map(|column| {
            let values = column.there.iter().filter(|there| **there).count() as u64;
            Message::default().number(1, values).number(10, u64::from(!column.has_nothing_missing()))
        });
        let of_root = Message::default().number(1, self.rows() as u64).number(10, 0);
        Message::default()
            .number(1, MAGIC.len() as u64)
            .number(2, content_bytes)
            .messages(3, stripes)
            .messages(4, std::iter::once(root).chain(kinds))
            .number(6, self.rows() as u64)
            .messages(7, std::iter::once(of_root).chain(statistics))
            // No index, which would say where the rows of a stripe begin.
            .number(8, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // From the specification's examples of its first version of run lengths.
    #[test]
    fn runs_are_as_the_specification_shows() {
        assert_eq!(numbers([7; 100]), [0x61, 0x00, 0x07]);
        assert_eq!(numbers([2, 3, 6, 7, 11]), [0xfb, 0x02, 0x03, 0x06, 0x07, 0x0b]);
        let byte = |out: &mut Vec<u8>, byte: u8| out.push(byte);
        assert_eq!(runs(&[0_u8; 100], false, byte), [0x61, 0x00]);
        assert_eq!(runs(&[0x44_u8, 0x45], false, byte), [0xfe, 0x44, 0x45]);
        assert_eq!(bits(&[true, false, false, false, false, false, false, false]), [0xff, 0x80]);
    }

    #[test]
    fn literals_end_where_a_run_begins() {
        assert_eq!(numbers([1, 2, 9, 9, 9]), [0xfe, 1, 2, 0, 0, 9]);
        let many: Vec<u64> = (0..200).collect();
        let written = numbers(many);
        assert_eq!(written[0], 128_u8.wrapping_neg());
        assert_eq!(written[129], 72_u8.wrapping_neg());
    }

    #[test]
    fn fractions_lose_their_zeros() {
        // 1 ms is 1,000,000 ns: a 1 and six zeros, which are written as 5.
        assert_eq!(fraction(1), (1 << 3) | 5);
        assert_eq!(fraction(120), (12 << 3) | 6);
        assert_eq!(fraction(500), (5 << 3) | 7);
        assert_eq!(fraction(0), 0);
    }

    #[test]
    fn a_file_begins_and_ends_with_its_name() {
        let spec = ColumnSpec { name: "key", kind: ColumnKind::Text, required: true };
        let mut file = File::new(vec![spec]);
        file.row([Cell::Text("k".into())]);
        let bytes = file.finish();
        assert!(bytes.starts_with(MAGIC));
        let postscript = usize::from(bytes[bytes.len() - 1]);
        assert!(bytes[bytes.len() - 1 - postscript..bytes.len() - 1].ends_with(MAGIC));
        assert_eq!(spelled(&[spec]), "struct<key:string>");
    }
}
