//! Who and where a request is, from its head, without verifying: lane, account, region, caller.
//!
//! A client sends the same credential and host again and again on one connection, so each connection remembers what
//! the last one meant; the hot path is then a comparison of two texts.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;
use memchr::memmem;
use parking_lot::Mutex;

use fractus_aws::{AccountId, Lane, Region, World};
use fractus_bus::contracts::{Credential, CredentialKind};
use fractus_clock::Clock;
use fractus_sigv4::{CredentialScope, RequestView};
use fractus_wire::Failure;

use crate::access_key::account_of_access_key_id;
use crate::config::AuthMode;
use crate::context::{Caller, CallerKind};
use crate::host::Host;

/// The header that names a lane.
pub const LANE_HEADER: &str = "x-fractus-lane";
static LANE: HeaderName = HeaderName::from_static(LANE_HEADER);

/// What the head of a request says of who and where it is.
pub(crate) struct Identity {
    pub world: World,
    pub region: Region,
    pub caller: Arc<Caller>,
    pub clock: Clock,
    /// The host that the caller named, without port and lane.
    pub host: Arc<str>,
}

impl Identity {
    pub fn of_service(host: &Host, world: &World, region: &Region, caller: Arc<Caller>) -> Self {
        let clock = host.clocks().lane(world.lane.as_str());
        Identity { world: world.clone(), region: region.clone(), caller, clock, host: "localhost".into() }
    }

    /// Of a request that does not say who or where it is.
    pub fn unknown(clock: Clock) -> Self {
        let world = World::default_world();
        let caller = Arc::new(Caller {
            arn: String::new(),
            principal_id: String::new(),
            account: world.account.clone(),
            kind: CallerKind::Anonymous,
            access_key_id: String::new(),
            credential: None,
        });
        Identity { world, region: Region::us_east_1(), caller, clock, host: "localhost".into() }
    }
}

/// The latest identity seen on a connection.
#[derive(Default)]
pub(crate) struct LatestIdentity(Mutex<Option<Latest>>);

struct Latest {
    credential: Box<str>,
    host: Box<str>,
    lane: Box<str>,
    generation: u64,
    identity: Arc<Identity>,
}

impl LatestIdentity {
    /// The identity behind this head; from memory if it says what the last one said.
    pub async fn resolve(&self, host: &Host, head: &Parts) -> Result<Arc<Identity>, Failure> {
        let facts = Facts::of(head);
        let generation = host.inner.credentials.generation();
        if let Some(latest) = &*self.0.lock()
            && *latest.credential == *facts.credential
            && *latest.host == *facts.host
            && *latest.lane == *facts.lane
            && latest.generation == generation
        {
            return Ok(latest.identity.clone());
        }
        let (identity, lasting) = resolve(host, head, &facts).await?;
        let identity = Arc::new(identity);
        if lasting {
            *self.0.lock() = Some(Latest {
                credential: facts.credential.into(),
                host: facts.host.into(),
                lane: facts.lane.into(),
                generation,
                identity: identity.clone(),
            });
        }
        Ok(identity)
    }
}

/// The texts that decide, borrowed from the head.
struct Facts<'a> {
    /// `AKID/20260101/us-east-1/sqs/aws4_request`; for a presigned request the whole query.
    credential: &'a str,
    host: &'a str,
    lane: &'a str,
}

impl<'a> Facts<'a> {
    fn of(head: &'a Parts) -> Self {
        let header = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
        let credential = match header(&AUTHORIZATION) {
            Some(authorization) => credential_part(authorization),
            None => head.uri.query().filter(|query| query.contains("Credential=") || query.contains("AWSAccessKeyId=")),
        };
        Facts {
            credential: credential.unwrap_or_default(),
            host: host_name(head),
            lane: header(&LANE).unwrap_or_default(),
        }
    }
}

/// From the scheme to the end of the credential: what stays the same from request to request.
fn credential_part(authorization: &str) -> Option<&str> {
    const USUAL: &str = "AWS4-HMAC-SHA256 Credential=";
    let start = match authorization.starts_with(USUAL) {
        true => USUAL.len(),
        false => match memmem::find(authorization.as_bytes(), b"Credential=") {
            Some(start) => start,
            None => return Some(authorization),
        },
    };
    let end = memchr::memchr(b',', &authorization.as_bytes()[start..]).map_or(authorization.len(), |end| start + end);
    authorization.get(..end)
}

