//! What AWS answers to a refused signature: status, code, message and, for S3, the elements beside them.
//!
//! S3 has its own codes and words (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>); the other
//! services share one front, whose codes carry `Exception` in the JSON protocols
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html>).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fractus_clock::Timestamp;

use crate::chunked::ChunkError;
use crate::credential::Place;
use crate::crypto::sha256;
use crate::error::{Mismatch, SignatureError};

/// Which words a service answers in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    S3,
    /// awsQuery and EC2: 403, codes without a suffix.
    Query,
    /// awsJson: 400, codes with `Exception`.
    AwsJson,
    /// restJson: 403, codes with `Exception`.
    RestJson,
}

/// An error as AWS writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    /// S3 only: the elements beside the message, such as `StringToSign`.
    pub details: Vec<(&'static str, String)>,
}

impl Answer {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Answer { status, code, message: message.into(), details: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }
}

impl SignatureError {
    /// What a service of this dialect answers.
    pub fn answer(&self, dialect: Dialect) -> Answer {
        match dialect {
            Dialect::S3 => s3(self),
            _ => common(self, dialect),
        }
    }
}

const S3_MISMATCH: &str =
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
const COMMON_MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
const PRESIGN_PARAMETERS: &str = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.";
const V2_PARAMETERS: &str = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters";
const PAYLOAD_HASHES: &str = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.";

/// The code and the beginning of the message for a flaw of the credential, by where it stands.
fn s3_malformed(place: Place, flaw: impl std::fmt::Display) -> Answer {
    match place {
        Place::Header => {
            Answer::new(400, "AuthorizationHeaderMalformed", format!("The authorization header is malformed; {flaw}"))
        }
        Place::Query => {
            let message = format!("Error parsing the X-Amz-Credential parameter; {flaw}");
            Answer::new(400, "AuthorizationQueryParametersError", message)
        }
        Place::Form => {
            Answer::new(400, "InvalidArgument", format!("Error parsing the X-Amz-Credential parameter; {flaw}"))
        }
    }
}

