//! What a configuration's or a group's parts say of each other, in the words of AWS's list.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#S3LensErrorCodeList>

use std::collections::HashSet;

use fractus_aws::Region;
use fractus_host::Context;
use fractus_s3control_api as api;

use super::{DEFAULT, arn, is_home};
use crate::control::errors::refused;
use crate::error::Result;

/// The most buckets, regions or groups that a configuration names, and how deep its prefixes go.
const MAX_NAMED: usize = 50;
const DEPTHS: std::ops::RangeInclusive<i32> = 1..=10;
const PERCENTAGES: std::ops::RangeInclusive<f64> = 1.0..=100.0;
/// The most prefixes, suffixes or tags of a group, and how long they are.
const MAX_ELEMENTS: usize = 10;
const MAX_TEXT: usize = 1_024;
const MAX_OBJECT_BYTES: i64 = 50 << 40;

fn flaw<T>(code: &'static str, message: &str) -> Result<T> {
    Err(refused(code, 400, message))
}

pub fn check(cx: &Context, id: &str, configuration: &api::StorageLensConfiguration) -> Result<()> {
    if configuration.id != id {
        return flaw("InvalidConfigId", "The configuration ID is not valid.");
    }
    let own = arn(cx, "storage-lens", id);
    if configuration.storage_lens_arn.as_ref().is_some_and(|named| *named != own) {
        return flaw("InvalidStorageLensArn", "The S3 Storage Lens ARN is not required in input.");
    }
    if id == DEFAULT {
        check_default(is_home(cx), configuration)?;
    }
    if configuration.aws_org.is_some() {
        let message = "This account is not part of your organization.";
        return Err(refused("AWSOrganizationsNotInUseException", 403, message));
    }
    check_scope(configuration)?;
    check_levels(&configuration.account_level)?;
    if let Some(level) = &configuration.account_level.storage_lens_group_level {
        check_groups(cx.world.account.as_str(), level)?;
    }
    check_delimiters(configuration)?;
    let (export, expanded) = (&configuration.data_export, &configuration.expanded_prefixes_data_export);
    let buckets = [
        export.as_ref().and_then(|export| export.s3_bucket_destination.as_ref()),
        expanded.as_ref().and_then(|export| export.s3_bucket_destination.as_ref()),
    ];
    let tables = [
        export.as_ref().and_then(|export| export.storage_lens_table_destination.as_ref()),
        expanded.as_ref().and_then(|export| export.storage_lens_table_destination.as_ref()),
    ];
    buckets.into_iter().flatten().try_for_each(check_destination)?;
    tables.into_iter().flatten().try_for_each(|table| check_encryption(table.encryption.as_ref(), false))
}

/// Both reports part keys alike. AWS does not publish how it says so.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_StorageLensConfiguration.html>
fn check_delimiters(configuration: &api::StorageLensConfiguration) -> Result<()> {
    let level = configuration.account_level.bucket_level.prefix_level.as_ref();
    let criteria = level.and_then(|level| level.storage_metrics.selection_criteria.as_ref());
    let own = criteria.and_then(|criteria| criteria.delimiter.as_ref());
    match (&configuration.prefix_delimiter, own) {
        (Some(of_all), Some(own)) if of_all != own => {
            let message = "The prefix delimiter and the delimiter of the selection criteria must be the same.";
            flaw("InvalidRequest", message)
        }
        _ => Ok(()),
    }
}

/// The default dashboard is of everything.
fn check_default(is_home: bool, configuration: &api::StorageLensConfiguration) -> Result<()> {
    if !is_home {
        let message = "The specified Region is not supported for default configuration.";
        return flaw("InvalidRegionForDefaultConfiguration", message);
    }
    if configuration.aws_org.is_some() {
        let message = "The default configuration does not support organization-level metrics.";
        return flaw("InvalidOrganizationForDefaultConfiguration", message);
    }
    if configuration.include.is_some() || configuration.exclude.is_some() {
        let message = "The default configuration must not include any filters.";
        return flaw("InvalidFilterForDefaultConfiguration", message);
    }
    Ok(())
}

