//! SigV4A: one signature for several regions, by ECDSA on P-256.
//!
//! The key pair is derived from the secret by the KDF in counter mode of NIST SP 800-108, as AWS publishes it in
//! <https://github.com/awslabs/aws-c-auth> and the signing examples of
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>.

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};

use crate::crypto::hmac;

/// The order of P-256, less two.
const ORDER_MINUS_TWO: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f,
];

/// Chunk signatures are padded to this length, so that a body's length is known before it is signed.
pub(crate) const PADDED_LENGTH: usize = 144;

/// The private key of an access key; `None` only if 254 attempts all fail, which no known secret reaches.
pub(crate) fn signing_key(access_key: &str, secret: &str) -> Option<SigningKey> {
    let mut seed = b"AWS4A".to_vec();
    seed.extend_from_slice(secret.as_bytes());
    for counter in 1..=254u8 {
        let mut input = vec![0, 0, 0, 1];
        input.extend_from_slice(b"AWS4-ECDSA-P256-SHA256\0");
        input.extend_from_slice(access_key.as_bytes());
        input.push(counter);
        input.extend_from_slice(&[0, 0, 1, 0]);
        let mut candidate = hmac(&seed, &input);
        if candidate <= ORDER_MINUS_TWO {
            add_one(&mut candidate);
            return SigningKey::from_slice(&candidate).ok();
        }
    }
    None
}

fn add_one(number: &mut [u8; 32]) {
    for digit in number.iter_mut().rev() {
        let (sum, carry) = digit.overflowing_add(1);
        *digit = sum;
        if !carry {
            return;
        }
    }
}

/// The signature, DER in hexadecimal.
pub(crate) fn sign(key: &SigningKey, string_to_sign: &[u8]) -> String {
    let signature: DerSignature = key.sign(string_to_sign);
    hex::encode(signature.as_bytes())
}

/// Takes the padding that chunk signatures carry.
pub(crate) fn trim_padding(signature: &str) -> &str {
    signature.trim_end_matches('*')
}

pub(crate) fn verify(key: &VerifyingKey, string_to_sign: &[u8], signature: &str) -> bool {
    let signature = hex::decode(signature).ok().and_then(|der| DerSignature::from_bytes(&der).ok());
    signature.is_some_and(|signature| key.verify(string_to_sign, &signature).is_ok())
}

/// Whether an entry of `X-Amz-Region-Set` (`us-east-1`, `us-*`, `*`) covers a region.
pub(crate) fn region_matches(pattern: &str, region: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == region,
        Some((start, end)) => {
            region.len() >= start.len() + end.len() && region.starts_with(start) && region.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_the_key_pair_of_awss_test_vector() {
        let key = signing_key("AKISORANDOMAASORANDOM", "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom").unwrap();
        assert_eq!(hex::encode(key.to_bytes()), "7fd3bd010c0d9c292141c2b77bfbde1042c92e6836fff749d1269ec890fca1bd");
        let public = hex::encode(key.verifying_key().to_sec1_point(false).as_bytes());
        let x = "15d242ceebf8d8169fd6a8b5a746c41140414c3b07579038da06af89190fffcb";
        let y = "0515242cedd82e94799482e4c0514b505afccf2c0c98d6a553bf539f424c5ec0";
        assert_eq!(public, format!("04{x}{y}"));
    }

    #[test]
    fn signs_and_verifies() {
        let key = signing_key("AK", "secret").unwrap();
        let signature = sign(&key, b"text");
        assert!(verify(key.verifying_key(), b"text", &signature));
        assert!(!verify(key.verifying_key(), b"texT", &signature));
        assert!(!verify(key.verifying_key(), b"text", "00"));
    }

    #[test]
    fn region_sets() {
        assert!(region_matches("*", "us-east-1"));
        assert!(region_matches("us-*", "us-east-1"));
        assert!(!region_matches("us-*", "eu-west-1"));
        assert!(!region_matches("us-east-1", "us-east-2"));
    }
}
