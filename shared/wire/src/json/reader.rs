//! Reads shapes from JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fractus_clock::Timestamp;
use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, NumberAny, NumberInt, Peek};

use crate::document::Document;
use crate::json::document::read_document;
use crate::reading::{Progress, Seen, Step, body_member};
use crate::schema::{Kind, Member, Schema, TimestampFormat};
use crate::shape::{ReadError, ReadErrorKind, Reader, Shape};

/// The furthest points a timestamp may name, in seconds: the years -9999 and 9999, as for all calendars here.
const MAX_EPOCH_SECONDS: f64 = 253_402_300_799.0;

/// Reads one JSON text.
pub struct JsonReader<'a> {
    pub(super) json: Jiter<'a>,
    pub progress: Progress,
}

impl<'a> JsonReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        JsonReader { json: Jiter::new(bytes), progress: Progress::default() }
    }

    /// Reads the whole text as the members of `shape`; required ones that are not there are in `progress.missing`.
    pub fn read_root(&mut self, schema: &'static Schema, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let seen = self.read_body(schema, shape)?;
        self.progress.note_missing(schema, &seen);
        Ok(())
    }

    /// Reads the whole text as those members of `shape` that travel in the body, and says which were there.
    pub fn read_body(&mut self, schema: &'static Schema, shape: &mut dyn Shape) -> Result<Seen, ReadError> {
        let mut seen = Seen::default();
        self.read_members(schema, shape, &mut seen).map_err(|error| self.progress.locate(error))?;
        self.finish()?;
        Ok(seen)
    }

    /// Reads the member of `shape` whose value comes next, without a name.
    pub fn read_value(&mut self, member: &'static Member, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let mut seen = Seen::default();
        self.read_member(member, shape, &mut seen)
    }

    /// Refuses anything but white space after the value.
    pub fn finish(&mut self) -> Result<(), ReadError> {
        self.json.finish().map_err(|error| malformed(&error))
    }

    pub(super) fn peek(&mut self) -> Result<Peek, ReadError> {
        self.json.peek().map_err(|error| malformed(&error))
    }

    fn read_members(
        &mut self,
        schema: &'static Schema,
        shape: &mut dyn Shape,
        seen: &mut Seen,
    ) -> Result<(), ReadError> {
        let peek = self.peek()?;
        if peek != Peek::Object {
            return Err(unexpected(peek, Kind::Structure));
        }
        let mut found = self.json.known_object().map_err(|error| malformed(&error))?;
        while let Some(key) = found {
            let member = body_member(schema, key);
            let peek = self.peek()?;
            match member {
                Some(member) if peek != Peek::Null => self.read_member(member, shape, seen)?,
                _ => self.json.known_skip(peek).map_err(|error| malformed(&error))?,
            }
            found = self.json.next_key().map_err(|error| malformed(&error))?;
        }
        Ok(())
    }

    fn read_member(
        &mut self,
        member: &'static Member,
        shape: &mut dyn Shape,
        seen: &mut Seen,
    ) -> Result<(), ReadError> {
        self.progress.path.enter(Step::Member(member.name))?;
        seen.note(member.index);
        shape.read_member(usize::from(member.index), self).map_err(|error| self.progress.locate(error))?;
        self.progress.path.leave();
        Ok(())
    }

    fn read_str(&mut self, kind: Kind) -> Result<&str, ReadError> {
        let peek = self.peek()?;
        if peek != Peek::String {
            return Err(unexpected(peek, kind));
        }
        self.json.known_str().map_err(|error| malformed(&error))
    }

    fn read_whole_number(&mut self, kind: Kind) -> Result<i64, ReadError> {
        let peek = self.peek()?;
        if !peek.is_num() {
            return Err(unexpected(peek, kind));
        }
        match self.json.known_number(peek).map_err(|error| malformed(&error))? {
            NumberAny::Int(NumberInt::Int(value)) => Ok(value),
            // `1.0` and `1e3` are whole numbers too.
            NumberAny::Float(value) if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 => {
                Ok(value as i64)
            }
            NumberAny::Float(_) => Err(unexpected(peek, kind)),
        }
    }

    fn read_fraction(&mut self, kind: Kind) -> Result<f64, ReadError> {
        let peek = self.peek()?;
        if peek == Peek::String {
            let text = self.json.known_str().map_err(|error| malformed(&error))?;
            return match text {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                _ => Err(unexpected(peek, kind)),
            };
        }
        if !peek.is_num() {
            return Err(unexpected(peek, kind));
        }
        self.json.known_float(peek).map_err(|error| malformed(&error))
    }
}

