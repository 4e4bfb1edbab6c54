//! Values as text: in labels, query parameters and headers.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_clock::Timestamp;

use crate::document::Document;
use crate::json::{date_time, epoch_seconds, http_date, out_of_range};
use crate::schema::{Kind, Location, Member, TimestampFormat};
use crate::shape::{ReadError, Reader, Shape};

/// The format of a timestamp at this place unless the model says another.
pub(super) fn default_timestamp_format(location: Location) -> TimestampFormat {
    match location {
        Location::Header | Location::Headers => TimestampFormat::HttpDate,
        _ => TimestampFormat::DateTime,
    }
}

/// What a [`TextReader`] stands at.
enum Source<'a> {
    One(Cow<'a, str>),
    Many(Vec<Cow<'a, str>>),
    Map(Vec<(String, Vec<Cow<'a, str>>)>),
    /// A whole body.
    Whole(Bytes),
}

/// Reads one member from text.
pub(crate) struct TextReader<'a> {
    source: Source<'a>,
    location: Location,
}

impl<'a> TextReader<'a> {
    pub fn one(location: Location, text: impl Into<Cow<'a, str>>) -> Self {
        TextReader { source: Source::One(text.into()), location }
    }

    pub fn many(location: Location, texts: Vec<Cow<'a, str>>) -> Self {
        TextReader { source: Source::Many(texts), location }
    }

    pub fn map(location: Location, entries: Vec<(String, Vec<Cow<'a, str>>)>) -> Self {
        TextReader { source: Source::Map(entries), location }
    }

    /// For a body that is the value of one member.
    pub fn whole(body: Bytes) -> Self {
        TextReader { source: Source::Whole(body), location: Location::Body }
    }

    fn text(&self) -> Result<&str, ReadError> {
        match &self.source {
            Source::Whole(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| ReadError::malformed("the body is not UTF-8"))
            }
            Source::One(text) => Ok(text),
            // Of a parameter given twice the first counts.
            Source::Many(texts) => texts.first().map(AsRef::as_ref).ok_or_else(|| ReadError::wrong_type("no value")),
            Source::Map(_) => Err(ReadError::wrong_type("a map where one value was expected")),
        }
    }

    fn parse<T: std::str::FromStr>(&self, wanted: &str) -> Result<T, ReadError> {
        let text = self.text()?;
        text.parse().map_err(|_| ReadError::wrong_type(format!("STRING_VALUE can not be converted to {wanted}")))
    }

    fn parse_fraction(&self, wanted: &str) -> Result<f64, ReadError> {
        match self.text()? {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            // Rust reads `inf` and `nan` too; AWS does not.
            text if text.bytes().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')) => {
                Err(ReadError::wrong_type(format!("STRING_VALUE can not be converted to {wanted}")))
            }
            _ => self.parse(wanted),
        }
    }
}

impl Reader for TextReader<'_> {
    fn read_structure(&mut self, member: &'static Member, _shape: &mut dyn Shape) -> Result<(), ReadError> {
        Err(ReadError::wrong_type(format!("{} is a structure, which has no form as text", member.name)))
    }

    fn read_list(
        &mut self,
        _member: &'static Member,
        each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let location = self.location;
        match &self.source {
            Source::One(text) => each(&mut TextReader::one(location, text.as_ref())),
            Source::Many(texts) => {
                texts.iter().try_for_each(|text| each(&mut TextReader::one(location, text.as_ref())))
            }
            Source::Map(_) | Source::Whole(_) => Err(ReadError::wrong_type("no list where one was expected")),
        }
    }

    fn read_map(
        &mut self,
        _member: &'static Member,
        each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let location = self.location;
        let Source::Map(entries) = &mut self.source else {
            return Err(ReadError::wrong_type("one value where a map was expected"));
        };
        std::mem::take(entries)
            .into_iter()
            .try_for_each(|(key, values)| each(key, &mut TextReader::many(location, values)))
    }

    fn read_string(&mut self, member: &'static Member) -> Result<String, ReadError> {
        let text = self.text()?;
        if !member.json_value {
            return Ok(text.to_owned());
        }
        let bytes = STANDARD.decode(text).map_err(|error| ReadError::malformed(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| ReadError::malformed(error.to_string()))
    }

    fn read_blob(&mut self, _member: &'static Member) -> Result<Bytes, ReadError> {
        if let Source::Whole(bytes) = &mut self.source {
            return Ok(std::mem::take(bytes));
        }
        let bytes = STANDARD.decode(self.text()?).map_err(|error| ReadError::malformed(error.to_string()))?;
        Ok(Bytes::from(bytes))
    }

    fn read_boolean(&mut self, _member: &'static Member) -> Result<bool, ReadError> {
        self.parse("a Boolean")
    }

    fn read_integer(&mut self, _member: &'static Member) -> Result<i32, ReadError> {
        let value: i64 = self.parse("an Integer")?;
        i32::try_from(value).map_err(|_| out_of_range("an Integer"))
    }

    fn read_long(&mut self, _member: &'static Member) -> Result<i64, ReadError> {
        self.parse("a Long")
    }

    fn read_float(&mut self, _member: &'static Member) -> Result<f32, ReadError> {
        self.parse_fraction("a Float").map(|value| value as f32)
    }

    fn read_double(&mut self, _member: &'static Member) -> Result<f64, ReadError> {
        self.parse_fraction("a Double")
    }

    fn read_timestamp(&mut self, member: &'static Member) -> Result<Timestamp, ReadError> {
        match member.timestamp_format_or(default_timestamp_format(self.location)) {
            TimestampFormat::DateTime => date_time(self.text()?),
            TimestampFormat::HttpDate => http_date(self.text()?),
            TimestampFormat::EpochSeconds => epoch_seconds(self.parse_fraction("milliseconds since epoch")?),
        }
    }

    fn read_document(&mut self, _member: &'static Member) -> Result<Document, ReadError> {
        Ok(Document::String(self.text()?.to_owned()))
    }
}

/// The values of a list header. Commas part them, except inside quotes and in HTTP dates, which have one of their own.
pub(super) fn split_list_header<'a>(member: &'static Member, text: &'a str) -> Result<Vec<Cow<'a, str>>, ReadError> {
    let element = member.target.element().unwrap_or(member);
    let is_http_date = element.target.kind == Kind::Timestamp
        && element.timestamp_format_or(TimestampFormat::HttpDate) == TimestampFormat::HttpDate;
    if is_http_date {
        return Ok(split_dates(text));
    }
    let mut values = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => take_quoted(quoted)?,
            None => {
                let (value, after) = rest.split_once(',').map_or((rest, None), |(value, after)| (value, Some(after)));
                (Cow::Borrowed(value.trim()), after)
            }
        };
        values.push(value);
        rest = after.unwrap_or("").trim_start();
    }
    Ok(values)
}

