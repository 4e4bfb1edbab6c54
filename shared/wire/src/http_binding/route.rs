//! From method, path and query to the operation of a REST service.
//!
//! The routes of a service form a tree by path segment, made once per service. A fixed segment goes before a label, a
//! label before a greedy one. Where several operations share a path, fixed query parameters decide, then required
//! parameters and headers: UploadPart and PutObject differ by nothing else.

use std::collections::BTreeMap;

use http::{HeaderMap, Method};
use parking_lot::RwLock;
use smallvec::SmallVec;

use crate::http_binding::uri_pattern::{Segment, UriPattern};
use crate::schema::{Location, OperationSchema, ServiceSchema};

/// The labels of a request's path: name and value, the value still percent-encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    values: SmallVec<[(&'static str, String); 2]>,
}

impl Labels {
    /// The value of the label, still percent-encoded.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Sets a label that did not come from the path, such as a bucket from the host name; percent-encoded.
    pub fn set(&mut self, name: &'static str, value: String) {
        self.values.retain(|(known, _)| *known != name);
        self.values.push((name, value));
    }
}

/// Finds the operation for a request of a REST service.
pub(crate) fn route(
    service: &'static ServiceSchema,
    method: &Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Option<(&'static OperationSchema, Labels)> {
    let routes = routes_of(service);
    let root = routes.methods.iter().find(|(known, _)| *known == method.as_str()).map(|(_, root)| root)?;
    let rest = path.strip_prefix('/').unwrap_or(path);
    let request = Asked { query: query.unwrap_or(""), headers };
    let mut labels = SmallVec::new();
    let found = root.find(rest, &request, &mut labels)?;
    let names = found.pattern.segments.iter().filter_map(|segment| match segment {
        Segment::Literal(_) => None,
        Segment::Label(name) | Segment::Greedy(name) => Some(*name),
    });
    let values = names.zip(labels).map(|(name, value)| (name, value.to_owned())).collect();
    Some((found.operation, Labels { values }))
}

/// The part of a request that decides between operations of one path.
struct Asked<'a> {
    query: &'a str,
    headers: &'a HeaderMap,
}

impl Asked<'_> {
    fn has_parameter(&self, name: &str, value: Option<&str>) -> bool {
        // Most requests have none, and are held against every operation of their path.
        if self.query.is_empty() {
            return false;
        }
        self.query.split('&').any(|pair| {
            let (key, found) = pair.split_once('=').unwrap_or((pair, ""));
            key == name && value.is_none_or(|value| value == found)
        })
    }
}

struct Routes {
    methods: Vec<(&'static str, Node)>,
}

#[derive(Default)]
struct Node {
    /// In their order: hashing a segment takes longer than comparing it with the few that there are.
    literals: BTreeMap<&'static str, Node>,
    label: Option<Box<Node>>,
    /// Greedy labels, with the fixed segments that follow them.
    greedy: Vec<(Vec<&'static str>, Vec<Route>)>,
    here: Vec<Route>,
}

struct Route {
    operation: &'static OperationSchema,
    pattern: UriPattern,
    required_parameters: Vec<&'static str>,
    required_headers: Vec<&'static str>,
}

/// How well a route fits a request; more is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    fixed_parameters: usize,
    named_by_x_id: bool,
    nothing_missing: bool,
    required_present: usize,
    /// Of two operations with one route (PutBucketNotification and its successor) the one that is not deprecated.
    current: bool,
}

impl Route {
    fn new(operation: &'static OperationSchema, pattern: UriPattern) -> Self {
        let required = |location| {
            let members = operation.input.members.iter();
            members
                .filter(|member| member.required && member.location == location)
                .map(|member| member.wire_name)
                .collect()
        };
        Route {
            operation,
            pattern,
            required_parameters: required(Location::QueryString),
            required_headers: required(Location::Header),
        }
    }

