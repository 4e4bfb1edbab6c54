//! What other crates ask of a model.

use crate::facts::{Api, Metadata, OperationFacts, ShapeFacts, ShapeType};

impl Metadata {
    /// The service's name in signatures.
    pub fn signing(&self) -> &str {
        self.signing_name.as_deref().unwrap_or(&self.endpoint_prefix)
    }

    /// Every protocol by the model's names (`json`, `query`, `ec2`, `rest-json`, `rest-xml`, `smithy-rpc-v2-cbor`),
    /// the preferred first.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        let listed = self.protocols.iter().map(String::as_str);
        listed.chain(self.protocols.is_empty().then_some(self.protocol.as_str()))
    }

    pub fn speaks(&self, protocol: &str) -> bool {
        self.protocols().any(|spoken| spoken == protocol)
    }

    /// Answers of the JSON protocols name the Query protocol's error codes in a header.
    pub fn query_compatible(&self) -> bool {
        self.aws_query_compatible.is_some()
    }

    /// One endpoint serves the whole partition.
    pub fn global(&self) -> bool {
        self.is_regionalized == Some(false)
    }

    /// Errors in XML stand without the element that other services put around them. No trait of the model says so; the
    /// one service that does it is also the one with a signature version of its own.
    pub fn bare_errors(&self) -> bool {
        self.signature_version == "s3"
    }
}

impl OperationFacts {
    /// May be sent without a signature.
    pub fn unsigned(&self) -> bool {
        self.authtype.as_deref() == Some("none") || self.auth.iter().any(|scheme| scheme == "smithy.api#noAuth")
    }

    /// The body is not part of the signature.
    pub fn unsigned_payload(&self) -> bool {
        self.unsigned_payload || self.authtype.as_deref() == Some("v4-unsigned-body")
    }

    pub fn checksum_required(&self) -> bool {
        self.http_checksum_required
            || self.http_checksum.as_ref().is_some_and(|trait_| trait_.request_checksum_required)
    }

    pub fn host_prefix(&self) -> Option<&str> {
        self.endpoint.as_ref().map(|endpoint| endpoint.host_prefix.as_str())
    }
}

impl ShapeFacts {
    pub fn is_union(&self) -> bool {
        self.union || self.eventstream
    }

    pub fn is_error(&self) -> bool {
        self.exception || self.error.is_some()
    }

    pub fn is_structure(&self) -> bool {
        self.kind == ShapeType::Structure && !self.document
    }
}

impl Api {
    pub fn shape(&self, name: &str) -> Option<&ShapeFacts> {
        self.shapes.get(name)
    }

    /// The code of an error shape where the protocol writes modelled codes; elsewhere the shape's name is the code.
    pub fn error_code<'a>(&'a self, shape_name: &'a str) -> &'a str {
        let modelled =
            self.shapes.get(shape_name).and_then(|shape| shape.error.as_ref()).and_then(|e| e.code.as_deref());
        match modelled {
            Some(code) if self.writes_modelled_codes() => code,
            _ => shape_name,
        }
    }

    /// Query and XML answers carry `error.code`; JSON and CBOR answers carry the shape's name, and where they are
    /// query-compatible the modelled code in a header.
    fn writes_modelled_codes(&self) -> bool {
        let metadata = &self.metadata;
        metadata.query_compatible() || ["query", "ec2", "rest-xml"].iter().any(|protocol| metadata.speaks(protocol))
    }

    /// The element around a Query answer's members: the model's, else the name that the Query protocol gives it.
    pub fn result_wrapper(&self, operation: &str) -> Option<String> {
        let facts = self.operations.get(operation)?;
        let modelled = facts.output.as_ref().and_then(|output| output.result_wrapper.clone());
        modelled
            .or_else(|| (self.metadata.speaks("query") && facts.output.is_some()).then(|| format!("{operation}Result")))
    }
}
