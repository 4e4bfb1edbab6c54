//! What a file says of itself: its columns, how they nest, and where they lie.

use super::thrift::{self, Struct};
use super::{Error, Result, malformed};

/// How a column's values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Physical {
    Boolean,
    Int32,
    Int64,
    Int96,
    Float,
    Double,
    Bytes,
    Fixed(usize),
}

/// What they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    Plain,
    Text,
    Decimal {
        scale: u32,
    },
    Date,
    /// Nanoseconds of one unit.
    Moment {
        nanos: i64,
    },
    Unsigned,
    Uuid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetition {
    Required,
    Optional,
    Repeated,
}

/// A column, or a group of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub repetition: Repetition,
    /// At which definition level it is there, and at which repetition level it repeats.
    pub definition: u32,
    pub level: u32,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With its place among all columns.
    Leaf {
        column: usize,
        physical: Physical,
        logical: Logical,
    },
    Group {
        children: Vec<Node>,
        is_list: bool,
    },
}

/// Where a column lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub start: u64,
    pub size: u64,
    pub values: u64,
    pub codec: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub rows: u64,
    pub unpacked_size: u64,
    pub chunks: Vec<Chunk>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    pub root: Node,
    pub groups: Vec<Group>,
}

/// The most columns and the deepest nesting.
const MAX_COLUMNS: usize = 10_000;
const MAX_DEPTH: usize = 32;

impl Node {
    /// The columns below it.
    pub fn leaves(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Leaf { .. } => vec![self],
            Kind::Group { children, .. } => children.iter().flat_map(Node::leaves).collect(),
        }
    }
}

impl Meta {
    /// Of the bytes between the last page and the footer's length.
    pub fn read(bytes: &[u8]) -> Result<Meta> {
        let (file, _) = thrift::read(bytes)?;
        let elements: Vec<&Struct<'_>> = file.structures(2).collect();
        if elements.len() > MAX_COLUMNS {
            return Err(Error::Unsupported(format!("a file of more than {MAX_COLUMNS} columns")));
        }
        let mut elements = Elements { elements: elements.into_iter(), columns: 0 };
        let mut root = elements.node(0, 0, 0)?;
        root.repetition = Repetition::Required;
        if !matches!(root.kind, Kind::Group { .. }) || elements.elements.next().is_some() {
            return malformed("its columns do not fit together");
        }
        let groups: Result<Vec<Group>> = file.structures(4).map(|group| read_group(group, elements.columns)).collect();
        Ok(Meta { root, groups: groups? })
    }
}

fn read_group(group: &Struct<'_>, columns: usize) -> Result<Group> {
    let chunks: Result<Vec<Chunk>> = group.structures(1).map(read_chunk).collect();
    let chunks = chunks?;
    if chunks.len() != columns {
        return malformed("a row group has more or fewer columns than the file");
    }
    let unpacked_size = group.size(2)? as u64;
    Ok(Group { rows: group.size(3)? as u64, unpacked_size, chunks })
}

fn read_chunk(chunk: &Struct<'_>) -> Result<Chunk> {
    if chunk.get(1).is_some() {
        return Err(Error::Unsupported("a column in another file".into()));
    }
    let meta = chunk.structure(3).ok_or(Error::Malformed("a column has no metadata"))?;
    let data = meta.size(9)?;
    // Some writers put 0 where there is no dictionary.
    let dictionary = meta.size(11).ok().filter(|offset| *offset > 0);
    let start = dictionary.map_or(data, |offset| offset.min(data)) as u64;
    let codec = meta.int(4).unwrap_or(0);
    Ok(Chunk { start, size: meta.size(7)? as u64, values: meta.size(5)? as u64, codec })
}

struct Elements<'s, 'a> {
    elements: std::vec::IntoIter<&'s Struct<'a>>,
    columns: usize,
}

impl Elements<'_, '_> {
    /// The next element with all that is below it.
    fn node(&mut self, definition: u32, level: u32, depth: usize) -> Result<Node> {
        if depth > MAX_DEPTH {
            return Err(Error::Unsupported("such deep nesting".into()));
        }
        let element = self.elements.next().ok_or(Error::Malformed("its columns do not fit together"))?;
        let repetition = match element.int(3) {
            None | Some(0) => Repetition::Required,
            Some(1) => Repetition::Optional,
            _ => Repetition::Repeated,
        };
        let is_root = depth == 0;
        let definition = definition + u32::from(!is_root && repetition != Repetition::Required);
        let level = level + u32::from(!is_root && repetition == Repetition::Repeated);
        let name = String::from_utf8_lossy(element.bytes(4).unwrap_or_default()).into_owned();
        let count = element.int(5).unwrap_or(0);
        let kind = if count > 0 || is_root {
            let children: Result<Vec<Node>> = (0..count).map(|_| self.node(definition, level, depth + 1)).collect();
            let list = element.structure(10).is_some_and(|logical| logical.get(3).is_some());
            Kind::Group { children: children?, is_list: list || element.int(6) == Some(3) }
        } else {
            let column = self.columns;
            self.columns += 1;
            let physical = physical(element)?;
            Kind::Leaf { column, physical, logical: logical(element, physical) }
        };
        Ok(Node { name, repetition, definition, level, kind })
    }
}

fn physical(element: &Struct<'_>) -> Result<Physical> {
    Ok(match element.int(1) {
        Some(0) => Physical::Boolean,
        Some(1) => Physical::Int32,
        Some(2) => Physical::Int64,
        Some(3) => Physical::Int96,
        Some(4) => Physical::Float,
        Some(5) => Physical::Double,
        Some(6) => Physical::Bytes,
        Some(7) => Physical::Fixed(element.size(2)?),
        _ => return malformed("a column has no type"),
    })
}

/// By the logical type, or the older converted one.
fn logical(element: &Struct<'_>, physical: Physical) -> Logical {
    const MILLIS: Logical = Logical::Moment { nanos: 1_000_000 };
    const MICROS: Logical = Logical::Moment { nanos: 1_000 };
    if physical == Physical::Int96 {
        return Logical::Moment { nanos: 1 };
    }
    if let Some(logical) = element.structure(10) {
        let has = |id| logical.get(id).is_some();
        if let Some(decimal) = logical.structure(5) {
            return Logical::Decimal { scale: scale(decimal.int(1)) };
        }
        if let Some(unit) = logical.structure(8).and_then(|moment| moment.structure(2)) {
            let is = |id| unit.get(id).is_some();
            return if is(1) {
                MILLIS
            } else if is(2) {
                MICROS
            } else {
                Logical::Moment { nanos: 1 }
            };
        }
        if logical.structure(10).is_some_and(|integer| integer.bool(2) == Some(false)) {
            return Logical::Unsigned;
        }
        if has(1) || has(4) || has(12) {
            return Logical::Text;
        }
        if has(6) {
            return Logical::Date;
        }
        if has(14) {
            return Logical::Uuid;
        }
    }
    match element.int(6) {
        Some(0 | 4 | 19) => Logical::Text,
        Some(5) => Logical::Decimal { scale: scale(element.int(7)) },
        Some(6) => Logical::Date,
        Some(9) => MILLIS,
        Some(10) => MICROS,
        Some(11..=14) => Logical::Unsigned,
        _ => Logical::Plain,
    }
}

fn scale(scale: Option<i64>) -> u32 {
    scale.and_then(|scale| u32::try_from(scale).ok()).unwrap_or(0)
}
