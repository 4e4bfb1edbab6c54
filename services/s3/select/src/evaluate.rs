//! What a query makes of one record.

use std::sync::Arc;

use fractus_clock::Timestamp;

use super::functions;
use super::syntax::{Aggregate, Expression, Item, Operator, Query, Step, Wanted};
use super::value::{Value, compare};
use super::{Result, error};

/// A record.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// Of CSV; `names` is empty where no header is used.
    Fields {
        names: Arc<Vec<String>>,
        values: Vec<String>,
    },
    Document(Value),
}

/// Refuses what can be read and not be evaluated.
pub fn check(query: &Query) -> Result<()> {
    let unsupported = |message: &str| Err(error("UnsupportedSyntax", message));
    if query.condition.as_ref().is_some_and(has_aggregate) {
        return unsupported("Aggregate functions do not stand in a WHERE clause");
    }
    let Wanted::Items(items) = &query.wanted else { return Ok(()) };
    if !items.iter().any(|item| has_aggregate(&item.expression)) {
        return Ok(());
    }
    if items.iter().any(|item| has_path_outside(&item.expression)) {
        return unsupported("A SELECT list holds aggregate functions or fields of records, not both");
    }
    Ok(())
}

pub fn has_aggregate(expression: &Expression) -> bool {
    let mut found = false;
    expression.walk(&mut |inner| found |= matches!(inner, Expression::Aggregate { .. }));
    found
}

/// Whether a field is used that is no part of an aggregate, or an aggregate within another.
fn has_path_outside(expression: &Expression) -> bool {
    let (mut paths, mut within, mut nested) = (0, 0, false);
    expression.walk(&mut |inner| match inner {
        Expression::Path(_) => paths += 1,
        Expression::Aggregate { of: Some(of), .. } => {
            nested |= has_aggregate(of);
            of.walk(&mut |inner| within += usize::from(matches!(inner, Expression::Path(_))));
        }
        _ => {}
    });
    paths != within || nested
}

/// Sums are of numbers. What CSV says is text until it is cast: <https://github.com/minio/minio/pull/7876> tells what S3 answers.
fn summand(kind: Aggregate, value: Value) -> Result<Value> {
    let adds = matches!(kind, Aggregate::Sum | Aggregate::Avg);
    if adds && !value.is_absent() && !matches!(value, Value::Int(_) | Value::Float(_)) {
        return Err(error("ExternalEvalException", "The query cannot be evaluated. Check the file and try again."));
    }
    Ok(value)
}

/// The values that an aggregate has seen.
#[derive(Clone, Debug, Default)]
struct Gathered {
    count: i64,
    sum: f64,
    /// As long as all values are whole.
    whole: Option<i64>,
    least: Option<Value>,
    most: Option<Value>,
}

impl Gathered {
    fn take(&mut self, value: Value) {
        if value.is_absent() {
            return;
        }
        if self.count == 0 {
            self.whole = Some(0);
        }
        self.count += 1;
        self.sum += value.number().unwrap_or(0.0);
        self.whole = self.whole.and_then(|sum| sum.checked_add(value.whole()?));
        // Fields of CSV are texts: those that say numbers are ordered as numbers.
        let value = match (&value, value.whole(), value.number()) {
            (Value::Text(_), Some(whole), _) => Value::Int(whole),
            (Value::Text(_), None, Some(number)) => Value::Float(number),
            _ => value,
        };
        if self.least.as_ref().is_none_or(|least| compare(&value, least).is_some_and(|order| order.is_lt())) {
            self.least = Some(value.clone());
        }
        if self.most.as_ref().is_none_or(|most| compare(&value, most).is_some_and(|order| order.is_gt())) {
            self.most = Some(value);
        }
    }

    fn value(&self, kind: Aggregate) -> Value {
        let none_is_null = |value: Value| if self.count == 0 { Value::Null } else { value };
        match kind {
            Aggregate::Count => Value::Int(self.count),
            Aggregate::Sum => none_is_null(self.whole.map_or(Value::Float(self.sum), Value::Int)),
            Aggregate::Avg => none_is_null(Value::Float(self.sum / self.count.max(1) as f64)),
            Aggregate::Min => self.least.clone().unwrap_or(Value::Null),
            Aggregate::Max => self.most.clone().unwrap_or(Value::Null),
        }
    }
}

