//! What a target is sent: the event, a part of it, a constant, or a template filled with parts of it.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html>

use std::borrow::Cow;

use fractus_clock::Timestamp;

use super::json::push_string;
use super::path::{self, Path};

/// What a target says of its input, made ready.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    Whole,
    Constant(String),
    Part(Path),
    Template(Template),
}

/// What the reserved variables stand for.
#[derive(Clone, Copy, Debug)]
pub struct Reserved<'a> {
    pub rule_arn: &'a str,
    pub rule_name: &'a str,
    pub ingested_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Variable { source: Variable, in_string: bool },
}

#[derive(Clone, Debug, PartialEq)]
enum Variable {
    /// A path that cannot be read finds nothing.
    Path(Option<Path>),
    RuleArn,
    RuleName,
    IngestionTime,
    Event,
    WholeEvent,
}

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateFlaw {
    /// A name that no path is given for.
    Placeholder(String),
    /// Filled, it would be no JSON: neither one value nor lines of strings. Line and column from 1.
    NotJson { line: usize, column: usize },
}

impl Input {
    /// The body for the target. `event` is JSON without space between its tokens.
    pub fn apply<'e>(&'e self, event: &'e str, reserved: &Reserved<'_>) -> Cow<'e, str> {
        match self {
            Input::Whole => Cow::Borrowed(event),
            Input::Constant(text) => Cow::Borrowed(text),
            // What the path does not find is an empty object: AWS does not say what it sends.
            Input::Part(path) => path.find(event).unwrap_or(Cow::Borrowed("{}")),
            Input::Template(template) => Cow::Owned(template.fill(event, reserved)),
        }
    }
}

fn variable<'p>(name: &str, path_of: impl Fn(&str) -> Option<&'p str>) -> Option<Variable> {
    Some(match name {
        "aws.events.rule-arn" => Variable::RuleArn,
        "aws.events.rule-name" => Variable::RuleName,
        "aws.events.event.ingestion-time" => Variable::IngestionTime,
        "aws.events.event" => Variable::Event,
        "aws.events.event.json" => Variable::WholeEvent,
        own => Variable::Path(Path::parse(path_of(own)?)),
    })
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !text.is_empty() && text.bytes().all(plain)
}

impl Template {
    /// Reads a template; `path_of` gives the path of a variable.
    pub fn parse<'p>(text: &str, path_of: impl Fn(&str) -> Option<&'p str>) -> Result<Self, TemplateFlaw> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut in_string = false;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            match c {
                '\\' if in_string => {
                    let escaped = after.chars().next().map_or(0, char::len_utf8);
                    plain.push_str(&rest[..1 + escaped]);
                    rest = &after[escaped..];
                    continue;
                }
                '"' => in_string = !in_string,
                '<' => {
                    if let Some((name, behind)) = after.split_once('>').filter(|(name, _)| is_name(name)) {
                        let source =
                            variable(name, &path_of).ok_or_else(|| TemplateFlaw::Placeholder(name.to_owned()))?;
                        if !plain.is_empty() {
                            pieces.push(Piece::Text(std::mem::take(&mut plain)));
                        }
                        pieces.push(Piece::Variable { source, in_string });
                        rest = behind;
                        continue;
                    }
                }
                _ => {}
            }
            plain.push(c);
            rest = after;
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        let template = Template { pieces };
        template.check()?;
        Ok(template)
    }

    /// Filled with a value of no meaning, it must be JSON values one behind the other.
    fn check(&self) -> Result<(), TemplateFlaw> {
        let mut sample = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => sample.push_str(text),
                Piece::Variable { in_string: true, .. } => {}
                Piece::Variable { in_string: false, .. } => sample.push('0'),
            }
        }
        let mut values = serde_json::Deserializer::from_str(&sample).into_iter::<serde::de::IgnoredAny>();
        match values.find_map(Result::err) {
            None => Ok(()),
            Some(error) => Err(TemplateFlaw::NotJson { line: error.line(), column: error.column() }),
        }
    }

    fn fill(&self, event: &str, reserved: &Reserved<'_>) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable { source, in_string } => {
                    let value = source.value(event, reserved);
                    if *in_string { push_inside(&mut out, &value) } else { out.push_str(&value) }
                }
            }
        }
        out
    }
}

impl Variable {
    /// The value as JSON. What a path does not find is an empty string, so that the rest of a template stays JSON.
    fn value<'e>(&'e self, event: &'e str, reserved: &Reserved<'_>) -> Cow<'e, str> {
        let string = |text: &str| {
            let mut out = String::new();
            push_string(&mut out, text);
            Cow::Owned(out)
        };
        match self {
            Variable::Path(path) => path.as_ref().and_then(|path| path.find(event)).unwrap_or(Cow::Borrowed("\"\"")),
            Variable::RuleArn => string(reserved.rule_arn),
            Variable::RuleName => string(reserved.rule_name),
            Variable::IngestionTime => string(&reserved.ingested_at.to_secs_precision().date_time()),
            Variable::Event => Cow::Owned(path::without(event, "detail")),
            Variable::WholeEvent => Cow::Borrowed(event),
        }
    }
}

