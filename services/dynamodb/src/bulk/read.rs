//! From an object's bytes to lines, and from a line to an item that is to be put.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/BulkPutItems.Format.html>

use std::io::{BufRead, Read};

use bytes::Bytes;
use fractus_dynamodb_rules::json::{item_from_json, value_from_json};
use fractus_dynamodb_rules::{Item, Value, ion};
use serde_json::Value as Json;
use tokio::sync::mpsc;

use super::Format;
use crate::import::read::{Compression, unpacked};

/// The longest line: an item of 400 KB, all of it escaped, with its condition.
const MAX_LINE_BYTES: u64 = 4 * 1024 * 1024;
/// What goes on together.
const BATCH_LINES: usize = 100;
const BATCH_BYTES: usize = 512 * 1024;

/// An item that is to be put, and on what condition. The members beside the item are called as in PutItem; no page at hand says
/// it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Put {
    pub item: Item,
    pub condition: Option<String>,
    pub names: Option<Vec<(String, String)>>,
    pub values: Option<Vec<(String, Value)>>,
}

/// A line as it came, and what it says or why it says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub text: String,
    pub read: Result<Put, String>,
}

/// Lines that are put together. Empty ones are not among them.
#[derive(Debug, Default)]
pub struct Lines(pub Vec<Line>);

/// Reads an object to its end. What is wrong with its packing is one line that says nothing, and the end of it.
pub fn read_object(chunks: mpsc::Receiver<Bytes>, compression: Compression, format: Format, out: &mpsc::Sender<Lines>) {
    let mut source = unpacked(chunks, compression);
    let (mut lines, mut bytes) = (Lines::default(), 0);
    let broken = |text: String, why: String| Line { text, read: Err(why) };
    loop {
        let mut raw = Vec::new();
        let count = match source.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut raw) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => {
                lines.0.push(broken(String::new(), error.to_string()));
                break;
            }
        };
        if count as u64 == MAX_LINE_BYTES && raw.last() != Some(&b'\n') {
            lines.0.push(broken(String::new(), "The line is too long".to_owned()));
            break;
        }
        let text = String::from_utf8_lossy(&raw).trim().to_owned();
        if let Some(read) = line_of(&text, format) {
            bytes += count;
            lines.0.push(Line { text, read });
        }
        if lines.0.len() >= BATCH_LINES || bytes >= BATCH_BYTES {
            bytes = 0;
            if out.blocking_send(std::mem::take(&mut lines)).is_err() {
                return;
            }
        }
    }
    // The last ones; that nobody takes them any more is no matter.
    let _ = out.blocking_send(lines);
}

/// Nothing for a line without content.
fn line_of(text: &str, format: Format) -> Option<Result<Put, String>> {
    match format {
        _ if text.is_empty() => None,
        Format::DynamoDbJson => Some(of_json(text)),
        Format::Ion => of_ion(text).transpose(),
    }
}

fn of_json(text: &str) -> Result<Put, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Json::Object(mut members) = json else { return Err("The line is no object".to_owned()) };
    let item = members.remove("Item").ok_or("The line has no Item")?;
    let item = item_from_json(item).map_err(|error| error.to_string())?;
    let condition = match members.remove("ConditionExpression") {
        None => None,
        Some(Json::String(text)) => Some(text),
        Some(_) => return Err("ConditionExpression is no text".to_owned()),
    };
    let name = |(key, name)| match name {
        Json::String(name) => Ok((key, name)),
        _ => Err("A name in ExpressionAttributeNames is no text".to_owned()),
    };
    let value = |(key, value)| match value_from_json(value) {
        Ok(value) => Ok((key, value)),
        Err(error) => Err(error.to_string()),
    };
    let names = object(members.remove("ExpressionAttributeNames"), "ExpressionAttributeNames", name)?;
    let values = object(members.remove("ExpressionAttributeValues"), "ExpressionAttributeValues", value)?;
    Ok(Put { item, condition, names, values })
}

