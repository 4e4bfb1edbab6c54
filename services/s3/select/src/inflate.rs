//! Compressed objects, taken apart as they arrive.

use std::io::Write;

use super::{Result, SelectError, error};

/// So much is taken at once, so that what a few bytes stand for stays bounded.
const STEP_BYTES: usize = 4 * 1024;

pub enum Inflater {
    None,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Bzip2(Box<bzip2::write::BzDecoder<Vec<u8>>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Bzip2,
}

impl Inflater {
    pub fn new(compression: Compression) -> Self {
        match compression {
            Compression::None => Inflater::None,
            Compression::Gzip => Inflater::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new()))),
            Compression::Bzip2 => Inflater::Bzip2(Box::new(bzip2::write::BzDecoder::new(Vec::new()))),
        }
    }

    /// Gives what the bytes stand for to `take`, step by step.
    pub fn feed(&mut self, bytes: &[u8], take: &mut dyn FnMut(&[u8]) -> Result<bool>) -> Result<bool> {
        if matches!(self, Inflater::None) {
            return take(bytes);
        }
        for step in bytes.chunks(STEP_BYTES) {
            let plain = match self {
                Inflater::None => Vec::new(),
                Inflater::Gzip(decoder) => {
                    decoder.write_all(step).map_err(|_| broken("GZIP"))?;
                    std::mem::take(decoder.get_mut())
                }
                Inflater::Bzip2(decoder) => {
                    decoder.write_all(step).map_err(|_| broken("BZIP2"))?;
                    std::mem::take(decoder.get_mut())
                }
            };
            if !plain.is_empty() && !take(&plain)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What was still held back; an object that ends too early is refused.
    pub fn finish(&mut self) -> Result<Vec<u8>> {
        let truncated =
            |_| error("TruncatedInput", "Object decompression failed. Check that the object is properly compressed");
        match self {
            Inflater::None => Ok(Vec::new()),
            Inflater::Gzip(decoder) => {
                decoder.try_finish().map_err(truncated)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Inflater::Bzip2(decoder) => {
                decoder.try_finish().map_err(truncated)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }
}

fn broken(format: &str) -> SelectError {
    let message =
        format!("{format} is not applicable to the queried object. Please correct the request and try again.");
    error("InvalidCompressionFormat", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflate(compression: Compression, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut inflater = Inflater::new(compression);
        let mut plain = Vec::new();
        for piece in bytes.chunks(7) {
            inflater.feed(piece, &mut |bytes| {
                plain.extend_from_slice(bytes);
                Ok(true)
            })?;
        }
        plain.extend(inflater.finish()?);
        Ok(plain)
    }

    #[test]
    fn what_was_packed_is_unpacked_and_what_was_not_is_refused() {
        let text = b"one,two\n".repeat(1_000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(inflate(Compression::Gzip, &gzip).unwrap(), text);
        assert_eq!(inflate(Compression::Gzip, &gzip[..gzip.len() - 9]).unwrap_err().code, "TruncatedInput");
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
        bzip2.write_all(&text).unwrap();
        let bzip2 = bzip2.finish().unwrap();
        assert_eq!(inflate(Compression::Bzip2, &bzip2).unwrap(), text);
        assert_eq!(inflate(Compression::Gzip, &text).unwrap_err().code, "InvalidCompressionFormat");
        assert_eq!(inflate(Compression::None, &text).unwrap(), text);
    }
}
