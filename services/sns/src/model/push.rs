//! Platform applications and endpoints: their names and what may be set.
//!
//! <https://docs.aws.amazon.com/sns/latest/api/API_CreatePlatformApplication.html>,
//! <https://docs.aws.amazon.com/sns/latest/api/API_CreatePlatformEndpoint.html>

use fractus_aws::AccountId;
use fractus_host::Context;

use crate::error::{Error, Result};
use crate::model::names::parse_arn;
use crate::store::Attributes;

const PLATFORMS: [&str; 11] = [
    "ADM",
    "APNS",
    "APNS_SANDBOX",
    "APNS_VOIP",
    "APNS_VOIP_SANDBOX",
    "MACOS",
    "MACOS_SANDBOX",
    "BAIDU",
    "GCM",
    "MPNS",
    "WNS",
];

/// Never shown again.
pub const SECRET: [&str; 2] = ["PlatformCredential", "PlatformPrincipal"];

const OF_APPLICATIONS: [&str; 13] = [
    "PlatformCredential",
    "PlatformPrincipal",
    "EventEndpointCreated",
    "EventEndpointDeleted",
    "EventEndpointUpdated",
    "EventDeliveryFailure",
    "SuccessFeedbackRoleArn",
    "FailureFeedbackRoleArn",
    "SuccessFeedbackSampleRate",
    "ApplePlatformTeamID",
    "ApplePlatformBundleID",
    "AuthenticationMethod",
    "Enabled",
];
const OF_ENDPOINTS: [&str; 3] = ["CustomUserData", "Enabled", "Token"];
const MAX_USER_DATA_BYTES: usize = 2_048;

/// Checks the name and platform of a new application.
pub fn check_application(platform: &str, name: &str, attributes: &Attributes) -> Result<()> {
    if !PLATFORMS.contains(&platform) {
        return Err(Error::invalid_because("Platform", format!("{platform} is not supported")));
    }
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if name.is_empty() || name.len() > 256 || !plain {
        return Err(Error::invalid("Name"));
    }
    check_attributes(&OF_APPLICATIONS, attributes)?;
    if attributes.get("PlatformCredential").is_none_or(String::is_empty) {
        return Err(Error::invalid_because("Attributes", "PlatformCredential: must not be empty"));
    }
    if platform.starts_with("APNS") && attributes.get("PlatformPrincipal").is_none_or(String::is_empty) {
        return Err(Error::invalid_because("Attributes", "PlatformPrincipal: must not be empty"));
    }
    Ok(())
}

fn check_attributes(known: &[&str], attributes: &Attributes) -> Result<()> {
    for (name, value) in attributes {
        if !known.contains(&name.as_str()) {
            return Err(Error::invalid_because("Attributes", format!("Unknown attribute: {name}")));
        }
        let is_boolean = ["true", "false"].iter().any(|text| text.eq_ignore_ascii_case(value));
        if name == "Enabled" && !is_boolean {
            return Err(Error::invalid_because(
                "Attributes",
                format!("Enabled: Invalid value [{value}]. Must be true or false."),
            ));
        }
        if name == "SuccessFeedbackSampleRate" && value.parse::<u8>().map_or(true, |rate| rate > 100) {
            return Err(Error::invalid_because("Attributes", format!("{name}: must be an integer between 0 and 100")));
        }
        if name == "CustomUserData" && value.len() > MAX_USER_DATA_BYTES {
            return Err(Error::invalid_because(
                "CustomUserData",
                format!("must be at most {MAX_USER_DATA_BYTES} bytes long in UTF-8 encoding"),
            ));
        }
    }
    Ok(())
}

pub fn check_application_attributes(attributes: &Attributes) -> Result<()> {
    check_attributes(&OF_APPLICATIONS, attributes)
}

pub fn check_endpoint_attributes(attributes: &Attributes) -> Result<()> {
    check_attributes(&OF_ENDPOINTS, attributes)?;
    if attributes.get("Token").is_some_and(String::is_empty) {
        return Err(Error::invalid("Token"));
    }
    Ok(())
}

/// The platform and name of an application's ARN.
pub fn application_of(cx: &Context, parameter: &str, arn: &str) -> Result<(String, String)> {
    let rest = own_resource(cx, parameter, arn, "app/")?;
    match rest.split_once('/') {
        Some((platform, name)) if !name.is_empty() && !name.contains('/') => Ok((platform.to_owned(), name.to_owned())),
        _ => Err(Error::invalid_because(parameter, "Wrong number of slashes in relative portion of the ARN.")),
    }
}

/// The platform, application and id of an endpoint's ARN.
pub fn endpoint_of(cx: &Context, parameter: &str, arn: &str) -> Result<(String, String, String)> {
    let rest = own_resource(cx, parameter, arn, "endpoint/")?;
    match rest.split('/').collect::<Vec<_>>()[..] {
        [platform, name, id] if !id.is_empty() => Ok((platform.to_owned(), name.to_owned(), id.to_owned())),
        _ => Err(Error::invalid_because(parameter, "Wrong number of slashes in relative portion of the ARN.")),
    }
}

fn own_resource(cx: &Context, parameter: &str, text: &str, kind: &str) -> Result<String> {
    let arn = parse_arn(parameter, text)?;
    let own = arn.region == cx.region.as_str()
        && AccountId::new(&arn.account).is_ok_and(|account| account == cx.world.account);
    match arn.resource.strip_prefix(kind) {
        Some(rest) if own => Ok(rest.to_owned()),
        Some(_) => Err(Error::invalid(parameter)),
        None => Err(Error::invalid_because(parameter, format!("An ARN's resource must begin with {kind}"))),
    }
}
