//! Whether an item meets a condition. Nothing is allocated and nothing fails: what cannot be compared is not equal.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::expression::{Attributes, Bound, Comparator, Condition, Context, DocumentPath, Operand};
use crate::value::{Item, Value};

impl Bound<Condition> {
    pub fn holds(&self, attributes: &Attributes, item: &Item) -> bool {
        holds(self.root(), self.context(attributes), item)
    }

    /// Calls `seen` with the attribute that every path of the condition begins with.
    pub fn each_attribute<'a>(&'a self, attributes: &'a Attributes, mut seen: impl FnMut(&'a str)) {
        let context = self.context(attributes);
        each_path(self.root(), &mut |path| seen(context.attribute_of(path)));
    }
}

fn value_of<'v>(operand: &Operand, context: Context<'v>, item: &'v Item) -> Option<Cow<'v, Value>> {
    match operand {
        Operand::Path(path) => context.find(path, item).map(Cow::Borrowed),
        Operand::Value(slot) => Some(Cow::Borrowed(context.value(*slot))),
        Operand::Size(of) => {
            let length = value_of(of, context, item)?.length()?;
            Some(Cow::Owned(Value::number(length as u64)))
        }
    }
}

/// A missing side is equal to nothing, not even to a missing one; so it is unequal to everything.
fn compare(comparator: Comparator, left: Option<&Value>, right: Option<&Value>) -> bool {
    let are_equal = || matches!((left, right), (Some(left), Some(right)) if left == right);
    let order = || left.and_then(|left| left.order(right?));
    match comparator {
        Comparator::Equal => are_equal(),
        Comparator::NotEqual => !are_equal(),
        Comparator::Less => order() == Some(Ordering::Less),
        Comparator::LessOrEqual => order().is_some_and(Ordering::is_le),
        Comparator::Greater => order() == Some(Ordering::Greater),
        Comparator::GreaterOrEqual => order().is_some_and(Ordering::is_ge),
    }
}

fn holds(condition: &Condition, context: Context<'_>, item: &Item) -> bool {
    let value = |operand| value_of(operand, context, item);
    let both = |one, other, test: fn(&Value, &Value) -> bool| match (value(one), value(other)) {
        (Some(one), Some(other)) => test(&one, &other),
        _ => false,
    };
    match condition {
        Condition::Compare(comparator, left, right) => {
            compare(*comparator, value(left).as_deref(), value(right).as_deref())
        }
        Condition::Between(of, lower, upper) => {
            let of = value(of);
            compare(Comparator::GreaterOrEqual, of.as_deref(), value(lower).as_deref())
                && compare(Comparator::LessOrEqual, of.as_deref(), value(upper).as_deref())
        }
        Condition::In(of, list) => {
            value(of).is_some_and(|of| list.iter().any(|one| value(one).is_some_and(|one| one == of)))
        }
        Condition::Exists(path) => context.find(path, item).is_some(),
        Condition::NotExists(path) => context.find(path, item).is_none(),
        Condition::Type(of, kind) => {
            both(of, kind, |of, kind| matches!(kind, Value::S(name) if of.kind().as_str() == name))
        }
        Condition::BeginsWith(of, prefix) => both(of, prefix, Value::begins_with),
        Condition::Contains(of, part) => both(of, part, Value::contains),
        Condition::And(all) => all.iter().all(|one| holds(one, context, item)),
        Condition::Or(any) => any.iter().any(|one| holds(one, context, item)),
        Condition::Not(one) => !holds(one, context, item),
    }
}

fn each_operand_path<'c>(operand: &'c Operand, seen: &mut dyn FnMut(&'c DocumentPath)) {
    match operand {
        Operand::Path(path) => seen(path),
        Operand::Value(_) => {}
        Operand::Size(of) => each_operand_path(of, seen),
    }
}

fn each_path<'c>(condition: &'c Condition, seen: &mut dyn FnMut(&'c DocumentPath)) {
    match condition {
        Condition::Compare(_, one, other)
        | Condition::Type(one, other)
        | Condition::BeginsWith(one, other)
        | Condition::Contains(one, other) => {
            each_operand_path(one, seen);
            each_operand_path(other, seen);
        }
        Condition::Between(of, lower, upper) => {
            [of, lower, upper].into_iter().for_each(|one| each_operand_path(one, seen))
        }
        Condition::In(of, list) => {
            each_operand_path(of, seen);
            list.iter().for_each(|one| each_operand_path(one, seen));
        }
        Condition::Exists(path) | Condition::NotExists(path) => seen(path),
        Condition::And(all) | Condition::Or(all) => all.iter().for_each(|one| each_path(one, seen)),
        Condition::Not(one) => each_path(one, seen),
    }
}
