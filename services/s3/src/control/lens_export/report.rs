//! The report as it grows, in either form.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_understanding_metrics_export_schema.html>

use fractus_clock::Timestamp;
use fractus_s3control_api as api;

use super::activity::Row;
use crate::model::encoding::form_encode;
use fractus_s3_columns::write::{Cell, ColumnKind, ColumnSpec, File};

const COLUMNS: [&str; 11] = [
    "version_number",
    "configuration_id",
    "report_date",
    "aws_account_number",
    "aws_region",
    "storage_class",
    "record_type",
    "record_value",
    "bucket_name",
    "metric_name",
    "metric_value",
];
const VALUE: &str = "metric_value";
/// What the schema of a Parquet file is called.
const MESSAGE: &str = "s3.storage.lens";

pub const VERSION: &str = "V_1";
/// From where on a report goes on in another file: bytes of a text, or rows.
const BYTES_OF_FILE: usize = 16 << 20;
const ROWS_OF_FILE: usize = 100_000;

/// What every row says.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    pub id: &'a str,
    pub date: &'a str,
    /// When the day began that is reported.
    pub day: Timestamp,
    pub account: &'a str,
}

/// What the metrics of a row are of.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub region: &'a str,
    pub class: &'a str,
    /// `ACCOUNT`, `BUCKET`, `PREFIX`, `STORAGE_LENS_GROUP_ACCOUNT`, `STORAGE_LENS_GROUP_BUCKET`.
    pub kind: &'a str,
    /// A prefix (URL-encoded in the file), or a group's ARN.
    pub value: &'a str,
    pub bucket: &'a str,
}

pub enum Report {
    Csv(String),
    Parquet(Box<File>),
}

impl Report {
    pub fn of(format: &api::Format) -> Report {
        if *format == api::Format::Parquet { Report::parquet() } else { Report::csv() }
    }

    pub fn has_rows(&self) -> bool {
        match self {
            Report::Csv(text) => text.lines().nth(1).is_some(),
            Report::Parquet(file) => file.rows() > 0,
        }
    }

    pub fn is_full(&self) -> bool {
        match self {
            Report::Csv(text) => text.len() >= BYTES_OF_FILE,
            Report::Parquet(file) => file.rows() >= ROWS_OF_FILE,
        }
    }

    fn csv() -> Report {
        Report::Csv(format!("{}\n", COLUMNS.join(",")))
    }

    fn parquet() -> Report {
        let columns = COLUMNS.map(|name| {
            let kind = if name == VALUE { ColumnKind::Long } else { ColumnKind::Text };
            ColumnSpec { name, kind, required: true }
        });
        Report::Parquet(Box::new(File::new(columns.into())))
    }

    pub fn write(&mut self, head: &Head<'_>, record: Record<'_>, rows: &[Row]) {
        let encoded;
        let value = match record.kind {
            "PREFIX" => {
                encoded = form_encode(record.value);
                encoded.as_str()
            }
            _ => record.value,
        };
        let Head { id, date, account, .. } = *head;
        let Record { region, class, kind, bucket, .. } = record;
        let said = [VERSION, id, date, account, region, class, kind, value, bucket];
        // What tables alone have goes by its column's name.
        for (metric, count) in
            rows.iter().filter(|(metric, _)| !metric.starts_with(|first: char| first.is_ascii_lowercase()))
        {
            match self {
                Report::Csv(text) => text.push_str(&format!("{},{metric},{count}\n", said.join(","))),
                Report::Parquet(file) => {
                    let texts = said.into_iter().chain([&**metric]).map(|text| Cell::Text(text.to_owned()));
                    let number = Cell::Long(i64::try_from(*count).unwrap_or(i64::MAX));
                    file.row(texts.chain([number]));
                }
            }
        }
    }

    /// What the manifest says of the format and the schema.
    pub fn described(&self) -> (&'static str, String) {
        match self {
            Report::Csv(_) => ("CSV", COLUMNS.join(",")),
            Report::Parquet(_) => {
                let columns = COLUMNS.map(|name| {
                    let kind = if name == VALUE { "long" } else { "string" };
                    format!("required {kind} {name};")
                });
                ("Parquet", format!("message {MESSAGE} {{ {} }}", columns.join(" ")))
            }
        }
    }

    /// The ending of the file's name, its type and its bytes.
    pub fn finish(self) -> (&'static str, &'static str, Vec<u8>) {
        match self {
            Report::Csv(text) => ("csv", "text/csv", text.into_bytes()),
            Report::Parquet(file) => ("par", "application/octet-stream", file.finish(MESSAGE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_encoded_and_schemas_are_as_aws_writes_them() {
        let mut report = Report::csv();
        let day = Timestamp::from_millis(0);
        let head = Head { id: "i", date: "2026-03-01", day, account: "000000000000" };
        let record = Record { region: "us-east-1", class: "STANDARD", kind: "PREFIX", value: "a,b/", bucket: "b" };
        assert!(!report.has_rows());
        report.write(&head, record, &[("sse_kms_object_count".into(), 1), ("StorageBytes".into(), 0)]);
        assert!(report.has_rows());
        let Report::Csv(text) = &report else { panic!() };
        let line = "V_1,i,2026-03-01,000000000000,us-east-1,STANDARD,PREFIX,a%2Cb/,b,StorageBytes,0";
        assert_eq!(text.lines().nth(1), Some(line));
        let (format, schema) = Report::parquet().described();
        assert_eq!(format, "Parquet");
        assert!(schema.starts_with("message s3.storage.lens { required string version_number; "), "{schema}");
        assert!(schema.ends_with("required long metric_value; }"), "{schema}");
    }
}
