//! Global endpoints: events go to the primary's bus, or to the secondary's while the primary is not healthy; and where
//! replication is on to the other one too.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-global-endpoints.html>

use fractus_aws::{Arn, Region};
use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::{Scope, Snapshot};

use crate::error::{Error, Result};
use crate::health;
use crate::model::json;
use crate::model::names::{BusRef, Place};
use crate::pages::{self, Asked};
use crate::service::Events;
use crate::store::{ENDPOINT_IDS, ENDPOINTS, Endpoint, EndpointPlace};

fn load(snapshot: &Snapshot<'_>, place: &Place, name: &str) -> Result<Endpoint> {
    let found = snapshot.get(&ENDPOINTS, &place.scope, &(name,))?;
    found.ok_or_else(|| Error::NotFound(format!("Endpoint '{name}' does not exist.")))
}

fn arn(place: &Place, name: &str) -> String {
    place.arn(format!("endpoint/{name}")).to_string()
}

fn url(endpoint: &Endpoint) -> String {
    format!("https://{}.endpoint.events.amazonaws.com", endpoint.id)
}

/// The two buses have one name and one account, lie in two regions, and the first in the endpoint's own.
fn check_buses(place: &Place, buses: &[api::EndpointEventBus], secondary: &str) -> Result<Vec<String>> {
    let wrong = |reason: &str| Error::parameter("EventBuses", reason);
    let mut parsed = Vec::with_capacity(2);
    for bus in buses {
        let arn: Option<Arn> = bus.event_bus_arn.parse().ok();
        let bus = arn.and_then(|arn| BusRef::of_arn(&place.world, &arn));
        parsed.push(bus.ok_or_else(|| wrong("Must contain event bus ARNs."))?);
    }
    let [one, other] = parsed.as_slice() else { return Err(wrong("Must contain two event buses.")) };
    if one.name != other.name || one.place.world != other.place.world {
        return Err(wrong("The event buses must have the same name and account."));
    }
    if one.place.region == other.place.region {
        return Err(wrong("The event buses must be in different Regions."));
    }
    let (primary, other) = if one.place.region == place.region { (one, other) } else { (other, one) };
    if primary.place.region != place.region || other.place.region.as_str() != secondary {
        return Err(wrong("The event buses must be in the primary and the secondary Region."));
    }
    Ok(vec![primary.arn().to_string(), other.arn().to_string()])
}

fn bus_list(endpoint: &Endpoint) -> Vec<api::EndpointEventBus> {
    endpoint.buses.iter().map(|arn| api::EndpointEventBus { event_bus_arn: arn.clone() }).collect()
}

/// Replication is on unless it is switched off.
fn replicates(config: Option<&api::ReplicationConfig>) -> bool {
    let state = config.and_then(|config| config.state.as_ref());
    state.is_none_or(|state| *state != api::ReplicationState::Disabled)
}

fn replication_config(endpoint: &Endpoint) -> api::ReplicationConfig {
    let state = if endpoint.replicates { api::ReplicationState::Enabled } else { api::ReplicationState::Disabled };
    api::ReplicationConfig { state: Some(state) }
}

fn check_role(replicates: bool, role: Option<&String>) -> Result<()> {
    if replicates && role.is_none() {
        return Err(Error::validation("RoleArn is required when event replication is enabled."));
    }
    Ok(())
}

