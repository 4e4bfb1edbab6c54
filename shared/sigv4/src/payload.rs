//! What a signature says of the request's body: the value of `x-amz-content-sha256`.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

/// How the body is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// The signature covers this SHA-256 of the body.
    Sha256([u8; 32]),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// The body comes in `aws-chunked` form.
    Streaming { signing: ChunkSigning, trailer: bool },
}

/// How each chunk of an `aws-chunked` body is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkSigning {
    Unsigned,
    Hmac,
    Ecdsa,
}

impl Payload {
    pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

    /// Reads a value of `x-amz-content-sha256`.
    pub fn parse(text: &str) -> Option<Self> {
        let streaming = |signing, trailer| Some(Payload::Streaming { signing, trailer });
        match text {
            "UNSIGNED-PAYLOAD" => Some(Payload::Unsigned),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => streaming(ChunkSigning::Unsigned, true),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => streaming(ChunkSigning::Hmac, false),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => streaming(ChunkSigning::Hmac, true),
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" => streaming(ChunkSigning::Ecdsa, false),
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => streaming(ChunkSigning::Ecdsa, true),
            _ => {
                let mut digest = [0; 32];
                hex::decode_to_slice(text, &mut digest).ok().map(|()| Payload::Sha256(digest))
            }
        }
    }

    /// The value as `x-amz-content-sha256` carries it.
    pub fn text(&self) -> String {
        let text = match self {
            Payload::Sha256(digest) => return hex::encode(digest),
            Payload::Unsigned => Self::UNSIGNED,
            Payload::Streaming { signing: ChunkSigning::Unsigned, .. } => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            Payload::Streaming { signing: ChunkSigning::Hmac, trailer: false } => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Payload::Streaming { signing: ChunkSigning::Hmac, trailer: true } => {
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
            }
            Payload::Streaming { signing: ChunkSigning::Ecdsa, trailer: false } => {
                "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
            }
            Payload::Streaming { signing: ChunkSigning::Ecdsa, trailer: true } => {
                "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"
            }
        };
        text.to_owned()
    }

    /// Of a body in memory.
    pub fn of(body: &[u8]) -> Self {
        Payload::Sha256(crate::crypto::sha256(body))
    }
}

/// What the verifier may know of the body.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// All of it; hashed only if the signature covers it.
    Bytes(&'a [u8]),
    /// Its SHA-256.
    Digest([u8; 32]),
    /// It is still to be read: the caller compares [`Payload::Sha256`] itself, or decodes the chunks.
    Unread,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for signing in [ChunkSigning::Hmac, ChunkSigning::Ecdsa] {
            for trailer in [false, true] {
                let payload = Payload::Streaming { signing, trailer };
                assert_eq!(Payload::parse(&payload.text()), Some(payload));
            }
        }
        let unsigned = Payload::Streaming { signing: ChunkSigning::Unsigned, trailer: true };
        for payload in [unsigned, Payload::Unsigned, Payload::of(b"x")] {
            assert_eq!(Payload::parse(&payload.text()), Some(payload));
        }
        assert_eq!(Payload::parse("UNSIGNED"), None);
    }
}
