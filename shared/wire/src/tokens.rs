//! Idempotency tokens: a client fills in what its caller left out.

use crate::http_binding::{TextReader, member_text};
use crate::schema::Location;
use crate::shape::{ReadError, Shape};

/// Puts `token()` into the input's idempotency token where it is absent or empty.
pub fn fill_idempotency_token(input: &mut dyn Shape, token: impl FnOnce() -> String) -> Result<(), ReadError> {
    let Some(member) = input.schema().members.into_iter().find(|member| member.idempotency_token) else {
        return Ok(());
    };
    let present = member_text(input, member).ok().flatten();
    if present.is_some_and(|token| !token.is_empty()) {
        return Ok(());
    }
    input.read_member(usize::from(member.index), &mut TextReader::one(Location::Body, token()))
}
