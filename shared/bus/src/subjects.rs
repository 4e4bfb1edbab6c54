//! The subjects, as `README.md` lists them.

use crate::BusError;
use crate::contracts::Delivery;

/// The JetStream stream that holds all deliveries.
pub(crate) const DELIVERIES: &str = "FRACTUS_DELIVERIES";
/// What the stream takes in.
pub(crate) const ALL_DELIVERIES: &str = "deliver.>";

/// Whether deliveries of a subject keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    Ordered,
}

impl Order {
    pub fn as_str(self) -> &'static str {
        match self {
            Order::Any => "any",
            Order::Ordered => "ordered",
        }
    }
}

pub(crate) fn delivery(delivery: &Delivery) -> Result<String, BusError> {
    let order = if delivery.group_id.is_some() { Order::Ordered } else { Order::Any };
    Ok(format!("deliver.{}.{}.{}", token(&delivery.service)?, delivery.lane, order.as_str()))
}

/// The deliveries of `service` in all lanes; the two orders never overlap, as a work queue's consumers must not.
pub(crate) fn deliveries_of(service: &str, order: Order) -> String {
    format!("deliver.{service}.*.{}", order.as_str())
}

pub(crate) fn event(service: &str, kind: &str) -> Result<String, BusError> {
    Ok(format!("event.{}.{kind}", token(service)?))
}

pub(crate) fn call(service: &str, verb: &str) -> Result<String, BusError> {
    Ok(format!("call.{}.{verb}", token(service)?))
}

/// A name that can be one part of a subject.
pub(crate) fn token(name: &str) -> Result<&str, BusError> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.len() <= 128 && name.bytes().all(valid) {
        Ok(name)
    } else {
        Err(BusError::InvalidName(name.chars().take(128).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_the_subjects_own_signs_are_refused() {
        for name in ["", "a.b", "*", ">", "a b", "ä", "a\r\n"] {
            assert!(token(name).is_err(), "{name:?}");
        }
        assert_eq!(event("cognito-idp", "reset").unwrap(), "event.cognito-idp.reset");
    }
}
