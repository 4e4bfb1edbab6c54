//! What differs from run to run, taken out of a text before it is compared.

use fancy_regex::Regex;

/// A row of replacements, applied in order.
#[derive(Debug, Default)]
pub struct Filters {
    rules: Vec<(Regex, String)>,
}

impl Filters {
    /// None.
    pub fn none() -> Self {
        Filters::default()
    }

    /// UUIDs, key ids, times, epoch times, and ports of this machine.
    pub fn standard() -> Self {
        Filters::none()
            .with(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b", "[uuid]")
            .with(r"\b(AKIA|ASIA|AIDA|AROA)[A-Z2-7]{16}\b", "[$1]")
            .with(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "[time]")
            .with(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "[time]")
            .with(r"\b\d{8}T\d{6}Z\b", "[time]")
            .with(r"(?<![\d.])1[5-9]\d{8}(\d{3}|\.\d+)?(?![\d.])", "[epoch]")
            .with(r"(127\.0\.0\.1|localhost|\[::1\]):\d{2,5}\b", "$1:[port]")
    }

    /// One more replacement; `$1` is the first group.
    ///
    /// # Panics
    /// When the pattern is none.
    #[must_use]
    pub fn with(mut self, pattern: &str, replacement: &str) -> Self {
        self.rules.push((Regex::new(pattern).expect("a pattern"), replacement.to_owned()));
        self
    }

    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (pattern, replacement) in &self.rules {
            text = pattern.replace_all(&text, replacement.as_str()).into_owned();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_taken_out() {
        let text = r#"{"Id":"0e7f7d5a-0f0e-4c9d-9d0a-3e1d2c4b5a69","At":"2026-01-02T03:04:05.123Z","Epoch":1767323045.5,
            "Sent":"1767323045123","Key":"ASIAQWERTYUIOPASDFGH","Url":"http://localhost:41234/000000000000/q","Size":1048576}"#;
        let filtered = Filters::standard().apply(text);
        assert_eq!(
            filtered,
            r#"{"Id":"[uuid]","At":"[time]","Epoch":[epoch],
            "Sent":"[epoch]","Key":"[ASIA]","Url":"http://localhost:[port]/000000000000/q","Size":1048576}"#
        );
    }
}
