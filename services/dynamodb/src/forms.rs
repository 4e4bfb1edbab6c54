//! What a request asks for, as compiled forms: from expressions or from the parameters before them.

use std::sync::Arc;

use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::expression::{
    Attributes, Bound, Cache, Condition, ExpressionKind, Projection, Update, Used,
};
use fractus_dynamodb_rules::legacy::{ComparisonOperator, ConditionalOperator, Expected, Test};
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::values::{ApiItem, value_from_api};

/// A form and the values it is evaluated with.
pub type With<T> = (Bound<T>, Arc<Attributes>);

/// The expressions of one request, which share names and values.
pub struct Forms<'a> {
    cache: &'a Cache,
    attributes: Attributes,
    used: Used,
    has_expression: bool,
}

impl<'a> Forms<'a> {
    pub fn new(cache: &'a Cache, names: Option<IndexMap<String, String>>, values: Option<ApiItem>) -> Result<Self> {
        let values = values
            .map(|values| values.into_iter().map(|(key, value)| Ok((key, value_from_api(value)?))).collect())
            .transpose()
            .map_err(|error: Error| error)?;
        let attributes = Attributes::new(names.map(|names| names.into_iter().collect()), values)?;
        Ok(Forms { cache, attributes, used: Used::default(), has_expression: false })
    }

    pub fn condition(&mut self, kind: ExpressionKind, text: Option<&str>) -> Result<Option<Bound<Condition>>> {
        let Some(text) = text else { return Ok(None) };
        self.has_expression = true;
        let form = self.cache.condition(kind, text)?;
        Ok(Some(Bound::new(&form, &self.attributes, &mut self.used)?))
    }

    pub fn projection(&mut self, text: Option<&str>) -> Result<Option<Bound<Projection>>> {
        let Some(text) = text else { return Ok(None) };
        self.has_expression = true;
        let form = self.cache.projection(text)?;
        Ok(Some(Bound::new(&form, &self.attributes, &mut self.used)?))
    }

    pub fn update(&mut self, text: Option<&str>) -> Result<Option<Bound<Update>>> {
        let Some(text) = text else { return Ok(None) };
        self.has_expression = true;
        let form = self.cache.update(text)?;
        Ok(Some(Bound::new(&form, &self.attributes, &mut self.used)?))
    }

    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// All names and values have found a use; `missing` says which expressions might have used values.
    pub fn finish(self, missing: &'static str) -> Result<Arc<Attributes>> {
        if !self.has_expression {
            self.attributes.check_absent(missing)?;
        }
        self.attributes.check_used(&self.used)?;
        Ok(Arc::new(self.attributes))
    }
}

/// The names of the parameters that are there.
pub fn present(parameters: &[(&'static str, bool)]) -> Vec<&'static str> {
    parameters.iter().filter(|(_, is_present)| *is_present).map(|(name, _)| *name).collect()
}

pub fn conditional_operator(operator: Option<api::ConditionalOperator>) -> Option<ConditionalOperator> {
    match operator? {
        api::ConditionalOperator::Or => Some(ConditionalOperator::Or),
        _ => Some(ConditionalOperator::And),
    }
}

fn comparison(operator: &api::ComparisonOperator) -> Result<ComparisonOperator> {
    let name = operator.as_str();
    ComparisonOperator::named(name).ok_or_else(|| Error::validation(format!("{name} is no comparison operator")))
}

fn values(list: Option<Vec<api::AttributeValue>>) -> Result<Vec<fractus_dynamodb_rules::Value>> {
    Ok(list.unwrap_or_default().into_iter().map(value_from_api).collect::<Result<_, _>>()?)
}

/// QueryFilter, ScanFilter and KeyConditions.
pub fn tests(conditions: IndexMap<String, api::Condition>) -> Result<Vec<Test>> {
    let test = |(attribute, condition): (String, api::Condition)| {
        let operator = comparison(&condition.comparison_operator)?;
        Ok(Test { attribute, operator, values: values(condition.attribute_value_list)? })
    };
    conditions.into_iter().map(test).collect()
}

pub fn expected(entries: IndexMap<String, api::ExpectedAttributeValue>) -> Result<Vec<(String, Expected)>> {
    let one = |(attribute, entry): (String, api::ExpectedAttributeValue)| {
        let expected = Expected {
            value: entry.value.map(value_from_api).transpose()?,
            exists: entry.exists,
            operator: entry.comparison_operator.as_ref().map(comparison).transpose()?,
            list: entry.attribute_value_list.map(|list| values(Some(list))).transpose()?,
        };
        Ok((attribute, expected))
    };
    entries.into_iter().map(one).collect()
}
