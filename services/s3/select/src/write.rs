//! Results as bytes.

use super::evaluate::{Outcome, Row, columns};
use super::value::{Value, write_members};

#[derive(Clone, Debug)]
pub enum Output {
    Csv {
        /// Whether all fields are quoted, or those alone that must be.
        quote_all: bool,
        quote: char,
        escape: char,
        record_delimiter: String,
        field_delimiter: String,
    },
    Json {
        record_delimiter: String,
    },
}

impl Output {
    pub fn write(&self, outcome: &Outcome, out: &mut String) {
        match self {
            Output::Json { record_delimiter } => {
                match outcome {
                    Outcome::Fields(fields) => members(fields, out),
                    Outcome::Whole(Row::Fields { names, values }) => members(&columns(names, values), out),
                    Outcome::Whole(Row::Document(document @ Value::Object(_))) => document.write_json(out),
                    Outcome::Whole(Row::Document(other)) => write_members(std::iter::once(("_1", other)), out),
                }
                out.push_str(record_delimiter);
            }
            Output::Csv { record_delimiter, .. } => {
                match outcome {
                    Outcome::Fields(fields) => self.fields(fields.iter().map(|(_, value)| value.plain()), out),
                    Outcome::Whole(Row::Fields { values, .. }) => self.fields(values.iter().cloned(), out),
                    Outcome::Whole(Row::Document(Value::Object(members))) => {
                        self.fields(members.iter().map(|(_, value)| value.plain()), out);
                    }
                    Outcome::Whole(Row::Document(other)) => self.fields(std::iter::once(other.plain()), out),
                }
                out.push_str(record_delimiter);
            }
        }
    }

    fn fields(&self, fields: impl Iterator<Item = String>, out: &mut String) {
        let Output::Csv { quote_all, quote, escape, record_delimiter, field_delimiter } = self else { return };
        for (at, field) in fields.enumerate() {
            if at > 0 {
                out.push_str(field_delimiter);
            }
            let must_be = || {
                field.contains(*quote)
                    || field.contains(field_delimiter.as_str())
                    || field.contains(record_delimiter.as_str())
                    || field.contains(['\r', '\n'])
            };
            if !quote_all && !must_be() {
                out.push_str(&field);
                continue;
            }
            out.push(*quote);
            for character in field.chars() {
                if character == *quote {
                    out.push(*escape);
                }
                out.push(character);
            }
            out.push(*quote);
        }
    }
}

fn members(fields: &[(String, Value)], out: &mut String) {
    write_members(fields.iter().map(|(name, value)| (name.as_str(), value)), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let csv = |quote_all| Output::Csv {
            quote_all,
            quote: '"',
            escape: '"',
            record_delimiter: "\n".into(),
            field_delimiter: ",".into(),
        };
        let fields = ["a", "b,c", "say \"x\""].map(|text| (String::new(), Value::Text(text.into())));
        let outcome = Outcome::Fields(fields.to_vec());
        let mut out = String::new();
        csv(false).write(&outcome, &mut out);
        csv(true).write(&outcome, &mut out);
        assert_eq!(out, "a,\"b,c\",\"say \"\"x\"\"\"\n\"a\",\"b,c\",\"say \"\"x\"\"\"\n");
    }
}
