//! Bodies in JSON and CBOR as one tree.

use minicbor::Decoder;
use minicbor::data::Type;

/// Answers are not deeper.
const MAX_DEPTH: usize = 128;

/// A value as the format has it, before any model is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    /// CBOR only.
    Bytes(Vec<u8>),
    /// CBOR's tag 1, in seconds.
    Time(f64),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Node::Map(entries) => entries.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Node::Text(text) = self { Some(text) } else { None }
    }

    /// What it is, for a sentence.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "a boolean",
            Node::Integer(_) => "an integer",
            Node::Float(_) => "a fraction",
            Node::Text(_) => "a text",
            Node::Bytes(_) => "bytes",
            Node::Time(_) => "a timestamp",
            Node::List(_) => "a list",
            Node::Map(_) => "an object",
        }
    }
}

pub fn of_json(body: &[u8]) -> Result<Node, String> {
    let json: serde_json::Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok(from_json(json))
}

fn from_json(json: serde_json::Value) -> Node {
    use serde_json::Value as Json;
    match json {
        Json::Null => Node::Null,
        Json::Bool(value) => Node::Bool(value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Node::Integer(integer.into()),
            None => number
                .as_u64()
                .map_or_else(|| Node::Float(number.as_f64().unwrap_or(f64::NAN)), |n| Node::Integer(n.into())),
        },
        Json::String(text) => Node::Text(text),
        Json::Array(elements) => Node::List(elements.into_iter().map(from_json).collect()),
        Json::Object(entries) => Node::Map(entries.into_iter().map(|(name, value)| (name, from_json(value))).collect()),
    }
}

pub fn of_cbor(body: &[u8]) -> Result<Node, String> {
    let mut decoder = Decoder::new(body);
    let node = from_cbor(&mut decoder, 0).map_err(|error| error.to_string())?;
    if decoder.position() < body.len() { Err("there is more after the value".to_owned()) } else { Ok(node) }
}

fn from_cbor(decoder: &mut Decoder<'_>, depth: usize) -> Result<Node, minicbor::decode::Error> {
    if depth > MAX_DEPTH {
        return Err(minicbor::decode::Error::message("too deep"));
    }
    Ok(match decoder.datatype()? {
        Type::Null | Type::Undefined => {
            decoder.skip()?;
            Node::Null
        }
        Type::Bool => Node::Bool(decoder.bool()?),
        Type::F16 | Type::F32 | Type::F64 => Node::Float(decoder.f64()?),
        Type::String => Node::Text(decoder.str()?.to_owned()),
        Type::StringIndef => Node::Text(decoder.str_iter()?.collect::<Result<Vec<_>, _>>()?.concat()),
        Type::Bytes => Node::Bytes(decoder.bytes()?.to_vec()),
        Type::BytesIndef => Node::Bytes(decoder.bytes_iter()?.collect::<Result<Vec<_>, _>>()?.concat()),
        Type::Tag => {
            let tag = decoder.tag()?.as_u64();
            match (tag, from_cbor(decoder, depth + 1)?) {
                (1, Node::Integer(secs)) => Node::Time(secs as f64),
                (1, Node::Float(secs)) => Node::Time(secs),
                (_, inside) => inside,
            }
        }
        Type::Array | Type::ArrayIndef => {
            let mut left = decoder.array()?;
            let mut elements = Vec::new();
            while another(decoder, &mut left)? {
                elements.push(from_cbor(decoder, depth + 1)?);
            }
            Node::List(elements)
        }
        Type::Map | Type::MapIndef => {
            let mut left = decoder.map()?;
            let mut entries = Vec::new();
            while another(decoder, &mut left)? {
                let name = decoder.str()?.to_owned();
                entries.push((name, from_cbor(decoder, depth + 1)?));
            }
            Node::Map(entries)
        }
        _ => Node::Integer(decoder.int()?.into()),
    })
}

/// Whether a collection goes on: by its count, or until the break of one without.
fn another(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, minicbor::decode::Error> {
    match left {
        Some(0) => Ok(false),
        Some(left) => {
            *left -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}
