//! Bucket names and object keys: what is allowed.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>

use crate::error::{Error, Result};

/// The longest key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;
pub const PART_NUMBER_BOUNDS: &str = "Part number must be an integer between 1 and 10000, inclusive";
/// The most user metadata: names and values together.
pub const MAX_METADATA_BYTES: usize = 2048;

/// Checks the name of a new general-purpose bucket.
///
/// AWS wants three characters at least. One alone is taken here too: on a machine of one's own the first bucket that is
/// typed is often `b`, and no other account can hold it.
pub fn check_bucket_name(name: &str) -> Result<()> {
    let bytes = name.as_bytes();
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let valid = (bytes.len() == 1 || (3..=63).contains(&bytes.len()))
        && bytes.iter().all(|byte| alphanumeric(byte) || matches!(byte, b'-' | b'.'))
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && !name.contains("..")
        && !is_ip_address(name)
        && !["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|prefix| name.starts_with(prefix))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"].iter().any(|suffix| name.ends_with(suffix));
    if valid { Ok(()) } else { Err(Error::InvalidBucketName { bucket: name.to_owned() }) }
}

/// Whether there may ever have been a bucket of this name: those that are older than today's rules had other ones.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub fn may_be_bucket(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    name.len() <= 255 && name.bytes().all(allowed)
}

fn is_ip_address(name: &str) -> bool {
    name.parse::<std::net::Ipv4Addr>().is_ok()
}

pub fn check_key(key: &str) -> Result<()> {
    if key.len() > MAX_KEY_BYTES {
        return Err(Error::KeyTooLong { size: key.len(), max: MAX_KEY_BYTES });
    }
    Ok(())
}

pub fn check_metadata<'a>(metadata: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let size = metadata.map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_METADATA_BYTES {
        return Err(Error::MetadataTooLarge { size, max: MAX_METADATA_BYTES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for good in ["abc", "b", "a.b-c", "0a0", &"x".repeat(63), "1.2.3"] {
            assert!(check_bucket_name(good).is_ok(), "{good}");
        }
        let long = "x".repeat(64);
        for bad in
            ["ab", "Abc", "a_b", "-ab", "ab-", ".ab", "a..b", "192.168.5.4", "xn--a", "a-s3alias", "a--x-s3", &long]
        {
            assert!(check_bucket_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn buckets_that_there_may_be() {
        for name in ["b", "Old_Bucket", "a.b-c", &"x".repeat(255)] {
            assert!(may_be_bucket(name), "{name}");
        }
        for name in ["a b", "bad!", "ü", &"x".repeat(256)] {
            assert!(!may_be_bucket(name), "{name}");
        }
    }

    #[test]
    fn keys_are_counted_in_bytes() {
        assert!(check_key(&"ü".repeat(512)).is_ok());
        assert!(check_key(&"ü".repeat(513)).is_err());
    }
}
