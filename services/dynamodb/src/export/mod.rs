//! Exports to S3: a table as it was at a moment, or what has changed between two.
//!
//! The job writes a data file for each piece of the table, then the manifests. What has been written is said in records, so that
//! an export goes on where it was; a file that was written twice has the same name. Where S3 is not there, the export waits.

pub mod format;

use bytes::Bytes;
use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_dynamodb_rules::expression::{Attributes, Bound, Condition, ExpressionKind, Projection};
use fractus_dynamodb_rules::{Item, codec};
use fractus_store::{Collection, Order, Range, Scope, Snapshot, Transaction};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use self::format::{DataFile, Difference, Form, manifest_line, md5_base64, summary};
use crate::error::{Error, Result};
use crate::forms::{Forms, With};
use crate::history::{self, Bounds};
use crate::jobs::{self, JOBS, Job, Stop};
use crate::places::Place;
use crate::s3::{Bucket, Encryption, S3Error};
use crate::service::DynamoDb;
use crate::shapes::{from_json, to_json};
use crate::store::Table;

/// Exports by (table's name, id).
pub const EXPORTS: Collection<(String, String), Export> = Collection::new("exports");
/// Lines of a manifest by (export, number of the file).
const FILES: Collection<(String, u64), String> = Collection::new("export-files");

/// What one data file takes.
const FILE: Bounds = Bounds { keys: 20_000, bytes: 8 * 1024 * 1024 };

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The description, as JSON of the API's shape.
    pub description: String,
    /// The table as it was when the export began.
    pub table: Table,
    /// IN_PROGRESS until then at least.
    pub not_before: Timestamp,
    /// Where an incremental export begins; its job's cut is where it ends.
    pub from_cut: Option<u64>,
    /// Whether what items were is written too.
    pub with_old: bool,
    pub items: u64,
    pub bytes: u64,
}

impl Export {
    pub fn described(&self) -> Result<api::ExportDescription> {
        from_json(&self.description)
    }

    /// The description at a time.
    pub fn described_at(&self, now: Timestamp) -> Result<api::ExportDescription> {
        let mut described = self.described()?;
        if self.not_before > now {
            described.export_status = Some(api::ExportStatus::InProgress);
            (described.end_time, described.export_manifest) = (None, None);
            (described.item_count, described.billed_size_bytes) = (None, None);
            (described.failure_code, described.failure_message) = (None, None);
        }
        Ok(described)
    }
}

/// Where an export's files are.
struct Layout {
    folder: String,
    data_folder: String,
}

impl Layout {
    fn of(described: &api::ExportDescription, id: &str) -> Self {
        let prefix = described.s3_prefix.as_deref().map(|own| own.trim_end_matches('/')).filter(|own| !own.is_empty());
        let root = prefix.map_or_else(|| "AWSDynamoDB".to_owned(), |prefix| format!("{prefix}/AWSDynamoDB"));
        let is_incremental = described.export_type == Some(api::ExportType::IncrementalExport);
        let folder = format!("{root}/{id}");
        // Incremental exports have their data in one folder.
        let data_folder = if is_incremental { format!("{root}/data") } else { format!("{folder}/data") };
        Layout { folder, data_folder }
    }

    fn data_key(&self, id: &str, number: u64, form: Form) -> String {
        format!("{}/{}.{}", self.data_folder, file_name(id, number), form.extension())
    }
}

/// Twenty-six letters and digits that the export and the number decide.
fn file_name(id: &str, number: u64) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = u128::from_be_bytes(Md5::digest(format!("{id}/{number}").as_bytes()).into());
    (0..26_u32).map(|at| char::from(ALPHABET[(digest.rotate_left(at * 5) & 31) as usize])).collect()
}

/// What items are written, and what of them.
pub struct Filter {
    conditions: Vec<With<Condition>>,
    projection: Option<With<Projection>>,
}

impl Filter {
    /// Reads the expressions of an export.
    pub fn of(dynamodb: &DynamoDb, given: Option<api::FilterSpecification>) -> Result<Self> {
        let given = given.unwrap_or_default();
        let names = given.expression_attribute_names;
        let mut forms = Forms::new(&dynamodb.cache, names, given.expression_attribute_values)?;
        let key = forms.condition(ExpressionKind::KeyCondition, given.key_condition_expression.as_deref())?;
        let filter = forms.condition(ExpressionKind::Filter, given.filter_expression.as_deref())?;
        let projection = forms.projection(given.projection_expression.as_deref())?;
        let attributes = forms.finish("FilterExpression is null")?;
        let with = |bound: Bound<Condition>| (bound, attributes.clone());
        let conditions = key.into_iter().chain(filter).map(with).collect();
        Ok(Filter { conditions, projection: projection.map(|bound| (bound, attributes.clone())) })
    }

    fn takes(&self, item: &Item) -> bool {
        let holds = |(condition, attributes): &(Bound<Condition>, std::sync::Arc<Attributes>)| {
            condition.holds(attributes, item)
        };
        self.conditions.iter().all(holds)
    }

