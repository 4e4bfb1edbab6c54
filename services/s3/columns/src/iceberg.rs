//! Iceberg tables of format version 2, as far as somebody needs them who alone writes a table without partitions: each commit
//! takes data files in and out, and writes one manifest of all that are then there, the list that names it, and the metadata.
//!
//! <https://iceberg.apache.org/spec/>

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::avro::{Record, container};
use super::statistics;
use super::table::{Field, Kind};

/// How many snapshots can be read, and for how long: AWS keeps one or more, and none that is older than a day.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/metadata-tables-restrictions.html>
const MAX_SNAPSHOTS: usize = 10;
const MAX_AGE_MS: i64 = 86_400_000;

/// The number of the last field that a partition has, where there is none.
const LAST_PARTITION: i32 = 999;

/// A table, as it is kept between its commits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    pub uuid: String,
    /// `s3://BUCKET`
    pub location: String,
    pub sequence: i64,
    pub updated_ms: i64,
    /// Where the newest metadata is, below the location.
    pub metadata: String,
    /// The oldest first; the last is the current one.
    pub snapshots: Vec<Snapshot>,
    pub files: Vec<Listed>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    pub id: i64,
    pub sequence: i64,
    pub at_ms: i64,
    pub list: String,
    pub manifest: String,
    /// The metadata that was written with it.
    pub metadata: String,
    pub summary: Vec<(String, String)>,
    /// Data files that are no longer there since it.
    pub removed: Vec<String>,
}

/// A data file of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    /// Which of several kinds of rows it has, and where its own begin or end: for who writes the table.
    pub series: String,
    pub bound: String,
    pub snapshot: i64,
    pub sequence: i64,
    /// Of its columns, as the manifest has them; nothing of files that were written before there were any.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub statistics: Bytes,
}

/// What changes with a commit.
#[derive(Clone, Debug)]
pub struct Commit {
    pub snapshot: i64,
    pub at_ms: i64,
    /// In the names of what is written, so that no name is given twice.
    pub unique: String,
    pub sync: [u8; 16],
    /// Their snapshots and sequences are the commit's, whatever they say.
    pub added: Vec<Listed>,
    pub removed: Vec<String>,
}

/// What a commit wrote: files by their paths below the location, and paths to which nothing leads any more.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub files: Vec<(String, Vec<u8>)>,
    pub forgotten: Vec<String>,
}

impl Table {
    /// A table without a snapshot, and its metadata.
    pub fn new(fields: &[Field], uuid: String, location: String, at_ms: i64) -> (Self, Written) {
        let metadata = format!("metadata/00000-{uuid}.metadata.json");
        let table = Table {
            uuid,
            location,
            sequence: 0,
            updated_ms: at_ms,
            metadata: metadata.clone(),
            snapshots: Vec::new(),
            files: Vec::new(),
        };
        let files = vec![(metadata, table.metadata(fields).to_string().into_bytes())];
        (table, Written { files, forgotten: Vec::new() })
    }

    fn full(&self, path: &str) -> String {
        format!("{}/{path}", self.location)
    }

    /// Where the newest metadata is.
    pub fn metadata_location(&self) -> String {
        self.full(&self.metadata)
    }

