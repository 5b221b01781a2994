//! Requests that ask for a WebSocket go the way of every other pass. Only where the backend agrees the connection becomes
//! one, after the head of the answer; what else it says is an ordinary answer.
//!
//! A fetch has a thread of its own, and often no request any more: it finds the offer of its client's by the session, and
//! lays the connection there.
//!
//! ```text
//!  vcl_pass (client)       Offered --by session--.
//!  vcl_backend_fetch                             '--> Offer <-- finish: the connection, where the answer is 101
//!  vcl_deliver (client)    take <-----------------------'
//! ```

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;
use ghost_upstream::{Tcp, Upgraded};

use crate::context::Context;

/// How many there are, which is cheaper to look at.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// By the address of a session; HTTP/1.1 has one request at a time.
static OFFERS: LazyLock<Mutex<HashMap<usize, Arc<Offer>, RandomState>>> = LazyLock::new(Mutex::default);

/// Where a fetch lays the connection that its client is to have.
#[derive(Default)]
pub struct Offer(Mutex<Option<Upgraded<Tcp>>>);

impl Offer {
    pub fn lay(&self, upgraded: Upgraded<Tcp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgraded);
    }
}

/// An offer of a client's request, which nobody finds any more once this is dropped.
pub struct Offered {
    session: usize,
    offer: Arc<Offer>,
}

impl Offered {
    fn new(session: usize) -> Self {
        let offer = Arc::default();
        offers().insert(session, Arc::clone(&offer));
        COUNT.fetch_add(1, Ordering::AcqRel);
        Self { session, offer }
    }

    /// What the fetch has laid there.
    pub fn take(self) -> Option<Upgraded<Tcp>> {
        self.offer.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::AcqRel);
        offers().remove(&self.session);
    }
}

fn offers() -> MutexGuard<'static, HashMap<usize, Arc<Offer>, RandomState>> {
    OFFERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// vcl_pass: whoever asks the backend, here or in a fetch, asks for the upgrade that the client asks for.
pub fn begin(context: Context) {
    let is_asked = is_asked(context);
    if let Some(task) = context.known_task() {
        // The one before goes first: it is of the same session.
        (task.offered, task.tunnel) = (None, None);
        task.offered = is_asked.then(|| Offered::new(context.session().addr()));
    }
}

/// The offer that a pass by fetch is for.
pub fn offer(context: Context) -> Option<Arc<Offer>> {
    if COUNT.load(Ordering::Acquire) == 0 || !context.is_pass() {
        return None;
    }
    offers().get(&context.session_of_fetch().addr()).cloned()
}

/// Whether the request wants to become a WebSocket; nothing else is asked for in anybody's name.
pub fn is_asked(context: Context) -> bool {
    let Some(request) = context.request() else {
        return false;
    };
    let has = |name: &[u8], token: &[u8]| {
        let listed =
            |value: &[u8]| value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token));
        request.values(name).any(listed)
    };
    has(b"upgrade", b"websocket")
        && request.method() == b"GET"
        && request.is_http_1_1()
        && context.is_top()
        && has(b"connection", b"upgrade")
        && request.value(b"content-length").is_none_or(|length| length == b"0")
        && request.value(b"transfer-encoding").is_none()
}
