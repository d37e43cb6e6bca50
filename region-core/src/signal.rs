//! Signals: an application says that something has happened, and handlers and regions act on it.

mod bind;
mod connect;
mod handler;
mod local;
mod regions;
mod sending;
mod sent;
mod shared;
mod source;

pub use bind::SignalExt;
pub use connect::{Connecting, Connection};
pub use handler::HandlerOutcome;
pub use local::Signal;
pub use regions::{MAX_PENDING_REGIONS, PathBelow};
pub use sending::{HandlerFailure, SendReport, Sending};
pub use sent::Sent;
pub use shared::{MAX_SIGNAL_BYTES, MAX_SIGNALS_KEPT, Received, SHARED_SIGNAL_TTL, SharedSignal};
pub use source::SignalSource;