    pub fn commit(&mut self, fields: &[Field], commit: Commit) -> Written {
        let Commit { snapshot, at_ms, unique, sync, mut added, removed } = commit;
        self.sequence += 1;
        self.updated_ms = at_ms.max(self.updated_ms);
        let sequence = self.sequence;
        let (gone, mut kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.files).into_iter().partition(|file| removed.contains(&file.path));
        for file in &mut added {
            (file.snapshot, file.sequence) = (snapshot, sequence);
        }
        let entries: Vec<_> = kept
            .iter()
            .map(|file| self.entry(0, file.snapshot, file))
            .chain(added.iter().map(|file| self.entry(1, snapshot, file)))
            .chain(gone.iter().map(|file| self.entry(2, snapshot, file)))
            .collect();
        let rows = |files: &[Listed]| files.iter().map(|file| file.rows).sum::<u64>();
        let oldest = kept.iter().map(|file| file.sequence).min().unwrap_or(sequence);
        let counts = [&added, &kept, &gone].map(|files| (files.len() as u64, rows(files)));
        // The metadata of a table without rows, which only that of its first snapshot comes after.
        let first = self.snapshots.is_empty().then(|| self.metadata.clone());
        let schema = schema(fields).to_string();
        let about = [
            ("schema", schema.as_str()),
            ("schema-id", "0"),
            ("partition-spec", "[]"),
            ("partition-spec-id", "0"),
            ("format-version", "2"),
            ("content", "data"),
        ];
        let manifest = container(ENTRY, &about, &entries, sync);
        let manifest_path = format!("metadata/{unique}-m0.avro");
        let list_path = format!("metadata/snap-{snapshot}-{sequence}-{unique}.avro");
        let mut line = Record::default().text(&self.full(&manifest_path)).long(manifest.len() as i64);
        line = line.long(0).long(0).long(sequence).long(oldest).long(snapshot);
        line = counts.iter().fold(line, |line, (files, _)| line.long(*files as i64));
        line = counts.iter().fold(line, |line, (_, rows)| line.long(*rows as i64));
        let parent = self.snapshots.last().map(|snapshot| snapshot.id.to_string());
        let id = snapshot.to_string();
        let about = [
            ("snapshot-id", id.as_str()),
            ("parent-snapshot-id", parent.as_deref().unwrap_or("null")),
            ("sequence-number", &sequence.to_string()),
            ("format-version", "2"),
        ];
        let list = container(LIST, &about, &[line], sync);
        let summary = summary(counts);
        kept.append(&mut added);
        self.files = kept;
        self.metadata = format!("metadata/{sequence:05}-{unique}.metadata.json");
        self.snapshots.push(Snapshot {
            id: snapshot,
            sequence,
            at_ms,
            list: list_path.clone(),
            manifest: manifest_path.clone(),
            metadata: self.metadata.clone(),
            summary,
            removed: gone.into_iter().map(|file| file.path).collect(),
        });
        let forgotten = first.into_iter().chain(self.forget(at_ms)).collect();
        let metadata = self.metadata(fields).to_string().into_bytes();
        let files = vec![(manifest_path, manifest), (list_path, list), (self.metadata.clone(), metadata)];
        Written { files, forgotten }
    }

    /// Lets go of snapshots that are too many or too old; gives the paths that only they led to.
    fn forget(&mut self, now_ms: i64) -> Vec<String> {
        let mut forgotten = Vec::new();
        while self.snapshots.len() > 1
            && (self.snapshots.len() > MAX_SNAPSHOTS || self.snapshots[0].at_ms + MAX_AGE_MS < now_ms)
        {
            let oldest = self.snapshots.remove(0);
            forgotten.extend([oldest.list, oldest.manifest, oldest.metadata]);
            if let Some(next) = self.snapshots.first_mut() {
                forgotten.append(&mut next.removed);
            }
        }
        forgotten
    }

    /// A file as a manifest has it: there from before (0), added (1) or removed (2).
    fn entry(&self, status: i64, snapshot: i64, file: &Listed) -> Record {
        let head = Record::default().long(status).some_long(snapshot).some_long(file.sequence).some_long(file.sequence);
        let data = head.long(0).text(&self.full(&file.path)).text("PARQUET");
        let statistics = if file.statistics.is_empty() { &statistics::NOTHING[..] } else { &file.statistics };
        data.long(file.rows as i64).long(file.bytes as i64).raw(statistics)
    }

    /// The metadata of the table as it is.
    pub fn metadata(&self, fields: &[Field]) -> Json {
        let current = self.snapshots.last().map(|snapshot| snapshot.id);
        let mut metadata = json!({
            "format-version": 2,
            "table-uuid": self.uuid,
            "location": self.location,
            "last-sequence-number": self.sequence,
            "last-updated-ms": self.updated_ms,
            "last-column-id": last_column(fields),
            "current-schema-id": 0,
            "schemas": [schema(fields)],
            "default-spec-id": 0,
            "partition-specs": [{"spec-id": 0, "fields": []}],
            "last-partition-id": LAST_PARTITION,
            "default-sort-order-id": 0,
            "sort-orders": [{"order-id": 0, "fields": []}],
            "properties": {"write.format.default": "parquet", "write.parquet.compression-codec": "snappy"},
            "current-snapshot-id": current.unwrap_or(-1),
            "refs": {},
            "snapshots": [],
            "snapshot-log": [],
            "metadata-log": [],
        });
        let Some(current) = current else { return metadata };
        metadata["refs"] = json!({"main": {"snapshot-id": current, "type": "branch"}});
        let mut parent = None;
        let mut snapshots = Vec::new();
        for snapshot in &self.snapshots {
            let summary: serde_json::Map<_, _> =
                snapshot.summary.iter().map(|(name, value)| (name.clone(), Json::from(value.as_str()))).collect();
            let mut shown = json!({
                "snapshot-id": snapshot.id,
                "sequence-number": snapshot.sequence,
                "timestamp-ms": snapshot.at_ms,
                "manifest-list": self.full(&snapshot.list),
                "summary": summary,
                "schema-id": 0,
            });
            if let Some(parent) = parent.replace(snapshot.id) {
                shown["parent-snapshot-id"] = Json::from(parent);
            }
            snapshots.push(shown);
        }
        metadata["snapshots"] = Json::from(snapshots);
        let log = |snapshot: &Snapshot| json!({"snapshot-id": snapshot.id, "timestamp-ms": snapshot.at_ms});
        metadata["snapshot-log"] = self.snapshots.iter().map(log).collect();
        metadata
    }
}

