//! Session tags, and how they pass on in a chain of roles.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>

use fractus_sts_api::Tag;

use crate::error::{Error, Result};

const MAX_TAGS: usize = 50;

/// The tags of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionTags {
    /// Passed with the request.
    pub passed: Vec<(String, String)>,
    /// Inherited from the session that the caller used.
    pub inherited: Vec<(String, String)>,
    /// Which of all tags sessions made from this one inherit.
    pub transitive_keys: Vec<String>,
}

impl SessionTags {
    /// `inherited` are the transitive tags of the calling session.
    pub fn checked(
        tags: Option<Vec<Tag>>,
        transitive_keys: Option<Vec<String>>,
        inherited: Vec<(String, String)>,
    ) -> Result<Self> {
        let passed: Vec<(String, String)> =
            tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect();
        let transitive_keys = transitive_keys.unwrap_or_default();
        if passed.len() > MAX_TAGS {
            let constraint = format!("Member must have length less than or equal to {MAX_TAGS}");
            return Err(Error::constraint(format!("{} tags", passed.len()), "tags", &constraint));
        }
        for (index, (key, _)) in passed.iter().enumerate() {
            if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
                return Err(invalid("Tag keys starting with 'aws:' are reserved for system use"));
            }
            if passed[..index].iter().any(|(earlier, _)| same_key(earlier, key)) {
                return Err(invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
            }
            if inherited.iter().any(|(earlier, _)| same_key(earlier, key)) {
                return Err(invalid(
                    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
                ));
            }
        }
        let unknown = |key: &String| !passed.iter().any(|(known, _)| same_key(known, key));
        if transitive_keys.iter().any(unknown) {
            return Err(invalid("The specified transitive tag key must be included in the requested tags."));
        }
        let transitive_keys = inherited.iter().map(|(key, _)| key.clone()).chain(transitive_keys).collect();
        Ok(SessionTags { passed, inherited, transitive_keys })
    }

    /// All tags of the session.
    pub fn all(&self) -> Vec<(String, String)> {
        self.inherited.iter().chain(&self.passed).cloned().collect()
    }
}

/// Tag keys are told apart without regard to case.
pub fn same_key(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn invalid(message: &str) -> Error {
    Error::InvalidParameterValue(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Option<Vec<Tag>> {
        Some(pairs.iter().map(|(key, value)| Tag { key: (*key).to_owned(), value: (*value).to_owned() }).collect())
    }

    #[test]
    fn transitive_tags_pass_on_and_cannot_be_changed() {
        let first =
            SessionTags::checked(tags(&[("Team", "a"), ("Job", "b")]), Some(vec!["team".into()]), vec![]).unwrap();
        assert_eq!(first.transitive_keys, ["team"]);
        let inherited = vec![("Team".to_owned(), "a".to_owned())];
        let next = SessionTags::checked(tags(&[("Job", "c")]), None, inherited.clone()).unwrap();
        assert_eq!(next.all(), [("Team".into(), "a".into()), ("Job".into(), "c".into())]);
        assert_eq!(next.transitive_keys, ["Team"]);
        assert!(SessionTags::checked(tags(&[("TEAM", "x")]), None, inherited).is_err());
    }

    #[test]
    fn bad_tags_are_refused() {
        assert!(SessionTags::checked(tags(&[("a", ""), ("A", "")]), None, vec![]).is_err());
        assert!(SessionTags::checked(tags(&[("AWS:x", "")]), None, vec![]).is_err());
        assert!(SessionTags::checked(tags(&[("a", "")]), Some(vec!["b".into()]), vec![]).is_err());
    }
}
