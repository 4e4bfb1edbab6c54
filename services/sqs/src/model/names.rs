//! Queue names, ARNs and URLs.

use fractus_aws::{AccountId, Arn, Region, World};

use crate::error::{Error, Result};

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Checks a new queue's name.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html>
pub fn check_queue_name(name: &str, fifo: bool) -> Result<()> {
    if fifo {
        let valid =
            name.len() <= 80 && name.strip_suffix(".fifo").is_some_and(|stem| !stem.is_empty() && is_plain(stem));
        if !valid {
            return Err(Error::invalid_parameter(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.",
            ));
        }
    } else if name.is_empty() || name.len() > 80 || !is_plain(name) {
        return Err(Error::invalid_parameter(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}

pub fn queue_arn(world: &World, region: &Region, name: &str) -> String {
    Arn::new(world.partition, "sqs", region.as_str(), world.account.as_str(), name).to_string()
}

/// The queue's URL under the scheme and authority the caller used, so that every caller can reach it.
pub fn queue_url(endpoint: &str, account: &AccountId, name: &str) -> String {
    let mut url = String::with_capacity(endpoint.len() + name.len() + 14);
    url.push_str(endpoint);
    url.push('/');
    url.push_str(account.as_str());
    url.push('/');
    url.push_str(name);
    url
}

/// What a queue URL says: the last two segments of its path are account and name; the host may be any (callers reach
/// us by many), and a bare name or a path is taken as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAddress {
    pub account: Option<AccountId>,
    pub name: String,
}

pub fn parse_queue_url(url: &str) -> Result<QueueAddress> {
    let invalid = || Error::InvalidAddress { message: format!("The address {url} is not valid for this endpoint.") };
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after_scheme.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let mut segments = path.rsplit('/');
    let name = segments.next().filter(|name| !name.is_empty()).ok_or_else(invalid)?;
    let account = match segments.next() {
        Some(text) => AccountId::new(text).ok(),
        None if url.contains("://") => return Err(invalid()),
        None => None,
    };
    Ok(QueueAddress { account, name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_any_host_name_the_same_queue() {
        let account = AccountId::new("123456789012").unwrap();
        for url in [
            "http://localhost:4566/123456789012/q",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/q/",
            "http://sqs.us-east-1.localhost.localstack.cloud:4566/123456789012/q",
            "http://localhost:4566/queue/us-east-1/123456789012/q",
            "/123456789012/q",
        ] {
            let address = parse_queue_url(url).unwrap();
            assert_eq!(address, QueueAddress { account: Some(account.clone()), name: "q".into() }, "{url}");
        }
        assert_eq!(parse_queue_url("q").unwrap(), QueueAddress { account: None, name: "q".into() });
        assert!(matches!(parse_queue_url("http://localhost"), Err(Error::InvalidAddress { .. })));
        assert!(parse_queue_url("").is_err());
    }

    #[test]
    fn names_follow_their_kind() {
        assert!(check_queue_name("a-B_9", false).is_ok());
        assert!(check_queue_name("a.fifo", false).is_err());
        assert!(check_queue_name("a.fifo", true).is_ok());
        assert!(check_queue_name(".fifo", true).is_err());
        assert!(check_queue_name(&"x".repeat(81), false).is_err());
        assert!(check_queue_name(&format!("{}.fifo", "x".repeat(75)), true).is_ok());
        assert!(check_queue_name(&format!("{}.fifo", "x".repeat(76)), true).is_err());
    }
}
