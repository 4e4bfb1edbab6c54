//! The rules of SMS: an account's settings, prices, and what a number may be.
//!
//! <https://docs.aws.amazon.com/sns/latest/api/API_SetSMSAttributes.html>

use fractus_clock::Timestamp;

use crate::error::{Error, Result};
use crate::store::{Attributes, Message, SmsSettings};

/// The price of a part of an SMS in the United States, in millionths of a dollar; the only one that is modelled.
/// <https://aws.amazon.com/sns/sms-pricing/>
const PRICE_MICROS: u64 = 6_450;
/// A publish sends no more.
const MAX_CHARS: usize = 1_600;

const KNOWN: [&str; 6] = [
    "MonthlySpendLimit",
    "DeliveryStatusIAMRole",
    "DeliveryStatusSuccessSamplingRate",
    "DefaultSenderID",
    "DefaultSMSType",
    "UsageReportS3Bucket",
];

/// Checks settings as SetSMSAttributes is given them.
pub fn check_settings(attributes: &Attributes) -> Result<()> {
    for (name, value) in attributes {
        if !KNOWN.contains(&name.as_str()) {
            return Err(Error::invalid(format!("{name} is not a valid attribute")));
        }
        let good = value.is_empty()
            || match name.as_str() {
                "MonthlySpendLimit" => value.parse::<u64>().is_ok(),
                "DeliveryStatusSuccessSamplingRate" => value.parse::<u8>().is_ok_and(|rate| rate <= 100),
                "DefaultSenderID" => is_sender_id(value),
                "DefaultSMSType" => matches!(value.as_str(), "Promotional" | "Transactional"),
                "DeliveryStatusIAMRole" => value.starts_with("arn:") && value.contains(":role/"),
                _ => value.len() <= 63,
            };
        if !good {
            return Err(Error::invalid(name));
        }
    }
    Ok(())
}

/// One to eleven letters and digits, at least one of them a letter.
fn is_sender_id(text: &str) -> bool {
    (1..=11).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Checks the attributes of a message that SMS gives a meaning to, and its length.
pub fn check_message(message: &Message) -> Result<()> {
    let value = |name: &str| message.attributes.get(name).and_then(|value| value.string.as_deref());
    if value("AWS.SNS.SMS.SenderID").is_some_and(|id| !is_sender_id(id)) {
        return Err(Error::invalid_because("SenderID", "The sender ID is invalid"));
    }
    if value("AWS.SNS.SMS.SMSType").is_some_and(|kind| !matches!(kind, "Promotional" | "Transactional")) {
        return Err(Error::invalid_because("SMSType", "Must be Promotional or Transactional"));
    }
    if message.text.chars().count() > MAX_CHARS {
        return Err(Error::invalid("Message too long"));
    }
    Ok(())
}

/// The number that a message is to come from has to be one of the account's own, where those are known.
/// <https://docs.aws.amazon.com/sns/latest/dg/sms_publish-to-phone.html>
pub fn check_origination(message: &Message, own: &[&str]) -> Result<()> {
    const NAME: &str = "AWS.MM.SMS.OriginationNumber";
    let Some(number) = message.attributes.get(NAME).and_then(|value| value.string.as_deref()) else { return Ok(()) };
    let digits = number.strip_prefix('+').unwrap_or(number);
    let is_number = (5..=14).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_own = own.is_empty() || own.iter().any(|own| own.strip_prefix('+').unwrap_or(own) == digits);
    if is_number && is_own {
        return Ok(());
    }
    Err(Error::invalid_because(NAME, format!("{number} is no origination number of this account")))
}

/// How many parts a text is sent in: 160 characters of the basic alphabet or 70 others, a little less where several have
/// to be joined.
pub fn parts(text: &str) -> u64 {
    let count = text.chars().count();
    let (alone, joined) = if text.is_ascii() { (160, 153) } else { (70, 67) };
    if count <= alone { 1 } else { count.div_ceil(joined) as u64 }
}

/// Takes the price of a text from what may be spent this month; false where that is not enough. A limit holds only where
/// somebody has set one.
pub fn spend(settings: &mut SmsSettings, text: &str, now: Timestamp) -> bool {
    let month = now.date_time().get(..7).unwrap_or_default().to_owned();
    if settings.month != month {
        settings.month = month;
        settings.spent_micros = 0;
    }
    let price = parts(text) * PRICE_MICROS;
    let limit = settings.attributes.get("MonthlySpendLimit").and_then(|limit| limit.parse::<u64>().ok());
    if limit.is_some_and(|dollars| settings.spent_micros + price > dollars.saturating_mul(1_000_000)) {
        return false;
    }
    settings.spent_micros += price;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_sent_in_parts() {
        let counts = [("a".repeat(160), 1), ("a".repeat(161), 2), ("ä".repeat(70), 1), ("ä".repeat(71), 2)];
        for (text, expected) in counts {
            assert_eq!(parts(&text), expected);
        }
    }

    #[test]
    fn a_limit_holds_until_the_month_ends() {
        let mut settings = SmsSettings::default();
        assert!(spend(&mut settings, "x", Timestamp::EPOCH));
        settings.attributes.insert("MonthlySpendLimit".into(), "0".into());
        assert!(!spend(&mut settings, "x", Timestamp::EPOCH));
        settings.attributes.insert("MonthlySpendLimit".into(), "1".into());
        let sent = (0..1_000).filter(|_| spend(&mut settings, "x", Timestamp::EPOCH)).count();
        assert_eq!(sent, 154);
        assert!(spend(&mut settings, "x", Timestamp::from_secs(40 * 86_400)));
    }

    #[test]
    fn settings_are_checked() {
        let check = |name: &str, value: &str| check_settings(&[(name.to_owned(), value.to_owned())].into());
        check("DefaultSMSType", "Transactional").unwrap();
        check("DefaultSenderID", "Fractus1").unwrap();
        for (name, value) in [
            ("Nonsense", "x"),
            ("MonthlySpendLimit", "-1"),
            ("DefaultSenderID", "12345"),
            ("DefaultSMSType", "Loud"),
            ("DeliveryStatusSuccessSamplingRate", "101"),
        ] {
            assert!(check(name, value).is_err(), "{name}");
        }
    }
}
