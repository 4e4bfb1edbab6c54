//! Connections: how API destinations show who they are. A connection's secrets are kept here and never shown; on AWS they
//! lie in Secrets Manager, whose ARN is answered.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-target-connection.html>

use fractus_aws::Arn;
use fractus_clock::Timestamp;
use fractus_events_api as api;
use fractus_host::Context;
use fractus_store::{Order, Range, Snapshot, Transaction};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::json;
use crate::model::names::Place;
use crate::operations::rules::lane_scope;
use crate::pages::{self, Asked};
use crate::service::{Events, Wakers};
use crate::store::{AUTHORIZING, CONNECTIONS, Connection};

pub const OAUTH: &str = "OAUTH_CLIENT_CREDENTIALS";
pub const AUTHORIZED: &str = "AUTHORIZED";
pub const STATE_AUTHORIZING: &str = "AUTHORIZING";
pub const DEAUTHORIZED: &str = "DEAUTHORIZED";

pub fn load(snapshot: &Snapshot<'_>, place: &Place, name: &str) -> Result<Connection> {
    let found = snapshot.get(&CONNECTIONS, &place.scope, &(name,))?;
    found.ok_or_else(|| {
        Error::NotFound(format!("Failed to describe the connection(s). Connection '{name}' does not exist."))
    })
}

pub fn save(tx: &mut Transaction<'_>, place: &Place, connection: &Connection) -> Result<()> {
    Ok(tx.put(&CONNECTIONS, &place.scope, &(connection.name.as_str(),), connection)?)
}

pub fn arn(place: &Place, connection: &Connection) -> Arn {
    place.arn(format!("connection/{}/{}", connection.name, connection.uuid))
}

fn secret_arn(place: &Place, connection: &Connection) -> String {
    format!(
        "arn:{}:secretsmanager:{}:{}:secret:events!connection/{}/{}-{}",
        place.world.partition,
        place.region,
        place.world.account,
        connection.name,
        connection.uuid,
        connection.secret_suffix
    )
}

/// The member of the parameters that a type of authorization needs.
fn member_of(authorization_type: &str) -> &'static str {
    match authorization_type {
        "BASIC" => "BasicAuthParameters",
        "API_KEY" => "ApiKeyAuthParameters",
        _ => "OAuthParameters",
    }
}

fn check_parameters(authorization_type: &str, parameters: &Value) -> Result<()> {
    if parameters.get(member_of(authorization_type)).is_none_or(Value::is_null) {
        return Err(Error::validation(format!(
            "Authorization parameters of type {authorization_type} must be specified."
        )));
    }
    Ok(())
}

/// What is known is shown but secrets.
pub fn shown(parameters: &Value) -> Value {
    let mut shown = parameters.clone();
    for (parent, secret) in [("BasicAuthParameters", "Password"), ("ApiKeyAuthParameters", "ApiKeyValue")] {
        if let Some(parent) = shown.get_mut(parent).and_then(Value::as_object_mut) {
            parent.remove(secret);
        }
    }
    if let Some(client) = shown.pointer_mut("/OAuthParameters/ClientParameters").and_then(Value::as_object_mut) {
        client.remove("ClientSecret");
    }
    for http in ["/InvocationHttpParameters", "/OAuthParameters/OAuthHttpParameters"] {
        for list in ["HeaderParameters", "QueryStringParameters", "BodyParameters"] {
            let list = shown.pointer_mut(&format!("{http}/{list}")).and_then(Value::as_array_mut);
            for parameter in list.into_iter().flatten().filter_map(Value::as_object_mut) {
                if parameter.get("IsValueSecret") == Some(&json!(true)) {
                    parameter.remove("Value");
                }
            }
        }
    }
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("ConnectivityParameters");
    }
    shown
}

/// Sends the connection to be authorized, or authorizes it at once where nobody has to be asked.
fn begin_authorization(
    tx: &mut Transaction<'_>,
    place: &Place,
    connection: &mut Connection,
    now: Timestamp,
) -> Result<()> {
    connection.state_reason = None;
    connection.token = None;
    let (lane, key) = (lane_scope(&place.world.lane), place.key(&connection.name));
    if connection.authorization_type == OAUTH {
        STATE_AUTHORIZING.clone_into(&mut connection.state);
        tx.put(&AUTHORIZING, &lane, &key, &())?;
    } else {
        AUTHORIZED.clone_into(&mut connection.state);
        connection.authorized_at = Some(now);
        tx.delete(&AUTHORIZING, &lane, &key)?;
    }
    Ok(())
}

