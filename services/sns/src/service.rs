//! SNS's state in memory, its operation table, and how it differs from other services at the edge.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fractus_aws::{AccountId, Arn, Partition};
use fractus_bus::outbox::Outbox;
use fractus_datakeys::Keys;
use fractus_host::{Access, Context, Host, Operations, Prepared, Service, Waker};
use fractus_outgoing::{Bounds, Outgoing};
use fractus_sns_api as api;
use fractus_store::{Snapshot, Store, Transaction};
use fractus_wire::{ByteStream, Failure, validation};
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::links;
use crate::mail::Relay;
use crate::model::names;
use crate::model::signing::Signer;
use crate::operations::{
    batch, data_protection, endpoints, permissions, platform_applications, publish, sandbox, sms, subscriptions, tags,
    topics,
};
use crate::routes::RouteCache;
use crate::signer::SignerSource;
use crate::store::{Place, SUBSCRIPTIONS, Subscription, TOPICS, Topic};

/// An endpoint has so long to answer.
/// <https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.prepare.html>
const ENDPOINT_BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(15), max_answer_bytes: 64 * 1024 };

/// What every handler works on.
pub struct Sns {
    pub store: Store,
    pub host: Host,
    pub config: Config,
    pub routes: RouteCache,
    pub outbox: Outbox,
    pub http: Outgoing,
    pub keys: Keys,
    pub relay: Option<Relay>,
    /// Wakes the sender of requests and mails, the fan-out and the replays.
    pub wakers: OnceLock<Wakers>,
    pub signers: SignerSource,
}

/// `trusted`: a file of PEM certificates beside the public authorities.
fn http_client(trusted: Option<&str>) -> Result<Outgoing> {
    let Some(path) = trusted else { return Ok(Outgoing::new(ENDPOINT_BOUNDS)) };
    let made = Outgoing::trusting(ENDPOINT_BOUNDS, Path::new(path));
    made.map_err(|error| Error::Internal(format!("trusted_certificates, {error}")))
}

/// What background work is woken by.
pub struct Wakers {
    pub jobs: Waker,
    pub fanouts: Waker,
    pub replays: Waker,
}

impl Sns {
    pub fn new(host: &Host, config: Config) -> Result<Self> {
        Ok(Sns {
            store: host.store().clone(),
            outbox: Outbox::start(host.bus(), host.store()),
            http: http_client(config.trusted_certificates.as_deref())?,
            relay: config.smtp_relay.as_deref().map(|url| Relay::new(url, &config.email_from)).transpose()?,
            routes: RouteCache::default(),
            keys: Keys::new(host),
            wakers: OnceLock::new(),
            signers: SignerSource::new(host, config.signing_cert_url.clone()),
            host: host.clone(),
            config,
        })
    }

    /// The key that messages are signed with.
    pub async fn signer(&self) -> Result<Arc<Signer>> {
        self.signers.get().await
    }

    /// The certificate of this id, where there is one.
    pub async fn certificate(&self, id: &str) -> Result<Option<String>> {
        let signer = self.signer().await?;
        Ok((signer.record.id == id).then(|| signer.record.certificate_pem.clone()))
    }
}

/// Reads a topic inside a transaction or snapshot.
pub fn topic(snapshot: &Snapshot<'_>, place: &Place) -> Result<Arc<Topic>> {
    snapshot.get_shared(&TOPICS, &place.scope(), &(place.name.as_str(),))?.ok_or_else(Error::topic_not_found)
}

/// The topic as a record of its own, to be changed and put back.
pub fn topic_to_change(tx: &Transaction<'_>, place: &Place) -> Result<Topic> {
    tx.get(&TOPICS, &place.scope(), &(place.name.as_str(),))?.ok_or_else(Error::topic_not_found)
}

pub fn put_topic(tx: &mut Transaction<'_>, place: &Place, topic: &Topic) -> Result<()> {
    Ok(tx.put(&TOPICS, &place.scope(), &(place.name.as_str(),), topic)?)
}

