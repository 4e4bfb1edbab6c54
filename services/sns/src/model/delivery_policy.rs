//! How deliveries to HTTP and HTTPS endpoints are tried again.
//!
//! A topic's policy gives the defaults, a subscription's its own values, unless the topic forbids it. Four phases follow
//! one another: retries without delay, retries at the least delay, the back-off from the least delay to the greatest, and
//! retries at the greatest. AWS draws its back-off functions and gives no formula; ours are at [`Retry::delay`].
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// All retries together may take no longer.
const MAX_TOTAL_SECS: u64 = 3_600;
pub const DEFAULT_CONTENT_TYPE: &str = "text/plain; charset=UTF-8";
const CONTENT_TYPES: [&str; 12] = [
    "application/json",
    "application/atom+xml",
    "application/octet-stream",
    "application/soap+xml",
    "application/x-www-form-urlencoded",
    "application/xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/plain",
    "text/xml",
    "text/javascript",
];

/// How the delay grows from the least to the greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    #[default]
    Linear,
    Arithmetic,
    Geometric,
    Exponential,
}

/// A whole retry policy, in the order in which AWS writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    pub min_delay_target: u32,
    pub max_delay_target: u32,
    pub num_retries: u32,
    pub num_max_delay_retries: u32,
    pub num_no_delay_retries: u32,
    pub num_min_delay_retries: u32,
    pub backoff_function: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            min_delay_target: 20,
            max_delay_target: 20,
            num_retries: 3,
            num_max_delay_retries: 0,
            num_no_delay_retries: 0,
            num_min_delay_retries: 0,
            backoff_function: Backoff::Linear,
        }
    }
}

impl Retry {
    /// The policy for mail, which cannot be changed: 50 attempts over some six hours.
    pub const MAIL: Retry = Retry {
        min_delay_target: 10,
        max_delay_target: 600,
        num_retries: 50,
        num_max_delay_retries: 38,
        num_no_delay_retries: 0,
        num_min_delay_retries: 2,
        backoff_function: Backoff::Exponential,
    };

    /// The pause before a retry, counted from 1; none when there are no more.
    pub fn delay(&self, retry: u32) -> Option<Duration> {
        if retry == 0 || retry > self.num_retries {
            return None;
        }
        let (min, max) = (f64::from(self.min_delay_target), f64::from(self.max_delay_target));
        let before_backoff = self.num_no_delay_retries + self.num_min_delay_retries;
        let secs = if retry <= self.num_no_delay_retries {
            0.0
        } else if retry <= before_backoff {
            min
        } else if retry > self.num_retries - self.num_max_delay_retries {
            max
        } else {
            let steps = self.num_retries - before_backoff - self.num_max_delay_retries;
            self.backoff(retry - before_backoff - 1, steps, min, max)
        };
        Some(Duration::from_secs_f64(secs))
    }

    /// The delay of a step, from 0, of so many.
    fn backoff(&self, step: u32, steps: u32, min: f64, max: f64) -> f64 {
        let (step, last) = (f64::from(step), f64::from(steps.saturating_sub(1)));
        if last == 0.0 {
            return min;
        }
        let grown = match self.backoff_function {
            Backoff::Linear => min + (max - min) * step / last,
            // The increments grow evenly.
            Backoff::Arithmetic => min + (max - min) * step * (step + 1.0) / (last * (last + 1.0)),
            // The delays keep one proportion.
            Backoff::Geometric => min * (max / min).powf(step / last),
            // Each delay is twice the last.
            Backoff::Exponential => min * 2f64.powf(step),
        };
        grown.min(max)
    }

    fn total_secs(&self) -> u64 {
        (1..=self.num_retries).filter_map(|retry| self.delay(retry)).map(|delay| delay.as_secs()).sum()
    }

