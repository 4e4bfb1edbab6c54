//! Configuration: one documented struct for what every service has, one for what a service adds.
//!
//! Four layers, each over the one before: defaults, `fractus.toml`, `FRACTUS_*` variables, `--key value` flags. The
//! environment is passed in ([`Environment`]), so tests have their own. An unknown key is an error that names the
//! closest known one.

mod closest;
mod load;
mod page;
mod settings;

pub use load::{Asked, ConfigError, Environment, Loaded, load};
pub use page::{Section, settings_page};
pub use settings::{NoSettings, Setting, Settings};

use serde::{Deserialize, Serialize};

use fractus_store::{Durability, StoreConfig};

/// How far signatures and permissions are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Signatures are read and trusted; presigned URLs of known keys, and every expiry, are still verified.
    #[default]
    Off,
    /// Every signature is verified against its key's secret.
    Signed,
    /// Verified, and every call is evaluated against identity, resource, session and boundary policies.
    Enforced,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    #[default]
    Auto,
    Pretty,
    Json,
}

crate::settings! {
    /// The settings that every service has.
    pub struct HostConfig {
        /// Where to listen for HTTP/1.1 and HTTP/2: `address:port`. Port 0 takes a free one, which the `ready` line tells.
        pub listen: String = "127.0.0.1:0".to_owned(),
        /// A Unix socket to listen on besides, for the router and for clients on this machine.
        pub listen_unix: Option<String> = None,
        /// A Unix socket on which the router hands over accepted connections.
        pub handoff_socket: Option<String> = None,
        /// The router's URL: requests that came on a handed-over connection but belong to another service go back there.
        pub router_url: Option<String> = None,
        /// The URL to make answers' links from (queue URLs, issuers), instead of the host that the caller used.
        pub external_url: Option<String> = None,
        /// NATS, such as `nats://127.0.0.1:4222`. Unset: the service serves its own API alone.
        pub nats_url: Option<String> = None,
        /// The process that this one belongs to: it ends when that one is gone. Set by launchers.
        pub parent_pid: Option<u32> = None,
        /// A folder for state that survives a restart (the disk engine). Unset: state is in memory.
        pub data_dir: Option<String> = None,
        /// `postgres://...`: state in PostgreSQL, shared by replicas.
        pub store: Option<String> = None,
        /// For the disk engine: `process` survives kill -9, `full` survives power loss.
        pub durability: Durability = Durability::Process,
        /// Where large bytes go, if not beside the state: a folder or `s3://bucket/prefix`.
        pub blobs: Option<String> = None,
        /// `off`, `signed` or `enforced`.
        pub auth: AuthMode = AuthMode::Off,
        /// With `auth` other than `off`: log what would be denied and why, and let it pass.
        pub auth_soft: bool = false,
        /// Where signatures are verified: the secret of each account's root, whose key is the account's 12 digits (or
        /// `test` for account 000000000000). Unset: roots cannot sign.
        pub root_secret: Option<String> = Some("test".to_owned()),
        /// The least level that is logged: `error`, `warn`, `info`, `debug`, `trace`, or tracing's filter directives.
        pub log: String = "info".to_owned(),
        /// `auto`, `pretty` or `json`.
        pub log_format: LogFormat = LogFormat::Auto,
        /// Whether every request is logged with operation, status, duration, fidelity and id.
        pub log_requests: bool = true,
        /// How many of the latest requests `/_fractus/requests` remembers.
        pub remembered_requests: usize = 1_000,
        /// The most connections served at once; more wait to be accepted.
        pub max_connections: usize = 10_000,
        /// How long a connection may be silent, or take for one request's head, before it is closed.
        pub idle_timeout_secs: u64 = 75,
        /// How long a request's body may make no progress before the request is given up.
        pub body_timeout_secs: u64 = 30,
        /// The longest head of a request. Beyond it: 431.
        pub max_head_bytes: usize = 64 * 1024,
        /// The most headers of a request; beyond it: 431. More than 100 costs every request a little.
        pub max_headers: usize = 100,
        /// How long running requests and tasks get to end after SIGTERM.
        pub drain_grace_secs: u64 = 10,
        /// Makes ids and tokens repeatable. For tests only: keys made so are no secrets.
        pub seed: Option<u64> = None,
        /// The clock of lane `main` at the start: an RFC 3339 time at which it is frozen. Unset: real time.
        pub frozen_at: Option<String> = None,
        /// A file of the lanes' clocks at the start, `{"lane": {"virtual_base", "real_base", "scale"}}`. Set by launchers: what a
        /// service does before anybody has told it of a clock is done by that clock already.
        pub clocks_file: Option<String> = None,
        /// The threads that serve requests; 0 takes one for each processor.
        pub threads: usize = 0,
    }
}

impl HostConfig {
    /// The part that chooses the store.
    pub fn store_config(&self) -> StoreConfig {
        StoreConfig {
            data_dir: self.data_dir.as_ref().map(Into::into),
            store: self.store.clone(),
            durability: self.durability,
            blobs: self.blobs.clone(),
        }
    }
}
