//! The form in which every error leaves a service, whatever the protocol.

use std::borrow::Cow;
use std::fmt;

use crate::shape::Shape;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Sender,
    Receiver,
}

/// An error as AWS answers it: code, status, message, and a modelled shape's own members.
pub struct Failure {
    /// The code on the wire, such as `InvalidParameterValue`.
    pub code: Cow<'static, str>,
    /// The older Query code of a query-compatible service, such as `AWS.SimpleQueueService.NonExistentQueue`.
    pub query_code: Option<Cow<'static, str>>,
    pub status: u16,
    pub fault: Fault,
    pub message: String,
    /// The modelled error with its members; its `message` member, if any, is the message again.
    pub shape: Option<Box<dyn Shape>>,
    /// Elements of an XML error body beyond code and message (`BucketName`, `Key`), and members of a JSON one.
    pub details: Vec<(&'static str, String)>,
    /// Headers the answer carries beyond the protocol's own.
    pub headers: Vec<(&'static str, String)>,
}

impl Failure {
    pub fn new(code: impl Into<Cow<'static, str>>, status: u16, message: impl Into<String>) -> Self {
        Failure {
            code: code.into(),
            query_code: None,
            status,
            fault: if status >= 500 { Fault::Receiver } else { Fault::Sender },
            message: message.into(),
            shape: None,
            details: Vec::new(),
            headers: Vec::new(),
        }
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Failure::new("InternalFailure", 500, message)
    }

    #[must_use]
    pub fn with_shape(mut self, shape: impl Shape) -> Self {
        self.shape = Some(Box::new(shape));
        self
    }

    #[must_use]
    pub fn with_query_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.query_code = Some(code.into());
        self
    }

    #[must_use]
    pub fn with_detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({} {}: {})", self.status, self.code, self.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}
