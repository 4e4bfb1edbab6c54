//! Makes the routing tables from the facts of AWS's API models, so that nothing is read or built when the router starts.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;

use fractus_models::Api;

/// APIs that another API's program serves.
const SERVED_BY: [(&str, &str); 6] = [
    ("apigatewaymanagementapi", "apigatewayv2"),
    ("cloudfront-keyvaluestore", "cloudfront"),
    ("dynamodbstreams", "dynamodb"),
    ("rds-data", "rds"),
    ("s3control", "s3"),
    ("sesv2", "ses"),
];

/// Models that are there for callers; no program serves them.
const NOT_SERVED: [&str; 3] = ["ec2", "pipes", "resourcegroupstaggingapi"];

/// APIs that spoke the Query protocol before their models left it; clients of then still do.
const ONCE_SPOKE_QUERY: [&str; 1] = ["sqs"];

/// Signing names and host labels are looked up in this order where APIs share one: an API that is a service's own comes
/// before one that only shares its program.
fn main() -> Result<(), Box<dyn Error>> {
    let folder = fractus_models::folder();
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut names = fractus_models::names(&folder)?;
    names.retain(|name| !NOT_SERVED.contains(&name.as_str()));
    names.sort_by_key(|name| (service_of(name) != name, name.clone()));
    let apis: Vec<Api> = names.iter().map(|name| Api::read(&folder, name)).collect::<Result<_, _>>()?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?).join("tables.rs");
    std::fs::write(out, [write_apis(&apis)?, write_actions(&apis)?, write_paths(&apis)?].concat())?;
    Ok(())
}

fn service_of(api: &str) -> &str {
    SERVED_BY.iter().find(|(name, _)| *name == api).map_or(api, |(_, service)| service)
}

fn speaks_query(api: &Api) -> bool {
    api.metadata.speaks("query") || ONCE_SPOKE_QUERY.contains(&api.api.as_str())
}

/// How its errors are written where the request does not show it: as the preferred protocol has them.
fn error_form(api: &Api) -> Result<&'static str, String> {
    if service_of(&api.api) == "s3" {
        return Ok("S3");
    }
    match api.metadata.protocols().next() {
        Some("json") => Ok("Json"),
        Some("rest-json") => Ok("RestJson"),
        Some("query") => Ok("Query"),
        Some("rest-xml") => Ok("RestXml"),
        Some("smithy-rpc-v2-cbor") => Ok("Cbor"),
        other => Err(format!("{} speaks {other:?}, whose errors have no form here", api.api)),
    }
}

fn write_apis(apis: &[Api]) -> Result<String, Box<dyn Error>> {
    let mut text = String::from("pub static APIS: &[Api] = &[\n");
    for api in apis {
        let facts = &api.metadata;
        let version = speaks_query(api).then_some(&facts.api_version);
        writeln!(
            text,
            "    Api {{ name: {:?}, service: {:?}, signing_name: {:?}, endpoint_prefix: {:?}, target_prefix: {:?}, \
             query_version: {version:?}, form: ErrorForm::{} }},",
            api.api,
            service_of(&api.api),
            facts.signing(),
            facts.endpoint_prefix,
            facts.target_prefix,
            error_form(api)?,
        )?;
    }
    text.push_str("];\n");
    Ok(text)
}

/// Query operations that only one service has, sorted.
fn write_actions(apis: &[Api]) -> Result<String, Box<dyn Error>> {
    let mut services: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for api in apis.iter().filter(|api| speaks_query(api)) {
        for operation in api.operations.keys() {
            services.entry(operation).or_default().push(service_of(&api.api));
        }
    }
    let mut text = String::from("pub static ACTIONS: &[(&str, &str)] = &[\n");
    for (action, services) in services {
        if let [service] = services.as_slice() {
            writeln!(text, "    ({action:?}, {service:?}),")?;
        }
    }
    text.push_str("];\n");
    Ok(text)
}

/// Methods and paths of the REST APIs; S3's fit everything and say nothing.
fn write_paths(apis: &[Api]) -> Result<String, Box<dyn Error>> {
    let mut lines = Vec::new();
    for api in apis.iter().filter(|api| service_of(&api.api) != "s3") {
        if !api.metadata.speaks("rest-json") && !api.metadata.speaks("rest-xml") {
            continue;
        }
        for operation in api.operations.values() {
            let path = operation.http.request_uri.split('?').next().unwrap_or_default();
            let (service, method) = (service_of(&api.api), &operation.http.method);
            lines.push(format!("    RestPath {{ service: {service:?}, method: {method:?}, template: {path:?} }},\n"));
        }
    }
    lines.sort();
    lines.dedup();
    Ok(format!("pub static REST_PATHS: &[RestPath] = &[\n{}];\n", lines.concat()))
}