/// What a snapshot says of itself, from how many files and rows were added, kept and removed.
fn summary([added, kept, gone]: [(u64, u64); 3]) -> Vec<(String, String)> {
    let operation = match (added.0, gone.0) {
        (_, 0) => "append",
        (0, _) => "delete",
        _ => "overwrite",
    };
    let mut summary = vec![("operation".to_owned(), operation.to_owned())];
    let counts = [
        ("added-data-files", added.0),
        ("added-records", added.1),
        ("deleted-data-files", gone.0),
        ("deleted-records", gone.1),
        ("total-data-files", added.0 + kept.0),
        ("total-records", added.1 + kept.1),
    ];
    summary.extend(counts.map(|(name, count)| (name.to_owned(), count.to_string())));
    summary
}

fn last_column(fields: &[Field]) -> i32 {
    let ids = fields.iter().flat_map(|field| match field.kind {
        Kind::Map(key, value) => [field.id, key, value],
        _ => [field.id; 3],
    });
    ids.max().unwrap_or(0)
}

/// The schema of a table.
pub fn schema(fields: &[Field]) -> Json {
    let fields = fields.iter().map(|field| {
        let kind = match field.kind {
            Kind::Text => json!("string"),
            Kind::Boolean => json!("boolean"),
            Kind::Long => json!("long"),
            Kind::Decimal => json!("decimal(38, 0)"),
            Kind::Timestamp => json!("timestamp"),
            Kind::TimestampTz => json!("timestamptz"),
            Kind::Map(key, value) => json!({
                "type": "map", "key-id": key, "key": "string", "value-id": value, "value": "string",
                "value-required": true,
            }),
        };
        let mut shown = json!({"id": field.id, "name": field.name, "required": field.required, "type": kind});
        if !field.doc.is_empty() {
            shown["doc"] = Json::from(field.doc);
        }
        shown
    });
    json!({"type": "struct", "schema-id": 0, "fields": fields.collect::<Vec<_>>()})
}

/// The schema of a manifest's entries, with the members that [`statistics`] writes at its end.
const ENTRY: &str = r#"{"type":"record","name":"manifest_entry","fields":[
{"name":"status","type":"int","field-id":0},
{"name":"snapshot_id","type":["null","long"],"default":null,"field-id":1},
{"name":"sequence_number","type":["null","long"],"default":null,"field-id":3},
{"name":"file_sequence_number","type":["null","long"],"default":null,"field-id":4},
{"name":"data_file","field-id":2,"type":{"type":"record","name":"r2","fields":[
{"name":"content","type":"int","field-id":134},
{"name":"file_path","type":"string","field-id":100},
{"name":"file_format","type":"string","field-id":101},
{"name":"partition","type":{"type":"record","name":"r102","fields":[]},"field-id":102},
{"name":"record_count","type":"long","field-id":103},
{"name":"file_size_in_bytes","type":"long","field-id":104},
{"name":"value_counts","default":null,"field-id":109,"type":["null",{"type":"array","logicalType":"map",
"items":{"type":"record","name":"k119_v120","fields":[
{"name":"key","type":"int","field-id":119},{"name":"value","type":"long","field-id":120}]}}]},
{"name":"null_value_counts","default":null,"field-id":110,"type":["null",{"type":"array","logicalType":"map",
"items":{"type":"record","name":"k121_v122","fields":[
{"name":"key","type":"int","field-id":121},{"name":"value","type":"long","field-id":122}]}}]},
{"name":"lower_bounds","default":null,"field-id":125,"type":["null",{"type":"array","logicalType":"map",
"items":{"type":"record","name":"k126_v127","fields":[
{"name":"key","type":"int","field-id":126},{"name":"value","type":"bytes","field-id":127}]}}]},
{"name":"upper_bounds","default":null,"field-id":128,"type":["null",{"type":"array","logicalType":"map",
"items":{"type":"record","name":"k129_v130","fields":[
{"name":"key","type":"int","field-id":129},{"name":"value","type":"bytes","field-id":130}]}}]}]}}]}"#;

