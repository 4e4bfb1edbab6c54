//! The settings as text: for `--help`, and as one page for all services.

use std::fmt::Write as _;

use serde::Serialize;

use super::{HostConfig, Setting, Settings};

/// The settings of one service, or of all.
pub struct Section {
    pub title: String,
    pub settings: &'static [Setting],
    /// The defaults, as JSON.
    pub defaults: serde_json::Value,
}

impl Section {
    pub fn of<C: Settings + Serialize>(title: impl Into<String>) -> Self {
        let defaults = serde_json::to_value(C::default()).unwrap_or_default();
        Section { title: title.into(), settings: C::LIST, defaults }
    }

    /// The settings that every service has.
    pub fn common() -> Self {
        Section::of::<HostConfig>("Every service")
    }

    fn default_of(&self, name: &str) -> String {
        match self.defaults.get(name) {
            None | Some(serde_json::Value::Null) => "unset".to_owned(),
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }
    }

    /// As `--help` prints it.
    pub fn help(&self) -> String {
        let mut text = format!("{}:\n", self.title);
        for setting in self.settings {
            let flag = setting.name.replace('_', "-");
            let _ = writeln!(text, "  --{flag} <value>  (default: {})", self.default_of(setting.name));
            for line in setting.documentation.lines() {
                let _ = writeln!(text, "      {}", line.trim());
            }
        }
        text
    }
}

/// One Markdown page of all settings.
pub fn settings_page(sections: &[Section]) -> String {
    let mut page = String::from(
        "# Settings\n\nThis page is generated. Each setting is a key of `fractus.toml` (a service's own in a table of \
         its name), a variable `FRACTUS_<KEY>` (`FRACTUS_<SERVICE>_<KEY>` for one service) and a flag `--<key>`; the \
         later wins.\n",
    );
    for section in sections {
        let _ = write!(page, "\n## {}\n\n| key | default | meaning |\n|---|---|---|\n", section.title);
        for setting in section.settings {
            let meaning = setting.documentation.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
            let _ = writeln!(page, "| `{}` | `{}` | {meaning} |", setting.name, section.default_of(setting.name));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_the_help_show_every_setting_with_its_default() {
        let section = Section::common();
        let (page, help) = (settings_page(&[Section::common()]), section.help());
        for setting in section.settings {
            assert!(page.contains(&format!("| `{}` |", setting.name)), "{}", setting.name);
            assert!(help.contains(&format!("--{}", setting.name.replace('_', "-"))), "{}", setting.name);
            assert!(!setting.documentation.trim().is_empty());
        }
        assert!(page.contains("| `drain_grace_secs` | `10` |"));
    }
}
