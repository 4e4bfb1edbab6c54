//! What is written is read back, and nothing that is read does harm.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Empty;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Named(String),
    Pair(i64, Option<bool>),
    Box { width: f64, inside: Option<Box<Shape>> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { number: u32 },
    Two(BTreeMap<String, i16>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    text: String,
    character: char,
    number: u64,
    below: i64,
    small: i8,
    wide: u128,
    deep: i128,
    float: f32,
    contents: Bytes,
    octets: Vec<u8>,
    fixed: [u16; 3],
    shapes: Vec<Shape>,
    by_name: BTreeMap<String, Option<Vec<Wrapped>>>,
    tagged: Tagged,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maybe: Option<Empty>,
    nothing: (),
    #[serde(flatten)]
    more: BTreeMap<String, String>,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let flat = prop_oneof![
        Just(Shape::Point),
        any::<String>().prop_map(Shape::Named),
        any::<(i64, Option<bool>)>().prop_map(|(one, two)| Shape::Pair(one, two)),
    ];
    flat.prop_recursive(4, 8, 1, |inside| {
        (-1e9..1e9_f64, proptest::option::of(inside))
            .prop_map(|(width, inside)| Shape::Box { width, inside: inside.map(Box::new) })
    })
}

fn records() -> impl Strategy<Value = Record> {
    let texts = (any::<String>(), any::<char>(), proptest::collection::vec(any::<u8>(), 0..300), any::<Vec<u8>>());
    let numbers =
        (any::<u64>(), any::<i64>(), any::<i8>(), any::<u128>(), any::<i128>(), -1e9..1e9_f32, any::<[u16; 3]>());
    let few_texts = proptest::collection::vec("[a-zé]{0,9}", 0..20);
    let named = proptest::collection::btree_map("[a-zé]{0,20}", proptest::option::of(few_texts), 0..20);
    let more = proptest::collection::btree_map("[A-Z]{8}", any::<String>(), 0..3);
    let tagged = prop_oneof![
        any::<u32>().prop_map(|number| Tagged::One { number }),
        proptest::collection::btree_map("[a-z]{1,3}", any::<i16>(), 0..3).prop_map(Tagged::Two),
    ];
    let shapes = proptest::collection::vec(shapes(), 0..20);
    (texts, numbers, shapes, named, tagged, any::<bool>(), more).prop_map(
        |((text, character, contents, octets), numbers, shapes, named, tagged, there, more)| {
            let (number, below, small, wide, deep, float, fixed) = numbers;
            let wrap = |names: Option<Vec<String>>| names.map(|names| names.into_iter().map(Wrapped).collect());
            Record {
                text,
                character,
                number,
                below,
                small,
                wide,
                deep,
                float,
                contents: contents.into(),
                octets,
                fixed,
                shapes,
                by_name: named.into_iter().map(|(name, names)| (name, wrap(names))).collect(),
                tagged,
                maybe: there.then_some(Empty),
                nothing: (),
                more,
            }
        },
    )
}

fn packed<T: Serialize>(value: &T) -> Vec<u8> {
    let mut packed = vec![0x07];
    crate::pack::append(value, &mut packed).unwrap();
    assert_eq!(packed.remove(0), 0x07, "what stood there before stays");
    packed
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(record in records(), end in any::<prop::sample::Index>()) {
        let named = packed(&record);
        prop_assert_eq!(&named, &rmp_serde::to_vec_named(&record).unwrap());
        prop_assert!(from_slice::<Record>(&named[..end.index(named.len())]).is_err(), "a record that ends early");
        prop_assert_eq!(from_slice::<Record>(&named), Ok(record));
    }

    #[test]
    fn what_is_written_in_the_order_of_fields_is_read_back(shape in shapes(), number in any::<u64>()) {
        let written = rmp_serde::to_vec(&(shape.clone(), number)).unwrap();
        prop_assert_eq!(from_slice::<(Shape, u64)>(&written), Ok((shape, number)));
    }

    #[test]
    fn numbers_have_their_shortest_form(signed in any::<i64>(), bits in 0..64_u32) {
        // Of every size.
        let signed = signed >> bits;
        let unsigned = signed as u64 >> bits;
        prop_assert_eq!(packed(&(signed, unsigned)), rmp_serde::to_vec(&(signed, unsigned)).unwrap());
    }

    #[test]
    fn a_record_with_fields_of_a_later_version_is_read(record in records()) {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Earlier { text: String, below: i64 }
        let named = rmp_serde::to_vec_named(&record).unwrap();
        prop_assert_eq!(from_slice::<Earlier>(&named), Ok(Earlier { text: record.text, below: record.below }));
    }

    #[test]
    fn bytes_of_anybody_do_no_harm(bytes in any::<Vec<u8>>()) {
        let _ = from_slice::<Record>(&bytes);
        let ours = from_slice::<Vec<Option<u8>>>(&bytes);
        // Where both read it, they read the same.
        if let (Ok(ours), Ok(theirs)) = (ours, rmp_serde::from_slice::<Vec<Option<u8>>>(&bytes)) {
            prop_assert_eq!(ours, theirs);
        }
    }
}

#[test]
fn lengths_have_their_forms() {
    for length in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        let text = "t".repeat(length);
        assert_eq!(packed(&text), rmp_serde::to_vec(&text).unwrap(), "a text of {length}");
        let bytes = Bytes::from(text);
        assert_eq!(packed(&bytes), rmp_serde::to_vec(&bytes).unwrap(), "{length} bytes");
        let list: Vec<u8> = bytes.to_vec();
        assert_eq!(packed(&list), rmp_serde::to_vec(&list).unwrap(), "a list of {length}");
        let map: BTreeMap<usize, ()> = (0..length).map(|number| (number, ())).collect();
        assert_eq!(packed(&map), rmp_serde::to_vec(&map).unwrap(), "a map of {length}");
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let told = |bytes: &[u8]| from_slice::<Wrapped>(bytes).unwrap_err().to_string();
    assert_eq!(told(&[0x07]), "invalid type: integer `7`, expected a string");
    assert_eq!(told(&[0xa1, 0xff]), "a text is no UTF-8");
    assert_eq!(told(&[0xc1]), "a value of no known form");
    assert_eq!(told(&[]), "it ends early");
    assert_eq!(
        from_slice::<(u8, u8)>(&[0x93, 1, 2, 3]).unwrap_err().to_string(),
        "a list or a map is longer than its type"
    );
    assert!(from_slice::<u8>(&[0xcd, 1, 0]).is_err(), "256 is no u8");
    assert!(from_slice::<Shape>(&[0x81, 0xa5, b'P', b'o', b'i', b'n', b't', 1]).is_err());
    assert!(from_slice::<Shape>(&[0xa5, b'N', b'a', b'm', b'e', b'd']).is_err());
}

#[test]
fn nesting_has_a_bound_and_a_length_reserves_nothing() {
    #[derive(Debug, Deserialize)]
    struct Nested(#[allow(dead_code)] Vec<Nested>);
    let mut deep = vec![0x91; 100_000];
    deep.push(0x90);
    assert_eq!(from_slice::<Nested>(&deep).unwrap_err().to_string(), "it is nested too deep");
    assert!(from_slice::<Nested>(&deep[deep.len() - 1_000..]).is_ok());
    assert!(from_slice::<Vec<String>>(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    // Passed over, it may be as deep as it likes.
    let mut passed = vec![0x82, 0xa1, b'x'];
    passed.extend(deep);
    passed.extend([0xa1, b'y', 1]);
    #[derive(Debug, Deserialize)]
    struct Y {
        y: u8,
    }
    assert_eq!(from_slice::<Y>(&passed).unwrap().y, 1);
}
