//! From words to a query: a reader that looks one word ahead, and climbs by precedence.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-select.html>

use super::lex::{Token, tokens};
use super::syntax::{Expression, Item, Operator, Query, Step, Wanted};
use super::value::Value;
use super::{Result, SelectError, error};

/// The longest query, in bytes.
const MAX_QUERY_BYTES: usize = 256 * 1024;
/// How deep expressions may lie in one another.
const MAX_DEPTH: usize = 100;

pub fn query(text: &str) -> Result<Query> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(error("ExpressionTooLong", "The SQL expression is too long: The maximum byte-length is 256 KB."));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, aggregates: 0 };
    let query = parser.query()?;
    match parser.peek() {
        None => Ok(query),
        Some(_) => Err(parser.unexpected("the end of the expression")),
    }
}

pub struct Parser {
    tokens: Vec<Token>,
    pub(super) at: usize,
    depth: usize,
    pub(super) aggregates: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    pub(super) fn unexpected(&self, wanted: &str) -> SelectError {
        let found = match self.peek() {
            None => "the end of the expression".to_owned(),
            Some(Token::Word(word) | Token::Quoted(word) | Token::Text(word)) => word.clone(),
            Some(Token::Int(number)) => number.to_string(),
            Some(Token::Float(number)) => number.to_string(),
            Some(Token::Mark(mark)) => (*mark).to_owned(),
        };
        error("ParseUnexpectedToken", format!("Did not expect {found} where {wanted} should be"))
    }

