//! The protocol vectors of botocore, each turned both ways.
//!
//! An input vector says which request a client makes of values: the client must make that request (by meaning), and the
//! server must read that request to those values. An output vector says what a client reads from an answer: the client
//! must read it so, and what the server writes of those values must be that answer by meaning.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod compare;
mod exceptions;
mod input;
mod output;
mod suite;
mod values;

use exceptions::Exceptions;
use suite::{Direction, load};

/// Runs all vectors of one file in its two directions.
fn run(folder: &str, file: &str) {
    let exceptions = Exceptions::load();
    let mut broken = Vec::new();
    for direction in Direction::of_folder(folder) {
        let (mut passed, mut excepted) = (0, 0);
        for vector in load(folder, file) {
            let outcome = match direction {
                Direction::InputClient => input::client(&vector),
                Direction::InputServer => input::server(&vector),
                Direction::OutputClient => output::client(&vector),
                Direction::OutputServer => output::server(&vector),
            };
            match (outcome, exceptions.has(&vector.id, direction)) {
                (Ok(()), false) => passed += 1,
                (Err(_), true) => excepted += 1,
                (Ok(()), true) => broken.push(format!("{} {direction}: listed as an exception, but passes", vector.id)),
                (Err(why), false) => broken.push(format!("{} {direction}: {why}", vector.id)),
            }
        }
        println!("{file} {direction}: {passed} passed, {excepted} exceptions");
    }
    assert!(broken.is_empty(), "{} vectors:\n{}", broken.len(), broken.join("\n"));
}

macro_rules! files {
    ($($name:ident: $folder:literal $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                run($folder, $file);
            }
        )*
    };
}

files! {
    input_ec2: "input" "ec2",
    input_json: "input" "json",
    input_json_1_0: "input" "json_1_0",
    input_json_1_0_query_compatible: "input" "json_1_0-query-compatible",
    input_query: "input" "query",
    input_rest_json: "input" "rest-json",
    input_rest_xml: "input" "rest-xml",
    input_cbor: "input" "smithy-rpc-v2-cbor",
    input_cbor_query_compatible: "input" "smithy-rpc-v2-cbor-query-compatible",
    input_cbor_non_query_compatible: "input" "smithy-rpc-v2-cbor-non-query-compatible",
    output_ec2: "output" "ec2",
    output_json: "output" "json",
    output_json_1_0: "output" "json_1_0",
    output_json_1_0_query_compatible: "output" "json_1_0-query-compatible",
    output_query: "output" "query",
    output_rest_json: "output" "rest-json",
    output_rest_xml: "output" "rest-xml",
    output_cbor: "output" "smithy-rpc-v2-cbor",
    output_cbor_query_compatible: "output" "smithy-rpc-v2-cbor-query-compatible",
    output_cbor_non_query_compatible: "output" "smithy-rpc-v2-cbor-non-query-compatible",
}

#[test]
fn exceptions_name_known_vectors() {
    let known: Vec<String> = ["input", "output"]
        .iter()
        .flat_map(|folder| suite::files(folder).into_iter().flat_map(|file| load(folder, &file)))
        .map(|vector| vector.id)
        .collect();
    for id in Exceptions::load().ids() {
        assert!(known.contains(&id), "no vector is called {id}");
    }
}
