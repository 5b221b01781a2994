//! A request that asks for an upgrade: sent on a connection of its own, which becomes a tunnel only when the backend
//! agrees with 101. Any other answer is passed on, and both connections are closed after it.
//!
//! Varnish's own pipe relays blindly: a client whose upgrade was declined could talk on to the backend, past routing.

use std::{
    io::{self, Read, Write},
    mem::ManuallyDrop,
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::{AsRawFd, FromRawFd, RawFd},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use varnish::ffi::{self, VCL_BACKEND, stream_close_t, vdi_methods, vrt_ctx};

use crate::{
    context::Context,
    director::{Director, Methods, NO_METHODS},
    message::Message,
    panic_if_asked,
};

const CONNECT: Duration = Duration::from_millis(3500);
const FIRST_BYTE: Duration = Duration::from_secs(60);
/// A tunnel in which nothing moves for so long is closed.
const IDLE: Duration = Duration::from_secs(3600);
/// An answer whose end nobody can tell is over when its client has ended and nothing has come for so long.
const LINGER: Duration = Duration::from_secs(2);
const HEAD_BYTES: usize = 32 << 10;
const BUFFER_BYTES: usize = 16 << 10;
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const BAD_GATEWAY: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

static METHODS: Methods<()> = Methods::new(c"ghost tunnel", vdi_methods { http1pipe: Some(http1pipe), ..NO_METHODS });

/// One director a VCL, which finds the endpoint in the task. None while the VCL cools down.
pub fn director(ctx: *const vrt_ctx) -> Option<Director> {
    Director::new(ctx, &METHODS, c"tunnel", ())
}

/// Returns why the client's connection is closed, which it always is.
unsafe extern "C" fn http1pipe(ctx: *const vrt_ctx, _: VCL_BACKEND) -> stream_close_t {
    // SAFETY: Varnish calls us with a live context.
    let context = unsafe { Context::new(ctx) };
    let outcome = catch_unwind(AssertUnwindSafe(|| exchange(context)));
    match outcome {
        Ok(Ok(())) => (&raw const ffi::SC_TX_PIPE).cast(),
        Ok(Err(error)) => {
            context.log(&format!("tunnel: {error}"));
            (&raw const ffi::SC_TX_ERROR).cast()
        }
        Err(_) => (&raw const ffi::SC_TX_ERROR).cast(),
    }
}

fn exchange(context: Context) -> io::Result<()> {
    panic_if_asked(context, "tunnel");
    let missing = || io::Error::other("not a pipe");
    let (socket, early) = context.connection().ok_or_else(missing)?;
    let request = context.backend_request().ok_or_else(missing)?;
    let address = context.known_task().and_then(|task| Some(task.picked.as_ref()?.in_flight.address()));
    // SAFETY: the connection is the session's, which closes it; nothing but reading, writing and shutting down is done.
    let client = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(socket) });
    let (backend, head) = match ask(address.ok_or_else(missing)?, &head_of(request)) {
        Ok(answered) => answered,
        Err(error) => {
            let answer = if error.kind() == io::ErrorKind::InvalidData { BAD_GATEWAY } else { UNAVAILABLE };
            (&*client).write_all(answer)?;
            return Err(error);
        }
    };
    if head.status() == Some(101) {
        if !head.is_websocket() {
            (&*client).write_all(BAD_GATEWAY)?;
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the backend became something else than a WebSocket",
            ));
        }
        (&*client).write_all(&head.bytes)?;
        (&backend).write_all(early)?;
        relay(&client, &backend)
    } else {
        (&*client).write_all(&head.closing())?;
        finish(&client, &backend, head.left())
    }
}

