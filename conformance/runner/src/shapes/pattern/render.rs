//! A pattern for the engine here, from what was read of Java's.

use std::fmt::Write as _;

use super::parse::{Node, Set};

/// The engine refuses automata of greater size; beyond, a count is left open, and lengths are checked by themselves.
const MAX_COUNT: usize = 1_000;

pub fn render(node: &Node) -> String {
    let mut out = String::new();
    write(&mut out, node);
    out
}

fn write(out: &mut String, node: &Node) {
    match node {
        Node::Empty => out.push_str("(?:)"),
        Node::Set(set) => write_set(out, set),
        Node::Sequence(parts) => parts.iter().for_each(|part| write(out, part)),
        Node::Choice(branches) => {
            out.push_str("(?:");
            for (index, branch) in branches.iter().enumerate() {
                if index > 0 {
                    out.push('|');
                }
                write(out, branch);
            }
            out.push(')');
        }
        Node::Repeat { inside, least, most } => {
            // Around an edge nothing is repeated.
            if matches!(**inside, Node::Edge(_)) {
                return write(out, inside);
            }
            out.push_str("(?:");
            write(out, inside);
            out.push(')');
            let least = (*least).min(MAX_COUNT);
            // Writing to a string cannot fail.
            let _ = match most {
                Some(most) if *most <= MAX_COUNT => write!(out, "{{{least},{most}}}"),
                _ => write!(out, "{{{least},}}"),
            };
        }
        Node::Group(inside) => {
            out.push('(');
            write(out, inside);
            out.push(')');
        }
        Node::Look { open, inside } => {
            out.push('(');
            out.push_str(open);
            write(out, inside);
            out.push(')');
        }
        Node::Edge(edge) => out.push_str(edge),
        Node::Back(number) => {
            let _ = write!(out, "\\{number}");
        }
    }
}

fn write_set(out: &mut String, set: &Set) {
    out.push_str(if set.negated { "[^" } else { "[" });
    for (low, high) in &set.ranges {
        let _ = write!(out, "\\x{{{:X}}}-\\x{{{:X}}}", u32::from(*low), u32::from(*high));
    }
    for (name, negated) in &set.properties {
        let _ = write!(out, "\\{}{{{name}}}", if *negated { 'P' } else { 'p' });
    }
    for inner in &set.inner {
        write_set(out, inner);
    }
    out.push(']');
}
