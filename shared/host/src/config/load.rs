//! Reading the four layers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::Serialize;

use super::closest::{closest, distance};
use super::{HostConfig, Settings};

/// Where settings come from, besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub variables: BTreeMap<String, String>,
    /// Without the program's name.
    pub arguments: Vec<String>,
    /// Where `fractus.toml` is looked for, unless `--config` or `FRACTUS_CONFIG` names a file.
    pub directory: PathBuf,
}

impl Environment {
    /// The process's own.
    pub fn of_process() -> Self {
        Environment {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                // Compose files pass empty variables for what is not set.
                .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
                .collect(),
            arguments: std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect(),
            directory: PathBuf::from("."),
        }
    }
}

const PREFIX: &str = "FRACTUS_";

/// Keys at the file's top that only the launcher reads.
const LAUNCHERS_KEYS: [&str; 1] = ["nats_server"];

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Run,
    Help,
    Version,
    /// Print the operations as JSON and end.
    Operations,
    /// Print the page of settings and end.
    Settings,
}

/// The settings of one process.
#[derive(Clone, Debug)]
pub struct Loaded<C> {
    pub host: HostConfig,
    pub service: C,
    pub asked: Asked,
    /// Variables that look like settings but are none of this service's.
    pub ignored_variables: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("unknown setting {key:?} in {place}{}", did_you_mean(.closest))]
    UnknownKey { key: String, place: String, closest: Option<String> },
    #[error("{0:?} is no flag; flags are written --key value")]
    NoFlag(String),
    #[error("{path} cannot be read: {source}")]
    File { path: String, source: std::io::Error },
    #[error("{0}")]
    Value(String),
}

