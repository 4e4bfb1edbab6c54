//! GetDelegatedAccessToken.

use fractus_host::Context;
use fractus_sts_api::{GetDelegatedAccessTokenInput, GetDelegatedAccessTokenOutput};

use crate::error::{Error, Result};
use crate::issue::{Grant, Issued};
use crate::model::policies::SessionPolicies;
use crate::model::tags::SessionTags;
use crate::service::Sts;
use crate::store::{TRADE_IN_TOKENS, TradeIn, partition_scope};

/// Exchanges a trade-in token, which IAM issues when a delegation request is accepted, for credentials. A token is
/// good for one exchange.
pub async fn exchange(
    sts: &Sts,
    cx: &Context,
    input: GetDelegatedAccessTokenInput,
) -> Result<GetDelegatedAccessTokenOutput> {
    let invalid = || Error::AccessDenied("The trade-in token is not valid.".to_owned());
    // A token of AWS's is longer than a key may be, and is none of ours.
    if input.trade_in_token.len() > 512 {
        return Err(invalid());
    }
    let scope = partition_scope(&cx.world);
    let at = (input.trade_in_token.as_str(),);
    let trade_in: TradeIn = sts
        .store
        .write(|tx| {
            let found: TradeIn = tx.get(&TRADE_IN_TOKENS, &scope, &at)?.ok_or_else(invalid)?;
            if found.expires_at > cx.now() {
                tx.delete(&TRADE_IN_TOKENS, &scope, &at)?;
            }
            Ok::<_, Error>(found)
        })
        .await?;
    if trade_in.expires_at <= cx.now() {
        return Err(Error::ExpiredTradeInToken("The trade-in token has expired.".to_owned()));
    }
    let principal = trade_in.principal;
    let grant = Grant {
        kind: trade_in.kind,
        account: trade_in.account,
        principal: principal.clone(),
        principal_id: trade_in.principal_id,
        issuer: trade_in.role,
        duration: std::time::Duration::from_secs(trade_in.duration_secs),
        policies: SessionPolicies { inline: trade_in.policy, managed: trade_in.policy_arns },
        tags: SessionTags::default(),
        context: Vec::new(),
        minimum_token_size: None,
    };
    let Issued { credentials, .. } = sts.issue(cx, grant).await?;
    Ok(GetDelegatedAccessTokenOutput {
        credentials: Some(credentials),
        // "This field is deprecated. It is not populated for GetDelegatedAccessToken."
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetDelegatedAccessToken.html
        packed_policy_size: None,
        assumed_principal: Some(principal.to_string()),
    })
}
