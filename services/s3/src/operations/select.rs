//! SelectObjectContent.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_SelectObjectContent.html>

use bytes::Bytes;
use fractus_host::Context;
use fractus_s3_api as api;
use fractus_wire::{ByteStream, EventStream, Failure};
use futures::stream;

use crate::error::{Error, Result};
use crate::metrics::Tally;
use crate::model::encryption::given_key;
use crate::objects::Readable;
use crate::operations::{get, select_parquet as parquet};
use crate::service::S3;
use fractus_s3_select::evaluate::Evaluator;
use fractus_s3_select::inflate::{Compression, Inflater};
use fractus_s3_select::records::{Csv, Format, Header, Records};
use fractus_s3_select::run::Selection;
use fractus_s3_select::write::Output;
use fractus_s3_select::{SelectError, error, parse};

type Event = api::SelectObjectContentEventStream;

/// A message of records is no longer than this, unless one record is.
const MESSAGE_BYTES: usize = 64 * 1024;
/// How much is read between two messages of progress.
const PROGRESS_BYTES: u64 = 4 * 1024 * 1024;

fn refused(error: SelectError) -> Error {
    Error::Other(Box::new(error.into()))
}

fn invalid(code: &'static str, message: &str) -> Error {
    refused(error(code, message))
}

pub async fn select(
    s3: &S3,
    cx: &Context,
    input: api::SelectObjectContentInput,
) -> Result<api::SelectObjectContentOutput> {
    if input.expression_type != api::ExpressionType::Sql {
        return Err(invalid(
            "InvalidExpressionType",
            "The ExpressionType is invalid. Only SQL expressions are supported.",
        ));
    }
    let compression = compression(&input.input_serialization)?;
    let format = format(&input.input_serialization)?;
    if format.is_none() && compression != Compression::None {
        let message =
            "Parquet objects cannot be compressed as a whole. Columns compressed by GZIP or Snappy are supported.";
        return Err(invalid("InvalidCompressionFormat", message));
    }
    let output = output(&input.output_serialization)?;
    let query = parse::query(&input.expression).map_err(refused)?;
    let target = get::Target {
        bucket: &input.bucket,
        key: &input.key,
        version_id: None,
        owner: input.expected_bucket_owner.as_deref(),
    };
    let (object, readable) = get::source(s3, cx, target, given_key!(input)).await?;
    check_compression(s3, &readable, compression).await?;
    let range = scan_range(input.scan_range.as_ref(), object.size, compression, format.as_ref())?;
    let evaluator = Evaluator::new(query, cx.now());
    let tally = Tally::of(s3, cx, &input.bucket, &input.key, &object).await;
    let (selection, source) = match format {
        Some(format) => {
            let records = Records::new(format, range);
            let body = readable.into_body(s3, 0, object.size);
            (Selection::new(Inflater::new(compression), records, evaluator, output), Source::Bytes(body))
        }
        None => {
            let source = parquet::Source::open(s3, readable, object.size, range).await;
            let source = source.map_err(|failure| Error::Other(Box::new(failure)))?;
            (Selection::of_rows(evaluator, output), Source::Parquet(Box::new(source)))
        }
    };
    let tells_progress = input.request_progress.and_then(|progress| progress.enabled).unwrap_or(false);
    Ok(api::SelectObjectContentOutput { payload: EventStream::new(answer(selection, source, tells_progress, tally)) })
}

/// An object that is not compressed as the request says is refused before anything is answered.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#SelectObjectContentErrorCodeList>
async fn check_compression(s3: &S3, readable: &Readable, compression: Compression) -> Result<()> {
    let (name, begins): (_, &[u8]) = match compression {
        Compression::None => return Ok(()),
        Compression::Gzip => ("GZIP", &[0x1f, 0x8b]),
        Compression::Bzip2 => ("BZIP2", b"BZh"),
    };
    let head = readable.clone().into_body(s3, 0, begins.len() as u64).collect(begins.len() as u64).await?;
    // Of an empty object it is its end that comes too early.
    if head.is_empty() || head == begins {
        return Ok(());
    }
    let message = format!("{name} is not applicable to the queried object. Please correct the request and try again.");
    Err(Error::other("InvalidCompressionFormat", 400, message))
}

/// Where records come from.
enum Source {
    Bytes(ByteStream),
    Parquet(Box<parquet::Source>),
}

/// A query under way.
struct Running {
    selection: Selection,
    source: Source,
    tells_progress: bool,
    told: u64,
    /// Results that have not gone out.
    out: String,
    ended: bool,
    /// What is said when all results are out.
    last: Vec<Event>,
    /// Who counts what was read.
    tally: Option<Tally>,
}

