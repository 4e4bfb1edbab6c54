//! S3's settings.

fractus_host::settings! {
    /// The settings of S3.
    pub struct Config {
        /// Objects up to this many bytes are kept beside their record, larger ones in the blob store.
        pub small_object_bytes: usize = 65_536,
        /// The least size of a part that is not the last. AWS's is 5 MiB; tests may want less.
        pub min_part_bytes: u64 = 5_242_880,
        /// What all uploads together may gather in memory, half of it on its way to their files and half to be hashed. One that
        /// finds nothing free goes on in smaller pieces.
        pub gathering_bytes: usize = 33_554_432,
    }
}
