//! A response of an identity provider: verified, then read and judged.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html>

use fractus_clock::Timestamp;

use super::provider::SamlProvider;
use super::tree::{ElementId, Tree};
use super::{ASSERTION, PROTOCOL, SIGNATURE, signature};
use crate::error::{Error, Result};

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const NAME_ID_FORMATS: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:";

/// What the verified assertion says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamlAssertion {
    pub issuer: String,
    pub subject: String,
    /// The format of the subject's name, without SAML's own prefix.
    pub subject_type: String,
    /// Where it was sent.
    pub recipient: String,
    /// The latest time for a session to end that the provider gives.
    pub session_not_on_or_after: Option<Timestamp>,
    attributes: Vec<(String, Vec<String>)>,
}

fn invalid(message: &str) -> Error {
    Error::InvalidIdentityToken(message.to_owned())
}

/// Verifies the response with the provider's keys; the assertion in it.
pub fn read(text: &str, provider: &SamlProvider, now: Timestamp) -> Result<SamlAssertion> {
    let tree = Tree::parse(text).map_err(|error| {
        tracing::debug!(%error, "a SAML response cannot be read");
        invalid("Invalid SAML response")
    })?;
    let assertion = verified(&tree, provider)?;
    check_status(&tree)?;
    let issuer = tree.child(assertion, ASSERTION, "Issuer").map(|issuer| tree.text(issuer)).unwrap_or_default();
    if provider.entity_id.as_ref().is_some_and(|known| *known != issuer) {
        return Err(invalid("Issuer not present in specified provider"));
    }
    check_conditions(&tree, assertion, now)?;
    let subject = tree.child(assertion, ASSERTION, "Subject").ok_or_else(|| invalid("Invalid SAML response"))?;
    let name = tree.child(subject, ASSERTION, "NameID").ok_or_else(|| invalid("Invalid SAML response"))?;
    let format = tree.attribute(name, "Format").unwrap_or("urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified");
    Ok(SamlAssertion {
        issuer,
        subject: tree.text(name),
        subject_type: format.strip_prefix(NAME_ID_FORMATS).unwrap_or(format).to_owned(),
        recipient: recipient(&tree, subject, now)?,
        session_not_on_or_after: tree
            .children(assertion, ASSERTION, "AuthnStatement")
            .filter_map(|statement| time(&tree, statement, "SessionNotOnOrAfter"))
            .min(),
        attributes: attributes(&tree, assertion),
    })
}

/// The one assertion of the response, if it or the response around it is signed, and nothing is signed wrongly.
fn verified(tree: &Tree, provider: &SamlProvider) -> Result<ElementId> {
    let refused = |error: signature::SignatureError| {
        tracing::debug!(%error, "a SAML response is not signed as it must be");
        invalid("Response signature invalid")
    };
    let root = tree.root();
    if !tree.get(root).is(PROTOCOL, "Response") {
        return Err(invalid("Invalid SAML response"));
    }
    signature::check_ids(tree).map_err(refused)?;
    let mut everywhere = tree.ids().filter(|id| tree.get(*id).is(ASSERTION, "Assertion"));
    let assertion = match (everywhere.next(), everywhere.next()) {
        (Some(only), None) if tree.get(only).parent == Some(root) => only,
        _ => return Err(invalid("Response must contain exactly one assertion")),
    };
    let mut signatures = 0;
    for signed in [root, assertion] {
        if let Some(found) = signature::of(tree, signed).map_err(refused)? {
            signature::verify(tree, signed, found, &provider.keys).map_err(refused)?;
            signatures += 1;
        }
    }
    let all = tree.ids().filter(|id| tree.get(*id).is(SIGNATURE, "Signature")).count();
    if signatures == 0 || all != signatures {
        return Err(invalid("Response signature invalid"));
    }
    Ok(assertion)
}

fn check_status(tree: &Tree) -> Result<()> {
    let status = tree.child(tree.root(), PROTOCOL, "Status");
    let code = status.and_then(|status| tree.child(status, PROTOCOL, "StatusCode"));
    match code.and_then(|code| tree.attribute(code, "Value")) {
        Some(SUCCESS) => Ok(()),
        Some(other) => Err(Error::IdpRejectedClaim(format!("The identity provider answered {other}"))),
        None => Err(invalid("Invalid SAML response")),
    }
}

/// A time of the document; one that is there but cannot be read must not count as absent.
fn time(tree: &Tree, of: ElementId, name: &str) -> Option<Timestamp> {
    let text = tree.attribute(of, name)?;
    Some(Timestamp::parse_date_time(text).unwrap_or(Timestamp::EPOCH))
}

