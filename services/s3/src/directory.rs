//! Directory buckets: buckets of one zone, whose names say which, and what they do without.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-overview.html>

use fractus_aws::{Lane, Partition, World};
use fractus_bus::contracts::Credential;
use fractus_host::access_key::account_of_access_key_id;
use fractus_s3_api as api;
use fractus_store::{Collection, Scope};
use fractus_wire::Failure;
use http::request::Parts;
use http::{Method, Uri};

use crate::addressing;
use crate::error::{Error, Result};
use crate::service::S3;

/// What names of directory buckets end with.
pub const SUFFIX: &str = "--x-s3";
/// The one storage class of what lies in them.
pub const STORAGE_CLASS: &str = "EXPRESS_ONEZONE";

/// Sessions by their access key ids, until they end.
pub const SESSIONS: Collection<(String,), Credential> = Collection::new("directory-sessions");

pub fn is_directory(bucket: &str) -> bool {
    bucket.ends_with(SUFFIX)
}

/// The zone that a name says: `use1-az4` of `base--use1-az4--x-s3`.
pub fn zone_of(name: &str) -> Option<&str> {
    let (base, zone) = name.strip_suffix(SUFFIX)?.rsplit_once("--")?;
    (!base.is_empty() && !zone.is_empty()).then_some(zone)
}

fn invalid_name(name: &str) -> Error {
    Error::InvalidBucketName { bucket: name.to_owned() }
}

/// Whether a new bucket is a directory, and whether its name and configuration agree about it.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-bucket-naming-rules.html>
pub fn check_new(name: &str, configuration: &api::CreateBucketConfiguration) -> Result<bool> {
    let info = configuration.bucket.as_ref();
    let wants_one = info.is_some() || configuration.location.is_some();
    if !is_directory(name) {
        return if wants_one { Err(invalid_name(name)) } else { Ok(false) };
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let bytes = name.bytes();
    if !(3..=63).contains(&name.len()) || !bytes.clone().all(allowed) || !edge(bytes.clone().next()) {
        return Err(invalid_name(name));
    }
    let zone = zone_of(name).ok_or_else(|| invalid_name(name))?;
    if !wants_one {
        // A general purpose bucket, whose name may not end so.
        return Err(invalid_name(name));
    }
    // The schema of a directory bucket's configuration has both, and no location constraint.
    let (Some(info), Some(location), None) = (info, &configuration.location, &configuration.location_constraint) else {
        return Err(Error::MalformedXml);
    };
    if location.name.as_deref() != Some(zone) {
        return Err(invalid_name(name));
    }
    let local = matches!(location.r#type, Some(api::LocationType::LocalZone));
    let redundancy = match info.data_redundancy {
        Some(api::DataRedundancy::SingleLocalZone) => local,
        Some(api::DataRedundancy::SingleAvailabilityZone) => !local,
        _ => false,
    };
    if !redundancy || location.r#type.is_none() || !matches!(info.r#type, Some(api::BucketType::Directory)) {
        return Err(Error::invalid_request("The bucket type, the location type and the data redundancy do not agree"));
    }
    Ok(true)
}

/// Parameters that requests to directory buckets and to what is in them may have without a value.
const SUBRESOURCES: [&str; 10] = [
    "attributes",
    "delete",
    "encryption",
    "inventory",
    "lifecycle",
    "metrics",
    "policy",
    "renameObject",
    "session",
    "uploads",
];

/// What a directory bucket does not have: versions, lists, tags, locks, websites ...
pub fn refuses(method: &Method, uri: &Uri, known: impl Fn(&str) -> bool) -> Option<Failure> {
    let (bucket, key) = addressing::split(uri.path());
    if !is_directory(bucket) {
        return None;
    }
    let query = uri.query().unwrap_or_default();
    let names = || query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty());
    let lists_the_old_way =
        *method == Method::GET && key.is_empty() && !names().any(|name| name == "list-type" || known(name));
    let refused = names().any(|name| known(name) && !SUBRESOURCES.contains(&name));
    (refused || lists_the_old_way).then(|| {
        let resource = if key.is_empty() { "BUCKET" } else { "OBJECT" };
        let message = "The specified method is not allowed against this resource.";
        let failure = Failure::new("MethodNotAllowed", 405, message);
        failure.with_detail("Method", method.to_string()).with_detail("ResourceType", resource)
    })
}

/// ListDirectoryBuckets differs from ListBuckets by its endpoint and the name it is signed with; on one endpoint for all
/// it is told by the name, and by the one parameter that only it has.
pub fn name_listing(head: &mut Parts, host: &str) {
    if head.method != Method::GET || head.uri.path() != "/" {
        return;
    }
    let signed_by =
        |text: &str| text.contains("/s3express/aws4_request") || text.contains("%2Fs3express%2Faws4_request");
    let authorization = head.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let query = head.uri.query().unwrap_or_default();
    let asked = host.starts_with("s3express-control.")
        || authorization.is_some_and(signed_by)
        || signed_by(query)
        || query.split('&').any(|pair| pair.starts_with("max-directory-buckets="));
    if !asked || query.contains("x-id=") {
        return;
    }
    let separator = if query.is_empty() { "" } else { "&" };
    if let Ok(uri) = format!("/?{query}{separator}x-id=ListDirectoryBuckets").parse() {
        head.uri = uri;
    }
}