fn did_you_mean(closest: &Option<String>) -> String {
    closest.as_ref().map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// One layer's values, split between the host's struct and the service's.
#[derive(Default)]
struct Layer {
    host: Dict,
    service: Dict,
}

struct Known {
    service_name: String,
    host: Vec<&'static str>,
    service: Vec<&'static str>,
    /// Keys whose default is a text: their values are texts, whatever they look like.
    texts: BTreeSet<String>,
}

impl Known {
    fn parsed(&self, key: &str, text: &str) -> Value {
        // figment's own reading of variables: numbers, booleans, lists; anything else is text.
        if self.texts.contains(key) { Value::from(text) } else { text.parse().unwrap_or_else(|_| Value::from(text)) }
    }

    fn all(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.host.iter().chain(&self.service).copied()
    }

    /// Puts a value where its key belongs; a key that both have goes to both.
    fn put(&self, layer: &mut Layer, key: &str, value: &Value) -> bool {
        let (host, service) = (self.host.contains(&key), self.service.contains(&key));
        if host {
            layer.host.insert(key.to_owned(), value.clone());
        }
        if service {
            layer.service.insert(key.to_owned(), value.clone());
        }
        host || service
    }

    fn unknown(&self, key: &str, place: impl Into<String>) -> ConfigError {
        let closest = closest(key, self.all()).map(str::to_owned);
        ConfigError::UnknownKey { key: key.to_owned(), place: place.into(), closest }
    }
}

/// Reads the settings of `service_name`, whose own are `C`.
pub fn load<C: Settings>(service_name: &str, environment: &Environment) -> Result<Loaded<C>, ConfigError> {
    let known = Known {
        service_name: service_name.to_owned(),
        host: HostConfig::LIST.iter().map(|setting| setting.name).collect(),
        service: C::LIST.iter().map(|setting| setting.name).collect(),
        texts: texts(&HostConfig::default()).chain(texts(&C::default())).collect(),
    };
    let mut config_file = environment.variables.get("FRACTUS_CONFIG").cloned();
    let (flags, asked) = flags(&known, &environment.arguments, &mut config_file)?;
    let (variables, ignored_variables) = variables(&known, &environment.variables)?;
    let file = file(&known, environment, config_file)?;
    let layers = [file, variables, flags];
    let mut host = Figment::from(Serialized::defaults(HostConfig::default()));
    let mut service = Figment::from(Serialized::defaults(C::default()));
    for layer in layers {
        host = host.merge(Serialized::defaults(layer.host));
        service = service.merge(Serialized::defaults(layer.service));
    }
    Ok(Loaded {
        host: host.extract().map_err(value_error)?,
        service: service.extract().map_err(value_error)?,
        asked,
        ignored_variables,
    })
}

fn value_error(error: figment::Error) -> ConfigError {
    let key = error.path.join(".");
    let kind = error.kind;
    ConfigError::Value(format!("setting {key:?}: {kind}"))
}

fn texts(defaults: &impl Serialize) -> impl Iterator<Item = String> {
    let defaults = match serde_json::to_value(defaults) {
        Ok(serde_json::Value::Object(defaults)) => defaults,
        _ => serde_json::Map::new(),
    };
    defaults.into_iter().filter(|(_, value)| value.is_string()).map(|(name, _)| name)
}

fn flags(known: &Known, arguments: &[String], config_file: &mut Option<String>) -> Result<(Layer, Asked), ConfigError> {
    let mut layer = Layer::default();
    let mut asked = Asked::Run;
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        let Some(flag) = argument.strip_prefix("--") else {
            match argument.as_str() {
                "-h" => asked = Asked::Help,
                "-V" => asked = Asked::Version,
                _ => return Err(ConfigError::NoFlag(argument.clone())),
            }
            continue;
        };
        match flag {
            "help" => asked = Asked::Help,
            "version" => asked = Asked::Version,
            "operations" => asked = Asked::Operations,
            "settings" => asked = Asked::Settings,
            _ => {
                let (name, value) = match flag.split_once('=') {
                    Some((name, value)) => (name, value.to_owned()),
                    // A flag without a value switches on.
                    None => (flag, rest.next_if(|next| !next.starts_with("--")).cloned().unwrap_or("true".to_owned())),
                };
                let key = name.replace('-', "_");
                if key == "config" {
                    *config_file = Some(value);
                } else if !known.put(&mut layer, &key, &known.parsed(&key, &value)) {
                    return Err(known.unknown(&key, "the command line"));
                }
            }
        }
    }
    Ok((layer, asked))
}

/// `FRACTUS_KEY`, and `FRACTUS_SQS_KEY` for one service alone. The environment is shared with other programs of the
/// stack, so a name that is far from every known one is only noted; one that looks misspelt is an error.
fn variables(known: &Known, variables: &BTreeMap<String, String>) -> Result<(Layer, Vec<String>), ConfigError> {
    let own_prefix = format!("{}_", known.service_name.replace('-', "_"));
    let (mut layer, mut own_layer, mut ignored) = (Layer::default(), Layer::default(), Vec::new());
    for (name, text) in variables {
        let Some(key) = name.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else { continue };
        if key == "config" {
            continue;
        }
        if let Some(own) = key.strip_prefix(&own_prefix) {
            if !known.put(&mut own_layer, own, &known.parsed(own, text)) {
                return Err(known.unknown(own, format!("the variable {name}")));
            }
        } else if !known.put(&mut layer, &key, &known.parsed(&key, text)) {
            if known.all().any(|known| distance(known, &key) <= 2) {
                return Err(known.unknown(&key, format!("the variable {name}")));
            }
            ignored.push(name.clone());
        }
    }
    layer.host.extend(own_layer.host);
    layer.service.extend(own_layer.service);
    Ok((layer, ignored))
}

