//! MessagePack's forms, written without knowing any type.
//!
//! <https://github.com/msgpack/msgpack/blob/master/spec.md>

use std::fmt;

use serde::ser;

/// A value cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackError(Box<str>);

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PackError {}

impl ser::Error for PackError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        PackError(what.to_string().into())
    }
}

#[cold]
fn too_long(length: usize) -> PackError {
    PackError(format!("{length} are more than fit").into())
}

pub(crate) struct Writer<'o> {
    pub out: &'o mut Vec<u8>,
}

/// How the forms of a kind begin: the one that holds a small length itself, with its bound, and those that one, two and
/// four bytes of length follow.
struct Forms {
    small: u8,
    small_below: usize,
    one: Option<u8>,
    two: u8,
    four: u8,
}

const TEXT: Forms = Forms { small: 0xa0, small_below: 32, one: Some(0xd9), two: 0xda, four: 0xdb };
const BYTES: Forms = Forms { small: 0, small_below: 0, one: Some(0xc4), two: 0xc5, four: 0xc6 };
const LIST: Forms = Forms { small: 0x90, small_below: 16, one: None, two: 0xdc, four: 0xdd };
const MAP: Forms = Forms { small: 0x80, small_below: 16, one: None, two: 0xde, four: 0xdf };

impl Writer<'_> {
    /// A form's first byte and the number that follows it.
    fn form<const N: usize>(&mut self, first: u8, number: [u8; N]) {
        self.out.reserve(1 + N);
        self.out.push(first);
        self.out.extend_from_slice(&number);
    }

    #[inline]
    fn head(&mut self, forms: &Forms, length: usize) -> Result<(), PackError> {
        if length < forms.small_below {
            self.out.push(forms.small | length as u8);
            return Ok(());
        }
        self.long_head(forms, length)
    }

    fn long_head(&mut self, forms: &Forms, length: usize) -> Result<(), PackError> {
        match (forms.one, length) {
            (Some(first), ..=0xff) => self.form(first, [length as u8]),
            (_, ..=0xffff) => self.form(forms.two, (length as u16).to_be_bytes()),
            (_, length) => {
                let length = u32::try_from(length).map_err(|_| too_long(length))?;
                self.form(forms.four, length.to_be_bytes());
            }
        }
        Ok(())
    }

    pub fn nil(&mut self) {
        self.out.push(0xc0);
    }

    pub fn boolean(&mut self, value: bool) {
        self.out.push(if value { 0xc3 } else { 0xc2 });
    }

    /// In the shortest form that holds it.
    pub fn unsigned(&mut self, value: u64) {
        match value {
            0..=0x7f => self.out.push(value as u8),
            0x80..=0xff => self.form(0xcc, [value as u8]),
            0x100..=0xffff => self.form(0xcd, (value as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.form(0xce, (value as u32).to_be_bytes()),
            _ => self.form(0xcf, value.to_be_bytes()),
        }
    }

    /// What is not negative is written as unsigned.
    pub fn signed(&mut self, value: i64) {
        match value {
            0.. => self.unsigned(value as u64),
            -32..0 => self.out.push(value as u8),
            -0x80..-32 => self.form(0xd0, [value as u8]),
            -0x8000..-0x80 => self.form(0xd1, (value as i16).to_be_bytes()),
            -0x8000_0000..-0x8000 => self.form(0xd2, (value as i32).to_be_bytes()),
            _ => self.form(0xd3, value.to_be_bytes()),
        }
    }

    pub fn single(&mut self, value: f32) {
        self.form(0xca, value.to_be_bytes());
    }

    pub fn double(&mut self, value: f64) {
        self.form(0xcb, value.to_be_bytes());
    }

    pub fn text(&mut self, text: &str) -> Result<(), PackError> {
        self.out.reserve(1 + text.len());
        self.head(&TEXT, text.len())?;
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.head(&BYTES, bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// So many values follow.
    pub fn list(&mut self, length: usize) -> Result<(), PackError> {
        self.head(&LIST, length)
    }

    /// So many pairs of a key and a value follow.
    pub fn map(&mut self, length: usize) -> Result<(), PackError> {
        self.head(&MAP, length)
    }

    /// A variant's name, before what it holds.
    pub fn variant(&mut self, name: &str) -> Result<(), PackError> {
        self.map(1)?;
        self.text(name)
    }

    /// Puts what `write` writes before what stands from `at` on.
    pub fn put_before(
        &mut self,
        at: usize,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        let end = self.out.len();
        write(self)?;
        let written = self.out.len() - end;
        self.out[at..].rotate_right(written);
        Ok(())
    }
}
