//! One statement against one request.

use crate::context::Context;
use crate::document::{Element, Statement};
use crate::pattern::Case;
use crate::principal::{Grant, Principal};

/// What is asked: may this principal do this to that.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub principal: &'a Principal,
    /// Such as `sqs:SendMessage`; letters' case does not matter.
    pub action: &'a str,
    /// The ARN, or `*` for an action that has no resource.
    pub resource: &'a str,
    /// The account that owns the resource; `None` stands for the principal's own.
    pub resource_account: Option<&'a str>,
    pub context: &'a Context,
}

/// Why a statement does not match: the first element that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Principal,
    Action,
    Resource,
    /// The index of the clause.
    Condition(usize),
}

impl Element {
    fn matches(&self, matches: impl Fn(&crate::pattern::Pattern) -> bool) -> bool {
        self.patterns.iter().any(matches) != self.negated
    }
}

impl Statement {
    /// How a statement matches. In policies that name principals (`named`), one without a principal never does; in the
    /// others everyone is meant.
    pub(crate) fn judge(&self, request: &Request<'_>, named: bool) -> Result<Grant, Failure> {
        let Request { context, .. } = *request;
        let action =
            |element: &Element| element.matches(|pattern| pattern.matches(request.action, context, Case::Insensitive));
        if !self.action.as_ref().is_some_and(action) {
            return Err(Failure::Action);
        }
        let grant = match &self.principal {
            Some(principal) => principal.grant(request.principal).ok_or(Failure::Principal)?,
            None if named => return Err(Failure::Principal),
            None => Grant::Direct,
        };
        // A trust policy has no resource: it is about the role it hangs on.
        let resource = |element: &Element| element.matches(|pattern| pattern.matches_arn(request.resource, context));
        if !self.resource.as_ref().is_none_or(resource) {
            return Err(Failure::Resource);
        }
        match self.conditions.iter().position(|condition| !condition.holds(context)) {
            Some(index) => Err(Failure::Condition(index)),
            None => Ok(grant),
        }
    }
}
