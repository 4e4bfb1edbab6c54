//! Grants: whom a prefix of a location is given to.

use fractus_host::Context;
use fractus_s3control_api as api;
use fractus_store::{Collection, Order, Range, Snapshot, Transaction};

use super::{Home, PAGE, arn, bucket_of_scope, identity_center, invalid_grant};
use crate::control::errors::refused;
use crate::control::kept::{KEPT, Kept, Kind};
use crate::control::pages::Page;
use crate::control::tags;
use crate::error::{Error, Result};
use crate::service::S3;

/// The grants of a grantee: (account, region, grantee, grant id).
pub const GRANTEES: Collection<(String, String, String, String), ()> = Collection::new("control.grantees");

/// The most grants of one grantee that are looked through.
pub const LOOKED_THROUGH: usize = 10_000;

/// The grants of an account and region, with those that do not fit left out.
pub fn page(
    home: &Home,
    snapshot: &Snapshot<'_>,
    after: Option<&str>,
    take: usize,
    fits: impl Fn(&api::ListAccessGrantEntry) -> bool,
) -> Result<Vec<(String, api::ListAccessGrantEntry)>> {
    let (account, region, kind) = (home.account.as_str(), home.region.as_str(), Kind::Grant.name());
    let mut range = Range::prefix(&(account, region, kind));
    if let Some(after) = after {
        range = range.after(&(account, region, kind, after));
    }
    let mut found = Vec::new();
    for entry in snapshot.range(&KEPT, &home.scope, range, Order::Ascending)? {
        let ((_, _, _, id), kept) = entry?;
        let grant: api::ListAccessGrantEntry = kept.read()?;
        if fits(&grant) {
            found.push((id, grant));
        }
        if found.len() == take {
            break;
        }
    }
    Ok(found)
}

/// The grants of one grantee.
pub fn of_grantee(
    home: &Home,
    snapshot: &Snapshot<'_>,
    grantee: &str,
    after: Option<&str>,
    take: usize,
) -> Result<Vec<(String, api::ListAccessGrantEntry)>> {
    let (account, region) = (home.account.as_str(), home.region.as_str());
    let mut range = Range::prefix(&(account, region, grantee));
    if let Some(after) = after {
        range = range.after(&(account, region, grantee, after));
    }
    let mut found = Vec::new();
    for key in snapshot.keys(&GRANTEES, &home.scope, range, Order::Ascending)?.take(take) {
        let (_, _, _, id) = key?;
        let grant = home.grant(snapshot, &id)?.read()?;
        found.push((id, grant));
    }
    Ok(found)
}

/// What a grant reaches: its location's scope with the sub-prefix behind it. It ends with `*` unless it is one object.
pub fn grant_scope(location: &str, sub_prefix: Option<&str>, is_object: bool) -> Result<String> {
    let base = location.trim_end_matches('*');
    let sub = sub_prefix.unwrap_or_default();
    let is_bare = base != "s3://" && !base.trim_start_matches("s3://").contains('/');
    let separator = if is_bare && !sub.is_empty() && !sub.starts_with('/') { "/" } else { "" };
    let scope = format!("{base}{separator}{sub}");
    if bucket_of_scope(&scope).is_none_or(|bucket| bucket.contains('*')) {
        return Err(invalid_grant("one of the default location names a bucket in its sub-prefix"));
    }
    match (is_object, scope.ends_with('*')) {
        (true, true) => Err(invalid_grant("one of an object names its whole key")),
        (true, false) | (false, true) => Ok(scope),
        (false, false) if sub.is_empty() && is_bare => Ok(format!("{scope}/*")),
        (false, false) => Ok(format!("{scope}*")),
    }
}

/// Refuses what is granted to the grantee already.
fn check_new(home: &Home, tx: &Transaction<'_>, grantee: &str, new: &api::ListAccessGrantEntry) -> Result<()> {
    for (_, known) in of_grantee(home, tx, grantee, None, LOOKED_THROUGH)? {
        let is_same = known.grant_scope == new.grant_scope
            && known.permission == new.permission
            && known.application_arn == new.application_arn
            && known.access_grants_location_id == new.access_grants_location_id;
        if is_same {
            return Err(refused("AccessGrantAlreadyExists", 409, "The specified access grant already exists"));
        }
    }
    Ok(())
}

