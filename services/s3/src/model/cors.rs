//! Cross-origin rules: which are valid, and which one a request falls under.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html>

use fractus_s3_api as api;

use crate::error::{Error, Result};

const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];
const MAX_RULES: usize = 100;
const MAX_ID_CHARACTERS: usize = 255;

/// Checks a configuration before it is kept.
pub fn check(rules: &[api::CORSRule]) -> Result<()> {
    if rules.is_empty() || rules.len() > MAX_RULES {
        return Err(Error::MalformedXml);
    }
    for rule in rules {
        if rule.id.as_ref().is_some_and(|id| id.chars().count() > MAX_ID_CHARACTERS) {
            let message = "ID length should not exceed allowed limit of 255";
            return Err(Error::invalid_argument("ID", "", message));
        }
        if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
            return Err(Error::MalformedXml);
        }
        if let Some(method) = rule.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(Error::invalid_request(format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )));
        }
        if let Some(origin) = rule.allowed_origins.iter().find(|origin| has_two_wildcards(origin)) {
            return Err(Error::invalid_request(format!(
                "AllowedOrigin \"{origin}\" can not have more than one wildcard."
            )));
        }
        let mut headers = rule.allowed_headers.iter().flatten();
        if let Some(header) = headers.find(|header| has_two_wildcards(header)) {
            return Err(Error::invalid_request(format!(
                "AllowedHeader \"{header}\" can not have more than one wildcard."
            )));
        }
        if let Some(header) = rule.expose_headers.iter().flatten().find(|header| header.contains('*')) {
            return Err(Error::invalid_request(format!(
                "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader"
            )));
        }
    }
    Ok(())
}

fn has_two_wildcards(text: &str) -> bool {
    text.matches('*').count() > 1
}

/// What a browser tells.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    pub origin: &'a str,
    pub method: &'a str,
    /// `Access-Control-Request-Headers`: names, in a preflight.
    pub headers: Vec<&'a str>,
}

/// The first rule that allows what is asked.
pub fn find<'r>(rules: &'r [api::CORSRule], asked: &Asked<'_>) -> Option<&'r api::CORSRule> {
    rules.iter().find(|rule| {
        rule.allowed_origins.iter().any(|pattern| matches(pattern, asked.origin, false))
            && rule.allowed_methods.iter().any(|method| method == asked.method)
            && asked
                .headers
                .iter()
                .all(|name| rule.allowed_headers.iter().flatten().any(|pattern| matches(pattern, name, true)))
    })
}

/// Whether the text fits a pattern with at most one `*`.
fn matches(pattern: &str, text: &str, ignore_case: bool) -> bool {
    if ignore_case {
        return matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase(), false);
    }
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    }
}

/// The headers by which an answer tells a browser what the rule allows.
pub fn headers(rule: &api::CORSRule, asked: &Asked<'_>) -> Vec<(&'static str, String)> {
    let everyone = rule.allowed_origins.iter().any(|origin| origin == "*");
    let mut headers = vec![
        ("access-control-allow-origin", if everyone { "*".to_owned() } else { asked.origin.to_owned() }),
        ("access-control-allow-methods", rule.allowed_methods.join(", ")),
    ];
    if !asked.headers.is_empty() {
        headers.push(("access-control-allow-headers", asked.headers.join(", ").to_ascii_lowercase()));
    }
    if let Some(exposed) = rule.expose_headers.as_ref().filter(|exposed| !exposed.is_empty()) {
        headers.push(("access-control-expose-headers", exposed.join(", ")));
    }
    if let Some(seconds) = rule.max_age_seconds {
        headers.push(("access-control-max-age", seconds.to_string()));
    }
    if !everyone {
        headers.push(("access-control-allow-credentials", "true".to_owned()));
    }
    headers.push(("vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method".to_owned()));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origins: &[&str], methods: &[&str], headers: &[&str]) -> api::CORSRule {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        api::CORSRule {
            allowed_origins: texts(origins),
            allowed_methods: texts(methods),
            allowed_headers: Some(texts(headers)),
            ..Default::default()
        }
    }

    #[test]
    fn the_first_rule_that_fits_wins() {
        let rules =
            [rule(&["http://a.example"], &["PUT"], &["x-amz-*"]), rule(&["http://*.example"], &["PUT", "GET"], &["*"])];
        let at = |origin: &str, method: &str, headers: &[&str]| {
            let asked = Asked { origin, method, headers: headers.to_vec() };
            find(&rules, &asked).and_then(|found| rules.iter().position(|rule| rule == found))
        };
        assert_eq!(at("http://a.example", "PUT", &["X-Amz-Date"]), Some(0));
        assert_eq!(at("http://a.example", "PUT", &["content-type"]), Some(1));
        assert_eq!(at("http://a.example", "GET", &[]), Some(1));
        assert_eq!(at("https://a.example", "GET", &[]), None);
        assert_eq!(at("http://.example", "DELETE", &[]), None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(check(&[]).is_err());
        assert!(check(&[rule(&["*"], &["GET"], &["*"])]).is_ok());
        assert!(check(&[rule(&["*.*"], &["GET"], &[])]).is_err());
        let refused = check(&[rule(&["*"], &["PATCH"], &[])]).unwrap_err().to_string();
        assert_eq!(refused, "Found unsupported HTTP method in CORS config. Unsupported method is PATCH");
        let named = |length| api::CORSRule { id: Some("x".repeat(length)), ..rule(&["*"], &["GET"], &[]) };
        assert!(check(&[named(255)]).is_ok() && check(&[named(256)]).is_err());
    }
}