/// Keys at the top are for all services; a service's table has its own keys and may say a common one differently.
/// Other tables are other programs'.
fn file(known: &Known, environment: &Environment, named: Option<String>) -> Result<Layer, ConfigError> {
    let path = named.as_ref().map_or_else(|| environment.directory.join("fractus.toml"), PathBuf::from);
    let place = path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(Layer::default()),
        Err(source) => return Err(ConfigError::File { path: place, source }),
    };
    let all: Dict = Figment::from(Toml::string(&text))
        .extract()
        .map_err(|error| ConfigError::Value(format!("{place}: {}", error.kind)))?;
    let (mut layer, mut own_layer) = (Layer::default(), Layer::default());
    for (key, value) in &all {
        match value {
            Value::Dict(_, table) if *key == known.service_name => {
                for (key, value) in table {
                    if !known.put(&mut own_layer, key, value) {
                        return Err(known.unknown(key, format!("[{}] of {place}", known.service_name)));
                    }
                }
            }
            Value::Dict(..) => {}
            value if known.host.contains(&key.as_str()) => {
                layer.host.insert(key.clone(), value.clone());
            }
            _ if LAUNCHERS_KEYS.contains(&key.as_str()) => {}
            _ => return Err(known.unknown(key, place)),
        }
    }
    layer.host.extend(own_layer.host);
    layer.service.extend(own_layer.service);
    Ok(layer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AuthMode, NoSettings};

    crate::settings! {
        /// Of a made-up service.
        struct Config {
            /// How many.
            pub how_many: u32 = 3,
            /// Which.
            pub names: Vec<String> = Vec::new(),
        }
    }

    fn environment(
        variables: &[(&str, &str)],
        arguments: &[&str],
        file: Option<&str>,
    ) -> (Environment, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = file {
            std::fs::write(folder.path().join("fractus.toml"), text).unwrap();
        }
        let environment = Environment {
            variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            directory: folder.path().to_owned(),
        };
        (environment, folder)
    }

    #[test]
    fn each_layer_lies_over_the_one_before() {
        let file = "drain_grace_secs = 1\nauth = \"signed\"\nlog = \"warn\"\n[toy]\nhow_many = 4\nlog = \"debug\"\n[other]\nx = 1\n";
        let variables = [
            ("FRACTUS_DRAIN_GRACE_SECS", "2"),
            ("FRACTUS_TOY_HOW_MANY", "5"),
            ("FRACTUS_ROOT_SECRET", "007"),
            ("FRACTUS_ROUTER_PORTS", "1"),
        ];
        let (environment, _folder) = environment(&variables, &["--drain-grace-secs", "3", "--auth-soft"], Some(file));
        let loaded: Loaded<Config> = load("toy", &environment).unwrap();
        assert_eq!((loaded.host.drain_grace_secs, loaded.service.how_many), (3, 5));
        assert_eq!((loaded.host.auth, loaded.host.auth_soft), (AuthMode::Signed, true));
        assert_eq!(loaded.host.log, "debug");
        assert_eq!(loaded.host.root_secret.as_deref(), Some("007"));
        assert_eq!(loaded.ignored_variables, ["FRACTUS_ROUTER_PORTS"]);
        assert_eq!(loaded.asked, Asked::Run);
    }

    #[test]
    fn an_unknown_key_names_the_closest() {
        type Case = (&'static [(&'static str, &'static str)], &'static [&'static str], Option<&'static str>);
        let cases: [Case; 4] = [
            (&[], &["--lisen", "x"], None),
            (&[("FRACTUS_LISEN", "x")], &[], None),
            (&[], &[], Some("lisen = \"x\"")),
            (&[], &[], Some("[toy]\nlisen = \"x\"")),
        ];
        for (variables, arguments, file) in cases {
            let (environment, _folder) = environment(variables, arguments, file);
            let error = load::<Config>("toy", &environment).unwrap_err().to_string();
            assert!(error.contains("did you mean \"listen\"?"), "{error}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_names_its_key() {
        let (environment, _folder) = environment(&[], &["--max-connections", "many"], None);
        let error = load::<NoSettings>("toy", &environment).unwrap_err().to_string();
        assert!(error.contains("max_connections"), "{error}");
    }
}
