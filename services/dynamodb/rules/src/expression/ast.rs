//! The typed forms of expressions. Placeholders are slots: numbers that count an expression's own names and values.

use std::fmt;

use super::bind::Context;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Element {
    Name(Box<str>),
    /// A `#name`.
    Alias(u16),
    Index(u32),
}

/// A path into an item: never empty, and its first element is a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentPath(pub Box<[Element]>);

impl DocumentPath {
    pub fn of_name(name: &str) -> Self {
        DocumentPath(Box::new([Element::Name(name.into())]))
    }

    pub fn is_nested(&self) -> bool {
        self.0.len() > 1
    }

    /// As errors print it: `[a, [0], b]`.
    pub fn display<'a>(&'a self, context: Context<'a>) -> impl fmt::Display + 'a {
        struct Shown<'a>(&'a DocumentPath, Context<'a>);
        impl fmt::Display for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[")?;
                for (index, element) in self.0.0.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    match element {
                        Element::Name(name) => write!(f, "{comma}{name}")?,
                        Element::Alias(slot) => write!(f, "{comma}{}", self.1.name(*slot))?,
                        Element::Index(index) => write!(f, "{comma}[{index}]")?,
                    }
                }
                f.write_str("]")
            }
        }
        Shown(self, context)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    Path(DocumentPath),
    /// A `:value`.
    Value(u16),
    Size(Box<Operand>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    pub const fn as_str(self) -> &'static str {
        match self {
            Comparator::Equal => "=",
            Comparator::NotEqual => "<>",
            Comparator::Less => "<",
            Comparator::LessOrEqual => "<=",
            Comparator::Greater => ">",
            Comparator::GreaterOrEqual => ">=",
        }
    }

    pub const fn is_ordering(self) -> bool {
        !matches!(self, Comparator::Equal | Comparator::NotEqual)
    }

    /// The same comparison with its sides exchanged.
    pub const fn turned(self) -> Self {
        match self {
            Comparator::Less => Comparator::Greater,
            Comparator::LessOrEqual => Comparator::GreaterOrEqual,
            Comparator::Greater => Comparator::Less,
            Comparator::GreaterOrEqual => Comparator::LessOrEqual,
            same => same,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Compare(Comparator, Operand, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Box<[Operand]>),
    Exists(DocumentPath),
    NotExists(DocumentPath),
    /// The operand's type is the one that the second, a text, names.
    Type(Operand, Operand),
    BeginsWith(Operand, Operand),
    Contains(Operand, Operand),
    And(Box<[Condition]>),
    Or(Box<[Condition]>),
    Not(Box<Condition>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    pub paths: Box<[DocumentPath]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetOperand {
    Path(DocumentPath),
    Value(u16),
    IfNotExists(DocumentPath, Box<SetOperand>),
    ListAppend(Box<SetOperand>, Box<SetOperand>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetTerm {
    Operand(SetOperand),
    Plus(SetOperand, SetOperand),
    Minus(SetOperand, SetOperand),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Set(DocumentPath, SetTerm),
    Remove(DocumentPath),
    Add(DocumentPath, u16),
    Delete(DocumentPath, u16),
}

impl Action {
    pub const fn target(&self) -> &DocumentPath {
        match self {
            Action::Set(path, _) | Action::Remove(path) | Action::Add(path, _) | Action::Delete(path, _) => path,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    pub actions: Box<[Action]>,
}
