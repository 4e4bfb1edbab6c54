//! Conditional requests.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html> and
//! <https://www.rfc-editor.org/rfc/rfc9110#name-precedence-of-preconditions>

use fractus_clock::Timestamp;
use fractus_wire::Failure;

use crate::error::{Error, Result};

/// The conditions of a read (or of the source of a copy).
#[derive(Clone, Debug, Default)]
pub struct ReadConditions {
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

/// The names a condition is reported by.
#[derive(Clone, Copy, Debug)]
struct Names {
    if_match: &'static str,
    if_none_match: &'static str,
    if_modified_since: &'static str,
    if_unmodified_since: &'static str,
}

const READ: Names = Names {
    if_match: "If-Match",
    if_none_match: "If-None-Match",
    if_modified_since: "If-Modified-Since",
    if_unmodified_since: "If-Unmodified-Since",
};

const COPY: Names = Names {
    if_match: "x-amz-copy-source-If-Match",
    if_none_match: "x-amz-copy-source-If-None-Match",
    if_modified_since: "x-amz-copy-source-If-Modified-Since",
    if_unmodified_since: "x-amz-copy-source-If-Unmodified-Since",
};

impl ReadConditions {
    /// For GetObject and HeadObject: a condition of the "unless changed" kind answers 304.
    pub fn check_read(&self, etag: &str, last_modified: Timestamp) -> Result<()> {
        self.check(etag, last_modified, READ, || Error::NotModified { etag: etag.to_owned(), last_modified })
    }

    /// For the source of a copy: every failed condition answers 412.
    pub fn check_copy_source(&self, etag: &str, last_modified: Timestamp) -> Result<()> {
        let condition = if self.if_none_match.is_some() { COPY.if_none_match } else { COPY.if_modified_since };
        self.check(etag, last_modified, COPY, || Error::PreconditionFailed { condition })
    }

    fn check(
        &self,
        etag: &str,
        last_modified: Timestamp,
        names: Names,
        not_modified: impl Fn() -> Error,
    ) -> Result<()> {
        // HTTP dates have whole seconds.
        let modified = last_modified.to_secs_precision();
        match (&self.if_match, self.if_unmodified_since) {
            (Some(wanted), _) if !matches_any(wanted, etag) => {
                return Err(Error::PreconditionFailed { condition: names.if_match });
            }
            // A true If-Match outranks If-Unmodified-Since.
            (Some(_), _) => {}
            (None, Some(since)) if modified > since => {
                return Err(Error::PreconditionFailed { condition: names.if_unmodified_since });
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(unwanted), _) if matches_any(unwanted, etag) => Err(not_modified()),
            (Some(_), _) => Ok(()),
            (None, Some(since)) if modified <= since => Err(not_modified()),
            _ => Ok(()),
        }
    }
}

/// The conditions of a write: against what is there now.
#[derive(Clone, Debug, Default)]
pub struct WriteConditions {
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
}

impl WriteConditions {
    /// `current` is the entity tag of the object that would be overwritten.
    pub fn check(&self, current: Option<&str>, key: &str) -> Result<()> {
        if let Some(unwanted) = &self.if_none_match {
            if self.if_match.is_some() {
                return Err(not_implemented(
                    "If-Match,If-None-Match",
                    "Multiple conditional request headers present in the request",
                ));
            }
            if unwanted != "*" {
                let message = "We don't accept the provided value of If-None-Match header for this API";
                return Err(not_implemented(READ.if_none_match, message));
            }
            if current.is_some() {
                return Err(Error::PreconditionFailed { condition: READ.if_none_match });
            }
        }
        match (&self.if_match, current) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Error::NoSuchKey { key: key.to_owned() }),
            (Some(wanted), Some(etag)) if matches_any(wanted, etag) => Ok(()),
            (Some(_), Some(_)) => Err(Error::PreconditionFailed { condition: READ.if_match }),
        }
    }
}

/// What a write cannot be held against.
fn not_implemented(header: &str, more: &str) -> Error {
    let failure = Failure::from(Error::NotImplemented { header: header.to_owned() });
    Error::Other(Box::new(failure.with_detail("additionalMessage", more)))
}

/// Whether `header` (a list of tags, quoted or not, or `*`) names `etag` (quoted).
fn matches_any(header: &str, etag: &str) -> bool {
    let bare = etag.trim_matches('"');
    header.trim() == "*"
        || header.split(',').any(|tag| {
            let tag = tag.trim();
            tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == bare
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"abc\"";
    const MODIFIED: Timestamp = Timestamp::from_millis(1_000_500);

    fn outcome(conditions: &ReadConditions) -> &'static str {
        match conditions.check_read(ETAG, MODIFIED) {
            Ok(()) => "ok",
            Err(Error::NotModified { .. }) => "304",
            Err(Error::PreconditionFailed { condition }) => condition,
            Err(_) => "other",
        }
    }

    #[test]
    fn reads_follow_the_precedence_of_rfc_9110() {
        let text = |text: &str| Some(text.to_owned());
        let at = |secs| Some(Timestamp::from_secs(secs));
        let none = ReadConditions::default();
        assert_eq!(outcome(&none), "ok");
        assert_eq!(outcome(&ReadConditions { if_match: text("abc"), ..none.clone() }), "ok");
        assert_eq!(outcome(&ReadConditions { if_match: text("\"x\", \"abc\""), ..none.clone() }), "ok");
        assert_eq!(outcome(&ReadConditions { if_match: text("x"), ..none.clone() }), "If-Match");
        assert_eq!(outcome(&ReadConditions { if_none_match: text("*"), ..none.clone() }), "304");
        assert_eq!(
            outcome(&ReadConditions { if_none_match: text("x"), if_modified_since: at(2000), ..none.clone() }),
            "ok"
        );
        assert_eq!(outcome(&ReadConditions { if_modified_since: at(1000), ..none.clone() }), "304");
        assert_eq!(outcome(&ReadConditions { if_modified_since: at(999), ..none.clone() }), "ok");
        assert_eq!(outcome(&ReadConditions { if_unmodified_since: at(999), ..none.clone() }), "If-Unmodified-Since");
        assert_eq!(outcome(&ReadConditions { if_match: text("abc"), if_unmodified_since: at(999), ..none }), "ok");
    }

    #[test]
    fn writes_create_only_or_replace_only() {
        let create = WriteConditions { if_none_match: Some("*".into()), if_match: None };
        assert!(create.check(None, "k").is_ok());
        assert!(matches!(create.check(Some(ETAG), "k"), Err(Error::PreconditionFailed { .. })));
        let replace = WriteConditions { if_match: Some(ETAG.into()), if_none_match: None };
        assert!(replace.check(Some(ETAG), "k").is_ok());
        assert!(matches!(replace.check(Some("\"other\""), "k"), Err(Error::PreconditionFailed { .. })));
        assert!(matches!(replace.check(None, "k"), Err(Error::NoSuchKey { .. })));
        let code = |conditions: &WriteConditions| Failure::from(conditions.check(Some(ETAG), "k").unwrap_err()).code;
        let odd = WriteConditions { if_none_match: Some("abc".into()), if_match: None };
        assert_eq!(code(&odd), "NotImplemented");
        let both = WriteConditions { if_none_match: Some("*".into()), if_match: Some(ETAG.into()) };
        assert_eq!(code(&both), "NotImplemented");
    }
}
