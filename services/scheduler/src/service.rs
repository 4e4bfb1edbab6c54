//! The scheduler's state in memory and its operation table.

use std::sync::{Arc, OnceLock};

use fractus_aws::{Arn, Lane};
use fractus_bus::outbox::Outbox;
use fractus_clock::Clock;
use fractus_datakeys::Keys;
use fractus_host::{Access, Context, Host, Operations, Service, Waker};
use fractus_scheduler_api as api;
use fractus_store::Store;
use fractus_wire::Failure;
use fractus_wire::validation::{self, Violation};
use futures::future::BoxFuture;

use crate::calls::Calls;
use crate::config::Config;
use crate::error::Error;
use crate::model::groups::DEFAULT;
use crate::operations::{groups, lists, schedules, tags};
use crate::store::Place;

/// What every handler works on; clones share it.
#[derive(Clone)]
pub struct Scheduler {
    pub store: Store,
    pub host: Host,
    pub config: Config,
    pub outbox: Outbox,
    pub calls: Calls,
    pub keys: Keys,
    pub(crate) waker: Arc<OnceLock<Waker>>,
}

impl Scheduler {
    pub fn new(host: &Host, config: Config) -> Self {
        let keys = Keys::new(host);
        Scheduler {
            store: host.store().clone(),
            host: host.clone(),
            config,
            outbox: Outbox::start(host.bus(), host.store()),
            calls: Calls::new(host, &keys),
            keys,
            waker: Arc::default(),
        }
    }

    /// Looks again at what is due in a lane: it may have changed.
    pub fn wake(&self, lane: &Lane) {
        if let Some(waker) = self.waker.get() {
            waker.wake_in(lane);
        }
    }

    pub fn clock(&self, lane: &Lane) -> Clock {
        self.host.clocks().lane(lane.as_str())
    }
}

/// Where a caller's schedules lie.
pub fn place(cx: &Context) -> Place {
    Place::new(&cx.world, &cx.region)
}

/// Access to a schedule; whoever sets a target also passes its role on.
fn to_schedule(cx: &Context, group: Option<&str>, name: &str, role: Option<&str>) -> Result<Vec<Access>, Error> {
    let malformed = |_| Error::validation("Provided Arn is not in correct format.");
    let arn: Arn = place(cx).schedule_arn(group.unwrap_or(DEFAULT), name).parse().map_err(malformed)?;
    let mut wanted = vec![Access::to(&arn)];
    if let Some(role) = role {
        let role: Arn = role.parse().map_err(malformed)?;
        let service = vec!["scheduler.amazonaws.com".to_owned()];
        wanted.push(Access::to(&role).by("iam:PassRole").when("iam:PassedToService", service));
    }
    Ok(wanted)
}

fn to_group(cx: &Context, name: &str) -> Result<Vec<Access>, Error> {
    let arn: Arn = place(cx).group_arn(name).parse().map_err(|_| Error::NoGroup(name.to_owned()))?;
    Ok(vec![Access::to(&arn)])
}

fn to_resource(arn: &str) -> Result<Vec<Access>, Error> {
    let arn: Arn = arn.parse().map_err(|_| Error::validation("Provided Arn is not in correct format."))?;
    Ok(vec![Access::to(&arn)])
}

/// Every operation of EventBridge Scheduler.
pub fn operations() -> Operations<Scheduler> {
    Operations::new(&[&api::MODEL])
        .on(api::CreateSchedule, schedules::create)
        .access(api::CreateSchedule, |cx, input| {
            to_schedule(cx, input.group_name.as_deref(), &input.name, Some(&input.target.role_arn))
        })
        .on(api::GetSchedule, schedules::get)
        .access(api::GetSchedule, |cx, input| to_schedule(cx, input.group_name.as_deref(), &input.name, None))
        .on(api::UpdateSchedule, schedules::update)
        .access(api::UpdateSchedule, |cx, input| {
            to_schedule(cx, input.group_name.as_deref(), &input.name, Some(&input.target.role_arn))
        })
        .on(api::DeleteSchedule, schedules::delete)
        .access(api::DeleteSchedule, |cx, input| to_schedule(cx, input.group_name.as_deref(), &input.name, None))
        .on(api::ListSchedules, lists::schedules)
        .on(api::CreateScheduleGroup, groups::create)
        .access(api::CreateScheduleGroup, |cx, input| to_group(cx, &input.name))
        .on(api::GetScheduleGroup, groups::get)
        .access(api::GetScheduleGroup, |cx, input| to_group(cx, &input.name))
        .on(api::DeleteScheduleGroup, groups::delete)
        .access(api::DeleteScheduleGroup, |cx, input| to_group(cx, &input.name))
        .on(api::ListScheduleGroups, lists::groups)
        .on(api::TagResource, tags::tag)
        .access(api::TagResource, |_, input| to_resource(&input.resource_arn))
        .on(api::UntagResource, tags::untag)
        .access(api::UntagResource, |_, input| to_resource(&input.resource_arn))
        .on(api::ListTagsForResource, tags::list)
        .access(api::ListTagsForResource, |_, input| to_resource(&input.resource_arn))
}

impl Service for Scheduler {
    fn forget<'a>(&'a self) -> BoxFuture<'a, ()> {
        self.keys.forget_all();
        Box::pin(std::future::ready(()))
    }

    fn invalid(&self, _: &Context, violations: &[Violation]) -> Result<(), Failure> {
        Err(api::ValidationException::new(validation::message(violations)).into())
    }
}
