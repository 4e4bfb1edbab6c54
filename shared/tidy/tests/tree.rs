//! The rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails as the test does")]

use std::collections::{BTreeMap, BTreeSet};

use fancy_regex::{Captures, Regex};
use figment::Figment;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use fractus_tidy::{File, compare_list, crate_of, crates, files, operations_of_model};

/// The shared crates from the lowest layer up; a crate may depend on those before it only.
const LAYERS: [&str; 22] = [
    "clock",
    "md5",
    "outgoing",
    "aws",
    "patterns",
    "expressions",
    "regex",
    "schedules",
    "models",
    "wire",
    "codegen",
    "sigv4",
    "policy",
    "store",
    "bus",
    "client",
    "compute",
    "handoff",
    "host",
    "datakeys",
    "testkit",
    "tidy",
];

fn manifest(file: &File) -> Dict {
    Figment::from(Toml::string(&file.text)).extract().unwrap_or_else(|error| panic!("{}: {error}", file.path))
}

fn table<'a>(dict: &'a Dict, key: &str) -> Option<&'a Dict> {
    match dict.get(key) {
        Some(Value::Dict(_, table)) => Some(table),
        _ => None,
    }
}

/// The names in a crate's dependency tables: what it is built of, and what its tests and build script use besides.
fn dependencies(manifest: &Dict) -> (BTreeSet<String>, BTreeSet<String>) {
    let names = |key| table(manifest, key).into_iter().flat_map(|table| table.keys().cloned());
    (names("dependencies").collect(), names("dev-dependencies").chain(names("build-dependencies")).collect())
}

/// The manifests of the workspace's crates; a crate that is a workspace of its own (stock clients) follows nobody's rules.
fn manifests(files: &[File]) -> impl Iterator<Item = (&str, Dict)> {
    let all =
        files.iter().filter_map(|file| file.path.strip_suffix("/Cargo.toml").map(|folder| (folder, manifest(file))));
    all.filter(|(_, manifest)| !manifest.contains_key("workspace"))
}

/// The first group of a match.
fn group<'t>(captures: &Captures<'t, str>) -> &'t str {
    captures.get(1).map_or("", |group| group.as_str())
}

fn fail_on(what: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{what}:\n{}", broken.join("\n"));
}

/// `fractus-x` of shared/x and router, `fractus-x` and `fractus-x-api` of services/x.
fn is_service_crate(name: &str, files: &[File]) -> bool {
    let Some(service) = name.strip_prefix("fractus-") else { return false };
    let service = service.strip_suffix("-api").unwrap_or(service);
    files.iter().any(|file| file.path == format!("services/{service}/Cargo.toml"))
}

#[test]
fn crates_depend_downwards_only() {
    let files = files();
    let mut broken = Vec::new();
    for (folder, manifest) in manifests(&files) {
        let (own, besides) = dependencies(&manifest);
        let ours = |names: &BTreeSet<String>| {
            names.iter().filter(|name| name.starts_with("fractus-")).cloned().collect::<Vec<_>>()
        };
        if let Some(layer) = folder.strip_prefix("shared/") {
            let Some(rank) = LAYERS.iter().position(|known| *known == layer) else {
                broken.push(format!("{folder} has no layer in shared/tidy/tests/tree.rs"));
                continue;
            };
            for name in ours(&own) {
                let below = LAYERS.iter().position(|known| name == format!("fractus-{known}"));
                if below.is_none_or(|below| below >= rank) {
                    broken.push(format!("{folder} depends on {name}, which is not below it"));
                }
            }
        } else if let Some(service) = folder.strip_prefix("services/") {
            let service = service.strip_suffix("/api").unwrap_or(service);
            // Tests may start two services beside each other; programs may not contain each other.
            for name in ours(&own) {
                let is_own = name == format!("fractus-{service}") || name == format!("fractus-{service}-api");
                if !is_own && is_service_crate(&name, &files) && !name.ends_with("-api") {
                    broken
                        .push(format!("{folder} depends on {name}; another service is reached by its api crate only"));
                }
            }
        }
        if folder != "router" && (own.contains("fractus-router") || besides.contains("fractus-router")) {
            broken.push(format!("{folder} depends on the router"));
        }
    }
    fail_on("layers", broken);
}

/// The two that issue credentials and keep identities have to be known by whoever verifies signatures.
const SERVICE_NAMES_IN_SHARED: [(&str, &str); 1] = [("shared/host/src/credentials.rs", "the issuers of access keys")];

