//! API destinations.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html>

use fractus_aws::Arn;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::{Order, Range, Snapshot, Transaction};

use crate::error::{Error, Result};
use crate::model::names::{Place, name_in_arn};
use crate::operations::connections::{self, AUTHORIZED};
use crate::pages;
use crate::service::Events;
use crate::store::{API_DESTINATIONS, ApiDestination, CONNECTIONS, DESTINATIONS_BY_CONNECTION};

/// Calls a second where nobody says another rate.
const USUAL_RATE: u32 = 300;

pub fn load(snapshot: &Snapshot<'_>, place: &Place, name: &str) -> Result<ApiDestination> {
    let found = snapshot.get(&API_DESTINATIONS, &place.scope, &(name,))?;
    found.ok_or_else(|| {
        Error::NotFound(format!(
            "Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
        ))
    })
}

fn arn(place: &Place, destination: &ApiDestination) -> Arn {
    place.arn(format!("api-destination/{}/{}", destination.name, destination.uuid))
}

/// It works as long as its connection does.
fn state(snapshot: &Snapshot<'_>, place: &Place, destination: &ApiDestination) -> Result<api::ApiDestinationState> {
    let name = name_in_arn(&destination.connection_arn, "connection").unwrap_or_default();
    let connection = snapshot.get(&CONNECTIONS, &place.scope, &(name.as_str(),))?;
    let is_active = connection.is_some_and(|connection| {
        connection.state == AUTHORIZED && connections::arn(place, &connection).to_string() == destination.connection_arn
    });
    Ok(if is_active { api::ApiDestinationState::Active } else { api::ApiDestinationState::Inactive })
}

/// The name of the connection behind an ARN, if it is there.
fn check_connection(snapshot: &Snapshot<'_>, place: &Place, arn: &str, verb: &str) -> Result<String> {
    let missing =
        || Error::NotFound(format!("Failed to {verb} an API destination. The connection '{arn}' does not exist."));
    let name = name_in_arn(arn, "connection").ok_or_else(missing)?;
    let connection = connections::load(snapshot, place, &name).map_err(|_| missing())?;
    if connections::arn(place, &connection).to_string() != arn {
        return Err(missing());
    }
    Ok(name)
}

/// AWS takes HTTPS only; plain HTTP is taken too, for what runs on this machine.
fn check_endpoint(endpoint: &str) -> Result<()> {
    let uri: Option<http::Uri> = endpoint.replace('*', "x").parse().ok();
    let is_web = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if is_web { Ok(()) } else { Err(Error::parameter("InvocationEndpoint", "It must be an HTTPS URL.")) }
}

fn link(tx: &mut Transaction<'_>, place: &Place, before: Option<&str>, after: Option<&str>, name: &str) -> Result<()> {
    if let Some(before) = before.and_then(|arn| name_in_arn(arn, "connection")) {
        tx.delete(&DESTINATIONS_BY_CONNECTION, &place.scope, &(before.as_str(), name))?;
    }
    if let Some(after) = after.and_then(|arn| name_in_arn(arn, "connection")) {
        tx.put(&DESTINATIONS_BY_CONNECTION, &place.scope, &(after.as_str(), name), &())?;
    }
    Ok(())
}

fn rate(given: Option<i32>) -> u32 {
    given.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(USUAL_RATE)
}

pub async fn create(
    events: &Events,
    cx: &Context,
    input: api::CreateApiDestinationInput,
) -> Result<api::CreateApiDestinationOutput> {
    let place = Place::of(cx);
    check_endpoint(&input.invocation_endpoint)?;
    let now = cx.now();
    let destination = ApiDestination {
        name: input.name.clone(),
        uuid: cx.random().uuid(),
        description: input.description,
        connection_arn: input.connection_arn,
        endpoint: input.invocation_endpoint,
        method: input.http_method.as_str().to_owned(),
        rate_per_second: rate(input.invocation_rate_limit_per_second),
        created_at: now,
        modified_at: now,
    };
    let write = events.store.write(|tx| {
        if tx.contains(&API_DESTINATIONS, &place.scope, &(input.name.as_str(),))? {
            return Err(Error::AlreadyExists(format!("An api-destination '{}' already exists.", input.name)));
        }
        check_connection(tx, &place, &destination.connection_arn, "create")?;
        let limit = events.config.resources_of_a_kind;
        if tx.keys(&API_DESTINATIONS, &place.scope, Range::all(), Order::Ascending)?.take(limit).count() >= limit {
            return Err(Error::limit());
        }
        link(tx, &place, None, Some(&destination.connection_arn), &destination.name)?;
        tx.put(&API_DESTINATIONS, &place.scope, &(destination.name.as_str(),), &destination)?;
        state(tx, &place, &destination)
    });
    let state = write.await?;
    Ok(api::CreateApiDestinationOutput {
        api_destination_arn: Some(arn(&place, &destination).to_string()),
        api_destination_state: Some(state),
        creation_time: Some(now),
        last_modified_time: Some(now),
    })
}

