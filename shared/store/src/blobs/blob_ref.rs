//! A reference to bytes: what a record keeps.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

/// A run of bytes of a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// The bytes themselves.
    Inline(Bytes),
    /// `length` bytes from `offset` on of the stored piece `id`.
    Stored { id: String, offset: u64, length: u64 },
}

impl Piece {
    pub fn length(&self) -> u64 {
        match self {
            Piece::Inline(bytes) => bytes.len() as u64,
            Piece::Stored { length, .. } => *length,
        }
    }

    fn slice(&self, from: u64, to: u64) -> Piece {
        match self {
            Piece::Inline(bytes) => Piece::Inline(bytes.slice(from as usize..to as usize)),
            Piece::Stored { id, offset, .. } => {
                Piece::Stored { id: id.clone(), offset: offset + from, length: to - from }
            }
        }
    }
}

/// The bytes of an object, a part, a package: pieces in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    pieces: Vec<Piece>,
}

impl BlobRef {
    /// Bytes that live in the record itself.
    pub fn inline(bytes: Bytes) -> Self {
        if bytes.is_empty() { BlobRef::default() } else { BlobRef { pieces: vec![Piece::Inline(bytes)] } }
    }

    pub(crate) fn stored(id: String, length: u64) -> Self {
        BlobRef { pieces: vec![Piece::Stored { id, offset: 0, length }] }
    }

    /// The blobs one after the other, as one: no bytes move, except that neighbouring inline pieces are joined.
    pub fn concat<'b>(blobs: impl IntoIterator<Item = &'b BlobRef>) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        for piece in blobs.into_iter().flat_map(|blob| &blob.pieces) {
            match (pieces.last_mut(), piece) {
                (Some(Piece::Inline(last)), Piece::Inline(next)) => {
                    let mut joined = BytesMut::with_capacity(last.len() + next.len());
                    joined.extend_from_slice(last);
                    joined.extend_from_slice(next);
                    *last = joined.freeze();
                }
                _ => pieces.push(piece.clone()),
            }
        }
        BlobRef { pieces }
    }

    /// A part of this blob, clamped to its length; no bytes move.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<u64>) -> Self {
        let mut pieces = Vec::new();
        let mut start = 0;
        for piece in &self.pieces {
            let end = start + piece.length();
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                pieces.push(piece.slice(from - start, to - start));
            }
            start = end;
        }
        BlobRef { pieces }
    }

    pub fn length(&self) -> u64 {
        self.pieces.iter().map(Piece::length).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The bytes, if all of them live in the record.
    pub fn as_inline(&self) -> Option<&Bytes> {
        static EMPTY: Bytes = Bytes::new();
        match &self.pieces[..] {
            [] => Some(&EMPTY),
            [Piece::Inline(bytes)] => Some(bytes),
            _ => None,
        }
    }

    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub(crate) fn into_pieces(self) -> Vec<Piece> {
        self.pieces
    }

    /// The ids of the stored pieces, in order; one may come more than once.
    pub fn stored_ids(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Inline(_) => None,
            Piece::Stored { id, .. } => Some(id.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_and_joins_without_moving_stored_bytes() {
        let stored = BlobRef::stored("a".into(), 10);
        let inline = BlobRef::inline(Bytes::from_static(b"0123"));
        let whole = BlobRef::concat([&stored, &inline, &inline]);
        assert_eq!(whole.length(), 18);
        assert_eq!(whole.pieces().len(), 2);
        let part = whole.slice(8..12);
        assert_eq!(
            part.pieces(),
            [Piece::Stored { id: "a".into(), offset: 8, length: 2 }, Piece::Inline(Bytes::from_static(b"01"))]
        );
        assert_eq!(part.slice(1..2).pieces(), [Piece::Stored { id: "a".into(), offset: 9, length: 1 }]);
        assert!(whole.slice(18..20).is_empty());
        assert_eq!(BlobRef::default().as_inline(), Some(&Bytes::new()));
    }
}