    /// Reads the members that are given over these; `at` names the policy in complaints.
    fn with(mut self, given: &Value, at: &str) -> Result<Self, String> {
        let Some(given) = given.as_object() else { return Err(format!("{at} must be a JSON object")) };
        if !given.contains_key("minDelayTarget") {
            return Err(format!("{at}.minDelayTarget must be specified"));
        }
        if !given.contains_key("maxDelayTarget") {
            return Err(format!("{at}.maxDelayTarget must be specified"));
        }
        if !given.contains_key("numRetries") {
            return Err(format!("{at}.numRetries must be specified"));
        }
        for (name, value) in given {
            let number = || {
                let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
                number.ok_or_else(|| format!("{at}.{name} must be an integer greater than or equal to 0"))
            };
            match name.as_str() {
                _ if value.is_null() => {}
                "minDelayTarget" => self.min_delay_target = number()?,
                "maxDelayTarget" => self.max_delay_target = number()?,
                "numRetries" => self.num_retries = number()?,
                "numNoDelayRetries" => self.num_no_delay_retries = number()?,
                "numMinDelayRetries" => self.num_min_delay_retries = number()?,
                "numMaxDelayRetries" => self.num_max_delay_retries = number()?,
                "backoffFunction" => {
                    self.backoff_function = serde_json::from_value(value.clone()).map_err(|_| {
                        format!("{at}.backoffFunction must be one of: linear, arithmetic, geometric, exponential")
                    })?;
                }
                _ => return Err(format!("{at} has the unknown attribute {name}")),
            }
        }
        self.check(at)?;
        Ok(self)
    }

    fn check(&self, at: &str) -> Result<(), String> {
        if self.num_retries > 100 {
            return Err(format!("{at}.numRetries must be less than or equal to 100"));
        }
        if !(1..=3_600).contains(&self.min_delay_target) || self.min_delay_target > self.max_delay_target {
            return Err(format!("{at}.minDelayTarget must be at least 1 and at most maxDelayTarget"));
        }
        if self.max_delay_target > 3_600 {
            return Err(format!("{at}.maxDelayTarget must be less than or equal to 3600"));
        }
        let counts = [self.num_no_delay_retries, self.num_min_delay_retries, self.num_max_delay_retries];
        if counts.into_iter().map(u64::from).sum::<u64>() > u64::from(self.num_retries) {
            return Err(format!(
                "{at}.numRetries must be greater than or equal to total of numMinDelayRetries, numNoDelayRetries and numMaxDelayRetries"
            ));
        }
        if self.total_secs() > MAX_TOTAL_SECS {
            return Err(format!("{at}: total retry delay must be less than or equal to {MAX_TOTAL_SECS} seconds"));
        }
        Ok(())
    }
}

/// A delivery policy as it holds for a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    pub retry: Retry,
    pub content_type: String,
    pub max_receives_per_second: Option<u32>,
}

impl Default for Effective {
    fn default() -> Self {
        Effective {
            retry: Retry::default(),
            content_type: DEFAULT_CONTENT_TYPE.to_owned(),
            max_receives_per_second: None,
        }
    }
}

/// A topic's policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPolicy {
    pub defaults: Effective,
    pub disable_subscription_overrides: bool,
}

fn read_json(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|_| "failed to parse JSON.".to_owned())?;
    if value.is_object() { Ok(value) } else { Err("failed to parse JSON.".to_owned()) }
}

fn refuse_unknown(value: &Value, known: &[&str]) -> Result<(), String> {
    let members = value.as_object().into_iter().flatten();
    match members.map(|(name, _)| name).find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!("invalid JSON. Attribute {unknown} is unknown.")),
        None => Ok(()),
    }
}

/// The three parts that both kinds of policy have, under their own names.
fn read_parts(mut effective: Effective, value: &Value, names: [&str; 3]) -> Result<Effective, String> {
    let [retry, throttle, request] = names;
    if let Some(given) = value.get(retry).filter(|given| !given.is_null()) {
        effective.retry = Retry::default().with(given, retry)?;
    }
    if let Some(given) = value.get(throttle).and_then(|given| given.get("maxReceivesPerSecond")) {
        let rate = given.as_u64().and_then(|rate| u32::try_from(rate).ok()).filter(|rate| *rate > 0);
        let rate = rate
            .ok_or_else(|| format!("{throttle}.maxReceivesPerSecond must be an integer greater than or equal to 1"))?;
        effective.max_receives_per_second = Some(rate);
    }
    if let Some(given) = value.get(request).and_then(|given| given.get("headerContentType")) {
        let given = given.as_str().unwrap_or_default();
        let kind = given.split(';').next().unwrap_or_default().trim();
        if !CONTENT_TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
            return Err(format!("{request}.headerContentType is not supported"));
        }
        effective.content_type = given.to_owned();
    }
    Ok(effective)
}

