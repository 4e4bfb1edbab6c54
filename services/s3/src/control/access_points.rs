//! Access points: named ways to a bucket, each with a policy of its own.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/creating-access-points.html>

use fractus_clock::Random;
use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Order, Range, Scope, Snapshot, Transaction};

use crate::configurations::PublicAccessBlock;
use crate::control::account_block;
use crate::control::errors::{invalid, no_access_point, refused};
use crate::control::outposts::place::{self, Place};
use crate::control::outposts::points;
use crate::control::pages::Page;
use crate::control::store::{ACCESS_POINTS, ALIASES, ATTACHED, AccessPoint, Alias, Reach, is_directory_name};
use crate::control::tags;
use crate::directory::{is_directory, zone_of};
use crate::error::{Error, Result};
use crate::objects::scope;
use crate::service::S3;
use crate::store::{BUCKETS, Bucket};

/// How many of one account there may be in a region.
const MAX_ACCESS_POINTS: usize = 10_000;
/// The most of one page.
const MAX_LISTED: usize = 1_000;

pub fn invalid_name(name: &str) -> Error {
    let message = "The specified accesspoint name or account is not valid";
    Error::Other(Box::new(
        fractus_wire::Failure::new("InvalidAccessPoint", 400, message).with_detail("AccessPointName", name),
    ))
}

/// Checks the name of a new access point: 3 to 50 characters of `a-z0-9-`, no hyphen at either end, and no ending that is
/// kept for aliases. Those of directory buckets end with their zone, as the bucket does.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-restrictions-limitations-naming-rules.html>
pub fn check_name(name: &str, bucket: &str) -> Result<()> {
    let base = match (is_directory_name(name), is_directory(bucket)) {
        (false, false) => name,
        (true, true) => {
            let (base, zone) = name.trim_end_matches("--xa-s3").rsplit_once("--").ok_or_else(|| invalid_name(name))?;
            if zone_of(bucket) != Some(zone) {
                return Err(invalid_name(name));
            }
            base
        }
        _ => return Err(invalid_name(name)),
    };
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let valid = (3..=50).contains(&base.len())
        && base.bytes().all(allowed)
        && !base.starts_with('-')
        && !base.ends_with('-')
        && !["-s3alias", "--ol-s3", points::ALIAS_SUFFIX].iter().any(|suffix| base.ends_with(suffix));
    if valid { Ok(()) } else { Err(invalid_name(name)) }
}

/// Characters that nobody guesses, of those that names have.
pub fn unguessable<const N: usize>(random: &Random) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz123456";
    random.bytes::<N>().iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// An alias: the name's beginning, 34 characters that nobody guesses, and a suffix that no bucket has.
pub fn new_alias(name: &str, suffix: &str, random: &Random) -> String {
    let unique = unguessable::<34>(random);
    let room = 63 - unique.len() - suffix.len() - 1;
    let beginning: String = name.chars().take(room).collect();
    format!("{}-{unique}{suffix}", beginning.trim_end_matches('-'))
}

/// The name of an access point in a path: the name, or the ARN of one of this account.
pub fn name_of(given: &str) -> &str {
    given.rsplit_once("accesspoint/").map_or(given, |(_, name)| name)
}

/// The access point of a name in its place: a region, or an Outpost.
pub fn find(snapshot: &Snapshot<'_>, scope: &Scope, account: &str, place: &str, name: &str) -> Result<AccessPoint> {
    let name = name_of(name);
    let found = snapshot.get(&ACCESS_POINTS, scope, &(account, place, name))?;
    found.ok_or_else(|| no_access_point(name))
}

/// Where an access point is kept that a request names.
fn place_of<'a>(cx: &'a Context, given: &'a str) -> Result<&'a str> {
    Ok(place::outpost_of_point(cx, given)?.unwrap_or(cx.region.as_str()))
}