fn s3(error: &SignatureError) -> Answer {
    use SignatureError as E;
    match error {
        E::MissingToken => Answer::new(403, "AccessDenied", "Access Denied"),
        E::SeveralMechanisms => Answer::new(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
        ),
        E::UnsupportedAlgorithm { .. }
        | E::IncompleteSignature { .. }
        | E::NotKeyValue { .. }
        | E::MissingParameters { .. }
        | E::MalformedCredential { .. }
        | E::WrongTerminator { .. }
        | E::WrongService { .. }
        | E::WrongRegion { .. }
        | E::InvalidScopeDate { .. }
        | E::ScopeDateMismatch { .. } => s3_syntax(error),
        E::MissingDate
        | E::InvalidDate { .. }
        | E::ExpiresNotATime { .. }
        | E::ExpiresNotANumber
        | E::ExpiresNegative
        | E::ExpiresTooLong => s3_date(error),
        E::RequestTimeTooSkewed { .. } | E::RequestExpired { .. } | E::NotYetValid { .. } => s3_time(error),
        E::HostNotSigned => s3_unsigned("host"),
        E::HeadersNotSigned(names) => s3_unsigned(&names.join(", ")),
        E::MissingPayloadHash => {
            Answer::new(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        }
        E::InvalidPayloadHash { given } => Answer::new(400, "InvalidArgument", PAYLOAD_HASHES)
            .with("ArgumentName", "x-amz-content-sha256")
            .with("ArgumentValue", given),
        E::PayloadHashMismatch { declared, computed } => Answer::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
        .with("ClientComputedContentSHA256", declared)
        .with("S3ComputedContentSHA256", computed),
        E::SignatureDoesNotMatch(mismatch) => s3_mismatch(mismatch),
        E::UnknownAccessKey { access_key } => {
            Answer::new(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
                .with("AWSAccessKeyId", access_key)
        }
        E::InvalidToken { token } => {
            Answer::new(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
                .with("Token-0", token)
        }
        E::ExpiredToken { token } => {
            Answer::new(400, "ExpiredToken", "The provided token has expired.").with("Token-0", token)
        }
    }
}

fn s3_unsigned(names: &str) -> Answer {
    Answer::new(403, "AccessDenied", "There were headers present in the request which were not signed")
        .with("HeadersNotSigned", names)
}

fn s3_syntax(error: &SignatureError) -> Answer {
    use SignatureError as E;
    match error {
        E::UnsupportedAlgorithm { place: Place::Header, algorithm } => {
            Answer::new(400, "InvalidArgument", "Unsupported Authorization Type")
                .with("ArgumentName", "Authorization")
                .with("ArgumentValue", algorithm)
        }
        E::UnsupportedAlgorithm { .. } => Answer::new(
            400,
            "AuthorizationQueryParametersError",
            "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"",
        ),
        E::IncompleteSignature { missing, .. } => {
            let missing = missing.first().copied().unwrap_or("Signature");
            s3_malformed(Place::Header, format!("missing {missing}"))
        }
        E::NotKeyValue { .. } => s3_malformed(Place::Header, "the authorization component is malformed"),
        E::MissingParameters { place: Place::Form, missing } => {
            let name = missing.first().copied().unwrap_or("policy");
            let message = format!(
                "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
            );
            Answer::new(400, "InvalidArgument", message).with("ArgumentName", name).with("ArgumentValue", "")
        }
        E::MissingParameters { missing, .. } if missing.as_slice() == ["Expires"] => {
            Answer::new(403, "AccessDenied", V2_PARAMETERS)
        }
        E::MissingParameters { .. } => Answer::new(400, "AuthorizationQueryParametersError", PRESIGN_PARAMETERS),
        E::MalformedCredential { place, .. } => {
            let flaw = "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".";
            s3_malformed(*place, flaw)
        }
        E::WrongTerminator { place, given } => {
            s3_malformed(*place, format!("incorrect terminal \"{given}\". This endpoint uses \"aws4_request\"."))
        }
        E::WrongService { place, given, expected } => {
            s3_malformed(*place, format!("incorrect service \"{given}\". This endpoint belongs to \"{expected}\"."))
        }
        E::WrongRegion { place, given, expected } => {
            s3_malformed(*place, format!("the region '{given}' is wrong; expecting '{expected}'"))
                .with("Region", expected)
        }
        E::InvalidScopeDate { place, given } => s3_malformed(
            *place,
            format!(
                "incorrect date format \"{given}\". This date in the credential must be in the format \"yyyyMMdd\"."
            ),
        ),
        E::ScopeDateMismatch { place, scope_date, request_date } => {
            let day = request_date.get(..8).unwrap_or(request_date);
            let flaw = format!(
                "Invalid credential date \"{scope_date}\". This date is not the same as X-Amz-Date: \"{day}\"."
            );
            s3_malformed(*place, flaw)
        }
        other => Answer::new(400, "AuthorizationHeaderMalformed", other.to_string()),
    }
}

fn s3_date(error: &SignatureError) -> Answer {
    let message = match error {
        SignatureError::ExpiresNotATime { given } => {
            let message = format!("Invalid date (should be seconds since epoch): {given}");
            return Answer::new(403, "AccessDenied", message);
        }
        SignatureError::ExpiresNotANumber => "X-Amz-Expires should be a number",
        SignatureError::ExpiresNegative => "X-Amz-Expires must be non-negative",
        SignatureError::ExpiresTooLong => {
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
        }
        SignatureError::InvalidDate { place: Place::Query | Place::Form, .. } => {
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        }
        _ => {
            return Answer::new(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
        }
    };
    Answer::new(400, "AuthorizationQueryParametersError", message)
}

fn s3_time(error: &SignatureError) -> Answer {
    match error {
        SignatureError::RequestTimeTooSkewed { signed_at, now, skew } => Answer::new(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
        .with("RequestTime", signed_at.amz_date())
        .with("ServerTime", now.to_secs_precision().date_time())
        .with("MaxAllowedSkewMilliseconds", skew.as_millis().to_string()),
        SignatureError::RequestExpired { expires_at, expires, now } => {
            let answer = Answer::new(403, "AccessDenied", "Request has expired");
            let answer =
                if expires.is_zero() { answer } else { answer.with("X-Amz-Expires", expires.as_secs().to_string()) };
            answer
                .with("Expires", expires_at.to_secs_precision().date_time())
                .with("ServerTime", now.to_secs_precision().date_time())
        }
        SignatureError::NotYetValid { signed_at, now, .. } => {
            Answer::new(403, "AccessDenied", "Request is not yet valid")
                .with("X-Amz-Date", signed_at.amz_date())
                .with("ServerTime", now.to_secs_precision().date_time())
        }
        other => Answer::new(403, "AccessDenied", other.to_string()),
    }
}

fn s3_mismatch(mismatch: &Mismatch) -> Answer {
    let hexadecimal = |text: &str| {
        let bytes: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        bytes.join(" ")
    };
    let answer = Answer::new(403, "SignatureDoesNotMatch", S3_MISMATCH)
        .with("AWSAccessKeyId", &mismatch.access_key)
        .with("StringToSign", &mismatch.string_to_sign)
        .with("SignatureProvided", &mismatch.signature_provided)
        .with("StringToSignBytes", hexadecimal(&mismatch.string_to_sign));
    if mismatch.canonical_request.is_empty() {
        return answer;
    }
    answer
        .with("CanonicalRequest", &mismatch.canonical_request)
        .with("CanonicalRequestBytes", hexadecimal(&mismatch.canonical_request))
}

/// The conditions that the services other than S3 tell apart by code.
#[derive(Clone, Copy)]
enum Code {
    Missing,
    Incomplete,
    Invalid,
    UnknownKey,
    ExpiredToken,
}

impl Code {
    fn text(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Code::Missing, Dialect::Query | Dialect::S3) => "MissingAuthenticationToken",
            (Code::Missing, _) => "MissingAuthenticationTokenException",
            (Code::Incomplete, Dialect::Query | Dialect::S3) => "IncompleteSignature",
            (Code::Incomplete, _) => "IncompleteSignatureException",
            (Code::Invalid, Dialect::Query | Dialect::S3) => "SignatureDoesNotMatch",
            (Code::Invalid, _) => "InvalidSignatureException",
            (Code::UnknownKey, Dialect::Query | Dialect::S3) => "InvalidClientTokenId",
            (Code::UnknownKey, _) => "UnrecognizedClientException",
            (Code::ExpiredToken, Dialect::Query | Dialect::S3) => "ExpiredToken",
            (Code::ExpiredToken, _) => "ExpiredTokenException",
        }
    }

    fn answer(self, dialect: Dialect, message: impl Into<String>) -> Answer {
        let status = match (self, dialect) {
            (_, Dialect::AwsJson) | (Code::Incomplete, Dialect::Query) => 400,
            _ => 403,
        };
        Answer::new(status, self.text(dialect), message)
    }
}

fn common(error: &SignatureError, dialect: Dialect) -> Answer {
    use SignatureError as E;
    let incomplete = |message: String| Code::Incomplete.answer(dialect, message);
    let invalid = |message: String| Code::Invalid.answer(dialect, message);
    match error {
        E::MissingToken if dialect == Dialect::Query => {
            Code::Missing.answer(dialect, "Request is missing Authentication Token")
        }
        E::MissingToken => Code::Missing.answer(dialect, "Missing Authentication Token"),
        E::SeveralMechanisms => incomplete(
            "Request must contain only one of the Authorization header and the X-Amz-Algorithm query parameter.".into(),
        ),
        E::UnsupportedAlgorithm { algorithm, .. } => incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'.")),
        E::IncompleteSignature { missing, authorization } => {
            let needs: String =
                missing.iter().map(|name| format!("Authorization header requires '{name}' parameter. ")).collect();
            incomplete(format!(
                "{needs}(Hashed with SHA-256 and encoded with Base64) Authorization={}",
                hashed(authorization)
            ))
        }
        E::NotKeyValue { part, .. } => incomplete(format!(
            "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '{}'.",
            hashed(part)
        )),
        E::MissingParameters { missing, .. } => {
            let needs: Vec<String> =
                missing.iter().map(|name| format!("AWS query-string parameters must include '{name}'.")).collect();
            incomplete(format!("{} Re-examine the query-string parameters.", needs.join(" ")))
        }
        E::MalformedCredential { credential, .. } => incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
        )),
        E::MissingDate => {
            incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".into())
        }
        E::InvalidDate { given, .. } => incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{given}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )),
        E::ExpiresNotATime { .. } | E::ExpiresNotANumber | E::ExpiresNegative | E::ExpiresTooLong => {
            incomplete("X-Amz-Expires must be a number of seconds between 0 and 604800.".into())
        }
        E::UnknownAccessKey { .. } | E::InvalidToken { .. } => {
            Code::UnknownKey.answer(dialect, "The security token included in the request is invalid.")
        }
        E::ExpiredToken { .. } => {
            Code::ExpiredToken.answer(dialect, "The security token included in the request is expired")
        }
        E::RequestTimeTooSkewed { .. } | E::RequestExpired { .. } | E::NotYetValid { .. } => {
            invalid(common_time(error))
        }
        E::HostNotSigned => invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".into()),
        E::HeadersNotSigned(names) => {
            let name = names.first().map_or("", String::as_str);
            invalid(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."))
        }
        E::SignatureDoesNotMatch(mismatch) => invalid(common_mismatch(mismatch)),
        E::MissingPayloadHash | E::InvalidPayloadHash { .. } | E::PayloadHashMismatch { .. } => {
            invalid(COMMON_MISMATCH.into())
        }
        E::WrongTerminator { .. }
        | E::WrongService { .. }
        | E::WrongRegion { .. }
        | E::InvalidScopeDate { .. }
        | E::ScopeDateMismatch { .. } => invalid(common_scope(error)),
    }
}