fn check_window(tree: &Tree, of: ElementId, now: Timestamp) -> Result<()> {
    let early = tree.attribute(of, "NotBefore").is_some_and(|text| {
        Timestamp::parse_date_time(text).map_or(true, |begins| begins > now.plus(std::time::Duration::from_secs(300)))
    });
    if early {
        return Err(invalid("The assertion is not valid yet"));
    }
    match time(tree, of, "NotOnOrAfter") {
        Some(ends) if now >= ends => {
            Err(Error::ExpiredToken("Token must be redeemed within 5 minutes of issuance".into()))
        }
        _ => Ok(()),
    }
}

fn check_conditions(tree: &Tree, assertion: ElementId, now: Timestamp) -> Result<()> {
    let Some(conditions) = tree.child(assertion, ASSERTION, "Conditions") else { return Ok(()) };
    check_window(tree, conditions, now)?;
    for restriction in tree.children(conditions, ASSERTION, "AudienceRestriction") {
        let mut audiences = tree.children(restriction, ASSERTION, "Audience").map(|audience| tree.text(audience));
        if !audiences.any(|audience| is_aws(&audience)) {
            return Err(invalid("Response does not contain the required audience."));
        }
    }
    Ok(())
}

/// `urn:amazon:webservices` and its regional forms, and the addresses of AWS's sign-in pages.
fn is_aws(audience: &str) -> bool {
    let urn = audience.strip_prefix("urn:amazon:webservices");
    urn.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) || is_sign_in(audience)
}

/// `https://signin.aws.amazon.com/saml`, `https://eu-west-1.signin.aws.amazon.com/saml` and those of other partitions.
fn is_sign_in(url: &str) -> bool {
    let Some((host, path)) = url.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else { return false };
    let known = ["signin.aws.amazon.com", "signin.amazonaws.cn", "signin.amazonaws-us-gov.com"];
    let is_known =
        known.iter().any(|known| host == *known || host.strip_suffix(known).is_some_and(|r| r.ends_with('.')));
    is_known && (path == "saml" || path.starts_with("saml/"))
}

/// The recipient of a confirmation that a bearer may use now.
fn recipient(tree: &Tree, subject: ElementId, now: Timestamp) -> Result<String> {
    let mut refused = invalid("SubjectConfirmation is required in AuthnResponse");
    for confirmation in tree.children(subject, ASSERTION, "SubjectConfirmation") {
        let data = tree.child(confirmation, ASSERTION, "SubjectConfirmationData");
        let (Some(data), Some(BEARER)) = (data, tree.attribute(confirmation, "Method")) else { continue };
        if tree.attribute(data, "NotOnOrAfter").is_none() {
            continue;
        }
        let recipient = tree.attribute(data, "Recipient").unwrap_or_default();
        match check_window(tree, data, now) {
            Ok(()) if is_sign_in(recipient) => return Ok(recipient.to_owned()),
            Ok(()) => refused = invalid("The recipient of the response is not AWS's sign-in endpoint"),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn attributes(tree: &Tree, assertion: ElementId) -> Vec<(String, Vec<String>)> {
    let statements = tree.children(assertion, ASSERTION, "AttributeStatement");
    let attributes = statements.flat_map(|statement| tree.children(statement, ASSERTION, "Attribute"));
    let read = |attribute: ElementId| {
        let values = tree.children(attribute, ASSERTION, "AttributeValue").map(|value| tree.text(value));
        (tree.attribute(attribute, "Name").unwrap_or_default().to_owned(), values.collect())
    };
    attributes.map(read).collect()
}

impl SamlAssertion {
    /// The values of an attribute.
    pub fn values(&self, name: &str) -> &[String] {
        self.attributes.iter().find(|(known, _)| known == name).map_or(&[], |(_, values)| values.as_slice())
    }

    pub fn first(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }

    /// The attributes whose names begin with `prefix`, by the rest of their names.
    pub fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [String])> {
        let rest =
            move |(name, values): &'a (String, Vec<String>)| Some((name.strip_prefix(prefix)?, values.as_slice()));
        self.attributes.iter().filter_map(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_aws_s_own_addresses_are_audiences() {
        for audience in [
            "urn:amazon:webservices",
            "urn:amazon:webservices:cn-north-1",
            "https://signin.aws.amazon.com/saml",
            "https://eu-west-1.signin.aws.amazon.com/saml",
        ] {
            assert!(is_aws(audience), "{audience}");
        }
        for audience in [
            "",
            "urn:amazon:webservicesX",
            "https://evilsignin.aws.amazon.com/saml",
            "https://signin.aws.amazon.com.evil.org/saml",
            "http://signin.aws.amazon.com/saml",
        ] {
            assert!(!is_aws(audience), "{audience}");
        }
    }
}
