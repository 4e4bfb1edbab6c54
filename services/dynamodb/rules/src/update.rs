//! What an update makes of an item.
//!
//! Everything SET assigns is computed from the item as it was; then SET, ADD and DELETE, then REMOVE. Elements set beyond
//! the end of a list are appended in the order of their indexes; elements removed are those of the list as it was.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html>

use std::borrow::Cow;

use thiserror::Error;

use crate::check::{self, ValueError};
use crate::expression::{Action, Attributes, Bound, Context, DocumentPath, Element, SetOperand, SetTerm, Update};
use crate::key::{KeyError, KeySchema};
use crate::number::{Number, NumberError};
use crate::projection::project;
use crate::value::{Item, Value};

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpdateError {
    #[error("The document path provided in the update expression is invalid for update")]
    Path,
    #[error("The provided expression refers to an attribute that does not exist in the item")]
    Missing,
    #[error("An operand in the update expression has an incorrect data type")]
    OperandType,
    #[error("Item size to update has exceeded the maximum allowed size")]
    ItemTooLarge,
    #[error(transparent)]
    Number(#[from] NumberError),
    #[error(transparent)]
    Value(ValueError),
}

impl UpdateError {
    /// The words for AttributeUpdates.
    pub fn in_legacy_words(&self) -> String {
        match self {
            UpdateError::OperandType => "Type mismatch for attribute to update".to_owned(),
            other => other.to_string(),
        }
    }
}

type Updated<T> = Result<T, UpdateError>;

fn operand<'v>(operand: &SetOperand, context: Context<'v>, item: &'v Item) -> Updated<Cow<'v, Value>> {
    match operand {
        SetOperand::Path(path) => context.find(path, item).map(Cow::Borrowed).ok_or(UpdateError::Missing),
        SetOperand::Value(slot) => Ok(Cow::Borrowed(context.value(*slot))),
        SetOperand::IfNotExists(path, otherwise) => match context.find(path, item) {
            Some(found) => Ok(Cow::Borrowed(found)),
            None => self::operand(otherwise, context, item),
        },
        SetOperand::ListAppend(first, second) => {
            let first = self::operand(first, context, item)?;
            let second = self::operand(second, context, item)?;
            match (first.into_owned(), second.into_owned()) {
                (Value::L(mut list), Value::L(mut more)) => {
                    list.append(&mut more);
                    Ok(Cow::Owned(Value::L(list)))
                }
                _ => Err(UpdateError::OperandType),
            }
        }
    }
}

fn number(of: &SetOperand, context: Context<'_>, item: &Item) -> Updated<Number> {
    match *operand(of, context, item)? {
        Value::N(number) => Ok(number),
        _ => Err(UpdateError::OperandType),
    }
}

fn term(term: &SetTerm, context: Context<'_>, item: &Item) -> Updated<Value> {
    match term {
        SetTerm::Operand(of) => operand(of, context, item).map(Cow::into_owned),
        SetTerm::Plus(left, right) => Ok(Value::N(number(left, context, item)?.plus(number(right, context, item)?)?)),
        SetTerm::Minus(left, right) => Ok(Value::N(number(left, context, item)?.minus(number(right, context, item)?)?)),
    }
}

fn union<T: Ord + Clone>(own: &[T], more: &[T]) -> Vec<T> {
    let mut set: Vec<T> = own.iter().chain(more).cloned().collect();
    set.sort();
    set.dedup();
    set
}

/// What ADD makes of what was there.
fn added(was: Option<&Value>, by: &Value) -> Updated<Value> {
    Ok(match (was, by) {
        (None, by) => by.clone(),
        (Some(Value::N(was)), Value::N(by)) => Value::N(was.plus(*by)?),
        (Some(Value::SS(was)), Value::SS(by)) => Value::SS(union(was, by)),
        (Some(Value::NS(was)), Value::NS(by)) => Value::NS(union(was, by)),
        (Some(Value::BS(was)), Value::BS(by)) => Value::BS(union(was, by)),
        _ => return Err(UpdateError::OperandType),
    })
}

fn without<T: Ord + Clone>(own: &[T], less: &[T]) -> Vec<T> {
    own.iter().filter(|member| less.binary_search(member).is_err()).cloned().collect()
}

/// What DELETE leaves of what was there; nothing if no member is left, for a set is never empty.
fn deleted(was: &Value, by: &Value) -> Updated<Option<Value>> {
    let left = match (was, by) {
        (Value::SS(was), Value::SS(by)) => Value::SS(without(was, by)),
        (Value::NS(was), Value::NS(by)) => Value::NS(without(was, by)),
        (Value::BS(was), Value::BS(by)) => Value::BS(without(was, by)),
        _ => return Err(UpdateError::OperandType),
    };
    Ok((left.length() != Some(0)).then_some(left))
}

/// The map or list that a path's last element is in.
enum Parent<'i> {
    Map(&'i mut Item),
    List(&'i mut Vec<Value>),
}

fn parent<'i>(path: &DocumentPath, context: Context<'_>, item: &'i mut Item) -> Updated<Parent<'i>> {
    let mut parent = Parent::Map(item);
    let before_last = path.0.len().saturating_sub(1);
    for element in path.0.iter().take(before_last) {
        let next = match (parent, context.name_of(element), element) {
            (Parent::Map(map), Some(name), _) => map.get_mut(name),
            (Parent::List(list), None, Element::Index(index)) => {
                usize::try_from(*index).ok().and_then(|index| list.get_mut(index))
            }
            _ => None,
        };
        parent = match next {
            Some(Value::M(map)) => Parent::Map(map),
            Some(Value::L(list)) => Parent::List(list),
            _ => return Err(UpdateError::Path),
        };
    }
    Ok(parent)
}

fn put(path: &DocumentPath, context: Context<'_>, item: &mut Item, value: Value) -> Updated<()> {
    let last = path.0.last().ok_or(UpdateError::Path)?;
    match (parent(path, context, item)?, context.name_of(last), last) {
        (Parent::Map(map), Some(name), _) => {
            map.insert(name, value);
        }
        (Parent::List(list), None, Element::Index(index)) => {
            match usize::try_from(*index).ok().and_then(|index| list.get_mut(index)) {
                Some(element) => *element = value,
                None => list.push(value),
            }
        }
        _ => return Err(UpdateError::Path),
    }
    Ok(())
}

fn remove(path: &DocumentPath, context: Context<'_>, item: &mut Item) -> Updated<()> {
    let last = path.0.last().ok_or(UpdateError::Path)?;
    match (parent(path, context, item)?, context.name_of(last), last) {
        (Parent::Map(map), Some(name), _) => {
            map.remove(name);
        }
        (Parent::List(list), None, Element::Index(index)) => {
            if let Some(index) = usize::try_from(*index).ok().filter(|index| *index < list.len()) {
                list.remove(index);
            }
        }
        _ => return Err(UpdateError::Path),
    }
    Ok(())
}

impl Bound<Update> {
    /// Calls `seen` with the attribute that every target begins with.
    pub fn each_attribute<'a>(&'a self, attributes: &'a Attributes, mut seen: impl FnMut(&'a str)) {
        let context = self.context(attributes);
        self.root().actions.iter().for_each(|action| seen(context.attribute_of(action.target())));
    }

    /// An update may not name an attribute of the key.
    pub fn check_key(&self, attributes: &Attributes, schema: &KeySchema) -> Result<(), KeyError> {
        let context = self.context(attributes);
        let mut targets = self.root().actions.iter().map(|action| context.attribute_of(action.target()));
        match targets.find(|name| schema.names(name)) {
            Some(name) => Err(KeyError::Updated(name.to_owned())),
            None => Ok(()),
        }
    }

    /// The item after the update; for one that does not exist yet, `item` is its key.
    pub fn apply(&self, attributes: &Attributes, item: &Item) -> Updated<Item> {
        let context = self.context(attributes);
        let mut puts: Vec<(&DocumentPath, Value)> = Vec::new();
        let mut removals: Vec<&DocumentPath> = Vec::new();
        for action in &self.root().actions {
            match action {
                Action::Set(path, assigned) => puts.push((path, term(assigned, context, item)?)),
                Action::Remove(path) => removals.push(path),
                Action::Add(path, slot) => {
                    puts.push((path, added(context.find(path, item), context.value(*slot))?));
                }
                Action::Delete(path, slot) => match context.find(path, item) {
                    Some(was) => match deleted(was, context.value(*slot))? {
                        Some(left) => puts.push((path, left)),
                        None => removals.push(path),
                    },
                    // Nothing to delete from, but there must be a place it could be.
                    None => removals.push(path),
                },
            }
        }
        let mut updated = item.clone();
        puts.sort_by(|(one, _), (other, _)| context.order(one, other));
        for (path, value) in puts {
            put(path, context, &mut updated, value)?;
        }
        // From the last element of a list to the first, so that indexes keep their meaning.
        removals.sort_by(|one, other| context.order(other, one));
        for path in removals {
            remove(path, context, &mut updated)?;
        }
        check::item(&updated).map_err(|error| match error {
            ValueError::ItemTooLarge => UpdateError::ItemTooLarge,
            other => UpdateError::Value(other),
        })?;
        Ok(updated)
    }

    /// The parts of an item that the update names: of the old item UPDATED_OLD, of the new one UPDATED_NEW.
    pub fn touched(&self, attributes: &Attributes, item: &Item) -> Item {
        project(self.root().actions.iter().map(Action::target), self.context(attributes), item)
    }
}
