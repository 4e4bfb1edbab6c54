//! What the stack tells all its services: clocks, faults, resets.

use fractus_bus::contracts::{Cause, ClockChanged, FaultsChanged, Reset, ResetScope};
use fractus_bus::{Heard, Hears, Publishers};
use fractus_store::{ResetScope as StoreScope, StoreError};

use crate::faults::FaultRule;
use crate::host::Host;

/// Hears and obeys until the host drains.
pub(crate) fn follow(host: &Host) {
    let bus = host.bus();
    let mut clocks = bus.subscribe::<ClockChanged>(Publishers::Any, Hears::EveryReplica);
    let mut faults = bus.subscribe::<FaultsChanged>(Publishers::Any, Hears::EveryReplica);
    let mut resets = bus.subscribe::<Reset>(Publishers::Any, Hears::EveryReplica);
    let (following, draining) = (host.clone(), host.draining());
    host.spawn("control events", async move {
        loop {
            tokio::select! {
                () = draining.cancelled() => return,
                heard = clocks.next() => match heard {
                    Some(Heard::Event { event, .. }) => following.clocks().lane(event.lane.as_str()).apply_if_newer(event.settings),
                    Some(Heard::Missed) => {}
                    None => return,
                },
                heard = faults.next() => match heard {
                    Some(Heard::Event { event, .. }) => obey_faults(&following, event),
                    Some(Heard::Missed) => {}
                    None => return,
                },
                heard = resets.next() => match heard {
                    Some(Heard::Event { event, cause, publisher }) => obey_reset(&following, event, &cause, &publisher).await,
                    Some(Heard::Missed) => {}
                    None => return,
                },
            }
        }
    });
}

fn obey_faults(host: &Host, event: FaultsChanged) {
    match serde_json::from_value::<Vec<FaultRule>>(event.rules) {
        Ok(rules) => host.inner.faults.replace(&event.lane, rules),
        Err(error) => tracing::warn!(%error, "fault rules that cannot be read"),
    }
}

async fn obey_reset(host: &Host, event: Reset, cause: &Cause, publisher: &str) {
    let is_for_us = event.service.as_deref().is_none_or(|service| service == host.name());
    // Our own word comes back to us; obeying it would wipe what has been made since.
    if !is_for_us || cause.origin == host.bus().instance() {
        return;
    }
    let is_done_already = publisher == host.name() && host.config().store.is_some();
    let done = if is_done_already { forget(host).await } else { reset_here(host, &event.scope).await };
    if let Err(error) = done {
        tracing::error!(%error, "a reset failed");
    }
}

/// Clears this process's store, and what is in memory beside it.
pub(crate) async fn reset_here(host: &Host, scope: &ResetScope) -> Result<(), StoreError> {
    host.store().reset(&store_scope(scope)).await?;
    forget(host).await
}

/// Drops what is in memory beside the store.
pub(crate) async fn forget(host: &Host) -> Result<(), StoreError> {
    host.inner.credentials.forget_all();
    host.inner.permissions.forget_all();
    host.inner.roles.forget_all();
    if let Some(service) = host.service() {
        service.forget().await;
    }
    host.wake_all();
    Ok(())
}

/// Tells the other replicas of this service.
pub(crate) fn tell_reset(host: &Host, scope: ResetScope) {
    let reset = Reset { scope, service: Some(host.name().to_owned()) };
    let cause = Cause::root(host.next_request_id().hyphenated(), host.bus().instance());
    if let Err(error) = host.bus().publish(&reset, &cause) {
        tracing::debug!(%error, "nobody hears of the reset");
    }
}

fn store_scope(scope: &ResetScope) -> StoreScope {
    match scope.clone() {
        ResetScope::All => StoreScope::All,
        ResetScope::Lane { lane } => StoreScope::Lane(lane),
        ResetScope::Account { lane, account } => StoreScope::Account(lane, account),
        ResetScope::Region { lane, account, region } => {
            let partition = region.partition();
            StoreScope::WorldRegion(fractus_aws::World { lane, partition, account }, region)
        }
    }
}