/// What a record came to.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// A result, as names and values.
    Fields(Vec<(String, Value)>),
    /// The record as it is.
    Whole(Row),
}

/// A query at work.
pub struct Evaluator {
    query: Query,
    now: Timestamp,
    gathered: Option<Vec<Gathered>>,
    emitted: u64,
}

impl Evaluator {
    pub fn new(query: Query, now: Timestamp) -> Self {
        let items: &[Item] = match &query.wanted {
            Wanted::Items(items) => items,
            Wanted::Everything => &[],
        };
        let mut places = 0;
        for item in items {
            item.expression.walk(&mut |inner| {
                if let Expression::Aggregate { place, .. } = inner {
                    places = places.max(place + 1);
                }
            });
        }
        let gathered = (places > 0).then(|| vec![Gathered::default(); places]);
        Evaluator { query, now, gathered, emitted: 0 }
    }

    /// Whether no further record can change the result.
    pub fn is_done(&self) -> bool {
        self.gathered.is_none() && self.query.limit.is_some_and(|limit| self.emitted >= limit)
    }

    /// Takes a record; each of the rows that the path in FROM finds in it may have a result.
    pub fn take(&mut self, record: Row) -> Result<Vec<Outcome>> {
        let rows = match record {
            Row::Document(document) if !self.query.from.is_empty() => {
                rows_of(document, &self.query.from).into_iter().map(|row| self.named_row(row)).collect()
            }
            Row::Fields { .. } if !self.query.from.is_empty() => {
                return Err(error("InvalidDataSource", "A path in the FROM clause is for JSON alone"));
            }
            row => vec![row],
        };
        let mut outcomes = Vec::new();
        for row in rows {
            if self.is_done() {
                break;
            }
            let passes = match &self.query.condition {
                None => true,
                Some(condition) => self.evaluate(condition, &row)? == Value::Bool(true),
            };
            if passes && let Some(outcome) = self.project(row)? {
                self.emitted += 1;
                outcomes.push(outcome);
            }
        }
        Ok(outcomes)
    }

    /// A row that is no object has a name, so that it can be spoken of: the last of its path, else `_1`.
    fn named_row(&self, row: Value) -> Row {
        if matches!(row, Value::Object(_)) {
            return Row::Document(row);
        }
        let name = match self.query.from.last() {
            Some(Step::Name { name, .. }) => name.clone(),
            _ => "_1".to_owned(),
        };
        Row::Document(Value::Object(vec![(name, row)]))
    }

    fn project(&mut self, row: Row) -> Result<Option<Outcome>> {
        let Wanted::Items(items) = &self.query.wanted else { return Ok(Some(Outcome::Whole(row))) };
        if self.gathered.is_some() {
            self.gather(&row)?;
            return Ok(None);
        }
        let fields = items.iter().map(|item| Ok((item.name.clone(), self.evaluate(&item.expression, &row)?)));
        Ok(Some(Outcome::Fields(fields.collect::<Result<_>>()?)))
    }

    fn gather(&mut self, row: &Row) -> Result<()> {
        let Wanted::Items(items) = &self.query.wanted else { return Ok(()) };
        let mut values = Vec::new();
        let mut failed = None;
        for item in items {
            item.expression.walk(&mut |inner| {
                if let Expression::Aggregate { kind, of, place } = inner {
                    let value = of.as_ref().map_or(Ok(Value::Bool(true)), |of| self.evaluate(of, row));
                    match value.and_then(|value| summand(*kind, value)) {
                        Ok(value) => values.push((*place, value)),
                        Err(error) => failed = Some(error),
                    }
                }
            });
        }
        if let Some(error) = failed {
            return Err(error);
        }
        for (place, value) in values {
            if let Some(gathered) = self.gathered.as_mut().and_then(|all| all.get_mut(place)) {
                gathered.take(value);
            }
        }
        Ok(())
    }