fn answer(
    selection: Selection,
    source: Source,
    tells_progress: bool,
    tally: Option<Tally>,
) -> impl futures::Stream<Item = std::result::Result<Event, Failure>> + Send {
    let running = Running {
        selection,
        source,
        tells_progress,
        told: 0,
        out: String::new(),
        ended: false,
        last: Vec::new(),
        tally,
    };
    stream::unfold(Some(running), |running| async move {
        let mut running = running?;
        match running.next().await {
            Ok(Some(event)) => Some((Ok(event), Some(running))),
            Ok(None) => None,
            Err(failure) => Some((Err(failure), None)),
        }
    })
}

impl Running {
    async fn next(&mut self) -> std::result::Result<Option<Event>, Failure> {
        loop {
            if self.out.len() >= MESSAGE_BYTES || (self.ended && !self.out.is_empty()) {
                return Ok(Some(self.records()));
            }
            if self.ended {
                return Ok(self.last.pop());
            }
            if self.tells_progress && self.selection.counts().scanned >= self.told + PROGRESS_BYTES {
                self.told = self.selection.counts().scanned;
                return Ok(Some(self.progress()));
            }
            self.read().await?;
        }
    }

    /// Reads on; at the end says what comes last.
    async fn read(&mut self) -> std::result::Result<(), Failure> {
        let (complete, wants_more) = match &mut self.source {
            Source::Bytes(body) => match body.next().await {
                None => (true, false),
                Some(chunk) => {
                    let chunk = chunk.map_err(|_| Failure::internal("We encountered an internal error."))?;
                    (false, self.selection.feed(&chunk, &mut self.out)?)
                }
            },
            // Records are taken whole: there is nothing left of one at the end.
            Source::Parquet(source) => match source.next().await? {
                None => (false, false),
                Some(batch) => {
                    let (scanned, unpacked) = (batch.scanned, batch.unpacked);
                    (false, self.selection.take(batch.rows, scanned, unpacked, &mut self.out)?)
                }
            },
        };
        if !wants_more {
            self.selection.finish(complete, &mut self.out)?;
            self.ended = true;
            self.last = vec![Event::End(api::EndEvent::default()), self.stats()];
            if self.tells_progress {
                self.last.push(self.progress());
            }
            if let Some(tally) = self.tally.take() {
                let counts = self.selection.counts();
                tally.add(counts.scanned, counts.returned).await;
            }
        }
        Ok(())
    }

    fn records(&mut self) -> Event {
        let mut cut = self.out.len().min(MESSAGE_BYTES);
        while !self.out.is_char_boundary(cut) {
            cut -= 1;
        }
        let rest = self.out.split_off(cut);
        let payload = Bytes::from(std::mem::replace(&mut self.out, rest));
        Event::Records(api::RecordsEvent { payload: Some(payload) })
    }

    fn stats(&self) -> Event {
        let counts = self.selection.counts();
        Event::Stats(api::StatsEvent {
            details: Some(api::Stats {
                bytes_scanned: Some(counts.scanned as i64),
                bytes_processed: Some(counts.processed as i64),
                bytes_returned: Some(counts.returned as i64),
            }),
        })
    }

    fn progress(&self) -> Event {
        let counts = self.selection.counts();
        Event::Progress(api::ProgressEvent {
            details: Some(api::Progress {
                bytes_scanned: Some(counts.scanned as i64),
                bytes_processed: Some(counts.processed as i64),
                bytes_returned: Some(counts.returned as i64),
            }),
        })
    }
}

fn compression(input: &api::InputSerialization) -> Result<Compression> {
    match &input.compression_type {
        None | Some(api::CompressionType::None) => Ok(Compression::None),
        Some(api::CompressionType::Gzip) => Ok(Compression::Gzip),
        Some(api::CompressionType::Bzip2) => Ok(Compression::Bzip2),
        Some(api::CompressionType::Unknown(_)) => Err(invalid(
            "InvalidCompressionFormat",
            "The file is not in a supported compression format. Only GZIP and BZIP2 are supported.",
        )),
    }
}

/// None: Parquet, which is not read from its beginning to its end.
fn format(input: &api::InputSerialization) -> Result<Option<Format>> {
    match (&input.csv, &input.json, &input.parquet) {
        (Some(csv), None, None) => Ok(Some(Format::Csv(csv_input(csv)?))),
        (None, Some(json), None) => match &json.r#type {
            Some(api::JSONType::Lines) => Ok(Some(Format::JsonLines)),
            Some(api::JSONType::Document) => Ok(Some(Format::JsonDocument)),
            _ => Err(invalid("InvalidJsonType", "The JsonType is invalid. Only DOCUMENT and LINES are supported.")),
        },
        (None, None, Some(_)) => Ok(None),
        (None, None, None) => Err(invalid(
            "MissingRequiredParameter",
            "The SelectRequest entity is missing a required parameter. Check the service documentation and try again.",
        )),
        _ => Err(invalid(
            "InvalidDataSource",
            "Invalid data source type. Only one of CSV, JSON and Parquet can be given.",
        )),
    }
}

