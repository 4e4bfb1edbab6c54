//! Conditions: every operator of the policy language, with its set operators and its `IfExists`.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html> and, for the
//! set operators,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>.

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;

use crate::context::Context;
use crate::pattern::{Case, Pattern, Syntax};

/// What is compared, without its negation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    BinaryEquals,
    IpAddress,
    Arn,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Order::Equals => ordering.is_eq(),
            Order::LessThan => ordering.is_lt(),
            Order::LessThanEquals => ordering.is_le(),
            Order::GreaterThan => ordering.is_gt(),
            Order::GreaterThanEquals => ordering.is_ge(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    /// No set operator.
    Plain,
    ForAllValues,
    ForAnyValue,
}

/// An operator as a document names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    comparison: Comparison,
    negated: bool,
    quantifier: Quantifier,
    if_exists: bool,
}

impl Operator {
    /// `None` for a name that is no operator. Names are told apart without regard to case, as IAM does.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (quantifier, name) = match name.split_once(':') {
            Some(("forallvalues", name)) => (Quantifier::ForAllValues, name),
            Some(("foranyvalue", name)) => (Quantifier::ForAnyValue, name),
            Some(_) => return None,
            None => (Quantifier::Plain, name.as_str()),
        };
        let (name, if_exists) = name.strip_suffix("ifexists").map_or((name, false), |name| (name, true));
        let (comparison, negated) = match name {
            "stringequals" => (Comparison::StringEquals, false),
            "stringnotequals" => (Comparison::StringEquals, true),
            "stringequalsignorecase" => (Comparison::StringEqualsIgnoreCase, false),
            "stringnotequalsignorecase" => (Comparison::StringEqualsIgnoreCase, true),
            "stringlike" => (Comparison::StringLike, false),
            "stringnotlike" => (Comparison::StringLike, true),
            "bool" => (Comparison::Bool, false),
            "binaryequals" => (Comparison::BinaryEquals, false),
            "ipaddress" => (Comparison::IpAddress, false),
            "notipaddress" => (Comparison::IpAddress, true),
            // The two differ in name only: both take wildcards.
            "arnequals" | "arnlike" => (Comparison::Arn, false),
            "arnnotequals" | "arnnotlike" => (Comparison::Arn, true),
            "null" if !if_exists => (Comparison::Null, false),
            _ => match name.strip_prefix("numeric") {
                Some(order) => Order::parse(order).map(|(order, negated)| (Comparison::Numeric(order), negated))?,
                None => {
                    let order = name.strip_prefix("date")?;
                    Order::parse(order).map(|(order, negated)| (Comparison::Date(order), negated))?
                }
            },
        };
        Some(Operator { comparison, negated, quantifier, if_exists })
    }

    fn syntax(self, variables: bool) -> Syntax {
        match self.comparison {
            Comparison::StringLike | Comparison::Arn => Syntax { wildcards: true, variables },
            _ => Syntax { wildcards: false, variables },
        }
    }
}

impl Order {
    fn parse(name: &str) -> Option<(Self, bool)> {
        Some(match name {
            "equals" => (Order::Equals, false),
            "notequals" => (Order::Equals, true),
            "lessthan" => (Order::LessThan, false),
            "lessthanequals" => (Order::LessThanEquals, false),
            "greaterthan" => (Order::GreaterThan, false),
            "greaterthanequals" => (Order::GreaterThanEquals, false),
            _ => return None,
        })
    }
}

/// A value of the document, read once into the form that its operator compares.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Text(Pattern),
    Number(Number),
    Date(Timestamp),
    Bytes(Vec<u8>),
    Network(Network),
    Bool(bool),
    /// What its operator cannot read: equal to nothing.
    Nothing,
}

/// One clause: an operator, a key, and the values of which one must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    name: String,
    key: String,
    operator: Operator,
    wanted: Vec<Wanted>,
    values: Vec<String>,
}

impl Condition {
    pub(crate) fn new(name: &str, operator: Operator, key: &str, values: Vec<String>, variables: bool) -> Self {
        let wanted = values.iter().map(|value| Wanted::read(operator, value, variables)).collect();
        Condition { name: name.to_owned(), key: key.to_owned(), operator, wanted, values }
    }

