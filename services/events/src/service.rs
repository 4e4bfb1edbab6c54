//! EventBridge's state in memory, its operation table, and how it differs from other services at the edge.

use std::sync::Arc;

use fractus_aws::{Arn, Lane};
use fractus_bus::outbox::Outbox;
use fractus_datakeys::Keys;
use fractus_events_api as api;
use fractus_host::{Access, Context, Host, Operations, Prepared, Service, Waker};
use fractus_outgoing::{Bounds, Outgoing};
use fractus_store::Store;
use fractus_wire::ByteStream;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};
use parking_lot::Mutex;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::health;
use crate::index::Indexes;
use crate::model::names::{BusRef, DEFAULT_BUS};
use crate::operations::{
    api_destinations, archives, buses, connections, endpoints, event_sources, partner_sources, permissions, put_events,
    replays, rules, tags, targets, test_pattern,
};
use crate::store::BUSES;

/// No answer of an endpoint that matters is longer.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// What every handler works on; clones share it.
#[derive(Clone)]
pub struct Events {
    pub store: Store,
    pub host: Host,
    pub config: Config,
    pub outbox: Outbox,
    pub indexes: Arc<Indexes>,
    pub http: Outgoing,
    pub keys: Keys,
    pub wakers: Arc<Wakers>,
}

/// Wake the pieces of background work that wait for something to do.
#[derive(Default)]
pub struct Wakers {
    pub schedules: Mutex<Option<Waker>>,
    pub replays: Mutex<Option<Waker>>,
    pub authorizations: Mutex<Option<Waker>>,
}

impl Wakers {
    pub fn wake(waker: &Mutex<Option<Waker>>, lane: &Lane) {
        if let Some(waker) = &*waker.lock() {
            waker.wake_in(lane);
        }
    }
}

impl Events {
    pub fn new(host: &Host, config: Config) -> Self {
        Events {
            store: host.store().clone(),
            outbox: Outbox::start(host.bus(), host.store()),
            indexes: Arc::default(),
            http: Outgoing::new(Bounds {
                timeout: std::time::Duration::from_secs(config.http_timeout_secs),
                max_answer_bytes: MAX_ANSWER_BYTES,
            }),
            keys: Keys::new(host),
            wakers: Arc::default(),
            config,
            host: host.clone(),
        }
    }
}

fn bus_access(cx: &Context, bus: Option<&str>) -> Result<Vec<Access>> {
    Ok(vec![Access::to(&BusRef::of(cx, bus)?.arn())])
}

fn rule_access(cx: &Context, bus: Option<&str>, rule: &str) -> Result<Vec<Access>> {
    Ok(vec![Access::to(&BusRef::of(cx, bus)?.rule_arn(rule))])
}

fn tagged_access(arn: &str) -> Result<Vec<Access>> {
    let arn: Arn = arn.parse().map_err(|_| Error::parameter(arn, "Provided Arn is not in correct format."))?;
    Ok(vec![Access::to(&arn)])
}

/// Every bus that a request puts events on, once; what an endpoint leads to is looked up later.
fn put_events_access(cx: &Context, input: &api::PutEventsInput) -> Result<Vec<Access>> {
    let mut wanted: Vec<Access> = Vec::new();
    for entry in &input.entries {
        let access = bus_access(cx, entry.event_bus_name.as_deref())?;
        wanted.extend(access.into_iter().filter(|access| !wanted.contains(access)).collect::<Vec<_>>());
    }
    Ok(wanted)
}

/// Every operation of EventBridge.
pub fn operations() -> Operations<Events> {
    let table = Operations::new(&[&api::MODEL])
        .on(api::PutEvents, put_events::put_events)
        .access(api::PutEvents, put_events_access)
        // A megabyte of detail, written as a string inside JSON.
        .body_limit_bytes_of(api::PutEvents, 8 * 1024 * 1024)
        .on(api::TestEventPattern, test_pattern::test_event_pattern)
        .on(api::CreateEventBus, buses::create)
        .access(api::CreateEventBus, |cx, input| bus_access(cx, Some(&input.name)))
        .on(api::DeleteEventBus, buses::delete)
        .access(api::DeleteEventBus, |cx, input| bus_access(cx, Some(&input.name)))
        .on(api::DescribeEventBus, buses::describe)
        .access(api::DescribeEventBus, |cx, input| bus_access(cx, input.name.as_deref()))
        .on(api::UpdateEventBus, buses::update)
        .access(api::UpdateEventBus, |cx, input| bus_access(cx, input.name.as_deref()))
        .on(api::ListEventBuses, buses::list)
        .on(api::PutPermission, permissions::put)
        .access(api::PutPermission, |cx, input| bus_access(cx, input.event_bus_name.as_deref()))
        .on(api::RemovePermission, permissions::remove)
        .access(api::RemovePermission, |cx, input| bus_access(cx, input.event_bus_name.as_deref()))
        .on(api::TagResource, tags::tag)
        .access(api::TagResource, |_, input| tagged_access(&input.resource_arn))
        .on(api::UntagResource, tags::untag)
        .access(api::UntagResource, |_, input| tagged_access(&input.resource_arn))
        .on(api::ListTagsForResource, tags::list)
        .access(api::ListTagsForResource, |_, input| tagged_access(&input.resource_arn));
    resources(rule_operations(table))
}

