//! The parts of a request to an API destination: path, query, headers and body, from what the target and the connection
//! say.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::json::push_string;

/// What may stand in a path segment, a query or a form as it is (RFC 3986's unreserved characters).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub type Pairs = Vec<(String, String)>;

/// What is added to a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    pub path: Vec<String>,
    pub query: Pairs,
    pub headers: Pairs,
    pub body: Pairs,
}

impl Parameters {
    /// A target's `HttpParameters`.
    pub fn of_target(given: &Value) -> Self {
        let map = |name: &str| {
            let pairs = given.get(name).and_then(Value::as_object).into_iter().flatten();
            pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        let path = given.get("PathParameterValues").and_then(Value::as_array).into_iter().flatten();
        Parameters {
            path: path.filter_map(|value| Some(value.as_str()?.to_owned())).collect(),
            query: map("QueryStringParameters"),
            headers: map("HeaderParameters"),
            body: Pairs::new(),
        }
    }

    /// A connection's `InvocationHttpParameters` or `OAuthHttpParameters`.
    pub fn of_connection(given: Option<&Value>) -> Self {
        let list = |name: &str| {
            let list = given.and_then(|given| given.get(name)).and_then(Value::as_array).into_iter().flatten();
            let text = |parameter: &Value, name: &str| parameter.get(name).and_then(Value::as_str).map(str::to_owned);
            list.filter_map(|parameter| Some((text(parameter, "Key")?, text(parameter, "Value").unwrap_or_default())))
                .collect()
        };
        Parameters {
            path: Vec::new(),
            query: list("QueryStringParameters"),
            headers: list("HeaderParameters"),
            body: list("BodyParameters"),
        }
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Puts the values in the place of the stars of the URL, one after the other; stars without a value stay.
pub fn fill_path(url: &str, values: &[String]) -> String {
    let mut values = values.iter();
    let mut out = String::with_capacity(url.len());
    for c in url.chars() {
        match (c, if c == '*' { values.next() } else { None }) {
            (_, Some(value)) => out.push_str(&escaped(value)),
            (c, None) => out.push(c),
        }
    }
    out
}

/// Adds query parameters to what the URL has; a later one takes the place of an earlier one of its name.
pub fn with_query(url: &str, added: &[&[(String, String)]]) -> String {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, value) in added.iter().flat_map(|list| list.iter()) {
        pairs.retain(|(known, _)| known != name);
        pairs.push((name, value));
    }
    let mut out = url.to_owned();
    for (name, value) in pairs {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(&escaped(name));
        out.push('=');
        out.push_str(&escaped(value));
    }
    out
}

/// `a=b&c=d`.
pub fn form(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

/// Adds members to a body that is a JSON object; any other body stays as it is.
pub fn with_body(body: &str, added: &[(String, String)]) -> String {
    let Some(open) = body.trim_end().strip_suffix('}').filter(|_| body.trim_start().starts_with('{')) else {
        return body.to_owned();
    };
    let mut out = open.to_owned();
    let mut is_first = open.trim() == "{";
    for (name, value) in added {
        if !std::mem::take(&mut is_first) {
            out.push(',');
        }
        push_string(&mut out, name);
        out.push(':');
        push_string(&mut out, value);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Pairs {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn parameters_are_read_from_both_sides() {
        let target = Parameters::of_target(&json!({
            "PathParameterValues": ["a"], "HeaderParameters": {"h": "1"}, "QueryStringParameters": {"q": "2"},
        }));
        assert_eq!(
            (target.path, target.headers, target.query),
            (vec!["a".to_owned()], pairs(&[("h", "1")]), pairs(&[("q", "2")]))
        );
        let own = Parameters::of_connection(Some(&json!({
            "BodyParameters": [{"Key": "b", "Value": "3", "IsValueSecret": true}],
        })));
        assert_eq!(own.body, pairs(&[("b", "3")]));
        assert_eq!(Parameters::of_connection(None), Parameters::default());
    }

    #[test]
    fn urls_are_filled() {
        assert_eq!(fill_path("https://e/*/x/*", &["a/b".into(), "c d".into()]), "https://e/a%2Fb/x/c%20d");
        assert_eq!(fill_path("https://e/*", &[]), "https://e/*");
        let (one, two) = (pairs(&[("a", "1"), ("b", "x y")]), pairs(&[("a", "2")]));
        assert_eq!(with_query("https://e/p?z=0", &[&one, &two]), "https://e/p?z=0&b=x%20y&a=2");
        assert_eq!(
            form(&pairs(&[("grant_type", "client_credentials"), ("s", "a&b")])),
            "grant_type=client_credentials&s=a%26b"
        );
    }

    #[test]
    fn bodies_take_members() {
        let added = pairs(&[("k", "v\"")]);
        assert_eq!(with_body("{\"a\":1}", &added), "{\"a\":1,\"k\":\"v\\\"\"}");
        assert_eq!(with_body("{}", &added), "{\"k\":\"v\\\"\"}");
        assert_eq!(with_body("\"text\"", &added), "\"text\"");
        assert_eq!(with_body("{\"a\":1}", &[]), "{\"a\":1}");
    }
}
