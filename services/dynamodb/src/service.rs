//! x
use fractus_host::{Host, Operations, Service};
use fractus_dynamodb_api as api;
#[derive(Clone)]
pub struct DynamoDb {}
impl DynamoDb { pub fn new(_host: &Host) -> Self { DynamoDb {} } }
pub fn operations() -> Operations<DynamoDb> { Operations::new(&[&api::MODEL, &api::streams::MODEL]) }
impl Service for DynamoDb {}
