//! What comes back to whoever sent a delivery.
//!
//! A sender whose retries follow a lane's clock, or who has to tell what became of a delivery, asks for it. Then the bus makes
//! one attempt, and the delivery itself comes back as a delivery to its sender, with what its target made of it. Those who do
//! not ask pay nothing for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Delivery;

/// To whom a delivery comes back, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returns {
    /// The service that sent it, by its directory name.
    pub service: String,
    /// Also when it has arrived; else only what has failed comes back.
    #[serde(default)]
    pub all: bool,
    /// What the sender wants to know when it comes back.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub note: Value,
}

impl Returns {
    /// Only what has failed comes back.
    pub fn failures(service: impl Into<String>) -> Self {
        Returns { service: service.into(), all: false, note: Value::Null }
    }
}

/// What a target has made of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It has arrived. `answer` is what the target's operation answered, where it says.
    Done {
        #[serde(default, skip_serializing_if = "Value::is_null")]
        answer: Value,
    },
    /// The target could not take it now; `after_ms`: when it wants to be asked again, in the lane's time.
    Failed {
        code: String,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<u64>,
    },
    /// The target will never take it.
    Refused { code: String, message: String },
    /// It was tried again in its place, as what is in order is, until its policy has ended.
    Exhausted { code: String, message: String, condition: String },
}

impl Fate {
    pub fn after(&self) -> Option<Duration> {
        match self {
            Fate::Failed { after_ms, .. } => after_ms.map(Duration::from_millis),
            _ => None,
        }
    }

    /// Code and message of what was no success.
    pub fn reason(&self) -> Option<(&str, &str)> {
        match self {
            Fate::Done { .. } => None,
            Fate::Failed { code, message, .. }
            | Fate::Refused { code, message }
            | Fate::Exhausted { code, message, .. } => Some((code, message)),
        }
    }
}

/// A delivery that has come back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// The delivery's own id, and the service that it was for.
    pub id: String,
    pub from: String,
    pub fate: Fate,
}

impl Delivery {
    /// This delivery on its way back; none where nobody waits for it.
    pub(crate) fn back(&self, fate: Fate) -> Option<Delivery> {
        let returns = self.returns.as_ref()?;
        let returned = Returned { id: self.id.clone(), from: self.service.clone(), fate };
        Some(Delivery {
            id: format!("{}/returned", self.id),
            service: returns.service.clone(),
            returned: Some(returned),
            ..self.clone()
        })
    }

    /// The delivery as it was sent, and what became of it; none of one that has not come back.
    pub fn into_returned(mut self) -> Option<(Delivery, Fate)> {
        let Returned { id, from, fate } = self.returned.take()?;
        (self.id, self.service) = (id, from);
        Some((self, fate))
    }

    /// The next attempt at it: another delivery, which the queue must not take for the one before.
    pub fn next_attempt(&self) -> Delivery {
        let first = self.id.split_once('~').map_or(self.id.as_str(), |(first, _)| first);
        let attempt = self.attempt.saturating_add(1);
        Delivery { id: format!("{first}~{attempt}"), attempt, ..self.clone() }
    }
}
