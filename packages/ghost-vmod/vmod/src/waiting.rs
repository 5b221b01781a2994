//! The client that waits for an answer: once it has gone, no thread need wait for a backend.
//!
//! A TCP connection tells two things. Broken, it has no client. Ended by the client, it has none, or one that only has no
//! more to ask and still reads. An interim answer, which HTTP/1.1 allows at any time, finds out: the system of a client
//! that has gone breaks the connection in answer to it.

use std::{
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
#[derive(Clone, Copy)]
pub struct Waiting {
    session: *const ffi::sess,
    /// Some of the answer may be sent.
    has_answer: bool,
}

impl Waiting {
    /// # Safety
    /// The session's connection stays open as long as this is used. `session` may be null.
    pub unsafe fn of(session: *const ffi::sess) -> Option<Self> {
        // SAFETY: as demanded.
        unsafe { session.as_ref() }.filter(|session| session.fd >= 0)?;
        Some(Self { session, has_answer: false })
    }

    /// The same, once its answer has begun.
    pub fn begun(self) -> Self {
        Self { has_answer: true, ..self }
    }
}

impl Client for Waiting {
    fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: `of` saw the connection, which is open as long as this is used.
        unsafe { BorrowedFd::borrow_raw((*self.session).fd) }
    }

    fn probe(&self) {
        if self.has_answer || reticent().contains_key(&self.session.addr()) {
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

/// The sessions with a request during which nothing may be sent but its answer, by address, with how many of those.
static RETICENT: LazyLock<Mutex<HashMap<usize, usize, RandomState>>> = LazyLock::new(Mutex::default);

fn reticent() -> MutexGuard<'static, HashMap<usize, usize, RandomState>> {
    RETICENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request of a client that knows no interim answers, or for a part of an answer that has begun. A fetch does not know
/// its request, so it stands here as long as its task.
pub struct Reticent(usize);

impl Reticent {
    /// None for all others, which are most.
    pub fn of(context: Context) -> Option<Self> {
        if context.is_top() && context.request()?.is_http_1_1() {
            return None;
        }
        let session = context.session().addr();
        *reticent().entry(session).or_default() += 1;
        Some(Self(session))
    }
}

impl Drop for Reticent {
    fn drop(&mut self) {
        let mut sessions = reticent();
        if let Some(requests) = sessions.get_mut(&self.0) {
            *requests -= 1;
            if *requests == 0 {
                sessions.remove(&self.0);
            }
        }
    }
}
