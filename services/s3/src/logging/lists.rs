//! Which requests needed an access control list to be let through: told by who evaluates them, before there is a line.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html>

use fractus_host::Context;
use parking_lot::Mutex;

/// Requests whose lines are still to be written, as many as there may be at a time: the id, the bucket's and the key.
static NEEDED: Mutex<Vec<(String, u64, String)>> = Mutex::new(Vec::new());
const MOST: usize = 4_096;

pub fn note(cx: &Context, bucket_id: u64, key: &str) {
    let mut needed = NEEDED.lock();
    if needed.len() >= MOST {
        needed.remove(0);
    }
    needed.push((cx.request_id.clone(), bucket_id, key.to_owned()));
}

/// Whether a key of a batch needed one.
pub fn needed(cx: &Context, bucket_id: u64, key: &str) -> bool {
    NEEDED.lock().iter().any(|(request, bucket, own)| *request == cx.request_id && *bucket == bucket_id && own == key)
}

/// Whether a request needed one in a bucket; nobody asks again.
pub fn take(cx: &Context, bucket_id: u64) -> bool {
    let mut needed = NEEDED.lock();
    let before = needed.len();
    needed.retain(|(request, bucket, _)| *request != cx.request_id || *bucket != bucket_id);
    needed.len() < before
}

/// As a line has it.
pub fn shown(needed: bool) -> &'static str {
    if needed { "Yes" } else { "-" }
}
