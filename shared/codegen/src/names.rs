//! Rust identifiers from AWS's names.
//!
//! Members are snake case as in the AWS SDK for Rust (`SSEKMSKeyId` becomes `ssekms_key_id`), so that what people know
//! from there fits. Types keep the model's own names.

/// Words that are one word however they are cased.
const WHOLE_WORDS: [&str; 7] = ["ipv4", "ipv6", "sigv4", "mib", "gib", "kib", "ttl"];

const KEYWORDS: [&str; 47] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while",
];

/// Keywords that cannot be raw identifiers.
const NEVER_RAW: [&str; 5] = ["self", "Self", "super", "crate", "_"];

/// Splits a name where a word begins: at a capital after a small letter or digit, at the last capital of a run that a
/// small letter follows, and at what is neither letter nor digit.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    let mut at = 0;
    while at < chars.len() {
        if let Some(whole) = whole_word(&chars, at, &word) {
            flush(&mut words, &mut word);
            words.push(whole.to_owned());
            at += whole.len();
            continue;
        }
        let next = chars[at];
        if !next.is_ascii_alphanumeric() {
            flush(&mut words, &mut word);
        } else {
            if begins_word(&chars, at, &word) {
                flush(&mut words, &mut word);
            }
            word.push(next.to_ascii_lowercase());
        }
        at += 1;
    }
    flush(&mut words, &mut word);
    words
}

fn flush(words: &mut Vec<String>, word: &mut String) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

fn whole_word(chars: &[char], at: usize, word: &str) -> Option<&'static str> {
    let after_capitals = at > 0 && chars[at - 1].is_ascii_uppercase() && !word.is_empty();
    if after_capitals || !chars[at].is_ascii_uppercase() {
        return None;
    }
    WHOLE_WORDS.into_iter().find(|whole| {
        let end = at + whole.len();
        chars.len() >= end
            && chars[at..end].iter().zip(whole.chars()).all(|(c, w)| c.to_ascii_lowercase() == w)
            && chars.get(end).is_none_or(|next| !next.is_ascii_lowercase())
    })
}

fn begins_word(chars: &[char], at: usize, word: &str) -> bool {
    if word.is_empty() || !chars[at].is_ascii_uppercase() {
        return false;
    }
    let before = chars[at - 1];
    if before.is_ascii_lowercase() || before.is_ascii_digit() {
        return true;
    }
    let Some(after) = chars.get(at + 1) else { return false };
    // `ACLs` and `ARNsOf` are plurals of an acronym.
    let plural = *after == 's' && chars.get(at + 2).is_none_or(|next| !next.is_ascii_lowercase());
    before.is_ascii_uppercase() && after.is_ascii_lowercase() && !plural
}

/// A member's field: `MD5OfMessageBody` is `md5_of_message_body`, `Type` is `r#type`.
pub fn field(name: &str) -> String {
    escaped(words(name).join("_"))
}

/// A variant of an enum: `aws:kms` is `AwsKms`, `2012-10-17` is `_20121017`.
pub fn variant(value: &str) -> String {
    let joined: String = words(value).iter().map(|word| capitalised(word)).collect();
    match joined.chars().next() {
        None => "Empty".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{joined}"),
        Some(_) => escaped(joined),
    }
}

/// A type: the model's name, beginning with a capital.
pub fn type_name(name: &str) -> String {
    capitalised(&name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

fn escaped(name: String) -> String {
    if NEVER_RAW.contains(&name.as_str()) {
        format!("{name}_")
    } else if KEYWORDS.contains(&name.as_str()) {
        format!("r#{name}")
    } else if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_as_in_the_aws_sdk_for_rust() {
        let cases = [
            ("QueueUrl", "queue_url"),
            ("SSEKMSKeyId", "ssekms_key_id"),
            ("SSECustomerKeyMD5", "sse_customer_key_md5"),
            ("MD5OfMessageBody", "md5_of_message_body"),
            ("ChecksumCRC64NVME", "checksum_crc64_nvme"),
            ("ChecksumCRC32C", "checksum_crc32_c"),
            ("ETag", "e_tag"),
            ("ACL", "acl"),
            ("ACLs", "acls"),
            ("IsTruncated", "is_truncated"),
            ("Ipv6CidrBlock", "ipv6_cidr_block"),
            ("IPv6Address", "ipv6_address"),
            ("DNSName", "dns_name"),
            ("type", "r#type"),
            ("Self", "self_"),
            ("x-amz-key", "x_amz_key"),
            ("S3Key", "s3_key"),
            ("EC2InstanceId", "ec2_instance_id"),
            ("httpMethod", "http_method"),
            ("BypassGovernanceRetention", "bypass_governance_retention"),
        ];
        for (name, expected) in cases {
            assert_eq!(field(name), expected, "{name}");
        }
    }

    #[test]
    fn values_become_variants() {
        let cases = [
            ("aws:kms", "AwsKms"),
            ("AES256", "Aes256"),
            ("GLACIER_IR", "GlacierIr"),
            ("us-east-1", "UsEast1"),
            ("s3:ObjectCreated:*", "S3ObjectCreated"),
            ("2012-10-17", "_20121017"),
            ("", "Empty"),
            ("Self", "Self_"),
            ("ApproximateNumberOfMessages", "ApproximateNumberOfMessages"),
        ];
        for (value, expected) in cases {
            assert_eq!(variant(value), expected, "{value}");
        }
    }
}
