//! What an export writes: lines of items, compressed, and the manifests that tell of them.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html>

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::json::item_to_json;
use fractus_dynamodb_rules::{Item, Number, Value, ion};
use md5::{Digest, Md5};
use serde_json::{Value as Json, json};

/// How items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    DynamoDbJson,
    Ion,
}

impl Form {
    pub fn of(format: Option<&api::ExportFormat>) -> Self {
        match format {
            Some(api::ExportFormat::Ion) => Form::Ion,
            _ => Form::DynamoDbJson,
        }
    }

    /// The end of a data file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Form::DynamoDbJson => "json.gz",
            Form::Ion => "ion.gz",
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Form::DynamoDbJson => "DYNAMODB_JSON",
            Form::Ion => "ION",
        }
    }
}

/// An item of an incremental export: what it was and is.
#[derive(Debug)]
pub struct Difference {
    pub at: Timestamp,
    pub keys: Item,
    pub before: Option<Item>,
    pub after: Option<Item>,
}

/// A data file in the making.
pub struct DataFile {
    form: Form,
    encoder: GzEncoder<Vec<u8>>,
    pub items: u64,
    pub plain_bytes: u64,
}

impl DataFile {
    pub fn new(form: Form) -> Self {
        DataFile { form, encoder: GzEncoder::new(Vec::new(), Compression::default()), items: 0, plain_bytes: 0 }
    }

    fn line(&mut self, text: &str) -> std::io::Result<()> {
        self.items += 1;
        self.plain_bytes += text.len() as u64 + 1;
        self.encoder.write_all(text.as_bytes())?;
        self.encoder.write_all(b"\n")
    }

    pub fn item(&mut self, item: &Item) -> std::io::Result<()> {
        let text = match self.form {
            Form::DynamoDbJson => json!({ "Item": item_to_json(item) }).to_string(),
            Form::Ion => {
                let mut text = format!("{} {{Item:", ion::VERSION_MARKER);
                ion::put_map(item, &mut text);
                text.push('}');
                text
            }
        };
        self.line(&text)
    }

    pub fn difference(&mut self, difference: &Difference) -> std::io::Result<()> {
        let micros = u64::try_from(difference.at.micros()).unwrap_or(0);
        let images = [("OldImage", &difference.before), ("NewImage", &difference.after)];
        let text = match self.form {
            Form::DynamoDbJson => {
                let mut line = json!({
                    "Metadata": {"WriteTimestampMicros": {"N": micros.to_string()}},
                    "Keys": item_to_json(&difference.keys),
                });
                for (name, image) in images {
                    if let Some(image) = image {
                        line[name] = item_to_json(image);
                    }
                }
                line.to_string()
            }
            Form::Ion => {
                let stamp = [("WriteTimestampMicros".to_owned(), Value::N(Number::from_u64(micros)))];
                let mut entries = vec![
                    ("Metadata".to_owned(), Value::M(stamp.into_iter().collect())),
                    ("Keys".to_owned(), Value::M(difference.keys.clone())),
                ];
                let images = images.into_iter().filter_map(|(name, image)| Some((name.to_owned(), image.clone()?)));
                entries.extend(images.map(|(name, image)| (name, Value::M(image))));
                let mut text = format!("{} {{Record:", ion::VERSION_MARKER);
                ion::put_map(&entries.into_iter().collect(), &mut text);
                text.push('}');
                text
            }
        };
        self.line(&text)
    }

    pub fn finish(self) -> std::io::Result<Bytes> {
        Ok(self.encoder.finish()?.into())
    }
}

pub fn md5_base64(bytes: &[u8]) -> String {
    STANDARD.encode(Md5::digest(bytes))
}

/// The line of a data file in `manifest-files.json`.
pub fn manifest_line(items: u64, body: &[u8], etag: &str, key: &str) -> String {
    json!({
        "itemCount": items,
        "md5Checksum": md5_base64(body),
        "etag": etag,
        "dataFileS3Key": key,
    })
    .to_string()
}

/// `manifest-summary.json`.
pub fn summary(described: &api::ExportDescription, ended_at: Timestamp, files_key: &str) -> String {
    let time = |time: Option<Timestamp>| time.map(Timestamp::date_time_millis);
    let mut summary = json!({
        "version": "2020-06-30",
        "exportArn": described.export_arn,
        "startTime": time(described.start_time),
        "endTime": ended_at.date_time_millis(),
        "tableArn": described.table_arn,
        "tableId": described.table_id,
        "exportTime": time(described.export_time),
        "s3Bucket": described.s3_bucket,
        "s3Prefix": described.s3_prefix,
        "s3SseAlgorithm": described.s3_sse_algorithm.as_ref().map(|own| own.as_str().to_owned()),
        "s3SseKmsKeyId": described.s3_sse_kms_key_id,
        "manifestFilesS3Key": files_key,
        "billedSizeBytes": described.billed_size_bytes,
        "itemCount": described.item_count,
        "outputFormat": Form::of(described.export_format.as_ref()).as_str(),
    });
    if let Some(incremental) = &described.incremental_export_specification {
        summary["version"] = json!("2023-08-01");
        summary["exportFromTime"] = json!(time(incremental.export_from_time));
        summary["exportToTime"] = json!(time(incremental.export_to_time));
        let view = incremental.export_view_type.as_ref().map(api::ExportViewType::as_str);
        summary["outputView"] = json!(view.unwrap_or("NEW_AND_OLD_IMAGES"));
        summary["exportType"] = json!("INCREMENTAL_EXPORT");
        if let Json::Object(members) = &mut summary {
            members.remove("exportTime");
        }
    }
    summary.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use fractus_dynamodb_rules::json::item_from_json;

    use super::*;

    fn item(json: Json) -> Item {
        item_from_json(json).unwrap()
    }

    fn text_of(file: DataFile) -> String {
        let body = file.finish().unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        text
    }

    fn difference() -> Difference {
        Difference {
            at: Timestamp::from_micros(1_680_109_764_000_000),
            keys: item(json!({"pk": {"S": "a"}})),
            before: None,
            after: Some(item(json!({"pk": {"S": "a"}, "n": {"N": "600"}}))),
        }
    }

    #[test]
    fn lines_are_as_aws_writes_them() {
        let mut file = DataFile::new(Form::DynamoDbJson);
        file.item(&item(json!({"pk": {"S": "a"}}))).unwrap();
        file.difference(&difference()).unwrap();
        assert_eq!(file.items, 2);
        let text = text_of(file);
        let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0], json!({"Item": {"pk": {"S": "a"}}}));
        assert_eq!(
            lines[1],
            json!({
                "Metadata": {"WriteTimestampMicros": {"N": "1680109764000000"}},
                "Keys": {"pk": {"S": "a"}},
                "NewImage": {"pk": {"S": "a"}, "n": {"N": "600"}},
            })
        );
    }

    #[test]
    fn ion_lines_begin_with_the_version() {
        let mut file = DataFile::new(Form::Ion);
        file.item(&item(json!({"pk": {"S": "a"}}))).unwrap();
        file.difference(&difference()).unwrap();
        assert_eq!(
            text_of(file),
            "$ion_1_0 {Item:{pk:\"a\"}}\n\
             $ion_1_0 {Record:{Keys:{pk:\"a\"},Metadata:{WriteTimestampMicros:1680109764d6},NewImage:{n:6d2,pk:\"a\"}}}\n"
        );
    }
}
