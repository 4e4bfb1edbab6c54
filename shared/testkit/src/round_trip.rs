//! The generated types of an API: whether every member of every operation comes back from them.

use fractus_clock::Timestamp;
use fractus_wire::document_io::{from_document, to_document};
use fractus_wire::{Document, Kind, Operation, Schema, Shape};

/// From here on a value of a union is a simple one: attribute values hold lists of themselves.
const UNION_DEPTH: usize = 6;

/// Each input or output is filled so many times, each time with other members of its unions and other values of its enums.
const TURNS: usize = 12;

/// A value of every member; `turn` chooses among a union's members and an enum's values.
fn filled(schema: &'static Schema, turn: usize, depth: usize) -> Document {
    let element = || schema.element().map(|element| filled(element.target, turn, depth + 1)).unwrap();
    match schema.kind {
        Kind::Structure => {
            let whole =
                schema.members.into_iter().filter(|member| !member.target.streaming && !member.target.event_stream);
            Document::Map(
                whole.map(|member| (member.name.to_owned(), filled(member.target, turn, depth + 1))).collect(),
            )
        }
        Kind::Union => {
            let simple = schema.members.into_iter().find(|member| !holds_others(member.target.kind));
            let member = match simple {
                Some(simple) if depth > UNION_DEPTH => simple,
                _ => &schema.members[turn % schema.members.len()],
            };
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

fn holds_others(kind: Kind) -> bool {
    matches!(kind, Kind::Structure | Kind::Union | Kind::List | Kind::Map)
}

fn shape_comes_back<S: Shape + Default>(schema: &'static Schema, operation: &str) {
    for turn in 0..TURNS {
        let value = filled(schema, turn, 0);
        assert_eq!(to_document(&from_document::<S>(&value).unwrap()).unwrap(), value, "{operation}, turn {turn}");
    }
}

/// Fails unless an operation's input and output, with every member set, go through its generated types and come back.
pub fn comes_back<Op: Operation>() {
    shape_comes_back::<Op::Input>(Op::SCHEMA.input, Op::SCHEMA.name);
    shape_comes_back::<Op::Output>(Op::SCHEMA.output, Op::SCHEMA.name);
}

/// A test of all operations of an API crate, to be handed to the `for_each_operation` that is generated with it. Their names
/// and `MODEL` must be in scope.
#[macro_export]
macro_rules! operations_come_back {
    ($($operation:ident),*) => {
        #[test]
        fn every_member_of_every_operation_comes_back() {
            let operations: &[fn()] = &[$($crate::comes_back::<$operation>),*];
            assert_eq!(operations.len(), MODEL.operations.len());
            operations.iter().for_each(|comes_back| comes_back());
        }
    };
}
