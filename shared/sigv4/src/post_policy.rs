//! Browser form uploads: the signed policy document that says which forms S3 takes.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html>. Reading the multipart form is
//! the caller's; here its fields (those before `file`) are judged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;
use serde_json::Value;

use crate::answer::{Answer, Dialect};
use crate::credential::{CredentialScope, Place, Scheme};
use crate::crypto::same;
use crate::error::{Mismatch, SignatureError};
use crate::key::KeyCache;
use crate::signature::parse_date;
use crate::sigv2;
use crate::verify::Expectation;

/// S3 takes no more than this for all of a form before its file.
pub const MAX_POLICY: usize = 20 * 1024;

/// Why a form is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("Invalid Policy: {0}")]
    InvalidPolicy(String),
    #[error("Invalid according to Policy: Policy expired.")]
    Expired,
    #[error("Invalid according to Policy: Policy Condition failed: {0}")]
    ConditionFailed(String),
    #[error("Invalid according to Policy: Extra input fields: {0}")]
    ExtraField(String),
    #[error("Your proposed upload exceeds the maximum allowed size")]
    TooLarge { proposed: u64, max: u64 },
    #[error("Your proposed upload is smaller than the minimum allowed size")]
    TooSmall { proposed: u64, min: u64 },
}

impl PostError {
    /// What S3 answers.
    pub fn answer(&self) -> Answer {
        let answer = |status, code, details| Answer { status, code, message: self.to_string(), details };
        match self {
            PostError::Signature(error) => error.answer(Dialect::S3),
            PostError::InvalidPolicy(_) => answer(400, "InvalidPolicyDocument", vec![]),
            PostError::Expired | PostError::ConditionFailed(_) | PostError::ExtraField(_) => {
                answer(403, "AccessDenied", vec![])
            }
            PostError::TooLarge { proposed, max } => answer(
                400,
                "EntityTooLarge",
                vec![("ProposedSize", proposed.to_string()), ("MaxSizeAllowed", max.to_string())],
            ),
            PostError::TooSmall { proposed, min } => answer(
                400,
                "EntityTooSmall",
                vec![("ProposedSize", proposed.to_string()), ("MinSizeAllowed", min.to_string())],
            ),
        }
    }
}

/// The fields of a form that stand before its file; names match in any case.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [(String, String)]);

impl<'a> Fields<'a> {
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The signature of a form, read but not verified.
#[derive(Clone, Debug)]
pub struct PostSignature<'a> {
    pub credential: CredentialScope<'a>,
    pub token: Option<&'a str>,
    /// The policy as it was signed: in base64.
    pub policy: &'a str,
    date: &'a str,
    signature: &'a str,
}

impl<'a> PostSignature<'a> {
    /// [`SignatureError::MissingToken`] for a form without any signature: an anonymous upload.
    pub fn parse(fields: Fields<'a>) -> Result<Self, SignatureError> {
        const PLACE: Place = Place::Form;
        let any = ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-signature", "awsaccesskeyid", "signature"];
        if any.iter().all(|name| fields.get(name).is_none()) {
            return Err(SignatureError::MissingToken);
        }
        let need = |name: &'static str| {
            fields.get(name).ok_or_else(|| SignatureError::MissingParameters { place: PLACE, missing: vec![name] })
        };
        let token = fields.get("x-amz-security-token").or_else(|| fields.get("x-amz-s3session-token"));
        if let Some(access_key) = fields.get("awsaccesskeyid") {
            let credential = CredentialScope::v2(PLACE, access_key.into());
            return Ok(PostSignature {
                credential,
                token,
                policy: need("policy")?,
                date: "",
                signature: need("signature")?,
            });
        }
        let policy = need("policy")?;
        let algorithm = need("x-amz-algorithm")?;
        if algorithm != Scheme::V4.algorithm() {
            return Err(SignatureError::UnsupportedAlgorithm { place: PLACE, algorithm: algorithm.to_owned() });
        }
        let text = need("x-amz-credential")?;
        let date = need("x-amz-date")?;
        let credential = CredentialScope::parse(Scheme::V4, PLACE, text, None)
            .filter(|scope| !scope.access_key.is_empty())
            .ok_or_else(|| SignatureError::MalformedCredential { place: PLACE, credential: text.to_owned() })?;
        Ok(PostSignature { credential, token, policy, date, signature: need("x-amz-signature")? })
    }

    /// Whether the policy was signed with this secret. The policy's own rules are [`PostPolicy::check`]'s.
    pub fn verify(&self, secret: &str, expected: &Expectation<'_>, keys: &KeyCache) -> Result<(), SignatureError> {
        let matches = match self.credential.scheme {
            Scheme::V2 => same(sigv2::sign(secret, self.policy).as_bytes(), self.signature.as_bytes()),
            _ => {
                self.check_scope(expected)?;
                let CredentialScope { date, region, service, .. } = self.credential;
                let signature = keys.get(secret, date, region, service).sign(self.policy.as_bytes());
                same(&signature, self.signature.as_bytes())
            }
        };
        if matches {
            return Ok(());
        }
        Err(SignatureError::SignatureDoesNotMatch(Box::new(Mismatch {
            access_key: self.credential.access_key.to_string(),
            canonical_request: String::new(),
            string_to_sign: self.policy.to_owned(),
            signature_provided: self.signature.to_owned(),
        })))
    }

    fn check_scope(&self, expected: &Expectation<'_>) -> Result<(), SignatureError> {
        const PLACE: Place = Place::Form;
        let scope = &self.credential;
        parse_date(PLACE, self.date)?;
        if scope.terminator != "aws4_request" {
            return Err(SignatureError::WrongTerminator { place: PLACE, given: scope.terminator.to_owned() });
        }
        if self.date.get(..8) != Some(scope.date) {
            let (scope_date, request_date) = (scope.date.to_owned(), self.date.to_owned());
            return Err(SignatureError::ScopeDateMismatch { place: PLACE, scope_date, request_date });
        }
        if let Some(region) = expected.region.filter(|region| *region != scope.region) {
            let (given, expected) = (scope.region.to_owned(), region.to_owned());
            return Err(SignatureError::WrongRegion { place: PLACE, given, expected });
        }
        if !expected.services.contains(&scope.service) {
            let (given, expected) = (scope.service, expected.services.first().copied().unwrap_or_default());
            let (given, expected) = (given.to_owned(), expected.to_owned());
            return Err(SignatureError::WrongService { place: PLACE, given, expected });
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Eq {
        name: String,
        value: String,
    },
    StartsWith {
        name: String,
        prefix: String,
    },
    Length {
        min: u64,
        max: u64,
    },
    /// Well-formed but never true, as a range that is no pair of numbers.
    Never(String),
}

/// A policy document, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostPolicy {
    pub expiration: Timestamp,
    conditions: Vec<Condition>,
}

