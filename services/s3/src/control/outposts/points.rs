//! Access points of buckets on Outposts, the only ways to what is in them.
//!
//! They are kept by their Outpost in the place of a region, which the host of a request to one does not always say
//! (`NAME-ACCOUNT.OUTPOST.` before an endpoint of one's own).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsAccessPoints.html>

use fractus_clock::Random;
use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Scope, Snapshot};
use fractus_wire::Failure;
use http::request::Parts;

use crate::configurations::PublicAccessBlock;
use crate::control::access_points;
use crate::control::account_block;
use crate::control::errors::{invalid, refused};
use crate::control::names::{Named, of_arn};
use crate::control::outposts::place::{HEADER, Place, SERVICE};
use crate::control::store::ACCESS_POINTS;
use crate::error::{Error, Result};

/// How many there may be of one bucket.
pub const MAX_OF_BUCKET: usize = 10;
/// What aliases end with.
pub const ALIAS_SUFFIX: &str = "--op-s3";

/// The bucket on an Outpost that a request of S3 Control names where others name a bucket.
pub fn place_named(cx: &Context, bucket: &str) -> Result<Option<Place>> {
    let is_one = cx.header(HEADER).is_some() || bucket.split(':').nth(2) == Some(SERVICE);
    is_one.then(|| Place::asked(cx, bucket)).transpose()
}

/// The bucket of a new access point, if that is on an Outpost, and what such an access point must be: for one VPC, and for
/// nobody in public.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#S3OutpostsErrorCodeList>
pub fn place_of_new(cx: &Context, input: &api::CreateAccessPointInput) -> Result<Option<Place>> {
    let Some(place) = place_named(cx, &input.bucket)? else { return Ok(None) };
    if input.vpc_configuration.is_none() {
        return Err(invalid("Amazon VPC configuration is required."));
    }
    let block = input.public_access_block_configuration.as_ref();
    if block.is_some_and(|block| account_block::read(block) != PublicAccessBlock::all(true)) {
        return Err(invalid("Public access is not allowed on S3 on Outposts access points."));
    }
    Ok(Some(place))
}

/// An alias as SDKs read them, from the end: the suffix, one character, four that tell the region, twenty that nobody
/// guesses, the Outpost's digits, and `o` for an Outpost.
///
/// They go to the endpoint that they are given where the four are `beta`, and to AWS's own where they are a region: so no
/// region stands there.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/s3-outposts-access-points-alias.html>
pub fn new_alias(name: &str, outpost: &str, random: &Random) -> String {
    let digits = outpost.trim_start_matches("op-");
    let beginning: String = name.chars().take(12).collect();
    let unique = access_points::unguessable::<20>(random);
    format!("{}-o{digits}{unique}beta0{ALIAS_SUFFIX}", beginning.trim_end_matches('-'))
}

/// The bucket behind an access point on an Outpost, by its ARN.
pub fn bucket_behind(snapshot: &Snapshot<'_>, scope: &Scope, arn: &str) -> Result<Option<String>> {
    match of_arn(arn) {
        Some((Named::Point { account, region: Some(place), name }, "")) => {
            let found = snapshot.get(&ACCESS_POINTS, scope, &(account.as_str(), place.as_str(), name.as_str()))?;
            Ok(found.filter(|point| point.outpost.is_some()).map(|point| point.bucket))
        }
        _ => Ok(None),
    }
}

/// Headers that ask for what Outposts have not.
const UNSUPPORTED: [&str; 5] = [
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-request-payer",
    "x-amz-server-side-encryption-aws-kms-key-id",
];

/// What an operation that Outposts have not is answered.
pub fn unsupported() -> Error {
    refused("UnsupportedOperation", 404, "The specified action was not supported.")
}

/// Refuses what a request asks for beside its operation, and Outposts have not.
pub fn check_headers(head: &Parts) -> Result<(), Failure> {
    const ENCRYPTION: &str = "x-amz-server-side-encryption";
    let by_kms = head.headers.get(ENCRYPTION).is_some_and(|value| value.as_bytes().starts_with(b"aws:kms"));
    let asked = UNSUPPORTED.into_iter().find(|header| head.headers.contains_key(*header));
    match asked.or(by_kms.then_some(ENCRYPTION)) {
        Some(header) => Err(Error::NotImplemented { header: header.to_owned() }.into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_say_what_sdks_read_in_them() {
        let random = Random::seeded(1);
        for name in ["abc", "my-access-point", &"x".repeat(50)] {
            let alias = new_alias(name, "op-01ac5d28a6a232904", &random);
            assert!(alias.len() <= 63 && alias.starts_with(&name[..3]), "{alias}");
            // Counted from the end, as the rules of endpoints do.
            let read = |from: usize, to: usize| &alias[alias.len() - to..alias.len() - from];
            assert_eq!(
                (read(0, 7), read(8, 12), read(32, 49), read(49, 50)),
                ("--op-s3", "beta", "01ac5d28a6a232904", "o")
            );
        }
    }
}
