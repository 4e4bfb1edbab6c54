//! A settings struct, its defaults and its documentation in one place.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// One setting, for `--help` and the page of all settings.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// As fractus.toml writes it: `drain_grace_secs`.
    pub name: &'static str,
    /// The doc comment.
    pub documentation: &'static str,
}

/// A struct made by [`crate::settings!`].
pub trait Settings: Default + Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    const LIST: &'static [Setting];
}

/// For a service that adds no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoSettings {}

impl Settings for NoSettings {
    const LIST: &'static [Setting] = &[];
}

/// Declares a settings struct: every field with its doc comment and its default. The field names are the keys.
///
/// ```
/// fractus_host::settings! {
///     /// The settings of the queue service.
///     pub struct Config {
///         /// How long an empty receive waits at most.
///         pub longest_poll_secs: u64 = 20,
///     }
/// }
/// assert_eq!(Config::default().longest_poll_secs, 20);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$struct_attribute:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[doc = $documentation:literal])+
                $field_visibility:vis $field:ident : $type:ty = $default:expr
            ),* $(,)?
        }
    ) => {
        $(#[$struct_attribute])*
        #[derive(Clone, Debug, PartialEq, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "fractus_host::serde", default)]
        $visibility struct $name {
            $(
                $(#[doc = $documentation])+
                $field_visibility $field: $type
            ),*
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                $name { $($field: $default),* }
            }
        }

        impl $crate::config::Settings for $name {
            const LIST: &'static [$crate::config::Setting] = &[
                $($crate::config::Setting {
                    name: stringify!($field),
                    documentation: concat!($($documentation, "\n"),+),
                }),*
            ];
        }
    };
}
