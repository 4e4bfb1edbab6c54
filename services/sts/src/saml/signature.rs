//! XML signatures as SAML uses them: one enveloped signature over the element that holds it.
//! <https://www.w3.org/TR/xmldsig-core1/>, and SAML core, section 5.4.
//!
//! Against signature wrapping: an id stands once, a signature signs its own parent and nothing else, no signature
//! stands anywhere else, and only the very element that was verified is read afterwards.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{self, Algorithm as DigestAlgorithm};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use std::collections::HashSet;

use super::SIGNATURE;
use super::canonical::Canonical;
use super::certificate::PublicKey;
use super::tree::{ElementId, Tree};

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// Why nothing is signed as it must be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signed element has no id, or one that stands twice")]
    Id,
    #[error("a signature does not sign the element that holds it")]
    Misplaced,
    #[error("{0} is missing or stands twice")]
    Missing(&'static str),
    #[error("the algorithm {0:?} is not taken")]
    Algorithm(String),
    #[error("the digest is another")]
    Digest,
    #[error("no key of the provider has made the signature")]
    Signature,
}

type Result<T> = std::result::Result<T, SignatureError>;

/// The signature that an element holds, if it holds one.
pub fn of(tree: &Tree, signed: ElementId) -> Result<Option<ElementId>> {
    let mut found = tree.children(signed, SIGNATURE, "Signature");
    match (found.next(), found.next()) {
        (signature, None) => Ok(signature),
        _ => Err(SignatureError::Misplaced),
    }
}

/// Refuses ids that stand twice: whoever looks one up must find what was verified.
pub fn check_ids(tree: &Tree) -> Result<()> {
    let mut seen = HashSet::new();
    let mut ids = tree.ids().flat_map(|id| ["ID", "Id", "id"].map(|name| tree.attribute(id, name))).flatten();
    if ids.all(|id| seen.insert(id)) { Ok(()) } else { Err(SignatureError::Id) }
}

/// Verifies the signature of `signed`, which it holds, by any of the provider's keys.
pub fn verify(tree: &Tree, signed: ElementId, signature: ElementId, keys: &[PublicKey]) -> Result<()> {
    let one = |of: ElementId, name: &'static str| {
        let mut found = tree.children(of, SIGNATURE, name);
        match (found.next(), found.next()) {
            (Some(found), None) => Ok(found),
            _ => Err(SignatureError::Missing(name)),
        }
    };
    let info = one(signature, "SignedInfo")?;
    let reference = one(info, "Reference")?;
    let id = tree.attribute(signed, "ID").filter(|id| !id.is_empty()).ok_or(SignatureError::Id)?;
    if tree.attribute(reference, "URI").and_then(|uri| uri.strip_prefix('#')) != Some(id) {
        return Err(SignatureError::Misplaced);
    }
    // What was signed is what is read.
    let inclusive_prefixes = transforms(tree, one(reference, "Transforms")?)?;
    let canonical = Canonical { tree, without: Some(signature), inclusive_prefixes }.write(signed);
    let algorithm = digest_algorithm(attribute_of(tree, one(reference, "DigestMethod")?))?;
    let expected = decode(&tree.text(one(reference, "DigestValue")?)).ok_or(SignatureError::Digest)?;
    if digest::digest(algorithm, canonical.as_bytes()).as_ref() != expected {
        return Err(SignatureError::Digest);
    }
    let method = one(info, "CanonicalizationMethod")?;
    if attribute_of(tree, method) != EXCLUSIVE {
        return Err(SignatureError::Algorithm(attribute_of(tree, method).to_owned()));
    }
    let canonical = Canonical { tree, without: None, inclusive_prefixes: prefix_list(tree, method) }.write(info);
    let method = attribute_of(tree, one(info, "SignatureMethod")?);
    let value = decode(&tree.text(one(signature, "SignatureValue")?)).ok_or(SignatureError::Signature)?;
    let mut made = false;
    for key in keys {
        made |= is_made_by(key, method, canonical.as_bytes(), &value)?;
    }
    if made { Ok(()) } else { Err(SignatureError::Signature) }
}

fn attribute_of(tree: &Tree, method: ElementId) -> &str {
    tree.attribute(method, "Algorithm").unwrap_or_default()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let packed: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).ok()
}

/// Exactly the two transforms that SAML allows, in their order; the prefixes of the second.
fn transforms(tree: &Tree, transforms: ElementId) -> Result<Vec<String>> {
    let all: Vec<ElementId> = tree.children(transforms, SIGNATURE, "Transform").collect();
    let unknown = |transform: ElementId| SignatureError::Algorithm(attribute_of(tree, transform).to_owned());
    match all.as_slice() {
        [enveloped, exclusive] => {
            if attribute_of(tree, *enveloped) != ENVELOPED {
                return Err(unknown(*enveloped));
            }
            if attribute_of(tree, *exclusive) != EXCLUSIVE {
                return Err(unknown(*exclusive));
            }
            Ok(prefix_list(tree, *exclusive))
        }
        _ => Err(SignatureError::Missing("Transform")),
    }
}

fn prefix_list(tree: &Tree, method: ElementId) -> Vec<String> {
    let list = tree.child(method, EXCLUSIVE, "InclusiveNamespaces").and_then(|list| tree.attribute(list, "PrefixList"));
    list.unwrap_or_default().split_ascii_whitespace().take(64).map(str::to_owned).collect()
}

fn digest_algorithm(name: &str) -> Result<&'static DigestAlgorithm> {
    match name {
        "http://www.w3.org/2000/09/xmldsig#sha1" => Ok(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        "http://www.w3.org/2001/04/xmlenc#sha256" => Ok(&digest::SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Ok(&digest::SHA384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Ok(&digest::SHA512),
        other => Err(SignatureError::Algorithm(other.to_owned())),
    }
}

fn is_made_by(key: &PublicKey, method: &str, message: &[u8], value: &[u8]) -> Result<bool> {
    let verifies = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
        UnparsedPublicKey::new(algorithm, key).verify(message, value).is_ok()
    };
    let unknown = || SignatureError::Algorithm(method.to_owned());
    let name = method.rsplit_once('#').map_or("", |(_, name)| name);
    let known = ["http://www.w3.org/2000/09/xmldsig", "http://www.w3.org/2001/04/xmldsig-more"];
    if !known.iter().any(|start| method.strip_prefix(start).is_some_and(|rest| rest.starts_with('#'))) {
        return Err(unknown());
    }
    Ok(match (name, key) {
        ("rsa-sha1", PublicKey::Rsa(key)) => verifies(&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key),
        ("rsa-sha256", PublicKey::Rsa(key)) => verifies(&signature::RSA_PKCS1_2048_8192_SHA256, key),
        ("rsa-sha384", PublicKey::Rsa(key)) => verifies(&signature::RSA_PKCS1_2048_8192_SHA384, key),
        ("rsa-sha512", PublicKey::Rsa(key)) => verifies(&signature::RSA_PKCS1_2048_8192_SHA512, key),
        ("ecdsa-sha256", PublicKey::P256(point)) => verifies(&signature::ECDSA_P256_SHA256_FIXED, point),
        ("ecdsa-sha384", PublicKey::P384(point)) => verifies(&signature::ECDSA_P384_SHA384_FIXED, point),
        ("rsa-sha1" | "rsa-sha256" | "rsa-sha384" | "rsa-sha512" | "ecdsa-sha256" | "ecdsa-sha384", _) => false,
        _ => return Err(unknown()),
    })
}
