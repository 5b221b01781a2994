//! A backend on loopback that does exactly what a test says, and the client in front of it.

#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use ghost_upstream::{
    Deadlines, Error, Framing, PoolLimits, RequestHead, Response, Sink, TcpConnect, Upload, Upstream, Upstreams,
};

/// What a backend does with a connection, given its place in the order of connections.
pub type Behaviour = dyn Fn(TcpStream, usize) + Send + Sync;

/// Serves until the test ends. Returns where, and how many connections there were.
pub fn backend(
    address: &str,
    behaviour: impl Fn(TcpStream, usize) + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let (counted, behaviour) = (Arc::clone(&seen), Arc::<Behaviour>::from(Box::new(behaviour) as Box<Behaviour>));
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (number, behaviour) = (counted.fetch_add(1, Ordering::SeqCst), Arc::clone(&behaviour));
            thread::spawn(move || behaviour(socket.unwrap(), number));
        }
    });
    (address, seen)
}

/// Reads a request's head; None when the connection ends.
pub fn read_head(socket: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// Answers every request on a connection with the same bytes; `closes` after the first.
pub fn says(answer: &'static [u8], closes: bool) -> impl Fn(TcpStream, usize) + Send + Sync {
    move |socket, _| {
        let mut reader = BufReader::new(socket);
        while read_head(&mut reader).is_some() {
            _ = reader.get_mut().write_all(answer);
            if closes {
                return;
            }
        }
    }
}

pub fn upstreams() -> Upstreams<TcpConnect> {
    Upstreams::new(TcpConnect, PoolLimits::default())
}

/// For what must come: a machine may be busy with other things.
pub const PATIENT: Deadlines = Deadlines {
    connect: Duration::from_secs(10),
    first_byte: Duration::from_secs(10),
    between_bytes: Duration::from_secs(10),
    total: None,
};

/// For what must not come.
pub const QUICK: Deadlines = Deadlines {
    connect: Duration::from_secs(2),
    first_byte: Duration::from_millis(300),
    between_bytes: Duration::from_millis(300),
    total: None,
};

pub fn request(method: &str, framing: Framing) -> RequestHead {
    let mut head = RequestHead::default();
    head.begin(method.as_bytes(), b"/x");
    head.line(b"Host: a.test");
    head.end(framing);
    head
}

pub fn get(upstream: &Arc<Upstream<TcpConnect>>) -> Result<Vec<u8>, Error> {
    body_of(&mut upstream.exchange(&request("GET", Framing::Nothing), None, PATIENT)?)
}

pub fn body_of(response: &mut Response<TcpConnect>) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    loop {
        let piece = response.next_piece()?;
        body.extend_from_slice(piece.bytes);
        if piece.is_last {
            return Ok(body);
        }
    }
}

/// Pieces of a body; `is_whole` false: the client goes away after them.
pub struct Pieces<'a> {
    pub all: Vec<&'a [u8]>,
    pub is_whole: bool,
    pub taken: usize,
}

impl<'a> Pieces<'a> {
    pub fn new(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { all: pieces.into_iter().collect(), is_whole: true, taken: 0 }
    }
}

impl Upload for Pieces<'_> {
    fn pour(&mut self, sink: &mut dyn Sink) -> Option<()> {
        for piece in &self.all {
            self.taken += 1;
            if let ControlFlow::Break(()) = sink.take(piece) {
                return None;
            }
        }
        self.is_whole.then_some(())
    }
}

/// Reads as many bytes as a test expects.
pub fn read_exactly(socket: &mut BufReader<TcpStream>, bytes: usize) -> Vec<u8> {
    let mut body = vec![0; bytes];
    socket.read_exact(&mut body).unwrap();
    body
}
