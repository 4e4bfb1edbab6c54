//! The body of a restXml message.

use crate::http_binding::{BodyFormat, Root};
use crate::reading::{Progress, Seen};
use crate::schema::{Location, Member, Protocol, Schema, ServiceSchema, XmlNamespace};
use crate::shape::{ReadError, Shape, WriteError, Writer};
use crate::xml::scalar::Millis;
use crate::xml::{Names, TextReader, XmlLimits, XmlReader, XmlWriter};

/// The format of one service.
pub(crate) struct XmlBody {
    bare: bool,
    namespace: Option<XmlNamespace>,
}

impl XmlBody {
    pub fn of(service: &ServiceSchema) -> Self {
        let namespace = service.xml_namespace.map(|uri| XmlNamespace { uri, prefix: None });
        XmlBody { bare: service.bare_errors, namespace }
    }

    pub fn writer(&self) -> XmlWriter {
        let millis = if self.bare { Millis::Always } else { Millis::WhenAny };
        XmlWriter::new(Names::Wire).with_millis(millis)
    }

    /// The name and namespace of the root element.
    fn root_element(&self, root: &Root) -> (&'static str, Option<XmlNamespace>) {
        if let Some(payload) = root.payload {
            return (payload_name(payload), self.payload_namespace(root, payload));
        }
        let schema = root.schema;
        if !root.is_request {
            return (schema.xml_name.unwrap_or(schema.name), schema.xml_namespace.copied().or(self.namespace));
        }
        let operation = root.operation;
        let name = schema.xml_name.or(operation.input_xml_name).unwrap_or(schema.name);
        (name, operation.input_xml_namespace.or(schema.xml_namespace).copied().or(self.namespace))
    }

    /// A prefix does not name the root's own namespace; the service's still does.
    fn payload_namespace(&self, root: &Root, payload: &'static Member) -> Option<XmlNamespace> {
        let own = payload.xml_namespace.or(payload.target.xml_namespace);
        own.or(root.schema.xml_namespace).copied().or(self.namespace)
    }

    /// A request whose root is called otherwise is none for this operation. Answers are taken as they come.
    fn check_root(&self, root: &Root, reader: &XmlReader<'_>) -> Result<(), ReadError> {
        let (expected, _) = self.root_element(root);
        let found = reader.name();
        let known = |schema: &Schema| found == schema.name || Some(found) == schema.xml_name;
        if !root.is_request || found == expected || known(root.payload.map_or(root.schema, |payload| payload.target)) {
            return Ok(());
        }
        Err(ReadError::malformed(format!("the root element is {found}, not {expected}")))
    }
}

/// `locationName` of the member; where the model gives it no name of its own (it then repeats the member's, which
/// begins small), the shape's.
fn payload_name(payload: &'static Member) -> &'static str {
    let is_own =
        payload.wire_name != payload.name || !payload.name.starts_with(|first: char| first.is_ascii_lowercase());
    if is_own { payload.wire_name } else { payload.target.xml_name.unwrap_or(payload.target.name) }
}

/// The member that is the root element itself: S3 answers GetBucketLocation with the location's element alone, which
/// the model says by giving the output the member's name.
fn root_member(root: &Root) -> Option<&'static Member> {
    let mut in_body = root.schema.members.into_iter().filter(|member| member.location == Location::Body);
    let only = in_body.next().filter(|member| root.schema.xml_name == Some(member.wire_name))?;
    in_body.next().is_none().then_some(only)
}

impl BodyFormat for XmlBody {
    fn protocol(&self) -> Protocol {
        Protocol::RestXml
    }

    fn content_type(&self) -> &'static str {
        "application/xml"
    }

    fn read_members(
        &self,
        root: &Root,
        body: &[u8],
        shape: &mut dyn Shape,
        progress: &mut Progress,
    ) -> Result<Seen, ReadError> {
        let mut reader = XmlReader::open(body, Names::Wire, XmlLimits::default())?;
        self.check_root(root, &reader)?;
        let mut seen = Seen::default();
        if let Some(member) = root_member(root) {
            let text = reader.text()?;
            if !text.is_empty() {
                shape.read_member(usize::from(member.index), &mut TextReader(&text))?;
                seen.note(member.index);
            }
        } else {
            reader.read_into(shape, &mut seen)?;
        }
        reader.finish()?;
        progress.missing.append(&mut reader.progress().missing);
        Ok(seen)
    }

    fn read_payload(
        &self,
        root: &Root,
        payload: &'static Member,
        body: &[u8],
        shape: &mut dyn Shape,
        progress: &mut Progress,
    ) -> Result<bool, ReadError> {
        let mut reader = XmlReader::open(body, Names::Wire, XmlLimits::default())?;
        self.check_root(root, &reader)?;
        reader.read_under(payload, |reader| shape.read_member(usize::from(payload.index), reader))?;
        reader.finish()?;
        progress.missing.append(&mut reader.progress().missing);
        Ok(true)
    }

    fn write_body(
        &self,
        root: &Root,
        write: &mut dyn FnMut(&mut dyn Writer) -> Result<bool, WriteError>,
    ) -> Result<Vec<u8>, WriteError> {
        let mut writer = self.writer();
        if self.bare && !root.is_request {
            writer.declaration();
        }
        let (name, namespace) = self.root_element(root);
        if root.payload.is_some() || root_member(root).is_some() {
            // The one value is the root: it takes the root's name and namespace.
            let start = writer.len();
            writer.name_next(name, namespace);
            write(&mut writer)?;
            if writer.len() == start {
                writer.open_in(name, namespace);
                writer.close(name);
            }
        } else {
            writer.write_root_with(root.schema, name, namespace, &mut |writer| write(writer).map(|_| ()))?;
        }
        Ok(writer.into_bytes())
    }

    /// A result that has members for the body always has its root; a request without anything to say has no body.
    fn writes_empty_body(&self, root: &Root) -> bool {
        !root.is_request && root.payload.is_none() && root.has_body()
    }
}
