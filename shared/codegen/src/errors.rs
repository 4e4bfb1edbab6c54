//! The typed `Error`: every modelled error of the API, and any other failure.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::plan::Plan;
use crate::schemas::schema_name;
use crate::shapes::message_field;

struct Modelled<'p> {
    shape: &'p str,
    /// The struct, and the variant that holds it.
    type_name: &'p str,
    variant: String,
    message: String,
    message_required: bool,
}

pub fn write(out: &mut String, plan: &Plan<'_>) {
    let errors = modelled(plan);
    out.push_str("/// Every error that the model has, and any other.\n#[derive(Debug)]\npub enum Error {\n");
    for error in &errors {
        let _ = writeln!(out, "    {}({}),", error.variant, error.type_name);
    }
    out.push_str("    Other(wire::Failure),\n}\n");
    for error in &errors {
        write_error(out, plan, error);
    }
    write_to_failure(out, &errors);
    write_from_failure(out, plan, &errors);
    write_parts(out, plan, &errors);
}

fn modelled<'p>(plan: &'p Plan<'_>) -> Vec<Modelled<'p>> {
    let shapes = plan.reached.iter().filter(|name| plan.shape(name).is_error() && plan.shape(name).is_structure());
    let modelled = |shape: &&'p str| {
        let type_name = plan.types[*shape].as_str();
        let variant = if type_name == "Other" { "OtherShape".to_owned() } else { type_name.to_owned() };
        let (message, message_required) =
            message_field(plan.shape(shape)).unwrap_or_else(|| ("message".to_owned(), false));
        Modelled { shape, type_name, variant, message, message_required }
    };
    shapes.map(modelled).collect()
}

fn write_error(out: &mut String, plan: &Plan<'_>, error: &Modelled<'_>) {
    let Modelled { shape, type_name, variant, message, message_required } = error;
    let given = if *message_required { "message.into()" } else { "Some(message.into())" };
    let cloned = if *message_required {
        format!("error.{message}.clone()")
    } else {
        format!("error.{message}.clone().unwrap_or_default()")
    };
    let _ = writeln!(
        out,
        "impl {type_name} {{
    pub fn new(message: impl Into<String>) -> Self {{ let mut error = Self::default(); error.{message} = {given}; error }}
}}
impl From<{type_name}> for Error {{ fn from(error: {type_name}) -> Self {{ Error::{variant}(error) }} }}
impl From<{type_name}> for wire::Failure {{
    fn from(error: {type_name}) -> Self {{ wire::failure_of(&{}, {}, {cloned}, error) }}
}}",
        schema_name(shape),
        plan.api.metadata.query_compatible(),
    );
}

fn write_to_failure(out: &mut String, errors: &[Modelled<'_>]) {
    out.push_str("impl From<Error> for wire::Failure {\n    fn from(error: Error) -> Self {\n        match error {\n");
    for error in errors {
        let _ = writeln!(out, "            Error::{}(error) => error.into(),", error.variant);
    }
    out.push_str("            Error::Other(failure) => failure,\n        }\n    }\n}\n");
}

/// A failure becomes a modelled error by its code, unless it says more than the error could hold.
fn write_from_failure(out: &mut String, plan: &Plan<'_>, errors: &[Modelled<'_>]) {
    let mut taken = HashSet::new();
    out.push_str("impl From<wire::Failure> for Error {\n    fn from(failure: wire::Failure) -> Self {\n        match failure.code.as_ref() {\n");
    let mut arms = vec![Vec::new(); errors.len()];
    // The name that the API answers with goes before the other.
    let compatible = plan.api.metadata.query_compatible();
    for round in [compatible, !compatible] {
        for (error, arm) in errors.iter().zip(&mut arms) {
            let code = if round { error.shape } else { plan.api.error_code(error.shape) };
            if taken.insert(code) {
                arm.push(format!("{code:?}"));
            }
        }
    }
    for (error, codes) in errors.iter().zip(&arms).filter(|(_, codes)| !codes.is_empty()) {
        let Modelled { shape, variant, message, message_required, .. } = error;
        let empty = if *message_required { "is_empty()" } else { "is_none()" };
        let given = if *message_required { "failure.message" } else { "Some(failure.message)" };
        let _ = writeln!(
            out,
            "            {} if wire::fits(&failure, &{}) => {{
                let mut error: {} = wire::shape_of(&failure);
                if error.{message}.{empty} {{ error.{message} = {given}; }}
                Error::{variant}(error)
            }}",
            codes.join(" | "),
            schema_name(shape),
            error.type_name,
        );
    }
    out.push_str("            _ => Error::Other(failure),\n        }\n    }\n}\n");
}

fn write_parts(out: &mut String, plan: &Plan<'_>, errors: &[Modelled<'_>]) {
    out.push_str("impl Error {\n    /// The code and the message.\n    pub fn parts(&self) -> (&str, &str) {\n        match self {\n");
    for error in errors {
        let text = if error.message_required { "as_str()" } else { "as_deref().unwrap_or_default()" };
        let code = if plan.api.metadata.query_compatible() { error.shape } else { plan.api.error_code(error.shape) };
        let _ =
            writeln!(out, "            Error::{}(error) => ({code:?}, error.{}.{text}),", error.variant, error.message);
    }
    out.push_str(
        "            Error::Other(failure) => (failure.code.as_ref(), failure.message.as_str()),
        }
    }
    pub fn code(&self) -> &str { self.parts().0 }
}
impl ::core::fmt::Display for Error {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        let (code, message) = self.parts();
        write!(f, \"{code}: {message}\")
    }
}
impl ::std::error::Error for Error {}
",
    );
}
