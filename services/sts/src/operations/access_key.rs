//! GetAccessKeyInfo.

use fractus_aws::AccountId;
use fractus_host::Context;
use fractus_host::access_key::account_of_access_key_id;
use fractus_sts_api::{GetAccessKeyInfoInput, GetAccessKeyInfoOutput};

use crate::error::Result;
use crate::service::Sts;

/// The account of a key is in the key. A key that says none belongs where its calls go: to the default account.
pub async fn info(_: &Sts, _: &Context, input: GetAccessKeyInfoInput) -> Result<GetAccessKeyInfoOutput> {
    let key = input.access_key_id.as_str();
    let account = account_of_access_key_id(key).or_else(|| AccountId::new(key).ok());
    let account = account.unwrap_or_else(AccountId::default_account);
    Ok(GetAccessKeyInfoOutput { account: Some(account.to_string()) })
}
