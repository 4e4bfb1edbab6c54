//! Static websites: which configurations are valid, and where a request leads.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteHosting.html>

use fractus_s3_api as api;

use crate::error::{Error, Result};

const MAX_ROUTING_RULES: usize = 50;

/// Checks a configuration before it is kept.
pub fn check(website: &api::WebsiteConfiguration) -> Result<()> {
    if let Some(target) = &website.redirect_all_requests_to {
        if website.index_document.is_some() || website.error_document.is_some() || website.routing_rules.is_some() {
            return Err(Error::invalid_request(
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
            ));
        }
        return check_protocol(target.protocol.as_ref());
    }
    let Some(index) = &website.index_document else {
        return Err(Error::invalid_argument(
            "IndexDocument",
            "null",
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
        ));
    };
    if index.suffix.is_empty() || index.suffix.contains('/') {
        let message = "The IndexDocument Suffix is not well formed";
        return Err(Error::invalid_argument("IndexDocument", index.suffix.clone(), message));
    }
    if let Some(document) = website.error_document.as_ref().filter(|document| document.key.is_empty()) {
        let message = "The ErrorDocument Key is not well formed";
        return Err(Error::invalid_argument("ErrorDocument", document.key.clone(), message));
    }
    let rules = website.routing_rules.as_deref().unwrap_or_default();
    if rules.len() > MAX_ROUTING_RULES {
        return Err(Error::invalid_request(format!(
            "{} routing rules provided, the number of routing rules in a website configuration is limited to {MAX_ROUTING_RULES}.",
            rules.len()
        )));
    }
    rules.iter().try_for_each(check_rule)
}

fn check_protocol(protocol: Option<&api::Protocol>) -> Result<()> {
    match protocol {
        Some(api::Protocol::Unknown(_)) => Err(Error::invalid_request(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.",
        )),
        _ => Ok(()),
    }
}

fn check_rule(rule: &api::RoutingRule) -> Result<()> {
    let redirect = &rule.redirect;
    check_protocol(redirect.protocol.as_ref())?;
    if redirect.replace_key_prefix_with.is_some() && redirect.replace_key_with.is_some() {
        return Err(Error::invalid_request("You can only define ReplaceKeyPrefix or ReplaceKey but not both."));
    }
    let is_code = |code: &str, low: u16, high: u16| code.parse::<u16>().is_ok_and(|code| (low..=high).contains(&code));
    if let Some(code) = redirect.http_redirect_code.as_deref().filter(|code| !is_code(code, 301, 399)) {
        return Err(Error::invalid_request(format!(
            "The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300."
        )));
    }
    let nothing = redirect.host_name.is_none()
        && redirect.protocol.is_none()
        && redirect.replace_key_prefix_with.is_none()
        && redirect.replace_key_with.is_none()
        && redirect.http_redirect_code.is_none();
    let Some(condition) = &rule.condition else { return if nothing { Err(Error::MalformedXml) } else { Ok(()) } };
    if condition.key_prefix_equals.is_none() && condition.http_error_code_returned_equals.is_none() {
        return Err(Error::invalid_request(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be present.",
        ));
    }
    match condition.http_error_code_returned_equals.as_deref().filter(|code| !is_code(code, 400, 599)) {
        Some(code) => Err(Error::invalid_request(format!(
            "The provided HTTP error code ({code}) is not valid. Valid codes are 4XX or 5XX."
        ))),
        None if nothing => Err(Error::MalformedXml),
        None => Ok(()),
    }
}

/// The key that a path means: a folder means its index.
pub fn key_of(path: &str, index: &str) -> String {
    if path.is_empty() || path.ends_with('/') { format!("{path}{index}") } else { path.to_owned() }
}

/// The rule for a key before anything is looked up (`error` absent), or after that has failed.
pub fn route<'r>(rules: &'r [api::RoutingRule], key: &str, error: Option<u16>) -> Option<&'r api::RoutingRule> {
    rules.iter().find(|rule| {
        let Some(condition) = &rule.condition else { return true };
        let prefix = condition.key_prefix_equals.as_deref().is_none_or(|prefix| key.starts_with(prefix));
        let wanted = condition.http_error_code_returned_equals.as_deref();
        prefix && wanted.is_none_or(|wanted| error.is_some_and(|error| wanted == error.to_string()))
    })
}