fn rule_operations(table: Operations<Events>) -> Operations<Events> {
    table
        .on(api::PutRule, rules::put)
        .access(api::PutRule, |cx, input| rule_access(cx, input.event_bus_name.as_deref(), &input.name))
        .on(api::DeleteRule, rules::delete)
        .access(api::DeleteRule, |cx, input| rule_access(cx, input.event_bus_name.as_deref(), &input.name))
        .on(api::DescribeRule, rules::describe)
        .access(api::DescribeRule, |cx, input| rule_access(cx, input.event_bus_name.as_deref(), &input.name))
        .on(api::EnableRule, rules::enable)
        .access(api::EnableRule, |cx, input| rule_access(cx, input.event_bus_name.as_deref(), &input.name))
        .on(api::DisableRule, rules::disable)
        .access(api::DisableRule, |cx, input| rule_access(cx, input.event_bus_name.as_deref(), &input.name))
        .on(api::ListRules, rules::list)
        .on(api::ListRuleNamesByTarget, targets::list_rule_names)
        .on(api::PutTargets, targets::put)
        .access(api::PutTargets, |cx, input| rule_access(cx, input.event_bus_name.as_deref(), &input.rule))
        .on(api::RemoveTargets, targets::remove)
        .access(api::RemoveTargets, |cx, input| rule_access(cx, input.event_bus_name.as_deref(), &input.rule))
        .on(api::ListTargetsByRule, targets::list)
        .access(api::ListTargetsByRule, |cx, input| rule_access(cx, input.event_bus_name.as_deref(), &input.rule))
}

fn resources(table: Operations<Events>) -> Operations<Events> {
    table
        .on(api::CreateArchive, archives::create)
        .on(api::DeleteArchive, archives::delete)
        .on(api::DescribeArchive, archives::describe)
        .on(api::UpdateArchive, archives::update)
        .on(api::ListArchives, archives::list)
        .on(api::StartReplay, replays::start)
        .on(api::CancelReplay, replays::cancel)
        .on(api::DescribeReplay, replays::describe)
        .on(api::ListReplays, replays::list)
        .on(api::CreateConnection, connections::create)
        .on(api::DeleteConnection, connections::delete)
        .on(api::DescribeConnection, connections::describe)
        .on(api::UpdateConnection, connections::update)
        .on(api::DeauthorizeConnection, connections::deauthorize)
        .on(api::ListConnections, connections::list)
        .on(api::CreateApiDestination, api_destinations::create)
        .on(api::DeleteApiDestination, api_destinations::delete)
        .on(api::DescribeApiDestination, api_destinations::describe)
        .on(api::UpdateApiDestination, api_destinations::update)
        .on(api::ListApiDestinations, api_destinations::list)
        // Nobody measures a primary's health: it is what somebody says it is.
        .modelled(api::CreateEndpoint, endpoints::create)
        .on(api::DeleteEndpoint, endpoints::delete)
        .on(api::DescribeEndpoint, endpoints::describe)
        .modelled(api::UpdateEndpoint, endpoints::update)
        .on(api::ListEndpoints, endpoints::list)
        .on(api::CreatePartnerEventSource, partner_sources::create)
        .on(api::DeletePartnerEventSource, partner_sources::delete)
        .on(api::DescribePartnerEventSource, partner_sources::describe)
        .on(api::ListPartnerEventSources, partner_sources::list)
        .on(api::ListPartnerEventSourceAccounts, partner_sources::list_accounts)
        .on(api::PutPartnerEvents, partner_sources::put_events)
        .body_limit_bytes_of(api::PutPartnerEvents, 8 * 1024 * 1024)
        .on(api::ActivateEventSource, event_sources::activate)
        .on(api::DeactivateEventSource, event_sources::deactivate)
        .on(api::DescribeEventSource, event_sources::describe)
        .on(api::ListEventSources, event_sources::list)
}

impl Service for Events {
    fn prepare(&self, head: &mut Parts, _: &str) -> Prepared {
        if head.uri.path() == health::PATH { Prepared::Raw } else { Prepared::Identify }
    }

    fn raw<'a>(&'a self, cx: &'a Context, request: Request<ByteStream>) -> BoxFuture<'a, Response<ByteStream>> {
        Box::pin(health::answer(self, cx, request))
    }

    fn resource_policy<'a>(&'a self, cx: &'a Context, resource: &'a Arn) -> BoxFuture<'a, Option<String>> {
        Box::pin(async move {
            let bus = match BusRef::of_arn(&cx.world, resource) {
                Some(bus) => bus,
                None => {
                    // A rule is under its bus's policy.
                    let rest = resource.resource.strip_prefix("rule/")?;
                    let place = crate::model::names::Place::of_arn(&cx.world, resource)?;
                    let name = rest.rsplit_once('/').map_or(DEFAULT_BUS, |(bus, _)| bus).to_owned();
                    BusRef { place, name }
                }
            };
            let read = self.store.read(|snapshot| {
                Ok::<_, Error>(snapshot.get_shared(&BUSES, &bus.place.scope, &(bus.name.as_str(),))?)
            });
            read.await.ok().flatten()?.policy.clone()
        })
    }

    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.indexes.forget_all();
        self.keys.forget_all();
        Box::pin(std::future::ready(()))
    }
}
