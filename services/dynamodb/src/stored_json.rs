//! Stored items as DynamoDB JSON, part by part: what reads answer most.

use std::io::Write as _;

use fractus_dynamodb_rules::Kind;
use fractus_dynamodb_rules::codec::{CodecError, Cursor, Tag};
use fractus_dynamodb_rules::size::MAX_DEPTH;
use fractus_wire::json::{push_base64, push_string};

type Pushed = Result<(), CodecError>;

/// Appends a stored item as an object of its attributes.
pub fn push_item(item: &[u8], out: &mut Vec<u8>) -> Pushed {
    // Names, types and punctuation take about as much room as what is stored.
    out.reserve(2 * item.len());
    push_map(&mut Cursor::new(item)?, out, 1)
}

/// A count, and so many of what `push` appends.
fn push_all<'a>(
    cursor: &mut Cursor<'a>,
    out: &mut Vec<u8>,
    mut push: impl FnMut(&mut Cursor<'a>, &mut Vec<u8>) -> Pushed,
) -> Pushed {
    for at in 0..cursor.count()? {
        if at > 0 {
            out.push(b',');
        }
        push(cursor, out)?;
    }
    Ok(())
}

fn push_map(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) -> Pushed {
    out.push(b'{');
    push_all(cursor, out, |cursor, out| {
        push_string(out, cursor.text()?);
        out.push(b':');
        push_value(cursor, out, depth)
    })?;
    out.push(b'}');
    Ok(())
}

fn push_list<'a>(
    cursor: &mut Cursor<'a>,
    out: &mut Vec<u8>,
    push: impl FnMut(&mut Cursor<'a>, &mut Vec<u8>) -> Pushed,
) -> Pushed {
    out.push(b'[');
    push_all(cursor, out, push)?;
    out.push(b']');
    Ok(())
}

fn push_text(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Pushed {
    push_string(out, cursor.text()?);
    Ok(())
}

fn push_number(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Pushed {
    // Writing to memory does not fail.
    let _ = write!(out, "\"{}\"", cursor.number()?);
    Ok(())
}

fn push_bytes(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Pushed {
    push_base64(out, cursor.bytes()?);
    Ok(())
}

/// An object of one member, which is named after the value's type.
fn push_value(cursor: &mut Cursor<'_>, out: &mut Vec<u8>, depth: usize) -> Pushed {
    if depth > MAX_DEPTH {
        return Err(CodecError::Damaged);
    }
    let tag = cursor.tag()?;
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(kind(tag).as_str().as_bytes());
    out.extend_from_slice(b"\":");
    match tag {
        Tag::S => push_text(cursor, out)?,
        Tag::N => push_number(cursor, out)?,
        Tag::B => push_bytes(cursor, out)?,
        Tag::SS => push_list(cursor, out, push_text)?,
        Tag::NS => push_list(cursor, out, push_number)?,
        Tag::BS => push_list(cursor, out, push_bytes)?,
        Tag::M => push_map(cursor, out, depth + 1)?,
        Tag::L => push_list(cursor, out, |cursor, out| push_value(cursor, out, depth + 1))?,
        Tag::Bool(false) => out.extend_from_slice(b"false"),
        Tag::Bool(true) | Tag::Null => out.extend_from_slice(b"true"),
    }
    out.push(b'}');
    Ok(())
}

const fn kind(tag: Tag) -> Kind {
    match tag {
        Tag::S => Kind::S,
        Tag::N => Kind::N,
        Tag::B => Kind::B,
        Tag::SS => Kind::SS,
        Tag::NS => Kind::NS,
        Tag::BS => Kind::BS,
        Tag::M => Kind::M,
        Tag::L => Kind::L,
        Tag::Bool(_) => Kind::Bool,
        Tag::Null => Kind::Null,
    }
}