    /// The one result of a query with aggregates.
    pub fn finish(&mut self) -> Result<Option<Outcome>> {
        let Wanted::Items(items) = &self.query.wanted else { return Ok(None) };
        if self.gathered.is_none() || self.query.limit == Some(0) {
            return Ok(None);
        }
        let nothing = Row::Document(Value::Object(Vec::new()));
        let fields = items.iter().map(|item| Ok((item.name.clone(), self.evaluate(&item.expression, &nothing)?)));
        Ok(Some(Outcome::Fields(fields.collect::<Result<_>>()?)))
    }

    fn evaluate(&self, expression: &Expression, row: &Row) -> Result<Value> {
        let of = |inner: &Expression| self.evaluate(inner, row);
        Ok(match expression {
            Expression::Literal(value) => value.clone(),
            Expression::Path(steps) => self.look_up(steps, row)?,
            Expression::Not(inner) => truth(&of(inner)?).map_or(Value::Null, |value| Value::Bool(!value)),
            Expression::Negate(inner) => arithmetic(Operator::Subtract, &Value::Int(0), &of(inner)?)?,
            Expression::Binary(operator, left, right) => self.binary(*operator, left, right, row)?,
            Expression::Between { value, low, high, negated } => {
                let (value, low, high) = (of(value)?, of(low)?, of(high)?);
                let within = match (compare(&value, &low), compare(&value, &high)) {
                    (Some(low), Some(high)) => Some(low.is_ge() && high.is_le()),
                    _ => None,
                };
                negate_if(*negated, within)
            }
            Expression::In { value, list, negated } => self.is_in(&of(value)?, list, *negated, row)?,
            Expression::Like { value, pattern, escape, negated } => {
                let escape = escape.as_ref().map(|escape| of(escape)).transpose()?;
                like(&of(value)?, &of(pattern)?, escape.as_ref(), *negated)?
            }
            Expression::IsNull { value, negated } => Value::Bool(of(value)?.is_absent() != *negated),
            Expression::IsMissing { value, negated } => Value::Bool((of(value)? == Value::Missing) != *negated),
            Expression::Case { operand, branches, otherwise } => {
                let operand = operand.as_ref().map(|operand| of(operand)).transpose()?;
                for (when, then) in branches {
                    let when = of(when)?;
                    let holds = match &operand {
                        Some(operand) => compare(operand, &when).is_some_and(|order| order.is_eq()),
                        None => when == Value::Bool(true),
                    };
                    if holds {
                        return of(then);
                    }
                }
                otherwise.as_ref().map_or(Ok(Value::Null), |otherwise| of(otherwise))?
            }
            Expression::Cast(inner, to) => functions::cast(&of(inner)?, *to)?,
            Expression::Call { name, arguments } => {
                let arguments = arguments.iter().map(of).collect::<Result<Vec<_>>>()?;
                functions::call(name, &arguments, self.now)?
            }
            Expression::Aggregate { kind, place, .. } => {
                let gathered = self.gathered.as_ref().and_then(|all| all.get(*place));
                gathered.map_or(Value::Null, |gathered| gathered.value(*kind))
            }
        })
    }

    fn is_in(&self, value: &Value, list: &[Expression], negated: bool, row: &Row) -> Result<Value> {
        let mut unknown = value.is_absent();
        for item in list {
            match compare(value, &self.evaluate(item, row)?) {
                Some(order) if order.is_eq() => return Ok(Value::Bool(!negated)),
                Some(_) => {}
                None => unknown |= value.is_absent(),
            }
        }
        Ok(if unknown { Value::Null } else { Value::Bool(negated) })
    }