/// A part of the header as AWS shows it: not to be read by whoever reads logs, but to be recognised by its sender.
fn hashed(text: &str) -> String {
    STANDARD.encode(sha256(text.as_bytes()))
}

fn common_scope(error: &SignatureError) -> String {
    match error {
        SignatureError::WrongTerminator { given, .. } => {
            format!("Credential should be scoped with a valid terminator: 'aws4_request', not '{given}'.")
        }
        SignatureError::WrongService { expected, .. } => {
            format!("Credential should be scoped to correct service: '{expected}'.")
        }
        SignatureError::WrongRegion { given, .. } => {
            format!("Credential should be scoped to a valid region, not '{given}'.")
        }
        SignatureError::InvalidScopeDate { given, .. } => {
            format!("Date in Credential scope must be in 'YYYYMMDD' form, got '{given}'.")
        }
        SignatureError::ScopeDateMismatch { scope_date, request_date, .. } => format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{scope_date}' != '{}', from '{request_date}'.",
            request_date.get(..8).unwrap_or(request_date)
        ),
        other => other.to_string(),
    }
}

fn common_time(error: &SignatureError) -> String {
    let expired = |given: Timestamp, now: Timestamp, skew: Duration| {
        let (given, earliest, minutes) = (given.amz_date(), now.minus(skew).amz_date(), skew.as_secs() / 60);
        format!("Signature expired: {given} is now earlier than {earliest} ({} - {minutes} min.)", now.amz_date())
    };
    let early = |given: Timestamp, now: Timestamp, skew: Duration| {
        let (given, latest, minutes) = (given.amz_date(), now.plus(skew).amz_date(), skew.as_secs() / 60);
        format!("Signature not yet current: {given} is still later than {latest} ({} + {minutes} min.)", now.amz_date())
    };
    match error {
        SignatureError::RequestTimeTooSkewed { signed_at, now, skew } if signed_at > now => {
            early(*signed_at, *now, *skew)
        }
        SignatureError::RequestTimeTooSkewed { signed_at, now, skew } => expired(*signed_at, *now, *skew),
        SignatureError::NotYetValid { signed_at, now, skew } => early(*signed_at, *now, *skew),
        SignatureError::RequestExpired { expires_at, now, .. } => {
            format!("Signature expired: {} is now earlier than {}", expires_at.amz_date(), now.amz_date())
        }
        other => other.to_string(),
    }
}

