//! Which metrics a configuration asks for.

use fractus_s3control_api as api;

/// Categories beyond the free metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Categories {
    pub activity: bool,
    pub status_codes: bool,
    pub cost: bool,
    pub protection: bool,
    pub performance: bool,
}

macro_rules! categories {
    ($level:expr) => {
        Categories {
            activity: $level.activity_metrics.as_ref().is_some_and(|one| one.is_enabled == Some(true)),
            status_codes: $level.detailed_status_codes_metrics.as_ref().is_some_and(|one| one.is_enabled == Some(true)),
            cost: $level.advanced_cost_optimization_metrics.as_ref().is_some_and(|one| one.is_enabled == Some(true)),
            protection: $level
                .advanced_data_protection_metrics
                .as_ref()
                .is_some_and(|one| one.is_enabled == Some(true)),
            performance: $level.advanced_performance_metrics.as_ref().is_some_and(|one| one.is_enabled == Some(true)),
        }
    };
}

impl Categories {
    pub fn of_account(level: &api::AccountLevel) -> Categories {
        categories!(level)
    }

    pub fn of_bucket(level: &api::BucketLevel) -> Categories {
        categories!(level)
    }

    /// Whether requests must be counted for them.
    pub fn count_requests(&self) -> bool {
        self.activity || self.status_codes || self.protection || self.performance
    }
}
