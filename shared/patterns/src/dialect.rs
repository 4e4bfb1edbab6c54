//! The services that speak the pattern language, and where they differ.

use crate::number::Millionths;

/// Whose pattern it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Rules of event buses, archives, `TestEventPattern`.
    EventBridge,
    /// The filters of EventBridge Pipes.
    Pipes,
    /// The filters of Lambda's event source mappings.
    Lambda,
    /// SNS filter policies of scope `MessageAttributes`.
    SnsAttributes,
    /// SNS filter policies of scope `MessageBody`.
    SnsBody,
}

impl Dialect {
    pub(crate) fn is_sns(self) -> bool {
        matches!(self, Dialect::SnsAttributes | Dialect::SnsBody)
    }

    /// `wildcard`: event buses only, says the table of [operators].
    ///
    /// [operators]: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    pub(crate) fn has_wildcard(self) -> bool {
        self == Dialect::EventBridge
    }

    /// Which operators `anything-but` may hold. Event buses take all; SNS takes [`prefix`]; pipes and event source
    /// mappings take plain values only.
    ///
    /// [`prefix`]: https://docs.aws.amazon.com/sns/latest/dg/string-value-matching.html
    pub(crate) fn has_anything_but(self, operator: &str) -> bool {
        match self {
            Dialect::EventBridge => matches!(operator, "prefix" | "suffix" | "equals-ignore-case" | "wildcard"),
            Dialect::SnsAttributes | Dialect::SnsBody => operator == "prefix",
            Dialect::Pipes | Dialect::Lambda => false,
        }
    }

    /// The largest number that `numeric` compares with, either side of zero.
    pub(crate) fn max_number(self) -> Millionths {
        if self.is_sns() { 1_000_000_000 * 1_000_000 } else { crate::number::MAX }
    }

    /// How Java prints [`Dialect::max_number`], which is how the message has it.
    pub(crate) fn max_number_text(self) -> &'static str {
        if self.is_sns() { "1.0E9" } else { "5.0E9" }
    }
}
