//! Amazon Resource Names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `arn:partition:service:region:account:resource`; region and account may be empty, the resource may hold colons.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arn {
    pub partition: String,
    pub service: String,
    pub region: String,
    pub account: String,
    pub resource: String,
}

/// A text that is no ARN.
#[derive(Debug, thiserror::Error)]
#[error("not an ARN: {0:?}")]
pub struct ParseArnError(pub String);

impl Arn {
    pub fn new(
        partition: impl fmt::Display,
        service: &str,
        region: &str,
        account: &str,
        resource: impl Into<String>,
    ) -> Self {
        Arn {
            partition: partition.to_string(),
            service: service.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource: resource.into(),
        }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

impl FromStr for Arn {
    type Err = ParseArnError;

    fn from_str(text: &str) -> Result<Self, ParseArnError> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts[..] {
            ["arn", partition, service, region, account, resource]
                if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
            {
                Ok(Arn::new(partition, service, region, account, resource))
            }
            _ => Err(ParseArnError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Arn {
    type Error = ParseArnError;
    fn try_from(text: String) -> Result<Self, ParseArnError> {
        text.parse()
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> String {
        arn.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let arn: Arn = "arn:aws:logs:us-east-1:123456789012:log-group:g:*".parse().unwrap();
        assert_eq!(arn.resource, "log-group:g:*");
        assert_eq!(arn.to_string(), "arn:aws:logs:us-east-1:123456789012:log-group:g:*");
        assert!("arn:aws:s3".parse::<Arn>().is_err());
        assert!("arn:aws:s3:::".parse::<Arn>().is_err());
        assert!("arn:aws:s3:::b".parse::<Arn>().is_ok());
    }
}
