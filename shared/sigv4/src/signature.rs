//! Reading a signature completely, header or presigned, before it is verified.

use std::borrow::Cow;
use std::time::Duration;

use fractus_clock::Timestamp;
use percent_encoding::percent_decode_str;

use crate::canonical::RequestView;
use crate::credential::{CredentialScope, Place, Scheme, query_value};
use crate::error::SignatureError;

/// The longest life of a presigned URL.
pub const MAX_EXPIRES: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The signature of a request, read but not verified.
#[derive(Clone, Debug)]
pub struct RequestSignature<'a> {
    pub credential: CredentialScope<'a>,
    pub signed_headers: Cow<'a, str>,
    pub signature: Cow<'a, str>,
    /// The session token (`x-amz-security-token`, or S3 Express's `x-amz-s3session-token`).
    pub token: Option<Cow<'a, str>>,
    /// SigV4A: the regions that the signature is for, comma-separated, `*` for any.
    pub region_set: Option<Cow<'a, str>>,
    /// When it was signed, as `20060102T150405Z`; empty for a SigV2 presigned URL.
    pub date: Cow<'a, str>,
    pub signed_at: Timestamp,
    /// How long a presigned URL lives from `signed_at`.
    pub expires: Option<Duration>,
}

impl<'a> RequestSignature<'a> {
    /// Finds and reads the signature. [`SignatureError::MissingToken`] where there is none: an anonymous request.
    pub fn parse(request: &RequestView<'a>) -> Result<Self, SignatureError> {
        let presigned_v4 = query_value(request.query, "X-Amz-Algorithm").is_some()
            || query_value(request.query, "X-Amz-Signature").is_some();
        let presigned_v2 = !presigned_v4
            && query_value(request.query, "Signature").is_some()
            && query_value(request.query, "AWSAccessKeyId").is_some();
        match (request.header("authorization"), presigned_v4, presigned_v2) {
            (Some(_), true, _) | (Some(_), _, true) => Err(SignatureError::SeveralMechanisms),
            (Some(authorization), false, false) => Self::of_header(request, authorization),
            (None, true, _) => Self::of_query(request),
            (None, _, true) => crate::sigv2::parse_query(request),
            (None, false, false) => Err(SignatureError::MissingToken),
        }
    }

    pub fn access_key(&self) -> &str {
        &self.credential.access_key
    }

    fn of_header(request: &RequestView<'a>, authorization: &'a str) -> Result<Self, SignatureError> {
        let (algorithm, parameters) = authorization.trim().split_once(' ').unwrap_or((authorization, ""));
        if algorithm == Scheme::V2.algorithm() {
            return crate::sigv2::parse_header(request, authorization);
        }
        let Some(scheme) = Scheme::of_algorithm(algorithm) else {
            let algorithm = algorithm.to_owned();
            return Err(SignatureError::UnsupportedAlgorithm { place: Place::Header, algorithm });
        };
        let Parameters { credential, signed_headers, signature } = Parameters::parse(parameters, authorization)?;
        let date = header_date(request)?;
        let region_set = request.header("x-amz-region-set");
        let token = request.header("x-amz-security-token").or(request.header("x-amz-s3session-token"));
        let signed_at = parse_date(Place::Header, &date)?;
        Ok(RequestSignature {
            credential: parse_credential(scheme, Place::Header, credential, region_set)?,
            signed_headers: signed_headers.into(),
            signature: signature.into(),
            token: token.map(Cow::Borrowed),
            region_set: region_set.map(Cow::Borrowed),
            date,
            signed_at,
            expires: None,
        })
    }