/// One character, or the default; an empty text is none.
fn character(given: Option<&String>, default: char) -> Result<Option<char>> {
    let Some(text) = given else { return Ok(Some(default)) };
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (one, None) => Ok(one),
        _ => {
            Err(invalid("InvalidRequestParameter", "The value of a parameter in the SelectRequest element is invalid."))
        }
    }
}

/// Up to two characters, or the default.
fn delimiter(given: Option<&String>, default: &str) -> Result<String> {
    match given.map(String::as_str) {
        None => Ok(default.to_owned()),
        Some(text) if (1..=2).contains(&text.chars().count()) => Ok(text.to_owned()),
        Some(_) => {
            Err(invalid("InvalidRequestParameter", "The value of a parameter in the SelectRequest element is invalid."))
        }
    }
}

fn csv_input(csv: &api::CSVInput) -> Result<Csv> {
    Ok(Csv {
        header: match &csv.file_header_info {
            None | Some(api::FileHeaderInfo::None) => Header::None,
            Some(api::FileHeaderInfo::Use) => Header::Use,
            Some(api::FileHeaderInfo::Ignore) => Header::Ignore,
            Some(api::FileHeaderInfo::Unknown(_)) => {
                let message = "The FileHeaderInfo is invalid. Only NONE, USE, and IGNORE are supported.";
                return Err(invalid("InvalidFileHeaderInfo", message));
            }
        },
        comments: character(csv.comments.as_ref(), '#')?,
        quote: character(csv.quote_character.as_ref(), '"')?,
        escape: character(csv.quote_escape_character.as_ref(), '"')?,
        record_delimiter: delimiter(csv.record_delimiter.as_ref(), "\n")?,
        field_delimiter: delimiter(csv.field_delimiter.as_ref(), ",")?,
        quoted_delimiters: csv.allow_quoted_record_delimiter.unwrap_or(false),
    })
}

fn output(given: &api::OutputSerialization) -> Result<Output> {
    match (&given.csv, &given.json) {
        (Some(csv), None) => Ok(Output::Csv {
            quote_all: match &csv.quote_fields {
                None | Some(api::QuoteFields::Asneeded) => false,
                Some(api::QuoteFields::Always) => true,
                Some(api::QuoteFields::Unknown(_)) => {
                    let message = "The QuoteFields is invalid. Only ALWAYS and ASNEEDED are supported.";
                    return Err(invalid("InvalidQuoteFields", message));
                }
            },
            quote: character(csv.quote_character.as_ref(), '"')?.unwrap_or('"'),
            escape: character(csv.quote_escape_character.as_ref(), '"')?.unwrap_or('"'),
            record_delimiter: delimiter(csv.record_delimiter.as_ref(), "\n")?,
            field_delimiter: delimiter(csv.field_delimiter.as_ref(), ",")?,
        }),
        (None, Some(json)) => {
            Ok(Output::Json { record_delimiter: json.record_delimiter.clone().unwrap_or_else(|| "\n".to_owned()) })
        }
        (None, None) => Err(invalid(
            "MissingRequiredParameter",
            "The SelectRequest entity is missing a required parameter. Check the service documentation and try again.",
        )),
        _ => Err(invalid("InvalidRequestParameter", "Results are CSV or JSON, not both.")),
    }
}

/// Which bytes records may begin in: from a start, up to an end, or the last so many.
fn scan_range(
    range: Option<&api::ScanRange>,
    size: u64,
    compression: Compression,
    format: Option<&Format>,
) -> Result<Option<std::ops::Range<u64>>> {
    let Some(range) = range else { return Ok(None) };
    let quoted = matches!(format, Some(Format::Csv(csv)) if csv.quoted_delimiters);
    if compression != Compression::None || quoted || matches!(format, Some(Format::JsonDocument)) {
        let message = "Scan range queries are not supported on this type of object.";
        return Err(invalid("UnsupportedScanRangeInput", message));
    }
    let bytes = |bytes: i64| {
        let message = "The value of a parameter in the ScanRange element is invalid.";
        u64::try_from(bytes).map_err(|_| invalid("InvalidScanRange", message))
    };
    let found = match (range.start.map(bytes).transpose()?, range.end.map(bytes).transpose()?) {
        (Some(start), Some(end)) => start..end,
        (Some(start), None) => start..u64::MAX,
        (None, Some(last)) => size.saturating_sub(last)..u64::MAX,
        (None, None) => 0..u64::MAX,
    };
    if found.start >= found.end {
        return Err(invalid("InvalidScanRange", "The value of a parameter in the ScanRange element is invalid."));
    }
    Ok(Some(found))
}