    pub(super) fn is_word(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn take_word(&mut self, keyword: &str) -> bool {
        let is = self.is_word(keyword);
        self.at += usize::from(is);
        is
    }

    pub(super) fn expect_word(&mut self, keyword: &'static str) -> Result<()> {
        if self.take_word(keyword) { Ok(()) } else { Err(self.unexpected(keyword)) }
    }

    pub(super) fn take_mark(&mut self, mark: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Mark(found)) if *found == mark);
        self.at += usize::from(is);
        is
    }

    pub(super) fn expect_mark(&mut self, mark: &'static str) -> Result<()> {
        if self.take_mark(mark) { Ok(()) } else { Err(self.unexpected(mark)) }
    }

    fn query(&mut self) -> Result<Query> {
        if !self.take_word("SELECT") {
            return Err(error("ParseUnexpectedToken", "The expression does not begin with SELECT"));
        }
        self.refuse(&["DISTINCT"])?;
        let raw = self.items()?;
        if !self.take_word("FROM") {
            return Err(error("ParseSelectMissingFrom", "The SQL expression is missing a FROM clause"));
        }
        let (from, alias) = self.table()?;
        let condition = if self.take_word("WHERE") { Some(self.expression()?) } else { None };
        let limit = if self.take_word("LIMIT") { Some(self.limit()?) } else { None };
        self.refuse(&["GROUP", "ORDER", "HAVING", "JOIN", "UNION", "OFFSET"])?;
        let mut query = Query { wanted: Wanted::Everything, from, alias, condition, limit };
        query.wanted = named(raw, &query);
        super::evaluate::check(&query)?;
        Ok(query)
    }

    /// Words of SQL that S3 Select does without.
    fn refuse(&self, clauses: &[&str]) -> Result<()> {
        match clauses.iter().find(|clause| self.is_word(clause)) {
            Some(clause) => {
                let message = format!("The SQL expression contains an unsupported clause: {clause}");
                Err(error("UnsupportedSyntax", message))
            }
            None => Ok(()),
        }
    }

    fn limit(&mut self) -> Result<u64> {
        match self.next() {
            Some(Token::Int(limit)) => {
                u64::try_from(limit).map_err(|_| error("EvaluatorNegativeLimit", "LIMIT must not be negative"))
            }
            Some(Token::Mark("-")) => Err(error("EvaluatorNegativeLimit", "LIMIT must not be negative")),
            _ => Err(error("IntegerOverflow", "LIMIT takes a whole number")),
        }
    }

    fn items(&mut self) -> Result<Vec<(Expression, Option<String>)>> {
        if self.is_word("FROM") {
            return Err(error("ParseEmptySelect", "The SQL expression contains an empty SELECT clause"));
        }
        if self.take_mark("*") {
            return match self.is_word("FROM") {
                true => Ok(Vec::new()),
                false => Err(error("ParseAsteriskIsNotAloneInSelectList", "An asterisk stands alone in a SELECT list")),
            };
        }
        let mut items = Vec::new();
        loop {
            if self.take_mark("*") {
                let message = "An asterisk stands alone in a SELECT list";
                return Err(error("ParseAsteriskIsNotAloneInSelectList", message));
            }
            let expression = self.expression()?;
            items.push((expression, self.alias(true)?));
            if !self.take_mark(",") {
                return Ok(items);
            }
        }
    }

    fn alias(&mut self, may_lack_as: bool) -> Result<Option<String>> {
        if self.take_word("AS") {
            return match self.next() {
                Some(Token::Word(name) | Token::Quoted(name)) => Ok(Some(name)),
                _ => Err(error("ParseExpectedIdentForAlias", "An identifier is expected after AS")),
            };
        }
        const CLAUSES: [&str; 9] = ["FROM", "WHERE", "LIMIT", "GROUP", "ORDER", "HAVING", "JOIN", "UNION", "OFFSET"];
        let is_clause = |word: &String| CLAUSES.iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
        match self.peek() {
            Some(Token::Word(name)) if may_lack_as && !is_clause(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(Some(name))
            }
            Some(Token::Quoted(name)) if may_lack_as => {
                let name = name.clone();
                self.at += 1;
                Ok(Some(name))
            }
            _ => Ok(None),
        }
    }

    /// `S3Object`, `S3Object s`, `S3Object[*].a[*] AS s`.
    fn table(&mut self) -> Result<(Vec<Step>, Option<String>)> {
        if !self.take_word("S3OBJECT") {
            let message = "The FROM clause names another table than S3Object";
            return Err(error("InvalidDataSource", message));
        }
        let mut steps = self.steps()?;
        match steps.first() {
            None => {}
            Some(Step::AnyElement) => drop(steps.remove(0)),
            Some(_) => return Err(error("InvalidDataSource", "A path in the FROM clause begins with S3Object[*]")),
        }
        let alias = self.alias(true)?;
        if self.take_mark(",") {
            return Err(error("UnsupportedSyntax", "A query has one table"));
        }
        Ok((steps, alias))
    }

    fn steps(&mut self) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            if self.take_mark(".") {
                steps.push(match self.next() {
                    Some(Token::Word(name)) => Step::Name { name, exact: false },
                    Some(Token::Quoted(name)) => Step::Name { name, exact: true },
                    Some(Token::Mark("*")) => Step::AnyMember,
                    _ => return Err(error("ParseInvalidPathComponent", "A path holds what is no name")),
                });
            } else if self.take_mark("[") {
                steps.push(match self.next() {
                    Some(Token::Mark("*")) => Step::AnyElement,
                    Some(Token::Text(name)) => Step::Name { name, exact: true },
                    Some(Token::Int(index)) => {
                        let invalid = |_| error("ParseInvalidPathComponent", "A path holds a negative index");
                        Step::Index(usize::try_from(index).map_err(invalid)?)
                    }
                    _ => return Err(error("ParseInvalidPathComponent", "A path holds what is no index")),
                });
                self.expect_mark("]")?;
            } else {
                return Ok(steps);
            }
        }
    }

    pub(super) fn expression(&mut self) -> Result<Expression> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error("ParseUnsupportedSyntax", "The expression lies too deep"));
        }
        let parsed = self.or();
        self.depth -= 1;
        parsed
    }

    fn or(&mut self) -> Result<Expression> {
        let mut left = self.and()?;
        while self.take_word("OR") {
            left = binary(Operator::Or, left, self.and()?);
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression> {
        let mut left = self.not()?;
        while self.take_word("AND") {
            left = binary(Operator::And, left, self.not()?);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression> {
        let mut count = 0;
        while self.take_word("NOT") {
            count += 1;
        }
        let inner = self.comparison()?;
        // An even number of them is none.
        Ok(if count % 2 == 1 { Expression::Not(Box::new(inner)) } else { inner })
    }

    fn comparison(&mut self) -> Result<Expression> {
        let mut left = self.sum()?;
        loop {
            const OPERATORS: [(&str, Operator); 7] = [
                ("=", Operator::Equal),
                ("<>", Operator::NotEqual),
                ("!=", Operator::NotEqual),
                ("<=", Operator::LessOrEqual),
                (">=", Operator::GreaterOrEqual),
                ("<", Operator::Less),
                (">", Operator::Greater),
            ];
            if let Some((_, operator)) = OPERATORS.into_iter().find(|(mark, _)| self.take_mark(mark)) {
                left = binary(operator, left, self.sum()?);
                continue;
            }
            match self.predicate(left)? {
                (done, true) => left = done,
                (left, false) => return Ok(left),
            }
        }
    }

    /// What may follow a value by its word; says whether anything did.
    fn predicate(&mut self, left: Expression) -> Result<(Expression, bool)> {
        if self.take_word("IS") {
            let negated = self.take_word("NOT");
            let value = Box::new(left);
            return match () {
                () if self.take_word("NULL") => Ok((Expression::IsNull { value, negated }, true)),
                () if self.take_word("MISSING") => Ok((Expression::IsMissing { value, negated }, true)),
                () => Err(self.unexpected("NULL or MISSING")),
            };
        }
        let negated = self.is_word("NOT") && self.follows(&["IN", "LIKE", "BETWEEN"]);
        self.at += usize::from(negated);
        let value = Box::new(left);
        if self.take_word("BETWEEN") {
            let low = Box::new(self.sum()?);
            self.expect_word("AND")?;
            let high = Box::new(self.sum()?);
            return Ok((Expression::Between { value, low, high, negated }, true));
        }
        if self.take_word("IN") {
            self.expect_mark("(")?;
            let list = self.arguments(")")?;
            return Ok((Expression::In { value, list, negated }, true));
        }
        if self.take_word("LIKE") {
            let pattern = Box::new(self.sum()?);
            let escape = if self.take_word("ESCAPE") { Some(Box::new(self.sum()?)) } else { None };
            return Ok((Expression::Like { value, pattern, escape, negated }, true));
        }
        Ok((*value, false))
    }

    fn follows(&self, keywords: &[&str]) -> bool {
        let word = match self.tokens.get(self.at + 1) {
            Some(Token::Word(word)) => word,
            _ => return false,
        };
        keywords.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
    }

    fn sum(&mut self) -> Result<Expression> {
        let mut left = self.product()?;
        loop {
            let operator = match () {
                () if self.take_mark("+") => Operator::Add,
                () if self.take_mark("-") => Operator::Subtract,
                () if self.take_mark("||") => Operator::Concatenate,
                () => return Ok(left),
            };
            left = binary(operator, left, self.product()?);
        }
    }

    fn product(&mut self) -> Result<Expression> {
        let mut left = self.sign()?;
        loop {
            let operator = match () {
                () if self.take_mark("*") => Operator::Multiply,
                () if self.take_mark("/") => Operator::Divide,
                () if self.take_mark("%") => Operator::Remainder,
                () => return Ok(left),
            };
            left = binary(operator, left, self.sign()?);
        }
    }

    fn sign(&mut self) -> Result<Expression> {
        let mut negative = false;
        loop {
            match () {
                () if self.take_mark("-") => negative = !negative,
                () if self.take_mark("+") => {}
                () => break,
            }
        }
        let inner = self.primary()?;
        Ok(if negative { Expression::Negate(Box::new(inner)) } else { inner })
    }

    fn primary(&mut self) -> Result<Expression> {
        match self.next() {
            Some(Token::Int(number)) => Ok(Expression::Literal(Value::Int(number))),
            Some(Token::Float(number)) => Ok(Expression::Literal(Value::Float(number))),
            Some(Token::Text(text)) => Ok(Expression::Literal(Value::Text(text))),
            Some(Token::Quoted(name)) => self.path(Step::Name { name, exact: true }),
            Some(Token::Mark("(")) => {
                let inner = self.expression()?;
                self.expect_mark(")")?;
                Ok(inner)
            }
            Some(Token::Word(word)) => self.word(word),
            _ => {
                self.at -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    fn path(&mut self, first: Step) -> Result<Expression> {
        let mut steps = vec![first];
        steps.extend(self.steps()?);
        if steps.iter().any(|step| matches!(step, Step::AnyElement | Step::AnyMember)) {
            let message = "A wildcard stands in the FROM clause alone";
            return Err(error("ParseCannotMixSqbAndWildcardInSelectList", message));
        }
        Ok(Expression::Path(steps))
    }

    fn word(&mut self, word: String) -> Result<Expression> {
        match word.to_ascii_uppercase().as_str() {
            "TRUE" => return Ok(Expression::Literal(Value::Bool(true))),
            "FALSE" => return Ok(Expression::Literal(Value::Bool(false))),
            "NULL" => return Ok(Expression::Literal(Value::Null)),
            "MISSING" => return Ok(Expression::Literal(Value::Missing)),
            "CASE" => return self.case(),
            "SELECT" | "FROM" | "WHERE" | "LIMIT" | "AND" | "OR" | "AS" => {
                self.at -= 1;
                return Err(self.unexpected("a value"));
            }
            _ => {}
        }
        if self.take_mark("(") {
            return self.call(word.to_ascii_uppercase());
        }
        self.path(Step::Name { name: word, exact: false })
    }

    pub(super) fn arguments(&mut self, end: &'static str) -> Result<Vec<Expression>> {
        let mut arguments = Vec::new();
        if self.take_mark(end) {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if self.take_mark(end) {
                return Ok(arguments);
            }
            self.expect_mark(",")?;
        }
    }

    fn case(&mut self) -> Result<Expression> {
        let operand = if self.is_word("WHEN") { None } else { Some(Box::new(self.expression()?)) };
        let mut branches = Vec::new();
        while self.take_word("WHEN") {
            let when = self.expression()?;
            self.expect_word("THEN")?;
            branches.push((when, self.expression()?));
        }
        if branches.is_empty() {
            return Err(error("ParseExpectedWhenClause", "A CASE expression has no WHEN"));
        }
        let otherwise = if self.take_word("ELSE") { Some(Box::new(self.expression()?)) } else { None };
        self.expect_word("END")?;
        Ok(Expression::Case { operand, branches, otherwise })
    }
}

fn binary(operator: Operator, left: Expression, right: Expression) -> Expression {
    Expression::Binary(operator, Box::new(left), Box::new(right))
}

/// Names the items of a list.
fn named(items: Vec<(Expression, Option<String>)>, query: &Query) -> Wanted {
    if items.is_empty() {
        return Wanted::Everything;
    }
    let alias = query.alias.as_deref().unwrap_or("s3object");
    // `SELECT s.*` could not be read, and `SELECT s` is the whole row.
    let named = items.into_iter().enumerate().map(|(at, (expression, given))| {
        let by_path = match &expression {
            Expression::Path(steps) => match steps.last() {
                Some(Step::Name { name, .. }) if steps.len() > 1 || !name.eq_ignore_ascii_case(alias) => {
                    Some(name.clone())
                }
                _ => None,
            },
            _ => None,
        };
        Item { expression, name: given.or(by_path).unwrap_or_else(|| format!("_{}", at + 1)) }
    });
    Wanted::Items(named.collect())
}
