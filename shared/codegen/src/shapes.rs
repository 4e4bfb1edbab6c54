//! Structs, unions and enums, and how their members are read and written.

use std::collections::HashSet;
use std::fmt::Write as _;

use fractus_models::{MemberFacts, ShapeFacts};

use crate::names;
use crate::plan::Plan;
use crate::schemas::schema_name;

pub fn write(out: &mut String, plan: &Plan<'_>) {
    for name in &plan.reached {
        let shape = plan.shape(name);
        if plan.is_enum(shape) {
            write_enum(out, &plan.types[name], shape);
        } else if shape.is_structure() && shape.is_union() {
            Union { plan, name, shape, type_name: &plan.types[name] }.write(out);
        } else if shape.is_structure() {
            Struct { plan, name, shape, type_name: &plan.types[name] }.write(out);
        }
    }
    for unit in &plan.units {
        let _ = writeln!(out, "#[derive(Clone, Default, PartialEq)]\npub struct {unit} {{}}");
        write_shape_impl(out, unit, "wire::UNIT", "Ok(())", "Ok(())", "");
        write_debug(out, unit);
    }
    for (alias, named) in &plan.aliases {
        let _ = writeln!(out, "pub type {alias} = {named};");
    }
}

/// Names made unique by numbers: two members may differ only in case.
pub fn unique(names: impl Iterator<Item = String>, reserved: &[&str]) -> Vec<String> {
    let mut taken: HashSet<String> = reserved.iter().map(|&name| name.to_owned()).collect();
    let unique = |name: String| {
        let mut wanted = name.clone();
        let mut number = 2;
        while !taken.insert(wanted.clone()) {
            wanted = format!("{name}_{number}");
            number += 1;
        }
        wanted
    };
    names.map(unique).collect()
}

fn write_enum(out: &mut String, type_name: &str, shape: &ShapeFacts) {
    let variants = unique(shape.values.iter().map(|value| names::variant(value)), &["Unknown"]);
    let _ = writeln!(out, "#[derive(Clone, PartialEq, Eq, Hash)]\npub enum {type_name} {{");
    for variant in &variants {
        let _ = writeln!(out, "    {variant},");
    }
    let _ = writeln!(
        out,
        "    Unknown(String),\n}}\nimpl {type_name} {{\n    pub fn as_str(&self) -> &str {{\n        match self {{"
    );
    for (variant, value) in variants.iter().zip(&shape.values) {
        let _ = writeln!(out, "            Self::{variant} => {value:?},");
    }
    let _ = writeln!(out, "            Self::Unknown(text) => text,\n        }}\n    }}");
    let _ = writeln!(out, "    fn known(text: &str) -> Option<Self> {{\n        Some(match text {{");
    for (variant, value) in variants.iter().zip(&shape.values) {
        let _ = writeln!(out, "            {value:?} => Self::{variant},");
    }
    let _ = writeln!(
        out,
        "            _ => return None,\n        }})\n    }}\n}}\n::fractus_wire::string_enum!({type_name});"
    );
}

fn write_debug(out: &mut String, type_name: &str) {
    let _ = writeln!(out, "impl ::core::fmt::Debug for {type_name} {{");
    let _ = writeln!(
        out,
        "    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{ wire::print(self, f) }}\n}}"
    );
}

fn write_shape_impl(out: &mut String, type_name: &str, schema: &str, read: &str, write: &str, payload: &str) {
    let _ = writeln!(
        out,
        "impl wire::Shape for {type_name} {{
    fn schema(&self) -> &'static wire::Schema {{ &{schema} }}
    fn read_member(&mut self, index: usize, reader: &mut dyn wire::Reader) -> wire::Read {{ {read} }}
    fn write_members(&self, writer: &mut dyn wire::Writer) -> wire::Write {{ {write} }}
{payload}}}"
    );
}

struct Struct<'p> {
    plan: &'p Plan<'p>,
    name: &'p str,
    shape: &'p ShapeFacts,
    type_name: &'p str,
}

/// A member of a struct with what is to be written of it.
struct Field<'p> {
    name: String,
    index: usize,
    member: &'p MemberFacts,
    required: bool,
    boxed: bool,
    flows: bool,
}

