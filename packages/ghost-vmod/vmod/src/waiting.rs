//! The client that waits for an answer: once it has gone, no thread need wait for a backend.
//!
//! A TCP connection tells two things. Broken, it has no client. Ended by the client, it has none, or one that only has no
//! more to ask and still reads. An interim answer, which HTTP/1.1 allows at any time, finds out: the system of a client
//! that has gone breaks the connection in answer to it.

use std::{
    cell::Cell,
    collections::HashMap,
    os::fd::BorrowedFd,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::RandomState;
use ghost_upstream::{Client, Tcp, Watch};
use varnish::ffi;

use crate::context::Context;

const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A client whose thread waits, or is the one that is here.
#[derive(Clone)]
pub struct Waiting {
    session: *const ffi::sess,
    /// Nothing but the answer may be sent: some of it may be, or it was asked already.
    is_asked: Cell<bool>,
}

impl Waiting {
    /// # Safety
    /// The session's connection stays open as long as this is used. `session` may be null.
    pub unsafe fn of(session: *const ffi::sess) -> Option<Self> {
        // SAFETY: as demanded.
        unsafe { session.as_ref() }.filter(|session| session.fd >= 0)?;
        Some(Self { session, is_asked: Cell::new(false) })
    }

    /// The same, once its answer has begun.
    pub fn begun(&self) -> Self {
        Self { is_asked: Cell::new(true), ..*self }
    }

    /// Whether a part of a page is among what it waits for.
    pub fn has_include(&self) -> bool {
        reticent().get(&self.session.addr()).is_some_and(|requests| requests.includes > 0)
    }
}

impl Client for Waiting {
    fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: `of` saw the connection, which is open as long as this is used.
        unsafe { BorrowedFd::borrow_raw((*self.session).fd) }
    }

    fn probe(&self) {
        if self.is_asked.replace(true) || reticent().contains_key(&self.session.addr()) {
            return;
        }
        let (start, flags) = (INTERIM.as_ptr().cast(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
        // SAFETY: as above; the text is static.
        unsafe {
            let sent = libc::send((*self.session).fd, start, INTERIM.len(), flags);
            // With a part of it the answer would be another one.
            if usize::try_from(sent).is_ok_and(|sent| sent < INTERIM.len()) {
                libc::shutdown((*self.session).fd, libc::SHUT_RDWR);
            }
        }
    }
}

impl Watch<Tcp> for Waiting {
    fn client(&self) -> Option<&dyn Client> {
        Some(self)
    }
}

#[derive(Default)]
struct Requests {
    all: usize,
    includes: usize,
}

/// The sessions with requests during which nothing may be sent but their answers, by address.
static RETICENT: LazyLock<Mutex<HashMap<usize, Requests, RandomState>>> = LazyLock::new(Mutex::default);

fn reticent() -> MutexGuard<'static, HashMap<usize, Requests, RandomState>> {
    RETICENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request of a client that knows no interim answers, or for a part of an answer that has begun. A fetch does not know
/// its request, so it stands here as long as its task.
pub struct Reticent {
    session: usize,
    is_include: bool,
}

impl Reticent {
    /// None for all others, which are most.
    pub fn of(context: Context) -> Option<Self> {
        if context.is_top() && context.request()?.is_http_1_1() {
            return None;
        }
        let (session, is_include) = (context.session().addr(), !context.is_top());
        let mut sessions = reticent();
        let requests = sessions.entry(session).or_default();
        requests.all += 1;
        requests.includes += usize::from(is_include);
        Some(Self { session, is_include })
    }
}

impl Drop for Reticent {
    fn drop(&mut self) {
        let mut sessions = reticent();
        if let Some(requests) = sessions.get_mut(&self.session) {
            requests.all -= 1;
            requests.includes -= usize::from(self.is_include);
            if requests.all == 0 {
                sessions.remove(&self.session);
            }
        }
    }
}