pub async fn create(
    events: &Events,
    cx: &Context,
    input: api::CreateConnectionInput,
) -> Result<api::CreateConnectionOutput> {
    let place = Place::of(cx);
    let now = cx.now();
    let parameters = json::of_shape(&input.auth_parameters)?;
    check_parameters(input.authorization_type.as_str(), &parameters)?;
    let connectivity = input.invocation_connectivity_parameters.as_ref();
    let mut connection = Connection {
        name: input.name.clone(),
        uuid: cx.random().uuid(),
        secret_suffix: cx.random().text(6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
        description: input.description.clone(),
        kms_key: input.kms_key_identifier.clone().filter(|key| !key.is_empty()),
        authorization_type: input.authorization_type.as_str().to_owned(),
        parameters,
        connectivity: connectivity.map(|shape| association(&place, cx, json::of_shape(shape)?)).transpose()?,
        created_at: now,
        modified_at: now,
        ..Connection::default()
    };
    connection.data_key = events.secret_key(cx, &secret_arn(&place, &connection), connection.kms_key.as_ref()).await?;
    let write = events.store.write(|tx| {
        if tx.contains(&CONNECTIONS, &place.scope, &(input.name.as_str(),))? {
            return Err(Error::AlreadyExists(format!("Connection {} already exists.", input.name)));
        }
        let limit = events.config.resources_of_a_kind;
        if tx.keys(&CONNECTIONS, &place.scope, Range::all(), Order::Ascending)?.take(limit).count() >= limit {
            return Err(Error::limit());
        }
        begin_authorization(tx, &place, &mut connection, now)?;
        save(tx, &place, &connection)
    });
    write.await?;
    Wakers::wake(&events.wakers.authorizations, &cx.world.lane);
    Ok(api::CreateConnectionOutput {
        connection_arn: Some(arn(&place, &connection).to_string()),
        connection_state: Some(connection.state.as_str().into()),
        creation_time: Some(now),
        last_modified_time: Some(now),
    })
}

/// A private endpoint's resource, with the association that EventBridge makes for it.
fn association(place: &Place, cx: &Context, mut given: Value) -> Result<Value> {
    if let Some(resource) = given.get_mut("ResourceParameters").and_then(Value::as_object_mut) {
        let id = cx.random().text(17, "0123456789abcdef");
        let account = &place.world.account;
        let arn = format!(
            "arn:{}:vpc-lattice:{}:{account}:servicenetworkresourceassociation/snra-{id}",
            place.world.partition, place.region
        );
        resource.insert("ResourceAssociationArn".to_owned(), Value::String(arn));
    }
    Ok(given)
}

pub async fn describe(
    events: &Events,
    cx: &Context,
    input: api::DescribeConnectionInput,
) -> Result<api::DescribeConnectionOutput> {
    let place = Place::of(cx);
    let connection = events.store.read(|snapshot| load(snapshot, &place, &input.name)).await?;
    Ok(api::DescribeConnectionOutput {
        connection_arn: Some(arn(&place, &connection).to_string()),
        secret_arn: Some(secret_arn(&place, &connection)),
        auth_parameters: Some(json::to_shape(&shown(&connection.parameters))),
        invocation_connectivity_parameters: connection.connectivity.as_ref().map(json::to_shape),
        name: Some(connection.name),
        description: connection.description,
        connection_state: Some(connection.state.as_str().into()),
        state_reason: connection.state_reason,
        authorization_type: Some(connection.authorization_type.as_str().into()),
        kms_key_identifier: connection.kms_key,
        creation_time: Some(connection.created_at),
        last_modified_time: Some(connection.modified_at),
        last_authorized_time: connection.authorized_at,
    })
}

pub async fn update(
    events: &Events,
    cx: &Context,
    input: api::UpdateConnectionInput,
) -> Result<api::UpdateConnectionOutput> {
    let place = Place::of(cx);
    let now = cx.now();
    let changes = input.auth_parameters.as_ref().map(|shape| json::of_shape(shape)).transpose()?;
    let connectivity = input.invocation_connectivity_parameters.as_ref();
    let connectivity = connectivity.map(|shape| association(&place, cx, json::of_shape(shape)?)).transpose()?;
    let data_key = match &input.kms_key_identifier {
        Some(key) if !key.is_empty() => {
            let connection = events.store.read(|snapshot| load(snapshot, &place, &input.name)).await?;
            events.secret_key(cx, &secret_arn(&place, &connection), Some(key)).await?
        }
        _ => None,
    };
    let write = events.store.write(|tx| {
        let mut connection = load(tx, &place, &input.name)?;
        if let Some(text) = &input.description {
            connection.description = Some(text.clone());
        }
        if let Some(key) = &input.kms_key_identifier {
            connection.kms_key = Some(key.clone()).filter(|key| !key.is_empty());
            connection.data_key.clone_from(&data_key);
        }
        if let Some(connectivity) = &connectivity {
            connection.connectivity = Some(connectivity.clone());
        }
        let kind = input.authorization_type.as_ref().map(|kind| kind.as_str().to_owned());
        let changes_type = kind.as_ref().is_some_and(|kind| *kind != connection.authorization_type);
        if changes_type && let Some(parameters) = connection.parameters.as_object_mut() {
            // What another type needed says nothing any more.
            parameters.remove(member_of(&connection.authorization_type));
        }
        if let Some(kind) = kind {
            connection.authorization_type = kind;
        }
        if let Some(changes) = &changes {
            json::merge(&mut connection.parameters, changes);
        }
        check_parameters(&connection.authorization_type, &connection.parameters)?;
        connection.modified_at = now;
        if changes_type || changes.is_some() {
            begin_authorization(tx, &place, &mut connection, now)?;
        }
        save(tx, &place, &connection)?;
        Ok::<_, Error>(connection)
    });
    let connection = write.await?;
    Wakers::wake(&events.wakers.authorizations, &cx.world.lane);
    Ok(api::UpdateConnectionOutput {
        connection_arn: Some(arn(&place, &connection).to_string()),
        connection_state: Some(connection.state.as_str().into()),
        creation_time: Some(connection.created_at),
        last_modified_time: Some(connection.modified_at),
        last_authorized_time: connection.authorized_at,
    })
}

/// The connection stays, without its secrets.
pub async fn deauthorize(
    events: &Events,
    cx: &Context,
    input: api::DeauthorizeConnectionInput,
) -> Result<api::DeauthorizeConnectionOutput> {
    let place = Place::of(cx);
    let now = cx.now();
    let write = events.store.write(|tx| {
        let mut connection = load(tx, &place, &input.name)?;
        connection.parameters = shown(&connection.parameters);
        DEAUTHORIZED.clone_into(&mut connection.state);
        connection.token = None;
        connection.modified_at = now;
        tx.delete(&AUTHORIZING, &lane_scope(&place.world.lane), &place.key(&connection.name))?;
        save(tx, &place, &connection)?;
        Ok::<_, Error>(connection)
    });
    let connection = write.await?;
    Ok(api::DeauthorizeConnectionOutput {
        connection_arn: Some(arn(&place, &connection).to_string()),
        connection_state: Some(api::ConnectionState::Deauthorizing),
        creation_time: Some(connection.created_at),
        last_modified_time: Some(connection.modified_at),
        last_authorized_time: connection.authorized_at,
    })
}

pub async fn delete(
    events: &Events,
    cx: &Context,
    input: api::DeleteConnectionInput,
) -> Result<api::DeleteConnectionOutput> {
    let place = Place::of(cx);
    let write = events.store.write(|tx| {
        let connection = load(tx, &place, &input.name)?;
        tx.delete(&CONNECTIONS, &place.scope, &(connection.name.as_str(),))?;
        tx.delete(&AUTHORIZING, &lane_scope(&place.world.lane), &place.key(&connection.name))?;
        Ok::<_, Error>(connection)
    });
    let connection = write.await?;
    Ok(api::DeleteConnectionOutput {
        connection_arn: Some(arn(&place, &connection).to_string()),
        connection_state: Some(api::ConnectionState::Deleting),
        creation_time: Some(connection.created_at),
        last_modified_time: Some(connection.modified_at),
        last_authorized_time: connection.authorized_at,
    })
}

pub async fn list(
    events: &Events,
    cx: &Context,
    input: api::ListConnectionsInput,
) -> Result<api::ListConnectionsOutput> {
    let place = Place::of(cx);
    let asked = Asked { prefix: input.name_prefix.as_deref(), token: input.next_token.as_deref(), limit: input.limit };
    let read = events.store.read(|snapshot| {
        pages::page(snapshot, &CONNECTIONS, &place.scope, &asked, |connection: Connection| {
            if input.connection_state.as_ref().is_some_and(|wanted| wanted.as_str() != connection.state) {
                return Ok(None);
            }
            Ok(Some(api::Connection {
                connection_arn: Some(arn(&place, &connection).to_string()),
                name: Some(connection.name),
                connection_state: Some(connection.state.as_str().into()),
                state_reason: connection.state_reason,
                authorization_type: Some(connection.authorization_type.as_str().into()),
                creation_time: Some(connection.created_at),
                last_modified_time: Some(connection.modified_at),
                last_authorized_time: connection.authorized_at,
            }))
        })
    });
    let (connections, next_token) = read.await?;
    Ok(api::ListConnectionsOutput { connections: Some(connections), next_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let parameters = json!({
            "BasicAuthParameters": {"Username": "u", "Password": "p"},
            "ApiKeyAuthParameters": {"ApiKeyName": "n", "ApiKeyValue": "v"},
            "OAuthParameters": {
                "ClientParameters": {"ClientID": "i", "ClientSecret": "s"}, "HttpMethod": "POST",
                "OAuthHttpParameters": {"BodyParameters": [{"Key": "k", "Value": "hidden", "IsValueSecret": true}]},
            },
            "InvocationHttpParameters": {"HeaderParameters": [{"Key": "k", "Value": "seen", "IsValueSecret": false}]},
        });
        assert_eq!(
            shown(&parameters),
            json!({
                "BasicAuthParameters": {"Username": "u"},
                "ApiKeyAuthParameters": {"ApiKeyName": "n"},
                "OAuthParameters": {
                    "ClientParameters": {"ClientID": "i"}, "HttpMethod": "POST",
                    "OAuthHttpParameters": {"BodyParameters": [{"Key": "k", "IsValueSecret": true}]},
                },
                "InvocationHttpParameters": {"HeaderParameters": [{"Key": "k", "Value": "seen", "IsValueSecret": false}]},
            })
        );
    }
}
