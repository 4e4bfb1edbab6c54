//! The vectors' files.

use std::fmt;
use std::path::{Path, PathBuf};

use fractus_models::Api;
use fractus_wire::dynamic::leak;
use fractus_wire::{OperationSchema, ServiceSchema};

use crate::values::Json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    InputClient,
    InputServer,
    OutputClient,
    OutputServer,
}

impl Direction {
    pub fn of_folder(folder: &str) -> [Direction; 2] {
        if folder == "input" {
            [Direction::InputClient, Direction::InputServer]
        } else {
            [Direction::OutputClient, Direction::OutputServer]
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::InputClient => "input-client",
            Direction::InputServer => "input-server",
            Direction::OutputClient => "output-client",
            Direction::OutputServer => "output-server",
        })
    }
}

pub fn test_data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("test-data")
}

/// One vector, with the schema of the API it brings along.
pub struct Vector {
    pub id: String,
    pub service: &'static ServiceSchema,
    pub operation: &'static OperationSchema,
    pub case: Json,
    pub client_endpoint: Option<String>,
}

pub fn files(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(test_data().join("protocols").join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.map(|name| name.trim_end_matches(".json").to_owned()).collect();
    names.sort();
    names
}

pub fn load(folder: &str, file: &str) -> Vec<Vector> {
    let path = test_data().join("protocols").join(folder).join(format!("{file}.json"));
    let suites: Vec<Json> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut vectors = Vec::new();
    for suite in &suites {
        for case in suite.list("cases") {
            vectors.push(vector(file, suite, case));
        }
    }
    vectors
}

/// The service's metadata. Query vectors answer in a namespace that their models do not name.
fn metadata(suite: &Json, case: &Json) -> Json {
    let mut metadata = suite.get("metadata").unwrap().clone();
    let body = case.get("response").and_then(|response| response.text("body")).unwrap_or("");
    let root = body.split('>').next().unwrap_or("");
    let namespace = root.split_once("xmlns=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(uri, _)| uri);
    if let (Json::Map(map), Some(uri)) = (&mut metadata, namespace)
        && matches!(map.get("protocol"), Some(Json::String(protocol)) if protocol == "query" || protocol == "ec2")
    {
        map.insert("xmlNamespace".to_owned(), Json::String(uri.to_owned()));
    }
    metadata
}

fn vector(file: &str, suite: &Json, case: &Json) -> Vector {
    let given = case.get("given").unwrap();
    let name = given.text("name").unwrap_or("OperationName").to_owned();
    let operations = Json::Map([(name.clone(), given.clone())].into_iter().collect());
    let model = Json::Map(
        [
            ("metadata".to_owned(), metadata(suite, case)),
            ("operations".to_owned(), operations),
            ("shapes".to_owned(), suite.get("shapes").cloned().unwrap_or_default()),
        ]
        .into_iter()
        .collect(),
    );
    let api = Api::parse(file, &serde_json::to_string(&model).unwrap()).unwrap();
    let service = leak(&api).unwrap();
    Vector {
        id: case.text("id").unwrap().to_owned(),
        service,
        operation: service.operation(&name).unwrap(),
        case: case.clone(),
        client_endpoint: suite.text("clientEndpoint").map(str::to_owned),
    }
}
