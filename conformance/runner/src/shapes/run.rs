//! Running one API's variants against an endpoint.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use fractus_clock::{Clock, Random, Stopwatch};
use fractus_models::Api;
use futures::{StreamExt, stream};
use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::counts::Counts;
use super::encode;
use super::input::Builder;
use super::judge::{self, Asked, Finding, Flaw, Judgement};
use super::names::Names;
use super::pattern::Patterns;
use super::protocol::Protocol;
use super::report::{ApiReport, Failure, shown_answer, shown_request};
use super::setup::{Call, Probe, Protocols, Setup, fits};
use super::site::{Path, Step};
use super::value::Value;
use super::variant::{Sending, Variant, unknown_operation, variants};
use crate::endpoint::{Answer, Caller, Endpoint, Outgoing, SendError};

/// What all APIs of a run share.
pub struct Run {
    pub endpoint: Endpoint,
    pub caller: Caller,
    patterns: Patterns,
    protocols: Protocols,
    pub jobs: usize,
    pub seed: u64,
    /// A glob of ids; others are not sent.
    pub only: Option<String>,
    /// Sends also what the endpoint does not have, and waits for its refusal.
    pub sends_missing: bool,
    /// Each API in a world of its own, a fresh one for each of its runs: what one's variants set for an account, a Region or
    /// a bus that all share is not what others' are answered by. Not on AWS.
    pub uses_lanes: bool,
    random: Random,
    /// How a single variant is sent again, but for its id.
    command: String,
}

/// One API, set up.
struct Service<'a> {
    run: &'a Run,
    api: &'a Api,
    setup: Setup,
    names: Names,
    caller: Caller,
    /// Whether the service has an operation, found out once for each.
    has: Mutex<HashMap<String, Arc<OnceCell<bool>>>>,
    /// Nobody is there at all.
    is_absent: bool,
}

enum Sent {
    Judged(Judgement, Option<Box<Failure>>),
    /// The endpoint does not have the operation; how long it took to say so, where it was asked.
    Missing(Option<Duration>),
    Unmade,
}

impl Run {
    /// A run against an endpoint, with the usual settings.
    pub fn new(endpoint: Endpoint, command: String) -> Result<Self, super::setup::SetupError> {
        Ok(Run {
            endpoint,
            caller: Caller::default(),
            patterns: Patterns::default(),
            protocols: Protocols::load()?,
            jobs: 16,
            seed: 1,
            only: None,
            sends_missing: false,
            uses_lanes: true,
            random: Random::system(),
            command,
        })
    }

    /// Sends every variant of an API and judges the answers.
    pub async fn api(&self, api: &Api) -> Result<ApiReport, super::setup::SetupError> {
        let setup = Setup::load(&api.api)?;
        Ok(self.api_with(api, setup).await)
    }

    pub async fn api_with(&self, api: &Api, setup: Setup) -> ApiReport {
        // Tells this run's names from those of others, and of another run of the same API.
        let nonce = self.random.text(8, "abcdefghijklmnopqrstuvwxyz");
        let mut caller = self.caller.clone();
        caller.lane = self.uses_lanes.then(|| format!("shapes-{nonce}"));
        let lane = caller.lane.clone();
        let names = Names { captured: BTreeMap::new(), run: nonce };
        if let Some(account) = &setup.account {
            caller.access_key.clone_from(account);
        }
        let mut service = Service { run: self, api, setup, names, caller, has: Mutex::default(), is_absent: false };
        let mut report = ApiReport { api: api.api.clone(), ..ApiReport::default() };
        service.is_absent = service.finds_nobody().await;
        if !service.is_absent {
            report.set_up = service.start().await;
        }
        let service = Arc::new(service);
        let sending = stream::iter(service.variants()).map(|variant| {
            let service = service.clone();
            async move {
                let sent = service.send(&variant).await;
                (variant, sent)
            }
        });
        let mut sending = std::pin::pin!(sending.buffer_unordered(self.jobs.max(1)));
        while let Some((variant, sent)) = sending.next().await {
            match sent {
                Sent::Unmade => report.unmade += 1,
                Sent::Missing(took) => {
                    report.add(&variant.operation, Counts::of(&Judgement::default(), variant.negative));
                    took.into_iter().for_each(|took| report.refusals.add(took));
                }
                Sent::Judged(judgement, failure) => {
                    report.add(&variant.operation, Counts::of(&judgement, variant.negative));
                    report.fail(failure.map(|failure| *failure));
                }
            }
        }
        report.failures.sort_by(|one, other| one.id.cmp(&other.id));
        if let Some(lane) = lane {
            self.endpoint.forget(&lane).await;
        }
        report
    }
}