/// The host that the caller named, without the port.
fn host_name(head: &Parts) -> &str {
    let authority = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(http::header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default(),
    };
    match authority.rsplit_once(':') {
        // An IPv6 address has colons of its own; only what follows its bracket is a port.
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

/// The lane's name in a host (`pr-7.lane.localhost`, `bucket.s3.pr-7.lane.localhost`), and the host without it.
fn split_lane(host: &str) -> (Option<&str>, std::borrow::Cow<'_, str>) {
    const MARK: &str = ".lane.";
    let Some(at) = memmem::find(host.as_bytes(), MARK.as_bytes()) else { return (None, host.into()) };
    let (before, after) = (&host[..at], &host[at + MARK.len()..]);
    match before.rsplit_once('.') {
        Some((front, lane)) => (Some(lane), format!("{front}.{after}").into()),
        None => (Some(before), after.into()),
    }
}

/// An access key id and the lane that it may name behind an `@`.
fn split_key(key: &str) -> (&str, Option<&str>) {
    key.rsplit_once('@').map_or((key, None), |(key, lane)| (key, Some(lane)))
}

async fn resolve(host: &Host, head: &Parts, facts: &Facts<'_>) -> Result<(Identity, bool), Failure> {
    let view = RequestView::from(head);
    let scope = CredentialScope::of(&view);
    let (key, key_lane) = scope.as_ref().map_or(("", None), |scope| split_key(&scope.access_key));
    let lane = lane_of(facts, key_lane)?;
    let region = scope.as_ref().map(|scope| scope.region).filter(|region| !region.is_empty());
    let region = region.and_then(|region| Region::new(region).ok()).unwrap_or_else(Region::us_east_1);
    let partition = region.partition();
    let (caller, lasting) = caller(host, &lane, partition.as_str(), key).await;
    let clock = host.clocks().lane(lane.as_str());
    let world = World { lane, partition, account: caller.account.clone() };
    let host_without_lane = split_lane(facts.host).1.as_ref().into();
    Ok((Identity { world, region, caller: Arc::new(caller), clock, host: host_without_lane }, lasting))
}

/// The header wins over the host, the host over the key.
fn lane_of(facts: &Facts<'_>, key_lane: Option<&str>) -> Result<Lane, Failure> {
    let named = if facts.lane.is_empty() { split_lane(facts.host).0.or(key_lane) } else { Some(facts.lane) };
    match named {
        None => Ok(Lane::main()),
        Some(name) => Lane::new(name.to_ascii_lowercase()).map_err(|_| {
            let message = format!("{name:?} is no lane: 1 to 63 letters, digits and hyphens");
            Failure::new("InvalidLane", 400, message)
        }),
    }
}

/// Who calls with this key in a world; the lane that the key may name is the caller's to choose and not looked at.
pub(crate) async fn of_key(host: &Host, world: &World, access_key: &str) -> Arc<Caller> {
    let (key, _) = split_key(access_key);
    Arc::new(caller(host, &world.lane, world.partition.as_str(), key).await.0)
}

/// The caller behind a key, and whether that holds until credentials change.
async fn caller(host: &Host, lane: &Lane, partition: &str, key: &str) -> (Caller, bool) {
    let root = |account: AccountId, kind| Caller {
        arn: format!("arn:{partition}:iam::{account}:root"),
        principal_id: account.to_string(),
        account,
        kind,
        access_key_id: key.to_owned(),
        credential: None,
    };
    if key.is_empty() {
        return (root(AccountId::default_account(), CallerKind::Anonymous), true);
    }
    let mode = host.config().auth;
    if let Some(account) = account_of_root_key(key) {
        let mut caller = root(account, CallerKind::Root);
        if mode != AuthMode::Off {
            caller.credential = root_credential(host, &caller).map(Arc::new);
        }
        return (caller, true);
    }
    // A key that says nothing of itself is nobody's, unless signatures count: then its issuer is asked all the same.
    let account = account_of_access_key_id(key);
    if account.is_none() && mode == AuthMode::Off {
        return (root(AccountId::default_account(), CallerKind::Root), true);
    }
    let found = host.inner.credentials.find(host, lane, key).await;
    let lasting = found.is_ok();
    match found.ok().flatten() {
        Some(credential) => (
            Caller {
                arn: credential.principal.to_string(),
                principal_id: credential.principal_id.clone(),
                account: credential.account.clone(),
                kind: CallerKind::Known(credential.kind),
                access_key_id: key.to_owned(),
                credential: Some(credential),
            },
            lasting,
        ),
        None => (root(account.unwrap_or_else(AccountId::default_account), CallerKind::Root), lasting),
    }
}

/// Twelve digits are an account; `test` is what everybody's examples use.
fn account_of_root_key(key: &str) -> Option<AccountId> {
    if key == "test" { Some(AccountId::default_account()) } else { AccountId::new(key).ok() }
}

fn root_credential(host: &Host, caller: &Caller) -> Option<Credential> {
    Some(Credential {
        access_key_id: caller.access_key_id.clone(),
        secret_access_key: host.config().root_secret.clone()?,
        session_token: None,
        kind: CredentialKind::Root,
        account: caller.account.clone(),
        principal: caller.arn.parse().ok()?,
        principal_id: caller.principal_id.clone(),
        role: None,
        active: true,
        expiration: None,
        session_policies: Vec::new(),
        session_policy_arns: Vec::new(),
        session_tags: Vec::new(),
        session_context: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_cut_out_of_the_host() {
        for (host, lane, rest) in [
            ("pr-7.lane.localhost", Some("pr-7"), "localhost"),
            ("b.s3.pr-7.lane.localhost", Some("pr-7"), "b.s3.localhost"),
            ("localhost", None, "localhost"),
            ("lane.localhost", None, "lane.localhost"),
        ] {
            assert_eq!(split_lane(host), (lane, rest.into()), "{host}");
        }
    }

    #[test]
    fn a_key_may_name_a_lane() {
        assert_eq!(split_key("123456789012@blue"), ("123456789012", Some("blue")));
        assert_eq!(split_key("test"), ("test", None));
    }

    #[test]
    fn what_stays_the_same_of_an_authorization_ends_with_the_credential() {
        assert_eq!(credential_part("AWS4 Credential=a/b/c, SignedHeaders=x"), Some("AWS4 Credential=a/b/c"));
        let usual = "AWS4-HMAC-SHA256 Credential=a/b/c";
        assert_eq!(credential_part(&format!("{usual}, SignedHeaders=x, Signature=y")), Some(usual));
        assert_eq!(credential_part(usual), Some(usual));
        assert_eq!(credential_part("AWS AK:signature"), Some("AWS AK:signature"));
    }
}
