//! STS's settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An OpenID Connect provider whose tokens AssumeRoleWithWebIdentity takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcProvider {
    /// A file or an `http(s)://` URL of its JSON Web Key Set. Unset: found by the issuer's
    /// `/.well-known/openid-configuration`.
    pub jwks: Option<String>,
    /// The audiences that it may be used for; none: any.
    pub client_ids: Vec<String>,
}

fractus_host::settings! {
    /// The settings of STS.
    pub struct Config {
        /// OpenID Connect providers by issuer: `"https://idp.example.com" = { jwks = "/keys.json", client_ids = ["app"] }`.
        /// With `auth` other than `enforced`, the tokens of any issuer whose keys can be fetched are taken as well.
        pub oidc_providers: BTreeMap<String, OidcProvider> = BTreeMap::new(),
        /// SAML providers by ARN: a file with the provider's metadata document, or with its certificate as PEM.
        pub saml_providers: BTreeMap<String, String> = BTreeMap::new(),
        /// How long fetching an identity provider's keys may take.
        pub provider_timeout_secs: u64 = 5,
        /// Whether GetWebIdentityToken issues tokens. (On AWS an account enables it in IAM.)
        pub outbound_web_identity: bool = true,
    }
}
