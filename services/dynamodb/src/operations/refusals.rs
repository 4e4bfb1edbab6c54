//! Words of refusals that several operations share. Where no answer of AWS was at hand, they follow its documentation.

use fractus_dynamodb_api as api;

use crate::error::Error;

pub fn table_not_found(name: &str) -> Error {
    Error::answer(api::TableNotFoundException::new(format!("Table not found: {name}")))
}

pub fn table_exists(name: &str) -> Error {
    Error::answer(api::TableAlreadyExistsException::new(format!("Table already exists: {name}")))
}

pub fn table_in_use(name: &str, status: &api::TableStatus) -> Error {
    let state = if *status == api::TableStatus::Creating { "created" } else { "deleted" };
    Error::answer(api::TableInUseException::new(format!("Table is being {state}: {name}")))
}

pub fn backup_not_found(arn: &str) -> Error {
    Error::answer(api::BackupNotFoundException::new(format!("Backup not found: {arn}")))
}

pub fn recovery_unavailable(name: &str) -> Error {
    let message = format!("Point in time recovery is not enabled for table '{name}'");
    Error::answer(api::PointInTimeRecoveryUnavailableException::new(message))
}
