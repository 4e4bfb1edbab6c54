//! What crosses between services, and the NATS that carries it.
//!
//! There are three ways from one service to another, and no others (`README.md` lists every subject):
//!
//! 1. a [`Delivery`](contracts::Delivery) brings a payload to an ARN, at least once, through a JetStream work queue:
//!    [`Bus::deliver`], [`Bus::consume_deliveries`], and [`outbox`] to send it in the same transaction
//!    as the change that caused it;
//! 2. an [`Event`](contracts::Event) tells whoever listens that something has happened: [`Bus::publish`],
//!    [`Bus::subscribe`];
//! 3. a [`Call`](contracts::Call) asks one replica of a service a private question: [`Bus::call`], [`Bus::serve`].
//!
//! Beside them stands discovery: a service [announces](Bus::announce) itself by the NATS service protocol, and a
//! [`Directory`] shows who is there. [`Bus::wake_watch`] lets a launcher start a service at its first delivery or call.
//!
//! Read in this order: [`contracts`] (what crosses), `subjects` (where), `connection` (NATS may be away at any time),
//! `deliver` and `consume`, `events`, `calls`, `announce` and `directory`, `wake`, [`outbox`].
//!
//! Left out on purpose: anything that has a public AWS operation (call it through `fractus-client`); streams of events
//! kept for later (an event that nobody hears is gone); clusters of NATS servers (the URL may list several, the streams
//! have one replica). Heart-beats, acknowledgement waits and retry delays run on real time, never on a lane's virtual
//! clock: they are about processes and connections, and freezing a lane's clock must not make its services look dead.

pub mod contracts;

mod announce;
mod bus;
mod calls;
mod config;
mod connection;
mod consume;
mod deliver;
mod directory;
mod error;
mod events;
mod flight;
mod headers;
pub mod outbox;
mod parcel;
mod settle;
mod subjects;
#[cfg(feature = "testing")]
pub mod testing;
mod wake;
mod warnings;

pub use announce::Announced;
pub use bus::Bus;
pub use calls::{CallContext, CallFailure, Serving};
pub use config::{BusConfig, DeliveryStorage};
pub use connection::BusState;
pub use consume::{ConsumeConfig, Consumption, Outcome};
pub use directory::{Directory, Replicas};
pub use error::{BusError, CallError};
pub use events::{Heard, Hears, Publishers, Subscription};
pub use settle::{Failure, dead_letter};
pub use wake::{HeldCall, Wake, WakeWatch};
pub use warnings::Warnings;
