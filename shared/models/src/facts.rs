//! The form of a model file: botocore's `service-2.json` without prose, with paginators and waiters beside it.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;

/// One API of AWS.
#[derive(Clone, Debug, Deserialize)]
pub struct Api {
    /// The API's name, as its file is called: `sqs`, `sesv2`, `dynamodbstreams`.
    #[serde(default)]
    pub api: String,
    pub metadata: Metadata,
    #[serde(default)]
    pub operations: BTreeMap<String, OperationFacts>,
    #[serde(default)]
    pub shapes: BTreeMap<String, ShapeFacts>,
    #[serde(default)]
    pub paginators: BTreeMap<String, Paginator>,
    #[serde(default)]
    pub waiters: BTreeMap<String, Waiter>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    pub api_version: String,
    /// Present where JSON answers carry the Query protocol's error codes in a header.
    pub aws_query_compatible: Option<serde::de::IgnoredAny>,
    pub endpoint_prefix: String,
    pub global_endpoint: Option<String>,
    /// `false` where one endpoint serves the whole partition.
    pub is_regionalized: Option<bool>,
    pub json_version: Option<String>,
    pub protocol: String,
    /// Every protocol, the preferred first; empty in a few models, which have `protocol` alone.
    pub protocols: Vec<String>,
    pub service_abbreviation: Option<String>,
    pub service_full_name: String,
    pub service_id: String,
    pub signing_name: Option<String>,
    pub signature_version: String,
    pub target_prefix: Option<String>,
    pub xml_namespace: Option<XmlNamespace>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationFacts {
    pub http: Http,
    pub input: Option<MemberFacts>,
    pub output: Option<MemberFacts>,
    #[serde(default)]
    pub errors: Vec<ShapeReference>,
    pub authtype: Option<String>,
    #[serde(default)]
    pub auth: Vec<String>,
    #[serde(default)]
    pub deprecated: bool,
    pub endpoint: Option<OperationEndpoint>,
    pub http_checksum: Option<HttpChecksum>,
    #[serde(default)]
    pub http_checksum_required: bool,
    #[serde(default)]
    pub idempotent: bool,
    #[serde(default)]
    pub readonly: bool,
    pub requestcompression: Option<RequestCompression>,
    #[serde(default)]
    pub unsigned_payload: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    pub method: String,
    /// With labels, such as `/{Bucket}/{Key+}?partNumber`.
    pub request_uri: String,
    pub response_code: Option<u16>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ShapeReference {
    pub shape: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationEndpoint {
    pub host_prefix: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpChecksum {
    pub request_algorithm_member: Option<String>,
    pub request_checksum_required: bool,
    pub request_validation_mode_member: Option<String>,
    pub response_algorithms: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct RequestCompression {
    pub encodings: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShapeType {
    #[default]
    Structure,
    List,
    Map,
    String,
    Blob,
    Boolean,
    Integer,
    Long,
    Float,
    Double,
    Timestamp,
    // Older models and the protocol vectors.
    Character,
    Byte,
    Short,
    BigInteger,
    BigDecimal,
}

/// A bound; the model writes integers and fractions.
pub type Number = f64;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ShapeFacts {
    #[serde(rename = "type")]
    pub kind: ShapeType,
    pub required: Vec<String>,
    /// In model order, which is the order of XML and Query answers.
    pub members: IndexMap<String, MemberFacts>,
    /// The element of a list.
    pub member: Option<MemberFacts>,
    pub key: Option<MemberFacts>,
    pub value: Option<MemberFacts>,
    #[serde(rename = "enum")]
    pub values: Vec<String>,
    pub min: Option<Number>,
    pub max: Option<Number>,
    pub pattern: Option<String>,
    pub exception: bool,
    pub error: Option<ErrorFacts>,
    /// The error is the service's fault.
    pub fault: bool,
    pub retryable: Option<Retryable>,
    pub payload: Option<String>,
    pub location_name: Option<String>,
    pub xml_namespace: Option<XmlNamespace>,
    pub timestamp_format: Option<String>,
    pub flattened: bool,
    pub union: bool,
    pub document: bool,
    pub sparse: bool,
    pub sensitive: bool,
    pub streaming: bool,
    pub requires_length: bool,
    pub eventstream: bool,
    pub event: bool,
    pub deprecated: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Retryable {
    #[serde(default)]
    pub throttling: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorFacts {
    pub code: Option<String>,
    pub http_status_code: Option<u16>,
    pub sender_fault: bool,
}

/// A member, or the reference from an operation to its input or output.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberFacts {
    pub shape: String,
    pub location: Option<String>,
    pub location_name: Option<String>,
    pub xml_namespace: Option<XmlNamespace>,
    pub xml_attribute: bool,
    pub flattened: bool,
    pub streaming: bool,
    pub timestamp_format: Option<String>,
    pub query_name: Option<String>,
    pub idempotency_token: bool,
    pub host_label: bool,
    pub jsonvalue: bool,
    pub eventheader: bool,
    pub eventpayload: bool,
    pub result_wrapper: Option<String>,
    pub deprecated: bool,
}

/// A namespace: in models a bare URI on the service, a map on shapes and members.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum XmlNamespace {
    Uri(String),
    Full { uri: String, prefix: Option<String> },
}

impl XmlNamespace {
    pub fn uri(&self) -> &str {
        match self {
            XmlNamespace::Uri(uri) | XmlNamespace::Full { uri, .. } => uri,
        }
    }

    pub fn prefix(&self) -> Option<&str> {
        match self {
            XmlNamespace::Uri(_) => None,
            XmlNamespace::Full { prefix, .. } => prefix.as_deref(),
        }
    }
}

/// One name or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub fn as_slice(&self) -> &[String] {
        match self {
            OneOrMore::One(name) => std::slice::from_ref(name),
            OneOrMore::More(names) => names,
        }
    }
}

/// How an operation's answers are paged.
#[derive(Clone, Debug, Deserialize)]
pub struct Paginator {
    pub input_token: Option<OneOrMore>,
    pub output_token: Option<OneOrMore>,
    pub limit_key: Option<String>,
    pub more_results: Option<String>,
    pub result_key: Option<OneOrMore>,
}

/// A condition that clients wait for.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiter {
    pub operation: String,
    pub delay: u32,
    pub max_attempts: u32,
    pub acceptors: Vec<Acceptor>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Acceptor {
    pub state: String,
    pub matcher: String,
    pub argument: Option<String>,
    pub expected: serde_json::Value,
}
