//! Which types an API gets, and what they are called.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use fractus_models::{Api, MemberFacts, ShapeFacts, ShapeType};

use crate::names;

/// Names that generated code uses in their plain meaning, so that no shape may take them.
const RESERVED: [&str; 18] = [
    "Error",
    "Option",
    "Result",
    "Vec",
    "Box",
    "String",
    "Some",
    "None",
    "Ok",
    "Err",
    "Default",
    "Clone",
    "PartialEq",
    "From",
    "Into",
    "Self",
    "MODEL",
    "Empty",
];

/// The Rust names of an operation's ends.
pub struct Ends {
    pub input: String,
    pub output: String,
}

pub struct Plan<'a> {
    pub api: &'a Api,
    /// Shapes that an operation leads to, and all errors.
    pub reached: BTreeSet<&'a str>,
    /// The Rust type of each structure, union and enum.
    pub types: HashMap<&'a str, String>,
    pub ends: BTreeMap<&'a str, Ends>,
    /// Types of ends without a shape: nothing goes in, or nothing comes out.
    pub units: Vec<String>,
    /// `type A = B` for ends whose shape keeps its own name.
    pub aliases: Vec<(String, String)>,
    /// Members that would make their shape hold itself.
    pub boxed: HashSet<(&'a str, &'a str)>,
}

impl<'a> Plan<'a> {
    pub fn of(api: &'a Api) -> Self {
        let mut plan = Plan {
            api,
            reached: reached(api),
            types: HashMap::new(),
            ends: BTreeMap::new(),
            units: Vec::new(),
            aliases: Vec::new(),
            boxed: HashSet::new(),
        };
        plan.boxed = plan.find_boxed();
        let mut taken: HashSet<String> = RESERVED.into_iter().map(str::to_owned).collect();
        taken.extend(api.operations.keys().map(|name| names::type_name(name)));
        plan.name_ends(&mut taken);
        plan.name_types(&mut taken);
        plan.name_remaining_ends(&mut taken);
        plan
    }

