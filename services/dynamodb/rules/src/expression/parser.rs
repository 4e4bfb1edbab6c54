//! From text to nodes: the grammar of all expressions, without meaning.

use super::ast::{Comparator, DocumentPath, Element};
use super::error::{ExpressionKind, Problem};
use super::lexer::{self, Token, TokenKind};
use super::reserved::is_reserved;
use super::{MAX_EXPRESSION_BYTES, MAX_IN_OPERANDS, MAX_OPERATORS, MAX_PATH_ELEMENTS};

/// How deep parentheses, NOTs and calls may go. More would need more operators than an expression may have, or
/// parentheses around parentheses; it also bounds the recursion here and in all that walks a form.
const MAX_NESTING: usize = MAX_OPERATORS;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Path(DocumentPath),
    Value(u16),
    Call(Box<str>, Vec<Node>),
    Compare(Comparator, Box<(Node, Node)>),
    Between(Box<[Node; 3]>),
    In(Box<Node>, Vec<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Parenthesised(Box<Node>),
}

impl Node {
    fn is_operand(&self) -> bool {
        match self {
            Node::Path(_) | Node::Value(_) | Node::Call(..) => true,
            Node::Parenthesised(inner) => inner.is_operand(),
            _ => false,
        }
    }

    fn is_condition(&self) -> bool {
        match self {
            Node::Path(_) | Node::Value(_) => false,
            Node::Parenthesised(inner) => inner.is_condition(),
            _ => true,
        }
    }
}

pub struct Parser<'t> {
    text: &'t str,
    previous: Option<Token>,
    current: Token,
    aliases: Vec<&'t str>,
    values: Vec<&'t str>,
    operators: usize,
    nesting: usize,
    /// What is wrong besides the grammar; told only if the grammar is right.
    deferred: Option<Problem>,
}

type Parsed<T> = Result<T, Problem>;

/// Placeholders, by slot.
type Keys = Box<[Box<str>]>;

fn slot_of<'t>(known: &mut Vec<&'t str>, key: &'t str) -> u16 {
    let at = known.iter().position(|own| *own == key).unwrap_or_else(|| {
        known.push(key);
        known.len() - 1
    });
    // An expression of 4 KB has not two thousand of them.
    u16::try_from(at).unwrap_or(u16::MAX)
}

const KEYWORDS: [&str; 9] = ["AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"];

