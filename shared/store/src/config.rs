//! How a service's store is chosen.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// When an acknowledged write is safe from what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// From the end of the process (kill -9): the bytes have left it before the answer.
    #[default]
    Process,
    /// From power loss too: the disk has them before the answer. Writes that come together are synced together.
    Full,
}

/// Where a service keeps its state. Default: in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreConfig {
    /// A folder for the disk engine; each service makes its own folder inside.
    pub data_dir: Option<PathBuf>,
    /// `postgres://...` for the PostgreSQL engine. Each service has its own table there.
    pub store: Option<String>,
    /// For the disk engine only.
    pub durability: Durability,
    /// Where large bytes go. Unset: beside the state, in memory or under `data_dir`. Otherwise a folder or, with the
    /// `s3` feature, `s3://bucket/prefix` (its credentials and endpoint from the usual `AWS_*` variables).
    pub blobs: Option<String>,
}