pub async fn update(
    events: &Events,
    cx: &Context,
    input: api::UpdateApiDestinationInput,
) -> Result<api::UpdateApiDestinationOutput> {
    let place = Place::of(cx);
    input.invocation_endpoint.as_deref().map_or(Ok(()), check_endpoint)?;
    let now = cx.now();
    let write = events.store.write(|tx| {
        let mut destination = load(tx, &place, &input.name)?;
        if let Some(connection) = &input.connection_arn {
            check_connection(tx, &place, connection, "update")?;
            link(tx, &place, Some(&destination.connection_arn), Some(connection), &destination.name)?;
            destination.connection_arn.clone_from(connection);
        }
        if let Some(text) = &input.description {
            destination.description = Some(text.clone());
        }
        if let Some(endpoint) = &input.invocation_endpoint {
            destination.endpoint.clone_from(endpoint);
        }
        if let Some(method) = &input.http_method {
            method.as_str().clone_into(&mut destination.method);
        }
        if input.invocation_rate_limit_per_second.is_some() {
            destination.rate_per_second = rate(input.invocation_rate_limit_per_second);
        }
        destination.modified_at = now;
        tx.put(&API_DESTINATIONS, &place.scope, &(destination.name.as_str(),), &destination)?;
        let state = state(tx, &place, &destination)?;
        Ok::<_, Error>((destination, state))
    });
    let (destination, state) = write.await?;
    Ok(api::UpdateApiDestinationOutput {
        api_destination_arn: Some(arn(&place, &destination).to_string()),
        api_destination_state: Some(state),
        creation_time: Some(destination.created_at),
        last_modified_time: Some(destination.modified_at),
    })
}

pub async fn delete(
    events: &Events,
    cx: &Context,
    input: api::DeleteApiDestinationInput,
) -> Result<api::DeleteApiDestinationOutput> {
    let place = Place::of(cx);
    let write = events.store.write(|tx| {
        let destination = load(tx, &place, &input.name)?;
        link(tx, &place, Some(&destination.connection_arn), None, &destination.name)?;
        Ok::<_, Error>(tx.delete(&API_DESTINATIONS, &place.scope, &(destination.name.as_str(),))?)
    });
    write.await?;
    Ok(api::DeleteApiDestinationOutput::default())
}

fn whole_rate(destination: &ApiDestination) -> Option<i32> {
    i32::try_from(destination.rate_per_second).ok()
}

pub async fn describe(
    events: &Events,
    cx: &Context,
    input: api::DescribeApiDestinationInput,
) -> Result<api::DescribeApiDestinationOutput> {
    let place = Place::of(cx);
    let read = events.store.read(|snapshot| {
        let destination = load(snapshot, &place, &input.name)?;
        let state = state(snapshot, &place, &destination)?;
        Ok::<_, Error>((destination, state))
    });
    let (destination, state) = read.await?;
    Ok(api::DescribeApiDestinationOutput {
        api_destination_arn: Some(arn(&place, &destination).to_string()),
        invocation_rate_limit_per_second: whole_rate(&destination),
        name: Some(destination.name),
        description: destination.description,
        api_destination_state: Some(state),
        connection_arn: Some(destination.connection_arn),
        invocation_endpoint: Some(destination.endpoint),
        http_method: Some(destination.method.as_str().into()),
        creation_time: Some(destination.created_at),
        last_modified_time: Some(destination.modified_at),
    })
}

fn listed(snapshot: &Snapshot<'_>, place: &Place, destination: ApiDestination) -> Result<api::ApiDestination> {
    Ok(api::ApiDestination {
        api_destination_state: Some(state(snapshot, place, &destination)?),
        api_destination_arn: Some(arn(place, &destination).to_string()),
        invocation_rate_limit_per_second: whole_rate(&destination),
        name: Some(destination.name),
        connection_arn: Some(destination.connection_arn),
        invocation_endpoint: Some(destination.endpoint),
        http_method: Some(destination.method.as_str().into()),
        creation_time: Some(destination.created_at),
        last_modified_time: Some(destination.modified_at),
    })
}

pub async fn list(
    events: &Events,
    cx: &Context,
    input: api::ListApiDestinationsInput,
) -> Result<api::ListApiDestinationsOutput> {
    let place = Place::of(cx);
    let prefix = input.name_prefix.as_deref().unwrap_or_default();
    let after = pages::decode(input.next_token.as_deref())?;
    let connection = input.connection_arn.as_deref();
    let read = events.store.read(|snapshot| match connection {
        None => {
            let range = pages::behind(&(prefix,), after.as_ref().map(|after| (after.as_str(),)));
            let name_of = |key: &(String,)| key.0.clone();
            pages::collect(snapshot, &API_DESTINATIONS, &place.scope, range, input.limit, name_of, |_, destination| {
                listed(snapshot, &place, destination).map(Some)
            })
        }
        Some(arn) => {
            let name = name_in_arn(arn, "connection").unwrap_or_default();
            let after = after.as_ref().map(|after| (name.as_str(), after.as_str()));
            let range = pages::behind(&(name.as_str(), prefix), after);
            let name_of = |key: &(String, String)| key.1.clone();
            let limit = input.limit;
            pages::collect(snapshot, &DESTINATIONS_BY_CONNECTION, &place.scope, range, limit, name_of, |key, ()| {
                let destination = load(snapshot, &place, &key.1)?;
                if destination.connection_arn != arn {
                    return Ok(None);
                }
                listed(snapshot, &place, destination).map(Some)
            })
        }
    });
    let (destinations, next_token) = read.await?;
    Ok(api::ListApiDestinationsOutput { api_destinations: Some(destinations), next_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls() {
        for good in ["https://example.com/a/*/b", "http://127.0.0.1:8080/hook", "https://example.com"] {
            check_endpoint(good).unwrap();
        }
        for bad in ["example.com", "ftp://example.com/", "/hook", "https://"] {
            assert!(check_endpoint(bad).is_err(), "{bad}");
        }
    }
}
