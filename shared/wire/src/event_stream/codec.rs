//! What an event's payload is written in: the protocol's own format.

use bytes::Bytes;

use crate::cbor::{CborReader, CborWriter};
use crate::json::{JsonReader, JsonWriter};
use crate::schema::{Member, Protocol};
use crate::shape::{ReadError, Reader, Shape, WriteError, Writer};
use crate::xml::{Names, XmlLimits, XmlReader, XmlWriter};

pub(super) fn content_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::RpcV2Cbor => "application/cbor",
        Protocol::RestXml | Protocol::AwsQuery | Protocol::Ec2Query => "text/xml",
        Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RestJson1 => "application/json",
    }
}

/// A whole structure of `member`'s shape, whose members `write` writes.
pub(super) fn write_members(
    protocol: Protocol,
    member: &'static Member,
    write: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
) -> Result<Vec<u8>, WriteError> {
    match protocol {
        Protocol::RestXml | Protocol::AwsQuery | Protocol::Ec2Query => {
            let name = member.target.xml_name.unwrap_or(member.target.name);
            let mut writer = XmlWriter::new(Names::Wire);
            writer.open_in(name, member.xml_namespace.or(member.target.xml_namespace).copied());
            write(&mut writer)?;
            writer.close(name);
            Ok(writer.into_bytes())
        }
        Protocol::RpcV2Cbor => {
            let mut out = Vec::with_capacity(256);
            CborWriter::write_members_with(&mut out, write)?;
            Ok(out)
        }
        Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RestJson1 => {
            let mut out = Vec::with_capacity(256);
            out.push(b'{');
            write(&mut JsonWriter::members(&mut out))?;
            out.push(b'}');
            Ok(out)
        }
    }
}

/// Reads the members of a whole structure.
pub(super) fn read_members(
    protocol: Protocol,
    member: &'static Member,
    payload: &Bytes,
    shape: &mut dyn Shape,
) -> Result<(), ReadError> {
    match protocol {
        Protocol::RestXml | Protocol::AwsQuery | Protocol::Ec2Query => {
            let mut reader = XmlReader::open(payload, Names::Wire, XmlLimits::default())?;
            reader.read_members(shape)?;
            reader.finish()
        }
        Protocol::RpcV2Cbor => CborReader::new(payload).read_root(member.target, shape),
        Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RestJson1 => {
            JsonReader::new(payload).read_root(member.target, shape)
        }
    }
}

/// Stands a reader at the payload as one value.
pub(super) fn read_value(
    protocol: Protocol,
    payload: &Bytes,
    read: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    match protocol {
        Protocol::RestXml | Protocol::AwsQuery | Protocol::Ec2Query => {
            let mut reader = XmlReader::open(payload, Names::Wire, XmlLimits::default())?;
            read(&mut reader)?;
            reader.finish()
        }
        Protocol::RpcV2Cbor => {
            let mut reader = CborReader::new(payload);
            read(&mut reader)?;
            reader.finish()
        }
        Protocol::AwsJson10 | Protocol::AwsJson11 | Protocol::RestJson1 => {
            let mut reader = JsonReader::new(payload);
            read(&mut reader)?;
            reader.finish()
        }
    }
}
