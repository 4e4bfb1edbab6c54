//! Thrift's compact protocol, as far as Parquet's footers and page headers go.
//!
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

use super::{Error, Result, malformed};

const MAX_DEPTH: usize = 16;

/// A value of any type.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    Bool(bool),
    Int(i64),
    Double,
    Bytes(&'a [u8]),
    List(Vec<Item<'a>>),
    Struct(Struct<'a>),
}

/// Fields by their numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct<'a>(Vec<(i16, Item<'a>)>);

impl<'a> Struct<'a> {
    pub fn get(&self, id: i16) -> Option<&Item<'a>> {
        self.0.iter().find(|(own, _)| *own == id).map(|(_, item)| item)
    }

    pub fn int(&self, id: i16) -> Option<i64> {
        match self.get(id)? {
            Item::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub fn bool(&self, id: i16) -> Option<bool> {
        match self.get(id)? {
            Item::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub fn bytes(&self, id: i16) -> Option<&'a [u8]> {
        match self.get(id)? {
            Item::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn structure(&self, id: i16) -> Option<&Struct<'a>> {
        match self.get(id)? {
            Item::Struct(inner) => Some(inner),
            _ => None,
        }
    }

    pub fn structures(&self, id: i16) -> impl Iterator<Item = &Struct<'a>> {
        let items = match self.get(id) {
            Some(Item::List(items)) => items.as_slice(),
            _ => &[],
        };
        items.iter().filter_map(|item| match item {
            Item::Struct(inner) => Some(inner),
            _ => None,
        })
    }

    /// A number that must be there and is no less than zero.
    pub fn size(&self, id: i16) -> Result<usize> {
        let value = self.int(id).and_then(|value| usize::try_from(value).ok());
        value.ok_or(Error::Malformed("a number is missing in its metadata"))
    }
}

/// Reads a structure; gives how many bytes it took.
pub fn read(bytes: &[u8]) -> Result<(Struct<'_>, usize)> {
    let mut reader = Reader { bytes, at: 0 };
    let read = reader.structure(0)?;
    Ok((read, reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or(Error::Malformed("its metadata ends early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        malformed("a number in its metadata is too long")
    }

    fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn structure(&mut self, depth: usize) -> Result<Struct<'a>> {
        if depth > MAX_DEPTH {
            return malformed("its metadata is nested too deeply");
        }
        let (mut fields, mut id) = (Vec::new(), 0_i16);
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(Struct(fields));
            }
            id = match head >> 4 {
                0 => i16::try_from(self.zigzag()?).map_err(|_| Error::Malformed("a field's number is too large"))?,
                step => id.wrapping_add(i16::from(step)),
            };
            let item = match head & 0x0f {
                1 => Item::Bool(true),
                2 => Item::Bool(false),
                kind => self.item(kind, depth)?,
            };
            fields.push((id, item));
        }
    }

    fn item(&mut self, kind: u8, depth: usize) -> Result<Item<'a>> {
        Ok(match kind {
            1 | 2 => Item::Bool(self.byte()? == 1),
            3 => Item::Int(i64::from(self.byte()? as i8)),
            4..=6 => Item::Int(self.zigzag()?),
            7 => {
                self.take(8)?;
                Item::Double
            }
            8 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                Item::Bytes(self.take(length)?)
            }
            9 | 10 => self.list(depth + 1)?,
            12 => Item::Struct(self.structure(depth + 1)?),
            _ => return malformed("its metadata has a type that is not known"),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Item<'a>> {
        if depth > MAX_DEPTH {
            return malformed("its metadata is nested too deeply");
        }
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).unwrap_or(usize::MAX),
            count => usize::from(count),
        };
        // Each item takes a byte or more.
        if count > self.bytes.len() - self.at {
            return malformed("a list in its metadata is longer than the metadata");
        }
        let items: Result<Vec<_>> = (0..count).map(|_| self.item(head & 0x0f, depth)).collect();
        Ok(Item::List(items?))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Error::Malformed("its metadata ends early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }
}

/// Writes a structure, field by field in the order of their numbers.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    last: i16,
}

impl Writer {
    fn head(&mut self, id: i16, kind: u8) {
        let step = id - self.last;
        if (1..=15).contains(&step) {
            self.bytes.push((step as u8) << 4 | kind);
        } else {
            self.bytes.push(kind);
            varint(&mut self.bytes, zigzag(i64::from(id)));
        }
        self.last = id;
    }

    pub fn int(mut self, id: i16, value: i32) -> Self {
        self.head(id, 5);
        varint(&mut self.bytes, zigzag(i64::from(value)));
        self
    }

    pub fn long(mut self, id: i16, value: i64) -> Self {
        self.head(id, 6);
        varint(&mut self.bytes, zigzag(value));
        self
    }

    pub fn bool(mut self, id: i16, value: bool) -> Self {
        self.head(id, if value { 1 } else { 2 });
        self
    }

    pub fn text(mut self, id: i16, text: &str) -> Self {
        self.head(id, 8);
        put_text(&mut self.bytes, text);
        self
    }

    pub fn structure(mut self, id: i16, inner: Writer) -> Self {
        self.head(id, 12);
        self.bytes.extend(inner.finish());
        self
    }

    pub fn structures(mut self, id: i16, items: Vec<Writer>) -> Self {
        self.list_head(id, items.len(), 12);
        items.into_iter().for_each(|item| self.bytes.extend(item.finish()));
        self
    }

    pub fn ints(mut self, id: i16, items: &[i32]) -> Self {
        self.list_head(id, items.len(), 5);
        items.iter().for_each(|item| varint(&mut self.bytes, zigzag(i64::from(*item))));
        self
    }

    pub fn texts(mut self, id: i16, items: &[&str]) -> Self {
        self.list_head(id, items.len(), 8);
        items.iter().for_each(|item| put_text(&mut self.bytes, item));
        self
    }

    fn list_head(&mut self, id: i16, count: usize, kind: u8) {
        self.head(id, 9);
        if count < 15 {
            self.bytes.push((count as u8) << 4 | kind);
        } else {
            self.bytes.push(0xf0 | kind);
            varint(&mut self.bytes, count as u64);
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let items = (0..20).map(|number| Writer::default().int(1, number)).collect();
        let inner = Writer::default().text(4, "name").bool(5, false);
        let bytes = Writer::default()
            .int(1, -3)
            .long(2, i64::MIN)
            .bool(3, true)
            .structure(20, inner)
            .structures(21, items)
            .ints(22, &[1, 2])
            .texts(23, &["a"])
            .finish();
        let (read, length) = super::read(&bytes).unwrap();
        assert_eq!(length, bytes.len());
        assert_eq!((read.int(1), read.int(2), read.bool(3)), (Some(-3), Some(i64::MIN), Some(true)));
        let inner = read.structure(20).unwrap();
        assert_eq!((inner.bytes(4), inner.bool(5)), (Some(&b"name"[..]), Some(false)));
        assert_eq!(read.structures(21).filter_map(|item| item.int(1)).sum::<i64>(), 190);
        assert_eq!(read.get(22), Some(&Item::List(vec![Item::Int(1), Item::Int(2)])));
        for end in 0..bytes.len() {
            assert!(super::read(&bytes[..end]).is_err(), "cut at {end}");
        }
    }
}