    fn binary(&self, operator: Operator, left: &Expression, right: &Expression, row: &Row) -> Result<Value> {
        let left = self.evaluate(left, row)?;
        // What is decided already is not looked at further.
        match (operator, truth(&left)) {
            (Operator::And, Some(false)) => return Ok(Value::Bool(false)),
            (Operator::Or, Some(true)) => return Ok(Value::Bool(true)),
            _ => {}
        }
        let right = self.evaluate(right, row)?;
        let ordered = || compare(&left, &right);
        let as_value = |holds: Option<bool>| holds.map_or(Value::Null, Value::Bool);
        Ok(match operator {
            Operator::And => match truth(&right) {
                Some(false) => Value::Bool(false),
                other => as_value(truth(&left).and(other)),
            },
            Operator::Or => match truth(&right) {
                Some(true) => Value::Bool(true),
                other => as_value(truth(&left).and(other)),
            },
            Operator::Equal => as_value(ordered().map(|order| order.is_eq())),
            Operator::NotEqual => as_value(ordered().map(|order| order.is_ne())),
            Operator::Less => as_value(ordered().map(|order| order.is_lt())),
            Operator::LessOrEqual => as_value(ordered().map(|order| order.is_le())),
            Operator::Greater => as_value(ordered().map(|order| order.is_gt())),
            Operator::GreaterOrEqual => as_value(ordered().map(|order| order.is_ge())),
            Operator::Concatenate if left.is_absent() || right.is_absent() => Value::Null,
            Operator::Concatenate => Value::Text(left.plain() + &right.plain()),
            arithmetical => arithmetic(arithmetical, &left, &right)?,
        })
    }

    fn look_up(&self, steps: &[Step], row: &Row) -> Result<Value> {
        let alias = self.query.alias.as_deref().unwrap_or("s3object");
        let inner = match steps.split_first() {
            Some((Step::Name { name, .. }, rest)) if name.eq_ignore_ascii_case(alias) => rest,
            _ => steps,
        };
        match row {
            Row::Document(document) => Ok(follow(document, inner)),
            Row::Fields { names, values } => field(names, values, inner),
        }
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        _ => None,
    }
}

fn negate_if(negated: bool, holds: Option<bool>) -> Value {
    holds.map_or(Value::Null, |holds| Value::Bool(holds != negated))
}

fn like(value: &Value, pattern: &Value, escape: Option<&Value>, negated: bool) -> Result<Value> {
    let (Value::Text(text), Value::Text(pattern)) = (value, pattern) else {
        return match value.is_absent() || pattern.is_absent() {
            true => Ok(Value::Null),
            false => Err(error("LikeInvalidInputs", "LIKE takes texts")),
        };
    };
    let escape = match escape {
        None => None,
        Some(Value::Text(escape)) if escape.chars().count() == 1 => escape.chars().next(),
        Some(_) => return Err(error("LikeInvalidInputs", "ESCAPE takes one character")),
    };
    Ok(negate_if(negated, Some(functions::like(text, pattern, escape)?)))
}

fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value> {
    if left.is_absent() || right.is_absent() {
        return Ok(Value::Null);
    }
    if let (Some(left), Some(right)) = (left.whole(), right.whole()) {
        let by_zero = matches!(operator, Operator::Divide | Operator::Remainder) && right == 0;
        let outcome = match operator {
            _ if by_zero => return Err(error("EvaluatorInvalidArguments", "Division by zero")),
            Operator::Add => left.checked_add(right),
            Operator::Subtract => left.checked_sub(right),
            Operator::Multiply => left.checked_mul(right),
            Operator::Divide => left.checked_div(right),
            _ => left.checked_rem(right),
        };
        return outcome.map(Value::Int).ok_or_else(|| error("IntegerOverflow", "An integer overflows"));
    }
    let number = |value: &Value| {
        let message = format!("An operand of an arithmetic operation is no number: {}", value.plain());
        value.number().ok_or_else(|| error("InvalidArgument", message))
    };
    let (left, right) = (number(left)?, number(right)?);
    Ok(Value::Float(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        _ => left % right,
    }))
}

fn member<'v>(members: &'v [(String, Value)], name: &str, exact: bool) -> Option<&'v Value> {
    let same = |(known, _): &&(String, Value)| if exact { known == name } else { known.eq_ignore_ascii_case(name) };
    // The name as it is written goes before one in other letters.
    let found = members.iter().find(|(known, _)| known == name).or_else(|| members.iter().find(same));
    found.map(|(_, value)| value)
}

