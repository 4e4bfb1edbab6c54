//! The public key of an X.509 certificate. Only the key counts: that the certificate is the provider's is said by the
//! metadata it came with, so neither its dates nor its signature are looked at (as AWS does).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A public key, as `ring` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// A DER `RSAPublicKey`.
    Rsa(Vec<u8>),
    /// Uncompressed points.
    P256(Vec<u8>),
    P384(Vec<u8>),
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
const VERSION: u8 = 0xa0;

/// The certificate's key, from base64 with or without PEM's lines around it.
pub fn key_of_text(text: &str) -> Option<PublicKey> {
    let body: String = text.lines().filter(|line| !line.trim_start().starts_with("-----")).collect();
    let body: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    key_of(&STANDARD.decode(body).ok()?)
}

/// The certificate's key, from DER.
pub fn key_of(der: &[u8]) -> Option<PublicKey> {
    let mut outer = Der(der);
    let mut certificate = Der(outer.take(SEQUENCE)?);
    let mut signed = Der(certificate.take(SEQUENCE)?);
    if signed.tag() == Some(VERSION) {
        signed.take(VERSION)?;
    }
    signed.take(INTEGER)?;
    // The signature's algorithm, the issuer, the dates, the subject.
    for _ in 0..4 {
        signed.take(SEQUENCE)?;
    }
    let mut info = Der(signed.take(SEQUENCE)?);
    let mut algorithm = Der(info.take(SEQUENCE)?);
    let (unused_bits, key) = info.take(BIT_STRING)?.split_first()?;
    if *unused_bits != 0 {
        return None;
    }
    let key = key.to_vec();
    match algorithm.take(OBJECT_ID)? {
        RSA => Some(PublicKey::Rsa(key)),
        EC => match algorithm.take(OBJECT_ID)? {
            P256 => Some(PublicKey::P256(key)),
            P384 => Some(PublicKey::P384(key)),
            _ => None,
        },
        _ => None,
    }
}

/// Values in DER, one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The content of the next value, which must have this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        if *found != tag {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["idp.example.com".into()]).unwrap();
        let certificate = certificate.self_signed(&pair).unwrap();
        let expected = PublicKey::P256(pair.public_key_raw().to_vec());
        assert_eq!(key_of(certificate.der()), Some(expected.clone()));
        assert_eq!(key_of_text(&certificate.pem()), Some(expected));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), cut in 0usize..400) {
            let _ = key_of(&bytes);
            let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
            let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&pair).unwrap();
            let der = certificate.der();
            let _ = key_of(&der[..cut.min(der.len())]);
        }
    }
}
