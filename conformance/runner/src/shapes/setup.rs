//! The set-up tables: what a service needs to be asked sensibly, as data (`setup/<api>.toml`), and what each protocol
//! answers to what it refuses (`setup/protocols.toml`).

use std::collections::BTreeMap;

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;
use serde_json::Value as Json;

use super::site::Path;

// `pub static TABLES: &[(&str, &str)]`: every file of the folder `setup`, by its name without the ending.
include!(concat!(env!("OUT_DIR"), "/setup.rs"));

/// What one API needs. Every part may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Setup {
    /// An API whose requests another one takes for its own as long as nobody serves it: what is asked to find out.
    pub probe: Option<Probe>,
    /// Whose requests these are, where what they set for a whole account would reach other APIs' variants.
    pub account: Option<String>,
    /// Calls made once before the API's variants.
    pub start: Vec<Call>,
    /// Calls made before single variants, by a name that operations give in `before`.
    pub recipes: BTreeMap<String, Vec<Call>>,
    /// Values of members: by `Path.member.Name` from the operation's input, or by the last name alone.
    pub values: BTreeMap<String, Json>,
    /// Values by the name of their shape.
    pub shapes: BTreeMap<String, Json>,
    /// Members that are sent wherever one is: the service takes neither alone.
    pub companions: BTreeMap<String, Vec<String>>,
    /// Members that a full input leaves out, since they exclude others.
    pub without: Vec<String>,
    pub operations: BTreeMap<String, OperationSetup>,
    /// What single variants need, before what their operation needs.
    pub when: Vec<When>,
    /// What is answered where that is not success, or not what the protocol's table says. The first that fits counts.
    pub expect: Vec<Expect>,
    /// Errors that operations of this service answer without listing them: code and status.
    pub errors: BTreeMap<String, u16>,
    /// Variants that are not made: what has to be sent would not be a request any more, or takes minutes.
    pub skip: Vec<Skip>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperationSetup {
    pub before: Vec<String>,
    /// Each variant and what comes before it is sent by an account of its own: accounts have few places for what it makes.
    pub own_account: bool,
    pub values: BTreeMap<String, Json>,
    pub companions: BTreeMap<String, Vec<String>>,
    pub without: Vec<String>,
    /// Members that the model calls optional and the service wants.
    pub also: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// `Operation:protocol:variant`, with `*` for anything.
    pub variants: Vec<String>,
    /// Made after the operation's own.
    pub before: Vec<String>,
    pub values: BTreeMap<String, Json>,
    pub also: Vec<String>,
    pub without: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Another API than the table's own.
    pub api: Option<String>,
    pub operation: String,
    #[serde(default)]
    pub input: Json,
    /// Names for values of the answer, by path: `queue_url = "QueueUrl"`.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
    /// How often the call is made; the number is `${index}` in its input.
    pub times: Option<usize>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// `Operation:protocol:variant`, with `*` for anything.
    pub variants: Vec<String>,
    /// The codes, one of which is answered; none means success.
    #[serde(default)]
    pub code: Vec<String>,
    pub status: Option<u16>,
    /// With `*` for anything; `@validation` is the usual sentence about the constraint that was broken.
    pub message: Option<String>,
    /// Success is as good: services differ, or have not decided.
    #[serde(default)]
    pub or_success: bool,
    /// The page or the observation that says so.
    #[serde(default)]
    pub why: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub operation: String,
    /// Any of these codes in the answer says that another API answered.
    pub absent: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    pub variants: Vec<String>,
    pub why: String,
}

/// What the protocols have in common.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocols {
    /// Errors that every service of a protocol may answer, by the protocol's name in the models.
    pub errors: BTreeMap<String, BTreeMap<String, u16>>,
    pub expect: Vec<Expect>,
}

/// A table that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the set-up table {name} is not of the form it should be")]
pub struct SetupError {
    pub name: String,
    #[source]
    pub cause: Box<figment::Error>,
}

fn read<'de, T: Deserialize<'de>>(name: &str, text: &str) -> Result<T, SetupError> {
    let table = Figment::from(Toml::string(text)).extract();
    table.map_err(|cause| SetupError { name: name.to_owned(), cause: Box::new(cause) })
}

impl Setup {
    /// The table of an API; an empty one where there is none.
    pub fn load(api: &str) -> Result<Self, SetupError> {
        let table = TABLES.iter().find(|(name, _)| *name == api);
        table.map_or_else(|| Ok(Setup::default()), |(_, text)| read(api, text))
    }

    pub fn parse(name: &str, text: &str) -> Result<Self, SetupError> {
        read(name, text)
    }

    pub fn operation(&self, name: &str) -> Option<&OperationSetup> {
        self.operations.get(name)
    }

    /// Whether a place has a value of the table's.
    pub fn gives(&self, operation: &str, path: &Path) -> bool {
        let (path, last) = (path.to_string(), path.last());
        let here = self.operations.get(operation).map(|operation| &operation.values);
        here.into_iter().chain([&self.values]).any(|values| values.contains_key(&path) || values.contains_key(&last))
    }

    /// What a variant needs beside what its operation needs.
    pub fn when<'a>(&'a self, variant: &str) -> Vec<&'a When> {
        let fits_it = |when: &&When| when.variants.iter().any(|glob| fits(glob, variant));
        self.when.iter().filter(fits_it).collect()
    }

    pub fn is_skipped(&self, variant: &str) -> bool {
        self.skip.iter().any(|skip| skip.variants.iter().any(|glob| fits(glob, variant)))
    }

    /// What is expected of a variant beside plain success.
    pub fn expectation<'a>(&'a self, protocols: &'a Protocols, variant: &str) -> Option<&'a Expect> {
        self.expect
            .iter()
            .chain(&protocols.expect)
            .find(|expect| expect.variants.iter().any(|glob| fits(glob, variant)))
    }
}

impl Protocols {
    pub fn load() -> Result<Self, SetupError> {
        let text = TABLES.iter().find(|(name, _)| *name == "protocols").map_or("", |(_, text)| text);
        read("protocols", text)
    }
}

/// Whether a text is of the form of a glob, in which `*` stands for any characters.
pub fn fits(glob: &str, text: &str) -> bool {
    let Some((first, rest)) = glob.split_once('*') else { return glob == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_of_its_form_and_of_an_api() {
        for (name, _) in TABLES.iter().filter(|(name, _)| *name != "protocols") {
            let setup = Setup::load(name).unwrap_or_else(|error| panic!("{error}: {}", error.cause));
            let api = crate::models::load(name).unwrap();
            for operation in setup.operations.keys() {
                assert!(api.operations.contains_key(operation), "{name} has no operation {operation}");
            }
            let recipes = setup.operations.values().flat_map(|operation| &operation.before);
            recipes
                .chain(setup.when.iter().flat_map(|when| &when.before))
                .for_each(|recipe| assert!(setup.recipes.contains_key(recipe), "{name}: {recipe}"));
        }
        assert!(Protocols::load().unwrap().expect.len() > 10);
    }

    #[test]
    fn a_glob_fits_what_it_says() {
        assert!(fits("*:json:missing/*", "SendMessage:json:missing/QueueUrl"));
        assert!(fits("SendMessage:*", "SendMessage:json:minimal"));
        assert!(fits("a*b*c", "a--b--c") && fits("*", "") && fits("a", "a"));
        assert!(!fits("a*b*c", "a--c--b") && !fits("a*", "b") && !fits("*:json:x", "a:query:x"));
    }
}