fn follow(document: &Value, steps: &[Step]) -> Value {
    let mut here = document;
    for step in steps {
        let next = match (step, here) {
            (Step::Name { name, exact }, Value::Object(members)) => member(members, name, *exact),
            (Step::Index(at), Value::List(items)) => items.get(*at),
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => return Value::Missing,
        }
    }
    here.clone()
}

/// A field by its column's name, or by its number: `_1` is the first.
fn field(names: &[String], values: &[String], steps: &[Step]) -> Result<Value> {
    let text = |at: usize| values.get(at).map_or(Value::Missing, |text| Value::Text(text.clone()));
    match steps {
        [] => Ok(Value::Object(columns(names, values))),
        [Step::Name { name, exact }] => {
            let exactly = names.iter().position(|known| known == name);
            let loosely = || names.iter().position(|known| !exact && known.eq_ignore_ascii_case(name));
            if let Some(at) = exactly.or_else(loosely) {
                return Ok(text(at));
            }
            let number = name.strip_prefix('_').and_then(|number| number.parse::<usize>().ok());
            match number {
                Some(0) => Err(error("InvalidColumnIndex", "The column index is not valid: columns begin with _1")),
                Some(number) => Ok(text(number - 1)),
                None if names.is_empty() => Err(error(
                    "InvalidColumnIndex",
                    format!("There is no column {name}: without a header columns are _1, _2 ..."),
                )),
                None => {
                    let message = "Some headers in the query are missing from the file. Check the file and try again.";
                    Err(error("MissingHeaders", message))
                }
            }
        }
        _ => Err(error("ParseInvalidPathComponent", "Fields of CSV have no parts")),
    }
}

/// A record's fields with the names of their columns.
pub fn columns(names: &[String], values: &[String]) -> Vec<(String, Value)> {
    let name = |at: usize| names.get(at).cloned().unwrap_or_else(|| format!("_{}", at + 1));
    values.iter().enumerate().map(|(at, value)| (name(at), Value::Text(value.clone()))).collect()
}