    pub fn shape(&self, name: &str) -> &'a ShapeFacts {
        // The models are checked for this by a test of fractus-models; a build script may end on a broken one.
        #[allow(clippy::panic)]
        self.api.shapes.get(name).unwrap_or_else(|| panic!("{} has no shape {name}", self.api.api))
    }

    /// A structure or union that becomes a Rust type of its own.
    pub fn is_typed_structure(&self, shape: &ShapeFacts) -> bool {
        shape.is_structure()
    }

    pub fn is_enum(&self, shape: &ShapeFacts) -> bool {
        shape.kind == ShapeType::String && !shape.values.is_empty()
    }

    pub fn is_boxed(&self, shape: &str, member: &str) -> bool {
        self.boxed.contains(&(shape, member))
    }

    /// A blob whose bytes flow.
    pub fn is_stream(&self, member: &MemberFacts) -> bool {
        let target = self.shape(&member.shape);
        target.kind == ShapeType::Blob && (member.streaming || target.streaming)
    }

    pub fn is_event_stream(&self, member: &MemberFacts) -> bool {
        self.shape(&member.shape).eventstream
    }

    /// The type of a value: of an element, or of a member that is there.
    pub fn value_type(&self, member: &MemberFacts) -> String {
        let shape = self.shape(&member.shape);
        let element = |part: &Option<MemberFacts>| {
            let value = part.as_ref().map_or_else(|| "wire::Document".to_owned(), |part| self.value_type(part));
            if shape.sparse { format!("Option<{value}>") } else { value }
        };
        match shape.kind {
            _ if shape.document => "wire::Document".to_owned(),
            _ if self.is_stream(member) => "wire::ByteStream".to_owned(),
            ShapeType::Structure if shape.eventstream => {
                format!("wire::EventStream<{}>", self.types[member.shape.as_str()])
            }
            ShapeType::Structure => self.types[member.shape.as_str()].clone(),
            ShapeType::List => format!("Vec<{}>", element(&shape.member)),
            ShapeType::Map => format!("wire::IndexMap<String, {}>", element(&shape.value)),
            ShapeType::String if self.is_enum(shape) => self.types[member.shape.as_str()].clone(),
            ShapeType::String | ShapeType::Character => "String".to_owned(),
            ShapeType::Blob => "wire::Bytes".to_owned(),
            ShapeType::Boolean => "bool".to_owned(),
            ShapeType::Integer | ShapeType::Byte | ShapeType::Short => "i32".to_owned(),
            ShapeType::Long | ShapeType::BigInteger => "i64".to_owned(),
            ShapeType::Float => "f32".to_owned(),
            ShapeType::Double | ShapeType::BigDecimal => "f64".to_owned(),
            ShapeType::Timestamp => "wire::Timestamp".to_owned(),
        }
    }

    /// Shapes that only one operation uses, and only as its input or output, are called after it.
    fn name_ends(&mut self, taken: &mut HashSet<String>) {
        let uses = count_uses(self.api);
        for (operation, facts) in &self.api.operations {
            let ends = [(&facts.input, "Input"), (&facts.output, "Output")];
            for (end, suffix) in ends {
                let Some(end) = end else { continue };
                let wanted = names::type_name(operation) + suffix;
                let is_other_shape = self.api.shapes.contains_key(&wanted) && wanted != end.shape;
                if uses.get(end.shape.as_str()) == Some(&1) && !is_other_shape && !taken.contains(&wanted) {
                    taken.insert(wanted.clone());
                    self.types.insert(&end.shape, wanted);
                }
            }
        }
    }

    fn name_types(&mut self, taken: &mut HashSet<String>) {
        for name in &self.reached {
            let shape = self.shape(name);
            if !(self.is_typed_structure(shape) || self.is_enum(shape)) || self.types.contains_key(name) {
                continue;
            }
            let mut wanted = names::type_name(name);
            while !taken.insert(wanted.clone()) {
                wanted.push_str("Shape");
            }
            self.types.insert(name, wanted);
        }
    }

    fn name_remaining_ends(&mut self, taken: &mut HashSet<String>) {
        let api = self.api;
        for (operation, facts) in &api.operations {
            let input = self.name_end(operation, facts.input.as_ref(), "Input", taken);
            let output = self.name_end(operation, facts.output.as_ref(), "Output", taken);
            self.ends.insert(operation, Ends { input, output });
        }
    }

    fn name_end(
        &mut self,
        operation: &str,
        end: Option<&MemberFacts>,
        suffix: &str,
        taken: &mut HashSet<String>,
    ) -> String {
        let mut wanted = names::type_name(operation) + suffix;
        let Some(end) = end else {
            while !taken.insert(wanted.clone()) {
                wanted.push_str("Unit");
            }
            self.units.push(wanted.clone());
            return wanted;
        };
        let named = self.types[end.shape.as_str()].clone();
        if named != wanted && taken.insert(wanted.clone()) {
            self.aliases.push((wanted, named.clone()));
        }
        named
    }

    /// A member is boxed when its target leads back to its shape through structures alone; lists and maps are on the
    /// heap by themselves.
    fn find_boxed(&self) -> HashSet<(&'a str, &'a str)> {
        let mut boxed = HashSet::new();
        for name in &self.reached {
            for (member_name, member) in &self.shape(name).members {
                if self.shape(&member.shape).is_structure() && self.leads_to(&member.shape, name) {
                    boxed.insert((*name, member_name.as_str()));
                }
            }
        }
        boxed
    }

    fn leads_to(&self, from: &'a str, to: &str) -> bool {
        let mut seen = HashSet::new();
        let mut next = vec![from];
        while let Some(name) = next.pop() {
            if name == to {
                return true;
            }
            let shape = self.shape(name);
            if shape.is_structure() && seen.insert(name) {
                next.extend(shape.members.values().map(|member| member.shape.as_str()));
            }
        }
        false
    }
}

fn parts(shape: &ShapeFacts) -> impl Iterator<Item = &MemberFacts> {
    shape.members.values().chain(&shape.member).chain(&shape.key).chain(&shape.value)
}

fn reached(api: &Api) -> BTreeSet<&str> {
    let operations = api.operations.values().flat_map(|operation| operation.input.iter().chain(&operation.output));
    let mut next: Vec<&str> = operations.map(|end| end.shape.as_str()).collect();
    next.extend(api.shapes.iter().filter(|(_, shape)| shape.is_error()).map(|(name, _)| name.as_str()));
    let mut reached = BTreeSet::new();
    while let Some(name) = next.pop() {
        if reached.insert(name)
            && let Some(shape) = api.shapes.get(name)
        {
            next.extend(parts(shape).map(|part| part.shape.as_str()));
        }
    }
    reached
}

fn count_uses(api: &Api) -> HashMap<&str, usize> {
    let ends = api.operations.values().flat_map(|operation| operation.input.iter().chain(&operation.output));
    let mut uses = HashMap::new();
    for part in ends.chain(api.shapes.values().flat_map(parts)) {
        *uses.entry(part.shape.as_str()).or_default() += 1;
    }
    uses
}
