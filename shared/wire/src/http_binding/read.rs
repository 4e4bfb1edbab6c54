//! Reads the members that stand outside the body.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::headers::HeaderMarks;
use crate::http_binding::text::{TextReader, split_list_header};
use crate::http_binding::{Labels, uri_pattern::UriPattern};
use crate::reading::{Progress, Seen, Step};
use crate::schema::{Kind, Location, Member, Schema};
use crate::shape::{ReadError, ReadErrorKind, Shape};

/// So many query parameters a request may have.
const MAX_PARAMETERS: usize = 10_000;

/// Where bound members are found.
pub(crate) struct Bindings<'a> {
    pub headers: &'a HeaderMap,
    pub labels: Option<&'a Labels>,
    /// The operation's URI pattern and the request's query.
    pub query: Option<(&'static str, &'a str)>,
    pub status: Option<u16>,
}

/// Reads every member of `shape` that is bound to something else than the body.
pub(crate) fn read_bindings(
    bindings: &Bindings<'_>,
    schema: &'static Schema,
    shape: &mut dyn Shape,
    progress: &mut Progress,
    seen: &mut Seen,
) -> Result<(), ReadError> {
    let mut query = None;
    let sent = HeaderMarks::of(bindings.headers);
    for member in schema.members {
        let reader = match member.location {
            Location::Body => None,
            Location::Uri => label(bindings, member)?,
            Location::QueryString => {
                if query.is_none() {
                    query = Some(parse_query(bindings.query.map_or("", |(_, query)| query))?);
                }
                query.as_ref().and_then(|query| parameter(bindings, member, query))
            }
            Location::Header if sent.may_have(member.mark) => header(bindings.headers, member)?,
            Location::Header => None,
            Location::Headers => Some(prefixed_headers(bindings.headers, member)),
            Location::StatusCode => {
                bindings.status.map(|status| TextReader::one(Location::StatusCode, status.to_string()))
            }
        };
        if let Some(mut reader) = reader {
            progress.path.enter(Step::Member(member.name))?;
            shape.read_member(usize::from(member.index), &mut reader).map_err(|error| progress.locate(error))?;
            progress.path.leave();
            seen.note(member.index);
        }
    }
    Ok(())
}

fn decode(text: &str) -> Result<Cow<'_, str>, ReadError> {
    percent_decode_str(text).decode_utf8().map_err(|_| ReadError::malformed("the URI is not UTF-8"))
}

fn label<'a>(bindings: &Bindings<'a>, member: &'static Member) -> Result<Option<TextReader<'a>>, ReadError> {
    let Some(text) = bindings.labels.and_then(|labels| labels.get(member.wire_name)) else { return Ok(None) };
    Ok(Some(TextReader::one(Location::Uri, decode(text)?)))
}

type Query<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

fn parse_query(query: &str) -> Result<Query<'_>, ReadError> {
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if parameters.len() >= MAX_PARAMETERS {
            return Err(ReadError::new(ReadErrorKind::TooLarge, "too many query parameters"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.push((decode_parameter(name)?, decode_parameter(value)?));
    }
    Ok(parameters)
}

/// In a query a plus is a space, as browsers and older SDKs write it.
fn decode_parameter(text: &str) -> Result<Cow<'_, str>, ReadError> {
    if !text.contains('+') {
        return decode(text);
    }
    let spaced = text.replace('+', " ");
    decode(&spaced).map(|decoded| Cow::Owned(decoded.into_owned()))
}

fn parameter<'a>(bindings: &Bindings<'a>, member: &'static Member, query: &Query<'a>) -> Option<TextReader<'a>> {
    if member.target.kind == Kind::Map {
        let entries = free_parameters(bindings, query);
        return (!entries.is_empty()).then(|| TextReader::map(Location::QueryString, entries));
    }
    let values: Vec<_> =
        query.iter().filter(|(name, _)| name == member.wire_name).map(|(_, value)| value.clone()).collect();
    if values.is_empty() { None } else { Some(TextReader::many(Location::QueryString, values)) }
}

/// All parameters but those that the URI pattern fixes. Those that other members take are among them, as Smithy has it.
fn free_parameters<'a>(bindings: &Bindings<'a>, query: &Query<'a>) -> Vec<(String, Vec<Cow<'a, str>>)> {
    let pattern = UriPattern::parse(bindings.query.map_or("", |(pattern, _)| pattern));
    let is_fixed = |name: &str| pattern.query.iter().any(|(fixed, _)| *fixed == name);
    let mut entries: indexmap::IndexMap<String, Vec<Cow<'a, str>>> = indexmap::IndexMap::new();
    for (name, value) in query.iter().filter(|(name, _)| !is_fixed(name)) {
        entries.entry(name.clone().into_owned()).or_default().push(value.clone());
    }
    entries.into_iter().collect()
}

/// Header values are UTF-8 where they can be, else Latin-1.
fn header_text(value: &http::HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text.trim()),
        Err(_) => Cow::Owned(value.as_bytes().iter().map(|byte| char::from(*byte)).collect()),
    }
}

fn header<'a>(headers: &'a HeaderMap, member: &'static Member) -> Result<Option<TextReader<'a>>, ReadError> {
    let Some(value) = crate::header(headers, member.wire_name) else { return Ok(None) };
    if member.target.kind != Kind::List {
        return Ok(Some(TextReader::one(Location::Header, header_text(value))));
    }
    let mut values = Vec::new();
    for value in headers.get_all(member.wire_name) {
        match header_text(value) {
            Cow::Borrowed(text) => values.extend(split_list_header(member, text)?),
            Cow::Owned(text) => {
                values
                    .extend(split_list_header(member, &text)?.into_iter().map(|value| Cow::Owned(value.into_owned())));
            }
        }
    }
    Ok(Some(TextReader::many(Location::Header, values)))
}

fn prefixed_headers<'a>(headers: &'a HeaderMap, member: &'static Member) -> TextReader<'a> {
    let prefix = member.wire_name;
    let mut entries: Vec<(String, Vec<Cow<'a, str>>)> = Vec::new();
    for name in headers.keys() {
        let name = name.as_str();
        let matches =
            name.len() >= prefix.len() && name.as_bytes()[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes());
        if matches {
            let values: Vec<_> = headers.get_all(name).iter().map(header_text).collect();
            // Several lines of one header are one value, as HTTP joins them.
            entries.push((name[prefix.len()..].to_owned(), vec![Cow::Owned(values.join(","))]));
        }
    }
    TextReader::map(Location::Headers, entries)
}
