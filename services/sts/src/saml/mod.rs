//! SAML 2.0 responses: read, verified by their signature, and judged.
//!
//! In reading order: [`tree`] reads a document within bounds, [`canonical`] writes a part of it in its one canonical
//! form, [`certificate`] takes the key out of an X.509 certificate, [`signature`] verifies, [`response`] reads what was
//! verified, and [`provider`] reads an identity provider's metadata.
//!
//! Left out: encrypted assertions (there is no key that a provider could encrypt for) and detached or inclusive
//! canonical forms. What is not understood is refused, never skipped.

pub mod canonical;
pub mod certificate;
pub mod provider;
pub mod response;
pub mod signature;
pub mod tree;

/// The namespaces of SAML and of XML signatures.
pub const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
