//! Calling API destinations and the authorization endpoints of their connections.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html>

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_aws::Arn;
use fractus_bus::Outcome;
use fractus_bus::contracts::Delivery;
use fractus_clock::Timestamp;
use fractus_outgoing::Answer;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::json::text_at;
use crate::model::names::{Place, name_in_arn};
use crate::model::request::{self, Parameters};
use crate::operations::api_destinations;
use crate::operations::connections::{self, AUTHORIZED, OAUTH, STATE_AUTHORIZING};
use crate::service::Events;
use crate::store::{ApiDestination, Connection, TURNS};

/// A token is asked for anew this long before it ends.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);
/// How long a token holds whose giver does not say.
const USUAL_TOKEN: Duration = Duration::from_secs(3_600);

/// When a call may be made that comes now, and when the one after it is due. A second's worth of calls may go at once.
fn turn(due: Option<Timestamp>, rate_per_second: u32, now: Timestamp) -> (Timestamp, Timestamp) {
    let apart = Duration::from_secs(1) / rate_per_second.max(1);
    let next = due.unwrap_or(now).max(now).plus(apart);
    (next.minus(Duration::from_secs(1)).max(now), next)
}

/// Takes a turn, by the lane's clock, for all replicas together.
async fn take_turn(events: &Events, place: &Place, destination: &ApiDestination, now: Timestamp) -> Result<Timestamp> {
    let key = (destination.name.as_str(),);
    let write = events.store.write(|tx| {
        let (at, next) = turn(tx.get(&TURNS, &place.scope, &key)?, destination.rate_per_second, now);
        tx.put_until(&TURNS, &place.scope, &key, &next, next)?;
        Ok::<_, Error>(at)
    });
    write.await
}

const TURN: &str = "turn_of_attempt";

/// What goes with a delivery that has its turn, beside what goes with it anyway: of one attempt alone.
pub fn turn_note(delivery: &Delivery) -> Value {
    let mut note = delivery.returns.as_ref().map(|returns| returns.note.clone()).unwrap_or_default();
    match note.as_object_mut() {
        Some(members) => drop(members.insert(TURN.to_owned(), json!(delivery.attempt))),
        None => note = json!({ TURN: delivery.attempt }),
    }
    note
}

fn has_turn(delivery: &Delivery) -> bool {
    delivery.returns.as_ref().is_some_and(|returns| returns.note.get(TURN) == Some(&json!(delivery.attempt)))
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Done, refused for good, or not made yet.
    Settled(Outcome),
    /// The endpoint did not take it; `after`: when it wants to be asked again.
    Failed { after: Option<Duration>, reason: String },
    /// Not made yet: the destination takes so many a second, and this one has its turn then.
    HasTurnAt(Timestamp),
}

fn failed(reason: impl Into<String>) -> Attempt {
    Attempt::Failed { after: None, reason: reason.into() }
}

/// Not made: it comes again by real time, which is what it waits for.
fn later(delay: Duration, reason: &str) -> Attempt {
    Attempt::Settled(Outcome::RetryIn { delay, reason: reason.to_owned() })
}

fn store_failed(error: &Error) -> Attempt {
    later(Duration::from_secs(1), &error.to_string())
}

fn refused(code: &str, message: impl Into<String>) -> Attempt {
    Attempt::Settled(Outcome::Refused { code: code.to_owned(), message: message.into() })
}

/// Brings a delivery to the API destination that is its target.
pub async fn invoke(events: &Events, place: &Place, delivery: &Delivery) -> Attempt {
    let (destination, connection) = match find(events, place, &delivery.target).await {
        Ok(found) => found,
        Err(error @ Error::Store(_)) => return store_failed(&error),
        Err(error) => return refused("RESOURCE_NOT_FOUND", error.to_string()),
    };
    if connection.state == STATE_AUTHORIZING {
        return later(Duration::from_secs(1), "The connection is being authorized.");
    }
    if connection.state != AUTHORIZED {
        return refused("NO_PERMISSIONS", format!("The connection is in the state {}.", connection.state));
    }
    let now = events.host.clocks().lane(place.world.lane.as_str()).now();
    if let Err(closed) = events.open(place, connection.data_key.as_ref(), now).await {
        return match closed.refusal.passes() {
            true => failed(closed.message),
            false => refused(closed.code(), closed.message),
        };
    }
    let connection = match with_token(events, place, connection).await {
        Ok(connection) => connection,
        Err(attempt) => return attempt,
    };
    if !has_turn(delivery) {
        match take_turn(events, place, &destination, now).await {
            Ok(at) if at > now => return Attempt::HasTurnAt(at),
            Ok(_) => {}
            Err(error) => return store_failed(&error),
        }
    }
    let request = match build(&destination, &connection, delivery) {
        Ok(request) => request,
        Err(reason) => return refused("INVALID_PARAMETER", reason),
    };
    match events.http.send(request).await {
        Ok(answer) => {
            if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
                forget_token(events, place, &connection).await;
            }
            settle(&answer)
        }
        Err(error) => failed(error.to_string()),
    }
}

