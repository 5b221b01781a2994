//! Connections that have become one.

mod support;

use std::{
    io::{BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    os::{fd::AsFd, unix::net::UnixStream},
    thread,
    time::Duration,
};

use ghost_upstream::{Framing, RequestHead, Tcp, Upgraded, tunnel};
use support::{PATIENT, backend, read_exactly, read_head, upstreams};

const SWITCHES: &[u8] = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
const IDLE: Duration = Duration::from_secs(30);

/// A backend that becomes a WebSocket, and then does as a test says.
fn upgraded(behaviour: impl Fn(BufReader<TcpStream>) + Send + Sync + 'static) -> Upgraded<Tcp> {
    let (address, _) = backend("127.0.0.1", move |socket, _| {
        let mut socket = BufReader::new(socket);
        read_head(&mut socket);
        socket.get_mut().write_all(SWITCHES).unwrap();
        behaviour(socket);
    });
    let mut head = RequestHead::default();
    head.begin(b"GET", b"/");
    head.upgrade();
    head.end(Framing::Nothing);
    upstreams().get(&address).exchange(&head, None, PATIENT).unwrap().into_upgraded().unwrap()
}

/// The client's end, and the tunnel in a thread of its own.
fn client(early: &'static [u8], backend: Upgraded<Tcp>) -> (UnixStream, thread::JoinHandle<std::io::Result<()>>) {
    let (client, ours) = UnixStream::pair().unwrap();
    (client, thread::spawn(move || tunnel(ours.as_fd(), early, backend, IDLE)))
}

#[test]
fn whatever_one_side_says_the_other_hears() {
    let backend = upgraded(|mut socket| {
        assert_eq!(read_exactly(&mut socket, 9), b"early and");
        socket.get_mut().write_all(b"heard").unwrap();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b" late");
        // The client has no more to say, and still hears.
        socket.get_mut().write_all(b" all").unwrap();
    });
    let (mut client, tunnel) = client(b"early", backend);
    client.write_all(b" and").unwrap();
    let mut heard = [0; 5];
    client.read_exact(&mut heard).unwrap();
    client.write_all(b" late").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!((&heard, &rest[..]), (b"heard", &b" all"[..]));
    tunnel.join().unwrap().unwrap();
}

/// More than all buffers between the two hold, both ways at once, with nobody reading before all is written.
#[test]
fn neither_side_waits_for_the_other_to_be_silent() {
    const BYTES: usize = 16 << 20;
    let flood = |mut to: Box<dyn Write + Send>| thread::spawn(move || to.write_all(&vec![7; BYTES]).unwrap());
    let backend = upgraded(move |socket| {
        let writer = flood(Box::new(socket.get_ref().try_clone().unwrap()));
        let mut socket = socket;
        assert_eq!(read_exactly(&mut socket, BYTES).len(), BYTES);
        writer.join().unwrap();
    });
    let (mut client, tunnel) = client(b"", backend);
    let writer = flood(Box::new(client.try_clone().unwrap()));
    let mut heard = vec![0; BYTES];
    client.read_exact(&mut heard).unwrap();
    writer.join().unwrap();
    drop(client);
    tunnel.join().unwrap().unwrap();
}

#[test]
fn a_side_that_is_gone_ends_the_tunnel() {
    let backend = upgraded(|mut socket| {
        // Says something now and then until nobody hears it.
        while socket.get_mut().write_all(b"tick").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let (client, tunnel) = client(b"", backend);
    drop(client);
    _ = tunnel.join().unwrap();
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed() {
    let backend = upgraded(|mut socket| {
        _ = socket.read_to_end(&mut Vec::new());
    });
    let (_client, ours) = UnixStream::pair().unwrap();
    let outcome = tunnel(ours.as_fd(), b"", backend, Duration::from_millis(50));
    assert_eq!(outcome.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}
