//! How a request names an access point in the place of a bucket: by host, ARN or alias.

use http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::addressing;
use crate::control::outposts::place::{self, is_outpost};
use crate::control::outposts::points::ALIAS_SUFFIX;
use crate::control::store::is_directory_name;
use crate::object_lambda::points::SIGNING_NAME;
use crate::operations::copy::{self, CopySource};

/// Between account and name in a path that came from a host of access points; no bucket's name has a colon.
const MARK: &str = "accesspoint:";
/// The same of Object Lambda.
const LAMBDA_MARK: &str = "object-lambda:";

/// What a name in a bucket's place may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    Point {
        account: String,
        /// None: the request's. Of one on an Outpost, the Outpost.
        region: Option<String>,
        name: String,
    },
    Alias(String),
    /// By its alias, and, of an ARN, its account.
    MultiRegion(String),
    ObjectLambda {
        account: String,
        /// None: the request's.
        region: Option<String>,
        name: String,
    },
    /// A bucket may have this name; if none has, it is an access point's before an endpoint of one's own.
    BucketOr {
        account: String,
        name: String,
    },
}

/// The path segment for a host of access points: `NAME-ACCOUNT.s3-accesspoint.REGION.…`, and of multi-region ones,
/// `ALIAS.mrap.accesspoint.s3-global.amazonaws.com`; of those on an Outpost, `NAME-ACCOUNT.OUTPOST.…` and `ALIAS.OUTPOST.…`.
pub fn of_host(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    // Dot by dot: a search for the whole text costs more to begin than most hosts to be read.
    if let Some((dot, _)) = host.match_indices('.').find(|(dot, _)| host[*dot..].starts_with(".accesspoint.s3-global."))
    {
        return Some(host[..dot].to_owned());
    }
    let (first, rest) = host.split_once('.')?;
    let (family, rest) = rest.split_once('.')?;
    if is_outpost(family) {
        if first.ends_with(ALIAS_SUFFIX) {
            return Some(first.to_owned());
        }
        let (name, account) = split_account(first)?;
        return Some(format!("{MARK}{account}:{family}:{name}"));
    }
    if !matches!(family, "s3-accesspoint" | "s3-accesspoint-fips" | "s3-object-lambda") {
        return None;
    }
    let region = rest.strip_prefix("dualstack.").unwrap_or(rest).split('.').next()?;
    let (name, account) = split_account(first)?;
    let mark = if family == SIGNING_NAME { LAMBDA_MARK } else { MARK };
    let region = if region == "localhost" { "" } else { region };
    Some(format!("{mark}{account}:{region}:{name}"))
}

/// `NAME-123456789012`.
fn split_account(text: &str) -> Option<(&str, &str)> {
    let (name, account) = text.rsplit_once('-')?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_account && !name.is_empty()).then_some((name, account))
}

/// An access point's ARN, and what stands behind it: `arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME[/REST]`, on an Outpost
/// `arn:aws:s3-outposts:REGION:ACCOUNT:outpost/OUTPOST/accesspoint/NAME[/REST]`.
pub fn of_arn(text: &str) -> Option<(Named, &str)> {
    let mut parts = text.splitn(6, ':');
    let (_, _, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, resource) = match resource.strip_prefix("outpost/").filter(|_| service == place::SERVICE) {
        Some(rest) => rest.split_once('/').filter(|(outpost, _)| is_outpost(outpost))?,
        None => (region, resource),
    };
    let rest = resource.strip_prefix("accesspoint/").or_else(|| resource.strip_prefix("accesspoint:"))?;
    let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if name.ends_with(".mrap") {
        return Some((Named::MultiRegion(name.to_owned()), rest));
    }
    let (account, region, name) = (account.to_owned(), Some(region.to_owned()), name.to_owned());
    let named = match service {
        SIGNING_NAME => Named::ObjectLambda { account, region, name },
        _ => Named::Point { account, region, name },
    };
    Some((named, rest))
}