async fn find(events: &Events, place: &Place, target: &Arn) -> Result<(ApiDestination, Connection)> {
    let missing = || Error::NotFound(format!("The API destination {target} does not exist."));
    let name = name_in_arn(&target.to_string(), "api-destination").ok_or_else(missing)?;
    let read = events.store.read(|snapshot| {
        let destination = api_destinations::load(snapshot, place, &name)?;
        if !target.resource.ends_with(&destination.uuid) {
            return Err(missing());
        }
        let connection = name_in_arn(&destination.connection_arn, "connection").unwrap_or_default();
        let connection = connections::load(snapshot, place, &connection)?;
        Ok((destination, connection))
    });
    read.await
}

/// What the answer means: 401, 407, 409, 429 and 5xx are tried again, anything else but success is not.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html#eb-api-destination-connections>
fn settle(answer: &Answer) -> Attempt {
    let status = answer.status;
    if status.is_success() {
        return Attempt::Settled(Outcome::Done);
    }
    let reason = format!("The endpoint answered {}.", status.as_u16());
    if status.is_server_error() || matches!(status.as_u16(), 401 | 407 | 409 | 429) {
        let after = answer.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        return Attempt::Failed { after: after.map(Duration::from_secs), reason };
    }
    refused("SDK_CLIENT_ERROR", reason)
}

/// The request as the destination, its connection and the target say. What the connection says has precedence.
fn build(destination: &ApiDestination, connection: &Connection, delivery: &Delivery) -> Result<Request<Bytes>, String> {
    let target = Parameters::of_target(&delivery.parameters);
    let own = Parameters::of_connection(connection.parameters.get("InvocationHttpParameters"));
    let method: Method = destination.method.parse().map_err(|_| "The method is not valid.".to_owned())?;
    let url = request::fill_path(&destination.endpoint, &target.path);
    let url = request::with_query(&url, &[&target.query, &own.query]);
    let uri: Uri = url.parse().map_err(|_| format!("{url} is not a valid URL."))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("Amazon/EventBridge/ApiDestinations"));
    headers.insert(header::RANGE, HeaderValue::from_static("bytes=0-1048575"));
    for (name, value) in target.headers.iter().chain(&own.headers) {
        put_header(&mut headers, name, value)?;
    }
    authorize(&mut headers, connection)?;
    let body = match method {
        Method::GET | Method::HEAD => Bytes::new(),
        _ => Bytes::from(request::with_body(delivery.body.as_text().unwrap_or_default(), &own.body)),
    };
    let mut request = Request::new(body);
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    Ok(request)
}

/// Headers that are the connection's own business cannot be set.
fn put_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let wrong = || format!("The header {name} is not valid.");
    let name: HeaderName = name.parse().map_err(|_| wrong())?;
    let is_ours = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::USER_AGENT,
        header::RANGE,
    ];
    if !is_ours.contains(&name) {
        headers.insert(name, value.parse().map_err(|_| wrong())?);
    }
    Ok(())
}

fn authorize(headers: &mut HeaderMap, connection: &Connection) -> Result<(), String> {
    let text = |path: &[&str]| text_at(&connection.parameters, path).unwrap_or_default();
    match connection.authorization_type.as_str() {
        "BASIC" => {
            let user = text(&["BasicAuthParameters", "Username"]);
            let password = text(&["BasicAuthParameters", "Password"]);
            let value = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            put_header(headers, "authorization", &value)
        }
        "API_KEY" => {
            let name = text(&["ApiKeyAuthParameters", "ApiKeyName"]);
            put_header(headers, name, text(&["ApiKeyAuthParameters", "ApiKeyValue"]))
        }
        _ => {
            let token = connection.token.as_ref().map(|(token, _)| token.as_str()).unwrap_or_default();
            put_header(headers, "authorization", &format!("Bearer {token}"))
        }
    }
}

/// A connection of OAuth with a token that still holds.
async fn with_token(events: &Events, place: &Place, mut connection: Connection) -> Result<Connection, Attempt> {
    if connection.authorization_type != OAUTH {
        return Ok(connection);
    }
    let now = events.host.clocks().lane(place.world.lane.as_str()).now();
    if connection.token.as_ref().is_some_and(|(_, until)| *until > now) {
        return Ok(connection);
    }
    let token = ask_for_token(events, &connection.parameters, now).await.map_err(failed)?;
    connection.token = Some(token);
    let write = events.store.write(|tx| {
        let Ok(mut stored) = connections::load(tx, place, &connection.name) else { return Ok(()) };
        if stored.uuid == connection.uuid && stored.modified_at == connection.modified_at {
            stored.token.clone_from(&connection.token);
            connections::save(tx, place, &stored)?;
        }
        Ok::<_, Error>(())
    });
    write.await.map_err(|error| store_failed(&error))?;
    Ok(connection)
}