/// A value inside a string of the template: a string without its quotes; objects and arrays lose all of theirs, as the
/// string would end there.
fn push_inside(out: &mut String, value: &str) {
    match value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => out.push_str(text),
        None => out.extend(value.chars().filter(|c| *c != '"')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = concat!(
        r#"{"version":"0","id":"7bf7","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","#,
        r#""account":"123456789012","time":"2015-11-11T21:29:54Z","region":"us-east-1","#,
        r#""resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],"#,
        r#""detail":{"instance-id":"i-0123456789","state":"RUNNING","cores":4,"said":"a \"b\""}}"#
    );

    const RESERVED: Reserved<'static> =
        Reserved { rule_arn: "arn:rule", rule_name: "example", ingested_at: Timestamp::from_secs(1_447_277_395) };

    fn filled(template: &str) -> String {
        let path_of = |name: &str| match name {
            "instance" => Some("$.detail.instance-id"),
            "state" => Some("$.detail.state"),
            "cores" => Some("$.detail.cores"),
            "detail" => Some("$.detail"),
            "said" => Some("$.detail.said"),
            "missing" => Some("$.detail.missing"),
            _ => None,
        };
        let template = Template::parse(template, path_of).unwrap();
        Input::Template(template).apply(EVENT, &RESERVED).into_owned()
    }

    /// The examples of AWS's page.
    #[test]
    fn the_published_examples() {
        let cases = [
            (r#""instance <instance> is in state <state>""#, r#""instance i-0123456789 is in state RUNNING""#),
            (r#""instance \"<instance>\" is in state <state>""#, r#""instance \"i-0123456789\" is in state RUNNING""#),
            (r#"{"instance":<instance>,"state":<state>}"#, r#"{"instance":"i-0123456789","state":"RUNNING"}"#),
            (
                r#"{"instance":<instance>,"state":"<state>","instanceStatus":"instance \"<instance>\" is in state <state>"}"#,
                r#"{"instance":"i-0123456789","state":"RUNNING","instanceStatus":"instance \"i-0123456789\" is in state RUNNING"}"#,
            ),
            (
                r#"{"instance":<instance>,"state":[9,<state>,true],"Transformed":"Yes"}"#,
                r#"{"instance":"i-0123456789","state":[9,"RUNNING",true],"Transformed":"Yes"}"#,
            ),
            (r#""<aws.events.rule-name> triggered""#, r#""example triggered""#),
            (
                r#"{"rule":<aws.events.rule-arn>,"at":<aws.events.event.ingestion-time>}"#,
                r#"{"rule":"arn:rule","at":"2015-11-11T21:29:55Z"}"#,
            ),
        ];
        for (template, expected) in cases {
            assert_eq!(filled(template), expected, "{template}");
        }
        assert_eq!(filled(r#"{"original":<aws.events.event.json>}"#), format!(r#"{{"original":{EVENT}}}"#));
        let without = filled("<aws.events.event>");
        assert!(without.contains(r#""source":"aws.ec2""#) && !without.contains("i-0123456789"), "{without}");
    }

    #[test]
    fn values_keep_strings_whole() {
        assert_eq!(filled("<instance>"), r#""i-0123456789""#);
        assert_eq!(filled(r#"{"n":<cores>,"t":"<cores>"}"#), r#"{"n":4,"t":"4"}"#);
        assert_eq!(filled(r#""<said>""#), r#""a \"b\"""#);
        assert_eq!(
            filled(r#""Detail is <detail>""#),
            r#""Detail is {instance-id:i-0123456789,state:RUNNING,cores:4,said:a \b\}""#
        );
        assert_eq!(filled(r#"{"m":<missing>,"s":"[<missing>]"}"#), r#"{"m":"","s":"[]"}"#);
        assert_eq!(filled("\"one <state>\"\n\"two\""), "\"one RUNNING\"\n\"two\"");
        assert_eq!(filled(r#"{"html":"<b> < 1 >"}"#.replace("<b>", "<state>").as_str()), r#"{"html":"RUNNING < 1 >"}"#);
    }

    #[test]
    fn templates_are_checked() {
        let parse = |text: &str| Template::parse(text, |_| None);
        assert_eq!(parse("\"<nobody>\""), Err(TemplateFlaw::Placeholder("nobody".into())));
        assert_eq!(parse("{\"a\":}"), Err(TemplateFlaw::NotJson { line: 1, column: 6 }));
        assert!(matches!(parse("a <aws.events.rule-name>"), Err(TemplateFlaw::NotJson { line: 1, .. })));
    }

    #[test]
    fn parts_and_constants() {
        let apply = |input: Input| input.apply(EVENT, &RESERVED).into_owned();
        assert_eq!(apply(Input::Whole), EVENT);
        assert_eq!(apply(Input::Constant("{\"a\":1}".into())), "{\"a\":1}");
        assert_eq!(apply(Input::Part(Path::parse("$.detail.state").unwrap())), "\"RUNNING\"");
    }
}
