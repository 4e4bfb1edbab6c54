//! The operation table: which function answers which operation, and how faithfully.
//!
//! ```ignore
//! Operations::new(&[&sqs_api::MODEL])
//!     .on(CreateQueue, queues::create)
//!     .on(SendMessage, send::one).access(SendMessage, access::to_queue)
//!     .stored(PutSomethingNobodyActsOn, extras::put)
//! ```
//!
//! The table knows every operation of the model. One without a handler is answered 501 with AWS's code for an unknown
//! operation, and stays on the list that the tree's tests let only shrink.

use std::any::{Any, TypeId};
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::Serialize;

use fractus_wire::{Failure, Operation, OperationSchema, ServiceSchema, Shape};

use crate::access::Access;
use crate::context::Context;

/// How faithfully an operation is answered. Every answer says it in `x-fractus-fidelity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// It does what it does on AWS.
    Real,
    /// Its answers follow AWS's rules, but something behind it (hardware, a data centre, money) is only modelled.
    Modelled,
    /// What is put is kept and returned, and has no effect yet.
    Stored,
    /// There is no handler.
    Missing,
}

impl Fidelity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Fidelity::Real => "real",
            Fidelity::Modelled => "modelled",
            Fidelity::Stored => "stored",
            Fidelity::Missing => "missing",
        }
    }
}

/// A plain `async fn(&S, &Context, Input) -> Result<Output, E>`. Implemented for every such function; the lifetime
/// parameter lets its future borrow the service and the context. `By` tells how it takes its input, and is found by the compiler.
pub trait Handler<'a, S, I, O, E, By>: Send + Sync {
    type Future: Future<Output = Result<O, E>> + Send + 'a;

    fn handle(&self, service: &'a S, cx: &'a Context, input: Box<I>) -> Self::Future;
}

/// The handler takes its input itself.
#[derive(Debug)]
pub struct ByValue;

/// The handler takes its input in the box in which it was read: one that is large, and handed on, is copied each time otherwise.
#[derive(Debug)]
pub struct ByBox;

impl<'a, S, I, O, E, F, Fut> Handler<'a, S, I, O, E, ByValue> for F
where
    S: 'a,
    F: Fn(&'a S, &'a Context, I) -> Fut + Send + Sync,
    Fut: Future<Output = Result<O, E>> + Send + 'a,
{
    type Future = Fut;

    fn handle(&self, service: &'a S, cx: &'a Context, input: Box<I>) -> Fut {
        self(service, cx, *input)
    }
}

impl<'a, S, I, O, E, F, Fut> Handler<'a, S, I, O, E, ByBox> for F
where
    S: 'a,
    F: Fn(&'a S, &'a Context, Box<I>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<O, E>> + Send + 'a,
{
    type Future = Fut;

    fn handle(&self, service: &'a S, cx: &'a Context, input: Box<I>) -> Fut {
        self(service, cx, input)
    }
}

/// What an operation reaches for, read from its input, whose type is forgotten: a plain function beside its handler.
type AccessRule = Box<dyn Fn(&Context, &dyn Any) -> Result<Vec<Access>, Failure> + Send + Sync>;

/// Fills an input shape from the request; given by the host to the table's erased handlers.
pub(crate) type ReadInput<'r> = dyn FnMut(&mut dyn Shape) -> Result<(), Failure> + Send + 'r;

/// A call whose input is read.
pub(crate) struct Call<'a> {
    /// What the operation's own rule says that it reaches for; empty where policies are not evaluated.
    pub wanted: Vec<Access>,
    /// Nothing has happened before it is awaited.
    pub answering: BoxFuture<'a, Result<Box<dyn Shape>, Failure>>,
}

/// The state behind a table's handlers, its type forgotten.
type State = dyn Any + Send + Sync;

/// A handler, its types forgotten. What stands here is compiled once for every operation, so it is no more than what needs
/// the types.
trait ErasedHandler: Send + Sync {
    /// An input of which nothing is read yet.
    fn input(&self) -> Box<dyn Shape>;

