//! Why KMS gives no data key, in the words that services have for it.

use fractus_client::CallError;
use fractus_wire::Failure;

use crate::Error;

/// What services tell apart of KMS's refusals.
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html#API_GenerateDataKey_Errors>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    AccessDenied,
    Disabled,
    InvalidState,
    InvalidKeyUsage,
    NotFound,
    OptInRequired,
    Throttled,
    /// KMS has failed, or was not to be reached: it passes.
    Unavailable,
}

impl Refusal {
    /// Whether asking again later may help though nobody does anything.
    pub fn passes(self) -> bool {
        matches!(self, Refusal::Throttled | Refusal::Unavailable)
    }

    /// KMS's own name of it.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::AccessDenied => "AccessDeniedException",
            Refusal::Disabled => "DisabledException",
            Refusal::InvalidState => "KMSInvalidStateException",
            Refusal::InvalidKeyUsage => "InvalidKeyUsageException",
            Refusal::NotFound => "NotFoundException",
            Refusal::OptInRequired => "OptInRequired",
            Refusal::Throttled => "ThrottlingException",
            Refusal::Unavailable => "KMSInternalException",
        }
    }
}

impl Error {
    /// The kind of refusal, and KMS's words.
    pub fn into_refusal(self) -> (Refusal, String) {
        match self {
            Error::Refused(failure) => (kind(&failure), failure.message),
            Error::Unanswered(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "KMS could not be asked");
                (Refusal::Unavailable, unanswered(&error).to_owned())
            }
        }
    }
}

fn unanswered(error: &CallError) -> &'static str {
    match error {
        CallError::TimedOut { .. } => "The request to AWS KMS timed out.",
        _ => "AWS KMS could not be reached.",
    }
}

fn kind(failure: &Failure) -> Refusal {
    match failure.code.as_ref() {
        "DisabledException" => Refusal::Disabled,
        "KMSInvalidStateException" => Refusal::InvalidState,
        "InvalidKeyUsageException" => Refusal::InvalidKeyUsage,
        // What is no name of a key names none.
        "NotFoundException" | "InvalidArnException" | "ValidationException" => Refusal::NotFound,
        "OptInRequired" | "SubscriptionRequiredException" => Refusal::OptInRequired,
        code if code.contains("Throttl") || code.contains("LimitExceeded") => Refusal::Throttled,
        code if code.starts_with("AccessDenied") || failure.status == 403 => Refusal::AccessDenied,
        // Whoever cannot open it may not, for all that KMS says.
        "InvalidCiphertextException" | "IncorrectKeyException" => Refusal::AccessDenied,
        _ => Refusal::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let of = |code: &'static str, status| Error::Refused(Failure::new(code, status, "m")).into_refusal();
        for kind in [
            Refusal::AccessDenied,
            Refusal::Disabled,
            Refusal::InvalidState,
            Refusal::InvalidKeyUsage,
            Refusal::NotFound,
            Refusal::OptInRequired,
            Refusal::Throttled,
            Refusal::Unavailable,
        ] {
            assert_eq!(of(kind.code(), 400), (kind, "m".to_owned()));
        }
        assert_eq!(of("AccessDenied", 403).0, Refusal::AccessDenied);
        assert_eq!(of("UnrecognizedClientException", 403).0, Refusal::AccessDenied);
        assert_eq!(of("KeyUnavailableException", 500).0, Refusal::Unavailable);
        assert!(Refusal::Throttled.passes() && !Refusal::Disabled.passes());
        let silent = Error::Unanswered(CallError::NoEndpoint("kms")).into_refusal();
        assert_eq!(silent, (Refusal::Unavailable, "AWS KMS could not be reached.".to_owned()));
    }
}
