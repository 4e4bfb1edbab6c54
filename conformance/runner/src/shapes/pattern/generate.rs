//! Texts from a pattern. Lengths are shared out from the top: every node knows the least and the greatest it can have.

use super::parse::{Node, Set};
use crate::shapes::chance::Chance;

/// The least and the greatest number of characters; `None` for no bound.
pub fn lengths(node: &Node) -> (usize, Option<usize>) {
    match node {
        Node::Empty | Node::Look { .. } | Node::Edge(_) => (0, Some(0)),
        // What it repeats is not known here; mostly a separator.
        Node::Back(_) => (0, Some(1)),
        Node::Set(_) => (1, Some(1)),
        Node::Group(inside) => lengths(inside),
        Node::Sequence(parts) => parts.iter().map(lengths).fold((0, Some(0)), |(least, most), (low, high)| {
            (least + low, most.zip(high).map(|(most, high)| most + high))
        }),
        Node::Choice(branches) => branches
            .iter()
            .map(lengths)
            .reduce(|(least, most), (low, high)| (least.min(low), most.zip(high).map(|(most, high)| most.max(high))))
            .unwrap_or((0, Some(0))),
        Node::Repeat { inside, least, most } => {
            let (low, high) = lengths(inside);
            let most = match (high, most) {
                (Some(0), _) => Some(0),
                (Some(high), Some(most)) => Some(high * most),
                _ => None,
            };
            (low * least, most)
        }
    }
}

fn can_have(node: &Node, length: usize) -> bool {
    let (least, most) = lengths(node);
    least <= length && most.is_none_or(|most| length <= most)
}

/// A text of about this many characters: exactly so many wherever the node can have them.
pub fn generate(node: &Node, length: usize, chance: &mut Chance) -> String {
    let mut out = String::with_capacity(length);
    let mut groups = Vec::new();
    write(&mut out, node, length, chance, &mut groups);
    out
}

fn write(out: &mut String, node: &Node, length: usize, chance: &mut Chance, groups: &mut Vec<String>) {
    match node {
        Node::Empty | Node::Look { .. } | Node::Edge(_) => {}
        Node::Set(set) => out.extend(pick(set, chance)),
        Node::Group(inside) => {
            let (start, number) = (out.len(), groups.len());
            groups.push(String::new());
            write(out, inside, length, chance, groups);
            groups[number] = out[start..].to_owned();
        }
        Node::Back(number) => {
            if let Some(group) = number.checked_sub(1).and_then(|index| groups.get(index)) {
                out.push_str(group);
            }
        }
        Node::Choice(branches) => {
            let able: Vec<&Node> = branches.iter().filter(|branch| can_have(branch, length)).collect();
            if let Some(branch) = able.get(chance.below(able.len())) {
                write(out, branch, length, chance, groups);
            }
        }
        Node::Sequence(parts) => {
            for (part, length) in
                parts.iter().zip(shares(&parts.iter().map(lengths).collect::<Vec<_>>(), length, chance))
            {
                write(out, part, length, chance, groups);
            }
        }
        Node::Repeat { inside, least, most } => {
            let times = times(inside, *least, *most, length);
            for length in shares(&vec![lengths(inside); times], length, chance) {
                write(out, inside, length, chance, groups);
            }
        }
    }
}

/// How often a node is repeated to fill a length: the fewest times that can.
fn times(inside: &Node, least: usize, most: Option<usize>, length: usize) -> usize {
    let (low, high) = lengths(inside);
    if length == 0 {
        return if low == 0 { least } else { 0 };
    }
    let enough = match high {
        Some(0) => least,
        Some(high) => length.div_ceil(high),
        None => 1,
    };
    enough.max(least).min(most.unwrap_or(usize::MAX)).min(length.max(least))
}

/// A length for each part: its least, and what is left over to whoever can take it, from a part chosen by chance on.
fn shares(bounds: &[(usize, Option<usize>)], length: usize, chance: &mut Chance) -> Vec<usize> {
    let mut shares: Vec<usize> = bounds.iter().map(|(least, _)| *least).collect();
    let mut left = length.saturating_sub(shares.iter().sum());
    let first = chance.below(bounds.len());
    // Parts without a bound take all that is over; bounded ones are filled where there are no others.
    for unbounded in [true, false] {
        for offset in 0..bounds.len() {
            let index = (first + offset) % bounds.len();
            let (_, most) = bounds[index];
            let room = match most {
                Some(most) => most - shares[index],
                None if unbounded => left,
                None => 0,
            };
            if most.is_none() == unbounded {
                let taken = room.min(left);
                shares[index] += taken;
                left -= taken;
            }
        }
    }
    shares
}

/// Characters that are tried before others: services refuse signs and controls for reasons that no pattern tells.
const USUAL: &str = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789";
const LESS_USUAL: &str = "-_./:=+@, !#$%&'*()<>?[]^`{}|~;\"\\é\u{4e2d}";

fn pick(set: &Set, chance: &mut Chance) -> Option<char> {
    let chosen = set.chosen.get_or_init(|| chosen(set));
    chosen.get(chance.below(chosen.len())).copied()
}

/// What a set has of the usual characters, else of the less usual ones, else its first.
fn chosen(set: &Set) -> Vec<char> {
    let of = |characters: &str| characters.chars().filter(|character| holds(set, *character)).collect::<Vec<char>>();
    let first = || set.ranges.first().filter(|_| !set.negated).map(|(low, _)| *low).into_iter().collect();
    [of(USUAL), of(LESS_USUAL)].into_iter().find(|held| !held.is_empty()).unwrap_or_else(first)
}

fn holds(set: &Set, character: char) -> bool {
    let listed = set.ranges.iter().any(|(low, high)| (*low..=*high).contains(&character))
        || set.properties.iter().any(|(name, negated)| has(name, character) != *negated)
        || set.inner.iter().any(|inner| holds(inner, character));
    listed != set.negated
}

fn has(property: &str, character: char) -> bool {
    match property {
        "L" | "Alphabetic" | "Letter" => character.is_alphabetic(),
        "Lu" => character.is_uppercase(),
        "Ll" => character.is_lowercase(),
        "N" | "Nd" => character.is_numeric(),
        "Z" | "Zs" => character == ' ',
        "M" | "C" | "Cc" | "Cn" => false,
        "P" => character.is_ascii_punctuation() && !"$+<=>^`|~".contains(character),
        "S" => "$+<=>^`|~".contains(character),
        _ => character.is_alphanumeric(),
    }
}
