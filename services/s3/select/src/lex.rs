//! The words of a query.

use super::{Result, error};

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A word without quotes: a keyword or a name, which are told apart by where they stand.
    Word(String),
    /// A name in double quotes.
    Quoted(String),
    Text(String),
    Int(i64),
    Float(f64),
    /// An operator or a mark.
    Mark(&'static str),
}

const MARKS: [&str; 19] =
    ["<>", "!=", "<=", ">=", "||", "(", ")", "[", "]", ",", ".", "*", "/", "%", "+", "-", "=", "<", ">"];

pub fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' => {
                let (text, after) = quoted(rest, '\'')?;
                (Token::Text(text), after)
            }
            '"' | '`' => {
                let (text, after) = quoted(rest, first)?;
                (Token::Quoted(text), after)
            }
            ';' => {
                // One may end the query.
                rest = rest[1..].trim_start();
                match rest.is_empty() {
                    true => break,
                    false => return Err(error("ParseUnexpectedToken", "Nothing can follow the end of the expression")),
                }
            }
            first if first.is_ascii_digit() => number(rest)?,
            first if first == '_' || first.is_alphabetic() => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), &rest[end..])
            }
            _ => match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
                Some(mark) => (Token::Mark(mark), &rest[mark.len()..]),
                None => return Err(error("LexerInvalidChar", format!("Invalid character in the expression: {first}"))),
            },
        };
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

/// What stands between quotes, of which two stand for one, and what follows.
fn quoted(text: &str, quote: char) -> Result<(String, &str)> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != quote {
            content.push(character);
        } else if characters.peek().is_some_and(|(_, next)| *next == quote) {
            characters.next();
            content.push(quote);
        } else {
            return Ok((content, &text[at + quote.len_utf8()..]));
        }
    }
    Err(error("LexerInvalidLiteral", "A quoted text does not end"))
}

fn number(text: &str) -> Result<(Token, &str)> {
    let mut end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let fraction = &text[end..];
    if fraction.starts_with('.') && fraction[1..].starts_with(|c: char| c.is_ascii_digit()) {
        end += 1 + fraction[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len() - 1);
    }
    let exponent = &text[end..];
    if exponent.starts_with(['e', 'E']) {
        let sign = usize::from(exponent[1..].starts_with(['+', '-']));
        let digits = &exponent[1 + sign..];
        let count = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        end += if count > 0 { 1 + sign + count } else { 0 };
    }
    let (digits, after) = text.split_at(end);
    if after.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err(error("LexerInvalidLiteral", format!("{digits} is followed by what is no part of a number")));
    }
    let invalid = || error("LexerInvalidLiteral", format!("{digits} is no number"));
    let token = match digits.parse() {
        Ok(whole) => Token::Int(whole),
        Err(_) => Token::Float(digits.parse().map_err(|_| invalid())?),
    };
    Ok((token, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_marks_and_literals() {
        let found = tokens("SELECT s._1, 'it''s', \"a b\" FROM S3Object[*] s WHERE x>=1.5e2 AND y<>-3;").unwrap();
        assert_eq!(found[3], Token::Word("_1".into()));
        assert_eq!(found[5], Token::Text("it's".into()));
        assert_eq!(found[7], Token::Quoted("a b".into()));
        assert!(found.contains(&Token::Float(150.0)) && found.contains(&Token::Mark("<>")));
        assert_eq!(tokens("a ? b").unwrap_err().code, "LexerInvalidChar");
        assert_eq!(tokens("'a").unwrap_err().code, "LexerInvalidLiteral");
        assert_eq!(tokens("1a").unwrap_err().code, "LexerInvalidLiteral");
    }
}