/// Changes an access point in one transaction.
pub async fn change(
    s3: &S3,
    cx: &Context,
    name: &str,
    work: impl Fn(&mut Transaction<'_>, &Scope, &mut AccessPoint) -> Result<()> + Send + Sync,
) -> Result<()> {
    let (scope, place) = (scope(cx), place_of(cx, name)?);
    s3.store
        .write(|tx| {
            let mut point = find(tx, &scope, cx.world.account.as_str(), place, name)?;
            work(tx, &scope, &mut point)?;
            let at = (point.account.as_str(), point.place(), point.name.as_str());
            Ok(tx.put(&ACCESS_POINTS, &scope, &at, &point)?)
        })
        .await
}

/// Looks at an access point.
pub async fn look(s3: &S3, cx: &Context, name: &str) -> Result<AccessPoint> {
    let (scope, account, place) = (scope(cx), cx.world.account.as_str(), place_of(cx, name)?);
    s3.store.read(|snapshot| find(snapshot, &scope, account, place, name)).await
}

/// Checks what a scope says. All prefixes together have 256 bytes at most.
pub fn reach(given: &api::Scope) -> Result<Reach> {
    let prefixes = given.prefixes.clone().unwrap_or_default();
    if prefixes.iter().map(String::len).sum::<usize>() > 256 {
        return Err(invalid("The total length of the prefixes of a scope must not be greater than 256 bytes"));
    }
    let permissions = given.permissions.iter().flatten();
    let permissions = permissions.map(|permission| match permission {
        api::ScopePermission::Unknown(_) => Err(Error::MalformedXml),
        known => Ok(known.as_str().to_owned()),
    });
    Ok(Reach { prefixes, permissions: permissions.collect::<Result<_>>()? })
}

/// Whether one more may be made: an account has so many in a region, a bucket on an Outpost has fewer.
fn check_room(tx: &Transaction<'_>, scope: &Scope, account: &str, place: &str, bucket: &Bucket) -> Result<()> {
    let (there, most) = if place::is_kept(&bucket.name) {
        let of_bucket = Range::prefix(&(bucket.name.as_str(),));
        let keys = tx.keys(&ATTACHED, scope, of_bucket, Order::Ascending)?;
        (keys.take(points::MAX_OF_BUCKET).count(), points::MAX_OF_BUCKET)
    } else {
        let keys = tx.keys(&ACCESS_POINTS, scope, Range::prefix(&(account, place)), Order::Ascending)?;
        (keys.take(MAX_ACCESS_POINTS).count(), MAX_ACCESS_POINTS)
    };
    if there < most {
        return Ok(());
    }
    let message = "You have attempted to create more access points than are allowed for an account";
    Err(refused("TooManyAccessPoints", 400, message))
}

pub async fn create(s3: &S3, cx: &Context, input: api::CreateAccessPointInput) -> Result<api::CreateAccessPointOutput> {
    check_name(&input.name, &input.bucket)?;
    let on_outpost = points::place_of_new(cx, &input)?;
    if on_outpost.is_none() && place::is_kept(&input.bucket) {
        return Err(Error::NoSuchBucket { bucket: input.bucket });
    }
    let kept = on_outpost.as_ref().map_or_else(|| input.bucket.clone(), Place::kept_name);
    let place = on_outpost.as_ref().map_or(cx.region.as_str(), |place| place.outpost.as_str());
    if input.scope.is_some() && !is_directory(&input.bucket) {
        return Err(invalid("A scope is supported only by access points of directory buckets"));
    }
    let reach = input.scope.as_ref().map(reach).transpose()?;
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    let block = input.public_access_block_configuration.as_ref();
    let scope = scope(cx);
    let (account, region) = (cx.world.account.as_str(), cx.region.as_str());
    let alias = match &on_outpost {
        Some(place) => Some(points::new_alias(&input.name, &place.outpost, cx.random())),
        None => (!is_directory_name(&input.name)).then(|| new_alias(&input.name, "-s3alias", cx.random())),
    };
    let now = cx.now().to_millis_precision();
    let point = s3
        .store
        .write(|tx| {
            let bucket = tx.get(&BUCKETS, &scope, &(kept.as_str(),))?;
            let bucket = bucket.ok_or_else(|| Error::NoSuchBucket { bucket: input.bucket.clone() })?;
            if input.bucket_account_id.as_deref().unwrap_or(account) != bucket.account {
                return Err(Error::AccessDenied);
            }
            if bucket.region != region {
                return Err(invalid("The access point and its bucket must be in the same Region"));
            }
            let at = (account, place, input.name.as_str());
            if tx.contains(&ACCESS_POINTS, &scope, &at)? {
                let message = "Your previous request to create the named accesspoint succeeded and you already own it.";
                return Err(refused("AccessPointAlreadyOwnedByYou", 409, message));
            }
            check_room(tx, &scope, account, place, &bucket)?;
            let point = AccessPoint {
                name: input.name.clone(),
                account: account.to_owned(),
                region: region.to_owned(),
                bucket: bucket.name.clone(),
                bucket_account: bucket.account.clone(),
                vpc: input.vpc_configuration.as_ref().map(|vpc| vpc.vpc_id.clone()),
                block: block.map_or(PublicAccessBlock::all(true), account_block::read),
                created_at: now,
                alias: alias.clone(),
                policy: None,
                scope: reach.clone(),
                tags: tags.clone(),
                outpost: on_outpost.as_ref().map(|place| place.outpost.clone()),
            };
            tx.put(&ACCESS_POINTS, &scope, &at, &point)?;
            tx.put(&ATTACHED, &scope, &(bucket.name.as_str(), account, place, input.name.as_str()), &())?;
            if let Some(alias) = &alias {
                let (account, region, name) = (account.to_owned(), place.to_owned(), input.name.clone());
                tx.put(&ALIASES, &scope, &(alias.as_str(),), &Alias::AccessPoint { account, region, name })?;
            }
            Ok(point)
        })
        .await?;
    let arn = point.arn(cx.world.partition.as_str());
    Ok(api::CreateAccessPointOutput { access_point_arn: Some(arn), alias: point.alias })
}

pub async fn get(s3: &S3, cx: &Context, input: api::GetAccessPointInput) -> Result<api::GetAccessPointOutput> {
    let point = look(s3, cx, &input.name).await?;
    let region = &point.region;
    let endpoint = |name: &str, host: &str| (name.to_owned(), format!("{host}.{region}.amazonaws.com"));
    let endpoints = [
        endpoint("ipv4", "s3-accesspoint"),
        endpoint("fips", "s3-accesspoint-fips"),
        endpoint("fips_dualstack", "s3-accesspoint-fips.dualstack"),
        endpoint("dualstack", "s3-accesspoint.dualstack"),
    ];
    Ok(api::GetAccessPointOutput {
        access_point_arn: Some(point.arn(cx.world.partition.as_str())),
        network_origin: Some(point.network_origin().into()),
        public_access_block_configuration: Some(account_block::show(point.block)),
        endpoints: (!point.is_of_directory() && point.outpost.is_none()).then(|| endpoints.into_iter().collect()),
        bucket: Some(point.shown_bucket()),
        name: Some(point.name),
        vpc_configuration: point.vpc.map(|vpc_id| api::VpcConfiguration { vpc_id }),
        creation_date: Some(point.created_at),
        alias: point.alias,
        bucket_account_id: Some(point.bucket_account),
        data_source_id: None,
        data_source_type: None,
    })
}

pub async fn delete(s3: &S3, cx: &Context, input: api::DeleteAccessPointInput) -> Result<api::DeleteAccessPointOutput> {
    let (scope, place) = (scope(cx), place_of(cx, &input.name)?);
    s3.store
        .write(|tx| {
            let point = find(tx, &scope, cx.world.account.as_str(), place, &input.name)?;
            let at = (point.account.as_str(), point.place(), point.name.as_str());
            tx.delete(&ACCESS_POINTS, &scope, &at)?;
            tx.delete(&ATTACHED, &scope, &(point.bucket.as_str(), at.0, at.1, at.2))?;
            if let Some(alias) = &point.alias {
                tx.delete(&ALIASES, &scope, &(alias.as_str(),))?;
            }
            Ok::<_, Error>(())
        })
        .await?;
    Ok(api::DeleteAccessPointOutput::default())
}

fn shown(point: AccessPoint, partition: &str) -> api::AccessPoint {
    api::AccessPoint {
        access_point_arn: Some(point.arn(partition)),
        network_origin: point.network_origin().into(),
        bucket: point.shown_bucket(),
        name: point.name,
        vpc_configuration: point.vpc.map(|vpc_id| api::VpcConfiguration { vpc_id }),
        alias: point.alias,
        bucket_account_id: Some(point.bucket_account),
        data_source_id: None,
        data_source_type: None,
    }
}

/// A page of the account's access points in a region, of directory buckets or of others.
async fn listed(
    s3: &S3,
    cx: &Context,
    bucket: Option<&str>,
    of_directories: bool,
    page: &Page,
) -> Result<(Vec<api::AccessPoint>, Option<String>)> {
    let (scope, account) = (scope(cx), cx.world.account.as_str());
    let on_outpost = bucket.map(|bucket| points::place_named(cx, bucket)).transpose()?.flatten();
    let kept = on_outpost.as_ref().map(Place::kept_name);
    let bucket = kept.as_deref().or(bucket);
    let region = on_outpost.as_ref().map_or(cx.region.as_str(), |place| place.outpost.as_str());
    let mut found = s3
        .store
        .read(|snapshot| {
            let mut found = Vec::new();
            let names: Box<dyn Iterator<Item = Result<String>>> = match bucket {
                Some(bucket) => {
                    let mut range = Range::prefix(&(bucket, account, region));
                    if let Some(after) = &page.after {
                        range = range.after(&(bucket, account, region, after.as_str()));
                    }
                    let keys = snapshot.keys(&ATTACHED, &scope, range, Order::Ascending)?;
                    Box::new(keys.map(|key| key.map(|(_, _, _, name)| name).map_err(Error::from)))
                }
                None => {
                    let mut range = Range::prefix(&(account, region));
                    if let Some(after) = &page.after {
                        range = range.after(&(account, region, after.as_str()));
                    }
                    let keys = snapshot.keys(&ACCESS_POINTS, &scope, range, Order::Ascending)?;
                    Box::new(keys.map(|key| key.map(|(_, _, name)| name).map_err(Error::from)))
                }
            };
            for name in names {
                let name = name?;
                if is_directory_name(&name) == of_directories {
                    found.push(find(snapshot, &scope, account, region, &name)?);
                }
                if found.len() > page.max {
                    break;
                }
            }
            Ok::<_, Error>(found)
        })
        .await?;
    let next = page.cut(&mut found, |point| point.name.clone());
    let partition = cx.world.partition.as_str();
    Ok((found.into_iter().map(|point| shown(point, partition)).collect(), next))
}

pub async fn list(s3: &S3, cx: &Context, input: api::ListAccessPointsInput) -> Result<api::ListAccessPointsOutput> {
    let page = Page::read(input.next_token.as_deref(), input.max_results, MAX_LISTED)?;
    if input.data_source_id.is_some() || input.data_source_type.as_deref().is_some_and(|kind| kind != "S3") {
        // Access points of file systems: there are none.
        return Ok(api::ListAccessPointsOutput { access_point_list: Some(Vec::new()), next_token: None });
    }
    let (list, next_token) = listed(s3, cx, input.bucket.as_deref(), false, &page).await?;
    Ok(api::ListAccessPointsOutput { access_point_list: Some(list), next_token })
}

pub async fn list_of_directories(
    s3: &S3,
    cx: &Context,
    input: api::ListAccessPointsForDirectoryBucketsInput,
) -> Result<api::ListAccessPointsForDirectoryBucketsOutput> {
    let page = Page::read(input.next_token.as_deref(), input.max_results, MAX_LISTED)?;
    let (list, next_token) = listed(s3, cx, input.directory_bucket.as_deref(), true, &page).await?;
    Ok(api::ListAccessPointsForDirectoryBucketsOutput { access_point_list: Some(list), next_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["abc", "0-9", &"x".repeat(50)] {
            assert!(check_name(good, "bucket").is_ok(), "{good}");
        }
        for bad in ["ab", "-abc", "abc-", "a.bc", "Abc", "a_bc", "x-s3alias", &"x".repeat(51), "abc--use1-az4--xa-s3"] {
            assert!(check_name(bad, "bucket").is_err(), "{bad}");
        }
        let directory = "base--use1-az4--x-s3";
        assert!(check_name("abc--use1-az4--xa-s3", directory).is_ok());
        assert!(check_name("abc--use1-az5--xa-s3", directory).is_err());
        assert!(check_name("abc", directory).is_err());
    }

    #[test]
    fn aliases_are_no_longer_than_bucket_names() {
        let random = Random::seeded(1);
        for name in ["abc", &"x".repeat(50)] {
            let alias = new_alias(name, "-s3alias", &random);
            assert!(alias.len() <= 63 && alias.ends_with("-s3alias") && alias.starts_with(&name[..3]), "{alias}");
        }
        assert_ne!(new_alias("abc", "-s3alias", &random), new_alias("abc", "-s3alias", &random));
    }

    #[test]
    fn names_come_as_arns_too() {
        assert_eq!(name_of("arn:aws:s3:us-east-1:123456789012:accesspoint/ap"), "ap");
        assert_eq!(name_of("ap"), "ap");
    }
}
