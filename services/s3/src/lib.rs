//! S3: buckets of objects.
//!
//! In reading order: [`store`] says what is kept, [`model`] holds the rules as plain functions, [`addressing`] how a
//! bucket is named by a host, [`ingest`] how bytes come in, [`objects`] how they are put and removed, [`notify`] who is
//! told, [`operations`] the API's handlers, [`service`] the operation table.
//!
//! Around them: [`configurations`] is what hangs on a bucket, [`versions`] how objects are put over one another,
//! [`extras`] what only some objects have, [`permissions`] what policies are told, [`checks`] and [`terms`] what is checked
//! of requests whatever their operation, [`directory`] another kind of buckets, [`select`] queries over an object,
//! [`lifecycle`], [`replication`], [`restores`], [`schedule`] with [`inventory`] and [`logging`] the work that no request
//! waits for, [`web`] and [`website`] what browsers ask.
//!
//! [`object_lambda`] stands between objects and who reads them, [`watch`] with [`metrics`] and [`analytics`] looks at requests
//! after they are answered, [`keys`] asks KMS about what is kept under its keys, [`parquet`] is a format for queries and inventories, [`orc`] one for inventories.
//!
//! [`metadata`] keeps tables of what is in buckets and of what happens to it.
//!
//! [`control`] is S3 Control, the API beside S3's own: access points, jobs over many objects, access grants.

pub mod access;
pub mod addressing;
pub mod analytics;
pub mod background;
pub mod checks;
pub mod condition_keys;
pub mod config;
pub mod configurations;
pub mod control;
pub mod destinations;
pub mod directory;
pub mod error;
pub mod event_bridge;
pub mod extras;
pub mod heads;
pub mod ingest;
pub mod inventory;
pub mod keys;
pub mod lifecycle;
pub mod logging;
pub mod metadata;
pub mod metrics;
pub mod mfa;
pub mod model;
pub mod notify;
pub mod object_lambda;
pub mod objects;
pub mod operations;
pub mod permissions;
pub mod readable;
pub mod readers;
pub mod regions;
pub mod replication;
pub mod report_access;
pub mod restores;
pub mod schedule;
pub mod sealing;
pub mod service;
pub mod store;
pub mod table;
pub mod terms;
pub mod tiering;
pub mod versions;
pub mod watch;
pub mod web;
pub mod website;
pub mod worlds;

use std::convert::Infallible;
use std::process::ExitCode;

use fractus_bus::outbox::Outbox;
use fractus_host::{App, Host, Program};
use fractus_md5::Pool;

pub use config::Config;
pub use service::S3;
pub use table::operations;

/// The process. Here, and not in the program itself, whose last step is for speed: what a process does once is compiled where it
/// is called for the service's own types, and is to be small.
pub fn run() -> ExitCode {
    let program = Program { name: "s3", version: env!("CARGO_PKG_VERSION"), operations: || operations().list() };
    fractus_host::run::<Config, _, _, _>(program, start)
}

/// Starts S3 in a host: the process's own, or a test's.
pub async fn start(config: Config, host: Host) -> Result<App, Infallible> {
    let gathering_bytes = config.gathering_bytes / 2;
    host.store().blobs().gather_at_most(gathering_bytes);
    Pool::shared().hold_at_most(gathering_bytes);
    let (freed, receiver) = tokio::sync::mpsc::unbounded_channel();
    let s3 = S3 {
        store: host.store().clone(),
        outbox: Outbox::start(host.bus(), host.store()),
        config,
        readers: readers::Readers::default(),
        lifecycle: lifecycle::Lifecycle::default(),
        replication: replication::Replication::default(),
        restores: restores::Restores::default(),
        schedule: schedule::Schedule::default(),
        jobs: control::jobs::work::Jobs::default(),
        lens: control::lens_export::Lens::default(),
        freed,
        host_id: host_id(&host).into(),
        destinations: destinations::Destinations::new(&host),
        waiting: object_lambda::waiting::Waiting::new(host.bus().instance()),
        keys: keys::Keys::new(&host),
        functions: object_lambda::lambda::Functions::new(&host),
        host,
    };
    background::start(&s3, receiver);
    lifecycle::start(&s3);
    replication::start(&s3);
    restores::start(&s3);
    schedule::start(&s3);
    control::jobs::work::start(&s3);
    control::lens_export::start(&s3);
    Ok(App::new(s3, operations()))
}

/// 76 characters of base64, as S3 names its hosts.
fn host_id(host: &Host) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(host.random().bytes::<57>())
}
