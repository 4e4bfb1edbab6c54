//! The pattern language of EventBridge's rules, of pipes, of Lambda's event filters and of SNS's filter policies.
//!
//! [`Pattern::parse`] reads a pattern in the dialect of a service and refuses it in that service's words;
//! [`Event::parse`] and [`Event::from_attributes`] take apart what is matched; [`Pattern::matches`] asks one pattern,
//! [`Index::matches`] any number of them at a cost that does not grow with those that do not match.
//!
//! ```
//! use fractus_patterns::{Dialect, Event, Index, Pattern};
//!
//! let pattern = Pattern::parse(r#"{"detail": {"size": [{"numeric": [">", 10]}]}}"#, Dialect::EventBridge)?;
//! let event = Event::parse(r#"{"detail": {"size": 12, "colour": "red"}}"#)?;
//! assert!(pattern.matches(&event));
//! let mut index = Index::new();
//! index.insert("large", &pattern);
//! assert_eq!(index.matches(&event), [&"large"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the dialects share
//!
//! All run the same engine at AWS, whose rules are these. A field's array lists alternatives, fields are joined by
//! and, `$or` by or. An array in the event matches by any of its values, but two fields never match with values from
//! different elements of one array. Numbers match by value between −5·10⁹ and 5·10⁹ with six digits after the point,
//! and by their text beyond; that is what AWS's engine does, though the page on event patterns still says that 300,
//! 300.0 and 3.0e2 differ. A text that is an IP address matches every writing of it. `exists` asks for scalars: an
//! object or an empty array does not exist. `null` is a value; what is missing is not. `anything-but` matches values
//! of every type, and nothing where there is no value. Names joined by a dot are the same as names nested.
//!
//! # Where they differ
//!
//! | | EventBridge | Pipes, Lambda | SNS attributes | SNS body |
//! |---|---|---|---|---|
//! | `wildcard` | yes, of limited complexity | no | no | no |
//! | `anything-but` of `prefix` | yes | no | yes | yes |
//! | `anything-but` of `suffix`, `equals-ignore-case`, `wildcard` | yes | no | no | no |
//! | bounds of `numeric` | ±5·10⁹ | ±5·10⁹ | ±10⁹ | ±10⁹ |
//! | nested fields | yes | yes | no | yes |
//! | keys | any | any | 5 | 5 at the top |
//! | combinations of values | any | any | 150 | 150, each weighted by its depth |
//! | combinations by `$or` | 1,000 | 1,000 | 150 | 150 |
//!
//! `prefix`, `suffix` (both also with `equals-ignore-case`), `equals-ignore-case`, `numeric`, `cidr`, `exists`,
//! `anything-but` of plain values and `$or` are everywhere. Refusals differ in words only: see [`PatternError`].
//!
//! # Left out on purpose
//!
//! How long a pattern may be (a limit of each service's model), which members an event must have (`TestEventPattern`'s
//! own rule), and how a service makes an event of its records. Case is ignored by lower case alone: the few letters
//! whose upper case has another length (`ß`) match only themselves.
//!
//! # Bounds
//!
//! Nesting is limited to 1,000 levels in events and [`MAX_PATTERN_DEPTH`] in patterns; nothing recurses by the depth of
//! an event. Reading is linear. Matching one event is limited to a million steps, which only large arrays beside each
//! other come near.

mod address;
mod condition;
mod dialect;
mod error;
mod event;
mod index;
mod json;
mod number;
mod operators;
mod parse;
mod pattern;
mod policy;
mod value;
mod wildcard;

pub use dialect::Dialect;
pub use error::{Located, PatternError};
pub use event::{Attribute, Event, EventError};
pub use index::Index;
pub use parse::{MAX_COMBINATIONS, MAX_PATTERN_DEPTH, MAX_WILDCARD_COMPLEXITY};
pub use pattern::Pattern;