/// Which buckets and regions a configuration is about.
fn check_scope(configuration: &api::StorageLensConfiguration) -> Result<()> {
    let include = configuration.include.as_ref().map(|include| (&include.buckets, &include.regions));
    let exclude = configuration.exclude.as_ref().map(|exclude| (&exclude.buckets, &exclude.regions));
    if include.is_some() && exclude.is_some() {
        let message = "You can specify either an Include container or an Exclude container in a configuration. You \
                       cannot specify both in a configuration.";
        return flaw("InvalidIncludeExcludeContainers", message);
    }
    let includes = include.is_some();
    let Some((buckets, regions)) = include.or(exclude) else { return Ok(()) };
    let (code, name) =
        if includes { ("EmptyIncludeContainer", "include") } else { ("EmptyExcludeContainer", "exclude") };
    let empty = |list: &Option<Vec<String>>| list.as_ref().is_some_and(Vec::is_empty);
    if buckets.is_none() && regions.is_none() {
        return flaw(code, &format!("The {name} container cannot be empty."));
    }
    if empty(buckets) {
        return flaw(code, &format!("The {name} container cannot have zero buckets."));
    }
    if empty(regions) {
        return flaw(code, &format!("The {name} container cannot have zero Regions."));
    }
    let more = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| list.len() > MAX_NAMED);
    if more(buckets) {
        return flaw("TooManyBuckets", "The buckets container cannot have more than 50 buckets.");
    }
    if more(regions) {
        return flaw("TooManyRegions", "The Regions container cannot have more than 50 Regions.");
    }
    if regions.iter().flatten().any(|region| Region::new(region).is_err()) {
        return flaw("InvalidRegionName", "The Region name is not valid.");
    }
    Ok(())
}

/// What is measured at which level.
fn check_levels(level: &api::AccountLevel) -> Result<()> {
    let is_enabled =
        |metrics: &Option<api::ActivityMetrics>| metrics.as_ref().and_then(|one| one.is_enabled) == Some(true);
    match (is_enabled(&level.activity_metrics), is_enabled(&level.bucket_level.activity_metrics)) {
        (false, true) => {
            let message = "Activity metrics must be enabled at the account level when activity metrics are enabled at the \
                           bucket level.";
            return flaw("MissingAccountLevelActivityMetrics", message);
        }
        (true, false) => {
            let message = "Activity metrics must be enabled at the bucket level when activity metrics are enabled at the \
                           account level.";
            return flaw("MissingBucketLevelActivityMetrics", message);
        }
        _ => {}
    }
    let Some(prefixes) = &level.bucket_level.prefix_level else { return Ok(()) };
    if prefixes.storage_metrics.is_enabled != Some(true) {
        return flaw("StorageMetricsMustEnabled", "Prefix-level storage metrics must be enabled.");
    }
    let criteria = prefixes.storage_metrics.selection_criteria.as_ref();
    if criteria.and_then(|criteria| criteria.max_depth).is_some_and(|depth| !DEPTHS.contains(&depth)) {
        return flaw("InvalidMaximumPrefixDepth", "`MaxDepth` must be within the range [1,10].");
    }
    let share = criteria.and_then(|criteria| criteria.min_storage_bytes_percentage);
    if share.is_some_and(|share| !PERCENTAGES.contains(&share)) {
        let message = "`MinStorageBytesPercentage` must be within the range [1.00,100.00].";
        return flaw("InvalidMinimumStorageBytesPercentage", message);
    }
    Ok(())
}