/// The request as it goes over the wire.
fn head_of(request: Message) -> Vec<u8> {
    let mut head = [request.method(), b" ", request.url(), b" HTTP/1.1\r\n"].concat();
    for field in request.fields() {
        head.extend_from_slice(field);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Connects, sends, and reads the head of the answer; other 1xx answers are passed over.
fn ask(address: SocketAddr, request: &[u8]) -> io::Result<(TcpStream, Head)> {
    let backend = TcpStream::connect_timeout(&address, CONNECT)?;
    backend.set_nodelay(true)?;
    backend.set_read_timeout(Some(FIRST_BYTE))?;
    backend.set_write_timeout(Some(FIRST_BYTE))?;
    (&backend).write_all(request)?;
    let mut bytes = Vec::new();
    loop {
        let head = Head::read(&backend, bytes)?;
        match head.status() {
            None => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the backend does not speak HTTP/1"));
            }
            Some(100 | 102..=199) => bytes = head.bytes[head.length..].to_vec(),
            Some(_) => return Ok((backend, head)),
        }
    }
}

/// The head of an answer, and what was read after it.
struct Head {
    bytes: Vec<u8>,
    length: usize,
}

impl Head {
    fn read(mut backend: &TcpStream, mut bytes: Vec<u8>) -> io::Result<Self> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(place) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                return Ok(Self { bytes, length: place + 4 });
            }
            if bytes.len() > HEAD_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the backend's head is too long"));
            }
            match backend.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => bytes.extend_from_slice(&buffer[..read]),
            }
        }
    }

    fn status(&self) -> Option<u16> {
        let digits = self.bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
        std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| *status >= 100)
    }

    fn values(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.bytes[..self.length].split(|byte| *byte == b'\n').filter_map(move |line| {
            let (found, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
            found.eq_ignore_ascii_case(name).then(|| value[1..].trim_ascii())
        })
    }

    /// Whether that is what the answer says the connection becomes.
    fn is_websocket(&self) -> bool {
        let mut upgrades = self.values(b"upgrade");
        upgrades.next().is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) && upgrades.next().is_none()
    }

    /// How many bytes of the answer were not read yet; None: it ends when the backend closes, or its chunks say so.
    fn left(&self) -> Option<usize> {
        if matches!(self.status(), Some(204 | 304)) {
            return Some(0);
        }
        let mut lengths = self.values(b"content-length");
        let length: usize = std::str::from_utf8(lengths.next()?).ok()?.parse().ok()?;
        let is_certain = lengths.next().is_none() && self.values(b"transfer-encoding").next().is_none();
        is_certain.then(|| length.saturating_sub(self.bytes.len() - self.length))
    }

    /// The same, saying that the connection ends with this answer.
    fn closing(&self) -> Vec<u8> {
        let (head, rest) = self.bytes.split_at(self.length - 2);
        let lines = head.split_inclusive(|byte| *byte == b'\n');
        let is_kept = |line: &&[u8]| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            ![&b"connection"[..], b"keep-alive"].iter().any(|dropped| name.eq_ignore_ascii_case(dropped))
        };
        let mut closing = lines.filter(is_kept).collect::<Vec<_>>().concat();
        closing.extend_from_slice(b"Connection: close\r\n");
        closing.extend_from_slice(rest);
        closing
    }
}

/// Passes the rest of an answer on. Nothing that the client sends meanwhile goes anywhere; that it has ended does not
/// mean that it reads no more.
fn finish(mut client: &TcpStream, backend: &TcpStream, mut left: Option<usize>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut is_watched, mut pause) = (true, FIRST_BYTE);
    while left != Some(0) {
        match readable([(client.as_raw_fd(), is_watched), (backend.as_raw_fd(), true)], pause)? {
            [_, true] => {
                let room = left.unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
                match pass_on(backend, client, &mut buffer[..room])? {
                    0 => return Ok(()),
                    passed => left = left.map(|left| left - passed),
                }
            }
            [true, false] => {
                is_watched = false;
                if client.read(&mut buffer)? == 0 && left.is_none() {
                    pause = LINGER;
                }
            }
            [false, false] => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Ok(())
}

/// Passes bytes on until both sides have ended, or nothing moves.
fn relay(client: &TcpStream, backend: &TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut open = [true, true];
    while open != [false, false] {
        let ready = readable([(client.as_raw_fd(), open[0]), (backend.as_raw_fd(), open[1])], IDLE)?;
        for (place, from, to) in [(0, client, backend), (1, backend, client)] {
            if ready[place] {
                open[place] = pass_on(from, to, &mut buffer)? > 0;
            }
        }
        if ready == [false, false] {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}

/// Returns the number of bytes; 0 when it was an end that was passed on.
fn pass_on(mut from: &TcpStream, mut to: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let read = from.read(buffer)?;
    if read == 0 {
        to.shutdown(Shutdown::Write)?;
    } else {
        to.write_all(&buffer[..read])?;
    }
    Ok(read)
}

/// Which of the sockets that are asked about can be read; none after the pause.
fn readable(sockets: [(RawFd, bool); 2], pause: Duration) -> io::Result<[bool; 2]> {
    let asked = |(socket, is_asked): (RawFd, bool)| libc::pollfd {
        fd: if is_asked { socket } else { -1 },
        events: libc::POLLIN,
        revents: 0,
    };
    let mut polled = sockets.map(asked);
    let milliseconds = i32::try_from(pause.as_millis()).unwrap_or(i32::MAX);
    loop {
        // SAFETY: `polled` is two entries.
        let found = unsafe { libc::poll(polled.as_mut_ptr(), 2, milliseconds) };
        let error = io::Error::last_os_error();
        match found {
            0.. => return Ok(polled.map(|socket| socket.revents != 0)),
            _ if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
    }
}