impl Reader for JsonReader<'_> {
    fn read_structure(&mut self, member: &'static Member, shape: &mut dyn Shape) -> Result<(), ReadError> {
        let mut seen = Seen::default();
        self.read_members(member.target, shape, &mut seen)?;
        self.progress.note_missing(member.target, &seen);
        Ok(())
    }

    fn read_list(
        &mut self,
        _member: &'static Member,
        each: &mut dyn FnMut(&mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let peek = self.peek()?;
        if peek != Peek::Array {
            return Err(unexpected(peek, Kind::List));
        }
        let mut index = 0;
        self.progress.path.enter(Step::Element(0))?;
        let mut found = self.json.known_array().map_err(|error| malformed(&error))?;
        while found.is_some() {
            self.progress.path.replace(Step::Element(index));
            each(self)?;
            index += 1;
            found = self.json.array_step().map_err(|error| malformed(&error))?;
        }
        self.progress.path.leave();
        Ok(())
    }

    fn read_map(
        &mut self,
        member: &'static Member,
        each: &mut dyn FnMut(String, &mut dyn Reader) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let peek = self.peek()?;
        if peek != Peek::Object {
            return Err(unexpected(peek, Kind::Map));
        }
        // The key is needed in the path only where something can be missing below it.
        let keeps_keys = member.target.element().is_some_and(|value| value.target.kind.is_aggregate());
        self.progress.path.enter(Step::Element(0))?;
        let mut found = self.json.known_object().map_err(|error| malformed(&error))?.map(str::to_owned);
        while let Some(key) = found {
            if keeps_keys {
                self.progress.path.replace(Step::Key(key.clone()));
            }
            self.peek()?;
            each(key, self)?;
            found = self.json.next_key().map_err(|error| malformed(&error))?.map(str::to_owned);
        }
        self.progress.path.leave();
        Ok(())
    }

    fn read_null(&mut self) -> bool {
        matches!(self.json.peek(), Ok(Peek::Null)) && self.json.known_null().is_ok()
    }

    fn collections_come_in_pieces(&self) -> bool {
        false
    }

    fn read_string(&mut self, member: &'static Member) -> Result<String, ReadError> {
        self.read_str(member.target.kind).map(str::to_owned)
    }

    fn read_blob(&mut self, _member: &'static Member) -> Result<Bytes, ReadError> {
        let text = self.read_str(Kind::Blob)?;
        let bytes = STANDARD.decode(text).map_err(|error| ReadError::malformed(format!("Invalid base64: {error}")))?;
        Ok(Bytes::from(bytes))
    }

    fn read_boolean(&mut self, _member: &'static Member) -> Result<bool, ReadError> {
        let peek = self.peek()?;
        if !matches!(peek, Peek::True | Peek::False) {
            return Err(unexpected(peek, Kind::Boolean));
        }
        self.json.known_bool(peek).map_err(|error| malformed(&error))
    }

    fn read_integer(&mut self, _member: &'static Member) -> Result<i32, ReadError> {
        let value = self.read_whole_number(Kind::Integer)?;
        i32::try_from(value).map_err(|_| out_of_range("an Integer"))
    }

    fn read_long(&mut self, _member: &'static Member) -> Result<i64, ReadError> {
        self.read_whole_number(Kind::Long)
    }

    fn read_float(&mut self, _member: &'static Member) -> Result<f32, ReadError> {
        self.read_fraction(Kind::Float).map(|value| value as f32)
    }

    fn read_double(&mut self, _member: &'static Member) -> Result<f64, ReadError> {
        self.read_fraction(Kind::Double)
    }

    fn read_timestamp(&mut self, member: &'static Member) -> Result<Timestamp, ReadError> {
        match member.timestamp_format_or(TimestampFormat::EpochSeconds) {
            TimestampFormat::EpochSeconds => {
                let peek = self.peek()?;
                if !peek.is_num() {
                    return Err(unexpected(peek, Kind::Timestamp));
                }
                epoch_seconds(self.json.known_float(peek).map_err(|error| malformed(&error))?)
            }
            TimestampFormat::DateTime => date_time(self.read_str(Kind::Timestamp)?),
            TimestampFormat::HttpDate => http_date(self.read_str(Kind::Timestamp)?),
        }
    }

    fn read_document(&mut self, _member: &'static Member) -> Result<Document, ReadError> {
        let depth = self.progress.path.depth();
        read_document(self, depth)
    }
}

