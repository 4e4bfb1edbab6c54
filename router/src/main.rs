//! The `fractus` binary.
fn main() {}
