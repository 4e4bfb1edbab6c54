//! From a form and a request's names and values to something that can be evaluated, and the checks that need the values.

use std::cmp::Ordering;
use std::sync::Arc;

use smallvec::SmallVec;

use super::ast::{Action, Condition, DocumentPath, Element, Operand, Projection, SetOperand, SetTerm, Update};
use super::attributes::{Attributes, Used};
use super::error::{ExpressionError, ExpressionKind, Problem};
use super::lower::Expression;
use crate::value::{Item, Kind, Value};

type Slots = SmallVec<[u16; 8]>;

const UNRESOLVED: u16 = u16::MAX;

/// Where the placeholders of a form are found.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    attributes: &'a Attributes,
    names: &'a [u16],
    values: &'a [u16],
}

impl<'a> Context<'a> {
    pub(crate) fn name(&self, slot: u16) -> &'a str {
        self.names.get(usize::from(slot)).map_or("", |at| self.attributes.name(*at))
    }

    pub(crate) fn value(&self, slot: u16) -> &'a Value {
        self.values.get(usize::from(slot)).map_or(&Value::Null, |at| self.attributes.value(*at))
    }

    /// The name an element stands for, if it is not an index.
    pub(crate) fn name_of<'e>(&self, element: &'e Element) -> Option<&'e str>
    where
        'a: 'e,
    {
        match element {
            Element::Name(name) => Some(name),
            Element::Alias(slot) => Some(self.name(*slot)),
            Element::Index(_) => None,
        }
    }

    /// The attribute of the item a path begins with.
    pub(crate) fn attribute_of<'e>(&self, path: &'e DocumentPath) -> &'e str
    where
        'a: 'e,
    {
        path.0.first().and_then(|first| self.name_of(first)).unwrap_or_default()
    }

    pub(crate) fn find<'i>(&self, path: &DocumentPath, item: &'i Item) -> Option<&'i Value> {
        let (first, rest) = path.0.split_first()?;
        let mut found = item.get(self.name_of(first)?)?;
        for element in rest {
            found = match (found, element) {
                (Value::L(list), Element::Index(index)) => list.get(usize::try_from(*index).ok()?)?,
                (Value::M(map), element) => map.get(self.name_of(element)?)?,
                _ => return None,
            };
        }
        Some(found)
    }

    fn compare(&self, one: &Element, other: &Element) -> Ordering {
        match (one, other) {
            (Element::Index(one), Element::Index(other)) => one.cmp(other),
            (Element::Index(_), _) => Ordering::Less,
            (_, Element::Index(_)) => Ordering::Greater,
            _ => self.name_of(one).cmp(&self.name_of(other)),
        }
    }

    /// The order of paths: a path before those that go on from it, indexes before names.
    pub(crate) fn order(&self, one: &DocumentPath, other: &DocumentPath) -> Ordering {
        let pairs = one.0.iter().zip(&other.0);
        let differing = pairs.map(|(one, other)| self.compare(one, other)).find(|order| order.is_ne());
        differing.unwrap_or_else(|| one.0.len().cmp(&other.0.len()))
    }
}

/// A form whose placeholders are known. It owns nothing of the request, so it is evaluated with the same [`Attributes`].
#[derive(Debug, Clone)]
pub struct Bound<T> {
    form: Arc<Expression<T>>,
    names: Slots,
    values: Slots,
}

/// What can be bound: the walk that finds its placeholders in the order they are written, and checks what they stand for.
pub trait Form: Sized {
    #[doc(hidden)]
    fn check(&self, binder: &mut Binder<'_>) -> Result<(), Problem>;
}

impl<T: Form> Bound<T> {
    pub fn new(form: &Arc<Expression<T>>, attributes: &Attributes, used: &mut Used) -> Result<Self, ExpressionError> {
        let mut binder = Binder {
            attributes,
            used,
            aliases: &form.aliases,
            keys: &form.values,
            names: SmallVec::from_elem(UNRESOLVED, form.aliases.len()),
            values: SmallVec::from_elem(UNRESOLVED, form.values.len()),
        };
        form.root.check(&mut binder).map_err(|problem| ExpressionError { kind: form.kind, problem })?;
        let (names, values) = (binder.names, binder.values);
        Ok(Bound { form: Arc::clone(form), names, values })
    }

    /// A form without placeholders, whose values are the first of [`Attributes::of_slots`].
    pub fn direct(kind: ExpressionKind, root: T, value_count: usize) -> Self {
        let count = u16::try_from(value_count).unwrap_or(UNRESOLVED);
        Bound { form: Arc::new(Expression::direct(kind, root)), names: Slots::new(), values: (0..count).collect() }
    }

    pub fn root(&self) -> &T {
        &self.form.root
    }

    pub fn kind(&self) -> ExpressionKind {
        self.form.kind
    }

    pub fn context<'a>(&'a self, attributes: &'a Attributes) -> Context<'a> {
        Context { attributes, names: &self.names, values: &self.values }
    }
}

pub struct Binder<'a> {
    attributes: &'a Attributes,
    used: &'a mut Used,
    aliases: &'a [Box<str>],
    keys: &'a [Box<str>],
    names: Slots,
    values: Slots,
}

