//! The ten checksum members that many shapes have, as one value.

use fractus_host::Context;
use fractus_s3_api as api;

use crate::error::{Error, Result};
use crate::model::checksum::Algorithm;
use crate::store::ChecksumType;

/// The checksum values that a shape carries, by algorithm.
macro_rules! given {
    ($shape:expr) => {{
        use $crate::model::checksum::Algorithm::*;
        [
            (Crc32, &$shape.checksum_crc32),
            (Crc32c, &$shape.checksum_crc32_c),
            (Crc64Nvme, &$shape.checksum_crc64_nvme),
            (Sha1, &$shape.checksum_sha1),
            (Sha256, &$shape.checksum_sha256),
            (Sha512, &$shape.checksum_sha512),
            (Md5, &$shape.checksum_md5),
            (XxHash64, &$shape.checksum_xxhash64),
            (XxHash3, &$shape.checksum_xxhash3),
            (XxHash128, &$shape.checksum_xxhash128),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value.clone()?)))
        .collect::<Vec<_>>()
    }};
}

/// Puts a checksum into the member of its algorithm.
macro_rules! show {
    ($shape:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            use $crate::model::checksum::Algorithm::*;
            let value = Some(checksum.value.clone());
            match checksum.algorithm {
                Crc32 => $shape.checksum_crc32 = value,
                Crc32c => $shape.checksum_crc32_c = value,
                Crc64Nvme => $shape.checksum_crc64_nvme = value,
                Sha1 => $shape.checksum_sha1 = value,
                Sha256 => $shape.checksum_sha256 = value,
                Sha512 => $shape.checksum_sha512 = value,
                Md5 => $shape.checksum_md5 = value,
                XxHash64 => $shape.checksum_xxhash64 = value,
                XxHash3 => $shape.checksum_xxhash3 = value,
                XxHash128 => $shape.checksum_xxhash128 = value,
            }
        }
    };
}

pub(crate) use {given, show};

pub fn shown_type(kind: ChecksumType) -> api::ChecksumType {
    match kind {
        ChecksumType::FullObject => api::ChecksumType::FullObject,
        ChecksumType::Composite => api::ChecksumType::Composite,
    }
}

pub fn shown_algorithm(algorithm: Algorithm) -> api::ChecksumAlgorithm {
    api::ChecksumAlgorithm::from(algorithm.as_str())
}

/// What a request says of its body's checksum: a header with a value, the SDK's algorithm, or a trailer that is
/// announced. More than one value is refused.
pub fn expected(
    cx: &Context,
    mut given: Vec<(Algorithm, String)>,
    sdk_algorithm: Option<&str>,
) -> Result<Option<(Algorithm, Option<String>)>> {
    if given.len() > 1 {
        return Err(Error::invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    if let Some((algorithm, value)) = given.pop() {
        return Ok(Some((algorithm, Some(value))));
    }
    let trailer = cx
        .header("x-amz-trailer")
        .and_then(|names| names.split(',').find_map(|name| Algorithm::of_header(name.trim())));
    if let Some(algorithm) = trailer {
        return Ok(Some((algorithm, None)));
    }
    match sdk_algorithm {
        None => Ok(None),
        Some(name) => match Algorithm::parse(name) {
            Some(algorithm) => Ok(Some((algorithm, None))),
            None => Err(Error::invalid_request(
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
            )),
        },
    }
}