/// What stands before the closing quote, without its escapes, and what follows the comma behind it, if there is one.
fn take_quoted(text: &str) -> Result<(Cow<'_, str>, Option<&str>), ReadError> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => {
                let after = text[index + 1..].trim_start();
                return match after.strip_prefix(',') {
                    Some(after) => Ok((Cow::Owned(value), Some(after))),
                    None if after.is_empty() => Ok((Cow::Owned(value), None)),
                    None => Err(ReadError::malformed("text after a quoted header value")),
                };
            }
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            character => value.push(character),
        }
    }
    Err(ReadError::malformed("a quoted header value without its end"))
}

fn split_dates(text: &str) -> Vec<Cow<'_, str>> {
    let mut values = Vec::new();
    let mut start = 0;
    for (count, (index, _)) in text.match_indices(',').enumerate() {
        if count % 2 == 1 {
            values.push(Cow::Borrowed(text[start..index].trim()));
            start = index + 1;
        }
    }
    values.push(Cow::Borrowed(text[start..].trim()));
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    static TEXT: Schema = Schema::new("Text", Kind::String);
    static TEXTS: Schema = Schema::new("Texts", Kind::List).with_members(&[Member::new("member", 0, &TEXT)], &[]);
    static MEMBER: Member = Member::new("Texts", 0, &TEXTS);
    static DATE: Schema = Schema::new("Date", Kind::Timestamp);
    static DATES: Schema = Schema::new("Dates", Kind::List).with_members(&[Member::new("member", 0, &DATE)], &[]);
    static DATES_MEMBER: Member = Member::new("Dates", 0, &DATES);

    #[test]
    fn list_headers_are_parted_at_commas_outside_quotes() {
        assert_eq!(split_list_header(&MEMBER, r#"a, "b,c" ,"d\"e",f"#).unwrap(), ["a", "b,c", "d\"e", "f"]);
        assert!(split_list_header(&MEMBER, "\"open").is_err());
        assert!(split_list_header(&MEMBER, "").unwrap().is_empty());
    }

    #[test]
    fn dates_keep_their_comma() {
        let text = "Mon, 16 Dec 2019 23:48:18 GMT, Mon, 16 Dec 2019 23:48:19 GMT";
        let dates = split_list_header(&DATES_MEMBER, text).unwrap();
        assert_eq!(dates, ["Mon, 16 Dec 2019 23:48:18 GMT", "Mon, 16 Dec 2019 23:48:19 GMT"]);
    }
}
