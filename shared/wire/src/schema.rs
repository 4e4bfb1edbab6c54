//! The facts of an API as static data: services, operations, shapes, members.
//!
//! All of it is `'static`: generated code holds it in statics, a model loaded at run time is leaked once per API.
//! The builders are `const`, so that generated statics stay one short line a member.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use crate::headers::mark_of;

/// What a shape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Structure,
    Union,
    /// `members[0]` is the element.
    List,
    /// `members[0]` is the key (always a string), `members[1]` the value.
    Map,
    String,
    /// A string with known values; other values are kept as they are.
    Enum,
    Blob,
    Boolean,
    Integer,
    Long,
    Float,
    Double,
    Timestamp,
    /// A Smithy document: any JSON-like value.
    Document,
}

impl Kind {
    /// A structure, union, list or map: something that holds values.
    pub const fn is_aggregate(self) -> bool {
        matches!(self, Kind::Structure | Kind::Union | Kind::List | Kind::Map)
    }
}

/// Bounds that the model puts on a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constraints {
    /// Least length (string characters, blob bytes, list or map entries) or least number.
    pub min: Option<f64>,
    /// Greatest length or number.
    pub max: Option<f64>,
    /// A regular expression in the model's dialect, unanchored unless it anchors itself.
    pub pattern: Option<&'static str>,
}

impl Constraints {
    pub const NONE: Constraints = Constraints { min: None, max: None, pattern: None };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmlNamespace {
    pub uri: &'static str,
    pub prefix: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampFormat {
    /// RFC 3339.
    DateTime,
    /// RFC 9110's IMF-fixdate.
    HttpDate,
    /// Seconds since the epoch, with a fraction where the protocol has one.
    EpochSeconds,
}

/// What makes a structure an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorTrait {
    /// The code on the wire: the modelled `error.code`, else the shape's name.
    pub code: &'static str,
    /// The modelled HTTP status, where there is one.
    pub status: Option<u16>,
    /// The caller's fault (`Sender`), unless the model says it is the service's.
    pub sender_fault: bool,
}

/// The members of a shape: read as the slice that it is.
///
/// Shapes may hold themselves, so a schema that is made at run time needs its address before its members are known.
#[derive(Clone, Copy)]
pub enum Members {
    Known(&'static [Member]),
    /// Filled in once all schemas of the API have an address.
    Late(&'static OnceLock<Vec<Member>>),
}

impl Members {
    pub fn as_slice(self) -> &'static [Member] {
        match self {
            Members::Known(members) => members,
            Members::Late(members) => members.get().map_or(&[], Vec::as_slice),
        }
    }
}

impl Deref for Members {
    type Target = [Member];

    fn deref(&self) -> &[Member] {
        self.as_slice()
    }
}

impl IntoIterator for Members {
    type Item = &'static Member;
    type IntoIter = std::slice::Iter<'static, Member>;

    fn into_iter(self) -> Self::IntoIter {
        self.as_slice().iter()
    }
}

/// A shape.
pub struct Schema {
    /// The shape's name in the model.
    pub name: &'static str,
    pub kind: Kind,
    /// Structure and union: the members in model order. List: the element. Map: key and value.
    pub members: Members,
    /// Indexes of `members` sorted by wire name, for look-up.
    pub by_wire_name: &'static [u16],
    /// The known values of an enum.
    pub values: &'static [&'static str],
    /// What few shapes have stands elsewhere: an API has a thousand schemas.
    pub constraints: &'static Constraints,
    pub error: Option<&'static ErrorTrait>,
    /// The member that is the whole HTTP body (`httpPayload`).
    pub payload: Option<u16>,
    /// The element name of the shape when it is a root or payload (`locationName` on the shape).
    pub xml_name: Option<&'static str>,
    pub xml_namespace: Option<&'static XmlNamespace>,
    /// The format on the shape itself (timestamps).
    pub timestamp_format: Option<TimestampFormat>,
    /// Repeated elements without a wrapper (on the list or map shape itself).
    pub flattened: bool,
    /// A list or map that may hold nulls; elsewhere they are left out.
    pub sparse: bool,
    /// A union whose variants travel as events.
    pub event_stream: bool,
    /// A structure that travels as one event.
    pub event: bool,
    /// A blob that is streamed.
    pub streaming: bool,
    /// A streamed blob whose length must be known.
    pub requires_length: bool,
    pub sensitive: bool,
}

impl Schema {
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Schema {
            name,
            kind,
            members: Members::Known(&[]),
            by_wire_name: &[],
            values: &[],
            constraints: &Constraints::NONE,
            error: None,
            payload: None,
            xml_name: None,
            xml_namespace: None,
            timestamp_format: None,
            flattened: false,
            sparse: false,
            event_stream: false,
            event: false,
            streaming: false,
            requires_length: false,
            sensitive: false,
        }
    }