impl TopicPolicy {
    /// Reads the attribute `DeliveryPolicy` of a topic.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value = read_json(text)?;
        refuse_unknown(&value, &["http"])?;
        let Some(http) = value.get("http").filter(|http| http.is_object()) else { return Ok(TopicPolicy::default()) };
        let names = ["defaultHealthyRetryPolicy", "defaultThrottlePolicy", "defaultRequestPolicy"];
        let known = [names[0], names[1], names[2], "disableSubscriptionOverrides", "defaultSicklyRetryPolicy"];
        refuse_unknown(http, &known)?;
        let disable = http.get("disableSubscriptionOverrides").and_then(Value::as_bool).unwrap_or(false);
        let defaults = read_parts(Effective::default(), http, names)?;
        Ok(TopicPolicy { defaults, disable_subscription_overrides: disable })
    }

    /// The attribute `EffectiveDeliveryPolicy` of a topic.
    pub fn effective_text(&self) -> String {
        let retry = serde_json::to_string(&self.defaults.retry).unwrap_or_default();
        let throttle = self.defaults.max_receives_per_second;
        let throttle = throttle.map(|rate| format!(r#""defaultThrottlePolicy":{{"maxReceivesPerSecond":{rate}}},"#));
        let (throttle, overrides) = (throttle.unwrap_or_default(), self.disable_subscription_overrides);
        let content_type = Value::from(self.defaults.content_type.as_str());
        format!(
            r#"{{"http":{{"defaultHealthyRetryPolicy":{retry},"disableSubscriptionOverrides":{overrides},{throttle}"defaultRequestPolicy":{{"headerContentType":{content_type}}}}}}}"#
        )
    }

    /// What holds for a subscription with this policy of its own.
    pub fn for_subscription(&self, own: Option<&str>) -> Effective {
        match own {
            Some(own) if !self.disable_subscription_overrides => {
                overlay(self.defaults.clone(), own).unwrap_or_else(|_| self.defaults.clone())
            }
            _ => self.defaults.clone(),
        }
    }
}

fn overlay(defaults: Effective, own: &str) -> Result<Effective, String> {
    let value = read_json(own)?;
    let names = ["healthyRetryPolicy", "throttlePolicy", "requestPolicy"];
    refuse_unknown(&value, &[names[0], names[1], names[2], "sicklyRetryPolicy", "guaranteed"])?;
    read_parts(defaults, &value, names)
}

/// Checks the attribute `DeliveryPolicy` of a subscription.
pub fn check_subscription_policy(text: &str) -> Result<(), String> {
    overlay(Effective::default(), text).map(drop)
}

impl Effective {
    /// The attribute `EffectiveDeliveryPolicy` of a subscription.
    pub fn text(&self) -> String {
        let throttle = self.max_receives_per_second.map(|rate| json!({ "maxReceivesPerSecond": rate }));
        let retry = serde_json::to_string(&self.retry).unwrap_or_default();
        let throttle = throttle.map_or_else(|| "null".to_owned(), |throttle| throttle.to_string());
        let content_type = Value::from(self.content_type.as_str());
        format!(
            r#"{{"healthyRetryPolicy":{retry},"sicklyRetryPolicy":null,"throttlePolicy":{throttle},"requestPolicy":{{"headerContentType":{content_type}}},"guaranteed":false}}"#
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(retry: &Retry) -> Vec<f64> {
        (1..=retry.num_retries).map(|number| retry.delay(number).unwrap().as_secs_f64()).collect()
    }

    #[test]
    fn phases_follow_one_another() {
        let retry = Retry {
            min_delay_target: 1,
            max_delay_target: 60,
            num_retries: 12,
            num_max_delay_retries: 2,
            num_no_delay_retries: 3,
            num_min_delay_retries: 2,
            backoff_function: Backoff::Exponential,
        };
        assert_eq!(secs(&retry), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 60.0, 60.0]);
        assert_eq!(retry.delay(13), None);
        let backoff = |backoff_function| {
            secs(&Retry {
                backoff_function,
                num_retries: 4,
                num_max_delay_retries: 0,
                num_no_delay_retries: 0,
                num_min_delay_retries: 0,
                min_delay_target: 1,
                max_delay_target: 64,
            })
        };
        assert_eq!(backoff(Backoff::Linear), [1.0, 22.0, 43.0, 64.0]);
        assert_eq!(
            backoff(Backoff::Geometric).iter().map(|secs| secs.round()).collect::<Vec<_>>(),
            [1.0, 4.0, 16.0, 64.0]
        );
        assert_eq!(backoff(Backoff::Arithmetic), [1.0, 11.5, 32.5, 64.0]);
        assert_eq!(secs(&Retry::default()), [20.0, 20.0, 20.0]);
        assert_eq!(Retry::MAIL.delay(51), None);
    }

    proptest! {
        #[test]
        fn delays_never_fall_and_stay_between_their_bounds(
            min in 1u32..100, more in 0u32..1_000, counts in prop::array::uniform4(0u32..20),
            function in prop::sample::select(vec![Backoff::Linear, Backoff::Arithmetic, Backoff::Geometric, Backoff::Exponential]),
        ) {
            let retry = Retry {
                min_delay_target: min,
                max_delay_target: min + more,
                num_retries: counts.iter().sum(),
                num_no_delay_retries: counts[0],
                num_min_delay_retries: counts[1],
                num_max_delay_retries: counts[2],
                backoff_function: function,
            };
            let delays = secs(&retry);
            prop_assert!(delays.is_sorted());
            let paused = &delays[counts[0] as usize..];
            prop_assert!(paused.iter().all(|secs| (f64::from(min)..=f64::from(min + more)).contains(secs)));
        }
    }

    #[test]
    fn policies_are_read_and_refused() {
        let policy = TopicPolicy::parse(
            r#"{"http": {"defaultHealthyRetryPolicy": {"minDelayTarget": 5, "maxDelayTarget": 9, "numRetries": 7},
                "disableSubscriptionOverrides": true, "defaultRequestPolicy": {"headerContentType": "application/json"}}}"#,
        )
        .unwrap();
        assert_eq!(
            policy.for_subscription(Some(r#"{"throttlePolicy": {"maxReceivesPerSecond": 3}}"#)),
            policy.defaults
        );
        assert!(policy.effective_text().contains(r#""numRetries":7"#), "{}", policy.effective_text());
        let own = r#"{"healthyRetryPolicy": {"minDelayTarget": 1, "maxDelayTarget": 2, "numRetries": 9}}"#;
        assert_eq!(TopicPolicy::default().for_subscription(Some(own)).retry.num_retries, 9);
        let refused = |text: &str| check_subscription_policy(text).unwrap_err();
        assert_eq!(refused("x"), "failed to parse JSON.");
        assert_eq!(refused(r#"{"healthyRetryPolicy": {}}"#), "healthyRetryPolicy.minDelayTarget must be specified");
        assert_eq!(refused(r#"{"x": 1}"#), "invalid JSON. Attribute x is unknown.");
        let long = r#"{"healthyRetryPolicy": {"minDelayTarget": 3000, "maxDelayTarget": 3600, "numRetries": 3}}"#;
        assert!(refused(long).contains("3600 seconds"));
    }

    #[test]
    fn the_default_is_written_as_aws_writes_it() {
        assert_eq!(
            TopicPolicy::default().effective_text(),
            r#"{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}"#
        );
    }
}
