//! Schemas made at run time from the facts of a model: what dynamic calls and the protocol vectors use.
//!
//! The schemas live as long as the program, as generated ones do; so [`leak`] is called once per API and kept.

use std::collections::HashMap;
use std::sync::OnceLock;

use fractus_models::facts::{self, Api, MemberFacts, OperationFacts, ShapeFacts, ShapeType};

use crate::generated::UNIT;
use crate::schema::{
    Constraints, ErrorTrait, HttpTrait, Kind, Location, Member, Members, OperationSchema, Protocol, Schema,
    ServiceSchema, TimestampFormat, XmlNamespace,
};

/// A model that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    #[error("{by} names the shape {shape}, which the model does not have")]
    UnknownShape { by: String, shape: String },
    #[error("{by} has {count} members, more than a schema can number")]
    TooManyMembers { by: String, count: usize },
    #[error("the protocol {0} is not known")]
    UnknownProtocol(String),
    #[error("{by} says {trait_name} = {value}, which has no meaning")]
    UnknownValue { by: String, trait_name: &'static str, value: String },
}

/// The schema of an API, kept for the rest of the program's life.
pub fn leak(api: &Api) -> Result<&'static ServiceSchema, SchemaError> {
    let mut maker = Maker { api, names: HashMap::new(), schemas: HashMap::new(), late: Vec::new() };
    maker.make_schemas()?;
    maker.fill_members()?;
    maker.make_service()
}

/// A schema is asked for by its shape's name, and whether the member that holds it is streamed: S3 uses one blob shape
/// both for streamed bodies and for whole ones.
type Key<'a> = (&'a str, bool);

struct Maker<'a> {
    api: &'a Api,
    /// Every name is kept once, however often the model says it.
    names: HashMap<&'a str, &'static str>,
    schemas: HashMap<Key<'a>, &'static Schema>,
    late: Vec<(&'a str, &'static OnceLock<Vec<Member>>)>,
}

