//! The additional checksums of objects: algorithms, values, and how those of parts become one.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Digest;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;
use xxhash_rust::xxh64::Xxh64;

use crate::model::crc::{self, Crc};
use crate::store::{Checksum, ChecksumType};

/// What is said of an algorithm that is none.
pub const UNSUPPORTED_ALGORITHM: &str = "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]";

/// A checksum algorithm of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
    Sha512,
    Md5,
    XxHash64,
    XxHash3,
    XxHash128,
}

impl Algorithm {
    pub const ALL: [Algorithm; 10] = [
        Algorithm::Crc32,
        Algorithm::Crc32c,
        Algorithm::Crc64Nvme,
        Algorithm::Sha1,
        Algorithm::Sha256,
        Algorithm::Sha512,
        Algorithm::Md5,
        Algorithm::XxHash64,
        Algorithm::XxHash3,
        Algorithm::XxHash128,
    ];

    /// As the model names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
            Algorithm::Sha512 => "SHA512",
            Algorithm::Md5 => "MD5",
            Algorithm::XxHash64 => "XXHASH64",
            Algorithm::XxHash3 => "XXHASH3",
            Algorithm::XxHash128 => "XXHASH128",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    /// The algorithm of a header or trailer `x-amz-checksum-crc32`.
    pub fn of_header(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix("x-amz-checksum-")?)
    }

    pub const fn digest_bytes(self) -> usize {
        match self {
            Algorithm::Crc32 | Algorithm::Crc32c => 4,
            Algorithm::Crc64Nvme | Algorithm::XxHash64 | Algorithm::XxHash3 => 8,
            Algorithm::Md5 | Algorithm::XxHash128 => 16,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }

    const fn crc(self) -> Option<Crc> {
        match self {
            Algorithm::Crc32 => Some(crc::CRC32),
            Algorithm::Crc32c => Some(crc::CRC32C),
            Algorithm::Crc64Nvme => Some(crc::CRC64_NVME),
            _ => None,
        }
    }

    /// The kind a multipart upload has with this algorithm when its creator names none; only CRCs can be joined into
    /// one of the full object.
    pub const fn default_multipart_type(self) -> ChecksumType {
        match self {
            Algorithm::Crc64Nvme => ChecksumType::FullObject,
            _ => ChecksumType::Composite,
        }
    }

    pub const fn allows_multipart_type(self, kind: ChecksumType) -> bool {
        match kind {
            ChecksumType::FullObject => self.crc().is_some(),
            ChecksumType::Composite => !matches!(self, Algorithm::Crc64Nvme),
        }
    }

    pub fn hasher(self) -> Hasher {
        match self {
            Algorithm::Crc32 => Hasher::Crc32(crc32fast::Hasher::new()),
            Algorithm::Crc32c => Hasher::Crc32c(0),
            Algorithm::Crc64Nvme => Hasher::Crc64Nvme(crc64fast_nvme::Digest::new()),
            Algorithm::Sha1 => Hasher::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => Hasher::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Box::new(sha2::Sha512::new())),
            Algorithm::Md5 => Hasher::Md5(md5::Md5::new()),
            Algorithm::XxHash64 => Hasher::Xxh64(Box::new(Xxh64::new(0))),
            Algorithm::XxHash3 => Hasher::Xxh3(Box::default()),
            Algorithm::XxHash128 => Hasher::Xxh128(Box::default()),
        }
    }
}

/// A checksum in the making.
pub enum Hasher {
    Crc32(crc32fast::Hasher),
    /// Of what has come so far.
    Crc32c(u32),
    Crc64Nvme(crc64fast_nvme::Digest),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
    Md5(md5::Md5),
    Xxh64(Box<Xxh64>),
    Xxh3(Box<Xxh3>),
    Xxh128(Box<Xxh3>),
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Crc32(digest) => digest.update(bytes),
            Hasher::Crc32c(crc) => *crc = crc32c::crc32c_append(*crc, bytes),
            Hasher::Crc64Nvme(digest) => digest.write(bytes),
            Hasher::Sha1(digest) => digest.update(bytes),
            Hasher::Sha256(digest) => digest.update(bytes),
            Hasher::Sha512(digest) => digest.update(bytes),
            Hasher::Md5(digest) => digest.update(bytes),
            Hasher::Xxh64(digest) => digest.update(bytes),
            Hasher::Xxh3(digest) | Hasher::Xxh128(digest) => digest.update(bytes),
        }
    }

    /// The digest's bytes, the greatest first.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Hasher::Crc32(digest) => digest.finalize().to_be_bytes().to_vec(),
            Hasher::Crc32c(crc) => crc.to_be_bytes().to_vec(),
            Hasher::Crc64Nvme(digest) => digest.sum64().to_be_bytes().to_vec(),
            Hasher::Sha1(digest) => digest.finalize().to_vec(),
            Hasher::Sha256(digest) => digest.finalize().to_vec(),
            Hasher::Sha512(digest) => digest.finalize().to_vec(),
            Hasher::Md5(digest) => digest.finalize().to_vec(),
            Hasher::Xxh64(digest) => digest.digest().to_be_bytes().to_vec(),
            Hasher::Xxh3(digest) => digest.digest().to_be_bytes().to_vec(),
            Hasher::Xxh128(digest) => digest.digest128().to_be_bytes().to_vec(),
        }
    }
}