impl<'a> Service<'a> {
    /// All variants, one operation's after the other; each operation's are made when the one before is sent.
    fn variants(&self) -> impl Iterator<Item = Variant> + use<'a> {
        let (api, run) = (self.api, self.run);
        let only = run.only.clone();
        let (setup, of_service) = (self.setup.clone(), self.setup.clone());
        let of_api = Protocol::of(api).into_iter().map(unknown_operation);
        let of_operations = Protocol::of(api).into_iter().flat_map(move |protocol| {
            let operations = api.operations.iter();
            let setup = of_service.clone();
            operations
                .flat_map(move |(name, operation)| variants(api, name, operation, protocol, &setup, &run.patterns))
        });
        of_operations.chain(of_api).filter(move |variant| {
            let id = variant.local_id();
            let is_wanted = only.as_deref().is_none_or(|only| fits(only, &format!("{}:{id}", api.api)));
            is_wanted && !setup.is_skipped(&id)
        })
    }

    fn id(&self, variant: &Variant) -> String {
        format!("{}:{}", self.api.api, variant.local_id())
    }

    /// Whether nobody serves this API: asked once, so that its variants need not be sent; again where a service may still be
    /// starting, which 503 says.
    async fn finds_nobody(&self) -> bool {
        const PROBES: usize = 3;
        let Some(protocol) = Protocol::of(self.api).first().copied() else { return true };
        for _ in 0..PROBES {
            match self.probe(protocol).await {
                Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {
                    Clock::real().sleep(Duration::from_secs(1)).await;
                }
                Ok(answer) => return self.is_of_nobody(&answer),
                Err(_) => return true,
            }
        }
        true
    }

    async fn probe(&self, protocol: Protocol) -> Result<Answer, SendError> {
        let minimal = self.setup.probe.as_ref().and_then(|asks| {
            let operation = self.api.operations.get(&asks.operation)?;
            let input = operation.input.as_ref().and_then(|input| self.builder(self.api, &asks.operation).input(input));
            Some(encode::request(self.api, &asks.operation, operation, protocol, &input.unwrap_or_else(Value::empty)))
        });
        let probe = minimal.unwrap_or_else(|| encode::unknown_operation(self.api, "FractusUnknownOperation", protocol));
        self.run.endpoint.send(&self.caller, probe).await
    }

    fn is_of_nobody(&self, answer: &Answer) -> bool {
        let body = String::from_utf8_lossy(&answer.body);
        let of_another = |asks: &Probe| asks.absent.iter().any(|code| body.contains(code.as_str()));
        // A service that is there may have this status for what it does not know.
        let is_missing = answer.headers.get("x-fractus-fidelity").is_some_and(|said| said == "missing");
        answer.status == StatusCode::SERVICE_UNAVAILABLE
            || is_missing
            || self.setup.probe.as_ref().is_some_and(of_another)
    }

    /// Makes the calls that come before all variants; those that failed.
    async fn start(&mut self) -> Vec<String> {
        let mut failed = Vec::new();
        let calls = self.setup.start.clone();
        for call in &calls {
            let mut names = self.names.clone();
            match self.call(call, &self.caller, &mut names, "start").await {
                Ok(()) => self.names = names,
                Err(why) => failed.push(why),
            }
        }
        failed
    }

    /// Makes one call of the set-up table and keeps what it captures.
    async fn call(&self, call: &Call, caller: &Caller, names: &mut Names, about: &str) -> Result<(), String> {
        for index in 0..call.times.unwrap_or(1) {
            let other = match &call.api {
                Some(api) if *api != self.api.api => Some(crate::models::load(api).map_err(|error| error.to_string())?),
                _ => None,
            };
            let api = other.as_ref().unwrap_or(self.api);
            let name = call.operation.as_str();
            let operation = api.operations.get(name).ok_or_else(|| format!("there is no operation {name}"))?;
            let builder = Builder { names, about, ..self.builder(api, name) };
            let shape = operation.input.as_ref().map(|input| super::facts::shape(api, &input.shape));
            let mut input = shape.map_or_else(Value::empty, |shape| builder.convert(&call.input, shape, index));
            super::derived::fill(&mut input);
            let protocol = Protocol::of(api).first().copied().unwrap_or(Protocol::Json);
            let request = encode::request(api, name, operation, protocol, &input);
            let sent = self.run.endpoint.send(caller, request).await;
            let answer = sent.map_err(|error| format!("{name}: {error}"))?;
            let asked = Asked { api, ..self.asked(name, Some(operation), protocol, "") };
            let judgement = judge::judge(&asked, &answer);
            if !judgement.succeeded {
                return Err(format!("{name}: {}", shown_answer(&answer)));
            }
            for (captured, path) in &call.capture {
                let value = judgement.said.as_ref().and_then(|said| said.at(path)).and_then(Value::plain);
                let value =
                    value.ok_or_else(|| format!("{name}: its answer has no {path}: {}", shown_answer(&answer)))?;
                names.captured.insert(captured.clone(), value);
            }
        }
        Ok(())
    }

    fn builder<'b>(&'b self, api: &'b Api, operation: &'b str) -> Builder<'b> {
        Builder {
            api,
            setup: &self.setup,
            patterns: &self.run.patterns,
            names: &self.names,
            seed: self.run.seed,
            operation,
            about: "",
            full: false,
            when: &[],
            target: None,
        }
    }

    fn asked<'b>(
        &'b self,
        operation: &'b str,
        facts: Option<&'b fractus_models::OperationFacts>,
        protocol: Protocol,
        variant: &'b str,
    ) -> Asked<'b> {
        Asked {
            api: self.api,
            operation,
            facts,
            protocol,
            setup: &self.setup,
            protocols: &self.run.protocols,
            variant,
            negative: false,
            broken: None,
        }
    }

    async fn send(&self, variant: &Variant) -> Sent {
        if self.is_absent || !self.has(&variant.operation).await {
            return self.send_missing(variant).await;
        }
        let id = self.id(variant);
        let mut names = self.names.clone();
        let set_up = self.before(variant, &mut names, &id).await;
        let Some(request) = self.request(variant, &names, &id) else { return Sent::Unmade };
        let answer = match self.run.endpoint.send(&self.caller(variant, &id), request.clone()).await {
            Ok(answer) => answer,
            Err(error) => {
                let why = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                let finding = Finding { flaw: Flaw::NoAnswer, at: String::new(), detail: format!("{error}{why}") };
                let judgement = Judgement { findings: vec![finding], ..Judgement::default() };
                let failure = self.failure(&id, &judgement, &request, None, set_up);
                return Sent::Judged(judgement, Some(Box::new(failure)));
            }
        };
        let judgement = self.judge(variant, &answer);
        let is_shown = !judgement.findings.is_empty() || self.run.only.is_some();
        let failure = is_shown.then(|| Box::new(self.failure(&id, &judgement, &request, Some(&answer), set_up)));
        Sent::Judged(judgement, failure)
    }

    /// A variant of what is not there: that it is sent at all is a choice, and how it is refused is judged by its time alone.
    async fn send_missing(&self, variant: &Variant) -> Sent {
        if !self.run.sends_missing {
            return Sent::Missing(None);
        }
        let Some(request) = self.request(variant, &self.names, &self.id(variant)) else { return Sent::Unmade };
        let watch = Stopwatch::start();
        // Whatever comes back says no more than that nobody is there.
        let _ = self.run.endpoint.send(&self.caller, request).await;
        Sent::Missing(Some(watch.elapsed()))
    }

    /// Whether the service has an operation: asked with its minimal input, in the API's first protocol.
    async fn has(&self, operation: &str) -> bool {
        if !self.api.operations.contains_key(operation) {
            return true;
        }
        let cell = self.has.lock().entry(operation.to_owned()).or_default().clone();
        let ask = async {
            let Some(protocol) = Protocol::of(self.api).first().copied() else { return false };
            let minimal = Variant::minimal(operation, protocol);
            let (about, mut names) = (format!("probe/{operation}"), self.names.clone());
            self.before(&minimal, &mut names, &about).await;
            let Some(request) = self.request(&minimal, &names, &about) else { return true };
            let answer = self.run.endpoint.send(&self.caller(&minimal, &about), request).await;
            answer.map_or(true, |answer| !judge::is_unanswered(&answer))
        };
        *cell.get_or_init(|| ask).await
    }

    /// The calls that the operation needs before each of its variants; why one failed.
    async fn before(&self, variant: &Variant, names: &mut Names, id: &str) -> Option<String> {
        let of_operation = self.setup.operation(&variant.operation).into_iter().flat_map(|operation| &operation.before);
        let of_variant = self.setup.when(&variant.local_id()).into_iter().flat_map(|when| &when.before);
        let caller = self.caller(variant, id);
        for call in of_operation.chain(of_variant).filter_map(|recipe| self.setup.recipes.get(recipe)).flatten() {
            if let Err(why) = self.call(call, &caller, names, id).await {
                return Some(why);
            }
        }
        None
    }

    /// Who sends a variant and what is called before it.
    fn caller(&self, variant: &Variant, id: &str) -> Caller {
        let caller = self.caller.clone();
        match self.setup.operation(&variant.operation) {
            Some(operation) if operation.own_account => Caller { access_key: self.names.account(id), ..caller },
            _ => caller,
        }
    }

    fn request(&self, variant: &Variant, names: &Names, id: &str) -> Option<Outgoing> {
        let (api, protocol, name) = (self.api, variant.protocol, variant.operation.as_str());
        if variant.sending == Sending::UnknownOperation {
            return Some(encode::unknown_operation(api, name, protocol));
        }
        let operation = api.operations.get(name)?;
        let (full, target) = match &variant.sending {
            Sending::Input { full, target } => (*full, target.as_ref().map(|(path, edit)| (path, edit))),
            _ => (false, None),
        };
        let when = self.setup.when(&variant.local_id());
        let builder = Builder { names, about: id, full, target, when: &when, ..self.builder(api, name) };
        let input = match &operation.input {
            Some(reference) => builder.input(reference)?,
            None => Value::empty(),
        };
        Some(match variant.sending {
            Sending::ForeignProtocol => encode::foreign(api, name, operation, &input),
            Sending::MalformedBody => {
                encode::malformed(protocol, encode::request(api, name, operation, protocol, &input))
            }
            _ => encode::request(api, name, operation, protocol, &input),
        })
    }

    fn judge(&self, variant: &Variant, answer: &Answer) -> Judgement {
        let id = variant.local_id();
        let facts = self.api.operations.get(&variant.operation);
        let place = variant.path().map(told_path).unwrap_or_default();
        let asked = Asked {
            negative: variant.negative,
            broken: variant.broken.as_deref().map(|broken| (broken, place.as_str())),
            ..self.asked(&variant.operation, facts, variant.protocol, &id)
        };
        judge::judge(&asked, answer)
    }

    fn failure(
        &self,
        id: &str,
        judgement: &Judgement,
        request: &Outgoing,
        answer: Option<&Answer>,
        set_up: Option<String>,
    ) -> Failure {
        let mut answer = answer.map(shown_answer).unwrap_or_default();
        if let Some(why) = set_up {
            answer = format!("(set-up failed: {why})\n{answer}");
        }
        Failure {
            id: id.to_owned(),
            findings: judgement.findings.clone(),
            repeat: format!("{} --only '{id}'", self.run.command),
            request: shown_request(request),
            answer,
        }
    }
}

/// A place as AWS tells it: `entries.1.member.id`.
fn told_path(path: &Path) -> String {
    let steps = path.0.iter().map(|step| match step {
        Step::Member(name) => {
            let mut letters = name.chars();
            letters.next().map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str())
        }
        Step::Element => "1.member".to_owned(),
        Step::Key => "key".to_owned(),
        Step::Value => "value".to_owned(),
    });
    steps.collect::<Vec<_>>().join(".")
}
