//! How a request names its bucket: in the path, or as part of the host.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>

/// Base names that stand for S3 itself; what stands before them is a bucket. `*` stands for a region.
const BASES: [&[&str]; 8] = [
    &["s3", "*", "localhost", "localstack", "cloud"],
    &["s3", "localhost", "localstack", "cloud"],
    &["s3", "dualstack", "*", "amazonaws", "com"],
    &["s3", "*", "amazonaws", "com"],
    &["s3", "amazonaws", "com"],
    &["s3", "*", "localhost"],
    &["s3", "localhost"],
    &["localhost"],
];

/// The bucket that a host name carries: `b.s3.localhost`, `b.s3.eu-west-1.localhost`, `b.localhost`,
/// `b.s3.amazonaws.com` ... `None` where the bucket stands in the path. `host` is without its port.
pub fn bucket_of_host(host: &str) -> Option<&str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    BASES.iter().find_map(|base| {
        let rest = strip_base(host, base)?;
        // A path-style host is the base alone; a bare `s3.localhost` must not become bucket `s3` of `localhost`.
        Some((!rest.is_empty() && rest != "s3" && !rest.starts_with("s3.")).then_some(rest))
    })?
}

/// What stands before `base` at the end of `host`; empty if nothing does.
fn strip_base<'h>(host: &'h str, base: &[&str]) -> Option<&'h str> {
    let mut rest = Some(host);
    for label in base.iter().rev() {
        let current = rest?;
        let (before, last) = match current.rsplit_once('.') {
            Some((before, last)) => (Some(before), last),
            None => (None, current),
        };
        let matches = match *label {
            "*" => is_region(last),
            label => last.eq_ignore_ascii_case(label),
        };
        if !matches {
            return None;
        }
        rest = before;
    }
    Some(rest.unwrap_or_default())
}

fn is_region(label: &str) -> bool {
    label.matches('-').count() >= 2
        && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && label.ends_with(|last: char| last.is_ascii_digit())
}

/// A path-style URI for a bucket that came in the host: `/key?query` becomes `/bucket/key?query`.
pub fn into_path(bucket: &str, path_and_query: &str) -> String {
    format!("/{bucket}{path_and_query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_in_hosts() {
        for (host, bucket) in [
            ("b.s3.localhost", Some("b")),
            ("a.b.s3.localhost", Some("a.b")),
            ("b.s3.eu-west-1.localhost", Some("b")),
            ("b.localhost", Some("b")),
            ("b.s3.amazonaws.com", Some("b")),
            ("b.s3.us-west-2.amazonaws.com", Some("b")),
            ("b.s3.dualstack.us-west-2.amazonaws.com", Some("b")),
            ("b.s3.localhost.localstack.cloud", Some("b")),
            ("localhost", None),
            ("s3.localhost", None),
            ("s3.eu-west-1.localhost", None),
            ("s3.amazonaws.com", None),
            ("s3.us-west-2.amazonaws.com", None),
            ("s3.localhost.localstack.cloud", None),
            ("127.0.0.1", None),
            ("router", None),
        ] {
            assert_eq!(bucket_of_host(host), bucket, "{host}");
        }
    }
}