    fn fit(&self, asked: &Asked<'_>) -> Option<Fit> {
        if !self.pattern.query.iter().all(|(name, value)| asked.has_parameter(name, *value)) {
            return None;
        }
        let parameters = self.required_parameters.iter().filter(|name| asked.has_parameter(name, None)).count();
        let headers = self.required_headers.iter().filter(|name| crate::header(asked.headers, name).is_some()).count();
        let required_present = parameters + headers;
        Some(Fit {
            fixed_parameters: self.pattern.query.len(),
            named_by_x_id: asked.has_parameter("x-id", Some(self.pattern.x_id.unwrap_or(self.operation.name))),
            nothing_missing: required_present == self.required_parameters.len() + self.required_headers.len(),
            required_present,
            current: !self.operation.deprecated,
        })
    }
}

fn best<'n>(routes: &'n [Route], asked: &Asked<'_>) -> Option<&'n Route> {
    // The first of equals wins, so that the choice does not hang on the order of insertion elsewhere.
    let mut chosen: Option<(Fit, &Route)> = None;
    for route in routes {
        if let Some(fit) = route.fit(asked)
            && chosen.is_none_or(|(known, _)| fit > known)
        {
            chosen = Some((fit, route));
        }
    }
    chosen.map(|(_, route)| route)
}

impl Node {
    fn insert(&mut self, segments: &[Segment], route: Route) {
        match segments.split_first() {
            None => self.here.push(route),
            Some((Segment::Literal(text), rest)) => self.literals.entry(text).or_default().insert(rest, route),
            Some((Segment::Label(_), rest)) => self.label.get_or_insert_default().insert(rest, route),
            Some((Segment::Greedy(_), rest)) => {
                let suffix: Vec<&'static str> = rest
                    .iter()
                    .filter_map(|segment| match segment {
                        Segment::Literal(text) => Some(*text),
                        Segment::Label(_) | Segment::Greedy(_) => None,
                    })
                    .collect();
                match self.greedy.iter_mut().find(|(known, _)| *known == suffix) {
                    Some((_, routes)) => routes.push(route),
                    None => self.greedy.push((suffix, vec![route])),
                }
                // The longest suffix is tried first.
                self.greedy.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
            }
        }
    }

    /// `rest` is the path below this node, without a slash before it.
    fn find<'n, 'p>(
        &'n self,
        rest: &'p str,
        asked: &Asked<'_>,
        labels: &mut SmallVec<[&'p str; 4]>,
    ) -> Option<&'n Route> {
        if rest.is_empty()
            && let Some(route) = best(&self.here, asked)
        {
            return Some(route);
        }
        let (segment, below) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some(node) = self.literals.get(segment)
            && let Some(route) = node.find(below, asked, labels)
        {
            return Some(route);
        }
        if let Some(node) = &self.label
            && !segment.is_empty()
        {
            labels.push(segment);
            if let Some(route) = node.find(below, asked, labels) {
                return Some(route);
            }
            labels.pop();
        }
        self.find_greedy(rest, asked, labels)
    }

    fn find_greedy<'n, 'p>(
        &'n self,
        rest: &'p str,
        asked: &Asked<'_>,
        labels: &mut SmallVec<[&'p str; 4]>,
    ) -> Option<&'n Route> {
        for (suffix, routes) in &self.greedy {
            let value = suffix
                .iter()
                .rev()
                .try_fold(rest, |value, literal| value.strip_suffix(literal).and_then(|value| value.strip_suffix('/')));
            if let Some(value) = value.filter(|value| !value.is_empty())
                && let Some(route) = best(routes, asked)
            {
                labels.push(value);
                return Some(route);
            }
        }
        None
    }
}

fn compile(service: &'static ServiceSchema) -> Routes {
    let mut methods: Vec<(&'static str, Node)> = Vec::new();
    for operation in service.operations {
        let pattern = UriPattern::parse(operation.http.uri);
        let segments = pattern.segments.clone();
        let route = Route::new(operation, pattern);
        let method = operation.http.method;
        let position = methods.iter().position(|(known, _)| *known == method).unwrap_or_else(|| {
            methods.push((method, Node::default()));
            methods.len() - 1
        });
        methods[position].1.insert(&segments, route);
    }
    Routes { methods }
}

/// The routes of a service, made at its first request and kept.
fn routes_of(service: &'static ServiceSchema) -> &'static Routes {
    // A program serves a few APIs at most: looking through them is quicker than hashing.
    static KNOWN: RwLock<Vec<(&'static ServiceSchema, &'static Routes)>> = RwLock::new(Vec::new());
    let find = |known: &[(&'static ServiceSchema, &'static Routes)]| {
        known.iter().find(|(other, _)| std::ptr::eq(*other, service)).map(|(_, routes)| *routes)
    };
    if let Some(routes) = find(&KNOWN.read()) {
        return routes;
    }
    let mut known = KNOWN.write();
    if let Some(routes) = find(&known) {
        return routes;
    }
    let routes: &'static Routes = Box::leak(Box::new(compile(service)));
    known.push((service, routes));
    routes
}
