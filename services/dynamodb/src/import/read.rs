//! From an object's bytes to items: unpacked, split into lines or records, read.
//!
//! It runs on a thread of its own, between two short channels, so that no more of an object is in memory than is worked on.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataImport.Format.html>

use std::io::{self, BufRead, BufReader, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use flate2::bufread::MultiGzDecoder;
use fractus_dynamodb_rules::json::item_from_json;
use fractus_dynamodb_rules::{Item, Kind, Value, check, ion};
use ruzstd::decoding::StreamingDecoder;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tokio::sync::mpsc;

/// The longest line: an item of 400 KB, all of it escaped, and the names of its types.
const MAX_LINE_BYTES: u64 = 4 * 1024 * 1024;
/// What goes on together.
const BATCH_ITEMS: usize = 100;
const BATCH_BYTES: usize = 512 * 1024;

/// How items are written in objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    DynamoDbJson,
    Ion,
    Csv {
        delimiter: u8,
        /// Names of the columns; the first record names them where they are not given.
        header: Option<Vec<String>>,
        /// Columns that are keys of a type other than text, by name.
        kinds: Vec<(String, String)>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Items that were read, and what could not be read.
#[derive(Debug, Default)]
pub struct Batch {
    pub items: Vec<Item>,
    pub errors: u64,
    /// The first of the errors.
    pub reason: Option<String>,
    bytes: usize,
}

/// The bytes of an object as they come from another task.
struct Incoming {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = out.len().min(self.current.len());
        self.current.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

/// The frames of a Zstandard file, one after the other.
struct Frames<R: BufRead> {
    source: Option<R>,
    frame: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let count = frame.read(out)?;
                if count > 0 || out.is_empty() {
                    return Ok(count);
                }
                self.source = self.frame.take().map(StreamingDecoder::into_inner);
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            if source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame = Some(StreamingDecoder::new(source).map_err(io::Error::other)?);
        }
    }
}

/// Gathers items into batches and hands them on.
struct Collector {
    out: mpsc::Sender<Batch>,
    batch: Batch,
}

/// Nobody takes what is read any more.
struct Gone;

impl Collector {
    fn take(&mut self, read: Result<Item, String>, bytes: usize) -> Result<(), Gone> {
        match read {
            Ok(item) => self.batch.items.push(item),
            Err(reason) => {
                self.batch.errors += 1;
                self.batch.reason.get_or_insert(reason);
            }
        }
        self.batch.bytes += bytes;
        if self.batch.items.len() >= BATCH_ITEMS || self.batch.bytes >= BATCH_BYTES {
            return self.hand_on();
        }
        Ok(())
    }

    fn hand_on(&mut self) -> Result<(), Gone> {
        self.out.blocking_send(std::mem::take(&mut self.batch)).map_err(|_| Gone)
    }
}

/// The bytes of an object as they were before they were packed, as they come.
pub fn unpacked(chunks: mpsc::Receiver<Bytes>, compression: Compression) -> Box<dyn BufRead> {
    let incoming = BufReader::new(Incoming { chunks, current: Bytes::new() });
    match compression {
        Compression::None => Box::new(incoming),
        Compression::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(incoming))),
        Compression::Zstd => Box::new(BufReader::new(Frames { source: Some(incoming), frame: None })),
    }
}

/// Reads an object to its end. What is wrong with its packing is one error, and the end of it.
pub fn read_object(chunks: mpsc::Receiver<Bytes>, compression: Compression, format: &Format, out: mpsc::Sender<Batch>) {
    let mut collector = Collector { out, batch: Batch::default() };
    let ended = match read_all(unpacked(chunks, compression), format, &mut collector) {
        Ok(ended) => ended,
        Err(error) => collector.take(Err(error.to_string()), 0),
    };
    if ended.is_ok() {
        // The last batch; that nobody takes it any more is no matter.
        let _ = collector.hand_on();
    }
}

fn read_all(source: impl BufRead, format: &Format, collector: &mut Collector) -> io::Result<Result<(), Gone>> {
    match format {
        Format::DynamoDbJson => lines(source, json_item, collector),
        Format::Ion => lines(source, ion_item, collector),
        Format::Csv { delimiter, header, kinds } => {
            Ok(records(source, Columns { delimiter: *delimiter, header: header.as_deref(), kinds }, collector))
        }
    }
}

type ReadLine = fn(&str) -> Result<Option<Item>, String>;

fn lines(mut source: impl BufRead, read: ReadLine, collector: &mut Collector) -> io::Result<Result<(), Gone>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = source.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(Ok(()));
        }
        if count as u64 == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            return Ok(collector.take(Err("a line is too long".to_owned()), count));
        }
        let text = std::str::from_utf8(&line).map_err(|_| "a line is not UTF-8".to_owned());
        let read = text.and_then(|text| if text.trim().is_empty() { Ok(None) } else { read(text.trim()) });
        if let Some(read) = read.transpose()
            && collector.take(read, count).is_err()
        {
            return Ok(Err(Gone));
        }
    }
}

fn json_item(line: &str) -> Result<Option<Item>, String> {
    let json: Json = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let Json::Object(mut members) = json else { return Err("a line is no object".to_owned()) };
    let item = members.remove("Item").ok_or("a line has no Item")?;
    item_from_json(item).map(Some).map_err(|error| error.to_string())
}

fn ion_item(line: &str) -> Result<Option<Item>, String> {
    match ion::read(line).map_err(|error| error.to_string())? {
        None => Ok(None),
        Some(Value::M(mut outer)) => match outer.remove("Item") {
            Some(Value::M(item)) => Ok(Some(item)),
            _ => Err("a line has no Item".to_owned()),
        },
        Some(_) => Err("a line is no struct".to_owned()),
    }
}

