//! Update expressions: sections, and what SET assigns.

use super::ast::{Action, SetOperand, SetTerm, Update};
use super::error::{ExpressionKind, Problem};
use super::lower::{Expression, inside, operands, path_of, refused};
use super::parser::{Node, Parser};

type Lowered<T> = Result<T, Problem>;

fn set_operand(node: Node) -> Lowered<SetOperand> {
    match node {
        Node::Path(path) => Ok(SetOperand::Path(path)),
        Node::Value(slot) => Ok(SetOperand::Value(slot)),
        Node::Parenthesised(inner) => set_operand(inside(*inner)?),
        Node::Call(name, nodes) => match &*name {
            "if_not_exists" => {
                let [path, otherwise] = operands("if_not_exists", nodes)?;
                Ok(SetOperand::IfNotExists(path_of("if_not_exists", path)?, Box::new(set_operand(otherwise)?)))
            }
            "list_append" => {
                let [first, second] = operands("list_append", nodes)?;
                Ok(SetOperand::ListAppend(Box::new(set_operand(first)?), Box::new(set_operand(second)?)))
            }
            other => Err(refused(ExpressionKind::Update, other)),
        },
        // The parser puts nothing else where an operand stands.
        _ => Err(Problem::Empty),
    }
}

/// The nodes of what SET assigns, before they get a meaning.
enum Assigned {
    One(Node),
    Plus(Node, Node),
    Minus(Node, Node),
}

fn assigned(parser: &mut Parser<'_>) -> Lowered<Assigned> {
    let first = parser.operand()?;
    let assigned = if parser.take_symbol("+") {
        Assigned::Plus(first, parser.operand()?)
    } else if parser.take_symbol("-") {
        Assigned::Minus(first, parser.operand()?)
    } else {
        return Ok(Assigned::One(first));
    };
    parser.count_operator();
    Ok(assigned)
}

enum Raw {
    Done(Action),
    Set(super::DocumentPath, Assigned),
}

fn action(parser: &mut Parser<'_>, section: &'static str) -> Lowered<Raw> {
    let path = parser.path()?;
    Ok(match section {
        "SET" => {
            parser.expect_symbol("=")?;
            Raw::Set(path, assigned(parser)?)
        }
        "REMOVE" => Raw::Done(Action::Remove(path)),
        "ADD" => Raw::Done(Action::Add(path, parser.value()?)),
        _ => Raw::Done(Action::Delete(path, parser.value()?)),
    })
}

fn meant(raw: Raw) -> Lowered<Action> {
    Ok(match raw {
        Raw::Done(action) => action,
        Raw::Set(path, assigned) => Action::Set(
            path,
            match assigned {
                Assigned::One(node) => SetTerm::Operand(set_operand(node)?),
                Assigned::Plus(left, right) => SetTerm::Plus(set_operand(left)?, set_operand(right)?),
                Assigned::Minus(left, right) => SetTerm::Minus(set_operand(left)?, set_operand(right)?),
            },
        ),
    })
}

pub(super) fn update(text: &str) -> Lowered<Expression<Update>> {
    const SECTIONS: [&str; 4] = ["SET", "REMOVE", "ADD", "DELETE"];
    let kind = ExpressionKind::Update;
    let mut parser = Parser::new(kind, text)?;
    let mut seen: Vec<&'static str> = Vec::new();
    let mut twice = None;
    let mut raw = Vec::new();
    while !parser.is_end() {
        let section = SECTIONS.into_iter().find(|section| parser.take_keyword(section));
        let section = section.ok_or_else(|| parser.syntax())?;
        if seen.contains(&section) {
            twice.get_or_insert(section);
        }
        seen.push(section);
        raw.push(action(&mut parser, section)?);
        while parser.take_symbol(",") {
            raw.push(action(&mut parser, section)?);
        }
    }
    if let Some(section) = twice {
        return Err(Problem::SectionTwice(section));
    }
    let (aliases, values) = parser.finish()?;
    let actions = raw.into_iter().map(meant).collect::<Lowered<_>>()?;
    Ok(Expression { kind, root: Update { actions }, aliases, values })
}
