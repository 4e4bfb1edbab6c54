//! The API's handlers, a file an operation family.

pub mod access_key;
pub mod assume_role;
pub mod assume_root;
pub mod authorization_message;
pub mod caller_identity;
pub mod delegated;
pub mod saml;
pub mod sessions;
pub mod web_identity;
pub mod web_identity_token;
