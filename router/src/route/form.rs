//! The Query protocol's Version and Action.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::tables;

/// How much of a form body is looked at. Clients write Action and Version first.
pub const MAX_FORM_PEEK_BYTES: usize = 64 * 1024;

/// What the beginning of a form body says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    version: Option<String>,
    action: Option<String>,
}

impl Form {
    /// The service that has this version, or this action of no version that is known.
    pub fn service(&self) -> Option<&'static str> {
        let by_version = self.version.as_deref().and_then(tables::service_of_version);
        by_version.or_else(|| self.action.as_deref().and_then(tables::service_of_action))
    }

    /// Whether more of the body could change the answer.
    pub fn is_decided(&self) -> bool {
        self.version.is_some() && self.action.is_some()
    }
}

/// Reads Version and Action from the beginning of a form; `whole` says whether `body` is all of it, since the last
/// pair of a part may be cut short.
pub fn read_form(body: &[u8], whole: bool) -> Form {
    let body = &body[..body.len().min(MAX_FORM_PEEK_BYTES)];
    let complete = if whole { body.len() } else { memchr::memrchr(b'&', body).unwrap_or(0) };
    // Bytes after the first bad one cannot be part of a name that is looked for.
    let text = match std::str::from_utf8(&body[..complete]) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or(""),
    };
    read_pairs(text)
}

/// The service of a Query request whose parameters stand in the URL.
pub fn service_of_query(query: &str) -> Option<&'static str> {
    if !query.contains("Action=") {
        return None;
    }
    let form = read_pairs(query);
    if form.action.is_some() { form.service() } else { None }
}

fn read_pairs(text: &str) -> Form {
    let mut form = Form::default();
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "Version" if form.version.is_none() => form.version = Some(decode(value)),
            "Action" if form.action.is_none() => form.action = Some(decode(value)),
            _ => {}
        }
        if form.is_decided() {
            break;
        }
    }
    form
}

fn decode(value: &str) -> String {
    let decoded: Cow<'_, str> = percent_decode_str(value).decode_utf8_lossy();
    decoded.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_pair_is_not_read() {
        assert!(!read_form(b"Action=GetCallerIdentity&Version=2011-06", false).is_decided());
        assert_eq!(read_form(b"Action=GetCallerIdentity&Version=2011-06-15", true).service(), Some("sts"));
        assert_eq!(read_form(b"Action=GetCallerIdentity&Version=2011-06-15&x=", false).service(), Some("sts"));
    }

    proptest::proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(proptest::num::u8::ANY, 0..300), whole: bool) {
            let _ = read_form(&body, whole).service();
        }
    }
}
