//! DynamoDB's settings.

fractus_host::settings! {
    /// The settings of DynamoDB.
    pub struct Config {
        /// How long a table stays CREATING and DELETING, in seconds of its lane's clock. Zero by default: a test need
        /// not wait for its tables.
        pub table_transition_secs: u64 = 0,
        /// How far the latest moment that a table can be restored to lies back, in seconds of its lane's clock; five
        /// minutes on AWS. Zero by default: what was just written can be restored.
        pub recovery_lag_secs: u64 = 0,
        /// Whether requests beyond a table's throughput are refused.
        pub throttle: bool = false,
        /// How long a transaction is under way, in milliseconds of its lane's clock: meanwhile what meets it on one of its items
        /// conflicts with it, as on AWS. Zero by default: transactions take no time, and none conflicts.
        pub transaction_ms: u64 = 0,
        /// How long a write of a strongly consistent global table is under way, in milliseconds of its lane's clock: meanwhile another
        /// region's write of the item is refused, as on AWS. Zero by default: writes take no time, and none is refused.
        pub replicated_write_ms: u64 = 0,
        /// How many shards a new stream has.
        pub stream_shards: u64 = 1,
    }
}

impl Config {
    pub const fn replicated_write(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.replicated_write_ms)
    }

    pub fn recovery_lag(&self) -> std::time::Duration {
        std::time::Duration::from_secs(self.recovery_lag_secs)
    }
}
