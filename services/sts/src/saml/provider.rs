//! An identity provider, as its metadata document describes it.

use super::certificate::{PublicKey, key_of_text};
use super::tree::Tree;
use super::{METADATA, SIGNATURE};

/// A SAML identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamlProvider {
    /// Its entity id; none where only a certificate is known.
    pub entity_id: Option<String>,
    pub keys: Vec<PublicKey>,
}

/// The most certificates of a provider that are tried.
const MAX_KEYS: usize = 16;

impl SamlProvider {
    /// Reads a metadata document, or PEM certificates.
    pub fn parse(text: &str) -> Option<Self> {
        let provider = if text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
            Self::of_metadata(text)?
        } else {
            let certificates = text.split_inclusive("-----END CERTIFICATE-----");
            SamlProvider { entity_id: None, keys: certificates.filter_map(key_of_text).take(MAX_KEYS).collect() }
        };
        Some(provider).filter(|provider| !provider.keys.is_empty())
    }

    fn of_metadata(text: &str) -> Option<Self> {
        let tree = Tree::parse(text).ok()?;
        let entity = tree.ids().find(|id| tree.get(*id).is(METADATA, "EntityDescriptor"))?;
        let roles = tree.children(entity, METADATA, "IDPSSODescriptor");
        let descriptors = roles.flat_map(|role| tree.children(role, METADATA, "KeyDescriptor"));
        let signing = descriptors.filter(|key| tree.attribute(*key, "use").is_none_or(|usage| usage == "signing"));
        let certificates = signing
            .filter_map(|key| tree.child(key, SIGNATURE, "KeyInfo"))
            .flat_map(|info| tree.children(info, SIGNATURE, "X509Data"))
            .flat_map(|data| tree.children(data, SIGNATURE, "X509Certificate"));
        let keys = certificates.filter_map(|certificate| key_of_text(&tree.text(certificate)));
        Some(SamlProvider {
            entity_id: tree.attribute(entity, "entityID").map(str::to_owned),
            keys: keys.take(MAX_KEYS).collect(),
        })
    }
}
