//! Backends that lie, break off or never end: an error, and a connection that nobody uses again.

mod support;

use std::{
    io::{BufReader, Read, Write},
    net::{Shutdown, TcpListener},
    sync::{atomic::Ordering, mpsc},
    time::Duration,
};

use ghost_upstream::{Error, Framing};
use support::{PATIENT, Pieces, backend, body_of, get, read_head, request, says, upstreams};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn answers_that_mean_nothing_or_two_things_are_502() {
    let long = |part: &str, times| Box::leak(part.repeat(times).into_bytes().into_boxed_slice()) as &'static [u8];
    let bomb = [b"HTTP/1.1 200 OK\r\n", long("A: b\r\n", 200), b"\r\n"].concat().leak();
    let wide = [b"HTTP/1.1 200 OK\r\nA: ", long("b", 80_000), b"\r\n\r\n"].concat().leak();
    let absurd = [b"HTTP/1.1 200 ", long("x", 80_000), b"\r\n\r\n"].concat().leak();
    let flood = [long("HTTP/1.1 100 Go\r\n\r\n", 1000), OK].concat().leak();
    let answers: [&'static [u8]; 17] = [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        bomb,
        wide,
        absurd,
        flood,
    ];
    for answer in answers {
        let (address, seen) = backend("127.0.0.1", says(answer, false));
        let upstreams = upstreams();
        for _ in 0..2 {
            let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]);
            let outcome = get(&upstreams.get(&address));
            assert!(
                matches!(outcome, Err(error @ Error::Malformed(_)) if error.status() == 502),
                "{shown}: {outcome:?}"
            );
        }
        assert_eq!(seen.load(Ordering::SeqCst), 2, "a connection was used again");
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ] {
        let (address, _) = backend("127.0.0.1", says(answer, true));
        let upstreams = upstreams();
        let error = if answer.is_empty() { Error::Unanswered } else { Error::Closed };
        assert_eq!(get(&upstreams.get(&address)), Err(error));
        assert_eq!(upstreams.counters().broken.get(), 1);
    }
}

#[test]
fn a_reset_ends_no_body_that_has_no_length() {
    let (address, _) = backend("127.0.0.1", |socket, _| {
        let mut socket = BufReader::new(socket);
        read_head(&mut socket);
        socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\nsome").unwrap();
        // Closing then resets.
        rustix::net::sockopt::set_socket_linger(socket.get_ref(), Some(Duration::ZERO)).unwrap();
    });
    let upstreams = upstreams();
    let mut response = upstreams.get(&address).exchange(&request("GET", Framing::Nothing), None, PATIENT).unwrap();
    assert_eq!(body_of(&mut response), Err(Error::Closed));
    assert_eq!(response.next_piece(), Err(Error::Closed), "it stays an error");
}

