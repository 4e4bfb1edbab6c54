//! Keys as tuples, and their order-preserving bytes.
//!
//! Each part is a tag byte and its content, written so that byte order is the parts' own order and no encoded part is
//! a prefix of another. Texts and byte strings end with 0x00; inside them 0x00 is written 0x01 0x01 and 0x01 is
//! written 0x01 0x02. Numbers are eight bytes, big endian, signed ones with the sign bit turned. A nested tuple is
//! its parts in a row: a collection's key type is fixed, so nothing more is needed to tell where it ends.

use bytes::Bytes;
use fractus_clock::Timestamp;

/// Keys up to this length never touch the heap.
pub(crate) const INLINE_KEY_BYTES: usize = 128;

/// Where keys are written.
pub type KeyBytes = smallvec::SmallVec<[u8; INLINE_KEY_BYTES]>;

pub(crate) const TAG_NONE: u8 = 0x02;
pub(crate) const TAG_FALSE: u8 = 0x03;
pub(crate) const TAG_TRUE: u8 = 0x04;
pub(crate) const TAG_BYTES: u8 = 0x10;
pub(crate) const TAG_TEXT: u8 = 0x11;
pub(crate) const TAG_U64: u8 = 0x20;
pub(crate) const TAG_I64: u8 = 0x21;
pub(crate) const TAG_TIME: u8 = 0x22;

/// A key, or a part of one, in its owned form.
pub trait Key: Sized + Send + 'static {
    /// Takes this part from the front of `bytes`.
    fn decode(bytes: &mut &[u8]) -> Result<Self, &'static str>;
}

/// Something that can stand for a key (or part) `K`: the owned form or a borrowed one.
pub trait KeyOf<K> {
    fn encode(&self, out: &mut KeyBytes);
}

/// A last part that can stand open: every text that begins with it.
pub trait OpenPart<K>: KeyOf<K> {
    fn encode_open(&self, out: &mut KeyBytes) {
        self.encode(out);
        out.pop();
    }
}

/// The first parts of a tuple key `K`, or all of them.
pub trait PrefixOf<K> {
    fn encode_prefix(&self, out: &mut KeyBytes);
}

/// The first parts of a tuple key `K`, the last of them only begun: `("bucket", "photos/")`.
pub trait OpenPrefixOf<K> {
    fn encode_open_prefix(&self, out: &mut KeyBytes);
}

fn put_escaped(content: &[u8], out: &mut KeyBytes) {
    match content.iter().position(|byte| *byte <= 1) {
        None => out.extend_from_slice(content),
        Some(_) => {
            for byte in content {
                match byte {
                    0 => out.extend_from_slice(&[1, 1]),
                    1 => out.extend_from_slice(&[1, 2]),
                    other => out.push(*other),
                }
            }
        }
    }
    out.push(0);
}

pub(crate) fn take_tag(bytes: &mut &[u8], tag: u8, what: &'static str) -> Result<(), &'static str> {
    match bytes.split_first() {
        Some((first, rest)) if *first == tag => {
            *bytes = rest;
            Ok(())
        }
        _ => Err(what),
    }
}

pub(crate) fn take_escaped(bytes: &mut &[u8]) -> Result<Vec<u8>, &'static str> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or("an unended text")?;
    let (content, rest) = bytes.split_at(end);
    *bytes = &rest[1..];
    if !content.contains(&1) {
        return Ok(content.to_vec());
    }
    let mut plain = Vec::with_capacity(content.len());
    let mut escaped = false;
    for byte in content {
        match (escaped, byte) {
            (false, 1) => escaped = true,
            (false, other) => plain.push(*other),
            (true, 1 | 2) => {
                plain.push(byte - 1);
                escaped = false;
            }
            (true, _) => return Err("a broken escape"),
        }
    }
    if escaped { Err("a broken escape") } else { Ok(plain) }
}

pub(crate) fn take_eight(bytes: &mut &[u8]) -> Result<[u8; 8], &'static str> {
    let (eight, rest) = bytes.split_first_chunk::<8>().ok_or("a number cut short")?;
    *bytes = rest;
    Ok(*eight)
}

pub(crate) const fn sortable_i64(value: i64) -> [u8; 8] {
    ((value as u64) ^ (1 << 63)).to_be_bytes()
}

pub(crate) const fn from_sortable_i64(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

impl<K, Q: KeyOf<K> + ?Sized> KeyOf<K> for &Q {
    fn encode(&self, out: &mut KeyBytes) {
        (**self).encode(out);
    }
}

impl<K, Q: OpenPart<K> + ?Sized> OpenPart<K> for &Q {}

impl Key for String {
    fn decode(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        take_tag(bytes, TAG_TEXT, "no text")?;
        String::from_utf8(take_escaped(bytes)?).map_err(|_| "a text that is not UTF-8")
    }
}

impl KeyOf<String> for str {
    fn encode(&self, out: &mut KeyBytes) {
        out.push(TAG_TEXT);
        put_escaped(self.as_bytes(), out);
    }
}

impl KeyOf<String> for String {
    fn encode(&self, out: &mut KeyBytes) {
        self.as_str().encode(out);
    }
}

impl OpenPart<String> for str {}
impl OpenPart<String> for String {}

macro_rules! byte_strings {
    ($($owned:ty: $($form:ty),+;)+) => {$(
        impl Key for $owned {
            fn decode(bytes: &mut &[u8]) -> Result<Self, &'static str> {
                take_tag(bytes, TAG_BYTES, "no byte string")?;
                Ok(take_escaped(bytes)?.into())
            }
        }
        $(
            impl KeyOf<$owned> for $form {
                fn encode(&self, out: &mut KeyBytes) {
                    out.push(TAG_BYTES);
                    put_escaped(self.as_ref(), out);
                }
            }
            impl OpenPart<$owned> for $form {}
        )+
    )+};
}

