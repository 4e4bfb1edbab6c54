//! Object Lambda access points: what requests through them must know. Whoever serves the operations that make and change
//! them keeps their record here with [`put`] and [`remove`].

use fractus_aws::Arn;
use fractus_host::Context;
use fractus_store::{Collection, Scope, Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Points by account, region and name.
pub const POINTS: Collection<(String, String, String), Point> = Collection::new("object-lambda-points");
/// Whose an alias is, by alias.
pub const ALIASES: Collection<(String,), (String, String, String)> = Collection::new("object-lambda-aliases");

/// What every alias ends with.
const ALIAS_END: &str = "--ol-s3";
const SIGNING_NAME: &str = "s3-object-lambda";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    pub name: String,
    pub account: String,
    pub region: String,
    /// `name-...--ol-s3`: takes the place of a bucket's name.
    pub alias: String,
    /// The ARN of the access point behind it, and the bucket behind that.
    pub supporting: String,
    pub bucket: String,
    /// `GetObject-Range`, `GetObject-PartNumber` ...
    #[serde(default)]
    pub allowed_features: Vec<String>,
    pub transformations: Vec<Transformation>,
}

/// A function, and the operations that it stands before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transformation {
    /// `GetObject`, `HeadObject` ...
    pub actions: Vec<String>,
    pub function: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

impl Point {
    pub fn arn(&self, cx: &Context) -> Arn {
        let resource = format!("accesspoint/{}", self.name);
        Arn::new(cx.world.partition, SIGNING_NAME, &self.region, &self.account, resource)
    }

    pub fn transformation(&self, action: &str) -> Option<&Transformation> {
        self.transformations.iter().find(|one| one.actions.iter().any(|known| known == action))
    }

    pub fn allows(&self, feature: &str) -> bool {
        self.allowed_features.iter().any(|allowed| allowed == feature)
    }

    fn place(&self) -> (&str, &str, &str) {
        (&self.account, &self.region, &self.name)
    }
}

pub fn put(tx: &mut Transaction<'_>, scope: &Scope, point: &Point) -> Result<()> {
    tx.put(&POINTS, scope, &point.place(), point)?;
    let (account, region, name) = point.place();
    let place = (account.to_owned(), region.to_owned(), name.to_owned());
    Ok(tx.put(&ALIASES, scope, &(point.alias.as_str(),), &place)?)
}

pub fn remove(tx: &mut Transaction<'_>, scope: &Scope, point: &Point) -> Result<()> {
    tx.delete(&ALIASES, scope, &(point.alias.as_str(),))?;
    Ok(tx.delete(&POINTS, scope, &point.place())?)
}

/// How a request names a point in the place of its bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    Alias(&'a str),
    Place { account: &'a str, region: &'a str, name: &'a str },
}

impl<'a> Named<'a> {
    /// `bucket` is what stands in the place of one: an alias, an ARN, or `name-123456789012` in a request that is signed for
    /// Object Lambda or has its host. Nothing for what can only be a bucket.
    pub fn of(cx: &'a Context, bucket: &'a str) -> Option<Named<'a>> {
        if bucket.ends_with(ALIAS_END) {
            return Some(Named::Alias(bucket));
        }
        Named::of_arn(bucket).or_else(|| Named::of_label(bucket, cx.region.as_str()).filter(|_| is_meant(cx)))
    }

    /// `arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/name`, with a colon for the slash, too.
    fn of_arn(text: &'a str) -> Option<Named<'a>> {
        let mut parts = text.strip_prefix("arn:")?.splitn(5, ':');
        let (_partition, service) = (parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let name = resource.strip_prefix("accesspoint")?.strip_prefix(['/', ':'])?;
        (service == SIGNING_NAME).then_some(Named::Place { account, region, name })
    }

    /// `name-123456789012`, which hosts begin with.
    fn of_label(label: &'a str, region: &'a str) -> Option<Named<'a>> {
        let (name, account) = label.rsplit_once('-')?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        is_account.then_some(Named::Place { account, region, name })
    }
}

/// Whether a request is signed for Object Lambda, or its host says so.
fn is_meant(cx: &Context) -> bool {
    const SCOPE: &str = "/s3-object-lambda/aws4_request";
    let header = cx.header("authorization").is_some_and(|header| header.contains(SCOPE));
    let query = || cx.original_uri().query().unwrap_or_default();
    header || cx.authority().contains(".s3-object-lambda.") || query().contains("%2Fs3-object-lambda%2Faws4_request")
}

/// The point that a request names.
pub fn find(snapshot: &Snapshot<'_>, scope: &Scope, named: &Named<'_>) -> Result<Option<Point>> {
    Ok(match named {
        Named::Place { account, region, name } => snapshot.get(&POINTS, scope, &(*account, *region, *name))?,
        Named::Alias(alias) => match snapshot.get(&ALIASES, scope, &(*alias,))? {
            Some((account, region, name)) => snapshot.get(&POINTS, scope, &(&*account, &*region, &*name))?,
            None => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_named_by_arns_and_labels() {
        let place = Named::Place { account: "123456789012", region: "eu-west-1", name: "upper" };
        for arn in ["accesspoint/upper", "accesspoint:upper"] {
            let arn = format!("arn:aws:s3-object-lambda:eu-west-1:123456789012:{arn}");
            assert_eq!(Named::of_arn(&arn), Some(place.clone()));
        }
        assert_eq!(Named::of_arn("arn:aws:s3:eu-west-1:123456789012:accesspoint/upper"), None);
        assert_eq!(Named::of_label("upper-123456789012", "eu-west-1"), Some(place));
        for label in ["upper", "upper-1234", "upper-12345678901x"] {
            assert_eq!(Named::of_label(label, "eu-west-1"), None, "{label}");
        }
    }
}
