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

/// What a request says of its body's checksum: a header with a value, or a trailer that is announced; with it, its
/// algorithm as the SDKs say it. More than one value is refused.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html#AmazonS3-PutObject-request-header-ChecksumAlgorithm>
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
    let found = match given.pop() {
        Some((algorithm, value)) => Some((algorithm, Some(value))),
        None => trailing(cx.header("x-amz-trailer"))?.map(|algorithm| (algorithm, None)),
    };
    match (sdk_algorithm, &found) {
        (None, None) => check_names(cx)?,
        (Some(name), Some((algorithm, _))) if Algorithm::parse(name) != Some(*algorithm) => {
            return Err(Error::invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid."));
        }
        (Some(name), None) if Algorithm::parse(name).is_none() => {
            return Err(Error::invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid."));
        }
        (Some(_), None) => {
            return Err(Error::invalid_request(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
            ));
        }
        _ => {}
    }
    Ok(found)
}

/// The algorithm of the checksum that is announced to come behind the body.
fn trailing(names: Option<&str>) -> Result<Option<Algorithm>> {
    let Some(names) = names.filter(|names| !names.trim().is_empty()) else { return Ok(None) };
    let found = names.split(',').find_map(|name| Algorithm::of_header(&name.trim().to_ascii_lowercase()));
    match found {
        None => Err(Error::invalid_request("The value specified in the x-amz-trailer header is not supported")),
        found => Ok(found),
    }
}

/// Of a checksum of another name nothing is known.
fn check_names(cx: &Context) -> Result<()> {
    const OTHERS: [&str; 3] = ["algorithm", "mode", "type"];
    let names = cx.headers().keys().filter_map(|name| name.as_str().strip_prefix("x-amz-checksum-"));
    match names.filter(|name| !OTHERS.contains(name)).find(|name| Algorithm::parse(name).is_none()) {
        Some(_) => {
            Err(Error::invalid_request("The algorithm type you specified in x-amz-checksum- header is invalid."))
        }
        None => Ok(()),
    }
}