    fn project(&self, item: Item) -> Item {
        match &self.projection {
            Some((projection, attributes)) => projection.apply(attributes, &item),
            None => item,
        }
    }
}

/// A data file and where the next one begins.
struct Made {
    file: DataFile,
    next: Option<Bytes>,
}

fn broken(error: std::io::Error) -> Error {
    tracing::error!(%error, "a data file could not be made");
    Error::answer(fractus_wire::Failure::new("InternalServerError", 500, "Internal server error"))
}

fn full(snapshot: &Snapshot<'_>, scope: &Scope, (job, filter, form): (&Job, &Filter, Form)) -> Result<Made> {
    let mut file = DataFile::new(form);
    let Some(source) = &job.source else { return Ok(Made { file, next: None }) };
    let piece = history::piece(snapshot, scope, (source.data, source.cut), job.from.as_deref(), FILE)?;
    for (_, item) in piece.items {
        let item = codec::decode(&item)?;
        if filter.takes(&item) {
            file.item(&filter.project(item)).map_err(broken)?;
        }
    }
    Ok(Made { file, next: piece.next })
}

fn incremental(
    snapshot: &Snapshot<'_>,
    scope: &Scope,
    (export, job, filter, form): (&Export, &Job, &Filter, Form),
    from_cut: u64,
) -> Result<Made> {
    let mut file = DataFile::new(form);
    let Some(source) = &job.source else { return Ok(Made { file, next: None }) };
    let cuts = (source.data, from_cut, source.cut);
    let changed = history::changed_keys(snapshot, scope, cuts, job.from.as_deref(), FILE.keys)?;
    for (key, at) in changed.keys {
        let at_cut = |cut| -> Result<Option<Item>> {
            let item = history::item_at(snapshot, scope, source.data, &key, cut)?;
            Ok(item.map(|item| codec::decode(&item)).transpose()?)
        };
        let (before, after) = (at_cut(from_cut)?, at_cut(source.cut)?);
        // What came and went in between is not told.
        let Some(either) = after.as_ref().or(before.as_ref()) else { continue };
        if !filter.takes(either) {
            continue;
        }
        let keys = export.table.schema().key_of(either);
        let before = before.filter(|_| export.with_old).map(|item| filter.project(item));
        let after = after.map(|item| filter.project(item));
        file.difference(&Difference { at, keys, before, after }).map_err(broken)?;
    }
    Ok(Made { file, next: changed.next })
}

/// Everything that one step needs.
struct Running<'a> {
    dynamodb: &'a DynamoDb,
    place: &'a Place,
    job_id: &'a str,
    id: &'a str,
    table: String,
    layout: Layout,
    form: Form,
    filter: Filter,
    bucket: Bucket,
    encryption: Encryption,
}

/// Goes on with an export until it is over, or S3 does not answer.
pub async fn run(dynamodb: &DynamoDb, place: &Place, job_id: &str, (table, id): (&str, &str)) -> Result<()> {
    let scope = place.scope();
    let export = dynamodb.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&EXPORTS, &scope, &(table, id))?)).await?;
    let Some(export) = export else { return Ok(()) };
    let described = export.described()?;
    let running = Running {
        dynamodb,
        place,
        job_id,
        id,
        table: table.to_owned(),
        layout: Layout::of(&described, id),
        form: Form::of(described.export_format.as_ref()),
        filter: Filter::of(dynamodb, described.filter_specification.clone())?,
        bucket: Bucket {
            name: described.s3_bucket.clone().unwrap_or_default(),
            owner: described.s3_bucket_owner.clone(),
        },
        encryption: Encryption {
            algorithm: described.s3_sse_algorithm.as_ref().map(|own| own.as_str().to_owned()),
            key: described.s3_sse_kms_key_id.clone(),
        },
    };
    match running.all().await {
        Ok(()) | Err(Stop::Draining) => Ok(()),
        Err(Stop::Service(error)) => Err(error),
        Err(Stop::S3(error)) => match error.failure() {
            Some(failure) => running.fail(failure).await,
            None => {
                tracing::warn!(error = &error as &dyn std::error::Error, export = id, "an export waits for S3");
                Ok(())
            }
        },
    }
}

