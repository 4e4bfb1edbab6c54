//! Scenarios: what a file of them says, read strictly and held against the models.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use fractus_wire::{OperationSchema, Protocol, ServiceSchema};

use super::apis;
use super::matcher::{Expectation, parse_expectations};
use super::path::Path;
use super::yaml::{self, Mistake, Node, Value};

/// The stack on which a scenario runs unless it says another: one with default settings.
pub const PLAIN: &str = "plain";
/// How long a step with `until` is repeated unless it says otherwise.
const UNTIL: Until = Until { times: 200, within: Duration::from_secs(10) };
/// No wait and no start is later.
const MAX_SECS: usize = 60;

#[derive(Clone, Debug)]
pub struct Scenario {
    /// `sqs/delay-hides-a-message`: the folder, and the name in the file.
    pub name: String,
    pub file: PathBuf,
    pub line: usize,
    /// Only AWS's own operations: it may run on AWS itself.
    pub portable: bool,
    /// With which settings the stack must run.
    pub stack: String,
    /// The APIs whose operations it calls.
    pub services: Vec<String>,
    /// Why it fails on this project so far; it counts for nothing then.
    pub broken: Option<String>,
    /// The operations whose effect it shows: `(api, operation)`.
    pub shows: Vec<(String, String)>,
    pub variables: Vec<(String, Node)>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub enum Step {
    Call(Box<Call>),
    /// A request that is no operation: a presigned URL, a document that others fetch.
    Http(Box<Request>),
    Clock(ClockStep),
    /// All at once; goes on when all have ended.
    Parallel(Vec<Step>),
    Repeat {
        times: Node,
        steps: Vec<Step>,
    },
}

#[derive(Clone, Debug)]
pub struct Call {
    pub line: usize,
    pub service: &'static ServiceSchema,
    pub operation: &'static OperationSchema,
    pub input: Node,
    pub protocol: Protocol,
    /// Whose call it is; the default account's where absent.
    pub caller: Option<Node>,
    pub wire: Wire,
    pub pages: Option<Pages>,
    pub outcome: Outcome,
}

/// How the request differs from what the model and the protocol make of it.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    pub headers: Option<Node>,
    pub query: Option<Node>,
    pub unsigned: bool,
    /// Signed in the URL, valid for these seconds.
    pub presign: Option<Node>,
    /// The bucket in the host's name.
    pub virtual_host: bool,
    /// The body in `aws-chunked` form.
    pub chunked: Option<Chunked>,
}

#[derive(Clone, Debug)]
pub struct Chunked {
    pub signed: bool,
    pub trailers: Option<Node>,
    pub chunk_bytes: usize,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub line: usize,
    pub method: String,
    /// From the endpoint's root, or a whole URL at the endpoint.
    pub url: Node,
    pub headers: Option<Node>,
    pub body: Option<Node>,
    pub outcome: Outcome,
}

/// What must come back, and what is kept of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub expect: Vec<Expectation>,
    pub error: Option<ExpectedError>,
    pub save: Vec<(String, Path)>,
    pub until: Option<Until>,
    /// Among parallel steps: when to start.
    pub start_after: Duration,
}

#[derive(Clone, Debug)]
pub struct ExpectedError {
    pub line: usize,
    pub expect: Vec<Expectation>,
}

#[derive(Clone, Copy, Debug)]
pub struct Until {
    pub times: usize,
    pub within: Duration,
}

/// Follow-up calls with a token from the answer before, until there is none.
#[derive(Clone, Debug)]
pub struct Pages {
    pub from: Path,
    pub to: String,
}

#[derive(Clone, Debug)]
pub enum ClockStep {
    Freeze,
    Resume,
    Advance(Node),
    Set(Node),
}

/// A file with mistakes, or none that can be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    #[error("{}:{}: {}", .0.display(), .1.line, .1.what)]
    Mistake(PathBuf, Mistake),
    #[error("two scenarios are called {0}")]
    Twice(String),
}

