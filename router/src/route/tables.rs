//! Which names belong to which service: signing names, target prefixes, versions, endpoint prefixes, paths.
//!
//! The rows are facts of AWS's API models; what is written here by hand is only which service's program serves an API.

/// An API's facts, as far as they tell it from others.
#[derive(Debug)]
pub struct Api {
    /// The API's name among the models, such as `dynamodbstreams`.
    pub name: &'static str,
    /// The service whose program serves it, such as `dynamodb`.
    pub service: &'static str,
    /// The service part of a signature's scope.
    pub signing_name: &'static str,
    /// The first labels of its host name.
    pub endpoint_prefix: &'static str,
    /// `X-Amz-Target` before the last dot, which is also the name of the API in rpcv2Cbor's paths.
    pub target_prefix: Option<&'static str>,
    /// The Query protocol's Version, for APIs that speak or spoke it.
    pub query_version: Option<&'static str>,
    /// How its errors are written where the request does not show it.
    pub form: ErrorForm,
}

/// How an API's errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorForm {
    Json,
    RestJson,
    Query,
    RestXml,
    S3,
    Cbor,
}

/// An operation's method and path template.
#[derive(Debug)]
pub struct RestPath {
    pub service: &'static str,
    pub method: &'static str,
    pub template: &'static str,
}

// `APIS`, `ACTIONS` (sorted by name) and `REST_PATHS`.
include!(concat!(env!("OUT_DIR"), "/tables.rs"));

/// The services: every program there is, by name.
pub const SERVICES: [&str; 39] = [
    "acm",
    "apigateway",
    "apigatewayv2",
    "application-autoscaling",
    "athena",
    "bedrock",
    "bedrock-agent",
    "bedrock-agent-runtime",
    "bedrock-runtime",
    "cloudformation",
    "cloudfront",
    "cloudwatch",
    "cognito-identity",
    "cognito-idp",
    "dynamodb",
    "ecr",
    "ecs",
    "elasticache",
    "elbv2",
    "events",
    "firehose",
    "glue",
    "iam",
    "kinesis",
    "kms",
    "lambda",
    "logs",
    "rds",
    "route53",
    "s3",
    "scheduler",
    "secretsmanager",
    "ses",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
    "wafv2",
];

/// Scopes that several services share, and scopes that no model names as its own.
const SCOPES: [(&str, &[&str]); 9] = [
    ("bedrock", &["bedrock", "bedrock-runtime", "bedrock-agent", "bedrock-agent-runtime"]),
    ("apigateway", &["apigateway", "apigatewayv2"]),
    ("execute-api", &["apigateway", "apigatewayv2"]),
    ("s3express", &["s3"]),
    ("s3-object-lambda", &["s3"]),
    ("s3-outposts", &["s3"]),
    ("s3tables", &["s3"]),
    ("email", &["ses"]),
    ("cloudwatch", &["cloudwatch"]),
];

/// All APIs.
pub fn apis() -> &'static [Api] {
    APIS
}

/// The services that sign with `scope`; more than one where the scope does not decide, none where it is unknown.
pub fn services_of_scope(scope: &str) -> &'static [&'static str] {
    if let Some((_, services)) = SCOPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(scope)) {
        return services;
    }
    let api = APIS.iter().find(|api| api.signing_name.eq_ignore_ascii_case(scope));
    api.map_or(&[], |api| std::slice::from_ref(&api.service))
}

pub fn service_of_target(prefix: &str) -> Option<&'static str> {
    APIS.iter().find(|api| api.target_prefix == Some(prefix)).map(|api| api.service)
}

pub fn service_of_version(version: &str) -> Option<&'static str> {
    APIS.iter().find(|api| api.query_version == Some(version)).map(|api| api.service)
}

/// The service that alone has a Query operation of this name.
pub fn service_of_action(action: &str) -> Option<&'static str> {
    ACTIONS.binary_search_by(|(name, _)| (*name).cmp(action)).ok().map(|at| ACTIONS[at].1)
}

/// The service of a host's label. Of a prefix with dots (`streams.dynamodb`) the last label counts, as hosts are read
/// from the right.
pub fn service_of_endpoint(label: &str) -> Option<&'static str> {
    APIS.iter().find(|api| api.endpoint_prefix.rsplit('.').next() == Some(label)).map(|api| api.service)
}

pub fn known_service(name: &str) -> Option<&'static str> {
    SERVICES.iter().find(|service| **service == name).copied()
}

/// The form of errors of a service, by its first API.
pub fn error_form(service: &str) -> ErrorForm {
    APIS.iter().find(|api| api.service == service).map_or(ErrorForm::RestJson, |api| api.form)
}

/// The service, of all or of `among`, whose operation's template fits best: with the most literal segments.
pub fn service_of_rest_path(method: &str, path: &str, among: Option<&[&str]>) -> Option<&'static str> {
    let fits = REST_PATHS
        .iter()
        .filter(|rest| rest.method == method && among.is_none_or(|services| services.contains(&rest.service)));
    let best = fits.filter_map(|rest| Some((literal_segments(rest.template, path)?, rest.service)));
    best.max_by_key(|(literals, _)| *literals).map(|(_, service)| service)
}

/// How many segments of `template` are literal, if it fits `path`.
fn literal_segments(template: &str, path: &str) -> Option<usize> {
    let template = template.split('?').next().unwrap_or(template);
    let mut wanted = template.strip_prefix('/').unwrap_or(template).split('/');
    let mut given = path.strip_prefix('/').unwrap_or(path).split('/');
    let mut literals = 0;
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(literals),
            // Operations on a whole collection are written with and without a slash at the end.
            (None, Some("")) | (Some(""), None) => return Some(literals),
            (Some(label), Some(_)) if label.starts_with('{') && label.ends_with("+}") => return Some(literals),
            (Some(label), Some(segment)) if label.starts_with('{') => {
                if segment.is_empty() {
                    return None;
                }
            }
            (Some(literal), Some(segment)) if literal == segment => literals += 1,
            _ => return None,
        }
    }
}