impl Running<'_> {
    async fn put(&self, key: &str, body: Bytes) -> Result<String, S3Error> {
        self.dynamodb.s3.put(self.place, &self.bucket, key, body, &self.encryption).await
    }

    async fn all(&self) -> Result<(), Stop> {
        let draining = self.dynamodb.host.draining();
        while self.step().await? {
            if draining.is_cancelled() {
                return Err(Stop::Draining);
            }
        }
        Ok(())
    }

    /// Writes one data file, or the manifests after the last one; says whether there is more to do.
    async fn step(&self) -> Result<bool, Stop> {
        let (scope, store) = (self.place.scope(), &self.dynamodb.store);
        let key = (self.table.as_str(), self.id);
        let read = store.read(|snapshot| {
            let (job, export) = (snapshot.get(&JOBS, &scope, &(self.job_id,))?, snapshot.get(&EXPORTS, &scope, &key)?);
            let (Some(job), Some(export)) = (job, export) else { return Ok(None) };
            if job.files > 0 && job.from.is_none() {
                return Ok(Some((job, None)));
            }
            let made = match export.from_cut {
                None => full(snapshot, &scope, (&job, &self.filter, self.form))?,
                Some(from) => incremental(snapshot, &scope, (&export, &job, &self.filter, self.form), from)?,
            };
            Ok::<_, Error>(Some((job, Some(made))))
        });
        let Some((job, made)) = read.await? else { return Ok(false) };
        let Some(made) = made else {
            self.manifests().await?;
            return Ok(false);
        };
        if job.files == 0 {
            self.put(&format!("{}/_started", self.layout.folder), Bytes::new()).await?;
        }
        let (items, plain_bytes) = (made.file.items, made.file.plain_bytes);
        let body = made.file.finish().map_err(broken)?;
        let data_key = self.layout.data_key(self.id, job.files, self.form);
        let etag = self.put(&data_key, body.clone()).await?;
        let line = manifest_line(items, &body, &etag, &data_key);
        let written = store.write(|tx| self.advance(tx, &scope, &job, (&line, items, plain_bytes), made.next.clone()));
        Ok(written.await?)
    }

    fn advance(
        &self,
        tx: &mut Transaction<'_>,
        scope: &Scope,
        job: &Job,
        (line, items, bytes): (&String, u64, u64),
        next: Option<Bytes>,
    ) -> Result<bool> {
        let key = (self.table.as_str(), self.id);
        let Some(mut export) = tx.get(&EXPORTS, scope, &key)? else { return Ok(false) };
        tx.put(&FILES, scope, &(self.id, job.files), line)?;
        (export.items, export.bytes) = (export.items + items, export.bytes + bytes);
        tx.put(&EXPORTS, scope, &key, &export)?;
        let job = Job { files: job.files + 1, from: next, ..job.clone() };
        tx.put(&JOBS, scope, &(self.job_id,), &job)?;
        Ok(true)
    }

    async fn manifests(&self) -> Result<(), Stop> {
        let (scope, store) = (self.place.scope(), &self.dynamodb.store);
        let key = (self.table.as_str(), self.id);
        let read = store.read(|snapshot| {
            let lines = snapshot.range(&FILES, &scope, Range::prefix(&(self.id,)), Order::Ascending)?;
            let mut text = String::new();
            for line in lines {
                text.push_str(&line?.1);
                text.push('\n');
            }
            Ok::<_, Error>((text, snapshot.get(&EXPORTS, &scope, &key)?, snapshot.now(&scope)))
        });
        let (files, export, now) = read.await?;
        let Some(export) = export else { return Ok(()) };
        let ended_at = now.max(export.not_before);
        let mut described = export.described()?;
        described.item_count = i64::try_from(export.items).ok();
        described.billed_size_bytes = i64::try_from(export.bytes).ok();
        let file = |name: &str| format!("{}/{name}", self.layout.folder);
        let files_key = file("manifest-files.json");
        let summary = summary(&described, ended_at, &files_key);
        for (name, text) in [("manifest-files", files), ("manifest-summary", summary)] {
            let checksum = md5_base64(text.as_bytes());
            self.put(&file(&format!("{name}.json")), text.into()).await?;
            self.put(&file(&format!("{name}.md5")), checksum.into()).await?;
        }
        described.export_status = Some(api::ExportStatus::Completed);
        described.export_manifest = Some(file("manifest-summary.json"));
        described.end_time = Some(ended_at);
        Ok(self.settle(described).await?)
    }

    async fn fail(&self, (code, message): (String, String)) -> Result<()> {
        let (scope, store) = (self.place.scope(), &self.dynamodb.store);
        let key = (self.table.as_str(), self.id);
        let export = store.read(|snapshot| Ok::<_, Error>(snapshot.get(&EXPORTS, &scope, &key)?)).await?;
        let Some(export) = export else { return Ok(()) };
        let mut described = export.described()?;
        described.export_status = Some(api::ExportStatus::Failed);
        (described.failure_code, described.failure_message) = (Some(code), Some(message));
        described.end_time = Some(self.dynamodb.host.clocks().lane(self.place.world.lane.as_str()).now());
        self.settle(described).await
    }

    /// The end of an export: its record says how it went, and what it needed goes.
    async fn settle(&self, described: api::ExportDescription) -> Result<()> {
        let (scope, key) = (self.place.scope(), (self.table.as_str(), self.id));
        let text = to_json(&described)?;
        let ended = self.dynamodb.store.write(|tx| {
            let Some(mut export) = tx.get(&EXPORTS, &scope, &key)? else { return Ok(()) };
            export.description.clone_from(&text);
            tx.put(&EXPORTS, &scope, &key, &export)?;
            let Some(job) = tx.get(&JOBS, &scope, &(self.job_id,))? else { return Ok(()) };
            for number in 0..job.files {
                tx.delete(&FILES, &scope, &(self.id, number))?;
            }
            jobs::end(tx, &scope, self.job_id, &job)
        });
        ended.await
    }
}
