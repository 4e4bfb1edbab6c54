//! Schedule expressions of EventBridge's rules and of EventBridge Scheduler, and when they are due.
//!
//! [`Expression`] is what `rate(…)`, `cron(…)` and `at(…)` say; [`Schedule`] is an expression with its [`Zone`], its
//! start and its end, and answers when it is due next. Nothing here waits or knows what time it is.
//!
//! ```
//! use fractus_clock::Timestamp;
//! use fractus_schedules::{Expression, Schedule, Zone};
//!
//! let expression: Expression = "cron(0 18 ? * MON-FRI *)".parse()?;
//! let now = Timestamp::parse_date_time("2026-11-20T18:00:00Z")?;
//! let schedule = Schedule::new(expression, Zone::parse("Europe/Berlin")?, now);
//! assert_eq!(schedule.next_after(now), Some(Timestamp::parse_date_time("2026-11-23T17:00:00Z")?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Choices
//!
//! Time zones are jiff's, which the clock uses already; the IANA database is built in (some 200 KB of program), because
//! images have no such files and answers must not depend on the machine. Cron is our own code: AWS's dialect has years,
//! `?`, `L`, `W` and `#`, counts Sunday as 1 and treats the hours of a change of clocks in its own way; no crate has
//! all of it. Ranges may go over the end, as AWS's example `20-2` does; `L-3` is read as Quartz reads it, though AWS's
//! pages do not name it.
//!
//! # Left out on purpose
//!
//! Which schedules exist and who fires them: that is the services'. AWS fires within the minute that is due; here that
//! is the minute's beginning, or a point of the flexible window by [`spread`].
//!
//! # Bounds
//!
//! An expression is at most 256 characters by its services' models. Finding the next time looks at each day until the
//! year 2199 at most once; a change of clocks adds the minutes of the hour that is shown twice.

mod cron;
mod error;
mod expression;
mod field;
mod schedule;
mod zone;

pub use cron::Cron;
pub use error::{InvalidDates, InvalidExpression, Reason, UnknownTimeZone};
pub use expression::Expression;
pub use schedule::{Due, Schedule, spread};
pub use zone::Zone;
