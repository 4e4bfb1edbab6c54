//! The router's and launcher's settings.
//!
//! Four layers, each over the one before: defaults, `fractus.toml`, `FRACTUS_*` variables, flags. In the file the
//! router's own keys stand in `[router]`, where services go in `[targets]`; `data_dir`, `nats_url` and `log` at its top
//! are shared with the services. An unknown key is an error that names the closest known one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};

use crate::proxy::connect::InvalidUrl;
use crate::proxy::hybrid::Hybrid;
use crate::proxy::targets::{TargetKind, Targets};
use crate::route::tables;

/// All settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen: `address:port`. Default `127.0.0.1:4566`; a container listens on `0.0.0.0:4566`.
    pub listen: String,
    /// How long open exchanges get to end after SIGTERM. Default 5.
    pub drain_grace_secs: u64,
    /// The nats-server program that `up` starts. Default: beside `fractus`, then in PATH.
    pub nats_server: Option<PathBuf>,
    /// Where `up` makes its folder of sockets. Default: the system's folder for temporary files.
    pub run_dir: Option<PathBuf>,
    /// A NATS that runs already; `up` then starts none.
    pub nats_url: Option<String>,
    /// Each service keeps its state in a folder below. Default: state is in memory.
    pub data_dir: Option<PathBuf>,
    /// The least level that is logged. Default `info`.
    pub log: String,
    /// Service to `auto`, a URL, or `aws`.
    pub targets: BTreeMap<String, String>,
    /// Real endpoints for targets `aws`, where they are not AWS's own: service to URL. For tests and private links.
    pub aws_endpoints: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: "127.0.0.1:4566".to_owned(),
            drain_grace_secs: 5,
            nats_server: None,
            run_dir: None,
            nats_url: None,
            data_dir: None,
            log: "info".to_owned(),
            targets: BTreeMap::new(),
            aws_endpoints: BTreeMap::new(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}", unknown_text(.key, .place, .closest.as_deref()))]
    UnknownKey { key: String, place: String, closest: Option<String> },
    #[error("{path} cannot be read")]
    File { path: String, source: std::io::Error },
    #[error("{0}")]
    Value(String),
    #[error(transparent)]
    Target(#[from] InvalidUrl),
}

fn unknown_text(key: &str, place: &str, closest: Option<&str>) -> String {
    match closest {
        Some(closest) => format!("unknown key {key:?} in {place}; did you mean {closest:?}?"),
        None => format!("unknown key {key:?} in {place}"),
    }
}

/// Keys at the file's top, and as `FRACTUS_<KEY>`.
const SHARED_KEYS: [&str; 4] = ["data_dir", "nats_url", "nats_server", "log"];
/// Keys in `[router]`, and as `FRACTUS_ROUTER_<KEY>`.
const ROUTER_KEYS: [&str; 7] = ["listen", "drain_grace_secs", "nats_server", "run_dir", "nats_url", "data_dir", "log"];
const TARGET_VARIABLE: &str = "FRACTUS_TARGET_";
const ROUTER_VARIABLE: &str = "FRACTUS_ROUTER_";
/// What the launcher tells services by this prefix, not settings of the router's.
const NOT_OURS: [&str; 1] = ["FRACTUS_ROUTER_URL"];

/// Where settings come from, so that tests have their own.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub variables: BTreeMap<String, String>,
    pub directory: PathBuf,
    /// `--config`.
    pub file: Option<PathBuf>,
}

impl Environment {
    pub fn of_process(file: Option<PathBuf>) -> Self {
        Environment {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .filter(|(name, _)| name.starts_with("FRACTUS_"))
                .collect(),
            directory: std::env::current_dir().unwrap_or_default(),
            file,
        }
    }
}

impl Config {
    /// Defaults, file and variables; the flags are the caller's to put over them.
    pub fn load(environment: &Environment) -> Result<Self, ConfigError> {
        let mut over = read_file(environment)?;
        read_variables(environment, &mut over)?;
        let figment = Figment::from(Serialized::defaults(Config::default())).merge(Serialized::defaults(over));
        let config: Config = figment.extract().map_err(|error| ConfigError::Value(error.to_string()))?;
        for service in config.targets.keys() {
            check_service(service)?;
        }
        Ok(config)
    }

    /// `SERVICE=URL`, as a flag says it.
    pub fn add_target(&mut self, text: &str) -> Result<(), ConfigError> {
        let (service, target) =
            text.split_once('=').ok_or_else(|| ConfigError::Value(format!("{text:?} is not SERVICE=TARGET")))?;
        check_service(service)?;
        self.targets.insert(service.to_owned(), target.to_owned());
        Ok(())
    }

    /// The way to AWS.
    pub fn hybrid(&self) -> Hybrid {
        Hybrid::new(self.aws_endpoints.clone())
    }

    /// Points every service where the configuration says.
    pub fn point_targets(&self, targets: &Targets) -> Result<(), ConfigError> {
        for (service, target) in &self.targets {
            let kind = match target.as_str() {
                "auto" => TargetKind::Auto,
                "aws" => TargetKind::Aws,
                url => TargetKind::Url(url.to_owned()),
            };
            targets.set_kind(service, kind)?;
        }
        Ok(())
    }
}

/// A service outside the list is fine (it may be anything that a client signs for), unless it looks misspelt.
fn check_service(service: &str) -> Result<(), ConfigError> {
    if tables::known_service(service).is_some() || !tables::services_of_scope(service).is_empty() {
        return Ok(());
    }
    match tables::SERVICES.iter().find(|known| distance(known, service) == 1 && service.len() > 3) {
        Some(known) => Err(ConfigError::UnknownKey {
            key: service.to_owned(),
            place: "targets".to_owned(),
            closest: Some((*known).to_owned()),
        }),
        None => Ok(()),
    }
}