async fn forget_token(events: &Events, place: &Place, connection: &Connection) {
    if connection.token.is_none() {
        return;
    }
    let write = events.store.write(|tx| {
        let Ok(mut stored) = connections::load(tx, place, &connection.name) else { return Ok(()) };
        if stored.token == connection.token {
            stored.token = None;
            connections::save(tx, place, &stored)?;
        }
        Ok::<_, Error>(())
    });
    if let Err(error) = write.await {
        tracing::warn!(%error, connection = connection.name, "a token that no longer holds is kept");
    }
}

/// Asks an authorization endpoint for a token by its client's credentials (RFC 6749, 4.4); and until when it holds.
pub async fn ask_for_token(events: &Events, parameters: &Value, now: Timestamp) -> Result<(String, Timestamp), String> {
    let oauth = parameters.get("OAuthParameters").ok_or("The connection has no OAuth parameters.")?;
    let request = token_request(oauth)?;
    let answer = events.http.send(request).await.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("The authorization endpoint answered {}.", answer.status.as_u16()));
    }
    let said: Value =
        serde_json::from_slice(&answer.body).map_err(|_| "The authorization endpoint's answer is no JSON.")?;
    let token = said.get("access_token").and_then(Value::as_str);
    let token = token.ok_or("The authorization endpoint's answer has no access_token.")?.to_owned();
    let holds = match said.get("expires_in") {
        Some(Value::Number(secs)) => secs.as_u64().map(Duration::from_secs),
        Some(Value::String(secs)) => secs.parse().ok().map(Duration::from_secs),
        _ => None,
    };
    let holds = holds.unwrap_or(USUAL_TOKEN);
    Ok((token, now.plus(holds.saturating_sub(TOKEN_MARGIN.min(holds / 2)))))
}

fn token_request(oauth: &Value) -> Result<Request<Bytes>, String> {
    let text = |path: &[&str]| text_at(oauth, path).unwrap_or_default();
    let own = Parameters::of_connection(oauth.get("OAuthHttpParameters"));
    let method: Method = text(&["HttpMethod"]).parse().map_err(|_| "The method is not valid.".to_owned())?;
    let mut form = vec![
        ("grant_type".to_owned(), "client_credentials".to_owned()),
        ("client_id".to_owned(), text(&["ClientParameters", "ClientID"]).to_owned()),
        ("client_secret".to_owned(), text(&["ClientParameters", "ClientSecret"]).to_owned()),
    ];
    for (name, value) in own.body {
        form.retain(|(known, _)| *known != name);
        form.push((name, value));
    }
    let in_query = method == Method::GET;
    let endpoint = text(&["AuthorizationEndpoint"]);
    let url = request::with_query(endpoint, &[if in_query { &form } else { &[] }, &own.query]);
    let uri: Uri = url.parse().map_err(|_| format!("{endpoint} is not a valid URL."))?;
    let body = if in_query { Bytes::new() } else { Bytes::from(request::form(&form)) };
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("Amazon/EventBridge/ApiDestinations"));
    if !in_query {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    }
    for (name, value) in &own.headers {
        put_header(&mut headers, name, value)?;
    }
    let mut request = Request::new(body);
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_goes_at_once_and_the_rest_waits() {
        let now = Timestamp::from_secs(100);
        let mut due = None;
        let waits: Vec<u128> = (0..6)
            .map(|_| {
                let (at, next) = turn(due, 2, now);
                due = Some(next);
                at.since(now).as_millis()
            })
            .collect();
        assert_eq!(waits, [0, 0, 500, 1_000, 1_500, 2_000]);
        // What was not used in time is no credit.
        let later = Timestamp::from_secs(500);
        assert_eq!(turn(due, 2, later), (later, later.plus(Duration::from_millis(500))));
    }

    #[test]
    fn answers_are_done_tried_again_or_refused() {
        let settled = |status: u16, after: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(after.map(|after| (header::RETRY_AFTER, HeaderValue::from_static(after))));
            settle(&Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new() })
        };
        assert_eq!(settled(204, None), Attempt::Settled(Outcome::Done));
        for status in [401, 407, 409, 429, 500, 503] {
            assert!(matches!(settled(status, None), Attempt::Failed { after: None, .. }), "{status}");
        }
        let asked = Some(Duration::from_secs(7));
        assert!(matches!(settled(429, Some("7")), Attempt::Failed { after, .. } if after == asked));
        for status in [302, 400, 403, 404] {
            assert!(matches!(settled(status, None), Attempt::Settled(Outcome::Refused { .. })), "{status}");
        }
    }
}
