//! How the rate of matching depends on the number of rules: `cargo run --release -p fractus-patterns --example index_speed`.
//!
//! Each line is a family of rules, every rule with a pattern of its own, of which an event matches one at most. The
//! event is read anew each time. The columns are events per second with 10, 1,000 and 10,000 rules, and the rate with
//! so many by the rate with 10; the rounds are interleaved, so that a busy machine slows all of them.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program to be read by people")]
// The machine's own time is what is measured.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use fractus_patterns::{Dialect, Event, Index, Pattern};

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const ROUNDS: usize = 40;
const ROUND: Duration = Duration::from_millis(10);

type Family = (&'static str, fn(usize) -> String);

const FAMILIES: [Family; 14] = [
    ("equal", |n| format!(r#"{{"source": ["shop"], "detail": {{"id": ["id-{n}"]}}}}"#)),
    ("equal, two fields", |n| {
        format!(r#"{{"source": ["shop"], "detail": {{"id": ["id-{}"], "kind": ["k-{}"]}}}}"#, n % 100, n / 100)
    }),
    ("a field of its own", |n| format!(r#"{{"source": ["shop"], "detail": {{"field-{n}": ["x"]}}}}"#)),
    ("number", |n| format!(r#"{{"source": ["shop"], "detail": {{"count": [{n}]}}}}"#)),
    ("prefix", |n| format!(r#"{{"source": ["shop"], "detail": {{"id": [{{"prefix": "id-{n}"}}]}}}}"#)),
    ("suffix", |n| format!(r#"{{"source": ["shop"], "detail": {{"id": [{{"suffix": "-{n}"}}]}}}}"#)),
    ("ignoring case", |n| {
        format!(r#"{{"source": ["shop"], "detail": {{"id": [{{"equals-ignore-case": "ID-{n}"}}]}}}}"#)
    }),
    ("wildcard", |n| format!(r#"{{"source": ["shop"], "detail": {{"key": [{{"wildcard": "*/{n}/*.png"}}]}}}}"#)),
    ("numeric range", |n| {
        format!(r#"{{"source": ["shop"], "detail": {{"count": [{{"numeric": [">=", {n}, "<", {}]}}]}}}}"#, n + 1)
    }),
    ("cidr", |n| {
        let (a, b) = (n / 256, n % 256);
        format!(r#"{{"source": ["shop"], "detail": {{"ip": [{{"cidr": "10.{a}.{b}.0/24"}}]}}}}"#)
    }),
    ("anything-but and equal", |n| {
        format!(r#"{{"detail": {{"state": [{{"anything-but": "s-{n}"}}], "id": ["id-{n}"]}}}}"#)
    }),
    ("exists and equal", |n| {
        format!(r#"{{"detail": {{"state": [{{"exists": true}}], "none": [{{"exists": false}}], "id": ["id-{n}"]}}}}"#)
    }),
    ("$or", |n| {
        format!(
            r#"{{"source": ["shop"], "$or": [{{"detail": {{"id": ["id-{n}"]}}}}, {{"detail": {{"key": ["{n}"]}}}}]}}"#
        )
    }),
    ("in an array", |n| {
        format!(r#"{{"detail": {{"items": {{"sku": ["sku-{n}"], "amount": [{{"numeric": [">", 0]}}]}}}}}}"#)
    }),
];

fn event(n: usize) -> String {
    format!(
        r#"{{"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "Order Placed",
        "source": "shop", "account": "111122223333", "time": "2026-12-22T18:43:48Z", "region": "us-west-1",
        "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
        "detail": {{"id": "id-{n}", "key": "pictures/{n}/cat.png", "count": {n}, "state": "paid", "kind": "k-0", "field-3": "x", "ip": "10.0.{}.9",
        "total": 12.5, "items": [{{"sku": "sku-{n}", "amount": 2}}, {{"sku": "sku-{}", "amount": 1}}],
        "customer": {{"name": "Ada Lovelace", "city": "London", "vip": true}}}}}}"#,
        n % 256,
        n + 1
    )
}

fn main() {
    println!("{:<24}{:>12}{:>12}{:>12}{:>12}{:>12}", "events per second", 10, 1_000, 10_000, "1,000/10", "10,000/10");
    let events: Vec<String> = (0..100).map(|n| event(n % 10)).collect();
    for (name, pattern) in FAMILIES {
        let indexes = SIZES.map(|size| {
            let mut index = Index::new();
            for n in 0..size {
                index.insert(n, &Pattern::parse(&pattern(n), Dialect::EventBridge).unwrap());
            }
            index
        });
        let mut best = [0f64; 3];
        let mut matched = [0usize; 3];
        for _ in 0..ROUNDS {
            for (at, index) in indexes.iter().enumerate() {
                let (start, mut count) = (Instant::now(), 0u32);
                while start.elapsed() < ROUND {
                    for text in &events {
                        matched[at] += index.matches(&Event::parse(text).unwrap()).len();
                        count += 1;
                    }
                }
                best[at] = best[at].max(f64::from(count) / start.elapsed().as_secs_f64());
            }
        }
        let [few, many, most] = best;
        println!("{name:<24}{few:>12.0}{many:>12.0}{most:>12.0}{:>12.2}{:>12.2}", many / few, most / few);
        assert!(matched.iter().all(|matched| *matched > 0));
    }
}