impl Struct<'_> {
    fn fields(&self) -> Vec<Field<'_>> {
        let names = unique(self.shape.members.keys().map(|name| names::field(name)), &[]);
        let members = self.shape.members.iter().enumerate().zip(names);
        members
            .map(|((index, (member_name, member)), name)| Field {
                name,
                index,
                member,
                required: self.shape.required.contains(member_name),
                boxed: self.plan.is_boxed(self.name, member_name),
                flows: self.plan.is_stream(member) || self.plan.is_event_stream(member),
            })
            .collect()
    }

    fn write(&self, out: &mut String) {
        let fields = self.fields();
        let flows = fields.iter().find(|field| field.flows);
        let derives = if flows.is_some() { "Default" } else { "Clone, Default, PartialEq" };
        let _ = writeln!(out, "#[derive({derives})]\npub struct {} {{", self.type_name);
        for field in &fields {
            let _ = writeln!(out, "    pub {}: {},", field.name, self.field_type(field));
        }
        if self.shape.is_error() && message_field(self.shape).is_none() {
            let _ = writeln!(
                out,
                "    /// What the answer says; the model has no member for it.\n    pub message: Option<String>,"
            );
        }
        out.push_str("}\n");
        let payload = flows.map_or_else(String::new, |field| self.payload(field));
        let schema = schema_name(self.name);
        write_shape_impl(
            out,
            self.type_name,
            &schema,
            &self.read(&schema, &fields),
            &self.write_members(&schema, &fields),
            &payload,
        );
        write_debug(out, self.type_name);
    }

    fn field_type(&self, field: &Field<'_>) -> String {
        let value = self.plan.value_type(field.member);
        let value = if field.boxed { format!("Box<{value}>") } else { value };
        if field.required || field.flows { value } else { format!("Option<{value}>") }
    }

    fn read(&self, schema: &str, fields: &[Field<'_>]) -> String {
        let mut arms = String::new();
        for field in fields.iter().filter(|field| !field.flows) {
            let function = match (field.boxed, field.required) {
                (false, _) => "get",
                (true, true) => "get_boxed",
                (true, false) => "get_boxed_option",
            };
            let _ = write!(
                arms,
                "\n            {} => wire::{function}(&mut self.{}, member, reader),",
                field.index, field.name
            );
        }
        if arms.is_empty() {
            return "Ok(())".to_owned();
        }
        format!(
            "
        let Some(member) = {schema}.members.as_slice().get(index) else {{ return Ok(()) }};
        match index {{{arms}
            _ => Ok(()),
        }}
    "
        )
    }

    fn write_members(&self, schema: &str, fields: &[Field<'_>]) -> String {
        let mut lines = String::new();
        for field in fields.iter().filter(|field| !field.flows) {
            let (function, value) = match (field.boxed, field.required) {
                (false, _) => ("put", format!("&self.{}", field.name)),
                (true, true) => ("put_boxed", format!("self.{}.as_ref()", field.name)),
                (true, false) => ("put_boxed_option", format!("&self.{}", field.name)),
            };
            let _ = write!(lines, "\n        wire::{function}({value}, &members[{}], writer)?;", field.index);
        }
        if lines.is_empty() {
            return "Ok(())".to_owned();
        }
        format!("\n        let members = {schema}.members.as_slice();{lines}\n        Ok(())\n    ")
    }

    fn payload(&self, field: &Field<'_>) -> String {
        let name = &field.name;
        let (take, set) = if self.plan.is_event_stream(field.member) {
            (
                format!("::core::mem::take(&mut self.{name}).into_payload()"),
                format!("self.{name} = wire::EventStream::from_payload(payload);"),
            )
        } else {
            (
                format!("wire::Payload::Bytes(::core::mem::take(&mut self.{name}))"),
                format!("if let wire::Payload::Bytes(bytes) = payload {{ self.{name} = bytes; }}"),
            )
        };
        format!(
            "    fn take_payload(&mut self) -> wire::Payload {{ {take} }}
    fn set_payload(&mut self, payload: wire::Payload) {{ {set} }}
"
        )
    }
}

/// The field that carries an error's message, and whether it is always there.
pub fn message_field(shape: &ShapeFacts) -> Option<(String, bool)> {
    let names = unique(shape.members.keys().map(|name| names::field(name)), &[]);
    let mut fields = shape.members.keys().zip(names);
    let found = fields.find(|(name, _)| name.eq_ignore_ascii_case("message"));
    found.map(|(name, field)| (field, shape.required.contains(name)))
}

struct Union<'p> {
    plan: &'p Plan<'p>,
    name: &'p str,
    shape: &'p ShapeFacts,
    type_name: &'p str,
}

impl Union<'_> {
    fn write(&self, out: &mut String) {
        let variants = unique(self.shape.members.keys().map(|name| names::variant(name)), &["Unknown"]);
        let schema = schema_name(self.name);
        let _ = writeln!(out, "#[derive(Clone, Default, PartialEq)]\npub enum {} {{", self.type_name);
        let mut reads = String::new();
        let mut writes = String::new();
        for (index, ((name, member), variant)) in self.shape.members.iter().zip(&variants).enumerate() {
            let value = self.plan.value_type(member);
            let boxed = self.plan.is_boxed(self.name, name);
            let (open, close, function) = if boxed { ("Box::new(", ")", "put_boxed") } else { ("", "", "put") };
            let value = if boxed { format!("Box<{value}>") } else { value };
            let _ = writeln!(out, "    {variant}({value}),");
            let _ = write!(
                reads,
                "\n            {index} => Self::{variant}({open}wire::Value::read_value(member, reader)?{close}),"
            );
            let given = if boxed { "value.as_ref()" } else { "value" };
            let _ = write!(
                writes,
                "\n            Self::{variant}(value) => wire::{function}({given}, &members[{index}], writer),"
            );
        }
        let _ = writeln!(out, "    /// None that the model knows.\n    #[default]\n    Unknown,\n}}");
        let read = format!(
            "
        let Some(member) = {schema}.members.as_slice().get(index) else {{ return Ok(()) }};
        if *self != Self::Unknown {{ return Err(wire::union_has_more(&{schema})); }}
        *self = match index {{{reads}
            _ => return Ok(()),
        }};
        Ok(())
    "
        );
        let write = format!(
            "
        let members = {schema}.members.as_slice();
        match self {{{writes}
            Self::Unknown => Ok(()),
        }}
    "
        );
        write_shape_impl(out, self.type_name, &schema, &read, &write, "");
        write_debug(out, self.type_name);
    }
}
