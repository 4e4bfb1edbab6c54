//! Presence: who is there.

use std::collections::BTreeMap;

use fractus_aws::Lane;
use serde::{Deserialize, Serialize};

use super::Event;

/// One replica of a service, as it announces itself: at its start, whenever its status changes, and every few seconds
/// after that. The same facts are the metadata of its NATS service protocol answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    pub service: String,
    /// Unique for each start of a process.
    pub replica: String,
    pub version: String,
    pub status: Status,
    /// `http://127.0.0.1:41234`; empty while it is idle.
    #[serde(default)]
    pub url: String,
    /// A Unix socket that takes the same requests, for callers on the same machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
    /// The path of the readiness check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Anything else a watcher may want to know (APIs served, machine).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Starting,
    #[default]
    Ready,
    /// Finishes what it has and takes nothing new.
    Draining,
    /// No process: a launcher will start one at the first request, delivery or call.
    Idle,
}

impl Event for Presence {
    const KIND: &'static str = "present";

    fn lane(&self) -> Option<&Lane> {
        None
    }
}

/// The goodbye: a replica has left, or whoever started it saw it end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    pub service: String,
    pub replica: String,
}

impl Event for Gone {
    const KIND: &'static str = "gone";

    fn lane(&self) -> Option<&Lane> {
        None
    }
}
