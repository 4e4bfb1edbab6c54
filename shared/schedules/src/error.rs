//! What is wrong with a schedule, in AWS's words.

/// The text is no schedule expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid Schedule Expression {expression}.")]
pub struct InvalidExpression {
    pub expression: String,
    /// Which part breaks which rule. AWS does not tell.
    pub reason: Reason,
}

impl InvalidExpression {
    /// The message of EventBridge's `ValidationException` for a rule; EventBridge Scheduler's is the error's own text.
    pub fn rule_message(&self) -> String {
        "Parameter ScheduleExpression is not valid.".to_owned()
    }
}

/// Why a text is no schedule expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it is none of rate(…), cron(…) and at(…)")]
    UnknownForm,
    #[error("a rule has no at(…)")]
    AtInRule,
    #[error("a rate is a positive number and a unit: minutes, hours or days")]
    Rate,
    #[error("at(…) holds yyyy-mm-ddThh:mm:ss")]
    At,
    #[error("a cron expression has six fields")]
    FieldCount,
    #[error("{field} does not allow {text:?}")]
    Field { field: &'static str, text: String },
    #[error("one of day-of-month and day-of-week is to be ?, and only one")]
    Days,
}

/// There is no such time zone in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid ScheduleExpressionTimezone {0}.")]
pub struct UnknownTimeZone(pub String);

/// A schedule may not begin in the past, but for what a slow request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDates {
    #[error("The StartDate you specify cannot be earlier than 5 minutes ago.")]
    StartTooEarly,
    #[error("The EndDate you specify cannot be earlier than the StartDate.")]
    EndBeforeStart,
}