/// What a name in the place of a bucket's is, if it is not just a bucket's.
fn named(bucket: &str) -> Option<Named> {
    let marked = |rest: &str| {
        let mut parts = rest.splitn(3, ':');
        let (account, region, name) = (parts.next()?, parts.next()?, parts.next()?);
        let region = Some(region.to_owned()).filter(|region| !region.is_empty());
        Some((account.to_owned(), region, name.to_owned()))
    };
    if let Some(rest) = bucket.strip_prefix(MARK) {
        return marked(rest).map(|(account, region, name)| Named::Point { account, region, name });
    }
    if let Some(rest) = bucket.strip_prefix(LAMBDA_MARK) {
        return marked(rest).map(|(account, region, name)| Named::ObjectLambda { account, region, name });
    }
    if ["-s3alias", "--ol-s3", ALIAS_SUFFIX].iter().any(|end| bucket.ends_with(end)) || is_directory_name(bucket) {
        return Some(Named::Alias(bucket.to_owned()));
    }
    if bucket.ends_with(".mrap") {
        return Some(Named::MultiRegion(bucket.to_owned()));
    }
    let (name, account) = split_account(bucket)?;
    Some(Named::BucketOr { account: account.to_owned(), name: name.to_owned() })
}

/// What stands in a path in the place of a bucket, and the rest of the path with its slash.
pub fn of_path(path: &str) -> Option<(Named, String)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.get(..4).is_some_and(|start| start == "arn:" || start.eq_ignore_ascii_case("arn%")) {
        // The ARN's own slash may come as it is or encoded.
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let arn = percent_decode_str(first).decode_utf8().ok()?;
        if arn.contains("accesspoint/") || !first.ends_with("accesspoint") {
            return Some((of_arn(&arn)?.0, format!("/{rest}")));
        }
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        return Some((of_arn(&format!("{arn}/{name}"))?.0, format!("/{rest}")));
    }
    let (first, rest) = addressing::segment(path);
    let first = if first.contains('%') { percent_decode_str(first).decode_utf8().ok()? } else { first.into() };
    Some((named(&first)?, format!("/{rest}")))
}

/// The source of a copy that is named by an access point: `ARN/object/KEY`, or an alias in the bucket's place.
pub fn of_source(header: &str) -> Option<(Named, CopySource)> {
    let (path, query) = header.split_once('?').unwrap_or((header, ""));
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let decoded = decoded.strip_prefix('/').unwrap_or(&decoded);
    if decoded.starts_with("arn:") {
        let (named, rest) = of_arn(decoded)?;
        let version_id = query.strip_prefix("versionId=").filter(|id| !id.is_empty()).map(str::to_owned);
        let key = rest.strip_prefix("object/").filter(|key| !key.is_empty())?.to_owned();
        return Some((named, CopySource { bucket: String::new(), key, version_id }));
    }
    let source = copy::parse_source(header).ok()?;
    Some((named(&source.bucket)?, source))
}

