//! Compiled expressions, kept by their text: programs send the same few again and again.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ast::{Condition, Projection, Update};
use super::error::{ExpressionError, ExpressionKind};
use super::lower::Expression;

/// The expressions of one kind, at most twice `SIZE`: when the younger half is full it becomes the older one, and
/// what was used of the older half has moved to the younger. Nothing else is needed to forget what is not used.
struct Halves<T> {
    young: HashMap<Box<str>, Arc<T>>,
    old: HashMap<Box<str>, Arc<T>>,
}

const SIZE: usize = 512;

impl<T> Default for Halves<T> {
    fn default() -> Self {
        Halves { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<T> Halves<T> {
    fn find(&mut self, text: &str) -> Option<Arc<T>> {
        if let Some(found) = self.young.get(text) {
            return Some(Arc::clone(found));
        }
        let (key, found) = self.old.remove_entry(text)?;
        self.keep(key, Arc::clone(&found));
        Some(found)
    }

    fn keep(&mut self, text: Box<str>, form: Arc<T>) {
        if self.young.len() >= SIZE {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text, form);
    }
}

type Kept<T> = Mutex<Halves<Expression<T>>>;

/// What an expression that was seen before compiles to. Expressions that do not compile are not kept.
#[derive(Default)]
pub struct Cache {
    conditions: Kept<Condition>,
    filters: Kept<Condition>,
    key_conditions: Kept<Condition>,
    search_conditions: Kept<Condition>,
    projections: Kept<Projection>,
    updates: Kept<Update>,
}

fn compiled<T>(
    kept: &Kept<T>,
    text: &str,
    compile: impl FnOnce() -> Result<Expression<T>, ExpressionError>,
) -> Result<Arc<Expression<T>>, ExpressionError> {
    if let Some(found) = kept.lock().find(text) {
        return Ok(found);
    }
    let form = Arc::new(compile()?);
    kept.lock().keep(text.into(), Arc::clone(&form));
    Ok(form)
}

impl Cache {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn condition(&self, kind: ExpressionKind, text: &str) -> Result<Arc<Expression<Condition>>, ExpressionError> {
        let kept = match kind {
            ExpressionKind::Filter => &self.filters,
            ExpressionKind::KeyCondition => &self.key_conditions,
            ExpressionKind::SearchCondition => &self.search_conditions,
            _ => &self.conditions,
        };
        compiled(kept, text, || Expression::condition(kind, text))
    }

    pub fn projection(&self, text: &str) -> Result<Arc<Expression<Projection>>, ExpressionError> {
        compiled(&self.projections, text, || Expression::projection(text))
    }

    pub fn update(&self, text: &str) -> Result<Arc<Expression<Update>>, ExpressionError> {
        compiled(&self.updates, text, || Expression::update(text))
    }
}
