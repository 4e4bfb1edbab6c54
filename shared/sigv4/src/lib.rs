//! AWS's request signatures, both directions: SigV4 and SigV4A by header and presigned, browser form uploads,
//! `aws-chunked` bodies with signed or unsigned chunks and trailers, and S3's SigV2.
//!
//! In reading order: [`CredentialScope`] finds out who signed, cheaply and without verifying; [`RequestSignature`]
//! reads a signature completely and verifies it against a secret that the caller has looked up; [`ChunkedDecoder`]
//! goes on with the body; [`Signer`] and [`ChunkedEncoder`] make what the others read; [`post_policy`] is the form
//! upload. A refusal is a [`SignatureError`], [`ChunkError`] or [`post_policy::PostError`]; each says by `answer` what
//! AWS answers in its place.
//!
//! Left out on purpose: where secrets come from, and whether a session token belongs to its key and is still alive
//! (both are the credential store's to say); SigV2 for services other than S3, which no current client sends.

mod answer;
pub mod canonical;
mod chunk_key;
mod chunked;
mod credential;
mod crypto;
mod error;
mod key;
mod payload;
pub mod post_policy;
mod sign;
mod signature;
pub mod sigv2;
mod sigv4a;
mod verify;

pub use answer::{Answer, Dialect};
pub use canonical::{PathStyle, RequestView};
pub use chunk_key::{ChunkKey, ChunkSeed, ChunkedEncoder};
pub use chunked::{ChunkError, ChunkedDecoder, MAX_CHUNK_HEADER, MAX_TRAILERS, MIN_CHUNK, Trailers};
pub use credential::{CredentialScope, Place, Scheme};
pub use crypto::{EMPTY_SHA256, sha256, sha256_hex, uri_encode};
pub use error::{Mismatch, SignatureError};
pub use key::{KeyCache, SigningKey};
pub use payload::{Body, ChunkSigning, Payload};
pub use sign::{SignError, Signed, Signer};
pub use signature::{MAX_EXPIRES, RequestSignature};
pub use verify::{Expectation, MAX_SKEW, Verified};
