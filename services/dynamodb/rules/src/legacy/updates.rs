//! AttributeUpdates.

use super::LegacyError;
use crate::expression::{Action, Attributes, Bound, DocumentPath, ExpressionKind, SetOperand, SetTerm, Update};
use crate::value::{Kind, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpdateAction {
    #[default]
    Put,
    Add,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeUpdate {
    pub attribute: String,
    pub action: UpdateAction,
    pub value: Option<Value>,
}

fn check(update: &AttributeUpdate) -> Result<(), LegacyError> {
    let kind = update.value.as_ref().map(Value::kind);
    match (update.action, kind) {
        (UpdateAction::Put | UpdateAction::Add, None) => Err(LegacyError::NoUpdateValue),
        (UpdateAction::Add, Some(kind)) if kind != Kind::N && !kind.is_set() => Err(LegacyError::AddType(kind)),
        (UpdateAction::Delete, Some(kind)) if !kind.is_set() => Err(LegacyError::DeleteType(kind)),
        _ => Ok(()),
    }
}

/// AttributeUpdates as an update. Its names are names, dots included.
pub fn updates(updates: Vec<AttributeUpdate>) -> Result<(Bound<Update>, Attributes), LegacyError> {
    let (mut actions, mut values) = (Vec::with_capacity(updates.len()), Vec::new());
    for update in updates {
        check(&update)?;
        let path = DocumentPath::of_name(&update.attribute);
        let slot = u16::try_from(values.len()).unwrap_or(u16::MAX);
        let has_value = update.value.is_some();
        values.extend(update.value);
        actions.push(match update.action {
            UpdateAction::Put => Action::Set(path, SetTerm::Operand(SetOperand::Value(slot))),
            UpdateAction::Add => Action::Add(path, slot),
            UpdateAction::Delete if has_value => Action::Delete(path, slot),
            UpdateAction::Delete => Action::Remove(path),
        });
    }
    let root = Update { actions: actions.into_boxed_slice() };
    Ok((Bound::direct(ExpressionKind::Update, root, values.len()), Attributes::of_slots(values)))
}
