//! Two connections that have become one: whatever one side sends goes to the other, at the pace of whoever reads.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags},
    net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown},
};

use crate::{
    tcp::wait_for,
    transport::{Transport, Wait, Written},
    upgraded::Upgraded,
};

const ROOM_BYTES: usize = 16 << 10;

/// Returns when both sides have ended. `early` is what the client said before, which nobody has read yet; `idle` is how
/// long there may be nothing to pass on.
pub fn tunnel<T: Transport + AsFd>(
    client: BorrowedFd<'_>,
    early: &[u8],
    mut backend: Upgraded<T>,
    idle: Duration,
) -> io::Result<()> {
    let (mut up, mut down) = (Flow::new(early), Flow::new(backend.unread()));
    let backend = backend.transport();
    while up.is_wanted() || down.is_wanted() {
        let wanted = [interest(&up, &down), interest(&down, &up)];
        let [of_client, of_backend] = ready([(client, wanted[0]), (backend.as_fd(), wanted[1])], idle)?;
        if of_client.intersects(READABLE) {
            up.read(|room| Ok(recv(client, room, RecvFlags::DONTWAIT)?.1))?;
        }
        if of_backend.intersects(READABLE) {
            down.read(|room| backend.read(room, Wait::Not))?;
        }
        up.write(|bytes| written(backend.write(&[IoSlice::new(bytes)], Duration::ZERO)))?;
        up.end(backend.as_fd());
        down.write(|bytes| Ok(send(client, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?))?;
        down.end(client);
    }
    Ok(())
}

/// What it takes to read or to be told why not.
const READABLE: PollFlags = PollFlags::IN.union(PollFlags::HUP).union(PollFlags::ERR);

/// What one side says, on its way to the other.
struct Flow {
    room: Vec<u8>,
    start: usize,
    end: usize,
    /// More may come.
    is_open: bool,
    /// The end was passed on.
    is_ended: bool,
}

impl Flow {
    fn new(first: &[u8]) -> Self {
        let mut room = first.to_vec();
        room.resize(room.len().max(ROOM_BYTES), 0);
        Self { room, start: 0, end: first.len(), is_open: true, is_ended: false }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn is_wanted(&self) -> bool {
        !self.is_ended
    }

    fn wants_more(&self) -> bool {
        self.is_open && self.is_empty()
    }

    fn read(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<()> {
        if !self.wants_more() {
            return Ok(());
        }
        if let Some(bytes) = unless_it_would_block(read(&mut self.room))? {
            (self.start, self.end, self.is_open) = (0, bytes, bytes > 0);
        }
        Ok(())
    }

    fn write(&mut self, write: impl FnOnce(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        if !self.is_empty()
            && let Some(bytes) = unless_it_would_block(write(&self.room[self.start..self.end]))?
        {
            self.start += bytes;
        }
        Ok(())
    }

    /// That nothing more comes is told once all that came is passed on.
    fn end(&mut self, to: BorrowedFd<'_>) {
        if !self.is_open && self.is_empty() && !self.is_ended {
            // Where there is nobody any more, nobody need be told.
            _ = shutdown(to, Shutdown::Write);
            self.is_ended = true;
        }
    }
}

/// What is asked of a side, from which one flow comes and to which the other leads.
fn interest(from: &Flow, to: &Flow) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, from.wants_more());
    flags.set(PollFlags::OUT, !to.is_empty());
    flags
}

/// What each of the two is ready for; a side that nothing is asked of is not looked at, for its hangup would be news each
/// time.
fn ready(sides: [(BorrowedFd<'_>, PollFlags); 2], idle: Duration) -> io::Result<[PollFlags; 2]> {
    let mut asked: Vec<_> = sides
        .iter()
        .filter(|(_, flags)| !flags.is_empty())
        .map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
        .collect();
    wait_for(&mut asked, Instant::now() + idle)?;
    let mut told = asked.iter().map(PollFd::revents);
    Ok(sides.map(|(_, flags)| if flags.is_empty() { flags } else { told.next().unwrap_or(flags) }))
}

fn written(outcome: io::Result<Written>) -> io::Result<usize> {
    match outcome {
        Ok(Written::Bytes(bytes)) => Ok(bytes),
        Ok(Written::PeerSpeaks) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    }
}

fn unless_it_would_block(outcome: io::Result<usize>) -> io::Result<Option<usize>> {
    match outcome {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
