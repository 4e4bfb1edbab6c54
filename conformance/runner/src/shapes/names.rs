//! What `${...}` in a set-up table stands for.

use std::collections::BTreeMap;

use super::chance::Chance;

/// The names known at a point of the run, and fresh ones.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub captured: BTreeMap<String, String>,
    /// Tells this run's fresh names from those of runs before it.
    pub run: String,
}

impl Names {
    /// Puts in what `${...}` stands for: a captured value, `unique` (fresh for each variant: `about` is its id),
    /// `own_account` (that of a variant which has an account to itself), `index` (of the element in its list), `host` (the endpoint). What is not known stays as it is.
    pub fn expand(&self, text: &str, about: &str, index: usize) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else { break };
            out.push_str(before);
            match name {
                "index" => out.push_str(&index.to_string()),
                "unique" => out.push_str(&self.unique(about)),
                "own_account" => out.push_str(&self.account(about)),
                other => match self.captured.get(other) {
                    Some(value) => out.push_str(value),
                    None => {
                        out.push_str("${");
                        out.push_str(other);
                        out.push('}');
                    }
                },
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// The id of an account that no other variant uses.
    pub fn account(&self, about: &str) -> String {
        let number = Chance::of(0, &format!("{}/{about}/account", self.run)).next() % 900_000_000_000;
        (100_000_000_000 + number).to_string()
    }

    /// Twelve letters and digits, the first a letter.
    fn unique(&self, about: &str) -> String {
        format!("u{}", Chance::of(0, &format!("{}/{about}", self.run)).text(11))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_put_in_and_unknown_ones_left() {
        let captured = BTreeMap::from([("queue_url".to_owned(), "http://q".to_owned())]);
        let names = Names { captured, run: "r".into() };
        assert_eq!(names.expand("${queue_url}/${index}", "", 3), "http://q/3");
        assert_eq!(names.expand("${md5:Body}", "", 0), "${md5:Body}");
        assert_eq!(names.expand("a${", "", 0), "a${");
        let fresh = names.expand("${unique}", "one", 0);
        assert_eq!(fresh, names.expand("${unique}", "one", 0));
        assert_ne!(fresh, names.expand("${unique}", "two", 0));
        let account = names.account("one");
        assert!(account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()), "{account}");
        assert_eq!(account, names.account("one"));
        assert_ne!(account, names.account("two"));
        assert_eq!(fresh.len(), 12);
    }
}
