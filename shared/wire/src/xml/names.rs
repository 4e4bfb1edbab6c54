//! Which name a member has as an XML element or query parameter.

use crate::schema::{Kind, Location, Member, Schema};

/// The naming that a protocol follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `locationName`, as restXml and the answers of ec2 have it.
    Wire,
    /// The same, except where the member carries a name of its own for the Query protocol (services that moved from
    /// Query to JSON have other names there: SQS's `Attributes` is `Attribute`).
    Query,
    /// EC2's input: `queryName`, else the location name with a capital first letter.
    Ec2Input,
}

/// The name that an element or parameter group has inside its parent.
///
/// A flattened list has no element of its own, so that the name its elements were given on the list shape stands in for
/// it, unless the member that uses the list says another.
pub fn key(member: &'static Member, names: Names) -> &'static str {
    if names != Names::Wire
        && let Some(name) = member.query_name.or_else(|| flattened_element(member)?.query_name)
    {
        return name;
    }
    if member.wire_name == member.name
        && member.target.flattened
        && let Some(element) = flattened_element(member)
        && element.wire_name != "member"
    {
        return element.wire_name;
    }
    member.wire_name
}

fn flattened_element(member: &'static Member) -> Option<&'static Member> {
    (member.target.kind == Kind::List && is_flattened(member)).then(|| member.target.element()).flatten()
}

/// The name of a list's element or of a map's key or value.
pub fn element_key(member: &'static Member, names: Names) -> &'static str {
    match member.query_name {
        Some(name) if names != Names::Wire => name,
        _ => member.wire_name,
    }
}

/// Whether a member's list or map repeats without a wrapper.
pub fn is_flattened(member: &'static Member) -> bool {
    member.flattened || member.target.flattened
}

/// Finds the body member called `name`, looking first at `hint`, where the next one in model order stands.
pub fn find(schema: &'static Schema, name: &str, names: Names, hint: usize) -> Option<(usize, &'static Member)> {
    let members = &*schema.members;
    let fits = |member: &'static Member| {
        !member.xml_attribute && member.location == Location::Body && matches(key(member, names), name, names)
    };
    if let Some(member) = members.get(hint)
        && fits(member)
    {
        return Some((hint, member));
    }
    members.iter().enumerate().find(|(_, member)| fits(member))
}

fn matches(key: &str, name: &str, names: Names) -> bool {
    if names != Names::Ec2Input {
        return key == name;
    }
    let (Some(first), Some(given)) = (key.as_bytes().first(), name.as_bytes().first()) else { return false };
    first.to_ascii_uppercase() == *given && key.as_bytes()[1..] == name.as_bytes()[1..]
}