pub async fn create(
    events: &Events,
    cx: &Context,
    input: api::CreateEndpointInput,
) -> Result<api::CreateEndpointOutput> {
    let place = Place::of(cx);
    let now = cx.now();
    let secondary = &input.routing_config.failover_config.secondary.route;
    let replicates = replicates(input.replication_config.as_ref());
    check_role(replicates, input.role_arn.as_ref())?;
    let endpoint = Endpoint {
        name: input.name.clone(),
        id: format!(
            "{}.{}",
            cx.random().text(10, "abcdefghijklmnopqrstuvwxyz0123456789"),
            cx.random().text(3, "abcdefghijklmnopqrstuvwxyz")
        ),
        description: input.description.clone(),
        routing: json::of_shape(&input.routing_config)?,
        replicates,
        buses: check_buses(&place, &input.event_buses, secondary)?,
        role_arn: input.role_arn.clone(),
        created_at: now,
        modified_at: now,
    };
    let write = events.store.write(|tx| {
        if tx.contains(&ENDPOINTS, &place.scope, &(input.name.as_str(),))? {
            return Err(Error::AlreadyExists(format!("Endpoint '{}' already exists.", input.name)));
        }
        tx.put(&ENDPOINTS, &place.scope, &(endpoint.name.as_str(),), &endpoint)?;
        let found_at = EndpointPlace { region: place.region.to_string(), name: endpoint.name.clone() };
        Ok(tx.put(&ENDPOINT_IDS, &Scope::account(&place.world), &(endpoint.id.as_str(),), &found_at)?)
    });
    write.await?;
    Ok(api::CreateEndpointOutput {
        arn: Some(arn(&place, &input.name)),
        event_buses: Some(bus_list(&endpoint)),
        replication_config: Some(replication_config(&endpoint)),
        name: Some(input.name),
        routing_config: Some(input.routing_config),
        role_arn: input.role_arn,
        state: Some(api::EndpointState::Creating),
    })
}

pub async fn describe(
    events: &Events,
    cx: &Context,
    input: api::DescribeEndpointInput,
) -> Result<api::DescribeEndpointOutput> {
    let place = home(cx, input.home_region.as_deref())?;
    let endpoint = events.store.read(|snapshot| load(snapshot, &place, &input.name)).await?;
    Ok(api::DescribeEndpointOutput {
        arn: Some(arn(&place, &endpoint.name)),
        endpoint_url: Some(url(&endpoint)),
        event_buses: Some(bus_list(&endpoint)),
        replication_config: Some(replication_config(&endpoint)),
        routing_config: Some(json::to_shape(&endpoint.routing)),
        name: Some(endpoint.name),
        description: endpoint.description,
        role_arn: endpoint.role_arn,
        endpoint_id: Some(endpoint.id),
        state: Some(api::EndpointState::Active),
        state_reason: None,
        creation_time: Some(endpoint.created_at),
        last_modified_time: Some(endpoint.modified_at),
    })
}

/// Endpoints lie in their primary region, and may be asked for from another.
fn home(cx: &Context, region: Option<&str>) -> Result<Place> {
    let place = Place::of(cx);
    match region {
        None => Ok(place),
        Some(region) => {
            let region = Region::new(region).map_err(|error| Error::parameter("HomeRegion", error))?;
            Ok(Place::new(place.world, region))
        }
    }
}

pub async fn update(
    events: &Events,
    cx: &Context,
    input: api::UpdateEndpointInput,
) -> Result<api::UpdateEndpointOutput> {
    let place = Place::of(cx);
    let now = cx.now();
    let routing = input.routing_config.as_ref().map(|config| json::of_shape(config)).transpose()?;
    let write = events.store.write(|tx| {
        let mut endpoint = load(tx, &place, &input.name)?;
        if let Some(text) = &input.description {
            endpoint.description = Some(text.clone());
        }
        if let Some(routing) = &routing {
            endpoint.routing.clone_from(routing);
        }
        if let Some(role) = &input.role_arn {
            endpoint.role_arn = Some(role.clone());
        }
        if input.replication_config.is_some() {
            endpoint.replicates = replicates(input.replication_config.as_ref());
        }
        check_role(endpoint.replicates, endpoint.role_arn.as_ref())?;
        if let Some(buses) = &input.event_buses {
            let route = json::text_at(&endpoint.routing, &["FailoverConfig", "Secondary", "Route"]).unwrap_or_default();
            endpoint.buses = check_buses(&place, buses, route)?;
        }
        endpoint.modified_at = now;
        tx.put(&ENDPOINTS, &place.scope, &(endpoint.name.as_str(),), &endpoint)?;
        Ok::<_, Error>(endpoint)
    });
    let endpoint = write.await?;
    Ok(api::UpdateEndpointOutput {
        arn: Some(arn(&place, &endpoint.name)),
        endpoint_url: Some(url(&endpoint)),
        event_buses: Some(bus_list(&endpoint)),
        replication_config: Some(replication_config(&endpoint)),
        routing_config: Some(json::to_shape(&endpoint.routing)),
        name: Some(endpoint.name),
        role_arn: endpoint.role_arn,
        endpoint_id: Some(endpoint.id),
        state: Some(api::EndpointState::Updating),
    })
}

