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

fn is_of(note: &(String, u64, String), cx: &Context, bucket_id: u64) -> bool {
    note.0 == cx.request_id && note.1 == bucket_id
}

/// Whether a key of a batch needed one.
pub fn needed(cx: &Context, bucket_id: u64, key: &str) -> bool {
    NEEDED.lock().iter().any(|note| is_of(note, cx, bucket_id) && note.2 == key)
}

/// Whether what a copy reads needed one; nobody asks again.
pub fn take_source(cx: &Context, bucket_id: u64, key: &str) -> bool {
    let mut needed = NEEDED.lock();
    let found = needed.iter().position(|note| is_of(note, cx, bucket_id) && note.2 == key);
    found.map(|at| needed.remove(at)).is_some()
}

/// Whether a request needed one in a bucket; nobody asks again.
pub fn take(cx: &Context, bucket_id: u64) -> bool {
    let mut needed = NEEDED.lock();
    let before = needed.len();
    needed.retain(|note| !is_of(note, cx, bucket_id));
    needed.len() < before
}

/// As a line has it.
pub fn shown(needed: bool) -> &'static str {
    if needed { "Yes" } else { "-" }
}