/// How the records of a CSV file are read.
struct Columns<'a> {
    delimiter: u8,
    header: Option<&'a [String]>,
    kinds: &'a [(String, String)],
}

fn records(source: impl BufRead, columns: Columns<'_>, collector: &mut Collector) -> Result<(), Gone> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(columns.delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(source.take(u64::MAX));
    let mut names: Option<Vec<String>> = columns.header.map(<[String]>::to_vec);
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(error) => {
                let is_over = matches!(error.kind(), csv::ErrorKind::Io(_));
                collector.take(Err(error.to_string()), 0)?;
                if is_over {
                    return Ok(());
                }
                continue;
            }
        }
        match &names {
            Some(names) => {
                let bytes = record.as_slice().len();
                collector.take(of_record(&record, names, columns.kinds), bytes)?;
            }
            None => names = Some(record.iter().map(str::to_owned).collect()),
        }
    }
}

/// A record as an item: texts, but for keys of another type.
fn of_record(record: &csv::StringRecord, names: &[String], kinds: &[(String, String)]) -> Result<Item, String> {
    if record.len() != names.len() {
        return Err(format!("a record has {} fields instead of {}", record.len(), names.len()));
    }
    let field = |(name, text): (&String, &str)| {
        let kind = kinds.iter().find(|(own, _)| own == name).and_then(|(_, kind)| Kind::named(kind));
        let value = match kind {
            Some(Kind::N) => check::number(text).map_err(|error| error.to_string())?,
            Some(Kind::B) => Value::B(STANDARD.decode(text).map_err(|error| error.to_string())?),
            _ => Value::S(text.to_owned()),
        };
        Ok((name.clone(), value))
    };
    names.iter().zip(record).map(field).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use fractus_dynamodb_rules::json::item_to_json;
    use serde_json::json;

    use super::*;

    fn read_chunks(chunks: Vec<Bytes>, compression: Compression, format: &Format) -> (Vec<Json>, u64) {
        let (send, receive) = mpsc::channel(chunks.len().max(1));
        for chunk in chunks {
            send.try_send(chunk).unwrap();
        }
        drop(send);
        let (out, mut batches) = mpsc::channel(64);
        read_object(receive, compression, format, out);
        let (mut items, mut errors) = (Vec::new(), 0);
        while let Ok(batch) = batches.try_recv() {
            items.extend(batch.items.iter().map(item_to_json));
            errors += batch.errors;
        }
        (items, errors)
    }

    fn read(text: &str, format: &Format) -> (Vec<Json>, u64) {
        // In small pieces, so that lines lie across them.
        let chunks = text.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
        read_chunks(chunks, Compression::None, format)
    }

    #[test]
    fn lines_of_json_and_ion_are_items() {
        let text = "{\"Item\":{\"pk\":{\"S\":\"a\"}}}\n\n{\"Item\":{\"pk\":{\"X\":\"a\"}}}\nno json\n{\"Item\":{\"pk\":{\"N\":\"1\"}}}";
        let (items, errors) = read(text, &Format::DynamoDbJson);
        assert_eq!(items, [json!({"pk": {"S": "a"}}), json!({"pk": {"N": "1"}})]);
        assert_eq!(errors, 2);
        let text = "$ion_1_0 {Item:{pk:\"a\",n:2d3}}\n$ion_1_0\n{Item:{pk:symbol}}\n{Other:{}}\n";
        let (items, errors) = read(text, &Format::Ion);
        assert_eq!(items, [json!({"pk": {"S": "a"}, "n": {"N": "2000"}})]);
        assert_eq!(errors, 2);
    }

    #[test]
    fn records_of_csv_are_items_with_keys_of_their_type() {
        let kinds = vec![("id".to_owned(), "N".to_owned()), ("raw".to_owned(), "B".to_owned())];
        let format = Format::Csv { delimiter: b';', header: None, kinds };
        let text = "id;raw;note\r\n1;aGk=;\"a;\"\"b\"\"\"\nx;aGk=;bad\n2;aGk=\n3;aGk=;\n";
        let (items, errors) = read(text, &format);
        assert_eq!(
            items,
            [
                json!({"id": {"N": "1"}, "raw": {"B": "aGk="}, "note": {"S": "a;\"b\""}}),
                json!({"id": {"N": "3"}, "raw": {"B": "aGk="}, "note": {"S": ""}}),
            ]
        );
        assert_eq!(errors, 2);
        let header = Some(vec!["pk".to_owned(), "v".to_owned()]);
        let format = Format::Csv { delimiter: b',', header, kinds: vec![] };
        assert_eq!(read("pk,v\n", &format).0, [json!({"pk": {"S": "pk"}, "v": {"S": "v"}})]);
    }

    #[test]
    fn packed_objects_are_unpacked_and_broken_ones_are_one_error() {
        let text = "{\"Item\":{\"pk\":{\"S\":\"a\"}}}\n".repeat(500);
        let pack = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let two = [pack(&text), pack(&text)].concat();
        let (items, errors) = read_chunks(vec![two.clone().into()], Compression::Gzip, &Format::DynamoDbJson);
        assert_eq!((items.len(), errors), (1_000, 0));
        let cut = Bytes::copy_from_slice(&two[..two.len() - 20]);
        let (_, errors) = read_chunks(vec![cut], Compression::Gzip, &Format::DynamoDbJson);
        assert!(errors >= 1);
        let packed = ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
        let two = [packed.clone(), packed].concat();
        let chunks = two.chunks(100).map(Bytes::copy_from_slice).collect();
        let (items, errors) = read_chunks(chunks, Compression::Zstd, &Format::DynamoDbJson);
        assert_eq!((items.len(), errors), (1_000, 0));
    }
}
