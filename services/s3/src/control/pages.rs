//! Pages of lists.

use crate::control::errors::invalid;
use crate::error::Result;
use crate::operations::buckets::{decode_token, encode_token};

/// Where a list goes on, and how much of it is wanted.
pub struct Page {
    pub after: Option<String>,
    pub max: usize,
}

impl Page {
    /// Reads what a request says; `most` is what a page holds at most, and where nothing is said.
    pub fn read(token: Option<&str>, max: Option<i32>, most: usize) -> Result<Page> {
        let after = token.map(|token| decode_token(token).map_err(|_| invalid("Invalid NextToken"))).transpose()?;
        let max = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(most);
        if !(1..=most).contains(&max) {
            return Err(invalid(format!("MaxResults must be an integer between 1 and {most}")));
        }
        Ok(Page { after, max })
    }

    /// Cuts what was found, of which one more than wanted was asked for, to the page; gives the token of the next.
    pub fn cut<T>(&self, found: &mut Vec<T>, name: impl Fn(&T) -> String) -> Option<String> {
        if found.len() <= self.max {
            return None;
        }
        found.truncate(self.max);
        found.last().map(|last| encode_token(&name(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_where_the_last_ended() {
        let page = Page::read(None, Some(2), 1000).unwrap();
        let mut found = vec!["a", "b", "c"];
        let token = page.cut(&mut found, |name| (*name).to_owned());
        assert_eq!(found, ["a", "b"]);
        assert_eq!(Page::read(token.as_deref(), None, 1000).unwrap().after.as_deref(), Some("b"));
        assert_eq!(page.cut(&mut vec!["a", "b"], |name| (*name).to_owned()), None);
        assert!(Page::read(None, Some(0), 1000).is_err());
        assert!(Page::read(None, Some(1001), 1000).is_err());
        assert!(Page::read(Some("%"), None, 1000).is_err());
    }
}
