//! A made-up API, as generated crates have them, by hand: two models in one binary.

use fractus_wire::generated as wire;
use fractus_wire::{
    Constraints, Failure, HttpTrait, Kind, Location, Member, Operation, OperationSchema, Payload, Protocol, Schema,
    ServiceSchema,
};

macro_rules! shape {
    ($name:ident, $schema:ident, { $($index:literal $field:ident : $type:ty = $member:expr),* $(,)? }) => {
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name { $(pub $field: $type),* }

        static $schema: Schema =
            Schema::new(stringify!($name), Kind::Structure).with_members(&[$($member),*], &[]);

        impl fractus_wire::Shape for $name {
            fn schema(&self) -> &'static Schema { &$schema }
            #[allow(unused_variables)]
            fn read_member(&mut self, index: usize, reader: &mut dyn wire::Reader) -> wire::Read {
                let Some(member) = $schema.members.as_slice().get(index) else { return Ok(()) };
                match index { $($index => wire::get(&mut self.$field, member, reader),)* _ => Ok(()) }
            }
            #[allow(unused_variables)]
            fn write_members(&self, writer: &mut dyn wire::Writer) -> wire::Write {
                let members = $schema.members.as_slice();
                $(wire::put(&self.$field, &members[$index], writer)?;)*
                Ok(())
            }
        }
    };
}

static STRING: Schema = Schema::new("String", Kind::String);
static LONG: Schema = Schema::new("Long", Kind::Long);
static SHORT_TEXT: Schema = {
    let mut schema = Schema::new("ShortText", Kind::String);
    schema.constraints = &Constraints { min: Some(1.0), max: Some(80.0), pattern: None };
    schema
};
static STREAM: Schema = {
    let mut schema = Schema::new("Stream", Kind::Blob);
    schema.streaming = true;
    schema
};

shape!(EchoInput, ECHO_INPUT, {
    0 text: String = Member::new("Text", 0, &SHORT_TEXT).required(),
});
shape!(EchoOutput, ECHO_OUTPUT, {
    0 text: Option<String> = Member::new("Text", 0, &STRING),
    1 world: Option<String> = Member::new("World", 1, &STRING),
    2 region: Option<String> = Member::new("Region", 2, &STRING),
    3 caller: Option<String> = Member::new("Caller", 3, &STRING),
    4 endpoint: Option<String> = Member::new("Endpoint", 4, &STRING),
    5 now: Option<i64> = Member::new("Now", 5, &LONG),
});
shape!(Nothing, NOTHING, {});
shape!(CountOutput, COUNT_OUTPUT, { 0 count: Option<i64> = Member::new("Count", 0, &LONG) });

#[derive(Default)]
pub struct UploadInput {
    pub body: fractus_wire::ByteStream,
    pub mode: Option<String>,
}

static UPLOAD_INPUT: Schema = {
    const MEMBERS: &[Member] =
        &[Member::new("Body", 0, &STREAM), Member::new("Mode", 1, &STRING).wire("x-mode").at(Location::Header)];
    let mut schema = Schema::new("UploadInput", Kind::Structure).with_members(MEMBERS, &[]);
    schema.payload = Some(0);
    schema
};

impl fractus_wire::Shape for UploadInput {
    fn schema(&self) -> &'static Schema {
        &UPLOAD_INPUT
    }

    fn read_member(&mut self, index: usize, reader: &mut dyn wire::Reader) -> wire::Read {
        match (index, UPLOAD_INPUT.members.as_slice().get(index)) {
            (1, Some(member)) => wire::get(&mut self.mode, member, reader),
            _ => Ok(()),
        }
    }

    fn write_members(&self, writer: &mut dyn wire::Writer) -> wire::Write {
        wire::put(&self.mode, &UPLOAD_INPUT.members.as_slice()[1], writer)
    }

    fn take_payload(&mut self) -> Payload {
        Payload::Bytes(std::mem::take(&mut self.body))
    }

    fn set_payload(&mut self, payload: Payload) {
        if let Payload::Bytes(body) = payload {
            self.body = body;
        }
    }
}

const fn operation(
    name: &'static str,
    http: (&'static str, &'static str),
    input: &'static Schema,
    output: &'static Schema,
) -> OperationSchema {
    OperationSchema {
        name,
        http: HttpTrait { method: http.0, uri: http.1, code: 200 },
        input,
        output,
        errors: &[],
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

macro_rules! operations {
    ($($name:ident of $service:ident, $schema:ident, $http:expr, $input:ident $input_schema:ident, $output:ident $output_schema:ident;)*) => {
        $(
            #[derive(Clone, Copy, Debug)]
            pub struct $name;
            static $schema: OperationSchema = operation(stringify!($name), $http, &$input_schema, &$output_schema);
            impl Operation for $name {
                type Input = $input;
                type Output = $output;
                type Error = Failure;
                const SCHEMA: &'static OperationSchema = &$schema;
                const SERVICE: &'static ServiceSchema = &$service;
            }
        )*
    };
}

operations! {
    Count of MODEL, COUNT, ("POST", "/"), Nothing NOTHING, CountOutput COUNT_OUTPUT;
    Echo of MODEL, ECHO, ("POST", "/"), EchoInput ECHO_INPUT, EchoOutput ECHO_OUTPUT;
    Keep of MODEL, KEEP, ("POST", "/"), Nothing NOTHING, Nothing NOTHING;
    Miss of MODEL, MISS, ("POST", "/"), Nothing NOTHING, Nothing NOTHING;
    Panic of MODEL, PANIC, ("POST", "/"), Nothing NOTHING, Nothing NOTHING;
    Wait of MODEL, WAIT, ("POST", "/"), Nothing NOTHING, Nothing NOTHING;
    Upload of UPLOADS, UPLOAD, ("PUT", "/upload"), UploadInput UPLOAD_INPUT, CountOutput COUNT_OUTPUT;
}

pub static MODEL: ServiceSchema = ServiceSchema {
    api: "toy",
    api_version: "2020-01-08",
    service_id: "Toy",
    full_name: "Toy",
    endpoint_prefix: "toy",
    signing_name: "toy",
    target_prefix: Some("Toy"),
    protocols: &[Protocol::AwsJson10, Protocol::AwsQuery],
    query_compatible: false,
    bare_errors: false,
    xml_namespace: Some("https://example.com/"),
    global_endpoint: false,
    operations: &[&COUNT, &ECHO, &KEEP, &MISS, &PANIC, &WAIT],
};

pub static UPLOADS: ServiceSchema = ServiceSchema {
    api: "toyuploads",
    api_version: "2020-01-08",
    service_id: "Toy Uploads",
    full_name: "Toy Uploads",
    endpoint_prefix: "toy",
    signing_name: "toy",
    target_prefix: None,
    protocols: &[Protocol::RestJson1],
    query_compatible: false,
    bare_errors: false,
    xml_namespace: None,
    global_endpoint: false,
    operations: &[&UPLOAD],
};