/// Whether a request is signed for Object Lambda.
pub fn is_signed_for_lambda(head: &Parts) -> bool {
    let header = head.headers.get("authorization").and_then(|header| header.to_str().ok());
    header.is_some_and(|header| header.contains("/s3-object-lambda/aws4_request"))
        || head.uri.query().is_some_and(|query| query.contains("%2Fs3-object-lambda%2Faws4_request"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(account: &str, region: Option<&str>, name: &str) -> Named {
        Named::Point { account: account.into(), region: region.map(Into::into), name: name.into() }
    }

    #[test]
    fn hosts_of_access_points() {
        let marked = Some("accesspoint:123456789012:us-west-2:my-ap".to_owned());
        for host in [
            "my-ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com",
            "my-ap-123456789012.s3-accesspoint.dualstack.us-west-2.amazonaws.com",
            "my-ap-123456789012.s3-accesspoint-fips.us-west-2.amazonaws.com",
            "my-ap-123456789012.s3-accesspoint.us-west-2.localhost",
        ] {
            assert_eq!(of_host(host), marked, "{host}");
        }
        for (host, region) in [
            ("ol-123456789012.s3-object-lambda.us-west-2.amazonaws.com", "us-west-2"),
            ("ol-123456789012.s3-object-lambda.us-west-2.localhost", "us-west-2"),
            ("ol-123456789012.s3-object-lambda.localhost", ""),
        ] {
            assert_eq!(of_host(host), Some(format!("object-lambda:123456789012:{region}:ol")), "{host}");
        }
        for host in [
            "my-ap-123456789012.op-01ac5d28a6a232904.s3-outposts.us-west-2.amazonaws.com",
            "my-ap-123456789012.op-01ac5d28a6a232904.localhost",
        ] {
            assert_eq!(of_host(host).as_deref(), Some("accesspoint:123456789012:op-01ac5d28a6a232904:my-ap"), "{host}");
        }
        assert_eq!(of_host("ap-x--op-s3.op-01ac5d28a6a232904.localhost").as_deref(), Some("ap-x--op-s3"));
        assert_eq!(of_host("abc.mrap.accesspoint.s3-global.amazonaws.com").as_deref(), Some("abc.mrap"));
        for host in ["bucket.s3.us-west-2.amazonaws.com", "localhost", "my-ap.s3-accesspoint.us-west-2.amazonaws.com"] {
            assert_eq!(of_host(host), None, "{host}");
        }
    }

    #[test]
    fn names_in_paths() {
        let (account, region) = ("123456789012", Some("us-west-2"));
        for path in [
            "/arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint%2Fap/a/b",
            "/arn:aws:s3:us-west-2:123456789012:accesspoint/ap/a/b",
            "/accesspoint:123456789012:us-west-2:ap/a/b",
        ] {
            assert_eq!(of_path(path), Some((point(account, region, "ap"), "/a/b".into())), "{path}");
        }
        let of_lambda = |region: Option<&str>| Named::ObjectLambda {
            account: account.into(),
            region: region.map(Into::into),
            name: "ol".into(),
        };
        for (path, region) in [
            ("/arn%3Aaws%3As3-object-lambda%3Aus-west-2%3A123456789012%3Aaccesspoint%2Fol/a/b", region),
            ("/object-lambda:123456789012:us-west-2:ol/a/b", region),
            ("/object-lambda:123456789012::ol/a/b", None),
        ] {
            assert_eq!(of_path(path), Some((of_lambda(region), "/a/b".into())), "{path}");
        }
        assert_eq!(of_path("/ol-x--ol-s3/k"), Some((Named::Alias("ol-x--ol-s3".into()), "/k".into())));
        let on_outpost = point(account, Some("op-01ac5d28a6a232904"), "ap");
        for path in [
            "/arn%3Aaws%3As3-outposts%3Aus-west-2%3A123456789012%3Aoutpost%2Fop-01ac5d28a6a232904%2Faccesspoint%2Fap/a/b",
            "/accesspoint:123456789012:op-01ac5d28a6a232904:ap/a/b",
        ] {
            assert_eq!(of_path(path), Some((on_outpost.clone(), "/a/b".into())), "{path}");
        }
        let alias = Named::Alias("ap-x-s3alias".into());
        assert_eq!(of_path("/ap-x-s3alias"), Some((alias, "/".into())));
        let before = Named::BucketOr { account: account.into(), name: "ap".into() };
        assert_eq!(of_path("/ap-123456789012/k"), Some((before, "/k".into())));
        assert_eq!(of_path("/bucket/ap-123456789012"), None);
        assert_eq!(of_path("/"), None);
        let path = "/arn%3Aaws%3As3%3A%3A123456789012%3Aaccesspoint%2Fabc.mrap/k";
        assert_eq!(of_path(path), Some((Named::MultiRegion("abc.mrap".into()), "/k".into())));
    }

    #[test]
    fn sources_of_copies() {
        let header = "arn%3Aaws%3As3%3Aus-west-2%3A123456789012%3Aaccesspoint/ap/object/k%20k?versionId=v";
        let (named, source) = of_source(header).unwrap();
        assert_eq!(named, point("123456789012", Some("us-west-2"), "ap"));
        assert_eq!((source.key.as_str(), source.version_id.as_deref()), ("k k", Some("v")));
        assert_eq!(of_source("/bucket/key"), None);
        assert!(matches!(of_source("ap-x-s3alias/key"), Some((Named::Alias(_), _))));
    }

    proptest::proptest! {
        #[test]
        fn no_name_panics(text in ".{0,80}") {
            let _ = (of_path(&text), of_path(&format!("/arn:{text}")), of_source(&text), of_host(&text));
        }
    }
}