    pub const fn with_members(mut self, members: &'static [Member], by_wire_name: &'static [u16]) -> Self {
        self.members = Members::Known(members);
        self.by_wire_name = by_wire_name;
        self
    }

    pub const fn values(mut self, values: &'static [&'static str]) -> Self {
        self.values = values;
        self
    }

    pub const fn constrained(mut self, constraints: &'static Constraints) -> Self {
        self.constraints = constraints;
        self
    }

    pub const fn error(mut self, error: &'static ErrorTrait) -> Self {
        self.error = Some(error);
        self
    }

    pub const fn payload(mut self, index: u16) -> Self {
        self.payload = Some(index);
        self
    }

    pub const fn xml_name(mut self, name: &'static str) -> Self {
        self.xml_name = Some(name);
        self
    }

    pub const fn xml_namespace(mut self, namespace: &'static XmlNamespace) -> Self {
        self.xml_namespace = Some(namespace);
        self
    }

    pub const fn timestamp_format(mut self, format: TimestampFormat) -> Self {
        self.timestamp_format = Some(format);
        self
    }

    pub const fn flattened(mut self) -> Self {
        self.flattened = true;
        self
    }

    pub const fn sparse(mut self) -> Self {
        self.sparse = true;
        self
    }

    pub const fn event_stream(mut self) -> Self {
        self.event_stream = true;
        self
    }

    pub const fn event(mut self) -> Self {
        self.event = true;
        self
    }

    pub const fn streaming(mut self) -> Self {
        self.streaming = true;
        self
    }

    pub const fn requires_length(mut self) -> Self {
        self.requires_length = true;
        self
    }

    pub const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// The member with this wire name (JSON key, XML element, query name).
    pub fn member_by_wire_name(&self, name: &str) -> Option<&'static Member> {
        let members = self.members.as_slice();
        if members.len() <= 8 || self.by_wire_name.is_empty() {
            return members.iter().find(|member| member.wire_name == name);
        }
        let found = self
            .by_wire_name
            .binary_search_by(|index| members.get(usize::from(*index)).map_or("", |member| member.wire_name).cmp(name));
        found.ok().and_then(|position| members.get(usize::from(self.by_wire_name[position])))
    }

    /// The list's element or the map's value.
    pub fn element(&self) -> Option<&'static Member> {
        self.members.as_slice().last()
    }
}

/// The name alone: schemas of recursive shapes have no end.
impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.name)
    }
}

/// Where in an HTTP message a member travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    Body,
    /// The header named by the wire name.
    Header,
    /// A map: every header whose name begins with the wire name.
    Headers,
    /// A label in the URI, named by the wire name.
    Uri,
    /// The query parameter named by the wire name; a map member takes all parameters that the URI does not fix.
    QueryString,
    StatusCode,
}

/// A member of a structure or union, or the element, key or value of a collection.
#[derive(Debug)]
pub struct Member {
    /// The name in the model.
    pub name: &'static str,
    /// `locationName`, else the name.
    pub wire_name: &'static str,
    /// Of the wire name, as a header's.
    pub(crate) mark: u8,
    /// The position in `Schema::members`, which `Shape::read_member` takes.
    pub index: u16,
    pub target: &'static Schema,
    pub required: bool,
    pub location: Location,
    /// Repeated elements without a wrapper (on the member or its list).
    pub flattened: bool,
    pub xml_attribute: bool,
    pub xml_namespace: Option<&'static XmlNamespace>,
    pub timestamp_format: Option<TimestampFormat>,
    /// EC2's `queryName`.
    pub query_name: Option<&'static str>,
    /// Filled in by clients with a fresh token when absent.
    pub idempotency_token: bool,
    /// Stands in the operation's host prefix.
    pub host_label: bool,
    /// JSON in a base64 header.
    pub json_value: bool,
    pub event_header: bool,
    pub event_payload: bool,
}

impl Member {
    pub const fn new(name: &'static str, index: u16, target: &'static Schema) -> Self {
        Member {
            name,
            wire_name: name,
            mark: mark_of(name),
            index,
            target,
            required: false,
            location: Location::Body,
            flattened: false,
            xml_attribute: false,
            xml_namespace: None,
            timestamp_format: None,
            query_name: None,
            idempotency_token: false,
            host_label: false,
            json_value: false,
            event_header: false,
            event_payload: false,
        }
    }

    pub const fn wire(mut self, wire_name: &'static str) -> Self {
        self.wire_name = wire_name;
        self.mark = mark_of(wire_name);
        self
    }

    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub const fn at(mut self, location: Location) -> Self {
        self.location = location;
        self
    }

    pub const fn flattened(mut self) -> Self {
        self.flattened = true;
        self
    }

    pub const fn xml_attribute(mut self) -> Self {
        self.xml_attribute = true;
        self
    }

    pub const fn xml_namespace(mut self, namespace: &'static XmlNamespace) -> Self {
        self.xml_namespace = Some(namespace);
        self
    }