    /// Takes an input of its own kind.
    fn answer<'a>(
        &'a self,
        state: &'a State,
        cx: &'a Context,
        input: Box<dyn Any>,
    ) -> Option<BoxFuture<'a, Result<Box<dyn Shape>, Failure>>>;
}

/// Remembers types without holding values of them.
type Types<T> = PhantomData<fn() -> T>;

/// A handler with the types that it is called by; nothing but the function itself is held.
struct Typed<S, Op, E, F, By> {
    handler: F,
    types: Types<(S, Op, E, By)>,
}

impl<S, Op, E, F, By> ErasedHandler for Typed<S, Op, E, F, By>
where
    S: Send + Sync + 'static,
    Op: Operation,
    E: Into<Failure> + Send + 'static,
    F: for<'a> Handler<'a, S, Op::Input, Op::Output, E, By> + 'static,
    By: 'static,
{
    fn input(&self) -> Box<dyn Shape> {
        Box::<Op::Input>::default()
    }

    fn answer<'a>(
        &'a self,
        state: &'a State,
        cx: &'a Context,
        input: Box<dyn Any>,
    ) -> Option<BoxFuture<'a, Result<Box<dyn Shape>, Failure>>> {
        let (service, input) = (state.downcast_ref::<S>()?, input.downcast::<Op::Input>().ok()?);
        Some(Box::pin(async move {
            match self.handler.handle(service, cx, input).await {
                Ok(output) => Ok(Box::new(output) as Box<dyn Shape>),
                Err(error) => Err(error.into()),
            }
        }))
    }
}

fn wanted(access: Option<&AccessRule>, cx: &Context, input: &dyn Any) -> Result<Vec<Access>, Failure> {
    match access {
        Some(rule) if cx.evaluates_policies() => rule(cx, input),
        _ => Ok(Vec::new()),
    }
}

/// The table sees to it that this does not happen.
#[cold]
fn of_another_type() -> Failure {
    Failure::internal("An internal error occurred.")
}

/// An operation that is answered.
pub(crate) struct Bound {
    handler: Box<dyn ErasedHandler>,
    access: Option<AccessRule>,
    /// The input's type, which its access rule must have too.
    input: TypeId,
}

impl Bound {
    /// Reads the input at once. `state` is the table's own.
    pub fn call<'a>(
        &'a self,
        state: &'a State,
        cx: &'a Context,
        read: &mut ReadInput<'_>,
    ) -> Result<Call<'a>, Failure> {
        // In a box, and made there: inputs are large, and go from hand to hand on their way into the handler.
        let mut input = self.handler.input();
        read(&mut *input)?;
        let input: Box<dyn Any> = input;
        let wanted = wanted(self.access.as_ref(), cx, &*input)?;
        let answering = self.handler.answer(state, cx, input).ok_or_else(of_another_type)?;
        Ok(Call { wanted, answering })
    }
}

struct Row {
    api: &'static ServiceSchema,
    schema: &'static OperationSchema,
    fidelity: Fidelity,
    bound: Option<Bound>,
    body_limit_bytes: Option<u64>,
}

/// The operations of a service, one line each.
pub struct Operations<S> {
    apis: Vec<&'static ServiceSchema>,
    rows: Vec<Row>,
    body_limit_bytes: u64,
    /// What is wrong with the table itself; a service with such a table does not start.
    defects: Vec<String>,
    service: PhantomData<fn(&S)>,
}

