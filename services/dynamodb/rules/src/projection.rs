//! The parts of an item that paths name: nested parts merge into one document, elements of a list keep their order and
//! close up.

use crate::expression::{Attributes, Bound, Context, DocumentPath, Element, Projection};
use crate::value::{Item, Map, Value};

impl Bound<Projection> {
    /// A copy of what the projection names; what is not there is left out.
    pub fn apply(&self, attributes: &Attributes, item: &Item) -> Item {
        project(self.root().paths.iter(), self.context(attributes), item)
    }

    pub fn each_attribute<'a>(&'a self, attributes: &'a Attributes, mut seen: impl FnMut(&'a str)) {
        let context = self.context(attributes);
        self.root().paths.iter().for_each(|path| seen(context.attribute_of(path)));
    }
}

/// Paths are known not to overlap; sorted, those with a common beginning stand together.
pub(crate) fn project<'p>(paths: impl Iterator<Item = &'p DocumentPath>, context: Context<'_>, item: &Item) -> Item {
    let mut paths: Vec<&DocumentPath> = paths.collect();
    paths.sort_by(|one, other| context.order(one, other));
    let rest: Vec<&[Element]> = paths.iter().map(|path| &path.0[..]).collect();
    map_part(&rest, context, item)
}

/// Groups of paths with the same first element, and what follows it in each.
fn groups<'r, 'p>(
    paths: &'r [&'p [Element]],
    context: Context<'r>,
) -> impl Iterator<Item = (&'p Element, Vec<&'p [Element]>)> + 'r {
    let same = move |one: &&[Element], other: &&[Element]| match (one.first(), other.first()) {
        (Some(Element::Index(one)), Some(Element::Index(other))) => one == other,
        (Some(one), Some(other)) => match (context.name_of(one), context.name_of(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        },
        _ => false,
    };
    paths.chunk_by(same).filter_map(|group| {
        let first = group.first()?.first()?;
        Some((first, group.iter().map(|path| path.get(1..).unwrap_or_default()).collect()))
    })
}

fn map_part(paths: &[&[Element]], context: Context<'_>, map: &Map) -> Map {
    groups(paths, context)
        .filter_map(|(first, rest)| {
            let name = context.name_of(first)?;
            Some((name.to_owned(), part(&rest, context, map.get(name)?)?))
        })
        .collect()
}

fn part(paths: &[&[Element]], context: Context<'_>, value: &Value) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    match value {
        Value::M(map) => {
            let part = map_part(paths, context, map);
            (!part.is_empty()).then_some(Value::M(part))
        }
        Value::L(list) => {
            let part: Vec<Value> = groups(paths, context)
                .filter_map(|(first, rest)| match first {
                    Element::Index(index) => part(&rest, context, list.get(usize::try_from(*index).ok()?)?),
                    _ => None,
                })
                .collect();
            (!part.is_empty()).then_some(Value::L(part))
        }
        _ => None,
    }
}