/// A listing names whole directories.
pub fn check_listing(bucket: &str, prefix: &str, delimiter: &str, start_after: &str) -> Result<()> {
    if !is_directory(bucket) {
        return Ok(());
    }
    let refused = |name: &str, value: &str, message: &str| Err(Error::invalid_argument(name, value, message));
    if !prefix.is_empty() && !prefix.ends_with('/') {
        return refused("prefix", prefix, "Directory buckets support only prefixes that end in a delimiter (/).");
    }
    if !delimiter.is_empty() && delimiter != "/" {
        return refused("delimiter", delimiter, "Directory buckets support only the delimiter /.");
    }
    if !start_after.is_empty() {
        return refused("start-after", start_after, "Directory buckets do not support StartAfter.");
    }
    Ok(())
}

/// Where the sessions of an account's callers are.
pub fn session_scope(lane: &Lane, account: &fractus_aws::AccountId) -> Scope {
    let world = World { lane: lane.clone(), partition: Partition::Aws, account: account.clone() };
    Scope::account(&world)
}

/// The session of a key that CreateSession gave out.
pub async fn find_session(s3: &S3, lane: &Lane, access_key_id: &str) -> Option<Credential> {
    let account = account_of_access_key_id(access_key_id)?;
    let scope = session_scope(lane, &account);
    let found = s3.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&SESSIONS, &scope, &(access_key_id,))?)).await;
    found.unwrap_or_else(|error| {
        tracing::error!(%error, "a session could not be looked up");
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_their_zone() {
        assert_eq!(zone_of("base--use1-az4--x-s3"), Some("use1-az4"));
        assert_eq!(zone_of("a--b--use1-az4--x-s3"), Some("use1-az4"));
        assert_eq!(zone_of("--use1-az4--x-s3"), None);
        assert_eq!(zone_of("base--x-s3"), None);
        assert_eq!(zone_of("base"), None);
    }

    fn configuration(zone: &str) -> api::CreateBucketConfiguration {
        api::CreateBucketConfiguration {
            location: Some(api::LocationInfo {
                r#type: Some(api::LocationType::AvailabilityZone),
                name: Some(zone.into()),
            }),
            bucket: Some(api::BucketInfo {
                r#type: Some(api::BucketType::Directory),
                data_redundancy: Some(api::DataRedundancy::SingleAvailabilityZone),
            }),
            ..Default::default()
        }
    }

    #[test]
    fn name_and_configuration_agree() {
        assert!(check_new("base--use1-az4--x-s3", &configuration("use1-az4")).unwrap());
        assert!(!check_new("base", &api::CreateBucketConfiguration::default()).unwrap());
        assert!(check_new("base--use1-az4--x-s3", &configuration("use1-az5")).is_err());
        assert!(check_new("base", &configuration("use1-az4")).is_err());
        let code = |configuration: &api::CreateBucketConfiguration| {
            Failure::from(check_new("base--use1-az4--x-s3", configuration).unwrap_err()).code
        };
        assert_eq!(code(&api::CreateBucketConfiguration::default()), "InvalidBucketName");
        let half = api::CreateBucketConfiguration { bucket: None, ..configuration("use1-az4") };
        assert_eq!(code(&half), "MalformedXML");
        let placed = Some(api::BucketLocationConstraint::UsWest2);
        let twice = api::CreateBucketConfiguration { location_constraint: placed, ..configuration("use1-az4") };
        assert_eq!(code(&twice), "MalformedXML");
        assert!(check_new("Base--use1-az4--x-s3", &configuration("use1-az4")).is_err());
    }

    #[test]
    fn what_directories_do_without_is_refused() {
        let known = |name: &str| ["versioning", "acl", "policy", "session", "tagging"].contains(&name);
        let refused = |method: Method, uri: &str| refuses(&method, &uri.parse().unwrap(), known).is_some();
        assert!(refused(Method::PUT, "/b--use1-az4--x-s3?versioning"));
        assert!(refused(Method::GET, "/b--use1-az4--x-s3/k?tagging"));
        assert!(refused(Method::GET, "/b--use1-az4--x-s3"));
        assert!(!refused(Method::GET, "/b--use1-az4--x-s3?list-type=2"));
        assert!(!refused(Method::GET, "/b--use1-az4--x-s3?session"));
        assert!(!refused(Method::GET, "/b--use1-az4--x-s3/k"));
        assert!(!refused(Method::PUT, "/b?versioning"));
    }
}
