//! The reports of what was not put, and the manifest that tells of them.
//!
//! No page at hand says how AWS calls the files: they lie as an export's do, under `AWSDynamoDB/` and the operation's id.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/BulkPutItems.Output.html>

use bytes::Bytes;
use fractus_dynamodb_api as api;
use fractus_store::{Order, Range};
use serde_json::{Value as Json, json};

use super::put::{ERRORS, UNMET};
use super::{Bulk, REPORTS, Running, State, Stop};
use crate::error::Error;
use crate::s3::{Bucket, Encryption};
use crate::shapes::from_json;

/// A report goes on in another file when it is as long as this.
const MAX_FILE_BYTES: usize = 8 * 1024 * 1024;
const AT_ONCE: usize = 500;

struct Output {
    bucket: Bucket,
    folder: String,
    encryption: Encryption,
}

impl Output {
    /// Reports that are not sent elsewhere lie in the bucket that was read.
    fn of(bulk: &Bulk, id: &str) -> Result<Self, Error> {
        let described: api::BulkOperationDescription = from_json(&bulk.description)?;
        let input = described.input_s3_configuration.unwrap_or_default();
        let output = described.output_s3_configuration.unwrap_or_default();
        let bucket = match output.s3_bucket {
            Some(name) => Bucket { name, owner: output.s3_bucket_owner },
            None => Bucket { name: input.s3_bucket, owner: input.s3_bucket_owner },
        };
        let prefix = output.s3_key_prefix.map(|prefix| format!("{}/", prefix.trim_end_matches('/')));
        let folder = format!("{}AWSDynamoDB/{id}", prefix.unwrap_or_default());
        let algorithm = output.s3_sse_algorithm.map(|algorithm| algorithm.as_str().to_owned());
        Ok(Output { bucket, folder, encryption: Encryption { algorithm, key: output.s3_sse_kms_key_id } })
    }
}

impl Running<'_> {
    /// Writes the reports and the manifest; then what they were made of is cleared.
    pub(super) async fn report(&self, state: State) -> Result<(), Stop> {
        let bulk = self.bulk().await?;
        let output = Output::of(&bulk, self.id)?;
        let (mut files, mut wanted) = (Vec::new(), false);
        let kinds = [(ERRORS, api::OutputTypeEnum::Error), (UNMET, api::OutputTypeEnum::ConditionCheckFailure)];
        for (kind, output_type) in kinds {
            if bulk.wants(&output_type)? {
                wanted = true;
                self.files(&output, kind, output_type.as_str(), &mut files).await?;
            }
        }
        if !wanted {
            return Ok(());
        }
        let progress = &bulk.progress;
        let manifest = json!({
            "bulkOperationId": self.id,
            "status": match state { State::Completed => "COMPLETED", State::Cancelled => "CANCELLED", _ => "FAILED" },
            "tableName": bulk.table_name,
            "processedItemCount": progress.processed,
            "failedItemCount": progress.failed,
            "conditionCheckFailureCount": progress.unmet,
            "files": files,
        });
        let key = format!("{}/manifest.json", output.folder);
        let body = Bytes::from(manifest.to_string());
        self.dynamodb.s3.put(self.place, &output.bucket, &key, body, &output.encryption).await?;
        Ok(self.clear().await?)
    }

    async fn files(&self, output: &Output, kind: &str, what: &str, files: &mut Vec<Json>) -> Result<(), Stop> {
        let (scope, mut after, mut number) = (self.place.scope(), None, 0);
        loop {
            let page = self.dynamodb.store.read(|snapshot| {
                let mut range = Range::prefix(&(self.id, kind));
                if let Some(after) = after {
                    range = range.after(&(self.id, kind, after));
                }
                let (mut lines, mut count, mut last) = (String::new(), 0_u64, None);
                for record in snapshot.range(&REPORTS, &scope, range, Order::Ascending)? {
                    let ((.., at), line) = record?;
                    lines.push_str(&line);
                    lines.push('\n');
                    (count, last) = (count + 1, Some(at));
                    if lines.len() >= MAX_FILE_BYTES {
                        break;
                    }
                }
                Ok::<_, Error>((lines, count, last))
            });
            let (lines, count, last) = page.await?;
            if count == 0 {
                return Ok(());
            }
            let key = format!("{}/{kind}/{number:08}.json", output.folder);
            self.dynamodb.s3.put(self.place, &output.bucket, &key, lines.into(), &output.encryption).await?;
            files.push(json!({"outputType": what, "s3Key": key, "itemCount": count}));
            (after, number) = (last, number + 1);
        }
    }

    async fn clear(&self) -> Result<(), Error> {
        let scope = self.place.scope();
        loop {
            let cleared = self.dynamodb.store.write(|tx| {
                let keys = tx.keys(&REPORTS, &scope, Range::prefix(&(self.id,)), Order::Ascending)?.take(AT_ONCE);
                let keys: Vec<_> = keys.collect::<std::result::Result<_, _>>()?;
                for (id, kind, at) in &keys {
                    tx.delete(&REPORTS, &scope, &(id.as_str(), kind.as_str(), *at))?;
                }
                Ok::<_, Error>(keys.len())
            });
            if cleared.await? == 0 {
                return Ok(());
            }
        }
    }
}
