//! SearchConditionExpression: which attributes it may speak of, and the partition that it says.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/VectorSearchFilterReference.html>

use thiserror::Error;

use crate::expression::{Attributes, Bound, Comparator, Condition, Context, DocumentPath, Operand};
use crate::value::{Kind, Value};

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SearchError {
    #[error("SearchConditionExpression must be provided when SearchSchema has a HASH key")]
    NoPartition,
    #[error("Invalid SearchConditionExpression: Invalid comparator used in SearchConditionExpression")]
    Comparator,
    // Unconfirmed words, all that follow.
    #[error("Invalid SearchConditionExpression: Attribute {0} is not defined in SearchSchema")]
    OutsideSchema(String),
    #[error("Invalid SearchConditionExpression: Conditions on nested attributes are not supported")]
    Nested,
    #[error("Invalid SearchConditionExpression: Condition parameter type does not match schema type")]
    Type,
}

/// The attributes that an index is searched by, with their types.
#[derive(Debug, Clone, Copy)]
pub struct SearchSchema<'a> {
    pub partition: Option<(&'a str, Kind)>,
    pub filters: &'a [(&'a str, Kind)],
}

impl SearchSchema<'_> {
    fn kind_of(&self, name: &str) -> Option<Kind> {
        let filters = self.filters.iter().chain(self.partition.as_ref());
        filters.into_iter().find(|(own, _)| *own == name).map(|(_, kind)| *kind)
    }

    fn is_partition(&self, name: &str) -> bool {
        self.partition.is_some_and(|(own, _)| own == name)
    }
}

struct Reading<'a> {
    schema: SearchSchema<'a>,
    context: Context<'a>,
    partition: Option<Value>,
}

impl<'a> Reading<'a> {
    /// The attribute of a path: top-level, and one of the schema's.
    fn attribute(&self, path: &DocumentPath) -> Result<(String, Kind), SearchError> {
        let name = self.context.attribute_of(path).to_owned();
        if path.is_nested() {
            return Err(SearchError::Nested);
        }
        match self.schema.kind_of(&name) {
            Some(kind) => Ok((name, kind)),
            None => Err(SearchError::OutsideSchema(name)),
        }
    }

    /// One attribute, and values of its type.
    fn test(&self, of: &Operand, values: &[&Operand]) -> Result<String, SearchError> {
        let Operand::Path(path) = of else { return Err(SearchError::Comparator) };
        let (name, kind) = self.attribute(path)?;
        for value in values {
            let Operand::Value(slot) = value else { return Err(SearchError::Comparator) };
            if self.context.value(*slot).kind() != kind {
                return Err(SearchError::Type);
            }
        }
        Ok(name)
    }

    /// A test of a filter; the partition is not to be tested so.
    fn filter(&self, of: &Operand, values: &[&Operand]) -> Result<(), SearchError> {
        match self.schema.is_partition(&self.test(of, values)?) {
            true => Err(SearchError::Comparator),
            false => Ok(()),
        }
    }

    fn exists(&self, path: &DocumentPath) -> Result<(), SearchError> {
        match self.schema.is_partition(&self.attribute(path)?.0) {
            true => Err(SearchError::Comparator),
            false => Ok(()),
        }
    }

    /// `is_required`: whether it holds whenever the whole condition does.
    fn read(&mut self, condition: &Condition, is_required: bool) -> Result<(), SearchError> {
        match condition {
            Condition::And(all) => all.iter().try_for_each(|one| self.read(one, is_required)),
            Condition::Or(any) => any.iter().try_for_each(|one| self.read(one, false)),
            Condition::Not(one) => self.read(one, false),
            Condition::Compare(comparator, left, right) => {
                let (of, value) = if matches!(left, Operand::Value(_)) { (right, left) } else { (left, right) };
                let name = self.test(of, &[value])?;
                if !self.schema.is_partition(&name) {
                    return Ok(());
                }
                if *comparator != Comparator::Equal || !is_required || self.partition.is_some() {
                    return Err(SearchError::Comparator);
                }
                if let Operand::Value(slot) = value {
                    self.partition = Some(self.context.value(*slot).clone());
                }
                Ok(())
            }
            Condition::Between(of, lower, upper) => self.filter(of, &[lower, upper]),
            Condition::In(of, list) => self.filter(of, &list.iter().collect::<Vec<_>>()),
            Condition::BeginsWith(of, prefix) => self.filter(of, &[prefix]),
            Condition::Exists(path) | Condition::NotExists(path) => self.exists(path),
            Condition::Type(..) | Condition::Contains(..) => Err(SearchError::Comparator),
        }
    }
}

/// The value of the partition that a search is in; nothing where the index has none.
pub fn partition_of(
    condition: Option<&Bound<Condition>>,
    attributes: &Attributes,
    schema: SearchSchema<'_>,
) -> Result<Option<Value>, SearchError> {
    let mut partition = None;
    if let Some(condition) = condition {
        let mut reading = Reading { schema, context: condition.context(attributes), partition: None };
        reading.read(condition.root(), true)?;
        partition = reading.partition;
    }
    match (schema.partition, partition) {
        (Some(_), None) => Err(SearchError::NoPartition),
        (_, partition) => Ok(partition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::{Cache, ExpressionKind, Used};

    const FILTERS: &[(&str, Kind)] = &[("brand", Kind::S), ("price", Kind::N)];

    fn read(text: Option<&str>, partition: Option<(&str, Kind)>) -> Result<Option<Value>, String> {
        let values = [(":c", Value::text("toys")), (":b", Value::text("Acme")), (":n", Value::number(5))];
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let attributes = Attributes::new(None, Some(values)).unwrap();
        let cache = Cache::default();
        let bound = text.map(|text| {
            let form = cache.condition(ExpressionKind::SearchCondition, text).unwrap();
            Bound::new(&form, &attributes, &mut Used::default()).unwrap()
        });
        partition_of(bound.as_ref(), &attributes, SearchSchema { partition, filters: FILTERS })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_partition_is_one_equality_that_always_holds() {
        let hash = Some(("category", Kind::S));
        let toys = Ok(Some(Value::text("toys")));
        assert_eq!(read(Some("category = :c"), hash), toys);
        assert_eq!(read(Some(":c = category AND (brand = :b OR price > :n)"), hash), toys);
        let missing = Err("SearchConditionExpression must be provided when SearchSchema has a HASH key".to_owned());
        assert_eq!(read(None, hash), missing);
        assert_eq!(read(Some("brand = :b"), hash), missing);
        let comparator =
            Err("Invalid SearchConditionExpression: Invalid comparator used in SearchConditionExpression".to_owned());
        for text in [
            "category > :c",
            "category = :c OR brand = :b",
            "NOT category = :c",
            "category IN (:c, :b)",
            "category = :c AND category = :b",
            "attribute_exists(category)",
            "category = :c AND contains(brand, :b)",
            "category = :c AND size(brand) = :n",
        ] {
            assert_eq!(read(Some(text), hash), comparator, "{text}");
        }
    }

    #[test]
    fn filters_are_attributes_of_the_schema_and_of_its_types() {
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some("brand IN (:b, :c) AND price BETWEEN :n AND :n AND NOT brand = :b"), None), Ok(None));
        assert!(read(Some("colour = :c"), None).unwrap_err().contains("colour is not defined in SearchSchema"));
        assert!(read(Some("brand.maker = :c"), None).is_err());
        assert!(read(Some("price = :c"), None).is_err());
    }
}
