//! What Storage Lens counts of objects.

use std::collections::BTreeMap;

use super::activity::Row;
use super::sizes;
use crate::model::encryption::Encryption;
use crate::replication::Status;
use crate::store::Object;

/// One count of what is stored.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub enum Stored {
    CurrentBytes,
    CurrentObjects,
    OlderBytes,
    OlderObjects,
    MarkerBytes,
    Markers,
    EncryptedBytes,
    EncryptedObjects,
    LockedBytes,
    LockedObjects,
    SourceBytes,
    SourceObjects,
    ReplicaBytes,
    ReplicaObjects,
    UploadBytes,
    Uploads,
    OldUploadBytes,
    OldUploads,
    KmsBytes,
    KmsObjects,
    BucketKeyBytes,
    BucketKeyObjects,
}

const KINDS: usize = Stored::BucketKeyObjects as usize + 1;

/// What is counted of a bucket, of one storage class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    stored: [u64; KINDS],
    by_size: [u32; sizes::NAMES.len()],
}

/// What the metrics of a row are of, as far as it decides which there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Bucket,
    /// A group of objects has no metrics of replicas.
    Group,
}

impl Counts {
    pub fn add(&mut self, object: &Object, is_current: bool) {
        use Stored::*;
        let (bytes, objects) = if is_current { (CurrentBytes, CurrentObjects) } else { (OlderBytes, OlderObjects) };
        self.one(bytes, objects, object.size);
        // Everything is encrypted, by S3's keys where by nobody else's.
        self.one(EncryptedBytes, EncryptedObjects, object.size);
        self.size(object.size);
        if let Some(Encryption::Kms { bucket_key, .. }) = object.encryption() {
            self.one(KmsBytes, KmsObjects, object.size);
            if *bucket_key {
                self.one(BucketKeyBytes, BucketKeyObjects, object.size);
            }
        }
        let Some(extras) = object.extras.as_deref() else { return };
        if extras.retention.is_some() || extras.legal_hold == Some(true) {
            self.one(LockedBytes, LockedObjects, object.size);
        }
        match extras.replication {
            Some(Status::Completed) => self.one(SourceBytes, SourceObjects, object.size),
            Some(Status::Replica) => self.one(ReplicaBytes, ReplicaObjects, object.size),
            Some(Status::Pending | Status::Failed) | None => {}
        }
    }

    /// A delete marker takes the room of its key.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html>
    pub fn add_marker(&mut self, key: &str) {
        self.one(Stored::MarkerBytes, Stored::Markers, key.len() as u64);
        self.size(0);
    }

    /// An upload that is not complete, and whether it is older than seven days.
    pub fn add_upload(&mut self, bytes: u64, is_old: bool) {
        self.one(Stored::UploadBytes, Stored::Uploads, bytes);
        self.size(bytes);
        if is_old {
            self.one(Stored::OldUploadBytes, Stored::OldUploads, bytes);
        }
    }

    fn one(&mut self, bytes: Stored, objects: Stored, size: u64) {
        self.stored[bytes as usize] += size;
        self.stored[objects as usize] += 1;
    }

    fn size(&mut self, bytes: u64) {
        let count = &mut self.by_size[sizes::of_object(bytes)];
        *count = count.saturating_add(1);
    }

    pub fn merge(&mut self, other: &Counts) {
        self.stored.iter_mut().zip(other.stored).for_each(|(sum, more)| *sum += more);
        self.by_size.iter_mut().zip(other.by_size).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }

    fn get(&self, count: Stored) -> u64 {
        self.stored[count as usize]
    }

    /// All that is stored, which shares are taken of.
    pub fn bytes(&self) -> u64 {
        use Stored::*;
        [CurrentBytes, OlderBytes, MarkerBytes, UploadBytes].map(|count| self.get(count)).iter().sum()
    }

    fn objects(&self) -> u64 {
        use Stored::*;
        [CurrentObjects, OlderObjects, Markers].map(|count| self.get(count)).iter().sum()
    }

    /// The free metrics, and objects by their size where those are wanted.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_metrics_glossary.html>
    pub fn rows(&self, of: Of, by_size: bool) -> Vec<Row> {
        use Stored::*;
        let mut rows: Vec<Row> = vec![
            ("StorageBytes".into(), self.bytes()),
            ("ObjectCount".into(), self.objects()),
            ("UnencryptedStorageBytes".into(), self.bytes() - self.get(EncryptedBytes) - self.get(UploadBytes)),
            ("UnencryptedObjectCount".into(), self.objects() - self.get(EncryptedObjects)),
        ];
        let named = [
            ("CurrentVersionStorageBytes", CurrentBytes),
            ("CurrentVersionObjectCount", CurrentObjects),
            ("NonCurrentVersionStorageBytes", OlderBytes),
            ("NonCurrentVersionObjectCount", OlderObjects),
            ("DeleteMarkerStorageBytes", MarkerBytes),
            ("DeleteMarkerObjectCount", Markers),
            ("EncryptedStorageBytes", EncryptedBytes),
            ("EncryptedObjectCount", EncryptedObjects),
            ("ObjectLockEnabledStorageBytes", LockedBytes),
            ("ObjectLockEnabledObjectCount", LockedObjects),
            ("ReplicatedStorageBytesSource", SourceBytes),
            ("ReplicatedObjectCountSource", SourceObjects),
            ("IncompleteMultipartUploadStorageBytes", UploadBytes),
            ("IncompleteMultipartUploadObjectCount", Uploads),
            ("IncompleteMPUStorageBytesOlderThan7Days", OldUploadBytes),
            ("IncompleteMPUObjectCountOlderThan7Days", OldUploads),
            // Of tables alone, by their columns.
            ("sse_kms_storage_bytes", KmsBytes),
            ("sse_kms_object_count", KmsObjects),
            ("bucket_key_sse_kms_storage_bytes", BucketKeyBytes),
            ("bucket_key_sse_kms_object_count", BucketKeyObjects),
        ];
        rows.extend(named.map(|(name, count)| (name.into(), self.get(count))));
        if of == Of::Bucket {
            rows.push(("ReplicatedStorageBytes".into(), self.get(ReplicaBytes)));
            rows.push(("ReplicatedObjectCount".into(), self.get(ReplicaObjects)));
        }
        if by_size {
            let named = sizes::NAMES.iter().zip(self.by_size);
            rows.extend(named.map(|(size, count)| (format!("Object{size}Count").into(), u64::from(count))));
        }
        rows
    }
}

/// Of each storage class.
pub type ByClass = BTreeMap<String, Counts>;

/// Everything of all classes.
pub fn bytes(by_class: &ByClass) -> u64 {
    by_class.values().map(Counts::bytes).sum()
}

/// The class of what has none: delete markers, a bucket's settings, requests about no object.
pub const UNCLASSED: &str = "STANDARD";
