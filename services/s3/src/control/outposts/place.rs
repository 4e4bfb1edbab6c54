//! Where a bucket on an Outpost is, and how it is named.
//!
//! Its name is its Outpost's own, so it is kept under one that tells the place as well, `outpost:REGION:ACCOUNT:OUTPOST:NAME`.
//! Who says that name is told that there is no such bucket ([`is_hidden`]).
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/s3-outposts/S3OutpostsIAM.html#S3OutpostsARN>

use std::borrow::Cow;

use fractus_aws::{Arn, Partition};
use fractus_host::{Access, Context};

use crate::control::Controlled;
use crate::control::access_points::name_of;
use crate::control::errors::{invalid, no_access_point, refused};
use crate::control::routing;
use crate::error::{Error, Result};

/// The service as ARNs, signatures and actions name it.
pub const SERVICE: &str = "s3-outposts";
/// What a request names its Outpost by, beside the plain name of a bucket or an access point.
pub const HEADER: &str = "x-amz-outpost-id";
/// The one storage class there.
pub const STORAGE_CLASS: &str = "OUTPOSTS";

const MARK: &str = "outpost:";

/// A bucket on an Outpost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub region: String,
    pub account: String,
    pub outpost: String,
    pub bucket: String,
}

impl Place {
    /// The place of a bucket that is kept by this name; none for every other bucket.
    pub fn of_kept(name: &str) -> Option<Place> {
        let mut parts = name.strip_prefix(MARK)?.splitn(4, ':').map(str::to_owned);
        let (region, account) = (parts.next()?, parts.next()?);
        Some(Place { region, account, outpost: parts.next()?, bucket: parts.next()? })
    }

    pub fn kept_name(&self) -> String {
        format!("{}{}", kept_prefix(&self.region, &self.account, Some(&self.outpost)), self.bucket)
    }

    pub fn arn(&self, partition: Partition) -> Arn {
        let resource = format!("outpost/{}/bucket/{}", self.outpost, self.bucket);
        Arn::new(partition, SERVICE, &self.region, &self.account, resource)
    }

    /// The bucket that an ARN is about and, of an object's, the key.
    pub fn of_arn(arn: &Arn) -> Option<(Place, Option<&str>)> {
        if arn.service != SERVICE {
            return None;
        }
        let (outpost, rest) = arn.resource.strip_prefix("outpost/")?.split_once('/')?;
        let rest = rest.strip_prefix("bucket/")?;
        let (bucket, key) = match rest.split_once('/') {
            Some((bucket, rest)) => (bucket, Some(rest.strip_prefix("object/")?)),
            None => (rest, None),
        };
        let (region, account) = (arn.region.clone(), arn.account.clone());
        Some((Place { region, account, outpost: outpost.to_owned(), bucket: bucket.to_owned() }, key))
    }

    /// The bucket of the caller's that a request to S3 Control names: by its ARN, or its name beside the Outpost's id.
    pub fn asked(cx: &Context, given: &str) -> Result<Place> {
        let (region, account) = (cx.region.as_str(), cx.world.account.as_str());
        if given.starts_with("arn:") {
            let arn: Arn = given.parse().map_err(|_| invalid("The specified ARN is not valid"))?;
            let Some((place, None)) = Place::of_arn(&arn) else {
                return Err(invalid("The specified ARN is not that of a bucket on an Outpost"));
            };
            check_outpost(&place.outpost)?;
            return match place {
                place if place.account != account => Err(Error::AccessDenied),
                place if place.region != region => Err(Error::NoSuchBucket { bucket: place.bucket }),
                place => Ok(place),
            };
        }
        let outpost = cx.header(HEADER).ok_or_else(no_outpost_named)?;
        check_outpost(outpost)?;
        let (region, account) = (region.to_owned(), account.to_owned());
        Ok(Place { region, account, outpost: outpost.to_owned(), bucket: given.to_owned() })
    }
}

/// What the kept names of an account's buckets begin with, on all of its Outposts in a region or on one.
pub fn kept_prefix(region: &str, account: &str, outpost: Option<&str>) -> String {
    match outpost {
        Some(outpost) => format!("{MARK}{region}:{account}:{outpost}:"),
        None => format!("{MARK}{region}:{account}:"),
    }
}

pub fn is_kept(name: &str) -> bool {
    name.starts_with(MARK)
}

/// A bucket's name as callers know it.
pub fn shown(name: String) -> String {
    Place::of_kept(&name).map_or(name, |place| place.bucket)
}

/// A path as callers know it.
pub fn shown_path(path: &str) -> Cow<'_, str> {
    let whole = path.trim_start_matches('/');
    let (name, key) = whole.split_at(whole.find('/').unwrap_or(whole.len()));
    Place::of_kept(name).map_or(Cow::Borrowed(path), |place| Cow::Owned(format!("/{}{key}", place.bucket)))
}

