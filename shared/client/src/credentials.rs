//! Whose call it is.

use std::fmt;

use fractus_aws::AccountId;

/// An access key, its secret, and the token of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret: String,
    pub session_token: Option<String>,
}

impl Credentials {
    /// The account itself: a 12-digit access key is the account, and its secret is not looked at.
    pub fn of_account(account: &AccountId) -> Self {
        Credentials { access_key_id: account.to_string(), secret: "test".to_owned(), session_token: None }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.access_key_id)
    }
}
