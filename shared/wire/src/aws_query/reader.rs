//! Reads shapes from parameters.

use bytes::Bytes;
use fractus_clock::Timestamp;

use crate::document::Document;
use crate::reading::{Progress, Seen, Step};
use crate::schema::{Member, TimestampFormat};
use crate::shape::{ReadError, ReadErrorKind, Reader, Shape};
use crate::xml::{Names, names, scalar};

use super::parameters::{Parameter, Parameters, QueryLimits};

/// A range of the sorted parameters that begin with one prefix.
#[derive(Clone, Copy, Debug)]
struct Range {
    from: usize,
    to: usize,
    /// The prefix's length with its dot; beyond a key's length for a parameter that is the prefix itself.
    prefix: usize,
}

/// Parameters with the same next segment.
struct Group<'r> {
    segment: &'r str,
    range: Range,
}

/// Reads from the parameters under one prefix. Each level walks its own range once, so that reading a form costs its
/// size times the depth of its shape, whatever the parameters are called.
pub struct QueryReader<'a> {
    parameters: &'a [Parameter<'a>],
    range: Range,
    names: Names,
    depth: usize,
    limits: QueryLimits,
    progress: Progress,
}

impl<'a> QueryReader<'a> {
    pub fn new(parameters: &'a Parameters<'a>, names: Names, limits: QueryLimits) -> Self {
        let parameters = parameters.sorted.as_slice();
        let range = Range { from: 0, to: parameters.len(), prefix: 0 };
        QueryReader { parameters, range, names, depth: 0, limits, progress: Progress::default() }
    }

    pub fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    pub fn read_members(&mut self, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let schema = shape.schema();
        let mut seen = Seen::default();
        let range = self.range;
        let mut at = range.from;
        while let Some(group) = next_group(self.parameters, range, &mut at) {
            let Some((index, member)) = names::find(schema, group.segment, self.names, 0) else { continue };
            if seen.note(member.index) {
                continue;
            }
            self.progress.path.enter(Step::Member(member.name))?;
            self.read_at(group.range, |reader| shape.read_member(index, reader))?;
            self.progress.path.leave();
        }
        self.range = range;
        self.progress.note_missing(schema, &seen);
        Ok(())
    }

    /// Stands at `range` for the time of `read`.
    fn read_at(
        &mut self,
        range: Range,
        read: impl FnOnce(&mut Self) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        if self.depth >= self.limits.depth {
            return Err(ReadError::new(ReadErrorKind::TooDeep, "parameters are nested too deeply"));
        }
        let outer = std::mem::replace(&mut self.range, range);
        self.depth += 1;
        let outcome = read(self).map_err(|error| self.progress.locate(error));
        self.depth -= 1;
        self.range = outer;
        outcome
    }

    /// The value of the parameter that is the prefix itself.
    fn value(&self) -> Option<&'a str> {
        let first = self.parameters.get(self.range.from).filter(|_| self.range.from < self.range.to)?;
        (first.key.len() < self.range.prefix).then_some(&*first.value)
    }

    fn text(&self) -> Result<&'a str, ReadError> {
        self.value().ok_or_else(|| ReadError::wrong_type("a value is expected, and there are only parts of one"))
    }

    /// The range under the child segment `name`, if there is one.
    fn child(&self, range: Range, name: &str) -> Option<Range> {
        let mut at = range.from;
        while let Some(group) = next_group(self.parameters, range, &mut at) {
            if group.segment == name {
                return Some(group.range);
            }
        }
        None
    }

    /// The numbered children of `range` in the order of their numbers; other children are passed over, gaps closed.
    fn numbered(&self, range: Range) -> Vec<Range> {
        let mut children: Vec<(u64, Range)> = Vec::new();
        let mut at = range.from;
        while let Some(group) = next_group(self.parameters, range, &mut at) {
            if group.segment.bytes().all(|byte| byte.is_ascii_digit())
                && let Ok(number) = group.segment.parse()
            {
                children.push((number, group.range));
            }
        }
        children.sort_by_key(|(number, _)| *number);
        children.into_iter().map(|(_, range)| range).collect()
    }

    /// The elements of a list or entries of a map: under the wrapper's segment, or directly under the prefix. A client
    /// that numbers where it should wrap, or the other way round, is understood all the same.
    fn elements(&self, flattened: bool, wrapper: &str) -> Vec<Range> {
        let wrapped = |name: &str| self.child(self.range, name).map(|range| self.numbered(range)).unwrap_or_default();
        let mut elements = if flattened { self.numbered(self.range) } else { wrapped(wrapper) };
        if elements.is_empty() {
            elements = if flattened { wrapped(wrapper) } else { self.numbered(self.range) };
        }
        if elements.is_empty() && wrapper != "member" && wrapper != "entry" {
            elements = wrapped("member");
        }
        elements
    }
}

