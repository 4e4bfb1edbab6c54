//! SQS's settings.

fractus_host::settings! {
    /// The settings of SQS.
    pub struct Config {
        /// Refuse creating a queue within 60 seconds of deleting one of the same name, as AWS does. Off by default:
        /// tests that tear down and set up again would wait a minute for nothing.
        pub queue_name_cooldown: bool = false,
        /// Refuse a second PurgeQueue within 60 seconds of the first, as AWS does.
        pub purge_cooldown: bool = true,
        /// Refuse what goes beyond a FIFO queue's throughput quota, as AWS does: 300 calls a second of each kind, for the
        /// queue, or with high throughput for each message group. Off by default: tests would be as slow as AWS.
        pub fifo_quota: bool = false,
    }
}
