//! AWS's protocols, by the names that the models have for them.

use fractus_models::{Api, OperationFacts};

use super::facts;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    Json,
    Query,
    Ec2,
    RestJson,
    RestXml,
    Cbor,
}

impl Protocol {
    const ALL: [(Protocol, &str); 6] = [
        (Protocol::Json, "json"),
        (Protocol::Query, "query"),
        (Protocol::Ec2, "ec2"),
        (Protocol::RestJson, "rest-json"),
        (Protocol::RestXml, "rest-xml"),
        (Protocol::Cbor, "smithy-rpc-v2-cbor"),
    ];

    /// What an API speaks, the preferred first.
    pub fn of(api: &Api) -> Vec<Protocol> {
        api.metadata.protocols().filter_map(Self::named).collect()
    }

    fn named(name: &str) -> Option<Protocol> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(protocol, _)| *protocol)
    }

    /// As it stands in ids: `json`, `query`, `ec2`, `rest-json`, `rest-xml`, `cbor`.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Cbor => "cbor",
            other => Self::ALL.iter().find(|(protocol, _)| *protocol == other).map_or("", |(_, name)| name),
        }
    }

    pub fn is_rest(self) -> bool {
        matches!(self, Protocol::RestJson | Protocol::RestXml)
    }

    /// Bodies say of each value what type it is.
    pub fn has_types(self) -> bool {
        matches!(self, Protocol::Json | Protocol::RestJson | Protocol::Cbor)
    }

    /// Whether an operation's request has a body of the protocol, which could be malformed.
    pub fn has_body(self, api: &Api, operation: &OperationFacts) -> bool {
        // A form that is broken is still a form.
        if matches!(self, Protocol::Query | Protocol::Ec2) {
            return false;
        }
        let Some(input) = facts::input(api, operation) else { return self == Protocol::Json };
        if facts::flows_events(api, input) {
            return false;
        }
        match (self, facts::payload(input)) {
            (Protocol::RestJson | Protocol::RestXml, Some((_, member))) => {
                facts::shape(api, &member.shape).is_structure()
            }
            (Protocol::RestJson | Protocol::RestXml, None) => input.members.values().any(facts::is_in_body),
            _ => true,
        }
    }
}