pub async fn delete(
    events: &Events,
    cx: &Context,
    input: api::DeleteEndpointInput,
) -> Result<api::DeleteEndpointOutput> {
    let place = Place::of(cx);
    let write = events.store.write(|tx| {
        let endpoint = load(tx, &place, &input.name)?;
        tx.delete(&ENDPOINTS, &place.scope, &(endpoint.name.as_str(),))?;
        Ok::<_, Error>(tx.delete(&ENDPOINT_IDS, &Scope::account(&place.world), &(endpoint.id.as_str(),))?)
    });
    write.await?;
    Ok(api::DeleteEndpointOutput::default())
}

pub async fn list(events: &Events, cx: &Context, input: api::ListEndpointsInput) -> Result<api::ListEndpointsOutput> {
    let place = home(cx, input.home_region.as_deref())?;
    let asked =
        Asked { prefix: input.name_prefix.as_deref(), token: input.next_token.as_deref(), limit: input.max_results };
    let read = events.store.read(|snapshot| {
        pages::page(snapshot, &ENDPOINTS, &place.scope, &asked, |endpoint: Endpoint| {
            Ok(Some(api::Endpoint {
                arn: Some(arn(&place, &endpoint.name)),
                endpoint_url: Some(url(&endpoint)),
                event_buses: Some(bus_list(&endpoint)),
                replication_config: Some(replication_config(&endpoint)),
                routing_config: Some(json::to_shape(&endpoint.routing)),
                name: Some(endpoint.name),
                description: endpoint.description,
                role_arn: endpoint.role_arn,
                endpoint_id: Some(endpoint.id),
                state: Some(api::EndpointState::Active),
                state_reason: None,
                creation_time: Some(endpoint.created_at),
                last_modified_time: Some(endpoint.modified_at),
            }))
        })
    });
    let (endpoints, next_token) = read.await?;
    Ok(api::ListEndpointsOutput { endpoints: Some(endpoints), next_token })
}

/// The buses that events sent to an endpoint go to: first the one that it routes to, which is the secondary while the
/// primary's health check is not healthy; then the other where it replicates.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-ge-best-practices.html>
pub async fn buses_of(events: &Events, cx: &Context, endpoint_id: &str) -> Result<Vec<BusRef>> {
    let missing = || Error::NotFound(format!("Endpoint '{endpoint_id}' does not exist."));
    let read = events.store.read(|snapshot| {
        let account = Scope::account(&cx.world);
        let found = snapshot.get(&ENDPOINT_IDS, &account, &(endpoint_id,))?.ok_or_else(missing)?;
        let region = Region::new(&found.region).map_err(|_| missing())?;
        let endpoint = load(snapshot, &Place::new(cx.world.clone(), region), &found.name)?;
        let check = json::text_at(&endpoint.routing, &["FailoverConfig", "Primary", "HealthCheck"]);
        let is_healthy = check.map_or(Ok(true), |check| health::is_healthy(snapshot, &account, check))?;
        Ok::<_, Error>((endpoint, is_healthy))
    });
    let (endpoint, is_healthy) = read.await?;
    let buses = endpoint.buses.iter().filter_map(|arn| BusRef::of_arn(&cx.world, &arn.parse().ok()?));
    let mut buses: Vec<BusRef> = buses.collect();
    if !is_healthy {
        buses.reverse();
    }
    buses.truncate(if endpoint.replicates { 2 } else { 1 });
    Ok(buses)
}