/// The next group of parameters in `range` that share their next segment, from `at` on.
fn next_group<'r>(parameters: &'r [Parameter<'_>], range: Range, at: &mut usize) -> Option<Group<'r>> {
    loop {
        if *at >= range.to {
            return None;
        }
        let from = *at;
        let key: &'r str = &parameters[from].key;
        // The prefix itself has no segments left.
        let Some(rest) = key.get(range.prefix..) else {
            *at += 1;
            continue;
        };
        let segment = rest.split('.').next().unwrap_or(rest);
        let prefix = range.prefix + segment.len() + 1;
        let whole = &key[..prefix - 1];
        let belongs = |parameter: &Parameter<'_>| {
            parameter.key.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let to = from + parameters[from..range.to].iter().take_while(|parameter| belongs(parameter)).count();
        *at = to.max(from + 1);
        return Some(Group { segment, range: Range { from, to, prefix } });
    }
}

impl Reader for QueryReader<'_> {
    fn read_structure(&mut self, _member: &'static Member, shape: &mut dyn Shape) -> Result<(), ReadError> {
        self.read_members(shape)
    }

    fn read_list(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let wrapper = member.target.element().map_or("member", |element| names::element_key(element, self.names));
        let flattened = self.names == Names::Ec2Input || names::is_flattened(member);
        for (position, range) in self.elements(flattened, wrapper).into_iter().enumerate() {
            self.progress.path.enter(Step::Element(position as u32))?;
            self.read_at(range, |reader| each(reader))?;
            self.progress.path.leave();
        }
        Ok(())
    }

    fn read_map(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let [key_member, value_member] = &*member.target.members else {
            return Err(ReadError::malformed(format!("{} is no map", member.target.name)));
        };
        let (key_name, value_name) =
            (names::element_key(key_member, self.names), names::element_key(value_member, self.names));
        for entry in self.elements(names::is_flattened(member), "entry") {
            let key = self
                .child(entry, key_name)
                .and_then(|range| self.parameters.get(range.from).filter(|key| key.key.len() < range.prefix))
                .map(|parameter| parameter.value.clone().into_owned());
            let Some(key) = key else {
                return Err(ReadError::malformed(format!("an entry of '{}' has no key", self.progress.path.text())));
            };
            let Some(value) = self.child(entry, value_name) else {
                // The key alone: an entry without a value is no entry.
                continue;
            };
            self.progress.path.enter(Step::Key(key.clone()))?;
            self.read_at(value, |reader| each(key, reader))?;
            self.progress.path.leave();
        }
        Ok(())
    }

    fn read_string(&mut self, _member: &'static Member) -> Result<String, ReadError> {
        self.text().map(str::to_owned)
    }

    fn read_blob(&mut self, _member: &'static Member) -> Result<Bytes, ReadError> {
        scalar::parse_blob(self.text()?)
    }

    fn read_boolean(&mut self, _member: &'static Member) -> Result<bool, ReadError> {
        scalar::parse_boolean(self.text()?)
    }

    fn read_integer(&mut self, _member: &'static Member) -> Result<i32, ReadError> {
        scalar::parse_integer(self.text()?)
    }

    fn read_long(&mut self, _member: &'static Member) -> Result<i64, ReadError> {
        scalar::parse_long(self.text()?)
    }

    fn read_float(&mut self, _member: &'static Member) -> Result<f32, ReadError> {
        scalar::parse_float(self.text()?)
    }

    fn read_double(&mut self, _member: &'static Member) -> Result<f64, ReadError> {
        scalar::parse_double(self.text()?)
    }

    fn read_timestamp(&mut self, member: &'static Member) -> Result<Timestamp, ReadError> {
        scalar::parse_timestamp(self.text()?, member.timestamp_format_or(TimestampFormat::DateTime))
    }

    fn read_document(&mut self, _member: &'static Member) -> Result<Document, ReadError> {
        self.text().map(|text| Document::String(text.to_owned()))
    }
}