/// All scenarios below a folder: `<folder>/<service>/*.yaml`.
pub fn load(folder: &FilePath) -> Result<Vec<Scenario>, LoadError> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for group in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let service = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for file in entries(&group)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
            let text = std::fs::read_to_string(&file).map_err(|error| LoadError::Unreadable(file.clone(), error))?;
            let found = parse_file(&service, &file, &text);
            scenarios.extend(found.map_err(|mistake| LoadError::Mistake(file, mistake))?);
        }
    }
    let mut names: BTreeMap<&str, ()> = BTreeMap::new();
    match scenarios.iter().find(|scenario| names.insert(&scenario.name, ()).is_some()) {
        Some(twice) => Err(LoadError::Twice(twice.name.clone())),
        None => Ok(scenarios),
    }
}

fn entries(folder: &FilePath) -> Result<Vec<PathBuf>, LoadError> {
    let unreadable = |error| LoadError::Unreadable(folder.to_owned(), error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// The scenarios of one file of a service.
pub fn parse_file(service: &str, file: &FilePath, text: &str) -> Result<Vec<Scenario>, Mistake> {
    let root = yaml::parse(text)?;
    root.only("the file", &["pieces", "scenarios"])?;
    let pieces = match root.get("pieces") {
        Some(pieces) => pieces.map("pieces")?.iter().map(|(key, steps)| (key.name.as_str(), steps)).collect(),
        None => BTreeMap::new(),
    };
    let reader = Reader { service, file, pieces };
    let list = root.get("scenarios").ok_or_else(|| Mistake::at(root.line, "the file has no `scenarios`"))?;
    list.list("scenarios")?.iter().map(|scenario| reader.scenario(scenario)).collect()
}

struct Reader<'a> {
    service: &'a str,
    file: &'a FilePath,
    /// Steps that several scenarios begin with.
    pieces: BTreeMap<&'a str, &'a Node>,
}

impl Reader<'_> {
    fn scenario(&self, node: &Node) -> Result<Scenario, Mistake> {
        node.only("a scenario", &["name", "portable", "stack", "broken", "shows", "vars", "steps"])?;
        let need = |name: &str| node.get(name).ok_or_else(|| Mistake::at(node.line, format!("no `{name}`")));
        let name = need("name")?.text("name")?;
        let mut steps = Vec::new();
        for step in need("steps")?.list("steps")? {
            self.step(step, &mut steps)?;
        }
        let mut services = Vec::new();
        let mut moves_clock = false;
        for step in &steps {
            survey(step, &mut services, &mut moves_clock);
        }
        let stack = node.get("stack").map_or(Ok(PLAIN), |stack| stack.text("stack"))?.to_owned();
        let can_be = !moves_clock && stack == PLAIN;
        let portable = node.get("portable").map_or(Ok(can_be), |portable| portable.boolean("portable"))?;
        if portable && !can_be {
            return Err(Mistake::at(node.line, "a scenario with a clock or a stack of its own is not portable"));
        }
        let mut shows = Vec::new();
        for shown in need("shows")?.list("shows")? {
            shows.push(self.shown(shown)?);
        }
        let variables = node.get("vars").map_or(Ok(&[][..]), |vars| vars.map("vars"))?;
        let broken = node.get("broken").map(|why| why.text("broken").map(str::to_owned)).transpose()?;
        Ok(Scenario {
            broken,
            name: format!("{}/{name}", self.service),
            file: self.file.to_owned(),
            line: node.line,
            portable,
            stack,
            services,
            shows,
            variables: variables.iter().map(|(key, value)| (key.name.clone(), value.clone())).collect(),
            steps,
        })
    }

    /// `SendMessage`, or `s3.PutObject` where the file is another service's.
    fn shown(&self, node: &Node) -> Result<(String, String), Mistake> {
        let name = node.text("an operation")?;
        let full = if name.contains('.') { name.to_owned() } else { format!("{}.{name}", self.service) };
        let (service, operation) = apis::operation(&full).map_err(|what| Mistake::at(node.line, what))?;
        Ok((service.api.to_owned(), operation.name.to_owned()))
    }

    fn steps(&self, node: &Node) -> Result<Vec<Step>, Mistake> {
        let mut steps = Vec::new();
        for step in node.list("steps")? {
            self.step(step, &mut steps)?;
        }
        Ok(steps)
    }

    fn step(&self, node: &Node, steps: &mut Vec<Step>) -> Result<(), Mistake> {
        let (key, argument) = node.map("a step")?.first().ok_or_else(|| Mistake::at(node.line, "an empty step"))?;
        match key.name.as_str() {
            "call" => steps.push(Step::Call(Box::new(self.call(node, argument)?))),
            "http" => steps.push(Step::Http(Box::new(http(node, argument)?))),
            "clock" => {
                node.only("a clock step", &["clock"])?;
                steps.push(Step::Clock(clock(argument)?));
            }
            "parallel" => {
                node.only("a parallel step", &["parallel"])?;
                steps.push(Step::Parallel(self.steps(argument)?));
            }
            "repeat" => {
                node.only("a repeated step", &["repeat", "steps"])?;
                let inner = node.get("steps").ok_or_else(|| Mistake::at(node.line, "no `steps` to repeat"))?;
                steps.push(Step::Repeat { times: argument.clone(), steps: self.steps(inner)? });
            }
            "use" => {
                node.only("a use of a piece", &["use"])?;
                let name = argument.text("a piece's name")?;
                let piece = self.pieces.get(name);
                let piece = piece.ok_or_else(|| Mistake::at(key.line, format!("there is no piece {name:?}")))?;
                steps.extend(self.steps(piece)?);
            }
            other => return Err(Mistake::at(key.line, format!("a step cannot begin with {other:?}"))),
        }
        Ok(())
    }

    fn call(&self, node: &Node, name: &Node) -> Result<Call, Mistake> {
        const KNOWN: [&str; 16] = [
            "call",
            "with",
            "as",
            "protocol",
            "headers",
            "query",
            "unsigned",
            "presign",
            "virtual_host",
            "chunked",
            "pages",
            "expect",
            "error",
            "save",
            "until",
            "start_after",
        ];
        node.only("a call", &KNOWN)?;
        let (line, text) = (name.line, name.text("call")?);
        let full = if text.contains('.') { text.to_owned() } else { format!("{}.{text}", self.service) };
        let (service, operation) = apis::operation(&full).map_err(|what| Mistake::at(line, what))?;
        let input = node.get("with").cloned().unwrap_or(Node { line, value: Value::Map(Vec::new()) });
        super::check::input(&input, operation.input)?;
        let protocol = match node.get("protocol") {
            Some(name) => {
                apis::protocol(service, name.text("protocol")?).map_err(|what| Mistake::at(name.line, what))?
            }
            None => *service.protocols.first().ok_or_else(|| Mistake::at(line, "the API has no protocol"))?,
        };
        if let Some(caller) = node.get("as") {
            caller.only("`as`", &["account", "region", "credentials", "access_key_id", "secret", "session_token"])?;
        }
        let pages = node.get("pages").map(pages).transpose()?;
        let outcome = outcome(node)?;
        super::check::outcome(&outcome, operation.output, pages.is_some())?;
        let caller = node.get("as").cloned();
        Ok(Call { line, service, operation, input, protocol, caller, wire: wire(node)?, pages, outcome })
    }
}

