//! ARNs and unique ids of roles and sessions.

use fractus_aws::{AccountId, Arn, Partition};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The ARN of a role, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn {
    pub arn: Arn,
    pub partition: Partition,
    pub account: AccountId,
    /// The name without the path before it.
    pub name: String,
}

impl RoleArn {
    /// `arn:aws:iam::123456789012:role/path/name`.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::Validation(format!("{text} is invalid"));
        let arn: Arn = text.parse().map_err(|_| invalid())?;
        let partition = Partition::parse(&arn.partition).ok_or_else(invalid)?;
        let account = AccountId::new(&arn.account).map_err(|_| invalid())?;
        let path = arn.resource.strip_prefix("role/").ok_or_else(invalid)?;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        if arn.service != "iam" || !arn.region.is_empty() || !is_role_name(&name) {
            return Err(invalid());
        }
        Ok(RoleArn { arn, partition, account, name })
    }

    /// `arn:aws:sts::123456789012:assumed-role/name/session`: the path is left out.
    pub fn session_arn(&self, session_name: &str) -> Arn {
        let resource = format!("assumed-role/{}/{session_name}", self.name);
        Arn::new(self.partition.as_str(), "sts", "", self.account.as_str(), resource)
    }
}

/// 1 to 64 letters, digits and `_+=,.@-`.
fn is_role_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

/// 2 to 64 letters, digits and `_+=,.@-`: session names and source identities.
pub fn is_session_name(name: &str) -> bool {
    (2..=64).contains(&name.len()) && name.bytes().all(is_name_byte)
}

/// The name as part of an ARN: must hold nothing that would make it another ARN.
pub fn check_session_name(name: &str, member: &str) -> Result<()> {
    match name.len() {
        0 | 1 => Err(Error::constraint(name, member, "Member must have length greater than or equal to 2")),
        65.. => Err(Error::constraint(name, member, "Member must have length less than or equal to 64")),
        _ if is_session_name(name) => Ok(()),
        _ => Err(Error::constraint(name, member, "Member must satisfy regular expression pattern: [\\w+=,.@-]*")),
    }
}

/// The unique id of a role that no IAM has given one: always the same for the same ARN.
pub fn role_id_of(role: &Arn) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest(role.to_string());
    let letters = digest.iter().take(17).map(|byte| char::from(ALPHABET[usize::from(byte & 31)]));
    "AROA".chars().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_s_arn_leaves_the_path_out() {
        let role = RoleArn::parse("arn:aws:iam::123456789012:role/service-role/deep/reader").unwrap();
        assert_eq!(role.name, "reader");
        let session = role.session_arn("s1").to_string();
        assert_eq!(session, "arn:aws:sts::123456789012:assumed-role/reader/s1");
    }

    #[test]
    fn what_is_no_role_is_refused() {
        for text in [
            "",
            "reader",
            "arn:aws:iam::123456789012:user/reader",
            "arn:aws:iam::12345678901:role/reader",
            "arn:aws:iam:us-east-1:123456789012:role/reader",
            "arn:aws:s3::123456789012:role/reader",
            "arn:nowhere:iam::123456789012:role/reader",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            let message = RoleArn::parse(text).unwrap_err().to_string();
            assert_eq!(message, format!("{text} is invalid"));
        }
    }

    #[test]
    fn role_ids_are_stable_and_differ() {
        let arn = |name: &str| format!("arn:aws:iam::123456789012:role/{name}").parse::<Arn>().unwrap();
        let id = role_id_of(&arn("a"));
        assert_eq!(id, role_id_of(&arn("a")));
        assert_ne!(id, role_id_of(&arn("b")));
        assert_eq!((id.len(), &id[..4]), (21, "AROA"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_no_session_name_leaves_its_place(arn in ".{0,80}", name in ".{0,70}") {
            let _ = RoleArn::parse(&arn);
            if check_session_name(&name, "roleSessionName").is_ok() {
                let role = RoleArn::parse("arn:aws:iam::123456789012:role/r").unwrap();
                let resource = role.session_arn(&name).resource;
                proptest::prop_assert_eq!(resource.split('/').count(), 3);
                proptest::prop_assert!(!resource.contains(':'));
            }
        }
    }
}
