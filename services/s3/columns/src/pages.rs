//! The pages of a column, unpacked one after the other.

use std::io::Read;

use bytes::Bytes;

use super::levels::{Runs, width_of};
use super::schema::Chunk;
use super::thrift::{self, Struct};
use super::{Error, Result};

/// The most that a page unpacks to.
const MAX_PAGE_BYTES: usize = 512 << 20;

/// A page of values or of a dictionary.
pub enum Page {
    Dictionary { count: usize, bytes: Bytes },
    Data(Data),
}

pub struct Data {
    /// Values, those that are not there included.
    pub count: usize,
    pub encoding: i64,
    pub repetition: Option<Runs>,
    pub definition: Option<Runs>,
    pub values: Bytes,
}

/// The pages of a column's bytes.
pub struct Pages {
    bytes: Bytes,
    codec: i64,
    /// The most that the column's levels can be.
    max_repetition: u32,
    max_definition: u32,
}

impl Pages {
    pub fn new(bytes: Bytes, chunk: &Chunk, max_repetition: u32, max_definition: u32) -> Self {
        Pages { bytes, codec: chunk.codec, max_repetition, max_definition }
    }

    /// The next page; none at the end.
    pub fn page(&mut self) -> Result<Option<Page>> {
        while !self.bytes.is_empty() {
            let held = self.bytes.clone();
            let (head, used) = thrift::read(&held)?;
            let (size, packed) = (head.size(2)?, head.size(3)?);
            if size > MAX_PAGE_BYTES {
                return Err(Error::Unsupported("such a large page".into()));
            }
            let end = used.checked_add(packed).filter(|end| *end <= held.len()).ok_or(EARLY)?;
            let body = held.slice(used..end);
            self.bytes = held.slice(end..);
            match head.int(1) {
                Some(0) => return self.data(&head, body, size).map(Some),
                Some(2) => {
                    let dictionary = head.structure(7).ok_or(Error::Malformed("a dictionary has no header"))?;
                    let bytes = unpack(self.codec, body, size)?;
                    return Ok(Some(Page::Dictionary { count: dictionary.size(1)?, bytes }));
                }
                Some(3) => return self.data_v2(&head, &body, size).map(Some),
                _ => {}
            }
        }
        Ok(None)
    }

    fn data(&self, head: &Struct<'_>, body: Bytes, size: usize) -> Result<Page> {
        let own = head.structure(5).ok_or(Error::Malformed("a page has no header"))?;
        let (count, encoding) = (own.size(1)?, own.int(2).unwrap_or(0));
        let levels = [(4, self.max_repetition), (3, self.max_definition)];
        if levels.into_iter().any(|(id, max)| max > 0 && own.int(id).is_some_and(|encoding| encoding != 3)) {
            return Err(Error::Unsupported("levels that are only bit-packed".into()));
        }
        let mut bytes = unpack(self.codec, body, size)?;
        let repetition = levels_of(&mut bytes, self.max_repetition)?;
        let definition = levels_of(&mut bytes, self.max_definition)?;
        Ok(Page::Data(Data { count, encoding, repetition, definition, values: bytes }))
    }

    fn data_v2(&self, head: &Struct<'_>, body: &Bytes, size: usize) -> Result<Page> {
        let own = head.structure(8).ok_or(Error::Malformed("a page has no header"))?;
        let (count, encoding) = (own.size(1)?, own.int(4).unwrap_or(0));
        let (definition, repetition) = (own.size(5)?, own.size(6)?);
        let levels = definition.saturating_add(repetition);
        if levels > body.len() || levels > size {
            return Err(EARLY);
        }
        let packed = body.slice(levels..);
        let is_packed = own.bool(7).unwrap_or(true) && !packed.is_empty();
        let values = if is_packed { unpack(self.codec, packed, size - levels)? } else { packed };
        let runs = |range: std::ops::Range<usize>, max: u32| {
            (max > 0).then(|| Runs::new(body.slice(range), width_of(max))).transpose()
        };
        Ok(Page::Data(Data {
            count,
            encoding,
            repetition: runs(0..repetition, self.max_repetition)?,
            definition: runs(repetition..levels, self.max_definition)?,
            values,
        }))
    }
}

const EARLY: Error = Error::Malformed("a page ends early");

/// Levels of the first kind of pages have their length before them.
fn levels_of(bytes: &mut Bytes, max: u32) -> Result<Option<Runs>> {
    if max == 0 {
        return Ok(None);
    }
    let length: [u8; 4] = bytes.get(..4).and_then(|bytes| bytes.try_into().ok()).ok_or(EARLY)?;
    let length = u32::from_le_bytes(length) as usize;
    let mut rest = bytes.slice(4..);
    if length > rest.len() {
        return Err(EARLY);
    }
    let levels = rest.split_to(length);
    *bytes = rest;
    Runs::new(levels, width_of(max)).map(Some)
}

fn unpack(codec: i64, bytes: Bytes, size: usize) -> Result<Bytes> {
    let broken = Error::Malformed("a page cannot be unpacked");
    let unpacked = match codec {
        0 => return Ok(bytes),
        1 => {
            if snap::raw::decompress_len(&bytes).map_err(|_| broken.clone())? > size {
                return Err(broken);
            }
            snap::raw::Decoder::new().decompress_vec(&bytes).map_err(|_| broken.clone())?
        }
        2 => {
            let mut unpacked = Vec::new();
            let decoder = flate2::read::MultiGzDecoder::new(&*bytes);
            decoder.take(size as u64 + 1).read_to_end(&mut unpacked).map_err(|_| broken.clone())?;
            unpacked
        }
        _ => return Err(Error::Codec),
    };
    if unpacked.len() == size { Ok(unpacked.into()) } else { Err(broken) }
}
