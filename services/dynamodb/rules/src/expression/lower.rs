//! From nodes to conditions and projections: functions get their meaning, parentheses go.

use super::ast::{Condition, DocumentPath, Operand, Projection};
use super::error::{ExpressionKind, Problem};
use super::parser::{Node, Parser};

/// A form and the placeholders it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression<T> {
    pub(super) kind: ExpressionKind,
    pub(super) root: T,
    pub(super) aliases: Box<[Box<str>]>,
    pub(super) values: Box<[Box<str>]>,
}

impl<T> Expression<T> {
    /// A form without placeholders.
    pub(crate) fn direct(kind: ExpressionKind, root: T) -> Self {
        Expression { kind, root, aliases: Box::new([]), values: Box::new([]) }
    }

    pub const fn kind(&self) -> ExpressionKind {
        self.kind
    }

    pub const fn root(&self) -> &T {
        &self.root
    }
}

type Lowered<T> = Result<T, Problem>;

pub(super) fn operands<const N: usize>(operator: &'static str, nodes: Vec<Node>) -> Lowered<[Node; N]> {
    let count = nodes.len();
    nodes.try_into().map_err(|_| Problem::OperandCount { operator, count })
}

/// What a function that is no function of this place is refused with.
pub(super) fn refused(kind: ExpressionKind, name: &str) -> Problem {
    let function = name.to_owned();
    let is_of_conditions = matches!(
        name,
        "attribute_exists" | "attribute_not_exists" | "attribute_type" | "begins_with" | "contains" | "size"
    );
    let is_of_updates = matches!(name, "if_not_exists" | "list_append");
    match kind {
        ExpressionKind::Update if is_of_updates => Problem::MisusedFunction(function),
        ExpressionKind::Update if is_of_conditions => Problem::FunctionElsewhere { family: kind.family(), function },
        ExpressionKind::Update => Problem::UnknownFunction(function),
        _ if is_of_updates => Problem::FunctionElsewhere { family: kind.family(), function },
        _ if is_of_conditions => Problem::MisusedFunction(function),
        _ => Problem::UnknownFunction(function),
    }
}

/// What is inside parentheses, which may not be parentheses again.
pub(super) fn inside(node: Node) -> Lowered<Node> {
    match node {
        Node::Parenthesised(_) => Err(Problem::RedundantParentheses),
        other => Ok(other),
    }
}

pub(super) fn path_of(operator: &'static str, node: Node) -> Lowered<DocumentPath> {
    match node {
        Node::Path(path) => Ok(path),
        Node::Parenthesised(inner) => path_of(operator, inside(*inner)?),
        _ => Err(Problem::RequiresPath(operator)),
    }
}

struct Lowering(ExpressionKind);

impl Lowering {
    fn operand(&self, node: Node) -> Lowered<Operand> {
        match node {
            Node::Path(path) => Ok(Operand::Path(path)),
            Node::Value(slot) => Ok(Operand::Value(slot)),
            Node::Parenthesised(inner) => self.operand(inside(*inner)?),
            Node::Call(name, arguments) if &*name == "size" => {
                let [operand] = operands("size", arguments)?;
                Ok(Operand::Size(Box::new(self.operand(operand)?)))
            }
            Node::Call(name, _) => Err(refused(self.0, &name)),
            // The parser puts nothing else where an operand stands.
            _ => Err(Problem::Empty),
        }
    }

    fn call(&self, name: &str, nodes: Vec<Node>) -> Lowered<Condition> {
        let two = |operator, nodes| {
            let [first, second] = operands(operator, nodes)?;
            Ok((self.operand(first)?, self.operand(second)?))
        };
        match name {
            "attribute_exists" => {
                let [path] = operands("attribute_exists", nodes)?;
                path_of("attribute_exists", path).map(Condition::Exists)
            }
            "attribute_not_exists" => {
                let [path] = operands("attribute_not_exists", nodes)?;
                path_of("attribute_not_exists", path).map(Condition::NotExists)
            }
            "attribute_type" => two("attribute_type", nodes).map(|(of, kind)| Condition::Type(of, kind)),
            "begins_with" => two("begins_with", nodes).map(|(of, prefix)| Condition::BeginsWith(of, prefix)),
            "contains" => two("contains", nodes).map(|(of, part)| Condition::Contains(of, part)),
            _ => Err(refused(self.0, name)),
        }
    }

    fn all(&self, nodes: Vec<Node>) -> Lowered<Box<[Condition]>> {
        nodes.into_iter().map(|node| self.condition(node)).collect()
    }

    fn condition(&self, node: Node) -> Lowered<Condition> {
        Ok(match node {
            Node::Compare(comparator, sides) => {
                let (left, right) = *sides;
                Condition::Compare(comparator, self.operand(left)?, self.operand(right)?)
            }
            Node::Between(nodes) => {
                let [of, lower, upper] = *nodes;
                Condition::Between(self.operand(of)?, self.operand(lower)?, self.operand(upper)?)
            }
            Node::In(of, nodes) => {
                let list = nodes.into_iter().map(|node| self.operand(node)).collect::<Lowered<_>>()?;
                Condition::In(self.operand(*of)?, list)
            }
            Node::And(nodes) => Condition::And(self.all(nodes)?),
            Node::Or(nodes) => Condition::Or(self.all(nodes)?),
            Node::Not(inner) => Condition::Not(Box::new(self.condition(*inner)?)),
            Node::Parenthesised(inner) => self.condition(inside(*inner)?)?,
            Node::Call(name, nodes) => self.call(&name, nodes)?,
            Node::Path(_) | Node::Value(_) => return Err(Problem::Empty),
        })
    }
}

pub(super) fn condition(kind: ExpressionKind, text: &str) -> Lowered<Expression<Condition>> {
    let mut parser = Parser::new(kind, text)?;
    let node = parser.condition()?;
    parser.expect_end()?;
    let (aliases, values) = parser.finish()?;
    let root = Lowering(kind).condition(node)?;
    Ok(Expression { kind, root, aliases, values })
}

pub(super) fn projection(text: &str) -> Lowered<Expression<Projection>> {
    let kind = ExpressionKind::Projection;
    let mut parser = Parser::new(kind, text)?;
    let paths = parser.paths()?;
    parser.expect_end()?;
    let (aliases, values) = parser.finish()?;
    Ok(Expression { kind, root: Projection { paths: paths.into_boxed_slice() }, aliases, values })
}
