//! The exchange of a request with an endpoint of its service, the same whichever way the outcome takes: the one place that
//! asks backends.
//!
//! ```text
//!  ways --RequestHead, body, Party--> reach: Tries picks an endpoint --> Upstream::exchange --Response--> ways
//!                                       ^                                  |
//!                                       '-- it failed, another may do -----'
//! ```

pub mod client_chunks;
mod connector;
mod forward;
pub mod interim;
mod lines;
pub mod timeouts;
pub mod upstreams;
pub mod waiting;

use std::{
    io::ErrorKind,
    sync::LazyLock,
    time::{Duration, Instant},
};

use ghost_core::{
    attempt::{Failure, Tries},
    backoff::Moment,
    endpoint::{Endpoint, Picked},
};
use ghost_upstream::{Deadlines, Error, RequestHead, Stage, Tcp, Upload, Watch};

use crate::{
    count::{COUNTS, count},
    random,
};

pub use connector::{Connector, Response};
pub use forward::{Forwarded, forward};

/// Who makes an exchange, and is told how it goes.
pub trait Party: Watch<Tcp> {
    /// This endpoint is tried now. False: it is not to be used.
    fn tries(&mut self, endpoint: &Endpoint) -> bool;

    /// Nothing came of it; another one may be tried.
    fn missed(&mut self, error: Error);
}

/// An endpoint has begun to answer.
pub struct Reached {
    pub response: Response,
    /// Some of its body came with its head.
    pub is_ready: bool,
    /// Until the exchange is over.
    pub picked: Picked,
}

/// Sends the request to one endpoint of its share after the other, until one answers or none may be tried any more. The
/// status of the error is the answer's then; None: there is no endpoint.
pub fn reach(
    forwarded: &Forwarded,
    head: &RequestHead,
    mut upload: Option<&mut dyn Upload>,
    deadlines: Deadlines,
    party: &mut dyn Party,
) -> Result<Reached, Option<Error>> {
    let mut moment = now();
    let mut tries = Tries::new(deadlines.connect, head.is_idempotent() && upload.is_none(), moment);
    let mut last = None;
    while let Some((picked, connect)) = next(forwarded, &tries, moment) {
        if !party.tries(picked.endpoint()) {
            tries.pass_over(&picked);
            continue;
        }
        if last.is_some() {
            count(&COUNTS.replaced);
        }
        let upload = upload.as_mut().map(|upload| &mut **upload as &mut dyn Upload);
        let upstream = upstreams::of(picked.endpoint().destination);
        let outcome = upstream.exchange_watched(head, upload, Deadlines { connect, ..deadlines }, party);
        let error = match outcome.and_then(|response| looked_at(response, party)) {
            Ok((response, is_ready)) => {
                picked.answered();
                return Ok(Reached { response, is_ready, picked });
            }
            Err(error) => error,
        };
        party.missed(error);
        (last, moment) = (Some(error), now());
        if !tries.failed(&picked, failure(error), moment, random::next()) {
            break;
        }
    }
    if last.is_none() {
        count(&COUNTS.without_endpoint);
    }
    Err(last)
}

/// What broke off already should not begin.
fn looked_at(mut response: Response, party: &mut dyn Party) -> Result<(Response, bool), Error> {
    let outcome = response.is_ready().inspect_err(|error| party.failed(*error));
    outcome.map(|is_ready| (response, is_ready))
}

/// The endpoints are those of the moment: what is replaced meanwhile is not tried any more.
fn next(forwarded: &Forwarded, tries: &Tries, moment: Moment) -> Option<(Picked, Duration)> {
    tries.next(&forwarded.endpoints(), moment, random::next())
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Connect(kind) if is_peers(kind) => Failure::NoConnection,
        Error::Connect(_) => Failure::NoSocket,
        Error::Timeout(Stage::Connect) => Failure::NoConnection,
        Error::Unanswered => Failure::Unanswered,
        _ => Failure::Other,
    }
}

/// Whether a connection that did not come about says something of the other end; files that ran out do not.
fn is_peers(kind: ErrorKind) -> bool {
    use ErrorKind::{
        AddrNotAvailable, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable,
        TimedOut,
    };
    matches!(
        kind,
        AddrNotAvailable
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
            | TimedOut
    )
}

fn now() -> Moment {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // Never 0, which is no failure's.
    Moment(u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1)
}
