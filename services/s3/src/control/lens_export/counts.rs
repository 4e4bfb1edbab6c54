//! What Storage Lens counts of objects.

use std::collections::BTreeMap;

use crate::store::Object;

/// What is counted of a bucket, of one storage class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    current_bytes: u64,
    current_objects: u64,
    older_bytes: u64,
    older_objects: u64,
    pub delete_markers: u64,
    encrypted_bytes: u64,
    encrypted_objects: u64,
    locked_bytes: u64,
    locked_objects: u64,
    replicated_bytes: u64,
    replicated_objects: u64,
    pub upload_bytes: u64,
    pub uploads: u64,
}

impl Counts {
    pub fn add(&mut self, object: &Object, is_current: bool) {
        let (bytes, objects) = match is_current {
            true => (&mut self.current_bytes, &mut self.current_objects),
            false => (&mut self.older_bytes, &mut self.older_objects),
        };
        *bytes += object.size;
        *objects += 1;
        // Everything is encrypted, by S3's keys where by nobody else's.
        self.encrypted_bytes += object.size;
        self.encrypted_objects += 1;
        let Some(extras) = object.extras.as_deref() else { return };
        if extras.retention.is_some() || extras.legal_hold == Some(true) {
            self.locked_bytes += object.size;
            self.locked_objects += 1;
        }
        if extras.replication.is_some() {
            self.replicated_bytes += object.size;
            self.replicated_objects += 1;
        }
    }

    pub fn merge(&mut self, other: &Counts) {
        let pairs: [(&mut u64, u64); 13] = [
            (&mut self.current_bytes, other.current_bytes),
            (&mut self.current_objects, other.current_objects),
            (&mut self.older_bytes, other.older_bytes),
            (&mut self.older_objects, other.older_objects),
            (&mut self.delete_markers, other.delete_markers),
            (&mut self.encrypted_bytes, other.encrypted_bytes),
            (&mut self.encrypted_objects, other.encrypted_objects),
            (&mut self.locked_bytes, other.locked_bytes),
            (&mut self.locked_objects, other.locked_objects),
            (&mut self.replicated_bytes, other.replicated_bytes),
            (&mut self.replicated_objects, other.replicated_objects),
            (&mut self.upload_bytes, other.upload_bytes),
            (&mut self.uploads, other.uploads),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
    }

    /// All that is stored, which shares are taken of.
    pub fn bytes(&self) -> u64 {
        self.current_bytes + self.older_bytes + self.upload_bytes
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage_lens_metrics_glossary.html>
    pub fn metrics(&self) -> [(&'static str, u64); 15] {
        [
            ("StorageBytes", self.bytes()),
            ("ObjectCount", self.current_objects + self.older_objects + self.delete_markers),
            ("CurrentVersionStorageBytes", self.current_bytes),
            ("CurrentVersionObjectCount", self.current_objects),
            ("NonCurrentVersionStorageBytes", self.older_bytes),
            ("NonCurrentVersionObjectCount", self.older_objects),
            ("DeleteMarkerObjectCount", self.delete_markers),
            ("EncryptedStorageBytes", self.encrypted_bytes),
            ("EncryptedObjectCount", self.encrypted_objects),
            ("ObjectLockEnabledStorageBytes", self.locked_bytes),
            ("ObjectLockEnabledObjectCount", self.locked_objects),
            ("ReplicatedStorageBytes", self.replicated_bytes),
            ("ReplicatedObjectCount", self.replicated_objects),
            ("IncompleteMultipartUploadStorageBytes", self.upload_bytes),
            ("IncompleteMultipartUploadObjectCount", self.uploads),
        ]
    }
}

/// Of each storage class.
pub type ByClass = BTreeMap<String, Counts>;

/// Everything of all classes.
pub fn bytes(by_class: &ByClass) -> u64 {
    by_class.values().map(Counts::bytes).sum()
}