fn object<T>(
    json: Option<Json>,
    what: &str,
    read: impl FnMut((String, Json)) -> Result<T, String>,
) -> Result<Option<Vec<T>>, String> {
    match json {
        None => Ok(None),
        Some(Json::Object(members)) => members.into_iter().map(read).collect::<Result<_, _>>().map(Some),
        Some(_) => Err(format!("{what} is no object")),
    }
}

fn of_ion(text: &str) -> Result<Option<Put>, String> {
    let mut outer = match ion::read(text).map_err(|error| error.to_string())? {
        None => return Ok(None),
        Some(Value::M(outer)) => outer,
        Some(_) => return Err("The line is no struct".to_owned()),
    };
    let Some(Value::M(item)) = outer.remove("Item") else { return Err("The line has no Item".to_owned()) };
    let condition = match outer.remove("ConditionExpression") {
        None => None,
        Some(Value::S(text)) => Some(text),
        Some(_) => return Err("ConditionExpression is no text".to_owned()),
    };
    let name = |(key, name)| match name {
        Value::S(name) => Ok((key, name)),
        _ => Err("A name in ExpressionAttributeNames is no text".to_owned()),
    };
    let names = fields(outer.remove("ExpressionAttributeNames"), "ExpressionAttributeNames", name)?;
    let values = fields(outer.remove("ExpressionAttributeValues"), "ExpressionAttributeValues", Ok)?;
    Ok(Some(Put { item, condition, names, values }))
}

fn fields<T>(
    value: Option<Value>,
    what: &str,
    read: impl FnMut((String, Value)) -> Result<T, String>,
) -> Result<Option<Vec<T>>, String> {
    match value {
        None => Ok(None),
        Some(Value::M(fields)) => fields.into_entries().into_iter().map(read).collect::<Result<_, _>>().map(Some),
        Some(_) => Err(format!("{what} is no struct")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, format: Format) -> Vec<Line> {
        let (send, receive) = mpsc::channel(1_000);
        for chunk in text.as_bytes().chunks(11) {
            send.try_send(Bytes::copy_from_slice(chunk)).unwrap();
        }
        drop(send);
        let (out, mut batches) = mpsc::channel(64);
        read_object(receive, Compression::None, format, &out);
        let mut all = Vec::new();
        while let Ok(lines) = batches.try_recv() {
            all.extend(lines.0);
        }
        all
    }

    #[test]
    fn a_line_is_an_item_and_perhaps_a_condition() {
        let text = r##"{"Item":{"pk":{"S":"a"}}}

{"Item":{"pk":{"S":"b"}},"ConditionExpression":"#v < :v","ExpressionAttributeNames":{"#v":"v"},"ExpressionAttributeValues":{":v":{"N":"3"}}}
{"Item":{"pk":{"S":"c"}},"ConditionExpression":3}
{"Other":{}}
nothing"##;
        let lines = read(text, Format::DynamoDbJson);
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0].read.as_ref().unwrap().condition, None);
        let put = lines[1].read.as_ref().unwrap();
        assert_eq!(put.condition.as_deref(), Some("#v < :v"));
        assert_eq!(put.names, Some(vec![("#v".into(), "v".into())]));
        assert_eq!(put.values, Some(vec![(":v".into(), Value::number(3))]));
        assert!(lines[2..].iter().all(|line| line.read.is_err()));
        assert_eq!(lines[4].text, "nothing");
    }

    #[test]
    fn ion_says_the_same() {
        let text = "$ion_1_0\n{Item:{pk:\"a\"},ConditionExpression:\"attribute_not_exists(pk)\"}\n{Other:1}\n";
        let lines = read(text, Format::Ion);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].read.as_ref().unwrap().condition.as_deref(), Some("attribute_not_exists(pk)"));
        assert!(lines[1].read.is_err());
    }
}