#[test]
fn no_shared_crate_names_a_service() {
    let files = files();
    let services: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.path.strip_prefix("services/")?.split_once('/').map(|(service, _)| service))
        .collect();
    let mut broken = Vec::new();
    for (folder, manifest) in manifests(&files).filter(|(folder, _)| folder.starts_with("shared/")) {
        let (own, _) = dependencies(&manifest);
        broken.extend(own.iter().filter(|name| is_service_crate(name, &files)).map(|name| format!("{folder}: {name}")));
    }
    for file in files.iter().filter(|file| file.path.starts_with("shared/host/src/")) {
        let is_known = SERVICE_NAMES_IN_SHARED.iter().any(|(path, _)| *path == file.path);
        let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        for service in &services {
            // S3's dialect of signatures is one of the four there are, and is asked for by its signing name.
            let is_dialect = *service == "s3" && file.path == "shared/host/src/auth.rs";
            if !is_known && !is_dialect && code.contains(&format!("\"{service}\"")) {
                broken.push(format!("{}: {service:?}", file.path));
            }
        }
    }
    fail_on("shared crates that name a service", broken);
}

#[test]
fn who_calls_or_hears_whom_is_written_down() {
    let files = files();
    let crates = crates(&files);
    let patterns = [
        ("hears", r"subscribe::<\s*(?:\w+::)*(\w+)\s*>"),
        ("serves", r"serve::<\s*(?:\w+::)*(\w+)"),
        ("asks", r"\.call(?:_within)?(?:::<\w+>)?\(\s*[^,()]+,\s*&(?:\w+::)*([A-Z]\w+)"),
        ("consumes", r"\.(consume_deliver)ies\(|host\.(consume)\("),
        ("sends", r"\.(deliver)\(|outbox::(\w+)\("),
    ];
    let patterns = patterns.map(|(verb, pattern)| (verb, Regex::new(pattern).unwrap()));
    let contracts = Regex::new(r"contracts::(?:\{([^}]*)\}|(\w+))").unwrap();
    let mut found = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs") && file.path.contains("/src/")) {
        let Some(folder) = crate_of(&crates, &file.path).filter(|folder| *folder != "shared/bus") else { continue };
        let code = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        for (verb, pattern) in &patterns {
            for captures in pattern.captures_iter(code).flatten() {
                let what = captures.iter().skip(1).flatten().next().map_or("", |found| found.as_str());
                let what = if *verb == "sends" || *verb == "consumes" { "Delivery" } else { what };
                found.insert(format!("{folder} {verb} {what}"));
            }
        }
        for captures in contracts.captures_iter(code).flatten() {
            let names = captures.get(1).or(captures.get(2)).map_or("", |names| names.as_str());
            for name in names.split(',').map(str::trim).filter(|name| name.starts_with(char::is_uppercase)) {
                found.insert(format!("{folder} knows {name}"));
            }
        }
    }
    compare_list("crossings.txt", &found).unwrap();
}

#[test]
fn operations_without_a_handler_only_become_fewer() {
    let files = files();
    let table_line = Regex::new(r"\.(?:on|stored|modelled)\(\s*(?:\w+::)*([A-Z]\w*)\s*,").unwrap();
    let built = Regex::new(r#"fractus_codegen::build(?:_all)?\(([^)]*)\)"#).unwrap();
    let mut uncovered = BTreeSet::new();
    let mut answered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut apis: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &files {
        let Some((service, rest)) = file.path.strip_prefix("services/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        let folder = rest.strip_suffix("/build.rs").unwrap_or_default();
        if folder == "api" || folder.ends_with("-api") {
            for captures in built.captures_iter(file.text.as_str()).flatten() {
                let names = group(&captures).split('"').skip(1).step_by(2).map(str::to_owned);
                apis.entry(service.to_owned()).or_default().extend(names);
            }
        } else if rest.starts_with("src/") && rest.ends_with(".rs") {
            let found =
                table_line.captures_iter(file.text.as_str()).flatten().map(|captures| group(&captures).to_owned());
            answered.entry(service.to_owned()).or_default().extend(found);
        }
    }
    for (service, apis) in apis {
        let answered = answered.remove(&service).unwrap_or_default();
        for api in apis {
            let modelled = operations_of_model(&api);
            assert!(!modelled.is_empty(), "the model of {api} has no operations");
            uncovered.extend(modelled.difference(&answered).map(|operation| format!("{api} {operation}")));
        }
    }
    compare_list("uncovered.txt", &uncovered).unwrap();
}

#[test]
fn files_are_short() {
    const MAX_LINES: usize = 800;
    let long = files()
        .iter()
        .filter(|file| file.path.ends_with(".rs") && file.text.lines().count() > MAX_LINES)
        .map(|file| format!("{} has {} lines", file.path, file.text.lines().count()))
        .collect();
    fail_on("files beyond 800 lines", long);
}

#[test]
fn only_the_clock_crate_asks_the_machine_for_time_and_chance() {
    let direct = Regex::new(r"SystemTime::now|Instant::now|thread_rng|rand::rng\(|Uuid::new_v4|OsRng|SysRng").unwrap();
    let broken = files()
        .iter()
        .filter(|file| file.path.ends_with(".rs") && file.path.contains("/src/"))
        .filter(|file| !file.path.starts_with("shared/clock/") && !file.path.starts_with("shared/tidy/"))
        .filter(|file| direct.is_match(file.text.split("#[cfg(test)]").next().unwrap_or_default()).unwrap_or(false))
        .map(|file| file.path.clone())
        .collect();
    fail_on("direct clocks or randomness", broken);
}

/// Clippy's lint of clocks may be silenced only where real time is the point, and the place says so.
#[test]
fn silenced_clocks_say_why() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with(".rs") && !file.path.starts_with("shared/clock/")) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if line.contains("allow(clippy::disallowed_methods)") {
                let near = &lines[index.saturating_sub(6)..(index + 4).min(lines.len())];
                if !near.iter().any(|line| line.trim_start().starts_with("//") || line.contains(" // ")) {
                    broken.push(format!("{}:{}", file.path, index + 1));
                }
            }
        }
    }
    fail_on("a silenced clock lint without a reason", broken);
}

