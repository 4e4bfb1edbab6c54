//! The walk over a shape that finds violations.

use fractus_clock::Timestamp;
use smallvec::SmallVec;

use crate::document::Document;
use crate::reading::{Path, Step};
use crate::schema::{Kind, Member, Schema};
use crate::shape::{Shape, WriteError, Writer};
use crate::validation::pattern::matches;
use crate::validation::printer::Printer;
use crate::validation::{Constraint, Shown, Violation};

/// So many violations are told of.
const MAX_VIOLATIONS: usize = 100;

pub(super) fn walk(input: &dyn Shape) -> Vec<Violation> {
    let mut walker = Walker {
        path: Path::default(),
        member: "",
        violations: Vec::new(),
        scope: Scope::Members,
        broken_elements: false,
        broken_keys: false,
        key_schemas: SmallVec::new(),
    };
    // A walk writes nothing; it ends early only at a depth that no reader lets through.
    let _ = input.write_members(&mut walker);
    walker.violations
}

/// What the next value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Members,
    /// An element of a list, at this position.
    Element(u32),
    /// A value of a map whose values are single: they are told of together.
    Entry,
    /// A value of a map whose values hold members: the path ends in its key.
    KeyedEntry,
}

struct Walker {
    path: Path,
    member: &'static str,
    violations: Vec<Violation>,
    scope: Scope,
    /// Of the innermost collection: a single element or key breaks a constraint.
    broken_elements: bool,
    broken_keys: bool,
    /// Of the maps around, innermost last.
    key_schemas: SmallVec<[Option<&'static Schema>; 4]>,
}

type Elements<'a> = &'a mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>;

impl Walker {
    /// Goes to the value of `member`. Single values in collections need no path of their own.
    fn enter(&mut self, member: &'static Member) -> Result<(), WriteError> {
        let step = match self.scope {
            Scope::Members => {
                self.member = member.name;
                Step::Member(member.name)
            }
            Scope::Element(index) => {
                self.scope = Scope::Element(index + 1);
                Step::Element(index)
            }
            Scope::Entry | Scope::KeyedEntry => return Ok(()),
        };
        self.path.enter(step).map_err(|error| WriteError::new(member.name.to_owned(), error.message.clone()))
    }

    fn leave(&mut self) {
        if matches!(self.scope, Scope::Members | Scope::Element(_)) {
            self.path.leave();
        }
    }

    fn report(&mut self, schema: &Schema, constraint: Constraint, shown: impl FnOnce() -> String) {
        if self.violations.len() < MAX_VIOLATIONS {
            let value = if schema.sensitive { Shown::Hidden } else { Shown::Text(shown()) };
            self.violations.push(Violation { path: self.path.text(), member: self.member, value, constraint });
        }
    }

    /// Checks a single value: as a member it is told of by itself, in a collection with the collection.
    fn check(
        &mut self,
        member: &'static Member,
        broken: impl Fn(&Schema, &mut dyn FnMut(Constraint)),
        shown: impl Fn() -> String,
    ) -> Result<(), WriteError> {
        let schema = member.target;
        if self.scope == Scope::Members {
            let mut violated = Vec::new();
            broken(schema, &mut |constraint| violated.push(constraint));
            if violated.is_empty() {
                return Ok(());
            }
            self.enter(member)?;
            for constraint in violated {
                self.report(schema, constraint, &shown);
            }
            self.leave();
        } else {
            broken(schema, &mut |_| self.broken_elements = true);
        }
        Ok(())
    }