impl<'a> Maker<'a> {
    fn keep(&mut self, text: &'a str) -> &'static str {
        self.names.entry(text).or_insert_with(|| Box::leak(text.to_owned().into_boxed_str()))
    }

    fn keep_option(&mut self, text: Option<&'a str>) -> Option<&'static str> {
        text.map(|text| self.keep(text))
    }

    fn keep_namespace(&mut self, namespace: &'a facts::XmlNamespace) -> &'static XmlNamespace {
        let (uri, prefix) = (self.keep(namespace.uri()), self.keep_option(namespace.prefix()));
        Box::leak(Box::new(XmlNamespace { uri, prefix }))
    }

    /// Gives every shape an address; those with members get them afterwards.
    fn make_schemas(&mut self) -> Result<(), SchemaError> {
        let api = self.api;
        for (name, shape) in &api.shapes {
            let schema = self.make_schema(name, shape)?;
            if shape.kind == ShapeType::Blob {
                let mut streamed = self.make_schema(name, shape)?;
                streamed.streaming = true;
                self.schemas.insert((name, true), Box::leak(Box::new(streamed)));
            }
            self.schemas.insert((name, false), Box::leak(Box::new(schema)));
        }
        Ok(())
    }

    fn make_schema(&mut self, name: &'a str, shape: &'a ShapeFacts) -> Result<Schema, SchemaError> {
        let mut schema = Schema::new(self.keep(name), kind_of(shape));
        if has_members(shape) {
            let members: &'static OnceLock<Vec<Member>> = Box::leak(Box::default());
            self.late.push((name, members));
            schema.members = Members::Late(members);
            schema.by_wire_name = by_wire_name(name, shape)?.leak();
        }
        schema.values = shape.values.iter().map(|value| self.keep(value)).collect::<Vec<_>>().leak();
        let pattern = self.keep_option(shape.pattern.as_deref());
        schema.constraints = Box::leak(Box::new(Constraints { min: shape.min, max: shape.max, pattern }));
        if shape.is_error() {
            schema.error = Some(self.error_trait(name, shape));
        }
        schema.payload =
            shape.payload.as_ref().and_then(|payload| shape.members.get_index_of(payload)).map(|i| i as u16);
        schema.xml_name = self.keep_option(shape.location_name.as_deref());
        schema.xml_namespace = shape.xml_namespace.as_ref().map(|namespace| self.keep_namespace(namespace));
        schema.timestamp_format = timestamp_format(name, shape.timestamp_format.as_deref())?;
        schema.flattened = shape.flattened;
        schema.sparse = shape.sparse;
        schema.event_stream = shape.eventstream;
        schema.event = shape.event;
        schema.streaming = shape.streaming;
        schema.requires_length = shape.requires_length;
        schema.sensitive = shape.sensitive;
        Ok(schema)
    }

    fn error_trait(&mut self, name: &'a str, shape: &'a ShapeFacts) -> &'static ErrorTrait {
        let code = self.api.error_code(name);
        Box::leak(Box::new(ErrorTrait {
            code: self.keep(code),
            status: shape.error.as_ref().and_then(|error| error.http_status_code),
            sender_fault: !shape.fault,
        }))
    }

    fn fill_members(&mut self) -> Result<(), SchemaError> {
        let api = self.api;
        for (name, members) in std::mem::take(&mut self.late) {
            if let Some(shape) = api.shapes.get(name) {
                let made = self.members_of(name, shape)?;
                // The lock was made for this shape and is filled this once.
                let _ = members.set(made);
            }
        }
        Ok(())
    }

    fn members_of(&mut self, name: &'a str, shape: &'a ShapeFacts) -> Result<Vec<Member>, SchemaError> {
        let parts: Vec<(&'a str, &'a MemberFacts)> = match shape.kind {
            ShapeType::List => shape.member.iter().map(|member| ("member", member)).collect(),
            ShapeType::Map => {
                let key = shape.key.iter().map(|member| ("key", member));
                key.chain(shape.value.iter().map(|member| ("value", member))).collect()
            }
            _ => shape.members.iter().map(|(name, member)| (name.as_str(), member)).collect(),
        };
        let mut members = Vec::with_capacity(parts.len());
        for (index, (member_name, member)) in parts.into_iter().enumerate() {
            let mut made = self.member(name, member_name, index as u16, member)?;
            made.required = shape.required.iter().any(|required| required == member_name);
            members.push(made);
        }
        Ok(members)
    }

    fn member(&mut self, by: &str, name: &'a str, index: u16, member: &'a MemberFacts) -> Result<Member, SchemaError> {
        let target = self.target(by, member)?;
        let mut made = Member::new(self.keep(name), index, target);
        if let Some(wire_name) = &member.location_name {
            made = made.wire(self.keep(wire_name));
        }
        made.location = location(by, member.location.as_deref())?;
        made.flattened = member.flattened || target.flattened;
        made.xml_attribute = member.xml_attribute;
        made.xml_namespace = member.xml_namespace.as_ref().map(|namespace| self.keep_namespace(namespace));
        made.timestamp_format = timestamp_format(by, member.timestamp_format.as_deref())?;
        made.query_name = self.keep_option(member.query_name.as_deref());
        made.idempotency_token = member.idempotency_token;
        made.host_label = member.host_label;
        made.json_value = member.jsonvalue;
        made.event_header = member.eventheader;
        made.event_payload = member.eventpayload;
        Ok(made)
    }

    fn target(&self, by: &str, member: &MemberFacts) -> Result<&'static Schema, SchemaError> {
        let streamed = self.schemas.get(&(member.shape.as_str(), member.streaming));
        let found = streamed.or_else(|| self.schemas.get(&(member.shape.as_str(), false)));
        found.copied().ok_or_else(|| SchemaError::UnknownShape { by: by.to_owned(), shape: member.shape.clone() })
    }

    fn make_service(&mut self) -> Result<&'static ServiceSchema, SchemaError> {
        let api = self.api;
        let metadata = &api.metadata;
        let mut operations: Vec<&'static OperationSchema> = Vec::with_capacity(api.operations.len());
        for (name, operation) in &api.operations {
            operations.push(Box::leak(Box::new(self.make_operation(name, operation)?)));
        }
        let json_version = metadata.json_version.as_deref();
        let protocols = metadata.protocols().map(|name| protocol(name, json_version)).collect::<Result<Vec<_>, _>>()?;
        Ok(Box::leak(Box::new(ServiceSchema {
            api: self.keep(&api.api),
            api_version: self.keep(&metadata.api_version),
            service_id: self.keep(&metadata.service_id),
            full_name: self.keep(&metadata.service_full_name),
            endpoint_prefix: self.keep(&metadata.endpoint_prefix),
            signing_name: self.keep(metadata.signing()),
            target_prefix: self.keep_option(metadata.target_prefix.as_deref()),
            protocols: protocols.leak(),
            query_compatible: metadata.query_compatible(),
            xml_namespace: metadata.xml_namespace.as_ref().map(|namespace| self.keep(namespace.uri())),
            global_endpoint: metadata.global(),
            bare_errors: metadata.bare_errors(),
            operations: operations.leak(),
        })))
    }