/// The sizes a policy allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeRange {
    pub min: u64,
    pub max: u64,
}

impl SizeRange {
    /// Judges a size: to be asked for the maximum while the file arrives, and for both at its end.
    pub fn check(&self, proposed: u64) -> Result<(), PostError> {
        match self {
            SizeRange { max, .. } if proposed > *max => Err(PostError::TooLarge { proposed, max: *max }),
            SizeRange { min, .. } if proposed < *min => Err(PostError::TooSmall { proposed, min: *min }),
            _ => Ok(()),
        }
    }
}

fn invalid(message: impl Into<String>) -> PostError {
    PostError::InvalidPolicy(message.into())
}

impl PostPolicy {
    /// Reads the `policy` field.
    pub fn parse(base64: &str) -> Result<Self, PostError> {
        if base64.len() > MAX_POLICY {
            return Err(invalid("Invalid JSON."));
        }
        // Forms may fold the text.
        let base64: String = base64.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        let bytes = STANDARD.decode(base64).map_err(|_| invalid("Invalid Base64 encoding."))?;
        let document: Value = serde_json::from_slice(&escaped_as_json(bytes)).map_err(|_| invalid("Invalid JSON."))?;
        let Value::Object(members) = document else { return Err(invalid("Invalid JSON.")) };
        if let Some(name) = members.keys().find(|name| !matches!(name.as_str(), "expiration" | "conditions")) {
            return Err(invalid(format!("Unexpected: '{}'", name.to_lowercase())));
        }
        let expiration = members.get("expiration").ok_or_else(|| invalid("Policy missing expiration."))?;
        let conditions = members.get("conditions").ok_or_else(|| invalid("Policy missing conditions."))?;
        let Value::Array(conditions) = conditions else {
            return Err(invalid("Invalid 'conditions' value: must be a List."));
        };
        Ok(PostPolicy {
            expiration: parse_expiration(expiration)?,
            conditions: conditions.iter().map(Condition::parse).collect::<Result<_, _>>()?,
        })
    }

    /// Judges a form: every condition must hold, and every field must have one. `bucket` is the one the request
    /// names; it counts as a field, whether the form has it or not. Answers the sizes that the file may have.
    pub fn check(&self, fields: Fields<'_>, bucket: &str, now: Timestamp) -> Result<SizeRange, PostError> {
        if now > self.expiration {
            return Err(PostError::Expired);
        }
        let mut range = SizeRange { min: 0, max: u64::MAX };
        for condition in &self.conditions {
            match condition {
                Condition::Length { min, max } => {
                    range = SizeRange { min: range.min.max(*min), max: range.max.min(*max) };
                }
                condition if condition.holds(fields, bucket) => {}
                condition => return Err(PostError::ConditionFailed(condition.text())),
            }
        }
        match fields.0.iter().map(|(name, _)| name.as_str()).chain(["bucket"]).find(|name| !self.covers(name)) {
            Some(name) => Err(PostError::ExtraField(name.to_lowercase())),
            None => Ok(range),
        }
    }

