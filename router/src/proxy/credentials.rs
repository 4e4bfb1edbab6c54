//! The user's own AWS credentials: from the environment, else from a profile with a key in `~/.aws/credentials`.
//!
//! Left out on purpose: single sign-on, assumed roles and credential processes. `aws configure export-credentials`
//! turns any of them into variables.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A key that AWS knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub access_key: String,
    pub secret: String,
    pub token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error(
        "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the router, or AWS_PROFILE to a profile with a key in ~/.aws/credentials"
    )]
    None,
    #[error(
        "the profile {0:?} has no key in ~/.aws/credentials; `aws configure export-credentials --format env` makes one"
    )]
    ProfileWithoutKey(String),
}

/// Where credentials come from, so that tests have their own. Read for each request: they are renewed while we run.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub variables: BTreeMap<String, String>,
    pub home: Option<PathBuf>,
}

impl Credentials {
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("AWS_"))
            .collect();
        Credentials { variables, home: std::env::home_dir() }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The region of requests that name none.
    pub fn region(&self) -> &str {
        self.variable("AWS_REGION").or_else(|| self.variable("AWS_DEFAULT_REGION")).unwrap_or("us-east-1")
    }

    pub fn keys(&self) -> Result<Keys, CredentialsError> {
        let profile = self.variable("AWS_PROFILE");
        if profile.is_none()
            && let (Some(access_key), Some(secret)) =
                (self.variable("AWS_ACCESS_KEY_ID"), self.variable("AWS_SECRET_ACCESS_KEY"))
        {
            let token = self.variable("AWS_SESSION_TOKEN").map(str::to_owned);
            return Ok(Keys { access_key: access_key.to_owned(), secret: secret.to_owned(), token });
        }
        let path = self
            .variable("AWS_SHARED_CREDENTIALS_FILE")
            .map(PathBuf::from)
            .or_else(|| Some(self.home.as_ref()?.join(".aws/credentials")));
        let text = path.and_then(|path| std::fs::read_to_string(path).ok()).ok_or(CredentialsError::None)?;
        let profile = profile.unwrap_or("default");
        read_profile(&text, profile).ok_or_else(|| CredentialsError::ProfileWithoutKey(profile.to_owned()))
    }
}

fn read_profile(text: &str, profile: &str) -> Option<Keys> {
    let mut inside = false;
    let mut found: BTreeMap<&str, &str> = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = name.trim() == profile;
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            found.insert(key.trim(), value.trim());
        }
    }
    let text = |name: &str| found.get(name).map(|value| (*value).to_owned());
    Some(Keys {
        access_key: text("aws_access_key_id")?,
        secret: text("aws_secret_access_key")?,
        token: text("aws_session_token"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_from_the_file() {
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key=S\n\n[work]\n# a comment = x\naws_access_key_id=W\n\
                    aws_secret_access_key = WS\naws_session_token = T==\n[role]\nrole_arn = x\n";
        assert_eq!(read_profile(text, "default").unwrap().secret, "S");
        assert_eq!(read_profile(text, "work").unwrap().token.as_deref(), Some("T=="));
        assert_eq!(read_profile(text, "role"), None);
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(Credentials::default().keys(), Err(CredentialsError::None));
    }
}
