//! The fields of a cron expression that are sets of numbers: lists, ranges, steps, names, `*`.

/// Which numbers a field allows, and how they may be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub name: &'static str,
    pub first: u16,
    pub last: u16,
    /// Names of the numbers from the first on.
    pub words: &'static [&'static str],
    /// Whether `22-2` goes over the end to the beginning.
    pub is_cyclic: bool,
}

pub(crate) const MINUTES: Kind = Kind { name: "minutes", first: 0, last: 59, words: &[], is_cyclic: true };
pub(crate) const HOURS: Kind = Kind { name: "hours", first: 0, last: 23, words: &[], is_cyclic: true };
pub(crate) const DAYS_OF_MONTH: Kind = Kind { name: "day-of-month", first: 1, last: 31, words: &[], is_cyclic: true };
pub(crate) const MONTHS: Kind = Kind {
    name: "month",
    first: 1,
    last: 12,
    words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    is_cyclic: true,
};
/// Sunday is 1.
pub(crate) const DAYS_OF_WEEK: Kind = Kind {
    name: "day-of-week",
    first: 1,
    last: 7,
    words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    is_cyclic: true,
};
pub(crate) const YEARS: Kind = Kind { name: "year", first: 1970, last: 2199, words: &[], is_cyclic: false };

/// A set of numbers of one kind: bit 0 is the kind's first number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set([u64; 4]);

impl Set {
    fn add(&mut self, kind: Kind, number: u16) {
        let bit = usize::from(number - kind.first);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    pub fn contains(&self, kind: Kind, number: u16) -> bool {
        let Some(bit) = number.checked_sub(kind.first).map(usize::from) else { return false };
        number <= kind.last && self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// The smallest number of the set that is not below this one.
    pub fn from(&self, kind: Kind, number: u16) -> Option<u16> {
        (number.max(kind.first)..=kind.last).find(|number| self.contains(kind, *number))
    }

    /// Reads a list such as `1,5-9,20/5`; none if it is not one.
    pub fn parse(text: &str, kind: Kind) -> Option<Self> {
        let mut set = Set::default();
        for part in text.split(',') {
            set.add_part(part, kind)?;
        }
        Some(set)
    }

    fn add_part(&mut self, part: &str, kind: Kind) -> Option<()> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (kind.first, kind.last),
            Some((from, to)) => (parse_one(from, kind)?, parse_one(to, kind)?),
            None => {
                let one = parse_one(range, kind)?;
                // A step without an end goes to the field's end.
                (one, if step.is_some() { kind.last } else { one })
            }
        };
        if from > to && !kind.is_cyclic {
            return None;
        }
        let size = kind.last - kind.first + 1;
        let length = if from <= to { to - from } else { to + size - from };
        for offset in (0..=length).step_by(usize::from(step.unwrap_or(1))) {
            self.add(kind, kind.first + (from - kind.first + offset) % size);
        }
        Some(())
    }
}

/// One number or name of the kind.
pub(crate) fn parse_one(text: &str, kind: Kind) -> Option<u16> {
    if let Some(position) = kind.words.iter().position(|word| word.eq_ignore_ascii_case(text)) {
        return u16::try_from(position).ok().map(|position| kind.first + position);
    }
    number(text).filter(|number| (kind.first..=kind.last).contains(number))
}

/// Digits only, four at most.
pub(crate) fn number(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str, kind: Kind) -> Option<Vec<u16>> {
        let set = Set::parse(text, kind)?;
        Some((kind.first..=kind.last).filter(|number| set.contains(kind, *number)).collect())
    }

    #[test]
    fn lists_ranges_and_steps() {
        assert_eq!(numbers("1,5-7,50/5", MINUTES).unwrap(), [1, 5, 6, 7, 50, 55]);
        assert_eq!(numbers("0/20", MINUTES).unwrap(), [0, 20, 40]);
        assert_eq!(numbers("*/20", MINUTES).unwrap(), [0, 20, 40]);
        assert_eq!(numbers("1/10", MINUTES).unwrap(), [1, 11, 21, 31, 41, 51]);
        assert_eq!(numbers("10-16/3", HOURS).unwrap(), [10, 13, 16]);
        assert_eq!(numbers("22-2", HOURS).unwrap(), [0, 1, 2, 22, 23]);
        assert_eq!(numbers("MON-FRI", DAYS_OF_WEEK).unwrap(), [2, 3, 4, 5, 6]);
        assert_eq!(numbers("fri-mon", DAYS_OF_WEEK).unwrap(), [1, 2, 6, 7]);
        assert_eq!(numbers("JAN,3,dec", MONTHS).unwrap(), [1, 3, 12]);
        assert_eq!(numbers("2024/2", YEARS).unwrap().len(), 88);
        assert_eq!(numbers("*", YEARS).unwrap().len(), 230);
    }

    #[test]
    fn what_is_no_list() {
        for text in
            ["", ",", "60", "-1", "1-", "1/0", "1/", "/5", "x", "1,,2", "?", "1-2-3", "+1", "00001", "*-5", "MON"]
        {
            assert_eq!(numbers(text, MINUTES), None, "{text}");
        }
        assert_eq!(numbers("2025-2024", YEARS), None);
        assert_eq!(numbers("0", DAYS_OF_WEEK), None);
        assert_eq!(numbers("1969", YEARS), None);
        assert_eq!(numbers("2200", YEARS), None);
    }
}