/// Seconds since the epoch with a fraction, as JSON, CBOR and headers carry them.
pub(crate) fn epoch_seconds(seconds: f64) -> Result<Timestamp, ReadError> {
    if seconds.abs() <= MAX_EPOCH_SECONDS {
        Ok(Timestamp::from_secs_f64(seconds))
    } else {
        Err(out_of_range("a timestamp"))
    }
}

pub(crate) fn date_time(text: &str) -> Result<Timestamp, ReadError> {
    Timestamp::parse_date_time(text).map_err(|error| ReadError::malformed(error.to_string()))
}

pub(crate) fn http_date(text: &str) -> Result<Timestamp, ReadError> {
    Timestamp::parse_http_date(text).map_err(|error| ReadError::malformed(error.to_string()))
}

pub(crate) fn out_of_range(what: &str) -> ReadError {
    ReadError::new(ReadErrorKind::OutOfRange, format!("The value is out of range for {what}"))
}

/// A text that is no JSON, or a number that no type here holds.
pub(super) fn malformed(error: &JiterError) -> ReadError {
    let kind = match &error.error_type {
        JiterErrorType::JsonError(JsonErrorType::RecursionLimitExceeded) => ReadErrorKind::TooDeep,
        JiterErrorType::JsonError(JsonErrorType::NumberOutOfRange) => ReadErrorKind::OutOfRange,
        _ => ReadErrorKind::Malformed,
    };
    ReadError::new(kind, format!("{} at byte {}", error.error_type, error.index))
}

/// The words of AWS's services for a value of the wrong type.
fn unexpected(found: Peek, expected: Kind) -> ReadError {
    let wanted = match expected {
        Kind::List => return ReadError::wrong_type("Expected list or null"),
        Kind::Map => return ReadError::wrong_type("Expected map or null"),
        Kind::Structure | Kind::Union | Kind::Document => return ReadError::wrong_type("Expected structure or null"),
        Kind::String | Kind::Enum => "a String",
        Kind::Blob => "a Blob",
        Kind::Boolean => "a Boolean",
        Kind::Integer => "an Integer",
        Kind::Long => "a Long",
        Kind::Float => "a Float",
        Kind::Double => "a Double",
        Kind::Timestamp => "milliseconds since epoch",
    };
    let token = match found {
        Peek::String => "STRING_VALUE",
        Peek::True => "TRUE_VALUE",
        Peek::False => "FALSE_VALUE",
        Peek::Null => "NULL_VALUE",
        Peek::Array => return ReadError::wrong_type("Start of list found where not expected"),
        Peek::Object => return ReadError::wrong_type("Start of structure or map found where not expected."),
        found if found.is_num() => "NUMBER_VALUE",
        _ => return ReadError::malformed("Unexpected character"),
    };
    ReadError::wrong_type(format!("{token} can not be converted to {wanted}"))
}
