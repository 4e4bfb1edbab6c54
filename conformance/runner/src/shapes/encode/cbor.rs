//! CBOR bodies (rpcv2Cbor: <https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html>).

use fractus_models::{Api, MemberFacts, ShapeFacts, ShapeType};
use minicbor::Encoder;
use minicbor::data::Tag;

use crate::shapes::facts;
use crate::shapes::value::Value;

type Out<'o> = Encoder<&'o mut Vec<u8>>;
type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Tag 1: seconds since the epoch.
const EPOCH: u64 = 1;

pub fn body(api: &Api, input: Option<&MemberFacts>, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(input) = input {
        // Writing to memory cannot fail.
        let _ = write(api, &mut Encoder::new(&mut out), value, facts::shape(api, &input.shape));
    }
    out
}

fn write(api: &Api, out: &mut Out<'_>, value: &Value, shape: &ShapeFacts) -> Written {
    match value {
        Value::Bool(value) => out.bool(*value)?,
        Value::Integer(number) => out.i64(*number)?,
        Value::Float(number) => out.f64(*number)?,
        Value::Text(text) => out.str(text)?,
        Value::Blob(bytes) => out.bytes(bytes)?,
        Value::Document(document) => out.str(&document.to_string())?,
        Value::Time(time) => out.tag(Tag::new(EPOCH))?.f64(time.secs_f64())?,
        Value::List(elements) => {
            out.array(elements.len() as u64)?;
            for element in elements {
                let element_shape = shape.member.as_ref().map_or(shape, |member| facts::shape(api, &member.shape));
                write(api, out, element, element_shape)?;
            }
            out
        }
        Value::Members(members) => {
            out.map(members.len() as u64)?;
            for (name, value) in members {
                let member = if shape.kind == ShapeType::Map { shape.value.as_ref() } else { shape.members.get(name) };
                out.str(name)?;
                write(api, out, value, member.map_or(shape, |member| facts::shape(api, &member.shape)))?;
            }
            out
        }
    };
    Ok(())
}