/// Whether a name is one that a bucket on an Outpost is kept by, and this request did not come to it by its own ways: through
/// an access point, or by S3 Control.
pub fn is_hidden(cx: &Context, name: &str) -> bool {
    is_kept(name) && cx.extensions().get::<Controlled>().is_none() && !routing::leads_to(cx, name)
}

/// `op-` and 17 hexadecimal digits.
pub fn is_outpost(id: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    id.strip_prefix("op-").is_some_and(|digits| digits.len() == 17 && digits.bytes().all(digit))
}

pub fn check_outpost(id: &str) -> Result<()> {
    if is_outpost(id) {
        return Ok(());
    }
    Err(refused("NoSuchOutpost", 404, "The specified Outpost does not exist."))
}

pub fn no_outpost_named() -> Error {
    invalid("This operation is supported for buckets on Outposts only: the request must name an Outpost")
}

/// The Outpost of an access point that a request to S3 Control names, where it is on one.
pub fn outpost_of_point<'a>(cx: &'a Context, given: &'a str) -> Result<Option<&'a str>> {
    let mut parts = given.splitn(6, ':').skip(2);
    let outpost = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(SERVICE), region, account, Some(resource)) => {
            if account != Some(cx.world.account.as_str()) {
                return Err(Error::AccessDenied);
            }
            if region != Some(cx.region.as_str()) {
                return Err(no_access_point(name_of(given)));
            }
            resource.strip_prefix("outpost/").and_then(|rest| rest.split('/').next())
        }
        _ if given.starts_with("arn:") => None,
        _ => cx.header(HEADER),
    };
    outpost.map(|outpost| check_outpost(outpost).map(|()| outpost)).transpose()
}

/// An action on a bucket on an Outpost, or on an object in it.
pub fn access(cx: &Context, place: &Place, key: Option<&str>, action: &str) -> Access {
    let mut arn = place.arn(cx.world.partition);
    if let Some(key) = key {
        arn.resource = format!("{}/object/{key}", arn.resource);
    }
    Access::to(&arn).by(renamed(action))
}

/// An action on an access point on an Outpost of the caller's.
pub fn access_to_point(cx: &Context, outpost: &str, name: &str, action: &str) -> Access {
    let resource = format!("outpost/{outpost}/accesspoint/{}", name_of(name));
    let arn = Arn::new(cx.world.partition, SERVICE, cx.region.as_str(), cx.world.account.as_str(), resource);
    Access::to(&arn).by(renamed(action))
}

/// An action or a condition key of S3's as S3 on Outposts has it.
pub fn renamed(name: &str) -> String {
    name.strip_prefix("s3:").map_or_else(|| name.to_owned(), |rest| format!("{SERVICE}:{rest}"))
}

pub fn rename_keys(conditions: &mut [(String, Vec<String>)]) {
    for (key, _) in conditions {
        *key = renamed(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let [region, account, outpost, bucket] =
            ["us-west-2", "123456789012", "op-01ac5d28a6a232904", "b.c"].map(str::to_owned);
        Place { region, account, outpost, bucket }
    }

    #[test]
    fn a_kept_name_tells_the_place() {
        let kept = place().kept_name();
        assert_eq!(kept, "outpost:us-west-2:123456789012:op-01ac5d28a6a232904:b.c");
        assert_eq!(Place::of_kept(&kept), Some(place()));
        assert_eq!(Place::of_kept("b.c"), None);
        assert_eq!(shown_path(&format!("/{kept}/a/b")), "/b.c/a/b");
        assert_eq!(shown_path(&format!("/{kept}")), "/b.c");
        assert_eq!(shown_path("/bucket/outpost:k"), "/bucket/outpost:k");
        assert_eq!(Place::of_kept("outpost:x"), None);
    }

    #[test]
    fn arns_of_buckets_and_objects() {
        let arn = place().arn(Partition::Aws);
        let text = "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01ac5d28a6a232904/bucket/b.c";
        assert_eq!(arn.to_string(), text);
        assert_eq!(Place::of_arn(&arn), Some((place(), None)));
        let object: Arn = format!("{text}/object/a/b").parse().unwrap();
        assert_eq!(Place::of_arn(&object), Some((place(), Some("a/b"))));
        for other in ["arn:aws:s3:::b", "arn:aws:s3-outposts:us-west-2:1:outpost/op-1/accesspoint/p"] {
            assert_eq!(Place::of_arn(&other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn outposts_by_their_ids() {
        assert!(is_outpost("op-01ac5d28a6a232904"));
        for bad in ["op-01AC5d28a6a232904", "op-01ac5d28a6a23290", "op-01ac5d28a6a2329041", "ec2", "01ac5d28a6a232904"]
        {
            assert!(!is_outpost(bad), "{bad}");
        }
    }
}