fn read_file(environment: &Environment) -> Result<Dict, ConfigError> {
    let named = environment.file.clone().or_else(|| environment.variables.get("FRACTUS_CONFIG").map(PathBuf::from));
    let path = named.clone().unwrap_or_else(|| environment.directory.join("fractus.toml"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(Dict::new()),
        Err(source) => return Err(ConfigError::File { path: path.display().to_string(), source }),
    };
    let all: Dict = Figment::from(Toml::string(&text))
        .extract()
        .map_err(|error| ConfigError::Value(format!("{}: {error}", path.display())))?;
    let mut over = Dict::new();
    // The shared keys first, so that the router's table can say one differently.
    for (key, value) in &all {
        if SHARED_KEYS.contains(&key.as_str()) {
            over.insert(key.clone(), value.clone());
        }
    }
    for (key, value) in all {
        match (key.as_str(), value) {
            ("router", Value::Dict(_, table)) => take_router_table(table, &path, &mut over)?,
            (key @ ("targets" | "aws_endpoints"), value @ Value::Dict(..)) => {
                over.insert(key.to_owned(), value);
            }
            // Other tables, and other keys at the top, are the services'.
            _ => {}
        }
    }
    Ok(over)
}

fn take_router_table(table: Dict, path: &Path, over: &mut Dict) -> Result<(), ConfigError> {
    for (key, value) in table {
        if !ROUTER_KEYS.contains(&key.as_str()) {
            let closest = closest(&key, ROUTER_KEYS.into_iter()).map(str::to_owned);
            return Err(ConfigError::UnknownKey { key, place: format!("[router] of {}", path.display()), closest });
        }
        over.insert(key, value);
    }
    Ok(())
}

fn read_variables(environment: &Environment, over: &mut Dict) -> Result<(), ConfigError> {
    let mut targets = match over.remove("targets") {
        Some(Value::Dict(_, targets)) => targets,
        _ => Dict::new(),
    };
    for (name, text) in &environment.variables {
        let key = name.strip_prefix("FRACTUS_").unwrap_or("").to_ascii_lowercase();
        if let Some(service) = name.strip_prefix(TARGET_VARIABLE) {
            targets.insert(service.to_ascii_lowercase().replace('_', "-"), Value::from(text.as_str()));
        } else if SHARED_KEYS.contains(&key.as_str()) && !text.is_empty() {
            over.insert(key, Value::from(text.as_str()));
        }
    }
    for (name, text) in &environment.variables {
        let Some(key) = name.strip_prefix(ROUTER_VARIABLE).map(str::to_ascii_lowercase) else { continue };
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        if !ROUTER_KEYS.contains(&key.as_str()) {
            let closest = closest(&key, ROUTER_KEYS.into_iter()).map(str::to_owned);
            return Err(ConfigError::UnknownKey { key, place: format!("the variable {name}"), closest });
        }
        let number = text.parse::<u64>().map(Value::from);
        over.insert(key, number.unwrap_or_else(|_| Value::from(text.as_str())));
    }
    over.insert("targets".to_owned(), Value::from(targets));
    Ok(())
}

/// The known name with the fewest changes, if they are few against its length.
pub fn closest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (changes, name) = known.map(|name| (distance(given, name), name)).min()?;
    (changes <= name.len().max(given.len()).div_ceil(3)).then_some(name)
}

/// Levenshtein's distance: insertions, deletions, replacements.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("fractus.toml"), file).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Config::load(&Environment { variables, directory: folder.path().to_owned(), file: None })
    }

    #[test]
    fn each_layer_lies_over_the_one_before() {
        let file = "data_dir = \"/from/file\"\nauth = \"signed\"\n[router]\nlisten = \"0.0.0.0:1\"\ndrain_grace_secs = 9\n\
                    [targets]\nsqs = \"aws\"\nsns = \"http://a:1\"\n[sqs]\nx = 1";
        let config = load(
            file,
            &[
                ("FRACTUS_ROUTER_LISTEN", "0.0.0.0:2"),
                ("FRACTUS_TARGET_SNS", "http://b:2"),
                ("FRACTUS_ROUTER_URL", "x"),
            ],
        )
        .unwrap();
        assert_eq!(config.listen, "0.0.0.0:2");
        assert_eq!(config.drain_grace_secs, 9);
        assert_eq!(config.data_dir.as_deref(), Some(Path::new("/from/file")));
        assert_eq!(config.targets["sqs"], "aws");
        assert_eq!(config.targets["sns"], "http://b:2");
        assert_eq!(config.log, "info");
    }

    #[test]
    fn an_unknown_key_names_the_closest() {
        let error = load("[router]\nlisten_on = \"x\"\nlisen = \"y\"", &[]).unwrap_err().to_string();
        assert!(error.contains("\"lisen\"") && error.contains("did you mean \"listen\""), "{error}");
        let error = load("", &[("FRACTUS_ROUTER_RUN_DIRS", "1")]).unwrap_err().to_string();
        assert!(error.contains("did you mean \"run_dir\""), "{error}");
        let error = load("[targets]\nsqss = \"aws\"", &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean \"sqs\""), "{error}");
        assert!(load("[targets]\nsagemaker = \"aws\"", &[]).is_ok());
    }
}
