//! Records out of bytes that come in pieces.

use std::ops::Range;
use std::sync::Arc;

use super::evaluate::Row;
use super::value::Value;
use super::{Result, error};

/// The longest record; a document may be longer than a line of one.
const MAX_RECORD_BYTES: usize = 1024 * 1024;
const MAX_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;

/// How a first line of CSV is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// It is a record like others.
    None,
    /// It is passed over.
    Ignore,
    /// It names the columns.
    Use,
}

#[derive(Clone, Debug)]
pub struct Csv {
    pub header: Header,
    pub comments: Option<char>,
    pub quote: Option<char>,
    pub escape: Option<char>,
    pub record_delimiter: String,
    pub field_delimiter: String,
    /// Whether a quoted field may hold the end of a record.
    pub quoted_delimiters: bool,
}

#[derive(Clone, Debug)]
pub enum Format {
    Csv(Csv),
    JsonLines,
    JsonDocument,
}

/// Takes bytes, gives records.
pub struct Records {
    format: Format,
    buffer: Vec<u8>,
    /// Where the next record begins in the buffer, and how far its end has been looked for.
    start: usize,
    scanned: usize,
    scan: Scan,
    /// Where the buffer begins among all bytes.
    offset: u64,
    /// Records that begin elsewhere are passed over.
    range: Option<Range<u64>>,
    names: Arc<Vec<String>>,
    header_passed: bool,
}

/// What is known of the record that is being looked through.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    quoted: bool,
    escaped: bool,
    depth: usize,
    begun: bool,
}