#[test]
fn what_comes_after_an_answer_is_nobodys() {
    let (address, seen) =
        backend("127.0.0.1", says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", false));
    let upstreams = upstreams();
    for _ in 0..3 {
        assert_eq!(get(&upstreams.get(&address)), Ok(b"ok".to_vec()));
    }
    assert_eq!(seen.load(Ordering::SeqCst), 3);

    // The surplus comes when the connection is idle already. Only what is there before the next request goes out can be
    // told from its answer, so that is waited for.
    let (said, surplus) = mpsc::channel();
    let (address, seen) = backend("127.0.0.1", move |socket, number| {
        let mut socket = BufReader::new(socket);
        read_head(&mut socket);
        socket.get_mut().write_all(OK).unwrap();
        if number == 0 {
            socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").unwrap();
            said.send(()).unwrap();
        }
        _ = socket.read(&mut [0]);
    });
    assert_eq!(get(&upstreams.get(&address)), Ok(b"ok".to_vec()));
    surplus.recv().unwrap();
    assert_eq!(get(&upstreams.get(&address)), Ok(b"ok".to_vec()));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[test]
fn a_connection_that_the_backend_closed_is_not_used() {
    let (address, seen) = backend("127.0.0.1", says(OK, true));
    let upstreams = upstreams();
    for _ in 0..20 {
        assert_eq!(get(&upstreams.get(&address)), Ok(b"ok".to_vec()));
    }
    assert_eq!(seen.load(Ordering::SeqCst), 20);
    let counters = upstreams.counters();
    assert_eq!(counters.stale.get() + counters.repeated.get(), 19);
}

/// Closes as soon as a second request arrives: whether that was done, nobody knows.
fn closes_on_the_second(socket: std::net::TcpStream, _: usize) {
    let mut socket = BufReader::new(socket);
    read_head(&mut socket);
    socket.get_mut().write_all(OK).unwrap();
    read_head(&mut socket);
    _ = socket.get_ref().shutdown(Shutdown::Both);
}

#[test]
fn only_what_may_be_repeated_is() {
    for (method, framing, is_repeated) in [
        ("GET", Framing::Nothing, true),
        ("HEAD", Framing::Nothing, true),
        ("DELETE", Framing::Nothing, true),
        ("POST", Framing::Nothing, false),
        ("PATCH", Framing::Nothing, false),
        ("POST", Framing::Length(1), false),
        ("PUT", Framing::Length(1), false),
    ] {
        let (address, seen) = backend("127.0.0.1", closes_on_the_second);
        let upstreams = upstreams();
        get(&upstreams.get(&address)).unwrap();
        let mut upload = Pieces::new([&b"a"[..]]);
        let upload: Option<&mut dyn ghost_upstream::Upload> =
            if framing == Framing::Nothing { None } else { Some(&mut upload) };
        let outcome = upstreams.get(&address).exchange(&request(method, framing), upload, PATIENT);
        let status = outcome.map(|response| response.status());
        assert_eq!(status, if is_repeated { Ok(200) } else { Err(Error::Unanswered) }, "{method}");
        assert_eq!(seen.load(Ordering::SeqCst), if is_repeated { 2 } else { 1 }, "{method}");
        assert_eq!(upstreams.counters().repeated.get(), u64::from(is_repeated));
    }
}

#[test]
fn a_fresh_connection_that_closes_is_an_error_at_once() {
    let (address, seen) = backend("127.0.0.1", |socket, _| drop(socket));
    let upstreams = upstreams();
    assert_eq!(get(&upstreams.get(&address)), Err(Error::Unanswered));
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[test]
fn nobody_there_is_503() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = get(&upstreams().get(&address)).unwrap_err();
    assert_eq!((error, error.status()), (Error::Connect(std::io::ErrorKind::ConnectionRefused), 503));
}

#[test]
fn a_client_that_breaks_off_leaves_no_request_that_looks_whole() {
    let (address, _) = backend("127.0.0.1", says(OK, false));
    let upstreams = upstreams();
    for framing in [Framing::Length(10), Framing::Chunked] {
        let mut upload = Pieces { is_whole: false, ..Pieces::new([&b"half"[..]]) };
        let outcome = upstreams.get(&address).exchange(&request("POST", framing), Some(&mut upload), PATIENT);
        assert_eq!(outcome.map(|response| response.status()), Err(Error::Upload));
    }
    // More than was announced is as wrong.
    let mut upload = Pieces::new([&b"too much"[..]]);
    let outcome = upstreams.get(&address).exchange(&request("POST", Framing::Length(3)), Some(&mut upload), PATIENT);
    assert_eq!(outcome.map(|response| response.status()), Err(Error::Upload));
    assert_eq!(upstreams.counters().opened.get(), upstreams.counters().closed.get());
}

#[test]
fn a_response_that_is_dropped_half_way_closes_the_connection() {
    let (address, seen) = backend("127.0.0.1", says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", false));
    let upstreams = upstreams();
    for _ in 0..2 {
        let upstream = upstreams.get(&address);
        let mut response = upstream.exchange(&request("GET", Framing::Nothing), None, PATIENT).unwrap();
        assert_eq!(response.next_piece().map(|piece| piece.is_last), Ok(false));
    }
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}
