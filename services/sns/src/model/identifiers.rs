//! Managed data identifiers: those that a pattern and a check digit find as well as anything. The names, addresses, licences
//! and medical records that AWS finds by machine learning and by words around them are not here.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-data-protection-managed-data-identifiers.html>

use std::sync::LazyLock;

use fancy_regex::Regex;

/// A way to find one kind of data.
struct Identifier {
    name: &'static str,
    pattern: LazyLock<Option<Regex>>,
    check: fn(&str) -> bool,
}

fn always(_: &str) -> bool {
    true
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// The check digit of payment cards.
fn luhn(text: &str) -> bool {
    let digits = digits(text);
    if !(13..=19).contains(&digits.len()) {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => *digit,
            _ if *digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The check digits of international bank account numbers.
fn iban(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let Some((head, rest)) = plain.split_at_checked(4) else { return false };
    let turned = rest.chars().chain(head.chars());
    let remainder = turned.fold(0u64, |remainder, c| match c.to_digit(36) {
        Some(value) if value > 9 => (remainder * 100 + u64::from(value)) % 97,
        Some(value) => (remainder * 10 + u64::from(value)) % 97,
        None => remainder,
    });
    remainder == 1
}

/// A social security number whose parts were ever given out.
fn ssn(text: &str) -> bool {
    let digits = digits(text);
    let part = |from: usize, to: usize| digits[from..to].iter().fold(0, |number, digit| number * 10 + digit);
    digits.len() == 9 && !matches!(part(0, 3), 0 | 666 | 900..) && part(3, 5) != 0 && part(5, 9) != 0
}

fn ip(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// The check digit of vehicles, at the ninth place.
fn vehicle(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |c: char| match c {
        '0'..='9' => c.to_digit(10),
        'A'..='H' => Some(c as u32 - 'A' as u32 + 1),
        'J'..='N' => Some(c as u32 - 'J' as u32 + 1),
        'P' => Some(7),
        'R' => Some(9),
        'S'..='Z' => Some(c as u32 - 'S' as u32 + 2),
        _ => None,
    };
    let values: Option<Vec<u32>> = text.chars().map(value).collect();
    let Some(values) = values.filter(|values| values.len() == 17) else { return false };
    let sum: u32 = values.iter().zip(WEIGHTS).map(|(value, weight)| value * weight).sum();
    let expected = char::from_digit(sum % 11, 10).unwrap_or('X');
    text.chars().nth(8) == Some(expected)
}

/// A secret key has letters of both cases and digits; a plain word of forty letters has not.
fn secret_key(text: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

macro_rules! identifiers {
    ($($name:literal: $pattern:expr, $check:expr;)*) => {
        [$(Identifier { name: $name, pattern: LazyLock::new(|| Regex::new($pattern).ok()), check: $check }),*]
    };
}

static IDENTIFIERS: [Identifier; 15] = identifiers! {
    "EmailAddress": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}", always;
    "CreditCardNumber": r"(?<![\d-])(?:\d[ -]?){12,18}\d(?![\d-])", luhn;
    "IpAddress": r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})(?![\w.:])", ip;
    "Ssn-US": r"(?<![\d-])\d{3}[- ]\d{2}[- ]\d{4}(?![\d-])", ssn;
    "PhoneNumber-US": r"(?<![\d+])(?:\+?1[-. ]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4}(?!\d)", always;
    "AwsSecretKey": r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])", secret_key;
    "VehicleIdentificationNumber": r"(?<![A-Z0-9])[A-HJ-NPR-Z0-9]{17}(?![A-Z0-9])", vehicle;
    "BankAccountNumber-DE": r"(?<![A-Z0-9])DE\d{2}(?: ?\d{4}){4} ?\d{2}(?![A-Z0-9])", iban;
    "BankAccountNumber-ES": r"(?<![A-Z0-9])ES\d{2}(?: ?\d{4}){5}(?![A-Z0-9])", iban;
    "BankAccountNumber-FR": r"(?<![A-Z0-9])FR\d{2}(?: ?[A-Z0-9]{4}){5} ?[A-Z0-9]{3}(?![A-Z0-9])", iban;
    "BankAccountNumber-GB": r"(?<![A-Z0-9])GB\d{2} ?[A-Z]{4}(?: ?\d{4}){3} ?\d{2}(?![A-Z0-9])", iban;
    "BankAccountNumber-IT": r"(?<![A-Z0-9])IT\d{2} ?[A-Z]\d{3}(?: ?[A-Z0-9]{4}){4} ?[A-Z0-9]{3}(?![A-Z0-9])", iban;
    "OpenSshPrivateKey": r"-----BEGIN OPENSSH PRIVATE KEY-----[^-]*-----END OPENSSH PRIVATE KEY-----", always;
    "PgpPrivateKey": r"-----BEGIN PGP PRIVATE KEY BLOCK-----[^-]*-----END PGP PRIVATE KEY BLOCK-----", always;
    "PkcsPrivateKey": r"-----BEGIN (?:RSA |EC |DSA |ENCRYPTED )?PRIVATE KEY-----[^-]*-----END (?:RSA |EC |DSA |ENCRYPTED )?PRIVATE KEY-----", always;
};

