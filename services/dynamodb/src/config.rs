//! DynamoDB's settings.

fractus_host::settings! {
    /// The settings of DynamoDB.
    pub struct Config {
        /// How long a table stays CREATING and DELETING, in seconds of its lane's clock. Zero by default: a test need
        /// not wait for its tables.
        pub table_transition_secs: u64 = 0,
        /// Whether requests beyond a table's throughput are refused.
        pub throttle: bool = false,
        /// How many shards a new stream has.
        pub stream_shards: u64 = 1,
    }
}
