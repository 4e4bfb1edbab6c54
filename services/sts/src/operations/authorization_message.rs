//! DecodeAuthorizationMessage.

use fractus_host::Context;
use fractus_sts_api::{DecodeAuthorizationMessageInput, DecodeAuthorizationMessageOutput};

use crate::error::Result;
use crate::model::authorization_message;
use crate::service::Sts;

pub async fn decode(
    _: &Sts,
    _: &Context,
    input: DecodeAuthorizationMessageInput,
) -> Result<DecodeAuthorizationMessageOutput> {
    let decoded_message = authorization_message::decode(&input.encoded_message)?;
    Ok(DecodeAuthorizationMessageOutput { decoded_message: Some(decoded_message) })
}
