//! Which characters a class holds.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Characters, by ranges of their codes and by what Unicode says of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    ranges: Vec<(u32, u32)>,
    /// Bits of general categories.
    categories: u32,
    negated: bool,
    /// What holds of the first 128 characters, everything else considered.
    ascii: u128,
}

pub const LAST: u32 = 0x10_FFFF;

impl Set {
    /// One character.
    pub fn of(character: char) -> Self {
        let mut set = Set::default();
        set.add(character.into(), character.into());
        set.finish()
    }

    pub fn add(&mut self, from: u32, to: u32) {
        self.ranges.push((from, to));
    }

    /// Everything but these ASCII characters.
    pub fn add_all_but(&mut self, excluded: &[(u8, u8)]) {
        let mut from = 0;
        for (first, last) in excluded {
            if u32::from(*first) > from {
                self.add(from, u32::from(*first) - 1);
            }
            from = u32::from(*last) + 1;
        }
        self.add(from, LAST);
    }

    /// Every character of these categories, or every other.
    pub fn add_categories(&mut self, categories: u32, others: bool) {
        self.categories |= if others { !categories } else { categories };
    }

    pub fn negate(&mut self) {
        self.negated = true;
    }

    /// Adds small letters for great ones and great ones for small ones, of ASCII.
    pub fn fold(&mut self) {
        for letter in 'a'..='z' {
            let (small, great) = (u32::from(letter), u32::from(letter.to_ascii_uppercase()));
            let (has_small, has_great) = (self.lists(small), self.lists(great));
            if has_small != has_great {
                let missing = if has_small { great } else { small };
                self.add(missing, missing);
            }
        }
    }

    /// To be called when everything is added.
    pub fn finish(mut self) -> Self {
        self.ranges.sort_unstable();
        for code in 0..128_u8 {
            if self.decide(char::from(code)) {
                self.ascii |= 1 << code;
            }
        }
        self
    }

    fn lists(&self, code: u32) -> bool {
        self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&code))
    }

    fn decide(&self, character: char) -> bool {
        let holds = self.lists(character.into())
            || (self.categories != 0 && self.categories & bit(character.general_category()) != 0);
        holds != self.negated
    }

    pub fn has_ascii(&self, byte: u8) -> bool {
        byte < 128 && self.ascii >> byte & 1 == 1
    }

    /// The length of the character at `at` if the set holds it.
    pub fn length_at(&self, text: &str, at: usize) -> Option<usize> {
        let byte = *text.as_bytes().get(at)?;
        if byte < 128 {
            return self.has_ascii(byte).then_some(1);
        }
        let character = text.get(at..)?.chars().next()?;
        self.decide(character).then(|| character.len_utf8())
    }
}

fn bit(category: GeneralCategory) -> u32 {
    1 << category as u32
}

/// The categories of a Unicode property by its name: a category (`Lu`), or all that begin with its letter (`L`).
pub fn categories(name: &str) -> Option<u32> {
    use GeneralCategory as C;
    let all = [
        ("Lu", C::UppercaseLetter),
        ("Ll", C::LowercaseLetter),
        ("Lt", C::TitlecaseLetter),
        ("Lm", C::ModifierLetter),
        ("Lo", C::OtherLetter),
        ("Mn", C::NonspacingMark),
        ("Mc", C::SpacingMark),
        ("Me", C::EnclosingMark),
        ("Nd", C::DecimalNumber),
        ("Nl", C::LetterNumber),
        ("No", C::OtherNumber),
        ("Pc", C::ConnectorPunctuation),
        ("Pd", C::DashPunctuation),
        ("Ps", C::OpenPunctuation),
        ("Pe", C::ClosePunctuation),
        ("Pi", C::InitialPunctuation),
        ("Pf", C::FinalPunctuation),
        ("Po", C::OtherPunctuation),
        ("Sm", C::MathSymbol),
        ("Sc", C::CurrencySymbol),
        ("Sk", C::ModifierSymbol),
        ("So", C::OtherSymbol),
        ("Zs", C::SpaceSeparator),
        ("Zl", C::LineSeparator),
        ("Zp", C::ParagraphSeparator),
        ("Cc", C::Control),
        ("Cf", C::Format),
        ("Cs", C::Surrogate),
        ("Co", C::PrivateUse),
        ("Cn", C::Unassigned),
    ];
    let named = all.iter().filter(|(known, _)| *known == name || (name.len() == 1 && known.starts_with(name)));
    let bits = named.fold(0, |bits, (_, category)| bits | bit(*category));
    (bits != 0).then_some(bits)
}