/// Reads a subscription and its topic inside a transaction or snapshot.
pub fn subscription(snapshot: &Snapshot<'_>, place: &Place, id: &str) -> Result<(Arc<Topic>, Subscription)> {
    let missing = Error::subscription_not_found;
    let topic =
        topic(snapshot, place).map_err(|error| if let Error::NotFound(_) = error { missing() } else { error })?;
    let found = snapshot.get(&SUBSCRIPTIONS, &place.scope(), &(topic.id, id))?.ok_or_else(missing)?;
    Ok((topic, found))
}

/// The access that an operation on a topic needs: topics' own policies ask whose account the caller is of.
fn to_topic(cx: &Context, arn: &str) -> Result<Vec<Access>> {
    let parsed = names::parse_arn("TopicArn", arn)?;
    let owner = vec![cx.caller.account.to_string()];
    Ok(vec![Access::to(&parsed).when("aws:SourceOwner", owner)])
}

/// The same with what a subscription is about.
fn to_subscribe(cx: &Context, input: &api::SubscribeInput) -> Result<Vec<Access>> {
    let accesses = to_topic(cx, &input.topic_arn)?.into_iter().map(|access| {
        let access = access.when("sns:Protocol", vec![input.protocol.clone()]);
        access.when("sns:Endpoint", input.endpoint.clone().into_iter().collect())
    });
    Ok(accesses.collect())
}

/// Publishing to a topic is judged by the topic; to a device or a number by the caller's own policies.
fn to_publish(cx: &Context, input: &api::PublishInput) -> Result<Vec<Access>> {
    let arn = input.topic_arn.as_deref().or(input.target_arn.as_deref()).filter(|arn| !arn.is_empty());
    match arn {
        Some(arn) => to_topic(cx, arn),
        None => Ok(vec![Access::to_all()]),
    }
}

macro_rules! by_topic {
    ($member:ident) => {
        |cx, input| to_topic(cx, &input.$member)
    };
}