    fn of_query(request: &RequestView<'a>) -> Result<Self, SignatureError> {
        const PLACE: Place = Place::Query;
        let value = |name| query_value(request.query, name).filter(|value| !value.is_empty());
        let decoded = |name| value(name).map(|value| percent_decode_str(value).decode_utf8_lossy());
        let algorithm = value("X-Amz-Algorithm").unwrap_or_default();
        let scheme = Scheme::of_algorithm(algorithm);
        if scheme.is_none() && !algorithm.is_empty() {
            return Err(SignatureError::UnsupportedAlgorithm { place: PLACE, algorithm: algorithm.to_owned() });
        }
        let needed = [
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Signature",
            "X-Amz-Date",
            "X-Amz-SignedHeaders",
            "X-Amz-Expires",
        ];
        let missing = || SignatureError::MissingParameters {
            place: PLACE,
            missing: needed.into_iter().filter(|name| value(name).is_none()).collect(),
        };
        let [Some(credential), Some(signature), Some(date), Some(signed_headers), Some(expires), Some(scheme)] = [
            value("X-Amz-Credential").map(Cow::Borrowed),
            decoded("X-Amz-Signature"),
            decoded("X-Amz-Date"),
            decoded("X-Amz-SignedHeaders"),
            decoded("X-Amz-Expires"),
            scheme.map(|scheme| Cow::Borrowed(scheme.algorithm())),
        ] else {
            return Err(missing());
        };
        let (Cow::Borrowed(credential), Some(scheme)) = (credential, Scheme::of_algorithm(&scheme)) else {
            return Err(missing());
        };
        let credential = parse_credential(scheme, PLACE, credential, value("X-Amz-Region-Set"))?;
        let signed_at = parse_date(PLACE, &date)?;
        Ok(RequestSignature {
            credential,
            signed_headers,
            signature,
            token: decoded("X-Amz-Security-Token").or_else(|| decoded("X-Amz-S3session-Token")),
            region_set: decoded("X-Amz-Region-Set"),
            date,
            signed_at,
            expires: Some(parse_expires(&expires)?),
        })
    }
}

struct Parameters<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Parameters<'a> {
    fn parse(text: &'a str, authorization: &str) -> Result<Self, SignatureError> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                let (part, authorization) = (part.to_owned(), authorization.to_owned());
                return Err(SignatureError::NotKeyValue { part, authorization });
            };
            match name {
                "Credential" => credential = Some(value),
                "SignedHeaders" => signed_headers = Some(value),
                "Signature" => signature = Some(value),
                _ => {}
            }
        }
        match (credential, signed_headers, signature) {
            (Some(credential), Some(signed_headers), Some(signature)) => {
                Ok(Parameters { credential, signed_headers, signature })
            }
            _ => {
                let found = [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed_headers)];
                let missing = found.into_iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
                Err(SignatureError::IncompleteSignature { missing, authorization: authorization.to_owned() })
            }
        }
    }
}

fn parse_credential<'a>(
    scheme: Scheme,
    place: Place,
    credential: &'a str,
    region_set: Option<&'a str>,
) -> Result<CredentialScope<'a>, SignatureError> {
    let malformed = || SignatureError::MalformedCredential {
        place,
        credential: percent_decode_str(credential).decode_utf8_lossy().into_owned(),
    };
    let scope = CredentialScope::parse(scheme, place, credential, region_set).ok_or_else(malformed)?;
    if scope.access_key.is_empty() { Err(malformed()) } else { Ok(scope) }
}

/// `x-amz-date` before `date`; an HTTP date is brought to SigV4's form.
fn header_date<'a>(request: &RequestView<'a>) -> Result<Cow<'a, str>, SignatureError> {
    if let Some(date) = request.header("x-amz-date") {
        return Ok(Cow::Borrowed(date));
    }
    let date = request.header("date").ok_or(SignatureError::MissingDate)?;
    match Timestamp::parse_http_date(date) {
        Ok(point) => Ok(Cow::Owned(point.amz_date())),
        Err(_) => Ok(Cow::Borrowed(date)),
    }
}

pub(crate) fn parse_date(place: Place, date: &str) -> Result<Timestamp, SignatureError> {
    // The calendar parser would take fewer digits than the form has.
    let whole = date.len() == 16;
    whole
        .then(|| Timestamp::parse_amz_date(date).ok())
        .flatten()
        .ok_or_else(|| SignatureError::InvalidDate { place, given: date.to_owned() })
}

fn parse_expires(text: &str) -> Result<Duration, SignatureError> {
    let seconds: i64 = text.parse().map_err(|_| SignatureError::ExpiresNotANumber)?;
    let expires = Duration::from_secs(u64::try_from(seconds).map_err(|_| SignatureError::ExpiresNegative)?);
    if expires > MAX_EXPIRES { Err(SignatureError::ExpiresTooLong) } else { Ok(expires) }
}
