//! Secrets, session tokens, and how long they hold.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Random;

use crate::error::{Error, Result};

/// The longest session token, and what its utilization is a share of.
pub const MAX_TOKEN_SIZE: usize = 4_096;
/// The bytes of an ordinary token before they are written as base64.
const TOKEN_BYTES: usize = 264;
/// What tokens begin with on AWS, too: base64 of it is `IQoJb3JpZ2luX2Vj`.
const TOKEN_START: &[u8; 12] = b"!\n\torigin_ec";

/// A secret access key: 40 characters.
pub fn secret(random: &Random) -> String {
    STANDARD.encode(random.bytes::<30>())
}

/// A session token of at least `minimum_size` characters.
pub fn session_token(random: &Random, minimum_size: Option<i32>) -> String {
    let minimum = usize::try_from(minimum_size.unwrap_or(0)).unwrap_or(0).min(MAX_TOKEN_SIZE);
    let mut bytes = vec![0; TOKEN_BYTES.max(minimum.div_ceil(4) * 3)];
    random.fill(&mut bytes);
    bytes[..TOKEN_START.len()].copy_from_slice(TOKEN_START);
    STANDARD.encode(bytes)
}

/// The share of the longest token that a token of this size takes.
pub fn utilization(token_size: usize) -> i32 {
    i32::try_from((token_size * 100).div_ceil(MAX_TOKEN_SIZE)).unwrap_or(100)
}

/// What a duration is bound by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationRule {
    pub default_secs: u32,
    pub min_secs: u32,
    pub max_secs: u32,
}

impl DurationRule {
    pub const ROLE: Self = DurationRule { default_secs: 3_600, min_secs: 900, max_secs: 43_200 };
    /// `GetSessionToken` and `GetFederationToken`.
    pub const USER: Self = DurationRule { default_secs: 43_200, min_secs: 900, max_secs: 129_600 };
    pub const ROOT_TASK: Self = DurationRule { default_secs: 900, min_secs: 0, max_secs: 900 };
    pub const WEB_IDENTITY_TOKEN: Self = DurationRule { default_secs: 300, min_secs: 60, max_secs: 3_600 };

    pub fn apply(self, asked: Option<i32>) -> Result<Duration> {
        let Some(asked) = asked else { return Ok(Duration::from_secs(self.default_secs.into())) };
        let DurationRule { min_secs, max_secs, .. } = self;
        let refused = |constraint: String| Error::constraint(asked, "durationSeconds", &constraint);
        match u32::try_from(asked) {
            Ok(secs) if secs > max_secs => {
                Err(refused(format!("Member must have value less than or equal to {max_secs}")))
            }
            Ok(secs) if secs >= min_secs => Ok(Duration::from_secs(secs.into())),
            _ => Err(refused(format!("Member must have value greater than or equal to {min_secs}"))),
        }
    }
}

/// The longest session of a role that was assumed with a role's credentials.
pub const CHAINED_MAX: Duration = Duration::from_secs(3_600);

/// The duration of a role's session, bound by the role and by chaining.
pub fn role_duration(asked: Option<i32>, role_max: Duration, chained: bool) -> Result<Duration> {
    let duration = DurationRule::ROLE.apply(asked)?;
    if chained && duration > CHAINED_MAX {
        return Err(Error::Validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining".into(),
        ));
    }
    if duration > role_max {
        return Err(Error::Validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".into(),
        ));
    }
    Ok(duration)
}

/// The duration of a root user's own session: an hour at most, whatever was asked.
pub fn root_duration(duration: Duration) -> Duration {
    duration.min(Duration::from_secs(3_600))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWELVE_HOURS: Duration = Duration::from_secs(43_200);

    #[test]
    fn secrets_and_tokens_have_aws_s_form() {
        let random = Random::seeded(1);
        assert_eq!(secret(&random).len(), 40);
        let token = session_token(&random, None);
        assert!(token.starts_with("IQoJb3JpZ2luX2Vj") && token.len() == 352, "{}", token.len());
        assert_ne!(token, session_token(&random, None));
        assert_eq!(session_token(&random, Some(4_096)).len(), 4_096);
        assert_eq!(utilization(4_096), 100);
    }

    #[test]
    fn a_chained_session_ends_within_the_hour() {
        assert_eq!(role_duration(Some(3_600), TWELVE_HOURS, true).unwrap(), CHAINED_MAX);
        assert!(role_duration(Some(3_601), TWELVE_HOURS, true).is_err());
        assert!(role_duration(Some(7_200), CHAINED_MAX, false).is_err());
        assert_eq!(role_duration(Some(43_200), TWELVE_HOURS, false).unwrap(), TWELVE_HOURS);
    }

    proptest::proptest! {
        #[test]
        fn every_duration_keeps_to_its_rule(asked: i32) {
            let within = (900..=43_200).contains(&asked);
            proptest::prop_assert_eq!(DurationRule::ROLE.apply(Some(asked)).is_ok(), within);
        }

        #[test]
        fn a_token_is_never_shorter_than_asked(minimum in 0i32..=4_096, seed: u64) {
            let token = session_token(&Random::seeded(seed), Some(minimum));
            proptest::prop_assert!(token.len() >= minimum as usize && token.len() <= MAX_TOKEN_SIZE);
        }
    }
}