    fn covers(&self, field: &str) -> bool {
        let field = field.to_ascii_lowercase();
        let free = ["policy", "file", "signature", "awsaccesskeyid", "x-amz-signature"];
        free.contains(&field.as_str())
            || field.starts_with("x-ignore-")
            || self.conditions.iter().any(|condition| match condition {
                Condition::Eq { name, .. } | Condition::StartsWith { name, .. } => {
                    name.strip_prefix('$').is_some_and(|name| name.eq_ignore_ascii_case(&field))
                }
                _ => false,
            })
    }
}

/// A policy may write a dollar sign as `\$` and a vertical tab as `\v`, which JSON does not know.
fn escaped_as_json(bytes: Vec<u8>) -> Vec<u8> {
    let mut json = Vec::with_capacity(bytes.len());
    let mut rest = bytes.into_iter();
    while let Some(byte) = rest.next() {
        match if byte == b'\\' { rest.next() } else { None } {
            Some(b'$') => json.push(b'$'),
            Some(b'v') => json.extend_from_slice(b"\\u000b"),
            escaped => json.extend([byte].into_iter().chain(escaped)),
        }
    }
    json
}

/// UTC alone is taken: `2007-12-01T12:00:00.000Z`.
fn parse_expiration(value: &Value) -> Result<Timestamp, PostError> {
    let text = value.as_str().unwrap_or_default();
    let utc = text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T');
    let point = utc.then(|| Timestamp::parse_date_time(text).ok()).flatten();
    point.ok_or_else(|| {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        invalid(format!("Invalid 'expiration' value: '{shown}'"))
    })
}

impl Condition {
    fn parse(value: &Value) -> Result<Self, PostError> {
        match value {
            Value::Object(members) => {
                let mut members = members.iter();
                let (Some((name, value)), None) = (members.next(), members.next()) else {
                    return Err(invalid(
                        "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
                    ));
                };
                let value =
                    value.as_str().ok_or_else(|| invalid("Invalid Simple-Condition: value must be a string."))?;
                Ok(Condition::Eq { name: format!("${name}"), value: value.to_owned() })
            }
            Value::Array(parts) => Self::parse_list(parts),
            _ => Err(invalid("Invalid condition: must be an Object or a List.")),
        }
    }

    fn parse_list(parts: &[Value]) -> Result<Self, PostError> {
        let [operator, first, second] = parts else {
            return Err(invalid("Invalid condition: a List must have an operation and two arguments."));
        };
        let operator = operator.as_str().unwrap_or_default().to_ascii_lowercase();
        if operator == "content-length-range" {
            if [first, second].into_iter().any(|end| end.is_number() && end.as_u64().is_none()) {
                return Err(invalid(
                    "Invalid content-length-range: both ends must be whole numbers, and not negative.",
                ));
            }
            return Ok(match (number(first), number(second)) {
                (Some(min), Some(max)) => Condition::Length { min, max },
                _ => Condition::Never(shown(&operator, &[first, second])),
            });
        }
        let (Some(name), Some(value)) = (first.as_str(), second.as_str()) else {
            return Err(invalid("Invalid condition: arguments must be strings."));
        };
        let (name, value) = (name.to_owned(), value.to_owned());
        match operator.as_str() {
            "eq" => Ok(Condition::Eq { name, value }),
            "starts-with" => Ok(Condition::StartsWith { name, prefix: value }),
            _ => Err(invalid(format!("Invalid condition: unknown operation '{operator}'."))),
        }
    }

    fn holds(&self, fields: Fields<'_>, bucket: &str) -> bool {
        let value = |name: &str| match name.strip_prefix('$') {
            Some(name) if name.eq_ignore_ascii_case("bucket") => Some(bucket),
            Some(name) => fields.get(name),
            None => None,
        };
        match self {
            Condition::Eq { name, value: wanted } => value(name) == Some(wanted),
            // Of several content types, each must begin so.
            Condition::StartsWith { name, prefix } if name.eq_ignore_ascii_case("$content-type") => {
                value(name).is_some_and(|types| types.split(',').all(|each| each.trim().starts_with(prefix.as_str())))
            }
            Condition::StartsWith { name, prefix } => {
                value(name).is_some_and(|value| value.starts_with(prefix.as_str()))
            }
            Condition::Length { .. } => true,
            Condition::Never(_) => false,
        }
    }

    /// As S3 shows it: a simple condition too in the form of a list.
    fn text(&self) -> String {
        let string = |text: &String| Value::String(text.clone());
        match self {
            Condition::Eq { name, value } => shown("eq", &[&string(name), &string(value)]),
            Condition::StartsWith { name, prefix } => shown("starts-with", &[&string(name), &string(prefix)]),
            Condition::Length { min, max } => format!("[\"content-length-range\", {min}, {max}]"),
            Condition::Never(text) => text.clone(),
        }
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn shown(operator: &str, arguments: &[&Value]) -> String {
    let arguments: String = arguments.iter().map(|argument| format!(", {argument}")).collect();
    format!("[\"{operator}\"{arguments}]")
}
