//! The ranges of sizes in which Storage Lens counts objects and requests.

/// Their names within metrics: `Read128KBTo256KBRequestCount`, `ObjectLargerThan4GBCount`.
pub const NAMES: [&str; 18] = [
    "0KB",
    "0KBTo128KB",
    "128KBTo256KB",
    "256KBTo512KB",
    "512KBTo1MB",
    "1MBTo2MB",
    "2MBTo4MB",
    "4MBTo8MB",
    "8MBTo16MB",
    "16MBTo32MB",
    "32MBTo64MB",
    "64MBTo128MB",
    "128MBTo256MB",
    "256MBTo512MB",
    "512MBTo1GB",
    "1GBTo2GB",
    "2GBTo4GB",
    "LargerThan4GB",
];

/// Which range so many bytes are in: each ends with its upper bound.
pub fn of_bytes(bytes: u64) -> usize {
    if bytes == 0 {
        return 0;
    }
    let bound = |range: usize| (128 * 1024) << (range - 1);
    (1..NAMES.len() - 1).find(|range| bytes <= bound(*range)).unwrap_or(NAMES.len() - 1)
}

/// The same of an object: an empty one takes room, too, and AWS counts it with the small ones.
pub fn of_object(bytes: u64) -> usize {
    of_bytes(bytes).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_with_their_upper_bound() {
        let name = |bytes| NAMES[of_bytes(bytes)];
        assert_eq!([0, 1, 131_072, 131_073].map(name), ["0KB", "0KBTo128KB", "0KBTo128KB", "128KBTo256KB"]);
        assert_eq!([1 << 20, (1 << 20) + 1, 4 << 30].map(name), ["512KBTo1MB", "1MBTo2MB", "2GBTo4GB"]);
        assert_eq!([(4 << 30) + 1, u64::MAX].map(name), ["LargerThan4GB"; 2]);
        assert_eq!(NAMES[of_object(0)], "0KBTo128KB");
    }
}