    pub const fn timestamp_format(mut self, format: TimestampFormat) -> Self {
        self.timestamp_format = Some(format);
        self
    }

    pub const fn query_name(mut self, name: &'static str) -> Self {
        self.query_name = Some(name);
        self
    }

    pub const fn idempotency_token(mut self) -> Self {
        self.idempotency_token = true;
        self
    }

    pub const fn host_label(mut self) -> Self {
        self.host_label = true;
        self
    }

    pub const fn json_value(mut self) -> Self {
        self.json_value = true;
        self
    }

    pub const fn event_header(mut self) -> Self {
        self.event_header = true;
        self
    }

    pub const fn event_payload(mut self) -> Self {
        self.event_payload = true;
        self
    }

    /// The format for this member: its own, else its shape's, else `default` (the protocol's for the location).
    pub fn timestamp_format_or(&self, default: TimestampFormat) -> TimestampFormat {
        self.timestamp_format.or(self.target.timestamp_format).unwrap_or(default)
    }
}

/// How an operation is bound to HTTP.
#[derive(Clone, Copy, Debug)]
pub struct HttpTrait {
    pub method: &'static str,
    /// The URI pattern with labels, such as `/{Bucket}/{Key+}?partNumber`.
    pub uri: &'static str,
    /// The status of a success; 200 unless the model says another.
    pub code: u16,
}

#[derive(Debug)]
pub struct OperationSchema {
    pub name: &'static str,
    pub http: HttpTrait,
    /// An empty structure when the model has none.
    pub input: &'static Schema,
    pub output: &'static Schema,
    pub errors: &'static [&'static Schema],
    /// The root element of an XML request body, where the model names one, and its namespace.
    pub input_xml_name: Option<&'static str>,
    pub input_xml_namespace: Option<&'static XmlNamespace>,
    /// The element around a Query answer's members.
    pub result_wrapper: Option<&'static str>,
    /// The modelled host prefix, such as `data-` or `{AccountId}.`.
    pub host_prefix: Option<&'static str>,
    /// May be sent without a signature.
    pub unsigned: bool,
    /// The body's payload is not part of the signature (`v4-unsigned-body`).
    pub unsigned_payload: bool,
    /// A checksum of the request body is required (`httpChecksumRequired` or the newer trait).
    pub checksum_required: bool,
    /// The input member that names the request's checksum algorithm.
    pub checksum_algorithm_member: Option<&'static str>,
    /// The input member that asks for checksums in the answer.
    pub checksum_mode_member: Option<&'static str>,
    /// Request body encodings a client may use (`gzip`).
    pub request_compression: bool,
    pub idempotent: bool,
    pub deprecated: bool,
}

impl OperationSchema {
    pub const fn new(
        name: &'static str,
        http: HttpTrait,
        input: &'static Schema,
        output: &'static Schema,
        errors: &'static [&'static Schema],
    ) -> Self {
        OperationSchema {
            name,
            http,
            input,
            output,
            errors,
            input_xml_name: None,
            input_xml_namespace: None,
            result_wrapper: None,
            host_prefix: None,
            unsigned: false,
            unsigned_payload: false,
            checksum_required: false,
            checksum_algorithm_member: None,
            checksum_mode_member: None,
            request_compression: false,
            idempotent: false,
            deprecated: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    AwsJson10,
    AwsJson11,
    AwsQuery,
    Ec2Query,
    RestJson1,
    RestXml,
    RpcV2Cbor,
}

#[derive(Debug)]
pub struct ServiceSchema {
    /// The API's name, as the file in shared/models is called: `sqs`, `sesv2`, `dynamodbstreams`.
    pub api: &'static str,
    pub api_version: &'static str,
    /// `SQS`, `DynamoDB Streams`.
    pub service_id: &'static str,
    pub full_name: &'static str,
    pub endpoint_prefix: &'static str,
    pub signing_name: &'static str,
    /// `AmazonSQS`, the part of X-Amz-Target before the dot.
    pub target_prefix: Option<&'static str>,
    /// Every protocol the model lists, the preferred first.
    pub protocols: &'static [Protocol],
    /// JSON answers carry the Query protocol's error codes in a header (`awsQueryCompatible`).
    pub query_compatible: bool,
    pub xml_namespace: Option<&'static str>,
    /// The service has one endpoint for all regions.
    pub global_endpoint: bool,
    /// S3's form of restXml: errors without an element around them, times always with milliseconds, two request ids.
    pub bare_errors: bool,
    /// Sorted by name.
    pub operations: &'static [&'static OperationSchema],
}

impl ServiceSchema {
    pub fn operation(&self, name: &str) -> Option<&'static OperationSchema> {
        let operations = self.operations;
        operations.binary_search_by(|operation| operation.name.cmp(name)).ok().map(|index| operations[index])
    }
}
