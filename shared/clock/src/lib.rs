//! The virtual clock and the source of randomness.
//!
//! Every rule in Fractus that depends on time or chance takes a [`Clock`] or a [`Random`]; nothing else in the tree
//! may ask the operating system. A clock can be frozen, set, advanced and scaled while the stack runs, and every
//! sleeper wakes by it: a fifteen-minute visibility timeout ends as soon as the clock is moved past it.
//!
//! Left out on purpose: time zones and calendars (they belong to the services that schedule).

mod random;
mod timestamp;
mod virtual_clock;

pub use random::Random;
pub use timestamp::{ParseTimestampError, Timestamp};
pub use virtual_clock::{Clock, ClockSettings, Clocks, Stopwatch};
