//! Which known key somebody may have meant.

/// The known name with the fewest changes, if they are few against its length.
pub(super) fn closest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (changes, name) = known.map(|name| (distance(given, name), name)).min()?;
    (changes <= name.len().max(given.len()).div_ceil(3)).then_some(name)
}

/// Levenshtein's distance: insertions, deletions, replacements.
pub(super) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_close_enough_or_none() {
        let known = ["listen", "drain_grace_secs", "data_dir"];
        assert_eq!(closest("lisen", known.into_iter()), Some("listen"));
        assert_eq!(closest("data-dir", known.into_iter()), Some("data_dir"));
        assert_eq!(closest("zzzzzzzz", known.into_iter()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