fn survey(step: &Step, services: &mut Vec<String>, moves_clock: &mut bool) {
    match step {
        Step::Call(call) => {
            let api = call.service.api.to_owned();
            if !services.contains(&api) {
                services.push(api);
            }
        }
        Step::Clock(_) => *moves_clock = true,
        Step::Parallel(steps) | Step::Repeat { steps, .. } => {
            steps.iter().for_each(|step| survey(step, services, moves_clock));
        }
        Step::Http(_) => {}
    }
}

fn wire(node: &Node) -> Result<Wire, Mistake> {
    let flag = |name: &str| node.get(name).map_or(Ok(false), |flag| flag.boolean(name));
    Ok(Wire {
        headers: node.get("headers").cloned(),
        query: node.get("query").cloned(),
        unsigned: flag("unsigned")?,
        presign: node.get("presign").cloned(),
        virtual_host: flag("virtual_host")?,
        chunked: node.get("chunked").map(chunked).transpose()?,
    })
}

fn chunked(node: &Node) -> Result<Chunked, Mistake> {
    node.only("chunked", &["signed", "trailers", "chunk_bytes"])?;
    Ok(Chunked {
        signed: node.get("signed").map_or(Ok(false), |signed| signed.boolean("signed"))?,
        trailers: node.get("trailers").cloned(),
        chunk_bytes: node.get("chunk_bytes").map_or(Ok(64 << 10), |bytes| bytes.count("chunk_bytes"))?.max(1),
    })
}