impl<S: Send + Sync + 'static> Operations<S> {
    /// The most bytes of a body that is read whole, unless the table says otherwise.
    pub const DEFAULT_BODY_LIMIT_BYTES: u64 = 2 * 1024 * 1024;

    /// A table of every operation of `apis`, none of them answered yet.
    pub fn new(apis: &[&'static ServiceSchema]) -> Self {
        let mut rows = Vec::new();
        for api in apis {
            rows.extend(api.operations.iter().map(|schema| Row {
                api,
                schema,
                fidelity: Fidelity::Missing,
                bound: None,
                body_limit_bytes: None,
            }));
        }
        Operations {
            apis: apis.to_vec(),
            rows,
            body_limit_bytes: Self::DEFAULT_BODY_LIMIT_BYTES,
            defects: Vec::new(),
            service: PhantomData,
        }
    }

    /// Does what it does on AWS.
    #[must_use]
    pub fn on<Op, E, F, By>(self, operation: Op, handler: F) -> Self
    where
        Op: Operation,
        E: Into<Failure> + Send + 'static,
        F: for<'a> Handler<'a, S, Op::Input, Op::Output, E, By> + 'static,
        By: 'static,
    {
        self.enter(operation, handler, Fidelity::Real)
    }

    /// Follows AWS's rules, but something behind it is only modelled.
    #[must_use]
    pub fn modelled<Op, E, F, By>(self, operation: Op, handler: F) -> Self
    where
        Op: Operation,
        E: Into<Failure> + Send + 'static,
        F: for<'a> Handler<'a, S, Op::Input, Op::Output, E, By> + 'static,
        By: 'static,
    {
        self.enter(operation, handler, Fidelity::Modelled)
    }

    /// Kept and returned, without an effect yet.
    #[must_use]
    pub fn stored<Op, E, F, By>(self, operation: Op, handler: F) -> Self
    where
        Op: Operation,
        E: Into<Failure> + Send + 'static,
        F: for<'a> Handler<'a, S, Op::Input, Op::Output, E, By> + 'static,
        By: 'static,
    {
        self.enter(operation, handler, Fidelity::Stored)
    }

    /// What the operation reaches for, asked only where policies are evaluated (`auth = "enforced"`). Follows the line
    /// of its operation. An operation without a rule asks for its own action on every resource.
    #[must_use]
    pub fn access<Op: Operation, E: Into<Failure>>(
        mut self,
        _: Op,
        rule: impl Fn(&Context, &Op::Input) -> Result<Vec<Access>, E> + Send + Sync + 'static,
    ) -> Self {
        let erased: AccessRule = Box::new(move |cx, input| match input.downcast_ref() {
            Some(input) => rule(cx, input).map_err(Into::into),
            None => Err(of_another_type()),
        });
        self.place_access(Op::SCHEMA, TypeId::of::<Op::Input>(), erased);
        self
    }

    /// The most bytes of a body that is read whole. A streamed payload has no bound of the host's.
    #[must_use]
    pub fn body_limit_bytes(mut self, limit_bytes: u64) -> Self {
        self.body_limit_bytes = limit_bytes;
        self
    }

    /// The same for one operation.
    #[must_use]
    pub fn body_limit_bytes_of<Op: Operation>(mut self, _: Op, limit_bytes: u64) -> Self {
        if let Some(row) = self.row_of(Op::SCHEMA) {
            row.body_limit_bytes = Some(limit_bytes);
        }
        self
    }

    fn row_of(&mut self, schema: &'static OperationSchema) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| std::ptr::eq(row.schema, schema))
    }

    fn enter<Op, E, F, By>(mut self, _: Op, handler: F, fidelity: Fidelity) -> Self
    where
        Op: Operation,
        E: Into<Failure> + Send + 'static,
        F: for<'a> Handler<'a, S, Op::Input, Op::Output, E, By> + 'static,
        By: 'static,
    {
        let handler = Box::new(Typed::<S, Op, E, F, By> { handler, types: PhantomData });
        let bound = Bound { handler, access: None, input: TypeId::of::<Op::Input>() };
        self.place(Op::SCHEMA, bound, fidelity);
        self
    }

    /// What is the same for every operation.
    #[inline(never)]
    fn place(&mut self, schema: &'static OperationSchema, bound: Bound, fidelity: Fidelity) {
        let defect = match self.row_of(schema) {
            Some(row) if row.bound.is_some() => Some("stands twice in the table"),
            Some(row) => {
                row.bound = Some(bound);
                row.fidelity = fidelity;
                None
            }
            None => Some("is no operation of the table's APIs"),
        };
        self.defects.extend(defect.map(|why| format!("{} {why}", schema.name)));
    }

    #[inline(never)]
    fn place_access(&mut self, schema: &'static OperationSchema, input: TypeId, rule: AccessRule) {
        let defect = match self.row_of(schema).and_then(|row| row.bound.as_mut()) {
            Some(bound) if bound.input == input => {
                bound.access = Some(rule);
                None
            }
            Some(_) => Some("has an access rule for another input than its handler's"),
            None => Some("has an access rule but no handler before it"),
        };
        self.defects.extend(defect.map(|why| format!("{} {why}", schema.name)));
    }

    /// The list of all operations and how each is answered.
    pub fn list(&self) -> Vec<OperationRow> {
        self.rows
            .iter()
            .map(|row| OperationRow { api: row.api.api, operation: row.schema.name, fidelity: row.fidelity })
            .collect()
    }

    pub(crate) fn bind(self, service: &Arc<S>) -> Result<Table, TableError> {
        if !self.defects.is_empty() {
            return Err(TableError { defects: self.defects });
        }
        let default_limit = self.body_limit_bytes;
        let entries: Vec<Entry> = self
            .rows
            .into_iter()
            .map(|row| Entry {
                api: row.api,
                schema: row.schema,
                fidelity: row.fidelity,
                body_limit_bytes: row.body_limit_bytes.unwrap_or(default_limit),
                streams_input: streams_input(row.schema),
                bound: row.bound,
            })
            .collect();
        let mut by_schema: Vec<_> =
            entries.iter().enumerate().map(|(place, entry)| (std::ptr::from_ref(entry.schema).addr(), place)).collect();
        by_schema.sort_unstable();
        Ok(Table { apis: self.apis, entries, by_schema, state: service.clone() })
    }
}

