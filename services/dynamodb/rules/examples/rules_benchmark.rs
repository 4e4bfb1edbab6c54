//! What the rules cost: `cargo run --release -p fractus-dynamodb-rules --example rules_benchmark`.
// Real time is what is measured here.
#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use fractus_dynamodb_rules::codec;
use fractus_dynamodb_rules::expression::{Attributes, Bound, Cache, Expression, ExpressionKind, Used};
use fractus_dynamodb_rules::json::item_from_json;
use fractus_dynamodb_rules::key::KeySchema;
use fractus_dynamodb_rules::{Item, Kind, Value};
use serde_json::json;

const ROUNDS: u32 = 200_000;

fn measured(what: &str, mut work: impl FnMut()) {
    for _ in 0..ROUNDS / 10 {
        work();
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        work();
    }
    println!("{what:<44} {:>8.0} ns", start.elapsed().as_nanos() as f64 / f64::from(ROUNDS));
}

fn attributes() -> Attributes {
    let names = vec![("#s".to_owned(), "status".to_owned())];
    let values = vec![
        (":v".to_owned(), Value::text("open")),
        (":low".to_owned(), Value::number(10)),
        (":high".to_owned(), Value::number(100)),
        (":one".to_owned(), Value::number(1)),
    ];
    Attributes::new(Some(names), Some(values)).unwrap()
}

fn of() -> Item {
    item_from_json(json!({
        "pk": {"S": "customer#123456"}, "sk": {"N": "20260101"}, "status": {"S": "open"}, "price": {"N": "59.90"}, "count": {"N": "3"},
        "parts": {"L": [{"M": {"sku": {"S": "a-1"}, "n": {"N": "2"}}}, {"M": {"sku": {"S": "b-2"}, "n": {"N": "1"}}}]},
        "tags": {"SS": ["gift", "fragile"]}, "note": {"S": "x".repeat(700)}
    }))
    .unwrap()
}

fn main() {
    const CONDITION: &str = "#s = :v AND price BETWEEN :low AND :high AND NOT contains(tags, :v)";
    const UPDATE: &str = "SET #s = :v, parts[0].n = parts[0].n + :one ADD price :low";
    let (item, given, cache) = (of(), attributes(), Cache::new());
    let schema = KeySchema::of_table(("pk", Kind::S), Some(("sk", Kind::N)));
    measured("compile a condition", || {
        black_box(Expression::condition(ExpressionKind::Condition, black_box(CONDITION)).unwrap());
    });
    measured("find it in the cache", || {
        black_box(cache.condition(ExpressionKind::Condition, black_box(CONDITION)).unwrap());
    });
    let form = cache.condition(ExpressionKind::Condition, CONDITION).unwrap();
    measured("bind it", || {
        black_box(Bound::new(&form, &given, &mut Used::default()).unwrap());
    });
    let bound = Bound::new(&form, &given, &mut Used::default()).unwrap();
    measured("evaluate it", || {
        black_box(bound.holds(&given, black_box(&item)));
    });
    let update = Arc::new(Expression::update(UPDATE).unwrap());
    let update = Bound::new(&update, &given, &mut Used::default()).unwrap();
    measured("update an item of 0.9 KB", || {
        black_box(update.apply(&given, black_box(&item)).unwrap());
    });
    let mut bytes = Vec::new();
    measured("encode it", || {
        bytes.clear();
        codec::encode(black_box(&item), &mut bytes);
    });
    measured("decode it", || {
        black_box(codec::decode(black_box(&bytes)).unwrap());
    });
    measured("its stored key", || {
        black_box(schema.table_bytes(black_box(&item)));
    });
}