byte_strings! {
    Vec<u8>: Vec<u8>, [u8];
    Bytes: Bytes, [u8], Vec<u8>;
}

macro_rules! numbers {
    ($($number:ty, $tag:expr, |$value:ident| $encode:expr, |$eight:ident| $decode:expr;)+) => {$(
        impl Key for $number {
            fn decode(bytes: &mut &[u8]) -> Result<Self, &'static str> {
                take_tag(bytes, $tag, concat!("no ", stringify!($number)))?;
                let $eight = take_eight(bytes)?;
                $decode
            }
        }
        impl KeyOf<$number> for $number {
            fn encode(&self, out: &mut KeyBytes) {
                let $value = *self;
                let mut part = [$tag; 9];
                part[1..].copy_from_slice(&$encode);
                out.extend_from_slice(&part);
            }
        }
    )+};
}

numbers! {
    u64, TAG_U64, |value| value.to_be_bytes(), |eight| Ok(u64::from_be_bytes(eight));
    u32, TAG_U64, |value| u64::from(value).to_be_bytes(),
        |eight| u32::try_from(u64::from_be_bytes(eight)).map_err(|_| "a number above 32 bits");
    i64, TAG_I64, |value| sortable_i64(value), |eight| Ok(from_sortable_i64(eight));
    Timestamp, TAG_TIME, |value| sortable_i64(value.micros()), |eight| Ok(Timestamp::from_micros(from_sortable_i64(eight)));
}

impl Key for bool {
    fn decode(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        let (first, rest) = bytes.split_first().ok_or("no bool")?;
        *bytes = rest;
        match *first {
            TAG_FALSE => Ok(false),
            TAG_TRUE => Ok(true),
            _ => Err("no bool"),
        }
    }
}

impl KeyOf<bool> for bool {
    fn encode(&self, out: &mut KeyBytes) {
        out.push(if *self { TAG_TRUE } else { TAG_FALSE });
    }
}

/// An absent part sorts before every present one.
impl<K: Key> Key for Option<K> {
    fn decode(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        if bytes.first() == Some(&TAG_NONE) {
            *bytes = &bytes[1..];
            return Ok(None);
        }
        K::decode(bytes).map(Some)
    }
}

impl<K, Q: KeyOf<K>> KeyOf<Option<K>> for Option<Q> {
    fn encode(&self, out: &mut KeyBytes) {
        match self {
            None => out.push(TAG_NONE),
            Some(part) => part.encode(out),
        }
    }
}

macro_rules! tuple {
    ($($k:ident $q:ident $n:tt),+) => {
        impl<$($k: Key),+> Key for ($($k,)+) {
            fn decode(bytes: &mut &[u8]) -> Result<Self, &'static str> {
                Ok(($($k::decode(bytes)?,)+))
            }
        }
        impl<$($k, $q: KeyOf<$k>),+> KeyOf<($($k,)+)> for ($($q,)+) {
            fn encode(&self, out: &mut KeyBytes) {
                $(self.$n.encode(out);)+
            }
        }
    };
}

tuple!(A QA 0);
tuple!(A QA 0, B QB 1);
tuple!(A QA 0, B QB 1, C QC 2);
tuple!(A QA 0, B QB 1, C QC 2, D QD 3);
tuple!(A QA 0, B QB 1, C QC 2, D QD 3, F QF 4);
tuple!(A QA 0, B QB 1, C QC 2, D QD 3, F QF 4, G QG 5);

/// `prefix!(of the tuple: all its parts; the prefix's parts before the last; the last)`.
macro_rules! prefix {
    ($($all:ident)+; $($k:ident $q:ident $n:tt),*; $lk:ident $lq:ident $ln:tt) => {
        impl<$($all,)+ $($q: KeyOf<$k>,)* $lq: KeyOf<$lk>> PrefixOf<($($all,)+)> for ($($q,)* $lq,) {
            fn encode_prefix(&self, out: &mut KeyBytes) {
                $(self.$n.encode(out);)*
                self.$ln.encode(out);
            }
        }
        impl<$($all,)+ $($q: KeyOf<$k>,)* $lq: OpenPart<$lk>> OpenPrefixOf<($($all,)+)> for ($($q,)* $lq,) {
            fn encode_open_prefix(&self, out: &mut KeyBytes) {
                $(self.$n.encode(out);)*
                self.$ln.encode_open(out);
            }
        }
    };
}

macro_rules! prefixes {
    ($($all:ident)+: 1) => { prefix!($($all)+;; A QA 0); };
    ($($all:ident)+: 2) => { prefixes!($($all)+: 1); prefix!($($all)+; A QA 0; B QB 1); };
    ($($all:ident)+: 3) => { prefixes!($($all)+: 2); prefix!($($all)+; A QA 0, B QB 1; C QC 2); };
    ($($all:ident)+: 4) => { prefixes!($($all)+: 3); prefix!($($all)+; A QA 0, B QB 1, C QC 2; D QD 3); };
    ($($all:ident)+: 5) => { prefixes!($($all)+: 4); prefix!($($all)+; A QA 0, B QB 1, C QC 2, D QD 3; F QF 4); };
    ($($all:ident)+: 6) => {
        prefixes!($($all)+: 5);
        prefix!($($all)+; A QA 0, B QB 1, C QC 2, D QD 3, F QF 4; G QG 5);
    };
}

prefixes!(A: 1);
prefixes!(A B: 2);
prefixes!(A B C: 3);
prefixes!(A B C D: 4);
prefixes!(A B C D F: 5);
prefixes!(A B C D F G: 6);
