//! Which buckets a configuration is about, and which objects are of a group.

use fractus_clock::Timestamp;
use fractus_s3control_api as api;

use crate::store::Object;

/// A group of objects, whose own metrics are wanted.
pub struct Group {
    pub arn: String,
    pub filter: api::StorageLensGroupFilter,
}

/// Whether a filter's conditions hold for an object: each that is said, or one of them.
pub fn holds(filter: &api::StorageLensGroupFilter, key: &str, object: &Object, now: Timestamp) -> bool {
    let conditions = |prefix: &Option<Vec<String>>,
                      suffix: &Option<Vec<String>>,
                      tags: &Option<Vec<api::S3Tag>>,
                      age: &Option<api::MatchObjectAge>,
                      size: &Option<api::MatchObjectSize>| {
        let has = |tag: &api::S3Tag| object.tags.iter().any(|(key, value)| *key == tag.key && *value == tag.value);
        let days = i64::try_from(now.since(object.last_modified).as_secs() / 86_400).unwrap_or(i64::MAX);
        let bytes = i64::try_from(object.size).unwrap_or(i64::MAX);
        let within = |value: i64, above: Option<i64>, below: Option<i64>| {
            above.is_none_or(|above| value > above) && below.is_none_or(|below| value < below)
        };
        let said = [
            prefix.as_ref().map(|list| list.iter().any(|prefix| key.starts_with(prefix.as_str()))),
            suffix.as_ref().map(|list| list.iter().any(|suffix| key.ends_with(suffix.as_str()))),
            tags.as_ref().map(|list| list.iter().any(has)),
            age.as_ref()
                .map(|age| within(days, age.days_greater_than.map(i64::from), age.days_less_than.map(i64::from))),
            size.as_ref().map(|size| within(bytes, size.bytes_greater_than, size.bytes_less_than)),
        ];
        said.into_iter().flatten().collect::<Vec<bool>>()
    };
    if let Some(or) = &filter.or {
        return conditions(
            &or.match_any_prefix,
            &or.match_any_suffix,
            &or.match_any_tag,
            &or.match_object_age,
            &or.match_object_size,
        )
        .contains(&true);
    }
    let and = filter.and.clone().unwrap_or_else(|| api::StorageLensGroupAndOperator {
        match_any_prefix: filter.match_any_prefix.clone(),
        match_any_suffix: filter.match_any_suffix.clone(),
        match_any_tag: filter.match_any_tag.clone(),
        match_object_age: filter.match_object_age.clone(),
        match_object_size: filter.match_object_size.clone(),
    });
    conditions(
        &and.match_any_prefix,
        &and.match_any_suffix,
        &and.match_any_tag,
        &and.match_object_age,
        &and.match_object_size,
    )
    .into_iter()
    .all(|holds| holds)
}

/// Whether a configuration is about a bucket.
pub fn covers(configuration: &api::StorageLensConfiguration, arn: &str, region: &str) -> bool {
    let named =
        |list: &Option<Vec<String>>, name: &str| list.as_ref().is_some_and(|list| list.iter().any(|one| one == name));
    let empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if let Some(include) = &configuration.include {
        return (empty(&include.buckets) || named(&include.buckets, arn))
            && (empty(&include.regions) || named(&include.regions, region));
    }
    configuration
        .exclude
        .as_ref()
        .is_none_or(|exclude| !named(&exclude.buckets, arn) && !named(&exclude.regions, region))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> api::StorageLensConfiguration {
        api::StorageLensConfiguration::default()
    }

    #[test]
    fn buckets_are_included_or_excluded() {
        let (arn, region) = ("arn:aws:s3:::b", "eu-west-1");
        assert!(covers(&configuration(), arn, region));
        let list = |name: &str| Some(vec![name.to_owned()]);
        let mut only = configuration();
        only.include = Some(api::Include { buckets: list(arn), regions: None });
        assert!(covers(&only, arn, region) && !covers(&only, "arn:aws:s3:::c", region));
        let mut without = configuration();
        without.exclude = Some(api::Exclude { buckets: None, regions: list(region) });
        assert!(!covers(&without, arn, region) && covers(&without, arn, "us-east-1"));
    }
}
