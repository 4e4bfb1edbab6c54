//! Values that follow from others of the same input: `${md5:Body}`, `${sha256:Body}`, `${crc32:Body}`, `${length:Body}`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::value::Value;

/// Puts in what depends on a top-level member.
pub fn fill(input: &mut Value) {
    let whole = input.clone();
    walk(input, &whole);
}

fn walk(value: &mut Value, whole: &Value) {
    match value {
        Value::Text(text) => {
            if let Some(derived) = derived(text, whole) {
                *value = derived;
            }
        }
        Value::List(elements) => elements.iter_mut().for_each(|element| walk(element, whole)),
        Value::Members(members) => members.iter_mut().for_each(|(_, member)| walk(member, whole)),
        _ => {}
    }
}

fn derived(text: &str, whole: &Value) -> Option<Value> {
    let (function, of) = text.strip_prefix("${")?.strip_suffix('}')?.split_once(':')?;
    let bytes = whole.at(of).and_then(Value::bytes).unwrap_or_default();
    let base64 = |bytes: &[u8]| Some(Value::Text(STANDARD.encode(bytes)));
    match function {
        "md5" => base64(&Md5::digest(&bytes)),
        "sha1" => base64(&Sha1::digest(&bytes)),
        "sha256" => base64(&Sha256::digest(&bytes)),
        "sha512" => base64(&Sha512::digest(&bytes)),
        "xxhash64" => base64(&xxhash_rust::xxh64::xxh64(&bytes, 0).to_be_bytes()),
        "xxhash3" => base64(&xxhash_rust::xxh3::xxh3_64(&bytes).to_be_bytes()),
        "xxhash128" => base64(&xxhash_rust::xxh3::xxh3_128(&bytes).to_be_bytes()),
        "crc32" => base64(&checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &bytes).to_be_bytes()[4..]),
        "crc32c" => base64(&checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes).to_be_bytes()[4..]),
        "crc64nvme" => base64(&checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes).to_be_bytes()),
        "length" => Some(Value::Integer(bytes.len() as i64)),
        _ => None,
    }
}

fn checksum(algorithm: crc_fast::CrcAlgorithm, bytes: &[u8]) -> u64 {
    crc_fast::checksum(algorithm, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_body_is_put_in() {
        let mut input = Value::Members(vec![
            ("Body".into(), Value::Blob(b"hello".to_vec())),
            ("ContentMD5".into(), Value::text("${md5:Body}")),
            ("ContentLength".into(), Value::text("${length:Body}")),
            ("Other".into(), Value::text("${unknown:Body}")),
        ]);
        fill(&mut input);
        assert_eq!(input.get("ContentMD5"), Some(&Value::text("XUFAKrxLKna5cZ2REBfFkg==")));
        assert_eq!(input.get("ContentLength"), Some(&Value::Integer(5)));
        assert_eq!(input.get("Other"), Some(&Value::text("${unknown:Body}")));
    }
}
