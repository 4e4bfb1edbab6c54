//! Made-up values for any schema, for round trips and as the seeds of the fuzzer.

use fractus_clock::Timestamp;
use fractus_wire::{Document, DynamicShape, Kind, Location, Member, Schema};
use indexmap::IndexMap;

/// A small generator of numbers (splitmix64): the same seed gives the same samples everywhere.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.roll() % bound as u64) as usize }
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// Structures nest no further than this in a sample.
const DEPTH: usize = 5;

pub fn shape(schema: &'static Schema, dice: &mut Dice) -> DynamicShape {
    DynamicShape::from_members(schema, structure(schema, dice, 0))
}

fn structure(schema: &'static Schema, dice: &mut Dice, depth: usize) -> IndexMap<String, Document> {
    let mut members = IndexMap::new();
    let chosen = (schema.kind == Kind::Union).then(|| dice.below(schema.members.len()));
    for (index, member) in schema.members.as_slice().iter().enumerate() {
        let wanted = match chosen {
            Some(chosen) => index == chosen,
            None => is_always_set(member) || !dice.one_in(3),
        };
        if !wanted || member.target.streaming || member.target.event_stream || member.json_value {
            continue;
        }
        if let Some(value) = value(member, dice, depth) {
            members.insert(member.name.to_owned(), value);
        }
    }
    members
}

/// The path needs its labels, and a content type that is not set takes the protocol's own.
fn is_always_set(member: &Member) -> bool {
    member.required || member.location == Location::Uri || member.wire_name.eq_ignore_ascii_case("content-type")
}

fn value(member: &'static Member, dice: &mut Dice, depth: usize) -> Option<Document> {
    let schema = member.target;
    Some(match schema.kind {
        Kind::Structure | Kind::Union if depth >= DEPTH => return None,
        Kind::Structure | Kind::Union => {
            let members = structure(schema, dice, depth + 1);
            if members.is_empty() {
                return None;
            }
            Document::Map(members)
        }
        Kind::List => {
            let element = schema.element()?;
            let length = 1 + dice.below(3);
            let elements: Vec<_> =
                (0..length).filter_map(|_| value(in_place_of(member, element), dice, depth + 1)).collect();
            if elements.is_empty() {
                return None;
            }
            Document::List(elements)
        }
        Kind::Map => {
            let element = schema.element()?;
            let length = 1 + dice.below(3);
            let entries: IndexMap<_, _> = (0..length)
                .filter_map(|index| {
                    Some((format!("key{index}"), value(in_place_of(member, element), dice, depth + 1)?))
                })
                .collect();
            if entries.is_empty() {
                return None;
            }
            Document::Map(entries)
        }
        Kind::Enum if !schema.values.is_empty() => {
            Document::String(schema.values[dice.below(schema.values.len())].to_owned())
        }
        Kind::String | Kind::Enum => Document::String(text(member, dice)),
        Kind::Blob => Document::Blob((0..1 + dice.below(20)).map(|_| dice.roll() as u8).collect::<Vec<_>>().into()),
        Kind::Boolean => Document::Boolean(dice.one_in(2)),
        Kind::Integer => Document::Integer(i64::from(dice.roll() as i32)),
        Kind::Long => Document::Integer(dice.roll() as i64),
        Kind::Float | Kind::Double => Document::Double((dice.below(2_000) as f64 - 1_000.0) / 8.0),
        Kind::Timestamp => Document::Timestamp(Timestamp::from_secs(dice.below(4_000_000_000) as i64)),
        Kind::Document => document(dice, depth),
    })
}

/// Elements of what is bound to a header, a path or a query are as plain as it is.
fn in_place_of(collection: &'static Member, element: &'static Member) -> &'static Member {
    static PLAIN: Schema = Schema::new("Plain", Kind::String);
    static BOUND: Member = Member::new("bound", 0, &PLAIN).at(Location::Header);
    if collection.location != Location::Body && element.target.kind == Kind::String { &BOUND } else { element }
}

fn text(member: &Member, dice: &mut Dice) -> String {
    const PLAIN: [&str; 4] = ["a", "some-name", "x1", "arn:aws:sqs:us-east-1:000000000000:q"];
    const ANY: [&str; 8] =
        ["", " b ", "a<b>&\"'c", "é\u{1F600}", "line\nline\r\n\t", "{\"a\":[1]}", "a=b&c%20+", "]]>"];
    if member.location != Location::Body || dice.one_in(2) {
        PLAIN[dice.below(PLAIN.len())].to_owned()
    } else {
        ANY[dice.below(ANY.len())].to_owned()
    }
}

fn document(dice: &mut Dice, depth: usize) -> Document {
    match dice.below(if depth < DEPTH { 6 } else { 4 }) {
        0 => Document::Boolean(true),
        1 => Document::Integer(dice.below(1_000) as i64),
        2 => Document::Double(dice.below(1_000) as f64 + 0.5),
        3 => Document::String("text".to_owned()),
        4 => Document::List((0..dice.below(3)).map(|_| document(dice, depth + 1)).collect()),
        _ => Document::Map((0..dice.below(3)).map(|i| (format!("k{i}"), document(dice, depth + 1))).collect()),
    }
}
