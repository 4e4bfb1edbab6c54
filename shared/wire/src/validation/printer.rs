//! Collections as AWS prints them in its messages, the Java way: `[a, b]`, `{k=v}`, `Tag(key=k, value=v)`.

use fractus_clock::Timestamp;

use crate::document::Document;
use crate::schema::Member;
use crate::shape::{Shape, WriteError, Writer};

/// A message shows so much of a value.
const MAX_BYTES: usize = 4_096;

/// Prints the inside of one collection.
#[derive(Default)]
pub(super) struct Printer {
    text: String,
    /// Of a structure: names go before values.
    names: bool,
    /// The next value follows a key.
    after_key: bool,
    started: bool,
}

impl Printer {
    /// The whole text, in the collection's brackets.
    pub(super) fn finish(self, is_map: bool) -> String {
        if is_map { format!("{{{}}}", self.text) } else { format!("[{}]", self.text) }
    }

    fn begin(&mut self, member: &'static Member) {
        if self.after_key {
            self.after_key = false;
            return;
        }
        self.separate();
        if self.names {
            let mut characters = member.name.chars();
            self.text.extend(characters.next().map(|first| first.to_ascii_lowercase()));
            self.text.push_str(characters.as_str());
            self.text.push('=');
        }
    }

    fn separate(&mut self) {
        if self.started {
            self.text.push_str(", ");
        }
        self.started = true;
    }

    fn push(&mut self, member: &'static Member, text: &str) -> Result<(), WriteError> {
        self.begin(member);
        if self.text.len() < MAX_BYTES {
            self.text.push_str(if member.target.sensitive { "***" } else { text });
        }
        Ok(())
    }

    fn nest(
        &mut self,
        open: &str,
        close: char,
        names: bool,
        inside: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.text.push_str(open);
        let outer = (self.names, self.started);
        (self.names, self.started) = (names, false);
        if self.text.len() < MAX_BYTES {
            inside(self)?;
        }
        (self.names, self.started) = outer;
        self.after_key = false;
        self.text.push(close);
        Ok(())
    }
}

impl Writer for Printer {
    fn write_structure(&mut self, member: &'static Member, shape: &dyn Shape) -> Result<(), WriteError> {
        self.begin(member);
        self.text.push_str(member.target.name);
        self.nest("(", ')', true, |printer| shape.write_members(printer))
    }

    fn write_list(
        &mut self,
        member: &'static Member,
        _length: usize,
        elements: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.begin(member);
        self.nest("[", ']', false, |printer| elements(printer))
    }

    fn write_map(
        &mut self,
        member: &'static Member,
        _length: usize,
        entries: &mut dyn FnMut(&mut dyn Writer) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.begin(member);
        self.nest("{", '}', false, |printer| entries(printer))
    }

    fn write_key(&mut self, key: &str) -> Result<(), WriteError> {
        self.separate();
        if self.text.len() < MAX_BYTES {
            self.text.push_str(key);
        }
        self.text.push('=');
        self.after_key = true;
        Ok(())
    }

    fn write_null(&mut self, member: &'static Member) -> Result<(), WriteError> {
        self.push(member, "null")
    }

    fn write_string(&mut self, member: &'static Member, value: &str) -> Result<(), WriteError> {
        self.push(member, value)
    }

    fn write_blob(&mut self, member: &'static Member, value: &[u8]) -> Result<(), WriteError> {
        self.push(member, &format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", value.len()))
    }

    fn write_boolean(&mut self, member: &'static Member, value: bool) -> Result<(), WriteError> {
        self.push(member, if value { "true" } else { "false" })
    }

    fn write_integer(&mut self, member: &'static Member, value: i32) -> Result<(), WriteError> {
        self.push(member, &value.to_string())
    }

    fn write_long(&mut self, member: &'static Member, value: i64) -> Result<(), WriteError> {
        self.push(member, &value.to_string())
    }

    fn write_float(&mut self, member: &'static Member, value: f32) -> Result<(), WriteError> {
        self.push(member, &format!("{value:?}"))
    }

    fn write_double(&mut self, member: &'static Member, value: f64) -> Result<(), WriteError> {
        self.push(member, &format!("{value:?}"))
    }

    fn write_timestamp(&mut self, member: &'static Member, value: Timestamp) -> Result<(), WriteError> {
        self.push(member, &value.date_time())
    }

    fn write_document(&mut self, member: &'static Member, _value: &Document) -> Result<(), WriteError> {
        self.push(member, "...")
    }
}
