//! The client that waits for an answer: once it has gone, no thread need wait for a backend.
//!
//! A TCP connection tells two things. Broken, it has no client. Ended by the client, it has none, or one that only has no
//! more to ask and still reads. An interim answer, which HTTP/1.1 allows at any time, finds out: the system of a client
//! that has gone breaks the connection in answer to it.

use std::{cell::Cell, os::fd::BorrowedFd};

use ghost_upstream::{Client, Tcp, Watch};
use varnish::ffi;

const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A client whose thread waits, or is the one that is here.
pub struct Waiting {
    session: *const ffi::sess,
    /// Nothing but the answer may be sent: some of it may be, or it was asked already, or knows no interim answers.
    is_asked: Cell<bool>,
}

impl Waiting {
    /// # Safety
    /// The session's connection stays open as long as this is used. `session` may be null. What may be asked is a client
    /// of HTTP/1.1 whose answer has not begun.
    pub unsafe fn of(session: *const ffi::sess, may_be_asked: bool) -> Option<Self> {
        // SAFETY: as demanded.
        unsafe { session.as_ref() }.filter(|session| session.fd >= 0)?;
        Some(Self { session, is_asked: Cell::new(!may_be_asked) })
    }

    /// Its answer begins: from here on nothing may be sent in between.
    pub fn begin(&self) {
        self.is_asked.set(true);
    }
}

impl Client for Waiting {
    fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: `of` saw the connection, which is open as long as this is used.
        unsafe { BorrowedFd::borrow_raw((*self.session).fd) }
    }

    fn probe(&self) {
        if self.is_asked.replace(true) {
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
