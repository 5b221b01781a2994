//! The client that waits for an answer: once it has gone, no thread need wait for a backend.
//!
//! A TCP connection tells two things. Broken, it has no client. Ended by the client, it has none, or one that only has no
//! more to ask and still reads. An interim answer, which HTTP/1.1 allows at any time, finds out: the system of a client
//! that has gone breaks the connection in answer to it.

use std::{cell::Cell, os::fd::BorrowedFd};

use ghost_upstream::Client;
use varnish::ffi;

/// Less than any connection's buffer: what is under way and fits into it besides is taken whole.
const ROOM_BYTES: usize = 8 << 10;
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A client whose thread waits, or is the one that is here.
pub struct Waiting {
    session: *const ffi::sess,
    /// Interim answers may be sent: it knows them, and the answer has not begun.
    may_be_told: Cell<bool>,
    is_asked: Cell<bool>,
}

impl Waiting {
    /// # Safety
    /// The session's connection stays open as long as this is used. `session` may be null. What may be told is a client
    /// of HTTP/1.1 whose answer has not begun.
    pub unsafe fn of(session: *const ffi::sess, may_be_told: bool) -> Option<Self> {
        // SAFETY: as demanded.
        unsafe { session.as_ref() }.filter(|session| session.fd >= 0)?;
        Some(Self { session, may_be_told: Cell::new(may_be_told), is_asked: Cell::new(false) })
    }

    /// Sends an interim answer, if the client can take it at once: nobody waits for that.
    pub fn tell(&self, text: &[u8]) {
        if self.may_be_told.get() && self.under_way().is_some_and(|bytes| bytes + text.len() <= ROOM_BYTES) {
            self.send(text);
        }
    }

    /// What the system has yet to send to it, or to hear that it came.
    fn under_way(&self) -> Option<usize> {
        let mut unsent: libc::c_int = 0;
        // SAFETY: `of` saw the connection, which is open as long as this is used; the number is ours.
        let outcome = unsafe { libc::ioctl((*self.session).fd, libc::TIOCOUTQ, &raw mut unsent) };
        usize::try_from(unsent).ok().filter(|_| outcome == 0)
    }

    fn send(&self, text: &[u8]) {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: as above.
        unsafe {
            let sent = libc::send((*self.session).fd, text.as_ptr().cast(), text.len(), flags);
            // With a part of it the answer would be another one.
            if usize::try_from(sent).is_ok_and(|sent| sent < text.len()) {
                libc::shutdown((*self.session).fd, libc::SHUT_RDWR);
            }
        }
    }

    /// Its answer begins: from here on nothing may be sent in between.
    pub fn begin(&self) {
        self.may_be_told.set(false);
    }
}

impl Client for Waiting {
    fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: `of` saw the connection, which is open as long as this is used.
        unsafe { BorrowedFd::borrow_raw((*self.session).fd) }
    }

    fn probe(&self) {
        if self.may_be_told.get() && !self.is_asked.replace(true) {
            self.send(INTERIM);
        }
    }
}