/// Every operation of SNS.
pub fn operations() -> Operations<Sns> {
    Operations::new(&[&api::MODEL])
        .on(api::CreateTopic, topics::create)
        .on(api::DeleteTopic, topics::delete)
        .access(api::DeleteTopic, by_topic!(topic_arn))
        .on(api::ListTopics, topics::list)
        .on(api::GetTopicAttributes, topics::attributes)
        .access(api::GetTopicAttributes, by_topic!(topic_arn))
        .on(api::SetTopicAttributes, topics::set_attribute)
        .access(api::SetTopicAttributes, by_topic!(topic_arn))
        .on(api::AddPermission, permissions::add)
        .access(api::AddPermission, by_topic!(topic_arn))
        .on(api::RemovePermission, permissions::remove)
        .access(api::RemovePermission, by_topic!(topic_arn))
        .on(api::TagResource, tags::tag)
        .access(api::TagResource, by_topic!(resource_arn))
        .on(api::UntagResource, tags::untag)
        .access(api::UntagResource, by_topic!(resource_arn))
        .on(api::ListTagsForResource, tags::list)
        .access(api::ListTagsForResource, by_topic!(resource_arn))
        .on(api::PutDataProtectionPolicy, data_protection::put)
        .access(api::PutDataProtectionPolicy, by_topic!(resource_arn))
        .on(api::GetDataProtectionPolicy, data_protection::get)
        .access(api::GetDataProtectionPolicy, by_topic!(resource_arn))
        .on(api::Subscribe, subscriptions::subscribe)
        .access(api::Subscribe, to_subscribe)
        .on(api::ConfirmSubscription, subscriptions::confirm)
        .access(api::ConfirmSubscription, by_topic!(topic_arn))
        .on(api::Unsubscribe, subscriptions::unsubscribe)
        .on(api::ListSubscriptions, subscriptions::list)
        .on(api::ListSubscriptionsByTopic, subscriptions::list_by_topic)
        .access(api::ListSubscriptionsByTopic, by_topic!(topic_arn))
        .on(api::GetSubscriptionAttributes, subscriptions::attributes)
        .on(api::SetSubscriptionAttributes, subscriptions::set_attribute)
        .on(api::Publish, publish::one)
        .access(api::Publish, to_publish)
        .on(api::PublishBatch, batch::publish)
        .access(api::PublishBatch, |cx, input| {
            Ok::<_, Error>(to_topic(cx, &input.topic_arn)?.into_iter().map(|one| one.by("sns:Publish")).collect())
        })
        .modelled(api::CreatePlatformApplication, platform_applications::create)
        .on(api::DeletePlatformApplication, platform_applications::delete)
        .on(api::ListPlatformApplications, platform_applications::list)
        .on(api::GetPlatformApplicationAttributes, platform_applications::attributes)
        .on(api::SetPlatformApplicationAttributes, platform_applications::set_attributes)
        .on(api::CreatePlatformEndpoint, endpoints::create)
        .on(api::DeleteEndpoint, endpoints::delete)
        .on(api::ListEndpointsByPlatformApplication, endpoints::list)
        .on(api::GetEndpointAttributes, endpoints::attributes)
        .on(api::SetEndpointAttributes, endpoints::set_attributes)
        .on(api::SetSMSAttributes, sms::set_attributes)
        .on(api::GetSMSAttributes, sms::attributes)
        .on(api::CheckIfPhoneNumberIsOptedOut, sms::is_opted_out)
        .on(api::ListPhoneNumbersOptedOut, sms::list_opted_out)
        .on(api::OptInPhoneNumber, sms::opt_in)
        .modelled(api::ListOriginationNumbers, sms::origination_numbers)
        .on(api::GetSMSSandboxAccountStatus, sandbox::status)
        .modelled(api::CreateSMSSandboxPhoneNumber, sandbox::create)
        .on(api::VerifySMSSandboxPhoneNumber, sandbox::verify)
        .on(api::DeleteSMSSandboxPhoneNumber, sandbox::delete)
        .on(api::ListSMSSandboxPhoneNumbers, sandbox::list)
        // A message of 256 KiB, every byte of it percent-encoded, and a batch is no larger.
        .body_limit_bytes(2 * 1024 * 1024)
}

impl Service for Sns {
    /// Links in messages carry no signature, and certificates are for anybody.
    fn prepare(&self, head: &mut Parts, _: &str) -> Prepared {
        if links::is_link(head) { Prepared::Raw } else { Prepared::Identify }
    }

    fn raw<'a>(&'a self, cx: &'a Context, request: Request<ByteStream>) -> BoxFuture<'a, Response<ByteStream>> {
        Box::pin(links::answer(self, cx, request))
    }

    /// SNS calls a denial by a name of its own.
    fn failure(&self, _: &Context, failure: Failure) -> Failure {
        if failure.code == "AccessDenied" { Error::Authorization(failure.message).into() } else { failure }
    }

    /// SNS judges values itself, and names the first parameter that is missing or out of bounds as the protocol does.
    fn invalid(&self, _: &Context, violations: &[validation::Violation]) -> Result<(), Failure> {
        Err(Error::ValidationError(validation::message(violations)).into())
    }

    fn resource_policy<'a>(&'a self, cx: &'a Context, resource: &'a Arn) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move {
            let account = AccountId::new(&resource.account).ok()?;
            Partition::parse(&resource.partition).filter(|partition| *partition == cx.world.partition)?;
            let place = Place {
                world: cx.world.with_account(account),
                region: cx.region.clone(),
                name: resource.resource.clone(),
            };
            let found = self.store.read(|snapshot| topic(snapshot, &place)).await.ok()?;
            Some(found.policy.clone())
        })
    }

    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.routes.forget();
        self.keys.forget_all();
        Box::pin(self.signers.keep())
    }
}