impl<'a> Binder<'a> {
    fn context(&self) -> Context<'_> {
        Context { attributes: self.attributes, names: &self.names, values: &self.values }
    }

    fn value(&mut self, slot: u16) -> Result<&'a Value, Problem> {
        let slot = usize::from(slot);
        if self.values[slot] == UNRESOLVED {
            let key = &self.keys[slot];
            let found = self.attributes.find_value(key, self.used);
            self.values[slot] = found.ok_or_else(|| Problem::UndefinedValue(key.to_string()))?;
        }
        Ok(self.attributes.value(self.values[slot]))
    }

    fn path(&mut self, path: &DocumentPath) -> Result<(), Problem> {
        for element in &path.0 {
            if let Element::Alias(slot) = element {
                let slot = usize::from(*slot);
                if self.names[slot] == UNRESOLVED {
                    let key = &self.aliases[slot];
                    let found = self.attributes.find_name(key, self.used);
                    self.names[slot] = found.ok_or_else(|| Problem::UndefinedName(key.to_string()))?;
                }
            }
        }
        Ok(())
    }

    /// Resolves an operand; a value that is written in the request is given back, for its type can be checked.
    fn operand(&mut self, operand: &Operand) -> Result<Option<&'a Value>, Problem> {
        match operand {
            Operand::Path(path) => self.path(path).map(|()| None),
            Operand::Value(slot) => self.value(*slot).map(Some),
            Operand::Size(of) => {
                let value = self.operand(of)?;
                let unsized_value = value.filter(|value| value.length().is_none());
                refuse_type("size", unsized_value.map(Value::kind), |_| false).map(|()| None)
            }
        }
    }

    fn operand_of(
        &mut self,
        operator: &'static str,
        operand: &Operand,
        is_allowed: impl Fn(Kind) -> bool,
    ) -> Result<Option<&'a Value>, Problem> {
        let value = self.operand(operand)?;
        refuse_type(operator, value.map(Value::kind), is_allowed)?;
        Ok(value)
    }

    fn distinct(&self, operator: &'static str, first: &Operand, rest: &[&Operand]) -> Result<(), Problem> {
        let Operand::Path(first) = first else { return Ok(()) };
        let context = self.context();
        let is_first = |other: &&Operand| matches!(other, Operand::Path(path) if context.order(first, path).is_eq());
        if rest.iter().any(is_first) {
            return Err(Problem::SameOperands { operator, operand: first.display(context).to_string() });
        }
        Ok(())
    }

    fn between(&mut self, of: &Operand, lower: &Operand, upper: &Operand) -> Result<(), Problem> {
        self.operand_of("BETWEEN", of, Kind::is_ordered)?;
        let low = self.operand_of("BETWEEN", lower, Kind::is_ordered)?;
        let high = self.operand_of("BETWEEN", upper, Kind::is_ordered)?;
        if let (Some(low), Some(high)) = (low, high) {
            let both = || (Box::new(low.clone()), Box::new(high.clone()));
            match low.order(high) {
                None => {
                    let (lower, upper) = both();
                    return Err(Problem::BoundsOfTwoTypes { lower, upper });
                }
                Some(Ordering::Greater) => {
                    let (lower, upper) = both();
                    return Err(Problem::BoundsInverted { lower, upper });
                }
                Some(_) => {}
            }
        }
        self.distinct("BETWEEN", of, &[lower, upper])
    }

    fn type_name(&mut self, of: &Operand, kind: &Operand) -> Result<(), Problem> {
        self.operand(of)?;
        match self.operand_of("attribute_type", kind, |kind| kind == Kind::S)? {
            Some(Value::S(name)) if Kind::named(name).is_none() => Err(Problem::TypeName(name.clone())),
            _ => Ok(()),
        }
    }

    fn set_operand(&mut self, operand: &SetOperand) -> Result<Option<&'a Value>, Problem> {
        match operand {
            SetOperand::Path(path) => self.path(path).map(|()| None),
            SetOperand::Value(slot) => self.value(*slot).map(Some),
            SetOperand::IfNotExists(path, otherwise) => {
                self.path(path)?;
                self.set_operand(otherwise).map(|_| None)
            }
            SetOperand::ListAppend(first, second) => {
                for operand in [first, second] {
                    let value = self.set_operand(operand)?;
                    refuse_type("list_append", value.map(Value::kind), |kind| kind == Kind::L)?;
                }
                Ok(None)
            }
        }
    }

    fn set_term(&mut self, term: &SetTerm) -> Result<(), Problem> {
        let (operator, left, right) = match term {
            SetTerm::Operand(operand) => return self.set_operand(operand).map(|_| ()),
            SetTerm::Plus(left, right) => ("+", left, right),
            SetTerm::Minus(left, right) => ("-", left, right),
        };
        for operand in [left, right] {
            let value = self.set_operand(operand)?;
            refuse_type(operator, value.map(Value::kind), |kind| kind == Kind::N)?;
        }
        Ok(())
    }

    fn added(&mut self, operator: &'static str, slot: u16, numbers_too: bool) -> Result<(), Problem> {
        let kind = self.value(slot)?.kind();
        if kind.is_set() || (numbers_too && kind == Kind::N) {
            return Ok(());
        }
        Err(Problem::SetOperandType { operator, kind: kind.long_name() })
    }
}

