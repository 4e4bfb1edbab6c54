//! Names and ARNs: what a topic may be called, what an endpoint of a protocol looks like.

use fractus_aws::{AccountId, Arn, Partition};
use fractus_host::Context;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::store::Place;

/// The protocols of subscriptions.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html>
pub const PROTOCOLS: [&str; 9] =
    ["http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose"];

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Up to 256 letters, digits, hyphens and underscores; a FIFO topic's name ends with `.fifo`.
/// <https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>
pub fn check_topic_name(name: &str, fifo: bool) -> Result<()> {
    let stem = if fifo { name.strip_suffix(".fifo") } else { Some(name) };
    match stem {
        Some(stem) if !stem.is_empty() && name.len() <= 256 && is_plain(stem) => Ok(()),
        _ if fifo && !name.ends_with(".fifo") => Err(Error::invalid_because(
            "Topic Name",
            "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long.",
        )),
        _ => Err(Error::invalid("Topic Name")),
    }
}

/// An ARN of SNS, complained of under a parameter's name as AWS does.
pub fn parse_arn(parameter: &str, text: &str) -> Result<Arn> {
    let elements = text.split(':').count();
    if elements < 6 {
        let reason = format!("An ARN must have at least 6 elements, not {elements}");
        return Err(Error::invalid_because(parameter, reason));
    }
    let arn: Arn = text.parse().map_err(|_| Error::invalid(parameter))?;
    if arn.service != "sns" {
        return Err(Error::invalid(parameter));
    }
    Ok(arn)
}

/// Where the topic of an ARN is. A topic is reached in its own region only.
pub fn place_of(cx: &Context, parameter: &str, text: &str) -> Result<Place> {
    let arn = parse_arn(parameter, text)?;
    place_of_parsed(cx, parameter, &arn)
}

fn place_of_parsed(cx: &Context, parameter: &str, arn: &Arn) -> Result<Place> {
    let account = AccountId::new(&arn.account).map_err(|_| Error::invalid(parameter))?;
    if arn.region != cx.region.as_str() || Partition::parse(&arn.partition) != Some(cx.world.partition) {
        return Err(Error::invalid(parameter));
    }
    let stem = arn.resource.strip_suffix(".fifo").unwrap_or(&arn.resource);
    if stem.is_empty() || !is_plain(stem) {
        return Err(Error::invalid_because(parameter, format!("Topic name '{}' is not valid", arn.resource)));
    }
    Ok(Place { world: cx.world.with_account(account), region: cx.region.clone(), name: arn.resource.clone() })
}

/// The topic and the id of a subscription's ARN.
pub fn subscription_of(cx: &Context, text: &str) -> Result<(Place, String)> {
    const PARAMETER: &str = "SubscriptionArn";
    let arn = parse_arn(PARAMETER, text)?;
    let Some((topic, id)) = arn.resource.split_once(':') else {
        return Err(Error::invalid_because(
            PARAMETER,
            format!("An ARN must have at least 7 elements, not {}", text.split(':').count()),
        ));
    };
    if id.is_empty() || id.contains(':') {
        return Err(Error::invalid(PARAMETER));
    }
    let place = place_of_parsed(cx, PARAMETER, &Arn { resource: topic.to_owned(), ..arn.clone() })?;
    Ok((place, id.to_owned()))
}

/// A digest that stands for a text too long for a key.
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The ARN of a resource of another service, where the endpoint is one.
fn endpoint_arn(endpoint: &str, service: &str) -> Option<Arn> {
    endpoint
        .parse::<Arn>()
        .ok()
        .filter(|arn| arn.service == service && !arn.region.is_empty() && AccountId::new(&arn.account).is_ok())
}

