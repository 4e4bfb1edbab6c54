//! Statements.

use super::lexer::{self, Placed, Token};
use super::{Action, PartiqlError, Returning, Select, Statement};
use crate::expression::{
    Attributes, Bound, Condition, DocumentPath, Element, ExpressionKind, Problem, Projection, Update,
};
use crate::expression::{check_condition, check_paths};
use crate::value::Value;

/// How deep values, parentheses and NOTs may go; it bounds the recursion.
const MAX_NESTING: usize = 128;

pub(super) type Parsed<T> = Result<T, PartiqlError>;

pub(super) const UNEXPECTED: PartiqlError = PartiqlError::NotWellFormed("Unexpected term");
const LEFT_OVER: PartiqlError = PartiqlError::NotWellFormed("Unexpected token after expression");
/// `inner` is a word of the language where a name is expected; the rest of its words pass.
const DOT: PartiqlError = PartiqlError::NotWellFormed("Invalid path dot component");

pub(super) struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    parameters: std::vec::IntoIter<Value>,
    /// Literals and parameters, by slot.
    values: Vec<Value>,
    nesting: usize,
}

impl Parser {
    pub fn token(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |placed| &placed.token)
    }

    pub fn ahead(&self, count: usize) -> &Token {
        self.tokens.get(self.at + count).map_or(&Token::End, |placed| &placed.token)
    }

    /// Where the current token stands.
    pub fn place(&self) -> String {
        self.tokens.get(self.at).map(Placed::at).unwrap_or_default()
    }

    pub fn advance(&mut self) {
        self.at += 1;
    }

    pub fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.token(), Token::Symbol(own) if *own == symbol)
    }

    pub fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub fn expect_symbol(&mut self, symbol: &str) -> Parsed<()> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(UNEXPECTED) }
    }

    pub fn is_word(&self, word: &str) -> bool {
        matches!(self.token(), Token::Word(own) if own.eq_ignore_ascii_case(word))
    }

    pub fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn expect_word(&mut self, word: &str) -> Parsed<()> {
        if self.take_word(word) { Ok(()) } else { Err(UNEXPECTED) }
    }

    pub fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= MAX_NESTING {
            return Err(UNEXPECTED);
        }
        self.nesting += 1;
        let read = read(self);
        self.nesting -= 1;
        read
    }

    /// Whether a value begins here that is not inside another.
    pub fn is_top(&self) -> bool {
        self.nesting == 1
    }

    pub fn slot(&mut self, value: Value) -> u16 {
        self.values.push(value);
        u16::try_from(self.values.len() - 1).unwrap_or(u16::MAX)
    }

    pub fn value(&self, slot: u16) -> Option<&Value> {
        self.values.get(usize::from(slot))
    }

    /// The value of a `?`.
    pub fn parameter(&mut self) -> Parsed<Value> {
        self.parameters.next().ok_or(PartiqlError::ParameterCount)
    }

    fn name(&mut self) -> Parsed<String> {
        let name = match self.token() {
            Token::Word(name) | Token::Quoted(name) => name.clone(),
            _ => return Err(UNEXPECTED),
        };
        self.advance();
        Ok(name)
    }

    pub fn path(&mut self) -> Parsed<DocumentPath> {
        let name = |name: String| Element::Name(name.into_boxed_str());
        let mut elements = vec![name(self.name()?)];
        loop {
            if self.take_symbol(".") {
                if self.is_word("inner") {
                    return Err(DOT);
                }
                elements.push(name(self.name().map_err(|_| DOT)?));
            } else if self.take_symbol("[") {
                elements.push(match self.token() {
                    Token::Number(index) => Element::Index(index.parse().map_err(|_| UNEXPECTED)?),
                    Token::Text(key) => name(key.clone()),
                    _ => return Err(UNEXPECTED),
                });
                self.advance();
                self.expect_symbol("]")?;
            } else {
                break;
            }
        }
        if elements.len() > crate::expression::MAX_PATH_ELEMENTS {
            return Err(PartiqlError::Problem(Problem::PathTooLong(elements.len())));
        }
        Ok(DocumentPath(elements.into_boxed_slice()))
    }

    /// A table, or a table and an index of it.
    fn table(&mut self) -> Parsed<(String, Option<String>)> {
        let table = self.name()?;
        let index = if self.take_symbol(".") { Some(self.name()?) } else { None };
        Ok((table, index))
    }

    /// Tables go by their own names only.
    fn refuse_alias(&self) -> Parsed<()> {
        const CLAUSES: [&str; 6] = ["WHERE", "ORDER", "SET", "REMOVE", "RETURNING", "VALUE"];
        match self.token() {
            Token::Quoted(_) => Err(PartiqlError::Aliasing),
            Token::Word(word) if !CLAUSES.iter().any(|clause| word.eq_ignore_ascii_case(clause)) => {
                Err(PartiqlError::Aliasing)
            }
            _ => Ok(()),
        }
    }

    fn condition_clause(&mut self) -> Parsed<Option<Condition>> {
        if self.take_word("WHERE") { self.condition().map(Some) } else { Ok(None) }
    }

    fn projection(&mut self) -> Parsed<Option<Bound<Projection>>> {
        if self.take_symbol("*") {
            return Ok(None);
        }
        let mut paths = Vec::new();
        loop {
            if matches!(self.ahead(1), Token::Symbol("(")) {
                return Err(PartiqlError::FunctionInList { at: self.place() });
            }
            paths.push(self.path()?);
            if !self.take_symbol(",") {
                break;
            }
        }
        if self.is_word("AS") {
            return Err(PartiqlError::Aliasing);
        }
        let paths = Projection { paths: paths.into_boxed_slice() };
        let bound = Bound::direct(ExpressionKind::Projection, paths, 0);
        check_paths(bound.root().paths.iter(), bound.context(&Attributes::default())).map_err(PartiqlError::Problem)?;
        Ok(Some(bound))
    }

    fn order(&mut self) -> Parsed<Vec<(String, bool)>> {
        let mut order = Vec::new();
        if !self.take_word("ORDER") {
            return Ok(order);
        }
        self.expect_word("BY")?;
        loop {
            let name = self.name()?;
            let is_descending = self.take_word("DESC");
            if !is_descending {
                self.take_word("ASC");
            }
            order.push((name, is_descending));
            if !self.take_symbol(",") {
                return Ok(order);
            }
        }
    }

    fn select(&mut self) -> Parsed<(String, Select)> {
        let projection = self.projection()?;
        self.expect_word("FROM")?;
        let (table, index) = self.table()?;
        self.refuse_alias()?;
        let condition = self.condition_clause()?;
        let order = self.order()?;
        Ok((table, Select { index, projection, condition, order }))
    }

    fn insert(&mut self) -> Parsed<(String, Action)> {
        self.expect_word("INTO")?;
        let (table, _) = self.table()?;
        if !self.take_word("VALUE") {
            // What stands where VALUE should is left over.
            return Err(LEFT_OVER);
        }
        match self.literal("root")? {
            Value::M(item) => Ok((table, Action::Insert(item))),
            _ => Err(UNEXPECTED),
        }
    }

    fn returning(&mut self) -> Parsed<Option<Returning>> {
        if !self.take_word("RETURNING") {
            return Ok(None);
        }
        let is_all = self.take_word("ALL");
        if !is_all {
            self.expect_word("MODIFIED")?;
        }
        let is_old = self.take_word("OLD");
        if !is_old {
            self.expect_word("NEW")?;
        }
        self.expect_symbol("*")?;
        Ok(Some(match (is_all, is_old) {
            (true, true) => Returning::AllOld,
            (true, false) => Returning::AllNew,
            (false, true) => Returning::ModifiedOld,
            (false, false) => Returning::ModifiedNew,
        }))
    }

    fn update_of(&mut self, actions: Vec<crate::expression::Action>) -> Parsed<Bound<Update>> {
        let update = Update { actions: actions.into_boxed_slice() };
        let bound = Bound::direct(ExpressionKind::Update, update, self.values.len());
        let targets = bound.root().actions.iter().map(crate::expression::Action::target);
        check_paths(targets, bound.context(&Attributes::default())).map_err(PartiqlError::Problem)?;
        Ok(bound)
    }

    fn update(&mut self) -> Parsed<(String, Action)> {
        let (table, _) = self.table()?;
        self.refuse_alias()?;
        let actions = self.assignments()?;
        let condition = self.condition_clause()?;
        let returning = self.returning()?;
        let update = self.update_of(actions)?;
        Ok((table, Action::Update { update, condition, returning }))
    }

    /// `FROM table WHERE ... SET ...`: an update with its clauses turned.
    fn update_from(&mut self) -> Parsed<(String, Action)> {
        let (table, _) = self.table()?;
        self.refuse_alias()?;
        let condition = self.condition_clause()?;
        let actions = self.assignments()?;
        let returning = self.returning()?;
        let update = self.update_of(actions)?;
        Ok((table, Action::Update { update, condition, returning }))
    }

    fn delete(&mut self) -> Parsed<(String, Action)> {
        self.expect_word("FROM")?;
        let (table, _) = self.table()?;
        self.refuse_alias()?;
        let condition = self.condition_clause()?;
        Ok((table, Action::Delete { condition, returning: self.returning()? }))
    }

    fn action(&mut self) -> Parsed<(String, Action)> {
        if self.take_word("SELECT") {
            return self.select().map(|(table, select)| (table, Action::Select(select)));
        }
        if self.take_word("EXISTS") {
            self.expect_symbol("(")?;
            self.expect_word("SELECT")?;
            let (table, select) = self.select()?;
            self.expect_symbol(")")?;
            return Ok((table, Action::Exists(select)));
        }
        if self.take_word("INSERT") {
            return self.insert();
        }
        if self.take_word("UPDATE") {
            return self.update();
        }
        if self.take_word("DELETE") {
            return self.delete();
        }
        if self.take_word("FROM") { self.update_from() } else { Err(UNEXPECTED) }
    }
}

pub fn statement(text: &str, parameters: Vec<Value>) -> Parsed<Statement> {
    let tokens = lexer::tokens(text)?;
    let mut parser = Parser { tokens, at: 0, parameters: parameters.into_iter(), values: Vec::new(), nesting: 0 };
    let (table, action) = parser.action()?;
    parser.take_symbol(";");
    if *parser.token() != Token::End {
        return Err(LEFT_OVER);
    }
    if parser.parameters.next().is_some() {
        return Err(PartiqlError::ParameterCount);
    }
    let value_count = parser.values.len();
    let attributes = Attributes::of_slots(parser.values);
    let condition = match &action {
        Action::Select(select) | Action::Exists(select) => select.condition.as_ref(),
        Action::Update { condition, .. } | Action::Delete { condition, .. } => condition.as_ref(),
        Action::Insert(_) => None,
    };
    if let Some(condition) = condition {
        check_condition(condition, &attributes, value_count).map_err(PartiqlError::Problem)?;
    }
    Ok(Statement { table, action, attributes, value_count })
}
