//! The scheduler's settings.

fractus_host::settings! {
    /// The settings of EventBridge Scheduler.
    pub struct Config {
        /// How many invocations of one schedule are made up for when the clock jumps: the latest ones; earlier ones are
        /// skipped. At least 1.
        pub catch_up_limit: usize = 1_000,
        /// The most schedules of an account in a region.
        pub schedule_quota: u64 = 1_000_000,
        /// The most schedule groups of an account in a region, `default` not counted.
        pub schedule_group_quota: u64 = 500,
        /// How long a deleted group stays in the state DELETING at least, by the lane's clock.
        pub group_deletion_secs: u64 = 1,
    }
}
