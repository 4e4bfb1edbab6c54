//! Who and where: lane, partition, account, region.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A text that cannot be the name it was meant to be.
#[derive(Debug, thiserror::Error)]
#[error("{value:?} is no valid {what}")]
pub struct InvalidName {
    pub what: &'static str,
    pub value: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            pub fn new(value: impl AsRef<str>) -> Result<Self, InvalidName> {
                let value = value.as_ref();
                let valid: fn(&str) -> bool = $valid;
                if valid(value) {
                    Ok($type(value.into()))
                } else {
                    Err(InvalidName { what: $what, value: value.to_owned() })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                $type::new(value)
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.0.as_ref().to_owned()
            }
        }

        impl std::str::FromStr for $type {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                $type::new(value)
            }
        }
    };
}

fn lower_alphanumeric_or_hyphen(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

name! {
    /// A whole separate AWS on one stack: same ARNs, own state, clock and faults. `main` unless a caller says another.
    /// 1 to 63 lower-case letters, digits and hyphens, so that it can stand in a host name.
    Lane, "lane", |value| (1..=63).contains(&value.len()) && lower_alphanumeric_or_hyphen(value)
}

name! {
    /// A 12-digit account id.
    AccountId, "account id", |value| value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit())
}

name! {
    /// A region's code, such as `us-east-1`. Any well-formed code is taken, so that a new region needs no new release.
    Region, "region", |value| (1..=32).contains(&value.len()) && lower_alphanumeric_or_hyphen(value)
}

impl Lane {
    /// The lane of every call that names none.
    pub fn main() -> Self {
        Lane("main".into())
    }
}

impl AccountId {
    /// The account of every key that names none.
    pub fn default_account() -> Self {
        AccountId("000000000000".into())
    }
}

impl Region {
    pub fn us_east_1() -> Self {
        Region("us-east-1".into())
    }

    /// The partition this region lies in, by its prefix (AWS's partitions.json).
    pub fn partition(&self) -> Partition {
        const PREFIXES: [(&str, Partition); 7] = [
            ("cn-", Partition::AwsCn),
            ("us-gov-", Partition::AwsUsGov),
            ("us-isob-", Partition::AwsIsoB),
            ("us-isof-", Partition::AwsIsoF),
            ("eu-isoe-", Partition::AwsIsoE),
            ("us-iso-", Partition::AwsIso),
            ("eusc-", Partition::AwsEusc),
        ];
        let found = PREFIXES.into_iter().find(|(prefix, _)| self.as_str().starts_with(prefix));
        found.map_or(Partition::Aws, |(_, partition)| partition)
    }
}

/// A partition: the first part of every ARN, and the suffix of its host names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partition {
    Aws,
    AwsCn,
    AwsUsGov,
    AwsIso,
    AwsIsoB,
    AwsIsoE,
    AwsIsoF,
    AwsEusc,
}

impl Partition {
    pub const ALL: [Partition; 8] = [
        Partition::Aws,
        Partition::AwsCn,
        Partition::AwsUsGov,
        Partition::AwsIso,
        Partition::AwsIsoB,
        Partition::AwsIsoE,
        Partition::AwsIsoF,
        Partition::AwsEusc,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Partition::Aws => "aws",
            Partition::AwsCn => "aws-cn",
            Partition::AwsUsGov => "aws-us-gov",
            Partition::AwsIso => "aws-iso",
            Partition::AwsIsoB => "aws-iso-b",
            Partition::AwsIsoE => "aws-iso-e",
            Partition::AwsIsoF => "aws-iso-f",
            Partition::AwsEusc => "aws-eusc",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.as_str() == text)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose AWS a call is in. Every key in every store begins with it and the region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct World {
    pub lane: Lane,
    pub partition: Partition,
    pub account: AccountId,
}

impl World {
    /// The world of a caller who names nothing.
    pub fn default_world() -> Self {
        World { lane: Lane::main(), partition: Partition::Aws, account: AccountId::default_account() }
    }

    #[must_use]
    pub fn with_account(&self, account: AccountId) -> Self {
        World { account, ..self.clone() }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.lane, self.partition, self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(AccountId::new("123456789012").is_ok());
        assert!(AccountId::new("12345678901a").is_err());
        assert!(Lane::new("Test").is_err());
        assert_eq!(Region::new("cn-north-1").unwrap().partition(), Partition::AwsCn);
        assert_eq!(Region::new("us-isob-east-1").unwrap().partition(), Partition::AwsIsoB);
        assert_eq!(Partition::parse("aws-us-gov"), Some(Partition::AwsUsGov));
    }
}