fn common_mismatch(mismatch: &Mismatch) -> String {
    let Mismatch { canonical_request, string_to_sign, .. } = mismatch;
    format!(
        "{COMMON_MISMATCH}\n\nThe Canonical String for this request should have been\n'{canonical_request}'\n\nThe String-to-Sign should have been\n'{string_to_sign}'\n"
    )
}

impl ChunkError {
    /// What S3 answers; no other service takes `aws-chunked` bodies.
    pub fn answer(&self) -> Answer {
        match self {
            ChunkError::SignatureDoesNotMatch(mismatch) => s3_mismatch(mismatch),
            ChunkError::ChunkTooSmall { chunk, size } => Answer::new(
                403,
                "InvalidChunkSizeError",
                "Only the last chunk is allowed to have a size less than 8192 bytes",
            )
            .with("Chunk", chunk.to_string())
            .with("BadChunkSize", size.to_string()),
            ChunkError::MalformedTrailer | ChunkError::TrailersTooLong => Answer::new(
                400,
                "MalformedTrailerError",
                "The request contained trailing data that was not well-formed or did not conform to our published schema.",
            ),
            ChunkError::HeaderTooLong
            | ChunkError::MalformedHeader
            | ChunkError::MissingSignature
            | ChunkError::MissingTrailerSignature
            | ChunkError::TooMuchData { .. }
            | ChunkError::Incomplete
            | ChunkError::DataBehindEnd => {
                Answer::new(400, "IncompleteBody", "The request body terminated unexpectedly")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_answers_to_chunked_bodies() {
        let told = |error: ChunkError| {
            let answer = error.answer();
            (answer.status, answer.code)
        };
        assert_eq!(told(ChunkError::ChunkTooSmall { chunk: 2, size: 1 }), (403, "InvalidChunkSizeError"));
        assert_eq!(told(ChunkError::MalformedTrailer), (400, "MalformedTrailerError"));
        for error in [
            ChunkError::MalformedHeader,
            ChunkError::MissingSignature,
            ChunkError::MissingTrailerSignature,
            ChunkError::TooMuchData { expected: 1 },
            ChunkError::Incomplete,
        ] {
            assert_eq!(told(error), (400, "IncompleteBody"));
        }
    }

    #[test]
    fn the_words_differ_by_dialect() {
        let error = SignatureError::WrongRegion {
            place: Place::Header,
            given: "us-east-1".into(),
            expected: "eu-west-1".into(),
        };
        let answer = error.answer(Dialect::S3);
        assert_eq!((answer.status, answer.code), (400, "AuthorizationHeaderMalformed"));
        assert_eq!(
            answer.message,
            "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'"
        );
        assert_eq!(answer.details, [("Region", "eu-west-1".to_owned())]);
        assert_eq!(error.answer(Dialect::Query).code, "SignatureDoesNotMatch");
        let answer = error.answer(Dialect::AwsJson);
        assert_eq!((answer.status, answer.code), (400, "InvalidSignatureException"));
    }

    #[test]
    fn the_times_are_told_as_aws_tells_them() {
        let now = Timestamp::parse_amz_date("20140325T145251Z").unwrap();
        let signed_at = Timestamp::parse_amz_date("20140325T143453Z").unwrap();
        let error = SignatureError::RequestTimeTooSkewed { signed_at, now, skew: Duration::from_secs(900) };
        assert_eq!(
            error.answer(Dialect::RestJson).message,
            "Signature expired: 20140325T143453Z is now earlier than 20140325T143751Z (20140325T145251Z - 15 min.)"
        );
        assert_eq!(error.answer(Dialect::S3).code, "RequestTimeTooSkewed");
    }
}
