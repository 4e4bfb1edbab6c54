//! Every operation's input and output, with every member set, goes through its generated types and comes back.
#![allow(clippy::unwrap_used)]

use fractus_clock::Timestamp;
use fractus_wire::document_io::{from_document, to_document};
use fractus_wire::{Document, Kind, Operation, Schema};

include!(concat!(env!("OUT_DIR"), "/events_operations.rs"));

/// Ends a shape that holds itself, which none of these do today.
const DEPTH: usize = 20;

/// A value of every member; `turn` chooses among a union's members and an enum's values.
fn filled(schema: &'static Schema, turn: usize, depth: usize) -> Document {
    let element = || schema.element().map(|element| filled(element.target, turn, depth + 1)).unwrap();
    match schema.kind {
        Kind::Structure | Kind::Union if depth > DEPTH => Document::Map(Default::default()),
        Kind::Structure => {
            let whole =
                schema.members.into_iter().filter(|member| !member.target.streaming && !member.target.event_stream);
            Document::Map(
                whole.map(|member| (member.name.to_owned(), filled(member.target, turn, depth + 1))).collect(),
            )
        }
        Kind::Union => {
            let member = &schema.members[turn % schema.members.len()];
            Document::Map([(member.name.to_owned(), filled(member.target, turn, depth + 1))].into_iter().collect())
        }
        Kind::List => Document::List(vec![element(), element()]),
        Kind::Map => Document::Map([("a".to_owned(), element()), ("b".to_owned(), element())].into_iter().collect()),
        Kind::String => Document::String(schema.name.to_owned()),
        Kind::Enum => Document::String(schema.values[turn % schema.values.len()].to_owned()),
        Kind::Blob => Document::Blob(vec![turn as u8, 255].into()),
        Kind::Boolean => Document::Boolean(turn % 2 == 1),
        Kind::Integer | Kind::Long => Document::Integer(turn as i64 - 2),
        Kind::Float | Kind::Double => Document::Double(turn as f64 + 0.5),
        Kind::Timestamp => Document::Timestamp(Timestamp::from_secs(turn as i64 * 1_000)),
        Kind::Document => Document::List(vec![Document::Null, Document::Integer(1)]),
    }
}

fn check<Op: Operation>(seen: &mut usize) {
    for turn in 0..7 {
        let input = filled(Op::SCHEMA.input, turn, 0);
        assert_eq!(to_document(&from_document::<Op::Input>(&input).unwrap()).unwrap(), input, "{}", Op::SCHEMA.name);
        let output = filled(Op::SCHEMA.output, turn, 0);
        assert_eq!(to_document(&from_document::<Op::Output>(&output).unwrap()).unwrap(), output, "{}", Op::SCHEMA.name);
    }
    *seen += 1;
}

#[test]
fn every_member_of_every_operation_comes_back() {
    let mut seen = 0;
    macro_rules! check_all { ($($operation:ident),*) => { $(check::<fractus_events_api::$operation>(&mut seen);)* } }
    for_each_operation!(check_all);
    assert_eq!(seen, fractus_events_api::MODEL.operations.len());
}
