//! `wildcard` patterns: `*` stands for any characters, also none; `\*` and `\\` for themselves.
//!
//! [Matching using wildcards](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-wildcard-matching)

/// A wildcard pattern, cut at its stars: the pieces between them, one more than there are stars.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wildcard {
    pub pieces: Box<[Box<str>]>,
}

impl Wildcard {
    /// Positions in the messages count the opening quote, as AWS's do.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = vec![String::new()];
        let mut characters = text.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            match c {
                '*' if next == Some('*') => return Err(format!("Consecutive wildcard characters at pos {}", at + 1)),
                '*' => pieces.push(String::new()),
                '\\' => match next {
                    Some(escaped @ ('*' | '\\')) => {
                        characters.next();
                        push(&mut pieces, escaped);
                    }
                    _ => return Err(format!("Invalid escape character at pos {}", at + 1)),
                },
                plain => push(&mut pieces, plain),
            }
        }
        Ok(Wildcard { pieces: pieces.into_iter().map(String::into_boxed_str).collect() })
    }

    /// Linear in the text for each piece: every piece but the last takes the first place where it fits.
    pub fn accepts(&self, text: &str) -> bool {
        let [first, middle @ .., last] = &*self.pieces else {
            return self.pieces.first().is_some_and(|only| **only == *text);
        };
        let Some(mut rest) = text.strip_prefix(&**first) else { return false };
        for piece in middle {
            match rest.find(&**piece) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return false,
            }
        }
        rest.len() >= last.len() && rest.ends_with(&**last)
    }

    /// In how many places of the pattern a reader of the worst text stands at once: at each star, and at each
    /// beginning of a piece that repeats itself.
    pub fn complexity(&self) -> usize {
        let stars = self.pieces.len() - 1;
        if stars == 0 {
            return 0;
        }
        stars + self.pieces[1..].iter().map(|piece| overlaps(piece.as_bytes())).max().unwrap_or(0)
    }
}

fn push(pieces: &mut [String], c: char) {
    if let Some(piece) = pieces.last_mut() {
        piece.push(c);
    }
}

/// The most beginnings of `piece` that can end at one place of it (the whole counts as one).
fn overlaps(piece: &[u8]) -> usize {
    let mut border = vec![0usize; piece.len() + 1];
    let mut chain = vec![0usize; piece.len() + 1];
    let mut most = usize::from(!piece.is_empty());
    if !piece.is_empty() {
        chain[1] = 1;
    }
    for end in 1..piece.len() {
        let mut shorter = border[end];
        while shorter > 0 && piece[shorter] != piece[end] {
            shorter = border[shorter];
        }
        border[end + 1] = if piece[shorter] == piece[end] { shorter + 1 } else { 0 };
        chain[end + 1] = chain[border[end + 1]] + 1;
        most = most.max(chain[end + 1]);
    }
    most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(pattern: &str, text: &str) -> bool {
        Wildcard::parse(pattern).unwrap().accepts(text)
    }

    #[test]
    fn stars_take_anything_and_escapes_nothing() {
        assert!(accepts("dir/*.png", "dir/a/b.png"));
        assert!(accepts("dir/*.png", "dir/.png"));
        assert!(!accepts("dir/*.png", "dir/png"));
        assert!(accepts("*", ""));
        assert!(accepts("a*a", "aa"));
        assert!(!accepts("a*a", "a"));
        assert!(accepts("*ab*ab*", "xababx"));
        assert!(!accepts("*ab*ab*", "xabx"));
        assert!(accepts(r"100\*", "100*"));
        assert!(!accepts(r"100\*", "1000"));
        assert!(accepts(r"a\\*", r"a\b"));
        assert!(accepts("plain", "plain"));
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(Wildcard::parse("a**b").unwrap_err(), "Consecutive wildcard characters at pos 2");
        assert_eq!(Wildcard::parse(r"a\b").unwrap_err(), "Invalid escape character at pos 2");
        assert_eq!(Wildcard::parse(r"a\").unwrap_err(), "Invalid escape character at pos 2");
    }

    #[test]
    fn repetition_behind_a_star_costs() {
        let complexity = |text| Wildcard::parse(text).unwrap().complexity();
        assert_eq!(complexity("plain"), 0);
        assert_eq!(complexity("*.bif"), 2);
        assert_eq!(complexity("*/datasync/*.bif"), 4);
        assert_eq!(complexity("*aaaa"), 5);
    }

    /// The definition: a star is any number of characters.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
            Some((byte, rest)) => text.first() == Some(byte) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "(a|b|ab|\\*a|\\*b){0,6}\\*?", text in "[ab]{0,10}") {
            prop_assert_eq!(accepts(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
