//! Changes inputs: bytes, pieces, numbers, words of the formats, and pieces of other inputs.

use crate::sample::Dice;

/// Inputs grow no longer than this.
const MAX_BYTES: usize = 16 * 1024;

/// What the formats are made of.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"\\u0000",
    b"\\ud800",
    b"NaN",
    b"<",
    b">",
    b"</",
    b"/>",
    b"&amp;",
    b"&#x0;",
    b"&#1114112;",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<!DOCTYPE a [",
    b"<!ENTITY a \"b\">",
    b"<?xml version=\"1.0\"?>",
    b"&a;",
    b" xmlns:x=\"y\"",
    b"&",
    b"=",
    b".",
    b".member.1",
    b".entry.1.key",
    b".1.",
    b".999999999999",
    b"%",
    b"%00",
    b"%FF",
    b"+",
    b"Action=",
    b"\r\n",
    b"\n",
    b"\0",
    b"\xFF",
    b"\xEF\xBB\xBF",
    b"\x9f",
    b"\xbf",
    b"\xff",
    b"\x5f",
    b"\x7f",
    b"\xa0",
    b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xc1\xfb",
    b"\xd9\xd9\xf7",
    b"\x00\x00\x00\x10",
    b"\xff\xff\xff\xff",
    b"\x1f\x8b\x08",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"2014-04-29T18:30:38Z",
    b"Tue, 29 Apr 2014 18:30:38 GMT",
    b"PUT ",
    b"GET ",
    b"?",
    b"/",
    b"//",
    b"..",
    b": ",
];

/// Makes a new input out of `base` and pieces of `other`.
pub fn mutate(base: &[u8], other: &[u8], dice: &mut Dice, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(base);
    for _ in 0..1 + dice.below(4) {
        step(other, dice, out);
    }
    out.truncate(MAX_BYTES);
}

fn step(other: &[u8], dice: &mut Dice, out: &mut Vec<u8>) {
    let at = dice.below(out.len() + 1);
    match dice.below(10) {
        0 if at < out.len() => out[at] ^= 1 << dice.below(8),
        1 if at < out.len() => out[at] = dice.roll() as u8,
        2 if at < out.len() => {
            let end = (at + 1 + dice.below(16)).min(out.len());
            out.drain(at..end);
        }
        3 => insert(out, at, WORDS[dice.below(WORDS.len())]),
        4 => insert(out, at, &[dice.roll() as u8]),
        5 => {
            let piece = piece_of(other, dice).to_vec();
            insert(out, at, &piece);
        }
        6 => {
            // The same again: lists grow, nesting deepens.
            let piece = piece_of(out, dice).to_vec();
            let doublings = dice.below(8);
            for _ in 0..1 + dice.below(1 << doublings) {
                if out.len() > MAX_BYTES {
                    break;
                }
                insert(out, at, &piece);
            }
        }
        7 => out.truncate(at),
        8 => number(dice, out, at),
        _ => {
            let piece = piece_of(other, dice);
            let end = (at + piece.len()).min(out.len());
            out.splice(at..end, piece.iter().copied());
        }
    }
}

fn insert(out: &mut Vec<u8>, at: usize, piece: &[u8]) {
    out.splice(at..at, piece.iter().copied());
}

fn piece_of<'p>(whole: &'p [u8], dice: &mut Dice) -> &'p [u8] {
    let from = dice.below(whole.len() + 1);
    let doublings = 1 + dice.below(7);
    let length = 1 + dice.below(1 << doublings);
    &whole[from..(from + length).min(whole.len())]
}

/// Changes the digits near `at`, or the four bytes there as a number.
fn number(dice: &mut Dice, out: &mut [u8], at: usize) {
    if let Some(digit) = out[at..].iter().position(u8::is_ascii_digit) {
        out[at + digit] = b'0' + dice.below(10) as u8;
        return;
    }
    if at + 4 <= out.len() {
        let values = [0, 1, 15, 16, 17, 255, 65_535, 1 << 24, u32::MAX - 1, u32::MAX];
        out[at..at + 4].copy_from_slice(&values[dice.below(values.len())].to_be_bytes());
    }
}
