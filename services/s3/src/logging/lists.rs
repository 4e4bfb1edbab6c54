//! Which requests needed an access control list to be let through: told by who evaluates them, before there is a line.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html>

use std::sync::Arc;

use fractus_host::Context;
use parking_lot::Mutex;

/// What needed a list, with each request that may be logged: the bucket's id, and the key.
#[derive(Clone, Default)]
pub struct Needed(Arc<Mutex<Vec<(u64, String)>>>);

fn of(cx: &Context) -> Option<&Mutex<Vec<(u64, String)>>> {
    cx.extensions().get::<Needed>().map(|needed| &*needed.0)
}

pub fn note(cx: &Context, bucket_id: u64, key: &str) {
    if let Some(needed) = of(cx) {
        needed.lock().push((bucket_id, key.to_owned()));
    }
}

/// Whether a key of a batch needed one.
pub fn needed(cx: &Context, bucket_id: u64, key: &str) -> bool {
    of(cx).is_some_and(|needed| needed.lock().iter().any(|note| note.0 == bucket_id && note.1 == key))
}

/// Whether what a copy reads needed one; what is written to the same bucket is told without it.
pub fn take_source(cx: &Context, bucket_id: u64, key: &str) -> bool {
    let Some(mut needed) = of(cx).map(Mutex::lock) else { return false };
    let found = needed.iter().position(|note| note.0 == bucket_id && note.1 == key);
    found.map(|at| needed.remove(at)).is_some()
}

/// Whether anything in a bucket needed one.
pub fn any(cx: &Context, bucket_id: u64) -> bool {
    of(cx).is_some_and(|needed| needed.lock().iter().any(|note| note.0 == bucket_id))
}

/// As a line has it.
pub fn shown(needed: bool) -> &'static str {
    if needed { "Yes" } else { "-" }
}
