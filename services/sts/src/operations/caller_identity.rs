//! GetCallerIdentity.

use fractus_host::Context;
use fractus_sts_api::{GetCallerIdentityInput, GetCallerIdentityOutput};

use crate::error::Result;
use crate::service::Sts;

/// Who calls is known before: from the key itself, or from the session that the connection remembers.
pub async fn get(_: &Sts, cx: &Context, _: GetCallerIdentityInput) -> Result<GetCallerIdentityOutput> {
    Ok(GetCallerIdentityOutput {
        user_id: Some(cx.caller.principal_id.clone()),
        account: Some(cx.caller.account.to_string()),
        arn: Some(cx.caller.arn.clone()),
    })
}