    /// Walks a collection: its size, then what is in it, then whether single elements or keys broke a constraint.
    fn collection(
        &mut self,
        member: &'static Member,
        length: usize,
        scope: Scope,
        inside: Elements<'_>,
    ) -> Result<(), WriteError> {
        let schema = member.target;
        self.enter(member)?;
        let outer = (self.scope, self.broken_elements, self.broken_keys, self.member);
        (self.scope, self.broken_elements, self.broken_keys) = (scope, false, false);
        if matches!(scope, Scope::KeyedEntry) {
            self.path.enter(Step::Element(0)).map_err(|error| too_deep(member, error.message.clone()))?;
        }
        inside(self)?;
        if matches!(scope, Scope::KeyedEntry) {
            self.path.leave();
        }
        let (broken_elements, broken_keys) = (self.broken_elements, self.broken_keys);
        (self.scope, self.broken_elements, self.broken_keys, self.member) = outer;
        let mut broken = Vec::new();
        length_constraints(schema, length as u64, &mut |constraint| broken.push(constraint));
        if broken_keys && let Some(key) = schema.members.first() {
            broken.push(Constraint::Keys(all_constraints(key.target)));
        }
        if broken_elements && let Some(element) = schema.element() {
            broken.push(together(schema, element.target));
        }
        if !broken.is_empty() {
            let mut printer = Printer::default();
            inside(&mut printer)?;
            let is_map = schema.kind == Kind::Map;
            let text = printer.finish(is_map);
            for constraint in broken {
                self.report(schema, constraint, || text.clone());
            }
        }
        self.leave();
        Ok(())
    }
}

fn too_deep(member: &'static Member, why: String) -> WriteError {
    WriteError::new(member.name.to_owned(), why)
}

/// AWS names all constraints of a collection's elements when one is broken; a list's elements must not be null either.
fn together(schema: &Schema, element: &Schema) -> Constraint {
    let mut all = all_constraints(element);
    if schema.kind == Kind::Map {
        return Constraint::Values(all);
    }
    if !schema.sparse {
        all.push(Constraint::Required);
    }
    Constraint::Elements(all)
}

fn all_constraints(schema: &Schema) -> Vec<Constraint> {
    let bounds = schema.constraints;
    let is_number = matches!(schema.kind, Kind::Integer | Kind::Long | Kind::Float | Kind::Double);
    let mut all = Vec::new();
    all.extend(
        bounds.max.map(
            |max| {
                if is_number { Constraint::ValueAtMost(max) } else { Constraint::LengthAtMost(max as u64) }
            },
        ),
    );
    all.extend(
        bounds.min.map(
            |min| {
                if is_number { Constraint::ValueAtLeast(min) } else { Constraint::LengthAtLeast(min as u64) }
            },
        ),
    );
    all.extend(bounds.pattern.map(Constraint::Pattern));
    if schema.kind == Kind::Enum && !schema.values.is_empty() {
        all.push(Constraint::Enum(schema.values));
    }
    all
}

fn length_constraints(schema: &Schema, length: u64, broken: &mut dyn FnMut(Constraint)) {
    if let Some(max) = schema.constraints.max
        && length > max as u64
    {
        broken(Constraint::LengthAtMost(max as u64));
    }
    if let Some(min) = schema.constraints.min
        && length < min as u64
    {
        broken(Constraint::LengthAtLeast(min as u64));
    }
}

fn text_constraints(schema: &Schema, text: &str, broken: &mut dyn FnMut(Constraint)) {
    let bounds = schema.constraints;
    // Characters are counted only where the number of bytes does not decide.
    let within = bounds.max.is_none_or(|max| text.len() as f64 <= max)
        && bounds.min.is_none_or(|min| text.len() as f64 >= min * 4.0);
    if !within {
        length_constraints(schema, text.chars().count() as u64, broken);
    }
    if let Some(pattern) = bounds.pattern
        && !matches(pattern, text)
    {
        broken(Constraint::Pattern(pattern));
    }
    if schema.kind == Kind::Enum && !schema.values.is_empty() && !schema.values.contains(&text) {
        broken(Constraint::Enum(schema.values));
    }
}

fn number_constraints(schema: &Schema, value: f64, broken: &mut dyn FnMut(Constraint)) {
    if let Some(max) = schema.constraints.max
        && value > max
    {
        broken(Constraint::ValueAtMost(max));
    }
    if let Some(min) = schema.constraints.min
        && value < min
    {
        broken(Constraint::ValueAtLeast(min));
    }
}

impl Writer for Walker {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        self.enter(member)?;
        let outer = (self.scope, self.member);
        self.scope = Scope::Members;
        shape.write_members(self)?;
        (self.scope, self.member) = outer;
        self.leave();
        Ok(())
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.collection(member, length, Scope::Element(0), elements)
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let holds_members = member.target.element().is_some_and(|value| value.target.kind.is_aggregate());
        let scope = if holds_members { Scope::KeyedEntry } else { Scope::Entry };
        self.key_schemas.push(member.target.members.first().map(|key| key.target));
        let outcome = self.collection(member, length, scope, entries);
        self.key_schemas.pop();
        outcome
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        if let Some(Some(schema)) = self.key_schemas.last().copied() {
            text_constraints(schema, key, &mut |_| self.broken_keys = true);
        }
        if self.scope == Scope::KeyedEntry {
            self.path.replace(Step::Key(key.to_owned()));
        }
        Ok(())
    }

    fn write_null(&mut self, _member: &'static Member) -> Result<(), WriteError> {
        if let Scope::Element(index) = self.scope {
            self.scope = Scope::Element(index + 1);
        }
        Ok(())
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        self.check(member, |schema, broken| text_constraints(schema, value, broken), || value.to_owned())
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        // AWS shows the Java object that holds the bytes.
        let shown = || format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", value.len());
        self.check(member, |schema, broken| length_constraints(schema, value.len() as u64, broken), shown)
    }

    fn write_boolean(&mut self, _member: &'static Member, _value: bool) -> Result<(), WriteError> {
        Ok(())
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        self.write_long(member, i64::from(value))
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        self.check(member, |schema, broken| number_constraints(schema, value as f64, broken), || value.to_string())
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        self.write_double(member, f64::from(value))
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        self.check(member, |schema, broken| number_constraints(schema, value, broken), || format!("{value:?}"))
    }

    fn write_timestamp(&mut self, _member: &'static Member, _value: Timestamp) -> Result<(), WriteError> {
        Ok(())
    }

    fn write_document(&mut self, _member: &'static Member, _value: &Document) -> Result<(), WriteError> {
        Ok(())
    }
}
