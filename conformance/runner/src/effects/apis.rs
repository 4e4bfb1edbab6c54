//! The schemas of the APIs that scenarios call, made from the models once each.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use fractus_wire::{OperationSchema, Protocol, ServiceSchema, dynamic};

use crate::models;

static MADE: OnceLock<Mutex<HashMap<String, &'static ServiceSchema>>> = OnceLock::new();

/// The schema of an API by the name of its model (`sqs`).
pub fn service(api: &str) -> Result<&'static ServiceSchema, String> {
    // A run that panicked while it made a schema left the map as it was.
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = made.get(api) {
        return Ok(schema);
    }
    let facts = models::load(api).map_err(|error| error.to_string())?;
    let schema = dynamic::leak(&facts).map_err(|error| error.to_string())?;
    made.insert(api.to_owned(), schema);
    Ok(schema)
}

/// `sqs.SendMessage`.
pub fn operation(name: &str) -> Result<(&'static ServiceSchema, &'static OperationSchema), String> {
    let (api, operation) = name.split_once('.').ok_or_else(|| format!("{name:?} is not written as api.Operation"))?;
    let service = service(api)?;
    let found = service.operation(operation);
    found.map(|found| (service, found)).ok_or_else(|| format!("the model of {api} has no operation {operation}"))
}

/// A protocol by its short name in scenarios, if the service's model lists it.
pub fn protocol(service: &ServiceSchema, name: &str) -> Result<Protocol, String> {
    let found = service.protocols.iter().copied().find(|protocol| short_name(*protocol) == name);
    found.ok_or_else(|| {
        let spoken: Vec<_> = service.protocols.iter().map(|protocol| short_name(*protocol)).collect();
        format!("{} does not speak {name:?}; it speaks {}", service.api, spoken.join(", "))
    })
}

pub fn short_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::AwsJson10 | Protocol::AwsJson11 => "json",
        Protocol::AwsQuery => "query",
        Protocol::Ec2Query => "ec2",
        Protocol::RestJson1 => "rest-json",
        Protocol::RestXml => "rest-xml",
        Protocol::RpcV2Cbor => "cbor",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_by_name() {
        let (service, operation) = operation("sqs.SendMessage").unwrap();
        assert_eq!((service.api, operation.name), ("sqs", "SendMessage"));
        for wrong in ["sqs.Nothing", "nothing.SendMessage", "SendMessage"] {
            assert!(super::operation(wrong).is_err(), "{wrong}");
        }
        assert_eq!(protocol(service, "query"), Ok(Protocol::AwsQuery));
        assert!(protocol(service, "rest-xml").is_err());
    }
}
