//! TCP: a blocking socket. An ordinary answer costs one call: the kernel waits for a moment, and only who waits for longer
//! than that has a look at the clock, and at the client.

use std::{
    io::{self, IoSlice, Read},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg},
};

use crate::transport::{Client, ClientGone, Connect, Transport, Wait, Written};

/// How long a read leaves it to the kernel. The same each time, whatever the deadlines are, so that the kernel is told
/// once a connection.
const MOMENT: Duration = Duration::from_secs(1);
/// The client's connection cannot carry anything any more.
const BROKEN: PollFlags = PollFlags::HUP.union(PollFlags::ERR).union(PollFlags::NVAL);

const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// An end of a connection as Varnish's log names it: address and port with a space between.
pub fn end(address: SocketAddr) -> String {
    format!("{} {}", address.ip(), address.port())
}

#[derive(Debug)]
pub struct Tcp {
    socket: TcpStream,
    local: String,
    /// What the kernel was told last, to tell it less often.
    read_patience: Option<Duration>,
}

impl Tcp {
    pub fn new(socket: TcpStream) -> Self {
        let local = end(socket.local_addr().unwrap_or(UNKNOWN));
        Self { socket, local, read_patience: None }
    }

    /// Our end of the connection, as a log names it: a text once a connection, not once an exchange.
    pub fn local_end(&self) -> &str {
        &self.local
    }

    fn read_in_time(
        &mut self,
        buffer: &mut [u8],
        patience: Duration,
        client: Option<&dyn Client>,
    ) -> io::Result<usize> {
        let longer = patience.saturating_sub(MOMENT);
        match self.read_in_a_moment(buffer, patience.min(MOMENT)) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && !longer.is_zero() => {
                self.wait_until_readable(longer, client)?;
                self.read_in_a_moment(buffer, MOMENT)
            }
            outcome => outcome,
        }
    }

    fn read_in_a_moment(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        // Zero would mean for ever.
        let patience = patience.max(Duration::from_millis(1));
        if self.read_patience != Some(patience) {
            self.socket.set_read_timeout(Some(patience))?;
            self.read_patience = Some(patience);
        }
        loop {
            return match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
                outcome => outcome,
            };
        }
    }

    /// Until there is something to read, or nobody to read it for.
    fn wait_until_readable(&self, patience: Duration, client: Option<&dyn Client>) -> io::Result<()> {
        let until = Instant::now() + patience;
        let peer = self.socket.as_fd();
        let other = client.map_or(peer, |client| client.socket());
        let mut news = PollFlags::RDHUP;
        loop {
            let mut asked = [PollFd::from_borrowed_fd(peer, PollFlags::IN), PollFd::from_borrowed_fd(other, news)];
            wait_for(&mut asked, until)?;
            if !asked[0].revents().is_empty() {
                return Ok(());
            }
            if asked[1].revents().intersects(BROKEN) {
                return Err(io::Error::other(ClientGone));
            }
            // Only that it sends nothing more, which is asked about once.
            news = PollFlags::empty();
            if let Some(client) = client {
                client.probe();
            }
        }
    }

    /// Whether it can be written to; if not, it can be read from.
    fn wait_until_writable(&self, patience: Duration) -> io::Result<bool> {
        let mut asked = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::OUT)];
        wait_for(&mut asked, Instant::now() + patience)?;
        // An error or a hangup is what the next write tells about.
        Ok(asked[0].revents() != PollFlags::IN)
    }
}

/// Until something of what is asked for is so.
pub(crate) fn wait_for(asked: &mut [PollFd<'_>], until: Instant) -> io::Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(asked, Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl AsFd for Tcp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Tcp {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Transport for Tcp {
    fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> io::Result<usize> {
        match wait {
            Wait::For(patience, client) => self.read_in_time(buffer, patience, client),
            Wait::Not => Ok(recv(&self.socket, buffer, RecvFlags::DONTWAIT)?.1),
        }
    }

    fn write(&mut self, parts: &[IoSlice<'_>], patience: Duration) -> io::Result<Written> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        loop {
            match sendmsg(&self.socket, parts, &mut SendAncillaryBuffer::default(), flags) {
                Ok(sent) => return Ok(Written::Bytes(sent)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if !self.wait_until_writable(patience)? {
                        return Ok(Written::PeerSpeaks);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn is_quiet(&mut self) -> bool {
        let peeked = recv(&self.socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(peeked, Err(Errno::AGAIN))
    }
}

/// Connects over TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnect;

impl Connect for TcpConnect {
    type Transport = Tcp;
    type Destination = SocketAddr;

    fn connect(&self, address: &SocketAddr, patience: Duration) -> io::Result<Tcp> {
        let socket = TcpStream::connect_timeout(address, patience)?;
        socket.set_nodelay(true)?;
        Ok(Tcp::new(socket))
    }
}
