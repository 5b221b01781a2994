//! Whom an answer is for: once it has gone nothing is waited for, and while it is there everything is.

mod support;

use std::{
    io::{BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use ghost_upstream::{Client, Error, Framing, Tcp, Watch};
use support::{PATIENT, backend, body_of, read_head, request, upstreams};

const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha";

/// Our side of a client's connection.
struct Waiting<S>(S);

impl<S: AsFd> Client for Waiting<S>
where
    for<'a> &'a S: Write,
{
    fn socket(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn probe(&self) {
        // A client that has gone is what this may fail of.
        _ = (&self.0).write_all(INTERIM);
    }
}

impl<S: AsFd> Watch<Tcp> for Waiting<S>
where
    for<'a> &'a S: Write,
{
    fn client(&self) -> Option<&dyn Client> {
        Some(self)
    }
}

/// The client's side, and ours.
fn connected() -> (TcpStream, Waiting<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, Waiting(listener.accept().unwrap().0))
}

/// A backend that says something, and then nothing until it is told to; it tells when its connection was closed.
fn slow(first: &'static [u8]) -> (SocketAddr, Sender<&'static [u8]>, Receiver<()>) {
    let ((tell, told), (closed, is_closed)) = (mpsc::channel(), mpsc::channel());
    let told = Mutex::new(told);
    let (address, _) = backend("127.0.0.1", move |socket, _| {
        let mut reader = BufReader::new(socket);
        read_head(&mut reader);
        _ = reader.get_mut().write_all(first);
        if let Ok(answer) = told.lock().unwrap().recv() {
            _ = reader.get_mut().write_all(answer);
        }
        assert_eq!(reader.read(&mut [0]).unwrap_or(0), 0);
        _ = closed.send(());
    });
    (address, tell, is_closed)
}

#[test]
fn nothing_is_waited_for_once_the_client_has_gone() {
    let (client, mut waiting) = connected();
    let (address, tell, is_closed) = slow(b"");
    let upstreams = upstreams();
    drop(client);
    let head = request("GET", Framing::Nothing);
    let outcome = upstreams.get(&address).exchange_watched(&head, None, PATIENT, &mut waiting);
    assert_eq!(outcome.err(), Some(Error::Gone));
    assert_eq!(Error::Gone.status(), 499);
    drop(tell);
    is_closed.recv().expect("the connection to the backend is closed");
    let counted = upstreams.counters();
    assert_eq!((counted.abandoned.get(), counted.broken.get(), counted.repeated.get()), (1, 0, 0));
}

#[test]
fn a_client_that_only_sends_nothing_more_gets_its_answer() {
    let (mut client, mut waiting) = connected();
    let (address, tell, _) = slow(b"");
    client.shutdown(Shutdown::Write).unwrap();
    let asked = thread::spawn(move || {
        let head = request("GET", Framing::Nothing);
        let upstreams = upstreams();
        let mut response = upstreams.get(&address).exchange_watched(&head, None, PATIENT, &mut waiting)?;
        body_of(&mut response)
    });
    // It was asked whether it is there, once.
    let mut interim = [0; INTERIM.len()];
    client.read_exact(&mut interim).unwrap();
    assert_eq!(interim, INTERIM);
    tell.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    assert_eq!(asked.join().unwrap(), Ok(b"ok".to_vec()));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_client_whose_connection_is_closed_at_both_ends_need_not_be_asked() {
    let (client, ours) = UnixStream::pair().unwrap();
    let (address, tell, is_closed) = slow(HALF);
    let upstreams = upstreams();
    let head = request("GET", Framing::Nothing);
    let mut response = upstreams.get(&address).exchange(&head, None, PATIENT).unwrap();
    let waiting = Waiting(ours);
    assert_eq!(response.next_piece_for(&waiting).map(|piece| piece.bytes.to_vec()), Ok(b"ha".to_vec()));
    drop(client);
    assert_eq!(response.next_piece_for(&waiting), Err(Error::Gone));
    drop((tell, response));
    is_closed.recv().expect("the connection to the backend is closed");
    assert_eq!(upstreams.counters().abandoned.get(), 1);
}

#[test]
fn an_answer_that_takes_long_is_waited_for_while_the_client_is_there() {
    let (client, mut waiting) = connected();
    let (address, tell, _) = slow(b"");
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1200));
        tell.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate").unwrap();
    });
    let (head, upstreams) = (request("GET", Framing::Nothing), upstreams());
    let mut response = upstreams.get(&address).exchange_watched(&head, None, PATIENT, &mut waiting).unwrap();
    assert_eq!(body_of(&mut response), Ok(b"late".to_vec()));
    late.join().unwrap();
    client.set_nonblocking(true).unwrap();
    assert_eq!((&client).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}