/// The schema of the lines of the list of manifests.
const LIST: &str = r#"{"type":"record","name":"manifest_file","fields":[
{"name":"manifest_path","type":"string","field-id":500},
{"name":"manifest_length","type":"long","field-id":501},
{"name":"partition_spec_id","type":"int","field-id":502},
{"name":"content","type":"int","field-id":517},
{"name":"sequence_number","type":"long","field-id":515},
{"name":"min_sequence_number","type":"long","field-id":516},
{"name":"added_snapshot_id","type":"long","field-id":503},
{"name":"added_files_count","type":"int","field-id":504},
{"name":"existing_files_count","type":"int","field-id":505},
{"name":"deleted_files_count","type":"int","field-id":506},
{"name":"added_rows_count","type":"long","field-id":512},
{"name":"existing_rows_count","type":"long","field-id":513},
{"name":"deleted_rows_count","type":"long","field-id":514}]}"#;

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [Field; 1] = [Field { id: 1, name: "key", kind: Kind::Text, required: true, doc: "" }];

    fn file(path: &str, rows: u64) -> Listed {
        let (series, bound) = (String::new(), String::new());
        Listed { path: path.into(), rows, bytes: 10, series, bound, snapshot: 0, sequence: 0, statistics: Bytes::new() }
    }

    fn commit(table: &mut Table, number: i64, added: &[&str], removed: &[&str]) -> Written {
        let commit = Commit {
            snapshot: number,
            at_ms: number,
            unique: format!("u{number}"),
            sync: [0; 16],
            added: added.iter().map(|path| file(path, 2)).collect(),
            removed: removed.iter().map(|path| (*path).to_owned()).collect(),
        };
        table.commit(&FIELDS, commit)
    }

    #[test]
    fn schemas_are_json() {
        let entry: Json = serde_json::from_str(ENTRY).unwrap();
        assert_eq!(entry["fields"][4]["type"]["fields"][9]["name"], "upper_bounds");
        let list: Json = serde_json::from_str(LIST).unwrap();
        assert_eq!(list["fields"].as_array().map(Vec::len), Some(13));
    }

    /// Whatever is read of a kept snapshot stays, and everything that is not goes once.
    #[test]
    fn what_no_snapshot_leads_to_is_forgotten() {
        let (mut table, created) = Table::new(&FIELDS, "u".into(), "s3://b".into(), 0);
        let mut there: Vec<_> = created.files.into_iter().map(|(path, _)| path).collect();
        for number in 1..=30_i64 {
            let (new, old) = (format!("data/{number}"), format!("data/{}", number - 1));
            let removed: &[&str] = if number == 1 { &[] } else { &[&old] };
            there.push(new.clone());
            let written = commit(&mut table, number, &[&new], removed);
            there.extend(written.files.into_iter().map(|(path, _)| path));
            for path in written.forgotten {
                let at = there.iter().position(|known| *known == path).expect(&path);
                there.remove(at);
            }
            assert_eq!(table.files.len(), 1);
        }
        assert_eq!(table.snapshots.len(), MAX_SNAPSHOTS);
        // Three files and one of data for each snapshot.
        assert_eq!(there.len(), MAX_SNAPSHOTS * 4);
        assert!(there.contains(&"data/21".to_owned()) && !there.contains(&"data/20".to_owned()));
    }

    #[test]
    fn snapshots_are_of_the_last_day() {
        let (mut table, _) = Table::new(&FIELDS, "u".into(), "s3://b".into(), 0);
        commit(&mut table, 1, &["data/1"], &[]);
        commit(&mut table, MAX_AGE_MS + 2, &["data/2"], &[]);
        assert_eq!(table.snapshots.len(), 1);
        let metadata = table.metadata(&FIELDS);
        assert_eq!(metadata["snapshots"][0]["summary"]["total-records"], "4");
        assert_eq!(metadata["snapshots"][0]["summary"]["operation"], "append");
    }
}
