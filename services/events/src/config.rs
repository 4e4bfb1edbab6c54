//! EventBridge's settings.

fractus_host::settings! {
    /// The settings of EventBridge. The quotas are AWS's defaults, which AWS raises on request.
    pub struct Config {
        /// Rules on one event bus.
        pub rules_per_bus: usize = 300,
        /// Targets of one rule.
        pub targets_per_rule: usize = 5,
        /// Event buses of an account in a region, the default one included.
        pub event_buses: usize = 100,
        /// Archives, connections and API destinations of an account in a region, of each kind.
        pub resources_of_a_kind: usize = 3_000,
        /// Seconds that an API destination or an authorization endpoint has for its answer, in real time.
        pub http_timeout_secs: u64 = 5,
    }
}