    fn make_operation(&mut self, name: &'a str, operation: &'a OperationFacts) -> Result<OperationSchema, SchemaError> {
        let errors = operation.errors.iter().map(|error| self.shape_named(name, &error.shape));
        let errors = errors.collect::<Result<Vec<_>, _>>()?.leak();
        let checksum = operation.http_checksum.as_ref();
        let input_facts = operation.input.as_ref();
        let wrapper = self.api.result_wrapper(name);
        Ok(OperationSchema {
            name: self.keep(name),
            http: HttpTrait {
                method: self.keep(&operation.http.method),
                uri: self.keep(&operation.http.request_uri),
                code: operation.http.response_code.unwrap_or(200),
            },
            input: input_facts.map_or(Ok(&UNIT), |end| self.shape_named(name, &end.shape))?,
            output: operation.output.as_ref().map_or(Ok(&UNIT), |end| self.shape_named(name, &end.shape))?,
            errors,
            input_xml_name: input_facts.and_then(|end| end.location_name.as_deref()).map(|name| self.keep(name)),
            input_xml_namespace: input_facts.and_then(|end| end.xml_namespace.as_ref()).map(|n| self.keep_namespace(n)),
            result_wrapper: wrapper.map(|wrapper| &*wrapper.leak()),
            host_prefix: self.keep_option(operation.host_prefix()),
            unsigned: operation.unsigned(),
            unsigned_payload: operation.unsigned_payload(),
            checksum_required: operation.checksum_required(),
            checksum_algorithm_member: self.keep_option(checksum.and_then(|c| c.request_algorithm_member.as_deref())),
            checksum_mode_member: self.keep_option(checksum.and_then(|c| c.request_validation_mode_member.as_deref())),
            request_compression: operation.requestcompression.is_some(),
            idempotent: operation.idempotent,
            deprecated: operation.deprecated,
        })
    }

    fn shape_named(&self, by: &str, shape: &str) -> Result<&'static Schema, SchemaError> {
        let found = self.schemas.get(&(shape, false)).copied();
        found.ok_or_else(|| SchemaError::UnknownShape { by: by.to_owned(), shape: shape.to_owned() })
    }
}

fn has_members(shape: &ShapeFacts) -> bool {
    !shape.document && (!shape.members.is_empty() || shape.member.is_some() || shape.key.is_some())
}

fn kind_of(shape: &ShapeFacts) -> Kind {
    match shape.kind {
        _ if shape.document => Kind::Document,
        ShapeType::Structure if shape.is_union() => Kind::Union,
        ShapeType::Structure => Kind::Structure,
        ShapeType::List => Kind::List,
        ShapeType::Map => Kind::Map,
        ShapeType::String | ShapeType::Character if shape.values.is_empty() => Kind::String,
        ShapeType::String | ShapeType::Character => Kind::Enum,
        ShapeType::Blob => Kind::Blob,
        ShapeType::Boolean => Kind::Boolean,
        ShapeType::Integer | ShapeType::Byte | ShapeType::Short => Kind::Integer,
        ShapeType::Long | ShapeType::BigInteger => Kind::Long,
        ShapeType::Float => Kind::Float,
        ShapeType::Double | ShapeType::BigDecimal => Kind::Double,
        ShapeType::Timestamp => Kind::Timestamp,
    }
}

/// Indexes of a structure's members, sorted by wire name. Collections are not looked up by name.
fn by_wire_name(name: &str, shape: &ShapeFacts) -> Result<Vec<u16>, SchemaError> {
    let count = shape.members.len();
    let last = u16::try_from(count).map_err(|_| SchemaError::TooManyMembers { by: name.to_owned(), count })?;
    let mut indexes: Vec<u16> = (0..last).collect();
    indexes.sort_by_key(|index| {
        let (name, member) = &shape.members.get_index(usize::from(*index)).unzip();
        member.and_then(|member| member.location_name.as_deref()).or(name.map(String::as_str))
    });
    Ok(indexes)
}

fn timestamp_format(by: &str, format: Option<&str>) -> Result<Option<TimestampFormat>, SchemaError> {
    Ok(Some(match format {
        None => return Ok(None),
        Some("iso8601") => TimestampFormat::DateTime,
        Some("rfc822") => TimestampFormat::HttpDate,
        Some("unixTimestamp") => TimestampFormat::EpochSeconds,
        Some(other) => return Err(unknown(by, "timestampFormat", other)),
    }))
}

fn location(by: &str, location: Option<&str>) -> Result<Location, SchemaError> {
    Ok(match location {
        None => Location::Body,
        Some("header") => Location::Header,
        Some("headers") => Location::Headers,
        Some("uri") => Location::Uri,
        Some("querystring") => Location::QueryString,
        Some("statusCode") => Location::StatusCode,
        Some(other) => return Err(unknown(by, "location", other)),
    })
}

fn unknown(by: &str, trait_name: &'static str, value: &str) -> SchemaError {
    SchemaError::UnknownValue { by: by.to_owned(), trait_name, value: value.to_owned() }
}

fn protocol(name: &str, json_version: Option<&str>) -> Result<Protocol, SchemaError> {
    Ok(match name {
        "json" if json_version == Some("1.0") => Protocol::AwsJson10,
        "json" => Protocol::AwsJson11,
        "query" => Protocol::AwsQuery,
        "ec2" => Protocol::Ec2Query,
        "rest-json" => Protocol::RestJson1,
        "rest-xml" => Protocol::RestXml,
        "smithy-rpc-v2-cbor" => Protocol::RpcV2Cbor,
        other => return Err(SchemaError::UnknownProtocol(other.to_owned())),
    })
}