/// Which groups a configuration reports.
fn check_groups(account: &str, level: &api::StorageLensGroupLevel) -> Result<()> {
    let Some(criteria) = &level.selection_criteria else { return Ok(()) };
    let (named, code, name) = match (&criteria.include, &criteria.exclude) {
        (Some(named), None) => (named, "EmptyIncludeElement", "Include"),
        (None, Some(named)) => (named, "EmptyExcludeElement", "Exclude"),
        _ => {
            let message = "Only one Include or Exclude element is allowed. At least one Include or Exclude element must \
                           be present.";
            return flaw("InvalidIncludeExcludeElements", message);
        }
    };
    if named.is_empty() {
        return flaw(code, &format!("You must specify a Storage Lens group with your {name} element."));
    }
    if named.len() > MAX_NAMED {
        let message = "You can't attach more than 50 Storage Lens groups to your Storage Lens dashboard.";
        return flaw("TooManyStorageLensGroups", message);
    }
    let mut seen = HashSet::new();
    if !named.iter().all(|arn| seen.insert(arn)) {
        let message = "There are two or more entries of the same Storage Lens group ARN in this configuration.";
        return flaw("DuplicateStorageLensGroupARN", message);
    }
    let is_own = |arn: &String| arn.contains(&format!(":{account}:storage-lens-group/"));
    if !named.iter().all(is_own) {
        let message =
            "This Storage Lens group ARN isn't valid or only Storage Lens groups in your account are allowed.";
        return flaw("InvalidStorageLensGroupARN", message);
    }
    Ok(())
}

fn check_destination(export: &api::S3BucketDestination) -> Result<()> {
    if !export.arn.contains(":s3:::") || export.arn.ends_with(':') {
        return flaw("InvalidDestination", "The S3 bucket ARN is malformed.");
    }
    check_encryption(export.encryption.as_ref(), true)
}

fn check_encryption(encryption: Option<&api::StorageLensDataExportEncryption>, needs_method: bool) -> Result<()> {
    match encryption.map(|encryption| (encryption.sses3.is_some(), &encryption.ssekms)) {
        Some((true, Some(_))) => flaw("InvalidEncryptionMethod", "Only one encryption method can be specified."),
        Some((false, None)) if needs_method => {
            let message = "The encryption method cannot be blank. Specify either `SSE-KMS` or `SSE-S3`.";
            flaw("MissingEncryptionMethod", message)
        }
        Some((_, Some(kms))) if !kms.key_id.contains(":kms:") => {
            flaw("InvalidKMSEncryptionKeyId", "The KMS key ID ARN is not valid.")
        }
        _ => Ok(()),
    }
}

/// The conditions of a filter, or of one of its operators.
struct Conditions<'a> {
    prefixes: Option<&'a Vec<String>>,
    suffixes: Option<&'a Vec<String>>,
    tags: Option<&'a Vec<api::S3Tag>>,
    age: Option<&'a api::MatchObjectAge>,
    size: Option<&'a api::MatchObjectSize>,
}

macro_rules! conditions {
    ($of:expr) => {
        Conditions {
            prefixes: $of.match_any_prefix.as_ref(),
            suffixes: $of.match_any_suffix.as_ref(),
            tags: $of.match_any_tag.as_ref(),
            age: $of.match_object_age.as_ref(),
            size: $of.match_object_size.as_ref(),
        }
    };
}

/// A filter says one thing, or several by And or by Or.
pub fn check_group(name: &str, group: &api::StorageLensGroup) -> Result<()> {
    if group.name != name {
        return flaw("MismatchedName", "The name specified in the request doesn't match the Storage Lens group name.");
    }
    let filter = &group.filter;
    let own = conditions!(filter);
    let and = filter.and.as_ref().map(|and| conditions!(and));
    let or = filter.or.as_ref().map(|or| conditions!(or));
    if own.count() + usize::from(and.is_some()) + usize::from(or.is_some()) != 1 {
        let message = "A filter must include one of the following elements: `And`, `Or`, `MatchAnyTag`, \
                       `MatchAnyPrefix`, `MatchAnySuffix`, `MatchObjectAge`, `MatchObjectSize`.";
        return flaw("InvalidFilter", message);
    }
    let Some(operator) = and.or(or) else { return own.check() };
    if operator.count() < 2 {
        let message = "At least two sub elements must be present in the logical operators `And` or `Or`.";
        return flaw("InvalidLogicalOperator", message);
    }
    operator.check()
}

