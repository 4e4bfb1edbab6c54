//! Filters of metrics and analytics: a prefix, a tag, or several of them together.

use fractus_s3_api as api;

/// What a filter asks of an object. Everything that it names must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub prefix: Option<String>,
    pub tags: Vec<(String, String)>,
    /// An access point that the request must have come through.
    pub access_point: Option<String>,
}

/// What a request or an object is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// None: the request is about the bucket.
    pub key: Option<&'a str>,
    pub tags: &'a [(String, String)],
    pub access_point: Option<&'a str>,
}

fn pair(tag: &api::Tag) -> (String, String) {
    (tag.key.clone(), tag.value.clone())
}

impl Filter {
    pub fn of_metrics(metrics: &api::MetricsConfiguration) -> Filter {
        let Some(filter) = &metrics.filter else { return Filter::default() };
        let and = filter.and.as_ref();
        let tags = and.and_then(|and| and.tags.as_deref()).unwrap_or_default();
        Filter {
            prefix: filter.prefix.clone().or_else(|| and.and_then(|and| and.prefix.clone())),
            tags: filter.tag.iter().chain(tags).map(pair).collect(),
            access_point: filter.access_point_arn.clone().or_else(|| and.and_then(|and| and.access_point_arn.clone())),
        }
    }

    pub fn of_analytics(analytics: &api::AnalyticsConfiguration) -> Filter {
        let Some(filter) = &analytics.filter else { return Filter::default() };
        let and = filter.and.as_ref();
        let tags = and.and_then(|and| and.tags.as_deref()).unwrap_or_default();
        Filter {
            prefix: filter.prefix.clone().or_else(|| and.and_then(|and| and.prefix.clone())),
            tags: filter.tag.iter().chain(tags).map(pair).collect(),
            access_point: None,
        }
    }

    pub fn takes(&self, subject: &Subject<'_>) -> bool {
        let begins = |prefix: &String| subject.key.is_some_and(|key| key.starts_with(prefix.as_str()));
        self.prefix.as_ref().is_none_or(begins)
            && self.tags.iter().all(|tag| subject.tags.contains(tag))
            && self.access_point.as_deref().is_none_or(|wanted| subject.access_point == Some(wanted))
    }

    /// The filter in one line: `logs/&class=blue`.
    pub fn text(&self) -> String {
        let tags = self.tags.iter().map(|(key, value)| format!("{key}={value}"));
        self.prefix.iter().cloned().chain(tags).collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_filter_names_must_hold() {
        let tags = [("class".to_owned(), "blue".to_owned())];
        let subject = Subject { key: Some("logs/a"), tags: &tags, access_point: None };
        let filter = |prefix: Option<&str>, tag: Option<(&str, &str)>| Filter {
            prefix: prefix.map(str::to_owned),
            tags: tag.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect(),
            access_point: None,
        };
        assert!(filter(None, None).takes(&subject) && filter(None, None).takes(&Subject::default()));
        assert!(filter(Some("logs/"), Some(("class", "blue"))).takes(&subject));
        assert!(!filter(Some("logs/"), Some(("class", "red"))).takes(&subject));
        assert!(!filter(Some("data/"), None).takes(&subject));
        assert!(!filter(Some(""), None).takes(&Subject::default()), "a request about the bucket has no key");
        assert_eq!(filter(Some("logs/"), Some(("class", "blue"))).text(), "logs/&class=blue");
    }
}
