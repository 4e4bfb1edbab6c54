//! What a Query or a Scan does with the items it reads, one page of it.

use crate::expression::{Attributes, Bound, Condition, Projection};
use crate::key::KeyRange;
use crate::size::item_bytes;
use crate::value::Item;

/// A page ends with the item that brings it to this size.
pub const MAX_PAGE_BYTES: usize = 1_024 * 1_024;

/// Everything but the items.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    pub range: KeyRange,
    pub is_forward: bool,
    /// How many items are looked at, before the filter.
    pub limit: Option<usize>,
    pub filter: Option<Bound<Condition>>,
    pub projection: Option<Bound<Projection>>,
    /// Items are counted, not given back.
    pub counts_only: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub items: Vec<Item>,
    pub count: usize,
    pub scanned_count: usize,
    /// What was read, before the filter and the projection: what it costs.
    pub read_bytes: usize,
}

impl Page {
    /// Whether another item may be looked at. When not, the last one's key is where the next page starts.
    pub fn is_full(&self, plan: &ReadPlan) -> bool {
        plan.limit.is_some_and(|limit| self.scanned_count >= limit) || self.read_bytes >= MAX_PAGE_BYTES
    }

    /// Whether an item of so many bytes is the page's last.
    pub fn is_full_with(&self, plan: &ReadPlan, bytes: usize) -> bool {
        plan.limit.is_some_and(|limit| self.scanned_count + 1 >= limit) || self.read_bytes + bytes >= MAX_PAGE_BYTES
    }

    /// Looks at the next item of the range.
    pub fn read(&mut self, plan: &ReadPlan, attributes: &Attributes, item: Item) {
        let bytes = item_bytes(&item);
        self.read_with(plan, (attributes, attributes), item, bytes);
    }

    /// Counts an item that no filter is held against; its size is known.
    pub const fn pass(&mut self, bytes: usize) {
        self.scanned_count += 1;
        self.read_bytes += bytes;
        self.count += 1;
    }

    /// Looks at an item where the filter and the projection have values of their own: those of one may be written as an
    /// expression, the other's not. The item's size is known.
    pub fn read_with(
        &mut self,
        plan: &ReadPlan,
        (filter_by, project_by): (&Attributes, &Attributes),
        item: Item,
        bytes: usize,
    ) {
        if plan.filter.as_ref().is_some_and(|filter| !filter.holds(filter_by, &item)) {
            self.scanned_count += 1;
            self.read_bytes += bytes;
            return;
        }
        self.pass(bytes);
        if plan.counts_only {
            return;
        }
        self.items.push(match &plan.projection {
            Some(projection) => projection.apply(project_by, &item),
            None => item,
        });
    }
}