/// What the path in FROM finds in a document; a wildcard that finds nothing finds one row of nothing.
fn rows_of(document: Value, steps: &[Step]) -> Vec<Value> {
    let mut rows = vec![document];
    for step in steps {
        let mut next = Vec::new();
        for row in rows {
            match (step, row) {
                (Step::AnyElement, Value::List(items)) => next.extend(items),
                (Step::AnyMember, Value::Object(members)) => next.extend(members.into_iter().map(|(_, value)| value)),
                (Step::AnyElement | Step::AnyMember, _) => {}
                (step, row) => next.push(follow(&row, std::slice::from_ref(step))),
            }
        }
        rows = next;
    }
    if rows.is_empty() { vec![Value::Missing] } else { rows }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn ask(query: &str, records: &[&str]) -> Result<Vec<String>> {
        let mut evaluator = Evaluator::new(parse::query(query)?, Timestamp::from_secs(0));
        let mut all = Vec::new();
        for record in records {
            all.extend(evaluator.take(Row::Document(serde_json::from_str(record).unwrap()))?);
        }
        all.extend(evaluator.finish()?);
        Ok(all.into_iter().map(shown).collect())
    }

    fn shown(outcome: Outcome) -> String {
        match outcome {
            Outcome::Whole(Row::Document(value)) => value.json(),
            Outcome::Whole(Row::Fields { values, .. }) => values.join("|"),
            Outcome::Fields(fields) => Value::Object(fields).json(),
        }
    }

    const PEOPLE: [&str; 3] = [
        r#"{"name":"Ann","age":31,"tags":["a","b"]}"#,
        r#"{"name":"Bob","age":17,"tags":[]}"#,
        r#"{"name":"Cid","tags":null}"#,
    ];

    #[test]
    fn conditions_projections_and_limits() {
        let of = |query: &str| ask(query, &PEOPLE).unwrap();
        assert_eq!(of("SELECT s.name FROM S3Object s WHERE s.age > 18"), [r#"{"name":"Ann"}"#]);
        assert_eq!(of("SELECT name AS n, age + 1 FROM S3Object LIMIT 1"), [r#"{"n":"Ann","_2":32}"#]);
        assert_eq!(of("SELECT * FROM S3Object s WHERE s.age IS NULL").len(), 1);
        assert_eq!(of("SELECT * FROM S3Object s WHERE s.age IS MISSING").len(), 1);
        assert_eq!(of("SELECT * FROM S3Object s WHERE s.tags IS MISSING").len(), 0);
        assert_eq!(of("SELECT s.name FROM S3Object s WHERE NOT s.age > 18"), [r#"{"name":"Bob"}"#]);
        assert_eq!(of("SELECT s.name FROM S3Object s WHERE s.name LIKE '_o%'"), [r#"{"name":"Bob"}"#]);
        assert_eq!(of("SELECT s.tags[1] FROM S3Object s WHERE s.name IN ('Ann', 'Cid')"), [r#"{"_1":"b"}"#, "{}"]);
        assert_eq!(of("SELECT s.name FROM S3Object s WHERE s.age BETWEEN 10 AND 20"), [r#"{"name":"Bob"}"#]);
        let case = "SELECT CASE WHEN s.age >= 18 THEN 'adult' WHEN s.age < 18 THEN 'minor' END AS k FROM S3Object s";
        assert_eq!(of(case), [r#"{"k":"adult"}"#, r#"{"k":"minor"}"#, r#"{"k":null}"#]);
    }

    #[test]
    fn aggregates_pass_over_what_is_absent() {
        let query = "SELECT COUNT(*) AS n, COUNT(age), SUM(age), AVG(age), MIN(age), MAX(name) FROM S3Object";
        let expected = r#"{"n":3,"_2":2,"_3":48,"_4":24.0,"_5":17,"_6":"Cid"}"#;
        assert_eq!(ask(query, &PEOPLE).unwrap(), [expected]);
        assert_eq!(ask("SELECT COUNT(*), name FROM S3Object", &[]).unwrap_err().code, "UnsupportedSyntax");
        assert_eq!(ask("SELECT SUM(age) FROM S3Object", &[]).unwrap(), [r#"{"_1":null}"#]);
        assert_eq!(ask("SELECT AVG(name) FROM S3Object", &PEOPLE).unwrap_err().code, "ExternalEvalException");
    }

    #[test]
    fn paths_in_from_make_rows() {
        let document = [r#"{"books":[{"price":1},{"price":2}],"n":{"a":5,"b":6}}"#];
        let of = |query: &str| ask(query, &document).unwrap();
        assert_eq!(of("SELECT b.price FROM S3Object[*].books[*] b WHERE b.price > 1"), [r#"{"price":2}"#]);
        assert_eq!(of("SELECT price FROM S3Object[*].books[*].price"), [r#"{"price":1}"#, r#"{"price":2}"#]);
        assert_eq!(of("SELECT * FROM S3Object[*].n.*"), [r#"{"_1":5}"#, r#"{"_1":6}"#]);
        assert_eq!(of("SELECT s.n.b FROM S3Object[*] s"), [r#"{"b":6}"#]);
    }

    #[test]
    fn what_is_no_query_is_refused_by_name() {
        let code = |query: &str| parse::query(query).unwrap_err().code;
        assert_eq!(code("SELECT a"), "ParseSelectMissingFrom");
        assert_eq!(code("SELECT FROM S3Object"), "ParseEmptySelect");
        assert_eq!(code("SELECT *, a FROM S3Object"), "ParseAsteriskIsNotAloneInSelectList");
        assert_eq!(code("SELECT a FROM other"), "InvalidDataSource");
        assert_eq!(code("SELECT f(a) FROM S3Object"), "UnsupportedFunction");
        assert_eq!(code("SELECT a FROM S3Object GROUP BY a"), "UnsupportedSyntax");
        assert_eq!(code("SELECT DISTINCT a FROM S3Object"), "UnsupportedSyntax");
        assert_eq!(code("SELECT CAST(a AS what) FROM S3Object"), "InvalidDataType");
        assert_eq!(code("DELETE FROM S3Object"), "ParseUnexpectedToken");
        assert_eq!(
            code(&format!("SELECT {}1{} FROM S3Object", "(".repeat(200), ")".repeat(200))),
            "ParseUnsupportedSyntax"
        );
    }
}