fn pages(node: &Node) -> Result<Pages, Mistake> {
    node.only("pages", &["from", "to"])?;
    let text = |name: &str| match node.get(name) {
        Some(text) => text.text(name),
        None => Err(Mistake::at(node.line, format!("pages has no `{name}`"))),
    };
    let from = Path::parse(text("from")?).map_err(|what| Mistake::at(node.line, what))?;
    Ok(Pages { from, to: text("to")?.to_owned() })
}

fn http(node: &Node, method: &Node) -> Result<Request, Mistake> {
    node.only("a request", &["http", "url", "headers", "body", "expect", "save", "until", "start_after"])?;
    Ok(Request {
        line: method.line,
        method: method.text("a method")?.to_owned(),
        url: node.get("url").cloned().ok_or_else(|| Mistake::at(method.line, "a request has a `url`"))?,
        headers: node.get("headers").cloned(),
        body: node.get("body").cloned(),
        outcome: outcome(node)?,
    })
}

fn outcome(node: &Node) -> Result<Outcome, Mistake> {
    let mut save = Vec::new();
    for (key, path) in node.get("save").map_or(Ok(&[][..]), |save| save.map("save"))? {
        let path = Path::parse(path.text("a path")?).map_err(|what| Mistake::at(path.line, what))?;
        save.push((key.name.clone(), path));
    }
    Ok(Outcome {
        expect: node.get("expect").map_or(Ok(Vec::new()), parse_expectations)?,
        error: node.get("error").map(expected_error).transpose()?,
        save,
        until: node.get("until").map(until).transpose()?,
        start_after: node.get("start_after").map_or(Ok(Duration::ZERO), millis)?,
    })
}

/// `error: Code`, or a map of expectations about the error.
fn expected_error(node: &Node) -> Result<ExpectedError, Mistake> {
    let expect = match &node.value {
        Value::Text(_) => {
            let key = yaml::Key { line: node.line, name: "code".to_owned() };
            parse_expectations(&Node { line: node.line, value: Value::Map(vec![(key, node.clone())]) })?
        }
        _ => {
            node.only("an error", &["code", "status", "message", "members"])?;
            parse_expectations(node)?
        }
    };
    Ok(ExpectedError { line: node.line, expect })
}

/// `until: true`, or `{times, secs}`.
fn until(node: &Node) -> Result<Until, Mistake> {
    if node.value == Value::Boolean(true) {
        return Ok(UNTIL);
    }
    node.only("until", &["times", "secs"])?;
    let secs = node.get("secs").map(|secs| secs.count("secs")).transpose()?;
    let within = secs.map_or(UNTIL.within, |secs| Duration::from_secs(secs.min(MAX_SECS) as u64));
    Ok(Until { times: node.get("times").map_or(Ok(UNTIL.times), |times| times.count("times"))?, within })
}

fn millis(node: &Node) -> Result<Duration, Mistake> {
    Ok(Duration::from_millis(node.count("start_after")?.min(MAX_SECS * 1000) as u64))
}

fn clock(node: &Node) -> Result<ClockStep, Mistake> {
    match &node.value {
        Value::Text(text) if text == "freeze" => return Ok(ClockStep::Freeze),
        Value::Text(text) if text == "resume" => return Ok(ClockStep::Resume),
        _ => {}
    }
    node.only("clock", &["advance", "set"])?;
    match (node.get("advance"), node.get("set")) {
        (Some(by), None) => Ok(ClockStep::Advance(by.clone())),
        (None, Some(to)) => Ok(ClockStep::Set(to.clone())),
        _ => Err(Mistake::at(node.line, "a clock is frozen, resumed, advanced by seconds, or set")),
    }
}
