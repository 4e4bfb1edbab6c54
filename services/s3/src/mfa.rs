//! MFA delete: who deletes a version for good, or changes the versioning of a bucket that asks for it, shows a second factor.
//!
//! The header's form, whose device it names and who may use it are checked. Nobody in the stack keeps devices yet, so that any
//! six digits are taken for the code that the device shows.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiFactorAuthenticationDelete.html>

use fractus_bus::contracts::CredentialKind;
use fractus_host::{CallerKind, Context};

use crate::error::{Error, Result};
use crate::store::Bucket;

const HEADER: &str = "x-amz-mfa";
const CODE_DIGITS: usize = 6;
/// The bounds of a device's serial number, be it a number or an ARN.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_MFADevice.html>
const SERIAL_CHARS: std::ops::RangeInclusive<usize> = 9..=256;

/// Refuses who may not do what takes a second factor on this bucket; `header` is `x-amz-mfa`.
pub fn demand(cx: &Context, bucket: &Bucket, header: Option<&str>) -> Result<()> {
    let Some(header) = header else {
        return Err(Error::other("AccessDenied", 403, "Mfa Authentication must be used for this request"));
    };
    let serial = serial(header)?;
    check_caller(cx.caller.kind, cx.caller.account.as_str() == bucket.account)?;
    if !is_device_of(serial, &bucket.account) { Err(Error::AccessDenied) } else { Ok(()) }
}

/// What a delete asks for: a second factor where a version goes for good.
pub fn check_deletion(cx: &Context, bucket: &Bucket, version_id: Option<&str>, header: Option<&str>) -> Result<()> {
    if version_id.is_some() && bucket.settings.mfa_delete == Some(true) { demand(cx, bucket, header) } else { Ok(()) }
}

/// Nobody shows a factor for what a lifecycle deletes, so that a bucket has one or the other. AWS's words for it are not
/// published.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html>
pub fn no_lifecycle() -> Error {
    let message = "Lifecycle configuration on a bucket with MFA delete enabled is not supported.";
    Error::other("InvalidBucketState", 409, message)
}

/// The serial number, which stands before the code.
fn serial(header: &str) -> Result<&str> {
    let well_formed = header.split_once(' ').filter(|(serial, code)| {
        let is_code = code.len() == CODE_DIGITS && code.bytes().all(|byte| byte.is_ascii_digit());
        is_code && SERIAL_CHARS.contains(&serial.len())
    });
    let message = "Mfa header is invalid -- the header should be formatted as {serialNumber}(space){tokenCode}";
    well_formed.map(|(serial, _)| serial).ok_or_else(|| Error::invalid_argument(HEADER, header, message))
}

/// The bucket's account itself, with keys that last.
fn check_caller(kind: CallerKind, is_owner: bool) -> Result<()> {
    match kind {
        CallerKind::Root | CallerKind::Known(CredentialKind::Root) if is_owner => Ok(()),
        CallerKind::Known(CredentialKind::AssumedRole | CredentialKind::FederatedUser | CredentialKind::Session) => {
            Err(Error::invalid_request("DevPay and Mfa are mutually exclusive authorization methods."))
        }
        _ => Err(Error::other("AccessDenied", 403, "This operation may only be performed by the bucket owner")),
    }
}

/// `arn:aws:iam::ACCOUNT:mfa/NAME`, or the number on a device, which says nothing of whose it is.
fn is_device_of(serial: &str, account: &str) -> bool {
    match serial.strip_prefix("arn:").map(|arn| arn.split(':').collect::<Vec<_>>()) {
        None => serial.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        Some(parts) => {
            matches!(&parts[..], [_, "iam", "", owner, device] if *owner == account && device.starts_with("mfa/"))
        }
    }
}

#[cfg(test)]
mod tests {
    use fractus_wire::Failure;

    use super::*;

    #[test]
    fn the_header_has_a_serial_number_and_a_code() {
        assert_eq!(serial("20899872x 301749").unwrap(), "20899872x");
        assert_eq!(serial("arn:aws:iam::000000000000:mfa/root 000000").unwrap(), "arn:aws:iam::000000000000:mfa/root");
        for odd in ["", "301749", "20899872x 30174", "20899872x 30174a", "20899872x  301749", "short 301749"] {
            let failure: Failure = serial(odd).unwrap_err().into();
            assert_eq!((failure.code.as_ref(), failure.status), ("InvalidArgument", 400), "{odd}");
        }
    }

    #[test]
    fn a_device_is_its_accounts() {
        assert!(is_device_of("arn:aws:iam::000000000000:mfa/root-account-mfa-device", "000000000000"));
        assert!(is_device_of("20899872x", "000000000000"));
        assert!(!is_device_of("arn:aws:iam::111122223333:mfa/root", "000000000000"));
        assert!(!is_device_of("arn:aws:iam::000000000000:user/root", "000000000000"));
    }

    #[test]
    fn the_owner_alone_shows_a_device() {
        let told = |kind, is_owner| match check_caller(kind, is_owner) {
            Ok(()) => "taken".to_owned(),
            Err(error) => Failure::from(error).code.into_owned(),
        };
        assert_eq!(told(CallerKind::Root, true), "taken");
        assert_eq!(told(CallerKind::Root, false), "AccessDenied");
        assert_eq!(told(CallerKind::Anonymous, true), "AccessDenied");
        assert_eq!(told(CallerKind::Known(CredentialKind::Root), true), "taken");
        assert_eq!(told(CallerKind::Known(CredentialKind::User), true), "AccessDenied");
        assert_eq!(told(CallerKind::Known(CredentialKind::AssumedRole), true), "InvalidRequest");
    }
}