/// A table that contradicts itself.
#[derive(Debug, thiserror::Error)]
#[error("the operation table is wrong: {}", defects.join("; "))]
pub struct TableError {
    pub defects: Vec<String>,
}

/// One line of the list of operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperationRow {
    pub api: &'static str,
    pub operation: &'static str,
    pub fidelity: Fidelity,
}

/// Whether the request's body is a payload that flows: a streamed blob or events.
fn streams_input(schema: &OperationSchema) -> bool {
    let input = schema.input;
    let payload = input.payload.and_then(|index| input.members.get(usize::from(index)));
    payload.is_some_and(|member| member.target.streaming || member.target.event_stream)
        || input.members.iter().any(|member| member.target.event_stream)
}

pub(crate) struct Entry {
    pub api: &'static ServiceSchema,
    pub schema: &'static OperationSchema,
    pub fidelity: Fidelity,
    pub body_limit_bytes: u64,
    pub streams_input: bool,
    pub bound: Option<Bound>,
}

/// The table as the host serves it.
pub(crate) struct Table {
    pub apis: Vec<&'static ServiceSchema>,
    pub entries: Vec<Entry>,
    /// The address of an operation's schema and its place among the entries; sorted.
    by_schema: Vec<(usize, usize)>,
    /// What every handler works on.
    pub state: Arc<State>,
}

impl Table {
    pub fn index_of(&self, schema: &'static OperationSchema) -> Option<usize> {
        let address = std::ptr::from_ref(schema).addr();
        let at = self.by_schema.binary_search_by_key(&address, |(address, _)| *address).ok()?;
        Some(self.by_schema[at].1)
    }

    pub fn list(&self) -> Vec<OperationRow> {
        self.entries
            .iter()
            .map(|entry| OperationRow { api: entry.api.api, operation: entry.schema.name, fidelity: entry.fidelity })
            .collect()
    }
}