/// Where a rule leads: status and location. `scheme` and `host` are the request's own.
pub fn location(rule: &api::RoutingRule, key: &str, scheme: &str, host: &str) -> (u16, String) {
    let redirect = &rule.redirect;
    let prefix = rule.condition.as_ref().and_then(|condition| condition.key_prefix_equals.as_deref()).unwrap_or("");
    let target = match (&redirect.replace_key_with, &redirect.replace_key_prefix_with) {
        (Some(key), _) => verbatim(key),
        (None, Some(new)) => format!("{}{}", verbatim(new), encoded_path(key.strip_prefix(prefix).unwrap_or(key))),
        (None, None) => encoded_path(key),
    };
    let scheme = redirect.protocol.as_ref().map_or(scheme, api::Protocol::as_str);
    let host = redirect.host_name.as_deref().unwrap_or(host);
    let code = redirect.http_redirect_code.as_deref().and_then(|code| code.parse().ok()).unwrap_or(301);
    (code, format!("{scheme}://{host}/{target}"))
}

/// What a rule puts into a link stays as it is (`#!/`), as far as a header can carry it.
fn verbatim(text: &str) -> String {
    text.chars()
        .map(
            |c| {
                if c.is_ascii_graphic() { c.to_string() } else { fractus_sigv4::uri_encode(c.encode_utf8(&mut [0; 4])) }
            },
        )
        .collect()
}

/// A key as the path of a link.
pub fn encoded_path(key: &str) -> String {
    key.split('/').map(fractus_sigv4::uri_encode).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: Option<&str>, error: Option<&str>, redirect: api::Redirect) -> api::RoutingRule {
        let condition = api::Condition {
            key_prefix_equals: prefix.map(str::to_owned),
            http_error_code_returned_equals: error.map(str::to_owned),
        };
        api::RoutingRule { condition: Some(condition), redirect }
    }

    #[test]
    fn rules_lead_where_they_say() {
        let rules = [
            rule(
                Some("docs/"),
                None,
                api::Redirect { replace_key_prefix_with: Some("documents/".into()), ..Default::default() },
            ),
            rule(
                None,
                Some("404"),
                api::Redirect {
                    host_name: Some("example.com".into()),
                    replace_key_with: Some("gone.html".into()),
                    http_redirect_code: Some("302".into()),
                    ..Default::default()
                },
            ),
        ];
        let lead = |key: &str, error| route(&rules, key, error).map(|rule| location(rule, key, "http", "b.host"));
        assert_eq!(lead("docs/a b", None), Some((301, "http://b.host/documents/a%20b".into())));
        assert_eq!(lead("x", None), None);
        assert_eq!(lead("x", Some(404)), Some((302, "http://example.com/gone.html".into())));
        assert_eq!(lead("x", Some(403)), None);
        // The way of applications that read their path behind a hash.
        let hash = api::Redirect { replace_key_prefix_with: Some("#!/".into()), ..Default::default() };
        assert_eq!(location(&rule(None, Some("404"), hash), "a b", "http", "h"), (301, "http://h/#!/a%20b".into()));
    }

    #[test]
    fn folders_mean_their_index() {
        assert_eq!(key_of("", "index.html"), "index.html");
        assert_eq!(key_of("a/", "index.html"), "a/index.html");
        assert_eq!(key_of("a", "index.html"), "a");
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        assert!(check(&api::WebsiteConfiguration::default()).is_err());
        let index = |suffix: &str| api::WebsiteConfiguration {
            index_document: Some(api::IndexDocument { suffix: suffix.into() }),
            ..Default::default()
        };
        assert!(check(&index("index.html")).is_ok());
        assert!(check(&index("a/index.html")).is_err());
    }
}