/// Whether this kind can be found here.
pub fn is_known(name: &str) -> bool {
    IDENTIFIERS.iter().any(|one| one.name == name)
}

/// Where a text has data of this kind: byte ranges, in order, none over another.
pub fn find(name: &str, text: &str) -> Vec<(usize, usize)> {
    let Some(one) = IDENTIFIERS.iter().find(|one| one.name == name) else { return Vec::new() };
    one.pattern.as_ref().map_or_else(Vec::new, |pattern| find_by(pattern, text, one.check))
}

/// The same by any pattern. A search that would take too long finds nothing more.
pub fn find_by(pattern: &Regex, text: &str, check: fn(&str) -> bool) -> Vec<(usize, usize)> {
    let found = pattern.find_iter(text).map_while(Result::ok);
    let found = found.filter(|found| found.start() < found.end() && check(found.as_str()));
    found.map(|found| (found.start(), found.end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'t>(name: &str, text: &'t str) -> Vec<&'t str> {
        find(name, text).into_iter().map(|(start, end)| &text[start..end]).collect()
    }

    #[test]
    fn check_digits_tell_numbers_from_others() {
        assert_eq!(found("CreditCardNumber", "pay 4111 1111 1111 1111 or 4111111111111112."), ["4111 1111 1111 1111"]);
        assert_eq!(found("Ssn-US", "078-05-1120, 000-12-3456, 666-12-3456"), ["078-05-1120"]);
        assert_eq!(
            found("BankAccountNumber-DE", "DE89370400440532013000 DE89370400440532013001"),
            ["DE89370400440532013000"]
        );
        assert_eq!(found("VehicleIdentificationNumber", "1M8GDM9AXKP042788 1M8GDM9A1KP042788"), ["1M8GDM9AXKP042788"]);
    }

    #[test]
    fn texts_are_found_by_their_form() {
        assert_eq!(found("EmailAddress", "to ann@example.com, not @x or a@b"), ["ann@example.com"]);
        assert_eq!(found("IpAddress", "10.0.0.1 and 999.1.1.1 and ::1 at 12:30"), ["10.0.0.1", "::1"]);
        assert_eq!(found("PhoneNumber-US", "call (415) 555-0132"), ["(415) 555-0132"]);
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        assert_eq!(found("AwsSecretKey", &format!("key {key} of 40")), [key]);
        assert!(find("AwsSecretKey", &format!("{key}x")).is_empty(), "41 are no key");
        assert!(find("AwsSecretKey", &"a".repeat(40)).is_empty(), "a word is no key");
        assert!(find("Nonsense", "x").is_empty());
        assert!(IDENTIFIERS.iter().all(|one| one.pattern.is_some()), "every pattern is one");
    }
}
