//! Tokens of statements.

use super::PartiqlError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Word(String),
    /// `"name"`
    Quoted(String),
    /// `'text'`
    Text(String),
    Number(String),
    Symbol(&'static str),
    Parameter,
    End,
}

#[derive(Debug, Clone)]
pub struct Placed {
    pub token: Token,
    /// `line:column:length`, in characters from one, as AWS tells positions.
    pub line: usize,
    pub column: usize,
    pub length: usize,
}

impl Placed {
    pub fn at(&self) -> String {
        format!("{}:{}:{}", self.line, self.column, self.length)
    }
}

const SYMBOLS: [&str; 22] = [
    "<<", ">>", "<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", "{", "}", ",", ".", "+", "-", "*", ":", ";",
];

/// What cannot be read at all, AWS says nothing more about.
const UNREADABLE: PartiqlError = PartiqlError::NotWellFormed("");

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn skip_blank(&mut self) -> Result<(), PartiqlError> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(blank), _) if blank.is_whitespace() => self.at += 1,
                (Some('-'), Some('-')) => {
                    while self.peek(0).is_some_and(|char| char != '\n') {
                        self.at += 1;
                    }
                }
                (Some('/'), Some('*')) => {
                    self.at += 2;
                    while (self.peek(0), self.peek(1)) != (Some('*'), Some('/')) {
                        if self.peek(0).is_none() {
                            return Err(UNREADABLE);
                        }
                        self.at += 1;
                    }
                    self.at += 2;
                }
                _ => return Ok(()),
            }
        }
    }

    fn taken_while(&mut self, is_part: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(&is_part) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    /// What stands between two quotes; a doubled quote is one of the text.
    fn quoted(&mut self, quote: char) -> Result<String, PartiqlError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let char = self.peek(0).ok_or(UNREADABLE)?;
            self.at += 1;
            if char == quote {
                if self.peek(0) != Some(quote) {
                    return Ok(text);
                }
                self.at += 1;
            }
            text.push(char);
        }
    }

    fn number(&mut self) -> String {
        let mut text = self.taken_while(|char| char.is_ascii_digit());
        if self.peek(0) == Some('.') {
            self.at += 1;
            text.push('.');
            text += &self.taken_while(|char| char.is_ascii_digit());
        }
        let sign = usize::from(matches!(self.peek(1), Some('+' | '-')));
        let has_exponent =
            matches!(self.peek(0), Some('e' | 'E')) && self.peek(1 + sign).is_some_and(|char| char.is_ascii_digit());
        if has_exponent {
            text.extend(&self.chars[self.at..=self.at + sign]);
            self.at += 1 + sign;
            text += &self.taken_while(|char| char.is_ascii_digit());
        }
        text
    }

    fn token(&mut self) -> Result<Token, PartiqlError> {
        let Some(first) = self.peek(0) else { return Ok(Token::End) };
        match first {
            '\'' => self.quoted('\'').map(Token::Text),
            '"' => self.quoted('"').map(Token::Quoted),
            '?' => {
                self.at += 1;
                Ok(Token::Parameter)
            }
            '0'..='9' => Ok(Token::Number(self.number())),
            '.' if self.peek(1).is_some_and(|char| char.is_ascii_digit()) => Ok(Token::Number(self.number())),
            'a'..='z' | 'A'..='Z' | '_' | '$' => {
                Ok(Token::Word(self.taken_while(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '$'))))
            }
            _ => {
                let starts =
                    |symbol: &&str| symbol.chars().enumerate().all(|(index, char)| self.peek(index) == Some(char));
                let symbol = SYMBOLS.into_iter().find(|symbol| starts(symbol)).ok_or(UNREADABLE)?;
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
        }
    }
}

pub fn tokens(text: &str) -> Result<Vec<Placed>, PartiqlError> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0 };
    let mut tokens = Vec::new();
    let (mut line, mut line_start, mut seen) = (1, 0, 0);
    loop {
        lexer.skip_blank()?;
        while seen < lexer.at {
            if lexer.chars[seen] == '\n' {
                line += 1;
                line_start = seen + 1;
            }
            seen += 1;
        }
        let start = lexer.at;
        let token = lexer.token()?;
        let is_end = token == Token::End;
        tokens.push(Placed { token, line, column: start - line_start + 1, length: lexer.at - start });
        if is_end {
            return Ok(tokens);
        }
    }
}