impl Records {
    pub fn new(format: Format, range: Option<Range<u64>>) -> Self {
        Records {
            format,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            scan: Scan::default(),
            offset: 0,
            range,
            names: Arc::default(),
            header_passed: false,
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.offset += self.start as u64;
        self.scanned -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next record; `None` where more bytes are needed, or, at the end, where there is none.
    pub fn next(&mut self, at_end: bool) -> Result<Option<Row>> {
        while let Some(bytes) = self.next_bytes(at_end)? {
            let begins_at = self.offset + bytes.start as u64;
            let bytes = &self.buffer[bytes];
            let row = match &self.format {
                Format::Csv(csv) => {
                    let text = utf8(bytes)?;
                    if text.is_empty() || csv.comments.is_some_and(|mark| text.starts_with(mark)) {
                        continue;
                    }
                    let values = fields(text, csv)?;
                    if !self.header_passed && csv.header != Header::None {
                        self.header_passed = true;
                        if csv.header == Header::Use {
                            self.names = Arc::new(values);
                        }
                        continue;
                    }
                    Row::Fields { names: self.names.clone(), values }
                }
                Format::JsonLines | Format::JsonDocument => {
                    let text = utf8(bytes)?.trim();
                    if text.is_empty() {
                        continue;
                    }
                    Row::Document(serde_json::from_str::<Value>(text).map_err(|cause| {
                        error(
                            "JSONParsingError",
                            format!("Error parsing JSON file. Please check the file and try again. {cause}"),
                        )
                    })?)
                }
            };
            if self.range.as_ref().is_none_or(|range| range.contains(&begins_at)) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// The bytes of the next record, without what ends it.
    fn next_bytes(&mut self, at_end: bool) -> Result<Option<Range<usize>>> {
        let found = match &self.format {
            Format::Csv(csv) => find_line(&self.buffer, self.start, self.scanned, &mut self.scan, csv),
            Format::JsonLines => find_newline(&self.buffer, self.scanned),
            Format::JsonDocument => find_document(&self.buffer, self.scanned, &mut self.scan),
        };
        let start = self.start;
        let limit = if matches!(self.format, Format::JsonDocument) { MAX_DOCUMENT_BYTES } else { MAX_RECORD_BYTES };
        let taken = match found {
            Found::Record { end, next } => {
                (self.start, self.scanned, self.scan) = (next, next, Scan::default());
                Some(start..end)
            }
            Found::More(scanned) if !at_end => {
                self.scanned = scanned;
                None
            }
            Found::More(_) => {
                let end = self.buffer.len();
                (self.start, self.scanned, self.scan) = (end, end, Scan::default());
                (start < end).then_some(start..end)
            }
        };
        let length = taken.as_ref().map_or(self.buffer.len() - self.start, |taken| taken.len());
        if length > limit {
            let message = format!("The character number in one record is more than our max threshold, {limit} bytes");
            return Err(error("OverMaxRecordSize", message));
        }
        Ok(taken)
    }
}

enum Found {
    Record {
        end: usize,
        next: usize,
    },
    /// Not yet; the search goes on here.
    More(usize),
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    let message = "Invalid encoding type. Only UTF-8 encoding is supported.";
    std::str::from_utf8(bytes).map_err(|_| error("InvalidTextEncoding", message))
}

fn find_newline(buffer: &[u8], from: usize) -> Found {
    match buffer[from..].iter().position(|byte| *byte == b'\n') {
        Some(at) => Found::Record { end: from + at, next: from + at + 1 },
        None => Found::More(buffer.len()),
    }
}

fn find_line(buffer: &[u8], start: usize, from: usize, scan: &mut Scan, csv: &Csv) -> Found {
    let delimiter = csv.record_delimiter.as_bytes();
    let quote = csv.quote.filter(|quote| csv.quoted_delimiters && quote.is_ascii()).map(|quote| quote as u8);
    let mut at = from;
    while at < buffer.len() {
        if Some(buffer[at]) == quote {
            // A doubled quote closes and opens: the state is right again.
            scan.quoted = !scan.quoted;
        } else if !scan.quoted && buffer[at] == delimiter[0] {
            if buffer.len() - at < delimiter.len() {
                return Found::More(at);
            }
            if buffer[at..].starts_with(delimiter) {
                let carriage = delimiter == b"\n" && at > start && buffer[at - 1] == b'\r';
                return Found::Record { end: at - usize::from(carriage), next: at + delimiter.len() };
            }
        }
        at += 1;
    }
    Found::More(at)
}

/// The end of a JSON value: of an object or array by its bracket, of anything else by the white space behind it.
fn find_document(buffer: &[u8], from: usize, scan: &mut Scan) -> Found {
    for (at, byte) in buffer.iter().enumerate().skip(from) {
        match byte {
            _ if scan.escaped => scan.escaped = false,
            b'\\' if scan.quoted => scan.escaped = true,
            b'"' => (scan.quoted, scan.begun) = (!scan.quoted, true),
            _ if scan.quoted => {}
            b'{' | b'[' => (scan.depth, scan.begun) = (scan.depth + 1, true),
            b'}' | b']' => {
                scan.depth = scan.depth.saturating_sub(1);
                if scan.depth == 0 {
                    return Found::Record { end: at + 1, next: at + 1 };
                }
            }
            byte if byte.is_ascii_whitespace() => {
                if scan.begun && scan.depth == 0 {
                    return Found::Record { end: at, next: at + 1 };
                }
            }
            _ => scan.begun = true,
        }
    }
    Found::More(buffer.len())
}

fn fields(text: &str, csv: &Csv) -> Result<Vec<String>> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let quoted = csv.quote.and_then(|quote| Some((quote, rest.strip_prefix(quote)?)));
        let (value, after) = match quoted {
            Some((quote, inner)) => quoted_field(inner, quote, csv.escape)?,
            None => {
                let end = rest.find(&csv.field_delimiter).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        values.push(value);
        if after.is_empty() {
            return Ok(values);
        }
        rest = after.strip_prefix(csv.field_delimiter.as_str()).ok_or_else(|| {
            error("CSVParsingError", "Error parsing CSV file. A quoted field is followed by what is no delimiter.")
        })?;
    }
}

/// A field whose opening quote has been passed.
fn quoted_field(text: &str, quote: char, escape: Option<char>) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let next_is_quote = characters.peek().is_some_and(|(_, next)| *next == quote);
        if Some(character) == escape && next_is_quote {
            characters.next();
            value.push(quote);
        } else if character == quote {
            return Ok((value, &text[at + quote.len_utf8()..]));
        } else {
            value.push(character);
        }
    }
    Err(error("CSVUnescapedQuote", "Error parsing CSV file. A quoted field does not end."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv() -> Csv {
        Csv {
            header: Header::None,
            comments: Some('#'),
            quote: Some('"'),
            escape: Some('"'),
            record_delimiter: "\n".into(),
            field_delimiter: ",".into(),
            quoted_delimiters: false,
        }
    }

    /// Records of a text that comes in pieces of every size.
    fn read(format: &Format, text: &str, piece: usize) -> Result<Vec<Row>> {
        let mut records = Records::new(format.clone(), None);
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            records.feed(piece);
            while let Some(row) = records.next(false)? {
                found.push(row);
            }
        }
        while let Some(row) = records.next(true)? {
            found.push(row);
        }
        Ok(found)
    }

    fn values(row: &Row) -> Vec<&str> {
        match row {
            Row::Fields { values, .. } => values.iter().map(String::as_str).collect(),
            Row::Document(_) => panic!("a document"),
        }
    }

    #[test]
    fn csv_in_pieces_of_any_size() {
        let text = "# note\r\na,b\r\n\"x,1\",\"say \"\"hi\"\"\"\n\nlast,";
        for piece in 1..text.len() {
            let rows = read(&Format::Csv(csv()), text, piece).unwrap();
            let rows: Vec<_> = rows.iter().map(values).collect();
            assert_eq!(rows, [vec!["a", "b"], vec!["x,1", "say \"hi\""], vec!["last", ""]], "pieces of {piece}");
        }
    }

    #[test]
    fn headers_delimiters_and_quoted_ends() {
        let named = Format::Csv(Csv { header: Header::Use, quoted_delimiters: true, ..csv() });
        let rows = read(&named, "a,b\n\"1\n2\",3\n", 2).unwrap();
        assert_eq!(
            rows,
            [Row::Fields { names: Arc::new(vec!["a".into(), "b".into()]), values: vec!["1\n2".into(), "3".into()] }]
        );
        let odd = Format::Csv(Csv { record_delimiter: "||".into(), field_delimiter: "\t".into(), ..csv() });
        let rows = read(&odd, "a\tb||c|d\te||", 1).unwrap();
        assert_eq!(rows.iter().map(values).collect::<Vec<_>>(), [vec!["a", "b"], vec!["c|d", "e"]]);
        assert_eq!(read(&Format::Csv(csv()), "\"a", 1).unwrap_err().code, "CSVUnescapedQuote");
    }

    #[test]
    fn documents_end_where_their_brackets_close() {
        let text = "{\"a\": \"}\\\"\"}\n[1, {\"b\": 2}] 7 {\n\"c\": 3}";
        for piece in 1..text.len() {
            let rows = read(&Format::JsonDocument, text, piece).unwrap();
            assert_eq!(rows.len(), 4, "pieces of {piece}");
        }
        assert_eq!(read(&Format::JsonLines, "{\"a\":1}\n\n{\"a\":2}", 3).unwrap().len(), 2);
        assert_eq!(read(&Format::JsonLines, "{\"a\":1\n", 3).unwrap_err().code, "JSONParsingError");
    }

    #[test]
    fn a_range_takes_the_records_that_begin_in_it() {
        let text = "aa\nbb\ncc\ndd\n";
        let mut records = Records::new(Format::Csv(csv()), Some(1..7));
        records.feed(text.as_bytes());
        let mut found = Vec::new();
        while let Some(row) = records.next(true).unwrap() {
            found.push(values(&row).join(""));
        }
        assert_eq!(found, ["bb", "cc"]);
    }
}