#[test]
fn the_project_speaks_of_itself_alone() {
    // In halves, so that this file passes its own rule.
    let words =
        [("/wo", "rk/"), ("/tmp/", "dl"), ("/tmp/", "brief"), ("chat", "gpt"), ("sub", "agent"), ("cod", "ing agent")]
            .map(|(one, other)| format!("{one}{other}"));
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.path != "Cargo.lock") {
        for (number, line) in file.text.lines().enumerate() {
            let lower = line.to_lowercase();
            for word in words.iter().filter(|word| lower.contains(word.as_str())) {
                broken.push(format!("{}:{}: {word}", file.path, number + 1));
            }
        }
    }
    fail_on("words that do not belong here", broken);
}

#[test]
fn every_crate_tells_its_story() {
    let files = files();
    let mut broken = Vec::new();
    for folder in crates(&files) {
        let root_file = ["src/lib.rs", "src/main.rs"]
            .iter()
            .find_map(|name| files.iter().find(|file| file.path == format!("{folder}/{name}")));
        if root_file.is_some_and(|file| !file.text.trim_start().starts_with("//!")) {
            broken.push(format!("{folder} does not open with what it is"));
        }
        let is_service = folder.strip_prefix("services/").is_some_and(|rest| !rest.contains('/'));
        if is_service && !files.iter().any(|file| file.path == format!("{folder}/README.md")) {
            broken.push(format!("{folder} has no README.md"));
        }
    }
    fail_on("crates without a story", broken);
}

#[test]
fn every_crate_takes_the_workspace_s_rules() {
    let files = files();
    let mut broken = Vec::new();
    for (folder, manifest) in manifests(&files) {
        if folder.contains("fuzz") {
            continue;
        }
        let inherits = |section: &str, key: &str| {
            let value = table(&manifest, section).and_then(|section| section.get(key));
            match value {
                Some(Value::Dict(_, inherited)) => matches!(inherited.get("workspace"), Some(Value::Bool(_, true))),
                Some(Value::Bool(_, own)) => key == "workspace" && *own,
                _ => false,
            }
        };
        for (section, key) in
            [("package", "license"), ("package", "edition"), ("package", "publish"), ("lints", "workspace")]
        {
            if !inherits(section, key) {
                broken.push(format!("{folder}: {section}.{key} is not the workspace's"));
            }
        }
    }
    fail_on("crates with rules of their own", broken);
}

/// Chosen and checked, not used yet.
const FOR_SERVICES_TO_COME: [&str; 5] = ["getrandom", "insta", "prettyplease", "socket2", "uuid"];

#[test]
fn every_version_in_the_workspace_is_used_and_none_stands_elsewhere() {
    let files = files();
    let root = files.iter().find(|file| file.path == "Cargo.toml").expect("the workspace's manifest");
    let workspace = manifest(root);
    let known: BTreeSet<String> = table(&workspace, "workspace")
        .and_then(|workspace| table(workspace, "dependencies"))
        .map(|dependencies| dependencies.keys().cloned().collect())
        .unwrap_or_default();
    let (mut used, mut broken) = (BTreeSet::new(), Vec::new());
    for (folder, manifest) in manifests(&files).filter(|(folder, _)| !folder.contains("fuzz")) {
        for key in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in table(&manifest, key).into_iter().flatten() {
                used.insert(name.clone());
                let inherits = matches!(value, Value::Dict(_, value) if value.contains_key("workspace") || value.contains_key("path"));
                if !inherits {
                    broken.push(format!("{folder}: {name} has a version of its own"));
                }
            }
        }
    }
    let is_ours = |name: &&String| name.starts_with("fractus-");
    let waits = |name: &&String| FOR_SERVICES_TO_COME.contains(&name.as_str());
    let unused = known.difference(&used).filter(|name| !is_ours(name) && !waits(name));
    broken.extend(unused.map(|name| format!("{name} is used by nobody")));
    fail_on("versions", broken);
}
