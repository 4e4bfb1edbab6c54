//! Avro's container files, uncompressed and of one block: what Iceberg keeps its lists of files in.
//!
//! <https://avro.apache.org/docs/1.12.0/specification/>

use super::thrift::{varint, zigzag};

/// Values one behind the other, as a record's fields are.
#[derive(Clone, Debug, Default)]
pub struct Record(Vec<u8>);

impl Record {
    /// An `int` or a `long`.
    #[must_use]
    pub fn long(mut self, value: i64) -> Self {
        varint(&mut self.0, zigzag(value));
        self
    }

    /// A `long` that may be absent: the second branch of a union whose first is `null`.
    #[must_use]
    pub fn some_long(self, value: i64) -> Self {
        self.long(1).long(value)
    }

    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.long(bytes.len() as i64).raw(bytes)
    }

    /// What is encoded already.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A map by numbers that may be absent, as an array of records.
    #[must_use]
    pub fn some_map(self, entries: &[(i32, Record)]) -> Self {
        let mut all = self.long(1);
        if !entries.is_empty() {
            all = all.long(entries.len() as i64);
        }
        for (key, value) in entries {
            all = all.long(i64::from(*key)).raw(&value.0);
        }
        all.long(0)
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// A file of records under a schema. `sync` stands between blocks; any sixteen bytes do that are not likely to be in them.
pub fn container(schema: &str, metadata: &[(&str, &str)], records: &[Record], sync: [u8; 16]) -> Vec<u8> {
    let named = [("avro.schema", schema), ("avro.codec", "null")];
    let mut head = Record::default().long((named.len() + metadata.len()) as i64);
    for (name, value) in named.iter().chain(metadata) {
        head = head.text(name).bytes(value.as_bytes());
    }
    let mut out = b"Obj\x01".to_vec();
    out.extend(head.long(0).0);
    out.extend(sync);
    if records.is_empty() {
        return out;
    }
    let length = records.iter().map(|record| record.0.len()).sum::<usize>();
    out.extend(Record::default().long(records.len() as i64).long(length as i64).0);
    records.iter().for_each(|record| out.extend(&record.0));
    out.extend(sync);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_what_the_specification_shows() {
        let records = [Record::default().long(-1).text("ab"), Record::default().some_long(64).text("")];
        let file = container("\"s\"", &[("k", "v")], &records, [7; 16]);
        let mut expected = b"Obj\x01\x06\x16avro.schema\x06\"s\"\x14avro.codec\x08null\x02k\x02v\x00".to_vec();
        expected.extend([7; 16]);
        // Two records of 4 and 4 bytes.
        expected.extend(b"\x04\x10\x01\x04ab\x02\x80\x01\x00");
        expected.extend([7; 16]);
        assert_eq!(file, expected);
    }
}