/// Checks an endpoint against its protocol.
pub fn check_endpoint(protocol: &str, endpoint: &str, fifo_topic: bool) -> Result<()> {
    if !PROTOCOLS.contains(&protocol) {
        return Err(Error::invalid(format!("Amazon SNS does not support this protocol string: {protocol}")));
    }
    if fifo_topic && protocol != "sqs" {
        return Err(Error::invalid(format!("Invalid protocol type: {protocol}")));
    }
    let good = match protocol {
        "http" => is_url(endpoint, "http://"),
        "https" => is_url(endpoint, "https://"),
        "email" | "email-json" => return check(is_email(endpoint), "Email address"),
        "sms" => return check(is_phone_number(endpoint), &format!("Invalid SMS endpoint: {endpoint}")),
        "sqs" => {
            let Some(queue) = endpoint_arn(endpoint, "sqs") else { return Err(Error::invalid("SQS endpoint ARN")) };
            if queue.resource.ends_with(".fifo") && !fifo_topic {
                return Err(Error::InvalidParameter(
                    "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics".to_owned(),
                ));
            }
            return check(is_plain(queue.resource.trim_end_matches(".fifo")), "SQS endpoint ARN");
        }
        "lambda" => {
            let function = endpoint_arn(endpoint, "lambda").filter(|arn| arn.resource.starts_with("function:"));
            return check(function.is_some(), "Lambda endpoint ARN");
        }
        "firehose" => {
            let stream = endpoint_arn(endpoint, "firehose").filter(|arn| arn.resource.starts_with("deliverystream/"));
            return check(stream.is_some(), "Firehose endpoint ARN");
        }
        _ => {
            let device = endpoint_arn(endpoint, "sns").filter(|arn| arn.resource.starts_with("endpoint/"));
            return check(device.is_some(), &format!("Application endpoint arn invalid:{endpoint}"));
        }
    };
    check(good, "Endpoint must match the specified protocol")
}

fn check(good: bool, what: &str) -> Result<()> {
    if good { Ok(()) } else { Err(Error::invalid(what)) }
}

fn is_url(endpoint: &str, scheme: &str) -> bool {
    let has_scheme = endpoint.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    has_scheme && endpoint.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()))
}

fn is_email(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| !c.is_whitespace() && !c.is_control());
    plain(local) && plain(domain) && !local.contains('@') && domain.contains('.') && address.len() <= 320
}

/// E.164 with its plus, where separators may stand between the digits.
/// <https://docs.aws.amazon.com/sns/latest/dg/sms_sending-overview.html>
pub fn is_phone_number(number: &str) -> bool {
    let Some(rest) = number.strip_prefix('+') else { return false };
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    let plain =
        rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b' ' | b'(' | b')' | b'/'));
    plain && (7..=15).contains(&digits) && rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
}

/// The plus and the digits alone.
pub fn plain_number(number: &str) -> String {
    number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names() {
        for (name, fifo) in [("a", false), ("A-b_9", false), ("a.fifo", true)] {
            check_topic_name(name, fifo).unwrap();
        }
        for (name, fifo) in [("", false), ("a.b", false), ("a.fifo", false), ("a", true), (".fifo", true)] {
            check_topic_name(name, fifo).unwrap_err();
        }
        check_topic_name(&"a".repeat(256), false).unwrap();
        check_topic_name(&"a".repeat(257), false).unwrap_err();
    }

    #[test]
    fn endpoints_fit_their_protocols() {
        let queue = "arn:aws:sqs:us-east-1:000000000000:q";
        for (protocol, endpoint, fifo) in [
            ("http", "http://localhost:80/x", false),
            ("https", "https://example.com", false),
            ("email", "a@b.c", false),
            ("sms", "+15555550100", false),
            ("sqs", queue, false),
            ("sqs", "arn:aws:sqs:us-east-1:000000000000:q.fifo", true),
            ("sqs", queue, true),
            ("lambda", "arn:aws:lambda:us-east-1:000000000000:function:f", false),
            ("firehose", "arn:aws:firehose:us-east-1:000000000000:deliverystream/d", false),
            ("application", "arn:aws:sns:us-east-1:000000000000:endpoint/GCM/a/1", false),
        ] {
            check_endpoint(protocol, endpoint, fifo).unwrap();
        }
        for (protocol, endpoint, fifo) in [
            ("ftp", "ftp://x", false),
            ("http", "https://x", false),
            ("http", "http://", false),
            ("email", "a", false),
            ("sms", "5555550100", false),
            ("sqs", "http://localhost/q", false),
            ("sqs", "arn:aws:sqs:us-east-1:000000000000:q.fifo", false),
            ("http", "http://x", true),
            ("lambda", queue, false),
        ] {
            assert!(check_endpoint(protocol, endpoint, fifo).is_err(), "{protocol} {endpoint}");
        }
    }

    #[test]
    fn phone_numbers() {
        assert!(is_phone_number("+1 (555) 555-0100"));
        assert_eq!(plain_number("+1 (555) 555-0100"), "+15555550100");
        for bad in ["", "+", "+1", "abc", "+abcdefgh", "+1234567890123456"] {
            assert!(!is_phone_number(bad), "{bad}");
        }
    }
}