pub async fn create(s3: &S3, cx: &Context, input: api::CreateAccessGrantInput) -> Result<api::CreateAccessGrantOutput> {
    let tags = tags::checked(input.tags.unwrap_or_default())?;
    let (kind, grantee) = match (&input.grantee.grantee_type, &input.grantee.grantee_identifier) {
        (Some(kind), Some(id)) if !matches!(kind, api::GranteeType::Unknown(_)) => (kind, id),
        _ => return Err(Error::MalformedXml),
    };
    let is_object = matches!(input.s3_prefix_type, Some(api::S3PrefixType::Object));
    let sub_prefix =
        input.access_grants_location_configuration.as_ref().and_then(|asked| asked.s3_sub_prefix.as_deref());
    let now = cx.now().to_millis_precision();
    let id = cx.random().uuid();
    let home = Home::of(cx);
    let kept = s3.store.write(|tx| {
        identity_center::check_grantee(&home.instance(tx)?.read()?, kind)?;
        let location: api::ListAccessGrantsLocationsEntry =
            home.location(tx, &input.access_grants_location_id)?.read()?;
        let reached = grant_scope(location.location_scope.as_deref().unwrap_or_default(), sub_prefix, is_object)?;
        let entry = api::ListAccessGrantEntry {
            created_at: Some(now),
            access_grant_id: Some(id.clone()),
            access_grant_arn: Some(arn(cx, "grant", &id)),
            grantee: Some(input.grantee.clone()),
            permission: Some(input.permission.clone()),
            access_grants_location_id: Some(input.access_grants_location_id.clone()),
            access_grants_location_configuration: input.access_grants_location_configuration.clone(),
            grant_scope: Some(reached),
            application_arn: input.application_arn.clone(),
        };
        check_new(&home, tx, grantee, &entry)?;
        let kept = Kept::new(now, &entry, tags.clone())?;
        home.put(Kind::Grant, tx, &id, &kept)?;
        let place = (home.account.as_str(), home.region.as_str(), grantee.as_str(), id.as_str());
        tx.put(&GRANTEES, &home.scope, &place, &())?;
        Ok::<_, Error>(kept)
    });
    kept.await?.read()
}

pub async fn get(s3: &S3, cx: &Context, input: api::GetAccessGrantInput) -> Result<api::GetAccessGrantOutput> {
    let home = Home::of(cx);
    let found = s3.store.read(|snapshot| {
        home.instance(snapshot)?;
        home.grant(snapshot, &input.access_grant_id)
    });
    found.await?.read()
}

pub async fn delete(s3: &S3, cx: &Context, input: api::DeleteAccessGrantInput) -> Result<api::DeleteAccessGrantOutput> {
    let home = Home::of(cx);
    let id = input.access_grant_id.as_str();
    s3.store
        .write(|tx| {
            home.instance(tx)?;
            let entry: api::ListAccessGrantEntry = home.grant(tx, id)?.read()?;
            let grantee = entry.grantee.and_then(|grantee| grantee.grantee_identifier).unwrap_or_default();
            let place = (home.account.as_str(), home.region.as_str(), grantee.as_str(), id);
            tx.delete(&GRANTEES, &home.scope, &place)?;
            home.remove(Kind::Grant, tx, id)
        })
        .await?;
    Ok(api::DeleteAccessGrantOutput::default())
}

pub async fn list(s3: &S3, cx: &Context, input: api::ListAccessGrantsInput) -> Result<api::ListAccessGrantsOutput> {
    let asked = Page::read(input.next_token.as_deref(), input.max_results, PAGE)?;
    let home = Home::of(cx);
    let fits = |entry: &api::ListAccessGrantEntry| {
        let grantee = entry.grantee.clone().unwrap_or_default();
        (input.grantee_type.is_none() || input.grantee_type == grantee.grantee_type)
            && (input.grantee_identifier.is_none() || input.grantee_identifier == grantee.grantee_identifier)
            && (input.permission.is_none() || input.permission == entry.permission)
            && (input.grant_scope.is_none() || input.grant_scope == entry.grant_scope)
            && (input.application_arn.is_none() || input.application_arn == entry.application_arn)
    };
    let mut found = s3
        .store
        .read(|snapshot| {
            home.instance(snapshot)?;
            page(&home, snapshot, asked.after.as_deref(), asked.max + 1, fits)
        })
        .await?;
    let next_token = asked.cut(&mut found, |(id, _)| id.clone());
    let list = found.into_iter().map(|(_, entry)| entry).collect();
    Ok(api::ListAccessGrantsOutput { next_token, access_grants_list: Some(list) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_grants() {
        let scope = |location: &str, sub: Option<&str>| grant_scope(location, sub, false).map_err(|_| ());
        assert_eq!(scope("s3://", Some("b/p*")).as_deref(), Ok("s3://b/p*"));
        assert_eq!(scope("s3://b", Some("p*")).as_deref(), Ok("s3://b/p*"));
        assert_eq!(scope("s3://b/p/", Some("q")).as_deref(), Ok("s3://b/p/q*"));
        assert_eq!(scope("s3://b/p*", None).as_deref(), Ok("s3://b/p*"));
        assert_eq!(scope("s3://b", None).as_deref(), Ok("s3://b/*"));
        assert!(scope("s3://", None).is_err());
        assert!(scope("s3://", Some("*")).is_err());
        assert_eq!(grant_scope("s3://b/", Some("k"), true).ok().as_deref(), Some("s3://b/k"));
        assert!(grant_scope("s3://b/", Some("k*"), true).is_err());
    }
}