impl Conditions<'_> {
    fn count(&self) -> usize {
        [self.prefixes.is_some(), self.suffixes.is_some(), self.tags.is_some(), self.age.is_some(), self.size.is_some()]
            .into_iter()
            .filter(|is_said| *is_said)
            .count()
    }

    fn check(&self) -> Result<()> {
        check_texts(self.prefixes, "InvalidMatchAnyPrefix", "MatchAnyPrefix", "InvalidPrefix", "prefix")?;
        check_texts(self.suffixes, "InvalidMatchAnySuffix", "MatchAnySuffix", "InvalidSuffix", "suffix")?;
        self.tags.map_or(Ok(()), |tags| check_tags(tags))?;
        if let Some(age) = self.age {
            let (above, below) = (age.days_greater_than.map(i64::from), age.days_less_than.map(i64::from));
            let negative = "`DaysLessThan` and `DaysGreaterThan` must be positive numbers.";
            check_bounds((above, below), ("InvalidMatchObjectAge", "MatchObjectAge"), ("InvalidAge", negative))?;
        }
        if let Some(size) = self.size {
            let (above, below) = (size.bytes_greater_than, size.bytes_less_than);
            let wrong = "`BytesLessThan` and `BytesGreaterThan` must be positive numbers. The maximum object size can't \
                         exceed 50 TB. The minimum object size can't be greater than or equal to 50 TB.";
            check_bounds((above, below), ("InvalidMatchObjectSize", "MatchObjectSize"), ("InvalidSize", wrong))?;
            if below.is_some_and(|below| below > MAX_OBJECT_BYTES)
                || above.is_some_and(|above| above >= MAX_OBJECT_BYTES)
            {
                return flaw("InvalidSize", wrong);
            }
        }
        Ok(())
    }
}

fn too_many_elements<T>() -> Result<T> {
    let message = "The `Element` exceeds the maximum number of elements allowed within a logical operator. Only 10 \
                   prefixes, suffixes, or tags are allowed.";
    flaw("TooManyElements", message)
}

fn check_texts(
    texts: Option<&Vec<String>>,
    empty: &'static str,
    parameter: &str,
    invalid: &'static str,
    what: &str,
) -> Result<()> {
    let Some(texts) = texts else { return Ok(()) };
    if texts.is_empty() {
        return flaw(empty, &format!("The `{parameter}` parameter can't be empty."));
    }
    if texts.len() > MAX_ELEMENTS {
        return too_many_elements();
    }
    if texts.iter().any(|text| text.is_empty() || text.len() > MAX_TEXT) {
        let message = format!("The maximum length of a {what} is 1,024 characters. The {what} string can't be empty.");
        return flaw(invalid, &message);
    }
    let mut seen = HashSet::new();
    if !texts.iter().all(|text| seen.insert(text)) {
        return flaw("DuplicateElement", "Logical operator includes duplicate prefixes or suffixes.");
    }
    Ok(())
}

fn check_tags(tags: &[api::S3Tag]) -> Result<()> {
    if tags.is_empty() {
        return flaw("InvalidMatchAnyTag", "The `MatchAnyTag` parameter can't be empty.");
    }
    if tags.len() > MAX_ELEMENTS {
        return too_many_elements();
    }
    let length = |text: &str| text.chars().count();
    if tags.iter().any(|tag| tag.key.is_empty() || length(&tag.key) > 128 || length(&tag.value) > 256) {
        let message = "The object tag key can't exceed 128 characters. The object tag key string can't be null or empty. \
                       The maximum length of a tag value is 256 characters.";
        return flaw("InvalidTag", message);
    }
    let mut seen = HashSet::new();
    if !tags.iter().all(|tag| seen.insert((&tag.key, &tag.value))) {
        return flaw("DuplicateElement", "Tags must be unique.");
    }
    Ok(())
}

/// Bounds of an age or a size.
fn check_bounds(
    (above, below): (Option<i64>, Option<i64>),
    (empty, parameter): (&'static str, &str),
    (invalid, negative): (&'static str, &str),
) -> Result<()> {
    if above.is_none() && below.is_none() {
        return flaw(empty, &format!("The `{parameter}` parameter can't be empty."));
    }
    if above.is_some_and(|above| above < 0) || below.is_some_and(|below| below <= 0) {
        return flaw(invalid, negative);
    }
    if let (Some(above), Some(below)) = (above, below)
        && above >= below
    {
        return flaw("InvalidNumericCombination", "This object age or object size combination isn't valid.");
    }
    Ok(())
}
