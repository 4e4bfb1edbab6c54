//! Tokens of expressions.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A name, a keyword or a function: letters first, then letters, digits and underscores.
    Word,
    /// `#name`
    Alias,
    /// `:value`
    Value,
    Number,
    Symbol,
    /// A character that begins no token.
    Other,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

fn while_true(text: &[u8], from: usize, is_part: impl Fn(u8) -> bool) -> usize {
    text[from..].iter().position(|byte| !is_part(*byte)).map_or(text.len(), |count| from + count)
}

fn is_word_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The token at `from` or after the white space there.
pub fn next(text: &str, from: usize) -> Token {
    let bytes = text.as_bytes();
    let start = while_true(bytes, from, |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    let token = |kind, end| Token { kind, start, end };
    let Some(first) = bytes.get(start) else { return token(TokenKind::End, start) };
    match first {
        b'a'..=b'z' | b'A'..=b'Z' => token(TokenKind::Word, while_true(bytes, start, is_word_part)),
        b'0'..=b'9' => token(TokenKind::Number, while_true(bytes, start, |byte| byte.is_ascii_digit())),
        b'#' | b':' => {
            let end = while_true(bytes, start + 1, is_word_part);
            let kind = match (end - start, first) {
                (1, _) => TokenKind::Other,
                (_, b'#') => TokenKind::Alias,
                _ => TokenKind::Value,
            };
            token(kind, end)
        }
        b'<' if matches!(bytes.get(start + 1), Some(b'>' | b'=')) => token(TokenKind::Symbol, start + 2),
        b'>' if bytes.get(start + 1) == Some(&b'=') => token(TokenKind::Symbol, start + 2),
        b'=' | b'<' | b'>' | b'(' | b')' | b'[' | b']' | b'.' | b',' | b'+' | b'-' => {
            token(TokenKind::Symbol, start + 1)
        }
        _ => token(TokenKind::Other, start + text[start..].chars().next().map_or(1, char::len_utf8)),
    }
}
