//! Session policies: which may be passed, and how much room they take.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session>

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use fractus_aws::Arn;
use fractus_policy::{Policy, PolicyKind};
use fractus_sts_api::PolicyDescriptorType;

use crate::error::{Error, Result};
use crate::model::tags::SessionTags;

/// The most managed policies of a session.
const MAX_POLICY_ARNS: usize = 10;
/// The most characters of inline and managed policies together.
const MAX_PLAINTEXT: usize = 2_048;
/// The room for policies and tags once they are packed. AWS does not tell its own; by this one, as on AWS, plain
/// policies that keep to the limit of 2,048 characters fit, and fifty incompressible tags do not.
const PACKED_BYTES: usize = 2_048;

/// The policies that a session is limited by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPolicies {
    pub inline: Option<String>,
    pub managed: Vec<Arn>,
}

impl SessionPolicies {
    pub fn checked(inline: Option<String>, managed: Option<Vec<PolicyDescriptorType>>) -> Result<Self> {
        if let Some(document) = &inline {
            Policy::parse(document)?.validate(PolicyKind::Identity)?;
        }
        let descriptors = managed.unwrap_or_default();
        if descriptors.len() > MAX_POLICY_ARNS {
            let constraint = format!("Member must have length less than or equal to {MAX_POLICY_ARNS}");
            return Err(Error::constraint(format!("{} policies", descriptors.len()), "policyArns", &constraint));
        }
        let managed = descriptors.into_iter().map(policy_arn).collect::<Result<Vec<Arn>>>()?;
        let plaintext = inline.as_ref().map_or(0, |document| document.chars().count())
            + managed.iter().map(|arn| arn.to_string().len()).sum::<usize>();
        if plaintext > MAX_PLAINTEXT {
            let percent = percent(plaintext, MAX_PLAINTEXT);
            return Err(Error::PackedPolicyTooLarge { percent });
        }
        Ok(SessionPolicies { inline, managed })
    }

    pub fn is_empty(&self) -> bool {
        self.inline.is_none() && self.managed.is_empty()
    }

    /// How much of the allotted space these policies and tags take; `None` where nothing is passed.
    pub fn packed_size(&self, tags: &SessionTags) -> Result<Option<i32>> {
        if self.is_empty() && tags.passed.is_empty() {
            return Ok(None);
        }
        let percent = percent(self.packed_bytes(tags), PACKED_BYTES);
        if percent > 100 { Err(Error::PackedPolicyTooLarge { percent }) } else { Ok(Some(percent as i32)) }
    }

    fn packed_bytes(&self, tags: &SessionTags) -> usize {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        let texts = self.inline.iter().cloned().chain(self.managed.iter().map(Arn::to_string));
        let pairs = tags.passed.iter().flat_map(|(key, value)| [key.clone(), value.clone()]);
        for text in texts.chain(pairs) {
            // Writing to memory cannot fail; a shorter count would only be a smaller percentage.
            let _ = encoder.write_all(text.as_bytes()).and_then(|()| encoder.write_all(&[0]));
        }
        encoder.finish().map_or(0, |packed| packed.len())
    }
}

fn policy_arn(descriptor: PolicyDescriptorType) -> Result<Arn> {
    let text = descriptor.arn.unwrap_or_default();
    let arn: Option<Arn> = text.parse().ok();
    arn.filter(|arn| arn.service == "iam" && arn.resource.starts_with("policy/"))
        .ok_or_else(|| Error::Validation(format!("{text} is invalid")))
}

fn percent(size: usize, limit: usize) -> u32 {
    u32::try_from((size * 100).div_ceil(limit)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &str =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

    fn descriptor(arn: &str) -> PolicyDescriptorType {
        PolicyDescriptorType { arn: Some(arn.to_owned()) }
    }

    #[test]
    fn a_policy_is_checked_in_iam_s_words() {
        for (document, message) in [
            ("{", "This policy contains invalid Json"),
            (
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*"}]}"#,
                "Policy statement must contain actions.",
            ),
        ] {
            let error = SessionPolicies::checked(Some(document.to_owned()), None).unwrap_err();
            assert!(matches!(error, Error::MalformedPolicyDocument(_)));
            assert_eq!(error.to_string(), message);
        }
        let error = SessionPolicies::checked(None, Some(vec![descriptor("arn:aws:s3:::bucket-of-mine")])).unwrap_err();
        assert_eq!(error.to_string(), "arn:aws:s3:::bucket-of-mine is invalid");
    }

    #[test]
    fn only_what_is_passed_takes_room() {
        let none = SessionPolicies::checked(None, None).unwrap();
        assert_eq!(none.packed_size(&SessionTags::default()).unwrap(), None);
        let some = SessionPolicies::checked(Some(READ.to_owned()), None).unwrap();
        let size = some.packed_size(&SessionTags::default()).unwrap().unwrap();
        assert!((1..20).contains(&size), "{size}");
    }

    #[test]
    fn too_much_plaintext_is_refused_with_its_share() {
        let long = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::{}"}}]}}"#,
            "x".repeat(3_000)
        );
        let error = SessionPolicies::checked(Some(long), None).unwrap_err();
        assert!(matches!(error, Error::PackedPolicyTooLarge { percent: 101.. }), "{error}");
    }
}