impl<'t> Parser<'t> {
    pub fn new(kind: ExpressionKind, text: &'t str) -> Parsed<Self> {
        if text.trim_ascii().is_empty() {
            return Err(Problem::Empty);
        }
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(match kind {
                ExpressionKind::Update => Problem::UpdateTooLong,
                _ => Problem::TooLong(text.len()),
            });
        }
        Ok(Parser {
            text,
            previous: None,
            current: lexer::next(text, 0),
            aliases: Vec::new(),
            values: Vec::new(),
            operators: 0,
            nesting: 0,
            deferred: None,
        })
    }

    /// The placeholders found, if nothing else was wrong.
    pub fn finish(mut self) -> Parsed<(Keys, Keys)> {
        if self.operators > MAX_OPERATORS {
            self.defer(Problem::TooManyOperators(self.operators));
        }
        let own = |keys: Vec<&str>| keys.into_iter().map(Box::from).collect();
        match self.deferred {
            Some(problem) => Err(problem),
            None => Ok((own(self.aliases), own(self.values))),
        }
    }

    fn defer(&mut self, problem: Problem) {
        self.deferred.get_or_insert(problem);
    }

    fn text_of(&self, token: Token) -> &'t str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    /// The current token is not what it should be. AWS shows it between its neighbours; what it shows at the end of the
    /// text is unconfirmed.
    pub fn syntax(&self) -> Problem {
        let is_end = self.current.kind == TokenKind::End;
        let token = if is_end { "<EOF>" } else { self.text_of(self.current) };
        let start = self.previous.map_or(self.current.start, |previous| previous.start);
        let end = if is_end { self.current.end } else { lexer::next(self.text, self.current.end).end };
        let near = self.text.get(start..end).unwrap_or_default();
        Problem::Syntax { token: token.to_owned(), near: near.to_owned() }
    }

    fn advance(&mut self) -> Token {
        let token = self.current;
        self.previous = Some(token);
        self.current = lexer::next(self.text, token.end);
        token
    }

    pub fn is_end(&self) -> bool {
        self.current.kind == TokenKind::End
    }

    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.current.kind == TokenKind::Symbol && self.text_of(self.current) == symbol
    }

    pub fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    pub fn expect_symbol(&mut self, symbol: &str) -> Parsed<()> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.syntax()) }
    }

    pub fn is_keyword(&self, keyword: &str) -> bool {
        self.current.kind == TokenKind::Word && self.text_of(self.current).eq_ignore_ascii_case(keyword)
    }

    pub fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    pub fn expect_end(&self) -> Parsed<()> {
        if self.is_end() { Ok(()) } else { Err(self.syntax()) }
    }

    pub fn count_operator(&mut self) {
        self.operators += 1;
    }

    fn deeper<T>(&mut self, too_deep: Problem, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= MAX_NESTING {
            return Err(too_deep);
        }
        self.nesting += 1;
        let read = read(self);
        self.nesting -= 1;
        read
    }

    fn name(&mut self) -> Parsed<Element> {
        let text = self.text_of(self.current);
        match self.current.kind {
            TokenKind::Word => {
                if is_reserved(text) {
                    self.defer(Problem::Reserved(text.to_owned()));
                }
                self.advance();
                Ok(Element::Name(text.into()))
            }
            TokenKind::Alias => {
                self.advance();
                Ok(Element::Alias(slot_of(&mut self.aliases, text)))
            }
            _ => Err(self.syntax()),
        }
    }

    fn index(&mut self) -> Parsed<Element> {
        if self.current.kind != TokenKind::Number {
            return Err(self.syntax());
        }
        let text = self.text_of(self.current);
        let index = text.parse().unwrap_or_else(|_| {
            self.defer(Problem::IndexTooLarge(text.to_owned()));
            0
        });
        self.advance();
        self.expect_symbol("]")?;
        Ok(Element::Index(index))
    }

    pub fn path(&mut self) -> Parsed<DocumentPath> {
        if self.current.kind == TokenKind::Word
            && KEYWORDS.iter().any(|keyword| self.text_of(self.current).eq_ignore_ascii_case(keyword))
        {
            return Err(self.syntax());
        }
        let mut elements = vec![self.name()?];
        loop {
            if self.take_symbol(".") {
                elements.push(self.name()?);
            } else if self.take_symbol("[") {
                elements.push(self.index()?);
            } else {
                break;
            }
        }
        if elements.len() > MAX_PATH_ELEMENTS {
            self.defer(Problem::PathTooLong(elements.len()));
        }
        Ok(DocumentPath(elements.into_boxed_slice()))
    }

    /// The slot of a `:value`.
    pub fn value(&mut self) -> Parsed<u16> {
        if self.current.kind != TokenKind::Value {
            return Err(self.syntax());
        }
        let key = self.text_of(self.current);
        self.advance();
        Ok(slot_of(&mut self.values, key))
    }

    fn is_call(&self) -> bool {
        let next = lexer::next(self.text, self.current.end);
        self.current.kind == TokenKind::Word && next.kind == TokenKind::Symbol && self.text_of(next) == "("
    }

    fn call(&mut self) -> Parsed<Node> {
        let token = self.advance();
        let name = self.text_of(token);
        self.count_operator();
        self.expect_symbol("(")?;
        let mut operands = Vec::new();
        if !self.is_symbol(")") {
            loop {
                let too_deep = Problem::TooManyOperators(self.operators);
                operands.push(self.deeper(too_deep, Self::operand)?);
                if !self.take_symbol(",") {
                    break;
                }
            }
        }
        self.expect_symbol(")")?;
        Ok(Node::Call(name.into(), operands))
    }

    /// A path, a value, a call, or one of them in parentheses.
    pub fn operand(&mut self) -> Parsed<Node> {
        if self.take_symbol("(") {
            let inner = self.deeper(Problem::RedundantParentheses, Self::operand)?;
            self.expect_symbol(")")?;
            return Ok(Node::Parenthesised(Box::new(inner)));
        }
        match self.current.kind {
            TokenKind::Value => self.value().map(Node::Value),
            _ if self.is_call() => self.call(),
            _ => self.path().map(Node::Path),
        }
    }

    fn primary(&mut self) -> Parsed<Node> {
        if !self.take_symbol("(") {
            return self.operand();
        }
        let inner = self.deeper(Problem::RedundantParentheses, |parser| parser.any_of(true))?;
        self.expect_symbol(")")?;
        Ok(Node::Parenthesised(Box::new(inner)))
    }

    fn comparator(&mut self) -> Option<Comparator> {
        if self.current.kind != TokenKind::Symbol {
            return None;
        }
        let comparator = match self.text_of(self.current) {
            "=" => Comparator::Equal,
            "<>" => Comparator::NotEqual,
            "<" => Comparator::Less,
            "<=" => Comparator::LessOrEqual,
            ">" => Comparator::Greater,
            ">=" => Comparator::GreaterOrEqual,
            _ => return None,
        };
        self.advance();
        self.count_operator();
        Some(comparator)
    }

    /// `is_inside`: in parentheses, where an operand may also stand alone, to be compared outside of them.
    fn comparison(&mut self, is_inside: bool) -> Parsed<Node> {
        let left = self.primary()?;
        if !left.is_operand() {
            return Ok(left);
        }
        if let Some(comparator) = self.comparator() {
            return Ok(Node::Compare(comparator, Box::new((left, self.operand()?))));
        }
        if self.take_keyword("BETWEEN") {
            self.count_operator();
            let lower = self.operand()?;
            if !self.take_keyword("AND") {
                return Err(self.syntax());
            }
            return Ok(Node::Between(Box::new([left, lower, self.operand()?])));
        }
        if self.take_keyword("IN") {
            return self.in_list(left);
        }
        let may_stand = left.is_condition() || (is_inside && self.is_symbol(")"));
        if may_stand { Ok(left) } else { Err(self.syntax()) }
    }

    fn in_list(&mut self, left: Node) -> Parsed<Node> {
        self.count_operator();
        self.expect_symbol("(")?;
        let mut operands = vec![self.operand()?];
        while self.take_symbol(",") {
            operands.push(self.operand()?);
        }
        self.expect_symbol(")")?;
        if operands.len() > MAX_IN_OPERANDS {
            self.defer(Problem::TooManyInOperands(operands.len()));
        }
        Ok(Node::In(Box::new(left), operands))
    }

    fn negation(&mut self, is_inside: bool) -> Parsed<Node> {
        if !self.take_keyword("NOT") {
            return self.comparison(is_inside);
        }
        self.count_operator();
        let too_deep = Problem::TooManyOperators(self.operators);
        let negated = self.deeper(too_deep, |parser| parser.negation(false))?;
        Ok(Node::Not(Box::new(negated)))
    }

    fn all_of(&mut self, is_inside: bool) -> Parsed<Node> {
        let first = self.negation(is_inside)?;
        if !self.is_keyword("AND") {
            return Ok(first);
        }
        let mut nodes = vec![first];
        while self.take_keyword("AND") {
            self.count_operator();
            nodes.push(self.negation(false)?);
        }
        Ok(Node::And(nodes))
    }

    fn any_of(&mut self, is_inside: bool) -> Parsed<Node> {
        let first = self.all_of(is_inside)?;
        if !self.is_keyword("OR") {
            return Ok(first);
        }
        let mut nodes = vec![first];
        while self.take_keyword("OR") {
            self.count_operator();
            nodes.push(self.all_of(false)?);
        }
        Ok(Node::Or(nodes))
    }

    pub fn condition(&mut self) -> Parsed<Node> {
        self.any_of(false)
    }

    pub fn paths(&mut self) -> Parsed<Vec<DocumentPath>> {
        let mut paths = vec![self.path()?];
        while self.take_symbol(",") {
            paths.push(self.path()?);
        }
        Ok(paths)
    }
}
