//! The places in an operation's input that variants are about.

use std::fmt;

use fractus_models::{Api, MemberFacts, ShapeType};

use super::facts;

/// Members deeper than this are reached by full inputs only.
const MAX_DEPTH: usize = 4;
/// An operation has at most so many places; a few operations of Glue and EC2 would have thousands.
const MAX_SITES: usize = 250;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Member(String),
    Element,
    Key,
    Value,
}

/// From the input down: `Entries.member.Id`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Step>);

impl Path {
    pub fn then(&self, step: Step) -> Path {
        let mut steps = self.0.clone();
        steps.push(step);
        Path(steps)
    }

    pub fn leads_to(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The last member's name; for elements, keys and values with what they are in.
    pub fn last(&self) -> String {
        let from = self.0.iter().rposition(|step| matches!(step, Step::Member(_))).unwrap_or(0);
        Path(self.0[from..].to_vec()).to_string()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            match step {
                Step::Member(name) => write!(f, "{dot}{name}")?,
                Step::Element => write!(f, "{dot}member")?,
                Step::Key => write!(f, "{dot}key")?,
                Step::Value => write!(f, "{dot}value")?,
            }
        }
        Ok(())
    }
}

/// One place: a member, an element of a list, a key or value of a map.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    pub path: Path,
    pub shape: &'a str,
    pub member: &'a MemberFacts,
    pub required: bool,
    /// Where the top-level member stands that this is or is in: `uri`, `header`; `None` for the body.
    pub location: Option<&'a str>,
    /// The body is this member alone.
    pub is_payload: bool,
}

/// Every place of an input, those above before those below, required ones first at each level.
pub fn sites<'a>(api: &'a Api, input: &'a MemberFacts) -> Vec<Site<'a>> {
    let root = facts::shape(api, &input.shape);
    let mut walk = Walk { api, sites: Vec::new(), above: vec![&input.shape] };
    for level in 1..=MAX_DEPTH {
        for (name, member) in &root.members {
            let site = Site {
                path: Path(vec![Step::Member(name.clone())]),
                shape: &member.shape,
                member,
                required: root.required.contains(name),
                location: member.location.as_deref(),
                is_payload: root.payload.as_deref() == Some(name),
            };
            walk.visit(site, 1, level);
        }
    }
    walk.sites.truncate(MAX_SITES);
    walk.sites
}

struct Walk<'a> {
    api: &'a Api,
    sites: Vec<Site<'a>>,
    above: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    /// Goes down to members of one level only, so that shallow places come before deep ones.
    fn visit(&mut self, site: Site<'a>, depth: usize, wanted: usize) {
        let shape = facts::shape(self.api, site.shape);
        if shape.eventstream || self.sites.len() >= MAX_SITES {
            return;
        }
        let below = Site { required: false, ..site.clone() };
        if depth == wanted {
            self.sites.push(site);
        }
        if self.above.contains(&below.shape) {
            return;
        }
        self.above.push(below.shape);
        self.inside(shape, &below, depth, wanted);
        self.above.pop();
    }

    fn inside(&mut self, shape: &'a fractus_models::ShapeFacts, below: &Site<'a>, depth: usize, wanted: usize) {
        let part = |step, member: &'a MemberFacts| Site {
            path: below.path.then(step),
            shape: &member.shape,
            member,
            required: false,
            is_payload: false,
            ..below.clone()
        };
        match shape.kind {
            // What a collection holds belongs to its level.
            ShapeType::List => {
                shape.member.iter().for_each(|member| self.visit(part(Step::Element, member), depth, wanted))
            }
            ShapeType::Map => {
                shape.key.iter().for_each(|key| self.visit(part(Step::Key, key), depth, wanted));
                shape.value.iter().for_each(|value| self.visit(part(Step::Value, value), depth, wanted));
            }
            ShapeType::Structure if !shape.document && depth < wanted => {
                for (name, member) in &shape.members {
                    let required = shape.required.contains(name);
                    let site = Site { required, ..part(Step::Member(name.clone()), member) };
                    self.visit(site, depth + 1, wanted);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_at_every_level() {
        let api = crate::models::load("sqs").unwrap();
        let operation = &api.operations["SendMessageBatch"];
        let found: Vec<String> =
            sites(&api, operation.input.as_ref().unwrap()).iter().map(|site| site.path.to_string()).collect();
        for path in
            ["QueueUrl", "Entries", "Entries.member", "Entries.member.Id", "Entries.member.MessageAttributes.key"]
        {
            assert!(found.iter().any(|known| known == path), "{path} is not in {found:?}");
        }
        let mut unique = found.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), found.len());
    }

    #[test]
    fn recursive_shapes_end() {
        let api = crate::models::load("wafv2").unwrap();
        let found = sites(&api, api.operations["CreateWebACL"].input.as_ref().unwrap());
        assert!(found.len() <= MAX_SITES && found.len() > 30, "{}", found.len());
    }
}