fn refuse_type(operator: &'static str, kind: Option<Kind>, is_allowed: impl Fn(Kind) -> bool) -> Result<(), Problem> {
    match kind {
        Some(kind) if !is_allowed(kind) => Err(Problem::OperandType { operator, kind }),
        _ => Ok(()),
    }
}

fn text_or_binary(kind: Kind) -> bool {
    matches!(kind, Kind::S | Kind::B)
}

impl Form for Condition {
    fn check(&self, binder: &mut Binder<'_>) -> Result<(), Problem> {
        match self {
            Condition::Compare(comparator, left, right) => {
                let operator = comparator.as_str();
                let is_allowed = |kind: Kind| !comparator.is_ordering() || kind.is_ordered();
                binder.operand_of(operator, left, is_allowed)?;
                binder.operand_of(operator, right, is_allowed)?;
                binder.distinct(operator, left, &[right])
            }
            Condition::Between(of, lower, upper) => binder.between(of, lower, upper),
            Condition::In(of, list) => {
                binder.operand(of)?;
                list.iter().try_for_each(|operand| binder.operand(operand).map(|_| ()))?;
                binder.distinct("IN", of, &list.iter().collect::<Vec<_>>())
            }
            Condition::Exists(path) | Condition::NotExists(path) => binder.path(path),
            Condition::Type(of, kind) => binder.type_name(of, kind),
            Condition::BeginsWith(of, prefix) => {
                binder.operand_of("begins_with", of, text_or_binary)?;
                binder.operand_of("begins_with", prefix, text_or_binary)?;
                binder.distinct("begins_with", of, &[prefix])
            }
            Condition::Contains(of, part) => {
                let may_contain = |kind: Kind| kind.is_set() || matches!(kind, Kind::S | Kind::B | Kind::L);
                binder.operand_of("contains", of, may_contain)?;
                binder.operand(part)?;
                binder.distinct("contains", of, &[part])
            }
            Condition::And(all) | Condition::Or(all) => all.iter().try_for_each(|one| one.check(binder)),
            Condition::Not(one) => one.check(binder),
        }
    }
}

impl Form for Projection {
    fn check(&self, binder: &mut Binder<'_>) -> Result<(), Problem> {
        self.paths.iter().try_for_each(|path| binder.path(path))?;
        check_paths(self.paths.iter(), binder.context())
    }
}

impl Form for Update {
    fn check(&self, binder: &mut Binder<'_>) -> Result<(), Problem> {
        for action in &self.actions {
            binder.path(action.target())?;
            match action {
                Action::Set(_, term) => binder.set_term(term)?,
                Action::Remove(_) => {}
                Action::Add(_, slot) => binder.added("ADD", *slot, true)?,
                Action::Delete(_, slot) => binder.added("DELETE", *slot, false)?,
            }
        }
        check_paths(self.actions.iter().map(Action::target), binder.context())
    }
}

/// The checks of a form's values, for one that was not written as an expression.
pub(crate) fn check_condition(
    condition: &Condition,
    attributes: &Attributes,
    value_count: usize,
) -> Result<(), Problem> {
    let count = u16::try_from(value_count).unwrap_or(UNRESOLVED);
    let mut used = Used::default();
    let mut binder = Binder {
        attributes,
        used: &mut used,
        aliases: &[],
        keys: &[],
        names: Slots::new(),
        values: (0..count).collect(),
    };
    condition.check(&mut binder)
}

/// No path may be another or go on from another; nor may one take for a list what another takes for a map. Sorted, two
/// such paths stand beside each other.
pub(crate) fn check_paths<'p>(
    paths: impl Iterator<Item = &'p DocumentPath>,
    context: Context<'_>,
) -> Result<(), Problem> {
    let mut sorted: Vec<(usize, &DocumentPath)> = paths.enumerate().collect();
    sorted.sort_by(|(_, one), (_, other)| context.order(one, other));
    for pair in sorted.windows(2) {
        let [(first_at, first), (second_at, second)] = pair else { continue };
        let same = first.0.iter().zip(&second.0).take_while(|(one, other)| context.compare(one, other).is_eq()).count();
        let (one, two) = if first_at < second_at { (first, second) } else { (second, first) };
        let both = || (one.display(context).to_string(), two.display(context).to_string());
        match (first.0.get(same), second.0.get(same)) {
            (None, _) => {
                let (one, two) = both();
                return Err(Problem::Overlap { one, two });
            }
            (Some(first), Some(second))
                if matches!(first, Element::Index(_)) != matches!(second, Element::Index(_)) =>
            {
                let (one, two) = both();
                return Err(Problem::Conflict { one, two });
            }
            _ => {}
        }
    }
    Ok(())
}
