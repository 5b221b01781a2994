//! TCP: a blocking socket. Deadlines of reads are the kernel's, so that an ordinary answer costs one call.

use std::{
    io::{self, IoSlice, Read},
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd, RawFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg},
};

use crate::transport::{Connect, Transport, Wait, Written};

#[derive(Debug)]
pub struct Tcp {
    socket: TcpStream,
    local: Option<SocketAddr>,
    /// What the kernel was told last, to tell it less often.
    read_patience: Option<Duration>,
}

impl Tcp {
    pub fn new(socket: TcpStream) -> Self {
        let local = socket.local_addr().ok();
        Self { socket, local, read_patience: None }
    }

    /// Our end of the connection.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    fn read_in_time(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
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

    /// Whether it can be written to; if not, it can be read from.
    fn wait_until_writable(&self, patience: Duration) -> io::Result<bool> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            let mut asked = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::OUT)];
            match poll(&mut asked, Some(&timeout)) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                // An error or a hangup is what the next write tells about.
                Ok(_) => return Ok(asked[0].revents() != PollFlags::IN),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsRawFd for Tcp {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Transport for Tcp {
    fn read(&mut self, buffer: &mut [u8], wait: Wait) -> io::Result<usize> {
        match wait {
            Wait::For(patience) => self.read_in_time(buffer, patience),
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

    fn connect(&self, address: SocketAddr, patience: Duration) -> io::Result<Tcp> {
        let socket = TcpStream::connect_timeout(&address, patience)?;
        socket.set_nodelay(true)?;
        Ok(Tcp::new(socket))
    }
}
