//! Access key ids that say their account.
//!
//! AWS's key ids are a four-letter prefix and sixteen letters of base 32 (`A-Z2-7`): 80 bits, of which bits 1 to 40 are
//! the account's number. Ours are made in the same way, so that a key's account is known without asking anybody; the
//! last 16 bits are a check over the rest, so that a foreign key, which Fractus has never issued, is not taken for one.

use fractus_aws::AccountId;
use fractus_clock::Random;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const CHECK_BITS: u32 = 16;
const ACCOUNT_SHIFT: u32 = 39;

/// A new key id of `account`: `AKIA` for a long-term key, `ASIA` for a temporary one.
pub fn issue_access_key_id(prefix: &str, account: &AccountId, random: &Random) -> String {
    let number: u64 = account.as_str().parse().unwrap_or_default();
    let unique = u128::from(random.u64()) & ((1 << (ACCOUNT_SHIFT - CHECK_BITS)) - 1);
    let body = (1 << 63) | (u128::from(number) << (ACCOUNT_SHIFT - CHECK_BITS)) | unique;
    encode(prefix, (body << CHECK_BITS) | u128::from(check(body)))
}

/// The account of a key id that [`issue_access_key_id`] made; `None` for any other text.
pub fn account_of_access_key_id(key: &str) -> Option<AccountId> {
    let letters = key.as_bytes().get(4..).filter(|letters| letters.len() == 16)?;
    let mut bits: u128 = 0;
    for letter in letters {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u128::from(value);
    }
    let body = bits >> CHECK_BITS;
    if u128::from(check(body)) != bits & ((1 << CHECK_BITS) - 1) {
        return None;
    }
    let number = (body >> (ACCOUNT_SHIFT - CHECK_BITS)) & ((1 << 40) - 1);
    AccountId::new(format!("{number:012}")).ok()
}

fn encode(prefix: &str, bits: u128) -> String {
    let mut key = String::with_capacity(20);
    key.push_str(prefix);
    for place in (0..16).rev() {
        key.push(char::from(ALPHABET[(bits >> (place * 5)) as usize & 31]));
    }
    key
}

/// FNV-1a over the eight bytes, folded; with an offset of our own.
fn check(body: u128) -> u16 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325 ^ 0x0066_7261_6374_7573;
    for byte in (body as u64).to_be_bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash ^ (hash >> 16) ^ (hash >> 32) ^ (hash >> 48)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_s_own_examples_are_not_taken_for_ours() {
        for key in ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE", "test", "", "AKIAäöü"] {
            assert_eq!(account_of_access_key_id(key), None, "{key}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_issued_key_says_its_account(number in 0u64..1_000_000_000_000, seed: u64) {
            let account = AccountId::new(format!("{number:012}")).unwrap();
            let key = issue_access_key_id("ASIA", &account, &Random::seeded(seed));
            proptest::prop_assert_eq!(key.len(), 20);
            proptest::prop_assert_eq!(account_of_access_key_id(&key), Some(account));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = account_of_access_key_id(&text);
        }
    }
}