    /// The operator as the document writes it.
    pub fn operator(&self) -> &str {
        &self.name
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    /// The values as the document writes them.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether it is the negation that is asked for, as in `StringNotEquals`.
    pub fn is_negated(&self) -> bool {
        self.operator.negated
    }

    /// Whether a request without the key fulfils it.
    pub fn holds_if_absent(&self) -> bool {
        self.holds(&Context::new())
    }

    pub fn holds(&self, context: &Context) -> bool {
        let Operator { comparison, negated, quantifier, if_exists } = self.operator;
        let given = context.get(&self.key);
        if comparison == Comparison::Null {
            let absent = given.is_none_or(<[String]>::is_empty);
            return self.wanted.contains(&Wanted::Bool(absent));
        }
        // A negated operator matches a value that none of the document's values match.
        let matches = |value: &String| self.wanted.iter().any(|wanted| wanted.matches(comparison, value, context));
        let Some(given) = given else {
            return match quantifier {
                Quantifier::ForAllValues => true,
                Quantifier::ForAnyValue => false,
                Quantifier::Plain => if_exists || negated,
            };
        };
        match quantifier {
            // An empty set fulfils it, and so does one that resolves to nothing but empty texts.
            Quantifier::ForAllValues => {
                given.iter().filter(|value| !value.is_empty()).all(|value| matches(value) != negated)
            }
            Quantifier::ForAnyValue => given.iter().any(|value| matches(value) != negated),
            Quantifier::Plain => given.iter().any(matches) != negated,
        }
    }
}

impl Wanted {
    fn read(operator: Operator, value: &str, variables: bool) -> Self {
        let read = match operator.comparison {
            Comparison::StringEquals
            | Comparison::StringEqualsIgnoreCase
            | Comparison::StringLike
            | Comparison::Arn => return Wanted::Text(Pattern::compile(value, operator.syntax(variables))),
            // Values of the other operators may hold variables too; they are read when those are known.
            _ if variables && value.contains("${") => {
                return Wanted::Text(Pattern::compile(value, operator.syntax(variables)));
            }
            comparison => Self::read_plain(comparison, value),
        };
        read.unwrap_or(Wanted::Nothing)
    }

    fn read_plain(comparison: Comparison, value: &str) -> Option<Self> {
        match comparison {
            Comparison::Numeric(_) => Number::parse(value).map(Wanted::Number),
            Comparison::Date(_) => parse_date(value).map(Wanted::Date),
            Comparison::Bool | Comparison::Null => parse_bool(value).map(Wanted::Bool),
            Comparison::BinaryEquals => STANDARD.decode(value).ok().map(Wanted::Bytes),
            Comparison::IpAddress => Network::parse(value).map(Wanted::Network),
            _ => None,
        }
    }

    fn matches(&self, comparison: Comparison, given: &str, context: &Context) -> bool {
        match (self, comparison) {
            (Wanted::Text(pattern), Comparison::StringEquals | Comparison::StringLike) => {
                pattern.matches(given, context, Case::Sensitive)
            }
            (Wanted::Text(pattern), Comparison::StringEqualsIgnoreCase) => {
                pattern.matches(given, context, Case::Insensitive)
            }
            (Wanted::Text(pattern), Comparison::Arn) => pattern.matches_arn(given, context),
            (Wanted::Text(pattern), _) => pattern
                .value(context)
                .and_then(|value| Self::read_plain(comparison, &value))
                .is_some_and(|wanted| wanted.matches(comparison, given, context)),
            (Wanted::Number(wanted), Comparison::Numeric(order)) => {
                Number::parse(given).and_then(|given| given.compare(wanted)).is_some_and(|found| order.holds(found))
            }
            (Wanted::Date(wanted), Comparison::Date(order)) => {
                parse_date(given).is_some_and(|given| order.holds(given.cmp(wanted)))
            }
            (Wanted::Bool(wanted), Comparison::Bool) => parse_bool(given) == Some(*wanted),
            (Wanted::Bytes(wanted), Comparison::BinaryEquals) => {
                STANDARD.decode(given).is_ok_and(|given| given == *wanted)
            }
            (Wanted::Network(network), Comparison::IpAddress) => {
                given.parse().is_ok_and(|address| network.contains(address))
            }
            _ => false,
        }
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// ISO 8601, a date alone included, or seconds since 1970.
fn parse_date(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(Timestamp::from_secs(seconds));
    }
    Timestamp::parse_date_time(text)
        .or_else(|_| Timestamp::parse_date_time(&format!("{text}T00:00:00Z")))
        .or_else(|_| Timestamp::parse_date_time(&format!("{text}Z")))
        .ok()
}

/// Whole numbers compare exactly, others as floating point.
#[derive(Clone, Copy, Debug)]
enum Number {
    Whole(i128),
    Real(f64),
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other).is_some_and(Ordering::is_eq)
    }
}

