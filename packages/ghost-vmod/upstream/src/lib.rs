//! An HTTP/1.1 client for the thread that asks: one call sends a request and reads the head of the answer, and the body
//! is pulled piece by piece by whoever passes it on. Nothing is handed to another thread, nothing is buffered whole.
//!
//! ```text
//!  Upstreams --a destination--> Upstream --take/put--> Pool of idle Connections
//!                               |
//!             exchange(RequestHead, Upload) --> Response --next_piece()--> Piece, Piece, last Piece
//!                                                         '-- the connection returns to the pool after a clean last piece only
//! ```
//!
//! What it insists on: an answer has one meaning or is an `Error`; a connection that an error, an upload that was cut
//! short or a surplus byte has touched is closed; a request is sent twice only when that is safe. `Transport` is the
//! seam for TLS.

#![forbid(unsafe_code)]

mod body;
mod chunked;
mod connection;
mod counters;
mod deadlines;
mod error;
mod exchange;
pub mod fuzzing;
mod head;
mod inbox;
mod pool;
#[cfg(test)]
mod pool_model;
mod request;
mod response;
pub mod scripted;
mod tcp;
mod transport;
mod tunnel;
mod upgraded;
mod upstream;

pub use body::{Piece, Taken};
pub use chunked::{Decoded, Decoder};
pub use counters::Counters;
pub use deadlines::Deadlines;
pub use error::{Error, Stage};
pub use exchange::{Sink, Upload, Watch};
pub use head::{Extent, HeadLimits};
pub use pool::PoolLimits;
pub use request::{Framing, RequestHead, with_request_head};
pub use response::Response;
pub use tcp::{Tcp, TcpConnect, end};
pub use transport::{Client, Connect, Transport, Wait, Written};
pub use tunnel::tunnel;
pub use upgraded::Upgraded;
pub use upstream::{Upstream, Upstreams};