/// Whether `value` is base64 of a digest of this algorithm.
pub fn is_well_formed(algorithm: Algorithm, value: &str) -> bool {
    STANDARD.decode(value).is_ok_and(|bytes| bytes.len() == algorithm.digest_bytes())
}

pub fn encode(digest: &[u8]) -> String {
    STANDARD.encode(digest)
}

/// A part's part in a whole: its checksum as base64, and its length.
#[derive(Clone, Copy, Debug)]
pub struct PartChecksum<'a> {
    pub value: &'a str,
    pub size: u64,
}

/// The checksum of an object from its parts': over their digests for a composite one, joined for a full-object CRC.
pub fn of_parts(algorithm: Algorithm, kind: ChecksumType, parts: &[PartChecksum<'_>]) -> Option<Checksum> {
    let digests: Vec<(Vec<u8>, u64)> =
        parts.iter().map(|part| Some((STANDARD.decode(part.value).ok()?, part.size))).collect::<Option<_>>()?;
    let value = match kind {
        ChecksumType::Composite => {
            let mut hasher = algorithm.hasher();
            digests.iter().for_each(|(digest, _)| hasher.update(digest));
            format!("{}-{}", encode(&hasher.finish()), parts.len())
        }
        ChecksumType::FullObject => {
            let crc = algorithm.crc()?;
            let number = |digest: &[u8]| digest.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
            let joined = digests
                .iter()
                .map(|(digest, size)| (number(digest), *size))
                .reduce(|(joined, length), (next, size)| (crc.join(joined, next, size), length + size));
            let bytes = joined?.0.to_be_bytes();
            encode(&bytes[bytes.len() - algorithm.digest_bytes()..])
        }
    };
    Some(Checksum { algorithm, kind, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(algorithm: Algorithm, bytes: &[u8]) -> String {
        let mut hasher = algorithm.hasher();
        hasher.update(bytes);
        encode(&hasher.finish())
    }

    #[test]
    fn known_values() {
        // "hello world" by the AWS CLI and by the algorithms' reference programs.
        for (algorithm, expected) in [
            (Algorithm::Crc32, "DUoRhQ=="),
            (Algorithm::Crc32c, "yZRlqg=="),
            (Algorithm::Crc64Nvme, "jSnVw/bqjr4="),
            (Algorithm::Sha1, "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
            (Algorithm::Sha256, "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
            (Algorithm::Md5, "XrY7u+Ae7tCTyyK7j1rNww=="),
        ] {
            assert_eq!(value(algorithm, b"hello world"), expected, "{algorithm:?}");
        }
        for algorithm in Algorithm::ALL {
            assert!(is_well_formed(algorithm, &value(algorithm, b"x")));
            assert!(!is_well_formed(algorithm, "AA=="));
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
        }
    }

    #[test]
    fn crcs_of_parts_join_to_the_crc_of_the_whole() {
        let (one, two) = (vec![7u8; 1000], vec![9u8; 333]);
        let whole = [one.clone(), two.clone()].concat();
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let (first, second) = (value(algorithm, &one), value(algorithm, &two));
            let parts = [
                PartChecksum { value: &first, size: one.len() as u64 },
                PartChecksum { value: &second, size: two.len() as u64 },
            ];
            let joined = of_parts(algorithm, ChecksumType::FullObject, &parts).unwrap();
            assert_eq!(joined.value, value(algorithm, &whole));
        }
    }

    #[test]
    fn a_composite_is_of_the_digests() {
        let digest = value(Algorithm::Sha256, b"part");
        let parts = [PartChecksum { value: &digest, size: 4 }; 2];
        let composite = of_parts(Algorithm::Sha256, ChecksumType::Composite, &parts).unwrap();
        let raw = STANDARD.decode(&digest).unwrap();
        assert_eq!(composite.value, format!("{}-2", value(Algorithm::Sha256, &[raw.clone(), raw].concat())));
        assert!(of_parts(Algorithm::Sha256, ChecksumType::FullObject, &parts).is_none());
    }
}