impl Eq for Number {}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let real = || text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Real);
        text.parse().ok().map(Number::Whole).or_else(real)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        let real = |number: &Number| match number {
            Number::Whole(number) => *number as f64,
            Number::Real(number) => *number,
        };
        match (self, other) {
            (Number::Whole(left), Number::Whole(right)) => Some(left.cmp(right)),
            _ => real(self).partial_cmp(&real(other)),
        }
    }
}

/// An address range in CIDR form; without a length, one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    length: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(most), |length| length.parse().ok())?;
        (length <= most).then_some(Network { address, length })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let shared = |left: u128, right: u128, width: u32| match self.length {
            0 => true,
            length => (left ^ right) >> (width - length) == 0,
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                shared(u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => shared(network.to_bits(), address.to_bits(), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, wanted: &[&str], given: Option<&[&str]>) -> bool {
        let mut context = Context::new().with("aws:username", "ann");
        if let Some(given) = given {
            context.insert_many("k", given.iter().copied());
        }
        let values = wanted.iter().map(|value| (*value).to_owned()).collect();
        Condition::new(operator, Operator::parse(operator).unwrap(), "K", values, true).holds(&context)
    }

    /// AWS's tables of operators: the operator, the document's values, the request's, the outcome.
    #[test]
    fn operators() {
        let absent = None;
        let one = |value: &'static str| -> Option<Vec<&'static str>> { Some(vec![value]) };
        type Row = (&'static str, &'static [&'static str], Option<Vec<&'static str>>, bool);
        let rows: Vec<Row> = vec![
            ("StringEquals", &["a", "b"], one("b"), true),
            ("StringEquals", &["a"], one("A"), false),
            ("StringEquals", &["a*"], one("ab"), false),
            ("StringEquals", &["${aws:username}"], one("ann"), true),
            ("StringEquals", &["a"], absent.clone(), false),
            ("StringNotEquals", &["a", "b"], one("b"), false),
            ("StringNotEquals", &["a", "b"], one("c"), true),
            ("StringNotEquals", &["a"], absent.clone(), true),
            ("StringEqualsIgnoreCase", &["a"], one("A"), true),
            ("StringNotEqualsIgnoreCase", &["a"], one("A"), false),
            ("StringLike", &["a*", "x?z"], one("xyz"), true),
            ("StringLike", &["a*"], one("Ab"), false),
            ("StringNotLike", &["a*"], one("ab"), false),
            ("StringNotLike", &["a*"], absent.clone(), true),
            ("StringEqualsIfExists", &["a"], absent.clone(), true),
            ("StringEqualsIfExists", &["a"], one("b"), false),
            ("NumericEquals", &["10"], one("10.0"), true),
            ("NumericNotEquals", &["10"], one("11"), true),
            ("NumericLessThan", &["10"], one("9"), true),
            ("NumericLessThan", &["10"], one("10"), false),
            ("NumericLessThanEquals", &["10"], one("10"), true),
            ("NumericGreaterThan", &["9007199254740993"], one("9007199254740992"), false),
            ("NumericGreaterThanEquals", &["10"], one("11"), true),
            ("NumericEquals", &["ten"], one("ten"), false),
            ("DateEquals", &["2013-06-30T00:00:00Z"], one("1372550400"), true),
            ("DateLessThan", &["2013-06-30"], one("2013-06-29T23:59:59Z"), true),
            ("DateGreaterThan", &["2013-06-30T00:00:00Z"], one("2013-06-30T00:00:01Z"), true),
            ("DateGreaterThanEquals", &["2013-06-30T00:00:00Z"], one("2013-06-30T00:00:00Z"), true),
            ("DateLessThanEquals", &["2013-06-30T00:00:00Z"], one("2013-06-30T00:00:01Z"), false),
            ("DateNotEquals", &["2013-06-30T00:00:00Z"], one("2013-06-30T00:00:01Z"), true),
            ("Bool", &["true"], one("TRUE"), true),
            ("Bool", &["false"], one("true"), false),
            ("Bool", &["true"], absent.clone(), false),
            ("BoolIfExists", &["true"], absent.clone(), true),
            ("BinaryEquals", &["QmluYXJ5VmFsdWVJbkJhc2U2NA=="], one("QmluYXJ5VmFsdWVJbkJhc2U2NA=="), true),
            ("BinaryEquals", &["QQ=="], one("QUE="), false),
            ("IpAddress", &["203.0.113.0/24"], one("203.0.113.77"), true),
            ("IpAddress", &["203.0.113.0/24"], one("203.0.114.1"), false),
            ("IpAddress", &["203.0.113.7"], one("203.0.113.7"), true),
            ("IpAddress", &["0.0.0.0/0"], one("8.8.8.8"), true),
            ("IpAddress", &["2001:db8:1234:5678::/64"], one("2001:db8:1234:5678::1"), true),
            ("IpAddress", &["2001:db8:1234:5678::/64"], one("2001:db8:1234:5679::1"), false),
            ("IpAddress", &["203.0.113.0/24"], one("::ffff:203.0.113.9"), true),
            ("NotIpAddress", &["203.0.113.0/24"], one("203.0.113.77"), false),
            ("NotIpAddress", &["203.0.113.0/24"], absent.clone(), true),
            ("ArnEquals", &["arn:aws:sns:*:123456789012:t?"], one("arn:aws:sns:eu-west-1:123456789012:t1"), true),
            ("ArnLike", &["arn:aws:sns:*:t1"], one("arn:aws:sns:eu-west-1:123456789012:t1"), false),
            ("ArnNotLike", &["arn:aws:s3:::b*"], one("arn:aws:s3:::bucket"), false),
            ("ArnNotEquals", &["arn:aws:s3:::b"], absent.clone(), true),
            ("Null", &["true"], absent.clone(), true),
            ("Null", &["false"], absent.clone(), false),
            ("Null", &["true"], one("x"), false),
            ("Null", &["false"], one("x"), true),
        ];
        for (operator, wanted, given, expected) in rows {
            assert_eq!(holds(operator, wanted, given.as_deref()), expected, "{operator} {wanted:?} {given:?}");
        }
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
    #[test]
    fn set_operators() {
        type Row = (&'static str, &'static [&'static str], Option<&'static [&'static str]>, bool);
        let rows: [Row; 15] = [
            ("ForAllValues:StringEquals", &["a", "b"], Some(&["a", "b"]), true),
            ("ForAllValues:StringEquals", &["a", "b"], Some(&["a"]), true),
            ("ForAllValues:StringEquals", &["a", "b"], Some(&["a", "c"]), false),
            ("ForAllValues:StringEquals", &["a"], Some(&[]), true),
            ("ForAllValues:StringEquals", &["a"], Some(&[""]), true),
            ("ForAllValues:StringEquals", &["a"], None, true),
            ("ForAnyValue:StringEquals", &["a", "b"], Some(&["c", "b"]), true),
            ("ForAnyValue:StringEquals", &["a", "b"], Some(&["c", "d"]), false),
            ("ForAnyValue:StringEquals", &["a"], Some(&[]), false),
            ("ForAnyValue:StringEquals", &["a"], None, false),
            ("ForAllValues:StringNotEquals", &["a"], Some(&["b", "c"]), true),
            ("ForAllValues:StringNotEquals", &["a"], Some(&["a", "c"]), false),
            ("ForAnyValue:StringNotEquals", &["a"], Some(&["a", "c"]), true),
            ("ForAnyValue:StringNotEquals", &["a"], Some(&["a"]), false),
            ("ForAnyValue:StringLike", &["arn:*"], Some(&["x", "arn:y"]), true),
        ];
        for (operator, wanted, given, expected) in rows {
            assert_eq!(holds(operator, wanted, given), expected, "{operator} {wanted:?} {given:?}");
        }
    }

    #[test]
    fn names() {
        for name in ["ForAnyValue:StringLikeIfExists", "stringEQUALS", "DateEqualsIfExists", "Null", "ArnLikeIfExists"]
        {
            assert!(Operator::parse(name).is_some(), "{name}");
        }
        for name in ["StringMatches", "NullIfExists", "ForEach:StringEquals", "Numeric", "", "BoolNot"] {
            assert!(Operator::parse(name).is_none(), "{name}");
        }
    }
}
